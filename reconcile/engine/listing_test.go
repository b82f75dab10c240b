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

// alter changes subscriptions into what Stripe itself would not make of them.
func alter(t *testing.T, r *testenv.Env, subs []string, do func(*simulator.Subscription)) {
	t.Helper()
	for _, id := range subs {
		must(t, r.World.Edit(id, do))
	}
}

func unknown(s *simulator.Subscription)  { s.Unknown = true }
func known(s *simulator.Subscription)    { s.Unknown = false }
func onAClock(s *simulator.Subscription) { s.TestClock = "clock_1" }

// listed is a mirror of so many subscriptions that are known for days, one of them
// with a hosting.
func listed(t *testing.T, n int) (*testenv.Env, string, []string) {
	t.Helper()
	r := testenv.New(t, testenv.Options{})
	r.World.Populate(n-1, simulator.Mix{Plain: true, Statuses: map[string]int{"incomplete_expired": 1}})
	hosted := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])}).Subscription
	r.Run(engine.Request{Full: true})
	r.World.Advance(48 * time.Hour)
	r.Run(engine.Request{Full: true})
	var others []string
	for _, s := range r.World.Subscriptions() {
		if s.ID != hosted {
			others = append(others, s.ID)
		}
	}
	diff(t, "hostings before", 1, len(r.World.Hostings()))
	return r, hosted, others
}

// TestMoreThanAFewKnownIDsMissingAtStripeMakeARunThatOnlyGives walks along both
// edges: two in a hundred of those known, and fifty.
//
// With each of these mistakes put in once, it went red: a limit of three in a
// hundred; one of 51; missing ids that are not read one by one; a verdict that
// does not outlive its run; --accept-listing without effect.
func TestMoreThanAFewKnownIDsMissingAtStripeMakeARunThatOnlyGives(t *testing.T) {
	for name, c := range map[string]struct {
		known, missing int
		refused        bool
	}{
		"two of a hundred":              {100, 2, false},
		"three of a hundred":            {100, 3, true},
		"fifty of three thousand":       {3000, 50, false},
		"fifty-one of three thousand":   {3000, 51, true},
		"one of ten, who would be 10 %": {10, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, hosted, others := listed(t, c.known)
			alter(t, r, others[:c.missing], unknown)
			r.World.Advance(time.Hour)
			rep := r.Run(engine.Request{Full: true})
			diff(t, "gates of the full run", c.refused, len(rep.Run.Gates) > 0)
			if c.refused && !strings.Contains(rep.Run.Gates[0], "are not there any more, though none ever vanishes at Stripe") {
				t.Errorf("the gate says %q", rep.Run.Gates[0])
			}
			must(t, r.World.Cancel(hosted))
			r.World.Advance(2 * time.Minute)
			rep = r.Run(engine.Request{})
			if !c.refused {
				diff(t, "who cancelled", []string{"suspend applied"}, kinds(rep))
				return
			}
			diff(t, "who cancelled waits", []string(nil), kinds(rep))
			diff(t, "why", true, slices.Contains(holdKinds(rep), string(reconcile.HoldEvidence)))
			for range 2 { // by now they are known as gone, which proves nothing
				r.World.Advance(24 * time.Hour)
				rep = r.Run(engine.Request{Full: true})
				diff(t, "who cancelled waits a day later", []string(nil), kinds(rep))
			}
			r.World.Advance(time.Minute)
			rep = r.Run(engine.Request{Full: true, Accept: true})
			diff(t, "gates of a listing that a person accepts", []string(nil), rep.Run.Gates)
			diff(t, "who cancelled", []string{"suspend applied"}, kinds(rep))
			r.World.Advance(time.Minute)
			diff(t, "afterwards", []string(nil), r.Run(engine.Request{Full: true}).Run.Gates)
		})
	}
}

// TestWhatStripeDoesNotKnowKeepsItsHosting: absence is no status, even if a person accepts
// the listing, and for however long.
func TestWhatStripeDoesNotKnowKeepsItsHosting(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	basic := priceFor(t, r, plans(r)[0])
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: basic})
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: basic}) // so that the account is known
	r.Run(engine.Request{})
	alter(t, r, []string{s.Subscription}, unknown)
	for range 4 {
		r.World.Advance(24 * time.Hour)
		rep := r.Run(engine.Request{Full: true, Accept: true})
		diff(t, "actions", []string(nil), kinds(rep))
		diff(t, "told", true, slices.Contains(holdKinds(rep), string(reconcile.HoldGone)))
	}
	name := r.World.Plans()[0].Name
	diff(t, "panel", []string{name + " active", name + " active"}, panel(r))
	alter(t, r, []string{s.Subscription}, known)
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{Full: true})
	diff(t, "nothing is held once it is back", []string(nil), holdKinds(rep))
}

// TestATestClockIsNoGap: what lives on a clock of Stripe's test mode is not listed
// and still there.
func TestATestClockIsNoGap(t *testing.T) {
	r, hosted, others := listed(t, 20)
	alter(t, r, append(others[:10:10], hosted), onAClock)
	r.World.Advance(time.Hour)
	rep := r.Run(engine.Request{Full: true})
	diff(t, "gates", []string(nil), rep.Run.Gates)
	diff(t, "actions", []string(nil), kinds(rep))
	diff(t, "panel", []string{r.World.Plans()[0].Name + " active"}, panel(r))
}
