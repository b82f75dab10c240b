package drills

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func manyCancelled(t *testing.T) {
	s := open(t, false)
	s.cancel(2, 3, 4, 5, 6, 7, 8, 9) // with the first two, ten of 24
	s.day()
	s.nobodyLost()
	s.shows("10 × suspend in one run, more than the limit of 5", "stripe-enhance approve")
	s.notifies("the brake holds 10 × suspend")
	s.Approve(s.next())
	s.next()
	if up := s.up(); up != people-10 {
		t.Errorf("%d hostings are up after the approval, want %d\n%s", up, people-10, s.screen.String())
	}
}

// mostCancelled is released by approving it. After that the brake measures by the new
// number of customers: one who leaves a week later needs no approval.
func mostCancelled(t *testing.T) {
	s := open(t, false)
	s.change = func(o *engine.Options) {
		// Wide open, because only the suspicion is to hold the changes.
		o.Brakes = planner.Brakes{Suspend: planner.Limit{Count: 1000}, Create: planner.Limit{Count: 1000}, ChangePlan: planner.Limit{Count: 1000}}
	}
	s.connect()
	for i := 2; i < 15; i++ {
		s.cancel(i)
	}
	s.must(s.World.ChangePrice(s.subs[20], "", "price_pro_monthly")) // an upgrade does not wait
	s.day()
	if done := s.effects("suspend"); len(done) > 0 {
		t.Errorf("suspended: %v\n%s", done, s.screen.String())
	}
	if done := s.effects("change_plan"); len(done) != 1 {
		t.Errorf("the upgrade: %v\n%s", done, s.screen.String())
	}
	s.shows("15 of 24 hostings that are up would be taken away at once", "more likely a mistake than a fact",
		"only 9 of the 24 subscriptions that were entitled", "stripe-enhance approve")
	s.notifies("more likely a mistake than a fact")
	s.Approve(s.next())
	s.next()
	if up := s.up(); up != people-15 {
		t.Errorf("%d hostings are up after the approval, want %d\n%s", up, people-15, s.screen.String())
	}
	s.screen.Reset()
	s.full()
	s.cancel(20)
	if rep := s.next(); len(rep.Run.Gates) > 0 || s.up() != people-16 {
		t.Errorf("one more who leaves: gates %v, %d up\n%s", rep.Run.Gates, s.up(), s.screen.String())
	}
}

// overdue is a customer whose invoice has been open for an hour, so that three days of
// grace are left.
func (s *stage) overdue(i int) {
	s.t.Helper()
	s.must(s.World.FailPayment(s.subs[i]))
	s.World.Advance(time.Hour)
	s.next()
	s.curtain()
}

func clockOffByYears(t *testing.T) {
	const years = 10 * 365 * 24 * time.Hour
	for name, skew := range map[string]time.Duration{"ahead": years, "behind": -years} {
		t.Run(name, func(t *testing.T) {
			s := open(t, false)
			s.next() // the two who cancelled
			s.overdue(5)
			s.signUp("newcomer")
			s.skew = skew
			s.connect()
			s.next()
			s.day()
			s.nobodyLost()
			s.nothingMade()
			s.shows("this machine's clock is 87600h0m0s "+name, "Set it right (NTP)")
			s.notifies("nothing at all is done")
			s.skew = 0
			s.connect()
			s.next()
			if done := s.effects("create_subscription"); len(done) != 1 {
				t.Errorf("with the clock put right the newcomer got %v\n%s", done, s.screen.String())
			}
			s.nobodyLost()
			s.World.Advance(72 * time.Hour)
			s.next()
			if up := s.up(); up != people-2 { // one of them for good, because its bill was not paid
				t.Errorf("%d hostings are up after the grace period, want %d\n%s", up, people-2, s.screen.String())
			}
			if runs, err := s.Store.Runs(t.Context(), 1); err != nil || runs[0].Started.After(s.World.Now()) {
				t.Errorf("the newest run is of %v (%v)", runs, err)
			}
		})
	}
}

func clockOffByHours(t *testing.T) {
	s := open(t, false)
	s.signUp("newcomer")
	s.skew = 5 * time.Hour
	s.connect()
	s.next()
	s.day()
	s.nobodyLost()
	if done := s.effects("create_subscription"); len(done) != 1 {
		t.Errorf("the newcomer got %v\n%s", done, s.screen.String())
	}
	s.shows("nothing is taken away in this run", "this machine's clock is 5h0m0s ahead of Stripe's: set it right (NTP)")
	s.notifies("nothing is taken away at present")
	s.skew = 0
	s.connect()
	s.World.Advance(6 * time.Hour)
	s.next()
	s.next()
	if up := s.up(); up != people-2+1 {
		t.Errorf("%d hostings are up with the clock put right, want %d\n%s", up, people-2+1, s.screen.String())
	}
}

