// Package adoption is the work of the command adopt: it gathers the facts of both sides,
// lets reconcile/adopt match them, and carries out the pairs that are certain or the
// decisions of a person in a file. A link is the instruction "bind" of a person, recorded, decided and
// journalled like that of `customers bind`; the engine then writes the marker.
package adoption

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Desk is where existing customers are taken over.
type Desk struct {
	*app.App
	// Engine reads both sides, and finishes links. nil: the service around the Desk does
	// both in its runs.
	Engine *engine.Engine
	Author string
	// suppose are mappings that count as if they were stored.
	suppose []reconcile.Mapping
	// Show is called as it goes on, one call at a time.
	Show func(reconcile.Progress)
}

// known is a subscription as the database has it.
type known struct {
	customer string
	status   reconcile.Status
	gone     bool
	isNew    bool
	ignored  string
	bound    []int64 // hostings
	unbound  []int64 // hostings that a person has unbound from it
	free     map[int]int
	// wanted: its Checkout Session may name a domain, and was not looked up.
	wanted bool
}

// picture is both sides as they are stored, with the facts that were read beside.
type picture struct {
	adopt.Facts
	catalog  *planner.Catalog
	subs     map[string]*known
	hostings map[int64]adopt.Hosting // those that can be adopted, or are ignored
	bound    map[int64]string        // hosting → a subscription that is bound to it
}

// Rows reads both sides and returns a row for all that is not bound yet.
func (d *Desk) Rows(ctx context.Context) ([]adopt.Pair, error) {
	pic, err := d.stored(ctx)
	if err != nil {
		return nil, err
	}
	if len(pic.Orders) == 0 || len(pic.Hostings) == 0 {
		return adopt.Match(pic.Facts), nil
	}
	if err := d.readOwners(ctx, pic); err != nil {
		return nil, err
	}
	if err := d.readSites(ctx, pic); err != nil {
		return nil, err
	}
	rows := adopt.Match(pic.Facts)
	more, err := d.readDomains(ctx, pic, rows)
	if err != nil || !more {
		return rows, err
	}
	return adopt.Match(pic.Facts), nil
}

// stored reads both sides into the database, and the database.
func (d *Desk) stored(ctx context.Context) (*picture, error) {
	if d.Engine == nil {
		pic := newPicture()
		return pic, d.load(ctx, pic)
	}
	_, err := d.Engine.Run(ctx, engine.Request{Full: true, Scheduled: true, Dry: true, Look: true, Trigger: "cli"})
	if held := (*reconcile.LeaseTaken)(nil); errors.As(err, &held) {
		d.Printf("%s is at work, so this is made from the state that it stored last", held.Owner)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	pic := newPicture()
	return pic, d.load(ctx, pic)
}

func newPicture() *picture {
	return &picture{subs: map[string]*known{}, hostings: map[int64]adopt.Hosting{}, bound: map[int64]string{}}
}

// load fills the picture from the database.
func (d *Desk) load(ctx context.Context, pic *picture) (err error) {
	if pic.catalog, err = d.Catalog(ctx, d.suppose...); err != nil {
		return err
	}
	if err := d.Store.EachCustomer(ctx, func(c reconcile.Customer) error { d.addCustomer(pic, &c); return nil }); err != nil {
		return err
	}
	if err := d.Store.Adoptable(ctx, func(h reconcile.Adoptable) error { pic.addHosting(h); return nil }); err != nil {
		return err
	}
	return d.Store.LivingOrgs(ctx, func(o reconcile.OrgOwner) error {
		pic.Orgs = append(pic.Orgs, adopt.Org{ID: o.ID, Name: o.Name, OwnerEmail: o.OwnerEmail, Created: o.Created, Suspended: o.Suspended, Customer: o.Customer})
		return nil
	})
}

func (pic *picture) addHosting(a reconcile.Adoptable) {
	h := adopt.Hosting{ID: a.ID, Org: a.Org, Plan: a.Plan, Suspended: a.State == reconcile.HostingSuspended}
	if a.Ignored {
		h.Ignored = cmp.Or(a.Why, "a person has decided that no customer pays for it")
	}
	pic.hostings[h.ID] = h
	pic.Hostings = append(pic.Hostings, h)
}

func (d *Desk) addCustomer(pic *picture, c *reconcile.Customer) {
	for _, b := range c.Buyers {
		if !b.Deleted {
			pic.Buyers = append(pic.Buyers, adopt.Buyer{ID: b.ID, Email: b.Email, Name: b.Name})
		}
	}
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		k := &known{customer: s.StripeCustomer, status: s.Status, gone: s.Gone, isNew: s.IsNewOrder, ignored: d.ignored(c, s), free: pic.free(c, s),
			wanted: s.Domain == "" && !s.DomainChecked}
		pic.subs[s.ID] = k
		for _, b := range c.BindingsOf(s.ID) {
			k.bound = append(k.bound, b.Hosting)
			pic.bound[b.Hosting] = s.ID
		}
		for _, u := range c.Unbindings {
			if u.Subscription == s.ID {
				k.unbound = append(k.unbound, u.Hosting)
			}
		}
		if len(k.free) == 0 || s.Gone || !lives(s.Status) {
			continue
		}
		o := adopt.Order{Subscription: s.ID, Customer: s.StripeCustomer, Status: s.Status, Paused: s.CollectionPaused, Created: s.Created,
			Domain: s.Domain, MetadataOrg: s.MetadataOrg, MetadataHosting: s.MetadataHosting, Unclear: s.MetadataOrgText != "" || s.MetadataHostingText != "",
			Free: k.free, New: s.IsNewOrder, Ignored: k.ignored}
		if c.Org != nil {
			o.Org = c.Org.ID
		}
		pic.Orders = append(pic.Orders, o)
	}
}

