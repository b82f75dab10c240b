package planner

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func BenchmarkDecideUnchanged(b *testing.B) {
	cat := NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "1"}}, []reconcile.EnhancePlan{{ID: 1, Name: "Basic"}})
	c := reconcile.Customer{ID: "cus_1", Email: "a@example.com", Org: &reconcile.Org{ID: "o"}, OrgNamed: true, Invited: t0,
		Subscriptions: []reconcile.Subscription{{ID: "sub_1", Status: reconcile.StatusActive, Items: []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}}, ByID: true}},
		Bindings:      []reconcile.Binding{{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "o", Hosting: 7}},
		Hostings:      []reconcile.Hosting{{ID: 7, Org: "o", Plan: 1, State: reconcile.HostingActive, ObservedAt: t0, FriendlyName: "Basic [sub_1/1]"}}}
	p := reconcile.Policy{Mode: reconcile.Enforce, Grace: time.Hour, Onboarding: reconcile.Invite}
	b.ReportAllocs()
	for b.Loop() {
		if d := Decide(&c, cat, p, t0); len(d.Actions)+len(d.Holds)+len(d.Needs) != 0 {
			b.Fatalf("%+v", d)
		}
	}
}
