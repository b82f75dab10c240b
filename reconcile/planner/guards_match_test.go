package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// When two items are replaced together, each new one gets the hosting on its own plan, so
// that no site changes.
func TestReplacedItemsTakeTheHostingsOnTheirPlans(t *testing.T) {
	check(t, []guarded{
		{"within a subscription", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_1/2]"))
			c.Subscriptions[0].Items = []reconcile.Item{{ID: "si_8", Price: "price_pro", Quantity: 1}, {ID: "si_9", Price: "price_basic", Quantity: 1}}
		}, "link:sub_1/1:7:si_9, link:sub_1/2:8:si_8"},
		{"from an ended one", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_1/2]"))
			another(c, "3", reconcile.StatusActive, "price_pro")
		}, "link:sub_3/1:8:si_3, suspend:sub_1/1:7"},
		{"of two whose items are gone the one that is up", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
			suspended(&c.Hostings[0], time.Hour)
			c.Subscriptions[0].Items[0].ID = "si_9"
		}, "link:sub_1/2:8:si_9"},
		{"by their markers", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Hostings[0].Plan = nil, 2
			c.Subscriptions[0].Items = []reconcile.Item{{ID: "si_8", Price: "price_basic", Quantity: 1}, {ID: "si_9", Price: "price_pro", Quantity: 1}}
		}, "link:sub_1/1:7:si_9, create_subscription:sub_1/2:1"},
	})
}

func TestAMarkerBindsOnlyWhatIsReadAndInTheRightOrg(t *testing.T) {
	check(t, []guarded{
		{"read", func(c *reconcile.Customer, _ *reconcile.Policy) { c.Bindings = nil }, "link:sub_1/1:7:si_1"},
		{"in another org", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Hostings[0].Org = nil, "org-2"
		}, "hold conflict"},
		{"in no known org, with the hostings in two", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Org, c.Bindings, c.Subscriptions[0].Items[0].Quantity = nil, nil, 2
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
			c.Hostings[1].Org = "org-2"
		}, "hold conflict"},
		{"the slot was another's, which is deleted", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Subscriptions[0].Items[0].Quantity = nil, 2
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/1]"))
			c.Hostings[1].State = reconcile.HostingDeleted
		}, "link:sub_1/1:7:si_1, create_subscription:sub_1/2:1"},
		{"one that was deleted in another org", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Hostings[0].Org, c.Hostings[0].State = nil, "org-2", reconcile.HostingDeleted
		}, "create_subscription:sub_1/2:1"},
		{"one that we deleted ourselves", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Hostings[0].TerminatedByUs, c.Hostings[0].State = nil, noon, reconcile.HostingDeleted
		}, "create_subscription:sub_1/2:1"},
	})
	c := world(func(c *reconcile.Customer) { c.Bindings, c.Hostings[0].ObservedAt = nil, time.Time{} })
	d := planner.Decide(&c, catalog(), policy(), noon)
	if needs := d.Needs; len(needs) != 1 || needs[0] != (planner.Need{Kind: planner.NeedHosting, Org: "org-1", Hosting: 7}) {
		t.Errorf("before it was read: %+v", needs)
	}
	for _, a := range d.Actions {
		if a.Kind == reconcile.Link {
			t.Errorf("before it was read: %s", a.ID)
		}
	}
}

func TestMetadataBindsInTheCustomersOwnOrg(t *testing.T) {
	names := func(org string, change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Hostings[0].FriendlyName = nil, "by hand"
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = org, 7
			change(c)
		}
	}
	const linked = "link:sub_1/1:7:si_1"
	check(t, []guarded{
		{"with the org", names("org-1", func(*reconcile.Customer) {}), linked},
		{"without it", names("", func(*reconcile.Customer) {}), linked},
		{"with another org", names("org-2", func(*reconcile.Customer) {}), "hold conflict"},
		{"without any org", names("", func(c *reconcile.Customer) { c.Org = nil }), "hold conflict"},
		{"before it was read", names("org-1", func(c *reconcile.Customer) { c.Hostings = nil }), "read 1 org-1/7"},
	})
}

