package planner_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const dayLong = 24 * time.Hour

// guarded is a change of the usual world, and the decision. These cases exist because
// `make guards` could remove a guard of the planner and no test failed.
type guarded struct {
	name   string
	change func(c *reconcile.Customer, p *reconcile.Policy)
	want   string // as summaryWithNeeds writes it
}

// summaryWithNeeds is summary, followed by the needs.
func summaryWithNeeds(d planner.Decision) string {
	text := summary(d)
	for _, n := range d.Needs {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("read %d %s%s", n.Kind, n.Subscription, n.Org)
		if n.Hosting != 0 {
			text += fmt.Sprintf("/%d", n.Hosting)
		}
	}
	return text
}

func check(t *testing.T, cases []guarded) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p := policy()
			c := world(func(c *reconcile.Customer) { tc.change(c, &p) })
			if d := cmp.Diff(tc.want, summaryWithNeeds(planner.Decide(&c, catalog(), p, noon))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// another adds a subscription with one item.
func another(c *reconcile.Customer, id string, status reconcile.Status, price string) *reconcile.Subscription {
	c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_" + id, StripeCustomer: "cus_1", Status: status, StatusText: status.String(), ByID: true,
		Created: noon, DomainChecked: true, Items: []reconcile.Item{{ID: "si_" + id, Price: price, Quantity: 1}}})
	return &c.Subscriptions[len(c.Subscriptions)-1]
}

// unbound is a customer without an org or a hosting in the database.
func unbound(c *reconcile.Customer) {
	c.Org, c.OrgNamed, c.Invited, c.Bindings, c.Hostings = nil, false, time.Time{}, nil, nil
	c.Subscriptions[0].DomainChecked = true
}

// upAt is an active hosting in org-1, read just now.
func upAt(id int64, plan int, name string) reconcile.Hosting {
	return reconcile.Hosting{ID: id, Org: "org-1", Plan: plan, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: name}
}

// If staff suspended the org, a new hosting in it would get around that. If they deleted
// it, the hosting would be lost with it.
func TestNothingIsCreatedInAnOrgThatCannotBeUsed(t *testing.T) {
	check(t, []guarded{
		{"an org like any other", func(c *reconcile.Customer, _ *reconcile.Policy) { c.Subscriptions[0].Items[0].Quantity = 2 },
			"create_subscription:sub_1/2:1"},
		{"suspended", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Items[0].Quantity, c.Org.Suspended = 2, true
		}, "hold foreign_suspension"},
		{"deleted", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Items[0].Quantity, c.Org.Deleted = 2, true
		}, "hold deleted"},
	})
}

func TestWithoutAnAddressNobodyIsInvited(t *testing.T) {
	const made = "create_org:cus_1, create_subscription:sub_1/1:1, rename_org:cus_1"
	check(t, []guarded{
		{"a new customer", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Email = ""
		}, "hold no_email"},
		{"where we invite no owner", func(c *reconcile.Customer, p *reconcile.Policy) {
			unbound(c)
			c.Email, p.Onboarding = "", reconcile.NoOnboarding
		}, made},
		{"an org that has its owner", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Email, c.Org.OwnerEmail, c.Invited = "", "a@example.com", time.Time{}
			c.Subscriptions[0].Items[0].Quantity = 2
		}, "create_subscription:sub_1/2:1"},
		{"an org that waits for its owner", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Email, c.Invited = "", time.Time{}
		}, "hold no_email"},
		{"an org that waits for its name and its owner", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.OrgNamed, c.Invited = false, time.Time{}
		}, "rename_org:cus_1, invite_owner:cus_1:a@example.com"},
	})
}

