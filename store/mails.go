package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// recordMailIntent makes the intent to send a mail durable, with each matter that it is
// about. If another mail about one of them was sent, or may have been, it fails with
// fault.Conflict, and nothing is recorded. The row in the journal is ambiguous and never
// sent: a mail must not keep another action of the customer waiting.
func recordMailIntent(ctx context.Context, tx conn, run string, a reconcile.Action, planID string, now time.Time) error {
	if a.Mail == nil || len(a.Mail.Topics) == 0 {
		return permanent("%s is a mail about nothing", a.ID)
	}
	n, err := tx.exec(ctx, `UPDATE actions SET state = 'ambiguous', sent_at = $2, settle_until = $2, attempts = attempts + 1, run_id = $3,
		held_plan_id = $4, error = ''
		WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state IN ('planned', 'held')
		AND EXISTS (SELECT 1 FROM customers WHERE id = $5 AND words = $6)`,
		a.ID, at(now), run, planID, a.Customer, a.Instructions)
	if err != nil || n == 0 {
		return conflict(err, "%s is no longer planned", a.ID)
	}
	for i := range a.Mail.Topics {
		n, err := tx.exec(ctx, `INSERT INTO mails (key, action_id, customer_id, state, at) VALUES ($1, $2, $3, 'intended', $4)
			ON CONFLICT (key) DO UPDATE SET action_id = excluded.action_id, state = 'intended', at = excluded.at WHERE mails.state = 'unsent'`,
			clean(a.Mail.Topics[i].Key), clean(a.ID), a.Customer, at(now))
		if err != nil || n == 0 {
			return conflict(err, "a mail about %s was sent, or may have been", a.Mail.Topics[i].Key)
		}
	}
	return nil
}

// recordMail stores the outcome of a mail.
func recordMail(ctx context.Context, tx conn, o reconcile.Outcome) error {
	state := o.Mail
	if state == 0 {
		state = reconcile.MailUnsent
	}
	_, err := tx.exec(ctx, "UPDATE mails SET state = $2, at = $3 WHERE action_id = $1 AND state = 'intended'", clean(o.Action.ID), state.String(), at(o.At))
	return err
}

// SkipMail stores that a mail cannot be sent, because of why: its matters are refused for
// good, and its row of the journal is superseded.
func (s *Store) SkipMail(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, why string, now time.Time) error {
	return s.fenced(ctx, "leaving out "+a.ID, tok, func(ctx context.Context, tx conn) error {
		if err := recordMailIntent(ctx, tx, run, a, "", now); err != nil {
			return err
		}
		out := reconcile.Outcome{Action: a, Run: run, State: reconcile.ActionSuperseded, Error: why, At: now, Mail: reconcile.MailRefused}
		if err := recordRow(ctx, tx, out); err != nil {
			return err
		}
		if err := leaveHeldPlans(ctx, tx, out); err != nil {
			return err
		}
		return recordMail(ctx, tx, out)
	})
}

// lostMail is the error of a mail whose process died.
const lostMail = "the process ended while the mail was being sent: it may have arrived, and is not sent again"

// LoseMails ends the mails of other runs that have an intent and no outcome, and returns
// their ids. Their processes died, because a run that sends mails has the lease. They may
// have been sent, and are never sent again.
func (s *Store) LoseMails(ctx context.Context, tok reconcile.Token, run string, now time.Time) (lost []string, err error) {
	open, err := s.strings(ctx, "looking for mails without an outcome", "SELECT action_id FROM mails WHERE state = 'intended' GROUP BY action_id ORDER BY action_id")
	if err != nil || len(open) == 0 {
		return nil, err
	}
	err = s.fenced(ctx, "ending mails without an outcome", tok, func(ctx context.Context, tx conn) error {
		lost = nil
		for _, id := range open {
			n, err := tx.exec(ctx, `UPDATE actions SET state = 'failed', error = $3, run_id = $2, finished_at = $4, settle_until = NULL
				WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state = 'ambiguous' AND kind = 'mail' AND run_id <> $2`,
				id, run, lostMail, at(now))
			if err != nil {
				return err
			}
			if n == 0 {
				continue // this run is sending it
			}
			out := reconcile.Outcome{Action: reconcile.Action{ID: id}, At: now, Mail: reconcile.MailUnknown}
			if err := recordMail(ctx, tx, out); err != nil {
				return err
			}
			lost = append(lost, id)
		}
		return nil
	})
	return lost, err
}

// loadMails reads the matters of which these customers had a mail.
func (a *aggregate) loadMails(ctx context.Context) error {
	query := "SELECT customer_id, key, state, at FROM mails WHERE customer_id " + a.c.d.anyText(1) + " ORDER BY at, key"
	return a.c.each(ctx, query, []any{keys(a.byID)}, func(row scan) error {
		var m reconcile.MailRecord
		var customer, state string
		if err := row(&customer, &m.Key, &state, into(&m.At)); err != nil {
			return err
		}
		if m.State = reconcile.ParseMailState(state); m.State == 0 {
			return fault.Errorf(fault.Malformed, "a mail of %s has the state %q", customer, state)
		}
		a.byID[customer].Mails = append(a.byID[customer].Mails, m)
		return nil
	})
}
