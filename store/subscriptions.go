package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// SaveFacts stores facts read by id. ReadAt is always refreshed; the customer
// becomes due when anything changed, or when force is set.
func (s *Store) SaveFacts(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts, force bool, now time.Time) error {
	const chunk = 1000 // a run's targeted reads; more only makes the transaction longer
	for part := range slices.Chunk(facts, chunk) {
		err := s.fenced(ctx, "saving facts", tok, func(ctx context.Context, tx conn) error {
			m := merge{tx: tx, now: now, byID: true, force: force}
			_, err := m.save(ctx, part)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// MarkGone records that Stripe does not know the subscription; the customer
// becomes due when that is news. An id we never had is not stored.
func (s *Store) MarkGone(ctx context.Context, tok reconcile.Token, subscription string, now time.Time) error {
	return s.fenced(ctx, "marking a subscription gone", tok, func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, `UPDATE subscriptions SET gone = TRUE, by_id = TRUE, read_at = $2 WHERE id = $1 AND NOT gone`,
			subscription, at(now))
		if err != nil || n == 0 {
			return err
		}
		return wakeOf(ctx, tx, subscription, now)
	})
}

// merge brings facts into the mirror within one transaction.
type merge struct {
	tx  conn
	now time.Time // when the run began
	// present is the time now, if that is known: a run may take long, and other runs of the
	// process read meanwhile. Zero: now.
	present time.Time
	byID    bool      // read by id, not from a listing
	force   bool      // make the customers due whatever changed
	known   time.Time // until when the mirror has followed Stripe's events; zero: never
}

// mirrored is what the mirror holds of a subscription and decides by.
type mirrored struct {
	buyer       string
	status      string // as Stripe wrote it
	statusClass string
	since       time.Time
	unpaid      time.Time
	owed        reconcile.OpenInvoice
	change      time.Time // unpaid_change
	lapse       reconcile.Lapse
	hash        int64
	gone, byID  bool
	readAt      time.Time
}

// incoming is one subscription on its way into the mirror.
type incoming struct {
	facts  reconcile.SubscriptionFacts
	hash   int64
	old    *mirrored // nil: new
	since  time.Time
	unpaid time.Time
	owed   reconcile.OpenInvoice
	lapse  reconcile.Lapse
	// unpaidChange is UnpaidChange: of a read by id, else the one before.
	unpaidChange time.Time
	changed      bool // in content: worth writing, and the customer is due
}

var upsertSubscription = bulk{
	head: "INSERT INTO subscriptions",
	columns: []column{
		{"id", "TEXT"}, {"stripe_customer_id", "TEXT"}, {"status", "TEXT"}, {"status_text", "TEXT"},
		{"status_since", "TIMESTAMPTZ"}, {"created_at", "TIMESTAMPTZ"}, {"ended_at", "TIMESTAMPTZ"},
		{"cancel_at_period_end", "BOOLEAN"}, {"current_period_end", "TIMESTAMPTZ"}, {"collection_paused", "BOOLEAN"},
		{"unpaid_since", "TIMESTAMPTZ"}, {"items", "JSONB"}, {"domain", "TEXT"}, {"metadata_org", "TEXT"},
		{"metadata_hosting", "BIGINT"}, {"read_at", "TIMESTAMPTZ"}, {"by_id", "BOOLEAN"}, {"content_hash", "BIGINT"},
		{"entitled_at", "TIMESTAMPTZ"}, {"lapse_seen_at", "TIMESTAMPTZ"}, {"lapsed_since", "TIMESTAMPTZ"},
		{"metadata_org_text", "TEXT"}, {"metadata_hosting_text", "TEXT"}, {"cancel_at", "TIMESTAMPTZ"}, {"send_invoice", "BOOLEAN"},
		{"server_group", "TEXT"}, {"trial_start", "TIMESTAMPTZ"}, {"unpaid_change", "TIMESTAMPTZ"}, {"open_invoice", "JSONB"},
	},
	tail: `ON CONFLICT (id) DO UPDATE SET stripe_customer_id = excluded.stripe_customer_id,
		status = excluded.status, status_text = excluded.status_text, status_since = excluded.status_since,
		created_at = excluded.created_at, ended_at = excluded.ended_at,
		cancel_at_period_end = excluded.cancel_at_period_end, current_period_end = excluded.current_period_end,
		collection_paused = excluded.collection_paused, unpaid_since = excluded.unpaid_since,
		items = excluded.items, domain = excluded.domain, metadata_org = excluded.metadata_org,
		metadata_hosting = excluded.metadata_hosting, read_at = excluded.read_at, by_id = excluded.by_id,
		content_hash = excluded.content_hash, entitled_at = excluded.entitled_at, lapse_seen_at = excluded.lapse_seen_at,
		lapsed_since = excluded.lapsed_since, metadata_org_text = excluded.metadata_org_text,
		metadata_hosting_text = excluded.metadata_hosting_text, cancel_at = excluded.cancel_at,
		send_invoice = excluded.send_invoice, server_group = excluded.server_group, trial_start = excluded.trial_start,
		unpaid_change = excluded.unpaid_change, open_invoice = excluded.open_invoice, gone = FALSE`,
}

// save merges facts and returns how many subscriptions changed in content.
func (m *merge) save(ctx context.Context, facts []reconcile.SubscriptionFacts) (changed int, err error) {
	all, err := m.compare(ctx, facts)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	identities, err := m.assignCustomers(ctx, all)
	if err != nil {
		return 0, err
	}
	rows := make([][]any, len(all))
	for i, in := range all {
		rows[i] = in.row(m.byID)
	}
	sortRows(rows, 0) // their index is then written from one end to the other
	if err := m.tx.bulk(ctx, upsertSubscription, rows); err != nil {
		return 0, err
	}
	if err := identities.rename(ctx, m.tx); err != nil {
		return 0, err
	}
	due, delta := m.consequences(all, identities)
	if err := delta.add(ctx, m.tx); err != nil {
		return 0, err
	}
	for i := range all {
		if all[i].changed {
			changed++
		}
	}
	return changed, wake(ctx, m.tx, append(due, identities.due...), m.now)
}

// consequences are the customers that become due, and the change of the totals.
func (m *merge) consequences(all []incoming, identities *identities) (due []string, delta counters) {
	delta = counters{customersCounter: identities.created}
	for i := range all {
		in := &all[i]
		if (in.changed || m.force) && !identities.founded[in.facts.Buyer.ID] { // those are due already
			due = append(due, identities.of[in.facts.Buyer.ID])
		}
		if in.old != nil {
			delta[statusCounter+in.old.statusClass]--
		}
		delta[statusCounter+in.facts.Status.String()]++
	}
	return due, delta
}

// compare decides which facts to write. Of two with one id the last one wins.
func (m *merge) compare(ctx context.Context, facts []reconcile.SubscriptionFacts) ([]incoming, error) {
	index := make(map[string]int, len(facts))
	all := make([]incoming, 0, len(facts))
	for _, f := range facts {
		f = cleaned(f)
		if f.ID == "" || f.Buyer.ID == "" {
			return nil, fault.Errorf(fault.Malformed, "a subscription without an id or a customer: %q of %q", f.ID, f.Buyer.ID)
		}
		in := incoming{facts: f, hash: hash(content(&f))}
		if i, twice := index[f.ID]; twice {
			all[i] = in
			continue
		}
		index[f.ID] = len(all)
		all = append(all, in)
	}
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].facts.ID
	}
	old, err := m.loadMirrored(ctx, ids)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, in := range all {
		if m.assess(&in, old[in.facts.ID]) {
			kept = append(kept, in)
		}
	}
	return kept, nil
}

