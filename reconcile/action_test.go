package reconcile_test

import (
	"slices"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestEveryActionKindHasARow(t *testing.T) {
	for k := reconcile.Link; k <= reconcile.SendMail; k++ {
		if !slices.Contains(reconcile.ActionKinds(), k) || k.String() == "unknown" || reconcile.ParseActionKind(k.String()) != k {
			t.Errorf("add kind %d to actionKinds", k)
		}
		if brake := k.Brake(); brake != 0 && !slices.Contains(reconcile.BrakeKinds(), brake) {
			t.Errorf("%s falls under the brake %s, which does not exist", k, brake)
		}
		if k == reconcile.Backup && k.Brake() == 0 {
			continue // it goes with a deletion, which has a brake
		}
		if k.Takes() != reconcile.TakesNever && (k.Brake() == 0 || k.Gives()) {
			t.Errorf("%s takes something away: it needs a brake, and does not give", k)
		}
	}
}

// The brake counts what is taken away, orders and changes of plan, and the resumes that need
// a confirmation.
func TestTheBrakeCountsTheseKinds(t *testing.T) {
	want := []reconcile.ActionKind{reconcile.Resume, reconcile.CreateSubscription, reconcile.ChangePlan, reconcile.Suspend, reconcile.Terminate, reconcile.SendMail}
	if got := reconcile.BrakeKinds(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A journal may have kinds of another version: if a kind is not known, it counts as one
// that takes something away.
func TestAnActionKindThatIsNotKnownTakesAndIsNotParsed(t *testing.T) {
	for _, k := range []reconcile.ActionKind{0, reconcile.SendMail + 1, 255} {
		if k.Takes() != reconcile.TakesAlways || k.Gives() || k.Brake() != 0 || k.String() != "unknown" {
			t.Errorf("kind %d: takes %v, gives %v, brake %v, is called %s", k, k.Takes(), k.Gives(), k.Brake(), k)
		}
	}
	for _, text := range []string{"", "unknown", "Suspend"} {
		if k := reconcile.ParseActionKind(text); k != 0 {
			t.Errorf("%q is parsed as %s", text, k)
		}
	}
}
