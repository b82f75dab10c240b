package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// scriptedExisting fails.
type scriptedExisting struct{ Existing }

func (scriptedExisting) AskAboutUnbound(context.Context, reconcile.Token, time.Time) (reconcile.Unbound, error) {
	return reconcile.Unbound{}, errScripted
}

var renames = reconcile.Action{ID: "rename_org:cus_1", Kind: reconcile.RenameOrg, Customer: "cus_1", Org: "org-1", Name: "Ada"}

// wants is a planner that always wants this.
func wants(actions ...reconcile.Action) func(*reconcile.Customer) planner.Decision {
	return func(*reconcile.Customer) planner.Decision { return planner.Decision{Actions: slices.Clone(actions)} }
}

func TestAPlanThatWasStoppedRehearsesNothingMore(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1"}}}
	r := scriptedRun(s, Request{Dry: true}, wants(renames))
	r.work.list = []customerWork{{id: "cus_1"}}
	r.outages.stop(errScripted)
	if err := r.rehearse(t.Context()); err != nil || len(s.calls) > 0 {
		t.Errorf("%v after %v", err, s.calls)
	}
}

func TestAPlanThatCannotBeMadeAgainIsAnError(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1"}}}
	r := scriptedRun(s, Request{Dry: true}, wants())
	r.Existing = scriptedExisting{}
	r.work.list, r.work.complete = []customerWork{{id: "cus_1"}}, true
	r.brake.judged.add("suspend:1") // which is no longer wanted: that is news
	if _, err := r.withNews(t.Context()); !errors.Is(err, errScripted) {
		t.Errorf("made again: %v", err)
	}
}

func TestACustomerWhoCannotBePlannedIsNoNews(t *testing.T) {
	r := scriptedRun(&scripted{customers: []reconcile.Customer{{ID: "cus_1"}}}, Request{Dry: true}, mistakenPlanner)
	r.work.list, r.work.complete = []customerWork{{id: "cus_1"}}, true
	if news, err := r.cameUpon(t.Context()); news || err != nil {
		t.Errorf("news %v: %v", news, err)
	}
}

func TestARehearsalEndsWithNothingToDoOrWithAnError(t *testing.T) {
	s := &scripted{customers: []reconcile.Customer{{ID: "cus_1"}}}
	if err := scriptedRun(s, Request{Dry: true}, wants()).rehearseSteps(t.Context(), "cus_1"); err != nil {
		t.Errorf("with nothing to do: %v", err)
	}
	s.fails, s.err = "Org", errScripted
	if err := scriptedRun(s, Request{Dry: true}, wants(renames)).rehearseSteps(t.Context(), "cus_1"); !errors.Is(err, errScripted) {
		t.Errorf("of an org that cannot be read: %v", err)
	}
}

// A question costs a request, and the run itself asks where the hosting is there.
func TestOnlyTheDomainOfAHostingInThoughtIsAskedFor(t *testing.T) {
	r := scriptedRun(&scripted{}, Request{Dry: true}, nil) // no port for websites: a question is a panic
	for _, a := range []reconcile.Action{
		{Kind: reconcile.Link, Org: "org-1"},
		{Kind: reconcile.CreateSubscription, Org: "org-1", Hosting: -1},
		{Kind: reconcile.CreateWebsite, Org: "org-1", Hosting: 7, Domain: "ada.example"},
	} {
		if read, err := r.meetsDomain(t.Context(), a); read || err != nil {
			t.Errorf("%s: read %v: %v", a.Kind, read, err)
		}
	}
}

// The report goes through the customers in another order than the rehearsal did.
func TestTheReportMeetsWhatTheRehearsalMet(t *testing.T) {
	order := func(id string) *reconcile.Customer {
		return &reconcile.Customer{ID: id, Subscriptions: []reconcile.Subscription{{ID: "sub_" + id, Domain: "ours.example"}}}
	}
	website := reconcile.Action{Kind: reconcile.CreateWebsite, Org: "org-1", Domain: "ours.example"}
	first, second := order("cus_1"), order("cus_2")
	f := newForeseen()
	if met := f.before(first); len(met.domains) != 0 {
		t.Errorf("the first meets %+v", met.domains)
	}
	f.add(first, website, whenPlanned)
	if met := f.before(second); met.domains["ours.example"].by != "cus_1" {
		t.Errorf("the second meets %+v", met.domains)
	}
	f.over = true
	f.add(second, website, whenPlanned)
	if by := f.domains["ours.example"].by; by != "cus_1" {
		t.Errorf("in the report the domain is that of %s", by)
	}
	if met := f.before(second); met.domains["ours.example"].by != "cus_1" {
		t.Errorf("in the report the second meets %+v", met.domains)
	}
	f.domains["ours.example"] = takenDomain{by: "cus_3"} // after the turn of the first
	if met := f.before(first); len(met.domains) != 0 {
		t.Errorf("in the report the first meets %+v", met.domains)
	}
}

func TestADomainIsForeseenOnItsHosting(t *testing.T) {
	for hosting, want := range map[int64]reconcile.DomainUse{7: {Org: "org-1", Hosting: 7}, -1: {}} {
		f := newForeseen()
		f.add(&reconcile.Customer{ID: "cus_1"}, reconcile.Action{Kind: reconcile.CreateWebsite, Org: "org-1", Hosting: hosting, Domain: "ada.example"}, whenPlanned)
		want.Domain, want.Status, want.ReadAt = "ada.example", reconcile.DomainOtherOrg, whenPlanned
		if got := f.domains["ada.example"].use; got != want {
			t.Errorf("hosting %d: %+v", hosting, got)
		}
	}
}

// Most customers of a fleet need nothing: to decide about each of them twice takes the double time.
func TestOneDecisionForetellsWhatIsNotDone(t *testing.T) {
	for name, test := range map[string]struct {
		actions []reconcile.Action
		held    bool
		failsAt int // the decision; 0: none does
		asked   int
		ok      bool
	}{
		"nothing to do":               {nil, false, 0, 1, true},
		"all of it is held":           {[]reconcile.Action{renames}, true, 0, 1, true},
		"no decision":                 {nil, false, 1, 1, false},
		"no decision after the first": {[]reconcile.Action{renames}, false, 2, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			r := scriptedRun(&scripted{}, Request{Dry: true}, func(*reconcile.Customer) planner.Decision {
				if asked++; asked == test.failsAt {
					panic("a mistake in the planner")
				}
				return planner.Decision{Actions: slices.Clone(test.actions)}
			})
			if test.held {
				r.brake.startCollecting()
			}
			d, err := r.foretell(&reconcile.Customer{ID: "cus_1"})
			if asked != test.asked || (err == nil) != test.ok || test.ok && len(d.Actions) != len(test.actions) {
				t.Errorf("asked %d times: %+v, %v", asked, d.Actions, err)
			}
		})
	}
}
