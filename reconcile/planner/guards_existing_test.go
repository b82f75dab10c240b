package planner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// alike is an unbound hosting in a customer's own org.
func alike(hosting int64) reconcile.Lookalike {
	return reconcile.Lookalike{Org: "org-1", OrgName: "Ada", Hosting: hosting, Plan: 2, Why: reconcile.LikeOrg, ObservedAt: noon}
}

// If the panel may have a hosting for an order already, the order waits for an operator.
func TestAnOrderWaitsForWhatMayBeIts(t *testing.T) {
	order := func(change func(c *reconcile.Customer, p *reconcile.Policy)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			c.Bindings, c.Hostings, c.Unbound = nil, nil, true
			c.Subscriptions[0].DomainChecked, c.Subscriptions[0].Created = true, noon.Add(-dayLong)
			change(c, p)
		}
	}
	const made = "create_subscription:sub_1/1:1"
	check(t, []guarded{
		{"nothing like it", order(func(*reconcile.Customer, *reconcile.Policy) {}), made},
		{"one like it", order(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Lookalikes = []reconcile.Lookalike{alike(9)} }), "hold adopt"},
		{"one like it, and an operator called the order new", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Lookalikes, c.Subscriptions[0].IsNewOrder = []reconcile.Lookalike{alike(9)}, true
		}), made},
		{"one that another order looks like", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Lookalikes = []reconcile.Lookalike{alike(9)}
			c.Lookalikes[0].Subscription = "sub_2"
		}), made},
		{"one that is bound in this run", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings, c.Lookalikes = []reconcile.Hosting{upAt(9, 1, "Basic [sub_1/2]")}, []reconcile.Lookalike{alike(9)}
			c.Subscriptions[0].Items[0].Quantity = 2
		}), "link:sub_1/2:9:si_1, create_subscription:sub_1/1:1"},
		{"one that was read a minute ago", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Lookalikes = []reconcile.Lookalike{alike(9)}
			c.Lookalikes[0].ObservedAt = noon.Add(-time.Minute)
		}), "hold adopt"},
		{"one that was read longer ago", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Lookalikes = []reconcile.Lookalike{alike(9)}
			c.Lookalikes[0].ObservedAt = noon.Add(-time.Minute - 1)
		}), "hold adopt, read 1 org-1/9"},
		{"a panel in use, before it is decided which orders are new", order(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Undecided = true }), "hold adopt"},
		{"the same on a panel without unbound hostings", order(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Undecided, c.Unbound = true, false }), made},
		{"an order from before that day", order(func(_ *reconcile.Customer, p *reconcile.Policy) { p.NewAfter = noon }), "hold adopt"},
		{"an order of that day", order(func(c *reconcile.Customer, p *reconcile.Policy) {
			p.NewAfter, c.Undecided = c.Subscriptions[0].Created, true
		}), made},
		{"one more unit beside a bound one", func(c *reconcile.Customer, p *reconcile.Policy) {
			c.Unbound, p.NewAfter, c.Subscriptions[0].Items[0].Quantity, c.Subscriptions[0].DomainChecked = true, noon, 2, true
		}, "create_subscription:sub_1/2:1"},
		{"the same before it is decided which orders are new", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Unbound, c.Undecided, c.Subscriptions[0].Items[0].Quantity, c.Subscriptions[0].DomainChecked = true, true, 2, true
		}, "create_subscription:sub_1/2:1"},
		{"the same beside one that is bound by its marker in this run", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings, c.Undecided, c.Subscriptions[0].Items[0].Quantity = []reconcile.Hosting{upAt(9, 1, "Basic [sub_1/1]")}, true, 2
		}), "link:sub_1/1:9:si_1, create_subscription:sub_1/2:1"},
		{"before its domain is known", order(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Subscriptions[0].DomainChecked = false }), made + ", read 4 sub_1"},
		{"before it is known where its domain is", order(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Subscriptions[0].Domain = "a.example.com" }), made + ", read 6 sub_1"},
		{"when that was read within the hour", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Domain, c.Subscriptions[0].SiteReadAt = "a.example.com", noon.Add(-time.Hour)
		}), made},
		{"the org in the metadata is not bound before it is decided", order(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Org, c.OrgNamed, c.Invited, c.Subscriptions[0].MetadataOrg, c.Undecided = nil, false, time.Time{}, "org-9", true
		}), "hold adopt"},
	})
}

