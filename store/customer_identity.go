package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// identities is how the buyers of a batch are assigned to customers.
type identities struct {
	of      map[string]string // Stripe customer → customer
	due     []string          // customers to wake although nothing else of theirs changed
	founded map[string]bool   // customers made here, by their only buyer; due from the start
	renamed []string          // existing customers whose e-mail or name may have changed
	created int64
}

// buyer is a Stripe customer in a batch of facts.
type buyer struct {
	reconcile.Buyer
	customer string
	readAt   time.Time
	known    bool
	stale    bool // known, and the stored row differs
}

// assignCustomers stores the buyers of facts that are about to be written.
//
//   - A known buyer keeps its customer.
//   - A new buyer founds a customer under its own id. It never joins another one,
//     whatever its e-mail is: Stripe verifies no address, so anyone can enter any.
//   - A changed e-mail moves nothing. It is kept beside the one before it, with the
//     time, because a customer whose address changed is given nothing on the strength of
//     the new one.
//
// Databases of earlier versions have customers of several buyers. They stay as they are.
func (m *merge) assignCustomers(ctx context.Context, all []incoming) (*identities, error) {
	p := &identities{of: make(map[string]string)}
	buyers := collectBuyers(all)
	if err := loadBuyers(ctx, m.tx, buyers, m.now); err != nil {
		return nil, err
	}
	if err := p.insertCustomers(ctx, m.tx, buyers, m.now); err != nil {
		return nil, err
	}
	if err := p.write(ctx, m.tx, buyers); err != nil {
		return nil, err
	}
	for _, b := range buyers {
		p.of[b.ID] = b.customer
	}
	return p, p.noteMoves(ctx, m.tx, all, buyers)
}

// collectBuyers takes each buyer once, as the latest read saw it.
func collectBuyers(all []incoming) []*buyer {
	byID := make(map[string]*buyer)
	var buyers []*buyer
	for i := range all {
		f := &all[i].facts
		b := byID[f.Buyer.ID]
		if b == nil {
			b = &buyer{Buyer: reconcile.Buyer{StripeCustomer: f.Buyer}}
			b.readAt = f.ReadAt
			byID[f.Buyer.ID] = b
			buyers = append(buyers, b)
		}
		if f.ReadAt.After(b.readAt) {
			b.StripeCustomer, b.readAt = f.Buyer, f.ReadAt
		}
	}
	slices.SortFunc(buyers, func(a, b *buyer) int { return cmp.Compare(a.ID, b.ID) }) // one order for all transactions
	return buyers
}

// loadBuyers completes the buyers from their stored rows. A deleted Stripe customer
// comes without its e-mail and name; the last ones known stay. If they were erased, facts
// that were read before that do not bring them back.
func loadBuyers(ctx context.Context, tx conn, buyers []*buyer, now time.Time) error {
	byID := make(map[string]*buyer, len(buyers))
	ids := make([]string, len(buyers))
	for i, b := range buyers {
		byID[b.ID], ids[i] = b, b.ID
	}
	query := `SELECT b.id, b.customer_id, b.email, b.name, b.deleted, b.former_email, b.email_changed_at, b.email_unnoted, b.name_unnoted, c.erased_at
		FROM stripe_customers b JOIN customers c ON c.id = b.customer_id WHERE b.id IN ` + tx.d.texts(1)
	return tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var old reconcile.Buyer
		var customer string
		var erased time.Time
		err := row(&old.ID, &customer, &old.Email, &old.Name, &old.Deleted, &old.FormerEmail, into(&old.EmailChanged), &old.EmailUnnoted, &old.NameUnnoted, into(&erased))
		if err != nil {
			return err
		}
		b := byID[old.ID]
		b.known, b.customer = true, customer
		if !erased.IsZero() && !b.readAt.After(erased) {
			b.StripeCustomer = old.StripeCustomer
		}
		if b.Deleted {
			b.Email, b.Name = cmp.Or(b.Email, old.Email), cmp.Or(b.Name, old.Name)
		}
		b.FormerEmail, b.EmailChanged, b.EmailUnnoted = old.FormerEmail, old.EmailChanged, old.EmailUnnoted
		if reconcile.EmailKey(b.Email) != reconcile.EmailKey(old.Email) {
			b.FormerEmail, b.EmailChanged, b.EmailUnnoted = old.Email, now, true
		}
		// A name that is there for the first time, or no more, leaves nothing else to be called.
		was, is := reconcile.NameKey(old.Name), reconcile.NameKey(b.Name)
		b.NameUnnoted = old.NameUnnoted || was != is && was != "" && is != ""
		b.stale = b.Buyer != old
		return nil
	})
}

var insertCustomer = bulk{
	head: "INSERT INTO customers",
	columns: []column{{"id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"}, {"name", "TEXT"},
		{"due_at", "TIMESTAMPTZ"}, {"created_at", "TIMESTAMPTZ"}},
	tail: "ON CONFLICT (id) DO NOTHING",
}

