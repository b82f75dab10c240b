package engine

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestAProductThatWasAskedForMeanwhileIsDecidedAgain: a decision that was made before the
// answer came does not count, though the answer is there when it is looked at.
func TestAProductThatWasAskedForMeanwhileIsDecidedAgain(t *testing.T) {
	f := newFeatures()
	needs := func() []planner.Need { return []planner.Need{{Kind: planner.NeedFeatures, Product: "prod_1"}} }
	before := f.answers()
	f.put(reconcile.ProductFeatures{Product: "prod_1", Keys: []string{"basic"}})
	if left := f.unanswered(needs(), before); len(left) != 1 {
		t.Error("a decision from before the answer stands")
	}
	if left := f.unanswered(needs(), f.answers()); len(left) != 0 {
		t.Error("a decision from after the answer asks again")
	}
}
