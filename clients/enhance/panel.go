package enhance

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	routeCustomers   = "/orgs/{org}/customers"
	routeOrg         = "/orgs/{org}"
	routePlans       = "/orgs/{org}/plans"
	routeMemberships = "/login/memberships"
	routeHostings    = "/orgs/{org}/customers/{customer}/subscriptions"
	routeHosting     = "/orgs/{org}/subscriptions/{subscription}"
	routeOwnQuota    = "/orgs/{org}/subscriptions"
	routeWebsites    = "/orgs/{org}/websites"
	routeBackups     = "/orgs/{org}/websites/{website}/backups"
	routeApps        = "/orgs/{org}/websites/{website}/apps"
	routeDatabases   = "/orgs/{org}/websites/{website}/mysql-dbs"
	routeDomainCheck = "/orgs/{org}/domains/check"
	routeMembers     = "/orgs/{org}/members"
	routeMember      = "/orgs/{org}/members/{member}"
	routeMemberSSO   = "/orgs/{org}/members/{member}/sso"
	routeInvites     = "/orgs/{org}/invites"
	routeLogins      = "/logins"
	routeRecovery    = "/login/password-recovery"
)

// The panel's words for the object of a 404.
const (
	ourselves     = "" // the organisation of the configuration
	anOrg         = "org"
	aWebsite      = "website"
	aMember       = "member"
	aSubscription = "subscription"
)

// Plans lists the plans that the selling organisation offers, by id.
func (c *Client) Plans(ctx context.Context) ([]reconcile.EnhancePlan, error) {
	wires, err := list[planWire](ctx, c, get(routePlans, c.org), nil)
	if err != nil {
		return nil, err
	}
	plans := make([]reconcile.EnhancePlan, 0, len(wires))
	for _, w := range wires {
		plans = append(plans, w.plan())
	}
	slices.SortFunc(plans, func(a, b reconcile.EnhancePlan) int { return a.ID - b.ID })
	return plans, nil
}

