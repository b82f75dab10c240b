package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// parties is the outcome of assigning buyers to paying parties.
type parties struct {
	of       map[string]string // Stripe customer → party
	due      []string          // parties to wake whatever else changed
	founded  map[string]bool   // parties made here, by their first buyer; due from the start
	renamed  []string          // existing parties whose e-mail or name may follow another buyer now
	created  int64
	removed  int64
	arrivals []*buyer
	movers   []*buyer // known buyers with another e-mail than before, if they still have one
	changed  []string // ids of known buyers whose e-mail is another one now, or none
}

// buyer is a Stripe customer in a batch of facts.
type buyer struct {
	reconcile.StripeCustomer
	key           string    // of the e-mail
	first, newest time.Time // of its subscriptions in the batch
	party         string
	known         bool
	stale         bool // known, and the stored row differs
}

// assignParties stores the buyers of facts that are about to be written.
//
//   - A known buyer keeps its party.
//   - A new one joins the party that has a buyer with the same e-mail, ignoring
//     case; without such a party it founds one under its own id.
//   - A known one whose e-mail changed to that of another party joins it only while
//     its own party owns nothing: no org, no binding, no open action. Afterwards an
//     e-mail never moves ownership.
func (m *merge) assignParties(ctx context.Context, all []incoming) (*parties, error) {
	p := &parties{of: make(map[string]string)}
	buyers := collectBuyers(all)
	if err := p.recognise(ctx, m.tx, buyers); err != nil {
		return nil, err
	}
	if err := p.place(ctx, m.tx, buyers, m.now); err != nil {
		return nil, err
	}
	if err := p.write(ctx, m.tx, buyers); err != nil {
		return nil, err
	}
	for _, b := range buyers {
		p.of[b.ID] = b.party
	}
	return p, p.follow(ctx, m.tx, all, buyers)
}

// collectBuyers takes each buyer once, as the latest read saw it.
func collectBuyers(all []incoming) []*buyer {
	byID := make(map[string]*buyer)
	readAt := make(map[string]time.Time)
	var buyers []*buyer
	for i := range all {
		f := &all[i].facts
		b := byID[f.Buyer.ID]
		if b == nil {
			b = &buyer{StripeCustomer: f.Buyer, first: f.Created, newest: f.Created}
			byID[f.Buyer.ID], readAt[f.Buyer.ID] = b, f.ReadAt
			buyers = append(buyers, b)
		}
		if f.ReadAt.After(readAt[b.ID]) {
			b.StripeCustomer, readAt[b.ID] = f.Buyer, f.ReadAt
		}
		if f.Created.Before(b.first) {
			b.first = f.Created
		}
		if f.Created.After(b.newest) {
			b.newest = f.Created
		}
	}
	for _, b := range buyers {
		b.key = reconcile.EmailKey(b.Email)
	}
	slices.SortFunc(buyers, func(a, b *buyer) int { return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.ID, b.ID)) })
	return buyers
}

// recognise fills in what is stored of the buyers. A deleted Stripe customer
// comes without its e-mail and name; the last ones known stay.
func (p *parties) recognise(ctx context.Context, tx conn, buyers []*buyer) error {
	byID := make(map[string]*buyer, len(buyers))
	ids := make([]string, len(buyers))
	for i, b := range buyers {
		byID[b.ID], ids[i] = b, b.ID
	}
	query := "SELECT id, customer_id, email, email_key, name, deleted FROM stripe_customers WHERE id IN " + tx.d.texts(1)
	err := tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var id, party, email, key, name string
		var deleted bool
		if err := row(&id, &party, &email, &key, &name, &deleted); err != nil {
			return err
		}
		b := byID[id]
		b.known, b.party = true, party
		if b.Deleted {
			b.Email, b.Name = cmp.Or(b.Email, email), cmp.Or(b.Name, name)
			b.key = reconcile.EmailKey(b.Email)
		}
		b.stale = b.Email != email || b.Name != name || b.Deleted != deleted
		if b.key != key {
			p.changed = append(p.changed, b.ID)
			if b.key != "" {
				p.movers = append(p.movers, b)
			}
		}
		return nil
	})
	slices.SortFunc(p.movers, func(a, b *buyer) int { return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.ID, b.ID)) })
	return err
}

