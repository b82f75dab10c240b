package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// WantInvite stores the address at which a person wants the owner of a customer's org to be
// invited, in place of an invitation that was not accepted. A run does that, under the lease,
// and writes the journal. It reports false if the owner was invited there already. The error
// is a [reconcile.InstructionRefused] if that makes no sense.
func (s *Store) WantInvite(ctx context.Context, customer, email, why string, now time.Time) (changed bool, err error) {
	err = s.unfenced(ctx, "storing an address for the owner of "+customer, func(ctx context.Context, tx conn) error {
		var has bool
		if changed, has, err = inviteChange(ctx, tx, customer, email); err != nil || !changed {
			return err
		}
		wanted := reconcile.EmailKey(clean(email))
		if has {
			wanted = "" // the owner was invited there, and another address was wanted
		}
		if _, err := tx.exec(ctx, "UPDATE customers SET invite_wanted = $2, invite_why = $3 WHERE id = $1", customer, wanted, clean(why)); err != nil {
			return err
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return changed, err
}

// PreviewInvite is WantInvite without the change.
func (s *Store) PreviewInvite(ctx context.Context, customer, email, _ string, _ time.Time) (changed bool, err error) {
	err = s.snapshot(ctx, "looking at the invitation of "+customer, func(ctx context.Context, c conn) error {
		changed, _, err = inviteChange(ctx, c, customer, email)
		return err
	})
	return changed, err
}

// inviteChange reports whether an address changes anything, and whether the owner was
// invited there.
func inviteChange(ctx context.Context, c conn, customer, email string) (changed, has bool, err error) {
	var org, invited, wanted, owner string
	var guest, deleted bool
	found, err := c.one(ctx, `SELECT coalesce(c.org_id, ''), c.org_guest, c.invited_email, c.invite_wanted, coalesce(o.owner_email, ''), coalesce(o.deleted, FALSE)
		FROM customers c LEFT JOIN orgs o ON o.id = c.org_id WHERE c.id = $1`, []any{customer}, &org, &guest, &invited, &wanted, &owner, &deleted)
	switch {
	case err != nil:
		return false, false, err
	case !found:
		return false, false, ErrNotFound
	case org == "":
		return false, false, noSense("customer %s has no organisation at Enhance yet", customer)
	case guest:
		return false, false, noSense("the organisation %s was another customer's before %s came into it: its owner is that customer's", org, customer)
	case deleted:
		return false, false, noSense("the organisation %s was deleted in the panel: restore it there first", org)
	case owner != "":
		return false, false, noSense("the owner %s of organisation %s has accepted the invitation: only they change the e-mail of their login, in the panel; or make another member the owner there", owner, org)
	case invited == "":
		return false, false, noSense("no owner was invited to organisation %s: correct the e-mail at Stripe, and the next run invites there", org)
	}
	key := reconcile.EmailKey(clean(email))
	has = invited == key
	return has && wanted != "" || !has && wanted != key, has, nil
}
