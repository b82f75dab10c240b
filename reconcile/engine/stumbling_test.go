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
	seen   int                  // effects at the panel that were judged
}

func newShaky(t *testing.T, keep bool) *shaky {
	t.Helper()
	s := &shaky{t: t, at: &stumble{}, log: &logtest.Buffer{}, level: logrus.WarnLevel}
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

// wrong is what the panel has that nobody has paid for, or lacks; "": all is right.
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

// untilSound changes something and tries to follow it, with the first call failing, then
// with the second, and so on until none fails any more. A failing call has to be
// mentioned, and after some of them a sound database is enough to bring everything to the
// right end.
func (s *shaky) untilSound(lost bool, change func(), try func() (reconcile.Report, error)) {
	s.t.Helper()
	const together = 9 // failures between two looks at the panel
	for n := 1; ; n++ {
		change()
		s.World.Advance(2 * time.Minute)
		s.renew()
		before := len(s.log.String())
		s.at.arm(n, lost)
		rep, err := try()
		call := s.at.disarm()
		step := fmt.Sprintf("call %d (%s)", n, call)
		if call != "" && !s.mentions(rep, err, before) {
			s.t.Errorf("%s failed, and nothing mentions it: %v, %q", step, kinds(rep), rep.Notes)
		}
		if call == "" || n%together == 0 {
			s.heal(step)
		}
		if call == "" {
			s.t.Logf("%d calls", n-1)
			return
		}
	}
}

func (s *shaky) try(req engine.Request) func() (reconcile.Report, error) {
	return func() (reconcile.Report, error) { return s.Try(req) }
}

func TestNoCallOfTheDatabaseFailsUnnoticed(t *testing.T) {
	s := newShaky(t, false)
	s.untilSound(false, s.change, s.try(engine.Request{}))
}

func TestNoLostAnswerOfTheDatabaseIsUnnoticed(t *testing.T) {
	s := newShaky(t, false)
	s.untilSound(true, s.change, s.try(engine.Request{}))
}

func TestNoCallOfTheDatabaseFailsUnnoticedInAFullRun(t *testing.T) {
	s := newShaky(t, false)
	s.untilSound(false, s.pay, s.try(engine.Request{Full: true}))
}

func TestNoCallOfTheDatabaseFailsUnnoticedInARunAboutSome(t *testing.T) {
	s := newShaky(t, false)
	s.untilSound(false, s.pay, s.try(engine.Request{Subscriptions: []string{s.paid[0].Subscription, s.paid[1].Subscription}}))
}

func TestNoCallOfTheDatabaseFailsUnnoticedInAPlan(t *testing.T) {
	for _, stored := range []bool{false, true} {
		s := newShaky(t, false)
		s.untilSound(false, func() {
			if s.wrong() == "" { // what was planned before is done
				s.change()
			}
		}, func() (reconcile.Report, error) {
			effects := len(s.World.Effects())
			defer func() { diff(t, "effects of a plan", effects, len(s.World.Effects())) }()
			return s.Try(engine.Request{Dry: true, Stored: stored})
		})
	}
}

// What a flow run only tries is in the log for debugging: the next run does it.
func TestNoCallOfTheDatabaseFailsUnnoticedInAFlowRun(t *testing.T) {
	for _, lost := range []bool{false, true} {
		s := newShaky(t, true)
		s.level = logrus.DebugLevel
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
