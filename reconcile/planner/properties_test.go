package planner_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestMain fixes the seed, so that the suite has the same worlds whenever it runs. To try
// others: go test ./reconcile/planner -rapid.seed=0 -rapid.checks=100000.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.checks": "2000", "rapid.seed": "20260301", "rapid.nofailfile": "true"} {
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
		if !given {
			_ = flag.Set(name, value)
		}
	}
	os.Exit(m.Run())
}

// properties hold in every world. The policy table has the decisions; these are the
// decisions that must never be. The property that is named fails if the planner makes this
// mistake:
//   - it depends on the order of the facts: it is pure …
//   - it counts a hosting as surplus because the subscription is not known or the mapping
//     is lost, or looks at one of several bindings only: no hosting is taken from …
//     (and TestAbsence…)
//   - it resumes a hosting that others suspended: only our own suspension …
//   - it replaces a hosting that is gone when its item is replaced: never more …
//   - it does not filter by mode: provision is enforce …
//   - it ignores no-suspend: a manual hold wins …
//   - it compares look-alikes only if they are on the same plan, or does not compare the
//     date of the order: nothing is created …
//   - it does not name the end of the grace period: nothing changes by itself …
var properties = []struct {
	name string
	hold func(t *rapid.T, s scene, d planner.Decision)
}{
	{"it is pure: the same facts, in any order, give the same decision, and are not changed", pure},
	{"no hosting is taken from while anything bound to it is paid for or cannot be judged", takesOnlyOnExplicitCause},
	{"only our own suspension of a hosting that is paid for is lifted", liftsOnlyOurs},
	{"nothing with content on it goes while an empty one of the same customer stays", keepsContent},
	{"never more is created than is paid for and not there", createsWhatIsLacking},
	{"nothing is created for an order that an unbound hosting looks like, or that no operator called new", asksBeforeItCreates},
	{"a slot that was ever used is never given again", slotsAreFresh},
	{"provision is enforce without the actions that take away, and names those", provisionOnlyGives},
	{"a manual hold wins, and names the actions it withheld", peopleWin},
	{"ids name the change: unique, and the same at any time and for any reason", idsNameTheChange},
	{"every hold and every action has a sentence", everythingSaysWhy},
	{"a write that was never answered is not sent again, nor another to the same hosting", waitsForAnswers},
	{"nothing changes by itself before the time that the decision names", staysUntilNext},
}

func TestInEveryWorld(t *testing.T) {
	for _, p := range properties {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				s := drawScene(t)
				p.hold(t, s, s.decide())
			})
		})
	}
}

// FuzzDecide searches by coverage for a world in which a property fails.
func FuzzDecide(f *testing.F) {
	for seed := range byte(32) {
		bytes := make([]byte, 4096)
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(bytes)
		f.Add(bytes)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		s := drawScene(t)
		d := s.decide()
		for _, p := range properties {
			p.hold(t, s, d)
		}
		removalIsInert(t)
		converges(t)
	}))
}

func pure(t *rapid.T, s scene, d planner.Decision) {
	before := s.twin()
	same(t, "decided twice", d, s.decide())
	same(t, "the facts were changed", before.c, s.c)
	same(t, "in another order", d, s.shuffled(t).decide())
}

