package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// shaky is a company whose database can be made to stumble. One customer has ended long
// ago, and the brake holds the deletion of his hosting for as long as the test lasts.
type shaky struct {
	*testenv.Env
	t      *testing.T
	at     *stumble
	log    *logtest.Buffer
	ended  simulator.SignedUp
	paid   []simulator.SignedUp // two who have a hosting
	n      int                  // orders so far
	paying int                  // changes of the two so far
	level  logrus.Level         // of the log that counts as a mention
	always bool                 // every round has a change, and not only those that begin with a panel that is right
	seen   int                  // effects at the panel that were judged
}

func newShaky(t *testing.T, at *stumble, keep bool) *shaky {
	t.Helper()
	s := &shaky{t: t, at: at, log: &logtest.Buffer{}, level: logrus.WarnLevel}
	var options engine.Options
	s.Env = testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		o.Concurrency, o.KeepLease = 1, keep
		o.Policy.Retention, o.Policy.WriteMetadata = 24*time.Hour, true
		many := planner.Limit{Count: 10_000}
		o.Brakes = planner.Brakes{Suspend: many, ChangePlan: many, Create: many}
		o.Log = logrus.New()
		o.Log.SetOutput(s.log)
		o.Log.SetLevel(logrus.DebugLevel)
		options = *o
	}})
	e, err := engine.New(options, stumbling{s.Store, s.at}.over(s.Ports()))
	must(t, err)
	s.Engine = e
	s.renew()
	s.ended = s.order("")
	for range 2 {
		s.paid = append(s.paid, s.order(""))
	}
	s.Run(engine.Request{})
	must(t, s.World.Cancel(s.ended.Subscription))
	s.World.Advance(2 * time.Minute)
	s.renew()
	s.Run(engine.Request{})
	s.World.Advance(30 * time.Hour)
	s.renew()
	s.Run(engine.Request{Full: true})
	return s
}

// renew takes the lease of a service again: much time has passed for it.
func (s *shaky) renew() {
	s.t.Helper()
	if s.Engine.KeepLease {
		must(s.t, s.Engine.Renew(s.t.Context()))
	}
}

