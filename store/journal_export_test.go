package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheWholeJournalStreamsInTheOrderPlanned(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		const n = pageSize + 5
		f.must(f.SaveFacts(t.Context(), f.tok, fleet(0, n), false, t0))
		var planned []reconcile.Planned
		var want []string
		for i := range n {
			id := fmt.Sprintf("cus_%07d", i)
			planned = append(planned, reconcile.Planned{Customer: id, Actions: []reconcile.Action{action("create_org:"+id, reconcile.CreateOrg, id, "")}})
			want = append(want, "create_org:"+id)
		}
		for i, part := range [][]reconcile.Planned{planned[n-3:], planned[:n-3]} {
			f.must(f.SavePlanned(t.Context(), f.tok, "run-1", part, t0.Add(time.Duration(i)*time.Hour)))
		}
		want = slices.Concat(want[n-3:], want[:n-3])
		all := func(filter reconcile.ActionFilter) (got []string) {
			f.must(f.EachAction(t.Context(), filter, func(r reconcile.ActionRecord) error { got = append(got, r.ID); return nil }))
			return got
		}
		same(t, "all", want, all(reconcile.ActionFilter{}))
		same(t, "since", want[3:], all(reconcile.ActionFilter{Since: t0.Add(time.Minute)}))
		same(t, "of one customer", []string{"create_org:cus_0000007"}, all(reconcile.ActionFilter{Customer: "cus_0000007", State: reconcile.ActionPlanned, Since: t0}))
		same(t, "until", want[:3], all(reconcile.ActionFilter{Until: t0.Add(time.Hour - time.Microsecond)}))
		same(t, "until that moment", want, all(reconcile.ActionFilter{Until: t0.Add(time.Hour)}))
		oldest, err := f.Actions(t.Context(), reconcile.ActionFilter{Until: t0, Limit: n})
		f.must(err)
		same(t, "the list until then", 3, len(oldest))
		same(t, "in another state", []string(nil), all(reconcile.ActionFilter{State: reconcile.ActionFailed}))
		stop := errors.New("enough")
		if err := f.EachAction(t.Context(), reconcile.ActionFilter{}, func(reconcile.ActionRecord) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v, want the error of yield", err)
		}
		newest, err := f.Actions(t.Context(), reconcile.ActionFilter{Since: t0.Add(time.Hour), Limit: n})
		f.must(err)
		if len(newest) != n-3 {
			t.Errorf("the list since then has %d rows, want %d", len(newest), n-3)
		}
	})
}

func TestOnlyACustomerThatWaitsIsRetried(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "x@example.com"))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Version: f.customer("cus_a").Version}}, t0))
		if _, err := f.RetryWaiting(t.Context(), "sub_a", t0); !errors.Is(err, fault.Conflict) {
			t.Errorf("%v, want a conflict", err)
		}
		same(t, "due", []string(nil), f.dueIDs(t0.Add(time.Minute)))
		_, err := f.RetryWaiting(t.Context(), "nobody", t0)
		notFound(t, "retrying nobody", err)
		f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_a", Version: f.customer("cus_a").Version, Due: t0.Add(time.Hour), Error: "503"}, t0))
		customer, err := f.RetryWaiting(t.Context(), "sub_a", t0.Add(time.Minute))
		f.must(err)
		same(t, "retried", []any{"cus_a", []string{"cus_a"}}, []any{customer, f.dueIDs(t0.Add(time.Minute))})
	})
}
