package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAPlanIsHeldApprovedAndExpires(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		a := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		a.How = reconcile.BoundByMarker
		p := held("abcd1234", reconcile.Suspend, t0, a)
		f.plan("cus_a", a)
		f.must(f.Hold(t.Context(), f.tok, "run-plan", p))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", nil, t0))
		f.settled(t0) // nobody
		plans, err := f.HeldPlans(t.Context(), t0, false)
		f.must(err)
		same(t, "held", []reconcile.HeldPlan{p}, plans)
		same(t, "journal", map[string]string{a.ID + "@run-plan": "held"}, f.states("cus_a"))
		approved, err := f.Approved(t.Context(), t0)
		f.must(err)
		same(t, "approved before", 0, len(approved))

		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{a}}}, t0))
		got, err := f.Approve(t.Context(), "abcd", "op@example.com", t0.Add(time.Hour))
		f.must(err)
		p.Approved, p.By = t0.Add(time.Hour), "op@example.com"
		same(t, "what was approved", p, got)
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		approved, err = f.Approved(t.Context(), t0.Add(2*time.Hour))
		f.must(err)
		same(t, "approved", []reconcile.HeldPlan{p}, approved)
		approved, err = f.Approved(t.Context(), p.Expires)
		f.must(err)
		same(t, "approved when expired", 0, len(approved))

		_, err = f.Approve(t.Context(), "abcd1234", "other@example.com", t0.Add(2*time.Hour))
		says(t, "twice", err, fault.Conflict, "already approved by op@example.com")
		_, err = f.Approve(t.Context(), "abcd1234", "other@example.com", p.Expires)
		says(t, "too late", err, fault.Conflict, "expired")
		_, err = f.Approve(t.Context(), "zzz", "op@example.com", t0)
		says(t, "another", err, fault.NotFound, "zzz")

		plans, err = f.HeldPlans(t.Context(), t0.Add(2*time.Hour), false)
		f.must(err)
		same(t, "held after approval", 0, len(plans))
		plans, err = f.HeldPlans(t.Context(), t0.Add(2*time.Hour), true)
		f.must(err)
		same(t, "old ones", 1, len(plans))
	})
}

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

func TestAPlanHeldAgainBeginsAnewOnceItExpiredOrItsApprovalWasUsed(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		a := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		hold := func(at time.Time) reconcile.HeldPlan {
			f.must(f.Hold(t.Context(), f.tok, "run-1", held("p1", reconcile.Suspend, at, a)))
			p, err := f.HeldPlan(t.Context(), "p1")
			f.must(err)
			return p
		}
		approve := func(at time.Time) {
			_, err := f.Approve(t.Context(), "p1", "op@example.com", at)
			f.must(err)
		}
		hold(t0)
		p := hold(t0.Add(time.Hour))
		same(t, "held again: created and expires", []time.Time{t0, t0.Add(25 * time.Hour)}, []time.Time{p.Created, p.Expires})
		approve(t0.Add(2 * time.Hour))
		p = hold(t0.Add(2*time.Hour - time.Second)) // by a run that began before
		same(t, "approved while a run held it", []time.Time{t0, t0.Add(25 * time.Hour), t0.Add(2 * time.Hour)}, []time.Time{p.Created, p.Expires, p.Approved})
		p = hold(t0.Add(3 * time.Hour))
		same(t, "held after it was approved", []time.Time{t0.Add(3 * time.Hour), t0.Add(27 * time.Hour), {}}, []time.Time{p.Created, p.Expires, p.Approved})
		same(t, "by", "", p.By)
		approve(t0.Add(4 * time.Hour))
		p = hold(t0.Add(27 * time.Hour))
		same(t, "held after it expired", []time.Time{t0.Add(27 * time.Hour), t0.Add(51 * time.Hour), {}}, []time.Time{p.Created, p.Expires, p.Approved})
		same(t, "actions", 1, len(p.Actions))
	})
}

