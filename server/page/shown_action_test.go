package page

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// A change that has no words of its own, such as the name of an org, is shown by its kind.
func TestAnActionWithoutWordsIsShownByItsKind(t *testing.T) {
	for kind, want := range map[reconcile.ActionKind]string{reconcile.RenameOrg: "rename_org", reconcile.CreateOrg: "org"} {
		a := reconcile.ActionRecord{Action: reconcile.Action{ID: "x", Kind: kind, Customer: "cus_1"}, Key: "k", State: reconcile.ActionFailed, Error: "no answer"}
		what, state, problem := shownAction(&a)
		if what != want || state.Text != "failed" || state.Mark != "bad" || problem != "no answer" {
			t.Errorf("%s: %q, %+v, %q", kind, what, state, problem)
		}
	}
}
