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

// findLostWrites finds out whether writes without an answer were done, this process's or
// those of one that died. A write that is found is adopted. If nothing is found, it concludes
// only after the settling time that the write was not done, and for creates only
// after two complete looks.
func (r *run) findLostWrites(ctx context.Context, c *reconcile.Customer) (*reconcile.Customer, error) {
	if r.req.Dry || len(c.Pending) == 0 {
		return c, nil
	}
	for _, p := range c.Pending {
		err := r.findLostWrite(ctx, c, p)
		if err != nil && leftAside(reconcile.Action{Kind: p.Kind}, err) {
			r.log.WithField("action", p.ActionID).WithField("customer", c.ID).WithError(err).Warn("not found out; it is looked for again")
			continue
		}
		if err != nil {
			return c, fmt.Errorf("looking for the unanswered %s: %w", p.Kind, err)
		}
	}
	return r.load(ctx, c.ID)
}

// settledAt is when an unanswered call can no longer take effect. A row that never got an
// outcome belongs to a process that died: it counts from when it was sent.
func (r *run) settledAt(p reconcile.Pending) time.Time {
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
		at := r.settledAt(p)
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

func (r *run) findLostWrite(ctx context.Context, c *reconcile.Customer, p reconcile.Pending) error {
	out := reconcile.Outcome{Run: r.rec.ID, State: reconcile.ActionAdopted,
		Action: reconcile.Action{ID: p.ActionID, Kind: p.Kind, Customer: c.ID, Subscription: p.Subscription, Slot: p.Slot}}
	e, err := effectOf(p.Kind)
	if err != nil {
		return err
	}
	found := false
	if e.find != nil {
		if found, err = e.find(r, ctx, c, p, &out); err != nil {
			return err
		}
	}
	out.At = r.clock()
	if !found {
		out.Hosting, out.Org, out.Binding, out.Unsuspend, out.OrgNamed = nil, nil, nil, false, false
	}
	switch {
	case found:
		r.evidence.addRecovered(c.ID)
		r.log.WithField("action", p.ActionID).WithField("customer", c.ID).Info("found done, its answer had been lost")
	case e.repeatable:
		out.State, out.Error = reconcile.ActionFailed, "no answer, and not done; it is harmless to repeat"
	case out.At.Before(r.settledAt(p)) && !p.SettleUntil.Equal(p.SentAt):
		return nil
	case out.At.Before(r.settledAt(p)):
		// A row of a process that died is no longer in flight, and must not
		// delay the other actions of the customer.
		out.State, out.SettleUntil, out.Looks, out.LookedAt = reconcile.ActionAmbiguous, r.settledAt(p), p.Looks, p.LookedAt
		out.Error = "no answer; it is looked for again after the settling time"
	default:
		r.conclude(e, p, &out)
	}
	err = r.Journal.RecordOutcome(ctx, r.tok, out)
	if errors.Is(err, fault.Conflict) && out.Binding != nil {
		out.Binding = nil // another subscription has it by now; the planner's hold names it
		err = r.Journal.RecordOutcome(ctx, r.tok, out)
	}
	return err
}

// conclude counts a look that found nothing after the settling time.
func (r *run) conclude(e effect, p reconcile.Pending, out *reconcile.Outcome) {
	looks := p.Looks
	if p.Looks == 0 || !out.At.Before(p.LookedAt.Add(r.lookGap())) {
		looks++
	}
	if e.twoLooks && looks < looksNeeded {
		out.State, out.SettleUntil, out.Looks, out.LookedAt = reconcile.ActionAmbiguous, r.settledAt(p), looks, out.At
		out.Error = "no answer; one complete look after the settling time found nothing"
		return
	}
	out.State, out.Looks, out.LookedAt = reconcile.ActionFailed, looks, out.At
	out.Error = "no answer, and it was looked for after the settling time: it was not done"
}

// findOrg looks through the newest orgs, and, where finding nothing is to prove
// something, through all of them: when it was sent is known by our clock only, and
// that may have been wrong. It stores the orgs that it finds; the planner then binds one by
// its marker.
func (r *run) findOrg(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, _ *reconcile.Outcome) (bool, error) {
	look := r.newestOrgs
	if !r.clock().Before(r.settledAt(p)) {
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
// as the journal says that it was meant: only the journal knows the item,
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

// findInvitation looks whether the customer is an owner of the org. If any order may have
// the onboarding "password", that proves nothing: the mail with which the customer chooses a password
// comes last, and nothing shows whether it was sent. Sent again it is one mail too many;
// not sent, the customer is locked out.
func (r *run) findInvitation(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if c.Org == nil || r.catalog.SendsPasswords(r.Policy.Onboarding) {
		return false, nil
	}
	emails, err := r.Owners.OwnerEmails(ctx, c.Org.ID)
	if err != nil {
		return false, err
	}
	is := func(email string) func(string) bool {
		return func(e string) bool { return reconcile.EmailKey(e) == reconcile.EmailKey(email) }
	}
	elsewhere := c.InviteWanted != "" && c.InviteWanted == reconcile.EmailKey(p.Email)
	if !slices.ContainsFunc(emails, is(p.Email)) || elsewhere && slices.ContainsFunc(emails, is(c.InvitedEmail)) {
		return false, nil
	}
	out.Invited, out.InvitedEmail = p.SentAt, reconcile.EmailKey(p.Email)
	return true, nil
}

// findName looks whether the org has lost its marker, and has the name that a person wants.
func (r *run) findName(ctx context.Context, c *reconcile.Customer, _ reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if c.Org == nil {
		return false, nil
	}
	o, err := r.Panel.Org(ctx, c.Org.ID)
	if err != nil {
		return false, err
	}
	if r.marked(o) || c.NameWanted != "" && o.Name != c.NameWanted {
		return false, nil
	}
	o.ObservedAt = r.clock()
	out.Org, out.OrgNamed = &o, true
	return true, nil
}

// readChanged reads the hosting that was to be changed: the one that the journal names,
// no matter which subscription it is bound to by now. A customer who came back may have
// taken it over while a suspension of it was still on its way; looked for under the old
// binding it would pass for another person's, and would not be lifted. nil: the
// database does not know the hosting.
//
// A change that shows is ours, because the hosting was read without it right before the
// call; of a suspension the panel shows whose it is.
func (r *run) readChanged(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (*reconcile.Hosting, error) {
	if err := r.lookAt(ctx, p.Org, p.Hosting); err != nil {
		return nil, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	stored := hostingOf(again, p.Hosting)
	if stored == nil {
		return nil, nil
	}
	h := *stored
	out.Hosting = &h
	return &h, nil
}

func (r *run) findSuspension(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil || h.State != reconcile.HostingSuspended {
		return false, err
	}
	// Dated from now: if the database was put back to an old copy, another call may have
	// done it, and the hosting must not be deleted earlier than its suspension allows.
	h.SuspendedByUs = r.clock()
	return r.isOurs(ctx, *h, false)
}

func (r *run) findResumption(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	out.Unsuspend = h.State == reconcile.HostingActive
	return out.Unsuspend, nil
}

func (r *run) findPlanChange(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	return strings.HasSuffix(p.ActionID, ">"+strconv.Itoa(h.Plan)), nil
}

func (r *run) findMark(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	return h.Marker() == reconcile.Marker{StripeID: p.Subscription, Slot: p.Slot, Instance: r.Policy.Instance}, nil
}

func (r *run) findTermination(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	h.TerminatedByUs = p.SentAt
	return h.State == reconcile.HostingDeleted || h.State == reconcile.HostingMissing, nil
}
