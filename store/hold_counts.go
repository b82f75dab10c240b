package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
