package adoption

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// office is a desk in a simulated world. The lines that it prints are collected.
type office struct {
	*Desk
	*testing.T
	world *simulator.World
	lines []string
}

func newOffice(t *testing.T, change func(*config.Config)) *office {
	t.Helper()
	o := &office{T: t, world: simulator.New(simulator.Options{Calm: true})}
	c, _, err := config.Load(config.Sources{}, 0)
	o.must(err)
	c.StripeURL, c.StripeKey = &url.URL{Scheme: "http", Host: simulator.StripeHost}, secret.New(o.world.StripeKey())
	c.EnhanceURL, c.EnhanceToken = &url.URL{Scheme: "http", Host: simulator.EnhanceHost, Path: "/api"}, secret.New(o.world.EnhanceToken())
	c.EnhanceOrg = config.OrgID(o.world.OrgID())
	c.DatabaseURL = secret.New("sqlite:" + filepath.Join(t.TempDir(), "test.db"))
	if change != nil {
		change(c)
	}
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	a := app.New(c, app.Process{Now: o.world.Now, Log: log, Owner: "desk", Person: "ada@desk", Simulated: o.world.Transport(),
		Printf: func(format string, _ ...any) { o.lines = append(o.lines, format) }})
	o.must(errors.Join(a.Connect(config.NeedStripe|config.NeedEnhance), a.Open(t.Context(), app.Place{IfMissing: app.Create})))
	t.Cleanup(func() { _ = a.Close() })
	for price, plan := range o.world.Offer() {
		o.must(a.Store.SetMapping(t.Context(), reconcile.Mapping{BillingID: price, Plan: reconcile.FormatID(int64(plan))}, "test", o.world.Now()))
	}
	e, err := a.Engine(func(reconcile.Progress) {})
	o.must(err)
	o.Desk = &Desk{App: a, Engine: e, Author: "ada@desk", Show: func(reconcile.Progress) {}}
	return o
}

func (o *office) must(err error) {
	o.T.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// existing is a customer who was served by hand.
func (o *office) existing(who string) (hosting int, done simulator.SignedUp) {
	o.Helper()
	email := who + "@example.com"
	hosting, err := o.world.StaffCreateHosting(o.world.StaffCreateOrg(who, email), 1, who)
	o.must(err)
	done, err = o.world.SignUp(simulator.SignUp{Email: email, Name: who, Price: "price_basic_monthly"})
	o.must(err)
	return hosting, done
}

func (o *office) rows() []adopt.Pair {
	o.Helper()
	rows, err := o.Rows(o.Context())
	o.must(err)
	return rows
}

// marked is how many hostings carry a marker.
func (o *office) marked() (n int) {
	for _, h := range o.world.Hostings() {
		if _, marked := reconcile.MarkerOf(h.FriendlyName); marked {
			n++
		}
		if h.SuspendedBy != "" && h.SuspendedBy == o.world.OrgID() {
			o.Errorf("hosting %d was suspended", h.ID)
		}
	}
	return n
}

func (o *office) bound() int {
	o.Helper()
	counts, err := o.Store.Counts(o.Context())
	o.must(err)
	return counts.Bound
}

// A pair that was certain when it was read, and is not any more when it is to be linked, is
// left to a person. The others are linked.
func TestAPairThatHasChangedMeanwhileIsLeftToAPerson(t *testing.T) {
	for name, meanwhile := range map[string]struct {
		change func(o *office, hosting int) error
		reason string
	}{
		"suspended":        {func(o *office, h int) error { return o.world.StaffSuspend(h) }, "was suspended meanwhile"},
		"on another plan":  {func(o *office, h int) error { return o.world.StaffChangePlan(h, 2) }, "has come to plan 2 meanwhile"},
		"purged":           {func(o *office, h int) error { return o.world.StaffPurge(h) }, "is not at the panel any more"},
		"deleted":          {func(o *office, h int) error { return o.world.StaffDelete(h) }, "was deleted in the panel"},
		"marked by others": {func(o *office, h int) error { return o.world.StaffRename(h, "Basic [sub_other/1]") }, "carries the marker"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, nil)
			ada, _ := o.existing("ada")
			o.existing("bob")
			rows := o.rows()
			o.must(meanwhile.change(o, ada))
			applied, err := o.Certain(t.Context(), rows)
			if err != nil || applied != 1 || o.bound() != 1 {
				t.Errorf("%d applied, %d bound: %v", applied, o.bound(), err)
			}
			for _, r := range rows {
				if r.Hosting == int64(ada) && (r.Decision != adopt.Review || !strings.Contains(r.Reason, meanwhile.reason)) {
					t.Errorf("%+v, want %q", r, meanwhile.reason)
				}
			}
		})
	}
}

