package engine

import (
	"errors"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAFailureBlocksOnlyWhatDependsOnIt(t *testing.T) {
	create := reconcile.Action{ID: "create:sub_1/0", Kind: reconcile.CreateSubscription, Subscription: "sub_1"}
	resume := reconcile.Action{ID: "resume:7", Kind: reconcile.Resume, Hosting: 7}
	invite := reconcile.Action{ID: "invite", Kind: reconcile.InviteOwner}
	for _, test := range []struct {
		name   string
		failed reconcile.Action
		action reconcile.Action
		takes  bool
		blocks bool
	}{
		{"the same action", invite, invite, false, true},
		{"an action that does not need an invitation", invite, create, false, false},
		{"a removal after an invitation", invite, reconcile.Action{ID: "suspend:8", Kind: reconcile.Suspend, Hosting: 8}, true, false},
		{"the website of a hosting that was not made", create, reconcile.Action{ID: "website", Kind: reconcile.CreateWebsite, Subscription: "sub_1"}, false, true},
		{"the hosting of another slot", create, reconcile.Action{ID: "create:sub_1/1", Kind: reconcile.CreateSubscription, Subscription: "sub_1", Slot: 1}, false, false},
		{"a removal while a hosting was not made", create, reconcile.Action{ID: "suspend:8", Kind: reconcile.Suspend, Hosting: 8}, true, true},
		{"the plan of a hosting that was not resumed", resume, reconcile.Action{ID: "plan:7", Kind: reconcile.ChangePlan, Hosting: 7}, false, true},
		{"the plan of another hosting", resume, reconcile.Action{ID: "plan:8", Kind: reconcile.ChangePlan, Hosting: 8}, false, false},
		{"a removal while a hosting was not resumed", resume, reconcile.Action{ID: "suspend:8", Kind: reconcile.Suspend, Hosting: 8}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f failures
			if !f.add(test.failed, errOwn) {
				t.Fatal("the customer does not go on")
			}
			if got := f.blocks(test.action, test.takes); got != test.blocks {
				t.Errorf("blocks: %v", got)
			}
		})
	}
}

func TestACustomerGoesOnOnlyAfterAClearAnswer(t *testing.T) {
	var f failures
	for _, err := range []error{errOut, errDenied, errors.New("the database is out")} {
		if f.add(reconcile.Action{ID: "invite", Kind: reconcile.InviteOwner}, err) {
			t.Errorf("goes on after %v", err)
		}
	}
	for _, kind := range []reconcile.ActionKind{reconcile.Link, reconcile.CreateOrg} {
		if f.add(reconcile.Action{ID: "org", Kind: kind}, errOwn) {
			t.Errorf("goes on without the %s", kind)
		}
	}
	if f.err != nil {
		t.Errorf("kept %v", f.err)
	}
}

func TestTheFirstFailureOfACustomerIsTheOneThatIsReported(t *testing.T) {
	var f failures
	for _, err := range []error{errOwn, fault.Errorf(fault.Permanent, "another refusal")} {
		if !f.add(reconcile.Action{ID: err.Error(), Kind: reconcile.InviteOwner}, err) {
			t.Fatal("the customer does not go on")
		}
	}
	if f.err != errOwn { //nolint:errorlint // this very one
		t.Errorf("reported: %v", f.err)
	}
}

func TestAnErrorNamesActionAndSubject(t *testing.T) {
	for want, a := range map[string]reconcile.Action{
		"suspend hosting 7 of sub_1":    {Kind: reconcile.Suspend, Hosting: 7, Subscription: "sub_1", Customer: "cus_1"},
		"create_subscription for sub_1": {Kind: reconcile.CreateSubscription, Subscription: "sub_1", Customer: "cus_1"},
		"create_org for cus_1":          {Kind: reconcile.CreateOrg, Customer: "cus_1"},
	} {
		if got := describe(a); got != want {
			t.Errorf("described as %q, want %q", got, want)
		}
	}
}
