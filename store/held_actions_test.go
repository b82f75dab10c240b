package store

import (
	"context"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// suspension is an action of the one subscription of a customer, which it plans.
func (f *fixture) suspension(letter string) reconcile.Action {
	f.Helper()
	f.save(t0, facts("sub_"+letter, "cus_"+letter, ""))
	a := action("suspend:sub_"+letter+"/1:42", reconcile.Suspend, "cus_"+letter, "sub_"+letter)
	a.Slot, a.Hosting, a.How = 1, 42, reconcile.BoundByMarker
	f.plan(a.Customer, a)
	return a
}

// wants plans a customer again, with these actions.
func (f *fixture) wants(customer string, at time.Time, actions ...reconcile.Action) {
	f.Helper()
	f.must(f.SavePlanned(f.Context(), f.tok, "run-plan", []reconcile.Planned{{Customer: customer, Actions: actions}}, at))
}

func ids(p reconcile.HeldPlan) (all []string) {
	for _, a := range p.Actions {
		all = append(all, a.ID)
	}
	return all
}

func TestAPlanIsHeldAndApproved(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a := f.suspension("a")
		p := held("abcd12345678", reconcile.Suspend, t0, a)
		p = f.hold("run-plan", p)
		want := reconcile.HeldPlan{ID: "abcd12345678", Kind: reconcile.Suspend, Version: 1, Created: t0, Reason: "too many",
			Actions: []reconcile.Action{a}, Joined: []int{1}}
		same(t, "held", want, p)
		f.settled(t0) // no customer
		same(t, "waiting", []reconcile.HeldPlan{want}, f.waitingPlans())
		same(t, "journal", map[string]string{a.ID + "@run-plan": "held"}, f.states("cus_a"))
		same(t, "released before", []string(nil), f.released(t0))

		at := t0.Add(90 * 24 * time.Hour) // it waits without limit
		f.wants("cus_a", at, a)
		got, err := f.Approve(t.Context(), "abcd1234", 1, "op@example.com", at)
		f.must(err)
		want.Approved, want.By, want.Expires = at, "op@example.com", at.Add(reconcile.ApprovalLife)
		same(t, "what was approved", want, got)
		same(t, "due", []string{"cus_a"}, f.dueIDs(at))
		same(t, "released", []string{a.ID}, f.released(want.Expires.Add(-time.Second)))
		same(t, "released when the approval has ended", []string(nil), f.released(want.Expires))
		_, err = f.Approve(t.Context(), "abcd12345678", 0, "other@example.com", at.Add(time.Hour))
		says(t, "twice", err, fault.Conflict, "already approved by op@example.com")
		_, err = f.Approve(t.Context(), "zzzzzzzz", 0, "op@example.com", t0)
		says(t, "another", err, fault.NotFound, "zzz")

		same(t, "waiting after the approval", 0, len(f.waitingPlans()))
		all, err := f.HeldPlans(t.Context(), at, true)
		f.must(err)
		same(t, "old ones", []reconcile.HeldPlan{want}, all)
	})
}

func TestAnApprovalNamesAtLeastEightCharactersOfTheID(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.hold("run-plan", held("abcd12345678", reconcile.Suspend, t0, f.suspension("a")))
		for _, id := range []string{"a", "abcd123"} {
			_, err := f.Approve(t.Context(), id, 0, "op@example.com", t0)
			says(t, id, err, fault.Permanent, "too short", "first 8 characters")
		}
		same(t, "still waiting", 1, len(f.waitingPlans()))
		f.approve("abcd1234", t0)
	})
}

// A held action joins the waiting plan of its kind, which keeps its id.
func TestOnePlanOfAKindWaitsAndGrows(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b := f.suspension("a"), f.suspension("b")
		first := f.hold("run-plan", held("first", reconcile.Suspend, t0, a))
		grown := held("second", reconcile.Suspend, t0.Add(time.Minute), a, b)
		grown.Reason = "more"
		p := f.hold("run-plan", grown)
		same(t, "grown", reconcile.HeldPlan{ID: first.ID, Kind: reconcile.Suspend, Version: 2, Created: t0, Reason: "more",
			Actions: []reconcile.Action{a, b}, Joined: []int{1, 2}}, p)
		grown.Reason = "again"
		same(t, "held again", p, f.hold("run-plan", grown))
		f.hold("run-plan", held("change", reconcile.ChangePlan, t0, action("change_plan:sub_a/1:42:1>2", reconcile.ChangePlan, "cus_a", "sub_a")))
		same(t, "waiting", 2, len(f.waitingPlans()))

		_, err := f.Approve(t.Context(), first.ID, 1, "op@example.com", t0.Add(time.Hour))
		says(t, "the version of before", err, fault.Conflict, "version 2", "1 of its changes joined since")
		same(t, "released by that", []string(nil), f.released(t0.Add(time.Hour)))
		_, err = f.Approve(t.Context(), first.ID, 2, "op@example.com", t0.Add(time.Hour))
		f.must(err)
		same(t, "released", []string{a.ID, b.ID}, f.released(t0.Add(time.Hour)))

		c := f.suspension("c")
		p = f.hold("run-plan", held(first.ID, reconcile.Suspend, t0.Add(2*time.Hour), a, c))
		same(t, "what joins after the approval", []string{c.ID}, ids(p))
		if p.ID == first.ID || p.Version != 1 || !p.Waits() {
			t.Errorf("it waits as %+v", p)
		}
		same(t, "released still", []string{a.ID, b.ID}, f.released(t0.Add(time.Hour)))
		same(t, "what the approved one was", []string{a.ID, b.ID}, ids(f.get(first.ID)))
	})
}

