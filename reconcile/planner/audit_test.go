package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// found is what an audit found, in short: kind, hosting, shares.
func found(a reconcile.Audit) string {
	var all []string
	for _, d := range a.Discrepancies {
		text := string(d.Kind)
		if d.Hosting != 0 {
			text += fmt.Sprintf(" %d", d.Hosting)
		}
		for _, s := range d.Shares {
			text += fmt.Sprintf(" %s %d/%d", s.Item, s.Units, s.Of)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestWhatAnAuditFinds(t *testing.T) {
	const month = 30 * 24 * time.Hour
	status := func(s reconcile.Status) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			sub := &c.Subscriptions[0]
			if sub.Status, sub.StatusText, sub.StatusSince = s, s.String(), noon.Add(-time.Hour); s.Ended() {
				sub.EndedAt = noon.Add(-2 * month)
			}
		}
	}
	price := func(price string, n int64) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			it := &c.Subscriptions[0].Items[0]
			it.Price, it.Quantity = price, n
		}
	}
	state := func(s reconcile.HostingState) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) { c.Hostings[0].State = s }
	}
	unbound := func(c *reconcile.Customer) { c.Bindings, c.Hostings = nil, nil }
	suspended := func(ago time.Duration) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-ago)
		}
	}
	manual := func(kind reconcile.ManualKind, sub string) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			m := reconcile.ManualHold{ID: "hold_1", Kind: kind, Subscription: sub, Author: "ops"}
			if sub == "" {
				m.Customer = "cus_1"
			}
			c.Manual = append(c.Manual, m)
		}
	}
	twin := func(c *reconcile.Customer) {
		c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Basic [sub_1/1]"})
	}
	type changes = []func(*reconcile.Customer)
	for _, tc := range []struct {
		name   string
		change changes
		want   string
		reason string // of the first row
	}{
		{"all is well", nil, "", ""},
		{"past_due in grace", changes{status(reconcile.StatusPastDue), func(c *reconcile.Customer) {
			c.Subscriptions[0].Lapse.Since, c.Subscriptions[0].UnpaidSince = noon, noon
		}}, "", ""},

		{"paid, without a hosting", changes{unbound}, "paid_not_provisioned si_1 1/1", "sub_1 is active, and its hosting is not there: the next run creates it"},
		{"in trial, without a hosting", changes{unbound, status(reconcile.StatusTrialing)}, "paid_not_provisioned si_1 1/1", "sub_1 is in trial"},
		{"two of three are not there", changes{price("price_basic", 3)}, "paid_not_provisioned si_1 2/3", "2 of its hostings are not there"},
		{"a price without a mapping", changes{unbound, price("price_new", 2)}, "paid_not_provisioned si_1 2/2", "no price of sub_1 is mapped to a plan"},
		{"a mapping that was lost", changes{price("price_new", 1)}, "", ""},
		{"a plan that is gone", changes{unbound, price("price_number", 1)}, "paid_not_provisioned si_1 1/1", "which the panel does not have"},
		{"more than a person orders", changes{price("price_basic", 200)}, "paid_not_provisioned si_1 199/200", "200"},
		{"missing at the panel", changes{state(reconcile.HostingMissing)}, "paid_not_provisioned si_1 1/1", "the panel no longer has it"},
		{"deleted in the panel", changes{state(reconcile.HostingDeleted)}, "paid_not_provisioned si_1 1/1", "was deleted in the panel"},
		{"not paid for, without a hosting", changes{unbound, status(reconcile.StatusCanceled)}, "", ""},
		{"suspended by staff", changes{state(reconcile.HostingSuspended)}, "", ""},

		{"canceled, and up", changes{status(reconcile.StatusCanceled)}, "provisioned_not_paid 7 si_1 1/1", "sub_1 is canceled"},
		{"canceled, up, and kept by a person", changes{status(reconcile.StatusCanceled), manual(reconcile.NoSuspend, "")}, "provisioned_not_paid 7 si_1 1/1", "no-suspend by ops"},
		{"unpaid, and up", changes{status(reconcile.StatusUnpaid), func(c *reconcile.Customer) { c.Subscriptions[0].UnpaidSince = noon }}, "provisioned_not_paid 7 si_1 1/1", "sub_1 is unpaid"},
		{"a status that is not known", changes{status(reconcile.StatusUnknown)}, "", ""},
		{"incomplete", changes{status(reconcile.StatusIncomplete)}, "", ""},
		{"the quantity fell to nothing", changes{price("price_basic", 0)}, "provisioned_not_paid 7 si_1 1/0", ""},

		{"on another plan", changes{price("price_pro", 1)}, "wrong_plan 7 si_1 1/1", `for plan "Pro" (2)`},
		{"on another plan, and it uses more", changes{price("price_basic", 1), func(c *reconcile.Customer) {
			c.Hostings[0].Plan, c.Hostings[0].Usage = 2, []reconcile.Usage{{Name: "websites", Used: 5}}
		}}, "wrong_plan 7 si_1 1/1", "it keeps plan"},
		{"on another plan, and kept by a person", changes{func(c *reconcile.Customer) { c.Hostings[0].Plan = 2 }, manual(reconcile.NoSuspend, "")}, "wrong_plan 7 si_1 1/1", "no-suspend by ops"},

		{"kept for too long", changes{status(reconcile.StatusCanceled), suspended(month + time.Hour)}, "kept_too_long 7 si_1 1/1", "the retention period of 720h is over"},
		{"not yet", changes{status(reconcile.StatusCanceled), suspended(month - time.Hour)}, "", ""},
		{"unpaid for ever", changes{status(reconcile.StatusUnpaid), suspended(month + time.Hour), func(c *reconcile.Customer) { c.Subscriptions[0].UnpaidSince = noon }}, "kept_too_long 7 si_1 1/1", "retention counts from the end of the subscription"},
		{"suspended by staff, and ended long ago", changes{status(reconcile.StatusCanceled), state(reconcile.HostingSuspended)}, "kept_too_long 7 si_1 1/1", "is suspended, not by us"},

		{"unpaid, and no invoice is open", changes{status(reconcile.StatusUnpaid)}, "paid_but_unpaid_status si_1 1/1, provisioned_not_paid 7 si_1 1/1", "none of its invoices is open"},
		{"a newsletter", changes{unbound, status(reconcile.StatusUnpaid), price("price_new", 1)}, "", ""},

		{"made twice", changes{twin}, "duplicate 8 si_1 1/1", "hosting 8"},
		{"an org made twice", changes{func(c *reconcile.Customer) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-2", Name: "A [cus_1]", ObservedAt: noon}, {ID: "org-3", Name: "A [cus_1]", Deleted: true}, {ID: "org-1"}}
		}}, "duplicate", "org-2"},

		{"left alone", changes{status(reconcile.StatusCanceled), manual(reconcile.Ignore, "")}, "", ""},
		{"the subscription is left alone", changes{status(reconcile.StatusCanceled), manual(reconcile.Ignore, "sub_1")}, "", ""},
	} {
		c := world(func(c *reconcile.Customer) {
			c.Subscriptions[0].Created, c.Hostings[0].Bound = noon.Add(-90*24*time.Hour), true
			for _, change := range tc.change {
				change(c)
			}
		})
		p := policy()
		p.Retention = month
		a := planner.Audit(&c, catalog(), p, noon)
		if got := found(a); got != tc.want || tc.want != "" && !strings.Contains(a.Discrepancies[0].Reason, tc.reason) {
			t.Errorf("%s: %q, want %q: %+v", tc.name, got, tc.want, a.Discrepancies)
		}
		for _, d := range a.Discrepancies {
			if d.Customer != "cus_1" || d.Email != "a@example.com" || d.Reason == "" {
				t.Errorf("%s: %+v", tc.name, d)
			}
		}
		p.Retention = 0
		if strings.HasPrefix(tc.want, "kept") {
			if a := planner.Audit(&c, catalog(), p, noon); found(a) != "" {
				t.Errorf("%s, and kept for ever: %s", tc.name, found(a))
			}
		}
	}
}