// A hosting does not get a smaller plan while an item without a known plan may be the
// replacement of its own item.
func TestNothingGetsLessWhileAnUnclearItemMayBeIts(t *testing.T) {
	replaced := func(items ...reconcile.Item) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings[0].Plan = 2
			c.Subscriptions[0].Items = append(items, reconcile.Item{ID: "si_3", Price: "price_basic", Quantity: 1})
		}
	}
	served := func(c *reconcile.Customer, p *reconcile.Policy) {
		replaced(reconcile.Item{ID: "si_2", Price: "price_number", Quantity: 1})(c, p)
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
		c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_1/2]"))
	}
	check(t, []guarded{
		{"one whose plan is gone", replaced(reconcile.Item{ID: "si_2", Price: "price_number", Quantity: 1}),
			"create_subscription:sub_1/2:1, hold plan_missing, hold plan_missing"},
		{"one that has its hosting", served, "link:sub_1/1:7:si_3, change_plan:sub_1/1:7:2>1, hold plan_missing"},
		{"one that asks for thousands", replaced(reconcile.Item{ID: "si_2", Price: "price_basic", Quantity: 5000}),
			"create_subscription:sub_1/2:1, hold quantity, hold quantity"},
		{"one is free of another subscription", func(c *reconcile.Customer, p *reconcile.Policy) {
			replaced(reconcile.Item{ID: "si_2", Price: "price_number", Quantity: 1})(c, p)
			another(c, "5", reconcile.StatusActive, "price_basic").Items[0].Quantity = 0
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_5", Item: "si_5", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_5/1]"))
		}, "create_subscription:sub_1/2:1, suspend:sub_5/1:8, hold plan_missing, hold plan_missing"},
		{"one more is free, and gone", func(c *reconcile.Customer, p *reconcile.Policy) {
			served(c, p)
			c.Bindings[1].Item, c.Hostings[1].State = "si_4", reconcile.HostingDeleted
		}, "link:sub_1/2:8:si_3, hold deleted, hold plan_missing, hold plan_missing"},
		{"one more is free than may be needed", func(c *reconcile.Customer, p *reconcile.Policy) {
			served(c, p)
			c.Bindings[1].Item = "si_4"
		}, "link:sub_1/1:7:si_3, change_plan:sub_1/1:7:2>1, hold plan_missing, hold plan_missing"},
	})
}

// If a new database finds a hosting active long after the end, a returning customer may be
// using it, so it stays. This is not so if it ended lately, or if we suspended or made it.
func TestWhatIsFoundUpLongAfterTheEndStaysUp(t *testing.T) {
	found := func(after time.Duration, how reconcile.BindKind, change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-after)
			c.Bindings[0].How, c.Bindings[0].At = how, noon
			change(c)
		}
	}
	same := func(*reconcile.Customer) {}
	const suspend = "suspend:sub_1/1:7"
	check(t, []guarded{
		{"two days", found(2*dayLong, reconcile.BoundByMarker, same), "hold adopt"},
		{"a day", found(dayLong, reconcile.BoundByMarker, same), suspend},
		{"bound otherwise", found(2*dayLong, reconcile.BoundByCreate, same), suspend},
		{"the day of its end is not known", found(2*dayLong, reconcile.BoundByMarker, func(c *reconcile.Customer) { c.Subscriptions[0].EndedAt = time.Time{} }), suspend},
		{"suspended by us", found(2*dayLong, reconcile.BoundByMarker, func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
		}), ""},
	})
}

// A subscription without a known plan may be the successor of an ended one.
func TestAnUnmappedSuccessorKeepsTheHostingUp(t *testing.T) {
	followed := func(ended time.Time, created time.Time) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, ended
			another(c, "2", reconcile.StatusActive, "price_new").Created = created
		}
	}
	const kept, down = "hold unmapped, hold unmapped", "suspend:sub_1/1:7, hold unmapped"
	check(t, []guarded{
		{"a month before the end", followed(noon, noon.Add(-30*dayLong)), kept},
		{"longer before the end", followed(noon, noon.Add(-31*dayLong)), down},
		{"the end is not known, and it came lately", followed(time.Time{}, noon.Add(-30*dayLong)), kept},
		{"the end is not known, and it was there for long", followed(time.Time{}, noon.Add(-31*dayLong)), down},
	})
}

