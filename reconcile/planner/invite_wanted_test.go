package planner_test

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestAnOwnerIsInvitedElsewhereWhileTheInvitationIsOpen(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*reconcile.Customer)
		want bool
	}{
		{"it is open", func(*reconcile.Customer) {}, true},
		{"it was accepted", func(c *reconcile.Customer) { c.Org.OwnerEmail = "old@example.com" }, false},
		{"it is at that address", func(c *reconcile.Customer) { c.InvitedEmail = "new@example.com" }, false},
		{"there was none", func(c *reconcile.Customer) { c.InvitedEmail = "" }, false},
		{"the org is another customer's", func(c *reconcile.Customer) { c.OrgGuest = true }, false},
		{"the org was deleted", func(c *reconcile.Customer) { c.Org.Deleted = true }, false},
		{"a person wants no other", func(c *reconcile.Customer) { c.InviteWanted = "" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				org := *c.Org
				org.OwnerEmail = ""
				c.Org, c.Invited, c.InvitedEmail = &org, noon, "old@example.com"
				c.InviteWanted, c.InviteWhy = "new@example.com", "operator: a typing mistake"
				tt.edit(c)
			})
			a := actionOf(planner.Decide(&c, catalog(), policy(), noon), reconcile.InviteOwner)
			if (a != nil) != tt.want || a != nil && (a.Email != "new@example.com" || a.Instead != "old@example.com" || a.ID != "invite_owner:"+c.ID+":new@example.com") {
				t.Errorf("%+v", a)
			}
			if a == nil {
				return
			}
			next := planner.After(&c, *a, noon)
			if again := actionOf(planner.Decide(next, catalog(), policy(), noon), reconcile.InviteOwner); again != nil || next.InviteWanted != "" {
				t.Errorf("after it: %+v, wanted %q", again, next.InviteWanted)
			}
		})
	}
}
