package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// premiseAge is how old the reading may be on which something is taken away, or an owner is
// invited.
const premiseAge = time.Minute

// preparation is the reads for the actions of one customer before they are done. A
// dry run prepares its actions like any other, so that it comes upon the same things.
type preparation struct {
	*run
	readAt map[string]time.Time // action id → when the facts that it rests on were read
	looked map[string]bool      // ids of the actions that were looked for first
}

func (r *run) newPreparation() *preparation {
	return &preparation{r, map[string]time.Time{}, map[string]bool{}}
}

// prepare reads what an action needs before it is done. If it reports that it has read
// something, the customer is planned again with the new facts.
func (p *preparation) prepare(ctx context.Context, c *reconcile.Customer, a reconcile.Action, contents []string) (read bool, err error) {
	e, err := effectOf(a.Kind)
	if err != nil {
		return false, err
	}
	if e.premise && p.isOld(a) {
		if err := p.readPremise(ctx, c, a, there(contents)); err != nil {
			return false, fmt.Errorf("%s: checking the premise: %w", describe(a), err)
		}
		p.readAt[a.ID] = p.clock()
		return true, nil
	}
	if e.lookFirst == nil {
		return false, nil
	}
	first := !p.looked[a.ID]
	p.looked[a.ID] = true
	if read, err = e.lookFirst(p.run, ctx, c, a, first); err != nil {
		return false, fmt.Errorf("%s: looking first: %w", describe(a), err)
	}
	return read, nil
}

// isOld reports whether the facts on which an action rests were not read, or too long ago. A
// dry run takes no time, and a hosting that it makes in thought cannot be read.
func (p *preparation) isOld(a reconcile.Action) bool {
	at, read := p.readAt[a.ID]
	if p.req.Dry {
		return !read && a.Hosting > 0
	}
	return !read || p.clock().Sub(at) > premiseAge
}

// lookForOrg makes sure that the newest orgs are known before another one is made. What
// may be in an org that cannot be listed is an error: see orgIndex.creationBlocked.
func (r *run) lookForOrg(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if first {
		return true, r.freshIndex(ctx)
	}
	return false, r.index.creationBlocked(c, a, r.Policy.Instance)
}

// lookForHosting reads the hostings of the org, once for each org: we are the only
// writer, and an org that was made in this run began empty.
func (r *run) lookForHosting(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || !r.index.firstLook(a.Org) {
		return false, r.index.creationBlocked(c, a, r.Policy.Instance)
	}
	if err := r.readOrg(ctx, a.Org); err != nil {
		return true, err
	}
	if err := r.noticeSeconds(ctx); err != nil {
		return true, err
	}
	return true, r.freshIndex(ctx) // a database that was put back may not know where else it is
}

// lookAtHosting reads a hosting that is about to be switched on again: staff may have
// suspended it as well.
func (r *run) lookAtHosting(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first {
		return false, nil
	}
	return true, r.lookAt(ctx, a.Org, a.Hosting)
}

// lookAtBuyer reads the subscription of the buyer who is about to be invited, unless it was
// read lately. If the event about a new e-mail was lost, the address is not the buyer's any
// more, and whoever has it now would become the owner of the org.
func (r *run) lookAtBuyer(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || a.Instead != "" {
		return false, nil
	}
	var latest *reconcile.Subscription
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		its := slices.ContainsFunc(c.Buyers, func(b reconcile.Buyer) bool {
			return b.ID == s.StripeCustomer && reconcile.EmailKey(b.Email) == reconcile.EmailKey(a.Email)
		})
		if its && (latest == nil || s.ReadAt.After(latest.ReadAt)) {
			latest = s
		}
	}
	if latest == nil || r.clock().Sub(latest.ReadAt).Abs() <= premiseAge {
		return false, nil
	}
	return true, r.readOne(ctx, latest.ID, false)
}

// readPremise reads afresh, by id, what such an action rests on: every subscription
// bound to the hosting, and last the hosting itself. One that goes does so because
// nothing else needs it, so before that whatever else the customer has at both sides,
// unless it was just read: another subscription may have grown without an event, and its hostings must be
// there; and the websites on the hostings, if they mattered for the choice.
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
	if err := r.readDisputesOf(ctx, c, served); err != nil {
		return err
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

// readContent lists the websites of an org and stores them for each of its hostings. If
// the panel or the token does not allow that, it is a fact and not a failure: nothing is
// taken away without it, but the customer must not wait for the rest. An error that may
// pass by itself is tried again.
func (r *run) readContent(ctx context.Context, org string) error {
	now := r.clock()
	sites, err := r.Contents.Websites(ctx, org)
	unread := ""
	if refused(err) {
		unread, err = err.Error(), nil
	}
	if err != nil {
		return err
	}
	return r.ContentStore.SaveContent(ctx, r.tok, org, sites, unread, now)
}