func (f *fixture) get(id string) reconcile.HeldPlan {
	f.Helper()
	p, err := f.HeldPlan(f.Context(), id)
	f.must(err)
	return p
}

// standing is what stands in plans: the id, with "released" where an approval does that.
func (f *fixture) stands(now time.Time) map[string]string {
	f.Helper()
	all := map[string]string{}
	f.must(f.Standing(f.Context(), now, func(h reconcile.HeldAction) error {
		all[h.ID] = h.Plan
		if h.Released {
			all[h.ID] += " released"
		}
		return nil
	}))
	return all
}

func TestWhatIsNoLongerWantedLeavesItsPlan(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b := f.suspension("a"), f.suspension("b")
		f.hold("run-plan", held("first", reconcile.Suspend, t0, a, b))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Undecided: true}}, t0))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Later: []string{a.ID}}}, t0))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a",
			Holds: []reconcile.Hold{{Kind: reconcile.HoldEvidence, Customer: "cus_a", ActionID: a.ID}}}}, t0))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Holds: []reconcile.Hold{{Kind: reconcile.HoldManual, Customer: "cus_a"}}}}, t0))
		same(t, "undecided, refused and withheld", map[string]string{a.ID: "first", b.ID: "first"}, f.stands(t0))
		f.wants("cus_a", t0)
		same(t, "paid", []string{b.ID}, ids(f.get("first")))
		same(t, "version", 1, f.get("first").Version)
		f.wants("cus_a", t0, a)
		same(t, "wanted again", map[string]string{b.ID: "first"}, f.stands(t0))
		f.wants("cus_b", t0.Add(time.Hour))
		same(t, "waiting", 0, len(f.waitingPlans()))
		same(t, "closed", t0.Add(time.Hour), f.get("first").Closed)
		_, err := f.Approve(t.Context(), "first", 0, "op@example.com", t0.Add(2*time.Hour))
		says(t, "approving it", err, fault.Conflict, "none of its changes is wanted")
		p := f.hold("run-plan", held("next", reconcile.Suspend, t0.Add(3*time.Hour), a))
		same(t, "held anew", []any{"next", 1}, []any{p.ID, p.Version})
	})
}

// If a decision binds a hosting that it has found, or a write has no outcome, the actions
// that come after are not in it yet, so they stay in their held plan. A creation leaves it
// when a hosting was found in its place.
func TestWhatWaitsForSomethingElseStaysInItsPlan(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		of := func(id string, kind reconcile.ActionKind, slot int) reconcile.Action {
			a := action(id, kind, "cus_a", "")
			if a.Slot = slot; slot > 0 {
				a.Subscription = "sub_a"
			}
			return a
		}
		org, one, two := of("create_org:cus_a", reconcile.CreateOrg, 0), of("create_subscription:sub_a/1:7", reconcile.CreateSubscription, 1), of("create_subscription:sub_a/2:7", reconcile.CreateSubscription, 2)
		invitation := of("invite_owner:cus_a:a@example.com", reconcile.InviteOwner, 0)
		f.hold("run-plan", held("first", reconcile.CreateSubscription, t0, org, one, two, invitation))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a",
			Holds: []reconcile.Hold{{Kind: reconcile.HoldAmbiguous, Customer: "cus_a", ActionID: "resume:sub_a/3:42"}}}}, t0))
		same(t, "a write has no outcome", []string{org.ID, one.ID, two.ID, invitation.ID}, ids(f.get("first")))
		bindOrg, bindOne := of("link:cus_a:org", reconcile.Link, 0), of("link:sub_a/1:42:si", reconcile.Link, 1)
		bindOrg.Org, bindOrg.Hosting, bindOne.Hosting = "org", 0, 42
		f.wants("cus_a", t0, bindOrg, bindOne)
		same(t, "what was found is bound first", []string{two.ID, invitation.ID}, ids(f.get("first")))
		f.wants("cus_a", t0, invitation)
		same(t, "it is bound", []string{invitation.ID}, ids(f.get("first")))
	})
}