// same compares by reflection, because cmp is slow; cmp runs only if there is a difference.
func same(t *rapid.T, what string, want, got any) {
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

// standing is the entitlement of a subscription, worked out without the planner: live,
// down or ended; or inert, if its facts are not enough.
func standing(s *reconcile.Subscription, p reconcile.Policy, now time.Time) string {
	switch {
	case s == nil || s.Gone:
		return "inert"
	case s.Status == reconcile.StatusCanceled || s.Status == reconcile.StatusIncompleteExpired:
		return "ended"
	case s.Status == reconcile.StatusUnpaid || s.Status == reconcile.StatusPaused:
		return "down"
	case s.Status == reconcile.StatusPastDue:
		since := s.Lapse.Since
		if since.IsZero() {
			since = s.Lapse.Seen
		}
		if !now.Before(since.Add(p.Grace)) {
			return "down"
		}
	case s.Status != reconcile.StatusActive && s.Status != reconcile.StatusTrialing:
		return "inert"
	}
	if s.CollectionPaused && p.SuspendPaused {
		return "down"
	}
	return "live"
}

// asksBeforeItCreates compares creations with the hostings that staff have made.
func asksBeforeItCreates(t *rapid.T, s scene, d planner.Decision) {
	if len(d.Needs) > 0 {
		return // the decision is provisional: it is made again when the facts are read
	}
	for _, a := range d.Actions {
		if a.Kind != reconcile.CreateSubscription {
			continue
		}
		sub := subOf(&s.c, a.Subscription)
		bound := func(hosting int64) bool {
			return slices.ContainsFunc(d.Actions, func(l reconcile.Action) bool { return l.Kind == reconcile.Link && l.Hosting == hosting })
		}
		has := slices.ContainsFunc(s.c.Bindings, func(b reconcile.Binding) bool { return b.Subscription == sub.ID }) ||
			slices.ContainsFunc(d.Actions, func(l reconcile.Action) bool { return l.Kind == reconcile.Link && l.Subscription == sub.ID }) ||
			slices.ContainsFunc(d.Holds, func(h reconcile.Hold) bool { return h.Subscription == sub.ID && h.Hosting != 0 }) // or it had one that was deleted
		switch {
		case sub.IsNewOrder:
		case slices.ContainsFunc(s.c.Lookalikes, func(l reconcile.Lookalike) bool {
			return (l.Subscription == "" || l.Subscription == sub.ID) && !bound(l.Hosting)
		}):
			t.Fatalf("%s, and one of %+v may be it", a.ID, s.c.Lookalikes)
		case !s.c.Unbound || has:
		case s.policy.NewAfter.IsZero() && s.c.Undecided, sub.Created.Before(s.policy.NewAfter):
			t.Fatalf("%s, which was ordered at %s, and no operator called it new (new after %s, undecided %v)", a.ID, sub.Created, s.policy.NewAfter, s.c.Undecided)
		case sub.Domain != "" && s.now.Sub(sub.SiteReadAt) > time.Hour:
			t.Fatalf("%s, and the location of %s was not read", a.ID, sub.Domain)
		}
	}
}

// explicit returns the reason why a binding gives its hosting up, or "" if it does not. A
// hosting that the same decision binds to the item counts, because it takes this one's place.
func (s scene) explicit(d planner.Decision, b reconcile.Binding) string {
	sub := subOf(&s.c, b.Subscription)
	switch st := standing(sub, s.policy, s.now); st {
	case "inert":
		return ""
	case "down", "ended":
		return st
	}
	mapped := slices.ContainsFunc(sub.Items, func(it reconcile.Item) bool { return it.Price != "price_free" })
	for _, it := range sub.Items {
		if it.ID != b.Item {
			continue
		}
		if planOf[it.Price] == 0 || it.Quantity > 100 {
			return "" // its plan is not known
		}
		bound := 0
		for _, o := range s.c.Bindings {
			if o.Subscription == b.Subscription && o.Item == b.Item {
				bound++
			}
		}
		for _, a := range d.Actions {
			if a.Kind == reconcile.Link && a.Subscription == b.Subscription && a.Item == b.Item && a.Hosting != b.Hosting && !isBoundTo(s, a) {
				bound++
			}
		}
		if int64(bound) <= it.Quantity || slices.ContainsFunc(sub.Items, unresolved) {
			return ""
		}
		return "fewer units"
	}
	if b.Item == "" || !mapped {
		return ""
	}
	for _, it := range sub.Items {
		if unresolved(it) || planOf[it.Price] == 0 && (it.Created.IsZero() || !it.Created.Before(b.At)) {
			return "" // it may be the replacement of the item
		}
	}
	return "item gone"
}

// unresolved reports whether an item is mapped, but its plan or number is not known.
func unresolved(it reconcile.Item) bool {
	return planOf[it.Price] == 0 && it.Price != "price_free" || it.Price != "price_free" && it.Quantity > 100
}

func takesOnlyOnExplicitCause(t *rapid.T, s scene, d planner.Decision) {
	cat := catalogOf(offer())
	for _, a := range d.Actions {
		if !cat.Takes(a) {
			continue
		}
		bound := 0
		for _, b := range s.c.Bindings {
			if b.Hosting != a.Hosting {
				continue
			}
			bound++
			why := s.explicit(d, b)
			switch {
			case a.Kind == reconcile.Suspend && why == "":
				t.Fatalf("%s although %s/%d is paid for or cannot be judged", a.ID, b.Subscription, b.Slot)
			case a.Kind == reconcile.Terminate && why != "ended":
				t.Fatalf("%s although %s/%d has not ended: %q", a.ID, b.Subscription, b.Slot, why)
			case a.Kind == reconcile.ChangePlan && standing(subOf(&s.c, b.Subscription), s.policy, s.now) == "inert":
				t.Fatalf("%s although %s, bound to it as well, cannot be judged", a.ID, b.Subscription)
			}
		}
		// A downgrade may be of an unbound hosting, if this decision also takes it over
		// or binds it by metadata.
		if bound == 0 && a.Kind != reconcile.ChangePlan {
			t.Fatalf("%s although nothing is bound to the hosting", a.ID)
		}
		h := hostingOf(&s.c, a.Hosting)
		if h == nil || h.ObservedAt.IsZero() {
			t.Fatalf("%s of a hosting that was never read", a.ID)
		}
		if a.Kind == reconcile.Terminate {
			mayTerminate(t, s, a, h)
		}
	}
}

// mayTerminate checks the conditions of a deletion.
func mayTerminate(t *rapid.T, s scene, a reconcile.Action, h *reconcile.Hosting) {
	long := func(since time.Time) bool { return !since.IsZero() && s.now.Sub(since) >= s.policy.Retention }
	if s.policy.Retention == 0 || h.State != reconcile.HostingSuspended || !long(h.SuspendedByUs) {
		t.Fatalf("%s: retention %s, state %s, suspended by us %s", a.ID, s.policy.Retention, h.State, h.SuspendedByUs)
	}
	for _, b := range s.c.Bindings {
		if b.Hosting == a.Hosting && !long(subOf(&s.c, b.Subscription).EndedAt) {
			t.Fatalf("%s: %s ended at %s", a.ID, b.Subscription, subOf(&s.c, b.Subscription).EndedAt)
		}
	}
}

func liftsOnlyOurs(t *rapid.T, s scene, d planner.Decision) {
	for _, a := range d.Actions {
		if a.Kind != reconcile.Resume {
			continue
		}
		if h := hostingOf(&s.c, a.Hosting); h == nil || h.State != reconcile.HostingSuspended || h.SuspendedByUs.IsZero() {
			t.Fatalf("%s: hosting is %+v", a.ID, h)
		}
		if st := standing(subOf(&s.c, a.Subscription), s.policy, s.now); st != "live" {
			t.Fatalf("%s although %s is %s", a.ID, a.Subscription, st)
		}
	}
}

// createsWhatIsLacking compares units and bindings of each subscription. A binding counts
// even if its hosting is gone, because an operator decides about that one.
func createsWhatIsLacking(t *rapid.T, s scene, d planner.Decision) {
	made := map[string]int{}
	for _, a := range d.Actions {
		if a.Kind == reconcile.CreateSubscription {
			made[a.Subscription]++
		}
	}
	for id, n := range made {
		sub := subOf(&s.c, id)
		if standing(sub, s.policy, s.now) != "live" {
			t.Fatalf("%d created for %s, which is %s", n, id, standing(sub, s.policy, s.now))
		}
		if lacks := s.lacking(sub); n > lacks {
			t.Fatalf("%d created for %s, which lacks %d", n, id, lacks)
		}
	}
}

// lacking counts the units of a live subscription that have no binding. A binding serves
// any other item if its own is gone or has more bindings than units. But while the plan of
// an item is not known, such a binding waits for that item and serves none.
func (s scene) lacking(sub *reconcile.Subscription) (lacks int) {
	spare, waiting, bound := 0, false, map[string]int{}
	for _, b := range s.c.Bindings {
		if h := hostingOf(&s.c, b.Hosting); b.Subscription == sub.ID && (h == nil || h.TerminatedByUs.IsZero()) {
			bound[b.Item]++
		}
	}
	for _, it := range sub.Items {
		waiting = waiting || planOf[it.Price] == 0 || it.Quantity > 100
		if planOf[it.Price] != 0 && it.Quantity <= 100 {
			lacks += max(0, int(it.Quantity)-bound[it.ID])
			spare += max(0, bound[it.ID]-int(it.Quantity))
		}
		delete(bound, it.ID)
	}
	for _, n := range bound {
		spare += n
	}
	if waiting {
		spare = 0
	}
	return max(0, lacks-spare)
}

func slotsAreFresh(t *rapid.T, s scene, d planner.Decision) {
	seen := map[string]bool{}
	for _, a := range d.Actions {
		at := fmt.Sprintf("%s/%d", a.Subscription, a.Slot)
		if a.Slot == 0 || a.Kind != reconcile.CreateSubscription && a.Kind != reconcile.Link {
			continue
		}
		if seen[at] {
			t.Fatalf("%s: slot %s given twice in one decision", a.ID, at)
		}
		seen[at] = true
		for _, b := range s.c.Bindings {
			if b.Subscription == a.Subscription && b.Slot == a.Slot && (a.Kind != reconcile.Link || b.Hosting != a.Hosting) {
				t.Fatalf("%s: slot %s is bound to hosting %d", a.ID, at, b.Hosting)
			}
		}
		for _, h := range s.c.Hostings {
			if strings.HasSuffix(h.FriendlyName, "["+at+"]") && h.ID != a.Hosting && !(a.Kind == reconcile.Link && (isBound(s, a) || a.How == reconcile.BoundByMarker)) {
				t.Fatalf("%s: hosting %d carries the marker [%s]", a.ID, h.ID, at)
			}
		}
		for _, p := range s.c.Pending {
			if p.Kind == reconcile.CreateSubscription && p.Subscription == a.Subscription && p.Slot == a.Slot && !isBound(s, a) && a.How != reconcile.BoundByMarker {
				t.Fatalf("%s: %s has not been answered", a.ID, p.ActionID)
			}
		}
	}
}

// isBound reports whether the binding exists, so that the action changes only its item.
func isBound(s scene, a reconcile.Action) bool {
	return slices.ContainsFunc(s.c.Bindings, func(b reconcile.Binding) bool {
		return b.Subscription == a.Subscription && b.Slot == a.Slot && b.Hosting == a.Hosting
	})
}

// isBoundTo reports whether the binding exists, with the same item.
func isBoundTo(s scene, a reconcile.Action) bool {
	return slices.ContainsFunc(s.c.Bindings, func(b reconcile.Binding) bool {
		return b.Subscription == a.Subscription && b.Slot == a.Slot && b.Hosting == a.Hosting && b.Item == a.Item
	})
}

// keepsContent checks that no hosting with content is suspended for lack of a unit while an
// empty one stays. It does not apply if an operator has named a hosting in the metadata, or
// if the reason is a missing payment.
func keepsContent(t *rapid.T, s scene, d planner.Decision) {
	if len(d.Needs) > 0 {
		return // the decision is provisional: the facts are read first
	}
	goes, comes := map[int64]bool{}, map[int64]bool{}
	for _, a := range d.Actions {
		goes[a.Hosting] = goes[a.Hosting] || a.Kind == reconcile.Suspend || a.Kind == reconcile.Terminate
		comes[a.Hosting] = comes[a.Hosting] || a.Kind == reconcile.Resume
	}
	for _, a := range d.Actions {
		if !goes[a.Hosting] || !has(hostingOf(&s.c, a.Hosting)) || standing(subOf(&s.c, a.Subscription), s.policy, s.now) == "down" || s.chosen() {
			continue
		}
		for _, b := range s.c.Bindings {
			h, sub := hostingOf(&s.c, b.Hosting), subOf(&s.c, b.Subscription)
			if h == nil || h.ID == a.Hosting || goes[h.ID] || !comes[h.ID] && h.State != reconcile.HostingActive || has(h) ||
				sub != nil && sub.StripeCustomer != subOf(&s.c, a.Subscription).StripeCustomer || h.Content.ReadAt.IsZero() || s.waits(b) {
				continue
			}
			t.Fatalf("%s, which has %v, while hosting %d of %s stays and is empty", a.ID, hostingOf(&s.c, a.Hosting).Content, h.ID, b.Subscription)
		}
	}
}

// waits reports whether a hosting has a write that was not answered.
func (s scene) waits(b reconcile.Binding) bool {
	return slices.ContainsFunc(s.c.Pending, func(p reconcile.Pending) bool {
		return p.Hosting == b.Hosting || p.Subscription == b.Subscription && p.Slot == b.Slot
	})
}

// has reports whether something was seen on a hosting.
func has(h *reconcile.Hosting) bool {
	return h.Content.Count > 0 || slices.ContainsFunc(h.Usage, func(u reconcile.Usage) bool { return u.Used > 0 })
}

// chosen reports whether an operator has named a hosting in the metadata.
func (s scene) chosen() bool {
	return slices.ContainsFunc(s.c.Subscriptions, func(sub reconcile.Subscription) bool { return sub.MetadataHosting != 0 })
}

func provisionOnlyGives(t *rapid.T, s scene, d planner.Decision) {
	cat := catalogOf(offer())
	s.policy.Mode = reconcile.Provision
	given := s.decide()
	var want []string
	for _, a := range d.Actions {
		if !cat.Takes(a) {
			want = append(want, a.ID)
		} else if !names(given.Holds, a.ID) {
			t.Fatalf("%s is withheld and no hold says so", a.ID)
		}
	}
	same(t, "enforce without the actions that take away", want, ids(given))
}
