package planner_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// The generated worlds have few names, because collisions matter: a subscription with
// several bindings, two subscriptions on one hosting, a marker that names the slot of
// another hosting, and a mapping to a plan that does not exist.
var (
	someSubs    = []string{"sub_1", "sub_2", "sub_3"}
	someOrgs    = []string{"org-1", "org-2"}
	someDomains = []string{"", "", "ada.example.com"}
	somePrices  = []string{"price_basic", "price_basic", "price_pro", "price_gold", "price_metered", "price_lost", "price_twin", "price_free"}
	someStates  = []reconcile.HostingState{reconcile.HostingActive, reconcile.HostingActive, reconcile.HostingSuspended,
		reconcile.HostingSuspended, reconcile.HostingDeleted, reconcile.HostingMissing, reconcile.HostingUnknown, 0}
	someStatuses = []reconcile.Status{reconcile.StatusActive, reconcile.StatusActive, reconcile.StatusActive, reconcile.StatusTrialing,
		reconcile.StatusPastDue, reconcile.StatusPastDue, reconcile.StatusUnpaid, reconcile.StatusPaused, reconcile.StatusIncomplete,
		reconcile.StatusCanceled, reconcile.StatusCanceled, reconcile.StatusIncompleteExpired, reconcile.StatusUnknown, 0}
	someAges = []time.Duration{0, time.Minute, 9 * time.Minute, 11 * time.Minute, time.Hour, 71 * time.Hour, 72 * time.Hour,
		73 * time.Hour, 29 * 24 * time.Hour, 30 * 24 * time.Hour, 31 * 24 * time.Hour, 90 * 24 * time.Hour}
)

// offer has mappings to two plans, of which one is larger in everything, to one without
// limits, to one that the panel lacks, and to one that it has twice.
func offer() ([]reconcile.Mapping, []reconcile.EnhancePlan) {
	return []reconcile.Mapping{{BillingID: "price_basic", Plan: "1"}, {BillingID: "price_pro", Plan: "Pro"}, {BillingID: "price_gold", Plan: "3"},
			{BillingID: "price_metered", Plan: "1"}, {BillingID: "price_lost", Plan: "Nowhere"}, {BillingID: "price_twin", Plan: "Twin"}},
		[]reconcile.EnhancePlan{{ID: 1, Name: "Basic", Limits: map[string]int64{"websites": 1, "disk": 10}},
			{ID: 2, Name: "Pro", Limits: map[string]int64{"websites": 10, "disk": 10}}, {ID: 3, Name: "Gold"},
			{ID: 4, Name: "Twin"}, {ID: 5, Name: "Twin"}}
}

// planOf is the plan of each price, written by hand because the tests must not rely on the
// catalog. It is 0 if the price is unmapped or its plan does not exist.
var planOf = map[string]int{"price_basic": 1, "price_pro": 2, "price_gold": 3, "price_metered": 1}

// scene is one generated world: the arguments of Decide.
type scene struct {
	c      reconcile.Customer
	policy reconcile.Policy
	now    time.Time
}

func (s scene) decide() planner.Decision {
	return planner.Decide(&s.c, catalogOf(offer()), s.policy, s.now)
}

func catalogOf(m []reconcile.Mapping, p []reconcile.EnhancePlan) *planner.Catalog {
	return planner.NewCatalog(m, p)
}