func TestTheOrgIsFoundByItsTraces(t *testing.T) {
	const made = "create_subscription:sub_1/1:1"
	check(t, []guarded{
		{"nothing at all", func(c *reconcile.Customer, _ *reconcile.Policy) { unbound(c) },
			"create_org:cus_1, " + made + ", rename_org:cus_1, invite_owner:cus_1:a@example.com"},
		{"its marker", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.MarkedOrgs = []reconcile.Org{{ID: "org-8", Deleted: true}, {ID: "org-9", ObservedAt: noon}}
		}, "link:cus_1:org-9, " + made},
		{"two with its marker", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.MarkedOrgs = []reconcile.Org{{ID: "org-8", ObservedAt: noon}, {ID: "org-9", ObservedAt: noon}}
		}, "hold duplicate"},
		{"two hostings with markers in it", func(c *reconcile.Customer, _ *reconcile.Policy) {
			hostings := append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
			unbound(c)
			c.Hostings, c.Subscriptions[0].Items[0].Quantity = hostings, 2
		}, "link:cus_1:org-1, link:sub_1/1:7:si_1, link:sub_1/2:8:si_1"},
		{"a hosting that we deleted in it", func(c *reconcile.Customer, _ *reconcile.Policy) {
			hostings := c.Hostings
			unbound(c)
			hostings[0].State, hostings[0].TerminatedByUs = reconcile.HostingDeleted, noon.Add(-time.Hour)
			c.Hostings = hostings
		}, "link:cus_1:org-1, create_subscription:sub_1/2:1"},
		{"a subscription that pays for nothing is bound to nothing", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Subscriptions[0].Status, c.Subscriptions[0].MetadataOrg = reconcile.StatusCanceled, "org-9"
		}, ""},
		{"the metadata", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Subscriptions[0].MetadataOrg = "org-9"
			another(c, "2", reconcile.StatusIncomplete, "price_basic").MetadataOrg = "org-9"
		}, "link:cus_1:org-9, " + made},
		{"two orgs in the metadata", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Subscriptions[0].MetadataOrg = "org-9"
			another(c, "2", reconcile.StatusIncomplete, "price_basic").MetadataOrg = "org-8"
		}, "hold conflict"},
	})
}

func TestANewOrgHasTheNameOfItsCustomer(t *testing.T) {
	for _, tc := range []struct{ name, email, want string }{
		{"Ada GmbH", "a@example.com", "Ada GmbH"}, {"", "a@example.com", "a@example.com"}, {"", "", "cus_1"},
	} {
		c := world(func(c *reconcile.Customer) {
			unbound(c)
			c.Name, c.Email = tc.name, tc.email
		})
		p := policy()
		p.Onboarding = reconcile.NoOnboarding
		if got := planner.Decide(&c, catalog(), p, noon).Actions[0].Name; got != tc.want {
			t.Errorf("%q %q: the org is called %q, want %q", tc.name, tc.email, got, tc.want)
		}
	}
}

// If the start of the grace period is not known, it begins now, and its end is named.
func TestTheEndOfTheGracePeriodIsNamed(t *testing.T) {
	c := world(func(c *reconcile.Customer) { c.Subscriptions[0].Status = reconcile.StatusPastDue })
	d := planner.Decide(&c, catalog(), policy(), noon)
	if diff := cmp.Diff("hold grace", summary(d)); diff != "" || !d.Next.Equal(noon.Add(72*time.Hour)) || !d.Holds[0].Until.Equal(d.Next) {
		t.Errorf("%s, next at %s", diff, d.Next)
	}
}

