package page

import (
	"cmp"
	"context"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// shop is the part of a company that is about prices, runs, events, and both sides compared.
type shop struct {
	mapped      []reconcile.MappingRecord
	suggestions []server.Suggestion
	panelPlans  []reconcile.EnhancePlan
	progress    reconcile.Progress
	webhooks    []reconcile.WebhookRecord
	dated       []reconcile.ForecastEntry
	differences report.Discrepancies
	settings    []server.Setting
	pairs       []adopt.Pair
	notes       []string
	silent      error // why a side could not be asked about a mapping
	is          server.Figures
	hidden      int // rows of long lists that are not kept
	changed     int // how often figures were to be made anew
	warmed      int // how often they were to be there
}

func (c *company) fillShop(name func(string) string) {
	c.fillRuns(name)
	c.fillBothSides(name)
	c.notes = []string{name("archived prices are listed without their names")}
	c.panelPlans = []reconcile.EnhancePlan{{ID: 1, Name: name("Basic")}, {ID: 2, Name: name("Pro")}}
	c.mapped = []reconcile.MappingRecord{
		{Mapping: reconcile.Mapping{BillingID: "price_basic_monthly", Plan: "1", MappingOptions: reconcile.MappingOptions{App: reconcile.AppWordPress, OwnGrace: true, Grace: 7 * 24 * time.Hour, ByOrder: true}}, UpdatedAt: t0.Add(-time.Hour), UpdatedBy: name("Ana")},
		{Mapping: reconcile.Mapping{BillingID: name("price_newsletter"), Plan: "none"}, UpdatedAt: t0.Add(-time.Hour), UpdatedBy: name("Ana")},
		{Mapping: reconcile.Mapping{BillingID: name("pro_yearly"), Plan: name("Pro hosting")}, UpdatedAt: t0.Add(-time.Hour), UpdatedBy: name("Ana")},
	}
	c.suggestions = []server.Suggestion{
		{Price: "price_pro_monthly", Product: name("Pro hosting"), Amount: name("19.00 eur / month"), Plan: "2", PlanName: name("Pro"), Used: 12, Features: []string{name("pro_features")}},
		{Price: name("price_consulting"), Used: 1, Archived: true},
	}
}

// fillRuns gives a company runs, the first of which is at work.
func (c *company) fillRuns(name func(string) string) {
	yes, no := true, false
	c.runs = []reconcile.RunRecord{
		{ID: "run_3", Trigger: "admin", Mode: "full", Started: t0.Add(-20 * time.Second)},
		{ID: "run_2", Trigger: "cron", Mode: "changes", Started: t0.Add(-time.Hour), Finished: t0.Add(-59 * time.Minute), Subscriptions: 12345, StripeCalls: 130, EnhanceCalls: 12,
			Planned: 4, Applied: 2, Failed: 1, Held: 1, Orders: 1, Gates: []string{name("Stripe lists 30 % fewer subscriptions than before")}, Converged: &no},
		{ID: "run_1", Trigger: "webhook", Mode: "changes", Started: t0.Add(-2 * time.Hour), Finished: t0.Add(-2*time.Hour + time.Second), Converged: &yes},
		{ID: "run_0", Trigger: "cron", Mode: "full", Started: t0.Add(-3 * time.Hour), Finished: t0.Add(-3*time.Hour + time.Second), Error: name("Stripe does not answer")},
	}
	for i, state := range []reconcile.ActionState{reconcile.ActionApplied, reconcile.ActionFailed, reconcile.ActionHeld, reconcile.ActionPlanned} {
		a := reconcile.ActionRecord{Action: reconcile.Action{ID: "create_subscription/sub_1NffrF/" + string(rune('a'+i)), Kind: reconcile.CreateSubscription, Customer: "cus_NffrFeUfNV2Hib", Subscription: "sub_1NffrF",
			Email: name("ana@example.com"), Plan: 2, PlanName: name("Pro"), Reason: name("it is paid for, and the hosting is not there")}, Run: "run_2", State: state, PlannedAt: t0.Add(-time.Hour)}
		if state == reconcile.ActionFailed {
			a.Error = name("the panel answered 500")
		}
		c.actions = append(c.actions, a)
	}
}

// fillBothSides gives a company events, dates, differences, pairs and settings.
func (c *company) fillBothSides(name func(string) string) {
	for i, state := range []reconcile.WebhookState{reconcile.WebhookReceived, reconcile.WebhookFollowed, reconcile.WebhookFollowed, reconcile.WebhookFailed} {
		r := reconcile.WebhookRecord{EventID: "evt_1Nffr" + string(rune('A'+i)), Type: "customer.subscription.updated", Subscription: "sub_1NffrF", ReceivedAt: t0.Add(-time.Duration(i) * time.Minute), State: state}
		if i >= 2 {
			r.Error = name("the panel answered 500")
		}
		c.webhooks = append(c.webhooks, r)
	}
	for i, kind := range []reconcile.ForecastKind{reconcile.ForecastSuspend, reconcile.ForecastTrialEnd, reconcile.ForecastCancel, reconcile.ForecastHoldEnd, reconcile.ForecastTerminate, reconcile.ForecastWarn, reconcile.ForecastPlanChange} {
		at := t0.Add(time.Hour)
		if i == 0 {
			at = t0.Add(30 * time.Minute)
		} else if i > 5 {
			at = t0.AddDate(0, 0, 9)
		}
		c.dated = append(c.dated, reconcile.ForecastEntry{At: at, Kind: kind, Customer: "cus_NffrFeUfNV2Hib", Subscription: "sub_1NffrF", Email: name("ana@example.com"), Reason: name("the grace period ends")})
	}
	c.differences = report.DiscrepanciesOf(t0, []report.Valued{
		{Discrepancy: reconcile.Discrepancy{Kind: reconcile.PaidNotProvisioned, Customer: "cus_NffrFeUfNV2Hib", Subscription: "sub_1NffrF", Email: name("ana@example.com"), Since: t0.Add(-time.Hour), Reason: name("it is paid for, and the hosting is not there")},
			Known: true, Amount: money.Of("eur", big.NewRat(123450, 1))},
		{Discrepancy: reconcile.Discrepancy{Kind: reconcile.ProvisionedNotPaid, Org: name("6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11"), Hosting: 12, Reason: name("no subscription pays for it")}},
	}, c.notes)
	c.settings = []server.Setting{
		{Name: "STRIPE_SECRET_KEY", Group: "stripe", Usage: name("secret or restricted key"), Value: "[redacted]", Set: true},
		{Name: "GRACE_PERIOD", Group: "policy", Usage: name("how long a past_due hosting stays up"), Value: "7d", Default: "72h", Set: true},
		{Name: "RETENTION_PERIOD", Group: "policy", Usage: name("how long a suspended subscription is kept"), Value: "0", Default: "0"},
		{Name: "INSTANCE", Group: "policy", Usage: name("a short word in every marker")},
	}
	c.pairs = []adopt.Pair{
		{Customer: "cus_NffrFeUfNV2Hib", Subscription: "sub_1NffrF", Email: name("library@example.com"), Org: "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11", OrgName: name("Library"), Hosting: 12, Plan: 1, Score: 95,
			Evidence: []adopt.Evidence{adopt.OwnerEmail, adopt.Domain, adopt.Plan}, Decision: adopt.Link, Reason: name("owner email, domain, plan agree, and nothing speaks for another")},
		{Org: "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a12", OrgName: name("Choir"), Hosting: 13, Plan: 1, Decision: adopt.Review, Reason: name("no customer at Stripe has the e-mail of its owner")},
		{Customer: "cus_NffrFeUfNV2Hic", Subscription: "sub_1NffrG", Email: name("chess@example.com"), Plan: 1, Decision: adopt.Review, Reason: name("it is active, and nothing at the panel looks like its hosting")},
	}
}

func (c *company) List(context.Context) ([]reconcile.MappingRecord, error) { return c.mapped, c.fail }

func (c *company) Set(_ context.Context, m reconcile.Mapping, by string, _ time.Time) error {
	return c.note("map", m.BillingID, m.Plan, optionsText(m.MappingOptions), by)
}

func (c *company) Delete(_ context.Context, id string) (bool, error) {
	return strings.HasPrefix(id, "price_"), c.note("unmap", id)
}

func (c *company) Check(_ context.Context, m reconcile.Mapping) (string, error) {
	if m.Plan == "9" {
		return "the panel has no plan 9", nil
	}
	return "", c.silent
}

func (c *company) Suggestions(context.Context) (server.Suggestions, error) {
	return server.Suggestions{All: c.suggestions, Notes: c.notes, Figures: c.is}, c.fail
}

func (c *company) PanelPlans(context.Context) ([]reconcile.EnhancePlan, error) {
	return c.panelPlans, c.fail
}

func (c *company) Forecast(ctx context.Context, month time.Time) (server.Forecast, error) {
	all, err := c.WholeForecast(ctx, month)
	f := server.Forecast{Entries: all, Total: len(all) + c.hidden, Days: map[int]server.ForecastDay{}, Notes: c.notes, Figures: c.is}
	for _, e := range all {
		of := f.Days[e.At.Day()]
		if of.All++; len(of.First) < server.ForecastDayFirst {
			of.First = append(of.First, e)
		}
		f.Days[e.At.Day()] = of
	}
	return f, err
}

func (c *company) WholeForecast(_ context.Context, month time.Time) (all []reconcile.ForecastEntry, err error) {
	for _, e := range c.dated {
		if !e.At.Before(month) && e.At.Before(month.AddDate(0, 1, 0)) {
			all = append(all, e)
		}
	}
	return all, c.fail
}

func (c *company) Report(context.Context) (server.Report, error) {
	return server.Report{Discrepancies: c.differences, Total: len(c.differences.Rows) + c.hidden, Figures: c.is}, c.fail
}

func (c *company) WholeReport(context.Context) (report.Discrepancies, error) {
	return c.differences, c.fail
}

func (c *company) SearchCustomers(ctx context.Context, q reconcile.CustomerSearch) (rows []reconcile.CustomerRow, next string, asOf time.Time, err error) {
	if rows, next, err = c.CustomerRows(ctx, q); q.Text != "" {
		asOf = c.is.At
	}
	return rows, next, asOf, err
}

func (c *company) warm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warmed++
}

