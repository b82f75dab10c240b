package enhance_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// typo is a town with an org whose owner was invited at an address with a mistake.
func typo(t *testing.T) *town {
	t.Helper()
	n := newTown(t)
	n.org = n.world.StaffCreateOrg("Bob", "")
	if err := n.client.Invite(t.Context(), n.org, "bob@exmaple.com", "Bob"); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *town) members() (emails []string) {
	for _, o := range n.world.Orgs() {
		if o.ID == n.org {
			for _, m := range o.Members {
				emails = append(emails, m.Email)
			}
		}
	}
	slices.Sort(emails)
	return emails
}

func TestAnOpenInvitationIsReplaced(t *testing.T) {
	n := typo(t)
	for range 2 { // a second time finds it done
		if err := n.client.InviteInstead(t.Context(), n.org, "Bob@Exmaple.com", "bob@example.com", "Bob"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"bob@example.com"}, n.members()); diff != "" {
			t.Errorf("members (-want +got)\n%s", diff)
		}
	}
}

// Whoever has accepted an invitation is never removed, also if it was a moment ago.
func TestAnOwnerWhoHasAcceptedStays(t *testing.T) {
	n := typo(t)
	if err := n.world.AcceptInvite(n.org); err != nil {
		t.Fatal(err)
	}
	if err := n.client.InviteInstead(t.Context(), n.org, "bob@exmaple.com", "bob@example.com", "Bob"); fault.Of(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff([]string{"bob@exmaple.com"}, n.members()); diff != "" {
		t.Errorf("members (-want +got)\n%s", diff)
	}

	n = typo(t)
	inner := n.world.EnhanceHandler()
	client := fast(t, served(t, func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			if err := n.world.AcceptInvite(n.org); err != nil {
				t.Error(err)
			}
		}
	}))
	if err := client.InviteInstead(t.Context(), n.org, "bob@exmaple.com", "bob@example.com", "Bob"); fault.Of(err) != fault.Conflict {
		t.Errorf("accepted meanwhile: %v", err)
	}
	for _, e := range n.world.Effects() {
		if e.Kind == "remove_member" {
			t.Errorf("an owner was removed: %+v", e)
		}
	}
}
