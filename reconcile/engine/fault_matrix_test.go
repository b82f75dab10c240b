package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// story is a customer's life up to the point where one call is the next to be
// made, and what the panel has at the end, whatever happened to that call.
type story struct {
	name  string // the call
	route string
	body  string // part of the body, where the route has several uses
	life  []string
	set   func(o *engine.Options)
	want  string
}

const (
	hostingPath = " /orgs/{org}/subscriptions/{subscription}"
	signedUp    = "Ada invited, Basic active"
)

func withPassword(o *engine.Options) { o.Policy.Onboarding = reconcile.Password }
func withBackup(o *engine.Options) {
	withRetention(o)
	o.Policy.Backup = true
}

func withRetention(o *engine.Options) { o.Policy.Retention = 30 * 24 * time.Hour }

// writes are every call that changes something; their effect and their answer
// fail apart.
var writes = []story{
	{"create an org", createOrg, "", []string{"warm", "order"}, nil, signedUp},
	{"rename an org", "PATCH /orgs/{org}", "", []string{"warm", "order"}, nil, signedUp},
	{"invite the owner", "POST /orgs/{org}/invites", "", []string{"warm", "order"}, nil, signedUp},
	{"create a login", "POST /logins", "", []string{"warm", "order"}, withPassword, signedUp},
	{"make the login a member", "POST /orgs/{org}/members", "", []string{"warm", "order"}, withPassword, signedUp},
	{"start the recovery", "PUT /login/password-recovery", "", []string{"warm", "order"}, withPassword, signedUp},
	{"create a hosting", createHosting, "", []string{"warm", "order"}, nil, signedUp},
	{"create a website", "POST /orgs/{org}/websites", "", []string{"warm", "order with a domain"}, nil, signedUp + ", site ada.example.com"},
	{"install an application", postApp, "", []string{"warm", "with WordPress", "order with a domain"}, nil, signedUp + ", site ada.example.com with wordpress"},
	{"change the plan", "PATCH" + hostingPath, "planId", []string{"warm", "order", "run", "upgrade"}, nil, "Ada invited, Pro active"},
	{"write a marker", "PATCH" + hostingPath, "friendlyName", []string{"by hand", "order", "run", "bind"}, nil, "Ada not let in, Basic active"},
	{"suspend", "PATCH" + hostingPath, "isSuspended", []string{"warm", "order", "run", "unpaid"}, nil, "Ada invited, Basic suspended"},
	{"resume", "PATCH" + hostingPath, "isSuspended", []string{"warm", "order", "run", "unpaid", "run", "pay"}, nil, signedUp},
	{"delete", "DELETE" + hostingPath, "", []string{"warm", "order", "run", "cancel", "run", "31 days"}, withRetention, "Ada invited, Basic deleted"},
	{"back up", "POST /orgs/{org}/websites/{website}/backups", "", []string{"warm", "order with a domain", "run", "cancel", "run", "31 days"}, withBackup, "Ada invited, Basic deleted, site ada.example.com"},
	{"write metadata", "POST /v1/subscriptions/{id}", "", []string{"warm", "order"}, func(o *engine.Options) { o.Policy.WriteMetadata = true }, signedUp + ", told Stripe"},
}