// The sentence names the order, the hosting that looks most like it, and the reason. It
// has both commands, because the operator needs one of them.
func TestAnOrderThatWaitsNamesTheLikeliestHosting(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"of several the likeliest", func(c *reconcile.Customer) {
			owner, name, again := alike(9), alike(4), alike(9)
			owner.Why, name.Why, again.Why = reconcile.LikeName, reconcile.LikeName, reconcile.LikeOwner
			c.Lookalikes = []reconcile.Lookalike{owner, name, again}
		}, `sub_1 of cus_1 (a@example.com) may be what hosting 9 (and 1 more that look like it) is for, on plan "Pro" in org org-1 ("Ada"), to which no subscription is bound: the owner of this org has the customer's e-mail. ` +
			"If it is: `stripe-enhance customers bind sub_1 9 --reason 'it is its hosting'`; if the order is new: `stripe-enhance customers bind sub_1 new --reason 'the order is new'`"},
		{"on a plan that is no longer sold, for a buyer without an address", func(c *reconcile.Customer) {
			c.Email, c.Org.OwnerEmail, c.Subscriptions[0].StripeCustomer = "", "a@example.com", ""
			c.Lookalikes = []reconcile.Lookalike{alike(9)}
			c.Lookalikes[0].Plan = 55
		}, `sub_1 of cus_1 may be what hosting 9 is for, on plan "55" in org org-1 ("Ada"), to which no subscription is bound: that is this customer's own org. ` +
			"If it is: `stripe-enhance customers bind sub_1 9 --reason 'it is its hosting'`; if the order is new: `stripe-enhance customers bind sub_1 new --reason 'the order is new'`"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				c.Bindings, c.Hostings = nil, nil
				tc.change(c)
			})
			d := planner.Decide(&c, catalog(), policy(), noon)
			if len(d.Holds) != 1 {
				t.Fatalf("holds: %+v", d.Holds)
			}
			if diff := cmp.Diff(tc.want, d.Holds[0].Reason); diff != "" || !d.Next.Equal(noon.Add(time.Hour)) {
				t.Errorf("next at %s (-want +got):\n%s", d.Next, diff)
			}
		})
	}
}

func TestNamesAndDomainsAreComparedInOneForm(t *testing.T) {
	for _, same := range [][]string{{"Ada GmbH", " ada\tgmbh ", "ADA GMBH"}, {"a@Example.com", "A@example.com"}} {
		for _, name := range same {
			if reconcile.NameKey(name) != reconcile.NameKey(same[0]) {
				t.Errorf("%q is another name than %q", name, same[0])
			}
		}
	}
	for _, domain := range []string{"ada.example", "WWW.ada.example.", " ada.example "} {
		if got := reconcile.DomainKey(domain); got != "ada.example" {
			t.Errorf("%q is compared as %q", domain, got)
		}
	}
}

// Markers of another installation are ignored. A marker without an INSTANCE is ours,
// because it may have been written before INSTANCE was set.
func TestMarkersOfAnotherInstallationAreNotOurs(t *testing.T) {
	shop := reconcile.Marker{StripeID: "sub_1", Slot: 2, Instance: "shop"}
	if text := shop.String(); text != "[sub_1/2@shop]" {
		t.Errorf("written as %s", text)
	}
	for _, name := range []string{"Pro [sub_1/2@]", "Pro [sub_1/2@Shop]", "Pro [sub_1/2@a b]", "Pro [sub_1/2@0123456789abcdefg]"} {
		if m, ok := reconcile.MarkerOf(name); ok {
			t.Errorf("%s carries %+v", name, m)
		}
	}
	none := reconcile.Marker{StripeID: "sub_1", Slot: 2}
	for _, tc := range []struct {
		m        reconcile.Marker
		instance string
		want     reconcile.Marker
	}{{shop, "shop", none}, {shop, "club", reconcile.Marker{}}, {shop, "", reconcile.Marker{}}, {none, "shop", none}, {none, "", none}} {
		if got := tc.m.Of(tc.instance); got != tc.want {
			t.Errorf("%s is %+v to %q, want %+v", tc.m, got, tc.instance, tc.want)
		}
	}
}

