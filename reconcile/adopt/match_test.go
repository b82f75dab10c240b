package adopt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bakery is a customer, an order, an org and a hosting that belong together.
func bakery() adopt.Facts {
	return adopt.Facts{
		Buyers: []adopt.Buyer{{ID: "cus_1", Email: "Bakery@example.com", Name: "Bäckerei Süß"}},
		Orders: []adopt.Order{{Subscription: "sub_1", Customer: "cus_1", Status: reconcile.StatusActive, Created: noon, Free: map[int]int{2: 1}}},
		Orgs: []adopt.Org{{ID: "org-1", Name: "bäckerei süß", OwnerEmail: "bakery@EXAMPLE.com", Owners: []string{"bakery@EXAMPLE.com"}, OwnersRead: true,
			Created: noon.Add(-time.Hour)}},
		Hostings: []adopt.Hosting{{ID: 7, Org: "org-1", Plan: 2}},
	}
}

// owner gives the org other owners.
func owner(f *adopt.Facts, emails ...string) {
	f.Orgs[0].OwnerEmail, f.Orgs[0].Owners = "", emails
	if len(emails) > 0 {
		f.Orgs[0].OwnerEmail = emails[0]
	}
}

func site(domain, org string, hosting int64) reconcile.Site {
	return reconcile.Site{Domain: domain, WebsiteLocation: reconcile.WebsiteLocation{Org: org, Hosting: hosting}}
}

