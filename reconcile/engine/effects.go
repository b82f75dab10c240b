package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// callLimit bounds one effect with its reading back, from the outside in: it is
// longer than the time-outs of the clients, so that those decide.
const callLimit = 3 * time.Minute

// perform does one action: intent durable, the call, read back, outcome durable.
// A run that is being stopped finishes the action in hand and records it; that
// is why the context is cut off from cancellation here.
func (r *run) perform(ctx context.Context, c *reconcile.Customer, a reconcile.Action) error {
	ctx, cancel := context.WithTimeout(fence.Around(context.WithoutCancel(ctx), r.checkLease), callLimit)
	defer cancel()
	if err := r.checkLease(); err != nil {
		return err
	}
	r.Failpoint("before-intent", a.Kind.String())
	sent := r.clock()
	if err := r.Journal.Intend(ctx, r.tok, r.rec.ID, a, r.brake.approved[a.ID], sent); err != nil {
		return fmt.Errorf("recording the intent: %w", err)
	}
	r.Failpoint("after-intent", a.Kind.String())
	out := reconcile.Outcome{Action: a, Run: r.rec.ID, State: reconcile.ActionApplied}
	err := r.checkLease() // the intent may have taken long to write
	if err == nil {
		err = r.effect(ctx, c, a, &out)
	}
	r.Failpoint("after-call", a.Kind.String())
	out.At = r.clock()
	r.judge(&out, err)
	if saveErr := r.Journal.Settle(ctx, r.tok, out); saveErr != nil {
		r.log.WithFields(logrus.Fields{"action": a.ID, "customer": a.Customer, "state": out.State.String()}).WithError(saveErr).Error("outcome not recorded")
		return fmt.Errorf("recording the outcome (%s): %w", out.State, saveErr)
	}
	r.Failpoint("after-record", a.Kind.String())
	if out.State == reconcile.ActionFailed {
		r.work.addFailed(a.ID)
	}
	r.tell(a, out, err)
	if err == nil {
		r.outages.succeeded()
		return nil
	}
	if out.State == reconcile.ActionAmbiguous {
		return r.lookAtOnce(ctx, a, err)
	}
	switch {
	case a.Kind == reconcile.CreateWebsite && errors.Is(err, fault.Conflict):
		return nil // recorded with the hosting; the rest of the order goes on
	case a.Kind == reconcile.WriteMetadata && errors.Is(err, fault.Denied):
		r.metadataDenied()
		return nil // a convenience; nobody waits for it, and it stops nobody
	}
	return err
}

// judge turns the error of a call into a state of the journal.
func (r *run) judge(out *reconcile.Outcome, err error) {
	if err == nil {
		return
	}
	out.Error = err.Error()
	switch fault.Of(err) {
	case fault.Ambiguous, fault.Malformed, fault.Unknown, fault.Canceled:
		out.State, out.Settle = reconcile.ActionAmbiguous, out.At.Add(r.Settle)
	case fault.Transient, fault.Throttled, fault.Conflict, fault.Permanent, fault.Denied, fault.NotFound, fault.Fenced:
		out.State = reconcile.ActionFailed
	}
}

func (r *run) tell(a reconcile.Action, out reconcile.Outcome, err error) {
	entry := r.log.WithFields(logrus.Fields{"action": a.ID, "kind": a.Kind.String(), "customer": a.Customer,
		"subscription": a.Subscription, "org": a.Org, "hosting": a.Hosting, "reason": a.Reason})
	switch {
	case out.State == reconcile.ActionApplied:
		entry.Info("applied")
	case out.State == reconcile.ActionAmbiguous:
		entry.WithError(err).Warn("no answer, looking for it")
	default:
		entry.WithError(err).Warn("not applied")
	}
}

// lookAtOnce looks right after a write that was not answered: most were done, and
// then nobody has to wait. Finding nothing yet concludes nothing, and what may be
// repeated is repeated after a pause, not at once.
func (r *run) lookAtOnce(ctx context.Context, a reconcile.Action, callErr error) error {
	c, err := r.load(ctx, a.Customer)
	if err != nil {
		return err
	}
	if c, err = r.settle(ctx, c); err != nil {
		return fmt.Errorf("%w; looking for it: %w", fault.Wrap(fault.Ambiguous, callErr), err)
	}
	still := func(b reconcile.Action) bool { return b.ID == a.ID }
	d, err := r.bareDecision(c)
	if err != nil {
		return fmt.Errorf("%w; planning again: %w", fault.Wrap(fault.Of(err), callErr), err)
	}
	if len(c.Pending) > 0 || slices.ContainsFunc(d.Actions, still) {
		return callErr
	}
	return nil
}

// effect makes the call of one action and reads back what it changed. Once the
// call itself has succeeded, a failing read makes the outcome ambiguous, never
// failed.
func (r *run) effect(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	switch a.Kind {
	case reconcile.Link:
		return r.link(ctx, c, a, out)
	case reconcile.CreateOrg:
		return r.createOrg(ctx, a, out)
	case reconcile.RenameOrg:
		return r.renameOrg(ctx, a, out)
	case reconcile.InviteOwner:
		return r.invite(ctx, a, out)
	case reconcile.CreateSubscription:
		return r.createHosting(ctx, a, out)
	case reconcile.CreateWebsite:
		return r.createWebsite(ctx, c, a, out)
	case reconcile.Resume:
		return r.suspension(ctx, c, a, false, out)
	case reconcile.Suspend:
		return r.suspension(ctx, c, a, true, out)
	case reconcile.ChangePlan:
		return r.changePlan(ctx, a, out)
	case reconcile.Terminate:
		return r.terminate(ctx, a, out)
	case reconcile.WriteMetadata:
		err := r.Billing.WriteMetadata(ctx, a.Subscription, map[string]string{
			"enhance_org_id": a.Org, "enhance_subscription_id": fmt.Sprint(a.Hosting)})
		out.MetadataOK = err == nil
		return err
	}
	return fault.Errorf(fault.Permanent, "no way to do a %s", a.Kind)
}

