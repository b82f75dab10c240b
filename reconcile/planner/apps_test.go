package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestAnApplicationIsInstalledOnANewAndEmptyWebsiteOnly(t *testing.T) {
	const domain = "shop.example.com"
	made := reconcile.SiteApp{App: reconcile.AppWordPress, Domain: domain, MadeAt: noon.Add(-time.Minute), ReadAt: noon}
	with := func(edit func(*reconcile.SiteApp)) reconcile.SiteApp {
		app := made
		edit(&app)
		return app
	}
	for _, tt := range []struct {
		name    string
		app     reconcile.SiteApp
		options reconcile.App
		install bool
		held    string
	}{
		{"it was just made", made, reconcile.AppWordPress, true, ""},
		{"it was made without", reconcile.SiteApp{}, reconcile.AppWordPress, false, ""},
		{"the mapping wants it no more", made, "", false, ""},
		{"the order was for another website", with(func(a *reconcile.SiteApp) { a.Domain = "old.example.com" }), reconcile.AppWordPress, false, ""},
		{"one is there", with(func(a *reconcile.SiteApp) { a.Done = noon.Add(-time.Minute) }), reconcile.AppWordPress, false, ""},
		{"it was there before", with(func(a *reconcile.SiteApp) { a.MadeAt = time.Time{} }), reconcile.AppWordPress, false, "not certain"},
		{"it has a database", with(func(a *reconcile.SiteApp) { a.Databases = 1 }), reconcile.AppWordPress, false, "something is on it"},
		{"almost two days later", with(func(a *reconcile.SiteApp) { a.MadeAt = noon.Add(-48*time.Hour + time.Second) }), reconcile.AppWordPress, true, ""},
		{"two days later", with(func(a *reconcile.SiteApp) { a.MadeAt = noon.Add(-48 * time.Hour) }), reconcile.AppWordPress, false, "may have content by now"},
		{"refused in the last hour", with(func(a *reconcile.SiteApp) { a.Refused, a.RefusedAt = "403", noon.Add(-59*time.Minute) }), reconcile.AppWordPress, false, "the panel refuses (403)"},
		{"refused an hour ago", with(func(a *reconcile.SiteApp) { a.Refused, a.RefusedAt = "403", noon.Add(-time.Hour) }), reconcile.AppWordPress, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				c.Subscriptions[0].Domain, c.Hostings[0].Website, c.Hostings[0].App = domain, domain, tt.app
			})
			d := planner.Decide(&c, withOptions(reconcile.MappingOptions{App: tt.options}), settings(), noon)
			a := actionOf(d, reconcile.InstallApp)
			if (a != nil) != tt.install || a != nil && (a.Domain != domain || a.Site.App != reconcile.AppWordPress || a.Email == "") {
				t.Errorf("installed: %+v", a)
			}
			if (tt.held != "") != (len(d.Holds) > 0) || tt.held != "" && (!heldAs(d, reconcile.HoldWebsite, tt.held) || d.Next.IsZero()) {
				t.Errorf("held: %+v, looked at again at %s", d.Holds, d.Next)
			}
			c.Hostings[0].App.ReadAt = noon.Add(-time.Hour)
			d = planner.Decide(&c, withOptions(reconcile.MappingOptions{App: tt.options}), settings(), noon)
			want := planner.Need{Kind: planner.NeedSiteApps, Org: "org-1", Hosting: 7}
			if asks := len(d.Needs) == 1 && d.Needs[0] == want; asks != (tt.held != "") {
				t.Errorf("it asks for %+v", d.Needs)
			}
		})
	}
}

// Nothing else of the hosting waits for an install without an outcome, and none is sent
// beside it.
func TestNothingWaitsForAnInstall(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		h := &c.Hostings[0]
		h.Website, h.App = "shop.example.com", reconcile.SiteApp{App: reconcile.AppWordPress, Domain: "shop.example.com", MadeAt: noon.Add(-time.Minute), ReadAt: noon}
		c.Pending = []reconcile.Pending{{ActionID: "install_app:sub_1/1:shop.example.com", Kind: reconcile.InstallApp, Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7,
			SentAt: noon.Add(-time.Minute), SettleUntil: noon.Add(time.Minute)}}
	})
	cat := withOptions(reconcile.MappingOptions{App: reconcile.AppWordPress})
	d := planner.Decide(&c, cat, settings(), noon)
	if actionOf(d, reconcile.InstallApp) != nil || !heldAs(d, reconcile.HoldAmbiguous, "") {
		t.Errorf("beside one without an outcome: %+v", d)
	}
	c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = reconcile.StatusUnpaid, "unpaid"
	if d := planner.Decide(&c, cat, settings(), noon); actionOf(d, reconcile.Suspend) == nil {
		t.Errorf("it is not suspended: %+v", d)
	}
}

// A customer without an e-mail has no administrator for an application.
func TestAnApplicationNeedsAnEmail(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		c.Hostings[0].Website = "shop.example.com"
		c.Hostings[0].App = reconcile.SiteApp{App: reconcile.AppWordPress, Domain: "shop.example.com", MadeAt: noon, ReadAt: noon}
		for i := range c.Buyers {
			c.Buyers[i].Email = ""
		}
		c.Email = ""
	})
	d := planner.Decide(&c, withOptions(reconcile.MappingOptions{App: reconcile.AppWordPress}), settings(), noon)
	if actionOf(d, reconcile.InstallApp) != nil || !heldAs(d, reconcile.HoldWebsite, "no e-mail at Stripe") {
		t.Errorf("%+v", d)
	}
}

func TestAWebsiteThatAppearedRightAfterItsDomainWasFreeIsOurs(t *testing.T) {
	free := reconcile.DomainUse{Domain: "shop.example.com", FreeAt: noon}
	for _, tt := range []struct {
		name    string
		created time.Time
		use     reconcile.DomainUse
		ours    bool
	}{
		{"at that second", noon, free, true},
		{"by a clock that is a minute behind", noon.Add(-time.Minute), free, true},
		{"before", noon.Add(-time.Minute - time.Second), free, false},
		{"minutes later", noon.Add(10*time.Minute - time.Second), free, true},
		{"much later", noon.Add(10 * time.Minute), free, false},
		{"the panel does not show when", time.Time{}, free, false},
		{"the domain was never free", noon, reconcile.DomainUse{}, false},
	} {
		if got := (reconcile.FoundSite{Found: true, Created: tt.created}).MadeByUs(tt.use); got != tt.ours {
			t.Errorf("%s: ours %v", tt.name, got)
		}
	}
}
