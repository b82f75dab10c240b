package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func disputing(p reconcile.DisputePolicy) reconcile.Policy {
	all := policy()
	all.Dispute = p
	return all
}

// disputed adds a dispute of the payment of sub_1, which was read just now.
func disputed(changes ...func(*reconcile.Dispute)) func(*reconcile.Customer) {
	d := reconcile.Dispute{ID: "dp_1", StripeCustomer: "cus_1", Subscription: "sub_1", Invoice: "in_1", Status: reconcile.DisputeNeedsResponse,
		Amount: 900, Currency: "eur", Opened: noon.Add(-time.Hour), ReadAt: noon}
	for _, change := range changes {
		change(&d)
	}
	return func(c *reconcile.Customer) { c.Disputes = append(c.Disputes, d) }
}

func as(s reconcile.DisputeStatus) func(*reconcile.Dispute) {
	return func(d *reconcile.Dispute) { d.Status = s }
}

func noSuspend(sub string) func(*reconcile.Customer) {
	return func(c *reconcile.Customer) {
		c.Manual = append(c.Manual, reconcile.ManualHold{ID: "hold-1", Subscription: sub, Kind: reconcile.NoSuspend, Author: "ada@desk", Created: noon})
	}
}

func TestADisputeSuspendsOnlyTheSubscriptionWhosePaymentItIs(t *testing.T) {
	down := func(c *reconcile.Customer) {
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-time.Hour)
	}
	paidAt := func(at time.Time) func(*reconcile.Dispute) {
		return func(d *reconcile.Dispute) { d.Status, d.PaidAt = reconcile.DisputeLost, at }
	}
	for _, tt := range []struct {
		name   string
		policy reconcile.DisputePolicy
		life   []func(*reconcile.Customer)
		want   string
	}{
		{"reported alone", reconcile.TellDisputes, []func(*reconcile.Customer){disputed()}, ""},
		{"held", reconcile.HoldDisputes, []func(*reconcile.Customer){disputed()}, ""},
		{"suspended", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed()}, "suspend:sub_1/1:7"},
		{"under review", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(as(reconcile.DisputeUnderReview))}, "suspend:sub_1/1:7"},
		{"lost", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(as(reconcile.DisputeLost))}, "suspend:sub_1/1:7"},
		{"lost, and paid before", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(paidAt(noon.Add(-2 * time.Hour)))}, "suspend:sub_1/1:7"},
		{"lost, and a later invoice is paid", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(paidAt(noon))}, ""},
		{"lost, and that cannot be read", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(as(reconcile.DisputeLost), func(d *reconcile.Dispute) { d.PaymentUnread = true })}, ""},
		{"refunded", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(as(reconcile.DisputeRefunded))}, ""},
		{"of another subscription", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(func(d *reconcile.Dispute) { d.Subscription = "sub_2" })}, ""},
		{"of no subscription", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(func(d *reconcile.Dispute) { d.Subscription = "" })}, ""},
		{"of another customer", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(func(d *reconcile.Dispute) { d.StripeCustomer = "cus_2" })}, ""},
		{"a person trusts the customer", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(), noSuspend("")}, ""},
		{"a person trusts the subscription", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(), noSuspend("sub_1")}, ""},
		{"a person trusts another subscription", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(), noSuspend("sub_9")}, "suspend:sub_1/1:7"},
		{"down already", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(), down}, ""},
		{"won", reconcile.SuspendDisputes, []func(*reconcile.Customer){down}, "resume:sub_1/1:7"},
		{"trusted after the suspension", reconcile.SuspendDisputes, []func(*reconcile.Customer){disputed(), down, noSuspend("sub_1")}, "resume:sub_1/1:7"},
		{"the setting is another by now", reconcile.TellDisputes, []func(*reconcile.Customer){disputed(), down}, "resume:sub_1/1:7"},
		{"and overdue within the grace period", reconcile.SuspendDisputes, []func(*reconcile.Customer){lapsed, disputed()}, "suspend:sub_1/1:7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := worldOf(tt.life...)
			d := planner.Decide(&c, catalog(), disputing(tt.policy), noon)
			if got := summary(d); got != tt.want || len(d.Needs) > 0 {
				t.Errorf("got %q, want %q: %v %v", got, tt.want, d.Holds, d.Needs)
			}
		})
	}
}

// TestADisputeThatIsNotReadAgainSuspendsNothing, and lifts nothing.
func TestADisputeThatIsNotReadAgainSuspendsNothing(t *testing.T) {
	old := disputed(func(d *reconcile.Dispute) { d.ReadAt = noon.Add(-11 * time.Minute) })
	for name, life := range map[string]func(*reconcile.Customer){
		"up": func(*reconcile.Customer) {},
		"down": func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
		},
	} {
		c := worldOf(old, life)
		d := planner.Decide(&c, catalog(), disputing(reconcile.SuspendDisputes), noon)
		if got := summary(d); got != "hold dispute" || !heldAs(d, reconcile.HoldDispute, "cannot be read again") {
			t.Errorf("%s: %q", name, got)
		}
		if len(d.Needs) != 1 || d.Needs[0] != (planner.Need{Kind: planner.NeedDispute, Dispute: "dp_1"}) {
			t.Errorf("%s: needs %v", name, d.Needs)
		}
	}
}

// TestNothingNewForACustomerWithADispute of any payment, also one of no subscription, and for
// one who has got the money back.
func TestNothingNewForACustomerWithADispute(t *testing.T) {
	upgrade := func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Price = "price_pro" }
	downgrade := func(c *reconcile.Customer) { c.Hostings[0].Plan = 2 }
	elsewhere := func(d *reconcile.Dispute) { d.Subscription = "" }
	for _, tt := range []struct {
		name   string
		policy reconcile.DisputePolicy
		life   []func(*reconcile.Customer)
		want   string
	}{
		{"an order", reconcile.HoldDisputes, []func(*reconcile.Customer){unbound, disputed(elsewhere)}, "hold dispute"},
		{"an order after a refund", reconcile.HoldDisputes, []func(*reconcile.Customer){unbound, disputed(as(reconcile.DisputeRefunded))}, "hold dispute"},
		{"an order, suspended otherwise", reconcile.SuspendDisputes, []func(*reconcile.Customer){unbound, disputed(elsewhere)}, "hold dispute"},
		{"a larger plan", reconcile.HoldDisputes, []func(*reconcile.Customer){upgrade, disputed()}, "hold dispute"},
		{"a smaller plan", reconcile.HoldDisputes, []func(*reconcile.Customer){downgrade, disputed()}, "change_plan:sub_1/1:7:2>1"},
		{"a larger plan of one whom a person trusts", reconcile.HoldDisputes, []func(*reconcile.Customer){upgrade, disputed(), noSuspend("sub_1")}, "change_plan:sub_1/1:7:1>2"},
		{"a larger plan, reported alone", reconcile.TellDisputes, []func(*reconcile.Customer){upgrade, disputed()}, "change_plan:sub_1/1:7:1>2"},
		{"a larger plan, and the dispute is settled", reconcile.HoldDisputes, []func(*reconcile.Customer){upgrade, disputed(func(d *reconcile.Dispute) {
			d.Status, d.PaidAt = reconcile.DisputeLost, noon
		})}, "change_plan:sub_1/1:7:1>2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := worldOf(tt.life...)
			d := planner.Decide(&c, catalog(), disputing(tt.policy), noon)
			if got := summary(d); got != tt.want {
				t.Errorf("got %q, want %q: %v", got, tt.want, d.Holds)
			}
		})
	}
}
