package reconcile_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// A row of the journal is shown at the time at which it reached its state.
func TestARowIsShownAtTheTimeOfItsState(t *testing.T) {
	planned := reconcile.ActionRecord{PlannedAt: noon}
	sent := planned
	sent.SentAt = noon.Add(time.Minute)
	done := sent
	done.FinishedAt = noon.Add(time.Hour)
	withheld := planned
	withheld.FinishedAt = noon.Add(time.Second)
	for name, tc := range map[string]struct {
		row  reconcile.ActionRecord
		want time.Time
	}{
		"planned": {planned, noon}, "sent": {sent, noon.Add(time.Minute)}, "done": {done, noon.Add(time.Hour)}, "given up before it was sent": {withheld, noon.Add(time.Second)},
	} {
		if got := tc.row.At(); !got.Equal(tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// A decision that binds a hosting, or waits for an answer, leaves the later actions open. A
// creation in whose place the hosting or the org was found is done.
func TestADecisionThatIsNotWholeLeavesLaterActionsOpen(t *testing.T) {
	create := reconcile.Action{Kind: reconcile.CreateSubscription, Subscription: "sub_1", Slot: 2}
	org := reconcile.Action{Kind: reconcile.CreateOrg}
	suspend := reconcile.Action{Kind: reconcile.Suspend, Subscription: "sub_1", Slot: 2, Hosting: 7}
	link := reconcile.Action{Kind: reconcile.Link, Subscription: "sub_1", Slot: 2, Hosting: 7}
	linkOrg := reconcile.Action{Kind: reconcile.Link, Org: "org-1"}
	other := reconcile.Action{Kind: reconcile.Resume, Subscription: "sub_1", Slot: 2, Hosting: 7}
	holds := func(kind reconcile.HoldKind) []reconcile.Hold { return []reconcile.Hold{{Kind: kind}} }
	for _, tc := range []struct {
		name string
		p    reconcile.Planned
		a    reconcile.Action
		want bool
	}{
		{"nothing comes first", reconcile.Planned{}, suspend, false},
		{"another action comes first", reconcile.Planned{Actions: []reconcile.Action{other}}, suspend, false},
		{"an answer comes first", reconcile.Planned{Holds: holds(reconcile.HoldAmbiguous)}, suspend, true},
		{"another hold is no answer that comes", reconcile.Planned{Holds: holds(reconcile.HoldMissing)}, suspend, false},
		{"a binding comes first", reconcile.Planned{Actions: []reconcile.Action{other, link}}, suspend, true},
		{"the hosting was found", reconcile.Planned{Actions: []reconcile.Action{link}}, create, false},
		{"the hosting of another slot was found", reconcile.Planned{Actions: []reconcile.Action{{Kind: reconcile.Link, Subscription: "sub_1", Slot: 1, Hosting: 7}}}, create, true},
		{"the hosting of another subscription was found", reconcile.Planned{Actions: []reconcile.Action{{Kind: reconcile.Link, Subscription: "sub_2", Slot: 2, Hosting: 7}}}, create, true},
		{"an org was found, and the hosting not yet", reconcile.Planned{Actions: []reconcile.Action{linkOrg}}, create, true},
		{"the org was found", reconcile.Planned{Actions: []reconcile.Action{linkOrg}}, org, false},
		{"a hosting was found, and its org not yet", reconcile.Planned{Actions: []reconcile.Action{link}}, org, true},
		{"the hosting was found, and an answer is awaited", reconcile.Planned{Actions: []reconcile.Action{link}, Holds: holds(reconcile.HoldAmbiguous)}, create, false},
	} {
		if got := tc.p.Defers(tc.a); got != tc.want {
			t.Errorf("%s: left open is %t, want %t", tc.name, got, tc.want)
		}
	}
}

// Two actions of one subject are two versions of one change. On a hosting that is so for
// whichever subscription each is; what is made has the subscription and slot it is for.
func TestTwoVersionsOfAChangeHaveOneSubject(t *testing.T) {
	a := reconcile.Action{Kind: reconcile.Suspend, Customer: "cus_1", Subscription: "sub_1", Slot: 1, Hosting: 7, Plan: 1}
	for _, tc := range []struct {
		name   string
		kind   reconcile.ActionKind
		change func(o *reconcile.Action)
		same   bool
	}{
		{"a suspension for another subscription", reconcile.Suspend, func(o *reconcile.Action) { o.Subscription, o.Slot = "sub_2", 4 }, true},
		{"a suspension of another hosting", reconcile.Suspend, func(o *reconcile.Action) { o.Hosting = 8 }, false},
		{"another plan of a hosting", reconcile.ChangePlan, func(o *reconcile.Action) { o.Plan = 2 }, true},
		{"another kind", reconcile.Suspend, func(o *reconcile.Action) { o.Kind = reconcile.Terminate }, false},
		{"the hosting of another customer", reconcile.Suspend, func(o *reconcile.Action) { o.Customer = "cus_2" }, false},
		{"an order for another plan", reconcile.CreateSubscription, func(o *reconcile.Action) { o.Plan, o.Hosting = 2, 0 }, true},
		{"an order for another unit", reconcile.CreateSubscription, func(o *reconcile.Action) { o.Slot = 2 }, false},
		{"an order of another subscription", reconcile.CreateSubscription, func(o *reconcile.Action) { o.Subscription = "sub_2" }, false},
	} {
		one := a
		one.Kind = tc.kind
		other := one
		tc.change(&other)
		if got := one.Subject() == other.Subject(); got != tc.same {
			t.Errorf("%s: one subject is %t, want %t (%s, %s)", tc.name, got, tc.same, one.Subject(), other.Subject())
		}
	}
}

// A person releases the lifting of a suspension that is perhaps not ours; that of our own
// waits for nothing.
func TestOnlyTheLiftingOfWhatIsPerhapsOursIsBraked(t *testing.T) {
	const id = "resume:sub_1/1:7"
	for _, tc := range []struct {
		a    reconcile.Action
		want reconcile.ActionKind
	}{
		{reconcile.Action{ID: id, Kind: reconcile.Resume}, 0},
		{reconcile.Action{ID: id + reconcile.PerhapsOursSuffix, Kind: reconcile.Resume}, reconcile.Resume},
		{reconcile.Action{ID: "suspend:sub_1/1:7", Kind: reconcile.Suspend}, reconcile.Suspend},
		{reconcile.Action{ID: "link:sub_1/1:7:x" + reconcile.PerhapsOursSuffix, Kind: reconcile.Link}, 0},
	} {
		if got := tc.a.Brake(); got != tc.want {
			t.Errorf("%s falls under the brake %s, want %s", tc.a.ID, got, tc.want)
		}
	}
}

// An end is announced of a subscription that goes on until then, and not of one that has
// ended.
func TestAnEndIsAnnouncedOfWhatGoesOn(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    reconcile.Subscription
		want time.Time
	}{
		{"none", reconcile.Subscription{Status: reconcile.StatusActive, CurrentPeriodEnd: noon}, time.Time{}},
		{"with the period", reconcile.Subscription{Status: reconcile.StatusActive, CurrentPeriodEnd: noon, CancelAtPeriodEnd: true}, noon},
		{"on a day of its own", reconcile.Subscription{Status: reconcile.StatusPastDue, CurrentPeriodEnd: noon, CancelAtPeriodEnd: true, CancelAt: noon.Add(time.Hour)}, noon.Add(time.Hour)},
		{"it has ended", reconcile.Subscription{Status: reconcile.StatusCanceled, CancelAt: noon}, time.Time{}},
		{"it has expired", reconcile.Subscription{Status: reconcile.StatusIncompleteExpired, CurrentPeriodEnd: noon, CancelAtPeriodEnd: true}, time.Time{}},
	} {
		if got := tc.s.EndsAt(); !got.Equal(tc.want) {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	for want, s := range map[string]reconcile.Subscription{
		" is unpaid":   {Status: reconcile.StatusUnpaid, Lapse: reconcile.Lapse{Seen: noon}}, // by a version that did not keep since when
		" is past_due": {Status: reconcile.StatusPastDue, SendInvoice: true},
		" is canceled": {Status: reconcile.StatusCanceled},
		" is canceled since 2026-03-01 12:00 UTC":           {Status: reconcile.StatusCanceled, EndedAt: noon},
		" is incomplete_expired since 2026-03-01 12:00 UTC": {Status: reconcile.StatusIncompleteExpired, EndedAt: noon},
	} {
		if got := reconcile.DescribeSubscription(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
