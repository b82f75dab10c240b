package store

import (
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// PreviewInstruction returns the change that an instruction would make, and changes nothing.
func (s *Store) PreviewInstruction(ctx context.Context, w reconcile.Instruction, decide reconcile.InstructionDecider) (ch reconcile.BindingChange, err error) {
	err = s.snapshot(ctx, "previewing an instruction about "+w.Subscription, func(ctx context.Context, c conn) error {
		ch, err = decideInstruction(ctx, c, w, decide)
		return err
	})
	return ch, err
}

// RecordInstruction stores a person's instruction about a subscription, in one
// transaction with its rows of the journal. It needs no lease, because one process may
// have that for weeks: the transaction excludes those of the writer, the instruction is
// refused while a write to the panel is under way, and RecordIntent refuses an action
// that was decided before the instruction. The customers are woken, and the writer is
// nudged.
func (s *Store) RecordInstruction(ctx context.Context, w reconcile.Instruction, decide reconcile.InstructionDecider) (ch reconcile.BindingChange, err error) {
	err = s.unfenced(ctx, "recording an instruction about "+w.Subscription, func(ctx context.Context, tx conn) error {
		if err := tx.each(ctx, "SELECT token FROM leases WHERE name = $1"+tx.d.forUpdate(), []any{leaseName}, ignore); err != nil {
			return err
		}
		if ch, err = decideInstruction(ctx, tx, w, decide); err != nil || ch.None() {
			return err
		}
		return applyChange(ctx, tx, &ch)
	})
	return ch, err
}

func decideInstruction(ctx context.Context, c conn, w reconcile.Instruction, decide reconcile.InstructionDecider) (ch reconcile.BindingChange, err error) {
	heads, err := loadHeads(ctx, c, `id IN (SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE s.id = $1)`, "c.id", w.Subscription)
	if err != nil {
		return ch, err
	}
	if len(heads) == 0 {
		return ch, reconcile.SubscriptionNotKnown(w.Subscription)
	}
	customers, err := aggregates(ctx, c, heads)
	if err != nil {
		return ch, err
	}
	bound, err := bindingsTo(ctx, c, w.Hosting.ID)
	if err != nil {
		return ch, err
	}
	var under string
	found, err := c.one(ctx, `SELECT kind FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND state IN ('sent', 'ambiguous')
		AND hosting_id = $1 LIMIT 1`, []any{w.Hosting.ID}, &under)
	if err != nil {
		return ch, err
	}
	if found && w.Hosting.ID != 0 {
		return ch, reconcile.InstructionRefused(under + " of that hosting was sent and its outcome is not known yet: repeat this after the next run has looked for it")
	}
	return decide(&customers[0], bound)
}

// bindingsTo are the bindings of all customers to a hosting.
func bindingsTo(ctx context.Context, c conn, hosting int64) (bound []reconcile.CustomerBinding, err error) {
	query := `SELECT b.subscription_id, b.slot, b.item_id, b.org_id, b.hosting_id, b.how, b.bound_at, k.customer_id, s.status IN ('canceled', 'incomplete_expired') AND NOT s.gone
		FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id JOIN stripe_customers k ON k.id = s.stripe_customer_id
		WHERE b.hosting_id = $1 ORDER BY b.subscription_id, b.slot`
	err = c.each(ctx, query, []any{hosting}, func(row scan) error {
		var cl reconcile.CustomerBinding
		var how string
		err := row(&cl.Subscription, &cl.Slot, &cl.Item, &cl.Org, &cl.Hosting, &how, into(&cl.At), &cl.Customer, &cl.Ended)
		cl.How = reconcile.ParseBindKind(how)
		bound = append(bound, cl)
		return err
	})
	return bound, err
}

// applyChange writes a change.
func applyChange(ctx context.Context, tx conn, ch *reconcile.BindingChange) error {
	w := &ch.Instruction
	var hostings []int64
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees, ch.Leaves) {
		hostings = append(hostings, b.Hosting)
	}
	if ch.Bind != nil {
		hostings = append(hostings, ch.Bind.Hosting)
	}
	if err := measured(ctx, tx, hostings, func() error { return rebind(ctx, tx, ch) }); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "UPDATE partings SET answered = TRUE WHERE subscription_id = $1 AND hosting_id IN "+tx.d.ints(2), w.Subscription, list(ch.Resolves)); err != nil {
		return err
	}
	if ch.New || w.Kind == reconcile.InstructUnbind {
		if _, err := tx.exec(ctx, "UPDATE subscriptions SET said_new = $2 WHERE id = $1", w.Subscription, ch.New); err != nil {
			return err
		}
	}
	return writeJournal(ctx, tx, ch)
}

