package drills

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// people is how many customers are up when a drill begins.
const people = 24

// stage is a hosting company at work: its customers are up, and the program runs
// every two minutes.
type stage struct {
	*testenv.Env
	t    *testing.T
	file string // the database

	stripeIs, panelIs *simulator.World // who answers at either address
	skew              time.Duration    // of the clock of our machine
	change            func(*engine.Options)

	subs   []string // of the customers, oldest first
	screen strings.Builder
	watch  notify.Watch
	news   strings.Builder
	began  int // effects before the mistake
}

// open sets the stage. Two customers have cancelled a moment ago and no run has seen it
// yet: a drill must not suspend a customer, and so there have to be some that it could
// suspend.
func open(t *testing.T, live bool) *stage {
	t.Helper()
	s := &stage{t: t, file: filepath.Join(directory(t), "state.db")}
	s.Env = testenv.New(t, testenv.Options{World: simulator.Options{Livemode: live}, Database: "sqlite:" + s.file, Transport: s.transport})
	s.stripeIs, s.panelIs = s.World, s.World
	s.change = func(o *engine.Options) { o.Brakes.Create = planner.Limit{Count: 1000} }
	s.connect()
	for i := range people {
		s.subs = append(s.subs, s.signUp(fmt.Sprintf("customer%02d", i)))
	}
	s.run(engine.Request{})
	s.run(engine.Request{Full: true})
	if up := s.up(); up != people {
		t.Fatalf("%d hostings are up before the drill:\n%s", up, s.screen.String())
	}
	s.cancel(0, 1)
	s.curtain()
	return s
}

// curtain marks the moment of the mistake. It clears the screen, because a drill checks
// only the output from then on.
func (s *stage) curtain() {
	s.screen.Reset()
	s.began = len(s.World.Effects())
}

