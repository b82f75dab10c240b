package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// later lets two minutes pass and does a run.
func later(r *testenv.Env) reconcile.Report {
	r.World.Advance(2 * time.Minute)
	return r.Run(engine.Request{})
}

// onePlan is the only plan of a report.
func onePlan(t *testing.T, rep reconcile.Report) reconcile.HeldPlan {
	t.Helper()
	if len(rep.Plans) != 1 {
		t.Fatalf("%d plans: %v", len(rep.Plans), rep.Plans)
	}
	return rep.Plans[0]
}

func TestSuspensionsThatWereHeldStayHeldWhateverTheirNumberIsLater(t *testing.T) {
	r, subs := forty(t)
	held := onePlan(t, each(t, r, subs[:10], r.World.MarkUnpaid))
	few := onePlan(t, each(t, r, subs[3:10], r.World.Pay)) // three are left, and five may go in a run
	diff(t, "the plan, its version, and what is left of it", []any{held.ID, 1, 3}, []any{few.ID, few.Version, few.Size()})
	diff(t, "suspended", 0, down(r))
	more := each(t, r, subs[10:12], r.World.MarkUnpaid) // five with them: these two were never held
	diff(t, "suspended of the next two", 2, down(r))
	diff(t, "the plan then", []any{held.ID, 1, 3}, []any{onePlan(t, more).ID, onePlan(t, more).Version, onePlan(t, more).Size()})

	r.Open() // the operator raises the limit
	r.Engine = r.NewEngine(func(o *engine.Options) { o.Brakes.Suspend = planner.Limit{Count: 1000} })
	diff(t, "the plan under a higher limit", held.ID, onePlan(t, later(r)).ID)
	diff(t, "suspended under a higher limit", 2, down(r))
	r.World.Advance(2 * time.Minute)
	dry := onePlan(t, r.Run(engine.Request{Dry: true}))
	diff(t, "what a dry run shows", []any{held.ID, 1, 3}, []any{dry.ID, dry.Version, dry.Size()})
	r.Approve(more)
	later(r)
	diff(t, "suspended once it was approved", 5, down(r))
	diff(t, "plans then", 0, len(later(r).Plans))
}

func TestAPlanInWhichNothingIsWantedAnyMoreIsClosed(t *testing.T) {
	r, subs := forty(t)
	held := onePlan(t, each(t, r, subs[:10], r.World.MarkUnpaid))
	rep := each(t, r, subs[:10], r.World.Pay)
	diff(t, "plans", 0, len(rep.Plans))
	stored, err := r.Store.HeldPlan(t.Context(), held.ID)
	must(t, err)
	if stored.Closed.IsZero() || !stored.Approved.IsZero() {
		t.Errorf("the plan: %+v", stored)
	}
	again := onePlan(t, each(t, r, subs[:10], r.World.MarkUnpaid))
	if again.ID == held.ID {
		t.Error("the same suspensions, wanted anew, are in the plan of before")
	}
}

func TestOrdersThatWereHeldStayHeldWhateverTheirNumberIsLater(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Brakes.Create = planner.Limit{Count: 8} }})
	var subs []string
	for i := range 10 {
		subs = append(subs, signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%02d@example.com", i), Price: priceFor(t, r, plans(r)[0])}).Subscription)
	}
	held := onePlan(t, later(r))
	for _, s := range subs[5:] {
		must(t, r.World.Cancel(s))
	}
	few := onePlan(t, later(r))
	diff(t, "the plan, its version, and what is left", []any{held.ID, 1, 5 * 4}, []any{few.ID, few.Version, few.Size()}) // org, hosting, name, invitation
	diff(t, "hostings", 0, len(r.World.Hostings()))
	r.Approve(reconcile.Report{Plans: []reconcile.HeldPlan{few}})
	later(r)
	diff(t, "hostings once it was approved", 5, len(r.World.Hostings()))
}

