package drills

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// twoInstallations: the database is copied to a second machine, and the program is at
// work on both. Both look, see nothing, and make a hosting for the next customer.
func twoInstallations(t *testing.T) {
	s := open(t, false)
	s.next() // the two who cancelled
	s.Close()
	copied, err := os.ReadFile(s.file)
	s.must(err)
	file := filepath.Join(filepath.Dir(s.file), "copy.db")
	s.must(os.WriteFile(file, copied, 0o600))
	s.Open()
	second := testenv.SecondInstallation(s.Env, "sqlite:"+file, s.change)
	once := false
	usual := s.change
	s.change = func(o *engine.Options) {
		usual(o)
		o.Failpoint = func(step, kind string) {
			if !once && step == "after-intent" && kind == reconcile.CreateOrg.String() {
				once = true
				second.Run(engine.Request{})
			}
		}
	}
	s.connect()
	order := s.signUp("newcomer")
	s.next()
	var twice []int
	for _, h := range s.World.Hostings() {
		if m := h.FriendlyName; m == "Basic ["+order+"/1]" {
			twice = append(twice, h.ID)
		}
	}
	if len(twice) != 2 {
		t.Fatalf("the mistake was not made: %v\n%s", twice, s.screen.String())
	}
	s.curtain()
	later := s.signUp("later")
	s.full()
	s.shows("another installation makes hostings for the subscriptions that are served here", "set INSTANCE", "two were made for one unit", "customers bind "+order)
	s.notifies("another installation makes hostings")
	s.next()
	second.World.Advance(2 * time.Minute)
	if rep := second.Run(engine.Request{Full: true}); rep.Converged() || rep.Waits == "" {
		t.Errorf("the second one reports %q, converged %v", rep.Waits, rep.Converged())
	}
	s.nobodyLost()
	s.nothingMade()

	// The second one is stopped, and the hostings that it made are deleted.
	second.Close()
	ours, err := s.Store.Customers(t.Context(), customersOf(s, order))
	s.must(err)
	for _, id := range twice {
		if int64(id) != ours[0].Bindings[0].Hosting {
			s.must(s.World.StaffDelete(id))
		}
	}
	s.day()
	s.nobodyLost()
	if rep := s.next(); !rep.Converged() || s.hosting(later).SuspendedBy != "" {
		t.Errorf("not converged\n%s", s.screen.String())
	}
	s.notifies("orders are created again")
}

func customersOf(s *stage, sub string) []string {
	ids, err := s.Store.CustomersOf(s.t.Context(), []string{sub})
	s.must(err)
	return ids
}

// firstDay: a host with customers who were made by hand starts the program, with
// MODE=enforce from the first minute.
func firstDay(t *testing.T) {
	s := &stage{t: t, file: filepath.Join(directory(t), "state.db")}
	s.Env = testenv.New(t, testenv.Options{Database: "sqlite:" + s.file, Transport: s.transport})
	s.stripeIs, s.panelIs = s.World, s.World
	s.change = func(*engine.Options) {}
	s.connect()
	for _, name := range []string{"bakery", "agency", "museum"} {
		org := s.World.StaffCreateOrg(name+" by hand", name+"@example.com")
		_, err := s.World.StaffCreateHosting(org, 3, name)
		s.must(err)
		s.subs = append(s.subs, s.signUp(name))
	}
	s.subs = append(s.subs, s.signUp("someone"))
	s.curtain()
	s.next()
	s.full()
	s.shows("the panel has 3 hostings in 3 orgs that no subscription is bound to", "NEW_CUSTOMERS_ONLY_AFTER", "customers bind "+s.subs[0], "customers bind "+s.subs[3]+" new")
	s.notifies("the panel has 3 hostings in 3 orgs")
	s.nobodyLost()
	s.nothingMade()

	// The operator names the day, and newcomers are served.
	day := s.World.Now()
	s.change = func(o *engine.Options) { o.Policy.NewAfter = day }
	s.connect()
	late := s.signUp("late")
	s.day()
	if n := len(s.World.Hostings()); n != 4 || s.hosting(late).Status != "active" {
		t.Errorf("%d hostings\n%s", n, s.screen.String())
	}
	s.shows("before NEW_CUSTOMERS_ONLY_AFTER")
}
