package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// undecidedCursor holds since when this database has known hostings that it has
// nothing to do with, while nothing was bound; "" once that is decided.
const undecidedCursor = "undecided"

// unboundHosting is the condition of a living hosting that no subscription is bound to,
// that no marker names, and of which no person has decided that no customer pays for it, in the
// words of its index.
const unboundHosting = `NOT h.bound AND NOT h.ignored AND h.terminated_by_us IS NULL AND h.state IN ('active', 'suspended') AND h.marker_id = ''
	AND NOT EXISTS (SELECT 1 FROM orgs d WHERE d.id = h.org_id AND d.deleted)`

// Unbound counts the living hostings of the panel that no subscription is bound to and
// no marker names, and notes whether it has to be decided which orders are new: it has
// if there are some and nothing was bound here before, until none is left.
func (s *Store) Unbound(ctx context.Context) (u reconcile.Unbound, err error) {
	u, _, err = s.countUnbound(ctx)
	return u, err
}

// countUnbound is Unbound, and since when it is undecided which orders are new; "": it is
// decided, or was never asked.
func (s *Store) countUnbound(ctx context.Context) (u reconcile.Unbound, since string, err error) {
	err = s.query(ctx, "counting unbound hostings", "SELECT count(*), count(DISTINCT h.org_id), (SELECT coalesce(max(value), '') FROM cursors WHERE name = $1) FROM hostings h WHERE "+unboundHosting,
		[]any{undecidedCursor}, func(row scan) error { return row(&u.Hostings, &u.Orgs, &since) })
	u.Undecided = since != "" && u.Hostings > 0
	return u, since, err
}

// AskAboutUnbound notes that it has to be decided which orders are new, where nothing
// was bound before, and that it is decided, where no unbound hosting is left.
// It returns the count as it is afterwards.
func (s *Store) AskAboutUnbound(ctx context.Context, tok reconcile.Token, now time.Time) (reconcile.Unbound, error) {
	u, since, err := s.countUnbound(ctx)
	if err != nil || (since != "") == (u.Hostings > 0) {
		return u, err
	}
	value := ""
	if u.Hostings > 0 {
		bound := false
		err := s.query(ctx, "looking for a binding", "SELECT 1 FROM bindings UNION ALL SELECT 1 FROM partings LIMIT 1", nil, func(scan) error {
			bound = true
			return nil
		})
		if err != nil || bound {
			return u, err // what people make by hand beside us is no reason to ask
		}
		value = now.UTC().Format(time.RFC3339)
	}
	u.Undecided = value != ""
	return u, s.SetCursor(ctx, tok, undecidedCursor, value)
}

// SaveSites stores where the panel has a domain; none is an answer too.
func (s *Store) SaveSites(ctx context.Context, tok reconcile.Token, domain string, sites []reconcile.WebsiteLocation, now time.Time) error {
	key := clean(reconcile.DomainKey(domain))
	if key == "" {
		return nil
	}
	rows := [][]any{}
	for _, site := range sites {
		rows = append(rows, []any{key, clean(site.Org), site.Hosting, at(now)})
	}
	if len(rows) == 0 {
		rows = append(rows, []any{key, "", 0, at(now)})
	}
	return s.fenced(ctx, "saving where a domain is", tok, func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "DELETE FROM sites WHERE domain = $1", key); err != nil {
			return err
		}
		return tx.bulk(ctx, insertSite, rows)
	})
}

var insertSite = bulk{
	head:    "INSERT INTO sites",
	columns: []column{{"domain", "TEXT"}, {"org_id", "TEXT"}, {"hosting_id", "BIGINT"}, {"read_at", "TIMESTAMPTZ"}},
	tail:    "ON CONFLICT (domain, org_id, hosting_id) DO UPDATE SET read_at = excluded.read_at",
}

// alike collects which orgs look like whose, for a batch of customers.
type alike struct {
	*aggregate
	names  map[string][]*reconcile.Customer // NameKey → who is called so
	owners map[string][]*reconcile.Customer // EmailKey →
	likely map[string][]likeness            // org →
}

// likeness is one reason why an org may be a customer's.
type likeness struct {
	customer     *reconcile.Customer
	subscription string
	why          reconcile.Likeness
}

// loadExisting attaches the unbound hostings that may be a customer's. It is called only
// where the panel has any, which it has not for a company that began with this program.
func (a *aggregate) loadExisting(ctx context.Context) error {
	l := alike{a, map[string][]*reconcile.Customer{}, map[string][]*reconcile.Customer{}, map[string][]likeness{}}
	for _, load := range []func(context.Context) error{l.loadNames, l.loadSites, l.loadOrgs, l.loadHostings} {
		if err := load(ctx); err != nil {
			return err
		}
	}
	return nil
}

