package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// aggregate completes customers, a whole batch with each query, so that the cost
// per customer is a few rows and not a few round trips.
type aggregate struct {
	c       conn
	list    []reconcile.Customer
	byID    map[string]*reconcile.Customer
	buyers  map[string]*reconcile.Customer   // Stripe customer →
	subs    map[string]*reconcile.Customer   // subscription →
	orgs    map[string][]*reconcile.Customer // bound org →
	emails  map[string][]*reconcile.Customer
	hosting map[int64][]*reconcile.Customer // bound hosting, or one that metadata names →
	named   []int64                         // hostings that metadata names
	strays  []reconcile.Hosting             // see strayHosting
}

// aggregates loads everything else of the customers whose rows were read.
func aggregates(ctx context.Context, c conn, heads []head) ([]reconcile.Customer, error) {
	a := &aggregate{c: c,
		list: make([]reconcile.Customer, len(heads)),
		byID: make(map[string]*reconcile.Customer, len(heads)), buyers: make(map[string]*reconcile.Customer, len(heads)),
		subs: make(map[string]*reconcile.Customer, len(heads)), orgs: make(map[string][]*reconcile.Customer),
		emails: make(map[string][]*reconcile.Customer, len(heads)), hosting: make(map[int64][]*reconcile.Customer),
	}
	var any has
	unbound := false
	for i := range heads {
		h := &heads[i]
		a.list[i] = h.Customer
		customer := &a.list[i]
		a.byID[customer.ID] = customer
		for _, b := range customer.Buyers {
			a.buyers[b.ID] = customer
		}
		if h.org != "" {
			a.orgs[h.org] = append(a.orgs[h.org], customer)
		}
		if h.key != "" {
			a.emails[h.key] = append(a.emails[h.key], customer)
		}
		any = has{any.pending || h.pending, any.kin || h.kin, any.partings || h.partings, any.manual || h.manual}
		unbound = unbound || h.Unbound
	}
	for _, part := range []struct {
		there bool
		load  func(context.Context) error
	}{
		{true, a.loadSubscriptions}, {true, a.loadBindings}, {any.partings, a.loadPartings}, {true, a.loadHostings},
		{true, a.loadServed}, {true, a.loadOrgs}, {any.kin, a.loadKin}, {any.pending, a.loadPending},
		{any.manual, a.loadHolds}, {unbound, a.loadExisting},
	} {
		if !part.there {
			continue
		}
		if err := part.load(ctx); err != nil {
			return nil, err
		}
	}
	return a.list, nil
}