// assess completes in by what the mirror holds and reports whether to write it.
func (m *merge) assess(in *incoming, old *mirrored) bool {
	in.old, in.since = old, m.now
	if m.byID {
		in.unpaid, in.owed, in.unpaidChange = in.facts.UnpaidSince, in.facts.Owed, in.facts.UnpaidChange
	}
	if old == nil {
		in.lapse = reconcile.Lapse{}.Seeing(&in.facts, m.now)
		in.changed = true
		return true
	}
	// A listing may be older than a read by id that was made while it went on. A stamp
	// from the future proves nothing: then the clock was set back.
	if !m.byID && old.readAt.After(in.facts.ReadAt) && !(old.readAt.After(m.now) && old.readAt.After(m.present)) {
		return false
	}
	in.changed = old.hash != in.hash || old.gone
	if !m.byID || in.facts.InvoicesUnread {
		in.unpaidChange = old.change // a listing knows nothing of invoices
	}
	if old.status == in.facts.StatusText {
		in.since = old.since
		switch {
		case !m.byID:
			in.unpaid, in.owed = old.unpaid, old.owed // a listing knows nothing of invoices
		case in.facts.InvoicesUnread && old.unpaid.After(in.since):
			in.unpaid, in.owed = old.unpaid, old.owed // the later date, which is kinder
		}
	}
	in.lapse = m.lapse(in, old)
	if m.byID && !(old.unpaid.Equal(in.unpaid.Truncate(time.Microsecond)) && old.change.Equal(in.unpaidChange)) || !old.lapse.Since.Equal(in.lapse.Since.Truncate(time.Microsecond)) {
		in.changed = true
	}
	return in.changed || m.byID
}

