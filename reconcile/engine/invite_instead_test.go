package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// mistyped is a customer who was invited, and whose address a person has corrected since.
func mistyped(t *testing.T, set func(*engine.Options)) *testenv.Env {
	t.Helper()
	r := testenv.New(t, testenv.Options{Engine: set})
	s := signUp(t, r, simulator.SignUp{Email: "ada@exmaple.com", Name: "Ada", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	r.World.Advance(2 * time.Minute)
	_, err := r.Store.WantInvite(t.Context(), s.Customer, "Ada@example.com", "operator: a typing mistake", r.World.Now())
	must(t, err)
	return r
}

func membersOf(r *testenv.Env) string {
	var all []string
	for _, m := range r.World.Orgs()[0].Members {
		all = append(all, m.Email)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// Whatever is lost on the way, the owner is invited at the new address in the end, and the
// old invitation is open no more.
func TestAnInvitationElsewhereSurvivesWhatIsLost(t *testing.T) {
	for _, route := range []string{"POST /orgs/{org}/invites", "DELETE /orgs/{org}/members/{member}", "GET /orgs/{org}/members"} {
		for name, fault := range map[string]simulator.Fault{"nothing": {Honest: true}, "not done": simulator.Lost(false), "done": simulator.Lost(true), "503": simulator.NotDone(503), "429": simulator.Throttled("")} {
			t.Run(route+"/"+name, func(t *testing.T) {
				r := mistyped(t, nil)
				n := 0
				r.World.SetFault(func(c simulator.Call) simulator.Fault {
					if c.Route != route || n > 0 {
						return simulator.Fault{Honest: true}
					}
					n++
					return fault
				})
				rep := runs(r, 6, 2*time.Minute)
				diff(t, "members", "ada@example.com", membersOf(r))
				if n == 0 || !rep.Converged() || parked(t, r) != 0 {
					t.Errorf("%d faults, %v", n, rep.Holds)
				}
			})
		}
	}
}

// An owner who has accepted since stays the only one, and is not bothered again.
func TestAnOwnerWhoAcceptsMeanwhileStays(t *testing.T) {
	for name, set := range map[string]func(*engine.Options){"invited": nil, "with a password": withPassword} {
		t.Run(name, func(t *testing.T) {
			r := mistyped(t, set)
			if name == "invited" { // with a password the membership is active at once
				must(t, r.World.AcceptInvite(r.World.Orgs()[0].ID))
			}
			mails := len(r.World.Mails())
			rep := runs(r, 4, time.Hour)
			diff(t, "members", "ada@exmaple.com", membersOf(r))
			if !rep.Converged() || len(r.World.Mails()) != mails || parked(t, r) != 0 {
				t.Errorf("%v, %d mails", rep.Holds, len(r.World.Mails())-mails)
			}
			counts, err := r.Store.FindCustomers(t.Context(), reconcile.CustomerLookup{Email: "ada@exmaple.com"}, 0)
			if must(t, err); name == "invited" && counts[0].InviteWanted != "" {
				t.Errorf("%q is wanted still", counts[0].InviteWanted)
			}
		})
	}
}
