package engine

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestEveryKindOfActionHasItsEffect(t *testing.T) {
	for _, kind := range reconcile.ActionKinds() {
		e, err := effectOf(kind)
		if err != nil {
			t.Errorf("add %s to effects", kind)
			continue
		}
		if e.twoLooks && e.find == nil {
			t.Errorf("%s is sent again after two looks, and nothing looks for it", kind)
		}
	}
	if _, err := effectOf(0); err == nil {
		t.Error("an unknown kind has an effect")
	}
	if _, err := effectOf(reconcile.ActionKind(len(effects))); err == nil {
		t.Error("a kind of a newer program has an effect")
	}
}

// What takes something away rests on facts that are read again right before.
func TestEveryRemovalIsCheckedAgain(t *testing.T) {
	catalog := planner.NewCatalog(nil, nil)
	for _, kind := range reconcile.ActionKinds() {
		if e, _ := effectOf(kind); catalog.Takes(reconcile.Action{Kind: kind}) && !e.premise {
			t.Errorf("%s takes something away without a premise: set premise in effects", kind)
		}
	}
}
