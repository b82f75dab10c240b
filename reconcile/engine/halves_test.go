package engine_test

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The same while the other hosting of that subscription changes its plan: this action
// stands between the link and what rests on it.
func TestAnExchangeBesideAnotherPlanIsNotDoneByHalves(t *testing.T) {
	for _, slot := range []int{1, 2} {
		c := newCompany(t, nil)
		c.order("A", 0, 1)
		c.run()
		c.site("A", 1, "a.example.com")
		c.order("B", 0, 2)
		c.run()
		c.site("B", slot, "b.example.com")
		must(t, c.World.Cancel(c.subs["A"].Subscription))
		must(t, c.World.ChangePrice(c.subs["B"].Subscription, "", priceFor(t, c.Env, plans(c.Env)[1])))
		_, err := c.Store.AddManualHold(t.Context(), reconcile.ManualHold{ID: "hold-1", Subscription: c.subs["B"].Subscription, Kind: reconcile.KeepSuspended,
			Reason: "asked to", Author: "operator", Created: c.World.Now()})
		must(t, err)
		rep := c.run()
		diff(t, "done", []string{"change_plan applied"}, kinds(rep))
		diff(t, "told", []string{"manual", "manual", "manual"}, holdKinds(rep)) // the link, the plan, the suspension
		diff(t, "panel", []string{"plan 1 up with []", "plan 1 up with [a.example.com]", "plan 2 up with [b.example.com]"}, c.panel())
	}
}
