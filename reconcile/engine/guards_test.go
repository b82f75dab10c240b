package engine_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The org may be an agency's, and the customer only one of those who run it. Its
// e-mail comes first in the list of owners, which is all that a listing of orgs shows.
func TestAnOrgOfSeveralOwnersIsNotAdopted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		owners []string
		adopts bool
	}{
		{"the only owner", []string{"Ada@Example.com"}, true},
		{"one of two owners", []string{"ada@example.com", "agency@example.com"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			org := r.World.StaffCreateOrg("by hand", tc.owners[0])
			for _, o := range tc.owners[1:] {
				must(t, r.World.StaffAddOwner(org, o))
			}
			r.Run(engine.Request{})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
			rep, err := r.Try(engine.Request{})
			adopted := len(r.World.Hostings()) == 1 && r.World.Hostings()[0].Org == org
			if adopted != tc.adopts {
				t.Errorf("adopted: %v, want %v: %v %v", adopted, tc.adopts, kinds(rep), err)
			}
			if !tc.adopts && (len(rep.Holds) != 1 || !strings.Contains(rep.Holds[0].Reason, "enhance_org_id")) {
				t.Errorf("the holds are %v, and do not say how to name the right org", rep.Holds)
			}
		})
	}
}

// A second owner comes after the owners were read and before the org is bound: they are
// read again right before that.
func TestAnOrgThatGotASecondOwnerMeanwhileIsNotAdopted(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	org := r.World.StaffCreateOrg("by hand", "ada@example.com")
	must(t, r.World.StaffAddOwner(org, "agency@example.com"))
	r.Run(engine.Request{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	reads := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if !strings.HasSuffix(c.Route, "/members") {
			return simulator.Fault{}
		}
		if reads++; reads > 1 {
			return simulator.Fault{}
		}
		return simulator.Fault{Rewrite: func(status int, body []byte) (int, []byte) {
			var list struct {
				Items []json.RawMessage `json:"items"`
				Total int               `json:"total"`
			}
			must(t, json.Unmarshal(body, &list))
			list.Items, list.Total = list.Items[:1], 1
			only, err := json.Marshal(list)
			must(t, err)
			return status, only
		}}
	})
	rep, _ := r.Try(engine.Request{})
	diff(t, "read again", true, reads > 1)
	diff(t, "hostings", 0, len(r.World.Hostings()))
	if len(rep.Actions) == 0 || !strings.Contains(rep.Actions[0].Error, "enhance_org_id") {
		t.Errorf("the actions are %v, and do not say how to name the right org", rep.Actions)
	}
}

// The panel answers a create with the id of a hosting that is another subscription's.
// Bound to it, this customer would decide about another person's site.
func TestACreatedHostingThatReadsBackWithAnotherMarkerIsNotBound(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	r.Run(engine.Request{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		return simulator.Fault{Rewrite: func(status int, body []byte) (int, []byte) {
			return status, bytes.ReplaceAll(body, []byte("["+s.Subscription+"/1]"), []byte("[sub_another/1]"))
		}}
	})
	rep, _ := r.Try(engine.Request{})
	if !slices.Contains(kinds(rep), "create_subscription ambiguous") {
		t.Errorf("actions: %v", kinds(rep))
	}
	if bound := bindings(t, r, s.Customer); len(bound) > 0 {
		t.Errorf("bound: %+v", bound)
	}
	for range 30 { // it never shows its marker: looking for it does not make another
		r.World.Advance(10 * time.Minute)
		_, _ = r.Try(engine.Request{})
	}
	if n := len(r.World.Hostings()); n != 1 {
		t.Errorf("%d hostings, want 1", n)
	}
	r.World.SetFault(nil) // now it does
	r.World.Advance(2 * time.Hour)
	r.Run(engine.Request{Full: true}) // a marker that nothing accounts for: this one takes nothing away
	rep = r.Run(engine.Request{})
	if bound := bindings(t, r, s.Customer); len(bound) != 1 || !rep.Converged() {
		t.Errorf("found later: bound %+v, holds %+v", bound, rep.Holds)
	}
}

func bindings(t *testing.T, r *testenv.Env, customer string) []reconcile.Binding {
	t.Helper()
	all, err := r.Store.Customers(t.Context(), []string{customer})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d customers %s: %v", len(all), customer, err)
	}
	return all[0].Bindings
}
