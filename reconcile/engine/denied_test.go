package engine_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// lapsed is a company whose five customers have all paid again after they were
// suspended: five resumes are wanted.
func lapsed(t *testing.T) (*testenv.Env, []simulator.SignedUp) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Concurrency = 1 }})
	var all []simulator.SignedUp
	for _, who := range []string{"ada", "bob", "cem", "dee", "eve"} {
		all = append(all, signUp(t, r, simulator.SignUp{Email: who + "@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0])}}}))
	}
	r.Run(engine.Request{})
	for _, s := range all {
		must(t, r.World.MarkUnpaid(s.Subscription))
	}
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "up after they stopped paying", 0, len(live(r)))
	for _, s := range all {
		must(t, r.World.Pay(s.Subscription))
	}
	r.World.Advance(2 * time.Minute)
	return r, all
}

// TestOneOrgThatIsRefusedKeepsNobodyElseWaiting: with one refusal taken for that of
// the credential, the four others stayed suspended though they had paid.
func TestOneOrgThatIsRefusedKeepsNobodyElseWaiting(t *testing.T) {
	r, all := lapsed(t)
	var forbidden string
	for _, h := range r.World.Hostings() {
		if strings.Contains(h.FriendlyName, all[0].Subscription) {
			forbidden = h.Org
		}
	}
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Write() && strings.Contains(c.Path, forbidden) {
			return simulator.Fault{Apply: simulator.Skip, Status: http.StatusForbidden}
		}
		return simulator.Fault{}
	})
	rep := r.Run(engine.Request{})
	diff(t, "up", 4, len(live(r)))
	diff(t, "held", []string{"retry"}, holdKinds(rep))
	r.World.SetFault(nil)
	r.World.Advance(6 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "up when it is allowed again", 5, len(live(r)))
}

func TestARefusedTokenIsNobodysFailure(t *testing.T) {
	r, _ := lapsed(t)
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Enhance {
			return simulator.Fault{Apply: simulator.Skip, Status: http.StatusUnauthorized}
		}
		return simulator.Fault{}
	})
	for range 30 {
		before := r.Panel.Requests()
		rep, err := r.Try(engine.Request{})
		if sent := r.Panel.Requests() - before; sent > 4 { // three hostings or customers, and what every token may read
			t.Fatalf("%d requests with a token that is refused (%v)", sent, err)
		}
		for _, h := range rep.Holds {
			if h.Kind != reconcile.HoldRetry || !strings.Contains(h.Reason, "does not count against this customer") {
				t.Fatalf("hold %s: %s", h.Kind, h.Reason)
			}
		}
		r.World.Advance(20 * time.Minute)
	}
	r.World.SetFault(nil)
	r.World.Advance(6 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "up once the token works", 5, len(live(r)))
}

func invoices(c simulator.Call) bool { return strings.HasPrefix(c.Path, "/v1/invoices") }

// TestOneRefusalOfInvoicesDoesNotMakeGraceBeginAnew: the program was not running when the payment
// failed, and Stripe refuses the invoice once. With the missing answer taken for "no
// invoice is open", the grace period began on the day of that first look.
func TestOneRefusalOfInvoicesDoesNotMakeGraceBeginAnew(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0])}}})
	r.Run(engine.Request{})
	must(t, r.World.ChangePrice(s.Subscription, s.Items[0], priceFor(t, r, plans(r)[1])))
	must(t, r.World.FailPayment(s.Subscription))
	r.World.Advance(5 * 24 * time.Hour)
	r.Fail(simulator.NotDone(http.StatusForbidden), invoices)
	rep := r.Run(engine.Request{Full: true})
	diff(t, "held", []string{"grace", "grace"}, holdKinds(rep)) // the suspension, and the plan that may not be paid for
	diff(t, "up while nothing tells since when it is unpaid", 1, len(live(r)))
	diff(t, "its plan", plans(r)[0], r.World.Hostings()[0].Plan)
	r.World.SetFault(nil)
	r.World.Advance(25 * time.Hour)
	r.Run(engine.Request{})
	diff(t, "up once that is known", 0, len(live(r)))
}

// TestAnyNumberOfOrgsThatAreRefusedKeepsNobodyElseWaiting: four orgs were moved to
// another person, and the token may not even read them. They are the first that every
// run looks at, for they are the ones not seen for longest.
//
// With each of these mistakes put in once, it went red: three refusals taken for that
// of the credential in comparing, or in looking for the panel.
func TestAnyNumberOfOrgsThatAreRefusedKeepsNobodyElseWaiting(t *testing.T) {
	r, all := lapsed(t)
	r.Run(engine.Request{})
	diff(t, "up", 5, len(live(r)))
	var moved []string
	for _, h := range r.World.Hostings() {
		if !strings.Contains(h.FriendlyName, all[0].Subscription) {
			moved = append(moved, h.Org)
		}
	}
	r.Fail(simulator.NotDone(http.StatusForbidden), func(c simulator.Call) bool {
		return slices.ContainsFunc(moved, func(org string) bool { return strings.Contains(c.Path, org) })
	})
	r.World.Advance(25 * time.Hour)
	must(t, r.World.MarkUnpaid(all[0].Subscription))
	signUp(t, r, simulator.SignUp{Email: "new@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0])}}})
	for _, full := range []bool{true, false} {
		rep := r.Run(engine.Request{Full: full})
		diff(t, "partial", true, rep.Partial)
		diff(t, "up", 5, len(live(r))) // one less, one more
	}
}

// TestARefusalOfInvoicesDoesNotForgetThatOneIsNotDueYet: the invoice is due in a
// fortnight. With the known date forgotten, the grace period was counted from
// when the status was first seen, and who need not have paid yet was suspended.
func TestARefusalOfInvoicesDoesNotForgetThatOneIsNotDueYet(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", SendInvoice: true, Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0])}}})
	r.Run(engine.Request{})
	must(t, r.World.SetCard(s.Customer, false))
	must(t, r.World.SetStatus(s.Subscription, "past_due"))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{Full: true})
	r.Fail(simulator.NotDone(http.StatusForbidden), invoices)
	r.World.Advance(5 * 24 * time.Hour)
	r.Run(engine.Request{Subscriptions: []string{s.Subscription}})
	r.Run(engine.Request{Full: true})
	diff(t, "up before the invoice is due", 1, len(live(r)))
}
