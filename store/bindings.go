package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// PreviewInstruction returns the change that an instruction would make, and changes nothing.
func (s *Store) PreviewInstruction(ctx context.Context, w reconcile.Instruction, decide reconcile.InstructionDecider) (ch reconcile.BindingChange, err error) {
	err = s.snapshot(ctx, "previewing an instruction about "+w.Subscription, func(ctx context.Context, c conn) error {
		ch, err = decideInstruction(ctx, c, w, decide)
		return err
	})
	return ch, err
}

// RecordInstruction stores a person's instruction about a subscription, in one
// transaction with its rows of the journal. It needs no lease, because one process may
// have that for weeks: the transaction excludes those of the writer, the instruction is
// refused while a write to the panel is under way, and RecordIntent refuses an action
// that was decided before the instruction. The customers are woken, and the writer is
// nudged.
func (s *Store) RecordInstruction(ctx context.Context, w reconcile.Instruction, decide reconcile.InstructionDecider) (ch reconcile.BindingChange, err error) {
	err = s.unfenced(ctx, "recording an instruction about "+w.Subscription, func(ctx context.Context, tx conn) error {
		if err := tx.each(ctx, "SELECT token FROM leases WHERE name = $1"+tx.d.forUpdate(), []any{leaseName}, ignore); err != nil {
			return err
		}
		if ch, err = decideInstruction(ctx, tx, w, decide); err != nil || ch.None() {
			return err
		}
		return applyChange(ctx, tx, &ch)
	})
	return ch, err
}

func decideInstruction(ctx context.Context, c conn, w reconcile.Instruction, decide reconcile.InstructionDecider) (ch reconcile.BindingChange, err error) {
	heads, err := loadHeads(ctx, c, `id IN (SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE s.id = $1)`, "c.id", w.Subscription)
	if err != nil {
		return ch, err
	}
	if len(heads) == 0 {
		return ch, reconcile.SubscriptionNotKnown(w.Subscription)
	}
	customers, err := aggregates(ctx, c, heads)
	if err != nil {
		return ch, err
	}
	bound, err := bindingsTo(ctx, c, w.Hosting.ID)
	if err != nil {
		return ch, err
	}
	var under string
	found, err := c.one(ctx, `SELECT kind FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND state IN ('sent', 'ambiguous')
		AND hosting_id = $1 LIMIT 1`, []any{w.Hosting.ID}, &under)
	if err != nil {
		return ch, err
	}
	if found && w.Hosting.ID != 0 {
		return ch, reconcile.InstructionRefused(under + " of that hosting was sent and its outcome is not known yet: repeat this after the next run has looked for it")
	}
	return decide(&customers[0], bound)
}

// bindingsTo are the bindings of all customers to a hosting.
func bindingsTo(ctx context.Context, c conn, hosting int64) (bound []reconcile.CustomerBinding, err error) {
	query := `SELECT b.subscription_id, b.slot, b.item_id, b.org_id, b.hosting_id, b.how, b.bound_at, k.customer_id, s.status IN ('canceled', 'incomplete_expired') AND NOT s.gone
		FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id JOIN stripe_customers k ON k.id = s.stripe_customer_id
		WHERE b.hosting_id = $1 ORDER BY b.subscription_id, b.slot`
	err = c.each(ctx, query, []any{hosting}, func(row scan) error {
		var cl reconcile.CustomerBinding
		var how string
		err := row(&cl.Subscription, &cl.Slot, &cl.Item, &cl.Org, &cl.Hosting, &how, into(&cl.At), &cl.Customer, &cl.Ended)
		cl.How = reconcile.ParseBindKind(how)
		bound = append(bound, cl)
		return err
	})
	return bound, err
}

