package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func says(t *testing.T, what string, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %s", what, err, kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}

func TestCustomersAreFoundByEmailBuyerAndSubscription(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "Ann@Example.com", created(t0.Add(-2*time.Hour))), facts("sub_b", "cus_b", "ann@example.com", created(t0.Add(-time.Hour))), facts("sub_c", "cus_c", "c@example.com"))
		f.joined("cus_b", "cus_a")
		a := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Version: f.customer("cus_a").Version, Due: t0.Add(time.Hour), Actions: []reconcile.Action{a},
			Holds: []reconcile.Hold{{Kind: reconcile.HoldGrace, Customer: "cus_a", Reason: "grace"}}}}, t0))
		f.must(f.do(a, t0, reconcile.Outcome{State: reconcile.ActionFailed, Error: "400"}))
		f.plan("cus_a", action("resume:x", reconcile.Resume, "cus_a", ""))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Version: f.customer("cus_a").Version, Due: t0.Add(time.Hour),
			Holds: []reconcile.Hold{{Kind: reconcile.HoldGrace, Customer: "cus_a", Reason: "grace"}}}}, t0.Add(time.Minute)))
		for name, l := range map[string]reconcile.CustomerLookup{"e-mail": {Email: " ANN@example.COM"}, "buyer": {StripeCustomer: "cus_b"}, "customer": {StripeCustomer: "cus_a"}, "subscription": {Subscription: "sub_b"}} {
			records, err := f.FindCustomers(t.Context(), l, 1)
			f.must(err)
			if len(records) != 1 {
				t.Fatalf("%s: %d customers, want 1", name, len(records))
			}
			r := records[0]
			same(t, name+": buyers", []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_a", Email: "Ann@Example.com", Name: "Example a"}},
				{StripeCustomer: reconcile.StripeCustomer{ID: "cus_b", Email: "ann@example.com", Name: "Example b"}}}, r.Buyers)
			same(t, name+": held", []reconcile.Hold{{Kind: reconcile.HoldGrace, Customer: "cus_a", Reason: "grace"}}, r.Held)
			same(t, name+": times", []time.Time{t0.Add(time.Hour), t0.Add(time.Minute)}, []time.Time{r.DueAt, r.PlannedAt})
			same(t, name+": history, subscriptions", []int{1, 2}, []int{len(r.History), len(r.Subscriptions)})
		}
		none, err := f.FindCustomers(t.Context(), reconcile.CustomerLookup{Email: "nobody@example.com"}, 1)
		f.must(err)
		same(t, "nobody", 0, len(none))
		blank, err := f.FindCustomers(t.Context(), reconcile.CustomerLookup{}, 1)
		f.must(err)
		same(t, "an empty question", 0, len(blank))
	})
}

func TestActionsAreFilteredNewestFirst(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "x@example.com"), facts("sub_b", "cus_b", "x@example.com"), facts("sub_c", "cus_c", "c@example.com"))
		f.joined("cus_b", "cus_a")
		ids := func(filter reconcile.ActionFilter) (ids []string) {
			rows, err := f.Actions(t.Context(), filter)
			f.must(err)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids
		}
		for i, a := range []reconcile.Action{action("suspend:sub_a", reconcile.Suspend, "cus_a", "sub_a"), action("suspend:sub_b", reconcile.Suspend, "cus_a", "sub_b"), action("suspend:sub_c", reconcile.Suspend, "cus_c", "sub_c")} {
			f.must(f.do(a, t0.Add(time.Duration(i)*time.Minute), reconcile.Outcome{State: []reconcile.ActionState{reconcile.ActionApplied, reconcile.ActionFailed, reconcile.ActionApplied}[i]}))
		}
		same(t, "all", []string{"suspend:sub_c", "suspend:sub_b", "suspend:sub_a"}, ids(reconcile.ActionFilter{}))
		same(t, "two", []string{"suspend:sub_c", "suspend:sub_b"}, ids(reconcile.ActionFilter{Limit: 2}))
		same(t, "of a buyer", []string{"suspend:sub_b", "suspend:sub_a"}, ids(reconcile.ActionFilter{Customer: "cus_b"}))
		same(t, "of a subscription", []string{"suspend:sub_a"}, ids(reconcile.ActionFilter{Subscription: "sub_a"}))
		same(t, "of both and a state", []string{"suspend:sub_b"}, ids(reconcile.ActionFilter{Customer: "cus_a", Subscription: "sub_b", State: reconcile.ActionFailed}))
		same(t, "of a state", []string{"suspend:sub_c", "suspend:sub_a"}, ids(reconcile.ActionFilter{State: reconcile.ActionApplied}))
	})
}

