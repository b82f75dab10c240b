package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// offered is a catalog with the plan of the price in facts.
func offered() *planner.Catalog {
	return planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "2"}}, []reconcile.EnhancePlan{{ID: 2, Name: "Pro"}})
}

// instruction is an operator's instruction, an hour after t0.
func instruction(kind reconcile.InstructionKind, sub string, h reconcile.Hosting) reconcile.Instruction {
	return reconcile.Instruction{Kind: kind, Subscription: sub, Hosting: h, Author: "ada@desk", Reason: "she said so", At: t0.Add(time.Hour)}
}

// instruct records an instruction. It fails if the preview, applied in memory, differs
// from the customer in the database afterwards.
func (f *fixture) instruct(w reconcile.Instruction) reconcile.BindingChange {
	f.Helper()
	ids, err := f.CustomersOf(f.Context(), []string{w.Subscription})
	f.must(err)
	expected := f.customer(ids[0])
	preview, err := f.PreviewInstruction(f.Context(), w, planner.Instruct(w, offered(), ""))
	f.must(err)
	before := f.customer(ids[0])
	preview.Apply(&expected)
	recorded, err := f.RecordInstruction(f.Context(), w, planner.Instruct(w, offered(), ""))
	f.must(err)
	same(f.TB, "the preview is recorded", preview, recorded)
	after := f.customer(ids[0])
	for _, c := range []*reconcile.Customer{&expected, &before, &after} {
		c.Version, c.Instructions, c.PlannedAt, c.Lookalikes, c.Kin, c.NamedOrgs, c.Unbound = 0, 0, time.Time{}, nil, nil, nil, false
	}
	same(f.TB, "the preview in memory is the customer in the database", after, expected)
	f.checkTallies()
	return recorded
}

func TestAnInstructionBindsAndUnbindsAndIsKept(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.settled(t0, "cus_a")
		instructions := f.customer("cus_a").Instructions

		f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		c := f.customer("cus_a")
		same(t, "bindings", 0, len(c.Bindings))
		same(t, "unbindings", []reconcile.Unbinding{{Subscription: "sub_a", Slot: 1, Org: "org-a", Hosting: 7, At: t0.Add(time.Hour), Author: "ada@desk", Reason: "she said so"}}, c.Unbindings)
		same(t, "instructions", instructions+1, c.Instructions)
		same(t, "the hosting is bound", false, c.Hostings[0].Bound)
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		waiting, err := f.NudgesWaiting(t.Context())
		f.must(err)
		same(t, "nudged", true, waiting)
		same(t, "again", true, ptr(f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{ID: 7}))).None())

		f.instruct(instruction(reconcile.InstructBind, "sub_a", made(9, "org-a", "by hand")))
		c = f.customer("cus_a")
		same(t, "bound", []reconcile.Binding{{Subscription: "sub_a", Slot: 2, Org: "org-a", Hosting: 9, How: reconcile.BoundByAdopt, At: t0.Add(time.Hour)}}, c.Bindings)
		same(t, "resolved", true, c.Unbindings[0].Resolved)
		same(t, "again", true, ptr(f.instruct(instruction(reconcile.InstructBind, "sub_a", made(9, "org-a", "by hand")))).None())

		// Back to the first one, which takes the place of the second.
		f.instruct(instruction(reconcile.InstructBind, "sub_a", made(7, "org-a", "Pro [sub_a/1]")))
		c = f.customer("cus_a")
		same(t, "bound again", []int64{7, 1}, []int64{c.Bindings[0].Hosting, int64(len(c.Bindings))})
		same(t, "unbindings", []int64{9, 1}, []int64{c.Unbindings[0].Hosting, int64(len(c.Unbindings))})

		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Subscription: "sub_a"})
		f.must(err)
		journal := map[string]string{}
		for _, r := range rows {
			journal[r.ID] = r.State.String() + " " + r.Reason
		}
		for id, want := range map[string]string{"unbind:sub_a/1:7": "unbound by ada@desk: she said so (before: sub_a/1 has hosting 7, bound by create)",
			"bind:sub_a/2:9": "bound by ada@desk: she said so", "bind:sub_a/1:7": "bound by ada@desk", "unbind:sub_a/2:9": "unbound by ada@desk"} {
			if !strings.HasPrefix(journal[id], "applied "+want) {
				t.Errorf("the journal has for %s %q", id, journal[id])
			}
		}
	})
}

