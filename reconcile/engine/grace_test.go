package engine_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func graceOfThree(o *engine.Options) { o.Policy.Grace = 3 * aDay }

func TestAnInvoiceFromBeforeTheSpellBeginsNoGracePeriod(t *testing.T) {
	r, sub := customer(t, graceOfThree)
	must(t, r.World.BillExtra(sub, 0))
	r.World.Advance(20 * aDay)
	r.Run(engine.Request{})
	must(t, r.World.FailPayment(sub))
	r.World.Advance(time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "a minute late", []string{"grace"}, holdKinds(rep))
	r.World.Advance(3*aDay - 2*time.Minute)
	diff(t, "a minute before the end", []string(nil), kinds(r.Run(engine.Request{Full: true})))
	r.World.Advance(2 * time.Minute)
	diff(t, "a minute after", []string{"suspend applied"}, kinds(r.Run(engine.Request{Full: true})))
}

func TestADirectDebitThatTookDaysToFailBeginsGraceWhenItFails(t *testing.T) {
	r, sub := customer(t, graceOfThree)
	r.World.Advance(aDay)
	must(t, r.World.BillExtra(sub, 0))
	r.World.Advance(5 * aDay)
	r.Run(engine.Request{}) // nothing has changed: nothing is read
	declined(t, r)
	must(t, r.World.SetStatus(sub, "past_due"))
	r.World.Advance(time.Minute)
	diff(t, "it failed a minute ago", []string{"grace"}, holdKinds(r.Run(engine.Request{})))
	r.World.Advance(3 * aDay)
	diff(t, "three days later", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
}

// declined lets every charge fail from now on.
func declined(t *testing.T, r *testenv.Env) {
	t.Helper()
	for _, c := range r.World.Customers() {
		must(t, r.World.SetCard(c.ID, false))
	}
}

func TestOnlyAPaymentEndsASuspension(t *testing.T) {
	r := testenv.New(t, testenv.Options{World: simulator.Options{AfterRetries: "past_due"}})
	sub := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])}).Subscription
	r.Run(engine.Request{})
	r.World.Advance(time.Minute)
	must(t, r.World.FailPayment(sub))
	r.World.Advance(aDay)
	r.Run(engine.Request{})
	r.World.Advance(3 * aDay)
	diff(t, "after the grace period", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
	r.World.Advance(27 * aDay)
	must(t, r.World.BillExtra(sub, 0))
	must(t, r.World.WriteOff(sub, "uncollectible"))
	r.World.Advance(time.Minute)
	diff(t, "a newer invoice, and the older one written off", []string(nil), kinds(r.Run(engine.Request{})))
	must(t, r.World.BillExtra(sub, 0))
	must(t, r.World.WriteOff(sub, "void"))
	diff(t, "and again, in a full run", []string(nil), kinds(r.Run(engine.Request{Full: true})))
	diff(t, "still down", 1, down(r))
	must(t, r.World.Pay(sub))
	r.World.Advance(time.Minute)
	diff(t, "paid", []string{"resume applied"}, kinds(r.Run(engine.Request{})))
}

func TestAPaymentCountsThoughNobodyLookedUntilTheNextOneFailed(t *testing.T) {
	r, sub := customer(t, graceOfThree)
	r.World.Advance(time.Minute)
	must(t, r.World.FailPayment(sub))
	r.World.Advance(4 * aDay)
	diff(t, "after the grace period", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
	r.World.Advance(aDay)
	must(t, r.World.Pay(sub))
	r.World.Advance(time.Hour)
	must(t, r.World.FailPayment(sub))
	r.World.Advance(time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "paid an hour before it failed again", []string{"resume applied"}, kinds(rep))
	diff(t, "and the new grace period runs", []string{"grace"}, holdKinds(rep))
}

func TestLosingTheDatabaseSuspendsNobodyAtOnce(t *testing.T) {
	r, file := onFile(t)
	sub := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])}).Subscription
	r.Run(engine.Request{})
	must(t, r.World.BillExtra(sub, 90*aDay))
	r.World.Advance(aDay)
	must(t, r.World.FailPayment(sub))
	r.World.Advance(time.Minute)
	loseDatabase(r, file)
	for range 3 {
		for _, a := range r.Run(engine.Request{Full: true}).Actions {
			if a.Kind == reconcile.Suspend {
				t.Errorf("%s: %s", a.ID, a.Reason)
			}
		}
		r.World.Advance(time.Hour)
	}
}
