package store

import (
	"context"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// journal are the rows of a customer, by key.
func (f *fixture) journal(customer string) map[string]reconcile.ActionRecord {
	f.Helper()
	rows, err := f.Actions(f.Context(), reconcile.ActionFilter{Customer: customer})
	f.must(err)
	all := make(map[string]reconcile.ActionRecord, len(rows))
	for _, r := range rows {
		all[r.Key] = r
	}
	return all
}

func TestAnActionComesBackFromTheJournalAsItWasDecided(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := reconcile.Action{ID: "link:sub_a/1:42", Kind: reconcile.Link, Customer: "cus_a", Subscription: "sub_a", Item: "si_a", Slot: 1, Email: "a@example.com",
			Org: "org-a", Hosting: 42, Plan: 2, PlanName: "Pro", FromPlan: 1, Name: "Ada", Domain: "shop.example.com", How: reconcile.BoundByMarker, Reason: "its marker names it"}
		f.plan("cus_a", a, a) // a change that is decided twice is one change
		same(t, "journal", map[string]reconcile.ActionRecord{a.ID + "@run-plan": {Action: a, Key: a.ID + "@run-plan", Run: "run-plan",
			State: reconcile.ActionPlanned, PlannedAt: t0}}, f.journal("cus_a"))
		a.How, a.Plan = reconcile.BoundByMetadata, 3
		f.plan("cus_a", a, a)
		same(t, "decided again", a, f.journal("cus_a")[a.ID+"@run-plan"].Action)
	})
}

// The journal shows of a change that was not made whether it is no longer wanted, or wanted
// and withheld.
func TestWhatIsSupersededAlthoughItIsWantedWasWithheld(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a, b := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a"), action("suspend:sub_a/2:43", reconcile.Suspend, "cus_a", "sub_a")
		f.plan("cus_a", a, b)
		hold := reconcile.Hold{Kind: reconcile.HoldGrace, ActionID: a.ID, Reason: "a few days more"}
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Holds: []reconcile.Hold{hold}}}, t0.Add(time.Hour)))
		rows := f.journal("cus_a")
		same(t, "errors", []string{"withheld", ""}, []string{rows[a.ID+"@run-plan"].Error, rows[b.ID+"@run-plan"].Error})
		same(t, "states", map[string]string{a.ID + "@run-plan": "superseded", b.ID + "@run-plan": "superseded"}, f.states("cus_a"))
	})
}

// A run in which there is nothing to store leaves the writer, and the lease, to others.
func TestNothingIsStoredWithoutAStatement(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	gone := f.tok + 1 // any statement of these would find out that the lease is another's
	for name, write := range map[string]func(context.Context) error{
		"SavePlanned":  func(ctx context.Context) error { return f.SavePlanned(ctx, gone, "run-1", nil, t0) },
		"SaveFacts":    func(ctx context.Context) error { return f.SaveFacts(ctx, gone, nil, false, t0) },
		"ForgetNudges": func(ctx context.Context) error { return f.ForgetNudges(ctx, gone, nil) },
		"ForgetNamed":  func(ctx context.Context) error { return f.ForgetNamed(ctx, gone, nil) },
		"LeaveNudges":  func(ctx context.Context) error { return f.LeaveNudges(ctx, gone, nil) },
		"SaveSites":    func(ctx context.Context) error { return f.SaveSites(ctx, gone, " ", nil, t0) },
		"UnseenEvents": func(ctx context.Context) error { _, err := f.UnseenEvents(ctx, nil); return err },
	} {
		before := f.Statements()
		f.must(write(t.Context()))
		same(t, "statements of "+name, int64(0), f.Statements()-before)
	}
}

// No ids are an empty list to both databases. JSON's null would be one id, of which nothing
// is known.
func TestNoIDsAreAnEmptyList(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		same(t, "texts", "[]", list[string](nil))
		same(t, "numbers", "[]", list([]int64{}))
		all, err := f.Customers(t.Context(), nil)
		f.must(err)
		same(t, "customers", 0, len(all))
		f.must(f.LookAgain(t.Context(), f.tok, []string{}))
	})
}

// The journal names the org and the hosting that a write has made, although they were not known
// when it was planned.
func TestTheJournalNamesWhatAWriteHasMade(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.must(f.do(action("resume:sub_a/1:7", reconcile.Resume, "cus_a", "sub_a"), t0, reconcile.Outcome{Unsuspend: true}))
		made := map[string][]any{}
		for key, r := range f.journal("cus_a") {
			made[key] = []any{r.Org, r.Hosting}
		}
		same(t, "org and hosting", map[string][]any{"create_org:cus_a@run-do": {"org-a", int64(42)}, "create_subscription:sub_a/1@run-do": {"org-1", int64(7)},
			"resume:sub_a/1:7@run-do": {"org-1", int64(42)}}, made)
	})
}

// If a hosting is resumed and cannot be read back, it is not suspended by us any more.
func TestAHostingThatWasResumedUnreadIsNotOursToResume(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		suspended := *activeHosting(42, "org-a")
		suspended.State, suspended.SuspendedBy, suspended.SuspendedByUs = reconcile.HostingSuspended, "us", t0
		f.must(f.do(action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: &suspended}))
		counts, err := f.Counts(t.Context())
		f.must(err)
		same(t, "suspended by us", []any{t0, 1}, []any{f.customer("cus_a").Hostings[0].SuspendedByUs, counts.Suspended})
		f.must(f.do(action("resume:sub_a/1:42", reconcile.Resume, "cus_a", "sub_a"), t0, reconcile.Outcome{Unsuspend: true}))
		counts, err = f.Counts(t.Context())
		f.must(err)
		same(t, "resumed", []any{time.Time{}, 0}, []any{f.customer("cus_a").Hostings[0].SuspendedByUs, counts.Suspended})
		f.checkTallies()
	})
}