// An approval is used up action by action: if a customer pays and then fails again while
// the approval lives, the suspension needs a new one.
func TestAnApprovalIsUsedUpActionByAction(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b, c := f.suspension("a"), f.suspension("b"), f.suspension("c")
		f.hold("run-plan", held("first", reconcile.Suspend, t0, a, b, c))
		f.approve("first", t0.Add(time.Minute))
		at := t0.Add(2 * time.Minute)
		f.must(f.RecordIntent(t.Context(), f.tok, "run-2", a, "first", at))
		same(t, "under way", []string{a.ID, b.ID, c.ID}, f.released(at))
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "run-2", State: reconcile.ActionFailed, At: at}))
		same(t, "refused", []string{a.ID, b.ID, c.ID}, f.released(at))
		f.must(f.RecordIntent(t.Context(), f.tok, "run-3", a, "first", at))
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "run-3", State: reconcile.ActionApplied, At: at}))
		same(t, "done", []string{b.ID, c.ID}, f.released(at))
		f.wants("cus_b", at) // has paid
		f.wants("cus_b", at, b)
		same(t, "not wanted for a while", []string{c.ID}, f.released(at))
		same(t, "what was approved", []string{a.ID, b.ID, c.ID}, ids(f.get("first")))
		p := f.hold("run-plan", held("second", reconcile.Suspend, t0.Add(time.Hour), b))
		same(t, "held once more", []string{b.ID}, ids(p))
	})
}

// If an approved action has become another change, it is held, because the approval covers
// only the change that was shown.
func TestWhatWasApprovedIsWhatWasShown(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		old := action("invite_owner:cus_a:old@example.com", reconcile.InviteOwner, "cus_a", "")
		changed := action("invite_owner:cus_a:new@example.com", reconcile.InviteOwner, "cus_a", "")
		f.plan("cus_a", old)
		f.hold("run-plan", held("first", reconcile.CreateSubscription, t0, old))
		f.wants("cus_a", t0, changed)
		same(t, "before it is held", map[string]string{old.ID: "first"}, f.stands(t0))
		p := f.hold("run-plan", held("x", reconcile.CreateSubscription, t0, changed))
		same(t, "replaced", []any{"first", 2, []string{changed.ID}, []int{2}}, []any{p.ID, p.Version, ids(p), p.Joined})
		f.approve("first", t0.Add(time.Minute))
		f.wants("cus_a", t0.Add(time.Hour), old)
		same(t, "changed back", map[string]string{changed.ID: "first released"}, f.stands(t0.Add(time.Hour)))
		p = f.hold("run-plan", held("second", reconcile.CreateSubscription, t0.Add(time.Hour), old))
		same(t, "held", map[string]string{changed.ID: "first released", old.ID: "second"}, f.stands(t0.Add(time.Hour)))
		same(t, "what waits", []string{old.ID}, ids(p))
	})
}

// If an approved action was not done before the approval expired, it is held again.
func TestWhatAnApprovalDidNotReleaseInTimeIsHeldAgain(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a := f.suspension("a")
		f.hold("run-plan", held("first", reconcile.Suspend, t0, a))
		f.approve("first", t0)
		end := t0.Add(reconcile.ApprovalLife)
		same(t, "when it ends", map[string]string{a.ID: "first"}, f.stands(end))
		p := f.hold("run-plan", held("second", reconcile.Suspend, end, a))
		same(t, "held again", map[string]string{a.ID: p.ID}, f.stands(end))
		standing := 0
		f.must(f.Standing(t.Context(), end, func(reconcile.HeldAction) error { standing++; return nil }))
		same(t, "it stands once", 1, standing)
	})
}

