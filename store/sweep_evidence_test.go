package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The test fails if subscriptions count that are gone, or that were made after the listing
// began.
func TestUnlistedIsWhatASweepLeftOut(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		began := t0.Add(time.Hour)
		f.save(t0, facts("sub_a", "cus_a", "", created(t0)), facts("sub_b", "cus_b", "", created(t0)),
			facts("sub_c", "cus_c", "", created(t0)), facts("sub_d", "cus_d", "", created(t0)), facts("sub_new", "cus_e", "", created(began)))
		f.must(f.MarkGone(t.Context(), f.tok, "sub_d", t0))
		if _, _, err := f.Unlisted(t.Context(), began, 10); err == nil {
			t.Error("there is an answer without a sweep")
		}
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.must(f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{facts("sub_a", "cus_a", "", created(t0))}))
		for _, limit := range []int{10, 1, 0} {
			ids, total, err := f.Unlisted(t.Context(), began, limit)
			f.must(err)
			same(t, "left out", append([]string(nil), []string{"sub_b", "sub_c"}[:min(2, limit)]...), ids)
			same(t, "left out in all", 2, total)
		}
	})
}

// The test fails if the instant is ignored, or if subscriptions count that are listed again.
func TestGoneIsCountedFromAnInstantUntilItIsBack(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for i, id := range []string{"sub_a", "sub_b", "sub_c"} {
			f.save(t0, facts(id, "cus_"+id, "", created(t0)))
			f.must(f.MarkGone(t.Context(), f.tok, id, t0.Add(time.Duration(i)*time.Hour)))
		}
		f.save(t0.Add(3*time.Hour), facts("sub_c", "cus_sub_c", "", created(t0)))
		f.must(f.BeginSweep(t.Context(), f.tok))
		for since, want := range map[time.Time]int{{}: 2, t0.Add(-1): 2, t0: 1, t0.Add(time.Hour): 0} {
			n, err := f.Gone(t.Context(), since)
			f.must(err)
			same(t, "gone since "+since.String(), want, n)
		}
		f.must(f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{facts("sub_a", "cus_sub_a", "", created(t0))}))
		n, err := f.Gone(t.Context(), time.Time{})
		f.must(err)
		same(t, "gone when one is listed again", 1, n)
	})
}

// The server of these tests has another time zone, which is not a different time.
func TestTheClocksOfOneMachineAgree(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		off, err := f.ClockSkew(t.Context())
		f.must(err)
		if off.Abs() > time.Second {
			t.Errorf("the clocks are %s apart", off)
		}
	})
}
