package store

import (
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Customers returns complete customers by their ids, ordered by id; unknown ids
// are left out.
func (s *Store) Customers(ctx context.Context, ids []string) ([]reconcile.Customer, error) {
	var customers []reconcile.Customer
	err := s.snapshot(ctx, "reading customers", func(ctx context.Context, c conn) error {
		heads, err := loadHeads(ctx, c, "id IN "+c.d.texts(1), "c.id", list(ids))
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
		WHERE s.id IN `+s.d.texts(1)+` ORDER BY c.customer_id`, list(subscriptions))
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
	query := headColumns + " FROM (SELECT * FROM customers WHERE " + chosen + ") c LEFT JOIN stripe_customers b ON b.customer_id = c.id ORDER BY " + order + ", b.id"
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
	err := s.query(ctx, "reading versions", "SELECT id, wakes FROM customers WHERE id IN "+s.d.texts(1), []any{list(ids)}, func(row scan) error {
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
	err = a.c.each(ctx, orgColumns+" FROM orgs WHERE id IN "+a.c.d.texts(1), []any{keys(found.byOrg)}, func(row scan) error {
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
		WHERE s.email_key <> '' AND c.org_id IS NOT NULL AND s.email_key IN ` + a.c.d.texts(1) + `
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
		WHERE h.terminated_by_us IS NULL AND b.customer_id IN ` + c.d.texts(1) + " ORDER BY s.id, n.slot"
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
