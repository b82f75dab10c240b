package engine

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAKnownCustomerCountsOnlyWhileNothingElseChanges(t *testing.T) {
	nothing := func() error { return nil }
	k := newKnown(&changes{})
	ada := &reconcile.Customer{ID: "cus_1"}
	if k.get("cus_1") != nil {
		t.Fatal("known before it was loaded")
	}
	k.put(ada, k.changes.now())
	if k.get("cus_1") != ada {
		t.Fatal("not known after it was loaded")
	}
	_ = k.changes.during(func() error {
		if k.get("cus_1") != nil {
			t.Error("known while something is being written")
		}
		k.put(ada, k.changes.now()) // loaded during the write, so perhaps before it
		return nil
	})
	if k.get("cus_1") != nil {
		t.Error("known although it was loaded during a write")
	}
	k.put(ada, k.changes.now())
	_ = k.changes.during(nothing)
	if k.get("cus_1") != nil {
		t.Error("known after something else was written")
	}
	k.put(ada, k.changes.now())
	k.forget("cus_1")
	if k.get("cus_1") != nil {
		t.Error("known after it was forgotten")
	}
}

func TestACustomerIsKnownWithTheOutcomeOfItsOwnAction(t *testing.T) {
	nothing := func() error { return nil }
	at := time.Date(2026, 1, 1, 0, 0, 0, 1500, time.UTC)
	invited := reconcile.Outcome{Action: reconcile.Action{Kind: reconcile.InviteOwner, Customer: "cus_1"}, State: reconcile.ActionApplied,
		Invited: at, InvitedEmail: "ada@example.com"}
	ambiguous, linked := invited, invited
	ambiguous.State, linked.Action.Kind = reconcile.ActionAmbiguous, reconcile.Link
	for _, test := range []struct {
		name    string
		outcome reconcile.Outcome
		writes  int
		known   bool
	}{
		{"its intent and its outcome are recorded", invited, 2, true},
		{"something else is written meanwhile", invited, 3, false},
		{"its outcome is not known", ambiguous, 2, false},
		{"its outcome has to be loaded", linked, 2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKnown(&changes{})
			k.put(&reconcile.Customer{ID: "cus_1"}, k.changes.now())
			learn := k.learner(k.get("cus_1"))
			for range test.writes {
				_ = k.changes.during(nothing)
			}
			learn(test.outcome)
			c := k.get("cus_1")
			if (c != nil) != test.known {
				t.Fatalf("known: %+v", c)
			}
			if c != nil && (c.InvitedEmail != "ada@example.com" || !c.Invited.Equal(at.Truncate(time.Microsecond))) {
				t.Errorf("known as %+v", c)
			}
		})
	}
}
