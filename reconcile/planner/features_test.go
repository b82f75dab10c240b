package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// featured maps features to the plans of catalog, and has their readings.
func featured(all ...reconcile.ProductFeatures) *planner.Catalog {
	return planner.NewCatalog([]reconcile.Mapping{
		{BillingID: "basic", Plan: "1"}, {BillingID: "pro", Plan: "2"}, {BillingID: "news", Plan: "none"}, {BillingID: "lost", Plan: "99"},
		{BillingID: "patient", Plan: "1", MappingOptions: reconcile.MappingOptions{OwnGrace: true, Grace: 240 * time.Hour}},
		{BillingID: "price_named", Plan: "2"},
	}, []reconcile.EnhancePlan{{ID: 1, Name: "Basic", Limits: map[string]int64{"websites": 1}}, {ID: 2, Name: "Pro", Limits: map[string]int64{"websites": 10}}}).WithFeatures(all...)
}

func reading(keys ...string) reconcile.ProductFeatures {
	return reconcile.ProductFeatures{Product: "prod_1", Keys: keys, ReadAt: noon, AskedAt: noon}
}

// ofProduct is a customer whose price is mapped by nothing but the features of its product.
func ofProduct(changes ...func(*reconcile.Customer)) reconcile.Customer {
	return world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Items[0] = reconcile.Item{ID: "si_1", Price: "price_other", Product: "prod_1", Quantity: 1}
		for _, change := range changes {
			change(c)
		}
	})
}

func TestAFeatureOfTheProductBuysItsPlan(t *testing.T) {
	made := func(plan string) string {
		return "create_org:cus_1, create_subscription:sub_1/1:" + plan + ", rename_org:cus_1, invite_owner:cus_1:a@example.com"
	}
	emptied, unread := reading("basic"), reading("basic")
	emptied.Emptied, unread.Unread = true, "503"
	for _, tt := range []struct {
		name  string
		known reconcile.ProductFeatures
		want  string
	}{
		{"one", reading("basic"), made("1")},
		{"beside one without a mapping", reading("basic", "mail"), made("1")},
		{"two for one plan would differ in an option", reading("basic", "patient"), "hold features"},
		{"two for different plans", reading("basic", "pro"), "hold features"},
		{"beside one that is no hosting", reading("news", "pro"), made("2")},
		{"the same the other way round", reading("basic", "news"), made("1")},
		{"no hosting", reading("news"), ""},
		{"a plan that does not exist", reading("lost"), "hold plan_missing"},
		{"none that is mapped", reading("mail"), "hold unmapped"},
		{"none at all", reading(), "hold unmapped"},
		{"looks like a price", reading("price_named"), "hold unmapped"},
		{"Stripe shows none any more", emptied, "hold features"},
		{"Stripe does not show it again", unread, made("1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ofProduct(unbound)
			d := planner.Decide(&c, featured(tt.known), policy(), noon)
			if got := summary(d); got != tt.want || len(d.Needs) > 0 {
				t.Errorf("got %q, want %q; needs %v", got, tt.want, d.Needs)
			}
		})
	}
}

func TestFeaturesComeAfterAllThatStripeShowsWithTheItem(t *testing.T) {
	cat := planner.NewCatalog([]reconcile.Mapping{{BillingID: "pro", Plan: "2"}, {BillingID: "prod_1", Plan: "1"}},
		[]reconcile.EnhancePlan{{ID: 1, Name: "Basic"}, {ID: 2, Name: "Pro"}}).WithFeatures(reading("pro"))
	plan, _, ok := cat.PlanFor(reconcile.Item{Price: "price_other", Product: "prod_1"})
	if !ok || plan.ID != 1 {
		t.Errorf("plan %d, %v", plan.ID, ok)
	}
}

func TestFeaturesAreAskedForOnlyWhereTheyMatter(t *testing.T) {
	old := reading("basic")
	old.AskedAt = noon.Add(-61 * time.Minute)
	for _, tt := range []struct {
		name   string
		cat    *planner.Catalog
		change func(*reconcile.Customer)
		asks   bool
	}{
		{"never read", featured(), func(*reconcile.Customer) {}, true},
		{"read lately", featured(reading("basic")), func(*reconcile.Customer) {}, false},
		{"read long ago", featured(old), func(*reconcile.Customer) {}, true},
		{"no mapping may be of a feature", planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_pro", Plan: "2"}, {BillingID: "prod_2", Plan: "2"}}, nil), func(*reconcile.Customer) {}, false},
		{"mapped by the price", featured(), func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Price = "price_named" }, false},
		{"ended", featured(), func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon
		}, false},
		{"Stripe does not know the subscription", featured(), func(c *reconcile.Customer) { c.Subscriptions[0].Gone = true }, false},
		{"no product", featured(), func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Product = "" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ofProduct(tt.change)
			d := planner.Decide(&c, tt.cat, policy(), noon)
			asks := len(d.Needs) == 1 && d.Needs[0] == planner.Need{Kind: planner.NeedFeatures, Product: "prod_1"}
			if asks != tt.asks {
				t.Errorf("needs %v", d.Needs)
			}
		})
	}
}