// databaseRestored loses a day in which customers came: a new one whose org has
// its own name by then, and one who bought a second hosting.
func databaseRestored(t *testing.T) {
	s := open(t, false)
	s.next() // the two who cancelled
	s.Close()
	yesterday, err := os.ReadFile(s.file)
	s.must(err)
	s.Open()
	s.connect()
	s.signUp("newcomer")
	second, err := s.World.SignUp(simulator.SignUp{Email: "customer07@example.com", Price: "price_pro_monthly"})
	s.must(err)
	s.next()
	if up := s.up(); up != people-2+2 {
		t.Fatalf("%d hostings are up before the restore\n%s", up, s.screen.String())
	}
	s.World.Advance(20 * time.Hour)
	s.next()
	s.Close()
	s.must(os.WriteFile(s.file, yesterday, 0o600))
	_ = os.Remove(s.file + "-wal")
	_ = os.Remove(s.file + "-shm")
	s.Open()
	s.connect()
	s.cancel(9)
	s.curtain()
	s.next()
	s.nobodyLost()
	s.nothingMade()
	s.shows("this database is older than the panel", "nothing is taken away in this run")
	s.notifies("older than the panel")
	s.next()
	s.day()
	s.nothingMade()
	if done := s.effects("suspend"); len(done) != 1 {
		t.Errorf("one has cancelled, and suspended were %v\n%s", done, s.screen.String())
	}
	if found, err := s.Store.CustomersOf(t.Context(), []string{second.Subscription}); err != nil || len(found) != 1 {
		t.Errorf("who has the second hosting: %v %v", found, err)
	}
	if rep := s.next(); !rep.Converged() {
		t.Errorf("not converged\n%s", s.screen.String())
	}
}

func databaseFellBack(t *testing.T) {
	s := open(t, false)
	s.next() // the two who cancelled
	s.Close()
	before, err := os.ReadFile(s.file)
	s.must(err)
	s.Open()
	s.connect()
	payer := s.subs[5]
	s.must(s.World.MarkUnpaid(payer))
	s.next()
	if s.hosting(payer).SuspendedBy == "" {
		t.Fatalf("not suspended\n%s", s.screen.String())
	}
	s.Close()
	s.must(os.WriteFile(s.file, before, 0o600))
	_ = os.Remove(s.file + "-wal")
	_ = os.Remove(s.file + "-shm")
	s.Open()
	s.connect()
	s.must(s.World.Pay(payer))
	s.curtain()
	rep := s.next()
	s.nobodyLost()
	s.nothingMade()
	s.shows("this database has no record of that", "nothing is taken away in this run", "perhaps_ours", "is suspended with our mark in its name", "stripe-enhance approve")
	s.notifies("put back to an old copy")
	s.Approve(rep)
	if rep := s.next(); !rep.Converged() || s.hosting(payer).SuspendedBy != "" {
		t.Errorf("who has paid is down after the approval\n%s", s.screen.String())
	}
}

func databaseLost(t *testing.T) {
	t.Run("and nothing else", func(t *testing.T) {
		s := lost(t)
		s.next()
		s.nobodyLost()
		s.nothingMade()
		s.shows("this database knew nothing of the panel: 24 orgs and 24 hostings were looked at", "nothing is taken away in this run")
		s.notifies("this database knew nothing of the panel")
		s.mended()
		s.nothingMade()
	})
	// There is no mirror to hold the first listing against, but there is the panel.
	t.Run("and Stripe lists half", func(t *testing.T) {
		s := lost(t)
		s.listsAs(simulator.HalfList())
		s.next()
		s.World.SetFault(nil)
		s.next()
		s.nobodyLost()
		s.nothingMade()
		s.shows("that Stripe did not list and has when they are read one by one: the listing is not complete", "This stands since")
		s.mended()
		s.nothingMade()
	})
}

// lost is the company after its database was lost, with the mappings put back.
func lost(t *testing.T) *stage {
	t.Helper()
	s := open(t, false)
	s.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(s.file + suffix)
	}
	s.Open()
	for price, plan := range s.Plans {
		s.Map(price, plan)
	}
	s.connect()
	return s
}

// stripeDown lets a customer's grace run out while Stripe cannot be read. A customer who
// has paid by then is never affected by the outage.
func stripeDown(t *testing.T) {
	s := open(t, false)
	s.next() // the two who cancelled
	s.must(s.World.FailPayment(s.subs[5]))
	s.must(s.World.FailPayment(s.subs[6]))
	s.next()
	s.curtain()
	s.down(simulator.Stripe, nil)
	for range 13 {
		s.World.Advance(6 * time.Hour)
		s.next()
	}
	s.nobodyLost()
	s.nothingMade()
	s.shows("The run failed: listing events")
	s.notifies("runs failed")
	s.must(s.World.Pay(s.subs[5]))
	s.must(s.World.Pay(s.subs[6]))
	s.World.SetFault(nil)
	s.screen.Reset()
	s.next()
	s.day()
	s.nobodyLost()
	if strings.Contains(s.screen.String(), "past_due") {
		t.Errorf("a customer is still past due\n%s", s.screen.String())
	}
}