func pick[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

// rarely is true once in n. It is false when rapid has shrunk the world.
func rarely(t *rapid.T, label string, n int) bool {
	return rapid.IntRange(0, n-1).Draw(t, label) == n-1
}

// ago is an instant before now, or rarely zero.
func ago(t *rapid.T, label string) time.Time {
	if rarely(t, label+" unknown", 8) {
		return time.Time{}
	}
	return noon.Add(-pick(t, label, someAges...))
}

func drawScene(t *rapid.T) scene {
	s := scene{now: noon, policy: reconcile.Policy{
		Mode: reconcile.Enforce, Grace: pick(t, "grace", 72*time.Hour, 0), Retention: pick(t, "retention", 0, 30*24*time.Hour),
		SuspendPaused: rapid.Bool().Draw(t, "suspend paused"), Onboarding: pick(t, "onboarding", reconcile.Invite, reconcile.NoOnboarding),
		CreateWebsites: rapid.Bool().Draw(t, "websites"), WriteMetadata: rapid.Bool().Draw(t, "write metadata"),
	}}
	c := &s.c
	c.ID, c.Email = "cus_1", pick(t, "email", "ada@example.com", "ada@example.com", "ada@example.com", "")
	for _, id := range someSubs[:rapid.IntRange(0, len(someSubs)).Draw(t, "subscriptions")] {
		c.Subscriptions = append(c.Subscriptions, drawSubscription(t, id))
	}
	for id := range rapid.IntRange(0, 5).Draw(t, "hostings") {
		c.Hostings = append(c.Hostings, drawHosting(t, int64(id+1)))
	}
	drawBindings(t, c)
	drawOrgs(t, c)
	drawPending(t, c)
	drawManual(t, c)
	drawExisting(t, &s)
	return s
}

// drawExisting makes look-alikes of some hostings. If a hosting has no binding and no
// marker, staff made it.
func drawExisting(t *rapid.T, s *scene) {
	c := &s.c
	for i := range c.Hostings {
		h := &c.Hostings[i]
		bound := slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool { return b.Hosting == h.ID })
		if h.Marker().StripeID != "" || bound || h.State != reconcile.HostingActive && h.State != reconcile.HostingSuspended {
			continue
		}
		c.Unbound = true
		label := fmt.Sprintf("hosting %d looks", h.ID)
		for range rapid.IntRange(0, 2).Draw(t, label) {
			c.Lookalikes = append(c.Lookalikes, reconcile.Lookalike{Subscription: pick(t, label+" like", "", "sub_1", "sub_2"), Org: h.Org, Hosting: h.ID, Plan: h.Plan,
				ObservedAt: h.ObservedAt, Why: pick(t, label+" because", reconcile.LikeOrg, reconcile.LikeMetadata, reconcile.LikeOwner, reconcile.LikeDomain, reconcile.LikeName)})
		}
	}
	if c.Unbound = c.Unbound || rarely(t, "unbound elsewhere", 3); c.Unbound {
		c.Undecided = rarely(t, "undecided", 3)
		if rarely(t, "decided", 3) {
			s.policy.NewAfter = noon.Add(-pick(t, "new after", someAges...))
		}
	}
	for i := range c.Subscriptions {
		c.Subscriptions[i].IsNewOrder = rarely(t, c.Subscriptions[i].ID+" is called new", 5)
		c.Subscriptions[i].SiteReadAt = ago(t, c.Subscriptions[i].ID+" site read")
	}
}

func drawSubscription(t *rapid.T, id string) reconcile.Subscription {
	s := reconcile.Subscription{ID: id, StripeCustomer: pick(t, id+" buyer", "cus_1", "cus_1", "cus_1", "cus_2"), Status: pick(t, id+" status", someStatuses...),
		Created: ago(t, id+" created"), CollectionPaused: rarely(t, id+" collection paused", 5),
		Lapse: reconcile.Lapse{Seen: noon.Add(-pick(t, id+" lapse seen", someAges...)), Since: ago(t, id+" lapsed since")},
		ByID:  !rarely(t, id+" from a listing", 4), Gone: rarely(t, id+" gone", 12), DomainChecked: rapid.Bool().Draw(t, id+" domain checked"),
		Domain: pick(t, id+" domain", someDomains...)}
	s.StatusText = s.Status.String()
	if s.Status == reconcile.StatusUnknown {
		s.StatusText = "hibernating"
	}
	if s.Status.Ended() {
		s.EndedAt = ago(t, id+" ended")
	}
	if rarely(t, id+" metadata", 6) {
		s.MetadataOrg = pick(t, id+" metadata org", "", "org-1", "org-2")
		s.MetadataHosting = int64(rapid.IntRange(0, 6).Draw(t, id+" metadata hosting"))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, id+" items") {
		s.Items = append(s.Items, reconcile.Item{ID: fmt.Sprintf("si_%s%c", id[4:], 'a'+i), Price: pick(t, id+" price", somePrices...),
			Quantity: pick(t, id+" quantity", int64(1), 1, 1, 2, 3, 0, 101), Created: ago(t, id+" item created")})
	}
	return s
}

