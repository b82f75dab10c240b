package page

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// people are the customers of a company, with their holds and a held plan.
type people struct {
	customers []reconcile.CustomerRow
	record    reconcile.CustomerRecord
	answers   []reconcile.Answer
	ahead     []reconcile.ForecastEntry
	held      []reconcile.Hold
	journal   []reconcile.ActionRecord
	plan      reconcile.HeldPlan
	loginFail error
}

const (
	theCustomer = "cus_NffrFeUfNV2Hib"
	thePlan     = "0123456789abcdef"
)

// meet gives a company its people.
func (c *company) meet(name func(string) string) {
	for i := range 120 {
		r := reconcile.CustomerRow{ID: fmt.Sprintf("cus_%03d", i), Email: name(fmt.Sprintf("ana.popescu+%d@brutaria-bună.example", i)), Name: name("Brutăria „La Ștefan” S.R.L."),
			Org: "6a9a1b2c-0000-4000-8000-000000000001", Active: 1, Subscriptions: 1 + i%3, Domain: name("brutaria-buna.example"), PlannedAt: t0}
		switch i % 5 {
		case 1:
			r.Parked, r.LastError, r.Failures = t0.Add(-2*time.Hour), name("enhance: POST /orgs/"+r.ID+"/subscriptions: 422 quota exceeded"), 5
		case 2:
			r.RetryAfter, r.LastError, r.Failures = t0.Add(5*time.Minute), name("enhance: GET /orgs: 500 internal"), 1
		case 3:
			r.Kinds = []reconcile.HoldKind{reconcile.HoldUnmapped, reconcile.HoldGrace}
		case 4:
			r.PlannedAt = time.Time{}
		}
		c.customers = append(c.customers, r)
		c.held = append(c.held, reconcile.Hold{Kind: reconcile.HoldUnmapped, Customer: r.ID, Subscription: "sub_" + r.ID[4:], Email: r.Email, Reason: name("the price price_1Nq is mapped to no plan"), Order: true},
			reconcile.Hold{Kind: reconcile.HoldGrace, Customer: r.ID, Email: r.Email, Hosting: 42, Reason: name("past_due since 2026-11-28; it is suspended after the grace"), Until: t0.Add(72 * time.Hour)})
	}
	c.meetOne(name)
	c.plan = reconcile.HeldPlan{ID: thePlan, Kind: reconcile.Suspend, Version: 3, Created: t0.Add(-time.Hour), Reason: "120 × suspend in one day is more than the limit of 20"}
	for i, r := range c.customers {
		c.plan.Actions = append(c.plan.Actions, reconcile.Action{ID: "suspend:sub_" + r.ID[4:], Kind: reconcile.Suspend, Customer: r.ID, Subscription: "sub_" + r.ID[4:], Email: r.Email,
			Hosting: int64(i + 1), PlanName: name("Pro"), Reason: name("unpaid since 2026-11-01, with the invoice in_1 of 12.00 eur")})
		c.plan.Joined = append(c.plan.Joined, 1+i%3)
	}
}