// applyChange writes a change.
func applyChange(ctx context.Context, tx conn, ch *reconcile.BindingChange) error {
	w := &ch.Instruction
	var hostings []int64
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees, ch.Leaves) {
		hostings = append(hostings, b.Hosting)
	}
	if ch.Bind != nil {
		hostings = append(hostings, ch.Bind.Hosting)
	}
	if err := measured(ctx, tx, hostings, func() error { return rebind(ctx, tx, ch) }); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "UPDATE partings SET answered = TRUE WHERE subscription_id = $1 AND hosting_id "+tx.d.anyInt(2), w.Subscription, list(ch.Resolves)); err != nil {
		return err
	}
	if ch.New || w.Kind == reconcile.InstructUnbind {
		if _, err := tx.exec(ctx, "UPDATE subscriptions SET said_new = $2 WHERE id = $1", w.Subscription, ch.New); err != nil {
			return err
		}
	}
	return writeJournal(ctx, tx, ch)
}

// rebind writes the bindings and partings of a change.
func rebind(ctx context.Context, tx conn, ch *reconcile.BindingChange) error {
	w := &ch.Instruction
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees, ch.Leaves) {
		if _, err := tx.exec(ctx, "DELETE FROM bindings WHERE subscription_id = $1 AND slot = $2 AND hosting_id = $3", b.Subscription, b.Slot, b.Hosting); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "UPDATE hostings SET bound = FALSE WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM bindings WHERE hosting_id = $1)", b.Hosting); err != nil {
			return err
		}
	}
	for _, p := range ch.OtherUnbindings {
		if _, err := tx.exec(ctx, `INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at, named, answered)
			SELECT id, CAST($2 AS BIGINT), CAST($3 AS INTEGER), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TIMESTAMPTZ), metadata_hosting = CAST($2 AS BIGINT), TRUE FROM subscriptions WHERE id = $1
			ON CONFLICT (subscription_id, hosting_id) DO NOTHING`,
			p.Subscription, p.Hosting, p.Slot, p.Org, clean(p.Author), clean(p.Reason), at(p.At)); err != nil {
			return err
		}
	}
	for _, b := range ch.Unbinds {
		p := ch.Unbinding(b.Binding)
		if _, err := tx.exec(ctx, `INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at, named, answered)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (subscription_id, hosting_id) DO UPDATE SET slot = excluded.slot, org_id = excluded.org_id,
			author = excluded.author, reason = excluded.reason, parted_at = excluded.parted_at, named = excluded.named, answered = excluded.answered`,
			p.Subscription, p.Hosting, p.Slot, p.Org, clean(p.Author), clean(p.Reason), at(p.At), p.Named, p.Resolved); err != nil {
			return err
		}
	}
	for _, b := range ch.Leaves {
		if err := unbindMoved(ctx, tx, ch.Unbinding(b.Binding)); err != nil {
			return err
		}
	}
	if ch.Bind == nil {
		return nil
	}
	if _, err := tx.exec(ctx, "DELETE FROM partings WHERE subscription_id = $1 AND hosting_id = $2", ch.Bind.Subscription, ch.Bind.Hosting); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "DELETE FROM bindings WHERE subscription_id = $1 AND slot = $2 AND hosting_id = $3", ch.Bind.Subscription, ch.Bind.Slot, ch.Bind.Hosting); err != nil {
		return err
	}
	if err := putHosting(ctx, tx, w.Hosting); err != nil {
		return err
	}
	return bind(ctx, tx, *ch.Bind, w.At)
}

// unbindMoved stores that a subscription has lost its hosting because a person moved that. Nothing
// is made for it before another instruction.
func unbindMoved(ctx context.Context, tx conn, p reconcile.Unbinding) error {
	if _, err := tx.exec(ctx, `INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at, named, answered)
		SELECT id, CAST($2 AS BIGINT), CAST($3 AS INTEGER), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TIMESTAMPTZ), metadata_hosting = CAST($2 AS BIGINT), FALSE FROM subscriptions WHERE id = $1
		ON CONFLICT (subscription_id, hosting_id) DO UPDATE SET slot = excluded.slot, org_id = excluded.org_id,
		author = excluded.author, reason = excluded.reason, parted_at = excluded.parted_at, named = excluded.named, answered = FALSE`,
		p.Subscription, p.Hosting, p.Slot, p.Org, clean(p.Author), clean(p.Reason), at(p.At)); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "UPDATE subscriptions SET said_new = FALSE WHERE id = $1", p.Subscription)
	return err
}

