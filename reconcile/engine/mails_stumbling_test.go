package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// Each call of the database fails once in a run that has a warning to send. The failure is
// mentioned (that of a release in the log), and in the end each has the warning once.
func TestNoCallOfTheDatabaseThatFailsRepeatsOrLosesAMail(t *testing.T) {
	m := newMailing(t, nil)
	at := &stumble{}
	m.restart(t, stumbling{m.Store, at}.over(m.ports()))
	for n := 1; ; n++ {
		name := fmt.Sprintf("c%d", n)
		s := m.late(t, name)
		m.World.Advance(24 * time.Hour)
		at.arm(false)
		rep, err := m.Try(engine.Request{})
		call := at.disarm()
		text := fmt.Sprint(err, rep.Notes, rep.Holds, rep.Actions)
		if call != "" && call != "Release" && !strings.Contains(text, errStumble.Error()) {
			t.Fatalf("round %d: %s failed, and nothing mentions it: %s", n, call, text)
		}
		for range 3 { // also after an hour, when a mail is tried again
			m.after(21 * time.Minute)
		}
		got := m.server.subjects()
		if len(got) != 1 || got[0] != "warn_suspend to "+name+"@example.com" {
			t.Fatalf("round %d, %s failed: sent %q (%v, %q)", n, call, got, err, rep.Notes)
		}
		if call == "" {
			t.Logf("%d places", n-1)
			return
		}
		must(t, m.World.Pay(s.Subscription))
		m.after(time.Minute)
	}
}
