package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const holdColumns = `SELECT id, stripe_customer_id, subscription_id, kind, until, reason, author, created_at`

func scanHold(row scan) (h reconcile.ManualHold, err error) {
	var kind string
	err = row(&h.ID, &h.Customer, &h.Subscription, &kind, into(&h.Until), &h.Reason, &h.Author, into(&h.Created))
	h.Kind = reconcile.ParseManualKind(kind)
	return h, err
}

// ManualHolds lists the holds that people set and did not remove, oldest first,
// those that ran out before now left out.
func (s *Store) ManualHolds(ctx context.Context, now time.Time) ([]reconcile.ManualHold, error) {
	var holds []reconcile.ManualHold
	query := holdColumns + " FROM holds WHERE removed_at IS NULL AND (until IS NULL OR until > $1) ORDER BY created_at, id"
	err := s.query(ctx, "reading manual holds", query, []any{at(now)}, func(row scan) error {
		h, err := scanHold(row)
		holds = append(holds, h)
		return err
	})
	return holds, err
}

// ChangedByPeople is a text that is another one after each change of a mapping or of a hold
// that people put. A hold that ends by its own date is one too.
func (s *Store) ChangedByPeople(ctx context.Context, now time.Time) (string, error) {
	var counts [2]int64
	var last [2]time.Time
	err := s.query(ctx, "looking for changes by people", `SELECT (SELECT count(*) FROM plan_mappings), (SELECT max(updated_at) FROM plan_mappings),
		count(*), max(created_at) FROM holds WHERE removed_at IS NULL AND (until IS NULL OR until > $1)`, []any{at(now)}, func(row scan) error {
		return row(&counts[0], into(&last[0]), &counts[1], into(&last[1]))
	})
	return fmt.Sprintf("%d %d %d %d", counts[0], last[0].UnixMicro(), counts[1], last[1].UnixMicro()), err
}

