package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// scriptedCompany is what a report is made of: holds, plans and runs.
type scriptedCompany struct {
	*heldCompany
	History
	waits   []reconcile.HeldPlan
	looked  [][]string // customers whose holds were read
	err     error      // of that
	endings []*reconcile.ListedState
}

func (c *scriptedCompany) Waiting(context.Context) ([]reconcile.HeldPlan, error) { return c.waits, nil }

func (c *scriptedCompany) HoldsOf(ctx context.Context, customers []string) ([]reconcile.Hold, error) {
	c.looked = append(c.looked, slices.Clone(customers))
	holds, _ := c.heldCompany.HoldsOf(ctx, customers)
	return holds, c.err
}

func (*scriptedCompany) RunActions(context.Context, string, func(reconcile.ActionRecord) error) error {
	return nil
}

func (c *scriptedCompany) EndRun(_ context.Context, _ reconcile.Token, _ reconcile.RunRecord, l *reconcile.ListedState) error {
	c.endings = append(c.endings, l)
	return nil
}

// reportingRun is a run that is to be reported.
func reportingRun(s *scripted, req Request, decide func(*reconcile.Customer) planner.Decision) (*run, *scriptedCompany) {
	r, company := scriptedRun(s, req, decide), &scriptedCompany{heldCompany: &heldCompany{}}
	r.Withheld, r.Plans, r.History = company, company, company
	return r, company
}

// writingOf is the report of a run as it begins.
func writingOf(r *run, dry bool) *writing {
	return &writing{run: r, rep: &reconcile.Report{Dry: dry}, states: map[reconcile.ActionState]int{}, withheld: newWithheld(idSet{})}
}

// A run that finds nothing to do is not all that there is to do as long as a plan of an
// earlier one waits for a person.
func TestAReportHasThePlansThatWaitFromEarlierRuns(t *testing.T) {
	for _, waits := range []bool{false, true} {
		r, company := reportingRun(&scripted{}, Request{}, nil)
		var want []string
		if waits {
			r.brake.plans = []reconcile.HeldPlan{{ID: "of this run", Total: 2}}
			company.waits = []reconcile.HeldPlan{{ID: "of this run", Total: 2}, {ID: "of an earlier one", Total: 1}, {ID: "of which all is done"}}
			want = []string{"of this run", "of an earlier one"}
		}
		rep, err := r.report(t.Context(), nil)
		var ids []string
		for _, p := range rep.Plans {
			ids = append(ids, p.ID)
		}
		if err != nil || !slices.Equal(ids, want) || rep.Converged() == waits || *rep.Run.Converged == waits {
			t.Errorf("plans %v, converged %v: %v", ids, rep.Converged(), err)
		}
	}
}

func TestAReportNamesTheSubscriptionThatIsNotStored(t *testing.T) {
	for stored, want := range map[bool]string{true: "the process at work has stored no subscription sub_2", false: "Stripe knows no subscription sub_2 in this account and mode"} {
		s := &scripted{customers: []reconcile.Customer{{ID: "cus_1", Subscriptions: []reconcile.Subscription{{ID: "sub_1", StripeCustomer: "cus_1"}}}}}
		r, _ := reportingRun(s, Request{Dry: true, Stored: stored, Subscriptions: []string{"sub_1", "sub_2"}}, nil)
		r.only = []string{"cus_1"}
		rep, err := r.report(t.Context(), nil)
		if err != nil || len(rep.Targets) != 2 || rep.Targets[0].Customer != "cus_1" || rep.Targets[1].Text != want {
			t.Errorf("%+v: %v", rep.Targets, err)
		}
	}
}