func TestALargeOrderIsHeldAndNobodyElses(t *testing.T) {
	for name, large := range map[string]int64{"over the limit of the fleet": 30, "over what one customer orders": 11, "with which the fleet is over its limit": 6} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
				if large == 6 {
					o.Brakes.Create = planner.Limit{Count: 7}
				}
			}})
			order := func(email string, units int64) {
				t.Helper()
				signUp(t, r, simulator.SignUp{Email: email, Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0]), Quantity: units}}})
			}
			order("large@example.com", large)
			order("ada@example.com", 1)
			order("bob@example.com", 1)
			held := onePlan(t, later(r))
			diff(t, "hostings", 2, len(r.World.Hostings()))
			diff(t, "what is held", int(large)+3, held.Size())
			if !strings.Contains(held.Reason, fmt.Sprintf("%d × create_subscription for cus_", large)) {
				t.Errorf("reason: %s", held.Reason)
			}
			for i := range 7 {
				order(fmt.Sprintf("payer%d@example.com", i), 1)
				rep := onePlan(t, later(r))
				diff(t, "the plan and its version", []any{held.ID, 1}, []any{rep.ID, rep.Version})
			}
			diff(t, "hostings then", 9, len(r.World.Hostings()))
			order("another@example.com", 30)
			grown := later(r)
			diff(t, "the plan, its version and size", []any{held.ID, 2, int(large) + 33 + 3},
				[]any{onePlan(t, grown).ID, onePlan(t, grown).Version, onePlan(t, grown).Size()})
			r.Approve(grown)
			rep := later(r)
			diff(t, "hostings in the end", 9+int(large)+30, len(r.World.Hostings()))
			diff(t, "converged", true, rep.Converged())
		})
	}
}

// Ten at a time, a customer gets no more than 25 in a day, and the fleet has room for
// others.
func TestOrdersOfOneCustomerAreCountedOverADay(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "large@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0]), Quantity: 10}}})
	later(r)
	for _, units := range []int64{20, 30, 40} {
		must(t, r.World.SetQuantity(s.Subscription, "", units))
		later(r)
	}
	diff(t, "hostings of the one", 20, len(r.World.Hostings()))
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	rep := later(r)
	diff(t, "hostings", 21, len(r.World.Hostings()))
	if reason := onePlan(t, rep).Reason; !strings.Contains(reason, "more than the 10 that one customer plausibly orders") {
		t.Errorf("reason: %s", reason)
	}
}

// Many at once are many customers: all of them are held, as ever.
func TestManyOrdersAreHeldTogether(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	for i := range 13 {
		_, err := r.World.SignUp(simulator.SignUp{Email: fmt.Sprintf("c%02d@example.com", i), Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0]), Quantity: 2}}})
		must(t, err)
	}
	rep := onePlan(t, later(r))
	diff(t, "hostings", 0, len(r.World.Hostings()))
	if !strings.Contains(rep.Reason, "26 × create_subscription in one run, more than the limit of 25") {
		t.Errorf("reason: %s", rep.Reason)
	}
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	grown := onePlan(t, later(r))
	diff(t, "who comes then: plan and version", []any{rep.ID, 2}, []any{grown.ID, grown.Version})
	diff(t, "hostings then", 0, len(r.World.Hostings()))
}

// An approval covers the version that was shown: the owner is not invited at an address
// that was not approved.
func TestAnApprovedInvitationToAnotherAddressIsHeldAgain(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Brakes.Create = planner.Limit{} }})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	held := later(r)
	r.Approve(held)
	must(t, r.World.SetEmail(s.Customer, "eve@example.com"))
	rep := later(r)
	diff(t, "hostings", 1, len(r.World.Hostings()))
	diff(t, "invitations", 0, len(r.World.Invites()))
	again := onePlan(t, rep)
	if again.ID == onePlan(t, held).ID || again.Size() != 1 || !strings.Contains(again.Reason, "the approved version has changed since") {
		t.Errorf("held again: %+v", again)
	}
	diff(t, "invitations later", 0, len(r.World.Invites()))
	later(r)
	r.Approve(rep)
	later(r)
	if invites := r.World.Invites(); len(invites) != 1 || invites[0].Email != "eve@example.com" {
		t.Errorf("invitations: %+v", invites)
	}
}

// The same, of an order that has become one for another plan.
func TestAnApprovedOrderForAnotherPlanIsHeldAgain(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Brakes.Create = planner.Limit{} }})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	held := later(r)
	must(t, r.World.ChangePrice(s.Subscription, "", priceFor(t, r, plans(r)[1])))
	changed := onePlan(t, later(r))
	diff(t, "while it waits: plan, version, size", []any{onePlan(t, held).ID, 2, 4}, []any{changed.ID, changed.Version, changed.Size()})
	_, err := r.Store.Approve(t.Context(), changed.ID, 1, "operator", r.World.Now())
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("approving version 1: %v", err)
	}
	r.Approve(held)
	must(t, r.World.ChangePrice(s.Subscription, "", priceFor(t, r, plans(r)[2])))
	rep := later(r)
	diff(t, "hostings", 0, len(r.World.Hostings()))
	r.Approve(rep)
	later(r)
	diff(t, "plan", plans(r)[2], r.World.Hostings()[0].Plan)
}

