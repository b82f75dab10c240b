package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// rowsOf are the ids of a whole list of customers, read in parts of so many.
func (f *fixture) rowsOf(q reconcile.CustomerSearch, names *Names) (ids []string) {
	f.Helper()
	for range 100 {
		rows, next, err := f.CustomersNamed(f.Context(), q, names)
		f.must(err)
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		if next == "" {
			return ids
		}
		q.After = next
	}
	f.Fatalf("the list has no end: %q", ids)
	return nil
}

func TestCustomersAreFoundByEverythingThatAPersonKnows(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		org := "6a9a1b2c-0000-4000-8000-00000000000a"
		before, err := f.Names(t.Context(), t0)
		f.must(err)
		f.save(t0, facts("sub_a", "cus_a", "Ana@Example.com", func(s *reconcile.SubscriptionFacts) {
			s.Buyer.Name, s.Domain = "Brutăria Ștefan", "https://www.Paine.example/"
		}),
			facts("sub_b", "cus_b", "ben@example.org", func(s *reconcile.SubscriptionFacts) { s.Buyer.Name, s.Domain = "100% Ben_s", "" }),
			facts("sub_c", "cus_c", "c@example.com", status(reconcile.StatusCanceled), func(s *reconcile.SubscriptionFacts) { s.Domain = "" }))
		f.bindOrg("cus_a", org)
		f.bindHosting("cus_a", "sub_a", 1, org, 4242)
		names, err := f.Names(t.Context(), t0.Add(time.Hour)) // later than all of them came
		f.must(err)
		for text, want := range map[string][]string{
			"": {"cus_a", "cus_b", "cus_c"}, "@example.com": {"cus_a", "cus_c"}, "xample.co": {"cus_a", "cus_c"}, "ANA@example.com": {"cus_a"}, "ana": {"cus_a"}, "ștefan": {"cus_a"}, "Ștefan": {"cus_a"},
			"brutăria": {"cus_a"}, "paine.example": {"cus_a"}, "www.paine": {"cus_a"}, "aine.exa": {"cus_a"}, "cus_b": {"cus_b"}, "sub_c": {"cus_c"}, org: {"cus_a"}, "4242": {"cus_a"},
			"100%": {"cus_b"}, "ben_s": {"cus_b"}, "%": {"cus_b"}, "_": {"cus_b"}, " ben ": {"cus_b"}, "none of them": nil, "sub_none": nil, `'"\`: nil, "a\x00na": {"cus_a"},
		} {
			for _, limit := range []int{1, 2, 50} {
				for held, names := range map[string]*Names{"stored": nil, "held": names, "held before they came": before, "too many to hold": {many: true}} {
					same(t, fmt.Sprintf("%q, %d at a time, names %s", text, limit, held), want, f.rowsOf(reconcile.CustomerSearch{Text: text, Limit: limit}, names))
				}
			}
		}
		rows, _, err := f.CustomerRows(t.Context(), reconcile.CustomerSearch{Text: "cus_c", Limit: 1})
		f.must(err)
		same(t, "a row", []reconcile.CustomerRow{{ID: "cus_c", Email: "c@example.com", Name: "Example c", Subscriptions: 1}}, rows)
	})
}

// TestOnlyCustomersThatCameSinceAreReadAgain: in the minutes after a first run all are new, and
// those whose names are held need no search in the database.
func TestOnlyCustomersThatCameSinceAreReadAgain(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		came := func(at time.Time, letters ...string) {
			for _, letter := range letters {
				f.save(at, facts("sub_"+letter, "cus_"+letter, letter+"@example.com"))
			}
		}
		came(t0, "a", "b")
		names, err := f.Names(t.Context(), t0)
		f.must(err)
		missing := func() (ids []string) {
			f.must(f.snapshot(t.Context(), "test", func(ctx context.Context, c conn) (err error) {
				ids, err = names.missing(ctx, c, "@example")
				return err
			}))
			return ids
		}
		same(t, "missing at first", []string(nil), missing())
		came(t0.Add(time.Second), "c")
		same(t, "missing after another came", []string{"cus_c"}, missing())
		came(t0, "d")
		same(t, "missing after one came at a moment that was known", []string{"cus_a", "cus_b", "cus_c", "cus_d"}, missing())
		same(t, "found", []string{"cus_a", "cus_b", "cus_c", "cus_d"}, f.rowsOf(reconcile.CustomerSearch{Text: "@example", Limit: 3}, names))
		for i := range mostMoments {
			came(t0.Add(time.Duration(i)*time.Minute), fmt.Sprintf("e%02d", i))
		}
		if all := missing(); len(all) != 4+mostMoments {
			t.Errorf("%d are missing after %d moments: %q", len(all), mostMoments+1, all)
		}
	})
}

func TestThoseThatFailAreListedAndSortedByTheirError(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		fail := func(customer, text string, parked bool) {
			f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: customer, Version: f.customer(customer).Version, Counts: true, Due: t0.Add(time.Hour), Parked: parked, Error: text}, t0))
		}
		for _, letter := range []string{"a", "b", "c", "d"} {
			f.save(t0, facts("sub_"+letter, "cus_"+letter, ""))
		}
		fail("cus_a", "POST /orgs/org_1: 422 for sub_a", true)
		fail("cus_c", "POST /orgs/org_2: 422 for sub_c", false)
		fail("cus_d", "connection refused", false)
		same(t, "failing", []string{"cus_a", "cus_c", "cus_d"}, f.rowsOf(reconcile.CustomerSearch{Failing: true, Limit: 2}, nil))
		same(t, "failing and searched", []string{"cus_c"}, f.rowsOf(reconcile.CustomerSearch{Failing: true, Text: "cus_c", Limit: 2}, nil))
		kinds, err := f.FailureKinds(t.Context())
		f.must(err)
		same(t, "kinds", map[string]int{"POST … … for …": 2, "connection refused": 1}, kinds)
		ids, err := f.FailingOf(t.Context(), "POST … … for …", 10)
		f.must(err)
		same(t, "of a kind", []string{"cus_a", "cus_c"}, ids)
		ids, err = f.FailingOf(t.Context(), "POST … … for …", 1)
		f.must(err)
		same(t, "the first of a kind", []string{"cus_a"}, ids)
		_, err = f.Retry(t.Context(), "cus_a", t0)
		f.must(err)
		same(t, "after a retry", []string{"cus_c", "cus_d"}, f.rowsOf(reconcile.CustomerSearch{Failing: true, Limit: 9}, nil))
	})
}

func TestWhatIsWithheldIsListedInParts(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for _, letter := range []string{"a", "b", "c"} {
			f.save(t0, facts("sub_"+letter, "cus_"+letter, letter+"@example.com"))
			kind := reconcile.HoldGrace
			if letter == "b" {
				kind = reconcile.HoldUnmapped
			}
			f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_" + letter, Holds: []reconcile.Hold{
				{Kind: kind, Customer: "cus_" + letter, Subscription: "sub_" + letter, Email: letter + "@example.com", Reason: "because of " + letter}}}}, t0))
		}
		list := func(q reconcile.HoldSearch) (all []string) {
			for {
				holds, next, err := f.HoldRows(t.Context(), q)
				f.must(err)
				for _, h := range holds {
					all = append(all, string(h.Kind)+" "+h.Customer)
				}
				if next == "" {
					return all
				}
				q.After = next
			}
		}
		for _, limit := range []int{1, 2, 9} {
			same(t, "all", []string{"grace cus_a", "unmapped cus_b", "grace cus_c"}, list(reconcile.HoldSearch{Limit: limit}))
			same(t, "of a kind", []string{"grace cus_a", "grace cus_c"}, list(reconcile.HoldSearch{Kind: reconcile.HoldGrace, Limit: limit}))
			same(t, "searched", []string{"grace cus_c"}, list(reconcile.HoldSearch{Text: "OF C", Limit: limit}))
			same(t, "by id", []string{"unmapped cus_b"}, list(reconcile.HoldSearch{Text: "cus_b", Limit: limit}))
			same(t, "none", []string(nil), list(reconcile.HoldSearch{Text: "%", Limit: limit}))
		}
	})
}

func TestAHeldPlanIsReadInPartsByCustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		p := f.hold("run-plan", held("abcd12345678", reconcile.Suspend, t0, f.suspension("c"), f.suspension("a"), f.suspension("b")))
		read := func(q reconcile.PlanSearch) (all []string, total int) {
			for {
				part, next, err := f.PlanPart(t.Context(), q)
				f.must(err)
				for i, a := range part.Actions {
					all = append(all, fmt.Sprint(a.Customer, " ", part.Joined[i]))
				}
				if next == "" {
					return all, part.Total
				}
				q.After = next
			}
		}
		for _, limit := range []int{1, 2, 3, 9} {
			all, total := read(reconcile.PlanSearch{Plan: p.ID, Limit: limit})
			same(t, "all", []string{"cus_a 1", "cus_b 1", "cus_c 1"}, all)
			same(t, "total", 3, total)
			all, total = read(reconcile.PlanSearch{Plan: p.ID, Text: "SUB_B", Limit: limit})
			same(t, "searched", []string{"cus_b 1"}, all)
			same(t, "total of a search", 1, total)
		}
		heads, err := f.PlanHeads(t.Context(), false, 10)
		f.must(err)
		if len(heads) != 1 || heads[0].Total != 3 || heads[0].ID != p.ID || !heads[0].Waits() {
			t.Errorf("heads: %+v", heads)
		}
		f.approve(p.ID, t0)
		heads, err = f.PlanHeads(t.Context(), false, 10)
		f.must(err)
		same(t, "after the approval", 0, len(heads))
		heads, err = f.PlanHeads(t.Context(), true, 10)
		f.must(err)
		same(t, "with old ones", 1, len(heads))
		_, _, err = f.PlanPart(t.Context(), reconcile.PlanSearch{Plan: "abcd", Limit: 1})
		says(t, "another", err, fault.NotFound, "abcd")
	})
}

// TestARejectedPlanDoesNothingAndIsNotHeldAgain: each subscription gets a hold, so that the
// next decision withholds the change.
func TestARejectedPlanDoesNothingAndIsNotHeldAgain(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b := f.suspension("a"), f.suspension("b")
		org := action("create_org:cus_b", reconcile.CreateOrg, "cus_b", "")
		p := f.hold("run-plan", held("abcd12345678", reconcile.Suspend, t0, a, b, org))
		f.wants("cus_a", t0, a)
		f.wants("cus_b", t0, b, org)
		n := 0
		newID := func() string { n++; return fmt.Sprint("hold_", n) }
		_, err := f.Reject(t.Context(), p.ID, 2, "Ana", "no", newID, t0)
		says(t, "another version", err, fault.Conflict, "it is at version 1")
		same(t, "still waits", 1, len(f.waitingPlans()))
		manual, err := f.ManualHolds(t.Context(), t0)
		f.must(err)
		same(t, "holds of a refusal", 0, len(manual))

		at := t0.Add(time.Hour)
		_, err = f.Reject(t.Context(), p.ID[:7], 1, "Ana", "no", newID, at)
		says(t, "seven characters of the id", err, fault.Permanent, "too short")
		_, err = f.Reject(t.Context(), p.ID, 1, "Ana", "", newID, at)
		says(t, "no reason", err, fault.Permanent, "needs a reason")
		same(t, "still waits after both", 1, len(f.waitingPlans()))
		got, err := f.Reject(t.Context(), p.ID[:8], 1, "Ana (admin key ab12cd)", "the bank was down", newID, at)
		f.must(err)
		if got.Waits() || !got.Closed.Equal(at) || !strings.HasSuffix(got.Reason, ". Rejected by Ana (admin key ab12cd): the bank was down") || len(got.Actions) != 3 {
			t.Errorf("rejected: %+v", got)
		}
		same(t, "none waits", 0, len(f.waitingPlans()))
		same(t, "nothing is released", []string(nil), f.released(at))
		manual, err = f.ManualHolds(t.Context(), at)
		f.must(err)
		var holds []string
		for _, h := range manual {
			holds = append(holds, fmt.Sprint(h.Customer, h.Subscription, " ", h.Kind, " ", h.Author, ": ", h.Reason))
		}
		same(t, "holds", []string{"sub_a no-suspend Ana (admin key ab12cd): the bank was down", "sub_b no-suspend Ana (admin key ab12cd): the bank was down",
			"cus_b ignore Ana (admin key ab12cd): the bank was down"}, holds)
		same(t, "due", []string{"cus_a", "cus_b"}, f.dueIDs(at))
		_, err = f.Reject(t.Context(), p.ID, 1, "Ben", "no", newID, at)
		says(t, "twice", err, fault.Conflict, "it was already rejected at "+at.Format(time.RFC3339)+" by Ana (admin key ab12cd): the bank was down")
		_, err = f.Approve(t.Context(), p.ID, 1, "Ben", at)
		says(t, "approved after that", err, fault.Conflict, "it was already rejected at ")
		_, err = f.Reject(t.Context(), "0000000000000000", 1, "Ben", "no", newID, at)
		says(t, "another plan", err, fault.NotFound, "0000")
	})
}

// TestOneOfTwoDecisionsAboutAPlanCounts: the second one is refused.
func TestOneOfTwoDecisionsAboutAPlanCounts(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		p := f.hold("run-plan", held("abcd12345678", reconcile.Suspend, t0, f.suspension("a")))
		results := make(chan error, 2)
		go func() {
			_, err := f.Approve(context.WithoutCancel(t.Context()), p.ID, 1, "Ana", t0)
			results <- err
		}()
		go func() {
			_, err := f.Reject(context.WithoutCancel(t.Context()), p.ID, 1, "Ben", "no", func() string { return "hold_1" }, t0)
			results <- err
		}()
		won := 0
		for range 2 {
			if err := <-results; err == nil {
				won++
			} else {
				says(t, "the second", err, fault.Conflict, "")
			}
		}
		same(t, "decisions that count", 1, won)
		_, err := f.Approve(t.Context(), p.ID, 1, "Eve", t0)
		says(t, "a third", err, fault.Conflict, "")
	})
}

// BenchmarkDirectory measures what a person waits for, among 100,000 customers.
func BenchmarkDirectory(b *testing.B) {
	both(b, func(b *testing.B, f *fixture) {
		f.sweepFleet(100_000)
		if f.d == postgres {
			f.edit("ANALYZE")
		}
		for name, q := range map[string]reconcile.CustomerSearch{"first": {Limit: 50}, "middle": {Limit: 50, After: "cus_0050000"}, "common": {Limit: 50, Text: "example 00"}, "none": {Limit: 50, Text: "nothing has this"},
			"word": {Limit: 50, Text: "nothing"}, "email": {Limit: 50, Text: "c77777@example.com"}, "domain": {Limit: 50, Text: "no.example.net"}, "id": {Limit: 50, Text: "sub_0077777"}, "failing": {Limit: 50, Failing: true}} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if _, _, err := f.CustomerRows(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}