// While the last part of a version is not stored, the version is not shown and cannot be
// approved.
func TestALargePlanIsStoredInPartsAndSeenWhole(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b, c, d := f.suspension("a"), f.suspension("b"), f.suspension("c"), f.suspension("d")
		part := func(more bool, actions ...reconcile.Action) {
			p := held("large", reconcile.Suspend, t0, actions...)
			p.More = more
			_, err := f.Hold(t.Context(), f.tok, "run-plan", p)
			f.must(err)
		}
		part(true, a, b) // and its process dies
		same(t, "seen of it", 0, len(f.waitingPlans()))
		_, err := f.Approve(t.Context(), "large", 0, "op@example.com", t0)
		says(t, "approving it", err, fault.Conflict, "a run is still adding to it")
		same(t, "held", map[string]string{a.ID: "large", b.ID: "large"}, f.stands(t0))
		part(true, b, a)
		part(false, c)
		same(t, "whole", []any{1, []string{a.ID, b.ID, c.ID}}, []any{f.get("large").Version, ids(f.get("large"))})

		part(true, d) // and it is approved before the rest comes
		same(t, "as it was shown", []any{1, []string{a.ID, b.ID, c.ID}}, []any{f.get("large").Version, ids(f.get("large"))})
		p := f.approve("large", t0)
		same(t, "approved", []string{a.ID, b.ID, c.ID}, ids(p))
		same(t, "released", []string{a.ID, b.ID, c.ID}, f.released(t0))
		part(false, a)
		waiting := f.waitingPlans()
		if len(waiting) != 1 || waiting[0].ID == "large" {
			t.Fatalf("waiting: %+v", waiting)
		}
		same(t, "what waits", []string{d.ID}, ids(waiting[0]))
		same(t, "released still", []string{a.ID, b.ID, c.ID}, f.released(t0))
	})
}

// A run that began before the approval holds nothing that was approved.
func TestWhatWasApprovedMeanwhileIsNotHeld(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b := f.suspension("a"), f.suspension("b")
		f.hold("run-plan", held("first", reconcile.Suspend, t0, a))
		f.approve("first", t0.Add(time.Minute))
		f.wants("cus_a", t0, a)
		none, err := f.Hold(t.Context(), f.tok, "run-plan", held("first", reconcile.Suspend, t0, a))
		f.must(err)
		same(t, "held, waiting, and the journal", []any{0, 0, "planned"}, []any{none.Total, len(f.waitingPlans()), f.states("cus_a")[a.ID+"@run-plan"]})
		all, err := f.HeldPlans(t.Context(), t0, true)
		f.must(err)
		same(t, "plans", 1, len(all))
		last, err := f.LastPlans(t.Context())
		f.must(err)
		same(t, "the last one", "first", last[reconcile.Suspend].ID)
		p := f.hold("run-plan", held("first", reconcile.Suspend, t0, a, b))
		same(t, "what waits then", []string{b.ID}, ids(p))
		same(t, "released", []string{a.ID}, f.released(t0.Add(time.Hour)))
	})
}

func TestAPlanIsFoundByABeginningThatIsItsOwn(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a := f.suspension("a")
		for _, id := range []string{"aa11", "aa22", "aa2", "bb"} {
			f.hold("run-1", held(id, reconcile.Suspend, t0, a))
			f.wants("cus_a", t0) // and it is closed
		}
		for prefix, want := range map[string]string{"aa1": "aa11", "aa2": "aa2", "b": "bb", "bb": "bb"} {
			p, err := f.HeldPlan(t.Context(), prefix)
			f.must(err)
			same(t, prefix, want, p.ID)
		}
		_, err := f.HeldPlan(t.Context(), "aa")
		says(t, "aa", err, fault.Conflict, "aa11", "aa22")
		for _, prefix := range []string{"", "c", "bbb", "%"} {
			_, err = f.HeldPlan(t.Context(), prefix)
			notFound(t, prefix, err)
		}
		last, err := f.LastPlans(t.Context())
		f.must(err)
		same(t, "the last one", "bb", last[reconcile.Suspend].ID)
	})
}

func TestWhatWasDoneIsCountedByCustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b, c := f.suspension("a"), f.suspension("b"), f.suspension("c")
		f.must(f.do(a, t0, reconcile.Outcome{}))
		f.must(f.do(b, t0, reconcile.Outcome{State: reconcile.ActionAmbiguous}))
		f.must(f.RecordIntent(t.Context(), f.tok, "run-do", c, "plan", t0)) // by an approval
		by, err := f.CountDoneByCustomer(t.Context(), reconcile.Suspend, t0)
		f.must(err)
		same(t, "by customer", map[string]int{"cus_a": 1, "cus_b": 1}, by)
		by, err = f.CountDoneByCustomer(t.Context(), reconcile.Suspend, t0.Add(time.Second))
		f.must(err)
		same(t, "since later", map[string]int{}, by)
	})
}

func TestAnApprovalWithoutANameIsOfWhoIsUnknown(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.hold("run-plan", held("abcd12345678", reconcile.Suspend, t0, f.suspension("a")))
		p, err := f.Approve(t.Context(), "abcd12345678", 0, "", t0)
		f.must(err)
		same(t, "by", "unknown", p.By)
		err = f.unfenced(t.Context(), "approving", func(ctx context.Context, tx conn) error { return refusal(ctx, tx, "gone", 0) })
		notFound(t, "a plan that another process has just taken away", err)
	})
}
