package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// orgsCursor keeps when the index of orgs was last complete.
const orgsCursor = "orgs_complete"

const orgColumns = `SELECT id, name, owner_email, hostings_count, deleted, suspended, created_at, observed_at, hostings_read_at, owners, owners_read_at`

// scanOrg reads orgColumns, and into more what was selected after them.
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
		_, err := tx.exec(ctx, "UPDATE orgs SET owners = $2, owners_read_at = $3 WHERE id = $1", org, list(owners), at(now))
		return err
	})
}

const hostingColumns = `SELECT id, org_id, plan_id, state, suspended_by, friendly_name, usage, observed_at,
	suspended_by_us, terminated_by_us, website, website_taken, bound, content, content_read_at`

// scanHosting reads hostingColumns, and into more what was selected after them.
func scanHosting(row scan, more ...any) (h reconcile.Hosting, err error) {
	var state string
	var usage, content sql.RawBytes
	if err := row(append([]any{&h.ID, &h.Org, &h.Plan, &state, &h.SuspendedBy, &h.FriendlyName, &usage, into(&h.ObservedAt),
		into(&h.SuspendedByUs), into(&h.TerminatedByUs), &h.Website, &h.WebsiteTaken, &h.Bound, &content, into(&h.Content.ReadAt)}, more...)...); err != nil {
		return h, err
	}
	h.State = reconcile.ParseHostingState(state)
	if err := decodeContent(content, &h.Content); err != nil {
		return h, badRow("content of hosting", h.ID, err)
	}
	if usage == nil {
		return h, nil
	}
	var stored []storedUsage
	if err := json.Unmarshal(usage, &stored); err != nil {
		return h, badRow("usage of hosting", h.ID, err)
	}
	h.Usage = make([]reconcile.Usage, len(stored))
	for i, u := range stored {
		h.Usage[i] = reconcile.Usage(u)
	}
	return h, nil
}

// storedUsage is one resource as the column usage keeps it.
type storedUsage struct {
	Name  string `json:"name"`
	Used  int64  `json:"used"`
	Total *int64 `json:"total"`
}

func encodeUsage(usage []reconcile.Usage) any {
	if usage == nil {
		return nil
	}
	stored := make([]storedUsage, len(usage))
	for i, u := range usage {
		stored[i] = storedUsage{clean(u.Name), u.Used, u.Total}
	}
	return document(stored)
}

var upsertOrg = bulk{
	head: "INSERT INTO orgs",
	columns: []column{{"id", "TEXT"}, {"name", "TEXT"}, {"owner_email", "TEXT"}, {"owner_email_key", "TEXT"}, {"marker_id", "TEXT"},
		{"marker_word", "TEXT"}, {"name_key", "TEXT"}, {"hostings_count", "INTEGER"}, {"deleted", "BOOLEAN"}, {"suspended", "BOOLEAN"}, {"created_at", "TIMESTAMPTZ"},
		{"observed_at", "TIMESTAMPTZ"}, {"hostings_read_at", "TIMESTAMPTZ"}},
	tail: `ON CONFLICT (id) DO UPDATE SET name = excluded.name, owner_email = excluded.owner_email,
		owner_email_key = excluded.owner_email_key, marker_id = excluded.marker_id, marker_word = excluded.marker_word,
		name_key = excluded.name_key, hostings_count = excluded.hostings_count, deleted = excluded.deleted, suspended = excluded.suspended,
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
		if err := wakeSeconds(ctx, tx, orgs, now); err != nil || !complete {
			return err
		}
		return setCursor(ctx, tx, orgsCursor, now.UTC().Format(time.RFC3339Nano))
	})
}

// SaveHostings stores the complete list of an org's hostings and wakes the
// customers bound to those that changed, or named by their markers. A hosting that is
// missing from the list is left as it is.
func (s *Store) SaveHostings(ctx context.Context, tok reconcile.Token, org string, hostings []reconcile.Hosting, now time.Time) error {
	return s.fenced(ctx, "saving the hostings of "+org, tok, func(ctx context.Context, tx conn) error {
		if err := saveHostings(ctx, tx, hostings, now); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO orgs (id, hostings_count, hostings_read_at) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET hostings_read_at = excluded.hostings_read_at`, org, len(hostings), at(now))
		return err
	})
}

// SaveHosting stores one hosting as read by id and wakes the customers bound to it
// when its state, plan or suspension changed.
func (s *Store) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	return s.fenced(ctx, "saving a hosting", tok, func(ctx context.Context, tx conn) error {
		return saveHostings(ctx, tx, []reconcile.Hosting{h}, now)
	})
}

