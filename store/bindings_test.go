package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// offered is a catalog that sells what facts buy.
func offered() *planner.Catalog {
	return planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "2"}}, []reconcile.EnhancePlan{{ID: 2, Name: "Pro"}})
}

// word is a person's instruction at an instant.
func word(kind reconcile.InstructionKind, sub string, h reconcile.Hosting) reconcile.Instruction {
	return reconcile.Instruction{Kind: kind, Subscription: sub, Hosting: h, Author: "ada@desk", Reason: "she said so", At: t0.Add(time.Hour)}
}

// says gives an instruction, and holds that the change of a customer in memory is
// what the database has afterwards.
func (f *fixture) says(w reconcile.Instruction) reconcile.BindingChange {
	f.Helper()
	ids, err := f.CustomersOf(f.Context(), []string{w.Subscription})
	f.must(err)
	supposed := f.customer(ids[0])
	seen, err := f.PreviewInstruction(f.Context(), w, planner.Instruct(w, offered(), ""))
	f.must(err)
	before := f.customer(ids[0])
	seen.Apply(&supposed)
	said, err := f.RecordInstruction(f.Context(), w, planner.Instruct(w, offered(), ""))
	f.must(err)
	same(f.TB, "what was weighed is what is said", seen, said)
	after := f.customer(ids[0])
	for _, c := range []*reconcile.Customer{&supposed, &before, &after} {
		c.Version, c.Instructions, c.PlannedAt, c.Lookalikes, c.Kin, c.Unbound = 0, 0, time.Time{}, nil, nil, false
	}
	same(f.TB, "what was supposed is what became", after, supposed)
	f.checkTallies()
	return said
}

func TestAWordBindsAndUnbindsAndIsKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.settled(t0, "cus_a")
		words := f.customer("cus_a").Instructions

		f.says(word(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		c := f.customer("cus_a")
		same(t, "bindings", 0, len(c.Bindings))
		same(t, "partings", []reconcile.Unbinding{{Subscription: "sub_a", Slot: 1, Org: "org-a", Hosting: 7, At: t0.Add(time.Hour), Author: "ada@desk", Reason: "she said so"}}, c.Unbindings)
		same(t, "words", words+1, c.Instructions)
		same(t, "the hosting is bound", false, c.Hostings[0].Bound)
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		waiting, err := f.NudgesWaiting(t.Context())
		f.must(err)
		same(t, "nudged", true, waiting)
		same(t, "again", true, ptr(f.says(word(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{ID: 7}))).None())

		f.says(word(reconcile.InstructBind, "sub_a", made(9, "org-a", "by hand")))
		c = f.customer("cus_a")
		same(t, "bound", []reconcile.Binding{{Subscription: "sub_a", Slot: 2, Org: "org-a", Hosting: 9, How: reconcile.BoundByAdopt, At: t0.Add(time.Hour)}}, c.Bindings)
		same(t, "answered", true, c.Unbindings[0].Resolved)
		same(t, "again", true, ptr(f.says(word(reconcile.InstructBind, "sub_a", made(9, "org-a", "by hand")))).None())

		// Back to the first one, which takes the place of the second.
		f.says(word(reconcile.InstructBind, "sub_a", made(7, "org-a", "Pro [sub_a/1]")))
		c = f.customer("cus_a")
		same(t, "bound again", []int64{7, 1}, []int64{c.Bindings[0].Hosting, int64(len(c.Bindings))})
		same(t, "partings", []int64{9, 1}, []int64{c.Unbindings[0].Hosting, int64(len(c.Unbindings))})

		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Subscription: "sub_a"})
		f.must(err)
		told := map[string]string{}
		for _, r := range rows {
			told[r.ID] = r.State.String() + " " + r.Reason
		}
		for id, want := range map[string]string{"unbind:sub_a/1:7": "unbound by ada@desk: she said so (before: sub_a/1 has hosting 7, bound by create)",
			"bind:sub_a/2:9": "bound by ada@desk: she said so", "bind:sub_a/1:7": "bound by ada@desk", "unbind:sub_a/2:9": "unbound by ada@desk"} {
			if !strings.HasPrefix(told[id], "applied "+want) {
				t.Errorf("the journal says of %s %q", id, told[id])
			}
		}
	})
}

func ptr(ch reconcile.BindingChange) *reconcile.BindingChange { return &ch }

func TestAWordThatAnOrderIsNewStays(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.settled(t0, "cus_a")
		f.says(word(reconcile.InstructNew, "sub_a", reconcile.Hosting{}))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		f.save(t0.Add(time.Minute), facts("sub_a", "cus_a", "other@example.com"))
		same(t, "after it was read again", true, f.customer("cus_a").Subscriptions[0].IsNewOrder)
		unknown := word(reconcile.InstructNew, "sub_z", reconcile.Hosting{})
		_, err := f.RecordInstruction(t.Context(), unknown, planner.Instruct(unknown, offered(), ""))
		var no reconcile.InstructionRefused
		if !errors.As(err, &no) || !strings.Contains(err.Error(), "sub_z is not known here") {
			t.Errorf("of a subscription that is not known: %v", err)
		}
		// A hosting that is unbound later needs a new instruction.
		f.says(word(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		same(t, "said to be new", false, f.customer("cus_a").Subscriptions[0].IsNewOrder)
	})
}

// The hosting of another customer's ended subscription is handed over with its binding;
// both customers hear of it.
func TestAWordTakesTheHostingOfAnEndedSubscription(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "a@example.com", status(reconcile.StatusCanceled)))
		f.bindOrg("cus_b", "org-b")
		f.bindHosting("cus_b", "sub_b", 1, "org-b", 7)
		f.settled(t0, "cus_a", "cus_b")
		f.says(word(reconcile.InstructBind, "sub_a", made(7, "org-b", "Pro [sub_b/1]")))
		same(t, "due", []string{"cus_a", "cus_b"}, f.dueIDs(t0.Add(time.Hour)))
		same(t, "the other's", 0, len(f.customer("cus_b").Bindings))
	})
}

// An action decided before an instruction is not sent after it, and an instruction waits for what is
// under way.
func TestAWordAndAWriteDoNotCross(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		a := action("suspend:sub_a/1:7", reconcile.Suspend, "cus_a", "sub_a")
		a.Hosting, a.Instructions = 7, f.customer("cus_a").Instructions
		f.says(word(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		err := f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0)
		if !errors.Is(err, fault.LeftAlone) || fault.Of(err) != fault.Conflict {
			t.Errorf("what was decided before the word: %v", err)
		}
		a.Instructions = f.customer("cus_a").Instructions
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
		back := word(reconcile.InstructBind, "sub_a", made(7, "org-a", "Pro [sub_a/1]"))
		_, err = f.RecordInstruction(t.Context(), back, planner.Instruct(back, offered(), ""))
		var no reconcile.InstructionRefused
		if !errors.As(err, &no) || !strings.Contains(err.Error(), "its outcome is not known yet") {
			t.Errorf("while a write is under way: %v", err)
		}
		same(t, "bindings", 0, len(f.customer("cus_a").Bindings))
	})
}

// The last hosting that was bound being unbound does not make this a panel of which
// nothing was bound before.
func TestAnUnboundHostingIsNoReasonToAskWhoIsNew(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.says(word(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		_, err := f.AskAboutUnbound(t.Context(), f.tok, t0)
		f.must(err)
		u, err := f.Unbound(t.Context())
		f.must(err)
		same(t, "unbound", reconcile.Unbound{Hostings: 1, Orgs: 1}, u)
	})
}