// reads are every read that those depend on.
var reads = []story{
	{"list the subscriptions", "GET /v1/subscriptions", "", []string{"order"}, nil, signedUp},
	{"list the events", "GET /v1/events", "", []string{"warm", "order"}, nil, signedUp},
	{"read a subscription", "GET /v1/subscriptions/{id}", "", []string{"warm", "order"}, nil, signedUp},
	{"read the premise at Stripe", "GET /v1/subscriptions/{id}", "", []string{"warm", "order", "run", "unpaid"}, nil, "Ada invited, Basic suspended"},
	{"read the order", "GET /v1/checkout/sessions", "", []string{"warm", "order with a domain"}, nil, signedUp + ", site ada.example.com"},
	{"ask for the domain", "POST /orgs/{org}/domains/check", "", []string{"warm", "order with a domain"}, nil, signedUp + ", site ada.example.com"},
	{"read the mapped prices", "GET /v1/prices/{id}", "", []string{"warm", "order", "run", "unpaid"}, nil, "Ada invited, Basic suspended"},
	{"read the features of a product", "GET /v1/products/{id}/features", "", []string{"by features", "warm", "order"}, nil, signedUp},
	{"read the features of a product again", "GET /v1/products/{id}/features", "", []string{"by features", "warm", "order", "run", "25 hours", "upgrade"}, nil, "Ada invited, Pro active"},
	{"read the features of one who pays again", "GET /v1/products/{id}/features", "", []string{"by features", "warm", "order", "run", "unpaid", "run", "25 hours", "pay"}, nil, signedUp},
	{"list the disputes", "GET /v1/disputes", "", []string{"order"}, nil, signedUp},
	{"list the refunds", "GET /v1/refunds", "", []string{"order"}, nil, signedUp},
	{"read the backups", "GET /orgs/{org}/websites/{website}/backups", "", []string{"warm", "order with a domain", "run", "cancel", "run", "31 days"}, withBackup, "Ada invited, Basic deleted, site ada.example.com"},
	{"read the applications", getApps, "", []string{"warm", "with WordPress", "order with a domain"}, nil, signedUp + ", site ada.example.com with wordpress"},
	{"read the databases", getDBs, "", []string{"warm", "with WordPress", "order with a domain"}, nil, signedUp + ", site ada.example.com with wordpress"},
	{"list the plans", "GET /orgs/{org}/plans", "", []string{"order"}, nil, signedUp},
	{"list the orgs", "GET /orgs/{org}/customers", "", []string{"order"}, nil, signedUp},
	{"look before the first org", "GET /orgs/{org}/customers", "", []string{"warm", "order"}, nil, signedUp},
	{"read an org back", "GET /orgs/{org}", "", []string{"warm", "order"}, nil, signedUp},
	{"read a new hosting back", "GET" + hostingPath, "", []string{"warm", "order"}, nil, signedUp},
	{"read a suspended hosting back", "GET" + hostingPath, "", []string{"warm", "order", "run", "unpaid"}, nil, "Ada invited, Basic suspended"},
	{"read a changed hosting back", "GET" + hostingPath, "", []string{"warm", "order", "run", "upgrade"}, nil, "Ada invited, Pro active"},
	{"list the hostings of an org", "GET /orgs/{org}/customers/{customer}/subscriptions", "", []string{"warm", "order", "run", "second order"}, nil,
		"Ada invited, Basic active, Basic active"},
}

// mishap is what happens to a call, and how often: the first time it is made, in
// the whole of the first run, or for as long as an outage lasts.
type mishap struct {
	name  string
	fault simulator.Fault
	// outage means that the side or the way to it is at fault, and no customer:
	// no customer is ever set aside for it.
	outage bool
	// long means that it is also tried for the length of an outage: one of each kind.
	long bool
}

func of(apply simulator.Apply, f simulator.Fault) simulator.Fault {
	f.Apply = apply
	return f
}

// mishaps of writes, and of reads: where nothing is done there is no difference
// between not done and not heard.
var mishapsOfWrites, mishapsOfReads = listMishaps()

func listMishaps() (writes, reads []mishap) {
	both := func(name string, long bool, f simulator.Fault) {
		reads = append(reads, mishap{name, of(simulator.Do, f), true, long})
		writes = append(writes, mishap{name + ", not done", of(simulator.Skip, f), true, long}, mishap{name + ", done", of(simulator.Do, f), true, false})
	}
	for _, status := range []int{500, 502, 503, 504} {
		both(fmt.Sprint(status), status == 503, simulator.Fault{Status: status})
	}
	both("reset", false, simulator.Fault{Reset: true})
	both("no answer", true, simulator.Fault{Hang: true})
	both("HTML", false, simulator.Fault{Status: http.StatusOK, Body: []byte("<html>Maintenance</html>")})
	for _, m := range []mishap{
		{"malformed", simulator.Fault{Malformed: true}, true, false}, {"truncated", simulator.Fault{Truncate: true}, true, false},
		{"429", simulator.Throttled(""), true, true}, {"429 with a wait", simulator.Throttled("1"), true, false},
		{"401", simulator.NotDone(401), true, true}, {"403", simulator.NotDone(403), true, false},
		// An answer of the right status with another content may be about this one
		// customer, so in the long run it does set aside, and is tried again later.
		{"{}", simulator.Fault{Status: http.StatusOK, Body: []byte("{}")}, false, true},
		{"404", simulator.NotDone(404), false, false}, {"409", simulator.NotDone(409), false, false},
	} {
		reads, writes = append(reads, m), append(writes, m)
	}
	writes = append(writes, mishap{"done a minute later", simulator.LateBy(time.Minute), true, false},
		mishap{"done at the end of the settling time", simulator.LateBy(89 * time.Second), true, false})
	return writes, reads
}

