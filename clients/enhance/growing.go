package enhance

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// growthOverlap is how long before the start of a listing orgs are read again if it
	// grew meanwhile, because the panel dates its answers and its orgs by two clocks.
	growthOverlap = 15 * time.Minute
	// idleReads is how many answers in a row may bring nothing new before a listing is
	// given up as one that moved. The steps back double, so a listing that can be read
	// never needs that many.
	idleReads = 24
)

// idSet is a set of identities, by their hashes; see seed.
type idSet map[uint64]struct{}

// add reports whether it was not in the set.
func (s idSet) add(id string) bool {
	hash := maphash.String(seed, id)
	_, was := s[hash]
	s[hash] = struct{}{}
	return !was
}

func (s idSet) has(id string) bool { _, was := s[maphash.String(seed, id)]; return was }

// walk lists items in an order that does not change, while items come and go. An offset
// then no longer means the same place as one page ago: a new item moves the rest back,
// so that some of it comes twice, and a deleted item moves it forward, so that some of
// it would be left out. If the total or a repeated item shows such a move, the walk
// steps back until a page begins with an item that it has seen, and from there on every
// page must begin with one. That finds all items that were there from beginning to end,
// on a panel that grows at any rate; items that came meanwhile may be missing.
type walk[T item] struct {
	at    call
	seen  idSet
	first int  // the total of the first page
	moved bool // something came or went
	step  int  // how far it stepped back last; 0: it did not
	idle  int  // answers in a row with nothing new
}

// read gives use the new items of each page until the end, or until use has enough.
func (w *walk[T]) read(ctx context.Context, c *Client, use func([]T) (enough bool, err error)) error {
	w.seen, w.first = idSet{}, -1
	for offset, total := 0, -1; ; {
		page, err := readPage[T](ctx, c, w.at, offset)
		if err != nil {
			return err
		}
		if w.first < 0 {
			w.first = page.total
		}
		w.moved = w.moved || w.shifted(page, total, offset)
		total = page.total
		if w.idle++; w.idle > idleReads {
			return &movedError{fmt.Sprintf("%d answers with nothing new at %d of %d", idleReads, offset, total)}
		}
		if w.moved && offset > 0 && !w.continues(page) {
			w.step = max(1, 2*w.step)
			offset = max(0, offset-w.step)
			continue
		}
		w.step = 0
		if enough, err := w.handOver(page, use); err != nil || enough {
			return err
		}
		switch offset += page.count; {
		case offset >= total:
			return w.checkComplete(total)
		case page.count == 0:
			return &movedError{fmt.Sprintf("an empty page after %d of %d", offset, total)}
		case w.moved:
			offset-- // so that the next page must begin with the last item of this one
		}
	}
}

// handOver gives use the items of a page that it has not had before.
func (w *walk[T]) handOver(page pageOf[T], use func([]T) (bool, error)) (enough bool, err error) {
	fresh := slices.DeleteFunc(page.items, func(it T) bool { return !w.seen.add(it.identity()) })
	if len(fresh) == 0 {
		return false, nil
	}
	w.idle = 0
	return use(fresh)
}

// shifted reports whether a page fails to continue the one before.
func (w *walk[T]) shifted(page pageOf[T], total, offset int) bool {
	return total >= 0 && page.total != total || offset+page.count > page.total || page.count == 0 && offset < page.total ||
		slices.ContainsFunc(page.items, func(it T) bool { return w.seen.has(it.identity()) })
}

// continues reports whether a page begins with an item that was seen.
func (w *walk[T]) continues(page pageOf[T]) bool {
	return page.count > 0 && w.seen.has(page.items[0].identity())
}

// checkComplete checks that as many items came as there were, as far as that can be
// known. It catches a panel that gives the same page for every offset.
func (w *walk[T]) checkComplete(total int) error {
	if least := min(w.first, total); len(w.seen) < least || !w.moved && len(w.seen) != total {
		return &movedError{fmt.Sprintf("%d came where the total is %d", len(w.seen), least)}
	}
	return nil
}