// rebind writes the bindings and partings of a change.
func rebind(ctx context.Context, tx conn, ch *reconcile.BindingChange) error {
	w := &ch.Instruction
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees, ch.Leaves) {
		if _, err := tx.exec(ctx, "DELETE FROM bindings WHERE subscription_id = $1 AND slot = $2 AND hosting_id = $3", b.Subscription, b.Slot, b.Hosting); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "UPDATE hostings SET bound = FALSE WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM bindings WHERE hosting_id = $1)", b.Hosting); err != nil {
			return err
		}
	}
	for _, p := range ch.OtherUnbindings {
		if _, err := tx.exec(ctx, `INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at, named, answered)
			SELECT id, CAST($2 AS BIGINT), CAST($3 AS INTEGER), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TIMESTAMPTZ), metadata_hosting = CAST($2 AS BIGINT), TRUE FROM subscriptions WHERE id = $1
			ON CONFLICT (subscription_id, hosting_id) DO NOTHING`,
			p.Subscription, p.Hosting, p.Slot, p.Org, clean(p.Author), clean(p.Reason), at(p.At)); err != nil {
			return err
		}
	}
	for _, b := range ch.Unbinds {
		p := ch.Unbinding(b.Binding)
		if _, err := tx.exec(ctx, `INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at, named, answered)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (subscription_id, hosting_id) DO UPDATE SET slot = excluded.slot, org_id = excluded.org_id,
			author = excluded.author, reason = excluded.reason, parted_at = excluded.parted_at, named = excluded.named, answered = excluded.answered`,
			p.Subscription, p.Hosting, p.Slot, p.Org, clean(p.Author), clean(p.Reason), at(p.At), p.Named, p.Resolved); err != nil {
			return err
		}
	}
	for _, b := range ch.Leaves {
		if err := unbindMoved(ctx, tx, ch.Unbinding(b.Binding)); err != nil {
			return err
		}
	}
	if ch.Bind == nil {
		return nil
	}
	if _, err := tx.exec(ctx, "DELETE FROM partings WHERE subscription_id = $1 AND hosting_id = $2", ch.Bind.Subscription, ch.Bind.Hosting); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "DELETE FROM bindings WHERE subscription_id = $1 AND slot = $2 AND hosting_id = $3", ch.Bind.Subscription, ch.Bind.Slot, ch.Bind.Hosting); err != nil {
		return err
	}
	if err := putHosting(ctx, tx, w.Hosting); err != nil {
		return err
	}
	return bind(ctx, tx, *ch.Bind, w.At)
}

// unbindMoved stores that a subscription has lost its hosting because a person moved that. Nothing
// is made for it before another instruction.
func unbindMoved(ctx context.Context, tx conn, p reconcile.Unbinding) error {
	if _, err := tx.exec(ctx, `INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at, named, answered)
		SELECT id, CAST($2 AS BIGINT), CAST($3 AS INTEGER), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TIMESTAMPTZ), metadata_hosting = CAST($2 AS BIGINT), FALSE FROM subscriptions WHERE id = $1
		ON CONFLICT (subscription_id, hosting_id) DO UPDATE SET slot = excluded.slot, org_id = excluded.org_id,
		author = excluded.author, reason = excluded.reason, parted_at = excluded.parted_at, named = excluded.named, answered = FALSE`,
		p.Subscription, p.Hosting, p.Slot, p.Org, clean(p.Author), clean(p.Reason), at(p.At)); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "UPDATE subscriptions SET said_new = FALSE WHERE id = $1", p.Subscription)
	return err
}

