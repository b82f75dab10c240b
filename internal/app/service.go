package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/server/page"
)

// ConnectService makes both clients, and counts their requests for the metrics.
func (a *App) ConnectService() error {
	a.metrics = metrics.New(a.Version)
	return a.Connect(config.NeedStripe | config.NeedEnhance)
}

// Serve runs the service until ctx ends. It needs the database and ConnectService.
func (a *App) Serve(ctx context.Context) error {
	messages, err := a.newMessages()
	if err != nil {
		return config.Problems{{Name: "NOTIFY_URLS", Wrong: err.Error()}}
	}
	defer messages.close()
	o := &observer{App: a, messages: messages, watch: notify.Watch{Language: a.language()}}
	loop, err := a.loop(o)
	if err != nil {
		return err
	}
	s, err := a.server(loop, o)
	if err != nil {
		return err
	}
	a.watchState(loop)
	return a.listen(ctx, loop, s)
}

// loop is the engine with its schedules.
func (a *App) loop(o *observer) (*server.Loop, error) {
	poll, err := cron.ParseStandard(string(a.Config.PollSchedule))
	if err != nil {
		return nil, fmt.Errorf("POLL_SCHEDULE: %w", err)
	}
	full, err := cron.ParseStandard(string(a.Config.FullSchedule))
	if err != nil {
		return nil, fmt.Errorf("FULL_SCHEDULE: %w", err)
	}
	r := &runner{}
	options := a.engineOptions()
	ports, err := a.ports()
	if err != nil {
		return nil, err
	}
	options.Progress = a.progress.set
	options.KeepLease = true
	ports.History = &beginnings{History: ports.History, runner: r}
	ports.Inventory = &driftCounter{Inventory: ports.Inventory, found: a.metrics.Drift}
	var loop *server.Loop
	options.Ready = func() { loop.Serve() }
	if r.engine, err = engine.New(options, ports); err != nil {
		return nil, err
	}
	flows := a.Config.Concurrency
	if a.Config.Policy().Mode == reconcile.Observe {
		flows = 0 // nothing is done for anybody
	}
	loop = server.NewLoop(server.LoopOptions{Poll: poll, Full: full, Flows: flows, Now: a.Now, Log: a.Log, Observer: o}, r, a.Store, a.Store)
	return loop, nil
}

func (a *App) server(loop *server.Loop, o *observer) (*server.Server, error) {
	a.tools = a.newTools()
	options := server.Options{
		Ports: server.Ports{Loop: loop, Nudges: a.Store, History: a.Store, Plans: a.Store, Holds: a.Store,
			Mappings: storedMappings{a}, Journal: a.Store, Customers: storedCustomers{a}, Overview: storedOverview{a.Store}, Days: a.Store,
			Directory: directory{a.Store, a}},
		Stripe: a.askStripe, Enhance: a.askEnhance, Answered: a.answered,
		AdminKeys: a.Config.AdminKeys, SupportKeys: a.Config.SupportKeys, TrustedProxies: a.Config.TrustedProxies, Observer: o, Version: a.Version, Now: a.Now, Log: a.Log,
		Page: page.New, Risk: a.risk, Tools: a.tools, Warm: a.tools.warm, OpenKey: a.OpenKey,
		Rates:   map[string]func() float64{metrics.Stripe: a.stripeSide.limiter.Rate, metrics.Enhance: a.enhanceSide.limiter.Rate},
		Latency: map[string]func() time.Duration{metrics.Stripe: a.stripeSide.latency, metrics.Enhance: a.enhanceSide.latency},
	}
	if a.Adoption != nil {
		options.Adoption = a.Adoption(a)
	}
	if secrets := []secret.Text(a.Config.WebhookSecrets); len(secrets) > 0 {
		options.Verify = func(body []byte, signature string, now time.Time) (reconcile.Event, error) {
			return stripe.VerifyWebhook(body, signature, secret.Each(secrets), now)
		}
	}
	if a.Config.MetricsAddr == "" {
		options.Metrics = a.metrics.Handler()
	}
	return server.New(options)
}

