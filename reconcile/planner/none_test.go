package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// An item whose price is mapped to none needs no hosting, and when a mapping is changed to
// none, no customer loses a hosting by it.
func TestWhatIsNoHosting(t *testing.T) {
	cat := planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "1"}, {BillingID: "price_pro", Plan: "2"}, {BillingID: "price_news", Plan: "none"}},
		[]reconcile.EnhancePlan{{ID: 1, Name: "Basic", Limits: map[string]int64{"websites": 1}}, {ID: 2, Name: "Pro"}, {ID: 3, Name: "none"}})
	items := func(all ...reconcile.Item) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) { c.Subscriptions[0].Items = all }
	}
	item := func(id, price string, created time.Duration) reconcile.Item {
		return reconcile.Item{ID: id, Price: price, Quantity: 1, Created: noon.Add(created)}
	}
	none := func(c *reconcile.Customer) { c.Bindings, c.Hostings = nil, nil }
	status := func(s reconcile.Status) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].Lapse.Since = s, noon
			if s == reconcile.StatusUnknown {
				c.Subscriptions[0].StatusText = "dormant"
			}
		}
	}
	second := func(c *reconcile.Customer) {
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_n", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate, At: noon})
		c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
	}
	news := items(item("si_n", "price_news", -48*time.Hour))
	for _, tc := range []struct {
		name   string
		change []func(*reconcile.Customer)
		want   string
	}{
		{"nothing is made, and nothing is held", []func(*reconcile.Customer){none, news}, ""},
		{"nor while it is past due", []func(*reconcile.Customer){none, news, status(reconcile.StatusPastDue)}, ""},
		{"nor in an unknown status", []func(*reconcile.Customer){none, news, status(reconcile.StatusUnknown)}, ""},
		{"nor in an absurd number", []func(*reconcile.Customer){none, items(reconcile.Item{ID: "si_n", Price: "price_news", Quantity: 4000})}, ""},
		{"beside hosting it is nothing", []func(*reconcile.Customer){none, items(item("si_1", "price_basic", 0), item("si_n", "price_news", 0))}, "create_subscription:sub_1/1:1"},
		{"an unmapped price beside it is still asked for", []func(*reconcile.Customer){none, items(item("si_n", "price_news", 0), item("si_x", "price_x", 0))}, "hold unmapped"},
		{"a hosting that was made for it before stays", []func(*reconcile.Customer){items(item("si_1", "price_news", -48*time.Hour))}, "hold not_hosting"},
		{"and is not switched on", []func(*reconcile.Customer){items(item("si_1", "price_news", -48*time.Hour)), func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
		}}, "hold not_hosting"},
		{"unless the subscription is unpaid", []func(*reconcile.Customer){items(item("si_1", "price_news", -48*time.Hour)), status(reconcile.StatusUnpaid)}, "suspend:sub_1/1:7"},
		{"or has ended", []func(*reconcile.Customer){items(item("si_1", "price_news", -48*time.Hour)), status(reconcile.StatusCanceled)}, "suspend:sub_1/1:7"},
		{"of which the item is not known it stays too", []func(*reconcile.Customer){news, func(c *reconcile.Customer) { c.Bindings[0].Item = "" }}, "hold not_hosting"},
		{"it serves another item of the subscription that has none", []func(*reconcile.Customer){
			items(item("si_1", "price_news", -48*time.Hour), item("si_2", "price_basic", 0))}, "link:sub_1/1:7:si_2"},
		{"an item that came in place of another may have the wrong mapping", []func(*reconcile.Customer){items(item("si_n", "price_news", time.Hour))}, "hold not_hosting"},
		{"an item that was there before did not replace it", []func(*reconcile.Customer){news}, "suspend:sub_1/1:7"},
		{"one of the second of the binding may have", []func(*reconcile.Customer){items(item("si_n", "price_news", 0)), func(c *reconcile.Customer) {
			c.Bindings[0].At = noon.Add(182 * time.Millisecond)
		}}, "hold not_hosting"},
		{"unless that is the second of the order", []func(*reconcile.Customer){items(item("si_n", "price_news", 0)), func(c *reconcile.Customer) {
			c.Bindings[0].At, c.Subscriptions[0].Created = noon.Add(182*time.Millisecond), noon
		}}, "suspend:sub_1/1:7"},
		{"one that is older by less than the clocks may be apart may have", []func(*reconcile.Customer){items(item("si_n", "price_news", -40*time.Second))}, "hold not_hosting"},
		{"unless it came with the order", []func(*reconcile.Customer){items(item("si_n", "price_news", -40*time.Second)), func(c *reconcile.Customer) {
			c.Subscriptions[0].Created = noon.Add(-41 * time.Second) // a second before it
		}}, "suspend:sub_1/1:7"},
		{"an item of the order that was hosting before, and of which a hosting was sent for, may need it", []func(*reconcile.Customer){news, func(c *reconcile.Customer) {
			c.Pending = []reconcile.Pending{{ActionID: "create_subscription:sub_1/2:1", Kind: reconcile.CreateSubscription, Subscription: "sub_1", Item: "si_n", Slot: 2, Org: "org-1", SentAt: noon}}
		}}, "hold not_hosting"},
		{"or of which there are fewer than it asks for", []func(*reconcile.Customer){
			items(reconcile.Item{ID: "si_n", Price: "price_news", Quantity: 2, Created: noon.Add(-48 * time.Hour)}), second}, "hold not_hosting, hold not_hosting"},
		{"but not if it has all", []func(*reconcile.Customer){news, second}, "suspend:sub_1/1:7, hold not_hosting"},
		{"a smaller plan is given to the hosting that was there, whatever newsletter has come with it", []func(*reconcile.Customer){
			func(c *reconcile.Customer) { c.Hostings[0].Plan = 2 },
			items(item("si_2", "price_basic", time.Hour), item("si_n", "price_news", time.Hour))}, "link:sub_1/1:7:si_2, change_plan:sub_1/1:7:2>1"},
		{"a newsletter that came is no successor of hosting that ended", []func(*reconcile.Customer){status(reconcile.StatusCanceled), func(c *reconcile.Customer) {
			c.Subscriptions[0].EndedAt = noon
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_1", Status: reconcile.StatusActive, ByID: true,
				Created: noon, Items: []reconcile.Item{item("si_n", "price_news", 0)}})
		}}, "suspend:sub_1/1:7"},
	} {
		c := world(func(c *reconcile.Customer) {
			c.Bindings[0].At, c.Subscriptions[0].DomainChecked = noon, true
			for _, change := range tc.change {
				change(c)
			}
		})
		d := planner.Decide(&c, cat, policy(), noon.Add(2*time.Hour))
		d.Needs = nil
		if got := summary(d); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		for _, h := range d.Holds {
			if h.Kind == reconcile.HoldNotHosting && (!strings.Contains(h.Reason, "customers unbind sub_1 "+reconcile.FormatID(h.Hosting)+" ") || h.Hosting < 7 || h.Org != "org-1" || h.Email != "a@example.com") {
				t.Errorf("%s: the hold lacks the command, or the hosting: %+v", tc.name, h)
			}
		}
	}
}