// writeJournal writes the journal of a change and wakes the customers it concerns.
func writeJournal(ctx context.Context, tx conn, ch *reconcile.BindingChange) error {
	w := &ch.Instruction
	customers := ch.Customers()
	for _, a := range ch.Entries() {
		if err := recordRow(ctx, tx, reconcile.Outcome{Action: a, Run: clean(w.Author), State: reconcile.ActionApplied, At: w.At}); err != nil {
			return err
		}
	}
	if _, err := tx.exec(ctx, "UPDATE customers SET words = words + 1 WHERE id IN "+tx.d.texts(1), list(customers)); err != nil {
		return err
	}
	if err := wake(ctx, tx, customers, w.At); err != nil {
		return err
	}
	return nudge(ctx, tx, ch.Subscriptions(), "an instruction of a person", w.At)
}

// loadUnbindings attaches the hostings that a person has unbound from a subscription.
func (a *aggregate) loadUnbindings(ctx context.Context) error {
	query := `SELECT subscription_id, slot, org_id, hosting_id, parted_at, author, reason, named, answered FROM partings
		WHERE subscription_id IN ` + a.c.d.texts(1) + " ORDER BY subscription_id, slot, hosting_id"
	return a.c.each(ctx, query, []any{keys(a.subs)}, func(row scan) error {
		var p reconcile.Unbinding
		if err := row(&p.Subscription, &p.Slot, &p.Org, &p.Hosting, into(&p.At), &p.Author, &p.Reason, &p.Named, &p.Resolved); err != nil {
			return err
		}
		c := a.subs[p.Subscription]
		c.Unbindings = append(c.Unbindings, p)
		return nil
	})
}

// refuseOutdated is an error if a person has given an instruction for the customer since the action
// was decided. Nothing was sent, and the next run decides again.
func refuseOutdated(a reconcile.Action, words int64) error {
	if a.Instructions == words {
		return nil
	}
	return fault.Unsent(fault.Errorf(fault.Conflict, "a person has given an instruction for customer %s since this was decided", a.Customer))
}

func (a *aggregate) loadBindings(ctx context.Context) error {
	query := `SELECT subscription_id, slot, item_id, org_id, hosting_id, how, bound_at
		FROM bindings WHERE subscription_id IN ` + a.c.d.texts(1) + " ORDER BY subscription_id, slot"
	return a.c.each(ctx, query, []any{keys(a.subs)}, func(row scan) error {
		var b reconcile.Binding
		var how string
		if err := row(&b.Subscription, &b.Slot, &b.Item, &b.Org, &b.Hosting, &how, into(&b.At)); err != nil {
			return err
		}
		b.How = reconcile.ParseBindKind(how)
		customer := a.subs[b.Subscription]
		customer.Bindings = append(customer.Bindings, b)
		if !slices.Contains(a.hosting[b.Hosting], customer) {
			a.hosting[b.Hosting] = append(a.hosting[b.Hosting], customer)
		}
		return nil
	})
}

// loadServed notes, of the hostings that the metadata of a customer names, which
// subscription of another customer is served by them.
func (a *aggregate) loadServed(ctx context.Context) error {
	if len(a.named) == 0 {
		return nil
	}
	query := `SELECT b.hosting_id, b.subscription_id FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id
		WHERE b.hosting_id IN ` + a.c.d.ints(1) + ` AND (s.gone OR s.status NOT IN ('canceled', 'incomplete_expired')) ORDER BY b.hosting_id, b.subscription_id DESC`
	slices.Sort(a.named)
	return a.c.each(ctx, query, []any{list(slices.Compact(a.named))}, func(row scan) error {
		var hosting int64
		var sub string
		if err := row(&hosting, &sub); err != nil {
			return err
		}
		for _, c := range a.hosting[hosting] {
			for i := range c.Hostings {
				if c.Hostings[i].ID == hosting && a.subs[sub] != c {
					c.Hostings[i].Serves = sub
				}
			}
		}
		return nil
	})
}

