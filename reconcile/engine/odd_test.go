package engine_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestACustomerWhoseIdPeopleChoseIsServedLikeAnyOther: old accounts have customers such
// as legacy-42. Their org is recognised by its marker when the answer to its creation
// was lost, and the database after it.
func TestACustomerWhoseIdPeopleChoseIsServedLikeAnyOther(t *testing.T) {
	for _, id := range []string{"legacy-42", "ada@example.com", "a]@b [c"} {
		for _, word := range []string{"", "shop"} {
			t.Run(id+" "+word, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "state.db")
				r := testenv.New(t, testenv.Options{Database: "sqlite:" + file, Engine: func(o *engine.Options) { o.Policy.Instance = word }})
				price := priceFor(t, r, plans(r)[0])
				signUp(t, r, simulator.SignUp{Email: "cem@example.com", Price: price})
				r.Run(engine.Request{Full: true})
				one := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: price, NewCustomer: id})
				diff(t, "its id", id, one.Customer)
				lost := false
				r.World.SetFault(func(c simulator.Call) simulator.Fault {
					if c.Route == "POST /orgs/{org}/customers" {
						lost = true
						return simulator.DoneBut(502)
					}
					if lost && c.Side == simulator.Enhance {
						return simulator.NotDone(503)
					}
					return simulator.Fault{}
				})
				_, _ = r.Try(engine.Request{Full: true})
				diff(t, "lost", true, lost)
				loseDatabase(r, file)
				r.World.SetFault(nil)
				for range 3 {
					r.World.Advance(2 * time.Minute)
					r.Run(engine.Request{})
				}
				diff(t, "orgs", 2, len(r.World.Orgs()))
				diff(t, "up", 2, len(live(r)))
				for _, o := range r.World.Orgs() {
					diff(t, "marked in its name", false, strings.Contains(o.Name, "["))
				}
				must(t, r.World.Cancel(one.Subscription))
				r.World.Advance(2 * time.Minute)
				r.Run(engine.Request{})
				diff(t, "up after the end", 1, len(live(r)))
			})
		}
	}
}

// TestAPanelThatGrowsAllTheTimeIsGotPast: another company sells on it, an org with every
// page that is read. The listing of a new installation never ended.
func TestAPanelThatGrowsAllTheTimeIsGotPast(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	for i := range 260 {
		r.World.StaffCreateOrg(fmt.Sprint("by hand ", i), "stranger@example.com")
	}
	n := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /orgs/{org}/customers" {
			n++
			r.World.Advance(time.Second)
			r.World.StaffCreateOrg(fmt.Sprint("meanwhile ", n), "stranger@example.com")
		}
		return simulator.Fault{}
	})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	for _, full := range []bool{true, true, false} {
		r.Run(engine.Request{Full: full})
		r.World.Advance(time.Minute)
	}
	diff(t, "up", 1, len(live(r)))
	if n < 3*4 {
		t.Errorf("it grew %d times", n)
	}
}

// TestOneOddSubscriptionHoldsItselfAlone, in a full run and when there is an event about it.
func TestOneOddSubscriptionHoldsItselfAlone(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	odd := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	gone := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	r.Run(engine.Request{})
	must(t, r.World.Edit(odd.Subscription, func(s *simulator.Subscription) { s.Items = append(s.Items, s.Items[0]) }))
	must(t, r.World.Cancel(gone.Subscription))
	for i, full := range []bool{false, true, true} {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: price})
		r.World.Advance(2 * time.Minute)
		rep := r.Run(engine.Request{Full: full})
		diff(t, "held", []string{"unknown_status"}, holdKinds(rep))
		diff(t, "up: hers, who came, and not who has ended", 2+i, len(live(r)))
	}
	must(t, r.World.Edit(odd.Subscription, func(s *simulator.Subscription) { s.Items = s.Items[:1] }))
	r.World.Advance(2 * time.Minute)
	diff(t, "converged", true, r.Run(engine.Request{}).Converged())
}

// TestAnOldSubscriptionThatCannotBeReadKeepsNothingUp: it is one of those that are asked
// for before something is taken away.
func TestAnOldSubscriptionThatCannotBeReadKeepsNothingUp(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	odd := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	gone := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	r.World.Advance(time.Minute)
	r.Run(engine.Request{})
	r.Fail(simulator.Fault{Rewrite: func(status int, body []byte) (int, []byte) {
		return status, []byte(strings.Replace(string(body), odd.Customer, "sub_none", 1))
	}}, func(c simulator.Call) bool { return c.Path == "/v1/subscriptions/"+odd.Subscription })
	must(t, r.World.Cancel(gone.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "up", 1, len(live(r)))
}