func TestManualHoldsReachTheirCustomerUntilRemoved(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "x@example.com"), facts("sub_b", "cus_b", "x@example.com"), facts("sub_c", "cus_c", "c@example.com"))
		f.joined("cus_b", "cus_a")
		f.settled(t0, "cus_a", "cus_c")
		now := t0.Add(time.Hour)
		byBuyer := reconcile.ManualHold{ID: "h1", Customer: "cus_b", Kind: reconcile.NoSuspend, Until: now.Add(time.Hour), Reason: "promised", Author: "op@example.com", Created: now}
		bySub := reconcile.ManualHold{ID: "h2", Subscription: "sub_c", Kind: reconcile.Ignore, Created: now}
		add := func(want bool, h reconcile.ManualHold) {
			known, err := f.AddManualHold(t.Context(), h)
			f.must(err)
			same(t, h.ID+" is known", want, known)
		}
		add(true, byBuyer)
		add(true, bySub)
		same(t, "due", []string{"cus_a", "cus_c"}, f.dueIDs(now))
		same(t, "of the first", []reconcile.ManualHold{byBuyer}, f.customer("cus_a").Manual)
		same(t, "of the second", []reconcile.ManualHold{bySub}, f.customer("cus_c").Manual)
		list := func(at time.Time) []reconcile.ManualHold {
			holds, err := f.ManualHolds(t.Context(), at)
			f.must(err)
			return holds
		}
		same(t, "list", []reconcile.ManualHold{byBuyer, bySub}, list(now))
		same(t, "list when one ran out", []reconcile.ManualHold{bySub}, list(now.Add(time.Hour)))
		f.settled(now, "cus_a", "cus_c")
		found, err := f.RemoveManualHold(t.Context(), "h1", now)
		f.must(err)
		again, err := f.RemoveManualHold(t.Context(), "h1", now)
		f.must(err)
		same(t, "removed, removed again", []bool{true, false}, []bool{found, again})
		same(t, "after removing", 0, len(f.customer("cus_a").Manual))
		same(t, "due after removing", []string{"cus_a"}, f.dueIDs(now))

		byStranger := reconcile.ManualHold{ID: "h3", Customer: "cus_z", Kind: reconcile.Ignore, Created: now}
		toCome := reconcile.ManualHold{ID: "h5", Subscription: "sub_z", Kind: reconcile.NoSuspend, Created: now}
		add(false, byStranger)
		add(false, toCome)
		same(t, "listed though nobody knows them", []reconcile.ManualHold{bySub, byStranger, toCome}, list(now))
		f.save(now, facts("sub_z", "cus_z", "z@example.com"))
		same(t, "once it is seen", []reconcile.ManualHold{byStranger, toCome}, f.customer("cus_z").Manual)
		for _, bad := range []reconcile.ManualHold{{ID: "h4", Kind: reconcile.Ignore}, {ID: "h4", Customer: "cus_a", Subscription: "sub_a", Kind: reconcile.Ignore}, {ID: "h4", Customer: "cus_a"}, {Customer: "cus_a", Kind: reconcile.Ignore}} {
			_, err := f.AddManualHold(t.Context(), bad)
			refused(t, "a hold", err, "a hold needs")
		}
	})
}