// writeJournal writes the journal of a change and wakes the customers it concerns.
func writeJournal(ctx context.Context, tx conn, ch *reconcile.BindingChange) error {
	w := &ch.Instruction
	customers := ch.Customers()
	for _, a := range ch.Entries() {
		if err := recordRow(ctx, tx, reconcile.Outcome{Action: a, Run: clean(w.Author), State: reconcile.ActionApplied, At: w.At}); err != nil {
			return err
		}
	}
	if _, err := tx.exec(ctx, "UPDATE customers SET words = words + 1 WHERE id "+tx.d.anyText(1), list(customers)); err != nil {
		return err
	}
	if err := wake(ctx, tx, customers, w.At); err != nil {
		return err
	}
	return nudge(ctx, tx, ch.Subscriptions(), "an instruction of a person", w.At)
}

// loadUnbindings attaches the hostings that a person has unbound from a subscription.
func (a *aggregate) loadUnbindings(ctx context.Context) error {
	query := `SELECT subscription_id, slot, org_id, hosting_id, parted_at, author, reason, named, answered FROM partings
		WHERE subscription_id ` + a.c.d.anyText(1) + " ORDER BY subscription_id, slot, hosting_id"
	return a.c.each(ctx, query, []any{keys(a.subs)}, func(row scan) error {
		var p reconcile.Unbinding
		if err := row(&p.Subscription, &p.Slot, &p.Org, &p.Hosting, into(&p.At), &p.Author, &p.Reason, &p.Named, &p.Resolved); err != nil {
			return err
		}
		c := a.subs[p.Subscription]
		c.Unbindings = append(c.Unbindings, p)
		return nil
	})
}

// refuseOutdated is an error if a person has given an instruction for the customer since the action
// was decided. Nothing was sent, and the next run decides again.
func refuseOutdated(a reconcile.Action, words int64) error {
	if a.Instructions == words {
		return nil
	}
	return fault.Unsent(fault.Errorf(fault.Conflict, "a person has given an instruction for customer %s since this was decided", a.Customer))
}