// exceptions are the cells that end otherwise, each with its reason.
var exceptions = map[string]string{
	// A 200 is this call's documented success, and its contents are not documented.
	"start the recovery × HTML, not done": "Ada not let in, Basic active",
	// A key without the permission is noted. No customer waits for a convenience.
	"read the order × 401": signedUp,
	"read the order × 403": signedUp,
	"write metadata × 401": signedUp,
	"write metadata × 403": signedUp,
}

// lengths are how long a mishap lasts, in runs; 0 is one single call.
var lengths = map[string]int{"once": 0, "for a run": 1, "for 10 runs": 10}

// TestEveryCallSurvivesEveryFault is the matrix: whatever happens to a call, and
// however long, in the end the panel has every hosting that is paid for and nothing twice,
// no customer was suspended who paid, and an outage has parked no customer.
//
// With an owner among the members taken for proof that the recovery mail was sent,
// as it was once, the cells of "make the login a member" and "start the recovery"
// went red.
func TestEveryCallSurvivesEveryFault(t *testing.T) {
	var cells, fired counter
	t.Run("", func(t *testing.T) {
		for _, s := range writes {
			for _, m := range mishapsOfWrites {
				cells.add()
				cell(t, s, m, "once", &fired)
				if m.long {
					cells.add()
					cell(t, s, m, "for 10 runs", &fired)
				}
			}
		}
		for _, s := range reads {
			for _, m := range mishapsOfReads {
				cells.add()
				cell(t, s, m, "for a run", &fired)
				if m.long {
					cells.add()
					cell(t, s, m, "for 10 runs", &fired)
				}
			}
		}
	})
	t.Logf("%d cells, %d faults", cells.n, fired.n)
}

type counter struct {
	sync.Mutex
	n int
}

func (c *counter) add() {
	c.Lock()
	defer c.Unlock()
	c.n++
}

func cell(t *testing.T, s story, m mishap, length string, fired *counter) {
	t.Run(s.name+"/"+m.name+"/"+length, func(t *testing.T) {
		t.Parallel()
		r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
			o.Concurrency = 1
			if s.set != nil {
				s.set(o)
			}
		}})
		l := life{t: t, r: r}
		for _, step := range s.life {
			l.step(step)
		}
		hits, over := counter{}, false
		r.World.SetFault(func(c simulator.Call) simulator.Fault {
			if over || c.Route != s.route || !bytes.Contains(c.Body, []byte(s.body)) || lengths[length] == 0 && hits.n > 0 {
				return simulator.Fault{Honest: true}
			}
			hits.add()
			fired.add()
			return m.fault
		})
		for range max(lengths[length], 1) {
			_, _ = r.Try(engine.Request{})
			r.World.Advance(2 * time.Minute)
		}
		if hits.n == 0 {
			t.Fatal("the call was never made, so nothing happened to it")
		}
		if n := parked(t, r); m.outage && n > 0 {
			t.Errorf("%d customers set aside for an outage", n)
		}
		over = lengths[length] > 0 // else the first time was the only one, whenever that is
		want := s.want
		if except, there := exceptions[s.name+" × "+m.name]; there {
			want = except
		}
		l.end(want, false)
	})
}

func parked(t *testing.T, r *testenv.Env) int {
	t.Helper()
	counts, err := r.Store.Counts(context.Background())
	must(t, err)
	return counts.Parked
}

// life is one customer and those who go on with it.
type life struct {
	t   *testing.T
	r   *testenv.Env
	sub simulator.SignedUp
}

