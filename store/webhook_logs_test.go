package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// The test fails if an event that is in a batch twice is new twice, or if known events nudge.
func TestEventsThatArriveTogetherAreEachNewOnce(t *testing.T) {
	const events, senders = 200, 4
	conform(t, func(t *testing.T, f *fixture) {
		other := open(t, f.url) // another process, for the database
		id := func(i int) string { return fmt.Sprintf("evt_%03d", i) }
		if _, err := f.LogWebhook(t.Context(), id(0), "invoice.paid", "sub_known", false, t0); err != nil {
			t.Fatal(err)
		}
		var fresh [events]atomic.Int32
		var all sync.WaitGroup
		for i := range events {
			for j := range senders {
				s := []*Store{f.Store, other}[j%2]
				all.Go(func() {
					subscription := fmt.Sprintf("sub_%d", i%7)
					if i == 0 {
						subscription = "sub_known" // whose event is known, so that nothing is to be nudged
					}
					isNew, err := s.LogWebhook(t.Context(), id(i), "invoice.paid", subscription, true, t0)
					if err != nil {
						t.Errorf("%s: %v", id(i), err)
					}
					if isNew {
						fresh[i].Add(1)
					}
				})
			}
		}
		all.Wait()
		for i := range fresh {
			if n, want := fresh[i].Load(), int32(min(i, 1)); n != want {
				t.Errorf("%s was new %d times, want %d", id(i), n, want)
			}
		}
		stored, err := f.RecentWebhooks(t.Context(), 2*events)
		f.must(err)
		same(t, "events", events, len(stored))
		nudged, err := f.TakeNudges(t.Context(), f.tok, time.Time{})
		f.must(err)
		slices.Sort(nudged)
		same(t, "nudges", []string{"sub_0", "sub_1", "sub_2", "sub_3", "sub_4", "sub_5", "sub_6"}, nudged)
	})
}

// The test fails if the context of the first caller is used for all.
func TestWhoGivesUpTakesNobodyWithThem(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		// The first caller stores for all, and is cancelled before it begins.
		ctx, giveUp := context.WithCancel(t.Context())
		held, free := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			f.must(f.unfenced(t.Context(), "holding the database", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, "INSERT INTO webhook_logs (event_id, event_type, received_at) VALUES ('evt_0', 'x', $1)", at(t0))
				close(held)
				<-free
				return err
			}))
		})
		<-held
		waiting := func() (n int, busy bool) {
			f.webhookBatch.mu.Lock()
			defer f.webhookBatch.mu.Unlock()
			return len(f.webhookBatch.waiting), f.webhookBatch.busy
		}
		all.Go(func() {
			if _, err := f.LogWebhook(ctx, "evt_0", "x", "", false, t0); !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up is told %v", err)
			}
			close(free)
		})
		for _, busy := waiting(); !busy; _, busy = waiting() {
			runtime.Gosched() // until the first one is being stored, or waits for its transaction
		}
		for i := range 10 {
			all.Go(func() {
				isNew, err := f.LogWebhook(t.Context(), fmt.Sprintf("evt_%d", 1+i), "x", "", false, t0)
				if err != nil || !isNew {
					t.Errorf("who waited is told %t, %v", isNew, err)
				}
			})
		}
		for n, _ := waiting(); n < 10; n, _ = waiting() {
			runtime.Gosched()
		}
		giveUp()
		all.Wait()
		stored, err := f.RecentWebhooks(t.Context(), 20)
		f.must(err)
		same(t, "events", 11, len(stored))
	})
}

// Also where the transaction cannot even begin: a sender without an answer would wait until
// it gives up.
func TestWebhooksThatCannotBeStoredGetAnAnswer(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.must(f.write.Close())
	ctx, giveUp := context.WithTimeout(t.Context(), 10*time.Second)
	defer giveUp()
	if _, err := f.LogWebhook(ctx, "evt_1", "x", "", false, t0); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the sender is told %v", err)
	}
}

// A panic in the goroutine that stores for all has to become an error for its callers,
// because no other code recovers it. The next batch is stored.
func TestAPanicWhileStoringWebhooksIsAnErrorForThoseWhoWait(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	armed := true
	f.Store.failpoint = func(step, operation string) {
		if armed && step == "before-commit" && operation == "storing webhooks" {
			armed = false
			panic("CANARY")
		}
	}
	_, err := f.LogWebhook(t.Context(), "evt_1", "invoice.paid", "sub_a", true, t0)
	refused(t, "a webhook at which it panics", err, "internal error")
	isNew, err := f.LogWebhook(t.Context(), "evt_1", "invoice.paid", "sub_a", true, t0)
	f.must(err)
	same(t, "new when it is sent again", true, isNew)
}

