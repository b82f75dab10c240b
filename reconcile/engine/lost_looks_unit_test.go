package engine

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Two looks at the same moment are one, and a look that comes too soon must not put off the
// next: if events about a customer come all the time, there would never be the hosting whose
// creation was not done.
func TestALostCreationIsSentAgainHoweverOftenItIsLookedFor(t *testing.T) {
	const gap = 30 * time.Second // a third of the settling time
	for name, test := range map[string]struct {
		looks []time.Duration // since the settling time
		again int             // the look after which it is sent again; 0: after none of them
	}{
		"one look":                           {[]time.Duration{0}, 0},
		"two that are one":                   {[]time.Duration{0, gap - 1}, 0},
		"two that are apart":                 {[]time.Duration{0, gap}, 2},
		"one every ten seconds":              {[]time.Duration{0, 10 * time.Second, 20 * time.Second, gap}, 4},
		"the first by a clock that was fast": {[]time.Duration{time.Hour, 0, gap - 1, gap}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			r := s.run()
			sent := s.now
			p := reconcile.Pending{ActionID: "create_org:cus_1", Kind: reconcile.CreateOrg, SentAt: sent, SettleUntil: sent.Add(r.Settle)}
			again := 0
			for i, at := range test.looks {
				s.now = p.SettleUntil.Add(at)
				s.customers = []reconcile.Customer{{ID: "cus_1"}}
				passes(t, r.findLostWrite(t.Context(), &s.customers[0], p))
				out := s.outcomes[i]
				if p.Looks, p.LookedAt = out.Looks, out.LookedAt; out.State == reconcile.ActionFailed {
					again = i + 1
					break
				}
			}
			if again != test.again {
				t.Errorf("sent again after look %d, want %d: %+v", again, test.again, s.outcomes)
			}
		})
	}
}