// lapse is the period without payment after these facts. A subscription that was entitled
// when it was last read was so until the last time that everything was known.
func (m *merge) lapse(in *incoming, old *mirrored) reconcile.Lapse {
	l := old.lapse
	if s := reconcile.ParseStatus(old.status); (s == reconcile.StatusActive || s == reconcile.StatusTrialing) && m.known.After(l.Entitled) {
		l.Entitled = m.known
	}
	return l.Seeing(&in.facts, m.now)
}

// row is the values of upsertSubscription.
func (in *incoming) row(byID bool) []any {
	f := &in.facts
	return []any{
		f.ID, f.Buyer.ID, f.Status.String(), f.StatusText, at(in.since), at(f.Created), at(f.EndedAt),
		f.CancelAtPeriodEnd, at(f.CurrentPeriodEnd), f.CollectionPaused, at(in.unpaid), encodeItems(f.Items),
		f.Domain, f.MetadataOrg, f.MetadataHosting, at(f.ReadAt), byID && !f.InvoicesUnread, in.hash,
		at(in.lapse.Entitled), at(in.lapse.Seen), at(in.lapse.Since), f.MetadataOrgText, f.MetadataHostingText,
		at(f.CancelAt), f.SendInvoice, f.ServerGroup, at(f.TrialStart), at(in.unpaidChange), encodeInvoice(in.owed),
	}
}

// loadMirrored reads what the mirror has of these subscriptions, and until when it has
// followed Stripe's events. An unreadable cursor is no cursor.
func (m *merge) loadMirrored(ctx context.Context, ids []string) (map[string]*mirrored, error) {
	old := make(map[string]*mirrored, len(ids))
	query := `SELECT id, stripe_customer_id, status, status_text, status_since, unpaid_since, content_hash, gone, by_id, read_at,
		entitled_at, lapse_seen_at, lapsed_since, unpaid_change, open_invoice, coalesce((SELECT value FROM cursors WHERE name = '` + eventsCursor + `'), '')
		FROM subscriptions WHERE id ` + m.tx.d.anyText(1)
	err := m.tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var id, known string
		var owed []byte
		o := new(mirrored)
		err := row(&id, &o.buyer, &o.statusClass, &o.status, into(&o.since), into(&o.unpaid), &o.hash, &o.gone, &o.byID, into(&o.readAt),
			into(&o.lapse.Entitled), into(&o.lapse.Seen), into(&o.lapse.Since), into(&o.change), &owed, &known)
		if err == nil {
			o.owed, err = decodeInvoice(id, owed)
		}
		old[id] = o
		m.known, _ = time.Parse(time.RFC3339, known)
		return err
	})
	return old, err
}