// While a row waits in the file, a person gives the subscription another hosting. The link
// does not take the place of that.
func TestALinkReplacesNothingThatWasBoundMeanwhile(t *testing.T) {
	o := newOffice(t, nil)
	ada, done := o.existing("ada")
	rows := o.rows()
	other, err := o.world.StaffCreateHosting(rows[0].Org, 1, "another")
	o.must(err)
	o.rows()
	h, err := o.Enhance.Hosting(t.Context(), rows[0].Org, int64(other))
	o.must(err)
	o.must(o.carry(t.Context(), Row{Pair: adopt.Pair{Subscription: done.Subscription, Hosting: int64(other), Decision: adopt.Link}}, h))
	applied, err := o.Certain(t.Context(), rows)
	if err != nil || applied != 0 || rows[0].Decision != adopt.Review || !strings.Contains(rows[0].Reason, "has its hosting already") {
		t.Errorf("%d applied, %+v: %v", applied, rows[0], err)
	}
	_, _, err = o.Decided(t.Context(), []Row{{Pair: adopt.Pair{Subscription: done.Subscription, Hosting: int64(ada), Decision: adopt.Link}, Line: 2}})
	if err == nil || !strings.Contains(err.Error(), "line 2: "+done.Subscription+" pays for no hosting that it does not have") {
		t.Errorf("the file: %v", err)
	}
}

// A person may link a subscription that is not paid. This command suspends nothing all the
// same: the next run does, as with any other, with its brakes and gates.
func TestNothingIsSuspendedByTheRunThatLinksIt(t *testing.T) {
	o := newOffice(t, nil)
	ada, done := o.existing("ada")
	o.must(o.world.MarkUnpaid(done.Subscription))
	if rows := o.rows(); rows[0].Decision != adopt.Review {
		t.Fatalf("%+v", rows[0])
	}
	applied, left, err := o.Decided(t.Context(), []Row{{Pair: adopt.Pair{Subscription: done.Subscription, Hosting: int64(ada), Decision: adopt.Link}, Line: 2}})
	if err != nil || applied != 1 || left != 0 || o.marked() != 1 || o.bound() != 1 {
		t.Errorf("%d applied, %d left, %d marked: %v", applied, left, o.marked(), err)
	}
}

// One mistake in the file, and no row of it is carried out. The mistakes are all named.
func TestAFileWithAMistakeChangesNothing(t *testing.T) {
	o := newOffice(t, nil)
	ada, done := o.existing("ada")
	bob, _ := o.existing("bob")
	o.must(o.world.StaffDelete(bob))
	_, _, err := o.Decided(t.Context(), []Row{
		{Pair: adopt.Pair{Subscription: done.Subscription, Hosting: int64(ada), Decision: adopt.Link}, Line: 2},
		{Pair: adopt.Pair{Subscription: "sub_unknown", Hosting: 4711, Decision: adopt.Link}, Line: 3},
		{Pair: adopt.Pair{Hosting: int64(bob), Decision: adopt.Ignore}, Line: 4},
	})
	mistakes := (Mistakes)(nil)
	if !errors.As(err, &mistakes) || len(mistakes) != 2 || o.bound() != 0 || o.marked() != 0 {
		t.Errorf("%d bound, %d marked: %v", o.bound(), o.marked(), err)
	}
}

// A service that is at work keeps the lease. The links are stored, and it writes the
// markers.
func TestBesideAServiceTheLinksAreStored(t *testing.T) {
	o := newOffice(t, nil)
	o.existing("ada")
	rows := o.rows()
	_, _, _, err := o.Store.Acquire(t.Context(), "service", o.world.Now(), time.Hour)
	o.must(err)
	o.lines = nil
	applied, err := o.Certain(t.Context(), rows)
	if err != nil || applied != 1 || o.bound() != 1 || o.marked() != 0 || len(o.lines) != 1 {
		t.Errorf("%d applied, %d bound, %d marked, %q: %v", applied, o.bound(), o.marked(), o.lines, err)
	}
}

// With MODE=observe nothing is sent to the panel, and that is printed.
func TestInObserveModeNoNameIsChanged(t *testing.T) {
	o := newOffice(t, func(c *config.Config) { c.Mode = reconcile.Observe })
	o.existing("ada")
	rows := o.rows()
	o.lines = nil
	applied, err := o.Certain(t.Context(), rows)
	if err != nil || applied != 1 || o.bound() != 1 || o.marked() != 0 || len(o.lines) != 1 {
		t.Errorf("%d applied, %d bound, %d marked, %q: %v", applied, o.bound(), o.marked(), o.lines, err)
	}
}

// A token or key that may not read a part leaves that evidence out, and an org whose owners
// cannot be read is left to a person.
func TestEvidenceThatCannotBeReadIsLeftOut(t *testing.T) {
	o := newOffice(t, nil)
	o.existing("ada")
	o.world.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /orgs/{org}/websites" || c.Route == "GET /v1/checkout/sessions" {
			return simulator.NotDone(403)
		}
		return simulator.Fault{}
	})
	if rows := o.rows(); rows[0].Decision != adopt.Link {
		t.Errorf("without domains: %+v", rows[0])
	}
	o.world.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /orgs/{org}/members" {
			return simulator.NotDone(404)
		}
		return simulator.Fault{}
	})
	if rows := o.rows(); rows[0].Decision != adopt.Review || rows[0].Reason != "the owners of its org were not read" {
		t.Errorf("without owners: %+v", rows[0])
	}
	o.world.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /orgs/{org}/members" {
			return simulator.NotDone(500)
		}
		return simulator.Fault{}
	})
	if _, err := o.Rows(t.Context()); err == nil {
		t.Error("a panel that is out is taken for one without owners")
	}
}
