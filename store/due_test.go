package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheQueueIsReadInPagesInTheOrderOfBecomingDue(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for i, id := range []string{"c", "a", "e", "b", "d"} { // a and e are due at the same time
			at := t0.Add(time.Duration(i) * time.Minute)
			if id == "e" {
				at = t0.Add(time.Minute)
			}
			f.save(at, facts("sub_"+id, "cus_"+id, ""))
		}
		now := t0.Add(3 * time.Minute)
		same(t, "due", []string{"cus_c", "cus_a", "cus_e", "cus_b"}, f.dueIDs(now))
		n, err := f.DueCount(t.Context(), now)
		f.must(err)
		same(t, "count", 4, n)
		page, next, err := f.Due(t.Context(), now, "", 10)
		f.must(err)
		same(t, "one large page and its end", []any{4, ""}, []any{len(page), next})
		if _, _, err := f.Due(t.Context(), now, "not a position", 10); err == nil {
			t.Error("a position that is none was taken")
		}
	})
}

func TestSavePlannedDecidesWhenACustomerIsDueNext(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""), facts("sub_b", "cus_b", ""))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{
			{Customer: "cus_a", Due: t0.Add(time.Hour)}, {Customer: "cus_b"}, {Customer: "cus_unknown", Due: t0}}, t0))
		same(t, "due before", []string(nil), f.dueIDs(t0.Add(time.Hour-time.Microsecond)))
		same(t, "due at", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		same(t, "customers", []string{"cus_a", "cus_b"}, f.customerIDs())
	})
}

func TestCustomersOfSubscriptionsAndSubscriptionsOfBuyers(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "x@example.com"), facts("sub_b", "cus_b", "X@example.com"), facts("sub_c", "cus_c", ""))
		ids, err := f.CustomersOf(t.Context(), []string{"sub_a", "sub_b", "sub_c", "sub_unknown"})
		f.must(err)
		same(t, "customers", []string{"cus_a", "cus_b", "cus_c"}, ids)
		ids, err = f.SubscriptionsOf(t.Context(), []string{"cus_b", "cus_c", "cus_unknown"})
		f.must(err)
		same(t, "subscriptions", []string{"sub_b", "sub_c"}, ids)
	})
}

func TestABatchGivesEachCustomerItsOwn(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		const n = 30
		var want []reconcile.Customer
		for i := range n {
			id := fmt.Sprintf("%02d", i)
			customer, subscription, org := "cus_"+id, "sub_"+id, "org-"+id
			f.save(t0, facts(subscription, customer, id+"@example.com"))
			f.bindOrg(customer, org)
			f.bindHosting(customer, subscription, 1, org, int64(100+i))
			want = append(want, f.customer(customer))
		}
		got, _, err := f.Due(t.Context(), t0.Add(time.Hour), "", n)
		f.must(err)
		same(t, "customers", want, got)
		for i, c := range got {
			if len(c.Bindings) != 1 || len(c.Hostings) != 1 || c.Hostings[0].ID != int64(100+i) || c.Org == nil || c.Org.ID != fmt.Sprintf("org-%02d", i) {
				t.Errorf("%s has the wrong things: %+v", c.ID, c)
			}
		}
	})
}

