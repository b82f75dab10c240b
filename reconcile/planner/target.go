package planner

import (
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TargetOf describes a subscription of c after a run with these actions and holds. found
// reports whether c has the subscription.
func TargetOf(c *reconcile.Customer, cat *Catalog, id string, actions []reconcile.ActionRecord, holds []reconcile.Hold, p reconcile.Policy, now time.Time) (t reconcile.Target, found bool) {
	i := slices.IndexFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == id })
	if i < 0 {
		return reconcile.UnknownTarget(id), false
	}
	s := &c.Subscriptions[i]
	t = reconcile.Target{Subscription: id, Known: !s.Gone, Customer: c.ID, Email: c.Email}
	if t.Known {
		t.Status = s.Status.String()
		if s.Status == reconcile.StatusUnknown {
			t.Status = s.StatusText
		}
	}
	for _, b := range c.Bindings {
		if j := slices.IndexFunc(c.Hostings, func(h reconcile.Hosting) bool { return h.ID == b.Hosting }); b.Subscription == id && j >= 0 {
			t.Hostings = append(t.Hostings, c.Hostings[j])
		}
	}
	counts := countActions(&t, c, actions)
	why := ""
	for _, h := range holds {
		if h.Subscription == id || h.Subscription == "" && h.Customer == c.ID {
			if t.Withheld++; why == "" {
				why = h.Reason
			}
		}
	}
	p = cat.policyFor(s, p)
	t.Text = whatIsThere(&t, s) + ": " + strings.Join(whatFollows(&t, c, s, counts, why, p, now), "; ")
	return t, true
}

// countActions counts the actions for a target, or for its customer alone, and returns how
// many are done, how many failed or have no known outcome, and how many are left to do.
func countActions(t *reconcile.Target, c *reconcile.Customer, actions []reconcile.ActionRecord) (counts [3]int) {
	for _, a := range actions {
		if a.State == reconcile.ActionSuperseded || a.Subscription != t.Subscription && (a.Subscription != "" || a.Customer != c.ID) {
			continue
		}
		t.Changes++
		switch a.State {
		case reconcile.ActionApplied, reconcile.ActionAdopted:
			counts[0]++
		case reconcile.ActionFailed, reconcile.ActionSent, reconcile.ActionAmbiguous:
			counts[1]++
		case reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSuperseded:
			counts[2]++
		}
	}
	return counts
}
