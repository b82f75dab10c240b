package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// cursorSuspender is whom the panel names in suspendedBy for what we suspend:
// the pin of the panel and the id.
const cursorSuspender = "suspender"

// ours tells whether the suspension that a hosting shows is the one that we sent.
// Staff may have suspended it in the same moment, or since a call of ours was lost,
// and what is theirs is not to be lifted by a payment. We are known as the
// organisation that sells, or, where the panel names another id, by the first call
// that was answered; an unanswered one teaches nothing.
func (r *run) ours(ctx context.Context, h reconcile.Hosting, answered bool) (bool, error) {
	pin := r.Owners.Fingerprint()
	known, err := r.Cursors.Cursor(ctx, cursorSuspender)
	if err != nil {
		return false, err
	}
	us := pin + " " + h.SuspendedBy
	switch {
	case known == us:
		return true, nil
	case strings.HasSuffix(pin, " "+h.SuspendedBy):
	case !answered || strings.HasPrefix(known, pin+" "):
		r.note("hosting %d of org %s was to be suspended by us and is suspended by %s: it is left to them", h.ID, h.Org, h.SuspendedBy)
		return false, nil
	}
	return true, r.Cursors.SetCursor(ctx, r.tok, cursorSuspender, us)
}

// namesUs tells of each hosting whether the panel names us as who suspended it: as the
// organisation that sells, or as it named us when we suspended something.
func (r *run) namesUs(c *reconcile.Customer) {
	pin := r.Owners.Fingerprint()
	for i := range c.Hostings {
		h := &c.Hostings[i]
		h.NamesUs = h.SuspendedBy != "" && (strings.HasSuffix(pin, " "+h.SuspendedBy) || r.evidence.suspender == pin+" "+h.SuspendedBy)
	}
}

// suspension suspends or resumes, and puts our mark into the name, or takes it out, with
// the same call: the name was read right before.
func (r *run) suspension(ctx context.Context, c *reconcile.Customer, a reconcile.Action, suspend bool, out *reconcile.Outcome) error {
	change := reconcile.HostingChange{Suspended: &suspend}
	if h := hostingOf(c, a.Hosting); h != nil {
		name := reconcile.ResumedName(h.FriendlyName, r.Policy.Instance)
		if suspend {
			name = reconcile.SuspendedName(h.FriendlyName, r.Policy.Instance)
		}
		if name != h.FriendlyName {
			change.Name = &name
		}
	}
	err := r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	if change.Name != nil && errors.Is(err, fault.Permanent) {
		// It may be the name that is refused. Nobody who pays stays down for a name.
		change.Name = nil
		err = r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	}
	if err != nil {
		return err
	}
	h, err := r.readBack(ctx, a.Org, a.Hosting)
	if err != nil {
		return err
	}
	want := reconcile.HostingActive
	if suspend {
		want = reconcile.HostingSuspended
	}
	if h.State != want {
		return fault.Errorf(fault.Ambiguous, "hosting %d was to be %s and reads as %s", a.Hosting, want, h.State)
	}
	if suspend {
		ours, err := r.ours(ctx, h, true)
		if err != nil {
			return unread(err)
		}
		if ours {
			h.SuspendedByUs = r.clock()
		}
	}
	out.Hosting, out.Unsuspend = &h, !suspend
	return nil
}
