package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// crowd stores a row of everything.
func crowd(f *fixture) {
	f.Helper()
	ctx := f.Context()
	f.save(t0, facts("sub_a", "cus_a", "x@example.com", func(s *reconcile.SubscriptionFacts) { s.MetadataHosting = 43 }), facts("sub_e", "cus_a", "x@example.com"),
		facts("sub_b", "cus_b", "x@example.com"), facts("sub_c", "cus_c", "c@example.com", status(reconcile.StatusCanceled)), facts("sub_d", "cus_d", "d@example.com"))
	f.bindOrg("cus_a", "org-a")
	f.bindOrg("cus_b", "org-b")
	f.bindOrg("cus_c", "org-c")
	f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
	f.bindHosting("cus_b", "sub_b", 1, "org-b", 43)
	f.bindHosting("cus_a", "sub_e", 1, "org-a", 44)
	f.bindHosting("cus_c", "sub_c", 1, "org-c", 45)
	f.must(f.SaveOrgs(ctx, f.tok, []reconcile.Org{{ID: "org-f", Name: "Example a", OwnerEmail: "x@example.com", Hostings: 1, Created: t0},
		{ID: "org-m", Name: "Ada [cus_d]"}, {ID: "org-n", Name: "Ada again [cus_d]"}}, true, t0))
	f.must(f.SaveOwners(ctx, f.tok, "org-a", []string{"x@example.com"}, t0))
	counted := activeHosting(42, "org-a")
	counted.Usage = []reconcile.Usage{{Name: "diskspace", Used: 1}}
	for _, h := range []reconcile.Hosting{*counted, made(50, "org-f", "Old"), made(51, "org-a", "Pro [sub_zz/1]"), made(52, "org-b", "Pro [sub_b/1]")} {
		f.must(f.SaveHosting(ctx, f.tok, h, t0))
	}
	f.must(f.SaveContent(ctx, f.tok, "org-a", []reconcile.Website{{Hosting: 42, Domain: "shop.example.com"}}, "", t0))
	f.must(f.SaveSites(ctx, f.tok, "shop.example.com", []reconcile.WebsiteLocation{{Org: "org-f", Hosting: 50}}, t0))
	f.must(f.SavePlans(ctx, f.tok, []reconcile.EnhancePlan{{ID: 2, Name: "Pro", Limits: map[string]int64{"websites": 1}}}, t0))
	f.must(f.SaveDisputes(ctx, f.tok, []reconcile.Dispute{disputeOf("dp_a")}, t0))
	f.must(f.SaveFeatures(ctx, f.tok, reconcile.ProductFeatures{Product: "prod_a", Keys: []string{"basic"}, ReadAt: t0, AskedAt: t0}))
	f.must(f.SetMapping(ctx, reconcile.Mapping{BillingID: "price_basic", Plan: "2"}, "ada@desk", t0))
	f.instruct(instruction(reconcile.InstructUnbind, "sub_e", reconcile.Hosting{}))
	f.must2(f.AddManualHold(ctx, reconcile.ManualHold{ID: "hold-1", Customer: "cus_a", Kind: reconcile.NoSuspend, Created: t0}))
	f.crowdJournal()
}

// crowdJournal is crowd for what runs and people leave behind.
func (f *fixture) crowdJournal() {
	f.Helper()
	ctx := f.Context()
	f.hold("run-plan", held("waiting-1", reconcile.Suspend, t0, f.suspension("h"), f.suspension("i")))
	change := action("change_plan:sub_j/1:42:1>2", reconcile.ChangePlan, "cus_j", "sub_j")
	f.save(t0, facts("sub_j", "cus_j", ""), facts("sub_k", "cus_k", ""))
	f.plan("cus_j", change)
	f.hold("run-plan", held("approved-1", reconcile.ChangePlan, t0, change))
	f.approve("approved-1", t0)
	f.holdThese(map[string][]reconcile.Hold{"cus_c": {{Kind: reconcile.HoldGrace, Subscription: "sub_c", Reason: "it waits"}},
		"cus_k": {{Kind: reconcile.HoldUnmapped, Subscription: "sub_k", Reason: "no mapping", Order: true}}})
	f.plan("cus_d", action("create_org:cus_d", reconcile.CreateOrg, "cus_d", ""))
	pending := action("rename:cus_a", reconcile.RenameOrg, "cus_a", "")
	pending.Instructions = f.customer("cus_a").Instructions
	f.must(f.RecordIntent(ctx, f.tok, "run-1", pending, "", t0))
	f.begin()
	f.must(f.EndRun(ctx, f.tok, reconcile.RunRecord{ID: "run-1", Mode: "full", Started: t0}, &reconcile.ListedState{Count: 1, At: t0}))
	f.must(f.SawEvents(ctx, f.tok, []reconcile.Event{{ID: "evt_0", Created: t0}}, "evt_0", t0))
	f.must(f.MarkGone(ctx, f.tok, "sub_d", t0))
	f.save(t0, facts("sub_d", "cus_d", "d@example.com"))
	f.must2(f.LogWebhook(ctx, "evt_0", "invoice.paid", "sub_g", false, t0))
	f.must(f.WebhookResult(ctx, "sub_g", t0, "it failed", t0))
	for _, id := range []string{"evt_1", "evt_2"} {
		f.must2(f.LogWebhook(ctx, id, "invoice.paid", "sub_"+id, true, t0.Add(time.Second)))
	}
	f.must(f.Nudge(ctx, []string{"", reconcile.NudgeAll}, "ada", t0))
	f.must(f.Postpone(ctx, f.tok, reconcile.Backoff{Customer: "cus_c", Error: "no", Due: t0}, t0))
}

// must2 is must for calls that return one thing more.
func (f *fixture) must2(_ any, err error) {
	f.Helper()
	f.must(err)
}

// edit runs statements as a person or another program does.
func (f *fixture) edit(statements ...string) {
	f.Helper()
	f.must(f.unfenced(f.Context(), "editing", func(ctx context.Context, tx conn) error {
		for _, statement := range statements {
			if _, err := tx.exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}))
}