// listen opens the sockets, prints their addresses, and works until ctx ends or one part
// fails. Then the other parts end too.
func (a *App) listen(ctx context.Context, loop *server.Loop, s *server.Server) error {
	var lc net.ListenConfig
	main, err := lc.Listen(ctx, "tcp", string(a.Config.ListenAddr))
	if err != nil {
		return cannotListen("LISTEN_ADDR", string(a.Config.ListenAddr), err)
	}
	var side net.Listener
	if a.Config.MetricsAddr != "" {
		if side, err = lc.Listen(ctx, "tcp", string(a.Config.MetricsAddr)); err != nil {
			return errors.Join(cannotListen("METRICS_ADDR", string(a.Config.MetricsAddr), err), main.Close())
		}
	}
	a.announce(main, side)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(guarded(func() error { return loop.Work(ctx) }))
	g.Go(guarded(func() error { return s.Serve(ctx, main) }))
	g.Go(guarded(func() error { a.watchQuota(ctx); return nil }))
	if side != nil {
		g.Go(guarded(func() error { return server.ServeMetrics(ctx, side, a.metrics.Handler(), a.Log) }))
	}
	err = g.Wait()
	a.Log.Info("stopped")
	return err
}

// guarded is f for a goroutine. A panic in it ends the service like any error of f, and
// not with the runtime's message, which shows the value of the panic.
func guarded(f func() error) func() error {
	return func() error { return fault.Guard(f) }
}

// announce prints where the service listens, and which parts of it are off because they
// are not configured.
func (a *App) announce(main, side net.Listener) {
	fields := logrus.Fields{"listen": main.Addr().String(), "mode": a.Config.Mode.String(), "version": a.Version,
		"webhook": len(a.Config.WebhookSecrets) > 0, "admin": len(a.Config.AdminKeys) > 0, "support": len(a.Config.SupportKeys) > 0}
	if side != nil {
		fields["metrics"] = side.Addr().String()
	}
	a.Log.WithFields(fields).Info("serving")
	a.Printf("serving on http://%s", main.Addr())
	if len(a.Config.WebhookSecrets) == 0 {
		a.Printf("no STRIPE_WEBHOOK_SECRET: changes are found by polling (%s)", a.Config.PollSchedule)
	}
	if len(a.Config.AdminKeys)+len(a.Config.SupportKeys) == 0 {
		a.Printf("no ADMIN_API_KEY: there is no admin API")
	}
}

// watchState adds the metrics that are read at each scrape.
func (a *App) watchState(loop *server.Loop) {
	a.metrics.Watch(metrics.Sources{
		State:   a.state,
		Rates:   map[string]func() float64{metrics.Stripe: a.stripeSide.limiter.Rate, metrics.Enhance: a.enhanceSide.limiter.Rate},
		Granted: map[string]map[string]func() float64{metrics.Stripe: a.stripeSide.granted(), metrics.Enhance: a.enhanceSide.granted()},
		Open:    map[string]func() error{metrics.Stripe: a.stripeSide.breaker.Open, metrics.Enhance: a.enhanceSide.breaker.Open},
		Expires: map[string]func() time.Time{metrics.Stripe: a.stripeSide.certificate.when, metrics.Enhance: a.enhanceSide.certificate.when, metrics.Database: a.database.when},
		Leading: loop.Leading,
		Room:    a.Store.Room,
		Now:     a.Now,
	})
}

// cannotListen adds what to do if this process cannot listen at an address.
func cannotListen(setting, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: another process listens at %s (ss -ltnp shows which): end that one, or choose another address", setting, address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: this user may not listen at %s: choose a port from 1024 on, with a proxy in front", setting, address)
	}
	return fmt.Errorf("%s: %w", setting, err)
}

// Reachable is where a listening address can be called from the same machine.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// runner is the engine as the service's loop calls it.
type runner struct {
	engine *engine.Engine

	mu    sync.Mutex // guards began
	began func(string)
}

// Run implements server.Runner.
func (r *runner) Run(ctx context.Context, q server.Request, began func(string)) (reconcile.Report, error) {
	r.set(began)
	defer r.set(nil)
	return r.engine.Run(ctx, engine.Request{Full: q.Full, Subscriptions: q.Subscriptions, Trigger: q.Trigger, Scheduled: q.Trigger == "cron"})
}

