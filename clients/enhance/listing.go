package enhance

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
)

const (
	// pageSize is asked for and not relied on: a panel may give fewer or more.
	pageSize = 100
	// listingAttempts is how often a listing that moved is begun again. It moves if an
	// object is created meanwhile, which is rare within the seconds that a listing
	// takes and is not an error.
	listingAttempts = 3
)

// item is one element of a listing.
type item interface {
	// identity is unique within a listing; empty is not an identity.
	identity() string
}

// pageOf is {"items":[…],"total":n}; both are required.
type pageOf[T item] struct {
	items []T
	count int // of items on the wire; a caller may shorten items
	total int
}

// decode is strict about the fields that a listing depends on, and about nothing else.
func (p *pageOf[T]) decode(body []byte) error {
	var wire struct {
		Items *[]T `json:"items"`
		Total *int `json:"total"`
	}
	if err := decode(body, &wire); err != nil {
		return err
	}
	switch {
	case wire.Items == nil:
		return errors.New("a page without items")
	case wire.Total == nil:
		return errors.New("a page without a total")
	case *wire.Total < 0:
		return fmt.Errorf("a page with a total of %d", *wire.Total)
	}
	for i, it := range *wire.Items {
		if it.identity() == "" {
			return fmt.Errorf("item %d has no id", i)
		}
	}
	p.items, p.count, p.total = *wire.Items, len(*wire.Items), *wire.Total
	return nil
}

// movedError: the pages of a listing do not fit together.
type movedError struct{ why string }

func (m *movedError) Error() string { return m.why }

// list reads all pages. enough may end the listing early; it is given everything that
// has come, of which the items from fresh on are new. Nil: read to the end.
func list[T item](ctx context.Context, c *Client, at call, enough func(all []T, fresh int) bool) ([]T, error) {
	var all []T
	err := pages(ctx, c, at, func(page []T, first bool) (bool, error) {
		if first {
			all = nil
		}
		fresh := len(all)
		all = append(all, page...)
		return enough != nil && len(page) > 0 && enough(all, fresh), nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// pages gives use page after page, which together are the whole listing once pages
// returns no error. If the listing moved, it begins again with first set, and use is
// given everything again. use may end it early.
func pages[T item](ctx context.Context, c *Client, at call, use func(page []T, first bool) (enough bool, err error)) error {
	return retryMoved(ctx, c, at, func() error { return pagesOnce(ctx, c, at, use) })
}

// retryMoved reads a listing again if its pages did not fit together.
func retryMoved(ctx context.Context, c *Client, at call, once func() error) error {
	for attempt := 1; ; attempt++ {
		err := once()
		m, isMoved := errors.AsType[*movedError](err)
		if !isMoved {
			return err
		}
		err = mismatch(at, "the listing is not complete: %w", m)
		if attempt == listingAttempts {
			return err
		}
		c.o.Log.WithFields(logrus.Fields{"side": "enhance", "route": at.route, "attempt": attempt}).
			WithError(err).Debug("reading the listing again")
		if ratelimit.Sleep(ctx, c.backoff(attempt)) != nil {
			return asCanceled(ctx, err)
		}
	}
}

// pagesOnce reads the pages once, from the first. The next offset is the number of
// items that came, never a multiple of the number asked for.
func pagesOnce[T item](ctx context.Context, c *Client, at call, use func([]T, bool) (bool, error)) error {
	sum, total := 0, -1
	seen := map[uint64]struct{}{}
	for {
		page, err := readPage[T](ctx, c, at, sum)
		if err != nil {
			return err
		}
		if total < 0 {
			total = page.total
		}
		first := sum == 0
		sum += len(page.items)
		if err := checkNext(page, total, sum, seen); err != nil {
			return err
		}
		enough, err := use(page.items, first)
		if err != nil || enough || sum == total {
			return err
		}
	}
}

// readPage reads the page of a listing that begins at an offset.
func readPage[T item](ctx context.Context, c *Client, at call, offset int) (page pageOf[T], err error) {
	at = at.with("offset", strconv.Itoa(offset), "limit", strconv.Itoa(pageSize))
	err = c.read(ctx, at, listLimit, page.decode)
	return page, err
}

// seed hashes ids. A listing of a million orgs is not kept in memory, so neither are
// its ids. If two of them had the same hash, which has a probability of 3·10⁻⁸, the
// listing would fail with an error.
var seed = maphash.MakeSeed()

// checkNext checks that a page continues the ones before it.
func checkNext[T item](page pageOf[T], total, sum int, seen map[uint64]struct{}) error {
	switch {
	case page.total != total:
		return &movedError{fmt.Sprintf("the total moved from %d to %d", total, page.total)}
	case sum > total:
		return &movedError{fmt.Sprintf("%d items where the total is %d", sum, total)}
	case len(page.items) == 0 && sum < total:
		return &movedError{fmt.Sprintf("an empty page after %d of %d", sum, total)}
	}
	for _, it := range page.items {
		id := it.identity()
		hash := maphash.String(seed, id)
		if _, twice := seen[hash]; twice {
			return &movedError{fmt.Sprintf("%s came twice", clip(id))}
		}
		seen[hash] = struct{}{}
	}
	return nil
}
