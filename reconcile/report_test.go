package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Actions that a report only counts, because the list is cut, are pending like listed ones.
func TestARunHasConvergedWhenNothingIsLeft(t *testing.T) {
	record := func(s reconcile.ActionState) reconcile.Report {
		return reconcile.Report{Actions: []reconcile.ActionRecord{{State: s}}}
	}
	counted := func(s reconcile.ActionState) reconcile.Report {
		return reconcile.Report{Omitted: reconcile.Omitted{Actions: map[reconcile.ActionClass]int{{Kind: reconcile.Suspend, State: s}: 3}}}
	}
	for s := reconcile.ActionPlanned; s <= reconcile.ActionSuperseded; s++ {
		done := s == reconcile.ActionApplied || s == reconcile.ActionAdopted || s == reconcile.ActionSuperseded
		for n, r := range map[int]reconcile.Report{1: record(s), 3: counted(s)} {
			want := n
			if done {
				want = 0
			}
			if got := r.Pending(); got != want || r.Converged() != done {
				t.Errorf("%d %s: %d are pending and converged is %v, want %d and %v", n, s, got, r.Converged(), want, done)
			}
		}
	}
	for name, r := range map[string]reconcile.Report{
		"an error":             {Run: reconcile.RunRecord{Error: "down"}},
		"something not read":   {Partial: true},
		"a hold":               {Holds: []reconcile.Hold{{}}},
		"a held plan":          {Plans: []reconcile.HeldPlan{{}}},
		"creates that wait":    {Waits: "another installation"},
		"an action in planned": record(reconcile.ActionPlanned),
	} {
		if r.Converged() {
			t.Errorf("with %s it has converged", name)
		}
	}
	if !(reconcile.Report{Notes: []string{"a note"}}).Converged() {
		t.Error("a note alone keeps a run from having converged")
	}
}

func TestWhatIsNotListedIsCounted(t *testing.T) {
	o := reconcile.Omitted{Holds: 5, Brakes: 7, Actions: map[reconcile.ActionClass]int{
		{Kind: reconcile.Suspend, State: reconcile.ActionHeld}: 1, {Kind: reconcile.Resume, State: reconcile.ActionHeld}: 2, {Kind: reconcile.Suspend, State: reconcile.ActionApplied}: 4}}
	for _, tc := range []struct {
		states []reconcile.ActionState
		want   int
	}{
		{nil, 0},
		{[]reconcile.ActionState{reconcile.ActionHeld}, 3},
		{[]reconcile.ActionState{reconcile.ActionApplied, reconcile.ActionHeld}, 7},
		{[]reconcile.ActionState{reconcile.ActionFailed}, 0},
	} {
		if got := o.In(tc.states...); got != tc.want {
			t.Errorf("%d in %v, want %d", got, tc.states, tc.want)
		}
	}
	if got := o.Total(); got != 19 {
		t.Errorf("%d in all, want 19", got)
	}
}

func TestANudgeForEverythingNamesNoSubscription(t *testing.T) {
	if got := reconcile.NudgeTargets(true, []string{"sub_1"}); !slices.Equal(got, []string{reconcile.NudgeAll}) {
		t.Errorf("a full run asks for %q", got)
	}
	if got := reconcile.NudgeTargets(false, []string{"sub_1"}); !slices.Equal(got, []string{"sub_1"}) {
		t.Errorf("a run for one asks for %q", got)
	}
}

func TestAHoldThatCannotBeSetSaysWhy(t *testing.T) {
	good := reconcile.ManualHold{Subscription: "sub_1", Kind: reconcile.NoSuspend}
	for _, tc := range []struct {
		name   string
		change func(h *reconcile.ManualHold)
		want   string // "": it can be set
	}{
		{"for a subscription", func(*reconcile.ManualHold) {}, ""},
		{"for a customer", func(h *reconcile.ManualHold) { h.Subscription, h.Customer = "", "cus_1" }, ""},
		{"until later", func(h *reconcile.ManualHold) { h.Until = noon.Add(time.Second) }, ""},
		{"for both", func(h *reconcile.ManualHold) { h.Customer = "cus_1" }, "exactly one"},
		{"for none", func(h *reconcile.ManualHold) { h.Subscription = "" }, "exactly one"},
		{"for a slip of the pen", func(h *reconcile.ManualHold) { h.Subscription = "sub1" }, `"sub1" is no id of a subscription`},
		{"for another slip", func(h *reconcile.ManualHold) { h.Subscription, h.Customer = "", "sub_1" }, `"sub_1" is no id of a customer`},
		{"for an e-mail", func(h *reconcile.ManualHold) { h.Subscription, h.Customer = "", "ada@example.com" }, `"ada@example.com" is an e-mail, and a hold needs the id of the customer`},
		{"of no kind", func(h *reconcile.ManualHold) { h.Kind = 0 }, "no-suspend, keep-suspended or ignore"},
		{"until now", func(h *reconcile.ManualHold) { h.Until = noon }, "which is past"},
	} {
		h := good
		tc.change(&h)
		if got := h.Problem(noon); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