func (c *company) Changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed++
}

func (c *company) Settings() []server.Setting { return c.settings }

func (c *company) Progress() reconcile.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress
}

func (c *company) Pairs() ([]adopt.Pair, time.Time) {
	if c.pairs == nil {
		return nil, time.Time{}
	}
	return c.pairs, t0.Add(-time.Minute)
}

func (c *company) Compare(context.Context) error { return c.note("compare") }

func (c *company) Decide(_ context.Context, p adopt.Pair, author string) error {
	if p.Hosting == 666 {
		return server.Refused{Text: "hosting 666 has come to plan 3 meanwhile"}
	}
	return c.note("adopt", string(p.Decision), p.Subscription, author)
}

var errSilent = errors.New("no answer from Stripe")

func (c *company) Runs(_ context.Context, limit int) ([]reconcile.RunRecord, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runs[:min(len(c.runs), limit)], c.fail
}

func (c *company) Run(_ context.Context, id string) (reconcile.RunRecord, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		if r.ID == id {
			return r, c.fail
		}
	}
	return reconcile.RunRecord{}, cmp.Or(c.fail, error(fault.NotFound))
}

func (c *company) RunActions(_ context.Context, run string, yield func(reconcile.ActionRecord) error) error {
	for _, a := range c.actions {
		if a.Run == run {
			if err := yield(a); err != nil {
				return err
			}
		}
	}
	return c.fail
}
