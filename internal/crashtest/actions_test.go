package crashtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// actionCase is how one kind of action comes about.
type actionCase struct {
	kind reconcile.ActionKind
	// route is the call that does it; "" when it is done in our database alone.
	route string
	env   map[string]string
	// before prepares the company (nil: nothing, and the first run of all is the one that
	// dies); then is the change that the run reacts to.
	before, then func(*company)
	// again: the call is repeated without a look. mild: the program looks, and if the
	// effect is missing it repeats the call, because a second one does no harm.
	again, mild bool
}

var ada = simulator.SignUp{Email: "ada@example.com", Name: "Ada", Domain: "ada.example.com"}

const (
	patchHosting  = "PATCH /orgs/{org}/subscriptions/{subscription}"
	theRetention  = 30 * 24 * time.Hour
	afterwardsOne = theRetention + 24*time.Hour
)

func (c *company) only() simulator.Subscription { return c.Subscriptions()[0] }

func signUpAda(c *company) { c.signUp(ada) }

// deeds has every kind there is; a test sees to that.
var deeds = []actionCase{
	{kind: reconcile.Link, then: func(c *company) {
		c.StaffCreateOrg("Ada", ada.Email) // and its only owner orders
		c.signUp(ada)
	}},
	{kind: reconcile.CreateOrg, route: "POST /orgs/{org}/customers", then: signUpAda},
	{kind: reconcile.InviteOwner, route: "POST /orgs/{org}/invites", then: signUpAda, mild: true},
	{kind: reconcile.CreateSubscription, route: "POST /orgs/{org}/customers/{customer}/subscriptions", then: signUpAda},
	{kind: reconcile.CreateWebsite, route: "POST /orgs/{org}/websites", then: signUpAda, again: true},
	{kind: reconcile.RenameOrg, route: "PATCH /orgs/{org}", then: signUpAda, mild: true},
	{kind: reconcile.WriteMetadata, route: "POST /v1/subscriptions/{id}", again: true,
		env: map[string]string{"STRIPE_WRITE_METADATA": "true"}, then: signUpAda},
	{kind: reconcile.InstallApp, route: "POST /orgs/{org}/websites/{website}/apps", then: func(c *company) {
		if r := c.run(nil, "mappings", "set", "price_basic_monthly", strconv.Itoa(c.plans["price_basic_monthly"]), "--app", "wordpress"); r.code != 0 {
			c.Fatalf("mapping: %s", r.stderr)
		}
		c.signUp(ada)
	}},
	{kind: reconcile.ChangePlan, route: patchHosting, before: signUpAda,
		then: func(c *company) { c.must(c.ChangePrice(c.only().ID, "", "price_pro_monthly")) }},
	{kind: reconcile.MarkHosting, route: patchHosting, mild: true, then: func(c *company) {
		id, err := c.StaffCreateHosting(c.StaffCreateOrg("Ada", ada.Email), c.plans["price_basic_monthly"], "By hand")
		c.must(err)
		done := c.signUp(ada)
		c.reconcile(nil) // it asks what the hosting is for
		if r := c.run(nil, "customers", "bind", done.Subscription, strconv.Itoa(id), "--reason", "it is its hosting"); r.code != 0 {
			c.Fatalf("binding: %s", r.stderr)
		}
	}},
	{kind: reconcile.Suspend, route: patchHosting, before: signUpAda,
		then: func(c *company) { c.must(c.MarkUnpaid(c.only().ID)) }},
	{kind: reconcile.Resume, route: patchHosting,
		before: func(c *company) {
			c.signUp(ada)
			c.settled()
			c.must(c.MarkUnpaid(c.only().ID))
		},
		then: func(c *company) { c.must(c.Pay(c.only().ID)) }},
	{kind: reconcile.Terminate, route: "DELETE /orgs/{org}/subscriptions/{subscription}",
		env:    map[string]string{"RETENTION_PERIOD": "30d", "BACKUP_BEFORE_TERMINATE": "false"},
		before: adaLeaves,
		then:   func(c *company) { c.clock.move(c, afterwardsOne) }},
	{kind: reconcile.Backup, route: "POST /orgs/{org}/websites/{website}/backups", mild: true,
		env:    map[string]string{"RETENTION_PERIOD": "30d"},
		before: adaLeaves,
		then:   func(c *company) { c.clock.move(c, afterwardsOne) }},
	{kind: reconcile.SendMail,
		before: func(c *company) {
			c.signUp(ada)
			c.getsMail()
		},
		then: func(c *company) { c.must(c.MarkUnpaid(c.only().ID)) }},
}

func adaLeaves(c *company) {
	c.signUp(ada)
	c.settled()
	c.must(c.Cancel(c.only().ID))
}