func (a *aggregate) loadSubscriptions(ctx context.Context) error {
	query := `SELECT id, stripe_customer_id, status, status_text, status_since, created_at, ended_at, cancel_at_period_end,
		current_period_end, collection_paused, unpaid_since, items,
		CASE WHEN domain = '' THEN checkout_domain ELSE domain END, domain_checked,
		metadata_org, metadata_hosting, metadata_written, read_at, by_id, gone, said_new, entitled_at, lapse_seen_at, lapsed_since,
		metadata_org_text, metadata_hosting_text, cancel_at, send_invoice
		FROM subscriptions WHERE stripe_customer_id IN ` + a.c.d.texts(1) + " ORDER BY id"
	return a.c.each(ctx, query, []any{keys(a.buyers)}, func(row scan) error {
		var s reconcile.Subscription
		var status string
		var items sql.RawBytes
		err := row(&s.ID, &s.StripeCustomer, &status, &s.StatusText, into(&s.StatusSince), into(&s.Created), into(&s.EndedAt),
			&s.CancelAtPeriodEnd, into(&s.CurrentPeriodEnd), &s.CollectionPaused, into(&s.UnpaidSince), &items,
			&s.Domain, &s.DomainChecked, &s.MetadataOrg, &s.MetadataHosting, &s.MetadataWritten, into(&s.ReadAt), &s.ByID, &s.Gone, &s.IsNewOrder,
			into(&s.Lapse.Entitled), into(&s.Lapse.Seen), into(&s.Lapse.Since), &s.MetadataOrgText, &s.MetadataHostingText, into(&s.CancelAt), &s.SendInvoice)
		if err != nil {
			return err
		}
		s.Status = reconcile.ParseStatus(status)
		if s.Items, err = decodeItems(items); err != nil {
			return badRow("subscription", s.ID, err)
		}
		customer := a.buyers[s.StripeCustomer]
		customer.Subscriptions = append(customer.Subscriptions, s)
		a.subs[s.ID] = customer
		if id := s.MetadataHosting; id != 0 && !slices.Contains(a.hosting[id], customer) {
			a.hosting[id] = append(a.hosting[id], customer)
			a.named = append(a.named, id)
		}
		return nil
	})
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

// loadHostings attaches a hosting to every customer that it concerns: bound to
// it, in its org, or marked with one of its subscriptions.
func (a *aggregate) loadHostings(ctx context.Context) error {
	bound := make([]int64, 0, len(a.hosting))
	for id := range a.hosting {
		bound = append(bound, id)
	}
	slices.Sort(bound)
	query := hostingColumns + `, ` + strayHosting + ` FROM hostings WHERE id IN (
		SELECT id FROM hostings WHERE id IN ` + a.c.d.ints(1) + `
		UNION SELECT id FROM hostings WHERE org_id IN ` + a.c.d.texts(2) + `
		UNION SELECT id FROM hostings WHERE marker_id <> '' AND marker_id IN ` + a.c.d.texts(3) + `) ORDER BY id`
	return a.c.each(ctx, query, []any{list(bound), keys(a.orgs), keys(a.subs)}, func(row scan) error {
		var stray bool
		h, err := scanHosting(row, &stray)
		if err != nil {
			return err
		}
		if stray && len(a.orgs[h.Org]) > 0 {
			a.strays = append(a.strays, h)
		}
		concerned := slices.Concat(a.hosting[h.ID], a.orgs[h.Org], []*reconcile.Customer{a.subs[h.Marker().StripeID]})
		for i, customer := range concerned {
			if customer != nil && !slices.Contains(concerned[:i], customer) {
				customer.Hostings = append(customer.Hostings, h)
			}
		}
		return nil
	})
}

// loadOrgs attaches the org that a customer is bound to, and the orgs that no customer
// is bound to: marked with a buyer, or owned by exactly the customer's e-mail.
func (a *aggregate) loadOrgs(ctx context.Context) error {
	for id, sharers := range a.orgs { // bound, even when the org was never read
		for _, customer := range sharers {
			customer.Org = &reconcile.Org{ID: id}
		}
	}
	query := orgColumns + `, EXISTS (SELECT 1 FROM customers c WHERE c.org_id IS NOT NULL AND c.org_id = orgs.id) FROM orgs WHERE id IN (
		SELECT id FROM orgs WHERE id IN ` + a.c.d.texts(1) + `
		UNION SELECT id FROM orgs WHERE marker_id <> '' AND marker_id IN ` + a.c.d.texts(2) + `
		UNION SELECT id FROM orgs WHERE owner_email_key <> '' AND NOT deleted AND owner_email_key IN ` + a.c.d.texts(3) + `) ORDER BY id`
	marked := slices.Concat(sorted(a.buyers), sorted(a.byID)) // in an old database the founder may have left its party
	read := make(map[string]bool, len(a.orgs))
	err := a.c.each(ctx, query, []any{keys(a.orgs), list(marked), keys(a.emails)}, func(row scan) error {
		var bound bool
		o, err := scanOrg(row, &bound)
		if err != nil {
			return err
		}
		read[o.ID] = true
		for _, customer := range a.orgs[o.ID] {
			*customer.Org = o
		}
		if !bound {
			a.attachFreeOrg(o)
		}
		return nil
	})
	for _, h := range a.strays {
		if read[h.Org] {
			a.attachStray(h)
		}
	}
	return err
}

// attachFreeOrg attaches an org that no customer is bound to.
func (a *aggregate) attachFreeOrg(o reconcile.Org) {
	if m, ok := reconcile.MarkerOf(o.Name); ok {
		customer := a.byID[m.StripeID]
		if customer == nil {
			customer = a.buyers[m.StripeID]
		}
		if customer != nil {
			customer.MarkedOrgs = append(customer.MarkedOrgs, o)
		}
	}
	if o.Deleted {
		return
	}
	for _, customer := range a.emails[reconcile.EmailKey(o.OwnerEmail)] {
		customer.OwnedOrgs = append(customer.OwnedOrgs, o)
	}
}

// loadPending finds writes whose outcome nobody knows. A row that is still sent
// belongs to a process that died, or to the one that asks.
func (a *aggregate) loadPending(ctx context.Context) error {
	query := `SELECT action_id, kind, customer_id, subscription_id, item_id, slot, email, org_id, hosting_id, sent_at, coalesce(settle_until, sent_at), looks, looked_at
		FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND state IN ('sent', 'ambiguous')
		AND customer_id IN ` + a.c.d.texts(1) + " ORDER BY sent_at, key"
	return a.c.each(ctx, query, []any{keys(a.byID)}, func(row scan) error {
		var p reconcile.Pending
		var kind, customer string
		if err := row(&p.ActionID, &kind, &customer, &p.Subscription, &p.Item, &p.Slot, &p.Email, &p.Org, &p.Hosting, into(&p.SentAt), into(&p.SettleUntil), &p.Looks, into(&p.LookedAt)); err != nil {
			return err
		}
		p.Kind = reconcile.ParseActionKind(kind)
		a.byID[customer].Pending = append(a.byID[customer].Pending, p)
		return nil
	})
}

// loadHolds attaches the holds that people set and did not remove. Whether one
// has run out is for the planner to say, because it knows what time it is.
func (a *aggregate) loadHolds(ctx context.Context) error {
	named := slices.Concat(sorted(a.buyers), sorted(a.byID))
	query := holdColumns + ` FROM holds WHERE removed_at IS NULL AND id IN (
		SELECT id FROM holds WHERE removed_at IS NULL AND stripe_customer_id IN ` + a.c.d.texts(1) + `
		UNION SELECT id FROM holds WHERE removed_at IS NULL AND subscription_id IN ` + a.c.d.texts(2) + `) ORDER BY created_at, id`
	return a.c.each(ctx, query, []any{list(named), keys(a.subs)}, func(row scan) error {
		h, err := scanHold(row)
		if err != nil {
			return err
		}
		var attached []*reconcile.Customer
		for _, customer := range []*reconcile.Customer{a.buyers[h.Customer], a.byID[h.Customer], a.subs[h.Subscription]} {
			if customer != nil && !slices.Contains(attached, customer) {
				attached = append(attached, customer)
				customer.Manual = append(customer.Manual, h)
			}
		}
		return nil
	})
}

// sorted is the keys of a map in order, so that the same batch always makes the
// same query.
func sorted[V any](m map[string]V) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// keys is sorted as a parameter.
func keys[V any](m map[string]V) string { return list(sorted(m)) }
