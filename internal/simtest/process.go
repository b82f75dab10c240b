package simtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// renewEvery is how often a process asks for its lease: a third of 30 seconds.
const renewEvery = 10 * time.Second

// replicas is how many processes can be at work on the database.
const replicas = 2

// process is one replica of the program: a store, two clients and an engine of
// its own. It is its clients' way to the simulators, and that is where it can be
// interrupted. Everything of it happens in one goroutine at a time.
type process struct {
	play   *play
	number int
	store  *store.Store
	engine *engine.Engine

	foreign bool // its Stripe key is another company's
	renewed time.Time
	began   time.Time // the run at work

	cut     *Cut // for the run at work: a thing that happens in the middle of it
	passed  map[string]int
	running bool
	frozen  bool
	cancel  context.CancelFunc // ends the flow run at work; nil: there is none
	dry     bool
	done    map[string]int // effects of the run at work, by kind

	dead    bool
	died    chan struct{} // closed when it dies in the middle of a run
	release chan struct{} // closed when the remains of it may end
	ended   chan struct{} // closed when the run of a dead process has returned
}

var errDead = errors.New("the process is gone")

func (p *process) now() time.Time { return p.play.world.Now().Add(p.play.skew[p.number]) }

// start makes a process on the database as it is.
func (y *play) start(number int, foreign bool) (*process, error) {
	y.lives++
	p := &process{play: y, number: number, foreign: foreign, passed: map[string]int{}, done: map[string]int{}, died: make(chan struct{}), release: make(chan struct{}), ended: make(chan struct{})}
	db, err := y.home(number)
	if err != nil {
		return nil, err
	}
	if p.store, err = store.Open(context.Background(), store.Options{URL: db.url(), Now: p.now}); err != nil {
		return nil, err
	}
	key := y.world.StripeKey()
	if foreign {
		key = y.stranger().StripeKey()
	}
	billing, err := stripe.New(stripe.Options{Key: secret.New(key), BaseURL: "http://" + simulator.StripeHost, Transport: p, Now: p.now,
		RetryMin: time.Nanosecond, RetryMax: time.Nanosecond, MaxAttempts: 3, Concurrency: 1, Limiter: unhurried(), Breaker: breaker.New("Stripe", p.now)})
	if err != nil {
		return nil, err
	}
	panel, err := enhance.New(enhance.Options{BaseURL: "http://" + simulator.EnhanceHost, Token: secret.New(y.world.EnhanceToken()), Org: y.world.OrgID(),
		Transport: p, Now: p.now, ReadBackoff: time.Nanosecond, MaxReadAttempts: 3, Limiter: unhurried(), Breaker: breaker.New("Enhance", p.now),
		Waits: func() { p.interrupt("waits") }})
	if err != nil {
		return nil, err
	}
	dice := rand.New(rand.NewPCG(y.Seed, uint64(y.lives)))
	ports := (&testenv.Env{Store: p.store, Stripe: billing, Panel: panel}).Ports()
	ports.Mailer, ports.Addressees, ports.MailJournal = &postman{process: p}, billing, p.store
	p.engine, err = engine.New(engine.Options{
		Policy: y.Company.Policy, Brakes: y.Company.Brakes, KeepLease: y.Company.KeepLease, Concurrency: 1,
		Owner: fmt.Sprintf("replica-%d-%d", number, y.lives), Now: p.now, Rand: dice.Float64, Log: y.logger(), Failpoint: func(step, _ string) { p.interrupt(step) },
	}, ports)
	return p, err
}

// unhurried never lets a request wait, because time is the simulators'.
func unhurried() *ratelimit.Limiter {
	return ratelimit.New(ratelimit.Options{RPS: math.Inf(1), Min: math.Inf(1), Concurrency: 4})
}

// logger drops the log, and notices a panic.
func (y *play) logger() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.ErrorLevel)
	log.AddHook(panics{y})
	return log
}

type panics struct{ *play }

func (panics) Levels() []logrus.Level { return []logrus.Level{logrus.ErrorLevel} }