func TestTheWebsiteIsMadeOnceAndOnTheFirstHosting(t *testing.T) {
	ordered := func(domain string, checked bool) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			unbound(c)
			p.CreateWebsites, c.Subscriptions[0].Domain, c.Subscriptions[0].DomainChecked = true, domain, checked
			c.Subscriptions[0].Items[0].Quantity = 2
		}
	}
	const created = "create_org:cus_1, create_subscription:sub_1/1:1, create_subscription:sub_1/2:1, rename_org:cus_1, invite_owner:cus_1:a@example.com"
	const site = ", create_website:sub_1/1:a.example.com"
	check(t, []guarded{
		{"with a domain", ordered("a.example.com", true), created + site},
		{"without one", ordered("", true), created},
		{"before the order was looked at", ordered("", false), created + ", read 4 sub_1"},
		{"where websites are not made", func(c *reconcile.Customer, p *reconcile.Policy) {
			ordered("a.example.com", true)(c, p)
			p.CreateWebsites = false
		}, created},
		{"on a hosting of ours that has none", func(c *reconcile.Customer, p *reconcile.Policy) {
			p.CreateWebsites, c.Subscriptions[0].Domain = true, "a.example.com"
		}, "create_website:sub_1/1:a.example.com"},
		{"on a hosting whose order was not looked at", func(_ *reconcile.Customer, p *reconcile.Policy) { p.CreateWebsites = true }, "read 4 sub_1"},
		{"on a hosting that was there before", func(c *reconcile.Customer, p *reconcile.Policy) {
			p.CreateWebsites, c.Subscriptions[0].Domain, c.Bindings[0].How = true, "a.example.com", reconcile.BoundByMetadata
		}, ""},
	})
}

func TestMetadataIsWrittenWhereNothingStandsYet(t *testing.T) {
	write := func(change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			p.WriteMetadata = true
			change(c)
		}
	}
	check(t, []guarded{
		{"nothing yet", write(func(*reconcile.Customer) {}), "write_metadata:sub_1:7"},
		{"the org stands there", write(func(c *reconcile.Customer) { c.Subscriptions[0].MetadataOrg = "org-1" }), ""},
		{"the hosting stands there", write(func(c *reconcile.Customer) { c.Subscriptions[0].MetadataHosting = 7 }), ""},
		{"a hosting that is not paid for is not named", write(func(c *reconcile.Customer) { c.Subscriptions[0].Status = reconcile.StatusUnpaid }), "suspend:sub_1/1:7"},
		{"a hosting that is bound in this run is named in the next", write(func(c *reconcile.Customer) { c.Bindings = nil }), "link:sub_1/1:7:si_1"},
		{"of each subscription its own", write(func(c *reconcile.Customer) {
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_2/1]"))
		}), "write_metadata:sub_1:7, write_metadata:sub_2:8"},
	})
}

// A hosting that two subscriptions share is deleted only if both ended long ago, on days
// that are known.
func TestAHostingOfSeveralIsJudgedByAllOfThem(t *testing.T) {
	shared := func(status reconcile.Status, ended time.Time) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			p.Retention = 30 * dayLong
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-90*dayLong)
			another(c, "2", status, "price_basic").EndedAt = ended
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByMetadata})
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-80*dayLong)
		}
	}
	check(t, []guarded{
		{"both have ended", shared(reconcile.StatusCanceled, noon.Add(-70*dayLong)), "terminate:sub_1/1:7"},
		{"one is unpaid and may be paid", shared(reconcile.StatusUnpaid, time.Time{}), ""},
		{"the day of one end is not known", shared(reconcile.StatusCanceled, time.Time{}), ""},
		{"one has ended lately", shared(reconcile.StatusCanceled, noon.Add(-10*dayLong)), ""},
		{"we suspended it lately", func(c *reconcile.Customer, p *reconcile.Policy) {
			shared(reconcile.StatusCanceled, noon.Add(-70*dayLong))(c, p)
			c.Hostings[0].SuspendedByUs = noon.Add(-10 * dayLong)
		}, ""},
		{"two live ones pay for different plans", func(c *reconcile.Customer, p *reconcile.Policy) {
			shared(reconcile.StatusActive, time.Time{})(c, p)
			c.Subscriptions[0].Status, c.Subscriptions[0].Items[0].Price = reconcile.StatusActive, "price_pro"
			c.Hostings[0].State = reconcile.HostingActive
		}, "hold conflict"},
	})
}