// The test fails if one part of many events is marked only, or if an event is marked whose
// nudge came again while the parts before its own were being marked.
func TestManyEventsAreMarkedPartByPart(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		const events = resultsRead + resultsWritten + 1
		rows := make([][]any, events)
		for i := range rows {
			rows[i] = []any{fmt.Sprintf("evt_%06d", i), "invoice.paid", fmt.Sprintf("sub_%d", i/(events/2)), at(t0)}
		}
		f.must(f.unfenced(t.Context(), "storing webhooks", func(ctx context.Context, tx conn) error { return tx.bulk(ctx, insertWebhook, rows) }))
		parts, other := 0, open(t, f.url)
		f.failpoint = func(step, op string) {
			if step != "after-commit" || op != "recording a webhook's result" {
				return
			}
			if parts++; parts == 1 {
				f.must(other.Nudge(t.Context(), []string{"sub_0", "sub_1", "sub_2"}, "test", t0))
			}
		}
		f.must(f.WebhookResult(t.Context(), "", t0, "", t0.Add(time.Minute)))
		count := func() (n int) {
			f.must(f.query(t.Context(), "counting", "SELECT count(*) FROM webhook_logs WHERE state = 'followed'", nil, func(row scan) error { return row(&n) }))
			return n
		}
		same(t, "marked before the nudges came", resultsWritten, count())

		f.must(f.ForgetNudges(t.Context(), f.tok, f.nudges()))
		f.must(f.WebhookResult(t.Context(), "sub_0", t0, "", t0.Add(time.Minute)))
		f.must(f.WebhookResult(t.Context(), "", t0.Add(-time.Second), "", t0.Add(time.Minute)))
		same(t, "marked for one subscription", events/2, count())
		f.must(f.WebhookResult(t.Context(), "", t0, "", t0.Add(time.Minute)))
		same(t, "marked in the end", events, count())
	})
}

// If the events without a result were looked for among all that were received, each result
// would take the longer, the longer the history is.
func TestEventsWithoutAResultHaveAnIndexOfTheirOwn(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	before := maps.Clone(f.reading.texts)
	f.must(f.WebhookResult(t.Context(), "", t0, "", t0))
	f.must(f.WebhookResult(t.Context(), "sub_a", t0, "", t0))
	queries := 0
	for query := range f.reading.texts {
		if before[query] {
			continue
		}
		queries++
		var plan []string
		f.must(conn{q: f.read, d: sqlite}.each(t.Context(), "EXPLAIN QUERY PLAN "+query, []any{1, "sub_a"}[:strings.Count(query, "<= $")+strings.Count(query, "= $2")], func(row scan) error {
			var id, parent, unused int
			var detail string
			err := row(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}))
		if !strings.Contains(plan[0], "webhook_logs_open") {
			t.Errorf("%s\n%s", query, plan)
		}
	}
	same(t, "queries", 2, queries)
}

// counting counts how often a caller begins to wait for the end of a context.
type counting struct {
	context.Context
	asked *atomic.Int32
}

func (c counting) Done() <-chan struct{} {
	c.asked.Add(1)
	return c.Context.Done()
}

// On SQLite one connection writes. The test fails if a webhook lines up behind all writes
// that wait for it.
func TestAWebhookIsStoredBeforeOtherWritesThatWait(t *testing.T) {
	const writers = 20
	f := newFixture(t, sqliteURL(t))
	var order, stored atomic.Int32
	f.failpoint = func(_, op string) {
		if op == "storing webhooks" {
			stored.CompareAndSwap(0, 1+order.Load())
		}
	}
	blocked, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = f.unfenced(t.Context(), "blocking", func(context.Context, conn) error {
			close(blocked)
			<-release
			return nil
		})
	})
	<-blocked
	inLine := counting{t.Context(), new(atomic.Int32)}
	for range writers {
		all.Go(func() {
			_ = f.unfenced(inLine, "waiting", func(context.Context, conn) error { order.Add(1); return nil })
		})
	}
	for inLine.asked.Load() < writers { // else the webhook could come before them by luck
		time.Sleep(time.Millisecond)
	}
	waiting := func() int { return f.write.Stats().InUse + int(f.write.Stats().WaitCount) }
	before := waiting()
	all.Go(func() {
		if _, err := f.LogWebhook(t.Context(), "evt_1", "invoice.paid", "sub_a", true, t0); err != nil {
			t.Error(err)
		}
	})
	for i := 0; i < 2000 && waiting() == before; i++ { // until it waits for the connection
		time.Sleep(time.Millisecond)
	}
	close(release)
	all.Wait()
	if n := stored.Load(); n < 1 || n > 2 {
		t.Errorf("%d writes came before the webhook, want one at most", n-1)
	}
}

func TestAnEventWhoseSenderHasGoneIsNotStored(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := f.Statements()
	_, err := f.LogWebhook(gone, "evt_1", "invoice.paid", "sub_a", true, t0)
	says(t, "storing it", err, fault.Canceled, "storing a webhook")
	same(t, "statements", int64(0), f.Statements()-before)
}
