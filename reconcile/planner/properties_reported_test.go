package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func ids(d planner.Decision) (all []string) {
	for _, a := range d.Actions {
		all = append(all, a.ID)
	}
	return all
}

func names(holds []reconcile.Hold, action string) bool {
	return slices.ContainsFunc(holds, func(h reconcile.Hold) bool { return h.ActionID == action && h.Reason != "" })
}

func peopleWin(t *rapid.T, s scene, d planner.Decision) {
	cat := catalogOf(offer())
	free := s.twin()
	free.c.Manual = nil
	without := free.decide()
	for _, a := range d.Actions {
		for _, m := range s.c.Manual {
			if m.Subscription != "" && m.Subscription != a.Subscription || !m.Until.IsZero() && !s.now.Before(m.Until) {
				continue
			}
			if m.Kind == reconcile.Ignore || m.Kind == reconcile.NoSuspend && cat.Takes(a) || m.Kind == reconcile.KeepSuspended && a.Kind == reconcile.Resume {
				t.Fatalf("%s despite the manual hold %s", a.ID, m.Kind)
			}
		}
		if !slices.Contains(ids(without), a.ID) {
			t.Fatalf("%s is done only because of a hold", a.ID)
		}
	}
	whole := slices.ContainsFunc(d.Holds, func(h reconcile.Hold) bool { return h.Kind == reconcile.HoldManual && h.ActionID == "" })
	for _, a := range without.Actions {
		// A new org needs no hold if all that would be in it is withheld.
		if !slices.Contains(ids(d), a.ID) && !names(d.Holds, a.ID) && !whole && (a.Org != "" || a.Kind == reconcile.CreateSubscription) {
			t.Fatalf("%s is withheld without a hold", a.ID)
		}
	}
}

func idsNameTheChange(t *rapid.T, s scene, d planner.Decision) {
	what := func(a reconcile.Action) string {
		return fmt.Sprint(a.Kind, a.Subscription, a.Slot, a.Org, a.Hosting, a.FromPlan, a.Domain, map[bool]int{true: a.Plan}[a.Kind == reconcile.ChangePlan || a.Kind == reconcile.CreateSubscription])
	}
	meaning := map[string]string{}
	for _, a := range d.Actions {
		if a.ID == "" || meaning[a.ID] != "" {
			t.Fatalf("id %q is a duplicate or empty", a.ID)
		}
		meaning[a.ID] = what(a)
		if reconcile.ParseActionKind(strings.SplitN(a.ID, ":", 2)[0]) != a.Kind || a.Customer != s.c.ID {
			t.Fatalf("%q is the id of a %s of %q", a.ID, a.Kind, a.Customer)
		}
	}
	s.now = s.now.Add(pick(t, "later", time.Second, time.Hour, 73*time.Hour, 60*24*time.Hour))
	for _, a := range s.decide().Actions {
		if was, there := meaning[a.ID]; there && was != what(a) {
			t.Fatalf("%q was the id of %q and now is of %q", a.ID, was, what(a))
		}
		for id, was := range meaning {
			if was == what(a) && id != a.ID && a.Kind != reconcile.Link {
				t.Fatalf("%q was %q before", a.ID, id)
			}
		}
	}
}

func everythingSaysWhy(t *rapid.T, _ scene, d planner.Decision) {
	for _, h := range d.Holds {
		if h.Kind == "" || len(h.Reason) < 10 || h.Customer == "" || strings.Contains(h.Reason, "%!") {
			t.Fatalf("hold without a sentence: %+v", h)
		}
	}
	for _, a := range d.Actions {
		if len(a.Reason) < 10 || strings.Contains(a.Reason, "%!") {
			t.Fatalf("action without a sentence: %+v", a)
		}
	}
}

func waitsForAnswers(t *rapid.T, s scene, d planner.Decision) {
	for _, a := range d.Actions {
		for _, p := range s.c.Pending {
			switch {
			case a.Kind == reconcile.CreateSubscription && p.Kind == reconcile.CreateSubscription,
				a.Kind == reconcile.CreateOrg && (p.Kind == reconcile.CreateOrg || p.Kind == reconcile.CreateSubscription),
				a.Hosting != 0 && a.Hosting == p.Hosting && a.Kind != reconcile.Link && a.Kind != reconcile.WriteMetadata && p.Kind != reconcile.Link && p.Kind != reconcile.WriteMetadata:
				t.Fatalf("%s although %s was never answered", a.ID, p.ActionID)
			}
		}
	}
}

// staysUntilNext checks that the actions do not change before Decision.Next, if only time passes.
func staysUntilNext(t *rapid.T, s scene, d planner.Decision) {
	for i := range s.c.Subscriptions {
		if s.c.Subscriptions[i].Lapse == (reconcile.Lapse{}) {
			return // without a lapse, grace begins at the time of the decision
		}
	}
	at := s.now.Add(pick(t, "looking again after", time.Nanosecond, time.Second, 30*time.Second, 59*time.Minute, time.Hour, 24*time.Hour, 400*24*time.Hour))
	if !d.Next.IsZero() && !at.Before(d.Next) {
		at = d.Next.Add(-time.Nanosecond)
	}
	if !d.Next.IsZero() && !d.Next.After(s.now) {
		t.Fatalf("next is %s, which is past", d.Next)
	}
	s.now = at
	same(t, fmt.Sprintf("at %s, before next (%s)", at, d.Next), ids(d), ids(s.decide()))
}