func (r *runner) set(began func(string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = began
}

// Flow implements server.Runner.
func (r *runner) Flow(ctx context.Context) (reconcile.Served, error) { return r.engine.Flow(ctx) }

// Lead implements server.Runner.
func (r *runner) Lead(ctx context.Context) error { return r.engine.Lead(ctx) }

// Leading implements server.Runner.
func (r *runner) Leading() bool { return r.engine.Leading() }

// beginnings reports the id of a run to the runner as soon as the run is recorded.
type beginnings struct {
	engine.History
	runner *runner
}

func (b *beginnings) BeginRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord) error {
	err := b.History.BeginRun(ctx, tok, r)
	b.runner.mu.Lock()
	began := b.runner.began
	b.runner.mu.Unlock()
	if err == nil && began != nil {
		began(r.ID)
	}
	return err
}

// driftCounter counts the hostings that differ from their stored state, among those that a
// run compares because they are due.
type driftCounter struct {
	engine.Inventory
	found func()

	mu  sync.Mutex // guards due
	due map[int64]reconcile.Hosting
}

func (d *driftCounter) DriftDue(ctx context.Context, before, after time.Time, limit int) ([]reconcile.Hosting, error) {
	hostings, err := d.Inventory.DriftDue(ctx, before, after, limit)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = make(map[int64]reconcile.Hosting, len(hostings))
	for _, h := range hostings {
		if h.State != 0 { // one that was never read cannot have changed
			d.due[h.ID] = h
		}
	}
	return hostings, err
}

func (d *driftCounter) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	d.mu.Lock()
	was, compared := d.due[h.ID]
	delete(d.due, h.ID)
	d.mu.Unlock()
	if compared && (was.State != h.State || was.Plan != h.Plan && h.State != reconcile.HostingMissing || was.SuspendedBy != h.SuspendedBy) {
		d.found()
	}
	return d.Inventory.SaveHosting(ctx, tok, h, now)
}

// side is Stripe or Enhance as its client meets it: how fast the client may ask, whether
// it asks at all, and how the last answer was.
type side struct {
	limiter *ratelimit.Limiter
	breaker *breaker.Breaker

	good     atomic.Bool  // the last answer was one that a healthy side gives
	at       atomic.Int64 // when that was, in unix nanoseconds by the process clock
	took     atomic.Int64 // how long its answers took of late, in nanoseconds; 0: none came
	answered atomic.Int64 // the last answer of any kind, by the program's clock; 0: none

	certificate certificate
}

// certificate is when that of a side expires, as seen on the last connection on which an
// answer came.
type certificate struct{ expires atomic.Int64 } // seconds; 0: no TLS was seen

// see notes the certificate that expires first, in the chain that lasts longest: a server
// may send another chain for old clients. The root is one of this machine's, and does not
// count. Without a verified chain it is the server's own certificate.
func (c *certificate) see(s *tls.ConnectionState) {
	var last time.Time
	if len(s.PeerCertificates) > 0 && len(s.VerifiedChains) == 0 {
		last = s.PeerCertificates[0].NotAfter
	}
	for _, chain := range s.VerifiedChains {
		first := chain[0].NotAfter
		for _, one := range chain[1:max(len(chain)-1, 1)] {
			if one.NotAfter.Before(first) {
				first = one.NotAfter
			}
		}
		if first.After(last) {
			last = first
		}
	}
	if !last.IsZero() {
		c.expires.Store(last.Unix())
	}
}

