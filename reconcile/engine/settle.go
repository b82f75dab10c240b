package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// looksNeeded is how many complete looks after the settling time must find
// nothing before an unanswered create is sent again.
const looksNeeded = 2

// settle finds out what became of writes that were never answered, this
// process's or those of one that died. What is found is adopted; what is not
// found is concluded to be undone only after the settling time, and for creates
// only after two complete looks.
func (r *run) settle(ctx context.Context, c *reconcile.Customer) (*reconcile.Customer, error) {
	if r.req.Dry || len(c.Pending) == 0 {
		return c, nil
	}
	for _, p := range c.Pending {
		if err := r.settleOne(ctx, c, p); err != nil {
			return c, fmt.Errorf("looking for the unanswered %s: %w", p.Kind, err)
		}
	}
	return r.load(ctx, c.ID)
}

// settled is when an answer can no longer take effect. A row that never got an
// outcome belongs to a process that died: it counts from when it was sent.
func (r *run) settled(p reconcile.Pending) time.Time {
	if at := p.SentAt.Add(r.Settle); at.After(p.SettleUntil) {
		return at
	}
	return p.SettleUntil
}

// lookGap keeps two looks from being one.
func (r *run) lookGap() time.Duration { return r.Settle / 3 }

// lookAgain is when the next look at an unanswered write is due; zero: none.
func (r *run) lookAgain(c *reconcile.Customer) time.Time {
	var first time.Time
	for _, p := range c.Pending {
		at := r.settled(p)
		if next := p.LookedAt.Add(r.lookGap()); p.Looks > 0 && next.After(at) {
			at = next
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if !first.IsZero() && !first.After(r.now) {
		return r.nextRun()
	}
	return first
}

func (r *run) settleOne(ctx context.Context, c *reconcile.Customer, p reconcile.Pending) error {
	out := reconcile.Outcome{Run: r.rec.ID, State: reconcile.ActionAdopted,
		Action: reconcile.Action{ID: p.ActionID, Kind: p.Kind, Customer: c.ID, Subscription: p.Subscription, Slot: p.Slot}}
	found, err := r.find(ctx, c, p, &out)
	if err != nil {
		return err
	}
	out.At = r.clock()
	if !found {
		out.Hosting, out.Org, out.Binding, out.Unsuspend, out.OrgNamed = nil, nil, nil, false, false
	}
	switch {
	case found:
		r.evidence.addRecovered(c.ID)
		r.log.WithField("action", p.ActionID).WithField("customer", c.ID).Info("found done, its answer had been lost")
	case repeatable(p.Kind):
		out.State, out.Error = reconcile.ActionFailed, "no answer, and not done; it is harmless to repeat"
	case out.At.Before(r.settled(p)) && !p.SettleUntil.Equal(p.SentAt):
		return nil
	case out.At.Before(r.settled(p)):
		// A row of a process that died is in flight for nobody, and must keep
		// nothing else of the customer waiting.
		out.State, out.SettleUntil, out.Looks, out.LookedAt = reconcile.ActionAmbiguous, r.settled(p), p.Looks, p.LookedAt
		out.Error = "no answer; it is looked for again after the settling time"
	default:
		r.conclude(p, &out)
	}
	err = r.Journal.RecordOutcome(ctx, r.tok, out)
	if errors.Is(err, fault.Conflict) && out.Binding != nil {
		out.Binding = nil // somebody else has it by now; the planner says whom
		err = r.Journal.RecordOutcome(ctx, r.tok, out)
	}
	return err
}

// repeatable are the writes of which a second one changes nothing.
func repeatable(k reconcile.ActionKind) bool {
	switch k {
	case reconcile.Link, reconcile.RenameOrg, reconcile.InviteOwner, reconcile.WriteMetadata:
		return true
	case reconcile.Resume, reconcile.CreateOrg, reconcile.CreateSubscription, reconcile.CreateWebsite,
		reconcile.ChangePlan, reconcile.Suspend, reconcile.Terminate:
		return false
	}
	return false
}

// conclude counts a look that found nothing after the settling time.
func (r *run) conclude(p reconcile.Pending, out *reconcile.Outcome) {
	create := p.Kind == reconcile.CreateOrg || p.Kind == reconcile.CreateSubscription
	looks := p.Looks
	if p.Looks == 0 || !out.At.Before(p.LookedAt.Add(r.lookGap())) {
		looks++
	}
	if create && looks < looksNeeded {
		out.State, out.SettleUntil, out.Looks, out.LookedAt = reconcile.ActionAmbiguous, r.settled(p), looks, out.At
		out.Error = "no answer; one complete look after the settling time found nothing"
		return
	}
	out.State, out.Looks, out.LookedAt = reconcile.ActionFailed, looks, out.At
	out.Error = "no answer, and it was looked for after the settling time: it was not done"
}

// find looks for the effect of one unanswered write. Every look is complete or an
// error.
func (r *run) find(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	switch p.Kind {
	case reconcile.CreateOrg:
		return r.findOrg(ctx, c, p)
	case reconcile.CreateSubscription:
		return r.findHosting(ctx, c, p, out)
	case reconcile.RenameOrg, reconcile.InviteOwner:
		return r.findOnOrg(ctx, c, p, out)
	case reconcile.Resume, reconcile.Suspend, reconcile.ChangePlan, reconcile.Terminate:
		return r.findChange(ctx, c, p, out)
	case reconcile.CreateWebsite, reconcile.WriteMetadata, reconcile.Link:
		// A website that was made shows when it is made again (the domain is then
		// taken by this very hosting); the others may be repeated.
		return false, nil
	}
	return false, fault.Errorf(fault.Permanent, "no way to look for a %s", p.Kind)
}

// findOrg looks through the newest orgs, and, where finding nothing is to prove
// something, through all of them: when it was sent is known by our clock only, and
// that may have been wrong. What it finds is stored; the planner then binds it by
// its marker.
func (r *run) findOrg(ctx context.Context, c *reconcile.Customer, p reconcile.Pending) (bool, error) {
	look := r.newestOrgs
	if !r.clock().Before(r.settled(p)) {
		look = r.everyOrgOnce
	}
	if err := look(ctx); err != nil {
		return false, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return false, err
	}
	marker := reconcile.Marker{StripeID: c.ID}
	ours := func(o reconcile.Org) bool {
		m, _ := reconcile.MarkerOf(o.Name)
		return m.Of(r.Policy.Instance) == marker && !o.Deleted
	}
	return again.Org != nil && ours(*again.Org) || slices.ContainsFunc(again.MarkedOrgs, ours), nil
}

// findHosting looks for a hosting by the marker that it was made with, and binds it
// as the journal says that it was meant: which item it was for nothing else tells,
// and that item, or the whole subscription, may have ended by now. Found twice, or
// bound to something else, it is left to the planner.
func (r *run) findHosting(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if c.Org == nil {
		return false, fault.Errorf(fault.Permanent, "hosting for %s was created in an org that is no longer bound", p.Subscription)
	}
	hostings, err := r.Panel.Hostings(ctx, c.Org.ID)
	if err != nil {
		return false, err
	}
	if err := r.Inventory.SaveHostings(ctx, r.tok, c.Org.ID, hostings, r.now); err != nil {
		return false, err
	}
	marker := reconcile.Marker{StripeID: p.Subscription, Slot: p.Slot}
	made := slices.DeleteFunc(hostings, func(h reconcile.Hosting) bool { return h.Marker().Of(r.Policy.Instance) != marker })
	if len(made) == 1 && (made[0].State == reconcile.HostingActive || made[0].State == reconcile.HostingSuspended) &&
		!slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool {
			return b.Hosting == made[0].ID || b.Subscription == p.Subscription && b.Slot == p.Slot
		}) {
		out.Binding = &reconcile.Binding{Subscription: p.Subscription, Item: p.Item, Slot: p.Slot, Org: c.Org.ID, Hosting: made[0].ID,
			How: reconcile.BoundByCreate, At: p.SentAt}
	}
	return len(made) > 0, nil
}

func (r *run) findOnOrg(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if c.Org == nil {
		return false, nil
	}
	if p.Kind == reconcile.InviteOwner && r.Policy.Onboarding == reconcile.Password {
		// Being an owner is only the middle of it. The mail with which the customer
		// chooses a password comes last, and nothing shows whether it was sent: done
		// again it is one mail too many, not done it is a customer locked out.
		return false, nil
	}
	if p.Kind == reconcile.InviteOwner {
		emails, err := r.Owners.OwnerEmails(ctx, c.Org.ID)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(emails, func(e string) bool { return reconcile.EmailKey(e) == reconcile.EmailKey(p.Email) }) {
			return false, nil
		}
		out.Invited, out.InvitedEmail = p.SentAt, reconcile.EmailKey(p.Email)
		return true, nil
	}
	o, err := r.Panel.Org(ctx, c.Org.ID)
	if err != nil {
		return false, err
	}
	if r.marked(o) {
		return false, nil
	}
	o.ObservedAt = r.clock()
	out.Org, out.OrgNamed = &o, true
	return true, nil
}

// findChange reads the hosting that was to be changed: the one that the journal
// names, whoever it is bound to by now. A customer who came back has taken it over
// while a suspension of it was still on its way; looked for under the old binding
// it would be taken for somebody else's, and never be lifted. A change that is
// there is ours, for we had read it otherwise right before we sent it; of a
// suspension the panel says whose it is.
func (r *run) findChange(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if err := r.lookAt(ctx, p.Org, p.Hosting); err != nil {
		return false, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return false, err
	}
	stored := hostingOf(again, p.Hosting)
	if stored == nil {
		return false, nil
	}
	h := *stored
	out.Hosting = &h
	switch p.Kind {
	case reconcile.Suspend:
		if h.State != reconcile.HostingSuspended {
			return false, nil
		}
		// Counted from now: of a database put back to an old copy the call may not be
		// the one that did it, and what is deleted one day must not be so earlier.
		h.SuspendedByUs = r.clock()
		return r.ours(ctx, h, false)
	case reconcile.Resume:
		out.Unsuspend = h.State == reconcile.HostingActive
		return h.State == reconcile.HostingActive, nil
	case reconcile.ChangePlan:
		return strings.HasSuffix(p.ActionID, ">"+strconv.Itoa(h.Plan)), nil
	case reconcile.Terminate:
		h.TerminatedByUs = p.SentAt
		return h.State == reconcile.HostingDeleted || h.State == reconcile.HostingMissing, nil
	case reconcile.Link, reconcile.CreateOrg, reconcile.RenameOrg, reconcile.InviteOwner, reconcile.CreateSubscription,
		reconcile.CreateWebsite, reconcile.WriteMetadata:
	}
	return false, nil
}
