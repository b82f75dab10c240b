package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func (r *run) createHosting(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	marker := reconcile.Marker{StripeID: a.Subscription, Slot: a.Slot, Instance: r.Policy.Instance}
	id, err := r.Provisioner.CreateHosting(ctx, a.Org, a.Plan, a.PlanName+" "+marker.String())
	if err != nil {
		return err
	}
	h, err := r.readBack(ctx, a.Org, id)
	if err != nil {
		return err
	}
	if h.Marker() != marker {
		return fault.Errorf(fault.Ambiguous, "hosting %d was created as %s and reads as %q", id, marker, h.FriendlyName)
	}
	out.Hosting = &h
	out.Binding = &reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: id, How: reconcile.BoundByCreate, At: r.clock()}
	return nil
}

// createWebsite makes the site that was ordered. A domain that is taken, or that the
// panel does not accept, is a fact to record: the next hours it answers the same.
func (r *run) createWebsite(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h := hostingOf(c, a.Hosting)
	if h == nil {
		return fault.Errorf(fault.Conflict, "hosting %d is not known yet", a.Hosting)
	}
	site := *h
	found, err := r.Websites.CreateWebsite(ctx, a.Org, a.Hosting, a.Domain, a.Site)
	switch {
	case err == nil:
		site.Website = a.Domain
		if a.Site.App != "" {
			site.App = reconcile.SiteApp{App: a.Site.App, Domain: a.Domain}
			if !found.Found || found.MadeByUs(h.DomainUse) {
				site.App.MadeAt = r.clock()
			}
		}
	case errors.Is(err, fault.Conflict), errors.Is(err, fault.Permanent):
		site.WebsiteTaken = a.Domain
		site.DomainUse = reconcile.DomainUse{Domain: a.Domain, Status: reconcile.DomainUnknown, Refused: err.Error(), ReadAt: r.clock()}
		err = fault.Wrap(fault.Conflict, err)
	default:
		return err
	}
	out.Hosting = &site
	return err
}

func hostingOf(c *reconcile.Customer, id int64) *reconcile.Hosting {
	for i := range c.Hostings {
		if c.Hostings[i].ID == id {
			return &c.Hostings[i]
		}
	}
	return nil
}

// changePlan moves a hosting to the plan that is paid for.
func (r *run) changePlan(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	change := reconcile.HostingChange{Plan: a.Plan}
	if a.Name != "" {
		change.Name = &a.Name
	}
	h, err := r.changeHosting(ctx, a, change)
	if err != nil {
		return err
	}
	if h.Plan != a.Plan {
		return fault.Errorf(fault.Ambiguous, "hosting %d was to have plan %d and reads as plan %d", a.Hosting, a.Plan, h.Plan)
	}
	out.Hosting = &h
	return nil
}

// markHosting writes a name with our marker.
func (r *run) markHosting(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if err := r.Provisioner.Change(ctx, a.Org, a.Hosting, reconcile.HostingChange{Name: &a.Name}); err != nil {
		return err
	}
	h, err := r.readBack(ctx, a.Org, a.Hosting)
	if err != nil {
		return err
	}
	if want, _ := reconcile.MarkerOf(a.Name); h.Marker() != want {
		return fault.Errorf(fault.Ambiguous, "hosting %d was to carry the marker %s and reads as %q", a.Hosting, want, h.FriendlyName)
	}
	out.Hosting = &h
	return nil
}

// suspend suspends a hosting, and adds our mark to its name with the same call.
func (r *run) suspend(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h, err := r.setSuspended(ctx, c, a, true)
	if err != nil {
		return err
	}
	ours, err := r.isOurs(ctx, h, true)
	if err != nil {
		return notReadBack(err)
	}
	if ours {
		h.SuspendedByUs = r.clock()
	}
	out.Hosting = &h
	return nil
}

// resume lifts our suspension, and takes our mark out of the name with the same call.
func (r *run) resume(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h, err := r.setSuspended(ctx, c, a, false)
	if err != nil {
		return err
	}
	out.Hosting, out.Unsuspend = &h, true
	return nil
}

// setSuspended suspends or resumes a hosting. Its name was read right before.
func (r *run) setSuspended(ctx context.Context, c *reconcile.Customer, a reconcile.Action, suspended bool) (reconcile.Hosting, error) {
	change, want, rename := reconcile.HostingChange{Suspended: &suspended}, reconcile.HostingActive, reconcile.ResumedName
	if suspended {
		want, rename = reconcile.HostingSuspended, reconcile.SuspendedName
	}
	if h := hostingOf(c, a.Hosting); h != nil {
		if name := rename(h.FriendlyName, r.Policy.Instance); name != h.FriendlyName {
			change.Name = &name
		}
	}
	h, err := r.changeHosting(ctx, a, change)
	if err == nil && h.State != want {
		err = fault.Errorf(fault.Ambiguous, "hosting %d was to be %s and reads as %s", a.Hosting, want, h.State)
	}
	return h, err
}

// changeHosting sends a change and reads the hosting back. If the panel refuses the
// change, it is sent again without the name: the panel may refuse only the name, and
// the customer must get the plan or the service that was paid for.
func (r *run) changeHosting(ctx context.Context, a reconcile.Action, change reconcile.HostingChange) (reconcile.Hosting, error) {
	err := r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	if change.Name != nil && errors.Is(err, fault.Permanent) {
		change.Name = nil
		err = r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	}
	if err != nil {
		return reconcile.Hosting{}, err
	}
	return r.readBack(ctx, a.Org, a.Hosting)
}

func (r *run) terminate(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if r.Terminator == nil {
		return fault.Errorf(fault.Permanent, "this program was started without any way to delete")
	}
	if err := r.Terminator.Delete(ctx, a.Org, a.Hosting); err != nil {
		return err
	}
	h, err := r.Panel.Hosting(ctx, a.Org, a.Hosting)
	if errors.Is(err, fault.NotFound) {
		h, err = reconcile.Hosting{ID: a.Hosting, Org: a.Org, State: reconcile.HostingMissing}, nil
	}
	if err != nil {
		return notReadBack(err)
	}
	if h.State != reconcile.HostingDeleted && h.State != reconcile.HostingMissing {
		return fault.Errorf(fault.Ambiguous, "hosting %d was deleted and reads as %s", a.Hosting, h.State)
	}
	h.ObservedAt, h.TerminatedByUs = r.clock(), r.clock()
	out.Hosting = &h
	return nil
}

// readBack reads what a write has changed.
func (r *run) readBack(ctx context.Context, org string, id int64) (reconcile.Hosting, error) {
	h, err := r.Panel.Hosting(ctx, org, id)
	if err != nil {
		return h, notReadBack(err)
	}
	h.ObservedAt = r.clock()
	return h, nil
}

// notReadBack makes any failure of reading back ambiguous: the write itself was
// accepted, so it must be looked for and not be sent again.
func notReadBack(err error) error {
	return fault.Wrap(fault.Ambiguous, fmt.Errorf("done, but reading it back: %w", err))
}