func (l *life) step(name string) {
	l.t.Helper()
	r, first := l.r, plans(l.r)[0]
	order := simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: priceFor(l.t, r, first)}
	switch name {
	case "warm", "run":
		r.Run(engine.Request{})
		return
	case "order":
		l.sub = signUp(l.t, r, order)
	case "with WordPress":
		withWordPress(l.t, r, reconcile.AppWordPress)
	case "second order":
		l.sub = signUp(l.t, r, order)
	case "order with a domain":
		order.Domain = "ada.example.com"
		l.sub = signUp(l.t, r, order)
	case "by hand":
		staffMade(l.t, r, r.World.StaffCreateOrg("Ada", "ada@example.com"), first, "Mine")
	case "bind":
		h := r.World.Hostings()[0]
		say(l.t, r, reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: l.sub.Subscription,
			Hosting: reconcile.Hosting{ID: int64(h.ID), Org: h.Org, Plan: h.Plan, State: reconcile.HostingActive, FriendlyName: h.FriendlyName}})
	case "upgrade":
		must(l.t, r.World.ChangePrice(l.sub.Subscription, l.sub.Items[0], priceFor(l.t, r, plans(r)[1])))
	case "unpaid":
		must(l.t, r.World.MarkUnpaid(l.sub.Subscription))
	case "pay":
		must(l.t, r.World.Pay(l.sub.Subscription))
	case "cancel":
		must(l.t, r.World.Cancel(l.sub.Subscription))
	case "by features":
		mapByFeatures(l.t, r)
		return
	case "25 hours":
		r.World.Advance(25 * time.Hour)
	case "31 days":
		r.World.Advance(31 * 24 * time.Hour)
	default:
		l.t.Fatalf("no step %q", name)
	}
	r.World.Advance(2 * time.Minute)
}

// end lets some minutes pass, and then a day or two with their full runs and their
// comparison with the panel, until nothing is left to do.
func (l *life) end(want string, held bool) {
	l.t.Helper()
	var rep reconcile.Report
	var err error
	for n := range 10 {
		wait := 2 * time.Minute
		if n > 3 {
			wait = 25 * time.Hour
		}
		l.r.World.Advance(wait)
		rep, err = l.r.Try(engine.Request{Full: n > 3})
		if err == nil && n > 3 && rep.Converged() {
			break
		}
	}
	if err != nil || rep.Converged() == held {
		l.t.Errorf("converged %v: %v, %v, %v", rep.Converged(), err, kinds(rep), rep.Holds)
	}
	told := l.told()
	for _, h := range rep.Holds {
		if h.Kind == reconcile.HoldDomainTaken {
			told += ", domain taken"
		}
	}
	diff(l.t, "the panel at the end", want, told)
	l.truth()
}

// truth reads the simulators, so it knows the calls that were really done.
func (l *life) truth() {
	l.t.Helper()
	once := map[string]bool{}
	for _, e := range l.r.World.Effects() {
		at := e.Kind + " " + e.Subscription + "/" + e.Unit
		switch e.Kind {
		case "create_org", "create_login", "create_website", "create_subscription", "install_app":
			if once[at] {
				l.t.Errorf("%s twice", at)
			}
			once[at] = true
		case "suspend", "delete_subscription":
			if e.StripeStatus == "active" || e.StripeStatus == "trialing" {
				l.t.Errorf("%s although the subscription is %s", at, e.StripeStatus)
			}
		}
	}
	for _, v := range l.r.World.Violations() {
		l.t.Errorf("violation: %+v", v)
	}
}

// told is the company in a line: its customers and their hostings.
func (l *life) told() string {
	var all []string
	for _, o := range l.r.World.Orgs() {
		how := "not let in"
		for _, m := range l.r.World.Mails() {
			// A login that was there before, be it by an answer that was lost, is
			// invited instead of being given a password.
			if m.Kind == "invite" && m.Org == o.ID || m.Kind == "password-recovery" {
				how = "invited"
			}
		}
		all = append(all, o.Name+" "+how)
	}
	for _, h := range l.r.World.Hostings() {
		name, _, _ := strings.Cut(h.FriendlyName, " [")
		if h.SuspendedBy != "" { // our mark; on a hosting that is up it would show
			name = strings.TrimSuffix(name, " (suspended)")
		}
		state := h.Status
		if i := slices.IndexFunc(l.r.World.Plans(), func(p simulator.Plan) bool { return p.ID == h.Plan }); i >= 0 {
			name = l.r.World.Plans()[i].Name
		}
		if h.SuspendedBy != "" && state == "active" {
			state = "suspended"
		}
		all = append(all, name+" "+state)
	}
	for _, s := range l.r.World.Websites() {
		all = append(all, "site "+s.Domain)
		if apps := s.AppsOn(); apps != "" {
			all[len(all)-1] += " with " + apps
		}
	}
	for _, s := range l.r.World.Subscriptions() {
		if s.Metadata["enhance_org_id"] != "" {
			all = append(all, "told Stripe")
		}
	}
	return strings.Join(all, ", ")
}