func TestBackOffAndParking(t *testing.T) {
	type state struct {
		Failures      int
		Retry, Parked time.Time
		Why           string
	}
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		steps := []struct {
			name string
			b    reconcile.Backoff
			now  time.Time
			want state
			due  time.Time
		}{
			{"its own failure", reconcile.Backoff{Counts: true, Due: t0.Add(10 * time.Second), Error: "400"}, t0,
				state{1, t0.Add(10 * time.Second), time.Time{}, "400"}, t0.Add(10 * time.Second)},
			{"an outage does not count", reconcile.Backoff{Due: t0.Add(20 * time.Second), Error: "503"}, t0.Add(10 * time.Second),
				state{1, t0.Add(20 * time.Second), time.Time{}, "503"}, t0.Add(20 * time.Second)},
			{"parked", reconcile.Backoff{Counts: true, Parked: true, Due: t0.Add(time.Hour), Error: "400 again"}, t0.Add(20 * time.Second),
				state{2, t0.Add(time.Hour), t0.Add(20 * time.Second), "400 again"}, t0.Add(time.Hour)},
			{"still parked when probed", reconcile.Backoff{Counts: true, Parked: true, Due: t0.Add(7 * time.Hour), Error: "400 still"}, t0.Add(time.Hour),
				state{3, t0.Add(7 * time.Hour), t0.Add(20 * time.Second), "400 still"}, t0.Add(7 * time.Hour)},
			{"success", reconcile.Backoff{}, t0.Add(7 * time.Hour), state{}, t0.Add(7 * time.Hour)},
		}
		for _, s := range steps {
			s.b.Customer, s.b.Version = "cus_a", f.customer("cus_a").Version
			f.must(f.Postpone(t.Context(), f.tok, s.b, s.now))
			c := f.customer("cus_a")
			same(t, s.name, s.want, state{c.Failures, c.RetryAfter, c.Parked, c.LastError})
			same(t, s.name+": due", []string{"cus_a"}, f.dueIDs(s.due))
			same(t, s.name+": due too early", []string(nil), f.dueIDs(s.due.Add(-time.Microsecond)))
		}
	})
}

func TestAFailureDoesNotDelayADeadlineThatIsEarlier(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Due: t0.Add(time.Minute)}}, t0))
		f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_a", Version: f.customer("cus_a").Version, Due: t0.Add(time.Hour), Error: "no"}, t0))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Minute)))
	})
}

func TestRetryReleasesAParkedCustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "x@example.com"), facts("sub_b", "cus_b", "x@example.com"))
		f.joined("cus_b", "cus_a")
		a := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")
		f.plan("cus_a", a)
		for _, id := range []string{"cus_a", "cus_b", "sub_b", a.ID, a.ID + "@run-plan"} {
			f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_a", Version: f.customer("cus_a").Version, Counts: true, Parked: true, Due: t0.Add(6 * time.Hour), Error: "no"}, t0))
			customer, err := f.Retry(t.Context(), id, t0.Add(time.Minute))
			f.must(err)
			c := f.customer("cus_a")
			same(t, "retry "+id, []any{"cus_a", 0, time.Time{}, time.Time{}, ""}, []any{customer, c.Failures, c.RetryAfter, c.Parked, c.LastError})
			same(t, "retry "+id+": due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Minute)))
		}
		f.plan("cus_a") // nothing is wanted any more: the row is closed
		again, err := f.Retry(t.Context(), a.ID, t0.Add(2*time.Minute))
		f.must(err)
		same(t, "an action that is over", "cus_a", again)
		_, err = f.Retry(t.Context(), "create_org:cus", t0)
		notFound(t, "the beginning of an action", err)
		_, err = f.Retry(t.Context(), "nobody", t0)
		notFound(t, "retrying nobody", err)
	})
}

// Each is in another state when all are made due, and each may be in the hands of someone
// who has loaded it before.
func TestAllAreMadeDueAndEachVersionRises(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		later := t0.Add(time.Hour)
		f.save(t0, facts("sub_a", "cus_due", ""), facts("sub_b", "cus_planned", ""), facts("sub_c", "cus_later", ""))
		f.settled(t0, "cus_planned", "cus_later")
		f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_later", Error: "no", Due: later.Add(time.Hour)}, t0))
		ids := []string{"cus_due", "cus_later", "cus_planned"}
		before, err := f.Versions(t.Context(), ids)
		f.must(err)
		f.must(f.MakeDue(t.Context(), f.tok, nil, later))
		after, err := f.Versions(t.Context(), ids)
		f.must(err)
		for _, id := range ids {
			same(t, id+" has risen by", int64(1), after[id]-before[id])
		}
		same(t, "the queue", ids, f.dueIDs(later))
		same(t, "due since before", []string{"cus_due"}, f.dueIDs(t0))
	})
}