func saveHostings(ctx context.Context, tx conn, hostings []reconcile.Hosting, now time.Time) error {
	ids := make([]int64, len(hostings))
	for i, h := range hostings {
		ids[i] = h.ID
	}
	changed, err := changedHostings(ctx, tx, hostings, ids)
	if err != nil {
		return err
	}
	return measured(ctx, tx, ids, func() error {
		for _, h := range hostings {
			if h.ObservedAt.IsZero() {
				h.ObservedAt = now
			}
			if err := putHosting(ctx, tx, h); err != nil {
				return err
			}
		}
		if len(changed) == 0 {
			return nil
		}
		customers, err := tx.strings(ctx, `SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
			WHERE s.id IN (SELECT subscription_id FROM bindings WHERE hosting_id IN `+tx.d.ints(1)+`
				UNION SELECT marker_id FROM hostings WHERE NOT bound AND id IN `+tx.d.ints(1)+`)`, list(changed))
		if err != nil {
			return err
		}
		return wake(ctx, tx, customers, now)
	})
}

// changedHostings are those of which state, plan, suspension or marker differ from what
// is stored, by id. One that the panel did not find has no plan, suspension or marker to
// compare.
func changedHostings(ctx context.Context, tx conn, hostings []reconcile.Hosting, ids []int64) (changed []int64, err error) {
	type stored struct {
		state, by string
		plan      int
		marker    reconcile.Marker
	}
	old := make(map[int64]stored, len(ids))
	query := "SELECT id, state, plan_id, suspended_by, marker_id, marker_slot, marker_word FROM hostings WHERE id IN " + tx.d.ints(1)
	err = tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var id int64
		var o stored
		err := row(&id, &o.state, &o.plan, &o.by, &o.marker.StripeID, &o.marker.Slot, &o.marker.Instance)
		old[id] = o
		return err
	})
	for _, h := range hostings {
		o, found := old[h.ID]
		marker, _ := reconcile.MarkerOf(clean(h.FriendlyName))
		shown := stored{h.State.String(), clean(h.SuspendedBy), h.Plan, marker}
		if h.State == reconcile.HostingMissing {
			shown = stored{shown.state, o.by, o.plan, o.marker}
		}
		if !found || o != shown {
			changed = append(changed, h.ID)
		}
	}
	return changed, err
}

// putHosting stores what the panel says of a hosting. What is ours stays, but a
// suspension that the panel no longer shows, or shows as another's now, is not ours any
// more. A listing without usage, or a read that found nothing, keeps the usage and names
// known.
func putHosting(ctx context.Context, tx conn, h reconcile.Hosting) error {
	name := clean(h.FriendlyName)
	marker, _ := reconcile.MarkerOf(name)
	gone := h.State == reconcile.HostingMissing
	_, err := tx.exec(ctx, `INSERT INTO hostings (id, org_id, plan_id, state, suspended_by, friendly_name, marker_id, marker_slot, usage, observed_at, marker_word)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, observed_at = excluded.observed_at,
			org_id = CASE WHEN excluded.org_id = '' THEN hostings.org_id ELSE excluded.org_id END,
			suspended_by = CASE WHEN $11 THEN hostings.suspended_by ELSE excluded.suspended_by END,
			plan_id = CASE WHEN $11 THEN hostings.plan_id ELSE excluded.plan_id END,
			friendly_name = CASE WHEN $11 THEN hostings.friendly_name ELSE excluded.friendly_name END,
			marker_id = CASE WHEN $11 THEN hostings.marker_id ELSE excluded.marker_id END,
			marker_slot = CASE WHEN $11 THEN hostings.marker_slot ELSE excluded.marker_slot END,
			marker_word = CASE WHEN $11 THEN hostings.marker_word ELSE excluded.marker_word END,
			usage = coalesce(excluded.usage, hostings.usage),
			suspended_by_us = CASE WHEN excluded.state = 'active' THEN NULL
				WHEN hostings.suspended_by <> '' AND excluded.suspended_by <> '' AND hostings.suspended_by <> excluded.suspended_by THEN NULL
				ELSE hostings.suspended_by_us END`,
		h.ID, clean(h.Org), h.Plan, h.State.String(), clean(h.SuspendedBy), name, marker.StripeID, marker.Slot,
		encodeUsage(h.Usage), at(h.ObservedAt), gone, marker.Instance)
	return err
}

