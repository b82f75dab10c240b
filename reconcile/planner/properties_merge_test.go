package planner_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// In every world in which a person has split the customer from some orgs, no evidence leads
// it into one of them again. What is there is judged as before: nothing is taken away that
// is paid for, and no write is repeated that has no known outcome.
func TestInEveryWorldAfterASplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		c := &s.c
		c.Org, c.OrgGuest, c.OrgNamed, c.OrgWhy = nil, false, false, ""
		for _, id := range append([]string{"org-of-cus_2"}, someOrgs...) {
			if rapid.Bool().Draw(t, "split from "+id) {
				c.Apart = append(c.Apart, reconcile.ApartOrg{Org: id, Why: "ada@desk: why", At: noon})
			}
		}
		apart := func(org string) bool {
			return slices.ContainsFunc(c.Apart, func(o reconcile.ApartOrg) bool { return o.Org == org })
		}
		d := s.decide()
		for _, a := range d.Actions {
			switch {
			case a.Kind == reconcile.Link && a.Hosting == 0 && apart(a.Org):
				t.Errorf("it is led back: %s, %s", a.ID, a.Reason)
			case a.Kind == reconcile.CreateSubscription && apart(a.Org):
				t.Errorf("a hosting is made in an org from which it was split: %s", a.ID)
			case (a.Kind == reconcile.RenameOrg || a.Kind == reconcile.InviteOwner) && apart(a.Org):
				t.Errorf("an org from which it was split is finished: %s", a.ID)
			}
		}
		takesOnlyOnExplicitCause(t, s, d)
		createsWhatIsLacking(t, s, d)
		waitsForAnswers(t, s, d)
		slotsAreFresh(t, s, d)
		everythingSaysWhy(t, s, d)
	})
}

// In every world a guest by the word of a person gets new hostings in the org of the other
// customer alone, names nothing there, and invites no owner to it.
func TestInEveryWorldOfAGuest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		c := &s.c
		c.Org, c.OrgGuest, c.OrgNamed, c.OrgWhy = &reconcile.Org{ID: "org-host", Name: "Agency", ObservedAt: noon}, true, true, "ada@desk: why"
		d := s.decide()
		for _, a := range d.Actions {
			switch {
			case a.Kind == reconcile.CreateOrg, a.Kind == reconcile.RenameOrg, a.Kind == reconcile.InviteOwner, a.Kind == reconcile.Link && a.Hosting == 0:
				t.Errorf("a guest does not %s: %s", a.Kind, a.ID)
			case a.Kind == reconcile.CreateSubscription && a.Org != "org-host":
				t.Errorf("a hosting is made elsewhere: %s in %s", a.ID, a.Org)
			}
		}
		for _, h := range d.Holds {
			if h.Kind == reconcile.HoldDuplicate && h.Hosting == 0 {
				t.Errorf("the org that it had before was not made twice: %s", h.Reason)
			}
		}
		takesOnlyOnExplicitCause(t, s, d)
		createsWhatIsLacking(t, s, d)
		waitsForAnswers(t, s, d)
	})
}