// AddManualHold stores a hold and makes its customer due. Exactly one of Customer
// and Subscription must be set; the id must be new. It reports whether that is known
// already: a hold on one that is not applies from the moment it is seen.
func (s *Store) AddManualHold(ctx context.Context, h reconcile.ManualHold) (known bool, err error) {
	if (h.Customer == "") == (h.Subscription == "") || h.ID == "" || h.Kind == 0 {
		return false, failed("adding a hold", permanent("a hold needs an id, a kind, and either a customer or a subscription"))
	}
	err = s.unfenced(ctx, "adding a hold", func(ctx context.Context, tx conn) error {
		customers, err := heldCustomers(ctx, tx, h)
		if err != nil {
			return err
		}
		known = len(customers) > 0
		if _, err := tx.exec(ctx, `INSERT INTO holds (id, stripe_customer_id, subscription_id, kind, until, reason, author, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, h.ID, h.Customer, h.Subscription, h.Kind.String(), at(h.Until),
			clean(h.Reason), clean(h.Author), at(orEpoch(h.Created))); err != nil {
			return err
		}
		return wake(ctx, tx, customers, h.Created)
	})
	return known, err
}

// RemoveManualHold ends a hold and makes its customer due; false when there is no
// such hold. The row stays as history.
func (s *Store) RemoveManualHold(ctx context.Context, id string, now time.Time) (found bool, err error) {
	err = s.unfenced(ctx, "removing a hold", func(ctx context.Context, tx conn) error {
		var h reconcile.ManualHold
		found = false
		err := tx.each(ctx, holdColumns+" FROM holds WHERE id = $1 AND removed_at IS NULL", []any{id}, func(row scan) (err error) {
			found = true
			h, err = scanHold(row)
			return err
		})
		if err != nil || !found {
			return err
		}
		if _, err := tx.exec(ctx, "UPDATE holds SET removed_at = $2 WHERE id = $1", id, at(now)); err != nil {
			return err
		}
		customers, err := heldCustomers(ctx, tx, h)
		if err != nil {
			return err
		}
		return wake(ctx, tx, customers, now)
	})
	return found, err
}

// heldCustomers are the customers that a hold concerns.
func heldCustomers(ctx context.Context, tx conn, h reconcile.ManualHold) ([]string, error) {
	return tx.strings(ctx, `SELECT customer_id FROM stripe_customers WHERE id = $1
		UNION SELECT id FROM customers WHERE id = $1
		UNION SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id WHERE s.id = $2`,
		h.Customer, h.Subscription)
}

// loadHolds attaches the holds that people set and did not remove. Whether one
// has run out is decided by the planner, because it knows the time.
func (a *aggregate) loadHolds(ctx context.Context) error {
	named := slices.Concat(sorted(a.buyers), sorted(a.byID))
	query := holdColumns + ` FROM holds WHERE removed_at IS NULL AND id IN (
		SELECT id FROM holds WHERE removed_at IS NULL AND stripe_customer_id ` + a.c.d.anyText(1) + `
		UNION SELECT id FROM holds WHERE removed_at IS NULL AND subscription_id ` + a.c.d.anyText(2) + `) ORDER BY created_at, id`
	return a.c.each(ctx, query, []any{list(named), keys(a.subs)}, func(row scan) error {
		h, err := scanHold(row)
		if err != nil {
			return err
		}
		var attached []*reconcile.Customer
		for _, customer := range []*reconcile.Customer{a.buyers[h.Customer], a.byID[h.Customer], a.subs[h.Subscription]} {
			if customer != nil && !slices.Contains(attached, customer) {
				attached = append(attached, customer)
				customer.Manual = append(customer.Manual, h)
			}
		}
		return nil
	})
}

// Holds calls yield with the holds of the last decision of every customer that has any,
// by customer.
func (s *Store) Holds(ctx context.Context, yield func(reconcile.Hold) error) error {
	return s.heldCustomers(ctx, func(c heldCustomer) error {
		for _, h := range c.holds {
			if err := yield(h); err != nil {
				return err
			}
		}
		return nil
	})
}

// heldCustomer is a customer with the holds of its last decision.
type heldCustomer struct {
	id    string
	holds []reconcile.Hold
}

// heldCustomers calls yield with every customer that has a hold, by id.
func (s *Store) heldCustomers(ctx context.Context, yield func(heldCustomer) error) error {
	after := ""
	return stream(yield, func(add func(...heldCustomer)) (customers int, err error) {
		query := "SELECT id, held FROM customers WHERE held IS NOT NULL AND id > $1 ORDER BY id LIMIT $2"
		page, err := readHeld(ctx, s.reader(), query, after, pageSize)
		if len(page) > 0 {
			after = page[len(page)-1].id
		}
		add(page...)
		return len(page), failed("reading holds", err)
	})
}

// readHeld reads customers with their holds by a query of these two columns.
func readHeld(ctx context.Context, c conn, query string, args ...any) (page []heldCustomer, err error) {
	err = c.each(ctx, query, args, func(row scan) error {
		var one heldCustomer
		var text []byte
		err := row(&one.id, &text)
		if err == nil {
			one.holds, err = decodeHolds(one.id, text)
		}
		page = append(page, one)
		return err
	})
	return page, err
}

// HoldsOf returns the holds of the last decision of these customers.
func (s *Store) HoldsOf(ctx context.Context, customers []string) (holds []reconcile.Hold, err error) {
	err = s.snapshot(ctx, "reading holds", func(ctx context.Context, c conn) error {
		page, err := readHeld(ctx, c, "SELECT id, held FROM customers WHERE held IS NOT NULL AND id "+c.d.anyText(1)+" ORDER BY id", list(customers))
		holds = nil
		for _, one := range page {
			holds = append(holds, one.holds...)
		}
		return err
	})
	return holds, err
}

// FirstHolds counts the holds of the last decision of every customer, and returns of each
// kind the first, at most so many, by customer; without leaves out customers from the
// list, and nil none. It reads little more than it returns, as long as the counts are kept.
// The caller may not change the holds that it returns.
func (s *Store) FirstHolds(ctx context.Context, most int, without func(customer string) bool) ([]reconcile.Hold, reconcile.HoldCounts, error) {
	s.firstHolds.mu.Lock()
	defer s.firstHolds.mu.Unlock()
	last := &s.firstHolds
	l := &holdList{most: most, without: without, of: map[reconcile.HoldKind]int{}}
	var t counters
	var kept bool
	err := s.snapshot(ctx, "reading the first holds", func(ctx context.Context, c conn) (err error) {
		t, kept, err = keptCounts(ctx, c)
		switch {
		case err != nil || !kept:
			return err
		case without == nil && last.most == most && last.changes == t[holdsChanged]:
			l.holds = last.holds
			return nil
		}
		return l.merge(ctx, c, t.cursors())
	})
	if err == nil && !kept {
		t = counters{}
		err = s.heldCustomers(ctx, func(c heldCustomer) error {
			t.countHolds(c.holds, 1)
			l.add(c)
			return nil
		})
	}
	switch {
	case err != nil || !kept:
		last.most, last.holds = 0, nil
	case without == nil:
		last.most, last.changes, last.holds = most, t[holdsChanged], l.holds
	}
	return l.holds, t.holdCounts(), err
}

// firstHolds is the answer of FirstHolds as it was read last: a service has many runs in
// which no hold changes.
type firstHolds struct {
	mu      sync.Mutex // guards all below
	most    int        // 0: there is no answer
	changes int64      // how often holds had changed, by the counts
	holds   []reconcile.Hold
}

// holdList is the first holds of each kind, by customer.
type holdList struct {
	most    int
	without func(customer string) bool
	of      map[reconcile.HoldKind]int
	holds   []reconcile.Hold
}

// add lists the holds of the next customer while there is room.
func (l *holdList) add(c heldCustomer) {
	if l.without != nil && l.without(c.id) {
		return
	}
	for _, h := range c.holds {
		if l.of[h.Kind] < l.most {
			l.of[h.Kind]++
			l.holds = append(l.holds, h)
		}
	}
}

// full reports whether there is no room for any of these kinds.
func (l *holdList) full(kinds []reconcile.HoldKind) bool {
	return !slices.ContainsFunc(kinds, func(k reconcile.HoldKind) bool { return l.of[k] < l.most })
}

// heldCursor reads the customers that have holds of exactly some kinds, by id.
type heldCursor struct {
	kinds string
	split []reconcile.HoldKind
	page  []heldCustomer
	after string
	ended bool
}

// cursors are a cursor for each combination of kinds that a customer has.
func (t counters) cursors() (all []*heldCursor) {
	for _, name := range sorted(t) {
		kinds, ok := strings.CutPrefix(name, customersOf)
		if !ok || t[name] <= 0 {
			continue
		}
		one := &heldCursor{kinds: kinds}
		for kind := range strings.SplitSeq(kinds, kindsSeparator) {
			one.split = append(one.split, reconcile.HoldKind(kind))
		}
		all = append(all, one)
	}
	return all
}

// head is the next customer; nil if there is none.
func (h *heldCursor) head(ctx context.Context, c conn) (*heldCustomer, error) {
	if len(h.page) == 0 && !h.ended {
		var err error
		h.page, err = readHeld(ctx, c, "SELECT id, held FROM customers WHERE held_kinds = $1 AND id > $2 ORDER BY id LIMIT $3", h.kinds, h.after, pageSize)
		if err != nil {
			return nil, err
		}
		h.ended = len(h.page) < pageSize
	}
	if len(h.page) == 0 {
		return nil, nil
	}
	return &h.page[0], nil
}

// merge lists the customers of all cursors in the order of their ids. It reads no more of
// a cursor once there is no room for its kinds.
func (l *holdList) merge(ctx context.Context, c conn, all []*heldCursor) error {
	for {
		var next *heldCursor
		for _, one := range all {
			if l.full(one.split) {
				continue
			}
			head, err := one.head(ctx, c)
			if err != nil {
				return err
			}
			if head != nil && (next == nil || head.id < next.page[0].id) {
				next = one
			}
		}
		if next == nil {
			return nil
		}
		l.add(next.page[0])
		next.after, next.page = next.page[0].id, next.page[1:]
	}
}

// Names of the counts of table hold_counts. After the first three comes a kind, or the
// kinds of a customer.
const (
	holdsOf      = "kind."      // holds of a kind
	decidedOf    = "decided."   // those of them that stay by the decision of a person
	customersOf  = "customers." // customers that have holds of exactly these kinds
	ordersHeld   = "orders"     // the orders that wait, each once for its customer
	holdsChanged = "changes"    // transactions that changed a hold
	countsKept   = "kept"       // in no row: whether the counts are kept, see keptCounts
)

// kindsSeparator stands between the kinds of a customer.
const kindsSeparator = ","

// recountPage is how many customers one transaction of a recount looks at.
const recountPage = 5_000

// countHolds adds the holds of one customer to the counts, or takes them away (sign -1).
func (t counters) countHolds(holds []reconcile.Hold, sign int64) {
	if len(holds) == 0 {
		return
	}
	t[customersOf+kindsOf(holds)] += sign
	orders := map[string]bool{}
	for i := range holds {
		h := &holds[i]
		t[holdsOf+string(h.Kind)] += sign
		if h.DecidedByPerson() {
			t[decidedOf+string(h.Kind)] += sign
		}
		if h.Order {
			orders[h.OrderKey()] = true
		}
	}
	t[ordersHeld] += sign * int64(len(orders))
}

// kindsOf is the value of the column held_kinds; "" if nothing is held.
func kindsOf(holds []reconcile.Hold) string {
	kinds := make([]string, len(holds))
	for i := range holds {
		kinds[i] = clean(string(holds[i].Kind))
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), kindsSeparator)
}

// nullable is a text as a parameter, NULL if it is empty.
func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// countChange counts the change from the stored holds of a customer to those of the next
// decision, which are encoded as next. No other decision about the customer is stored
// meanwhile, because one run at a time works for a customer.
func (t counters) countChange(old, holds []reconcile.Hold, next any) {
	if encodeHolds(old) == next {
		return
	}
	t.countHolds(old, -1)
	t.countHolds(holds, 1)
	t[holdsChanged] = 1
}

// keptCounts reads the counts, and whether they can be used: every process that has had
// the lease until now has kept them. A process of an earlier version, which goes on
// working for a while after the database was migrated, does not.
func keptCounts(ctx context.Context, c conn) (t counters, kept bool, err error) {
	t = counters{}
	err = c.each(ctx, "SELECT name, n FROM hold_counts UNION ALL SELECT '"+countsKept+
		"', count(*) FROM leases WHERE name = $1 AND counted = token", []any{leaseName}, t.read)
	kept = t[countsKept] > 0
	delete(t, countsKept)
	return t, kept, err
}

// HoldCounts counts the holds of the last decision of every customer.
func (s *Store) HoldCounts(ctx context.Context) (reconcile.HoldCounts, error) {
	var t counters
	var kept bool
	err := s.snapshot(ctx, "counting holds", func(ctx context.Context, c conn) (err error) {
		t, kept, err = keptCounts(ctx, c)
		return err
	})
	if err == nil && !kept {
		t = counters{}
		err = s.heldCustomers(ctx, func(c heldCustomer) error {
			t.countHolds(c.holds, 1)
			return nil
		})
	}
	return t.holdCounts(), err
}

func (t counters) holdCounts() reconcile.HoldCounts {
	c := reconcile.HoldCounts{Kinds: map[reconcile.HoldKind]reconcile.HoldCount{}, Orders: int(t[ordersHeld])}
	for name, n := range t {
		kind, ok := strings.CutPrefix(name, holdsOf)
		if ok && n > 0 {
			c.Kinds[reconcile.HoldKind(kind)] = reconcile.HoldCount{All: int(n), Decided: int(t[decidedOf+kind])}
		}
		if strings.HasPrefix(name, customersOf) {
			c.Customers += int(n)
		}
	}
	return c
}

// recountHolds counts every hold anew, unless the counts are kept. Other runs of this
// process wait with their decisions meanwhile. While the process has the token with which it
// saw that the counts are kept, no other process can have had the lease.
func (s *Store) recountHolds(ctx context.Context, tok reconcile.Token) error {
	if s.countedFor.Load() == int64(tok) {
		return nil
	}
	s.counting.Lock()
	defer s.counting.Unlock()
	err := s.recountIfLost(ctx, tok)
	if err == nil {
		s.countedFor.Store(int64(tok))
	}
	return err
}

func (s *Store) recountIfLost(ctx context.Context, tok reconcile.Token) error {
	const op = "counting holds anew"
	var kept bool
	err := s.snapshot(ctx, op, func(ctx context.Context, c conn) (err error) {
		_, kept, err = keptCounts(ctx, c)
		return err
	})
	if err != nil || kept {
		return err
	}
	total := counters{holdsChanged: 1}
	for after, more := "", true; more; {
		var part counters
		var last string
		err := s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) (err error) {
			part, last, err = recountPart(ctx, tx, after)
			return err
		})
		if err != nil {
			return err
		}
		for name, n := range part {
			total[name] += n
		}
		after, more = last, last != ""
	}
	return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
		before, _, err := keptCounts(ctx, tx)
		if err != nil {
			return err
		}
		delta := maps.Clone(total)
		for name, n := range before {
			if name != holdsChanged {
				delta[name] -= n
			}
		}
		if err := delta.addTo(ctx, tx, "hold_counts"); err != nil {
			return err
		}
		_, err = tx.exec(ctx, "UPDATE leases SET counted = token WHERE name = $1", leaseName)
		return err
	})
}

// recountPart counts the holds of the customers after the given one, corrects their
// held_kinds, and returns the last of them; "" if there are no more.
func recountPart(ctx context.Context, tx conn, after string) (part counters, last string, err error) {
	part = counters{}
	var wrong [][]any
	rows := 0
	query := "SELECT id, held, held_kinds FROM customers WHERE id > $1 AND (held IS NOT NULL OR held_kinds IS NOT NULL) ORDER BY id LIMIT $2"
	err = tx.each(ctx, query, []any{after, recountPage}, func(row scan) error {
		var text []byte
		var kinds *string
		if err := row(&last, &text, &kinds); err != nil {
			return err
		}
		rows++
		holds, err := decodeHolds(last, text)
		if err != nil {
			return err
		}
		part.countHolds(holds, 1)
		if right := kindsOf(holds); kinds == nil || *kinds != right {
			wrong = append(wrong, []any{last, nullable(right)})
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if rows < recountPage {
		last = ""
	}
	return part, last, tx.bulk(ctx, updateKinds, wrong)
}

var updateKinds = bulk{
	head:    "UPDATE customers SET held_kinds = {held_kinds}",
	columns: []column{{"id", "TEXT"}, {"held_kinds", "TEXT"}},
	tail:    "customers.id = {id}",
}