// Retention counts from the end or from our suspension, if that was later; the decision
// names the day when it is over.
func TestTheDayOfADeletionIsNamed(t *testing.T) {
	p := policy()
	p.Retention = 30 * dayLong
	c := world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-90*dayLong)
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-10*dayLong)
	})
	if next := planner.Decide(&c, catalog(), p, noon).Next; !next.Equal(noon.Add(20 * dayLong)) {
		t.Errorf("looked at again at %s, want in 20 days", next)
	}
}

func TestADowngradeThatFitsIsMade(t *testing.T) {
	uses := func(price string, used int64) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings[0].Plan, c.Subscriptions[0].Items[0].Price = 2, price
			c.Hostings[0].Usage = []reconcile.Usage{{Name: "websites", Used: used}}
		}
	}
	check(t, []guarded{
		{"all of it used", uses("price_basic", 1), "change_plan:sub_1/1:7:2>1"},
		{"one more than there will be", uses("price_basic", 2), "hold downgrade"},
		{"to a plan without a limit", uses("gold", 100), "change_plan:sub_1/1:7:2>3"},
		{"since when it is past_due is not known", func(c *reconcile.Customer, p *reconcile.Policy) {
			uses("price_basic", 1)(c, p)
			s := &c.Subscriptions[0]
			s.Status, s.ByID, s.StatusSince = reconcile.StatusPastDue, false, noon.Add(-time.Hour)
		}, "hold grace, hold grace, read 5 sub_1"},
	})
}

// If the panel does not list a plan, its limits are not known, so a change from it or to
// it may take something away.
func TestAPlanThatIsNotKnownIsTakenToBeSmaller(t *testing.T) {
	for _, tc := range []struct {
		from, to int
		takes    bool
	}{{1, 3, false}, {1, 2, false}, {2, 1, true}, {3, 1, true}, {99, 3, true}, {3, 99, true}, {99, 98, true}} {
		if got := catalog().Takes(reconcile.Action{Kind: reconcile.ChangePlan, FromPlan: tc.from, Plan: tc.to}); got != tc.takes {
			t.Errorf("from plan %d to plan %d takes something away: %v, want %v", tc.from, tc.to, got, tc.takes)
		}
	}
}

func TestAMappingIsFoundByPriceThenLookupKeyThenProduct(t *testing.T) {
	cat := planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_1", Plan: "1"}, {BillingID: "key_1", Plan: "2"}, {BillingID: "prod_1", Plan: "3"}, {BillingID: "price_none", Plan: "8"}},
		[]reconcile.EnhancePlan{{ID: 1}, {ID: 2}, {ID: 3}})
	for _, tc := range []struct {
		item reconcile.Item
		want int // 0: none
		why  string
	}{
		{reconcile.Item{Price: "price_1", LookupKey: "key_1", Product: "prod_1"}, 1, ""},
		{reconcile.Item{Price: "price_2", LookupKey: "key_1", Product: "prod_1"}, 2, ""},
		{reconcile.Item{Price: "price_2", LookupKey: "key_2", Product: "prod_1"}, 3, ""},
		{reconcile.Item{Price: "price_2", LookupKey: "key_2", Product: "prod_2"}, 0, "no mapping for price price_2"},
		{reconcile.Item{Price: "price_none"}, 0, `the mapping of price_none names the plan "8", which the panel does not have: create it there, or run ` + "`stripe-enhance mappings set price_none PLAN`"},
	} {
		plan, why, ok := cat.PlanFor(tc.item)
		if plan.ID != tc.want || why != tc.why || ok != (tc.want != 0) {
			t.Errorf("%+v buys plan %d (%v, %q), want %d (%q)", tc.item, plan.ID, ok, why, tc.want, tc.why)
		}
	}
	if all := cat.Problems(); len(all) != 1 || all[0] != `the mapping of price_none names the plan "8", which the panel does not have: create it there, or run `+"`stripe-enhance mappings set price_none PLAN`" {
		t.Errorf("problems of the catalog: %q", all)
	}
}