// place decides the party of every buyer.
func (p *parties) place(ctx context.Context, tx conn, buyers []*buyer, now time.Time) error {
	var keys []string
	for _, b := range buyers {
		if !b.known {
			p.arrivals = append(p.arrivals, b)
		}
	}
	for _, b := range slices.Concat(p.arrivals, p.movers) {
		if b.key != "" {
			keys = append(keys, b.key)
		}
	}
	if len(keys) == 0 && len(p.arrivals) == 0 {
		return nil
	}
	existing, err := partiesByEmail(ctx, tx, keys, p.changed)
	if err != nil {
		return err
	}
	for _, b := range p.movers { // nobody has the new e-mail: the party keeps its buyer and is known by it now
		if existing[b.key] == "" {
			existing[b.key] = b.party
		}
	}
	var founded []*buyer
	for _, b := range p.arrivals {
		if party := existing[b.key]; b.key != "" && party != "" {
			b.party = party
			p.renamed = append(p.renamed, party)
			continue
		}
		b.party = b.ID
		founded = append(founded, b)
		if b.key != "" {
			existing[b.key] = b.party
		}
	}
	if err := p.found(ctx, tx, founded, now); err != nil {
		return err
	}
	for _, b := range p.movers {
		if err := p.move(ctx, tx, b, existing[b.key]); err != nil {
			return err
		}
	}
	return nil
}

// partiesByEmail finds the party of each e-mail: one that has an org before one
// that has none, then the smallest id, so that the answer never depends on the
// order of arrival. What is stored of the buyers in changed does not count: it is
// an e-mail that they no longer have, and their party may go with them.
func partiesByEmail(ctx context.Context, tx conn, keys, changed []string) (map[string]string, error) {
	found := make(map[string]string)
	if len(keys) == 0 {
		return found, nil
	}
	slices.Sort(keys)
	query := `SELECT s.email_key, c.id FROM stripe_customers s JOIN customers c ON c.id = s.customer_id
		WHERE s.email_key <> '' AND s.email_key IN ` + tx.d.texts(1) + ` AND s.id NOT IN ` + tx.d.texts(2) + `
		ORDER BY s.email_key, CASE WHEN c.org_id IS NULL THEN 1 ELSE 0 END, c.id`
	err := tx.each(ctx, query, []any{list(slices.Compact(keys)), list(changed)}, func(row scan) error {
		var key, party string
		err := row(&key, &party)
		if found[key] == "" {
			found[key] = party
		}
		return err
	})
	return found, err
}

var insertCustomer = bulk{
	head: "INSERT INTO customers",
	columns: []column{{"id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"}, {"name", "TEXT"},
		{"due_at", "TIMESTAMPTZ"}, {"created_at", "TIMESTAMPTZ"}},
	tail: "ON CONFLICT (id) DO NOTHING",
}

// found stores new parties under the e-mail and name of their newest buyers in
// the batch.
func (p *parties) found(ctx context.Context, tx conn, founders []*buyer, now time.Time) error {
	members := make(map[string][]*buyer, len(founders))
	for _, b := range p.arrivals {
		members[b.party] = append(members[b.party], b)
	}
	rows := make([][]any, len(founders))
	p.founded = make(map[string]bool, len(founders))
	for i, f := range founders {
		email, name := newestNames(members[f.ID])
		rows[i] = []any{f.ID, email, reconcile.EmailKey(email), name, at(now), at(now)}
		p.founded[f.ID] = true
	}
	p.created = int64(len(founders))
	p.renamed = slices.DeleteFunc(p.renamed, func(id string) bool { return p.founded[id] })
	return tx.bulk(ctx, insertCustomer, rows)
}

// newestNames are the e-mail and the name of the newest buyer that has one.
func newestNames(members []*buyer) (email, name string) {
	slices.SortFunc(members, func(a, b *buyer) int { return cmp.Or(b.newest.Compare(a.newest), cmp.Compare(b.ID, a.ID)) })
	for _, b := range members {
		email, name = cmp.Or(email, b.Email), cmp.Or(name, b.Name)
	}
	return email, name
}

// move brings a buyer to the party of its new e-mail, if there is one and its own
// party owns nothing.
func (p *parties) move(ctx context.Context, tx conn, b *buyer, target string) error {
	p.renamed = append(p.renamed, b.party)
	if target == "" || target == b.party {
		return nil
	}
	var owned int
	if _, err := tx.one(ctx, `SELECT
		(SELECT count(*) FROM customers WHERE id = $1 AND org_id IS NOT NULL) +
		(SELECT count(*) FROM actions WHERE customer_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous')) +
		(SELECT count(*) FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id
			JOIN stripe_customers c ON c.id = s.stripe_customer_id WHERE c.customer_id = $1)`, []any{b.party}, &owned); err != nil || owned > 0 {
		return err
	}
	if _, err := tx.exec(ctx, "UPDATE stripe_customers SET customer_id = $2 WHERE id = $1", b.ID, target); err != nil {
		return err
	}
	removed, err := tx.exec(ctx, `DELETE FROM customers WHERE id = $1
		AND NOT EXISTS (SELECT 1 FROM stripe_customers WHERE customer_id = $1)`, b.party)
	p.removed += removed
	p.due = append(p.due, b.party, target)
	p.renamed = append(p.renamed, target)
	b.party = target
	return err
}

