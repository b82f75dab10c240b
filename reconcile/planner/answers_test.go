package planner_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// answerTo is the answer to one question about a customer; "" for none.
func answerTo(q reconcile.Question, c reconcile.Customer, p reconcile.Policy) string {
	var all []string
	for _, a := range planner.Answers(&reconcile.CustomerRecord{Customer: c}, catalog(), p, noon) {
		if a.Question == q {
			all = append(all, a.Text)
		}
	}
	return strings.Join(all, "\n")
}

func TestSupportIsAnswered(t *testing.T) {
	status := func(s reconcile.Status, more ...func(c *reconcile.Customer)) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = s, s.String()
			for _, change := range more {
				change(c)
			}
		}
	}
	down := func(by string, ours time.Time) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			h := &c.Hostings[0]
			h.State, h.SuspendedBy, h.SuspendedByUs = reconcile.HostingSuspended, by, ours
		}
	}
	for _, tc := range []struct {
		name     string
		question reconcile.Question
		change   func(c *reconcile.Customer)
		want     string
	}{
		{"suspended by us", reconcile.QuestionDown, status(reconcile.StatusUnpaid, down("us", noon)), "hosting 7 was suspended by this program at 2026-03-01 12:00 UTC: sub_1 is unpaid"},
		{"suspended by staff", reconcile.QuestionDown, down("staff-1", time.Time{}), "was suspended by staff at the panel, and not by this program (the panel names staff-1)"},
		{"the org is suspended", reconcile.QuestionDown, func(c *reconcile.Customer) { c.Org.Suspended = true }, "hosting 7 is active, and down: its organisation is suspended in the panel"},
		{"gone at the panel", reconcile.QuestionDown, func(c *reconcile.Customer) { c.Hostings[0].State = reconcile.HostingMissing }, "does not exist at the panel any more"},
		{"no hosting yet", reconcile.QuestionDown, unbound, "sub_1 is active and has no hosting yet, and the next run makes it"},
		{"paid late", reconcile.QuestionDown, down("us", noon), "The next run resumes it"},
		{"unpaid and up", reconcile.QuestionUp, status(reconcile.StatusUnpaid), "hosting 7 is up, though sub_1 is unpaid, and the next run suspends it"},
		{"active and up", reconcile.QuestionUp, func(*reconcile.Customer) {}, ""},
		{"unpaid: when", reconcile.QuestionWhen, status(reconcile.StatusUnpaid), "the next run suspends it"},
		{"active: when", reconcile.QuestionWhen, func(*reconcile.Customer) {}, "no suspension is ahead, as long as Stripe reports active"},
		{"an open invoice", reconcile.QuestionPayment, status(reconcile.StatusPastDue, func(c *reconcile.Customer) {
			c.Subscriptions[0].Owed = reconcile.OpenInvoice{ID: "in_1", Due: noon, Left: 900, Currency: "eur", URL: "https://pay.example.com/1", Open: 2}
		}), "the oldest of 2 open invoices, invoice in_1 of 9.00 EUR, due 2026-03-01 12:00 UTC, is not paid: https://pay.example.com/1"},
		{"invoices not readable", reconcile.QuestionPayment, status(reconcile.StatusPastDue, func(c *reconcile.Customer) { c.Subscriptions[0].ByID = false }), "which payment is missing is not known"},
		{"no open invoice", reconcile.QuestionPayment, status(reconcile.StatusPastDue), "Stripe has no open invoice of sub_1"},
		{"another plan", reconcile.QuestionPlan, func(c *reconcile.Customer) { c.Hostings[0].Plan = 4 }, `is on plan "Silver" (4), and price_basic buys "Basic" (1). The next run changes it`},
		{"the ordered plan", reconcile.QuestionPlan, func(*reconcile.Customer) {}, `is on plan "Basic" (1), which price_basic buys`},
		{"the address changed", reconcile.QuestionOwner, func(c *reconcile.Customer) { c.InvitedEmail = "old@example.com" }, "the owner at the panel is old@example.com, and Stripe has a@example.com now"},
		{"the name changed", reconcile.QuestionOwner, func(c *reconcile.Customer) { c.Org.Name, c.Name = "Bakery", "Ada's" }, `stripe-enhance customers rename cus_1 'Ada'\''s' --reason`},
		{"neither changed", reconcile.QuestionOwner, func(c *reconcile.Customer) { c.InvitedEmail, c.Org.Name, c.Name = "A@example.com", "Ada", "ada" }, ""},
		{"a guest", reconcile.QuestionInvitation, func(c *reconcile.Customer) { c.OrgGuest, c.Invited = true, time.Time{} }, "another Stripe customer with this e-mail had it first"},
		{"no address", reconcile.QuestionInvitation, func(c *reconcile.Customer) { c.Email, c.Invited = "", time.Time{} }, "no invitation was sent: "},
		{"an owner", reconcile.QuestionInvitation, func(c *reconcile.Customer) { c.Invited, c.Org.OwnerEmail = time.Time{}, "o@example.com" }, "the organisation has an owner already, o@example.com"},
		{"another customer with the e-mail", reconcile.QuestionHostings, func(c *reconcile.Customer) {
			c.Kin = []reconcile.Kin{{ID: "cus_2", Hostings: []reconcile.KinHosting{{Subscription: "sub_9", Hosting: 9, State: reconcile.HostingActive}}}}
		}, "another Stripe customer with this e-mail, cus_2, has hosting 9"},
		{"pays now", reconcile.QuestionPayNow, status(reconcile.StatusUnpaid, down("us", noon)), "the next run resumes hosting 7"},
		{"pays now, suspended by staff", reconcile.QuestionPayNow, status(reconcile.StatusUnpaid, down("staff-1", time.Time{})), "hosting 7 is still not up: "},
		{"pays now, canceled", reconcile.QuestionPayNow, status(reconcile.StatusCanceled, down("us", noon)), "no payment brings it back: a new order is needed, which gets hosting 7 again"},
		{"the end of the period", reconcile.QuestionPeriodEnd, func(c *reconcile.Customer) { c.Subscriptions[0].CurrentPeriodEnd = noon.Add(time.Hour) }, "its period ends at 2026-03-01 13:00 UTC: Stripe then charges the next period"},
		{"an invoice at its end", reconcile.QuestionPeriodEnd, func(c *reconcile.Customer) {
			c.Subscriptions[0].CurrentPeriodEnd, c.Subscriptions[0].SendInvoice = noon.Add(time.Hour), true
		}, "Stripe then sends the next invoice"},
	} {
		got := answerTo(tc.question, world(tc.change), policy())
		if !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	observe := policy()
	observe.Mode = reconcile.Observe
	if got := answerTo(reconcile.QuestionWhen, world(status(reconcile.StatusUnpaid)), observe); got != "a run suspends it as soon as MODE is not observe" {
		t.Errorf("while runs only look: %q", got)
	}
}

// Stripe's status is all that is known of a payment.
func TestNoAnswerClaimsAPayment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		for _, a := range planner.Answers(&reconcile.CustomerRecord{Customer: s.c}, catalogOf(offer()), s.policy, s.now) {
			if text := strings.ReplaceAll(a.Text, "though an invoice of it was paid since", ""); strings.Contains(text, "has paid") || strings.Contains(text, "was paid") {
				t.Errorf("%s: %s", a.Question, a.Text)
			}
		}
	})
}