// A hosting is changed only if it was read within ten minutes, or within FRESH.
func TestAChangeRestsOnAFreshReading(t *testing.T) {
	unpaid := func(age, fresh time.Duration) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Hostings[0].ObservedAt, p.FreshFor = reconcile.StatusUnpaid, noon.Add(-age), fresh
		}
	}
	const suspend = "suspend:sub_1/1:7"
	check(t, []guarded{
		{"ten minutes old", unpaid(10*time.Minute, 0), suspend},
		{"older", unpaid(10*time.Minute+1, 0), suspend + ", read 1 org-1/7"},
		{"as old as it may be", unpaid(time.Minute, time.Minute), suspend},
		{"older than it may be", unpaid(time.Minute+1, time.Minute), suspend + ", read 1 org-1/7"},
	})
}

// While a lost create is looked for, actions on existing hostings do not wait.
func TestAPendingCreateHoldsNothingThatExists(t *testing.T) {
	pending := func(kind reconcile.ActionKind) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
			c.Pending = []reconcile.Pending{{ActionID: "it", Kind: kind, Subscription: "sub_1", Slot: 1, SentAt: noon, SettleUntil: noon.Add(time.Minute)}}
		}
	}
	check(t, []guarded{
		{"a create", pending(reconcile.CreateSubscription), "resume:sub_1/1:7"},
		{"a suspension", pending(reconcile.Suspend), "hold ambiguous"},
		{"a new name of the org", func(c *reconcile.Customer, p *reconcile.Policy) {
			pending(reconcile.RenameOrg)(c, p)
			c.Pending[0].Subscription, c.Pending[0].Slot, c.OrgNamed = "", 0, false
		}, "resume:sub_1/1:7, hold ambiguous"},
		{"an invitation", func(c *reconcile.Customer, p *reconcile.Policy) {
			pending(reconcile.InviteOwner)(c, p)
			c.Pending[0].Subscription, c.Pending[0].Slot, c.Invited = "", 0, time.Time{}
		}, "resume:sub_1/1:7, hold ambiguous"},
	})
}

// If an operator put "ignore" on a customer, there is one hold, not one for each action
// withheld, and nothing is read.
func TestAnIgnoredCustomerIsLeftAlone(t *testing.T) {
	until := noon.Add(time.Hour)
	c := world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Status, c.Hostings[0].ObservedAt = reconcile.StatusUnpaid, time.Time{}
		another(c, "2", reconcile.StatusUnknown, "price_other")
		c.Manual = []reconcile.ManualHold{{Kind: reconcile.Ignore, Customer: "cus_1", Author: "ops", Reason: "a friend", Until: until}}
	})
	want := planner.Decision{Next: until, Holds: []reconcile.Hold{{Kind: reconcile.HoldManual, Customer: "cus_1", Email: "a@example.com", Org: "org-1", Until: until, Manual: reconcile.Ignore,
		Reason: "nothing is done for this customer: ignore by ops until 2026-03-01 13:00 UTC (a friend)"}},
		Forecast: []reconcile.ForecastEntry{{At: until, Kind: reconcile.ForecastHoldEnd, Customer: "cus_1", Email: "a@example.com", Org: "org-1",
			Reason: "the hold ignore by ops ends (a friend): the next run makes the changes that it withholds and that are still due"}}}
	if d := cmp.Diff(want, planner.Decide(&c, catalog(), policy(), noon)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	c.Manual[0].Until = noon
	if got := planner.Decide(&c, catalog(), policy(), noon); len(got.Needs) == 0 {
		t.Errorf("when it has run out: %s", summary(got))
	}
}