// If two hostings were made for one unit, the hold names both, and the command if one of
// them is bound.
func TestWhatWasMadeTwiceIsNamedWithBothIDs(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer, p *reconcile.Policy)
		want   []string // the beginnings of the sentences
	}{
		{"none is bound", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings = nil
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/1]"))
		}, []string{"hosting 7 in org org-1 carries the marker [sub_1/1] of hosting 8 too:", "hosting 8 in org org-1 carries the marker [sub_1/1] of hosting 7 too:"}},
		{"one is bound", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/1]"))
		}, []string{"hosting 8 in org org-1 carries the marker [sub_1/1] of hosting 7, to which sub_1 is bound: two were made for one unit. Delete the one that is not used in the panel; where hosting 8 is the one that is used, run `stripe-enhance customers bind sub_1 8 --reason 'it is its hosting'` before that."}},
		{"one is bound, and we deleted it at the end of its retention period", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings[0].State, c.Hostings[0].TerminatedByUs = reconcile.HostingDeleted, noon.Add(-dayLong)
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/1]"))
		}, []string{"hosting 8 in org org-1 carries the marker [sub_1/1] of hosting 7, to which sub_1 is bound: two were made for one unit."}},
		{"one was taken over by another subscription", func(c *reconcile.Customer, _ *reconcile.Policy) {
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Subscriptions[0].Status = reconcile.StatusCanceled
			c.Bindings[0].Subscription, c.Bindings[0].Item = "sub_2", "si_2"
			c.Hostings = append(c.Hostings, upAt(5, 1, "Basic [sub_1/1]"), upAt(8, 1, "Basic [sub_1/1]"))
			c.Hostings[1].State = reconcile.HostingDeleted
		}, []string{"hosting 8 in org org-1 carries the marker [sub_1/1] of hosting 7, to which sub_2 is bound:"}},
		{"a second org", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-1", Name: "Ada [cus_1]", ObservedAt: noon}, {ID: "org-8", Name: "Ada [cus_1]", ObservedAt: noon, Deleted: true},
				{ID: "org-7", Name: "Ada [cus_1@shop]", ObservedAt: noon}, {ID: "org-9", Name: "Ada [cus_1]", ObservedAt: noon}}
		}, []string{`org org-9 ("Ada [cus_1]") carries this customer's marker, and the customer's org is org-1: two were made.`}},
		{"a second org while another is being made", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-9", Name: "Ada [cus_1]", ObservedAt: noon}}
			c.Pending = []reconcile.Pending{{ActionID: "create_org:cus_1", Kind: reconcile.CreateOrg, SentAt: noon, SettleUntil: noon.Add(time.Minute)}}
		}, []string{"create_org was sent at 2026-03-01 12:00 UTC and never answered:"}},
		{"a second org with the INSTANCE of this installation", func(c *reconcile.Customer, p *reconcile.Policy) {
			p.Instance = "shop"
			c.MarkedOrgs = []reconcile.Org{{ID: "org-9", Name: "Ada [cus_1@shop]", ObservedAt: noon}}
		}, []string{`org org-9 ("Ada [cus_1@shop]") carries this customer's marker`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy()
			c := world(func(c *reconcile.Customer) { tc.change(c, &p) })
			d := planner.Decide(&c, catalog(), p, noon)
			ok := len(d.Holds) == len(tc.want)
			for i := range d.Holds {
				ok = ok && strings.HasPrefix(d.Holds[i].Reason, tc.want[i])
			}
			if !ok {
				t.Errorf("holds %+v, want %q", d.Holds, tc.want)
			}
			for _, a := range d.Actions {
				t.Errorf("action: %s", a.ID)
			}
		})
	}
}