func ptr(ch reconcile.BindingChange) *reconcile.BindingChange { return &ch }

func TestAnInstructionThatAnOrderIsNewStays(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.settled(t0, "cus_a")
		f.instruct(instruction(reconcile.InstructNew, "sub_a", reconcile.Hosting{}))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		f.save(t0.Add(time.Minute), facts("sub_a", "cus_a", "other@example.com"))
		same(t, "after it was read again", true, f.customer("cus_a").Subscriptions[0].IsNewOrder)
		unknown := instruction(reconcile.InstructNew, "sub_z", reconcile.Hosting{})
		_, err := f.RecordInstruction(t.Context(), unknown, planner.Instruct(unknown, offered(), ""))
		var no reconcile.InstructionRefused
		if !errors.As(err, &no) || !strings.Contains(err.Error(), "sub_z is not known here") {
			t.Errorf("of a subscription that is not known: %v", err)
		}
		// A hosting that is unbound later needs a new instruction.
		f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		same(t, "called new", false, f.customer("cus_a").Subscriptions[0].IsNewOrder)
	})
}

// When an instruction binds the hosting of another customer's ended subscription, that
// binding is removed, and both customers are due.
func TestAnInstructionTakesTheHostingOfAnEndedSubscription(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "a@example.com", status(reconcile.StatusCanceled)))
		f.bindOrg("cus_b", "org-b")
		f.bindHosting("cus_b", "sub_b", 1, "org-b", 7)
		f.settled(t0, "cus_a", "cus_b")
		f.instruct(instruction(reconcile.InstructBind, "sub_a", made(7, "org-b", "Pro [sub_b/1]")))
		same(t, "due", []string{"cus_a", "cus_b"}, f.dueIDs(t0.Add(time.Hour)))
		same(t, "the other's", 0, len(f.customer("cus_b").Bindings))
	})
}

// If an action was decided before an instruction, it is not sent after it. An instruction
// is refused while a write is under way.
func TestAnInstructionAndAWriteDoNotCross(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		a := action("suspend:sub_a/1:7", reconcile.Suspend, "cus_a", "sub_a")
		a.Hosting, a.Instructions = 7, f.customer("cus_a").Instructions
		f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		err := f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0)
		if !errors.Is(err, fault.LeftAlone) || fault.Of(err) != fault.Conflict {
			t.Errorf("decided before the instruction: %v", err)
		}
		a.Instructions = f.customer("cus_a").Instructions
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
		back := instruction(reconcile.InstructBind, "sub_a", made(7, "org-a", "Pro [sub_a/1]"))
		_, err = f.RecordInstruction(t.Context(), back, planner.Instruct(back, offered(), ""))
		var no reconcile.InstructionRefused
		if !errors.As(err, &no) || !strings.Contains(err.Error(), "its outcome is not known yet") {
			t.Errorf("while a write is under way: %v", err)
		}
		same(t, "bindings", 0, len(f.customer("cus_a").Bindings))
	})
}

// When the last bound hosting is unbound, the panel does not count as one on which nothing
// was bound before.
func TestAnUnboundHostingIsNoReasonToAskWhoIsNew(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		_, err := f.AskAboutUnbound(t.Context(), f.tok, t0)
		f.must(err)
		u, err := f.Unbound(t.Context())
		f.must(err)
		same(t, "unbound", reconcile.Unbound{Hostings: 1, Orgs: 1}, u)
	})
}

