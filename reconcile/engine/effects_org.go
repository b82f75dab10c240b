package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
		if err := r.checkOwner(ctx, c, a); err != nil {
			return err
		}
	}
	o.ObservedAt = r.clock()
	r.index.addFound(a.Org)
	out.Org, out.OrgNamed = &o, !r.marked(o)
	return nil
}

// checkOwner fails unless the customer is the only owner of an org, or the only one who
// was invited to it.
func (r *run) checkOwner(ctx context.Context, c *reconcile.Customer, a reconcile.Action) error {
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
	return nil
}

func (r *run) createOrg(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
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

func (r *run) renameOrg(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if err := r.Provisioner.RenameOrg(ctx, a.Org, a.Name); err != nil {
		return err
	}
	o, err := r.Panel.Org(ctx, a.Org)
	if err != nil {
		return notReadBack(err)
	}
	if o.Name != a.Name {
		return fault.Errorf(fault.Ambiguous, "org %s was renamed and still has its old name", a.Org)
	}
	o.ObservedAt = r.clock()
	out.Org, out.OrgNamed = &o, true
	return nil
}

func (r *run) invite(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	if a.Instead != "" {
		return r.inviteElsewhere(ctx, a, out)
	}
	invited, err := r.invitedBefore(ctx, a)
	if err != nil {
		return err
	}
	if invited {
		out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
		return nil
	}
	call := r.Owners.Invite
	if r.onboarding(a) == reconcile.Password {
		call = r.Owners.CreateLogin
	}
	if err := call(ctx, a.Org, a.Email, a.Name); err != nil {
		return err
	}
	out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
	return nil
}

// inviteElsewhere invites at another address, and then takes the open invitation back: a
// process that dies between the two does both again. If the owner has accepted it by now, the
// org is read, so that it is not tried again.
func (r *run) inviteElsewhere(ctx context.Context, a reconcile.Action, out *reconcile.Outcome) error {
	err := r.Owners.InviteInstead(ctx, a.Org, a.Instead, a.Email, a.Name)
	if errors.Is(err, fault.Conflict) {
		if o, read := r.Panel.Org(ctx, a.Org); read == nil {
			o.ObservedAt = r.clock()
			out.Org = &o
		}
	}
	if err == nil {
		out.Invited, out.InvitedEmail = r.clock(), reconcile.EmailKey(a.Email)
	}
	return err
}

// onboarding is how the planner wants the owner to be invited.
func (r *run) onboarding(a reconcile.Action) reconcile.Onboarding {
	return cmp.Or(a.Onboarding, r.Policy.Onboarding)
}

// invitedBefore looks whether the customer is a member of an org that was there
// before this run: after a database was lost, customers must not get a second mail. With a
// login of our making, membership is only the middle of it: it counts where the org
// was found in this run, and not where an earlier run was cut short.
func (r *run) invitedBefore(ctx context.Context, a reconcile.Action) (bool, error) {
	if r.index.isMade(a.Org) || r.onboarding(a) == reconcile.Password && !r.index.isFound(a.Org) {
		return false, nil
	}
	emails, err := r.Owners.OwnerEmails(ctx, a.Org)
	return slices.ContainsFunc(emails, func(e string) bool { return reconcile.EmailKey(e) == reconcile.EmailKey(a.Email) }), err
}

// writeMetadata writes the ids of the org and the hosting to Stripe, for people to see.
func (r *run) writeMetadata(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	err := r.Billing.WriteMetadata(ctx, a.Subscription, map[string]string{
		"enhance_org_id": a.Org, "enhance_subscription_id": strconv.FormatInt(a.Hosting, 10)})
	out.MetadataOK = err == nil
	return err
}
