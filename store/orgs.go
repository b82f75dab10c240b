package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// loadOrgs attaches the org that a customer is bound to, and the orgs that no customer
// is bound to: marked with a buyer, or owned by exactly the customer's e-mail; and those that
// it may be bound to next.
func (a *aggregate) loadOrgs(ctx context.Context) error {
	for id, sharers := range a.orgs { // bound, even when the org was never read
		for _, customer := range sharers {
			customer.Org = &reconcile.Org{ID: id}
		}
	}
	a.nextOrgs()
	query := orgColumns + `, EXISTS (SELECT 1 FROM customers c WHERE c.org_id IS NOT NULL AND c.org_id = orgs.id),
		coalesce((SELECT min(c.id) FROM customers c WHERE c.org_id IS NOT NULL AND c.org_id = orgs.id AND NOT c.org_guest), '') FROM orgs WHERE id IN (
		SELECT id FROM orgs WHERE id ` + a.c.d.anyText(1) + `
		UNION SELECT id FROM orgs WHERE marker_id <> '' AND marker_id ` + a.c.d.anyText(2) + `
		UNION SELECT id FROM orgs WHERE owner_email_key <> '' AND NOT deleted AND owner_email_key ` + a.c.d.anyText(3) + `
		UNION SELECT id FROM orgs WHERE id ` + a.c.d.anyText(4) + `) ORDER BY id`
	marked := slices.Concat(sorted(a.buyers), sorted(a.byID)) // in an old database the founder may have left its customer
	read := make(map[string]bool, len(a.orgs))
	err := a.c.each(ctx, query, []any{keys(a.orgs), list(marked), keys(a.emails), keys(a.next)}, func(row scan) error {
		var bound bool
		var founder string
		o, err := scanOrg(row, &bound, &founder)
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
		for _, customer := range a.next[o.ID] {
			customer.NamedOrgs = append(customer.NamedOrgs, reconcile.NamedOrg{Org: o, Founder: founder})
		}
		return nil
	})
	if err == nil && len(a.next) > 0 {
		err = a.loadNextHostings(ctx)
	}
	for _, h := range a.strays {
		if read[h.Org] {
			a.attachStray(h)
		}
	}
	return err
}

// nextOrgs finds the orgs to which customers may be bound next: what a person changes may
// leave one without its org.
func (a *aggregate) nextOrgs() {
	a.next = map[string][]*reconcile.Customer{}
	add := func(org string, customer *reconcile.Customer) {
		if org != "" && (customer.Org == nil || customer.Org.ID != org) && !slices.Contains(a.next[org], customer) {
			a.next[org] = append(a.next[org], customer)
		}
	}
	for i := range a.list {
		customer := &a.list[i]
		for j := range customer.Subscriptions {
			add(customer.Subscriptions[j].MetadataOrg, customer)
		}
		for j := range customer.Hostings {
			add(customer.Hostings[j].Org, customer)
		}
	}
}

// loadNextHostings attaches the hostings in those of these orgs that no customer has.
func (a *aggregate) loadNextHostings(ctx context.Context) error {
	free := map[string][]*reconcile.NamedOrg{}
	for i := range a.list {
		for j := range a.list[i].NamedOrgs {
			if n := &a.list[i].NamedOrgs[j]; n.Founder == "" {
				free[n.ID] = append(free[n.ID], n)
			}
		}
	}
	if len(free) == 0 {
		return nil
	}
	return a.c.each(ctx, hostingColumns+" FROM hostings WHERE org_id "+a.c.d.anyText(1)+" ORDER BY id", []any{keys(free)}, func(row scan) error {
		h, err := scanHosting(row)
		for _, n := range free[h.Org] {
			n.Hostings = append(n.Hostings, h)
		}
		return err
	})
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
		WHERE c.org_id IS NOT NULL AND c.org_id <> o.id AND o.id `+tx.d.anyText(1), list(marked))
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}

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

// youngOrg is for how long the panel may show an org and not yet its hostings. Until then an
// org of others that shows fewer than it counts is not read: another installation may have
// made the same hosting as this one, and a later look has to find that. An older one that still
// shows fewer is taken as read until it is listed with all others.
const youngOrg = 10 * time.Minute

// SaveHostings stores the complete list of an org's hostings and wakes the
// customers bound to those that changed, or named by their markers. A hosting that is
// missing from the list is left as it is.
func (s *Store) SaveHostings(ctx context.Context, tok reconcile.Token, org string, hostings []reconcile.Hosting, now time.Time) error {
	return s.fenced(ctx, "saving the hostings of "+org, tok, func(ctx context.Context, tx conn) error {
		if err := saveHostings(ctx, tx, hostings, now); err != nil {
			return err
		}
		young, err := tx.exec(ctx, `UPDATE orgs SET hostings_read_at = NULL WHERE id = $1 AND hostings_count > $2 AND created_at > $3
			AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.org_id IS NOT NULL AND c.org_id = orgs.id)`,
			org, living(hostings), at(now.Add(-youngOrg)))
		if err != nil || young > 0 {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO orgs (id, hostings_count, hostings_read_at) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET hostings_read_at = excluded.hostings_read_at, hostings_count = CASE WHEN orgs.hostings_count > $4
			THEN CAST($4 AS INTEGER) ELSE orgs.hostings_count END`,
			org, len(hostings), at(now), living(hostings))
		return err
	})
}