func drawHosting(t *rapid.T, id int64) reconcile.Hosting {
	label := fmt.Sprintf("hosting %d", id)
	h := reconcile.Hosting{ID: id, Org: pick(t, label+" org", "org-1", "org-1", "org-1", "org-2"), Plan: rapid.IntRange(1, 4).Draw(t, label+" plan"),
		State: pick(t, label+" state", someStates...), FriendlyName: "Hosting"}
	if rapid.Bool().Draw(t, label+" marked") {
		h.FriendlyName = fmt.Sprintf("Hosting [%s/%d]", pick(t, label+" marker", someSubs...), rapid.IntRange(1, 3).Draw(t, label+" slot"))
	}
	if h.State == 0 {
		return h
	}
	h.ObservedAt = noon.Add(-pick(t, label+" observed", 0, 0, time.Minute, time.Hour))
	if rapid.Bool().Draw(t, label+" usage") {
		h.Usage = []reconcile.Usage{{Name: "websites", Used: int64(rapid.IntRange(0, 12).Draw(t, label+" websites"))}}
		h.Usage = append(h.Usage, reconcile.Usage{Name: "disk", Used: int64(rapid.IntRange(0, 12).Draw(t, label+" disk"))})
	}
	h.Content = drawContent(t, label)
	switch {
	case h.State == reconcile.HostingSuspended && rapid.Bool().Draw(t, label+" by us"):
		h.SuspendedByUs = noon.Add(-pick(t, label+" suspended", someAges...))
	case h.State == reconcile.HostingDeleted && rapid.Bool().Draw(t, label+" terminated by us"):
		h.TerminatedByUs = noon.Add(-time.Hour)
	}
	return h
}

// drawContent draws content that was read long ago, lately or never.
func drawContent(t *rapid.T, label string) (c reconcile.Content) {
	if rapid.Bool().Draw(t, label+" never listed") {
		return c
	}
	c.ReadAt = noon.Add(-pick(t, label+" listed", 0, 0, 0, time.Minute, 11*time.Minute, 31*24*time.Hour))
	if rarely(t, label+" refused", 8) {
		c.Unread = "403 Forbidden"
		return c
	}
	if c.Count = rapid.IntRange(0, 2).Draw(t, label+" sites"); c.Count > 0 {
		c.Sites = []string{"a.example.com", "b.example.com"}[:c.Count]
	}
	return c
}

func drawBindings(t *rapid.T, c *reconcile.Customer) {
	taken := map[string]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "bindings") {
		b := reconcile.Binding{Subscription: pick(t, "bound subscription", "sub_1", "sub_1", "sub_2", "sub_3", "sub_9"),
			Slot: rapid.IntRange(1, 3).Draw(t, "bound slot"), Hosting: int64(rapid.IntRange(1, 6).Draw(t, "bound hosting")), Org: "org-1",
			How: pick(t, "bound how", reconcile.BoundByCreate, reconcile.BoundByMarker, reconcile.BoundByMetadata, reconcile.BoundByResubscription), At: ago(t, "bound")}
		b.Item = pick(t, "bound item", "si_"+b.Subscription[4:]+"a", "si_"+b.Subscription[4:]+"b", "si_"+b.Subscription[4:]+"x", "")
		key := fmt.Sprint(b.Subscription, b.Slot)
		if taken[key] || !known(c, b.Subscription) && b.Subscription != "sub_9" {
			continue
		}
		taken[key] = true
		for _, h := range c.Hostings {
			if h.ID == b.Hosting {
				b.Org = h.Org
			}
		}
		c.Bindings = append(c.Bindings, b)
	}
}

