package engine

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// rests tells which actions are not done on what an earlier run has read: those
// that take something away, and a change of plan, which undoes another.
func rests(c *planner.Catalog, a reconcile.Action) bool {
	return c.Takes(a) || a.Kind == reconcile.ChangePlan
}

// readPremise reads afresh, by id, what such an action rests on: every subscription
// bound to the hosting, and last the hosting itself. One that goes does so because
// nothing else needs it, so before that whatever else the customer has at both sides,
// unless it was just read: another subscription may have grown without an event that
// told, and what serves it must be there; and what is on the hostings, where it mattered
// which of them goes.
func (r *run) readPremise(ctx context.Context, c *reconcile.Customer, a reconcile.Action, contents []string) error {
	var served []string
	for _, b := range c.Bindings {
		if b.Hosting == a.Hosting && !slices.Contains(served, b.Subscription) {
			served = append(served, b.Subscription)
		}
	}
	if a.Kind != reconcile.ChangePlan {
		if err := r.readAround(ctx, c, a.Hosting, served); err != nil {
			return err
		}
		for _, org := range contents {
			if err := r.readContent(ctx, org); err != nil {
				return err
			}
		}
	}
	for _, id := range served {
		if err := r.readOne(ctx, id, true); err != nil {
			return err
		}
	}
	return r.lookAt(ctx, a.Org, a.Hosting)
}

// readAround reads what a customer has besides a hosting and the subscriptions that it
// serves: some at once, for resellers have hundreds.
func (r *run) readAround(ctx context.Context, c *reconcile.Customer, but int64, served []string) error {
	just := func(at time.Time) bool { return r.clock().Sub(at).Abs() <= premiseAge }
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Concurrency)
	for i := range c.Subscriptions {
		if s := &c.Subscriptions[i]; !s.Status.Ended() && !slices.Contains(served, s.ID) && !(s.ByID && just(s.ReadAt)) {
			g.Go(guarded(func() error { return r.readOne(ctx, s.ID, true) }))
		}
	}
	looked := map[int64]bool{but: true}
	for i := range c.Hostings {
		h := &c.Hostings[i]
		looked[h.ID] = looked[h.ID] || just(h.ObservedAt)
	}
	for _, b := range c.Bindings {
		if !looked[b.Hosting] {
			looked[b.Hosting] = true
			g.Go(guarded(func() error { return r.lookAt(ctx, b.Org, b.Hosting) }))
		}
	}
	return g.Wait()
}
