package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// refreshLimit is how long both sides may take for one customer: a person waits.
const refreshLimit = 20 * time.Second

// fresh is what came of looking at a customer at both sides.
type fresh struct {
	problems []string // what could not be looked at, and is shown as it is stored
	changes  []string // what is other than it is stored
}

// refresh looks at both sides now and puts what it sees into the record. It stores
// nothing, so it needs no lease and disturbs no run at work: the next run looks by itself.
func (p *program) refresh(ctx context.Context, a *parts, r *reconcile.CustomerRecord) fresh {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	var f fresh
	for i := range r.Subscriptions {
		f.subscription(ctx, a, &r.Subscriptions[i])
	}
	if r.Org != nil {
		org, err := a.enhance.Org(ctx, r.Org.ID)
		switch {
		case err == nil:
			if org.Suspended != r.Org.Suspended || org.Deleted != r.Org.Deleted {
				f.changes = append(f.changes, fmt.Sprintf("organisation %s is suspended %t, deleted %t at the panel now", org.ID, org.Suspended, org.Deleted))
			}
			r.Org = &org
		case errors.Is(err, fault.NotFound):
			f.changes = append(f.changes, "the panel has no organisation "+r.Org.ID+" any more")
		default:
			f.problems = append(f.problems, fmt.Sprintf("the panel cannot say what organisation %s is: %v", r.Org.ID, err))
		}
	}
	seen := map[int64]bool{}
	for _, b := range r.Bindings {
		if !seen[b.Hosting] {
			seen[b.Hosting] = true
			f.hosting(ctx, a, r, b, p.now())
		}
	}
	return f
}

func (f *fresh) subscription(ctx context.Context, a *parts, s *reconcile.Subscription) {
	facts, err := a.stripe.Subscription(ctx, s.ID)
	switch {
	case err == nil:
		if facts.Status != s.Status {
			f.changes = append(f.changes, fmt.Sprintf("%s is %s at Stripe now and is stored as %s", s.ID, facts.StatusText, s.StatusText))
		}
		was := *s
		*s = facts.Subscription
		// What the store keeps stays: a look does not judge anew since when nothing is paid.
		s.Lapse, s.StatusSince, s.SaidNew, s.MetadataWritten = was.Lapse, was.StatusSince, was.SaidNew, was.MetadataWritten
		if s.Domain == "" {
			s.Domain = was.Domain
		}
	case errors.Is(err, fault.NotFound):
		f.changes = append(f.changes, "Stripe knows no subscription "+s.ID+" in this account and mode")
	default:
		f.problems = append(f.problems, fmt.Sprintf("Stripe cannot say what %s is: %v", s.ID, err))
	}
}

func (f *fresh) hosting(ctx context.Context, a *parts, r *reconcile.CustomerRecord, b reconcile.Binding, now time.Time) {
	is, err := a.enhance.Hosting(ctx, b.Org, b.Hosting)
	if errors.Is(err, fault.NotFound) {
		is, err = reconcile.Hosting{ID: b.Hosting, Org: b.Org, State: reconcile.HostingMissing}, nil
	}
	if err != nil {
		f.problems = append(f.problems, fmt.Sprintf("the panel cannot say what hosting %d is: %v", b.Hosting, err))
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
		if text := reconcile.Drifted(*was, is); text != "" {
			f.changes = append(f.changes, text)
		}
		is.TerminatedByUs, is.Website, is.WebsiteTaken, is.Bound = was.TerminatedByUs, was.Website, was.WebsiteTaken, was.Bound
		if is.State == reconcile.HostingMissing {
			is.Plan, is.FriendlyName = was.Plan, was.FriendlyName
		}
		*was = is
		return
	}
	r.Hostings = append(r.Hostings, is)
}