// link binds in our database only. An org that was there before us is bound only
// when its single owner is this customer.
func (r *run) link(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if a.Hosting != 0 {
		out.Binding = &reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: a.Hosting, How: a.How, At: r.clock()}
		return nil
	}
	o, err := r.Panel.Org(ctx, a.Org)
	if err != nil {
		return err
	}
	if o.Deleted {
		return fault.Errorf(fault.Conflict, "org %s was deleted in the panel", o.ID)
	}
	if a.How == reconcile.BoundByAdopt {
		emails, err := r.Owners.OwnerEmails(ctx, a.Org)
		if err != nil {
			return err
		}
		invited := len(emails) == 0 && slices.ContainsFunc(c.Kin, func(k reconcile.Kin) bool {
			return k.Org.ID == a.Org && k.InvitedEmail != "" && k.InvitedEmail == reconcile.EmailKey(c.Email)
		})
		if !invited && (len(emails) != 1 || reconcile.EmailKey(emails[0]) != reconcile.EmailKey(c.Email)) {
			return fault.Errorf(fault.Conflict, "org %s has %d owners, not just the customer: name the right org in the metadata enhance_org_id of the subscription", a.Org, len(emails))
		}
	}
	o.ObservedAt = r.clock()
	r.index.addFound(a.Org)
	out.Org, out.OrgNamed = &o, !r.marked(o)
	return nil
}

func (r *run) createOrg(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
	marker := reconcile.Marker{StripeID: a.Customer, Instance: r.Policy.Instance}
	name := a.Name + " " + marker.String()
	id, err := r.Provisioner.CreateOrg(ctx, name)
	if err != nil {
		return err
	}
	now := r.clock()
	r.index.addMade(id)
	out.Org = &reconcile.Org{ID: id, Name: name, ObservedAt: now, HostingsRead: now}
	return nil
}

func (r *run) renameOrg(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
	if err := r.Provisioner.RenameOrg(ctx, a.Org, a.Name); err != nil {
		return err
	}
	o, err := r.Panel.Org(ctx, a.Org)
	if err != nil {
		return unread(err)
	}
	if o.Name != a.Name {
		return fault.Errorf(fault.Ambiguous, "org %s was renamed and still has its old name", a.Org)
	}
	o.ObservedAt = r.clock()
	out.Org, out.OrgNamed = &o, true
	return nil
}

func (r *run) invite(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
	invited, err := r.invitedBefore(ctx, a)
	if err != nil {
		return err
	}
	if invited {
		out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
		return nil
	}
	call := r.Owners.Invite
	if r.Policy.Onboarding == reconcile.Password {
		call = r.Owners.CreateLogin
	}
	if err := call(ctx, a.Org, a.Email, a.Name); err != nil {
		return err
	}
	out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
	return nil
}

// invitedBefore looks whether the customer is a member of an org that was there
// before this run: a database that was lost must not mail everybody again. With a
// login of our making, membership is only the middle of it: it counts where the org
// was found in this run, and not where an earlier run was cut short.
func (r *run) invitedBefore(ctx context.Context, a reconcile.Action) (bool, error) {
	if r.index.isMade(a.Org) || r.Policy.Onboarding == reconcile.Password && !r.index.isFound(a.Org) {
		return false, nil
	}
	emails, err := r.Owners.OwnerEmails(ctx, a.Org)
	return slices.ContainsFunc(emails, func(e string) bool { return reconcile.EmailKey(e) == reconcile.EmailKey(a.Email) }), err
}

func (r *run) createHosting(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
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
// panel does not accept, is a fact to record: asked again it answers the same.
func (r *run) createWebsite(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h := hostingOf(c, a.Hosting)
	if h == nil {
		return fault.Errorf(fault.Conflict, "hosting %d is not known yet", a.Hosting)
	}
	site := *h
	err := r.Websites.CreateWebsite(ctx, a.Org, a.Hosting, a.Domain)
	switch {
	case err == nil:
		site.Website = a.Domain
	case errors.Is(err, fault.Conflict), errors.Is(err, fault.Permanent):
		site.WebsiteTaken, err = a.Domain, fault.Wrap(fault.Conflict, err)
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

func (r *run) changePlan(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
	change := reconcile.HostingChange{Plan: a.Plan}
	if a.Name != "" {
		change.Name = &a.Name
	}
	err := r.Provisioner.Change(ctx, a.Org, a.Hosting, change)
	if change.Name != nil && errors.Is(err, fault.Permanent) {
		// It may be the name that is refused, and the plan is what was paid for.
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
	if h.Plan != a.Plan {
		return fault.Errorf(fault.Ambiguous, "hosting %d was to have plan %d and reads as plan %d", a.Hosting, a.Plan, h.Plan)
	}
	out.Hosting = &h
	return nil
}

func (r *run) terminate(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
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
		return unread(err)
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
		return h, unread(err)
	}
	h.ObservedAt = r.clock()
	return h, nil
}

// unread makes any failure of reading back ambiguous: the write itself was
// accepted, so it must be looked for and not be sent again.
func unread(err error) error {
	return fault.Wrap(fault.Ambiguous, fmt.Errorf("done, but reading it back: %w", err))
}