func (h panics) Fire(e *logrus.Entry) error {
	if e.Message == "panic" {
		h.violated(NoPanic, "%v", e.Data["stack"])
	}
	return nil
}

// process finds a replica, and starts it when it is not there.
func (y *play) process(number int) (*process, error) {
	if p := y.processes[number]; p != nil {
		return p, nil
	}
	p, err := y.start(number, false)
	if err != nil {
		return nil, err
	}
	y.processes[number] = p
	return p, nil
}

// stop ends a process in good order: its lease is given back.
func (y *play) stop(number int) {
	p := y.processes[number]
	if p == nil {
		return
	}
	if y.Company.KeepLease {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.engine.Lead(over)
	}
	_ = p.store.Close()
	y.processes[number] = nil
}

// kill ends it in no order at all.
func (y *play) kill(number int) {
	if p := y.processes[number]; p != nil {
		p.dead = true
		_ = p.store.Close()
		y.processes[number] = nil
	}
}

// run does one run, up to its end or the process's.
func (p *process) run(req engine.Request, cut *Cut) {
	if p.running {
		return // it is the one that is frozen
	}
	y := p.play
	p.running, p.cut, p.dry, p.renewed, p.began, y.blind = true, cut, req.Dry, y.world.Now(), y.world.Now(), false
	p.passed, p.done = map[string]int{}, map[string]int{}
	y.shown(p)
	var rep reconcile.Report
	var err error
	go func() {
		defer close(p.ended)
		rep, err = p.engine.Run(context.Background(), req)
	}()
	select {
	case <-p.ended:
		p.running, p.cut, p.ended = false, nil, make(chan struct{})
		y.finished(p, rep, err)
		p.serve() // what waited for the run
	case <-p.died:
		y.logf("process %d dies", p.number)
		_ = p.store.Close()
		y.dead = append(y.dead, p)
		y.processes[p.number] = nil
	}
}

// interrupt is asked at every place where a run can be interrupted.
func (p *process) interrupt(at string) {
	switch {
	case p.dead:
		return
	case at == "waits":
		if p.cancel != nil {
			p.cancel()
		}
		return
	}
	p.passed[at]++
	c := p.cut
	if c == nil || c.At != at || p.passed[at] != c.Nth {
		return
	}
	if c.Dies {
		p.dead = true
		close(p.died)
		<-p.release
		return
	}
	p.frozen = true
	for _, st := range c.Meanwhile {
		p.play.do(st)
	}
	p.frozen = false
}

// RoundTrip brings a request to the simulators, takes its time, and lets the checker see
// its effects.
func (p *process) RoundTrip(r *http.Request) (*http.Response, error) {
	y := p.play
	write := r.Method != http.MethodGet
	p.sending(write)
	if p.dead {
		return nil, errDead
	}
	y.watch()
	sent := y.world.Now()
	y.advance(y.latency(r))
	y.late = 0
	answer, err := p.way(r).RoundTrip(r)
	y.served(p, r, answer, err)
	if write {
		y.checkNew(p, sent)
	}
	y.advance(y.late + y.latency(r))
	p.interrupt("answer")
	if p.dead {
		return nil, errDead
	}
	return answer, err
}

// sending may interrupt before a request leaves. A write that was checked and is
// on its way is not held up: no program can take it back (see the package
// comment), so only what takes no time may happen then.
func (p *process) sending(write bool) {
	if !write || p.cut == nil || p.cut.Dies {
		p.interrupt("call")
		return
	}
	whole := p.cut
	brief := *whole
	brief.Meanwhile = nil
	for _, st := range whole.Meanwhile {
		if st.Kind != Wait && st.Kind != Run {
			brief.Meanwhile = append(brief.Meanwhile, st)
		}
	}
	p.cut = &brief
	p.interrupt("call")
	p.cut = whole
}

// way is where a request goes: with a foreign key, Stripe is another company.
func (p *process) way(r *http.Request) http.RoundTripper {
	if p.foreign && r.URL.Hostname() == simulator.StripeHost {
		return p.play.stranger().Transport()
	}
	return p.play.wire
}
