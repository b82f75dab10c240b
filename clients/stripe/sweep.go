package stripe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// sweep is one complete listing in progress.
type sweep struct {
	c     *Client
	parts *partition

	mu         sync.Mutex // stage gets one page at a time
	stage      func([]reconcile.SubscriptionFacts) error
	count      int // guarded by mu
	unreadable int // those of count that are held because they cannot be read; guarded by mu

	requests atomic.Int64
	listing  reconcile.Listing
}

// Sweep lists every subscription of the account, ended ones included, in slices of
// their created time that workers read in parallel. The slices are stable: with
// status=all, a subscription never moves in or out of one. stage gets one page at a
// time, in no order; if it returns an error, that ends the sweep and is returned as it
// is. A subscription that cannot be read by itself is reported with a status that holds
// its customer or, if its buyer is unknown, named in Listing.PassedOver. Subscriptions
// created after the first page was answered may be missing; they are in the events
// since Listing.AsOf. Its requests are priority.Bulk, unless the context has a class.
func (c *Client) Sweep(ctx context.Context, stage func([]reconcile.SubscriptionFacts) error) (reconcile.Listing, error) {
	ctx = priority.WithDefault(ctx, priority.Bulk)
	s := &sweep{c: c, parts: newPartition(c.concurrency, span{}), stage: stage,
		listing: reconcile.Listing{AsOf: c.now().UTC()}}
	group, ctx := errgroup.WithContext(ctx)
	for w := range c.concurrency {
		group.Go(func() error {
			err := fault.Guard(func() error { return s.work(ctx, w) })
			if err != nil {
				s.parts.stop()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return reconcile.Listing{}, err
	}
	if err := s.checkUnreadable(); err != nil {
		return reconcile.Listing{}, err
	}
	s.listing.Count, s.listing.Requests = s.count, int(s.requests.Load())
	return s.listing, nil
}

func (s *sweep) work(ctx context.Context, w int) error {
	for {
		part, ok := s.parts.take(w)
		if !ok {
			return nil
		}
		if err := s.read(ctx, w, part); err != nil {
			return err
		}
	}
}

// slice is the progress through one span, from its newest subscription down.
type slice struct {
	span
	cursor string
	last   int64               // created of the cursor; 0: nothing read yet
	second map[string]struct{} // ids read whose created is last
}

// request is the request for the next page of the slice.
func (l *slice) request() request {
	r := get("/v1/subscriptions", "status", "all", "limit", pageLimit, "expand[0]", "data.customer")
	if l.lo != 0 {
		r = r.and("created[gte]", strconv.FormatInt(l.lo, 10))
	}
	if l.hi != 0 {
		r = r.and("created[lte]", strconv.FormatInt(l.hi, 10))
	}
	if l.cursor != "" {
		r = r.and("starting_after", l.cursor)
	}
	return r
}

// read reads a span page by page. After each page it may give part of the rest away,
// which raises the lower end of its own span.
func (s *sweep) read(ctx context.Context, w int, part span) error {
	l := &slice{span: part, second: map[string]struct{}{}}
	for {
		r := l.request()
		page, more, a, err := readPageBy(ctx, s.c, r, subscriptions, decodeSubscriptions)
		if err != nil {
			return err
		}
		if l.cursor == "" && part == (span{}) && !a.date.IsZero() {
			s.listing.AsOf = a.date // the first page of all, before the other workers run
		}
		seconds, err := l.advance(page)
		if err != nil {
			return malformed(r, "%v", err)
		}
		if err := s.deliver(ctx, r, page, a); err != nil {
			return err
		}
		if !more {
			s.parts.finished(strconv.Itoa(len(page)) == pageLimit)
			return nil
		}
		l.lo = s.parts.split(w, l.span, l.last, seconds, s.c.busy(time.Since(a.left)))
	}
}

// busy is how many workers the rate keeps busy if a page takes that long, and one more,
// because not every page does. Further workers would wait for the rate, and their parts
// would cost requests of it.
func (c *Client) busy(took time.Duration) int {
	rate := c.attempts.limiter.Rate()
	if math.IsInf(rate, 1) {
		return c.concurrency
	}
	return 1 + int(min(rate*took.Seconds(), float64(c.concurrency)))
}

// advance checks that a page continues the slice where the last one ended, and returns
// the time that it covered. Cutting relies on the order: everything still to come must
// be as old as the cursor or older.
func (l *slice) advance(page []subscriptionWire) (seconds int64, err error) {
	top := l.last
	for i := range page {
		w := &page[i]
		switch {
		case w.Created < l.lo, l.hi != 0 && w.Created > l.hi:
			return 0, fmt.Errorf("the subscription %s was created outside of the slice that was asked for", w.ID)
		case l.last != 0 && w.Created > l.last:
			return 0, fmt.Errorf("the subscription %s is newer than the one before it", w.ID)
		case w.Created != l.last:
			clear(l.second)
		}
		if _, twice := l.second[w.ID]; twice {
			return 0, fmt.Errorf("the subscription %s appears twice in one listing", w.ID)
		}
		l.second[w.ID] = struct{}{}
		l.cursor, l.last = w.ID, w.Created
		if top == 0 {
			top = w.Created
		}
	}
	return top - l.last, nil
}

// deliver completes the subscriptions of a page and gives them to stage.
func (s *sweep) deliver(ctx context.Context, r request, page []subscriptionWire, a answer) error {
	s.requests.Add(1)
	facts := make([]reconcile.SubscriptionFacts, 0, len(page))
	unreadable := 0
	var passedOver []string
	for i := range page {
		f, extra, err := s.c.complete(ctx, r, &page[i], a)
		s.requests.Add(int64(extra))
		if n, ok := errors.AsType[*noCustomerError](err); ok {
			passedOver = append(passedOver, n.why)
			continue
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(f.StatusText, reconcile.Unreadable) {
			unreadable++
		}
		facts = append(facts, f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		// Canceled from outside or because of another worker's error, which is then the
		// one that is reported.
		return fault.Wrap(fault.Canceled, &callError{request: r, reason: ctx.Err().Error(), cause: ctx.Err()})
	}
	s.count, s.unreadable = s.count+len(facts), s.unreadable+unreadable
	s.listing.PassedOver = append(s.listing.PassedOver, passedOver...)
	return s.stage(facts)
}
