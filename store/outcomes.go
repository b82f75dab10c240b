package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// RecordOutcome stores an outcome and everything learned with it, in one transaction.
// Storing the same outcome again changes nothing, so a commit whose answer was
// lost may simply be repeated.
func (s *Store) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	switch o.State {
	case reconcile.ActionAmbiguous, reconcile.ActionApplied, reconcile.ActionAdopted, reconcile.ActionFailed, reconcile.ActionSuperseded:
	default:
		return failed("recording the outcome of "+o.Action.ID, permanent("%s is no outcome", o.State))
	}
	return s.fenced(ctx, "recording the outcome of "+o.Action.ID, tok, func(ctx context.Context, tx conn) error {
		if err := recordRow(ctx, tx, o); err != nil {
			return err
		}
		if err := leaveHeldPlans(ctx, tx, o); err != nil {
			return err
		}
		if err := recordOrg(ctx, tx, o); err != nil {
			return err
		}
		if err := recordHosting(ctx, tx, o); err != nil {
			return err
		}
		if o.Action.Kind == reconcile.SendMail {
			return recordMail(ctx, tx, o)
		}
		if !o.MetadataOK {
			return nil
		}
		_, err := tx.exec(ctx, "UPDATE subscriptions SET metadata_org = $2, metadata_hosting = $3, metadata_written = $3 WHERE id = $1",
			o.Action.Subscription, o.Action.Org, o.Action.Hosting)
		return err
	})
}

// recordRow moves the open journal row of the action to its outcome. Without an
// open row the outcome was stored before, or the action was never intended (a
// link sends nothing): then a row is made for it.
func recordRow(ctx context.Context, tx conn, o reconcile.Outcome) error {
	sent, finished, settle := outcomeTimes(o)
	n, err := tx.exec(ctx, `UPDATE actions SET state = $2, error = $3, run_id = CASE WHEN $4 = '' THEN run_id ELSE $4 END,
		sent_at = CASE WHEN $5 THEN coalesce(sent_at, $6) WHEN $2 = 'superseded' THEN NULL ELSE sent_at END,
		finished_at = $7, settle_until = $8, looks = $9, looked_at = $10,
		org_id = CASE WHEN $11 = '' THEN org_id ELSE $11 END, hosting_id = CASE WHEN CAST($12 AS BIGINT) = 0 THEN hosting_id ELSE CAST($12 AS BIGINT) END
		WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous')`, o.Action.ID, o.State.String(), clean(o.Error), o.Run,
		sent, at(o.At), at(finished), at(settle), o.Looks, at(o.LookedAt), outcomeOrg(o), outcomeHosting(o))
	if err != nil || n > 0 {
		return err
	}
	var state string
	var when time.Time
	found, err := tx.one(ctx, `SELECT state, finished_at FROM actions WHERE action_id = $1 AND run_id = $2 AND finished_at IS NOT NULL
		ORDER BY finished_at DESC, key DESC LIMIT 1`, []any{o.Action.ID, o.Run}, &state, into(&when))
	if err != nil || found && state == o.State.String() && when.Equal(finished.UTC().Truncate(time.Microsecond)) {
		return err
	}
	if err := insertJournal(ctx, tx, o.Run, o.Action, reconcile.ActionSent, "", o.At); err != nil {
		return err
	}
	return recordRow(ctx, tx, o)
}

// outcomeTimes are whether something was sent, when the row was finished (zero:
// still open) and until when an answer may still take effect.
func outcomeTimes(o reconcile.Outcome) (sent bool, finished, settle time.Time) {
	switch o.State {
	case reconcile.ActionAmbiguous:
		settle = o.SettleUntil
		if settle.IsZero() {
			settle = o.At
		}
		return true, time.Time{}, settle
	case reconcile.ActionApplied, reconcile.ActionAdopted:
		return true, o.At, time.Time{}
	default:
		return false, o.At, time.Time{}
	}
}

func outcomeOrg(o reconcile.Outcome) string {
	if o.Org != nil {
		return o.Org.ID
	}
	return ""
}

func outcomeHosting(o reconcile.Outcome) int64 {
	if o.Hosting != nil {
		return o.Hosting.ID
	}
	return 0
}