func (a *aggregate) loadBindings(ctx context.Context) error {
	query := `SELECT subscription_id, slot, item_id, org_id, hosting_id, how, bound_at
		FROM bindings WHERE subscription_id ` + a.c.d.anyText(1) + " ORDER BY subscription_id, slot"
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

// loadServed notes, of the hostings that the metadata of a customer names, which
// subscription of another customer is served by them.
func (a *aggregate) loadServed(ctx context.Context) error {
	if len(a.named) == 0 {
		return nil
	}
	query := `SELECT b.hosting_id, b.subscription_id FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id
		WHERE b.hosting_id ` + a.c.d.anyInt(1) + ` AND (s.gone OR s.status NOT IN ('canceled', 'incomplete_expired')) ORDER BY b.hosting_id, b.subscription_id DESC`
	slices.Sort(a.named)
	return a.c.each(ctx, query, []any{list(slices.Compact(a.named))}, func(row scan) error {
		var hosting int64
		var sub string
		if err := row(&hosting, &sub); err != nil {
			return err
		}
		for _, c := range a.hosting[hosting] {
			for i := range c.Hostings {
				if c.Hostings[i].ID == hosting && a.subs[sub] != c {
					c.Hostings[i].Serves = sub
				}
			}
		}
		return nil
	})
}

// bind creates or changes the binding of (subscription, slot).
//
//   - A slot that is bound to another hosting is not bound anew: a binding is never
//     replaced because something else looked better.
//   - A hosting that we just made cannot be bound already.
//   - A returning customer takes the hosting over: bindings of other subscriptions
//     that have ended, and of the same Stripe customer, are removed.
func bind(ctx context.Context, tx conn, b reconcile.Binding, now time.Time) error {
	bound, err := makeRoom(ctx, tx, b)
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `INSERT INTO hostings (id, org_id, state, bound) VALUES ($1, $2, 'unread', TRUE)
		ON CONFLICT (id) DO UPDATE SET bound = TRUE, ignored = FALSE, ignored_why = '' WHERE NOT hostings.bound`, b.Hosting, b.Org); err != nil {
		return err
	}
	if b.At.IsZero() {
		b.At = now
	}
	if !bound && b.How == reconcile.BoundByCreate {
		// The next listing of orgs counts it too, and is no reason to list its hostings.
		if _, err := tx.exec(ctx, "UPDATE orgs SET hostings_count = hostings_count + 1 WHERE id = $1", b.Org); err != nil {
			return err
		}
	}
	_, err = tx.exec(ctx, `INSERT INTO bindings (subscription_id, slot, item_id, org_id, hosting_id, how, bound_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (subscription_id, slot) DO UPDATE SET item_id = excluded.item_id, org_id = excluded.org_id,
			how = excluded.how`,
		b.Subscription, b.Slot, clean(b.Item), b.Org, b.Hosting, b.How.String(), at(b.At))
	return err
}

// makeRoom reports whether exactly this is bound already, refuses what may not be bound,
// and removes the bindings that a returning customer's takes the place of.
func makeRoom(ctx context.Context, tx conn, b reconcile.Binding) (bound bool, err error) {
	var have int64   // bound to the slot
	var other string // a subscription that the hosting is bound to otherwise
	err = tx.each(ctx, `SELECT subscription_id, slot, hosting_id FROM bindings WHERE subscription_id = $1 AND slot = $2
		UNION SELECT subscription_id, slot, hosting_id FROM bindings WHERE hosting_id = $3`,
		[]any{b.Subscription, b.Slot, b.Hosting}, func(row scan) error {
			var subscription string
			var slot int
			var hosting int64
			err := row(&subscription, &slot, &hosting)
			if subscription == b.Subscription && slot == b.Slot {
				bound, have = true, hosting
			} else {
				other = subscription
			}
			return err
		})
	switch {
	case err != nil:
		return false, err
	case bound && have != b.Hosting:
		return false, conflict(nil, "slot %d of %s is already bound to hosting %d, not %d", b.Slot, b.Subscription, have, b.Hosting)
	case b.How == reconcile.BoundByCreate && other != "":
		return false, conflict(nil, "hosting %d is already bound to %s", b.Hosting, other)
	case b.How == reconcile.BoundByResubscription && other != "":
		_, err = tx.exec(ctx, `DELETE FROM bindings WHERE hosting_id = $1 AND subscription_id <> $2 AND subscription_id IN (
			SELECT s.id FROM subscriptions s WHERE s.status IN ('canceled', 'incomplete_expired')
			AND s.stripe_customer_id IN (SELECT s2.stripe_customer_id FROM subscriptions s2 WHERE s2.id = $2))`,
			b.Hosting, b.Subscription)
	}
	return bound, err
}

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

// hiddenCursor is set if orgs could not be listed when this database knew nothing of the
// panel, until all are: what they hold counts as found by that first look.
const hiddenCursor = "hidden"