func known(c *reconcile.Customer, sub string) bool { return subOf(c, sub) != nil }

func subOf(c *reconcile.Customer, id string) *reconcile.Subscription {
	for i := range c.Subscriptions {
		if c.Subscriptions[i].ID == id {
			return &c.Subscriptions[i]
		}
	}
	return nil
}

func hostingOf(c *reconcile.Customer, id int64) *reconcile.Hosting {
	for i := range c.Hostings {
		if c.Hostings[i].ID == id {
			return &c.Hostings[i]
		}
	}
	return nil
}

// drawOrgs binds an org when anything is bound, as the store does.
func drawOrgs(t *rapid.T, c *reconcile.Customer) {
	org := func(id string) reconcile.Org {
		return reconcile.Org{ID: id, Name: "Ada", Deleted: rarely(t, id+" deleted", 10), Suspended: rarely(t, id+" suspended", 10),
			OwnerEmail: pick(t, id+" owner", "", "ada@example.com"), ObservedAt: noon, OwnersRead: ago(t, id+" owners read"),
			Owners: pick(t, id+" owners", nil, []string{"ada@example.com"}, []string{"Ada@example.com"}, []string{"eve@example.com"}, []string{"ada@example.com", "eve@example.com"})}
	}
	c.Buyers = []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: c.ID, Email: c.Email, Name: c.Name}}}
	if rarely(t, "e-mail changed", 8) {
		c.Buyers[0].FormerEmail, c.Buyers[0].EmailChanged = "eve@example.com", noon.Add(-time.Hour)
	}
	for n := range rapid.IntRange(0, 5).Draw(t, "kin") / 3 {
		id := fmt.Sprintf("cus_%d", n+2)
		k := reconcile.Kin{ID: id, Org: org("org-of-" + id), Guest: rarely(t, id+" is a guest", 4), Invited: ago(t, id+" invited"),
			InvitedEmail: pick(t, id+" invited as", "", "ada@example.com", "eve@example.com")}
		if rarely(t, id+" changed its e-mail", 4) {
			k.EmailChanged = ago(t, id+" changed its e-mail at")
		}
		k.Hostings = []reconcile.KinHosting{{Subscription: "sub_of_" + id, Ended: rapid.Bool().Draw(t, id+" ended"), Hosting: int64(50 + n), State: reconcile.HostingSuspended}}
		c.Kin = append(c.Kin, k)
	}
	if len(c.Bindings) > 0 || rapid.Bool().Draw(t, "org bound") {
		o := org("org-1")
		c.Org, c.OrgNamed = &o, rapid.Bool().Draw(t, "org named")
		c.Invited = ago(t, "invited")
		return
	}
	for _, id := range someOrgs {
		switch {
		case rarely(t, id+" marked", 4):
			c.MarkedOrgs = append(c.MarkedOrgs, org(id))
		case rarely(t, id+" owned", 4):
			o := org(id)
			o.Deleted = false
			c.OwnedOrgs = append(c.OwnedOrgs, o)
		}
	}
}

func drawPending(t *rapid.T, c *reconcile.Customer) {
	for range rapid.IntRange(0, 5).Draw(t, "pending") / 4 {
		p := reconcile.Pending{Kind: pick(t, "pending kind", reconcile.ActionKinds()...), SentAt: noon.Add(-time.Minute),
			SettleUntil: noon.Add(30 * time.Second)}
		if p.Kind != reconcile.CreateOrg && p.Kind != reconcile.RenameOrg && p.Kind != reconcile.InviteOwner {
			p.Subscription, p.Slot = pick(t, "pending for", someSubs...), rapid.IntRange(1, 3).Draw(t, "pending slot")
			if p.Kind != reconcile.CreateSubscription {
				p.Hosting = int64(rapid.IntRange(1, 6).Draw(t, "pending hosting"))
			}
		}
		p.ActionID = fmt.Sprintf("%s:%s/%d:%d", p.Kind, p.Subscription, p.Slot, p.Hosting)
		c.Pending = append(c.Pending, p)
	}
}