// Payers calls yield with the id, buyer and items of every subscription of the mirror that
// is active, trialing or past_due and that Stripe does not deny, by id.
func (s *Store) Payers(ctx context.Context, yield func(reconcile.Subscription) error) error {
	after := ""
	return stream(yield, func(add func(...reconcile.Subscription)) (rows int, err error) {
		err = s.query(ctx, "reading who pays", `SELECT id, stripe_customer_id, items FROM subscriptions
			WHERE id > $1 AND NOT gone AND status IN ('active', 'trialing', 'past_due') ORDER BY id LIMIT $2`,
			[]any{after, pageSize}, func(row scan) error {
				var one reconcile.Subscription
				var items sql.RawBytes
				err := row(&one.ID, &one.StripeCustomer, &items)
				if err == nil {
					one.Items, err = decodeItems(items)
				}
				after = one.ID
				rows++
				add(one)
				return badRow("subscription", one.ID, err)
			})
		return rows, err
	})
}

func (a *aggregate) loadSubscriptions(ctx context.Context) error {
	query := `SELECT id, stripe_customer_id, status, status_text, status_since, created_at, ended_at, cancel_at_period_end,
		current_period_end, collection_paused, unpaid_since, items,
		CASE WHEN domain = '' THEN checkout_domain ELSE domain END, domain_checked,
		metadata_org, metadata_hosting, metadata_written, read_at, by_id, gone, said_new, entitled_at, lapse_seen_at, lapsed_since,
		metadata_org_text, metadata_hosting_text, cancel_at, send_invoice, server_group, trial_start, unpaid_change, open_invoice
		FROM subscriptions WHERE stripe_customer_id ` + a.c.d.anyText(1) + " ORDER BY id"
	return a.c.each(ctx, query, []any{keys(a.buyers)}, func(row scan) error {
		var s reconcile.Subscription
		var status string
		var items sql.RawBytes
		var owed []byte
		err := row(&s.ID, &s.StripeCustomer, &status, &s.StatusText, into(&s.StatusSince), into(&s.Created), into(&s.EndedAt),
			&s.CancelAtPeriodEnd, into(&s.CurrentPeriodEnd), &s.CollectionPaused, into(&s.UnpaidSince), &items,
			&s.Domain, &s.DomainChecked, &s.MetadataOrg, &s.MetadataHosting, &s.MetadataWritten, into(&s.ReadAt), &s.ByID, &s.Gone, &s.IsNewOrder,
			into(&s.Lapse.Entitled), into(&s.Lapse.Seen), into(&s.Lapse.Since), &s.MetadataOrgText, &s.MetadataHostingText, into(&s.CancelAt), &s.SendInvoice,
			&s.ServerGroup, into(&s.TrialStart), into(&s.UnpaidChange), &owed)
		if err == nil {
			s.Owed, err = decodeInvoice(s.ID, owed)
		}
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

// DomainChecked stores what looking up the Checkout Session of a subscription
// gave; "" is "no domain", and is not looked up again either.
func (s *Store) DomainChecked(ctx context.Context, tok reconcile.Token, subscription, domain string) error {
	return s.fenced(ctx, "saving a domain", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE subscriptions SET checkout_domain = $2, domain_checked = TRUE WHERE id = $1", subscription, clean(domain))
		return err
	})
}

// SubscriptionsOf lists the mirrored subscriptions of Stripe customers.
func (s *Store) SubscriptionsOf(ctx context.Context, stripeCustomers []string) ([]string, error) {
	return s.strings(ctx, "listing subscriptions", "SELECT id FROM subscriptions WHERE stripe_customer_id "+s.d.anyText(1)+" ORDER BY id", list(stripeCustomers))
}

// Unknown returns those of the ids that the mirror does not have, in their order.
func (s *Store) Unknown(ctx context.Context, subscriptions []string) ([]string, error) {
	known, err := s.strings(ctx, "looking for subscriptions", "SELECT id FROM subscriptions WHERE id "+s.d.anyText(1), list(subscriptions))
	return slices.DeleteFunc(slices.Clone(subscriptions), func(id string) bool { return slices.Contains(known, id) }), err
}

// wake makes customers due at now, unless they are due earlier, and raises their
// version (column wakes, reconcile.Customer.Version).
//
// The version is raised whenever a customer is made due: by facts of Stripe that differ
// from those stored or that were read with force, by a subscription that Stripe no longer
// knows or that has another customer now, by a hosting whose state, plan, suspension or
// marker is another, by a second org with its marker, by adding and removing a manual
// hold, by an instruction, an approval, a retry, and by MakeDue, which the engine calls
// for a changed mapping, plan or setting. Postpone raises it too.
//
// It is not raised if the writer stores something without making a customer due: intents,
// outcomes, plans, times of reading, owners, domains, sites and the content of hostings.
// Only the process with the lease stores those, so it knows of them: a customer whose
// version is the one it was loaded with has changed by nothing else.
//
// If a decision is saved with an older version, the customer stays due: the decision did
// not know of the wake-up.
func wake(ctx context.Context, tx conn, customers []string, now time.Time) error {
	if len(customers) == 0 {
		return nil
	}
	slices.Sort(customers) // one order for all transactions that lock several rows
	_, err := tx.exec(ctx, `UPDATE customers SET wakes = wakes + 1,
		due_at = CASE WHEN due_at <= $1 THEN due_at ELSE $1 END
		WHERE id `+tx.d.anyText(2), at(now), list(slices.Compact(customers)))
	return err
}

// wakeOf wakes the customer of a subscription.
func wakeOf(ctx context.Context, tx conn, subscription string, now time.Time) error {
	customers, err := tx.strings(ctx, `SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
		WHERE s.id = $1`, subscription)
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}

// Postpone records a customer's failure and when it is due again. Without an
// error it clears failures, back-off and parking. Either counts as a wake-up: who
// loaded the customer before does not know of it.
//
// A customer that was woken since b was judged keeps its time, and its back-off and
// parking as they are: a person may have released it meanwhile, and the failure is
// of an attempt that began before. The failure itself is counted nevertheless.
func (s *Store) Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error {
	return s.fenced(ctx, "postponing "+b.Customer, tok, func(ctx context.Context, tx conn) error {
		counts := 0
		if b.Counts {
			counts = 1
		}
		parked := b.Error != "" && b.Parked
		_, err := tx.exec(ctx, `UPDATE customers SET
			failures    = CASE WHEN $2 THEN failures + $3 WHEN wakes <> $8 THEN failures ELSE 0 END,
			retry_after = CASE WHEN wakes <> $8 THEN retry_after WHEN $2 THEN CAST($4 AS TIMESTAMPTZ) ELSE NULL END,
			parked_at   = CASE WHEN wakes <> $8 THEN parked_at WHEN NOT $2 THEN NULL
				WHEN $5 THEN coalesce(parked_at, CAST($6 AS TIMESTAMPTZ)) ELSE parked_at END,
			last_error  = CASE WHEN NOT $2 AND wakes <> $8 THEN last_error ELSE $7 END,
			due_at      = CASE WHEN CAST($4 AS TIMESTAMPTZ) IS NULL OR wakes <> $8 THEN due_at
				WHEN due_at IS NULL OR due_at <= $6 OR due_at > $4 THEN $4 ELSE due_at END,
			wakes       = wakes + 1
			WHERE id = $1`,
			b.Customer, b.Error != "", counts, at(b.Due), parked, at(now), clean(b.Error), b.Version)
		return err
	})
}

// allChunk is how many customers one transaction makes due when all are.
const allChunk = 10_000

// MakeDue makes customers due at now, unless they are due earlier: these, or all
// when ids is nil.
func (s *Store) MakeDue(ctx context.Context, tok reconcile.Token, ids []string, now time.Time) error {
	const op = "making customers due"
	if ids != nil {
		return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error { return wake(ctx, tx, append([]string(nil), ids...), now) })
	}
	after := ""
	for {
		last, n := "", 0
		err := s.fencedAlone(ctx, op, tok, func(ctx context.Context, tx conn) error {
			query := "SELECT coalesce(max(id), ''), count(*) FROM (SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT $2) page"
			if _, err := tx.one(ctx, query, []any{after, allChunk}, &last, &n); err != nil || n == 0 {
				return err
			}
			return wakeRange(ctx, tx, after, last, now)
		})
		if err != nil || n < allChunk {
			return err
		}
		after = last
	}
}

// wakeRange is wake for the customers after one id up to another. On SQLite, who is due
// already keeps the place in the queue without a write to its index, which costs a third;
// PostgreSQL finds out by itself, and there another writer could come between the two
// statements.
func wakeRange(ctx context.Context, tx conn, after, last string, now time.Time) error {
	const in = " WHERE id > $2 AND id <= $3"
	statements := []string{
		"UPDATE customers SET wakes = wakes + 1, due_at = CASE WHEN due_at <= $1 THEN due_at ELSE $1 END" + in,
	}
	if tx.d == sqlite {
		statements = []string{
			"UPDATE customers SET wakes = wakes + 1" + in + " AND (due_at <= $1) IS TRUE",
			"UPDATE customers SET wakes = wakes + 1, due_at = $1" + in + " AND (due_at <= $1) IS NOT TRUE",
		}
	}
	for _, statement := range statements {
		if _, err := tx.exec(ctx, statement, at(now), after, last); err != nil {
			return err
		}
	}
	return nil
}

// DueCount is how many customers are due at now.
func (s *Store) DueCount(ctx context.Context, now time.Time) (int, error) {
	n := 0
	err := s.query(ctx, "counting the queue", "SELECT count(*) FROM customers WHERE due_at <= $1", []any{at(now)}, func(row scan) error {
		return row(&n)
	})
	return n, err
}

// Retry releases a customer from parking and back-off and makes it due now. id is
// a journal key, an action id (which means its newest row, open or not), a customer,
// a Stripe customer or a subscription; it returns the customer, or ErrNotFound. No
// lease is needed.
func (s *Store) Retry(ctx context.Context, id string, now time.Time) (customer string, err error) {
	return s.retry(ctx, id, "", now)
}

// RetryWaiting is Retry, but it fails with fault.Conflict, and changes nothing, if the
// customer is neither parked nor backing off.
func (s *Store) RetryWaiting(ctx context.Context, id string, now time.Time) (customer string, err error) {
	return s.retry(ctx, id, " AND (parked_at IS NOT NULL OR retry_after IS NOT NULL OR failures > 0)", now)
}

func (s *Store) retry(ctx context.Context, id, only string, now time.Time) (customer string, err error) {
	err = s.unfenced(ctx, "retrying "+id, func(ctx context.Context, tx conn) error {
		customer = ""
		// Keys begin with the action's id and "@", the character before "A": a range
		// of the primary key, where action_id alone has an index for open rows only.
		ids, err := tx.strings(ctx, `SELECT customer_id FROM actions WHERE key = $1
			UNION SELECT customer_id FROM (SELECT customer_id FROM actions
				WHERE key > $1 || '@' AND key < $1 || 'A' AND action_id = $1 ORDER BY planned_at DESC, key DESC LIMIT 1) newest
			UNION SELECT id FROM customers WHERE id = $1
			UNION SELECT customer_id FROM stripe_customers WHERE id = $1
			UNION SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id WHERE s.id = $1`, id)
		if err != nil {
			return err
		}
		for _, candidate := range ids {
			n, err := tx.exec(ctx, "UPDATE customers SET failures = 0, retry_after = NULL, parked_at = NULL, last_error = '' WHERE id = $1"+only, candidate)
			if err != nil {
				return err
			}
			if n > 0 {
				customer = candidate
			}
		}
		switch {
		case customer == "" && only != "" && len(ids) > 0:
			return conflict(nil, "customer %s neither is parked nor waits after a failure", ids[0])
		case customer == "":
			return ErrNotFound
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return customer, err
}

// Due returns complete customers that are due, a page at a time, in the order in
// which they became due. It reads the due customers and nothing else, however many are
// stored.
func (s *Store) Due(ctx context.Context, now time.Time, after string, limit int) ([]reconcile.Customer, string, error) {
	const op = "reading the queue"
	since, id, err := parsePosition(after)
	if err != nil {
		return nil, "", failed(op, err)
	}
	var customers []reconcile.Customer
	next := ""
	err = s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		if err := c.withoutJIT(ctx); err != nil {
			return err
		}
		heads, err := loadHeads(ctx, c, `due_at <= $1 AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4`, "c.due_at, c.id",
			at(now), at(since), id, limit)
		if err != nil || len(heads) == 0 {
			return err
		}
		if last := heads[len(heads)-1]; len(heads) == limit {
			next = position(last.due, last.ID)
		}
		customers, err = aggregates(ctx, c, heads)
		return err
	})
	return customers, next, err
}

// position is a place in the queue: the due time in microseconds and the id.
func position(due time.Time, id string) string {
	return strconv.FormatInt(due.UnixMicro(), 10) + ":" + id
}

// beginning is before every due time that is stored.
var beginning = time.Unix(-1<<33, 0)

func parsePosition(p string) (time.Time, string, error) {
	if p == "" {
		return beginning, "", nil
	}
	us, id, ok := strings.Cut(p, ":")
	n, err := strconv.ParseInt(us, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", permanent("no position in the queue: %q", p)
	}
	return time.UnixMicro(n), id, nil
}

const disputeColumns = `SELECT id, stripe_customer_id, subscription_id, invoice_id, status, amount, currency, opened_at, paid_at, payment_unread, read_at FROM disputes`

func scanDispute(row scan) (d reconcile.Dispute, err error) {
	var status string
	err = row(&d.ID, &d.StripeCustomer, &d.Subscription, &d.Invoice, &status, &d.Amount, &d.Currency, into(&d.Opened), into(&d.PaidAt), &d.PaymentUnread, into(&d.ReadAt))
	d.Status = reconcile.DisputeStatus(status)
	return d, err
}

// Disputes returns all disputes and refunds, by id.
func (s *Store) Disputes(ctx context.Context) (all []reconcile.Dispute, err error) {
	err = s.query(ctx, "reading disputes", disputeColumns+" ORDER BY id", nil, func(row scan) error {
		d, err := scanDispute(row)
		all = append(all, d)
		return err
	})
	return all, err
}

// SaveDisputes stores a complete list in the place of the one before, and wakes the
// customers for whom it differs.
func (s *Store) SaveDisputes(ctx context.Context, tok reconcile.Token, all []reconcile.Dispute, now time.Time) error {
	return s.fenced(ctx, "saving disputes", tok, func(ctx context.Context, tx conn) error {
		before := map[string]reconcile.Dispute{}
		err := tx.each(ctx, disputeColumns, nil, func(row scan) error {
			d, err := scanDispute(row)
			before[d.ID] = d
			return err
		})
		if err != nil {
			return err
		}
		var buyers []string
		for _, d := range all {
			d = cleanDispute(d)
			old, known := before[d.ID]
			delete(before, d.ID)
			if !known || !sameDispute(old, d) {
				buyers = append(buyers, d.StripeCustomer, old.StripeCustomer)
			}
			if err := putDispute(ctx, tx, d); err != nil {
				return err
			}
		}
		for id, old := range before {
			buyers = append(buyers, old.StripeCustomer)
			if _, err := tx.exec(ctx, "DELETE FROM disputes WHERE id = $1", id); err != nil {
				return err
			}
		}
		return wakeBuyers(ctx, tx, buyers, now)
	})
}

// SaveDispute stores one dispute as it was read by id, or forgets it if it no longer counts,
// and wakes its customer if it differs.
func (s *Store) SaveDispute(ctx context.Context, tok reconcile.Token, d reconcile.Dispute, counts bool, now time.Time) error {
	d = cleanDispute(d)
	return s.fenced(ctx, "saving a dispute", tok, func(ctx context.Context, tx conn) error {
		var old reconcile.Dispute
		err := tx.each(ctx, disputeColumns+" WHERE id = $1", []any{d.ID}, func(row scan) (err error) {
			old, err = scanDispute(row)
			return err
		})
		if err != nil {
			return err
		}
		if counts && sameDispute(old, d) {
			return putDispute(ctx, tx, d)
		}
		if counts {
			err = putDispute(ctx, tx, d)
		} else {
			_, err = tx.exec(ctx, "DELETE FROM disputes WHERE id = $1", d.ID)
		}
		if err != nil {
			return err
		}
		return wakeBuyers(ctx, tx, []string{d.StripeCustomer, old.StripeCustomer}, now)
	})
}

func cleanDispute(d reconcile.Dispute) reconcile.Dispute {
	d.ID, d.StripeCustomer, d.Subscription, d.Invoice, d.Currency = clean(d.ID), clean(d.StripeCustomer), clean(d.Subscription), clean(d.Invoice), clean(d.Currency)
	return d
}

// sameDispute compares all but the time of reading.
func sameDispute(a, b reconcile.Dispute) bool {
	return a.ID == b.ID && a.StripeCustomer == b.StripeCustomer && a.Subscription == b.Subscription && a.Invoice == b.Invoice && a.Status == b.Status &&
		a.Amount == b.Amount && a.Currency == b.Currency && a.Opened.Equal(b.Opened) && a.PaidAt.Equal(b.PaidAt) && a.PaymentUnread == b.PaymentUnread
}

func putDispute(ctx context.Context, tx conn, d reconcile.Dispute) error {
	_, err := tx.exec(ctx, `INSERT INTO disputes (id, stripe_customer_id, subscription_id, invoice_id, status, amount, currency, opened_at, paid_at, payment_unread, read_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET stripe_customer_id = excluded.stripe_customer_id, subscription_id = excluded.subscription_id,
			invoice_id = excluded.invoice_id, status = excluded.status, amount = excluded.amount, currency = excluded.currency,
			opened_at = excluded.opened_at, paid_at = excluded.paid_at, payment_unread = excluded.payment_unread, read_at = excluded.read_at`,
		d.ID, d.StripeCustomer, d.Subscription, d.Invoice, string(d.Status), d.Amount, d.Currency, at(orEpoch(d.Opened)), at(d.PaidAt), d.PaymentUnread, at(orEpoch(d.ReadAt)))
	return err
}

func wakeBuyers(ctx context.Context, tx conn, buyers []string, now time.Time) error {
	buyers = slices.DeleteFunc(buyers, func(id string) bool { return id == "" })
	if len(buyers) == 0 {
		return nil
	}
	customers, err := tx.strings(ctx, "SELECT DISTINCT customer_id FROM stripe_customers WHERE id "+tx.d.anyText(1), list(buyers))
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}

func (a *aggregate) loadDisputes(ctx context.Context) error {
	query := disputeColumns + " WHERE stripe_customer_id " + a.c.d.anyText(1) + " ORDER BY id"
	return a.c.each(ctx, query, []any{keys(a.buyers)}, func(row scan) error {
		d, err := scanDispute(row)
		if c := a.buyers[d.StripeCustomer]; c != nil {
			c.Disputes = append(c.Disputes, d)
		}
		return err
	})
}
