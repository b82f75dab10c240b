package enhance_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestListingsOfEverythingAreBulkAndAllElseIsOfTheClassOfItsContext(t *testing.T) {
	every := func(ctx context.Context, n *town) error {
		return n.client.EveryOrg(ctx, func([]reconcile.Org) error { return nil })
	}
	orgsSince := func(since time.Time) func(context.Context, *town) error {
		return func(ctx context.Context, n *town) error {
			_, err := n.client.Orgs(ctx, since)
			return err
		}
	}
	read := func(ctx context.Context, n *town) error {
		_, err := n.client.Hostings(ctx, n.org)
		return err
	}
	write := func(ctx context.Context, n *town) error { return n.client.RenameOrg(ctx, n.org, "Ada Lovelace") }
	urgent := priority.With(t.Context(), priority.Urgent)
	for _, tt := range []struct {
		name string
		call func(context.Context, *town) error
		ctx  context.Context
		want priority.Class
	}{
		{"all orgs, page by page", every, t.Context(), priority.Bulk},
		{"all orgs, page by page, urgently", every, urgent, priority.Urgent},
		{"all orgs", orgsSince(time.Time{}), t.Context(), priority.Bulk},
		{"the newest orgs", orgsSince(time.Now().Add(time.Hour)), t.Context(), priority.Normal},
		{"a read", read, t.Context(), priority.Normal},
		{"an urgent read", read, urgent, priority.Urgent},
		{"a write", write, t.Context(), priority.Normal},
		{"an urgent write", write, urgent, priority.Urgent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limiter := ratelimit.New(ratelimit.Options{RPS: 1e6})
			n := newTown(t, func(o *enhance.Options) { o.Limiter = limiter })
			if err := tt.call(tt.ctx, n); err != nil {
				t.Fatal(err)
			}
			got := map[priority.Class]bool{}
			for _, c := range priority.Classes {
				if limiter.Granted(c) > 0 {
					got[c] = true
				}
			}
			if diff := cmp.Diff(map[priority.Class]bool{tt.want: true}, got); diff != "" {
				t.Errorf("classes of the requests (-want +got):\n%s", diff)
			}
		})
	}
}
