package planner_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// claims are words that state more than the facts. Stripe gives a status, which does not
// show whether anything was paid; and a hosting may change its plan more than "once".
var claims = regexp.MustCompile(`(?i)\b(paid|pays?|paying|once)\b`)

// deletes matches advice to delete, which is wrong if the hosting may be the only one left.
var deletes = regexp.MustCompile(`(?i)\bdelet(e|ing)\b`)

// Every sentence about a customer is compared with its facts, for each status, billing,
// state at the panel, mode and manual hold.
func TestNoSentenceSaysMoreThanIsKnown(t *testing.T) {
	statuses := []reconcile.Status{reconcile.StatusActive, reconcile.StatusTrialing, reconcile.StatusPastDue, reconcile.StatusUnpaid, reconcile.StatusPaused,
		reconcile.StatusIncomplete, reconcile.StatusIncompleteExpired, reconcile.StatusCanceled, reconcile.StatusUnknown}
	panels := map[string]func(*reconcile.Customer){
		"none": func(c *reconcile.Customer) { c.Bindings, c.Hostings, c.Org = nil, nil, nil },
		"up":   func(*reconcile.Customer) {},
		"ours": func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
		},
		"staff's": func(c *reconcile.Customer) { c.Hostings[0].State = reconcile.HostingSuspended },
		"missing": func(c *reconcile.Customer) { c.Hostings[0].State = reconcile.HostingMissing },
		"deleted": func(c *reconcile.Customer) { c.Hostings[0].State = reconcile.HostingDeleted },
		"unknown": func(c *reconcile.Customer) { c.Hostings[0].State = reconcile.HostingUnknown },
		"on Gold": func(c *reconcile.Customer) { c.Hostings[0].Plan = 3 },
		"on none": func(c *reconcile.Customer) { c.Hostings[0].Plan = 55 },
		"unbound": func(c *reconcile.Customer) { c.Bindings, c.Unbound, c.Undecided = nil, true, true },
		"no item": func(c *reconcile.Customer) {
			c.Bindings[0].Item = ""
			c.Subscriptions[0].Items[0].Price = "price_number"
		},
		"two": func(c *reconcile.Customer) { another(c, "2", reconcile.StatusActive, "price_basic") },
		"two, one": func(c *reconcile.Customer) {
			another(c, "2", reconcile.StatusActive, "price_pro")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 7})
		},
	}
	billing := map[string]func(*reconcile.Subscription){
		"charged":  func(*reconcile.Subscription) {},
		"invoiced": func(s *reconcile.Subscription) { s.SendInvoice = true },
		"paused":   func(s *reconcile.Subscription) { s.CollectionPaused = true },
		"ending":   func(s *reconcile.Subscription) { s.CancelAt = noon.Add(96 * time.Hour) },
		"unmapped": func(s *reconcile.Subscription) { s.Items[0].Price = "price_other" },
		"dear":     func(s *reconcile.Subscription) { s.Items[0].Price = "price_pro" },
	}
	manual := map[string][]reconcile.ManualHold{"": nil, "no-suspend": {{Kind: reconcile.NoSuspend, Subscription: "sub_1", Author: "ops"}},
		"no-suspend for a while": {{Kind: reconcile.NoSuspend, Subscription: "sub_1", Author: "ops", Until: noon.Add(time.Hour)}}}
	seen := 0
	for _, status := range statuses {
		for panel, at := range panels {
			for bill, pay := range billing {
				for held, holds := range manual {
					for _, mode := range []reconcile.Mode{reconcile.Enforce, reconcile.Provision} {
						c := world(at)
						s := &c.Subscriptions[0]
						s.Status, s.StatusText, s.CurrentPeriodEnd = status, status.String(), noon.Add(240*time.Hour)
						if status == reconcile.StatusPastDue {
							s.Lapse.Since = noon.Add(-time.Hour)
						}
						pay(s)
						c.Manual = holds
						p := policy()
						p.Mode = mode
						seen += checkSentences(t, fmt.Sprintf("%s, %s, %s, %s, %s", status, panel, bill, held, mode), &c, p)
					}
				}
			}
		}
	}
	if seen < 1000 {
		t.Errorf("only %d sentences were checked", seen)
	}
}

// checkSentences checks every sentence of a decision. If one announces a suspension when
// the grace period ends, the suspension has to be decided at that time.
func checkSentences(t *testing.T, name string, c *reconcile.Customer, p reconcile.Policy) (seen int) {
	t.Helper()
	d := planner.Decide(c, catalog(), p, noon)
	for _, a := range d.Actions {
		seen++
		if claims.MatchString(a.Reason) {
			t.Errorf("%s: %s", name, a.Reason)
		}
		if a.Kind == reconcile.ChangePlan && strings.Count(a.Reason, fmt.Sprintf("(%d)", a.Plan)) != 1 {
			t.Errorf("%s: %s", name, a.Reason)
		}
	}
	for _, h := range d.Holds {
		seen++
		if claims.MatchString(h.Reason) || h.Kind == reconcile.HoldAdopt && deletes.MatchString(h.Reason) {
			t.Errorf("%s: %s", name, h.Reason)
		}
		if h.Kind != reconcile.HoldGrace || h.Until.IsZero() || len(c.Bindings) == 0 && len(c.Hostings) > 0 {
			continue // a hosting that is bound by this decision is not suspended in it
		}
		later := *c
		later.Hostings = nil
		for _, o := range c.Hostings {
			o.ObservedAt, o.Content.ReadAt = h.Until, h.Until
			later.Hostings = append(later.Hostings, o)
		}
		goes := strings.Contains(summary(planner.Decide(&later, catalog(), p, h.Until)), "suspend:sub_1")
		if up := c.Hostings != nil && c.Hostings[0].State == reconcile.HostingSuspended; !up && goes != strings.Contains(h.Reason, "is suspended then") {
			t.Errorf("%s: suspended then: %t, and the hold: %s", name, goes, h.Reason)
		}
		if o := c.Hostings; o != nil && o[0].State != reconcile.HostingActive && o[0].SuspendedByUs.IsZero() && strings.Contains(h.Reason, "stays up") {
			t.Errorf("%s: nothing of it is active, and the hold: %s", name, h.Reason)
		}
	}
	return seen
}
