package simtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// Whoever has just paid is begun and has the hosting within these, whatever the others are
// and however many. Each of the eight workers may be busy with somebody else, and the panel
// takes ten requests in a second.
const (
	begunWithin = 10 * time.Second
	liveWithin  = 20 * time.Second
)

// crowd is what happens in a company while its buyers order.
type crowd struct {
	latency time.Duration // of each answer
	known   int           // customers who were served long ago
	flood   int           // webhooks about them, all at once
	orders  int           // other new customers, all at once
	hanging int           // of the known: their org gives no answer, and webhooks name them again and again
	failing int           // of a hundred reads, so many are answered with 503
	sweeps  bool          // one full run is asked for after another
	buyers  []time.Duration
}

func newCrowd(seed uint64) crowd {
	dice := rand.New(rand.NewPCG(seed, 0x3a17))
	c := crowd{latency: time.Duration(20+dice.IntN(180)) * time.Millisecond, sweeps: dice.IntN(2) > 0}
	pick := func(most int) int { // often none, seldom many
		return dice.IntN(2) * dice.IntN(1+dice.IntN(most))
	}
	c.known, c.orders, c.failing = 10+pick(1500), pick(60), pick(4)
	c.flood, c.hanging = min(pick(1500), c.known), min(pick(6), c.known)
	at := 2 * time.Second
	for range 5 {
		at += time.Duration(dice.IntN(15_000)) * time.Millisecond
		c.buyers = append(c.buyers, at)
	}
	return c
}

// No customer waits for the number of others: neither for a sweep, nor for a flood of
// webhooks, nor for orders that came together, nor for orgs that give no answer. And the
// flood and the orders come to their end too.
//
// Time is that of the test's bubble, so a machine that is busy changes nothing.
//
// CROWDS=N plays so many. The seeds of the list went red before the client had its rules for
// orgs that give no answer (clients/enhance, patience), before the panel was recognised by
// the hostings that were read last, and while a flow run gave up a listing that only waited
// for its place at the limiter.
func TestWhoHasPaidWaitsForNobody(t *testing.T) {
	seeds := []uint64{7, 11, 17, 21, 23, 34, 42}
	if n, err := strconv.Atoi(os.Getenv("CROWDS")); err == nil {
		seeds = nil
		for i := range n {
			seeds = append(seeds, uint64(i))
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newPlace(t, seed).crowded() })
		})
	}
}

// place is a service in front of a company, in a bubble of time.
type place struct {
	*testing.T
	crowd
	world  *simulator.World
	store  *store.Store
	engine *engine.Engine
	loop   *server.Loop

	mu    sync.Mutex // guards all below
	begun map[string]time.Time
	stuck map[string]bool // paths of orgs that give no answer
	dice  *rand.Rand
}

