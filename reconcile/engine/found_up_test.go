package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/rig"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestWhatIsFoundUpLongAfterItsEndStaysUp: a customer came back, took the old hosting
// over and has another e-mail now, and the database is lost: nothing tells any more
// whom the hosting serves. With what has ended suspended all the same put in once,
// this went red.
func TestWhatIsFoundUpLongAfterItsEndStaysUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	r := rig.New(t, rig.Options{Database: "sqlite:" + file})
	price := priceFor(t, r, plans(r)[0])
	old := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	must(t, r.World.Cancel(old.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	back := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
	r.Run(engine.Request{})
	must(t, r.World.SetEmail(back.Customer, "ada@example.org"))
	r.World.Advance(2 * aDay)
	r.Run(engine.Request{Full: true})
	site := r.World.Hostings()[0]
	diff(t, "the site before", "", site.SuspendedBy)
	r.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(file + suffix)
	}
	r.Open()
	r.Map(price, plans(r)[0])
	for range 4 {
		r.World.Advance(time.Hour)
		r.Run(engine.Request{})
	}
	diff(t, "the site afterwards", "", r.World.Hostings()[0].SuspendedBy)
}