// countUnbound is Unbound, and since when it is undecided which orders are new; "": it is
// decided, or was never asked.
func (s *Store) countUnbound(ctx context.Context) (u reconcile.Unbound, since string, err error) {
	err = s.query(ctx, "counting unbound hostings", "SELECT count(*), count(DISTINCT h.org_id), (SELECT coalesce(max(value), '') FROM cursors WHERE name = $1), (SELECT count(*) FROM cursors WHERE name = $2 AND value <> '') FROM hostings h WHERE "+unboundHosting,
		[]any{undecidedCursor, hiddenCursor}, func(row scan) error {
			hidden := 0
			err := row(&u.Hostings, &u.Orgs, &since, &hidden)
			u.Hidden = hidden > 0
			return err
		})
	u.Undecided = since != "" && u.Hostings > 0
	return u, since, err
}

// AskAboutUnbound notes that it has to be decided which orders are new, where nothing
// was bound before, or some orgs could not be listed then, and that it is decided, where no
// unbound hosting is left.
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
		if err != nil || bound && !u.Hidden {
			return u, err // what people make by hand beside us is no reason to ask
		}
		value = now.UTC().Format(time.RFC3339)
	}
	u.Undecided = value != ""
	return u, s.SetCursor(ctx, tok, undecidedCursor, value)
}

// NoteHidden notes since when orgs could not be listed that were there when this database
// knew nothing of the panel; zero: all were listed since.
func (s *Store) NoteHidden(ctx context.Context, tok reconcile.Token, since time.Time) error {
	value := ""
	if !since.IsZero() {
		value = since.UTC().Format(time.RFC3339)
	}
	return s.SetCursor(ctx, tok, hiddenCursor, value)
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
	query := "SELECT id, email, name FROM stripe_customers WHERE id " + a.c.d.anyText(1)
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
		FROM sites t WHERE t.domain ` + a.c.d.anyText(1)
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
		SELECT id FROM orgs WHERE name_key <> '' AND name_key ` + a.c.d.anyText(1) + `
		UNION SELECT id FROM orgs WHERE owner_email_key <> '' AND owner_email_key ` + a.c.d.anyText(2) + `
		UNION SELECT id FROM orgs WHERE marker_id <> '' AND marker_id ` + a.c.d.anyText(3) + ")"
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
		WHERE h.org_id ` + a.c.d.anyText(1) + " AND " + unboundHosting + " ORDER BY h.id"
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

// PreviewOrgInstruction returns the change that a statement about a customer's org would
// make, and changes nothing.
func (s *Store) PreviewOrgInstruction(ctx context.Context, w reconcile.OrgInstruction, decide reconcile.OrgDecider) (ch reconcile.OrgChange, err error) {
	err = s.snapshot(ctx, "previewing a statement about the org of "+w.Customer, func(ctx context.Context, c conn) error {
		ch, err = decideOrg(ctx, c, w, decide)
		return err
	})
	return ch, err
}

// RecordOrgInstruction stores a person's statement about a customer's org, in one
// transaction with its row of the journal. It excludes the writer in the same way as
// RecordInstruction: it is refused while a write of the customer is under way, and an
// action that was decided before it is not sent.
func (s *Store) RecordOrgInstruction(ctx context.Context, w reconcile.OrgInstruction, decide reconcile.OrgDecider) (ch reconcile.OrgChange, err error) {
	err = s.unfenced(ctx, "recording a statement about the org of "+w.Customer, func(ctx context.Context, tx conn) error {
		if err := tx.each(ctx, "SELECT token FROM leases WHERE name = $1"+tx.d.forUpdate(), []any{leaseName}, ignore); err != nil {
			return err
		}
		if ch, err = decideOrg(ctx, tx, w, decide); err != nil || ch.Already {
			return err
		}
		if err := writeOrg(ctx, tx, &ch); err != nil {
			return err
		}
		return writeOrgJournal(ctx, tx, &ch)
	})
	return ch, err
}

func decideOrg(ctx context.Context, c conn, w reconcile.OrgInstruction, decide reconcile.OrgDecider) (ch reconcile.OrgChange, err error) {
	heads, err := loadHeads(ctx, c, "id "+c.d.anyText(1), "c.id", list([]string{w.Customer, w.Into}))
	if err != nil {
		return ch, err
	}
	customers, err := aggregates(ctx, c, heads)
	if err != nil {
		return ch, err
	}
	var of, into *reconcile.Customer
	for i := range customers {
		if customers[i].ID == w.Customer {
			of = &customers[i]
		}
		if customers[i].ID == w.Into {
			into = &customers[i]
		}
	}
	if of == nil {
		return ch, ErrNotFound
	}
	return decide(of, into)
}

// writeOrg writes the org of the customer. Its invitation and its name belong to the org
// that it leaves, because an org of its own has an owner to be invited.
func writeOrg(ctx context.Context, tx conn, ch *reconcile.OrgChange) error {
	w := &ch.Instruction
	merged := w.Kind == reconcile.MergeOrgs
	org, why := "", ""
	if merged {
		org, why = ch.Org.ID, clean(w.Why())
	}
	if _, err := tx.exec(ctx, `UPDATE customers SET org_id = CASE WHEN $2 = '' THEN NULL ELSE $2 END, org_guest = $3, org_named = $3, org_why = $4,
		invited_at = NULL, invited_email = '', org_name_wanted = '', org_name_why = '', invite_wanted = '', invite_why = '', words = words + 1 WHERE id = $1`, w.Customer, org, merged, why); err != nil {
		return err
	}
	if merged {
		_, err := tx.exec(ctx, "DELETE FROM org_partings WHERE customer_id = $1 AND org_id = $2", w.Customer, org)
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO org_partings (customer_id, org_id, why, parted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (customer_id, org_id) DO UPDATE SET why = excluded.why, parted_at = excluded.parted_at`, w.Customer, ch.Org.ID, clean(w.Why()), at(w.At))
	return err
}