// when is zero if no TLS was seen.
func (c *certificate) when() time.Time {
	if at := c.expires.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

func (a *App) newSide(name string, rps float64) *side {
	// Beside the run of a command there is nothing for which a slot has to be free.
	limit := ratelimit.Options{RPS: rps, Concurrency: a.Config.Concurrency, Alone: a.metrics == nil}
	if a.Simulated != nil {
		limit = ratelimit.Options{RPS: math.Inf(1)}
	}
	return &side{limiter: ratelimit.New(limit), breaker: breaker.New(name, a.Now)}
}

// granted counts the requests that were let through, by class.
func (s *side) granted() map[string]func() float64 {
	counts := map[string]func() float64{}
	for _, c := range priority.Classes {
		counts[c.String()] = func() float64 { return float64(s.limiter.Granted(c)) }
	}
	return counts
}

// note follows every request to the side; code is 0 if no answer came.
func (s *side) note(code int, now time.Time) {
	if code > 0 {
		s.answered.Store(now.UnixNano())
	}
	s.good.Store(code >= 200 && code < 300 || code == 404)
	s.at.Store(time.Now().UnixNano())
}

// measure follows the time of every answer, with the last ones counting most.
func (s *side) measure(d time.Duration) {
	const weight = 8 // a new answer counts an eighth
	for {
		old := s.took.Load()
		mean := old + (int64(d)-old)/weight
		if old == 0 {
			mean = int64(d)
		}
		if s.took.CompareAndSwap(old, mean) {
			return
		}
	}
}

// latency is how long answers of the side took of late; 0: none came.
func (s *side) latency() time.Duration { return time.Duration(s.took.Load()) }

// goodFor is how long a good answer to the reconciler counts as health of a side. An idle
// service polls once a minute.
const goodFor = 75 * time.Second

// healthy reports that the side gave a good answer within goodFor, so that health need not
// ask it.
func (s *side) healthy() bool {
	return s.good.Load() && time.Since(time.Unix(0, s.at.Load())) < goodFor
}

// lastAnswer is zero if the side has not answered yet.
func (s *side) lastAnswer() time.Time {
	if at := s.answered.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// observe is what a client calls after each request. It returns nil, which observes
// nothing, outside of the service.
func (a *App) observe(name string, s *side) func(string, int) {
	if a.metrics == nil {
		return nil
	}
	count := a.metrics.Request(name, a.Now)
	return func(route string, code int) {
		count(route, code)
		s.note(code, a.Now())
	}
}

// askStripe and askEnhance are for health. Each is one small read that needs the
// credential, and is left out while the reconciler got a good answer recently.
func (a *App) askStripe(ctx context.Context) error {
	if a.stripeSide.healthy() {
		return nil
	}
	_, err := a.Stripe.Events(ctx, a.Now())
	return err
}

func (a *App) askEnhance(ctx context.Context) error {
	if err := a.enhanceSide.breaker.Open(); errors.Is(err, fault.Denied) {
		return err // the token may read but not write, which is not healthy
	}
	if a.enhanceSide.healthy() {
		return nil
	}
	_, err := a.Enhance.Self(ctx)
	return err
}

// answered is when a side gave its last answer of any kind.
func (a *App) answered(name string) time.Time {
	if name == "enhance" {
		return a.enhanceSide.lastAnswer()
	}
	return a.stripeSide.lastAnswer()
}

// observer passes what the service does to the metrics, the log and the people at NOTIFY_URLS.
type observer struct {
	*App
	messages *messages

	mu    sync.Mutex // guards watch
	watch notify.Watch
}

// Led reads which messages the former writer has sent, so that this process does not repeat
// them.
func (o *observer) Led(ctx context.Context) {
	text, err := o.Store.Notified(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err = errors.Join(err, o.watch.Recall(text)); err != nil {
		o.Log.WithError(err).Warn("messages sent before were not read; some of them may be sent again")
	}
}

// WebhookAnswered implements server.Observer.
func (o *observer) WebhookAnswered(result string) { o.metrics.Webhook(result) }

// RunEnded implements server.Observer.
func (o *observer) RunEnded(ctx context.Context, r reconcile.Report, err error) {
	result := "ok"
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, fault.Canceled), errors.Is(err, fault.Fenced):
		result = "interrupted"
		o.Log.WithField("run", r.Run.ID).WithError(err).Warn("run interrupted")
	case err != nil:
		result = "failed"
		o.Log.WithFields(logrus.Fields{"run": r.Run.ID, "kind": fault.Of(err).String()}).WithError(err).Error("run failed")
	}
	o.metrics.Run(r, result)
	o.countLive(ctx, r)
	message, memory := o.news(r, err)
	if message != "" {
		o.Log.WithFields(logrus.Fields{"run": r.Run.ID, "message": message}).Info("notifying")
		o.messages.queue(message)
	}
	if memory == "" || o.messages.none() {
		return // a receiver that is added later gets what stands then
	}
	if err := o.Store.SetNotified(context.WithoutCancel(ctx), memory); err != nil {
		o.Log.WithError(err).Warn("messages sent were not stored; they may be sent again")
	}
}

// Served implements server.Observer. What a flow run leaves, the next run reports.
func (o *observer) Served(ctx context.Context, r reconcile.Report) {
	o.metrics.Served(r)
	o.countLive(ctx, r)
}

// news returns the message that a run calls for, and the memory to store once it is sent.
// Each is "" if there is none.
func (o *observer) news(r reconcile.Report, err error) (message, memory string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.watch.Memory()
	message = o.watch.Look(r, err)
	if memory = o.watch.Memory(); memory == before {
		memory = ""
	}
	return message, memory
}

// liveBatch is how many customers are looked up in one query.
const liveBatch = 500

// countLive measures from the order at Stripe to the hosting. A hosting that was found
// after a lost answer is not counted: it was live before, at an unknown time.
func (o *observer) countLive(ctx context.Context, r reconcile.Report) {
	live, customers := firstHostings(r.Actions)
	for batch := range slices.Chunk(customers, liveBatch) {
		found, err := o.Store.Customers(ctx, batch)
		if err != nil {
			o.Log.WithField("run", r.Run.ID).WithError(err).Warn("time to live not measured")
			return
		}
		for i := range found {
			o.countOrders(found[i].Subscriptions, live)
		}
	}
}

// firstHostings is when each subscription got its first hosting in this run, and whose
// subscriptions those are.
func firstHostings(actions []reconcile.ActionRecord) (live map[string]time.Time, customers []string) {
	live = map[string]time.Time{}
	for _, a := range actions {
		if a.Kind != reconcile.CreateSubscription || a.State != reconcile.ActionApplied {
			continue
		}
		if at, known := live[a.Subscription]; !known || a.FinishedAt.Before(at) {
			live[a.Subscription] = a.FinishedAt
		}
		customers = append(customers, a.Customer)
	}
	return live, customers
}

// countOrders counts each subscription once, even if its customer is in two batches.
func (o *observer) countOrders(all []reconcile.Subscription, live map[string]time.Time) {
	for _, s := range all {
		if at, ok := live[s.ID]; ok && !s.Created.IsZero() {
			delete(live, s.ID)
			o.metrics.Live(at.Sub(s.Created))
		}
	}
}

// state reads what the metrics show of the database, at each scrape.
func (a *App) state(ctx context.Context) (metrics.State, error) {
	now := a.Now()
	st, err := a.Store.Stats(ctx, now)
	if err != nil {
		return metrics.State{}, err
	}
	m := metrics.State{Due: st.Due, OldestDue: st.OldestDue, Parked: st.Parked, Ambiguous: st.Ambiguous,
		Customers: st.Customers, Bound: st.Bound, Active: st.Active, Suspended: st.Suspended,
		Holds: map[string]int{string(reconcile.HoldBrake): 0, string(reconcile.HoldParked): 0}}
	if m.DatabaseBytes, err = a.Store.Size(ctx); err != nil {
		return m, err
	}
	if m.Webhooks, err = a.Store.NamedWaiting(ctx); err != nil {
		return m, err
	}
	if m.OldestWebhook, err = a.Store.OldestNamed(ctx); err != nil {
		return m, err
	}
	if m.LastRun, err = a.Store.LastGoodRun(ctx); err != nil {
		return m, err
	}
	plans, err := a.Store.HeldPlans(ctx, now, false)
	if err != nil {
		return m, err
	}
	for _, p := range plans {
		m.Holds[string(reconcile.HoldBrake)] += len(p.Actions)
	}
	counts, err := a.Store.HoldCounts(ctx)
	m.Orders = counts.Orders
	for kind, n := range counts.Kinds {
		m.Holds[string(kind)] += n.All
	}
	return m, err
}