// bind creates or changes the binding of (subscription, slot).
//
//   - A slot that is bound to another hosting is not bound anew: a binding is never
//     replaced because something else looked better.
//   - A hosting that we just made cannot be bound already.
//   - A returning customer takes the hosting over: bindings of other subscriptions
//     that have ended, and of the same Stripe customer, are removed.
func bind(ctx context.Context, tx conn, b reconcile.Binding, now time.Time) error {
	bound, err := makeRoom(ctx, tx, b)
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `INSERT INTO hostings (id, org_id, state, bound) VALUES ($1, $2, 'unread', TRUE)
		ON CONFLICT (id) DO UPDATE SET bound = TRUE, ignored = FALSE, ignored_why = '' WHERE NOT hostings.bound`, b.Hosting, b.Org); err != nil {
		return err
	}
	if b.At.IsZero() {
		b.At = now
	}
	if !bound && b.How == reconcile.BoundByCreate {
		// The next listing of orgs counts it too, and is no reason to list its hostings.
		if _, err := tx.exec(ctx, "UPDATE orgs SET hostings_count = hostings_count + 1 WHERE id = $1", b.Org); err != nil {
			return err
		}
	}
	_, err = tx.exec(ctx, `INSERT INTO bindings (subscription_id, slot, item_id, org_id, hosting_id, how, bound_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (subscription_id, slot) DO UPDATE SET item_id = excluded.item_id, org_id = excluded.org_id,
			how = excluded.how`,
		b.Subscription, b.Slot, clean(b.Item), b.Org, b.Hosting, b.How.String(), at(b.At))
	return err
}

// makeRoom reports whether exactly this is bound already, refuses what may not be bound,
// and removes the bindings that a returning customer's takes the place of.
func makeRoom(ctx context.Context, tx conn, b reconcile.Binding) (bound bool, err error) {
	var have int64   // bound to the slot
	var other string // a subscription that the hosting is bound to otherwise
	err = tx.each(ctx, `SELECT subscription_id, slot, hosting_id FROM bindings WHERE subscription_id = $1 AND slot = $2
		UNION SELECT subscription_id, slot, hosting_id FROM bindings WHERE hosting_id = $3`,
		[]any{b.Subscription, b.Slot, b.Hosting}, func(row scan) error {
			var subscription string
			var slot int
			var hosting int64
			err := row(&subscription, &slot, &hosting)
			if subscription == b.Subscription && slot == b.Slot {
				bound, have = true, hosting
			} else {
				other = subscription
			}
			return err
		})
	switch {
	case err != nil:
		return false, err
	case bound && have != b.Hosting:
		return false, conflict(nil, "slot %d of %s is already bound to hosting %d, not %d", b.Slot, b.Subscription, have, b.Hosting)
	case b.How == reconcile.BoundByCreate && other != "":
		return false, conflict(nil, "hosting %d is already bound to %s", b.Hosting, other)
	case b.How == reconcile.BoundByResubscription && other != "":
		_, err = tx.exec(ctx, `DELETE FROM bindings WHERE hosting_id = $1 AND subscription_id <> $2 AND subscription_id IN (
			SELECT s.id FROM subscriptions s WHERE s.status IN ('canceled', 'incomplete_expired')
			AND s.stripe_customer_id IN (SELECT s2.stripe_customer_id FROM subscriptions s2 WHERE s2.id = $2))`,
			b.Hosting, b.Subscription)
	}
	return bound, err
}
