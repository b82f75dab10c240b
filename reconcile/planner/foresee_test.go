package planner_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A dry run does one action after another in thought, and comes to an end: what was done is
// not done again, and what could only come after it is shown.
func TestADryRunGoesOnFromWhatItDid(t *testing.T) {
	ended := func(c *reconcile.Customer) {
		c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-90*dayLong)
	}
	marked := reconcile.Org{ID: "org-9", Name: "Ada [cus_1]", ObservedAt: noon}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer, p *reconcile.Policy)
		want   string
	}{
		{"a new customer with a domain", func(c *reconcile.Customer, p *reconcile.Policy) {
			unbound(c)
			p.CreateWebsites, p.WriteMetadata, c.Subscriptions[0].Domain = true, true, "a.example.com"
		}, "create_org:cus_1, create_subscription:sub_1/1:1, rename_org:cus_1, invite_owner:cus_1:a@example.com, create_website:sub_1/1:a.example.com, write_metadata:sub_1:-1"},
		{"an order of three", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Subscriptions[0].Items[0].Quantity = 3
		}, "create_org:cus_1, create_subscription:sub_1/1:1, create_subscription:sub_1/2:1, create_subscription:sub_1/3:1, rename_org:cus_1, invite_owner:cus_1:a@example.com"},
		{"the org carries the marker", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.MarkedOrgs = []reconcile.Org{marked}
		}, "link:cus_1:org-9, create_subscription:sub_1/1:1, rename_org:cus_1, invite_owner:cus_1:a@example.com"},
		{"the org was there, and its owner has the e-mail", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.OwnedOrgs = []reconcile.Org{{ID: "org-9", Name: "Ada", OwnerEmail: "a@example.com", Owners: []string{"a@example.com"}, ObservedAt: noon, OwnersRead: noon, HostingsRead: noon}}
		}, "link:cus_1:org-9, create_subscription:sub_1/1:1"},
		{"a guest in the org of the same e-mail", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Kin = []reconcile.Kin{{ID: "cus_2", Org: reconcile.Org{ID: "org-2", Name: "Ada [cus_2]", Owners: []string{"a@example.com"}, OwnersRead: noon}}}
		}, "link:cus_1:org-2, create_subscription:sub_1/1:1"},
		{"the hosting carries the marker", func(c *reconcile.Customer, _ *reconcile.Policy) {
			hostings := c.Hostings
			unbound(c)
			c.Hostings = hostings
		}, "link:cus_1:org-1, link:sub_1/1:7:si_1, invite_owner:cus_1:a@example.com"},
		{"paid again, for a larger plan", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs, c.Subscriptions[0].Items[0].Price = reconcile.HostingSuspended, noon.Add(-dayLong), "price_pro"
		}, "resume:sub_1/1:7, change_plan:sub_1/1:7:1>2"},
		{"the retention period is over", func(c *reconcile.Customer, p *reconcile.Policy) {
			ended(c)
			p.Retention, c.Hostings[0].State, c.Hostings[0].SuspendedByUs = 30*dayLong, reconcile.HostingSuspended, noon.Add(-80*dayLong)
		}, "terminate:sub_1/1:7"},
		{"of two hostings only the one that is not paid for goes", func(c *reconcile.Customer, _ *reconcile.Policy) {
			ended(c)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_2/1]"))
			another(c, "2", reconcile.StatusActive, "price_basic")
		}, "suspend:sub_1/1:7"},
		{"a customer who is back: the ended one has nothing any more", func(c *reconcile.Customer, _ *reconcile.Policy) {
			ended(c)
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-80*dayLong)
			another(c, "2", reconcile.StatusActive, "price_basic")
		}, "link:sub_2/1:7:si_2, resume:sub_2/1:7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy()
			c := world(func(c *reconcile.Customer) { tc.change(c, &p) })
			if diff := cmp.Diff(tc.want, strings.Join(inThought(t, &c, p), ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// inThought decides, does the first action in thought, and so on until none is left.
func inThought(t *testing.T, c *reconcile.Customer, p reconcile.Policy) (done []string) {
	t.Helper()
	for range 20 {
		d := planner.Decide(c, catalog(), p, noon)
		if len(d.Holds) > 0 {
			t.Errorf("after %v: %s", done, summary(d))
		}
		if len(d.Actions) == 0 {
			return done
		}
		done = append(done, d.Actions[0].ID)
		before := *c
		next := planner.After(c, d.Actions[0], noon)
		if !reflect.DeepEqual(before, *c) {
			t.Errorf("%s changed the customer that it was given", d.Actions[0].ID)
		}
		c = next
	}
	t.Errorf("it does not come to an end: %v", done)
	return done
}

// Two orders of one domain: the panel lets one website have it. So a decision gives it to
// one, and once that is made in thought, the other one is held as in a run.
func TestOneWebsiteHasADomain(t *testing.T) {
	p := policy()
	p.CreateWebsites = true
	ordered := func(c *reconcile.Customer) {
		c.Subscriptions[0].Domain, c.Subscriptions[0].DomainChecked = "a.example.com", true
		another(c, "2", reconcile.StatusActive, "price_basic").Domain = "WWW.a.example.com"
	}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"both hostings are to be made", func(c *reconcile.Customer) {
			ordered(c)
			unbound(c)
		}, "create_org:cus_1, create_subscription:sub_1/1:1, create_subscription:sub_2/1:1, rename_org:cus_1, invite_owner:cus_1:a@example.com, create_website:sub_1/1:a.example.com"},
		{"one is there", ordered, "create_subscription:sub_2/1:1, create_website:sub_1/1:a.example.com"},
		{"both are there", func(c *reconcile.Customer) {
			ordered(c)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_2/1]"))
		}, "create_website:sub_1/1:a.example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(tc.change)
			after, d := &c, planner.Decide(&c, catalog(), p, noon)
			if diff := cmp.Diff(tc.want, summary(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for range 10 {
				if d = planner.Decide(after, catalog(), p, noon); len(d.Actions) == 0 {
					break
				}
				after = planner.After(after, d.Actions[0], noon)
			}
			if diff := cmp.Diff("hold domain_taken", summary(d)); diff != "" {
				t.Errorf("in the end (-want +got):\n%s", diff)
			}
		})
	}
}

