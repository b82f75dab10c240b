package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// maxDriftNotes is how many hostings that others have changed the notes of a run name.
const maxDriftNotes = 8

// driftBatch is how many hostings are compared before the next are looked up.
const driftBatch = 1000

// drift compares the share of hostings that is due with Enhance: in a full run that
// a person asked for, every one that is bound. A change makes its customers due, and
// they are planned in this run.
func (r *run) drift(ctx context.Context) error {
	ctx = priority.WithDefault(ctx, priority.Bulk)
	if r.mode == reconcile.RunTargeted {
		return r.lookAtNamed(ctx)
	}
	left, before := r.DriftShare, r.now.Add(-r.DriftInterval)
	if r.mode == reconcile.RunFull && r.everyHosting {
		left, before = 0, r.now // hostings that this run has read are not read again
	}
	if left <= 0 {
		left = math.MaxInt
	}
	c := comparison{tried: map[int64]bool{}}
	for left > 0 {
		skip := len(c.tried) - int(c.done.Load()) // looking at them did not make them looked at
		due, err := r.Inventory.DriftDue(ctx, before, r.now.Add(maxSkew), min(left, driftBatch)+skip)
		due = slices.DeleteFunc(due, func(h reconcile.Hosting) bool { return c.tried[h.ID] })
		if err != nil || len(due) == 0 {
			c.report(r)
			return err
		}
		left -= len(due)
		if err := r.compare(ctx, due, &c); err != nil {
			if errors.Is(err, fault.Denied) || ctx.Err() != nil {
				return fmt.Errorf("comparing with Enhance: %w", err)
			}
			r.notePartial("comparing with Enhance was cut short after %d hostings, the rest is due again in the next run: %v", c.done.Load(), err)
			return nil
		}
	}
	c.report(r)
	return nil
}

// comparison is what came of comparing in one run.
type comparison struct {
	tried  map[int64]bool
	done   atomic.Int32 // that were looked at
	failed atomic.Int32 // that could not be, for a reason of their own
	out    atomic.Int32 // that gave no answer
}

// maxComparedNotes is how many hostings that could not be compared a run names.
const maxComparedNotes = 3

func (c *comparison) report(r *run) {
	if n := c.failed.Load() + c.out.Load(); n > maxComparedNotes {
		r.notePartial("%d hostings could not be compared, because the panel refuses them or its answer cannot be read: it is not known whether they are up", n)
	}
}

// compare reads hostings. A refusal, or an answer that cannot be read, may concern single
// ones, which come first each time because they are never seen: the others are compared
// all the same. Some refusals are a reason to ask whether the token is good for
// anything, and some that give no answer are a panel that is out.
func (r *run) compare(ctx context.Context, due []reconcile.Hosting, c *comparison) error {
	total := len(c.tried) + len(due)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Concurrency)
	for _, h := range due {
		c.tried[h.ID] = true
		g.Go(guarded(func() error {
			var is reconcile.Hosting
			err := fault.Guard(func() (err error) {
				is, err = r.look(ctx, h.Org, h.ID)
				return err
			})
			r.logPanic("", err)
			if err == nil {
				r.noticeDrift(h, is)
				r.progress.show("comparing", int(c.done.Add(1)), total)
				return nil
			}
			return r.notCompared(ctx, c, h, err)
		}))
	}
	return g.Wait()
}

// notCompared judges why a hosting could not be compared. The error ends the comparison.
func (r *run) notCompared(ctx context.Context, c *comparison, h reconcile.Hosting, err error) error {
	switch fault.Of(err) {
	case fault.Canceled, fault.Fenced:
		return err
	case fault.Transient, fault.Throttled, fault.Ambiguous:
		if c.out.Add(1) >= breakAfter || ctx.Err() != nil {
			return err
		}
	case fault.Denied:
		if c.failed.Add(1) == denyAfter {
			if _, dead := r.Panel.Plans(ctx); dead != nil {
				return dead
			}
		}
	case fault.Malformed, fault.Permanent, fault.NotFound, fault.Conflict, fault.Unknown:
		if fault.Of(err) == fault.Unknown && fault.StackOf(err) == "" {
			return err // the database's
		}
		c.failed.Add(1)
	}
	if c.failed.Load()+c.out.Load() <= maxComparedNotes {
		r.notePartial("hosting %d could not be compared: %v", h.ID, err)
	}
	return nil
}

// noticeDrift reports a change that others have made at the panel since a hosting was
// last seen.
// A suspension with our mark is our own, of which we had not heard.
func (r *run) noticeDrift(was, is reconcile.Hosting) {
	text := planner.Drifted(was, is)
	if text == "" || is.State == reconcile.HostingSuspended && reconcile.SuspensionMarked(is.FriendlyName, r.Policy.Instance) {
		return
	}
	if n := r.findings.addDrift(reconcile.Drift{Hosting: is.ID, Org: is.Org, Text: text}); n <= maxDriftNotes {
		r.note("changed at the panel, not by us: %s", text)
	}
}

// lookAtNamed reads, in a run about certain subscriptions, the org of their customer and
// compares their hostings: a person who asks about one wants to know its state now.
func (r *run) lookAtNamed(ctx context.Context) error {
	customers, err := r.Queue.Customers(ctx, r.only)
	if err != nil {
		return err
	}
	var due []reconcile.Hosting
	for i := range customers {
		c := &customers[i]
		if c.Org != nil {
			if err := r.lookAtOrg(ctx, c.Org.ID); err != nil {
				return err
			}
		}
		for _, h := range boundTo(c, r.req.Subscriptions) {
			if !slices.ContainsFunc(due, func(d reconcile.Hosting) bool { return d.ID == h.ID }) {
				due = append(due, h)
			}
		}
	}
	c := comparison{tried: map[int64]bool{}}
	if err := r.compare(ctx, due, &c); err != nil {
		return fmt.Errorf("comparing with Enhance: %w", err)
	}
	c.report(r)
	return nil
}

// lookAtOrg reads an org again. If it cannot be read, the run goes on with the
// stored one, unless every further call would fail as well.
func (r *run) lookAtOrg(ctx context.Context, org string) error {
	err := r.readOrgByID(ctx, org)
	if err == nil {
		return nil
	}
	if fault.Of(err) == fault.Denied || ctx.Err() != nil {
		return fmt.Errorf("looking at org %s: %w", org, err)
	}
	r.notePartial("org %s could not be looked at, and is taken to be as it was: %v", org, err)
	return nil
}

// boundTo is the hostings that are bound to some of a customer's subscriptions.
func boundTo(c *reconcile.Customer, subscriptions []string) (hostings []reconcile.Hosting) {
	for _, b := range c.Bindings {
		if !slices.Contains(subscriptions, b.Subscription) {
			continue
		}
		h := reconcile.Hosting{ID: b.Hosting, Org: b.Org}
		if known := hostingOf(c, b.Hosting); known != nil {
			h = *known
			h.Org = b.Org
		}
		hostings = append(hostings, h)
	}
	return hostings
}
