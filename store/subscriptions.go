package store

import (
	"context"
	"database/sql"
	"slices"
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
		FROM subscriptions WHERE id IN ` + m.tx.d.texts(1)
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
		FROM subscriptions WHERE stripe_customer_id IN ` + a.c.d.texts(1) + " ORDER BY id"
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
	return s.strings(ctx, "listing subscriptions", "SELECT id FROM subscriptions WHERE stripe_customer_id IN "+s.d.texts(1)+" ORDER BY id", list(stripeCustomers))
}