// TestAnUnservedCustomerIsLookedAtAgainWithinTheHour: a feature that is added at Stripe makes
// no event.
func TestAnUnservedCustomerIsLookedAtAgainWithinTheHour(t *testing.T) {
	for name, tt := range map[string]struct {
		known reconcile.ProductFeatures
		after time.Duration
	}{
		"waits for a mapping": {reading("mail"), time.Hour + time.Second},
		"is served":           {reading("basic"), 24*time.Hour + time.Second},
	} {
		c := ofProduct()
		d := planner.Decide(&c, featured(tt.known), policy(), noon)
		if !d.Next.Equal(noon.Add(tt.after)) {
			t.Errorf("%s: next at %v", name, d.Next)
		}
	}
}

// TestFeaturesThatAreNotShownTakeNothingAway: a hosting that a customer has by a feature stays
// as it is, and the customer keeps the grace period of the mapping.
func TestFeaturesThatAreNotShownTakeNothingAway(t *testing.T) {
	late := func(c *reconcile.Customer) {
		lapsed(c)
		c.Subscriptions[0].Lapse = reconcile.Lapse{Seen: noon.Add(-100 * time.Hour), Since: noon.Add(-100 * time.Hour)}
	}
	change := func(f reconcile.ProductFeatures, how func(*reconcile.ProductFeatures)) reconcile.ProductFeatures {
		how(&f)
		return f
	}
	for _, tt := range []struct {
		name  string
		known reconcile.ProductFeatures
		life  func(*reconcile.Customer)
		want  string
	}{
		{"paid, and Stripe shows none any more", change(reading("basic"), func(f *reconcile.ProductFeatures) { f.Emptied = true }), func(*reconcile.Customer) {}, "hold features"},
		{"paid, and the key may not read them", change(reading("basic"), func(f *reconcile.ProductFeatures) { f.Unread = "403" }), func(*reconcile.Customer) {}, ""},
		{"paid, and never shown", reconcile.ProductFeatures{Product: "prod_1", AskedAt: noon, Unread: "403"}, func(*reconcile.Customer) {}, "hold unmapped"},
		{"paid, and none of them is mapped any more", reading("mail"), func(*reconcile.Customer) {}, "hold unmapped"},
		{"overdue, and Stripe shows none any more", change(reading("patient"), func(f *reconcile.ProductFeatures) { f.Emptied = true }), late, "hold features, hold grace"},
		{"overdue, and the key may not read them", change(reading("patient"), func(f *reconcile.ProductFeatures) { f.Unread = "403" }), late, "hold grace"},
		{"overdue, and never shown", reconcile.ProductFeatures{Product: "prod_1", AskedAt: noon, Unread: "403"}, late, "hold grace, hold unmapped"},
		{"overdue, and of two it is not known which", reading("basic", "patient"), late, "hold features, hold grace"},
		{"overdue for longer than its mapping gives", reading("basic"), late, "suspend:sub_1/1:7"},
		{"a smaller plan by features that are not shown again", change(reading("basic"), func(f *reconcile.ProductFeatures) { f.Unread = "403" }),
			func(c *reconcile.Customer) { c.Hostings[0].Plan = 2 }, "hold features"},
		{"a larger plan by features that are not shown again", change(reading("pro"), func(f *reconcile.ProductFeatures) { f.Unread = "403" }),
			func(*reconcile.Customer) {}, "change_plan:sub_1/1:7:1>2"},
		{"a smaller plan by features that are shown", reading("basic"), func(c *reconcile.Customer) { c.Hostings[0].Plan = 2 }, "change_plan:sub_1/1:7:2>1"},
		{"paid again, and the key may not read them", change(reading("basic"), func(f *reconcile.ProductFeatures) { f.Unread = "403" }),
			func(c *reconcile.Customer) {
				c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-time.Hour)
			}, "resume:sub_1/1:7"},
		{"mapped to none by a feature that Stripe no longer shows", change(reading("news"), func(f *reconcile.ProductFeatures) { f.Emptied = true }), func(*reconcile.Customer) {}, "hold not_hosting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ofProduct(tt.life)
			d := planner.Decide(&c, featured(tt.known), policy(), noon)
			if got := summary(d); got != tt.want {
				t.Errorf("got %q, want %q: %+v", got, tt.want, d.Holds)
			}
		})
	}
}