// everyOrg gives use all customers in the order of their ids. If customers came while
// they were listed, those created since the beginning complete the listing.
func (c *Client) everyOrg(ctx context.Context, at call, use func([]orgWire) (bool, error)) error {
	return retryMoved(ctx, c, at, func() error {
		w := walk[orgWire]{at: at.with("sortBy", "id", "sortOrder", "asc")}
		var began time.Time
		err := w.read(ctx, c, func(page []orgWire) (bool, error) {
			if began.IsZero() {
				began, _ = c.ServerTime()
			}
			return use(page)
		})
		if err != nil || !w.moved {
			return err
		}
		return c.addCreatedSince(ctx, at, w.seen, began, use)
	})
}

// addCreatedSince gives use the customers created since a listing began, and checks
// that they and the customers in seen are as many as there are.
func (c *Client) addCreatedSince(ctx context.Context, at call, seen idSet, began time.Time, use func([]orgWire) (bool, error)) error {
	var since time.Time // zero, which means all, if the panel does not date its answers
	if !began.IsZero() {
		since = began.Add(-growthOverlap)
	}
	w := walk[orgWire]{at: at.with("sortBy", "createdAt", "sortOrder", "desc")}
	var last orgWire
	err := w.read(ctx, c, func(page []orgWire) (bool, error) {
		if last.ID != "" && !newestFirst([]orgWire{last, page[0]}) || !newestFirst(page) {
			return false, &movedError{"it grew, and the newest are not listed first"}
		}
		last = page[len(page)-1]
		fresh := slices.DeleteFunc(slices.Clone(page), func(o orgWire) bool { return !seen.add(o.identity()) })
		if len(fresh) > 0 {
			if _, err := use(fresh); err != nil {
				return false, err
			}
		}
		return parseTime(last.CreatedAt).Before(since), nil
	})
	if err == nil && len(seen) < w.first {
		err = &movedError{fmt.Sprintf("%d came where the total is %d", len(seen), w.first)}
	}
	return err
}

// recentOrgs reads pages until one reaches back beyond since. ordered is false if the
// answers are not newest first, or lack the time of creation.
func (c *Client) recentOrgs(ctx context.Context, since time.Time) (orgs []orgWire, ordered bool, err error) {
	at := get(routeCustomers, c.org).with("sortBy", "createdAt", "sortOrder", "desc")
	err = retryMoved(ctx, c, at, func() error {
		orgs = nil
		w := walk[orgWire]{at: at}
		return w.read(ctx, c, func(page []orgWire) (bool, error) {
			fresh := len(orgs)
			orgs = append(orgs, page...)
			return !newestFirst(orgs[max(fresh-1, 0):]) || parseTime(orgs[len(orgs)-1].CreatedAt).Before(since), nil
		})
	})
	if err != nil {
		return nil, false, err
	}
	return orgs, newestFirst(orgs), nil
}

func newestFirst(orgs []orgWire) bool {
	for i, o := range orgs {
		created := parseTime(o.CreatedAt)
		if created.IsZero() || i > 0 && created.After(parseTime(orgs[i-1].CreatedAt)) {
			return false
		}
	}
	return true
}

// EveryOrg gives use all customers, deleted ones included, page by page and in no
// order, so that a large panel need not fit in memory; see the package comment. If it
// returns no error, use has had every customer that was there when it began, even on a
// panel that grows while it is listed. A customer may come several times; the last one
// counts. Its requests are priority.Bulk, unless the context has a class.
func (c *Client) EveryOrg(ctx context.Context, use func([]reconcile.Org) error) error {
	ctx = priority.WithDefault(ctx, priority.Bulk)
	deleted := false
	hand := func(page []orgWire) (bool, error) {
		deleted = deleted || slices.ContainsFunc(page, func(o orgWire) bool { return o.Status == "deleted" })
		orgs, err := c.customers(page, c.o.Now())
		if err != nil {
			return false, err
		}
		return false, use(orgs)
	}
	at := get(routeCustomers, c.org)
	if err := c.everyOrg(ctx, at, hand); err != nil || deleted {
		return err
	}
	return c.everyOrg(ctx, at.with("status", "deleted"), hand)
}
