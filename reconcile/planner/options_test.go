package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const groupOne, groupTwo = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"

// withOptions maps price_basic to plan 1 with options. The plan allows PHP 8.2 and 8.3, and
// offers groupOne and groupTwo.
func withOptions(o reconcile.MappingOptions) *planner.Catalog {
	return planner.NewCatalog([]reconcile.Mapping{
		{BillingID: "price_basic", Plan: "1", MappingOptions: o},
		{BillingID: "price_pro", Plan: "2", MappingOptions: reconcile.MappingOptions{OwnGrace: true, Grace: 240 * time.Hour}},
	}, []reconcile.EnhancePlan{
		{ID: 1, Name: "Basic", Sites: reconcile.PlanSites{PHP: []string{"php82", "php83"}, ServerGroups: []string{groupOne, groupTwo}}},
		{ID: 2, Name: "Pro"},
	})
}

// ordering has an order with a domain, and nothing at the panel yet.
func ordering() reconcile.Customer {
	return world(func(c *reconcile.Customer) {
		unbound(c)
		c.Subscriptions[0].Domain, c.Subscriptions[0].SiteReadAt = "shop.example.com", noon
	})
}

// settings are the policy with websites.
func settings() reconcile.Policy {
	p := policy()
	p.CreateWebsites = true
	return p
}

func actionOf(d planner.Decision, kind reconcile.ActionKind) *reconcile.Action {
	for i := range d.Actions {
		if d.Actions[i].Kind == kind {
			return &d.Actions[i]
		}
	}
	return nil
}

func heldAs(d planner.Decision, kind reconcile.HoldKind, text string) bool {
	for _, h := range d.Holds {
		if h.Kind == kind && strings.Contains(h.Reason, text) {
			return true
		}
	}
	return false
}

func TestAMappingDiffersFromTheSettings(t *testing.T) {
	c := ordering()
	d := planner.Decide(&c, withOptions(reconcile.MappingOptions{PHP: "php82", ServerGroup: groupOne, Onboarding: reconcile.Password}), settings(), noon)
	if site := actionOf(d, reconcile.CreateWebsite); site == nil || site.Site != (reconcile.SiteOptions{ServerGroup: groupOne, PHP: "php82"}) {
		t.Errorf("the website is %+v", site)
	}
	if invite := actionOf(d, reconcile.InviteOwner); invite == nil || invite.Onboarding != reconcile.Password {
		t.Errorf("the invitation is %+v", invite)
	}

	none := withOptions(reconcile.MappingOptions{Websites: reconcile.WebsitesNone, Onboarding: reconcile.NoOnboarding})
	d = planner.Decide(&c, none, settings(), noon)
	if actionOf(d, reconcile.CreateWebsite) != nil || actionOf(d, reconcile.InviteOwner) != nil || actionOf(d, reconcile.CreateSubscription) == nil {
		t.Errorf("with neither website nor invitation: %+v", d.Actions)
	}

	p := policy()
	p.Onboarding = reconcile.NoOnboarding
	d = planner.Decide(&c, withOptions(reconcile.MappingOptions{Websites: reconcile.WebsitesOrder, Onboarding: reconcile.Invite}), p, noon)
	if actionOf(d, reconcile.CreateWebsite) == nil || actionOf(d, reconcile.InviteOwner) == nil {
		t.Errorf("with both, against the settings: %+v", d.Actions)
	}
}

func TestAnOrderChoosesItsServerGroupIfTheMappingLetsIt(t *testing.T) {
	for _, tt := range []struct {
		name, ordered string
		byOrder       bool
		want, held    string
	}{
		{"the order names one", strings.ToUpper(groupTwo), true, groupTwo, ""},
		{"the mapping does not let it", groupTwo, false, groupOne, ""},
		{"the order names none", "", true, groupOne, ""},
		{"what it names cannot be read", "eu", true, "", `is "eu", which is no UUID`},
		{"the plan does not offer it", "0a1b2c3d-0000-4000-8000-000000000009", true, "", "does not offer the server group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cat := withOptions(reconcile.MappingOptions{ServerGroup: groupOne, ByOrder: tt.byOrder})
			made := world(func(c *reconcile.Customer) { c.Subscriptions[0].Domain = "shop.example.com" })
			for _, c := range []reconcile.Customer{ordering(), made} {
				c.Subscriptions[0].ServerGroup = tt.ordered
				d := planner.Decide(&c, cat, settings(), noon)
				site := actionOf(d, reconcile.CreateWebsite)
				switch {
				case tt.held != "" && (site != nil || !heldAs(d, reconcile.HoldWebsite, tt.held) || c.Org == nil && actionOf(d, reconcile.CreateSubscription) == nil):
					t.Errorf("not held alone: %+v", d)
				case tt.held == "" && (site == nil || site.Site.ServerGroup != tt.want):
					t.Errorf("the website is %+v", site)
				}
			}
		})
	}
}

