package engine

import (
	"context"
	"errors"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// withheld is the holds of a report. Everything is counted, and of each kind the first are
// listed. The database lists and counts the stored holds: a fleet may have a million of
// them, and a run that finds nothing to do must not read each.
type withheld struct {
	kinds  map[reconcile.HoldKind]*heldKind
	list   []reconcile.Hold
	brakes []reconcile.Hold // of the brake; they are listed last
	braked int
	orders idSet // orders that wait, by subscription or customer
	more   int   // orders that wait beyond those, by the database's count
}

// heldKind counts the holds of one kind.
type heldKind struct{ all, listed reconcile.HoldCount }

func newWithheld(orders idSet) *withheld {
	return &withheld{kinds: map[reconcile.HoldKind]*heldKind{}, orders: orders}
}

func (w *withheld) of(kind reconcile.HoldKind) *heldKind {
	k := w.kinds[kind]
	if k == nil {
		k = &heldKind{}
		w.kinds[kind] = k
	}
	return k
}

// hold counts a hold with its order, and lists it while there is room.
func (w *withheld) hold(h reconcile.Hold) {
	if h.Order {
		w.orders.add(h.OrderKey())
	}
	w.holdOnly(h)
}

func (w *withheld) holdOnly(h reconcile.Hold) {
	k := w.of(h.Kind)
	k.all.Add(h)
	if k.listed.All < reconcile.MostReported {
		k.listed.Add(h)
		w.list = append(w.list, h)
	}
}

// addBraked is hold for a hold of the brake.
func (w *withheld) addBraked(h reconcile.Hold) {
	w.braked++
	if h.Order {
		w.orders.add(h.Subscription)
	}
	if len(w.brakes) < reconcile.MostReported {
		w.brakes = append(w.brakes, h)
	}
}

// fill puts the holds into a report.
func (w *withheld) fill(rep *reconcile.Report) {
	rep.Holds = append(w.list, w.brakes...)
	rep.Omitted.Brakes = w.braked - len(w.brakes)
	for _, k := range w.kinds {
		decided := k.all.Decided - k.listed.Decided
		rep.Omitted.DecidedByPerson += decided
		rep.Omitted.Holds += k.all.All - k.listed.All - decided
	}
}

func (w *withheld) count() int {
	n := w.braked
	for _, k := range w.kinds {
		n += k.all.All
	}
	return n
}

func (w *withheld) countOrders() int { return len(w.orders) + w.more }

// storedHolds adds the holds of the database, but for those of customers that a dry run has
// just planned.
func (w *writing) storedHolds(ctx context.Context, instead *replaced) error {
	var without func(string) bool
	if instead.customers != nil {
		without = instead.has
	}
	holds, counts, err := w.Withheld.FirstHolds(ctx, reconcile.MostReported, without)
	if err != nil {
		return err
	}
	listed := reconcile.HoldCounts{}
	listed.Add(holds)
	for kind, n := range listed.Kinds {
		if n.All == reconcile.MostReported && counts.Kinds[kind].All-instead.counts.Kinds[kind].All > n.All {
			for _, h := range holds {
				w.holdOnly(h)
			}
			return w.countUnlisted(ctx, listed.Kinds, counts, instead)
		}
	}
	for _, h := range holds {
		w.hold(h)
	}
	return nil
}

// countUnlisted counts what the list of the database has no room for.
func (w *writing) countUnlisted(ctx context.Context, listed map[reconcile.HoldKind]reconcile.HoldCount, counts reconcile.HoldCounts, instead *replaced) error {
	for kind, n := range counts.Kinds {
		if listed[kind].All < reconcile.MostReported {
			continue // the list has all of them
		}
		gone, k := instead.counts.Kinds[kind], w.of(kind)
		k.all.All += max(n.All-gone.All-listed[kind].All, 0)
		k.all.Decided += max(n.Decided-gone.Decided-listed[kind].Decided, 0)
	}
	twice := idSet{} // orders that wait for the brake, and for something else too
	look := batch{most: holdsBatch, do: func(customers []string) error {
		holds, err := w.Withheld.HoldsOf(ctx, customers)
		for i := range holds {
			if key := holds[i].OrderKey(); holds[i].Order && w.orders.has(key) {
				twice.add(key)
			}
		}
		return err
	}}
	if len(w.orders) > 0 {
		err := w.Plans.Standing(ctx, w.now, func(h reconcile.HeldAction) error {
			if !givesHosting(h.Kind) || instead.has(h.Customer) {
				return nil
			}
			return look.add(h.Customer)
		})
		if err := errors.Join(err, look.flush()); err != nil {
			return err
		}
	}
	w.more = max(counts.Orders-instead.counts.Orders-len(twice), 0)
	return nil
}

// replaced is the customers that a dry run has planned, and the holds that are stored of
// them, which the report does not count.
type replaced struct {
	customers idSet // nil: there are none, and no dry run
	counts    reconcile.HoldCounts
	look      batch
}

// replacing begins a replaced. It counts only if the database has more holds of a kind than
// are listed: else the report counts those that it lists.
func (w *writing) replacing(ctx context.Context) (*replaced, error) {
	r := &replaced{customers: idSet{}}
	counts, err := w.Withheld.HoldCounts(ctx)
	r.look = batch{most: holdsBatch, do: func(customers []string) error {
		if !counts.Exceed(reconcile.MostReported) {
			return nil
		}
		holds, err := w.Withheld.HoldsOf(ctx, customers)
		r.counts.Add(holds)
		return err
	}}
	return r, err
}

func (r *replaced) has(customer string) bool { return r.customers.has(customer) }

func (r *replaced) add(customer string) error {
	r.customers.add(customer)
	return r.look.add(customer)
}

// holdsBatch is of how many customers the holds are read together.
const holdsBatch = 500

// batch collects ids and does something with so many of them together.
type batch struct {
	most int
	do   func(ids []string) error
	ids  []string
}

func (b *batch) add(id string) error {
	if b.ids = append(b.ids, id); len(b.ids) < b.most {
		return nil
	}
	return b.flush()
}

// flush does it with those that are left.
func (b *batch) flush() error {
	if len(b.ids) == 0 {
		return nil
	}
	err := b.do(b.ids)
	b.ids = b.ids[:0]
	return err
}
