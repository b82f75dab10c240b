package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TestDisputesAreKeptAndWakeTheirCustomer, once for each difference and not for being read.
func TestDisputesAreKeptAndWakeTheirCustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		wakes := map[string]int64{}
		woken := func(want ...string) {
			t.Helper()
			now, err := f.Versions(t.Context(), []string{"cus_a", "cus_b"})
			f.must(err)
			var got []string
			for _, id := range []string{"cus_a", "cus_b"} {
				if now[id] != wakes[id] {
					got = append(got, id)
				}
			}
			wakes = now
			same(t, "woken", want, got)
		}
		woken()
		d := reconcile.Dispute{ID: "dp_1", StripeCustomer: "cus_a", Subscription: "sub_a", Invoice: "in_1", Status: reconcile.DisputeNeedsResponse,
			Amount: 900, Currency: "eur", Opened: t0, ReadAt: t0}
		refund := reconcile.Dispute{ID: "re_1", StripeCustomer: "cus_x", Status: reconcile.DisputeRefunded, Amount: 5, Currency: "eur", Opened: t0, ReadAt: t0}
		f.must(f.SaveDisputes(t.Context(), f.tok, []reconcile.Dispute{d, refund}, t0))
		woken("cus_a")
		all, err := f.Disputes(t.Context())
		f.must(err)
		same(t, "all", []reconcile.Dispute{d, refund}, all)
		same(t, "of the customer", []reconcile.Dispute{d}, f.customer("cus_a").Disputes)
		same(t, "of another", []reconcile.Dispute(nil), f.customer("cus_b").Disputes)

		d.ReadAt = t0.Add(time.Hour)
		f.must(f.SaveDisputes(t.Context(), f.tok, []reconcile.Dispute{d, refund}, t0))
		woken()
		same(t, "read again", []reconcile.Dispute{d}, f.customer("cus_a").Disputes)
		d.Status, d.PaidAt, d.PaymentUnread = reconcile.DisputeLost, t0, true
		f.must(f.SaveDispute(t.Context(), f.tok, d, true, t0))
		woken("cus_a")
		same(t, "lost", []reconcile.Dispute{d}, f.customer("cus_a").Disputes)
		d.ReadAt = t0.Add(2 * time.Hour)
		f.must(f.SaveDispute(t.Context(), f.tok, d, true, t0))
		woken()
		f.must(f.SaveDispute(t.Context(), f.tok, reconcile.Dispute{ID: "dp_1"}, false, t0))
		woken("cus_a")
		same(t, "won", []reconcile.Dispute(nil), f.customer("cus_a").Disputes)
		f.must(f.SaveDispute(t.Context(), f.tok, d, true, t0))
		woken("cus_a")
		f.must(f.SaveDisputes(t.Context(), f.tok, nil, t0))
		woken("cus_a")
		same(t, "none any more", []reconcile.Dispute(nil), f.customer("cus_a").Disputes)
	})
}

// disputeOf is a dispute of cus_a.
func disputeOf(id string) reconcile.Dispute {
	return reconcile.Dispute{ID: id, StripeCustomer: "cus_a", Status: reconcile.DisputeLost, Amount: 900, Currency: "eur", Opened: t0, ReadAt: t0}
}
