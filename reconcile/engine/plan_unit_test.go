package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

var (
	errScripted = errors.New("it fails in this test")
	whenPlanned = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// scripted is both sides and the database, as far as planning asks them. It has some
// customers, notes each call, and lets one of them fail.
type scripted struct {
	Queue
	Timetable
	PlanStore
	customers []reconcile.Customer
	bound     []int
	fails     string
	err       error // of the call that fails
	calls     []string
}

func (s *scripted) call(name string) error {
	s.calls = append(s.calls, name)
	if name == s.fails {
		return s.err
	}
	return nil
}

func (s *scripted) Due(context.Context, time.Time, string, int) ([]reconcile.Customer, string, error) {
	return slices.Clone(s.customers), "", s.call("Due")
}

func (s *scripted) Customers(_ context.Context, ids []string) ([]reconcile.Customer, error) {
	all := slices.DeleteFunc(slices.Clone(s.customers), func(c reconcile.Customer) bool { return !slices.Contains(ids, c.ID) })
	return all, s.call("Customers")
}

func (s *scripted) CustomersOf(context.Context, []string) ([]string, error) {
	return nil, s.call("CustomersOf")
}

func (s *scripted) Postpone(_ context.Context, _ reconcile.Token, b reconcile.Backoff, _ time.Time) error {
	return s.call("Postpone " + b.Customer + b.Error)
}

func (s *scripted) Mappings(context.Context) ([]reconcile.Mapping, error) {
	return nil, s.call("Mappings")
}

func (s *scripted) Plans(context.Context) ([]reconcile.EnhancePlan, time.Time, error) {
	return nil, time.Time{}, s.call("Plans")
}

func (s *scripted) BoundPlans(context.Context) ([]int, error) { return s.bound, s.call("BoundPlans") }

func (s *scripted) SavePlans(context.Context, reconcile.Token, []reconcile.EnhancePlan, time.Time) error {
	return s.call("SavePlans")
}

func (s *scripted) DomainChecked(_ context.Context, _ reconcile.Token, subscription, domain string) error {
	return s.call("DomainChecked " + subscription + " as " + domain)
}

// scriptedCursors has one value for every cursor.
type scriptedCursors struct {
	Cursors
	value string
	err   error // of reading
	sets  []string
}

func (s *scriptedCursors) Cursor(context.Context, string) (string, error) { return s.value, s.err }

func (s *scriptedCursors) SetCursor(_ context.Context, _ reconcile.Token, _, value string) error {
	s.value, s.sets = value, append(s.sets, value)
	return nil
}

// scriptedPanel is the parts of the panel that planning reads.
type scriptedPanel struct {
	Panel
	Owners
	at *scripted
}

func (scriptedPanel) Requests() int       { return 0 }
func (scriptedPanel) Fingerprint() string { return "https://panel our-org" }

func (p scriptedPanel) Plans(context.Context) ([]reconcile.EnhancePlan, error) {
	return nil, p.at.call("the panel's plans")
}

func (p scriptedPanel) Org(_ context.Context, id string) (reconcile.Org, error) {
	return reconcile.Org{ID: id}, p.at.call("Org")
}

func (p scriptedPanel) OwnerEmails(context.Context, string) ([]string, error) {
	return nil, p.at.call("OwnerEmails")
}

// billingScript is the parts of Stripe that planning reads.
type billingScript struct {
	Billing
	Account
	at *scripted
}

func (billingScript) Requests() int                      { return 0 }
func (billingScript) ServerTime() (time.Time, time.Time) { return time.Time{}, time.Time{} }

func (b billingScript) CheckoutDomain(context.Context, string) (string, error) {
	return "", b.at.call("CheckoutDomain")
}

func (b billingScript) Subscription(context.Context, string) (reconcile.SubscriptionFacts, error) {
	return reconcile.SubscriptionFacts{}, b.at.call("Subscription")
}

// scriptedRun is a run that begins. Ports that a test does not name are missing: a call of
// one of them is a panic.
func scriptedRun(s *scripted, req Request, decide func(*reconcile.Customer) planner.Decision) *run {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	panel, stripe := scriptedPanel{at: s}, billingScript{at: s}
	e := &Engine{
		Options: Options{Trace: noTrace{}, Now: func() time.Time { return whenPlanned }, Rand: func() float64 { return 0.5 }, Concurrency: 1, Log: log,
			Brakes: planner.DefaultBrakes(), Progress: func(reconcile.Progress) {},
			Decide: func(c *reconcile.Customer, _ *planner.Catalog, _ reconcile.Policy, _ time.Time) planner.Decision {
				return decide(c)
			}},
		Ports:   Ports{Account: stripe, Billing: stripe, Panel: panel, Owners: panel, Queue: s, Timetable: s, PlanStore: s},
		changes: &changes{}, together: newTogether(),
	}
	r := e.newRun(req)
	r.Cursors = &scriptedCursors{}
	r.catalog = planner.NewCatalog(nil, nil)
	return r
}

// wantsNothing is a planner that counts, and decides that nothing is to be done.
func wantsNothing(asked *[]string) func(*reconcile.Customer) planner.Decision {
	return func(c *reconcile.Customer) planner.Decision {
		*asked = append(*asked, c.ID)
		return planner.Decision{}
	}
}

func mistakenPlanner(*reconcile.Customer) planner.Decision { panic("a mistake in the planner") }

func TestARunAboutSomeReadsNoOthersThatAreDue(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1"}, {ID: "cus_2"}}}
	r := scriptedRun(s, Request{}, nil)
	r.only = []string{"cus_2"}
	var used []string
	err := r.due(t.Context(), func(customers []reconcile.Customer) error {
		for _, c := range customers {
			used = append(used, c.ID)
		}
		return nil
	})
	if err != nil || !slices.Equal(used, []string{"cus_2"}) || !slices.Equal(s.calls, []string{"Customers"}) {
		t.Errorf("used %v after %v: %v", used, s.calls, err)
	}
}

// A dry run decides once more for its report.
func TestTheReportOfADryRunShowsWhatWasDecidedAlone(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1"}, {ID: "cus_2"}, {ID: "cus_3"}}}
	r := scriptedRun(s, Request{Dry: true}, nil)
	r.work.unread.add("cus_1")
	var used []reconcile.Planned
	use := func(p reconcile.Planned) error { used = append(used, p); return nil }
	decide := func(c *reconcile.Customer) (planner.Decision, error) {
		if c.ID == "cus_2" {
			return planner.Decision{}, errScripted
		}
		return planner.Decision{}, nil
	}
	if err := r.replayAs(t.Context(), decide, use); err != nil {
		t.Fatal(err)
	}
	if len(used) != 2 || used[0].Customer != "cus_2" || used[1].Customer != "cus_3" {
		t.Fatalf("used %+v: the first could not be looked at", used)
	}
	if len(used[0].Holds) != 1 || used[0].Holds[0].Kind != reconcile.HoldRetry || len(used[1].Holds) != 0 || len(r.findings.partial) != 1 {
		t.Errorf("holds %+v and %+v, partial %d: the second could not be planned", used[0].Holds, used[1].Holds, len(r.findings.partial))
	}
	calls := 0
	err := r.replay(t.Context(), func(reconcile.Planned) error { calls++; return errScripted })
	if !errors.Is(err, errScripted) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// Planned twice in a run, a customer would have two failures for one, and be set aside sooner.
func TestACustomerWhoFailedBeforeIsPlannedOnce(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1"}, {ID: "cus_2", LastError: "refused", Failures: 1}}}
	var asked []string
	r := scriptedRun(s, Request{Dry: true}, wantsNothing(&asked))
	for i := range s.customers {
		r.known.put(&s.customers[i], r.changes.now())
	}
	if err := r.planClaimed(t.Context(), s.customers); err != nil || !slices.Equal(asked, []string{"cus_1", "cus_2"}) {
		t.Errorf("planned %v: %v", asked, err)
	}
	if r.known.get("cus_1") != nil || r.known.get("cus_2") != nil {
		t.Error("a customer with nothing to apply is kept in memory: a fleet may have a million")
	}
}

func TestNoCustomerIsPlannedAfterTheRunWasStopped(t *testing.T) {
	var asked []string
	r := scriptedRun(&scripted{}, Request{}, wantsNothing(&asked))
	r.outages.stop(errScripted)
	if p := r.planOne(t.Context(), &reconcile.Customer{ID: "cus_1"}); p != nil || len(asked) > 0 {
		t.Errorf("planned %+v", p)
	}
}

func TestAFailureIsForgottenOnceNothingIsWanted(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1", LastError: "refused", Failures: 3}, {ID: "cus_2"}}}
	var asked []string
	r := scriptedRun(s, Request{}, wantsNothing(&asked))
	for i := range s.customers {
		if p := r.planOne(t.Context(), &s.customers[i]); p == nil {
			t.Errorf("%s was not planned", s.customers[i].ID)
		}
	}
	if !slices.Contains(s.calls, "Postpone cus_1") || slices.Contains(s.calls, "Postpone cus_2") {
		t.Errorf("calls: %v", s.calls)
	}
}

func TestWhatFailedInARunIsLeftOpenForALaterOne(t *testing.T) {
	r := scriptedRun(&scripted{}, Request{}, nil)
	r.work.addFailed("suspend:1")
	p := r.planned(&reconcile.Customer{ID: "cus_1"}, planner.Decision{Actions: suspensions(2)})
	if len(p.Actions) != 1 || p.Actions[0].ID != "suspend:2" || !slices.Equal(p.Later, []string{"suspend:1"}) {
		t.Errorf("actions %v, later %v", p.Actions, p.Later)
	}
}

func TestACustomerWhoIsGoneFromTheDatabaseIsAnError(t *testing.T) {
	r := scriptedRun(&scripted{}, Request{}, nil)
	if c, err := r.load(t.Context(), "cus_1"); c != nil || fault.Of(err) != fault.Permanent {
		t.Errorf("loaded %v: %v", c, err)
	}
}

// An error while a fact is read stores nothing about it: neither that a subscription has no
// domain, nor that an org has no owners.
func TestAnErrorAnswersNothing(t *testing.T) {
	refused := fault.Errorf(fault.Denied, "the key may not")
	for name, test := range map[string]struct {
		need  planner.NeedKind
		fails string
		err   error
		calls []string
		noted bool
	}{
		"the owners": {planner.NeedOwners, "OwnerEmails", errScripted, []string{"OwnerEmails"}, false},
		"the domain": {planner.NeedDomain, "CheckoutDomain", errScripted, []string{"CheckoutDomain"}, false},
		"the domain, with a key that may not ask": {planner.NeedDomain, "CheckoutDomain", refused, []string{"CheckoutDomain", "DomainChecked sub_1 as "}, true},
		"the subscription":                        {planner.NeedSubscription, "Subscription", errScripted, []string{"Subscription"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{fails: test.fails, err: test.err}
			r := scriptedRun(s, Request{}, nil)
			need := planner.Need{Kind: test.need, Org: "org-1", Subscription: "sub_1"}
			err := r.answer(t.Context(), &reconcile.Customer{ID: "cus_1"}, need)
			if test.noted != (err == nil) || err != nil && !errors.Is(err, errScripted) || !slices.Equal(s.calls, test.calls) {
				t.Errorf("%v after %v", err, s.calls)
			}
			if noted := len(r.findings.notes) == 1; noted != test.noted {
				t.Errorf("notes: %q", r.findings.notes)
			}
			if left := r.work.unanswered([]planner.Need{need}); len(left) != 1 {
				t.Error("it counts as read, and is not asked for again")
			}
		})
	}
}

// A plan that the panel has lost is remembered before the list without it is stored: if the
// second comes without the first, nothing shows that a plan with hostings on it is missing.
func TestAListOfPlansIsNotStoredAfterAnError(t *testing.T) {
	before := []reconcile.EnhancePlan{{ID: 7, Name: "Basic"}}
	for name, test := range map[string]struct {
		fails  string
		cursor error
		want   []string
	}{
		"of the list":                  {"the panel's plans", nil, []string{"the panel's plans"}},
		"of the plans of the hostings": {"BoundPlans", nil, []string{"the panel's plans", "BoundPlans"}},
		"of what is lost":              {"", errScripted, []string{"the panel's plans", "BoundPlans"}},
		"of the list that is stored":   {"SavePlans", nil, []string{"the panel's plans", "BoundPlans", "SavePlans"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{bound: []int{7}, fails: test.fails, err: errScripted}
			r := scriptedRun(s, Request{}, nil)
			r.Cursors = &scriptedCursors{err: test.cursor}
			if _, err := r.listPlans(t.Context(), nil, before, nil); !errors.Is(err, errScripted) || !slices.Equal(s.calls, test.want) {
				t.Errorf("%v after %v", err, s.calls)
			}
		})
	}
	s := &scripted{}
	r := scriptedRun(s, Request{}, nil)
	r.Cursors = &scriptedCursors{err: errScripted}
	if err := r.loadCatalog(t.Context()); !errors.Is(err, errScripted) || slices.Contains(s.calls, "the panel's plans") {
		t.Errorf("if it is not known which plans are lost: %v after %v", err, s.calls)
	}
}

func TestLostPlansAreStoredWhenTheyChange(t *testing.T) {
	r := scriptedRun(&scripted{}, Request{}, nil)
	cursor := &scriptedCursors{}
	r.Cursors = cursor
	lost := map[int]lostPlan{7: {Name: "Basic", Since: whenPlanned}}
	for _, test := range []struct {
		lost map[int]lostPlan
		sets int
	}{{nil, 0}, {lost, 1}, {lost, 1}, {nil, 2}} {
		if err := r.rememberLost(t.Context(), test.lost); err != nil || len(cursor.sets) != test.sets {
			t.Errorf("%v: stored %q: %v", test.lost, cursor.sets, err)
		}
	}
	_ = r.rememberLost(t.Context(), lost)
	known := cursor.value
	if err := r.rememberLost(t.Context(), map[int]lostPlan{8: {Since: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}}); err == nil || cursor.value != known {
		t.Errorf("a time that JSON cannot have: %v, and %q", err, cursor.value)
	}
	cursor.err = errScripted
	if err := r.rememberLost(t.Context(), nil); !errors.Is(err, errScripted) || cursor.value != known {
		t.Errorf("without an answer of the database: %v, and %q", err, cursor.value)
	}
}

func TestAPlanOverTheDatabaseShowsWhatItCouldNotPlan(t *testing.T) {
	r := scriptedRun(&scripted{customers: []reconcile.Customer{{ID: "cus_1"}}}, Request{Dry: true, Stored: true}, mistakenPlanner)
	if err := r.planAllStored(t.Context()); err != nil || len(r.findings.partial) != 1 || len(r.findings.notes) != 1 {
		t.Errorf("partial %d, notes %q: %v", len(r.findings.partial), r.findings.notes, err)
	}
}

// The process at work plans everyone anew with other settings; this plan cannot.
func TestAPlanOverTheDatabaseShowsThatSettingsHaveChanged(t *testing.T) {
	for _, changed := range []bool{false, true} {
		r := scriptedRun(&scripted{}, Request{Dry: true, Stored: true}, nil)
		cursor := &scriptedCursors{value: r.premises(nil, nil)}
		if r.Cursors = cursor; changed {
			r.Policy.Grace = time.Hour
		}
		if err := r.loadStoredCatalog(t.Context()); err != nil || (len(r.findings.partial) == 1) != changed {
			t.Errorf("changed %v: partial %d, notes %q: %v", changed, len(r.findings.partial), r.findings.notes, err)
		}
	}
}

// Without an error the plan would be about every customer.
func TestAPlanOverTheDatabaseKnowsTheSubscriptionOrEnds(t *testing.T) {
	r := scriptedRun(&scripted{}, Request{Dry: true, Stored: true, Subscriptions: []string{"sub_1"}}, nil)
	if err := r.chooseStored(t.Context()); fault.Of(err) != fault.NotFound {
		t.Errorf("for a subscription that is not stored: %v", err)
	}
}

func TestADomainOfTheCustomersOwnOrgIsKnownAsSuch(t *testing.T) {
	for org, want := range map[string]reconcile.DomainStatus{"org-1": reconcile.DomainOwnOrg, "org-2": reconcile.DomainOtherOrg} {
		r := scriptedRun(&scripted{}, Request{Dry: true}, nil)
		r.foreseen.domains["ada.example"] = takenDomain{by: "cus_2", use: reconcile.DomainUse{Domain: "ada.example", Status: reconcile.DomainOtherOrg, Org: org, Hosting: 8}}
		c := &reconcile.Customer{ID: "cus_1", Org: &reconcile.Org{ID: "org-1"}, Subscriptions: []reconcile.Subscription{{ID: "sub_1", Domain: "ada.example"}},
			Bindings: []reconcile.Binding{{Subscription: "sub_1", Hosting: 7}}, Hostings: []reconcile.Hosting{{ID: 7, Org: "org-1"}}}
		if got := (&thought{}).on(r, c).Hostings[0].DomainUse; got.Status != want || got.Hosting != 8 {
			t.Errorf("in %s: %+v", org, got)
		}
	}
}