func drawManual(t *rapid.T, c *reconcile.Customer) {
	for i := range rapid.IntRange(0, 5).Draw(t, "manual holds") / 4 {
		m := reconcile.ManualHold{ID: fmt.Sprint("hold-", i), Kind: pick(t, "hold kind", reconcile.NoSuspend, reconcile.KeepSuspended, reconcile.Ignore),
			Author: "ops", Reason: "talking", Created: noon.Add(-time.Hour)}
		if rapid.Bool().Draw(t, "hold on one subscription") {
			m.Subscription = pick(t, "held subscription", someSubs...)
		} else {
			m.Customer = "cus_1"
		}
		if rapid.Bool().Draw(t, "hold ends") {
			m.Until = noon.Add(pick(t, "hold until", -time.Second, 0, time.Second, time.Hour))
		}
		c.Manual = append(c.Manual, m)
	}
}

// twin is a deep copy: a change of one does not change the other.
func (s scene) twin() scene {
	c := s.c
	c.Subscriptions = append([]reconcile.Subscription(nil), c.Subscriptions...)
	for i := range c.Subscriptions {
		c.Subscriptions[i].Items = append([]reconcile.Item(nil), c.Subscriptions[i].Items...)
	}
	c.Bindings = append([]reconcile.Binding(nil), c.Bindings...)
	c.Hostings = append([]reconcile.Hosting(nil), c.Hostings...)
	for i := range c.Hostings {
		c.Hostings[i].Usage = append([]reconcile.Usage(nil), c.Hostings[i].Usage...)
		c.Hostings[i].Content.Sites = append([]string(nil), c.Hostings[i].Content.Sites...)
	}
	c.Lookalikes = append([]reconcile.Lookalike(nil), c.Lookalikes...)
	c.MarkedOrgs = append([]reconcile.Org(nil), c.MarkedOrgs...)
	c.OwnedOrgs = append([]reconcile.Org(nil), c.OwnedOrgs...)
	c.Pending = append([]reconcile.Pending(nil), c.Pending...)
	c.Manual = append([]reconcile.ManualHold(nil), c.Manual...)
	if c.Org != nil {
		o := *c.Org
		c.Org = &o
	}
	s.c = c
	return s
}

// shuffled is the same world with every slice in another order.
func (s scene) shuffled(t *rapid.T) scene {
	s = s.twin()
	s.c.Subscriptions = mixed(t, "subscriptions", s.c.Subscriptions)
	for i := range s.c.Subscriptions {
		s.c.Subscriptions[i].Items = mixed(t, "items", s.c.Subscriptions[i].Items)
	}
	s.c.Bindings = mixed(t, "bindings", s.c.Bindings)
	s.c.Hostings = mixed(t, "hostings", s.c.Hostings)
	for i := range s.c.Hostings {
		s.c.Hostings[i].Usage = mixed(t, "usage", s.c.Hostings[i].Usage)
	}
	s.c.Lookalikes = mixed(t, "look-alikes", s.c.Lookalikes)
	s.c.MarkedOrgs, s.c.OwnedOrgs = mixed(t, "marked orgs", s.c.MarkedOrgs), mixed(t, "owned orgs", s.c.OwnedOrgs)
	s.c.Pending, s.c.Manual = mixed(t, "pending", s.c.Pending), mixed(t, "manual", s.c.Manual)
	return s
}

func mixed[T any](t *rapid.T, label string, all []T) []T {
	if len(all) < 2 {
		return all
	}
	return rapid.Permutation(all).Draw(t, "order of "+label)
}
