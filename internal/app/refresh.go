package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// refreshLimit is how long both sides may take for one customer, because a person waits.
const refreshLimit = 20 * time.Second

// Refreshed is the result of reading a customer at both sides.
type Refreshed struct {
	Problems []string // parts that could not be read, and are shown as stored
	Changes  []string // differences from the stored state
}

// Refresh reads a customer at both sides now and puts the result into the record. It stores
// nothing, so it needs no lease and does not disturb a run at work.
func (a *App) Refresh(ctx context.Context, r *reconcile.CustomerRecord) Refreshed {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	var f Refreshed
	for i := range r.Subscriptions {
		f.subscription(ctx, a, &r.Subscriptions[i])
	}
	f.org(ctx, a, r)
	f.schedules(ctx, a, r)
	seen := map[int64]bool{}
	for _, b := range r.Bindings {
		if !seen[b.Hosting] {
			seen[b.Hosting] = true
			f.hosting(ctx, a, r, b, a.Now())
		}
	}
	return f
}

// schedules reads the schedules that change the customer's subscriptions, or begin one, on a
// day to come.
func (f *Refreshed) schedules(ctx context.Context, a *App, r *reconcile.CustomerRecord) {
	for _, b := range r.Buyers {
		of, err := a.Stripe.SchedulesOf(ctx, b.ID)
		switch {
		case err == nil:
			r.Schedules = append(r.Schedules, of...)
		case errors.Is(err, fault.Denied):
			f.Problems = append(f.Problems, "scheduled changes of plan are left out: the key at Stripe may not read subscription schedules")
			return
		default:
			f.Problems = append(f.Problems, fmt.Sprintf("scheduled changes of plan of %s could not be read at Stripe: %v", b.ID, err))
		}
	}
}

func (f *Refreshed) org(ctx context.Context, a *App, r *reconcile.CustomerRecord) {
	if r.Org == nil {
		return
	}
	org, err := a.Enhance.Org(ctx, r.Org.ID)
	switch {
	case err == nil:
		if org.Suspended != r.Org.Suspended || org.Deleted != r.Org.Deleted {
			f.Changes = append(f.Changes, fmt.Sprintf("organisation %s is suspended %t, deleted %t at the panel now", org.ID, org.Suspended, org.Deleted))
		}
		r.Org = &org
	case errors.Is(err, fault.NotFound):
		f.Changes = append(f.Changes, "the panel has no organisation "+r.Org.ID+" any more")
	default:
		f.Problems = append(f.Problems, fmt.Sprintf("organisation %s could not be read at the panel: %v", r.Org.ID, err))
	}
}

func (f *Refreshed) subscription(ctx context.Context, a *App, s *reconcile.Subscription) {
	facts, err := a.Stripe.Subscription(ctx, s.ID)
	switch {
	case err == nil:
		if facts.Status != s.Status {
			f.Changes = append(f.Changes, fmt.Sprintf("%s is %s at Stripe now and is stored as %s", s.ID, facts.StatusText, s.StatusText))
		}
		was := *s
		*s = facts.Subscription
		// These come from the store alone: a refresh does not decide again since when nothing is paid.
		s.Lapse, s.StatusSince, s.IsNewOrder, s.MetadataWritten = was.Lapse, was.StatusSince, was.IsNewOrder, was.MetadataWritten
		if s.Domain == "" {
			s.Domain = was.Domain
		}
	case errors.Is(err, fault.NotFound):
		f.Changes = append(f.Changes, "Stripe has no subscription "+s.ID+" in this account and mode")
	default:
		f.Problems = append(f.Problems, fmt.Sprintf("%s could not be read at Stripe: %v", s.ID, err))
	}
}

func (f *Refreshed) hosting(ctx context.Context, a *App, r *reconcile.CustomerRecord, b reconcile.Binding, now time.Time) {
	is, err := a.Enhance.Hosting(ctx, b.Org, b.Hosting)
	if errors.Is(err, fault.NotFound) {
		is, err = reconcile.Hosting{ID: b.Hosting, Org: b.Org, State: reconcile.HostingMissing}, nil
	}
	if err != nil {
		f.Problems = append(f.Problems, fmt.Sprintf("hosting %d could not be read at the panel: %v", b.Hosting, err))
		return
	}
	is.ObservedAt = now
	for i := range r.Hostings {
		was := &r.Hostings[i]
		if was.ID != b.Hosting {
			continue
		}
		if was.SuspendedBy == "" || is.SuspendedBy == "" || was.SuspendedBy == is.SuspendedBy {
			is.SuspendedByUs = was.SuspendedByUs
		}
		if is.State != reconcile.HostingSuspended {
			is.SuspendedByUs = time.Time{}
		}
		if text := planner.Drifted(*was, is); text != "" {
			f.Changes = append(f.Changes, text)
		}
		is.TerminatedByUs, is.Website, is.WebsiteTaken, is.Bound = was.TerminatedByUs, was.Website, was.WebsiteTaken, was.Bound
		is.App = was.App
		if is.State == reconcile.HostingMissing {
			is.Plan, is.FriendlyName = was.Plan, was.FriendlyName
		}
		*was = is
		return
	}
	r.Hostings = append(r.Hostings, is)
}