func TestMappingsAreSetImportedAndDeleted(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.SetMapping(t.Context(), reconcile.Mapping{BillingID: "price_b", Plan: "1"}, "op@example.com", t0))
		f.must(f.SetMapping(t.Context(), reconcile.Mapping{BillingID: "price_b", Plan: "Pro"}, "op@example.org", t0.Add(time.Hour)))
		refused(t, "half an import", f.ImportMappings(t.Context(), []reconcile.Mapping{{BillingID: "price_a", Plan: "1"}, {BillingID: "price_c"}}, "op@example.com", t0), "price_c")
		records, err := f.MappingRecords(t.Context())
		f.must(err)
		same(t, "mappings", []reconcile.MappingRecord{{Mapping: reconcile.Mapping{BillingID: "price_b", Plan: "Pro"}, UpdatedAt: t0.Add(time.Hour), UpdatedBy: "op@example.org"}}, records)
		f.must(f.ImportMappings(t.Context(), []reconcile.Mapping{{BillingID: "price_a", Plan: "1"}, {BillingID: "price_b", Plan: "2"}}, "op@example.com", t0))
		found, err := f.DeleteMapping(t.Context(), "price_a")
		f.must(err)
		again, err := f.DeleteMapping(t.Context(), "price_a")
		f.must(err)
		same(t, "deleted, deleted again", []bool{true, false}, []bool{found, again})
		mappings, err := f.Mappings(t.Context())
		f.must(err)
		same(t, "mappings at the end", []reconcile.Mapping{{BillingID: "price_b", Plan: "2"}}, mappings)
	})
}

func TestAWebhookIsStoredOnceWithItsNudge(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		log := func(id, subscription string, at time.Time) bool {
			isNew, err := f.LogWebhook(t.Context(), id, "customer.subscription.updated", subscription, subscription != "", at)
			f.must(err)
			return isNew
		}
		same(t, "new, known, without a subscription", []bool{true, false, true}, []bool{log("evt_1", "sub_a", t0), log("evt_1", "sub_b", t0), log("evt_2", "", t0.Add(time.Second))})
		ids, err := f.TakeNudges(t.Context(), f.tok, time.Time{})
		f.must(err)
		same(t, "nudges", []string{"sub_a"}, ids)
		f.must(f.ForgetNudges(t.Context(), f.tok, ids))
		log("evt_3", "sub_c", t0.Add(2*time.Second))
		f.must(f.WebhookResult(t.Context(), "sub_a", t0, "", t0.Add(time.Minute)))
		f.must(f.WebhookResult(t.Context(), "", t0.Add(time.Second), "stripe: 503", t0.Add(time.Minute)))
		recent, err := f.RecentWebhooks(t.Context(), 10)
		f.must(err)
		record := func(id, subscription string, at time.Time, state reconcile.WebhookState, problem string, done time.Time) reconcile.WebhookRecord {
			return reconcile.WebhookRecord{EventID: id, Type: "customer.subscription.updated", Subscription: subscription, ReceivedAt: at, State: state, Error: problem, FinishedAt: done}
		}
		third := record("evt_3", "sub_c", t0.Add(2*time.Second), reconcile.WebhookReceived, "", time.Time{})
		second := record("evt_2", "", t0.Add(time.Second), reconcile.WebhookFailed, "stripe: 503", t0.Add(time.Minute))
		first := record("evt_1", "sub_a", t0, reconcile.WebhookFollowed, "", t0.Add(time.Minute))
		same(t, "recent", []reconcile.WebhookRecord{third, second, first}, recent)
		failed, total, err := f.FailedWebhooks(t.Context(), 5)
		f.must(err)
		same(t, "failed", []reconcile.WebhookRecord{second}, failed)
		same(t, "failed in all", 1, total)
	})
}

func TestStatsTellTheStateOfTheQueueAndTheLease(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""), facts("sub_b", "cus_b", "", status(reconcile.StatusCanceled)))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Holds: []reconcile.Hold{{Kind: reconcile.HoldGrace, Reason: "x"}}}}, t0))
		f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_b", Counts: true, Parked: true, Error: "no", Due: t0.Add(time.Second)}, t0))
		f.must(f.Nudge(t.Context(), nil, "x", t0))
		st, err := f.Stats(t.Context(), t0.Add(time.Second))
		f.must(err)
		want := Stats{Totals: reconcile.Totals{Counts: reconcile.Counts{Subscriptions: 2, Active: 1, Canceled: 1, Customers: 2, Due: 1, Parked: 1},
			OldestDue: t0.Add(time.Second)}, Nudges: 1, Lease: Lease{Owner: "first", Until: t0.Add(ttl), Token: f.tok}}
		same(t, "stats", want, st)
		f.must(f.Ping(t.Context()))
	})
}