// A write about a hosting may be another customer's, and a write that names no hosting is
// about none.
func TestAnInstructionWaitsForTheWriteAboutItsHosting(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		suspend := action("suspend:sub_b/1:7", reconcile.Suspend, "cus_b", "sub_b")
		suspend.Hosting = 7
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", suspend, "", t0))
		bind := instruction(reconcile.InstructBind, "sub_a", made(7, "org-a", "Pro [sub_a/1]"))
		_, err := f.RecordInstruction(t.Context(), bind, planner.Instruct(bind, offered(), ""))
		var no reconcile.InstructionRefused
		if !errors.As(err, &no) || !strings.Contains(err.Error(), "suspend of that hosting was sent") {
			t.Errorf("while another customer's write is under way: %v", err)
		}
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: suspend, Run: "run-1", State: reconcile.ActionFailed, At: t0}))
		f.instruct(bind)

		create := action("create_org:cus_b", reconcile.CreateOrg, "cus_b", "")
		create.Hosting = 0
		f.must(f.RecordIntent(t.Context(), f.tok, "run-2", create, "", t0))
		f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{}))
		same(t, "bindings", 0, len(f.customer("cus_a").Bindings))
	})
}

// If the metadata of a subscription names a hosting that serves another customer's,
// the planner has to know which.
func TestAHostingThatMetadataNamesShowsWhichOtherSubscriptionItServes(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		names := func(id int64) func(*reconcile.SubscriptionFacts) {
			return func(s *reconcile.SubscriptionFacts) { s.MetadataHosting = id }
		}
		f.save(t0, facts("sub_a", "cus_a", "", names(7)), facts("sub_b", "cus_b", "", names(7)), facts("sub_c", "cus_c", "", names(8)))
		f.bindOrg("cus_b", "org-b")
		f.bindHosting("cus_b", "sub_b", 1, "org-b", 7)
		f.must(f.SaveHosting(t.Context(), f.tok, made(8, "org-b", "Pro"), t0))
		all, err := f.Customers(t.Context(), []string{"cus_a", "cus_b", "cus_c"})
		f.must(err)
		serves := map[string]string{}
		for _, c := range all {
			for _, h := range c.Hostings {
				serves[fmt.Sprintf("%s sees %d", c.ID, h.ID)] = h.Serves
			}
		}
		same(t, "whom they serve", map[string]string{"cus_a sees 7": "sub_b", "cus_b sees 7": "", "cus_b sees 8": "", "cus_c sees 8": ""}, serves)

		f.save(t0, facts("sub_b", "cus_b", "", names(7), status(reconcile.StatusCanceled)))
		same(t, "when that has ended", "", f.customer("cus_a").Hostings[0].Serves)
	})
}

// A hosting that a person moves serves the other customer, and the one that has lost it waits
// for an instruction, although the name of the hosting carries its marker.
func TestAMovedHosting(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.settled(t0, "cus_a", "cus_b")
		before := f.customer("cus_a").Instructions
		w := instruction(reconcile.InstructBind, "sub_b", made(7, "org-a", "Pro [sub_a/1]"))
		w.Move, w.OtherOrg = true, true
		ch := f.instruct(w)
		same(t, "customers", []string{"cus_b", "cus_a"}, ch.Customers())
		same(t, "subscriptions", []string{"sub_b", "sub_a"}, ch.Subscriptions())
		a, b := f.customer("cus_a"), f.customer("cus_b")
		same(t, "bound", []any{0, 1, int64(7)}, []any{len(a.Bindings), len(b.Bindings), b.Bindings[0].Hosting})
		same(t, "unbound", []reconcile.Unbinding{{Subscription: "sub_a", Slot: 1, Org: "org-a", Hosting: 7, At: w.At, Author: "ada@desk", Reason: "she said so"}}, a.Unbindings)
		same(t, "instructions", before+1, a.Instructions)
		same(t, "due", []string{"cus_a", "cus_b"}, f.dueIDs(w.At))
		same(t, "again", true, ptr(f.instruct(w)).None())
		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_a", Limit: 1})
		f.must(err)
		same(t, "journal", "unbind:sub_a/1:7", rows[0].ID)
	})
}