func TestTheLongestGracePeriodOfTheItemsCounts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prices []string
		after  time.Duration
		down   bool
	}{
		{"no grace period", []string{"price_basic"}, time.Minute, true},
		{"a longer one beside it", []string{"price_basic", "price_pro"}, 239 * time.Hour, false},
		{"and it is over", []string{"price_basic", "price_pro"}, 241 * time.Hour, true},
		{"an item without a mapping does not count", []string{"price_basic", "price_other"}, time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				s := &c.Subscriptions[0]
				s.Items = nil
				for i, price := range tt.prices {
					s.Items = append(s.Items, reconcile.Item{ID: []string{"si_1", "si_2"}[i], Price: price, Quantity: 1})
				}
				s.Status, s.StatusText = reconcile.StatusPastDue, "past_due"
				s.Lapse = reconcile.Lapse{Seen: noon.Add(-tt.after), Since: noon.Add(-tt.after)}
			})
			d := planner.Decide(&c, withOptions(reconcile.MappingOptions{OwnGrace: true}), policy(), noon)
			if down := actionOf(d, reconcile.Suspend) != nil; down != tt.down {
				t.Errorf("suspended: %v, want %v: %+v", down, tt.down, d)
			}
		})
	}
}

func TestADomainThatIsNotFreeIsHeldAndAskedAgain(t *testing.T) {
	use := func(status reconcile.DomainStatus, hosting int64, read time.Duration) reconcile.DomainUse {
		return reconcile.DomainUse{Domain: "shop.example.com", Status: status, Org: "org-2", Hosting: hosting, ReadAt: noon.Add(-read)}
	}
	refused := use(reconcile.DomainUnknown, 0, 23*time.Hour)
	refused.Refused = "400 Bad Request"
	yesterday := refused
	yesterday.ReadAt = noon.Add(-24 * time.Hour)
	for _, tt := range []struct {
		name  string
		use   reconcile.DomainUse
		taken bool
		held  string
		asks  bool
	}{
		{"it was never asked for", reconcile.DomainUse{}, false, "", false},
		{"it is free", use(reconcile.DomainFree, 0, 0), false, "", false},
		{"it is free again after a refusal", use(reconcile.DomainFree, 0, 0), true, "", false},
		{"another org has it", use(reconcile.DomainOtherOrg, 77, 0), false, "a website of another org has it (hosting 77 in org org-2)", false},
		{"the customer's other hosting has it", use(reconcile.DomainOwnOrg, 77, 0), false, "a website of the same customer has it", false},
		{"this hosting has it", use(reconcile.DomainOwnOrg, 7, 0), true, "", false},
		{"a deleted website has it", use(reconcile.DomainDeletedSite, 0, 0), false, "restore that website", false},
		{"it is prohibited", use(reconcile.DomainProhibited, 0, 0), false, "the panel prohibits it", false},
		{"it is asked again", use(reconcile.DomainOtherOrg, 77, 10*time.Minute), false, "another org", true},
		{"it was refused less than a day ago", refused, true, "400 Bad Request", false},
		{"it was refused a day ago", yesterday, true, "400 Bad Request", true},
		{"it was refused before there was an answer", reconcile.DomainUse{}, true, "taken or not valid", true},
		{"the answer is about another domain", reconcile.DomainUse{Domain: "old.example.com", Status: reconcile.DomainProhibited, ReadAt: noon}, false, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				c.Subscriptions[0].Domain = "Shop.example.com"
				if c.Hostings[0].DomainUse = tt.use; tt.taken {
					c.Hostings[0].WebsiteTaken = "shop.example.com"
				}
			})
			d := planner.Decide(&c, catalog(), settings(), noon)
			if made := actionOf(d, reconcile.CreateWebsite) != nil; made != (tt.held == "") {
				t.Errorf("made: %v: %+v", made, d)
			}
			if tt.held != "" && (!heldAs(d, reconcile.HoldDomainTaken, tt.held) || d.Next.IsZero()) {
				t.Errorf("held: %+v, looked at again at %s", d.Holds, d.Next)
			}
			want := planner.Need{Kind: planner.NeedDomainUse, Org: "org-1", Hosting: 7, Domain: "shop.example.com"}
			if asks := len(d.Needs) == 1 && d.Needs[0] == want; asks != tt.asks {
				t.Errorf("it asks for %+v", d.Needs)
			}
		})
	}
}
