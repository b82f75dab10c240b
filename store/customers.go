package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Customers returns complete customers by their ids, ordered by id; unknown ids
// are left out.
func (s *Store) Customers(ctx context.Context, ids []string) ([]reconcile.Customer, error) {
	var customers []reconcile.Customer
	err := s.snapshot(ctx, "reading customers", func(ctx context.Context, c conn) error {
		if len(ids) > manyRows {
			if err := c.withoutJIT(ctx); err != nil {
				return err
			}
		}
		heads, err := loadHeads(ctx, c, "id "+c.d.anyText(1), "c.id", list(ids))
		if err != nil || len(heads) == 0 {
			return err
		}
		customers, err = aggregates(ctx, c, heads)
		return err
	})
	return customers, err
}

// EachCustomer calls yield with every customer, complete, by id. It reads page by page, so
// that the memory does not grow with their number; a change meanwhile may show in a part
// of them.
func (s *Store) EachCustomer(ctx context.Context, yield func(reconcile.Customer) error) error {
	after := ""
	return stream(yield, func(add func(...reconcile.Customer)) (customers int, err error) {
		err = s.snapshot(ctx, "reading customers", func(ctx context.Context, c conn) error {
			if err := c.withoutJIT(ctx); err != nil {
				return err
			}
			heads, err := loadHeads(ctx, c, "id > $1 ORDER BY id LIMIT $2", "c.id", after, pageSize)
			customers = len(heads)
			if err != nil || customers == 0 {
				return err
			}
			page, err := aggregates(ctx, c, heads)
			if err == nil {
				after = heads[customers-1].ID
				add(page...)
			}
			return err
		})
		return customers, err
	})
}

// CustomersOf returns the ids of the customers of these subscriptions, each once,
// in order.
func (s *Store) CustomersOf(ctx context.Context, subscriptions []string) ([]string, error) {
	return s.strings(ctx, "finding customers", `SELECT DISTINCT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
		WHERE s.id `+s.d.anyText(1)+` ORDER BY c.customer_id`, list(subscriptions))
}

// head is a row of customers with the Stripe customers behind it: the root of an
// aggregate.
type head struct {
	reconcile.Customer
	key string // of the e-mail
	org string
	due time.Time
	has
}

// has reports which of the rarer rows exist. Each saves a statement where there are
// none, which is the rule.
type has struct {
	pending  bool // a write of this customer whose outcome is not known
	kin      bool // another customer with an org and this e-mail
	partings bool // any, of any customer
	manual   bool // any hold that a person put, on any customer
	mails    bool // any mail, to any customer
	disputes bool // any dispute, of any customer
	apart    bool // any org from which a person has split a customer
	shared   bool // another customer with the org
}

const headColumns = `SELECT c.id, c.email, c.email_key, c.name, coalesce(c.org_id, ''), c.org_guest, c.org_named, c.invited_at, c.invited_email,
	c.due_at, c.wakes, c.failures, c.retry_after, c.parked_at, c.last_error, c.planned_at, c.words, c.org_name_wanted, c.org_name_why, c.invite_wanted, c.invite_why, c.org_why,
	EXISTS (SELECT 1 FROM hostings h WHERE ` + unboundHosting + `),
	coalesce((SELECT value FROM cursors WHERE name = '` + undecidedCursor + `'), '') <> '',
	EXISTS (SELECT 1 FROM actions a WHERE a.state IN ('planned', 'held', 'sent', 'ambiguous') AND a.state IN ('sent', 'ambiguous') AND a.kind <> 'mail' AND a.customer_id = c.id),
	EXISTS (SELECT 1 FROM stripe_customers o JOIN customers k ON k.id = o.customer_id
		WHERE o.email_key <> '' AND o.email_key = c.email_key AND k.org_id IS NOT NULL AND k.id <> c.id),
	EXISTS (SELECT 1 FROM partings),
	EXISTS (SELECT 1 FROM holds WHERE removed_at IS NULL),
	EXISTS (SELECT 1 FROM mails),
	EXISTS (SELECT 1 FROM disputes),
	EXISTS (SELECT 1 FROM org_partings),
	EXISTS (SELECT 1 FROM customers o WHERE o.org_id IS NOT NULL AND o.org_id = c.org_id AND o.id <> c.id),
	coalesce(b.id, ''), coalesce(b.email, ''), coalesce(b.name, ''), coalesce(b.deleted, FALSE), coalesce(b.former_email, ''), b.email_changed_at,
	coalesce(b.email_unnoted, FALSE), coalesce(b.name_unnoted, FALSE)`