// writeOrgJournal writes the row of the journal, and wakes the customer and the one whose org
// it is.
func writeOrgJournal(ctx context.Context, tx conn, ch *reconcile.OrgChange) error {
	w := &ch.Instruction
	if err := recordRow(ctx, tx, reconcile.Outcome{Action: ch.Entry(), Run: clean(w.Author), State: reconcile.ActionApplied, At: w.At}); err != nil {
		return err
	}
	if err := wake(ctx, tx, []string{w.Customer, ch.Host}, w.At); err != nil {
		return err
	}
	subs, err := tx.strings(ctx, `SELECT s.id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE b.customer_id = $1 ORDER BY s.id`, w.Customer)
	if err != nil {
		return err
	}
	return nudge(ctx, tx, subs, "a statement of a person about the organisation", w.At)
}

// loadSharers attaches the customers of the orgs that several have. They are one list for
// all of an org, because an agency may have many guests.
func (a *aggregate) loadSharers(ctx context.Context) error {
	query := `SELECT k.org_id, k.id, k.email, k.org_guest, k.org_why, coalesce(s.id, '') FROM customers k
		LEFT JOIN stripe_customers b ON b.customer_id = k.id LEFT JOIN subscriptions s ON s.stripe_customer_id = b.id
		WHERE k.org_id IS NOT NULL AND k.org_id ` + a.c.d.anyText(1) + " ORDER BY k.org_id, k.id, s.id"
	of := make(map[string][]reconcile.Sharer, len(a.orgs))
	err := a.c.each(ctx, query, []any{keys(a.orgs)}, func(row scan) error {
		var k reconcile.Sharer
		var org, sub string
		if err := row(&org, &k.ID, &k.Email, &k.Guest, &k.Why, &sub); err != nil {
			return err
		}
		all := of[org]
		if len(all) == 0 || all[len(all)-1].ID != k.ID {
			all = append(all, k)
		}
		if last := &all[len(all)-1]; sub != "" {
			last.Subscriptions = append(last.Subscriptions, sub)
		}
		of[org] = all
		return nil
	})
	for org, customers := range a.orgs {
		for _, c := range customers {
			if len(of[org]) > 1 {
				c.Sharers = of[org]
			}
		}
	}
	return err
}