// A process dies between the approval and the end of it; the rest is done
// without another word, and what could not be done in a day needs one.
func TestAnApprovalOutlivesTheProcessAndIsUsedUpOneByOne(t *testing.T) {
	r, subs := forty(t)
	r.Approve(each(t, r, subs[:10], r.World.MarkUnpaid))
	calls := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == changeHosting {
			if calls++; calls > 4 {
				return simulator.NotDone(http.StatusInternalServerError)
			}
		}
		return simulator.Fault{Honest: true}
	})
	r.World.Advance(2 * time.Minute)
	_, _ = r.Try(engine.Request{})
	diff(t, "suspended", 4, down(r))
	r.Open()
	r.World.Advance(25 * time.Hour)
	_, _ = r.Try(engine.Request{})
	diff(t, "suspended after a day", 4, down(r))
	r.World.SetFault(nil)
	rep := later(r)
	diff(t, "suspended without another word", 4, down(r))
	diff(t, "held again", 6, onePlan(t, rep).Size())
	r.Approve(rep)
	r.Open()
	later(r)
	diff(t, "suspended in the end", 10, down(r))
}

// during lets something happen before the nth request of a kind is served.
type during struct {
	next   http.RoundTripper
	mu     sync.Mutex // guards both below
	path   string
	happen func()
}

func (d *during) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	happen := d.happen
	if r.Method != http.MethodGet || d.path == "" || !strings.HasSuffix(r.URL.Path, d.path) {
		happen = nil
	} else {
		d.happen = nil
	}
	d.mu.Unlock()
	if happen != nil {
		happen()
	}
	return d.next.RoundTrip(r)
}

// What comes up while customers are applied, when no brake has seen it, waits for the
// next run's brake: here a customer that was to be suspended has paid, and for thirty.
func TestWhatComesUpLaterInARunWaitsForTheBrake(t *testing.T) {
	d := &during{}
	r := testenv.New(t, testenv.Options{Transport: func(next http.RoundTripper) http.RoundTripper { d.next = next; return d }})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	later(r)
	must(t, r.World.MarkUnpaid(s.Subscription))
	r.World.Advance(2 * time.Minute)
	r.World.SetFault(func(c simulator.Call) simulator.Fault { return simulator.Fault{Honest: true} })
	reads := 0
	var again func()
	again = func() {
		if reads++; reads < 3 { // by its event, for the plan, and right before the call
			d.mu.Lock()
			d.happen = again
			d.mu.Unlock()
			return
		}
		must(t, r.World.Pay(s.Subscription))
		must(t, r.World.SetQuantity(s.Subscription, "", 30))
	}
	d.mu.Lock()
	d.path, d.happen = "/subscriptions/"+s.Subscription, again
	d.mu.Unlock()
	r.Run(engine.Request{})
	if d.happen != nil {
		t.Fatalf("the premise was not read: %d readings", reads)
	}
	diff(t, "hostings and suspended in that run", []int{1, 0}, []int{len(r.World.Hostings()), down(r)})
	rep := later(r)
	diff(t, "hostings in the next", 1, len(r.World.Hostings()))
	diff(t, "held in the next", 29, onePlan(t, rep).Size())
}

// A hosting that is paid for could not be given: the one that goes may be all there is.
func TestWhatTakesAwayWaitsWhileACreateIsRefused(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	first := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	later(r)
	_, err := r.World.SignUp(simulator.SignUp{Customer: first.Customer, Price: price})
	must(t, err)
	must(t, r.World.MarkUnpaid(first.Subscription)) // it may be paid again, and its hosting serves nothing else
	r.Fail(simulator.Fault{Apply: simulator.Skip, Status: http.StatusBadRequest, Body: []byte(`{"code":"invalid"}`)}, func(c simulator.Call) bool {
		return c.Method == http.MethodPost && strings.HasSuffix(c.Route, "/subscriptions")
	})
	r.World.Advance(2 * time.Minute)
	rep, _ := r.Try(engine.Request{})
	states := kinds(rep)
	diff(t, "what was done", []string{"create_subscription failed", "suspend planned"}, states)
	diff(t, "suspended", 0, down(r))
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Hour)
	r.Converge(6)
	diff(t, "hostings and suspended once it is given", []int{2, 1}, []int{len(r.World.Hostings()), down(r)})
}