// meetOne makes the customer of whom there is a story.
func (c *company) meetOne(name func(string) string) {
	sub := reconcile.Subscription{ID: "sub_1NqAbCdEf", StripeCustomer: theCustomer, Status: reconcile.StatusPastDue, StatusText: "past_due", Created: t0.Add(-300 * 24 * time.Hour),
		CurrentPeriodEnd: t0.Add(9 * 24 * time.Hour), Items: []reconcile.Item{{ID: "si_1", Price: "price_1Nq", Quantity: 1}}, Domain: name("brutaria-buna.example"), UnpaidSince: t0.Add(-48 * time.Hour)}
	other := sub
	other.ID, other.Status, other.StatusText = "sub_1NqOther", reconcile.StatusActive, "active"
	c.record = reconcile.CustomerRecord{Customer: reconcile.Customer{ID: theCustomer, Email: name("ana@brutaria-buna.example"), Name: name("Brutăria „La Ștefan” S.R.L."),
		Org: &reconcile.Org{ID: "6a9a1b2c-0000-4000-8000-000000000001", Name: name("Brutăria „La Ștefan”")}, Subscriptions: []reconcile.Subscription{sub, other},
		Bindings: []reconcile.Binding{{Subscription: sub.ID, Slot: 1, Org: "6a9a1b2c-0000-4000-8000-000000000001", Hosting: 42}},
		Hostings: []reconcile.Hosting{{ID: 42, Org: "6a9a1b2c-0000-4000-8000-000000000001", Plan: 7, State: reconcile.HostingActive, FriendlyName: name("Pro"), Website: name("brutaria-buna.example"), ObservedAt: t0.Add(-5 * time.Minute)}},
		Manual:   []reconcile.ManualHold{{ID: "hold_a", Customer: theCustomer, Kind: reconcile.NoSuspend, Reason: name("promised on the phone"), Author: name("Ana"), Created: t0}},
		Parked:   t0.Add(-time.Hour), LastError: name("enhance: 422 quota exceeded"), Failures: 5, PlannedAt: t0},
		Held: []reconcile.Hold{{Kind: reconcile.HoldGrace, Customer: theCustomer, Subscription: sub.ID, Hosting: 42, Reason: name("past_due since 2026-11-28"), Until: t0.Add(72 * time.Hour)}}}
	c.answers = []reconcile.Answer{{Question: reconcile.QuestionUp, Subscription: sub.ID, Hosting: 42, Text: name("hosting 42 stays up until 2026-12-03 18:45, because the grace of 5 days has not ended")},
		{Question: reconcile.QuestionPayment, Subscription: sub.ID, Text: name("invoice in_1 of 12.00 eur is open since 2026-11-28")}}
	c.ahead = []reconcile.ForecastEntry{{At: t0.Add(72 * time.Hour), Kind: reconcile.ForecastSuspend, Customer: theCustomer, Subscription: sub.ID, Hosting: 42, Reason: name("the grace ends")}}
	for i := range 70 {
		a := reconcile.ActionRecord{Action: reconcile.Action{ID: "suspend:sub_1NqAbCdEf/1:42", Kind: reconcile.Suspend, Customer: theCustomer, Subscription: sub.ID, Hosting: 42, Reason: name("unpaid")},
			State: reconcile.ActionApplied, PlannedAt: t0.Add(-time.Duration(i) * time.Hour), FinishedAt: t0.Add(-time.Duration(i) * time.Hour)}
		if i == 0 {
			a.Evidence = &reconcile.Evidence{Subscriptions: []reconcile.SubscriptionEvidence{{ID: sub.ID, Status: "unpaid", ReadAt: t0}}}
		}
		if i == 1 {
			a.State, a.Error = reconcile.ActionFailed, name("enhance: 500")
		}
		c.journal = append(c.journal, a)
	}
}

func (c *company) CustomerRows(_ context.Context, q reconcile.CustomerSearch) (rows []reconcile.CustomerRow, next string, err error) {
	for _, r := range c.customers {
		failing := !r.Parked.IsZero() || !r.RetryAfter.IsZero()
		if r.ID <= q.After || q.Failing && !failing || !strings.Contains(strings.ToLower(r.ID+r.Email+r.Name+r.Domain), strings.ToLower(q.Text)) {
			continue
		}
		if len(rows) == q.Limit {
			return rows, rows[len(rows)-1].ID, c.fail
		}
		rows = append(rows, r)
	}
	return rows, "", c.fail
}

func (c *company) CustomerStory(_ context.Context, id string, refresh bool) (report.Customer, error) {
	if id != theCustomer {
		return report.Customer{}, cmp.Or(c.fail, error(fault.NotFound))
	}
	c.mu.Lock()
	r := c.record
	c.mu.Unlock()
	d := report.CustomerOf(r, t0)
	d.Answers, d.Ahead, d.Refreshed = report.AnswersOf(c.answers), report.AheadOf(c.ahead), refresh
	if refresh {
		d.RefreshChanges = []string{"sub_1NqAbCdEf is active at Stripe now and is stored as past_due"}
	}
	return d, c.fail
}

func (c *company) HoldRows(_ context.Context, q reconcile.HoldSearch) (holds []reconcile.Hold, next string, err error) {
	customers := 0
	last := q.After
	for _, h := range c.held {
		if h.Customer <= q.After || q.Kind != "" && h.Kind != q.Kind || !strings.Contains(strings.ToLower(h.Customer+h.Email+h.Reason), strings.ToLower(q.Text)) {
			continue
		}
		if h.Customer != last {
			if customers == q.Limit {
				return holds, last, c.fail
			}
			customers++
			last = h.Customer
		}
		holds = append(holds, h)
	}
	return holds, "", c.fail
}

func (c *company) HoldCounts(context.Context) (counts reconcile.HoldCounts, err error) {
	if c.counts.Kinds != nil || c.counts.Orders > 0 {
		return c.counts, c.fail
	}
	counts.Add(c.held)
	return counts, c.fail
}

func (c *company) PlanHeads(context.Context, bool, int) ([]reconcile.HeldPlan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plan.ID == "" {
		return nil, c.fail
	}
	return []reconcile.HeldPlan{c.plan}, c.fail
}

func (c *company) PlanPart(_ context.Context, q reconcile.PlanSearch) (plan reconcile.HeldPlan, next string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.Plan != c.plan.ID {
		return plan, "", cmp.Or(c.fail, error(fault.NotFound))
	}
	plan = c.plan
	plan.Actions, plan.Joined, plan.Total = nil, nil, 0
	for i, a := range c.plan.Actions {
		if !strings.Contains(strings.ToLower(a.Customer+a.Subscription+a.Email+a.Reason), strings.ToLower(q.Text)) {
			continue
		}
		plan.Total++
		switch {
		case a.Customer <= q.After:
		case len(plan.Actions) < q.Limit:
			plan.Actions, plan.Joined = append(plan.Actions, a), append(plan.Joined, c.plan.Joined[i])
		default:
			next = plan.Actions[len(plan.Actions)-1].Customer
		}
	}
	return plan, next, c.fail
}