// The next listing is compared with the last one that was believed.
func TestTheListingOfARunThatFailedIsNotKept(t *testing.T) {
	r, company := reportingRun(&scripted{}, Request{}, nil)
	r.evidence.measure = &reconcile.ListedState{Count: 3}
	if _, err := r.report(t.Context(), errScripted); !errors.Is(err, errScripted) {
		t.Error(err)
	}
	if _, err := r.report(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if !slices.Equal(company.endings, []*reconcile.ListedState{nil, r.evidence.measure}) {
		t.Errorf("kept %v", company.endings)
	}
}

func TestANoteCountsTheHostingsThatNoNoteNames(t *testing.T) {
	for more, want := range map[int]string{0: "", 3: "3 more hostings were changed at the panel; -o json lists them"} {
		r, _ := reportingRun(&scripted{}, Request{}, nil)
		for range maxDriftNotes + more {
			r.findings.addDrift(reconcile.Drift{Hosting: 1})
		}
		if rep, err := r.report(t.Context(), nil); err != nil || strings.Join(rep.Notes, "; ") != want {
			t.Errorf("%d more: %q: %v", more, rep.Notes, err)
		}
	}
}

func TestAForecastIsListedByTimeWhileThereIsRoom(t *testing.T) {
	const each = reconcile.MostReported/2 + 1
	for _, n := range []int{1, 3} {
		s := &scripted{}
		for _, id := range []string{"cus_1", "cus_2", "cus_3"}[:n] {
			s.customers = append(s.customers, reconcile.Customer{ID: id})
		}
		r, _ := reportingRun(s, Request{Dry: true}, func(c *reconcile.Customer) (d planner.Decision) {
			for i := range each {
				d.Forecast = append(d.Forecast, reconcile.ForecastEntry{At: whenPlanned.Add(time.Duration(i) * time.Hour), Customer: c.ID})
			}
			return d
		})
		r.work.complete = true
		rep, err := r.report(t.Context(), nil)
		if err != nil || len(rep.Forecast) != min(n*each, reconcile.MostReported) {
			t.Fatalf("%d entries: %v", len(rep.Forecast), err)
		}
		if !slices.IsSortedFunc(rep.Forecast, func(a, b reconcile.ForecastEntry) int { return a.At.Compare(b.At) }) {
			t.Error("not by time")
		}
	}
}

func TestAHoldOfTheBrakeShowsWhatReleasesIt(t *testing.T) {
	for dry, want := range map[bool]string{
		false: "suspend is held by the brake: look with `stripe-enhance plans`, release with `stripe-enhance approve ",
		true:  "suspend would be held by the brake: `stripe-enhance reconcile` holds it, then `stripe-enhance approve ",
	} {
		r := scriptedRun(&scripted{}, Request{Dry: dry}, nil)
		braked(r.brake, done{}, 100, "", suspensions(6)...)
		w := writingOf(r, dry)
		w.braked(suspensions(1)[0])
		if len(w.brakes) != 1 || !strings.HasPrefix(w.brakes[0].Reason, want) || w.countOrders() != 0 {
			t.Errorf("dry %v: %+v; %d orders wait", dry, w.brakes, w.countOrders())
		}
	}
	w := writingOf(scriptedRun(&scripted{}, Request{}, nil), false)
	w.braked(reconcile.Action{ID: "resume:7" + reconcile.PerhapsOursSuffix, Kind: reconcile.Resume, Hosting: 7})
	if len(w.brakes) > 0 {
		t.Errorf("of an action that is in no plan: %+v", w.brakes)
	}
}

func TestAnOrderThatTheBrakeHoldsWaits(t *testing.T) {
	w := newWithheld(idSet{})
	w.addBraked(reconcile.Hold{Subscription: "sub_1", Order: true})
	w.addBraked(reconcile.Hold{Subscription: "sub_1", Order: true})
	w.addBraked(reconcile.Hold{Subscription: "sub_2"})
	if w.countOrders() != 1 || w.count() != 3 {
		t.Errorf("%d orders of %d holds", w.countOrders(), w.count())
	}
}

// overflow is a database with more parked customers than a report lists, and three orders
// that wait for the brake as well: one customer of these was just planned by a dry run.
func overflow() (w *writing, company *scriptedCompany, listed map[reconcile.HoldKind]reconcile.HoldCount, counts reconcile.HoldCounts, instead *replaced) {
	r, company := reportingRun(&scripted{}, Request{Dry: true}, nil)
	w, instead = writingOf(r, true), &replaced{customers: idSet{}}
	for i, kind := range []reconcile.ActionKind{reconcile.CreateSubscription, reconcile.Suspend, reconcile.Resume} {
		id := []string{"cus_1", "cus_2", "cus_3"}[i]
		w.orders.add("sub_" + id)
		company.standing = append(company.standing, reconcile.HeldAction{Action: reconcile.Action{Kind: kind, Customer: id, Subscription: "sub_" + id}, Brake: kind})
		company.holds = append(company.holds, reconcile.Hold{Kind: reconcile.HoldParked, Customer: id, Subscription: "sub_" + id, Order: true})
	}
	instead.customers.add("cus_3")
	// Unmapped has changed between the two questions to the database.
	listed = map[reconcile.HoldKind]reconcile.HoldCount{reconcile.HoldParked: {All: reconcile.MostReported}, reconcile.HoldUnmapped: {All: 3}}
	counts = reconcile.HoldCounts{Orders: 10, Kinds: map[reconcile.HoldKind]reconcile.HoldCount{reconcile.HoldParked: {All: reconcile.MostReported + 7}, reconcile.HoldUnmapped: {All: 4}}}
	return w, company, listed, counts, instead
}

func TestWhatAListHasAllOfIsNotCountedAgain(t *testing.T) {
	w, company, listed, counts, instead := overflow()
	if err := w.countUnlisted(t.Context(), listed, counts, instead); err != nil || w.count() != 7 {
		t.Errorf("%d holds beyond the list: %v", w.count(), err)
	}
	if len(company.looked) != 1 || !slices.Equal(company.looked[0], []string{"cus_1"}) || w.more != 9 {
		t.Errorf("looked at %v, and %d orders more", company.looked, w.more)
	}
	w, company, listed, counts, instead = overflow()
	company.err = errScripted
	if err := w.countUnlisted(t.Context(), listed, counts, instead); !errors.Is(err, errScripted) {
		t.Errorf("if they cannot be read: %v", err)
	}
}

// A fleet has more customers than holds: those of each are read only if that is needed.
func TestHoldsOfThePlannedAreReadIfNotAllAreListed(t *testing.T) {
	for n, reads := range map[int]int{1: 0, reconcile.MostReported + 1: 1} {
		r, company := reportingRun(&scripted{}, Request{Dry: true}, nil)
		company.holds = slices.Repeat([]reconcile.Hold{{Customer: "cus_1", Kind: reconcile.HoldParked}}, n)
		instead, err := writingOf(r, true).replacing(t.Context())
		if err := errors.Join(err, instead.add("cus_1"), instead.look.flush()); err != nil || len(company.looked) != reads {
			t.Errorf("%d holds: read %d times: %v", n, len(company.looked), err)
		}
	}
}

func TestABatchIsDoneWhenItIsFull(t *testing.T) {
	var got []string
	b := batch{most: 2, do: func(ids []string) error {
		got = append(got, strings.Join(ids, " "))
		return nil
	}}
	err := b.flush()
	for _, id := range []string{"a", "b", "c"} {
		err = errors.Join(err, b.add(id))
	}
	if err := errors.Join(err, b.flush(), b.flush()); err != nil || !slices.Equal(got, []string{"a b", "c"}) {
		t.Errorf("batches %q: %v", got, err)
	}
}