// loadHeads reads the customers chosen by a condition on customers, in an order of
// columns of c.
func loadHeads(ctx context.Context, c conn, chosen, order string, args ...any) ([]head, error) {
	var heads []head
	buyers := "stripe_customers b ON b.customer_id = c.id"
	if c.d == postgres { // for a join its planner may read the whole table
		buyers = "LATERAL (SELECT * FROM stripe_customers s WHERE s.customer_id = c.id OFFSET 0) b ON TRUE"
	}
	query := headColumns + " FROM (SELECT * FROM customers WHERE " + chosen + ") c LEFT JOIN " + buyers + " ORDER BY " + order + ", b.id"
	err := c.each(ctx, query, args, func(row scan) error {
		var h head
		var b reconcile.Buyer
		err := row(&h.ID, &h.Email, &h.key, &h.Name, &h.org, &h.OrgGuest, &h.OrgNamed, into(&h.Invited), &h.InvitedEmail,
			into(&h.due), &h.Version, &h.Failures, into(&h.RetryAfter), into(&h.Parked), &h.LastError, into(&h.PlannedAt), &h.Instructions, &h.NameWanted, &h.NameWhy, &h.InviteWanted, &h.InviteWhy, &h.OrgWhy,
			&h.Unbound, &h.Undecided, &h.pending, &h.kin, &h.partings, &h.manual, &h.mails, &h.disputes, &h.apart, &h.shared,
			&b.ID, &b.Email, &b.Name, &b.Deleted, &b.FormerEmail, into(&b.EmailChanged), &b.EmailUnnoted, &b.NameUnnoted)
		if err != nil {
			return err
		}
		if len(heads) == 0 || heads[len(heads)-1].ID != h.ID {
			h.Undecided = h.Unbound && h.Undecided
			heads = append(heads, h)
		}
		if last := &heads[len(heads)-1]; b.ID != "" {
			last.Buyers = append(last.Buyers, b)
		}
		return nil
	})
	return heads, err
}

// Versions returns Customer.Version of these customers as it is now; unknown ids are
// left out. It is the cheap way to learn whether a loaded customer has changed; what
// raises the version, and what does not, stands at wake.
func (s *Store) Versions(ctx context.Context, ids []string) (map[string]int64, error) {
	versions := make(map[string]int64, len(ids))
	err := s.query(ctx, "reading versions", "SELECT id, wakes FROM customers WHERE id "+s.d.anyText(1), []any{list(ids)}, func(row scan) error {
		var id string
		var version int64
		err := row(&id, &version)
		versions[id] = version
		return err
	})
	return versions, err
}

// aggregate completes customers, a whole batch with each query, so that the cost
// per customer is a few rows and not a few round trips.
type aggregate struct {
	c       conn
	list    []reconcile.Customer
	byID    map[string]*reconcile.Customer
	buyers  map[string]*reconcile.Customer   // Stripe customer →
	subs    map[string]*reconcile.Customer   // subscription →
	orgs    map[string][]*reconcile.Customer // bound org →
	emails  map[string][]*reconcile.Customer // by the key of the e-mail
	key     map[string]string                // customer → the key of its e-mail
	hosting map[int64][]*reconcile.Customer  // bound hosting, or one that metadata names →
	named   []int64                          // hostings that metadata names
	next    map[string][]*reconcile.Customer // an org to which a customer may be bound next →
	strays  []reconcile.Hosting              // see strayHosting
}