// What later decisions do not depend on is foreseen as well, because people read it in what
// a dry run prints.
func TestWhatWasDoneInThoughtIsAsItWillBe(t *testing.T) {
	was := world(func(c *reconcile.Customer) {
		c.Org.Name = "Ada [cus_1]"
		c.Hostings = append(c.Hostings, upAt(8, 1, "by hand"))
		c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2"})
	})
	after := func(a reconcile.Action) *reconcile.Customer { return planner.After(&was, a, noon) }
	change := reconcile.Action{Kind: reconcile.ChangePlan, Hosting: 7, Plan: 2}
	named := change
	named.Name = "Pro [sub_1/1]"
	written := after(reconcile.Action{Kind: reconcile.WriteMetadata, Subscription: "sub_1", Org: "org-1", Hosting: 7}).Subscriptions
	made := after(reconcile.Action{Kind: reconcile.CreateSubscription, Subscription: "sub_1", Item: "si_1", Slot: 2, Plan: 1, PlanName: "Basic"})
	again := planner.After(made, reconcile.Action{Kind: reconcile.CreateSubscription, Subscription: "sub_1", Item: "si_1", Slot: 3, Plan: 1, PlanName: "Basic"}, noon)
	orgless := was
	orgless.Org = nil
	inNamed := planner.After(&reconcile.Customer{Hostings: []reconcile.Hosting{upAt(8, 1, "by hand")}, NamedOrgs: []reconcile.NamedOrg{
		{Org: reconcile.Org{ID: "org-2", Name: "Ada [cus_1]", OwnerEmail: "b@example.com"}, Hostings: []reconcile.Hosting{upAt(8, 1, "by hand"), upAt(9, 1, "by hand")}}}},
		reconcile.Action{Kind: reconcile.Link, Org: "org-2"}, noon)
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"the name of the org", after(reconcile.Action{Kind: reconcile.RenameOrg, Name: "Ada"}).Org.Name, "Ada"},
		{"the name of no org", planner.After(&orgless, reconcile.Action{Kind: reconcile.RenameOrg, Name: "Ada"}, noon).Org, (*reconcile.Org)(nil)},
		{"the name of a hosting that follows its plan", after(named).Hostings[0].FriendlyName, "Pro [sub_1/1]"},
		{"the name of a hosting that stays", after(change).Hostings[0].FriendlyName, "Basic [sub_1/1]"},
		{"the plan of another hosting", after(change).Hostings[1].Plan, 1},
		{"the metadata", []any{written[0].MetadataOrg, written[0].MetadataHosting, written[0].MetadataWritten}, []any{"org-1", int64(7), int64(7)}},
		{"the metadata of another subscription", written[1].MetadataHosting, int64(0)},
		{"the org of a new hosting", made.Hostings[2].Org, "org-1"},
		{"the binding of a new hosting", made.Bindings[1], reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: -1, How: reconcile.BoundByCreate, At: noon}},
		{"the id of a second new hosting", again.Hostings[3].ID, int64(-2)},
		{"the invitation", after(reconcile.Action{Kind: reconcile.InviteOwner, Email: " A@Example.com "}).InvitedEmail, reconcile.EmailKey("a@example.com")},
		{"the website", after(reconcile.Action{Kind: reconcile.CreateWebsite, Hosting: 7, Domain: "a.example.com"}).Hostings[0].Website, "a.example.com"},
		{"a guest's org", planner.After(&reconcile.Customer{Kin: []reconcile.Kin{{Org: reconcile.Org{ID: "org-1"}}, {Org: reconcile.Org{ID: "org-2", Name: "Ada"}}}},
			reconcile.Action{Kind: reconcile.Link, Org: "org-2"}, noon).Org.Name, "Ada"},
		{"the org that the metadata names", []any{inNamed.Org.OwnerEmail, inNamed.OrgNamed, inNamed.OrgGuest, len(inNamed.Hostings)}, []any{"b@example.com", false, false, 2}},
		{"the org of another customer that the metadata names", planner.After(&reconcile.Customer{NamedOrgs: []reconcile.NamedOrg{{Org: reconcile.Org{ID: "org-2"}, Founder: "cus_2"}}},
			reconcile.Action{Kind: reconcile.Link, Org: "org-2"}, noon).OrgGuest, true},
		{"an org of which nothing is known", *planner.After(&reconcile.Customer{}, reconcile.Action{Kind: reconcile.Link, Org: "org-2"}, noon).Org, reconcile.Org{ID: "org-2", ObservedAt: noon, HostingsRead: noon}},
		{"since when a hosting is suspended", after(reconcile.Action{Kind: reconcile.Suspend, Hosting: 7}).Hostings[0].SuspendedByUs, noon},
		{"since when a hosting is resumed", planner.After(after(reconcile.Action{Kind: reconcile.Suspend, Hosting: 7}), reconcile.Action{Kind: reconcile.Resume, Hosting: 7}, noon).Hostings[0].SuspendedByUs, time.Time{}},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
