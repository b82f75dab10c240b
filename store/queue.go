package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Due returns complete customers that are due, a page at a time, in the order in
// which they became due. It reads what is due and nothing else, however much is
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

// beginning is before every due time that is ever stored.
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

// CustomersOf returns the ids of the customers of these subscriptions, each once,
// in order.
func (s *Store) CustomersOf(ctx context.Context, subscriptions []string) ([]string, error) {
	var ids []string
	query := `SELECT DISTINCT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
		WHERE s.id IN ` + s.d.texts(1) + ` ORDER BY c.customer_id`
	err := s.query(ctx, "finding customers", query, []any{list(subscriptions)}, func(row scan) error {
		var id string
		err := row(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
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
}

const headColumns = `SELECT c.id, c.email, c.email_key, c.name, coalesce(c.org_id, ''), c.org_guest, c.org_named, c.invited_at, c.invited_email,
	c.due_at, c.wakes, c.failures, c.retry_after, c.parked_at, c.last_error, c.planned_at, c.words,
	EXISTS (SELECT 1 FROM hostings h WHERE ` + unboundHosting + `),
	coalesce((SELECT value FROM cursors WHERE name = '` + undecidedCursor + `'), '') <> '',
	EXISTS (SELECT 1 FROM actions a WHERE a.state IN ('planned', 'held', 'sent', 'ambiguous') AND a.state IN ('sent', 'ambiguous') AND a.customer_id = c.id),
	EXISTS (SELECT 1 FROM stripe_customers o JOIN customers k ON k.id = o.customer_id
		WHERE o.email_key <> '' AND o.email_key = c.email_key AND k.org_id IS NOT NULL AND k.id <> c.id),
	EXISTS (SELECT 1 FROM partings),
	EXISTS (SELECT 1 FROM holds WHERE removed_at IS NULL),
	coalesce(b.id, ''), coalesce(b.email, ''), coalesce(b.name, ''), coalesce(b.deleted, FALSE), coalesce(b.former_email, ''), b.email_changed_at`

// loadHeads reads the customers chosen by a condition on customers, in an order of
// columns of c.
func loadHeads(ctx context.Context, c conn, chosen, order string, args ...any) ([]head, error) {
	var heads []head
	query := headColumns + " FROM (SELECT * FROM customers WHERE " + chosen + ") c LEFT JOIN stripe_customers b ON b.customer_id = c.id ORDER BY " + order + ", b.id"
	err := c.each(ctx, query, args, func(row scan) error {
		var h head
		var b reconcile.Buyer
		err := row(&h.ID, &h.Email, &h.key, &h.Name, &h.org, &h.OrgGuest, &h.OrgNamed, into(&h.Invited), &h.InvitedEmail,
			into(&h.due), &h.Version, &h.Failures, into(&h.RetryAfter), into(&h.Parked), &h.LastError, into(&h.PlannedAt), &h.Instructions,
			&h.Unbound, &h.Undecided, &h.pending, &h.kin, &h.partings, &h.manual,
			&b.ID, &b.Email, &b.Name, &b.Deleted, &b.FormerEmail, into(&b.EmailChanged))
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

// badRow names the row that holds something unreadable.
func badRow(what string, id any, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %v: %w", what, id, err)
}