// A manual hold on a subscription covers every hosting that serves it or was made for it,
// by a binding, a marker or the metadata.
func TestAHoldStandsForEveryHostingOfItsSubscription(t *testing.T) {
	of := func(kind reconcile.ManualKind, sub string, change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status = reconcile.StatusCanceled
			another(c, "2", reconcile.StatusUnpaid, "price_basic")
			c.Bindings[0].Subscription, c.Bindings[0].Item, c.Hostings[0].FriendlyName = "sub_2", "si_2", "Basic"
			c.Manual = []reconcile.ManualHold{{Kind: kind, Subscription: sub, Author: "ops"}}
			change(c)
		}
	}
	check(t, []guarded{
		{"of another subscription", of(reconcile.NoSuspend, "sub_1", func(*reconcile.Customer) {}), "suspend:sub_2/1:7"},
		{"by the marker", of(reconcile.NoSuspend, "sub_1", func(c *reconcile.Customer) { c.Hostings[0].FriendlyName = "Basic [sub_1/1]" }), "hold manual"},
		{"by a binding beside", of(reconcile.NoSuspend, "sub_2", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "org-1", Hosting: 7})
		}), "hold manual"},
		{"by the hosting it had before another took that over", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			c.Hostings[0].FriendlyName, c.Hostings[0].State, c.Hostings[0].SuspendedByUs = "Basic", reconcile.HostingSuspended, noon
			another(c, "2", reconcile.StatusActive, "price_pro")
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.KeepSuspended, Subscription: "sub_1", Author: "ops"}}
		}, "hold manual, hold manual, hold manual"},
		{"by a binding of this decision", of(reconcile.KeepSuspended, "sub_2", func(c *reconcile.Customer) {
			c.Bindings = nil
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
			for i := range c.Subscriptions {
				s := &c.Subscriptions[i]
				s.Status, s.MetadataOrg, s.MetadataHosting = reconcile.StatusActive, "org-1", 7
			}
		}), "link:sub_1/1:7:si_1, link:sub_2/1:7:si_2, hold manual"},
	})
}

func TestABrakeHoldsNothingWhereNothingIsPlanned(t *testing.T) {
	b := planner.Brakes{Suspend: planner.Limit{Count: 2}}
	for _, tc := range []struct {
		planned, performed int
		held               bool
	}{{0, 100, false}, {1, 4, false}, {1, 5, true}, {2, 0, false}, {3, 0, true}} {
		if reason, held := b.Holds(planner.BrakeLoad{Kind: reconcile.Suspend, Planned: tc.planned, Performed: tc.performed, Bound: 10}); held != tc.held || (reason != "") != held {
			t.Errorf("%d planned and %d done: held %v (%q), want %v", tc.planned, tc.performed, held, reason, tc.held)
		}
	}
}

// Withhold keeps an action unless it takes something away.
func TestWithholdingKeepsWhatGives(t *testing.T) {
	d := planner.Withhold(planner.Decision{Actions: []reconcile.Action{
		{ID: "resume", Kind: reconcile.Resume}, {ID: "up", Kind: reconcile.ChangePlan, FromPlan: 1, Plan: 2}, {ID: "down", Kind: reconcile.ChangePlan, FromPlan: 2, Plan: 1, Hosting: 7, Reason: "cheaper"},
		{ID: "suspend", Kind: reconcile.Suspend, Hosting: 8, Customer: "cus_1", Subscription: "sub_1", Reason: "unpaid"}, {ID: "create", Kind: reconcile.CreateSubscription}}},
		catalog(), reconcile.HoldEvidence, "the clock is wrong")
	var kept []string
	for _, a := range d.Actions {
		kept = append(kept, a.ID)
	}
	if diff := cmp.Diff([]string{"resume", "up", "create"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	want := reconcile.Hold{Kind: reconcile.HoldEvidence, Customer: "cus_1", Subscription: "sub_1", Hosting: 8, ActionID: "suspend",
		Reason: "suspend of hosting 8 is withheld (unpaid): the clock is wrong"}
	if len(d.Holds) != 2 || !slices.Contains(d.Holds, want) {
		t.Errorf("holds: %+v", d.Holds)
	}
}