// loadNames collects what the buyers are called and where they can be written to.
func (a *alike) loadNames(ctx context.Context) error {
	for i := range a.list {
		c := &a.list[i]
		a.called(c, c.Name, c.Email)
		if c.Org != nil {
			a.like(c.Org.ID, likeness{c, "", reconcile.LikeOrg})
		}
		for j := range c.Hostings { // in whose org a hosting of ours is or was
			if m := c.Hostings[j].Marker(); a.subs[m.StripeID] == c {
				a.like(c.Hostings[j].Org, likeness{c, "", reconcile.LikeOrg})
			}
		}
		for j := range c.Subscriptions {
			a.like(c.Subscriptions[j].MetadataOrg, likeness{c, c.Subscriptions[j].ID, reconcile.LikeMetadata})
		}
	}
	query := "SELECT id, email, name FROM stripe_customers WHERE id IN " + a.c.d.texts(1)
	return a.c.each(ctx, query, []any{keys(a.buyers)}, func(row scan) error {
		var id, email, name string
		err := row(&id, &email, &name)
		a.called(a.buyers[id], name, email)
		return err
	})
}

// called notes a name and an e-mail of a customer. Without a name the e-mail serves as
// one, as it does for the orgs that we make.
func (a *alike) called(c *reconcile.Customer, name, email string) {
	note := func(all map[string][]*reconcile.Customer, key string) {
		if key != "" && !slices.Contains(all[key], c) {
			all[key] = append(all[key], c)
		}
	}
	note(a.names, reconcile.NameKey(name))
	note(a.names, reconcile.NameKey(email))
	note(a.owners, reconcile.EmailKey(email))
}

func (a *alike) like(org string, l likeness) {
	if org != "" && !slices.Contains(a.likely[org], l) {
		a.likely[org] = append(a.likely[org], l)
	}
}

// loadSites attaches when the panel was asked for the domains that were ordered, and
// the orgs in which they are. A website on a hosting that is bound is no reason to
// take the others of its org for the customer's.
func (a *alike) loadSites(ctx context.Context) error {
	type order struct {
		c *reconcile.Customer
		s *reconcile.Subscription
	}
	orders := map[string][]order{}
	for i := range a.list {
		for j := range a.list[i].Subscriptions {
			s := &a.list[i].Subscriptions[j]
			if key := reconcile.DomainKey(s.Domain); key != "" {
				orders[key] = append(orders[key], order{&a.list[i], s})
			}
		}
	}
	query := `SELECT t.domain, t.org_id, t.read_at, EXISTS (SELECT 1 FROM hostings h WHERE h.id = t.hosting_id AND h.bound)
		FROM sites t WHERE t.domain IN ` + a.c.d.texts(1)
	return a.c.each(ctx, query, []any{keys(orders)}, func(row scan) error {
		var key, org string
		var at time.Time
		var bound bool
		if err := row(&key, &org, into(&at), &bound); err != nil {
			return err
		}
		for _, o := range orders[key] {
			o.s.SiteReadAt = at
			if !bound {
				a.like(org, likeness{o.c, o.s.ID, reconcile.LikeDomain})
			}
		}
		return nil
	})
}

// loadOrgs finds the orgs that are called like a customer, are owned by one, or carry
// the marker of one.
func (a *alike) loadOrgs(ctx context.Context) error {
	query := `SELECT id, name_key, owner_email_key, marker_id FROM orgs WHERE NOT deleted AND id IN (
		SELECT id FROM orgs WHERE name_key <> '' AND name_key IN ` + a.c.d.texts(1) + `
		UNION SELECT id FROM orgs WHERE owner_email_key <> '' AND owner_email_key IN ` + a.c.d.texts(2) + `
		UNION SELECT id FROM orgs WHERE marker_id <> '' AND marker_id IN ` + a.c.d.texts(3) + ")"
	return a.c.each(ctx, query, []any{keys(a.names), keys(a.owners), keys(a.buyers)}, func(row scan) error {
		var id, name, owner, marker string
		if err := row(&id, &name, &owner, &marker); err != nil {
			return err
		}
		for _, c := range a.names[name] {
			a.like(id, likeness{c, "", reconcile.LikeName})
		}
		for _, c := range a.owners[owner] {
			a.like(id, likeness{c, "", reconcile.LikeOwner})
		}
		if c := a.buyers[marker]; c != nil {
			a.like(id, likeness{c, "", reconcile.LikeOrg})
		}
		return nil
	})
}