// recordOrg binds or refreshes the org and stores what the customer's row
// knows of it.
func recordOrg(ctx context.Context, tx conn, o reconcile.Outcome) error {
	if o.Org != nil {
		if err := bindOrg(ctx, tx, o); err != nil {
			return err
		}
	}
	if o.Action.Kind == reconcile.InviteOwner && o.State == reconcile.ActionFailed && o.Org != nil { // the owner has accepted before
		_, err := tx.exec(ctx, "UPDATE customers SET invite_wanted = '' WHERE id = $1", o.Action.Customer)
		return err
	}
	if !o.OrgNamed && o.Invited.IsZero() {
		return nil
	}
	_, err := tx.exec(ctx, `UPDATE customers SET org_named = CASE WHEN $2 THEN TRUE ELSE org_named END,
		invited_at = coalesce(CAST($3 AS TIMESTAMPTZ), invited_at),
		invited_email = CASE WHEN $4 = '' THEN invited_email ELSE $4 END,
		org_name_wanted = CASE WHEN org_name_wanted = $5 THEN '' ELSE org_name_wanted END,
		invite_wanted = CASE WHEN $4 = invite_wanted THEN '' ELSE invite_wanted END WHERE id = $1`,
		o.Action.Customer, o.OrgNamed, at(o.Invited), clean(o.InvitedEmail), orgName(o))
	return err
}

// orgName is the name that the org has after an outcome; "" if it has not been read.
func orgName(o reconcile.Outcome) string {
	if o.Org == nil {
		return ""
	}
	return clean(o.Org.Name)
}

// bindOrg makes the org the customer's. A customer keeps its org, and an org that
// was just created cannot be another customer's: anything else is fault.Conflict, for a
// person. A customer that is bound to the org of another one is a guest in it.
func bindOrg(ctx context.Context, tx conn, o reconcile.Outcome) error {
	var owner string
	var erased bool
	shared, err := tx.one(ctx, "SELECT id, erased_at IS NOT NULL FROM customers WHERE org_id = $1 AND id <> $2 AND NOT org_guest ORDER BY id LIMIT 1",
		[]any{o.Org.ID, o.Action.Customer}, &owner, &erased)
	if err == nil && erased { // it becomes the org of another customer, and is in use again with its name
		_, err = tx.exec(ctx, "UPDATE orgs SET erased = FALSE WHERE id = $1", o.Org.ID)
	}
	if err == nil {
		err = putOrg(ctx, tx, *o.Org, o.At)
	}
	if err != nil || shared && o.Action.Kind == reconcile.CreateOrg {
		return conflict(err, "org %s already belongs to customer %s", o.Org.ID, owner)
	}
	n, err := tx.exec(ctx, `UPDATE customers SET org_id = $2, org_guest = CASE WHEN org_id = $2 THEN org_guest ELSE $3 END
		WHERE id = $1 AND (org_id IS NULL OR org_id = $2)`, o.Action.Customer, o.Org.ID, shared)
	if err == nil && n == 0 {
		return fault.Errorf(fault.Conflict, "customer %s is unknown or has another org than %s", o.Action.Customer, o.Org.ID)
	}
	return err
}

// recordHosting stores the hosting as read back and the binding to it.
func recordHosting(ctx context.Context, tx conn, o reconcile.Outcome) error {
	touched := touchedHostings(o)
	if len(touched) == 0 {
		return nil
	}
	return measured(ctx, tx, touched, func() error {
		if h := o.Hosting; h != nil {
			if err := putHosting(ctx, tx, *h); err != nil {
				return err
			}
			if err := putOurs(ctx, tx, *h, o.Unsuspend); err != nil {
				return err
			}
		} else if o.Unsuspend {
			if _, err := tx.exec(ctx, "UPDATE hostings SET suspended_by_us = NULL WHERE id = $1", o.Action.Hosting); err != nil {
				return err
			}
		}
		if o.Binding == nil {
			return nil
		}
		return bind(ctx, tx, *o.Binding, o.At)
	})
}

func touchedHostings(o reconcile.Outcome) []int64 {
	var ids []int64
	if o.Hosting != nil {
		ids = append(ids, o.Hosting.ID)
	}
	if o.Binding != nil {
		ids = append(ids, o.Binding.Hosting)
	}
	if o.Unsuspend && o.Hosting == nil {
		ids = append(ids, o.Action.Hosting)
	}
	return ids
}