// An action has the ids and the plan of the hosting that it changes.
func TestAnActionNamesWhatItChanges(t *testing.T) {
	c := world(func(c *reconcile.Customer) { c.Subscriptions[0].Status = reconcile.StatusUnpaid })
	want := reconcile.Action{ID: "suspend:sub_1/1:7", Kind: reconcile.Suspend, Customer: "cus_1", Subscription: "sub_1", Item: "si_1", Slot: 1,
		Email: "a@example.com", Org: "org-1", Hosting: 7, Plan: 1, PlanName: "Basic", Reason: "sub_1 is unpaid"}
	if d := cmp.Diff([]reconcile.Action{want}, planner.Decide(&c, catalog(), policy(), noon).Actions); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Operators act on these sentences.
func TestSentencesNameTheReason(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"no items", func(c *reconcile.Customer) { c.Subscriptions[0].Items = nil }, "(it has no items)"},
		{"two prices", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items = []reconcile.Item{{ID: "si_2", Price: "price_a"}, {ID: "si_3", Price: "price_b"}}
		}, "(price_a, price_b)"},
		{"six prices", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items = nil
			for _, p := range []string{"a", "b", "c", "d", "e", "f"} {
				c.Subscriptions[0].Items = append(c.Subscriptions[0].Items, reconcile.Item{ID: "si_" + p, Price: p})
			}
		}, "(a, b, c, d, e and 1 more)"},
		{"less of an item", func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Quantity = 0 }, "item si_1 of sub_1 now has quantity 0"},
		{"an item that is gone", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0] = reconcile.Item{ID: "si_2", Price: "price_basic"}
		}, "item si_1 is no longer part of sub_1"},
		{"an item replaced by another", func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].ID = "si_2" }, "hosting 7 now serves item si_2 of sub_1"},
		{"a marker", func(c *reconcile.Customer) { c.Bindings = nil }, "hosting 7 carries our marker [sub_1/1]"},
		{"an end", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon
		}, "sub_1 is canceled since 2026-03-01 12:00 UTC"},
		{"a hold without a reason", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Subscription: "sub_1", Author: "ops"}}
		}, "suspend is withheld: no-suspend by ops until it is removed"},
		{"set aside", func(c *reconcile.Customer) { c.Parked, c.Failures, c.LastError = noon, 8, "refused" },
			"set aside at 2026-03-01 12:00 UTC after 8 failures in a row, the last: refused; tried again every few hours, or now with `stripe-enhance reconcile --subscription sub_1`"},
		{"set aside without a subscription", func(c *reconcile.Customer) {
			c.Parked, c.Failures, c.LastError, c.Subscriptions = noon, 8, "refused", nil
		}, "reconcile --subscription sub_…`"},
		{"backed off", func(c *reconcile.Customer) { c.RetryAfter, c.Failures, c.LastError = noon.Add(time.Hour), 2, "refused" },
			"failed 2 times in a row, the last: refused; tried again at 2026-03-01 13:00 UTC"},
		{"backed off for a side", func(c *reconcile.Customer) { c.RetryAfter, c.LastError = noon.Add(time.Hour), "down" },
			"one of the sides could not be used, which does not count against this customer: down; tried again at 2026-03-01 13:00 UTC"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(tc.change)
			d := planner.Decide(&c, catalog(), policy(), noon)
			var all []string
			for _, h := range d.Holds {
				all = append(all, h.Reason)
			}
			for _, a := range d.Actions {
				all = append(all, a.Reason)
			}
			if text := strings.Join(all, "\n"); !strings.Contains(text, tc.want) {
				t.Errorf("no sentence has %q:\n%s", tc.want, text)
			}
		})
	}
}

// When a hosting with a site takes the place of an empty one, the empty one is suspended.
// If a manual hold withholds the first half, the second is not done either, even if other
// actions of the customer come between the two.
func TestAnExchangeIsNotDoneByHalves(t *testing.T) {
	exchanged := func(change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon
			c.Hostings[0].Content = reconcile.Content{ReadAt: noon, Count: 1, Sites: []string{"a.example.com"}}
			for id, sub := range map[int64]string{8: "2", 9: "15"} {
				another(c, sub, reconcile.StatusActive, map[string]string{"2": "price_basic", "15": "price_pro"}[sub]).Created = noon.Add(-dayLong)
				c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_" + sub, Item: "si_" + sub, Slot: 1, Org: "org-1", Hosting: id, How: reconcile.BoundByCreate})
				h := upAt(id, 1, "Basic [sub_"+sub+"/1]")
				h.Content.ReadAt = noon
				c.Hostings = append(c.Hostings, h)
			}
			for i := range c.Hostings {
				if h := &c.Hostings[i]; h.ID == 9 {
					h.State, h.SuspendedByUs, h.Content = reconcile.HostingSuspended, noon, reconcile.Content{ReadAt: noon, Count: 1, Sites: []string{"b.example.com"}}
				}
			}
			change(c)
		}
	}
	check(t, []guarded{
		{"nothing withheld", exchanged(func(*reconcile.Customer) {}), "link:sub_2/2:7:si_2, resume:sub_15/1:9, change_plan:sub_15/1:9:1>2, suspend:sub_2/1:8"},
		{"the first half withheld", exchanged(func(c *reconcile.Customer) {
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.KeepSuspended, Subscription: "sub_1", Author: "ops"}}
		}), "resume:sub_15/1:9, change_plan:sub_15/1:9:1>2, hold manual, hold manual"},
	})
}