// loadHostings attaches the unbound hostings of these orgs.
func (a *alike) loadHostings(ctx context.Context) error {
	query := `SELECT h.id, h.org_id, h.plan_id, h.observed_at, coalesce(o.name, '') FROM hostings h LEFT JOIN orgs o ON o.id = h.org_id
		WHERE h.org_id IN ` + a.c.d.texts(1) + " AND " + unboundHosting + " ORDER BY h.id"
	return a.c.each(ctx, query, []any{keys(a.likely)}, func(row scan) error {
		var l reconcile.Lookalike
		if err := row(&l.Hosting, &l.Org, &l.Plan, into(&l.ObservedAt), &l.OrgName); err != nil {
			return err
		}
		for _, of := range a.likely[l.Org] {
			l.Subscription, l.Why = of.subscription, of.why
			of.customer.Lookalikes = append(of.customer.Lookalikes, l)
		}
		return nil
	})
}

// unmade is the condition that the journal knows no create of a kind that made
// something. A create that is under way may have made it, and so may one that was given up
// after the engine looked for it and did not find it, or that was found done without the
// id of the object.
func unmade(kind, same, made, nameless string) string {
	return fmt.Sprintf(`NOT EXISTS (SELECT 1 FROM actions a WHERE a.kind = '%s' AND %s
		AND (%s OR a.state IN ('sent', 'ambiguous') OR a.state = 'failed' AND a.looks > 0
			OR a.state = 'adopted' AND %s))`, kind, same, made, nameless)
}

// Duplicates finds orgs and hostings that were created twice, and not by this database's
// journal. It returns up to limit living hostings with the marker of a subscription whose
// slot is bound to another living hosting, or with the same marker as another bound one,
// and orgs with the marker of a customer that has another org. Markers with the name of
// another installation are left out.
func (s *Store) Duplicates(ctx context.Context, instance string, limit int) ([]reconcile.Duplicate, error) {
	living := func(h string) string {
		return h + ".terminated_by_us IS NULL AND " + h + ".state IN ('active', 'suspended')"
	}
	hostings := `SELECT h.marker_id, h.marker_slot, h.org_id, h.id, f.org_id AS first_org, f.id AS first_id FROM hostings h JOIN hostings f ON f.id <> h.id AND ` + living("f") + `
			AND f.id IN (SELECT b.hosting_id FROM bindings b WHERE b.subscription_id = h.marker_id AND b.slot = h.marker_slot
				UNION SELECT m.id FROM hostings m WHERE m.bound AND m.marker_id <> '' AND m.marker_id = h.marker_id AND m.marker_slot = h.marker_slot AND m.marker_word IN ('', $1))
		WHERE NOT h.bound AND ` + living("h") + ` AND h.marker_id <> '' AND h.marker_word IN ('', $1)
		AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = h.marker_id) AND ` +
		unmade("create_subscription", "a.subscription_id = h.marker_id AND a.slot = h.marker_slot", "a.hosting_id = h.id", "a.hosting_id = 0") + ` ORDER BY h.marker_id, h.id LIMIT $2`
	orgs := `SELECT o.marker_id, 0 AS slot, o.id, 0 AS hosting, f.id AS first_org, 0 AS first_id FROM orgs o
		JOIN stripe_customers b ON b.id = o.marker_id JOIN customers c ON c.id = b.customer_id
		JOIN orgs f ON f.id <> o.id AND NOT f.deleted AND (f.id = c.org_id AND c.org_why = '' OR f.marker_id = o.marker_id AND f.marker_word IN ('', $1) AND f.id < o.id AND c.org_id IS NULL)
		WHERE o.marker_id <> '' AND o.marker_word IN ('', $1) AND NOT o.deleted
		AND NOT EXISTS (SELECT 1 FROM customers t WHERE t.org_id IS NOT NULL AND t.org_id = o.id) AND ` +
		unmade("create_org", "a.customer_id IN (b.id, c.id)", "a.org_id = o.id", "a.org_id = ''") + ` ORDER BY o.marker_id, o.id LIMIT $2`
	// A part of UNION ALL may come in any place: the hostings are put before the orgs here.
	var ofHostings, ofOrgs []reconcile.Duplicate
	err := s.query(ctx, "looking for second hostings and orgs", "SELECT * FROM ("+hostings+") AS twice UNION ALL SELECT * FROM ("+orgs+") AS twice_orgs", []any{instance, limit}, func(row scan) error {
		var r reconcile.Duplicate
		err := row(&r.Marker.StripeID, &r.Marker.Slot, &r.Org, &r.Hosting, &r.FirstOrg, &r.First)
		if r.Hosting != 0 {
			ofHostings = append(ofHostings, r)
		} else {
			ofOrgs = append(ofOrgs, r)
		}
		return err
	})
	all := slices.Concat(ofHostings, ofOrgs)
	return all[:min(len(all), limit)], err
}