// Orgs lists customers, newest first, back to those created in the second of since. If
// since is zero it lists all of them, deleted ones too; otherwise it includes deleted
// ones only if the panel lists them by default.
//
// The panel is asked for this order and not trusted with it: if an answer is out of
// order, Orgs reads the complete listing instead.
func (c *Client) Orgs(ctx context.Context, since time.Time) ([]reconcile.Org, error) {
	now := c.o.Now()
	since = since.Truncate(time.Second) // createdAt may have no fraction
	if !since.IsZero() {
		recent, ordered, err := c.recentOrgs(ctx, since)
		if err != nil {
			return nil, err
		}
		if ordered {
			orgs, err := c.customers(recent, now)
			return newestSince(orgs, since), err
		}
	}
	var all []reconcile.Org
	at := map[string]int{} // an org deleted during the listing comes twice; the later one counts
	err := c.EveryOrg(ctx, func(page []reconcile.Org) error {
		for _, o := range page {
			if i, twice := at[o.ID]; twice {
				all[i] = o
				continue
			}
			at[o.ID] = len(all)
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newestSince(all, since), nil
}

// customers converts orgs and checks that all are customers of the selling
// organisation.
func (c *Client) customers(wires []orgWire, now time.Time) ([]reconcile.Org, error) {
	orgs := make([]reconcile.Org, 0, len(wires))
	for _, w := range wires {
		if err := c.checkParent(get(routeCustomers, c.org), w); err != nil {
			return nil, err
		}
		orgs = append(orgs, w.org(now))
	}
	return orgs, nil
}

// newestSince leaves out orgs known to be older than since, and sorts newest first.
func newestSince(orgs []reconcile.Org, since time.Time) []reconcile.Org {
	orgs = slices.DeleteFunc(orgs, func(o reconcile.Org) bool { return !o.Created.IsZero() && o.Created.Before(since) })
	slices.SortFunc(orgs, func(a, b reconcile.Org) int {
		if byAge := b.Created.Compare(a.Created); byAge != 0 {
			return byAge
		}
		return strings.Compare(a.ID, b.ID)
	})
	return orgs
}

// checkParent checks that an organisation is a customer of the selling one, if the
// panel names its parent.
func (c *Client) checkParent(at call, w orgWire) error {
	if w.ParentID != "" && !strings.EqualFold(w.ParentID, c.org) {
		return mismatch(at, "organisation %s is a customer of %s, not of ours", clip(w.ID), clip(w.ParentID))
	}
	return nil
}

// Org reads one customer.
func (c *Client) Org(ctx context.Context, id string) (reconcile.Org, error) {
	wire, now, err := c.readOrg(ctx, id, anOrg)
	if err != nil {
		return reconcile.Org{}, err
	}
	if err := c.checkParent(get(routeOrg, id), wire); err != nil {
		return reconcile.Org{}, err
	}
	return wire.org(now), nil
}

// membershipsWire is LoginMemberships (orchd OpenAPI 12.3.0).
type membershipsWire struct {
	Memberships []struct {
		OrgID   string `json:"orgId"`
		OrgName string `json:"orgName"`
	} `json:"memberships"`
}

// Memberships lists the organisations that the token's login is a member of, with id
// and name only. It lets an operator see which organisation a token belongs to.
func (c *Client) Memberships(ctx context.Context) ([]reconcile.Org, error) {
	var wire membershipsWire
	if err := c.read(ctx, get(routeMemberships), objectLimit, func(body []byte) error {
		wire = membershipsWire{}
		return decode(body, &wire)
	}); err != nil {
		return nil, err
	}
	var orgs []reconcile.Org
	for _, m := range wire.Memberships {
		if isUUID(m.OrgID) {
			orgs = append(orgs, reconcile.Org{ID: strings.ToLower(m.OrgID), Name: m.OrgName})
		}
	}
	return orgs, nil
}

// readOrg reads an organisation and checks that the answer is about it. now is taken
// before the request, so that it is never later than the facts it dates.
func (c *Client) readOrg(ctx context.Context, id, object string) (wire orgWire, now time.Time, err error) {
	if err := c.checkOrgID(id); err != nil {
		return wire, now, err
	}
	now = c.o.Now()
	at := get(routeOrg, id).about(object)
	if wire, err = readObject[orgWire](ctx, c, at); err != nil {
		return wire, now, err
	}
	if !strings.EqualFold(wire.ID, id) {
		return wire, now, mismatch(at, "the answer is about organisation %s", clip(wire.ID))
	}
	return wire, now, nil
}

// Hostings lists all subscriptions of a customer, deleted ones included, by id.
func (c *Client) Hostings(ctx context.Context, org string) ([]reconcile.Hosting, error) {
	if err := c.checkOrgID(org); err != nil {
		return nil, err
	}
	now := c.o.Now()
	at := get(routeHostings, c.org, org).about(anOrg)
	wires, err := list[subscriptionWire](ctx, c, at, nil)
	if err != nil {
		return nil, err
	}
	hostings := make([]reconcile.Hosting, 0, len(wires))
	for _, w := range wires {
		if err := w.checkOwner(at, org); err != nil {
			return nil, err
		}
		hostings = append(hostings, w.hosting(org, now))
	}
	slices.SortFunc(hostings, func(a, b reconcile.Hosting) int { return int(min(max(a.ID-b.ID, -1), 1)) })
	return hostings, nil
}

// Hosting reads one subscription of a customer.
func (c *Client) Hosting(ctx context.Context, org string, id int64) (reconcile.Hosting, error) {
	if err := c.checkIDs(org, id); err != nil {
		return reconcile.Hosting{}, err
	}
	now := c.o.Now()
	at := get(routeHosting, org, strconv.FormatInt(id, 10)).about(aSubscription)
	wire, err := readObject[subscriptionWire](ctx, c, at)
	if err != nil {
		return reconcile.Hosting{}, err
	}
	if wire.ID != id {
		return reconcile.Hosting{}, mismatch(at, "the answer is about hosting %d", wire.ID)
	}
	if err := wire.checkOwner(at, org); err != nil {
		return reconcile.Hosting{}, err
	}
	return wire.hosting(org, now), nil
}

// Websites lists the websites of a customer that are not deleted, by domain, each with
// its hosting. A website that names no hosting is fault.Malformed, because it could be
// on any of them and make a hosting look empty that is not. Control panels and similar
// websites are listed like any other.
func (c *Client) Websites(ctx context.Context, org string) ([]reconcile.Website, error) {
	wires, err := c.liveWebsites(ctx, org)
	if err != nil {
		return nil, err
	}
	sites := make([]reconcile.Website, len(wires))
	for i, w := range wires {
		sites[i] = reconcile.Website{Domain: w.domain(), Hosting: w.hosting()}
	}
	return sites, nil
}

// liveWebsites lists the websites of a customer that are not deleted, by domain.
func (c *Client) liveWebsites(ctx context.Context, org string) ([]websiteWire, error) {
	if err := c.checkOrgID(org); err != nil {
		return nil, err
	}
	at := get(routeWebsites, org).about(anOrg)
	all, err := list[websiteWire](ctx, c, at, nil)
	if err != nil {
		return nil, err
	}
	sites := make([]websiteWire, 0, len(all))
	for _, w := range all {
		switch {
		case !w.isLive():
			continue
		case w.OrgID != "" && !strings.EqualFold(w.OrgID, org):
			return nil, mismatch(at, "website %s belongs to organisation %s", clip(w.ID), clip(w.OrgID))
		case w.hosting() == 0:
			return nil, mismatch(at, "website %s names no hosting", clip(w.ID))
		}
		sites = append(sites, w)
	}
	slices.SortFunc(sites, func(a, b websiteWire) int { return strings.Compare(a.domain(), b.domain()) })
	return sites, nil
}

// checkOwner checks that a subscription belongs to the customer and names its plan. The
// API requires both, and a live hosting without a plan would look as if its plan had to
// be changed.
func (s subscriptionWire) checkOwner(at call, org string) error {
	if s.SubscriberID != "" && !strings.EqualFold(s.SubscriberID, org) {
		return mismatch(at, "hosting %d belongs to organisation %s", s.ID, clip(s.SubscriberID))
	}
	if s.PlanID == nil && s.Status != "deleted" {
		return mismatch(at, "hosting %d names no plan", s.ID)
	}
	return nil
}

// readObject reads one JSON object. An object without an id is refused inside the read,
// so that the read is retried if a maintenance page answered {}. Every attempt decodes
// into a new value, so that nothing of a refused answer remains.
func readObject[T item](ctx context.Context, c *Client, at call) (T, error) {
	var object T
	err := c.read(ctx, at, objectLimit, func(body []byte) error {
		var fresh T
		if err := decode(body, &fresh); err != nil {
			return err
		}
		if fresh.identity() == "" {
			return errNoID
		}
		object = fresh
		return nil
	})
	return object, err
}

const (
	// pageSize is asked for and not relied on: a panel may give fewer or more.
	pageSize = 100
	// largestPage is the most orgs that one request asks for: some megabytes at most, well
	// below listLimit.
	largestPage = 1000
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
		page, err := readPage[T](ctx, c, at, sum, pageSize)
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
func readPage[T item](ctx context.Context, c *Client, at call, offset, size int) (page pageOf[T], err error) {
	at = at.with("offset", strconv.Itoa(offset), "limit", strconv.Itoa(size))
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
	// larger has the facts about larger pages that its listing knows.
	larger *largerPages
}

// largerPages has the facts that one listing of all orgs finds out about pages larger than
// the specification's. A mistake about them costs requests and no more: the offset
// advances by the items that came, and a listing is whole by the same rules as with small
// pages.
type largerPages struct {
	size    int  // asked for after the first page
	largest int  // that came, if it shows a limit or reaches the size
	refused bool // the panel refused the size, and gave the same page in the usual one
	failed  bool // a page of that size was no use, which proves nothing about the limit
}

// page reads the page at an offset, where total is the one of the page before, -1 if there
// was none. The first page always has the usual size, so that a total is known that no
// larger page can lower: one that does, like one that is empty or not given, is read again
// in the usual size, and so is the rest of the listing.
func (w *walk[T]) page(ctx context.Context, c *Client, offset, total int) (pageOf[T], error) {
	l := w.larger
	if l.size <= pageSize || total-offset <= pageSize {
		return readPage[T](ctx, c, w.at, offset, pageSize)
	}
	page, err := readPage[T](ctx, c, w.at.largerPage(), offset, l.size)
	if err == nil && page.count > 0 && page.total >= total {
		l.came(page.count, offset+page.count < page.total)
		return page, nil
	}
	if err != nil && (ctx.Err() != nil || !aboutTheSize(err)) {
		return page, err
	}
	refused := refusedSize(err)
	l.size, l.failed = pageSize, true
	if page, err = readPage[T](ctx, c, w.at, offset, pageSize); err == nil && refused {
		l.refused = true
	}
	return page, err
}

// came notes a larger page; more: it was not the last.
func (l *largerPages) came(count int, more bool) {
	switch {
	case count >= l.size || more && count > pageSize:
		l.largest = max(l.largest, min(count, l.size))
	case more && count == pageSize:
		l.size, l.largest = pageSize, max(l.largest, pageSize)
	case more && l.largest == 0: // the panel may give fewer to those who ask for too many
		l.size, l.failed = pageSize, true
	}
}

// aboutTheSize reports whether a read that failed may succeed with a smaller page.
func aboutTheSize(err error) bool {
	kind := fault.Of(err)
	return refusedSize(err) || kind == fault.Transient || kind == fault.Malformed
}

// refusedSize reports whether a request itself was refused. A proxy's refusal counts as
// well.
func refusedSize(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnprocessableEntity)
}

// OrgPage returns the size of the largest page of orgs that this panel gives, as a text to
// be kept for UseOrgPage; "" if it is not known.
func (c *Client) OrgPage() string {
	size := int(c.orgPage.Load())
	if size == 0 {
		return ""
	}
	return c.Fingerprint() + " " + strconv.Itoa(size)
}

// UseOrgPage takes a text that OrgPage returned earlier. Any other text, or one about
// another panel, changes nothing.
func (c *Client) UseOrgPage(kept string) {
	number, ours := strings.CutPrefix(kept, c.Fingerprint()+" ")
	size, err := strconv.Atoi(number)
	if ours && err == nil && size >= pageSize && size <= largestPage {
		c.orgPage.Store(int64(size))
	}
}

// largerPages begins a listing with the size that is known, or with the largest.
func (c *Client) largerPages() *largerPages {
	if known := int(c.orgPage.Load()); known > 0 {
		return &largerPages{size: known}
	}
	return &largerPages{size: largestPage}
}

// learn remembers the size that a complete listing has shown. A failure shows none.
func (c *Client) learn(l *largerPages) {
	switch {
	case l.refused:
		c.orgPage.Store(pageSize)
	case !l.failed && l.largest > 0:
		c.orgPage.Store(int64(l.largest))
	}
}

// read gives use the new items of each page until the end, or until use has enough.
func (w *walk[T]) read(ctx context.Context, c *Client, use func([]T) (enough bool, err error)) error {
	w.seen, w.first = idSet{}, -1
	for offset, total := 0, -1; ; {
		page, err := w.page(ctx, c, offset, total)
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
func (c *Client) everyOrg(ctx context.Context, at call, larger *largerPages, use func([]orgWire) (bool, error)) error {
	return retryMoved(ctx, c, at, func() error {
		w := walk[orgWire]{at: at.with("sortBy", "id", "sortOrder", "asc"), larger: larger}
		var began time.Time
		err := w.read(ctx, c, func(page []orgWire) (bool, error) {
			if began.IsZero() {
				began, _ = c.ServerTime()
			}
			return use(page)
		})
		if errors.As(err, new(*movedError)) { // larger pages may be the reason
			larger.size, larger.failed = pageSize, true
		}
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
	w := walk[orgWire]{at: at.with("sortBy", "createdAt", "sortOrder", "desc"), larger: &largerPages{}}
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
		w := walk[orgWire]{at: at, larger: &largerPages{}}
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
	at, larger := get(routeCustomers, c.org), c.largerPages()
	err := c.everyOrg(ctx, at, larger, hand)
	if err == nil && !deleted {
		err = c.everyOrg(ctx, at.with("status", "deleted"), larger, hand)
	}
	if err == nil {
		c.learn(larger)
	}
	return err
}
