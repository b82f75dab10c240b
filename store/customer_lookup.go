package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// FindCustomers returns the matching customers by id, with up to history journal
// rows each. None is no error.
func (s *Store) FindCustomers(ctx context.Context, l reconcile.CustomerLookup, history int) ([]reconcile.CustomerRecord, error) {
	var records []reconcile.CustomerRecord
	const op = "finding customers"
	err := s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		records = nil
		ids, err := c.strings(ctx, `SELECT customer_id FROM stripe_customers WHERE email_key <> '' AND email_key = $1
			UNION SELECT customer_id FROM stripe_customers WHERE id = $2
			UNION SELECT id FROM customers WHERE id = $2
			UNION SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE s.id = $3
			UNION SELECT id FROM customers WHERE org_id = $4
			UNION SELECT b.customer_id FROM hostings h JOIN bindings n ON n.hosting_id = h.id JOIN subscriptions s ON s.id = n.subscription_id
				JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE h.org_id = $4
			UNION SELECT b.customer_id FROM bindings n JOIN subscriptions s ON s.id = n.subscription_id
				JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE n.hosting_id = $5`,
			reconcile.EmailKey(l.Email), l.StripeCustomer, l.Subscription, l.Org, l.Hosting)
		if err == nil && l.Domain != "" {
			ids, err = withDomain(ctx, c, l.Domain)
		}
		if err != nil || len(ids) == 0 {
			return err
		}
		heads, err := loadHeads(ctx, c, "id IN "+c.d.texts(1), "c.id", list(ids))
		if err != nil {
			return err
		}
		customers, err := aggregates(ctx, c, heads)
		if err != nil {
			return err
		}
		for i, customer := range customers {
			r := reconcile.CustomerRecord{Customer: customer, DueAt: heads[i].due}
			if err := complete(ctx, c, &r, history); err != nil {
				return err
			}
			records = append(records, r)
		}
		return nil
	})
	return records, err
}

// complete adds what the planner does not need and a person does.
func complete(ctx context.Context, c conn, r *reconcile.CustomerRecord, history int) error {
	var held []byte
	_, err := c.one(ctx, "SELECT held, erased_at FROM customers WHERE id = $1", []any{r.ID}, &held, into(&r.Erased))
	if err != nil {
		return err
	}
	if r.Held, err = decodeHolds(r.ID, held); err != nil {
		return err
	}
	return c.each(ctx, recordColumns+"WHERE customer_id = $1 ORDER BY "+happened+" DESC, position DESC, key LIMIT $2", []any{r.ID, history}, func(row scan) error {
		a, _, err := scanRecord(row)
		r.History = append(r.History, a)
		return err
	})
}

// withDomain finds the customers that have ordered a domain, or have a hosting with a
// website of it. Orders keep a domain as it was typed, and no index finds one in that: this
// reads whole tables, which only a person waits for.
func withDomain(ctx context.Context, c conn, domain string) (ids []string, err error) {
	const (
		ordered = `SELECT b.customer_id, s.domain, s.checkout_domain FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id
			WHERE s.domain <> '' OR s.checkout_domain <> ''`
		served = `SELECT b.customer_id, h.website, h.content, t.domain FROM hostings h JOIN bindings n ON n.hosting_id = h.id
			JOIN subscriptions s ON s.id = n.subscription_id JOIN stripe_customers b ON b.id = s.stripe_customer_id
			LEFT JOIN sites t ON t.hosting_id = h.id AND t.domain = $1
			WHERE h.website <> '' OR h.content IS NOT NULL OR t.domain IS NOT NULL`
	)
	add := func(customer string) {
		if !slices.Contains(ids, customer) {
			ids = append(ids, customer)
		}
	}
	err = c.each(ctx, ordered, nil, func(row scan) error {
		var customer, typed, checkout string
		err := row(&customer, &typed, &checkout)
		if reconcile.DomainKey(typed) == domain || reconcile.DomainKey(checkout) == domain {
			add(customer)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, served, []any{domain}, func(row scan) error {
		var customer, website string
		var content sql.RawBytes
		var found sql.NullString
		if err := row(&customer, &website, &content, &found); err != nil {
			return err
		}
		var on reconcile.Content
		err := decodeContent(content, &on)
		if found.Valid || reconcile.DomainKey(website) == domain ||
			slices.ContainsFunc(on.Sites, func(site string) bool { return reconcile.DomainKey(site) == domain }) {
			add(customer)
		}
		return err
	})
	return ids, err
}