// An item without a mapping that is dated in the second of the binding, and of the order,
// may have replaced the item of the hosting: the hosting stays until its price is mapped.
func TestAnItemOfTheSecondOfTheBindingMayHaveReplacedAnother(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		s := &c.Subscriptions[0]
		s.Created, s.DomainChecked = noon, true
		s.Items = []reconcile.Item{{ID: "si_2", Price: "price_basic", Quantity: 1, Created: noon}, {ID: "si_x", Price: "price_x", Quantity: 1, Created: noon}}
		c.Bindings[0].At = noon.Add(182 * time.Millisecond)
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate, At: noon})
		c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
	})
	d := planner.Decide(&c, catalog(), policy(), noon.Add(time.Minute))
	d.Needs = nil
	if got := summary(d); got != "hold unmapped" {
		t.Error(got)
	}
}

func TestWhatNoPriceServes(t *testing.T) {
	cat := planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "1"}, {BillingID: "price_news", Plan: "none"}}, []reconcile.EnhancePlan{{ID: 1, Name: "Basic"}})
	for _, tc := range []struct{ prices, want string }{
		{"price_x", "price_x"}, {"price_news", ""}, {"price_basic price_x", ""}, {"price_news price_x", "price_x"}, {"price_x price_news price_basic", ""},
	} {
		var items []reconcile.Item
		for _, p := range strings.Fields(tc.prices) {
			items = append(items, reconcile.Item{Price: p, Quantity: 1})
		}
		got := ""
		for _, it := range cat.Unserved(items) {
			got += it.Price
		}
		if got != tc.want {
			t.Errorf("of %s %q is not served, want %q", tc.prices, got, tc.want)
		}
	}
}

// A run converges if the only holds are "ignore", because then nothing is left to decide.
// With other manual holds it does not.
func TestWhatIsLeftAloneKeepsNoRunFromConverging(t *testing.T) {
	for _, tc := range []struct {
		kind         reconcile.ManualKind
		subscription string
		want         bool
	}{
		{reconcile.Ignore, "", true}, {reconcile.Ignore, "sub_1", true},
		{reconcile.NoSuspend, "", false}, {reconcile.NoSuspend, "sub_1", false},
	} {
		c := world(func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_1", Status: reconcile.StatusActive})
			c.Manual = []reconcile.ManualHold{{ID: "a", Kind: tc.kind, Subscription: tc.subscription, Author: "ops"}, {ID: "b", Kind: tc.kind, Subscription: "sub_2", Author: "ops"}}
		})
		d := planner.Decide(&c, catalog(), policy(), noon)
		if len(d.Actions) > 0 || len(d.Holds) == 0 {
			t.Errorf("%s %s: %s", tc.kind, tc.subscription, summary(d))
		}
		if got := (reconcile.Report{Holds: d.Holds}).Converged(); got != tc.want {
			t.Errorf("%s %s: converged %t with %s", tc.kind, tc.subscription, got, summary(d))
		}
		if got := (reconcile.Report{Holds: d.Holds, Omitted: reconcile.Omitted{DecidedByPerson: 1}}).Converged(); got != tc.want {
			t.Errorf("%s %s: converged %t with one not listed", tc.kind, tc.subscription, got)
		}
		if (reconcile.Report{Omitted: reconcile.Omitted{Holds: 1}}).Converged() {
			t.Error("converged with a hold that is not listed")
		}
	}
}