// Two hostings, of which one is not paid for and both have content: which one is not known,
// that it is one is.
func TestASurplusOfWhichNoneGoesIsFound(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
		c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Basic [sub_1/2]"})
		for i := range c.Hostings {
			c.Hostings[i].Content = reconcile.Content{ReadAt: noon, Count: 1, Sites: []string{fmt.Sprintf("%d.example.com", i)}}
		}
	})
	if got := found(planner.Audit(&c, catalog(), policy(), noon)); got != "provisioned_not_paid si_1 1/1" {
		t.Errorf("%q", got)
	}
}

// A row about a hosting has its usage, which shows whether the other plan is of any use.
func TestARowHasTheUsageOfItsHosting(t *testing.T) {
	usage := []reconcile.Usage{{Name: "websites", Used: 3}}
	c := world(func(c *reconcile.Customer) { c.Hostings[0].Plan, c.Hostings[0].Usage = 2, usage })
	a := planner.Audit(&c, catalog(), policy(), noon)
	if found(a) == "" || !slices.Equal(a.Discrepancies[0].Usage, usage) {
		t.Errorf("%+v", a.Discrepancies)
	}
}

// A hosting that the next run binds is not one that no subscription is bound to.
func TestWhatTheNextRunBindsIsNamed(t *testing.T) {
	c := world(func(c *reconcile.Customer) { c.Bindings, c.Hostings[0].Bound = nil, false })
	if a := planner.Audit(&c, catalog(), policy(), noon); found(a) != "" || !slices.Equal(a.Linked, []int64{7}) {
		t.Errorf("%s, linked %v", found(a), a.Linked)
	}
}

// In every world an audit changes nothing, ends, gives each row a reason, and lists no
// hosting of a customer who is left alone; a hosting that the decision suspends or deletes
// is one of its rows.
func TestAnAuditFindsWhatIsTakenAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawScene(t)
		before := fmt.Sprintf("%+v", w.c)
		a := planner.Audit(&w.c, catalogOf(offer()), w.policy, w.now)
		if after := fmt.Sprintf("%+v", w.c); before != after {
			t.Fatalf("the customer was changed")
		}
		for _, d := range a.Discrepancies {
			if d.Reason == "" || d.Customer != w.c.ID || !slices.Contains(reconcile.DiscrepancyKinds, d.Kind) {
				t.Fatalf("%+v", d)
			}
			for _, s := range d.Shares {
				if s.Units < 0 || s.Item == "" {
					t.Fatalf("%+v", d)
				}
			}
		}
		for _, act := range w.decide().Actions {
			takes := act.Kind == reconcile.Suspend || act.Kind == reconcile.Terminate
			if takes && !slices.ContainsFunc(a.Discrepancies, func(d reconcile.Discrepancy) bool { return d.Hosting == act.Hosting }) {
				t.Fatalf("%s of hosting %d is no row: %+v", act.Kind, act.Hosting, a.Discrepancies)
			}
		}
	})
}
