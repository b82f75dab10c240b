package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestABlockedRemovalIsWithheldWithEveryReason(t *testing.T) {
	e, catalog := newEvidence(), planner.NewCatalog(nil, nil)
	suspend := reconcile.Action{ID: "suspend:1", Kind: reconcile.Suspend, Customer: "cus_1", Hosting: 1}
	create := reconcile.Action{ID: "create_subscription:sub_1", Kind: reconcile.CreateSubscription, Customer: "cus_1", Subscription: "sub_1"}
	decide := func() planner.Decision {
		return planner.Decision{Actions: []reconcile.Action{create, suspend}}
	}
	if d := e.withhold(decide(), catalog); len(d.Actions) != 2 || e.removalsAreBlocked() || e.createsAreBlocked() {
		t.Errorf("withheld for no reason: %+v", d)
	}
	e.blockRemovals("the listing is short")
	e.blockRemovals("the clock is wrong")
	d := e.withhold(decide(), catalog)
	if len(d.Actions) != 1 || d.Actions[0].Kind != reconcile.CreateSubscription || !e.removalsAreBlocked() {
		t.Errorf("actions: %+v", d.Actions)
	}
	if len(d.Holds) != 1 || d.Holds[0].Kind != reconcile.HoldEvidence || d.Holds[0].ActionID != "suspend:1" {
		t.Errorf("holds: %+v", d.Holds)
	}
	if !e.blockCreates("another installation is at work") || e.blockCreates("again") {
		t.Error("only the first reason to create nothing counts")
	}
	if d := e.withhold(decide(), catalog); len(d.Actions) != 0 {
		t.Errorf("actions with both gates closed: %+v", d.Actions)
	}
}

func TestEveryGateIsReportedInOrder(t *testing.T) {
	e := newEvidence()
	e.blockRemovals("one")
	e.requireApproval("two")
	e.requireApproval("three")
	e.waitForPerson("four")
	err := e.abort("%s is not ours", "five")
	if !errors.Is(err, fault.Permanent) {
		t.Errorf("the run goes on: %v", err)
	}
	for _, x := range []*evidence{e, e.again()} {
		if got := x.closed(); !slices.Equal(got, []string{"one", "two", "three", "four", "five is not ours"}) {
			t.Errorf("gates: %q", got)
		}
		if x.waitsFor() != "four" || !x.removalsAreBlocked() {
			t.Errorf("waits for %q, removals blocked %v", x.waitsFor(), x.removalsAreBlocked())
		}
	}
	if e.needsApproval != "two; three" {
		t.Errorf("needs approval because %q", e.needsApproval)
	}
}

func TestAnOldDatabaseIsReportedOnce(t *testing.T) {
	e := newEvidence()
	e.addRecovered("cus_1")
	if e.findLoss("cus_1") || e.lossFound {
		t.Error("a write of this database whose answer was lost is no sign of an old one")
	}
	if !e.findLoss("cus_2") || e.findLoss("cus_3") || !e.lossFound {
		t.Error("not reported exactly once")
	}
	empty := newEvidence()
	empty.setLossNoted()
	if empty.findLoss("cus_2") {
		t.Error("reported again, although the database is known to be empty")
	}
	e.addPerhapsOurs(7)
	e.addPerhapsOurs(7)
	if len(e.perhapsOurs) != 1 {
		t.Errorf("hostings: %v", e.perhapsOurs)
	}
}