// aggregates loads everything else of the customers whose rows were read.
func aggregates(ctx context.Context, c conn, heads []head) ([]reconcile.Customer, error) {
	a := newAggregate(c, heads)
	any, unbound := has{}, false
	for i := range heads {
		h := &heads[i]
		any = has{any.pending || h.pending, any.kin || h.kin, any.partings || h.partings, any.manual || h.manual, any.mails || h.mails, any.disputes || h.disputes, any.apart || h.apart, any.shared || h.shared}
		unbound = unbound || h.Unbound
	}
	for _, part := range []struct {
		there bool
		load  func(context.Context) error
	}{
		{true, a.loadSubscriptions}, {true, a.loadBindings}, {any.partings, a.loadUnbindings}, {true, a.loadHostings},
		{true, a.loadServed}, {true, a.loadOrgs}, {any.kin, a.loadKin}, {any.pending, a.loadPending},
		{any.manual, a.loadHolds}, {any.mails, a.loadMails}, {any.disputes, a.loadDisputes}, {any.shared, a.loadSharers}, {any.apart, a.loadApart}, {unbound, a.loadExisting},
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

// newAggregate begins with the rows of the customers.
func newAggregate(c conn, heads []head) *aggregate {
	a := &aggregate{c: c,
		list: make([]reconcile.Customer, len(heads)),
		byID: make(map[string]*reconcile.Customer, len(heads)), buyers: make(map[string]*reconcile.Customer, len(heads)),
		subs: make(map[string]*reconcile.Customer, len(heads)), orgs: make(map[string][]*reconcile.Customer),
		emails: make(map[string][]*reconcile.Customer, len(heads)), hosting: make(map[int64][]*reconcile.Customer),
		key: make(map[string]string, len(heads)),
	}
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
			a.key[customer.ID] = h.key
		}
	}
	return a
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

// kin are other customers with an org and an e-mail of this batch.
type kin struct {
	byID  map[string]*reconcile.Kin
	byOrg map[string][]*reconcile.Kin
	byKey map[string][]*reconcile.Kin // by the key of the e-mail
}

// loadKin finds the other customers that have an org and a buyer with the same e-mail.
// A customer may share their org, or may be one of them who returns under a new Stripe
// id; none of it is the customer's own.
func (a *aggregate) loadKin(ctx context.Context) error {
	found, err := a.findKin(ctx)
	if err != nil || len(found.byID) == 0 {
		return err
	}
	err = a.c.each(ctx, orgColumns+" FROM orgs WHERE id "+a.c.d.anyText(1), []any{keys(found.byOrg)}, func(row scan) error {
		o, err := scanOrg(row)
		for _, k := range found.byOrg[o.ID] {
			k.Org = o
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := loadKinHostings(ctx, a.c, found.byID); err != nil {
		return err
	}
	for i := range a.list {
		customer := &a.list[i]
		for _, k := range found.byKey[a.key[customer.ID]] {
			if k.ID != customer.ID {
				customer.Kin = append(customer.Kin, *k)
			}
		}
	}
	return nil
}

func (a *aggregate) findKin(ctx context.Context) (kin, error) {
	found := kin{map[string]*reconcile.Kin{}, map[string][]*reconcile.Kin{}, map[string][]*reconcile.Kin{}}
	query := `SELECT s.email_key, c.id, c.org_id, c.org_guest, c.invited_at, c.invited_email, max(s.email_changed_at)
		FROM stripe_customers s JOIN customers c ON c.id = s.customer_id
		WHERE s.email_key <> '' AND c.org_id IS NOT NULL AND s.email_key ` + a.c.d.anyText(1) + `
		GROUP BY s.email_key, c.id, c.org_id, c.org_guest, c.invited_at, c.invited_email ORDER BY c.id`
	err := a.c.each(ctx, query, []any{keys(a.emails)}, func(row scan) error {
		k := new(reconcile.Kin)
		var key string
		if err := row(&key, &k.ID, &k.Org.ID, &k.Guest, into(&k.Invited), &k.InvitedEmail, into(&k.EmailChanged)); err != nil {
			return err
		}
		if others := a.emails[key]; len(others) == 1 && others[0].ID == k.ID {
			return nil // only its own
		}
		found.byID[k.ID] = k
		found.byOrg[k.Org.ID] = append(found.byOrg[k.Org.ID], k)
		found.byKey[key] = append(found.byKey[key], k)
		return nil
	})
	return found, err
}

// loadKinHostings adds which hostings these customers are bound to, and for which of
// their subscriptions.
func loadKinHostings(ctx context.Context, c conn, byID map[string]*reconcile.Kin) error {
	query := `SELECT b.customer_id, s.id, s.status, n.hosting_id, h.state
		FROM stripe_customers b JOIN subscriptions s ON s.stripe_customer_id = b.id
		JOIN bindings n ON n.subscription_id = s.id JOIN hostings h ON h.id = n.hosting_id
		WHERE h.terminated_by_us IS NULL AND b.customer_id ` + c.d.anyText(1) + " ORDER BY s.id, n.slot"
	return c.each(ctx, query, []any{keys(byID)}, func(row scan) error {
		var customer, status, state string
		var h reconcile.KinHosting
		if err := row(&customer, &h.Subscription, &status, &h.Hosting, &state); err != nil {
			return err
		}
		h.Ended, h.State = reconcile.ParseStatus(status).Ended(), reconcile.ParseHostingState(state)
		if k := byID[customer]; !slices.Contains(k.Hostings, h) {
			k.Hostings = append(k.Hostings, h)
		}
		return nil
	})
}

// identities is how the buyers of a batch are assigned to customers.
type identities struct {
	of      map[string]string // Stripe customer → customer
	due     []string          // customers to wake although nothing else of theirs changed
	founded map[string]bool   // customers made here, by their only buyer; due from the start
	renamed []string          // existing customers whose e-mail or name may have changed
	created int64
}

// buyer is a Stripe customer in a batch of facts.
type buyer struct {
	reconcile.Buyer
	customer string
	readAt   time.Time
	known    bool
	stale    bool // known, and the stored row differs
}

// assignCustomers stores the buyers of facts that are about to be written.
//
//   - A known buyer keeps its customer.
//   - A new buyer founds a customer under its own id. It never joins another one,
//     whatever its e-mail is: Stripe verifies no address, so anyone can enter any.
//   - A changed e-mail moves nothing. It is kept beside the one before it, with the
//     time, because a customer whose address changed is given nothing on the strength of
//     the new one.
//
// Databases of earlier versions have customers of several buyers. They stay as they are.
func (m *merge) assignCustomers(ctx context.Context, all []incoming) (*identities, error) {
	p := &identities{of: make(map[string]string)}
	buyers := collectBuyers(all)
	if err := loadBuyers(ctx, m.tx, buyers, m.now); err != nil {
		return nil, err
	}
	if err := p.insertCustomers(ctx, m.tx, buyers, m.now); err != nil {
		return nil, err
	}
	if err := p.write(ctx, m.tx, buyers); err != nil {
		return nil, err
	}
	for _, b := range buyers {
		p.of[b.ID] = b.customer
	}
	return p, p.noteMoves(ctx, m.tx, all, buyers)
}

// collectBuyers takes each buyer once, as the latest read saw it.
func collectBuyers(all []incoming) []*buyer {
	byID := make(map[string]*buyer)
	var buyers []*buyer
	for i := range all {
		f := &all[i].facts
		b := byID[f.Buyer.ID]
		if b == nil {
			b = &buyer{Buyer: reconcile.Buyer{StripeCustomer: f.Buyer}}
			b.readAt = f.ReadAt
			byID[f.Buyer.ID] = b
			buyers = append(buyers, b)
		}
		if f.ReadAt.After(b.readAt) {
			b.StripeCustomer, b.readAt = f.Buyer, f.ReadAt
		}
	}
	slices.SortFunc(buyers, func(a, b *buyer) int { return cmp.Compare(a.ID, b.ID) }) // one order for all transactions
	return buyers
}

// loadBuyers completes the buyers from their stored rows. A deleted Stripe customer
// comes without its e-mail and name; the last ones known stay. If they were erased, facts
// that were read before that do not bring them back.
func loadBuyers(ctx context.Context, tx conn, buyers []*buyer, now time.Time) error {
	byID := make(map[string]*buyer, len(buyers))
	ids := make([]string, len(buyers))
	for i, b := range buyers {
		byID[b.ID], ids[i] = b, b.ID
	}
	query := `SELECT b.id, b.customer_id, b.email, b.name, b.deleted, b.former_email, b.email_changed_at, b.email_unnoted, b.name_unnoted, c.erased_at
		FROM stripe_customers b JOIN customers c ON c.id = b.customer_id WHERE b.id ` + tx.d.anyText(1)
	return tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var old reconcile.Buyer
		var customer string
		var erased time.Time
		err := row(&old.ID, &customer, &old.Email, &old.Name, &old.Deleted, &old.FormerEmail, into(&old.EmailChanged), &old.EmailUnnoted, &old.NameUnnoted, into(&erased))
		if err != nil {
			return err
		}
		b := byID[old.ID]
		b.known, b.customer = true, customer
		if !erased.IsZero() && !b.readAt.After(erased) {
			b.StripeCustomer = old.StripeCustomer
		}
		if b.Deleted {
			b.Email, b.Name = cmp.Or(b.Email, old.Email), cmp.Or(b.Name, old.Name)
		}
		b.FormerEmail, b.EmailChanged, b.EmailUnnoted = old.FormerEmail, old.EmailChanged, old.EmailUnnoted
		if reconcile.EmailKey(b.Email) != reconcile.EmailKey(old.Email) {
			b.FormerEmail, b.EmailChanged, b.EmailUnnoted = old.Email, now, true
		}
		// A name that is there for the first time, or no more, leaves nothing else to be called.
		was, is := reconcile.NameKey(old.Name), reconcile.NameKey(b.Name)
		b.NameUnnoted = old.NameUnnoted || was != is && was != "" && is != ""
		b.stale = b.Buyer != old
		return nil
	})
}

var insertCustomer = bulk{
	head: "INSERT INTO customers",
	columns: []column{{"id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"}, {"name", "TEXT"},
		{"due_at", "TIMESTAMPTZ"}, {"created_at", "TIMESTAMPTZ"}},
	tail: "ON CONFLICT (id) DO NOTHING",
}

// insertCustomers stores a customer for each buyer that is new.
func (p *identities) insertCustomers(ctx context.Context, tx conn, buyers []*buyer, now time.Time) error {
	var rows [][]any
	p.founded = make(map[string]bool)
	for _, b := range buyers {
		if b.known {
			continue
		}
		b.customer = b.ID
		p.founded[b.ID] = true
		rows = append(rows, []any{b.ID, b.Email, reconcile.EmailKey(b.Email), b.Name, at(now), at(now)})
	}
	p.created = int64(len(rows))
	return tx.bulk(ctx, insertCustomer, rows)
}

var upsertBuyer = bulk{
	head: "INSERT INTO stripe_customers",
	columns: []column{{"id", "TEXT"}, {"customer_id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"},
		{"name", "TEXT"}, {"deleted", "BOOLEAN"}, {"former_email", "TEXT"}, {"email_changed_at", "TIMESTAMPTZ"},
		{"email_unnoted", "BOOLEAN"}, {"name_unnoted", "BOOLEAN"}},
	tail: `ON CONFLICT (id) DO UPDATE SET email = excluded.email, email_key = excluded.email_key,
		name = excluded.name, deleted = excluded.deleted, former_email = excluded.former_email,
		email_changed_at = excluded.email_changed_at, email_unnoted = excluded.email_unnoted, name_unnoted = excluded.name_unnoted`,
}

// write stores new and changed buyers.
func (p *identities) write(ctx context.Context, tx conn, buyers []*buyer) error {
	var rows [][]any
	for _, b := range buyers {
		if b.known && !b.stale {
			continue
		}
		if b.known {
			p.renamed = append(p.renamed, b.customer)
		}
		rows = append(rows, []any{b.ID, b.customer, b.Email, reconcile.EmailKey(b.Email), b.Name, b.Deleted, b.FormerEmail, at(b.EmailChanged), b.EmailUnnoted, b.NameUnnoted})
	}
	sortRows(rows, 3) // the index of e-mails is the one that is not in the order of the merge
	return tx.bulk(ctx, upsertBuyer, rows)
}

// noteMoves notes customers that have another subscription now, and customers that lose
// one to another buyer.
func (p *identities) noteMoves(ctx context.Context, tx conn, all []incoming, buyers []*buyer) error {
	known := make(map[string]bool, len(buyers))
	for _, b := range buyers {
		known[b.ID] = b.known
	}
	var former []string
	for i := range all {
		in := &all[i]
		switch buyer := in.facts.Buyer.ID; {
		case in.old == nil && known[buyer]:
			p.renamed = append(p.renamed, p.of[buyer])
		case in.old != nil && in.old.buyer != buyer:
			former = append(former, in.old.buyer)
		}
	}
	if len(former) == 0 {
		return nil
	}
	query := "SELECT id, customer_id FROM stripe_customers WHERE id " + tx.d.anyText(1)
	return tx.each(ctx, query, []any{list(former)}, func(row scan) error {
		var id, customer string
		if err := row(&id, &customer); err != nil {
			return err
		}
		p.due = append(p.due, customer)
		p.renamed = append(p.renamed, customer)
		return nil
	})
}

var renameCustomer = bulk{
	head:    "UPDATE customers SET email = {email}, email_key = {email_key}, name = {name}",
	columns: []column{{"id", "TEXT"}, {"email", "TEXT"}, {"email_key", "TEXT"}, {"name", "TEXT"}},
	tail:    "customers.id = {id}",
}

// rename keeps the e-mail and the name of a customer those of the buyer who founded it.
// Another buyer of the customer, in a database of an earlier version, stands in only for
// what the founder does not have.
func (p *identities) rename(ctx context.Context, tx conn) error {
	if len(p.renamed) == 0 {
		return nil
	}
	slices.Sort(p.renamed)
	members := make(map[string][]member)
	var current []reconcile.StripeCustomer // id, e-mail and name of the customers as stored
	query := `SELECT c.id, c.email, c.name, b.id, b.email, b.name, max(s.created_at)
		FROM customers c JOIN stripe_customers b ON b.customer_id = c.id
		LEFT JOIN subscriptions s ON s.stripe_customer_id = b.id
		WHERE c.id ` + tx.d.anyText(1) + ` GROUP BY c.id, c.email, c.name, b.id, b.email, b.name ORDER BY c.id, b.id`
	err := tx.each(ctx, query, []any{list(slices.Compact(p.renamed))}, func(row scan) error {
		var customer reconcile.StripeCustomer
		var b member
		if err := row(&customer.ID, &customer.Email, &customer.Name, &b.ID, &b.Email, &b.Name, into(&b.newest)); err != nil {
			return err
		}
		if len(members[customer.ID]) == 0 {
			current = append(current, customer)
		}
		members[customer.ID] = append(members[customer.ID], b)
		return nil
	})
	if err != nil {
		return err
	}
	var rows [][]any
	for _, customer := range current {
		email, name := namesOf(customer.ID, members[customer.ID])
		if email != customer.Email || name != customer.Name {
			rows = append(rows, []any{customer.ID, email, reconcile.EmailKey(email), name})
		}
	}
	return tx.bulk(ctx, renameCustomer, rows)
}

// member is a buyer of a customer, with the creation of its newest subscription.
type member struct {
	reconcile.StripeCustomer
	newest time.Time
}

// namesOf are the e-mail and the name of the founder, or of the newest other buyer
// that has one.
func namesOf(founder string, members []member) (email, name string) {
	slices.SortFunc(members, func(a, b member) int { return cmp.Or(b.newest.Compare(a.newest), cmp.Compare(a.ID, b.ID)) })
	for _, b := range members {
		if b.ID == founder {
			email, name = b.Email, b.Name
		}
	}
	for _, b := range members {
		email, name = cmp.Or(email, b.Email), cmp.Or(name, b.Name)
	}
	return email, name
}

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
		heads, err := loadHeads(ctx, c, "id "+c.d.anyText(1), "c.id", list(ids))
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

// WantName stores the name that a person wants the org of a customer to have. A run gives it
// that name, under the lease, and writes the journal. It reports false if the org has that
// name already. The error is a [reconcile.InstructionRefused] if that makes no sense.
func (s *Store) WantName(ctx context.Context, customer, name, why string, now time.Time) (changed bool, err error) {
	err = s.unfenced(ctx, "storing a name for the org of "+customer, func(ctx context.Context, tx conn) error {
		var has bool
		if changed, has, err = nameChange(ctx, tx, customer, name); err != nil || !changed {
			return err
		}
		wanted := clean(name)
		if has {
			wanted = "" // it has that name, and another one was wanted
		}
		if _, err := tx.exec(ctx, "UPDATE customers SET org_name_wanted = $2, org_name_why = $3 WHERE id = $1", customer, wanted, clean(why)); err != nil {
			return err
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return changed, err
}

// nameChange reports whether a name changes anything, and whether the org has it already.
func nameChange(ctx context.Context, c conn, customer, name string) (changed, has bool, err error) {
	var org, is, wanted string
	var named, guest, deleted, erased bool
	found, err := c.one(ctx, `SELECT coalesce(c.org_id, ''), c.org_named, c.org_guest, c.org_name_wanted, coalesce(o.name, ''), coalesce(o.deleted, FALSE), coalesce(o.erased, FALSE)
		FROM customers c LEFT JOIN orgs o ON o.id = c.org_id WHERE c.id = $1`, []any{customer}, &org, &named, &guest, &wanted, &is, &deleted, &erased)
	switch {
	case err != nil:
		return false, false, err
	case !found:
		return false, false, ErrNotFound
	case org == "":
		return false, false, noSense("customer %s has no organisation at Enhance yet", customer)
	case guest:
		return false, false, noSense("the organisation %s was another customer's before %s came into it: rename that customer", org, customer)
	case deleted:
		return false, false, noSense("the organisation %s was deleted in the panel: restore it there first", org)
	case erased:
		return false, false, noSense("the name of customer %s was erased, and that of its organisation %s is not kept here: rename it in the panel", customer, org)
	case !named:
		return false, false, noSense("the organisation %s is still being set up, and its name still has its marker: repeat this after the next run", org)
	}
	has = is == clean(name)
	return has && wanted != "" || !has && wanted != clean(name), has, nil
}

func noSense(format string, args ...any) error {
	return reconcile.InstructionRefused(fmt.Sprintf(format, args...))
}

// PreviewName is WantName without the change.
func (s *Store) PreviewName(ctx context.Context, customer, name, _ string, _ time.Time) (changed bool, err error) {
	err = s.snapshot(ctx, "looking at the name of the org of "+customer, func(ctx context.Context, c conn) error {
		changed, _, err = nameChange(ctx, c, customer, name)
		return err
	})
	return changed, err
}

// RecordDeed writes a row of the journal for what a person did that changed nothing at the
// panel. failure is why it was not done.
func (s *Store) RecordDeed(ctx context.Context, a reconcile.Action, author string, failure error, now time.Time) error {
	o := reconcile.Outcome{Action: a, Run: clean(author), State: reconcile.ActionApplied, At: now}
	if failure != nil {
		o.State, o.Error = reconcile.ActionFailed, failure.Error()
	}
	return s.unfenced(ctx, "recording what a person did", func(ctx context.Context, tx conn) error {
		var under string
		found, err := tx.one(ctx, "SELECT kind FROM actions WHERE state = 'sent' AND customer_id = $1", []any{a.Customer}, &under)
		switch {
		case err != nil:
			return err
		case found:
			return noSense("%s of this customer is under way: repeat this in a moment", under)
		}
		return recordRow(ctx, tx, o)
	})
}

// WantInvite stores the address at which a person wants the owner of a customer's org to be
// invited, in place of an invitation that was not accepted. A run does that, under the lease,
// and writes the journal. It reports false if the owner was invited there already. The error
// is a [reconcile.InstructionRefused] if that makes no sense.
func (s *Store) WantInvite(ctx context.Context, customer, email, why string, now time.Time) (changed bool, err error) {
	err = s.unfenced(ctx, "storing an address for the owner of "+customer, func(ctx context.Context, tx conn) error {
		var has bool
		if changed, has, err = inviteChange(ctx, tx, customer, email); err != nil || !changed {
			return err
		}
		wanted := reconcile.EmailKey(clean(email))
		if has {
			wanted = "" // the owner was invited there, and another address was wanted
		}
		if _, err := tx.exec(ctx, "UPDATE customers SET invite_wanted = $2, invite_why = $3 WHERE id = $1", customer, wanted, clean(why)); err != nil {
			return err
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return changed, err
}

// PreviewInvite is WantInvite without the change.
func (s *Store) PreviewInvite(ctx context.Context, customer, email, _ string, _ time.Time) (changed bool, err error) {
	err = s.snapshot(ctx, "looking at the invitation of "+customer, func(ctx context.Context, c conn) error {
		changed, _, err = inviteChange(ctx, c, customer, email)
		return err
	})
	return changed, err
}

// inviteChange reports whether an address changes anything, and whether the owner was
// invited there.
func inviteChange(ctx context.Context, c conn, customer, email string) (changed, has bool, err error) {
	var org, invited, wanted, owner string
	var guest, deleted bool
	found, err := c.one(ctx, `SELECT coalesce(c.org_id, ''), c.org_guest, c.invited_email, c.invite_wanted, coalesce(o.owner_email, ''), coalesce(o.deleted, FALSE)
		FROM customers c LEFT JOIN orgs o ON o.id = c.org_id WHERE c.id = $1`, []any{customer}, &org, &guest, &invited, &wanted, &owner, &deleted)
	switch {
	case err != nil:
		return false, false, err
	case !found:
		return false, false, ErrNotFound
	case org == "":
		return false, false, noSense("customer %s has no organisation at Enhance yet", customer)
	case guest:
		return false, false, noSense("the organisation %s was another customer's before %s came into it: its owner is that customer's", org, customer)
	case deleted:
		return false, false, noSense("the organisation %s was deleted in the panel: restore it there first", org)
	case owner != "":
		return false, false, noSense("the owner %s of organisation %s has accepted the invitation: only they change the e-mail of their login, in the panel; or make another member the owner there", owner, org)
	case invited == "":
		return false, false, noSense("no owner was invited to organisation %s: correct the e-mail at Stripe, and the next run invites there", org)
	}
	key := reconcile.EmailKey(clean(email))
	has = invited == key
	return has && wanted != "" || !has && wanted != key, has, nil
}
