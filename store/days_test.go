package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheFiguresOfADay(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		ordered := t0.Add(-time.Hour)
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", func(s *reconcile.SubscriptionFacts) { s.Created = ordered }),
			facts("sub_b", "cus_b", "b@example.com", func(s *reconcile.SubscriptionFacts) { s.Created = ordered.Add(time.Minute) }))
		for i, a := range []reconcile.Action{
			action("create_subscription:sub_a/1", reconcile.CreateSubscription, "cus_a", "sub_a"),
			action("create_subscription:sub_b/1", reconcile.CreateSubscription, "cus_b", "sub_b"),
			action("create_org:cus_b", reconcile.CreateOrg, "cus_b", "sub_b"),
		} {
			f.must(f.do(a, t0.Add(time.Duration(i)*time.Minute), reconcile.Outcome{}))
		}
		since := t0.Add(time.Minute)
		counts, err := f.DoneSince(f.Context(), since)
		f.must(err)
		same(f, "counts", map[reconcile.ActionClass]int{
			{Kind: reconcile.CreateSubscription, State: reconcile.ActionApplied}: 1, {Kind: reconcile.CreateOrg, State: reconcile.ActionApplied}: 1}, counts)
		both := []reconcile.WentLive{{Subscription: "sub_b", Ordered: ordered.Add(time.Minute), Live: t0.Add(time.Minute)}, {Subscription: "sub_a", Ordered: ordered, Live: t0}}
		for _, c := range []struct {
			since time.Time
			limit int
			want  []reconcile.WentLive
		}{{t0, 10, both}, {t0, 1, both[:1]}, {since, 10, both[:1]}, {t0.Add(time.Hour), 10, nil}} {
			live, err := f.WentLive(f.Context(), c.since, c.limit)
			f.must(err)
			same(f, "went live", c.want, live)
		}
	})
}