// getsMail gives the company a mail server.
func (c *company) getsMail() {
	var err error
	c.mail, err = mailtest.Start(mailtest.Options{Plain: true})
	c.must(err)
	c.Cleanup(c.mail.Close)
	c.env["SMTP_URL"], c.env["MAIL_FROM"] = c.mail.URL(), "billing@host.example"
}

// mailed looks at the mails after a death while one was sent: one that may have been sent
// is never sent again.
func (d actionCase) mailed(t *testing.T, c *company, step string) {
	t.Helper()
	if d.kind != reconcile.SendMail {
		return
	}
	want := 1
	if step == "after-intent" {
		want = 0
	}
	if got := len(c.mail.Taken()); got != want {
		t.Errorf("%d mails were sent, want %d", got, want)
	}
}

func TestEveryKindOfActionIsAmongTheDeeds(t *testing.T) {
	for _, kind := range reconcile.ActionKinds() {
		if !slices.ContainsFunc(deeds, func(d actionCase) bool { return d.kind == kind }) {
			t.Errorf("no process dies while doing a %s", kind)
		}
	}
}

// steps are the points at which the process dies, on its side and on the other.
var steps = []string{
	"before-intent", "after-intent", "after-call", "after-record",
	"call-undone", // the call arrived and was not done
	"call-done",   // it was done, and the process died before the answer
	"call-late",   // it is done a minute after the death
}

// TestAProcessKilledAtAnyStepOfAnyActionIsCaughtUpWith is the promise for which the
// journal exists.
//
// To try it, creates were once taken for undone at the first look, before the settling
// time had passed. The test failed, because orgs and hostings were made twice.
func TestAProcessKilledAtAnyStepOfAnyActionIsCaughtUpWith(t *testing.T) {
	var kills atomic.Int32
	t.Run("cells", func(t *testing.T) {
		for _, database := range databases {
			for _, d := range deeds {
				for _, step := range steps {
					if d.route == "" && strings.HasPrefix(step, "call-") {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s", database, d.kind, step), func(t *testing.T) {
						t.Parallel()
						for round := range rounds(t) {
							d.dieAt(t, database, step, uint64(round))
							kills.Add(1)
						}
					})
				}
			}
		}
	})
	t.Logf("%d kills", kills.Load())
}

func (d actionCase) dieAt(t *testing.T, database, step string, seed uint64) {
	c := found(t, database, simulator.Options{Calm: true, Seed: seed})
	for name, value := range d.env {
		c.env[name] = value
	}
	if d.before != nil {
		d.before(c)
		c.settled()
	}
	d.then(c)
	var dead result
	if strings.HasPrefix(step, "call-") {
		dead = d.dieInCall(c, step)
	} else {
		dead = c.reconcile(at(step, d.kind.String(), 1))
	}
	if dead.signal != syscall.SIGKILL {
		t.Fatalf("the process did not die: exit code %d\n%s\n%s", dead.code, dead.stdout, dead.stderr)
	}
	c.clock.move(c, afterTheLease) // past the lease, within the settling time
	runs := c.recover()
	c.sound()
	d.mailed(t, c, step)
	d.reported(t, step, runs)
}

// dieInCall kills the process while its call is at the other side.
func (d actionCase) dieInCall(c *company, step string) result {
	c.Helper()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	fault := map[string]simulator.Fault{
		"call-undone": {Apply: simulator.Skip},
		"call-done":   {Apply: simulator.Do},
		"call-late":   {Apply: simulator.Late, After: time.Minute},
	}[step]
	return c.inCall(func() *process { return c.start(nil, "reconcile", "-o", "json") },
		func(call simulator.Call) bool { return call.Route == d.route }, fault, (*process).kill)
}

// reported looks for the sentence by which the runs after a death report how they resolved the
// action that was under way.
func (d actionCase) reported(t *testing.T, step string, runs []report.Document) {
	t.Helper()
	var adopted, undone bool
	for _, run := range runs {
		for _, a := range run.Actions {
			if a.Kind == d.kind.String() {
				adopted = adopted || a.Adopted
				undone = undone || strings.Contains(a.Error, "not done")
			}
		}
	}
	want := "nothing"
	switch {
	case step == "before-intent", step == "after-record":
	case d.kind == reconcile.SendMail: // nothing to look for
	case d.again, d.mild && step == "call-late", step == "after-intent", step == "call-undone", d.kind == reconcile.Link:
		want = "not done"
	default:
		want = "found"
	}
	got := map[[2]bool]string{{false, false}: "nothing", {true, false}: "found", {false, true}: "not done", {true, true}: "both"}[[2]bool{adopted, undone}]
	if got != want {
		t.Errorf("of the %s that was under way the runs after report %q, want %q: %+v", d.kind, got, want, runs)
	}
}