// order is a new customer.
func (s *shaky) order(domain string) simulator.SignedUp {
	s.t.Helper()
	s.n++
	made, err := s.World.SignUp(simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", s.n), Price: "price_basic_monthly", Domain: domain})
	must(s.t, err)
	return made
}

// change makes something to create, to suspend, to resume and to change: each of the two
// has another state or plan than the round before.
func (s *shaky) change() {
	s.t.Helper()
	s.order(fmt.Sprintf("c%d.example.com", s.n+1))
	s.pay()
}

// pay is change without an order.
func (s *shaky) pay() {
	s.t.Helper()
	s.paying++
	price := []string{"price_basic_monthly", "price_pro_monthly"}
	first, second := s.paid[0], s.paid[1]
	must(s.t, s.World.ChangePrice(first.Subscription, "", price[s.paying%2]))
	if s.paying%2 == 1 {
		must(s.t, s.World.MarkUnpaid(second.Subscription))
	} else {
		must(s.t, s.World.Pay(second.Subscription))
	}
}

// wrong is the first difference between the panel and the subscriptions; "": there is none.
func (s *shaky) wrong() string {
	up := live(s.Env)
	plan := map[string]int{}
	for _, h := range s.World.Hostings() {
		if m, ok := reconcile.MarkerOf(h.FriendlyName); ok {
			plan[m.String()] = h.Plan
		}
	}
	for _, sub := range s.World.Subscriptions() {
		marker := fmt.Sprintf("[%s/1]", sub.ID)
		want := 0
		if sub.Status == "active" {
			want = 1
		}
		if up[marker] != want {
			return fmt.Sprintf("%s is %s, and has %d hostings up", sub.ID, sub.Status, up[marker])
		}
		if want == 1 && plan[marker] != s.Plans[sub.Items[0].Price] {
			return fmt.Sprintf("%s is on plan %d", sub.ID, plan[marker])
		}
	}
	if n := len(s.World.Websites()); n != s.n-3 {
		return fmt.Sprintf("%d websites, want %d", n, s.n-3)
	}
	return ""
}

// heal does runs with a sound database until all is right.
func (s *shaky) heal(name string) {
	s.t.Helper()
	var rep reconcile.Report
	var err error
	for range 6 {
		s.World.Advance(2 * time.Minute)
		s.renew()
		rep, err = s.Try(engine.Request{})
		if err == nil && s.wrong() == "" {
			break
		}
	}
	if err != nil || s.wrong() != "" {
		s.t.Errorf("%s: after six sound runs %s (%v, %v, %q)", name, s.wrong(), err, kinds(rep), rep.Notes)
	}
	diff(s.t, name+": orgs and hostings", []int{s.n, s.n}, []int{len(s.World.Orgs()), len(s.World.Hostings())})
	effects := s.World.Effects()
	for _, e := range effects[s.seen:] {
		if e.Kind == "delete_subscription" || e.Kind == "suspend" && e.StripeStatus == "active" {
			s.t.Errorf("%s: %s of hosting %d, whose subscription is %s", name, e.Kind, e.Hosting, e.StripeStatus)
		}
	}
	s.seen = len(effects)
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// mentions reports whether a stumble is in a report, in an error, or in the log.
func (s *shaky) mentions(rep reconcile.Report, err error, before int) bool {
	text := fmt.Append(nil, err, rep.Notes, rep.Holds, rep.Actions)
	for line := range strings.SplitSeq(s.log.String()[before:], "\n") {
		for level := logrus.PanicLevel; level <= s.level; level++ {
			if strings.Contains(line, "level="+level.String()) {
				text = append(text, line...)
			}
		}
	}
	return strings.Contains(string(text), errStumble.Error())
}

// untilSound changes something and tries to follow it, with another call failing each time,
// until each has failed in both kinds of rounds. A failing call has to be mentioned, and after some of them a sound database is enough to bring everything to the
// right end.
func (s *shaky) untilSound(lost bool, change func(), try func() (reconcile.Report, error)) {
	s.t.Helper()
	const together = 5 // failures between two looks at the panel
	sound := 0         // rounds of a change without a failure
	for n := 1; ; n++ {
		fresh := s.always || s.wrong() == ""
		if fresh {
			change()
		}
		s.World.Advance(2 * time.Minute)
		s.renew()
		before := len(s.log.String())
		s.at.arm(lost)
		rep, err := try()
		call := s.at.disarm()
		step := fmt.Sprintf("round %d, %s", n, call)
		if call != "" && !s.mentions(rep, err, before) {
			s.t.Fatalf("%s failed, and nothing mentions it: %v, %q", step, kinds(rep), rep.Notes)
		}
		if call == "" || n%together == 0 {
			s.heal(step)
		}
		if call != "" {
			sound = 0
		} else if fresh {
			sound++
		}
		if sound == 2 {
			s.t.Logf("%d places", len(s.at.been))
			return
		}
	}
}

func (s *shaky) try(req engine.Request) func() (reconcile.Report, error) {
	return func() (reconcile.Report, error) { return s.Try(req) }
}

func TestNoCallOfTheDatabaseFailsUnnoticed(t *testing.T) {
	at := &stumble{}
	t.Run("while all goes well", func(t *testing.T) {
		s := newShaky(t, at, false)
		s.untilSound(false, s.change, s.try(engine.Request{}))
	})
	t.Run("while the panel does all and answers no write", func(t *testing.T) {
		s := newShaky(t, at, false)
		s.untilSound(false, s.change, func() (reconcile.Report, error) {
			s.Fail(simulator.Lost(true), func(c simulator.Call) bool { return c.Side == simulator.Enhance && c.Write() })
			defer s.World.SetFault(nil)
			return s.Try(engine.Request{})
		})
	})
}

func TestNoLostAnswerOfTheDatabaseIsUnnoticed(t *testing.T) {
	s := newShaky(t, &stumble{}, false)
	s.untilSound(true, s.change, s.try(engine.Request{}))
}

func TestNoCallOfTheDatabaseFailsUnnoticedInOtherRuns(t *testing.T) {
	at := &stumble{}
	t.Run("a full one", func(t *testing.T) {
		s := newShaky(t, at, false)
		s.untilSound(false, s.pay, s.try(engine.Request{Full: true}))
	})
	t.Run("one that has forgotten how far it knows both sides", func(t *testing.T) {
		s := newShaky(t, at, false)
		s.untilSound(false, func() { s.pay(); s.forget() }, s.try(engine.Request{}))
	})
	t.Run("one about some", func(t *testing.T) {
		s := newShaky(t, at, false)
		s.untilSound(false, s.pay, s.try(engine.Request{Subscriptions: []string{s.paid[0].Subscription, s.paid[1].Subscription}}))
	})
	for name, stored := range map[string]bool{"a dry one": false, "a dry one over the database": true} {
		t.Run(name, func(t *testing.T) {
			s := newShaky(t, at, false)
			s.untilSound(false, s.change, func() (reconcile.Report, error) {
				effects := len(s.World.Effects())
				defer func() { diff(t, "effects of a plan", effects, len(s.World.Effects())) }()
				return s.Try(engine.Request{Dry: true, Stored: stored})
			})
		})
	}
}

// forget makes a run look at both sides as if it were the first.
func (s *shaky) forget() {
	s.t.Helper()
	ctx := s.t.Context()
	s.World.Advance(time.Minute) // a lease that could not be released is over
	tok, _, _, err := s.Store.Acquire(ctx, "test", s.World.Now(), time.Minute)
	must(s.t, err)
	for _, cursor := range []string{"events", "key", "panel", "orgs", "newest", "recovery", "mappings"} {
		must(s.t, s.Store.SetCursor(ctx, tok, cursor, ""))
	}
	must(s.t, s.Store.Release(ctx, tok))
}

// A read that a flow run only tries is mentioned in the log for debugging.
func TestNoCallOfTheDatabaseFailsUnnoticedInAFlowRun(t *testing.T) {
	for _, lost := range []bool{false, true} {
		s := newShaky(t, &stumble{}, true)
		s.level, s.always = logrus.DebugLevel, true
		s.untilSound(lost, func() {
			made := s.order(fmt.Sprintf("c%d.example.com", s.n+1))
			_, err := s.Store.LogWebhook(t.Context(), "evt_of_"+made.Subscription, "customer.subscription.created", made.Subscription, true, s.World.Now())
			must(t, err)
		}, func() (reconcile.Report, error) {
			served, err := s.Engine.Flow(t.Context())
			return served.Report, err
		})
	}
}
