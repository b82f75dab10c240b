package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestTheOptionsOfAMappingAreKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		m := reconcile.Mapping{BillingID: "price_a", Plan: "2", MappingOptions: reconcile.MappingOptions{Websites: reconcile.WebsitesNone, ServerGroup: "eu",
			ByOrder: true, PHP: "php83", App: reconcile.AppWordPress, Onboarding: reconcile.Password, OwnGrace: true, Grace: time.Hour}}
		f.must(f.SetMapping(t.Context(), m, "ada@desk", t0))
		atOnce := reconcile.Mapping{BillingID: "price_b", Plan: "2", MappingOptions: reconcile.MappingOptions{OwnGrace: true}}
		f.must(f.SetMapping(t.Context(), atOnce, "ada@desk", t0))
		f.byHand("INSERT INTO plan_mappings (billing_provider, billing_plan_id, enhance_plan_id) VALUES ('stripe', 'price_c', '3')")
		byHand := reconcile.Mapping{BillingID: "price_c", Plan: "3"}
		all, err := f.Mappings(t.Context())
		f.must(err)
		same(t, "mappings", []reconcile.Mapping{m, atOnce, byHand}, all)
		m.MappingOptions = reconcile.MappingOptions{}
		f.must(f.SetMapping(t.Context(), m, "ada@desk", t0))
		all, err = f.Mappings(t.Context())
		f.must(err)
		same(t, "without options again", []reconcile.Mapping{m, atOnce, byHand}, all)
	})
}

func TestWhatAPlanAllowsIsKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		plans := []reconcile.EnhancePlan{
			{ID: 1, Name: "Basic", Limits: map[string]int64{}},
			{ID: 2, Name: "Pro", Limits: map[string]int64{}, Sites: reconcile.PlanSites{PHP: []string{"php83"}, ServerGroups: []string{}}},
		}
		f.must(f.SavePlans(t.Context(), f.tok, plans, t0))
		got, _, err := f.Plans(t.Context())
		f.must(err)
		same(t, "plans", plans, got)
		f.byHand("UPDATE enhance_plans SET sites = NULL WHERE id = 2") // stored by an earlier version
		got, _, err = f.Plans(t.Context())
		f.must(err)
		same(t, "the plan of an earlier version", reconcile.PlanSites{}, got[1].Sites)
	})
}

func TestWhereADomainIsIsKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		use := func() reconcile.DomainUse { return f.customer("cus_a").Hostings[0].DomainUse }
		same(t, "never asked", reconcile.DomainUse{}, use())
		taken := reconcile.DomainUse{Domain: "a.example.com", Status: reconcile.DomainOtherOrg, Org: "org-b", Hosting: 7, ReadAt: t0}
		f.must(f.SaveDomainUse(t.Context(), f.tok, 42, taken))
		same(t, "asked", taken, use())
		f.must(f.SaveHosting(t.Context(), f.tok, *activeHosting(42, "org-a"), t0))
		same(t, "the hosting was read since", taken, use())
		if err := f.SaveDomainUse(t.Context(), f.tok-1, 42, reconcile.DomainUse{}); !errors.Is(err, fault.Fenced) {
			t.Errorf("with a token of yesterday: %v", err)
		}
		refused := reconcile.DomainUse{Domain: "a.example.com", Status: reconcile.DomainUnknown, Refused: "400", ReadAt: t0, FreeAt: t0.Add(-time.Minute)}
		h := activeHosting(42, "org-a")
		h.WebsiteTaken, h.DomainUse = "a.example.com", refused
		f.must(f.do(action("create_website:sub_a/1:a.example.com", reconcile.CreateWebsite, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: h}))
		same(t, "refused", refused, use())
	})
}

func TestHowFarAnApplicationHasComeIsKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		app := func() reconcile.SiteApp { return f.customer("cus_a").Hostings[0].App }
		same(t, "none was ordered", reconcile.SiteApp{}, app())
		made := reconcile.SiteApp{App: reconcile.AppWordPress, Domain: "a.example.com", MadeAt: t0}
		h := activeHosting(42, "org-a")
		h.Website, h.App = "a.example.com", made
		f.must(f.do(action("create_website:sub_a/1:a.example.com", reconcile.CreateWebsite, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: h}))
		same(t, "the website was made", made, app())
		read := made
		read.Databases, read.Refused, read.RefusedAt, read.ReadAt = 2, "403", t0.Add(time.Minute), t0.Add(2*time.Minute)
		f.must(f.SaveSiteApp(t.Context(), f.tok, 42, read))
		same(t, "read", read, app())
		f.must(f.SaveHosting(t.Context(), f.tok, *activeHosting(42, "org-a"), t0))
		same(t, "the hosting was read since", read, app())
		if err := f.SaveSiteApp(t.Context(), f.tok-1, 42, reconcile.SiteApp{}); !errors.Is(err, fault.Fenced) {
			t.Errorf("with a token of yesterday: %v", err)
		}
		done := read
		done.Done = t0.Add(time.Hour)
		h = activeHosting(42, "org-a")
		h.App = done
		f.must(f.do(action("install_app:sub_a/1:a.example.com", reconcile.InstallApp, "cus_a", "sub_a"), t0.Add(time.Hour), reconcile.Outcome{Hosting: h}))
		same(t, "installed", done, app())
		f.byHand("UPDATE plan_mappings SET app = 'wordpress'")
	})
}

// A listing has no invoices: it neither finds nor forgets one of a change.
func TestWhatAnOrderAsksForIsKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		ordered := func(s *reconcile.SubscriptionFacts) { s.ServerGroup, s.TrialStart = "eu", t0.Add(-time.Hour) }
		owing := func(s *reconcile.SubscriptionFacts) { s.UnpaidChange = t0 }
		sub := func() reconcile.Subscription { return f.customer("cus_a").Subscriptions[0] }
		f.list(t0, facts("sub_a", "cus_a", "a@example.com", ordered))
		same(t, "listed", []any{"eu", t0.Add(-time.Hour), time.Time{}}, []any{sub().ServerGroup, sub().TrialStart, sub().UnpaidChange})
		f.settled(t0, "cus_a")
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", ordered, owing))
		same(t, "read by id", t0, sub().UnpaidChange)
		same(t, "due, because it owes", []string{"cus_a"}, f.dueIDs(t0))
		unread := func(s *reconcile.SubscriptionFacts) { s.InvoicesUnread = true }
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", ordered, unread))
		same(t, "read without invoices", t0, sub().UnpaidChange)
		f.list(t0.Add(time.Minute), facts("sub_a", "cus_a", "a@example.com", func(s *reconcile.SubscriptionFacts) { s.ReadAt = t0.Add(time.Minute) }))
		same(t, "listed without them", []any{"", time.Time{}, t0}, []any{sub().ServerGroup, sub().TrialStart, sub().UnpaidChange})
		f.save(t0.Add(2*time.Minute), facts("sub_a", "cus_a", "a@example.com"))
		same(t, "paid", time.Time{}, sub().UnpaidChange)
	})
}

// byHand executes a statement as a person does.
func (f *fixture) byHand(statement string) {
	f.Helper()
	f.must(f.unfenced(f.Context(), "by hand", func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, statement)
		return err
	}))
}
