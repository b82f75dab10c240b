package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
	marked := slices.Concat(sorted(a.buyers), sorted(a.byID)) // in an old database the founder may have left its customer
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

// orgsCursor keeps when the index of orgs was last complete.
const orgsCursor = "orgs_complete"

const orgColumns = `SELECT id, name, owner_email, hostings_count, deleted, suspended, created_at, observed_at, hostings_read_at, owners, owners_read_at`

// scanOrg reads orgColumns, and into more the columns selected after them.
func scanOrg(row scan, more ...any) (o reconcile.Org, err error) {
	var owners []byte
	if err := row(append([]any{&o.ID, &o.Name, &o.OwnerEmail, &o.Hostings, &o.Deleted, &o.Suspended, into(&o.Created), into(&o.ObservedAt),
		into(&o.HostingsRead), &owners, into(&o.OwnersRead)}, more...)...); err != nil || owners == nil {
		return o, err
	}
	return o, badRow("owners of org", o.ID, json.Unmarshal(owners, &o.Owners))
}

// SaveOwners stores the members with the role Owner, as read by the org's id.
func (s *Store) SaveOwners(ctx context.Context, tok reconcile.Token, org string, emails []string, now time.Time) error {
	owners := make([]string, len(emails))
	for i, e := range emails {
		owners[i] = clean(e)
	}
	return s.fenced(ctx, "saving owners", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE orgs SET owners = $2, owners_read_at = $3 WHERE id = $1 AND NOT erased", org, list(owners), at(now))
		return err
	})
}

var upsertOrg = bulk{
	head: "INSERT INTO orgs",
	columns: []column{{"id", "TEXT"}, {"name", "TEXT"}, {"owner_email", "TEXT"}, {"owner_email_key", "TEXT"}, {"marker_id", "TEXT"},
		{"marker_word", "TEXT"}, {"name_key", "TEXT"}, {"hostings_count", "INTEGER"}, {"deleted", "BOOLEAN"}, {"suspended", "BOOLEAN"}, {"created_at", "TIMESTAMPTZ"},
		{"observed_at", "TIMESTAMPTZ"}, {"hostings_read_at", "TIMESTAMPTZ"}},
	// The name and the owner of an org whose customer was erased stay as they are.
	tail: `ON CONFLICT (id) DO UPDATE SET name = CASE WHEN orgs.erased THEN orgs.name ELSE excluded.name END,
		owner_email = CASE WHEN orgs.erased THEN orgs.owner_email ELSE excluded.owner_email END,
		owner_email_key = CASE WHEN orgs.erased THEN orgs.owner_email_key ELSE excluded.owner_email_key END,
		marker_id = excluded.marker_id, marker_word = excluded.marker_word,
		name_key = CASE WHEN orgs.erased THEN orgs.name_key ELSE excluded.name_key END, hostings_count = excluded.hostings_count, deleted = excluded.deleted, suspended = excluded.suspended,
		created_at = coalesce(excluded.created_at, orgs.created_at), observed_at = excluded.observed_at,
		hostings_read_at = CASE WHEN excluded.hostings_read_at IS NULL AND excluded.hostings_count <> orgs.hostings_count THEN NULL
			ELSE coalesce(excluded.hostings_read_at, orgs.hostings_read_at) END`,
}

func orgRow(o reconcile.Org, now time.Time) []any {
	name := clean(o.Name)
	marker, _ := reconcile.MarkerOf(name)
	if o.ObservedAt.IsZero() {
		o.ObservedAt = now
	}
	email := clean(o.OwnerEmail)
	return []any{clean(o.ID), name, email, reconcile.EmailKey(email), marker.StripeID, marker.Instance,
		reconcile.NameKey(name), o.Hostings, o.Deleted, o.Suspended,
		at(o.Created), at(o.ObservedAt), at(o.HostingsRead)}
}

func putOrg(ctx context.Context, tx conn, o reconcile.Org, now time.Time) error {
	return tx.bulk(ctx, upsertOrg, [][]any{orgRow(o, now)})
}

// SaveOrgs stores orgs as read. A complete listing is noted under the cursor
// "orgs_complete"; an org that is missing from it is left as it is, because
// absence is no fact. One whose number of hostings is another than was known counts
// as never listed. A customer is woken when an org carries its marker beside the one
// that is bound.
func (s *Store) SaveOrgs(ctx context.Context, tok reconcile.Token, orgs []reconcile.Org, complete bool, now time.Time) error {
	index := make(map[string]int, len(orgs))
	rows := make([][]any, 0, len(orgs))
	for _, o := range orgs {
		if i, twice := index[o.ID]; twice {
			rows[i] = orgRow(o, now)
			continue
		}
		index[o.ID] = len(rows)
		rows = append(rows, orgRow(o, now))
	}
	return s.fenced(ctx, "saving orgs", tok, func(ctx context.Context, tx conn) error {
		if err := tx.bulk(ctx, upsertOrg, rows); err != nil {
			return err
		}
		if err := wakeDuplicated(ctx, tx, orgs, now); err != nil || !complete {
			return err
		}
		return setCursor(ctx, tx, orgsCursor, now.UTC().Format(time.RFC3339Nano))
	})
}

// NewestOrg is when the newest org was created, by the panel's clock. An org of our
// own making has no date until it is read.
func (s *Store) NewestOrg(ctx context.Context) (newest time.Time, err error) {
	query := "SELECT created_at FROM orgs WHERE created_at IS NOT NULL ORDER BY created_at DESC LIMIT 1"
	err = s.query(ctx, "looking for the newest org", query, nil, func(row scan) error { return row(into(&newest)) })
	return newest, err
}

// UnreadOrgs returns orgs whose hostings were never listed, by id. The panel's own
// count is no reason to leave one out: it omits deleted hostings, and knowing those
// keeps the engine from creating them again.
func (s *Store) UnreadOrgs(ctx context.Context, after string, limit int) ([]reconcile.Org, error) {
	var orgs []reconcile.Org
	query := orgColumns + " FROM orgs WHERE hostings_read_at IS NULL AND NOT deleted AND id > $1 ORDER BY id LIMIT $2"
	err := s.query(ctx, "looking for unread orgs", query, []any{after, limit}, func(row scan) error {
		o, err := scanOrg(row)
		orgs = append(orgs, o)
		return err
	})
	return orgs, err
}

// wakeDuplicated wakes the customers whose marker an org carries beside the one that is
// theirs.
func wakeDuplicated(ctx context.Context, tx conn, orgs []reconcile.Org, now time.Time) error {
	var marked []string
	for _, o := range orgs {
		if m, ok := reconcile.MarkerOf(clean(o.Name)); ok && m.Slot == 0 && !o.Deleted {
			marked = append(marked, o.ID)
		}
	}
	if len(marked) == 0 {
		return nil
	}
	customers, err := tx.strings(ctx, `SELECT c.id FROM orgs o JOIN stripe_customers b ON b.id = o.marker_id JOIN customers c ON c.id = b.customer_id
		WHERE c.org_id IS NOT NULL AND c.org_id <> o.id AND o.id IN `+tx.d.texts(1), list(marked))
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}