var upsertBuyer = bulk{
	head: "INSERT INTO stripe_customers",
	columns: []column{{"id", "TEXT"}, {"customer_id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"},
		{"name", "TEXT"}, {"deleted", "BOOLEAN"}},
	tail: `ON CONFLICT (id) DO UPDATE SET email = excluded.email, email_key = excluded.email_key,
		name = excluded.name, deleted = excluded.deleted`,
}

// write stores new and changed buyers.
func (p *parties) write(ctx context.Context, tx conn, buyers []*buyer) error {
	var rows [][]any
	for _, b := range buyers {
		if b.known && !b.stale {
			continue
		}
		if b.known {
			p.renamed = append(p.renamed, b.party)
		}
		rows = append(rows, []any{b.ID, b.party, b.Email, b.key, b.Name, b.Deleted})
	}
	return tx.bulk(ctx, upsertBuyer, rows)
}

// follow notes parties whose newest buyer may be another one now, and parties
// that lose a subscription to another buyer.
func (p *parties) follow(ctx context.Context, tx conn, all []incoming, buyers []*buyer) error {
	known := make(map[string]bool, len(buyers))
	for _, b := range buyers {
		known[b.ID] = b.known
	}
	var former []string
	for i := range all {
		in := &all[i]
		switch buyer := in.facts.Buyer.ID; {
		case in.old == nil && known[buyer]:
			p.renamed = append(p.renamed, p.of[buyer])
		case in.old != nil && in.old.buyer != buyer:
			former = append(former, in.old.buyer)
		}
	}
	if len(former) == 0 {
		return nil
	}
	query := "SELECT id, customer_id FROM stripe_customers WHERE id IN " + tx.d.texts(1)
	return tx.each(ctx, query, []any{list(former)}, func(row scan) error {
		var id, party string
		if err := row(&id, &party); err != nil {
			return err
		}
		p.due = append(p.due, party)
		p.renamed = append(p.renamed, party)
		return nil
	})
}

var renameCustomer = bulk{
	head:    "UPDATE customers SET email = {email}, email_key = {email_key}, name = {name}",
	columns: []column{{"id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"}, {"name", "TEXT"}},
	tail:    "customers.id = {id}",
}

// rename lets the e-mail and the name of parties follow their newest buyers. It
// runs after the subscriptions are written, because those tell who is newest.
func (p *parties) rename(ctx context.Context, tx conn) error {
	if len(p.renamed) == 0 {
		return nil
	}
	slices.Sort(p.renamed)
	members := make(map[string][]*buyer)
	var current []reconcile.StripeCustomer // id, e-mail and name of the parties as stored
	query := `SELECT c.id, c.email, c.name, b.id, b.email, b.name, max(s.created_at)
		FROM customers c JOIN stripe_customers b ON b.customer_id = c.id
		LEFT JOIN subscriptions s ON s.stripe_customer_id = b.id
		WHERE c.id IN ` + tx.d.texts(1) + ` GROUP BY c.id, c.email, c.name, b.id, b.email, b.name ORDER BY c.id, b.id`
	err := tx.each(ctx, query, []any{list(slices.Compact(p.renamed))}, func(row scan) error {
		var party reconcile.StripeCustomer
		b := new(buyer)
		if err := row(&party.ID, &party.Email, &party.Name, &b.ID, &b.Email, &b.Name, into(&b.newest)); err != nil {
			return err
		}
		if len(members[party.ID]) == 0 {
			current = append(current, party)
		}
		members[party.ID] = append(members[party.ID], b)
		return nil
	})
	if err != nil {
		return err
	}
	var rows [][]any
	for _, party := range current {
		email, name := newestNames(members[party.ID])
		if email != party.Email || name != party.Name {
			rows = append(rows, []any{party.ID, email, reconcile.EmailKey(email), name})
		}
	}
	return tx.bulk(ctx, renameCustomer, rows)
}
