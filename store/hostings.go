package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const hostingColumns = `SELECT id, org_id, plan_id, state, suspended_by, friendly_name, usage, observed_at,
	suspended_by_us, terminated_by_us, website, website_taken, bound, content, content_read_at, backups, domain_use, app`

// scanHosting reads hostingColumns, and into more the columns selected after them.
func scanHosting(row scan, more ...any) (h reconcile.Hosting, err error) {
	var state string
	var usage, content, backups, use, app sql.RawBytes
	if err := row(append([]any{&h.ID, &h.Org, &h.Plan, &state, &h.SuspendedBy, &h.FriendlyName, &usage, into(&h.ObservedAt),
		into(&h.SuspendedByUs), into(&h.TerminatedByUs), &h.Website, &h.WebsiteTaken, &h.Bound, &content, into(&h.Content.ReadAt), &backups, &use, &app}, more...)...); err != nil {
		return h, err
	}
	h.State = reconcile.ParseHostingState(state)
	if err := decodeContent(content, &h.Content); err != nil {
		return h, badRow("content of hosting", h.ID, err)
	}
	if err := decodeBackups(backups, &h.Backups); err != nil {
		return h, badRow("backups of hosting", h.ID, err)
	}
	if err := decodeDomainUse(use, &h.DomainUse); err != nil {
		return h, badRow("domain of hosting", h.ID, err)
	}
	if err := decodeSiteApp(app, &h.App); err != nil {
		return h, badRow("application of hosting", h.ID, err)
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

// putHosting stores a hosting as the panel shows it. Our own columns stay, but a suspension
// is not ours any more if the panel no longer shows it, or shows it as another's. A
// listing without usage, or a read that found nothing, keeps the known usage and names. The
// name of a deleted hosting in an org whose customer was erased stays as it was erased.
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
			friendly_name = CASE WHEN $11 OR excluded.state = 'deleted' AND EXISTS (SELECT 1 FROM orgs o WHERE o.id = hostings.org_id AND o.erased)
				THEN hostings.friendly_name ELSE excluded.friendly_name END,
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

// putOurs stores the columns of a hosting that only our journal knows.
func putOurs(ctx context.Context, tx conn, h reconcile.Hosting, unsuspend bool) error {
	if !unsuspend && h.SuspendedByUs.IsZero() && h.TerminatedByUs.IsZero() && h.Website == "" && h.WebsiteTaken == "" && h.App == (reconcile.SiteApp{}) {
		return nil
	}
	_, err := tx.exec(ctx, `UPDATE hostings SET
		suspended_by_us = CASE WHEN $2 THEN NULL ELSE coalesce(CAST($3 AS TIMESTAMPTZ), suspended_by_us) END,
		terminated_by_us = coalesce(CAST($4 AS TIMESTAMPTZ), terminated_by_us),
		website = CASE WHEN $5 = '' THEN website ELSE $5 END,
		website_taken = CASE WHEN $6 <> '' THEN $6 WHEN $5 <> '' THEN '' ELSE website_taken END
		WHERE id = $1`, h.ID, unsuspend, at(h.SuspendedByUs), at(h.TerminatedByUs), clean(h.Website), clean(h.WebsiteTaken))
	if err == nil && h.DomainUse != (reconcile.DomainUse{}) {
		err = putDomainUse(ctx, tx, h.ID, h.DomainUse)
	}
	if err == nil && h.App != (reconcile.SiteApp{}) {
		err = putSiteApp(ctx, tx, h.ID, h.App)
	}
	return err
}

// DriftDue returns bound hostings that were not looked at since before, those
// never read first, then the longest ago; last those looked at later than after,
// which is a time that has not come.
func (s *Store) DriftDue(ctx context.Context, before, after time.Time, limit int) ([]reconcile.Hosting, error) {
	const bound = hostingColumns + " FROM hostings WHERE bound AND terminated_by_us IS NULL AND "
	// Three parts of one statement, not one condition with OR: each is a range of the index,
	// so that a run in which nothing is due reads nothing, however many hostings there are.
	// A part of UNION ALL may come in any place, so the parts are put in order here.
	const never, longAgo, ahead = 0, 1, 2
	query := "SELECT * FROM (" + bound + "observed_at IS NULL ORDER BY id LIMIT $1) AS never" +
		" UNION ALL SELECT * FROM (" + bound + "observed_at < $2 ORDER BY observed_at, id LIMIT $1) AS long_ago" +
		" UNION ALL SELECT * FROM (" + bound + "observed_at > $3 AND observed_at >= $2 ORDER BY observed_at, id LIMIT $1) AS ahead"
	var parts [3][]reconcile.Hosting
	err := s.query(ctx, "looking for drift", query, []any{limit, at(orEpoch(before)), at(orEpoch(after))}, func(row scan) error {
		h, err := scanHosting(row)
		part := ahead
		switch {
		case h.ObservedAt.IsZero():
			part = never
		case h.ObservedAt.Before(orEpoch(before)):
			part = longAgo
		}
		parts[part] = append(parts[part], h)
		return err
	})
	due := slices.Concat(parts[never], parts[longAgo], parts[ahead])
	return due[:min(len(due), max(limit, 0))], err
}

// SeenLast returns up to limit bound hostings, those that were looked at last first.
func (s *Store) SeenLast(ctx context.Context, limit int) (seen []reconcile.Hosting, err error) {
	const query = hostingColumns + " FROM hostings WHERE bound AND terminated_by_us IS NULL AND observed_at IS NOT NULL ORDER BY observed_at DESC, id DESC LIMIT $1"
	err = s.query(ctx, "looking for hostings that were read", query, []any{max(limit, 0)}, func(row scan) error {
		h, err := scanHosting(row)
		seen = append(seen, h)
		return err
	})
	return seen, err
}

// UnknownMarkers returns ids of subscriptions that hostings are marked with and the
// mirror does not have, up to limit, in order. Markers with another name than this
// installation's are another one's.
func (s *Store) UnknownMarkers(ctx context.Context, instance string, limit int) ([]string, error) {
	return s.strings(ctx, "looking for unknown markers", `SELECT DISTINCT marker_id FROM hostings WHERE marker_id LIKE 'sub\_%' ESCAPE '\' AND marker_word IN ('', $2)
		AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = hostings.marker_id) ORDER BY marker_id LIMIT $1`, limit, instance)
}

var updateContent = bulk{
	head:    "UPDATE hostings SET content = {content}, content_read_at = {content_read_at}",
	columns: []column{{"id", "BIGINT"}, {"org", "TEXT"}, {"content", "JSONB"}, {"content_read_at", "TIMESTAMPTZ"}},
	tail:    "hostings.id = {id} AND hostings.org_id = {org}",
}

// SaveContent stores the content of the hostings of an org after all its websites were
// listed: a hosting without any has none. With unread, the reason why the panel refused
// to list them, the content known before is not known any more. It wakes no customer,
// because only a customer that is being planned needs it.
func (s *Store) SaveContent(ctx context.Context, tok reconcile.Token, org string, sites []reconcile.Website, unread string, now time.Time) error {
	return s.fenced(ctx, "saving the content of the hostings of "+org, tok, func(ctx context.Context, tx conn) error {
		on := reconcile.ContentOf(sites, now)
		var rows [][]any
		err := tx.each(ctx, "SELECT id FROM hostings WHERE org_id = $1 ORDER BY id", []any{org}, func(row scan) error {
			var id int64
			if err := row(&id); err != nil {
				return err
			}
			stored := storedContent{Count: on[id].Count, Unread: clean(unread)}
			for _, domain := range on[id].Sites {
				stored.Sites = append(stored.Sites, clean(domain))
			}
			rows = append(rows, []any{id, org, document(stored), at(now)})
			return nil
		})
		if err != nil {
			return err
		}
		return tx.bulk(ctx, updateContent, rows)
	})
}

// SaveBackups stores what the panel shows of the backups of a hosting. It wakes no
// customer, because only a customer that is being planned needs it.
func (s *Store) SaveBackups(ctx context.Context, tok reconcile.Token, hosting int64, b reconcile.Backups) error {
	b.Lacking, b.Refused = clean(b.Lacking), clean(b.Refused)
	return s.fenced(ctx, "saving the backups of a hosting", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE hostings SET backups = $2 WHERE id = $1", hosting, document(storedBackups(b)))
		return err
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

// BoundPlans returns the ids of the plans that living, bound hostings are on, as last
// seen.
func (s *Store) BoundPlans(ctx context.Context) (ids []int, err error) {
	query := "SELECT DISTINCT plan_id FROM hostings WHERE bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended') ORDER BY plan_id"
	err = s.query(ctx, "reading the plans in use", query, nil, func(row scan) error {
		var id int
		err := row(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// strayHosting is the condition of a living hosting whose marker names no subscription
// that is known. In a customer's own org it may be what a create has made that read back
// with another marker: a second one beside it would be no better.
const strayHosting = `NOT bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended')
	AND marker_id <> '' AND marker_word = '' AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = hostings.marker_id)`

// attachStray attaches a stray hosting to the customers of its org.
func (a *aggregate) attachStray(h reconcile.Hosting) {
	for _, customer := range a.orgs[h.Org] {
		customer.Lookalikes = append(customer.Lookalikes, reconcile.Lookalike{Hosting: h.ID, Org: h.Org, OrgName: customer.Org.Name,
			Plan: h.Plan, ObservedAt: h.ObservedAt, Why: reconcile.LikeOrg})
	}
}

// LookAgain makes bound hostings due to be compared with the panel: those of these
// subscriptions, or all when it is nil. When they were seen last is forgotten.
func (s *Store) LookAgain(ctx context.Context, tok reconcile.Token, subscriptions []string) error {
	const op = "making hostings due for a look"
	return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
		if subscriptions == nil {
			_, err := tx.exec(ctx, "UPDATE hostings SET observed_at = $1 WHERE bound AND terminated_by_us IS NULL AND observed_at > $1", at(orEpoch(time.Time{})))
			return err
		}
		_, err := tx.exec(ctx, `UPDATE hostings SET observed_at = $1 WHERE bound AND terminated_by_us IS NULL AND observed_at > $1
			AND id IN (SELECT hosting_id FROM bindings WHERE subscription_id IN `+tx.d.texts(2)+")", at(orEpoch(time.Time{})), list(subscriptions))
		return err
	})
}

// HostingOrg is the org in which a hosting was when it was last read; "" when it is
// not known.
func (s *Store) HostingOrg(ctx context.Context, id int64) (org string, err error) {
	err = s.query(ctx, "looking for a hosting", "SELECT org_id FROM hostings WHERE id = $1", []any{id}, func(row scan) error {
		return row(&org)
	})
	return org, err
}