// While another installation seems to make hostings too, nothing is created; other
// actions are still done.
func TestWithholdingCreatesKeepsTheRest(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Items[0].Quantity, c.Subscriptions[0].Domain = 2, "a.example.com"
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
	})
	p := policy()
	p.CreateWebsites = true
	d := planner.WithholdCreates(planner.Decide(&c, catalog(), p, noon), "another installation is at work")
	if diff := cmp.Diff("resume:sub_1/1:7, create_website:sub_1/1:a.example.com, hold duplicate", summary(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := reconcile.Hold{Kind: reconcile.HoldDuplicate, Customer: "cus_1", Subscription: "sub_1", Email: "a@example.com", Org: "org-1", ActionID: "create_subscription:sub_1/2:1",
		Reason: `create_subscription is withheld (sub_1 is active and is for plan "Basic" (1), and there is no hosting for it): another installation is at work`}
	if !slices.Contains(d.Holds, want) {
		t.Errorf("holds: %+v", d.Holds)
	}
	unboundYet := world(unbound)
	d = planner.WithholdCreates(planner.Decide(&unboundYet, catalog(), p, noon), "another installation is at work")
	if diff := cmp.Diff("hold duplicate", summary(d)); diff != "" {
		t.Errorf("a new customer (-want +got):\n%s", diff)
	}
}

// Owners are read by the org's id before the planner relies on them, and again if they
// were read long ago.
func TestOwnersAreReadBeforeAnOrgIsShared(t *testing.T) {
	owned := func(owners, hostings time.Time) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.OwnedOrgs = []reconcile.Org{{ID: "org-2", Owners: []string{"a@example.com"}, OwnersRead: owners, HostingsRead: hostings}}
		}
	}
	kin := func(owners time.Time) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Kin = []reconcile.Kin{{ID: "cus_2", Org: reconcile.Org{ID: "org-2", Owners: []string{"a@example.com"}, OwnersRead: owners}}}
		}
	}
	const shared = "link:cus_1:org-2, create_subscription:sub_1/1:1"
	needs := needsOf(t)
	for _, tc := range []struct {
		name   string
		change func(*reconcile.Customer, *reconcile.Policy)
		want   string
	}{
		{"an org that was there, read lately", owned(noon.Add(-10*time.Minute), noon), shared},
		{"an org that was there, read long ago", owned(noon.Add(-time.Hour), noon), shared + ", owners org-2"},
		{"an org that was there, whose hostings were never read", owned(noon, time.Time{}), shared + ", hostings org-2"},
		{"the org of the same e-mail, read lately", kin(noon), shared},
		{"the org of the same e-mail, read long ago", kin(noon.Add(-time.Hour)), shared + ", owners org-2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := needs(tc.change); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
	for name, change := range map[string]func(*reconcile.Customer, *reconcile.Policy){"an org that was there": owned(time.Time{}, noon), "the org of the same e-mail": kin(time.Time{})} {
		if got := needs(change); strings.Contains(got, "org-2,") || !strings.HasSuffix(got, "owners org-2") {
			t.Errorf("%s, whose owners were never read: %s", name, got)
		}
	}
}

// needsOf is summary, followed by the orgs whose owners or hostings have to be read.
func needsOf(t *testing.T) func(func(*reconcile.Customer, *reconcile.Policy)) string {
	t.Helper()
	return func(change func(*reconcile.Customer, *reconcile.Policy)) string {
		p := policy()
		c := world(func(c *reconcile.Customer) { change(c, &p) })
		d := planner.Decide(&c, catalog(), p, noon)
		parts := []string{summary(d)}
		for _, n := range d.Needs {
			switch n.Kind {
			case planner.NeedOwners:
				parts = append(parts, "owners "+n.Org)
			case planner.NeedOrgHostings:
				parts = append(parts, "hostings "+n.Org)
			default:
				t.Errorf("unexpected need: %+v", n)
			}
		}
		return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
	}
}

// An owner is not invited to an org if another customer has a hosting in it.
func TestNobodyIsInvitedToWhatOthersHave(t *testing.T) {
	beside := func(change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Invited = time.Time{}
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_9/1]"))
			change(c)
		}
	}
	kin := func(changed time.Time) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Kin = []reconcile.Kin{{ID: "cus_9", EmailChanged: changed, Guest: true, Hostings: []reconcile.KinHosting{{Subscription: "sub_9", Hosting: 8}}}}
		}
	}
	const invited = "invite_owner:cus_1:a@example.com"
	check(t, []guarded{
		{"a stranger's", beside(func(*reconcile.Customer) {}), "hold conflict"},
		{"a stranger's, which was deleted", beside(func(c *reconcile.Customer) { c.Hostings[1].State = reconcile.HostingDeleted }), invited},
		{"a stranger's elsewhere", beside(func(c *reconcile.Customer) { c.Hostings[1].Org = "org-2" }), invited},
		{"one by hand", beside(func(c *reconcile.Customer) { c.Hostings[1].FriendlyName = "by hand" }), invited},
		{"of a customer with the same e-mail", beside(kin(time.Time{})), invited},
		{"a customer who has changed to the same e-mail", beside(kin(noon)), "hold conflict"},
	})
}