// loadApart attaches the orgs from which a person has split a customer.
func (a *aggregate) loadApart(ctx context.Context) error {
	query := "SELECT customer_id, org_id, why, parted_at FROM org_partings WHERE customer_id " + a.c.d.anyText(1) + " ORDER BY customer_id, org_id"
	return a.c.each(ctx, query, []any{keys(a.byID)}, func(row scan) error {
		var o reconcile.ApartOrg
		var customer string
		if err := row(&customer, &o.Org, &o.Why, into(&o.At)); err != nil {
			return err
		}
		c := a.byID[customer]
		c.Apart = append(c.Apart, o)
		return nil
	})
}

// adoptable is unboundHosting, whether or not a person has decided that no customer pays for it.
const adoptable = `NOT h.bound AND h.terminated_by_us IS NULL AND h.state IN ('active', 'suspended') AND h.marker_id = ''
	AND NOT EXISTS (SELECT 1 FROM orgs d WHERE d.id = h.org_id AND d.deleted)`

// Adoptable calls yield with every living hosting that no subscription is bound to and no
// marker names, by id, with what a person has decided about it.
func (s *Store) Adoptable(ctx context.Context, yield func(reconcile.Adoptable) error) error {
	after := int64(0)
	return stream(yield, func(add func(...reconcile.Adoptable)) (rows int, err error) {
		err = s.query(ctx, "reading unbound hostings", `SELECT h.id, h.org_id, h.plan_id, h.state, h.ignored, h.ignored_why
			FROM hostings h WHERE h.id > $1 AND `+adoptable+` ORDER BY h.id LIMIT $2`, []any{after, pageSize}, func(row scan) error {
			var a reconcile.Adoptable
			var state string
			err := row(&a.Hosting.ID, &a.Org, &a.Plan, &state, &a.Ignored, &a.Why)
			a.State = reconcile.ParseHostingState(state)
			after = a.ID
			rows++
			add(a)
			return err
		})
		return rows, err
	})
}

// LivingOrgs calls yield with every org that is not deleted, by id.
func (s *Store) LivingOrgs(ctx context.Context, yield func(reconcile.OrgOwner) error) error {
	after := ""
	return stream(yield, func(add func(...reconcile.OrgOwner)) (rows int, err error) {
		err = s.query(ctx, "reading orgs", orgColumns+`, coalesce((SELECT min(c.id) FROM customers c WHERE c.org_id = orgs.id AND NOT c.org_guest), '')
			FROM orgs WHERE id > $1 AND NOT deleted ORDER BY id LIMIT $2`, []any{after, pageSize}, func(row scan) error {
			var one reconcile.OrgOwner
			var err error
			one.Org, err = scanOrg(row, &one.Customer)
			after = one.ID
			rows++
			add(one)
			return err
		})
		return rows, err
	})
}

// IgnoreHosting stores a person's decision that no customer pays for a hosting, or, without a
// reason, takes it back. It reports whether that changed anything. Customers who wait
// because they may be paying for it are woken.
func (s *Store) IgnoreHosting(ctx context.Context, hosting int64, why string, now time.Time) (changed bool, err error) {
	err = s.unfenced(ctx, "deciding about a hosting", func(ctx context.Context, tx conn) error {
		res, err := tx.exec(ctx, "UPDATE hostings SET ignored = $2, ignored_why = $3 WHERE id = $1 AND NOT bound AND ignored <> $2", hosting, why != "", clean(why))
		if err != nil {
			return err
		}
		if changed = res > 0; !changed {
			return nil
		}
		waiting, err := tx.strings(ctx, "SELECT id FROM customers WHERE held_kinds IS NOT NULL AND held_kinds LIKE '%"+string(reconcile.HoldAdopt)+"%'")
		if err != nil {
			return err
		}
		return wake(ctx, tx, waiting, now)
	})
	return changed, err
}