// putOurs stores what an outcome says of a hosting and only our journal knows.
func putOurs(ctx context.Context, tx conn, h reconcile.Hosting, unsuspend bool) error {
	if !unsuspend && h.SuspendedByUs.IsZero() && h.TerminatedByUs.IsZero() && h.Website == "" && h.WebsiteTaken == "" {
		return nil
	}
	_, err := tx.exec(ctx, `UPDATE hostings SET
		suspended_by_us = CASE WHEN $2 THEN NULL ELSE coalesce(CAST($3 AS TIMESTAMPTZ), suspended_by_us) END,
		terminated_by_us = coalesce(CAST($4 AS TIMESTAMPTZ), terminated_by_us),
		website = CASE WHEN $5 = '' THEN website ELSE $5 END,
		website_taken = CASE WHEN $6 <> '' THEN $6 WHEN $5 <> '' THEN '' ELSE website_taken END
		WHERE id = $1`, h.ID, unsuspend, at(h.SuspendedByUs), at(h.TerminatedByUs), clean(h.Website), clean(h.WebsiteTaken))
	return err
}

// How many bindings are of hostings that we did not terminate, and how many hostings we
// keep suspended, among the hostings of parameter 1.
const (
	boundCount     = "(SELECT count(*) FROM bindings b JOIN hostings h ON h.id = b.hosting_id WHERE h.terminated_by_us IS NULL AND b.hosting_id IN %s)"
	suspendedCount = "(SELECT count(*) FROM hostings WHERE suspended_by_us IS NOT NULL AND terminated_by_us IS NULL AND id IN %s)"
)

// measured keeps the totals of bindings and suspensions right across fn, which
// changes these hostings and nothing else that is counted.
func measured(ctx context.Context, tx conn, hostings []int64, fn func() error) error {
	if len(hostings) == 0 {
		return fn()
	}
	in := tx.d.ints(1)
	countBound, countSuspended := fmt.Sprintf(boundCount, in), fmt.Sprintf(suspendedCount, in)
	var bound, suspended int64
	if _, err := tx.one(ctx, "SELECT "+countBound+", "+countSuspended, []any{list(hostings)}, &bound, &suspended); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "INSERT INTO tallies (name, n) SELECT name, n FROM (SELECT '"+boundTally+"' AS name, "+countBound+` - $2 AS n
		UNION ALL SELECT '`+suspendedTally+"', "+countSuspended+` - $3) changes WHERE n <> 0
		ON CONFLICT (name) DO UPDATE SET n = tallies.n + excluded.n`, list(hostings), bound, suspended)
	return err
}

// DriftDue returns bound hostings that were not looked at since before, those
// never read first, then the longest ago; last those looked at later than after,
// which is a time that has not come.
func (s *Store) DriftDue(ctx context.Context, before, after time.Time, limit int) ([]reconcile.Hosting, error) {
	var due []reconcile.Hosting
	const bound = hostingColumns + " FROM hostings WHERE bound AND terminated_by_us IS NULL AND "
	take := func(query string, args ...any) error {
		return s.query(ctx, "looking for drift", query, args, func(row scan) error {
			h, err := scanHosting(row)
			due = append(due, h)
			return err
		})
	}
	// Three queries, not one with OR: each is a range of the index, so that a run in
	// which nothing is due reads nothing, however many hostings there are.
	if err := take(bound+"observed_at IS NULL ORDER BY id LIMIT $1", limit); err != nil {
		return nil, err
	}
	if err := take(bound+"observed_at < $2 ORDER BY observed_at, id LIMIT $1", limit-len(due), at(orEpoch(before))); err != nil {
		return nil, err
	}
	if err := take(bound+"observed_at > $2 AND observed_at >= $3 ORDER BY observed_at, id LIMIT $1", limit-len(due), at(orEpoch(after)), at(orEpoch(before))); err != nil {
		return nil, err
	}
	return due, nil
}

// NewestOrg is when the newest org was created, by the panel's clock. An org of our
// own making has no date until it is read.
func (s *Store) NewestOrg(ctx context.Context) (newest time.Time, err error) {
	query := "SELECT created_at FROM orgs WHERE created_at IS NOT NULL ORDER BY created_at DESC LIMIT 1"
	err = s.query(ctx, "looking for the newest org", query, nil, func(row scan) error { return row(into(&newest)) })
	return newest, err
}

// UnreadOrgs returns orgs whose hostings were never listed, by id. The panel's own
// count is no reason to leave one out: it does not tell of hostings that were
// deleted, and those are what keeps them from being made again.
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

// UnknownMarkers returns ids of subscriptions that hostings are marked with and the
// mirror does not have, up to limit, in order. Markers with another word than this
// installation's are another one's.
func (s *Store) UnknownMarkers(ctx context.Context, instance string, limit int) ([]string, error) {
	var ids []string
	query := `SELECT DISTINCT marker_id FROM hostings WHERE marker_id LIKE 'sub\_%' ESCAPE '\' AND marker_word IN ('', $2)
		AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = hostings.marker_id) ORDER BY marker_id LIMIT $1`
	err := s.query(ctx, "looking for unknown markers", query, []any{limit, instance}, func(row scan) error {
		var id string
		err := row(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}
