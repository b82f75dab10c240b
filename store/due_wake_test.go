package store

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TestNoWakeUpIsLost plays several readers of one customer, of this process and of
// another, that load it, wake it and save their decision, in any order. A decision ends
// only the wake-ups that had come when the customer was loaded.
//
// It fails if all readers of a process share one record of versions, because then the
// second reader makes the first one's decision look new.
func TestNoWakeUpIsLost(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		other := &fixture{TB: t, Store: open(t, f.url), tok: f.tok}
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			if n++; f.d == postgres && n > 20 {
				return // the texts are the same: a few histories show the differences
			}
			tb := &quiet{TB: t, rt: rt}
			f, other := &fixture{TB: tb, Store: f.Store, tok: f.tok}, &fixture{TB: tb, Store: other.Store, tok: f.tok}
			w := &wakers{f: f, fixtures: []*fixture{f, other}, now: t0.Add(time.Duration(n) * 24 * time.Hour),
				customer: fmt.Sprintf("cus_%05d", n), subscription: fmt.Sprintf("sub_%05d", n)}
			f.save(w.now, facts(w.subscription, w.customer, w.customer+"@example.com"))
			f.settled(w.now, w.customer)
			for range readers {
				w.loaded = append(w.loaded, f.customer(w.customer))
				w.knows = append(w.knows, 0)
			}
			for _, step := range rapid.SliceOfN(rapid.IntRange(0, 3), 2, 12).Draw(rt, "steps") {
				[]func(*rapid.T){w.load, w.wake, w.plan, w.postpone}[step](rt)
				w.check()
			}
			f.settled(w.now, w.customer)
		})
	})
}

// readers is how many decide about the customer together.
const readers = 3

// wakers is the property's model: due is whether the customer has to be due.
type wakers struct {
	f                      *fixture
	fixtures               []*fixture
	now                    time.Time
	customer, subscription string
	loaded                 []reconcile.Customer // by reader
	knows                  []int                // by reader: how many wake-ups had come when it loaded
	came                   int                  // wake-ups so far
	due                    bool
}

func (w *wakers) tick() time.Time {
	w.now = w.now.Add(time.Minute)
	return w.now
}

func (w *wakers) some(rt *rapid.T) (*fixture, int) {
	return rapid.SampledFrom(w.fixtures).Draw(rt, "process"), rapid.IntRange(0, readers-1).Draw(rt, "reader")
}

func (w *wakers) load(rt *rapid.T) {
	f, i := w.some(rt)
	w.loaded[i], w.knows[i] = f.customer(w.customer), w.came
}

// wake is anything that makes the customer due.
func (w *wakers) wake(rt *rapid.T) {
	f, _ := w.some(rt)
	at := w.tick()
	hold := reconcile.ManualHold{ID: fmt.Sprintf("hold-%s-%d", w.customer, w.came), Customer: w.customer, Kind: reconcile.NoSuspend, Created: at}
	var err error
	switch rapid.IntRange(0, 4).Draw(rt, "what") {
	case 0:
		_, err = f.AddManualHold(f.Context(), hold)
	case 1:
		hold.Subscription, hold.Customer = w.subscription, ""
		if _, err = f.AddManualHold(f.Context(), hold); err == nil {
			_, err = f.RemoveManualHold(f.Context(), hold.ID, at)
		}
	case 2:
		_, err = f.Retry(f.Context(), w.subscription, at)
	case 3:
		err = f.MakeDue(f.Context(), f.tok, []string{w.customer}, at)
	case 4:
		err = f.SaveFacts(f.Context(), f.tok, []reconcile.SubscriptionFacts{facts(w.subscription, w.customer, w.customer+"@example.com", readAt(at))}, true, at)
	}
	f.must(err)
	w.came, w.due = w.came+1, true
}

// plan saves a reader's decision about the customer it had loaded.
func (w *wakers) plan(rt *rapid.T) {
	f, i := w.some(rt)
	f.must(f.SavePlanned(f.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: w.customer, Version: w.loaded[i].Version}}, w.tick()))
	w.due = w.due && w.knows[i] < w.came
}

// postpone records that a reader failed with the customer it had loaded, which makes the
// copies of all other readers outdated.
func (w *wakers) postpone(rt *rapid.T) {
	f, i := w.some(rt)
	at := w.tick()
	before := f.customer(w.customer)
	problem := rapid.SampledFrom([]string{"", "502"}).Draw(rt, "error")
	f.must(f.Postpone(f.Context(), f.tok, reconcile.Backoff{Customer: w.customer, Version: w.loaded[i].Version, Counts: true,
		Parked: true, Error: problem, Due: at.Add(1000 * time.Hour)}, at))
	fresh := w.knows[i] == w.came
	w.came++
	w.due = w.due && !fresh
	after := f.customer(w.customer)
	if released := problem == ""; fresh && after.Parked.IsZero() != released || !fresh && !after.Parked.Equal(before.Parked) {
		f.Errorf("parked was %v and is %v, by a judgement of %q that knew %d of %d wake-ups", before.Parked, after.Parked, problem, w.knows[i], w.came-1)
	}
}

func (w *wakers) check() {
	n, err := w.f.DueCount(w.f.Context(), w.now) // the others are not due
	w.f.must(err)
	if got := n > 0; got != w.due {
		w.f.Errorf("due: %v, want %v, after %d wake-ups of which the readers know %v", got, w.due, w.came, w.knows)
	}
}