// TestAnApprovalIsUsedUpActionByAction: a customer who pays and fails again while
// an approval lives needs a new word. With used actions left in, it went red.
func TestAnApprovalIsUsedUpActionByAction(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""), facts("sub_b", "cus_b", ""))
		f.bindOrg("cus_a", "org-a")
		f.bindOrg("cus_b", "org-b")
		a := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		b := action("suspend:sub_b/1:43", reconcile.Suspend, "cus_b", "sub_b")
		released := func(now time.Time) (ids []string) {
			plans, err := f.Approved(t.Context(), now)
			f.must(err)
			for _, p := range plans {
				for _, one := range p.Actions {
					ids = append(ids, one.ID)
				}
			}
			return ids
		}
		approve := func(at time.Time) {
			f.must(f.Hold(t.Context(), f.tok, "run-1", held("p1", reconcile.Suspend, at, a, b)))
			_, err := f.Approve(t.Context(), "p1", "op@example.com", at.Add(time.Minute))
			f.must(err)
		}
		approve(t0)
		same(t, "released", []string{a.ID, b.ID}, released(t0.Add(time.Hour)))
		at := t0.Add(2 * time.Minute)
		f.must(f.Intend(t.Context(), f.tok, "run-2", a, "p1", at))
		same(t, "under way", []string{a.ID, b.ID}, released(at))
		f.must(f.Settle(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "run-2", State: reconcile.ActionApplied, At: at}))
		same(t, "done", []string{b.ID}, released(at))
		approve(t0.Add(time.Hour)) // the same content, wanted and approved again
		same(t, "approved again", []string{a.ID, b.ID}, released(t0.Add(2*time.Hour)))
	})
}

func TestAPlanIsFoundByABeginningThatIsItsOwn(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for _, id := range []string{"aa11", "aa22", "aa2", "bb"} {
			f.must(f.Hold(t.Context(), f.tok, "run-1", held(id, reconcile.Suspend, t0)))
		}
		for prefix, want := range map[string]string{"aa1": "aa11", "aa2": "aa2", "b": "bb", "bb": "bb"} {
			p, err := f.HeldPlan(t.Context(), prefix)
			f.must(err)
			same(t, prefix, want, p.ID)
		}
		_, err := f.HeldPlan(t.Context(), "aa")
		says(t, "aa", err, fault.Conflict, "aa11", "aa22")
		for _, prefix := range []string{"", "c", "bbb", "%"} {
			_, err = f.HeldPlan(t.Context(), prefix)
			notFound(t, prefix, err)
		}
	})
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
		for name, l := range map[string]Lookup{"e-mail": {Email: " ANN@example.COM"}, "buyer": {StripeCustomer: "cus_b"}, "party": {StripeCustomer: "cus_a"}, "subscription": {Subscription: "sub_b"}} {
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
		none, err := f.FindCustomers(t.Context(), Lookup{Email: "nobody@example.com"}, 1)
		f.must(err)
		same(t, "nobody", 0, len(none))
		blank, err := f.FindCustomers(t.Context(), Lookup{}, 1)
		f.must(err)
		same(t, "an empty question", 0, len(blank))
	})
}