func directory(t *testing.T) string {
	parent := "/dev/shm" // fast, because it is in memory
	if dir := os.Getenv("TMPDIR"); dir != "" {
		parent = dir
	}
	dir, err := os.MkdirTemp(parent, "stripe-enhance-drill-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// transport sends requests to the server that answers at the address now.
func (s *stage) transport(base http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		to := s.stripeIs
		if strings.HasPrefix(r.URL.Path, "/api") {
			to = s.panelIs
		}
		if to == nil {
			return base.RoundTrip(r)
		}
		return to.Transport().RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// settings are those that a drill may get wrong. Empty: as before.
type settings struct {
	key, stripeURL, panelURL, org string
}

// connect starts the program with the right settings.
func (s *stage) connect() { s.restart(settings{}) }

// restart is a new process on the same database, with other settings.
func (s *stage) restart(with settings) {
	s.t.Helper()
	now := func() time.Time { return s.World.Now().Add(s.skew) }
	or := func(set, usual string) string {
		if set != "" {
			return set
		}
		return usual
	}
	limit := func() *ratelimit.Limiter { return ratelimit.New(ratelimit.Options{RPS: 1e6, Min: 1e6, Concurrency: 4}) }
	var err error
	s.Env.Stripe, err = stripe.New(stripe.Options{Key: secret.New(or(with.key, s.World.StripeKey())), BaseURL: or(with.stripeURL, "http://"+simulator.StripeHost),
		Transport: s.transport(nil), Now: now, RetryMin: time.Microsecond, RetryMax: time.Microsecond, Limiter: limit()})
	s.must(err)
	s.Env.Panel, err = enhance.New(enhance.Options{BaseURL: or(with.panelURL, "http://"+simulator.EnhanceHost), Token: secret.New(s.World.EnhanceToken()),
		Org: or(with.org, s.World.OrgID()), Transport: s.transport(nil), Now: now, ReadBackoff: time.Microsecond, Limiter: limit()})
	s.must(err)
	s.Engine = s.NewEngine(func(o *engine.Options) {
		s.change(o)
		o.Now = now
	})
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) signUp(name string) string {
	s.t.Helper()
	done, err := s.World.SignUp(simulator.SignUp{Email: name + "@example.com", Name: name, Price: "price_basic_monthly"})
	s.must(err)
	return done.Subscription
}

func (s *stage) cancel(who ...int) {
	s.t.Helper()
	for _, i := range who {
		s.must(s.World.Cancel(s.subs[i]))
	}
}

// run is one run, two minutes after the last one. Its output goes to the screen, and
// its notifications to the news.
func (s *stage) run(req engine.Request) reconcile.Report {
	s.t.Helper()
	s.World.Advance(2 * time.Minute)
	req.Trigger = "cron"
	rep, err := s.Engine.Run(context.Background(), req)
	if rep.Run.ID == "" {
		s.t.Fatalf("no run: %v", err)
	}
	s.must(report.Text(&s.screen, rep, report.View{}))
	if text := s.watch.Look(rep, err); text != "" {
		s.news.WriteString(text + "\n")
	}
	return rep
}

// full and next are the two runs of every day.
func (s *stage) full() reconcile.Report { s.t.Helper(); return s.run(engine.Request{Full: true}) }
func (s *stage) next() reconcile.Report { s.t.Helper(); return s.run(engine.Request{}) }

// days is both runs, and another one if hours have passed.
func (s *stage) day() {
	s.t.Helper()
	s.full()
	s.next()
	s.World.Advance(5 * time.Hour)
	s.next()
}

// up counts the hostings that serve.
func (s *stage) up() (n int) {
	for _, h := range s.World.Hostings() {
		if h.Status == "active" && h.SuspendedBy == "" {
			n++
		}
	}
	return n
}

// hosting is the one of a subscription, by the marker in its name.
func (s *stage) hosting(sub string) simulator.Hosting {
	s.t.Helper()
	for _, h := range s.World.Hostings() {
		if m, ok := reconcile.MarkerOf(h.FriendlyName); ok && strings.Contains(m.String(), sub) {
			return h
		}
	}
	s.t.Fatalf("%s has no hosting", sub)
	return simulator.Hosting{}
}

// effects of our own since the mistake, by kind, at the right panel and at a wrong
// one.
func (s *stage) effects(kinds ...string) (done []string) {
	worlds := []*simulator.World{s.World}
	for _, w := range []*simulator.World{s.stripeIs, s.panelIs} {
		if w != nil && w != s.World {
			worlds = append(worlds, w)
		}
	}
	for i, w := range worlds {
		all := w.Effects()
		if i == 0 {
			all = all[s.began:]
		}
		for _, e := range all {
			for _, k := range kinds {
				if e.Kind == k && !e.Staff {
					done = append(done, fmt.Sprintf("%s of hosting %d (%s)", e.Kind, e.Hosting, e.Subscription))
				}
			}
		}
	}
	return done
}

var (
	taking = []string{"suspend", "suspend_org", "delete_subscription", "delete_org", "change_plan"}
	making = []string{"create_org", "create_subscription", "create_website", "invite_owner", "create_login"}
)

// nobodyLost checks the promise of every drill: nothing was taken from a customer.
func (s *stage) nobodyLost() {
	s.t.Helper()
	if done := s.effects(taking...); len(done) > 0 {
		s.t.Errorf("taken away by mistake: %v\n%s", done, s.screen.String())
	}
}

func (s *stage) nothingMade() {
	s.t.Helper()
	if done := s.effects(making...); len(done) > 0 {
		s.t.Errorf("made by mistake: %v\n%s", done, s.screen.String())
	}
}

// shows checks the text on the screen.
func (s *stage) shows(texts ...string) {
	s.t.Helper()
	screen := strings.Join(strings.Fields(s.screen.String()), " ")
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			s.t.Errorf("not on the screen: %q\n%s", text, s.screen.String())
		}
	}
}

// notifies checks the notifications to people who were not looking at the screen.
func (s *stage) notifies(text string) {
	s.t.Helper()
	if !strings.Contains(s.news.String(), text) {
		s.t.Errorf("no notification has %q, only:\n%s", text, s.news.String())
	}
}

// mended is the end of a drill: the mistake is put right, and only the two customers who
// really cancelled are suspended.
func (s *stage) mended() {
	s.t.Helper()
	s.screen.Reset()
	s.full()
	s.next()
	s.World.Advance(2 * time.Hour)
	s.next()
	if up := s.up(); up != people-2 {
		s.t.Errorf("%d hostings are up after the mistake was put right, want %d\n%s", up, people-2, s.screen.String())
	}
}