// lives reports whether a subscription may have a hosting at the panel that it pays for.
func lives(s reconcile.Status) bool {
	switch s {
	case reconcile.StatusActive, reconcile.StatusTrialing, reconcile.StatusPastDue, reconcile.StatusUnpaid, reconcile.StatusPaused:
		return true
	case reconcile.StatusIncomplete, reconcile.StatusIncompleteExpired, reconcile.StatusCanceled, reconcile.StatusUnknown:
	}
	return false
}

// free is how many hostings of each plan a subscription pays for and does not have.
func (pic *picture) free(c *reconcile.Customer, s *reconcile.Subscription) map[int]int {
	free, planOf := map[int]int{}, map[string]int{}
	for _, it := range s.Items {
		if plan, _, ok := pic.catalog.PlanFor(it); ok && !it.OutOfRange() {
			free[plan.ID] += int(it.Quantity)
			planOf[it.ID] = plan.ID
		}
	}
	for _, b := range c.BindingsOf(s.ID) {
		plan := planOf[b.Item]
		if plan == 0 {
			plan = planAt(c, b.Hosting)
		}
		if free[plan] == 0 { // on another plan than the one that is paid for
			plan = lowest(free)
		}
		free[plan]--
	}
	maps.DeleteFunc(free, func(_, n int) bool { return n <= 0 })
	return free
}

// planAt is the plan of a bound hosting; 0: it is not known.
func planAt(c *reconcile.Customer, hosting int64) int {
	for i := range c.Hostings {
		if c.Hostings[i].ID == hosting {
			return c.Hostings[i].Plan
		}
	}
	return 0
}

// lowest is the lowest plan of which a hosting is free; 0: none.
func lowest(free map[int]int) int {
	for _, plan := range slices.Sorted(maps.Keys(free)) {
		if free[plan] > 0 {
			return plan
		}
	}
	return 0
}

// ignored is the reason of a person's hold "ignore" on a subscription; "": none.
func (d *Desk) ignored(c *reconcile.Customer, s *reconcile.Subscription) string {
	for _, h := range c.Manual {
		if h.Kind == reconcile.Ignore && (h.Until.IsZero() || h.Until.After(d.Now())) && (h.Subscription == "" || h.Subscription == s.ID) {
			return h.Author + ": " + cmp.Or(h.Reason, "the hold ignore")
		}
	}
	return ""
}

// readOwners reads the owners of the orgs that have something to adopt. An org whose owners
// cannot be read is left to a person.
func (d *Desk) readOwners(ctx context.Context, pic *picture) error {
	holding := map[string]bool{}
	for _, h := range pic.Hostings {
		holding[h.Org] = holding[h.Org] || h.Ignored == ""
	}
	var orgs []*adopt.Org
	for i := range pic.Orgs {
		if o := &pic.Orgs[i]; holding[o.ID] {
			orgs = append(orgs, o)
		}
	}
	return d.each(ctx, "reading owners", len(orgs), func(ctx context.Context, i int) error {
		emails, err := d.Enhance.OwnerEmails(ctx, orgs[i].ID)
		if kind := fault.Of(err); kind == fault.NotFound || kind == fault.Permanent || kind == fault.Malformed {
			return nil
		}
		orgs[i].Owners, orgs[i].OwnersRead = emails, err == nil
		return err
	})
}

// readSites reads where the panel has which domain. A token that may not list websites
// leaves that evidence out.
func (d *Desk) readSites(ctx context.Context, pic *picture) (err error) {
	pic.Sites, err = d.Enhance.AllWebsites(ctx)
	if errors.Is(err, fault.Denied) {
		d.Printf("the panel's token may not list websites: domains are no evidence here")
		return nil
	}
	return err
}

// readDomains looks up the Checkout Sessions of the orders that are not certain yet. It
// reports whether it found a domain.
func (d *Desk) readDomains(ctx context.Context, pic *picture, rows []adopt.Pair) (found bool, err error) {
	certain := map[string]bool{}
	for _, r := range rows {
		certain[r.Subscription] = certain[r.Subscription] || r.Decision == adopt.Link
	}
	var orders []*adopt.Order
	for i := range pic.Orders {
		if o := &pic.Orders[i]; !certain[o.Subscription] && pic.subs[o.Subscription].wanted && o.Ignored == "" && !o.New {
			orders = append(orders, o)
		}
	}
	var any, denied atomic.Bool
	err = d.each(ctx, "reading orders", len(orders), func(ctx context.Context, i int) error {
		if denied.Load() {
			return nil
		}
		domain, err := d.Stripe.CheckoutDomain(ctx, orders[i].Subscription)
		if errors.Is(err, fault.Denied) {
			denied.Store(true)
			return nil
		}
		orders[i].Domain = domain
		any.Store(any.Load() || domain != "")
		return err
	})
	if denied.Load() {
		d.Printf("the Stripe key may not read Checkout Sessions: domains that were asked for there are no evidence here")
	}
	return any.Load(), err
}

// each calls do for 0 to n-1, several at a time, and shows how far it is.
func (d *Desk) each(ctx context.Context, phase string, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(d.Config.Concurrency, 1))
	var done atomic.Int32
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := fault.Guard(func() error { return do(ctx, i) }); err != nil {
				return fmt.Errorf("%s: %w", phase, err)
			}
			done.Add(1)
			return nil
		})
		d.Show(reconcile.Progress{Phase: phase, Done: int(done.Load()), Total: n})
	}
	return g.Wait()
}