func TestActionsAreFilteredNewestFirst(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "x@example.com"), facts("sub_b", "cus_b", "x@example.com"), facts("sub_c", "cus_c", "c@example.com"))
		f.joined("cus_b", "cus_a")
		ids := func(filter ActionFilter) (ids []string) {
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
		same(t, "all", []string{"suspend:sub_c", "suspend:sub_b", "suspend:sub_a"}, ids(ActionFilter{}))
		same(t, "two", []string{"suspend:sub_c", "suspend:sub_b"}, ids(ActionFilter{Limit: 2}))
		same(t, "of a buyer", []string{"suspend:sub_b", "suspend:sub_a"}, ids(ActionFilter{Customer: "cus_b"}))
		same(t, "of a subscription", []string{"suspend:sub_a"}, ids(ActionFilter{Subscription: "sub_a"}))
		same(t, "of both and a state", []string{"suspend:sub_b"}, ids(ActionFilter{Customer: "cus_a", Subscription: "sub_b", State: reconcile.ActionFailed}))
		same(t, "of a state", []string{"suspend:sub_c", "suspend:sub_a"}, ids(ActionFilter{State: reconcile.ActionApplied}))
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
		same(t, "mappings", []MappingRecord{{reconcile.Mapping{BillingID: "price_b", Plan: "Pro"}, t0.Add(time.Hour), "op@example.org"}}, records)
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
		ids, err := f.TakeNudges(t.Context(), f.tok)
		f.must(err)
		same(t, "nudges", []string{"sub_a"}, ids)
		f.must(f.ForgetNudges(t.Context(), f.tok, ids))
		log("evt_3", "sub_c", t0.Add(2*time.Second))
		f.must(f.WebhookResult(t.Context(), "sub_a", t0, "", t0.Add(time.Minute)))
		f.must(f.WebhookResult(t.Context(), "", t0.Add(time.Second), "stripe: 503", t0.Add(time.Minute)))
		recent, err := f.RecentWebhooks(t.Context(), 10)
		f.must(err)
		record := func(id, subscription string, at time.Time, state WebhookState, problem string, done time.Time) WebhookRecord {
			return WebhookRecord{EventID: id, Type: "customer.subscription.updated", Subscription: subscription, ReceivedAt: at, State: state, Error: problem, FinishedAt: done}
		}
		third := record("evt_3", "sub_c", t0.Add(2*time.Second), WebhookReceived, "", time.Time{})
		second := record("evt_2", "", t0.Add(time.Second), WebhookFailed, "stripe: 503", t0.Add(time.Minute))
		first := record("evt_1", "sub_a", t0, WebhookFollowed, "", t0.Add(time.Minute))
		same(t, "recent", []WebhookRecord{third, second, first}, recent)
		failed, total, err := f.FailedWebhooks(t.Context(), 5)
		f.must(err)
		same(t, "failed", []WebhookRecord{second}, failed)
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
		want := Stats{Counts: reconcile.Counts{Subscriptions: 2, Active: 1, Canceled: 1, Customers: 2, Due: 1, Parked: 1},
			OldestDue: t0.Add(time.Second), Held: 1, Nudges: 1, Lease: Lease{Owner: "first", Until: t0.Add(ttl), Token: f.tok}}
		same(t, "stats", want, st)
		f.must(f.Ping(t.Context()))
	})
}

// TestALargePlanIsStoredInPartsAndSeenWhole: with each of these mistakes put in
// once, it went red: a plan that is shown before its last part; what a process that
// died had stored of it kept beside what comes in another order.
func TestALargePlanIsStoredInPartsAndSeenWhole(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		var all []reconcile.Action
		for i := range 5 {
			id := string(rune('a' + i))
			f.save(t0, facts("sub_"+id, "cus_"+id, ""))
			a := action("suspend:sub_"+id+"/1:42", reconcile.Suspend, "cus_"+id, "sub_"+id)
			a.How = reconcile.BoundByMarker
			f.plan("cus_"+id, a)
			all = append(all, a)
		}
		part := func(order []int, from, to int) reconcile.HeldPlan {
			p := held("large", reconcile.Suspend, t0)
			for _, i := range order[from:to] {
				p.Actions = append(p.Actions, all[i])
			}
			p.From, p.More = from, to < len(order)
			return p
		}
		unseen := func(when string) {
			t.Helper()
			plans, err := f.HeldPlans(t.Context(), t0, false)
			f.must(err)
			same(t, "seen "+when, 0, len(plans))
			_, err = f.Approve(t.Context(), "large", "op@example.com", t0)
			if !errors.Is(err, fault.Conflict) {
				t.Errorf("approving it %s: %v", when, err)
			}
		}
		first := []int{0, 1, 2, 3, 4}
		f.must(f.Hold(t.Context(), f.tok, "run-plan", part(first, 0, 3)))
		unseen("when its process has died")
		again := []int{4, 3, 2, 1, 0}
		f.must(f.Hold(t.Context(), f.tok, "run-plan", part(again, 0, 2)))
		unseen("while it is stored anew")
		f.must(f.Hold(t.Context(), f.tok, "run-plan", part(again, 2, 4)))
		f.must(f.Hold(t.Context(), f.tok, "run-plan", part(again, 4, 5)))
		want := part(again, 0, 5)
		plan, err := f.HeldPlan(t.Context(), "large")
		f.must(err)
		same(t, "whole", want, plan)
		// The same content in another order is the same plan; nothing of it doubles.
		f.must(f.Hold(t.Context(), f.tok, "run-plan", part(first, 0, 3)))
		f.must(f.Hold(t.Context(), f.tok, "run-plan", part(first, 3, 5)))
		plan, err = f.HeldPlan(t.Context(), "large")
		f.must(err)
		same(t, "held again", want, plan)
	})
}