// Each case changes what would be certain. The row is "decision evidence score: reason".
func TestWhatIsCertainAndWhatAPersonDecides(t *testing.T) {
	second := adopt.Order{Subscription: "sub_2", Customer: "cus_1", Status: reconcile.StatusActive, Created: noon, Free: map[int]int{2: 1}}
	for _, tc := range []struct {
		name   string
		change func(f *adopt.Facts)
		want   []string // parts of the rows, in order
	}{
		{"all agrees", func(*adopt.Facts) {}, []string{"sub_1 7 link owner_email;plan;count;name;created 77: "}},
		{"the domain too", func(f *adopt.Facts) {
			f.Orders[0].Domain = "https://www.Bakery.example/shop"
			f.Sites = []reconcile.Site{site("bakery.example", "org-1", 7)}
		}, []string{"sub_1 7 link owner_email;domain;plan;count;name;created 100: "}},
		{"the owner's e-mail has changed, and the domain is there", func(f *adopt.Facts) {
			owner(f, "new@example.com")
			f.Orders[0].Domain = "bakery.example"
			f.Sites = []reconcile.Site{site("bakery.example", "org-1", 7)}
		}, []string{"sub_1 7 link domain;plan;count;name;created"}},
		{"metadata names the hosting", func(f *adopt.Facts) {
			owner(f)
			f.Orders[0].MetadataOrg, f.Orders[0].MetadataHosting = "org-1", 7
		}, []string{"sub_1 7 link metadata;plan;count;name;created 100"}},
		{"metadata names the hosting alone", func(f *adopt.Facts) { f.Orders[0].MetadataHosting = 7 }, []string{"sub_1 7 link metadata;owner_email"}},
		{"only the names are alike", func(f *adopt.Facts) { owner(f, "other@example.com") }, []string{"review plan;count;name;created 20: only the names are alike"}},
		{"nothing but the day", func(f *adopt.Facts) { owner(f, "other@example.com"); f.Orgs[0].Name = "x" },
			[]string{"7 review  0: no customer at Stripe", "sub_1 0 review  0: it is active, and nothing"}},
		{"past_due", func(f *adopt.Facts) { f.Orders[0].Status = reconcile.StatusPastDue }, []string{"review owner_email;plan;count;name;created 57: sub_1 is past_due"}},
		{"unpaid", func(f *adopt.Facts) { f.Orders[0].Status = reconcile.StatusUnpaid }, []string{"review owner_email;plan;count;name;created 57: sub_1 is unpaid"}},
		{"in trial", func(f *adopt.Facts) { f.Orders[0].Status = reconcile.StatusTrialing }, []string{" link "}},
		{"collection paused", func(f *adopt.Facts) { f.Orders[0].Paused = true }, []string{"the collection of sub_1 is paused"}},
		{"metadata unreadable", func(f *adopt.Facts) { f.Orders[0].Unclear = true }, []string{"cannot be read"}},
		{"metadata names another hosting", func(f *adopt.Facts) { f.Orders[0].MetadataOrg, f.Orders[0].MetadataHosting = "org-1", 8 },
			[]string{"review owner_email;plan;count;name;created 57: the metadata of sub_1 names hosting 8"}},
		{"metadata names another org", func(f *adopt.Facts) {
			f.Orders[0].MetadataOrg = "org-2"
			f.Orgs = append(f.Orgs, adopt.Org{ID: "org-2"})
		}, []string{"the metadata of sub_1 names org org-2"}},
		{"metadata of another order names another org", func(f *adopt.Facts) {
			f.Orders[0].MetadataOrg = "org-1"
			second.MetadataOrg, second.Free = "org-2", map[int]int{3: 1}
			f.Orders = append(f.Orders, second)
			f.Orgs = append(f.Orgs, adopt.Org{ID: "org-2"})
		}, []string{"the metadata of sub_2 names org org-2", "sub_2 0 review"}},
		{"suspended by staff", func(f *adopt.Facts) { f.Hostings[0].Suspended = true }, []string{"review owner_email;plan;count;name;created 57: the hosting is suspended"}},
		{"its org suspended by staff", func(f *adopt.Facts) { f.Orgs[0].Suspended = true }, []string{"its org is suspended"}},
		{"one of several owners", func(f *adopt.Facts) { owner(f, "bakery@example.com", "agency@example.com") },
			[]string{"review one_owner;plan;count;name;created 39: the customer is one of several owners"}},
		{"owners not read", func(f *adopt.Facts) { f.Orgs[0].OwnersRead, f.Orgs[0].Owners = false, nil }, []string{"the owners of its org were not read"}},
		{"no owner, and the domain alone", func(f *adopt.Facts) {
			owner(f)
			f.Orders[0].Domain = "bakery.example"
			f.Sites = []reconcile.Site{site("bakery.example", "org-1", 7)}
		}, []string{"its org has no owner: the customer would be invited"}},
		{"two customers with one e-mail", func(f *adopt.Facts) {
			f.Buyers = append(f.Buyers, adopt.Buyer{ID: "cus_2", Email: "bakery@example.com"})
		},
			[]string{"several customers at Stripe have this e-mail: cus_1, cus_2"}},
		{"two orgs with one e-mail", func(f *adopt.Facts) {
			f.Orgs = append(f.Orgs, adopt.Org{ID: "org-2", OwnerEmail: "bakery@example.com"})
		}, []string{"several orgs have an owner with this e-mail: org-1, org-2"}},
		{"a member in several orgs", func(f *adopt.Facts) {
			f.Orgs = append(f.Orgs, adopt.Org{ID: "org-2", OwnerEmail: "other@example.com", Owners: []string{"other@example.com", "bakery@example.com"}, OwnersRead: true})
		}, []string{"several orgs have an owner with this e-mail"}},
		{"two of one e-mail, and metadata decides", func(f *adopt.Facts) {
			f.Orders[0].MetadataOrg = "org-1"
			f.Orgs = append(f.Orgs, adopt.Org{ID: "org-2", OwnerEmail: "bakery@example.com"})
		}, []string{" link metadata"}},
		{"the owner is another customer, and the domain is there", func(f *adopt.Facts) {
			owner(f, "cafe@example.com")
			f.Buyers = append(f.Buyers, adopt.Buyer{ID: "cus_2", Email: "cafe@example.com"})
			f.Orders[0].Domain = "bakery.example"
			f.Sites = []reconcile.Site{site("bakery.example", "org-1", 7)}
		}, []string{"other evidence leads from the org to cus_2"}},
		{"the domain is in another org", func(f *adopt.Facts) {
			f.Orders[0].Domain = "bakery.example"
			f.Sites = []reconcile.Site{site("bakery.example", "org-2", 9)}
			f.Orgs = append(f.Orgs, adopt.Org{ID: "org-2"})
		}, []string{"other evidence leads to org org-2"}},
		{"the org is another customer's", func(f *adopt.Facts) { f.Orgs[0].Customer = "cus_9" }, []string{"the org is that of cus_9"}},
		{"the customer has another org", func(f *adopt.Facts) { f.Orders[0].Org = "org-9" }, []string{"the customer's org is org-9"}},
		{"another plan", func(f *adopt.Facts) { f.Hostings[0].Plan = 3 }, []string{"review owner_email;name;created 42: the hosting is on plan 3, which sub_1 does not pay for"}},
		{"more there than paid for", func(f *adopt.Facts) { f.Hostings = append(f.Hostings, adopt.Hosting{ID: 8, Org: "org-1", Plan: 2}) },
			[]string{"sub_1 7 review owner_email;plan;name;created 54: the customer pays for 1 more of plan 2, and the org has 2", " 8 review  0: its owner is cus_1"}},
		{"more paid for than there", func(f *adopt.Facts) { f.Orders[0].Free[2] = 2 }, []string{"pays for 2 more of plan 2, and the org has 1", "sub_1 0 review  0: it is active, and nothing"}},
		{"three of one plan for one subscription", func(f *adopt.Facts) {
			f.Orders[0].Free[2] = 3
			f.Hostings = append(f.Hostings, adopt.Hosting{ID: 8, Org: "org-1", Plan: 2}, adopt.Hosting{ID: 9, Org: "org-1", Plan: 2})
		}, []string{"sub_1 7 link", "sub_1 8 link", "sub_1 9 link"}},
		{"two of one plan for two subscriptions", func(f *adopt.Facts) {
			f.Orders = append(f.Orders, adopt.Order{Subscription: "sub_2", Customer: "cus_1", Status: reconcile.StatusActive, Free: map[int]int{2: 1}})
			f.Hostings = append(f.Hostings, adopt.Hosting{ID: 8, Org: "org-1", Plan: 2})
		}, []string{"sub_1 7 review owner_email;plan;count;name;created 57: 2 subscriptions of the customer pay for plan 2", "sub_2 8 review"}},
		{"two of one plan for two subscriptions, and the domain of one", func(f *adopt.Facts) {
			f.Orders = append(f.Orders, adopt.Order{Subscription: "sub_2", Customer: "cus_1", Status: reconcile.StatusActive, Domain: "two.example", Free: map[int]int{2: 1}})
			f.Hostings = append(f.Hostings, adopt.Hosting{ID: 8, Org: "org-1", Plan: 2})
			f.Sites = []reconcile.Site{site("two.example", "org-1", 7)}
		}, []string{"sub_2 7 link owner_email;domain", "sub_1 8 review"}},
		{"the domain is on another hosting of the org", func(f *adopt.Facts) {
			f.Orders[0].Domain = "bakery.example"
			f.Hostings = append(f.Hostings, adopt.Hosting{ID: 8, Org: "org-1", Plan: 3})
			f.Sites = []reconcile.Site{site("bakery.example", "org-1", 8)}
		}, []string{"sub_1 8 review owner_email;domain;name;created 65: the hosting is on plan 3", " 7 review"}},
		{"a person ignores the order", func(f *adopt.Facts) { f.Orders[0].Ignored = "op: friend" }, []string{" 7 review  0: its owner is cus_1", "sub_1 0 ignore  0: op: friend"}},
		{"a person ignores the hosting", func(f *adopt.Facts) { f.Hostings[0].Ignored = "op: friend" }, []string{" 7 ignore  0: op: friend", "sub_1 0 review"}},
		{"the order is new", func(f *adopt.Facts) { f.Orders[0].New = true }, []string{" 7 review", "sub_1 0 new  0: a person has decided"}},
		{"without an e-mail", func(f *adopt.Facts) { f.Buyers[0].Email = ""; owner(f) }, []string{"review plan;count;name;created 20: only the names are alike"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := bakery()
			tc.change(&f)
			rows := adopt.Match(f)
			got := make([]string, len(rows))
			for i, r := range rows {
				got[i] = fmt.Sprintf("%s %d %s %s %d: %s", r.Subscription, r.Hosting, r.Decision, joined(r.Evidence), r.Score, r.Reason)
			}
			ok := len(got) == len(tc.want)
			for i := range got {
				ok = ok && strings.Contains(" "+got[i], tc.want[i])
			}
			if !ok {
				t.Errorf("got %d rows, want %d:\n%s\nwant parts:\n%s", len(got), len(tc.want), strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

func joined(all []adopt.Evidence) string {
	words := make([]string, len(all))
	for i, e := range all {
		words[i] = string(e)
	}
	return strings.Join(words, ";")
}

// anyFacts are facts in which many identities collide.
func anyFacts(t *rapid.T) adopt.Facts {
	email := rapid.SampledFrom([]string{"", "a@example.com", "A@example.com", "b@example.com", "c@example.com", "d@example.com"})
	name := rapid.SampledFrom([]string{"", "Ann", "Ben", "Ünal"})
	domain := rapid.SampledFrom([]string{"", "", "a.example", "www.a.example", "b.example"})
	org := rapid.SampledFrom([]string{"org-1", "org-2", "org-3", "org-4"})
	f := bakery() // with identities of its own, so that something is certain
	f.Buyers[0].ID, f.Orders[0].Customer, f.Orders[0].Subscription = "cus_b", "cus_b", "sub_b"
	f.Orgs[0].ID, f.Hostings[0].Org, f.Hostings[0].ID = "org-b", "org-b", 100
	for i := range rapid.IntRange(1, 4).Draw(t, "buyers") {
		f.Buyers = append(f.Buyers, adopt.Buyer{ID: fmt.Sprintf("cus_%d", i), Email: email.Draw(t, "email"), Name: name.Draw(t, "name")})
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "orgs") {
		o := adopt.Org{ID: fmt.Sprintf("org-%d", i+1), Name: name.Draw(t, "org"), Created: noon, Suspended: rapid.IntRange(0, 9).Draw(t, "suspended") == 0}
		for range rapid.IntRange(0, 2).Draw(t, "owners") {
			o.Owners = append(o.Owners, email.Draw(t, "owner"))
		}
		if len(o.Owners) > 0 {
			o.OwnerEmail = o.Owners[0]
		}
		o.OwnersRead = rapid.IntRange(0, 9).Draw(t, "read") > 0
		f.Orgs = append(f.Orgs, o)
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "hostings") {
		h := adopt.Hosting{ID: int64(i + 1), Org: org.Draw(t, "org"), Plan: rapid.IntRange(1, 2).Draw(t, "plan"), Suspended: rapid.IntRange(0, 9).Draw(t, "down") == 0}
		if rapid.IntRange(0, 9).Draw(t, "ignored") == 0 {
			h.Ignored = "op: a reason"
		}
		f.Hostings = append(f.Hostings, h)
		if d := domain.Draw(t, "site"); d != "" {
			f.Sites = append(f.Sites, site(d, h.Org, h.ID))
		}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "orders") {
		o := adopt.Order{Subscription: fmt.Sprintf("sub_%d", i), Customer: fmt.Sprintf("cus_%d", rapid.IntRange(0, len(f.Buyers)-2).Draw(t, "of")), Created: noon,
			Status: rapid.SampledFrom([]reconcile.Status{reconcile.StatusActive, reconcile.StatusActive, reconcile.StatusPastDue}).Draw(t, "status"),
			Domain: domain.Draw(t, "domain"), Free: map[int]int{rapid.IntRange(1, 2).Draw(t, "plan"): rapid.IntRange(1, 3).Draw(t, "units")}}
		if rapid.IntRange(0, 4).Draw(t, "metadata") == 0 {
			o.MetadataOrg = org.Draw(t, "named")
		}
		f.Orders = append(f.Orders, o)
	}
	return f
}

func shuffled[T any](dice *rand.Rand, all []T) []T {
	all = slices.Clone(all)
	dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Whatever the order of the facts is: the rows are the same, each hosting has one row, no
// order has more links than it pays for, and a link is never one of likeness alone.
func TestRowsDoNotDependOnTheOrderOfFactsAndGiveNothingAwayTwice(t *testing.T) {
	linked := 0
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		rows := adopt.Match(f)
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		again := adopt.Match(adopt.Facts{Buyers: shuffled(dice, f.Buyers), Orders: shuffled(dice, f.Orders), Orgs: shuffled(dice, f.Orgs),
			Hostings: shuffled(dice, f.Hostings), Sites: shuffled(dice, f.Sites)})
		if d := cmp.Diff(rows, again); d != "" {
			t.Fatalf("in another order (-one +other):\n%s", d)
		}
		seen, links, orgs := map[int64]bool{}, map[string]int{}, map[string]string{}
		for _, r := range rows {
			if r.Hosting != 0 && seen[r.Hosting] {
				t.Fatalf("hosting %d has two rows", r.Hosting)
			}
			seen[r.Hosting] = true
			if r.Decision != adopt.Link {
				continue
			}
			linked++
			links[r.Subscription]++
			if org, some := orgs[r.Customer]; some && org != r.Org {
				t.Fatalf("%s is linked to two orgs", r.Customer)
			}
			orgs[r.Customer] = r.Org
			if !slices.Contains(r.Evidence, adopt.Plan) || !slices.Contains(r.Evidence, adopt.Count) ||
				!slices.ContainsFunc(r.Evidence, func(e adopt.Evidence) bool { return e == adopt.Metadata || e == adopt.OwnerEmail || e == adopt.Domain }) {
				t.Fatalf("linked by %v", r.Evidence)
			}
		}
		for _, o := range f.Orders {
			for _, units := range o.Free {
				if links[o.Subscription] > units {
					t.Fatalf("%s pays for %d and is linked to %d", o.Subscription, units, links[o.Subscription])
				}
			}
		}
		for _, h := range f.Hostings {
			if !seen[h.ID] && slices.ContainsFunc(f.Orgs, func(o adopt.Org) bool { return o.ID == h.Org }) {
				t.Fatalf("hosting %d has no row", h.ID)
			}
		}
	})
	if linked == 0 {
		t.Error("nothing was ever linked")
	}
}