func newPlace(t *testing.T, seed uint64) *place {
	p := &place{T: t, crowd: newCrowd(seed), begun: map[string]time.Time{}, stuck: map[string]bool{}, dice: rand.New(rand.NewPCG(seed, 7))}
	p.world = simulator.New(simulator.Options{Seed: seed, Calm: true, Follow: time.Now})
	fleet := p.world.Populate(p.known, simulator.Mix{Plain: true, Bound: true, Statuses: map[string]int{"active": 1}})
	var err error
	if p.store, err = store.Open(t.Context(), store.Options{URL: secret.New("sqlite::memory:")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.must(p.store.Close()) })
	_, err = p.store.Migrate(t.Context(), false)
	p.must(err)
	for price, plan := range fleet.Plans {
		p.must(p.store.SetMapping(t.Context(), reconcile.Mapping{BillingID: price, Plan: fmt.Sprint(plan)}, "test", time.Now()))
	}
	billing, err := stripe.New(stripe.Options{Key: secret.New(p.world.StripeKey()), BaseURL: "http://" + simulator.StripeHost, Transport: p,
		Limiter: ratelimit.New(ratelimit.Options{RPS: 20, Concurrency: 8}), Breaker: breaker.New("Stripe", time.Now)})
	p.must(err)
	panel, err := enhance.New(enhance.Options{BaseURL: "http://" + simulator.EnhanceHost, Token: secret.New(p.world.EnhanceToken()), Org: p.world.OrgID(), Transport: p,
		Limiter: ratelimit.New(ratelimit.Options{RPS: 10, Concurrency: 8}), Breaker: breaker.New("Enhance", time.Now)})
	p.must(err)
	brakes := planner.DefaultBrakes()
	brakes.Create.Count = 10_000
	p.engine, err = engine.New(engine.Options{
		Policy: reconcile.Policy{Mode: reconcile.Enforce, Grace: 72 * time.Hour, Onboarding: reconcile.Invite, NewAfter: time.Now().AddDate(-10, 0, 0)},
		Brakes: brakes, KeepLease: true, Concurrency: 8, Ready: func() { p.loop.Serve() },
	}, (&testenv.Env{Store: p.store, Stripe: billing, Panel: panel}).Ports())
	p.must(err)
	p.loop = server.NewLoop(server.LoopOptions{Poll: cron.ConstantDelaySchedule{Delay: time.Minute}, Full: cron.ConstantDelaySchedule{Delay: 24 * time.Hour}, Flows: 8}, p, p.store, p.store)
	return p
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// Run, Flow, Lead and Leading are the engine as the loop calls it.
func (p *place) Run(ctx context.Context, q server.Request, _ func(string)) (reconcile.Report, error) {
	return p.engine.Run(ctx, engine.Request{Full: q.Full, Subscriptions: q.Subscriptions, Trigger: q.Trigger, Scheduled: q.Trigger == "cron"})
}

func (p *place) Flow(ctx context.Context) (reconcile.Served, error) { return p.engine.Flow(ctx) }
func (p *place) Lead(ctx context.Context) error                     { return p.engine.Lead(ctx) }
func (p *place) Leading() bool                                      { return p.engine.Leading() }

// RoundTrip answers after the latency, notes when each subscription was first asked for,
// and gives no answer for an org that hangs.
func (p *place) RoundTrip(req *http.Request) (*http.Response, error) {
	p.mu.Lock()
	if id, ok := strings.CutPrefix(req.URL.Path, "/v1/subscriptions/"); ok && p.begun[id].IsZero() {
		p.begun[id] = time.Now()
	}
	hangs := slices.ContainsFunc(strings.Split(req.URL.Path, "/"), func(part string) bool { return p.stuck[part] })
	fails := req.Method == http.MethodGet && p.dice.IntN(100) < p.failing
	p.mu.Unlock()
	wait := time.NewTimer(p.latency)
	defer wait.Stop()
	answer := wait.C
	if hangs {
		answer = nil
	}
	select {
	case <-answer:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if fails {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	return p.world.Transport().RoundTrip(req)
}

// webhook stores an event about a subscription, and asks for it to be served.
func (p *place) webhook(sub string) {
	p.Helper()
	_, err := p.store.LogWebhook(p.Context(), fmt.Sprintf("evt_%s_%d", sub, time.Now().UnixNano()), "customer.subscription.updated", sub, true, time.Now())
	p.must(err)
	p.loop.Serve()
}

func (p *place) order(email string) string {
	p.Helper()
	made, err := p.world.SignUp(simulator.SignUp{Email: email, Name: email, Price: "price_basic_monthly"})
	p.must(err)
	p.webhook(made.Subscription)
	return made.Subscription
}

// crowded plays the whole.
func (p *place) crowded() {
	ctx, end := context.WithCancel(p.Context())
	worked := make(chan error, 1)
	go func() { worked <- p.loop.Work(ctx) }()
	p.wait("the first run", time.Hour, func() bool {
		last, err := p.store.LastListed(ctx)
		return err == nil && !last.At.IsZero()
	})
	began := time.Now()
	crowding, leave := context.WithCancel(ctx)
	gone := p.others(crowding)
	ordered, subs := map[string]time.Time{}, []string{}
	for i, at := range p.buyers {
		time.Sleep(time.Until(began.Add(at)))
		sub := p.order(fmt.Sprintf("buyer%d@example.com", i))
		subs, ordered[sub] = append(subs, sub), time.Now()
	}
	time.Sleep(liveWithin)
	live := p.live()
	for _, sub := range subs {
		p.mu.Lock()
		begun := p.begun[sub]
		p.mu.Unlock()
		if begun.IsZero() && !live[sub].IsZero() {
			begun = ordered[sub] // a sweep under way had read it, so that it was not read by itself
		}
		if late := begun.Sub(ordered[sub]); begun.IsZero() || late > begunWithin {
			p.Errorf("%s was begun %s after its webhook (zero time: never: %v), with %+v", sub, late, begun.IsZero(), p.crowd)
		}
		if at := live[sub]; at.IsZero() || at.Sub(ordered[sub]) > liveWithin {
			p.Errorf("%s had its hosting %s after its webhook (never: %v), with %+v", sub, at.Sub(ordered[sub]), at.IsZero(), p.crowd)
		}
	}
	leave()
	gone.Wait()
	p.wait("the others", time.Hour, func() bool {
		waiting, err := p.store.NudgesWaiting(ctx)
		return err == nil && !waiting && len(p.live()) >= p.orders+len(subs)
	})
	end()
	p.must(<-worked)
}

// wait lets time pass until a condition holds.
func (p *place) wait(what string, most time.Duration, holds func() bool) {
	p.Helper()
	for began := time.Now(); !holds(); time.Sleep(time.Second) {
		if time.Since(began) > most {
			p.Fatalf("%s: not after %s, with %+v", what, most, p.crowd)
		}
	}
}

// live is when the hosting of each subscription was made.
func (p *place) live() map[string]time.Time {
	made := map[string]time.Time{}
	for _, e := range p.world.Effects() {
		if e.Kind == "create_subscription" {
			made[e.Subscription] = e.At
		}
	}
	return made
}

// others begins what the rest of the company does, until ctx ends.
func (p *place) others(ctx context.Context) *sync.WaitGroup {
	known := p.world.Hostings()
	var all sync.WaitGroup
	all.Go(func() {
		for i := range p.flood {
			p.webhook(subscriptionOf(known[i]))
		}
	})
	all.Go(func() {
		for i := range p.crowd.orders {
			p.order(fmt.Sprintf("other%d@example.com", i))
		}
	})
	for i := range p.hanging {
		all.Go(func() { p.hangs(ctx, known[i], i) })
	}
	all.Go(func() {
		for p.sweeps && ctx.Err() == nil {
			p.loop.Ask(server.Request{Full: true, Trigger: "test"})
			pass(ctx, time.Second)
		}
	})
	return &all
}

// hangs has one customer change the plan again and again, while its org gives no answer.
func (p *place) hangs(ctx context.Context, h simulator.Hosting, n int) {
	p.mu.Lock()
	p.stuck[h.Org] = true
	p.mu.Unlock()
	for ctx.Err() == nil {
		price := []string{"price_pro_monthly", "price_basic_monthly"}[n%2]
		if err := p.world.ChangePrice(subscriptionOf(h), "", price); err != nil {
			p.Error(err)
			return
		}
		p.webhook(subscriptionOf(h))
		n++
		pass(ctx, time.Second)
	}
	p.mu.Lock()
	delete(p.stuck, h.Org)
	p.mu.Unlock()
}

// pass sleeps, but not beyond the end of ctx.
func pass(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// subscriptionOf is the subscription that the hosting's marker names.
func subscriptionOf(h simulator.Hosting) string {
	_, rest, _ := strings.Cut(h.FriendlyName, "[")
	id, _, _ := strings.Cut(rest, "/")
	return id
}