// living is how many of them the panel counts.
func living(hostings []reconcile.Hosting) (n int) {
	for _, h := range hostings {
		if h.State != reconcile.HostingDeleted {
			n++
		}
	}
	return n
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
			WHERE s.id IN (SELECT subscription_id FROM bindings WHERE hosting_id `+tx.d.anyInt(1)+`
				UNION SELECT marker_id FROM hostings WHERE NOT bound AND id `+tx.d.anyInt(1)+`)`, list(changed))
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
	query := "SELECT id, state, plan_id, suspended_by, marker_id, marker_slot, marker_word FROM hostings WHERE id " + tx.d.anyInt(1)
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

// ListAgain forgets that the orgs with a hosting that carries the marker of a subscription
// were read. The hostings stay known.
func (s *Store) ListAgain(ctx context.Context, tok reconcile.Token, subscription string) error {
	return s.fenced(ctx, "listing again what is marked with "+subscription, tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE orgs SET hostings_read_at = NULL WHERE id IN (SELECT org_id FROM hostings WHERE marker_id <> '' AND marker_id = $1)", subscription)
		return err
	})
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
		SELECT id FROM hostings WHERE id ` + a.c.d.anyInt(1) + `
		UNION SELECT id FROM hostings WHERE org_id ` + a.c.d.anyText(2) + `
		UNION SELECT id FROM hostings WHERE marker_id <> '' AND marker_id ` + a.c.d.anyText(3) + `) ORDER BY id`
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
			AND id IN (SELECT hosting_id FROM bindings WHERE subscription_id `+tx.d.anyText(2)+")", at(orEpoch(time.Time{})), list(subscriptions))
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

// storedDomainUse is the column domain_use of hostings.
type storedDomainUse struct {
	Domain  string `json:"domain"`
	Status  string `json:"status"`
	Org     string `json:"org,omitempty"`
	Hosting int64  `json:"hosting,omitempty"`
	Refused string `json:"refused,omitempty"`
	ReadAt  int64  `json:"read_at"` // microseconds since 1970
	FreeAt  int64  `json:"free_at,omitempty"`
}

// SaveDomainUse stores where the panel has the domain that was ordered for a hosting. It
// wakes no customer, because only a customer that is being planned needs it.
func (s *Store) SaveDomainUse(ctx context.Context, tok reconcile.Token, hosting int64, use reconcile.DomainUse) error {
	return s.fenced(ctx, "saving where a domain is", tok, func(ctx context.Context, tx conn) error {
		return putDomainUse(ctx, tx, hosting, use)
	})
}

func putDomainUse(ctx context.Context, tx conn, hosting int64, use reconcile.DomainUse) error {
	_, err := tx.exec(ctx, "UPDATE hostings SET domain_use = $2 WHERE id = $1", hosting, document(storedDomainUse{
		clean(use.Domain), string(use.Status), clean(use.Org), use.Hosting, clean(use.Refused), micros(use.ReadAt), micros(use.FreeAt)}))
	return err
}

func decodeDomainUse(text sql.RawBytes, into *reconcile.DomainUse) error {
	if len(text) == 0 {
		return nil
	}
	var u storedDomainUse
	if err := json.Unmarshal(text, &u); err != nil {
		return err
	}
	*into = reconcile.DomainUse{Domain: u.Domain, Status: reconcile.ParseDomainStatus(u.Status), Org: u.Org, Hosting: u.Hosting, Refused: u.Refused, ReadAt: fromMicros(u.ReadAt), FreeAt: fromMicros(u.FreeAt)}
	return nil
}

// liveSubscription is the condition that a subscription has not ended.
const liveSubscription = "s.status NOT IN ('canceled', 'incomplete_expired')"

// UnboundHostings calls yield with every hosting that is up at the panel and that no
// subscription is bound to, by id. It leaves out those with the marker of a subscription
// that is known here, because the planner decides about them, unless a person unbound
// them, those of another installation, and those in an org that is suspended or deleted.
func (s *Store) UnboundHostings(ctx context.Context, instance string, yield func(reconcile.UnboundOrg) error) error {
	after := int64(0)
	query := `SELECT h.id, h.org_id, h.plan_id, h.observed_at, h.marker_id, h.marker_slot, coalesce(o.name, ''), coalesce(o.owner_email, ''), o.created_at
		FROM hostings h LEFT JOIN orgs o ON o.id = h.org_id
		WHERE h.id > $1 AND NOT h.bound AND h.terminated_by_us IS NULL AND h.state = 'active' AND h.marker_word IN ('', $2)
		AND NOT coalesce(o.deleted, FALSE) AND NOT coalesce(o.suspended, FALSE)
		AND (h.marker_id = '' OR NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = h.marker_id)
			OR EXISTS (SELECT 1 FROM partings p WHERE p.hosting_id = h.id))
		ORDER BY h.id LIMIT $3`
	return stream(yield, func(add func(...reconcile.UnboundOrg)) (rows int, err error) {
		err = s.query(ctx, "reading unbound hostings", query, []any{after, instance, pageSize}, func(row scan) error {
			var u reconcile.UnboundOrg
			err := row(&u.Hosting, &u.ID, &u.Plan, into(&u.ObservedAt), &u.Marker.StripeID, &u.Marker.Slot, &u.Name, &u.OwnerEmail, into(&u.Created))
			after = u.Hosting
			rows++
			add(u)
			return err
		})
		return rows, err
	})
}

// EmptyOrgs calls yield with every org in which the panel counts no hosting, and we know
// none, by id. It leaves out those of a customer with a subscription that has not ended:
// their hosting is still to come.
func (s *Store) EmptyOrgs(ctx context.Context, instance string, yield func(reconcile.UnboundOrg) error) error {
	after := ""
	query := `SELECT o.id, o.name, coalesce(nullif(o.owner_email, ''), c.email, ''), o.created_at, o.observed_at, coalesce(c.id, '')
		FROM orgs o LEFT JOIN customers c ON c.id = (SELECT min(f.id) FROM customers f WHERE f.org_id IS NOT NULL AND f.org_id = o.id)
		WHERE o.id > $1 AND NOT o.deleted AND o.hostings_count = 0 AND o.marker_word IN ('', $2)
		AND NOT EXISTS (SELECT 1 FROM hostings h WHERE h.org_id = o.id AND h.terminated_by_us IS NULL AND h.state IN ('active', 'suspended', 'unread', 'unknown'))
		AND NOT EXISTS (SELECT 1 FROM customers c JOIN stripe_customers b ON b.customer_id = c.id JOIN subscriptions s ON s.stripe_customer_id = b.id
			WHERE c.org_id IS NOT NULL AND c.org_id = o.id AND ` + liveSubscription + `)
		AND NOT EXISTS (SELECT 1 FROM stripe_customers b JOIN subscriptions s ON s.stripe_customer_id = b.id
			WHERE o.marker_id <> '' AND b.id = o.marker_id AND ` + liveSubscription + `)
		ORDER BY o.id LIMIT $3`
	return stream(yield, func(add func(...reconcile.UnboundOrg)) (rows int, err error) {
		err = s.query(ctx, "reading empty orgs", query, []any{after, instance, pageSize}, func(row scan) error {
			var u reconcile.UnboundOrg
			err := row(&u.ID, &u.Name, &u.OwnerEmail, into(&u.Created), into(&u.ObservedAt), &u.Customer)
			after = u.ID
			rows++
			add(u)
			return err
		})
		return rows, err
	})
}
