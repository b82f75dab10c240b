package reconcile

import (
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func BenchmarkDecideUnchanged(b *testing.B) {
	cat := NewCatalog([]Mapping{{"price_basic", "1"}}, []Plan{{ID: 1, Name: "Basic"}})
	c := Customer{ID: "cus_1", Email: "a@example.com", Org: &Org{ID: "o"}, OrgNamed: true, Invited: t0,
		Subscriptions: []Subscription{{ID: "sub_1", Status: StatusActive, Items: []Item{{ID: "si_1", Price: "price_basic", Quantity: 1}}, ByID: true}},
		Bindings:      []Binding{{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "o", Hosting: 7}},
		Hostings:      []Hosting{{ID: 7, Org: "o", Plan: 1, State: HostingActive, ObservedAt: t0, FriendlyName: "Basic [sub_1/1]"}}}
	p := Policy{Mode: Enforce, Grace: time.Hour, Onboarding: Invite}
	b.ReportAllocs()
	for b.Loop() {
		if d := Decide(&c, cat, p, t0); len(d.Actions)+len(d.Holds)+len(d.Needs) != 0 {
			b.Fatalf("%+v", d)
		}
	}
}