// The reason of a create names an ended hosting if another customer of the same e-mail
// had it, because this customer may be back for it.
func TestACreateNamesWhoMayBeBack(t *testing.T) {
	for _, tc := range []struct {
		name string
		kin  reconcile.KinHosting
		want bool
	}{
		{"ended", reconcile.KinHosting{Subscription: "sub_9", Ended: true, Hosting: 8, State: reconcile.HostingSuspended}, true},
		{"going on", reconcile.KinHosting{Subscription: "sub_9", Hosting: 8, State: reconcile.HostingSuspended}, false},
		{"deleted", reconcile.KinHosting{Subscription: "sub_9", Ended: true, Hosting: 8, State: reconcile.HostingDeleted}, false},
		{"this customer's by now", reconcile.KinHosting{Subscription: "sub_9", Ended: true, Hosting: 7, State: reconcile.HostingActive}, false},
	} {
		c := world(func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Quantity = 2
			c.Kin = []reconcile.Kin{{ID: "cus_9", Hostings: []reconcile.KinHosting{tc.kin}}}
		})
		d := planner.Decide(&c, catalog(), policy(), noon)
		if len(d.Actions) != 1 {
			t.Fatalf("%s: %s", tc.name, summary(d))
		}
		named := strings.HasSuffix(d.Actions[0].Reason, "; cus_9, with the same e-mail, had hosting 8 for sub_9, which has ended: if this customer is back for it, run `stripe-enhance customers bind sub_1 8 --reason 'it is its hosting'`")
		if named != tc.want {
			t.Errorf("%s: named %v: %s", tc.name, named, d.Actions[0].Reason)
		}
	}
}

// When an item has too many hostings, the one that an operator has named stays, then one
// that is up, then one that we can resume.
func TestWhichOfAnItemsHostingsStays(t *testing.T) {
	two := func(change func(c *reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
			for i := range c.Hostings {
				c.Hostings[i].Content.ReadAt = noon
			}
			change(c)
		}
	}
	suspended := func(i int, by time.Time) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Hostings[i].State, c.Hostings[i].SuspendedByUs = reconcile.HostingSuspended, by
		}
	}
	check(t, []guarded{
		{"of equals the lower slot", two(func(*reconcile.Customer) {}), "suspend:sub_1/2:8"},
		{"the one that is up", two(suspended(0, noon)), ""},
		{"the one that an operator has named", two(func(c *reconcile.Customer) {
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 8
		}), "suspend:sub_1/1:7"},
		{"one that we wrote ourselves does not count", two(func(c *reconcile.Customer) {
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting, c.Subscriptions[0].MetadataWritten = "org-1", 8, 8
		}), "suspend:sub_1/2:8"},
		{"one that we suspended before one that staff suspended", two(func(c *reconcile.Customer) {
			suspended(0, time.Time{})(c)
			suspended(1, noon)(c)
		}), "resume:sub_1/2:8"},
	})
}
