package store

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// everything calls every method that a run uses, so that all their statements are
// compiled and kept.
func everything(f *fixture) {
	f.Helper()
	ctx := f.Context()
	f.save(t0, facts("sub_a", "cus_a", "x@example.com"), facts("sub_b", "cus_b", "x@example.com"))
	f.save(t0, facts("sub_a", "cus_a", "y@example.com"))
	f.list(t0, facts("sub_a", "cus_a", "y@example.com"), facts("sub_b", "cus_b", "z@example.com", readAt(t0.Add(time.Second))))
	all := writes(f)
	for _, name := range slices.Sorted(maps.Keys(all)) { // intents before outcomes
		if name != "Release" {
			_ = all[name](ctx, f.tok) // whether it succeeds is not the question here
		}
	}
	f.bindHosting("cus_a", "sub_b", 1, "org-b", 43)
	f.must(f.do(action("resume:sub_b/1:43", reconcile.Resume, "cus_a", "sub_b"), t0, reconcile.Outcome{Unsuspend: true,
		Binding: &reconcile.Binding{Subscription: "sub_b", Slot: 1, Org: "org-b", Hosting: 43, How: reconcile.BoundByResubscription}}))
	f.must(f.SaveHostings(ctx, f.tok, "org-x", []reconcile.Hosting{*activeHosting(44, "org-x")}, t0))
	f.dueIDs(t0)
	f.customer("cus_a")
	for _, read := range []func() error{
		func() error { _, err := f.CustomersOf(ctx, []string{"sub_a"}); return err },
		func() error { _, err := f.SubscriptionsOf(ctx, []string{"cus_a"}); return err },
		func() error { _, err := f.DueCount(ctx, t0); return err },
		func() error { _, err := f.Counts(ctx); return err },
		func() error { _, err := f.Stats(ctx, t0); return err },
		func() error { _, err := f.CountDone(ctx, reconcile.Suspend, t0); return err },
		func() error { _, err := f.CountDoneByCustomer(ctx, reconcile.Suspend, t0); return err },
		func() error { _, err := f.LastPlans(ctx); return err },
		func() error { _, err := f.DoneSince(ctx, t0); return err },
		func() error { _, err := f.WentLive(ctx, t0, 10); return err },
		func() error { return f.Standing(ctx, t0, func(reconcile.HeldAction) error { return nil }) },
		func() error { _, err := f.DriftDue(ctx, t0, t0, 10); return err },
		func() error { _, err := f.SeenLast(ctx, 10); return err },
		func() error { _, err := f.NewestOrg(ctx); return err },
		func() error { _, err := f.UnreadOrgs(ctx, "", 10); return err },
		func() error { _, err := f.KnownSubscriptions(ctx, 3); return err },
		func() error { _, err := f.UnseenEvents(ctx, []string{"evt_1"}); return err },
		func() error { _, err := f.LastListed(ctx); return err },
		func() error { _, err := f.LastGoodRun(ctx); return err },
		func() error { _, err := f.Runs(ctx, 10); return err },
		func() error { _, err := f.Retry(ctx, "cus_a", t0); return err },
		func() error {
			_, err := f.FindCustomers(ctx, reconcile.CustomerLookup{Email: "y@example.com"}, 5)
			return err
		},
		func() error { _, err := f.Actions(ctx, reconcile.ActionFilter{Customer: "cus_a"}); return err },
		func() error { _, err := f.Actions(ctx, reconcile.ActionFilter{Subscription: "sub_a"}); return err },
		func() error { _, err := f.LogWebhook(ctx, "evt_1", "x", "sub_a", true, t0); return err },
		func() error { return f.WebhookResult(ctx, "sub_a", t0, "", t0) },
		func() error { return f.WebhookResult(ctx, "", t0, "", t0) },
		func() error { return f.RunActions(ctx, "run-do", func(reconcile.ActionRecord) error { return nil }) },
		func() error { _, err := f.Unbound(ctx); return err },
		func() error { _, err := f.Duplicates(ctx, "", 3); return err },
		func() error { _, err := f.NudgesWaiting(ctx); return err },
		func() error { _, err := f.NamedWaiting(ctx); return err },
		func() error { _, err := f.OldestNamed(ctx); return err },
		func() error { return f.Holds(ctx, func(reconcile.Hold) error { return nil }) },
		func() error { _, _, err := f.CustomerRows(ctx, reconcile.CustomerSearch{Limit: 5}); return err },
		func() error {
			_, _, err := f.CustomerRows(ctx, reconcile.CustomerSearch{Text: "part.of.it", Limit: 5})
			return err
		},
		func() error {
			_, _, err := f.CustomerRows(ctx, reconcile.CustomerSearch{Failing: true, Limit: 5})
			return err
		},
		func() error {
			_, _, err := f.HoldRows(ctx, reconcile.HoldSearch{Kind: "grace", Text: "x", Limit: 5})
			return err
		},
		func() error { _, err := f.PlanHeads(ctx, false, 5); return err },
		func() error {
			_, _, err := f.PlanPart(ctx, reconcile.PlanSearch{Plan: "waiting-1", Text: "x", Limit: 5})
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		},
		func() error { _, err := f.FailureKinds(ctx); return err },
	} {
		f.must(read())
	}
}

// grows are the tables that no statement of a run may read from end to end, because they
// grow with the fleet or its history.
var grows = []string{"customers", "stripe_customers", "subscriptions", "actions", "hostings", "bindings", "orgs", "webhook_logs", "runs", "seen_events", "holds", "plan_actions"}

// bounded are the indexes that may be read from end to end, because their rows wait for an
// operator or for a look, or because the query stops after a few.
var bounded = []string{"customers_held", "customers_parked", "customers_failing", "actions_ambiguous", "orgs_unread", "runs_recent", "runs_listed", "bindings_age", "webhook_logs_failed", "webhook_logs_open", "holds_subscription", "subscriptions_domains", "hostings_websites", "hostings_unbound", "hostings_second", "orgs_marker", "plan_actions_standing"}

func TestNoStatementOfARunReadsATableFromEndToEnd(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	opening := map[string]bool{}
	for _, pool := range f.pools() {
		maps.Copy(opening, pool.texts)
	}
	everything(f)
	scans := regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?`)
	names := regexp.MustCompile(`(?i)\b(?:FROM|JOIN|UPDATE|INTO) (\w+)(?: (?:AS )?([a-z]\d?))?\b`)
	var queries []string
	for _, pool := range f.pools() {
		queries = append(queries, slices.Collect(maps.Keys(pool.texts))...)
	}
	if len(queries) < 60 {
		t.Fatalf("only %d statements seen", len(queries))
	}
	for _, query := range queries {
		if opening[query] || strings.Contains(query, "GROUP BY status") {
			continue // once a process; and recount, after a sweep, which looked at everything anyway
		}
		alias := map[string]string{}
		for _, m := range names.FindAllStringSubmatch(query, -1) {
			alias[m[1]], alias[m[2]] = m[1], m[1]
		}
		var args []any
		for i := strings.Count(query, "$"); i > 0; i-- {
			args = append(args, nil)
		}
		f.must(conn{q: f.read, d: sqlite}.each(context.Background(), "EXPLAIN QUERY PLAN "+query, args, func(row scan) error {
			var id, parent, unused int
			var detail string
			err := row(&id, &parent, &unused, &detail)
			if m := scans.FindStringSubmatch(detail); m != nil && slices.Contains(grows, alias[m[1]]) && !slices.Contains(bounded, m[2]) {
				t.Errorf("%s\n%s", detail, query)
			}
			return err
		}))
	}
}