// decide is what both an approval and a rejection do first, as the store does.
func (c *company) decide(id string, version int) error {
	switch p := &c.plan; {
	case id != p.ID:
		return fault.NotFound
	case !p.Approved.IsZero():
		return fault.Errorf(fault.Conflict, "it was already approved by %s at %s", p.By, p.Approved.Format(time.RFC3339))
	case !p.Closed.IsZero():
		return fault.Errorf(fault.Conflict, "it was already rejected at %s by %s", p.Closed.Format(time.RFC3339), p.Reason)
	case version != p.Version:
		return fault.Errorf(fault.Conflict, "version %d of it does not wait: it is at version %d", version, p.Version)
	}
	return nil
}

func (c *company) Approve(_ context.Context, id string, version int, by string, now time.Time) (reconcile.HeldPlan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.decide(id, version); err != nil {
		return reconcile.HeldPlan{}, err
	}
	c.plan.Approved, c.plan.By, c.plan.Expires = now, by, now.Add(reconcile.ApprovalLife)
	c.did = append(c.did, fmt.Sprint("approve ", id, " ", version, " ", by))
	return c.plan, c.fail
}

func (c *company) Reject(_ context.Context, id string, version int, by, reason string, _ func() string, now time.Time) (reconcile.HeldPlan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.decide(id, version); err != nil {
		return reconcile.HeldPlan{}, err
	}
	c.plan.Closed, c.plan.Reason = now, by+": "+reason
	c.did = append(c.did, fmt.Sprint("reject ", id, " ", version, " ", by, ": ", reason))
	return c.plan, c.fail
}

func (c *company) Worth(_ context.Context, subscriptions []string) (map[string]server.Worth, error) {
	all := map[string]server.Worth{}
	for i, id := range subscriptions {
		if all[id] = (server.Worth{Amount: "1234.50", Currency: "eur"}); i == 0 {
			all[id] = server.Worth{Problem: "the price is metered"}
		}
	}
	return all, c.fail
}

func (c *company) FailureKinds(context.Context) (map[string]int, error) {
	kinds := map[string]int{}
	for _, r := range c.customers {
		if !r.Parked.IsZero() || !r.RetryAfter.IsZero() {
			kinds[reconcile.SameFailure(r.LastError)]++
		}
	}
	return kinds, c.fail
}

func (c *company) FailingOf(_ context.Context, kind string, limit int) (ids []string, err error) {
	for _, r := range c.customers {
		if (!r.Parked.IsZero() || !r.RetryAfter.IsZero()) && reconcile.SameFailure(r.LastError) == kind && len(ids) < limit {
			ids = append(ids, r.ID)
		}
	}
	return ids, c.fail
}

func (c *company) Actions(_ context.Context, f reconcile.ActionFilter) ([]reconcile.ActionRecord, error) {
	switch f.Customer {
	case "":
		return c.actions, c.fail
	case theCustomer:
		var found []reconcile.ActionRecord
		for _, a := range c.journal {
			if (f.Until.IsZero() || !a.At().After(f.Until)) && len(found) < f.Limit {
				found = append(found, a)
			}
		}
		return found, c.fail
	}
	return nil, c.fail
}

func (c *company) Retry(_ context.Context, id string, _ time.Time) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == theCustomer {
		c.record.Parked, c.record.LastError, c.record.Failures = time.Time{}, "", 0
	}
	for i := range c.customers {
		if r := &c.customers[i]; r.ID == id {
			r.Parked, r.RetryAfter, r.LastError = time.Time{}, time.Time{}, ""
		}
	}
	if !strings.HasPrefix(id, "cus_") {
		return "", fault.NotFound
	}
	c.did = append(c.did, "retry "+id)
	return id, c.fail
}

func (c *company) ByID(_ context.Context, id string) ([]reconcile.CustomerRecord, error) {
	if id != theCustomer {
		return nil, c.fail
	}
	return []reconcile.CustomerRecord{c.record}, c.fail
}

func (c *company) WantName(_ context.Context, customer, name, why string, _ time.Time) (bool, error) {
	if customer != theCustomer {
		return false, fault.NotFound
	}
	return true, c.note("rename", customer, name, why)
}

func (c *company) Login(_ context.Context, r *reconcile.CustomerRecord, w reconcile.LoginRequest) (reconcile.Login, error) {
	if c.loginFail != nil {
		return reconcile.Login{}, c.loginFail
	}
	return reconcile.Login{Customer: r.ID, Org: r.Org.ID, Owner: r.Email, Link: "https://panel.example.com/sso?otp=once"}, c.note("login", r.ID, w.Author, w.Reason)
}
