package engine_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The panel refuses installs with answers that quote the password, loses one, and does the
// last. Then all output and all that was stored is searched for each of the passwords.
func TestThePasswordOfAnApplicationIsNowhere(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		database := "sqlite:" + filepath.Join(dir, "state.db")
		if url != "" {
			database = pgtest.Empty(t)
		}
		said, log := &logtest.Buffer{}, logrus.New()
		log.SetLevel(logrus.TraceLevel)
		log.SetOutput(said)
		r := testenv.New(t, testenv.Options{Database: database, Log: log})
		withWordPress(t, r, reconcile.AppWordPress)
		signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly", Domain: "ada.example.com"})
		var passwords []string
		r.World.SetFault(func(c simulator.Call) simulator.Fault {
			if c.Route != postApp {
				return simulator.Fault{Honest: true}
			}
			var sent struct{ AdminPassword string }
			if err := json.Unmarshal(c.Body, &sent); err != nil || len(sent.AdminPassword) < 40 {
				t.Errorf("the password is %q: %v", sent.AdminPassword, err)
			}
			passwords = append(passwords, sent.AdminPassword)
			quote := fmt.Appendf(nil, `{"code":%[1]q,"detail":%[1]q,"message":%[1]q}`, sent.AdminPassword)
			switch len(passwords) {
			case 1:
				return simulator.Fault{Apply: simulator.Skip, Status: 400, Body: quote}
			case 2:
				return simulator.Fault{Apply: simulator.Skip, Status: 500, Body: quote}
			case 3:
				return simulator.Fault{Apply: simulator.Skip, Status: 201, Body: quote}
			}
			return simulator.Fault{Honest: true}
		})
		for range 10 {
			rep, err := r.Try(engine.Request{})
			fmt.Fprintf(said, "%v %+v %#v\n", err, err, rep)
			tell(t, said, rep)
			r.World.Advance(61 * time.Minute)
		}
		if len(passwords) != 4 || appOn(r) != "wordpress" {
			t.Fatalf("%d installs were sent, and on the website is %q", len(passwords), appOn(r))
		}
		all := said.String() + stored(t, r, dir, url, database)
		for i, p := range passwords {
			if strings.Contains(all, p) || strings.Contains(all, p[:12]) {
				t.Errorf("password %d is in the log, a report or the database", i)
			}
		}
		clean(t, "what was searched", all, "install_app", "ada.example.com")
	})
}