// insertCustomers stores a customer for each buyer that is new.
func (p *identities) insertCustomers(ctx context.Context, tx conn, buyers []*buyer, now time.Time) error {
	var rows [][]any
	p.founded = make(map[string]bool)
	for _, b := range buyers {
		if b.known {
			continue
		}
		b.customer = b.ID
		p.founded[b.ID] = true
		rows = append(rows, []any{b.ID, b.Email, reconcile.EmailKey(b.Email), b.Name, at(now), at(now)})
	}
	p.created = int64(len(rows))
	return tx.bulk(ctx, insertCustomer, rows)
}

var upsertBuyer = bulk{
	head: "INSERT INTO stripe_customers",
	columns: []column{{"id", "TEXT"}, {"customer_id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"},
		{"name", "TEXT"}, {"deleted", "BOOLEAN"}, {"former_email", "TEXT"}, {"email_changed_at", "TIMESTAMPTZ"},
		{"email_unnoted", "BOOLEAN"}, {"name_unnoted", "BOOLEAN"}},
	tail: `ON CONFLICT (id) DO UPDATE SET email = excluded.email, email_key = excluded.email_key,
		name = excluded.name, deleted = excluded.deleted, former_email = excluded.former_email,
		email_changed_at = excluded.email_changed_at, email_unnoted = excluded.email_unnoted, name_unnoted = excluded.name_unnoted`,
}

// write stores new and changed buyers.
func (p *identities) write(ctx context.Context, tx conn, buyers []*buyer) error {
	var rows [][]any
	for _, b := range buyers {
		if b.known && !b.stale {
			continue
		}
		if b.known {
			p.renamed = append(p.renamed, b.customer)
		}
		rows = append(rows, []any{b.ID, b.customer, b.Email, reconcile.EmailKey(b.Email), b.Name, b.Deleted, b.FormerEmail, at(b.EmailChanged), b.EmailUnnoted, b.NameUnnoted})
	}
	sortRows(rows, 3) // the index of e-mails is the one that is not in the order of the merge
	return tx.bulk(ctx, upsertBuyer, rows)
}

// noteMoves notes customers that have another subscription now, and customers that lose
// one to another buyer.
func (p *identities) noteMoves(ctx context.Context, tx conn, all []incoming, buyers []*buyer) error {
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
		var id, customer string
		if err := row(&id, &customer); err != nil {
			return err
		}
		p.due = append(p.due, customer)
		p.renamed = append(p.renamed, customer)
		return nil
	})
}

var renameCustomer = bulk{
	head:    "UPDATE customers SET email = {email}, email_key = {email_key}, name = {name}",
	columns: []column{{"id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"}, {"name", "TEXT"}},
	tail:    "customers.id = {id}",
}

// rename keeps the e-mail and the name of a customer those of the buyer who founded it.
// Another buyer of the customer, in a database of an earlier version, stands in only for
// what the founder does not have.
func (p *identities) rename(ctx context.Context, tx conn) error {
	if len(p.renamed) == 0 {
		return nil
	}
	slices.Sort(p.renamed)
	members := make(map[string][]member)
	var current []reconcile.StripeCustomer // id, e-mail and name of the customers as stored
	query := `SELECT c.id, c.email, c.name, b.id, b.email, b.name, max(s.created_at)
		FROM customers c JOIN stripe_customers b ON b.customer_id = c.id
		LEFT JOIN subscriptions s ON s.stripe_customer_id = b.id
		WHERE c.id IN ` + tx.d.texts(1) + ` GROUP BY c.id, c.email, c.name, b.id, b.email, b.name ORDER BY c.id, b.id`
	err := tx.each(ctx, query, []any{list(slices.Compact(p.renamed))}, func(row scan) error {
		var customer reconcile.StripeCustomer
		var b member
		if err := row(&customer.ID, &customer.Email, &customer.Name, &b.ID, &b.Email, &b.Name, into(&b.newest)); err != nil {
			return err
		}
		if len(members[customer.ID]) == 0 {
			current = append(current, customer)
		}
		members[customer.ID] = append(members[customer.ID], b)
		return nil
	})
	if err != nil {
		return err
	}
	var rows [][]any
	for _, customer := range current {
		email, name := namesOf(customer.ID, members[customer.ID])
		if email != customer.Email || name != customer.Name {
			rows = append(rows, []any{customer.ID, email, reconcile.EmailKey(email), name})
		}
	}
	return tx.bulk(ctx, renameCustomer, rows)
}

// member is a buyer of a customer, with the creation of its newest subscription.
type member struct {
	reconcile.StripeCustomer
	newest time.Time
}

// namesOf are the e-mail and the name of the founder, or of the newest other buyer
// that has one.
func namesOf(founder string, members []member) (email, name string) {
	slices.SortFunc(members, func(a, b member) int { return cmp.Or(b.newest.Compare(a.newest), cmp.Compare(a.ID, b.ID)) })
	for _, b := range members {
		if b.ID == founder {
			email, name = b.Email, b.Name
		}
	}
	for _, b := range members {
		email, name = cmp.Or(email, b.Email), cmp.Or(name, b.Name)
	}
	return email, name
}
