package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// healthAge is how old an answer of health may be; pingAge that of readiness.
	healthAge, pingAge = 5 * time.Second, time.Second
	// checkAge is how often the two sides are asked at most: four requests a
	// minute to each, whatever a monitor does.
	checkAge = 15 * time.Second
	// checkLimit is how long a side may take to answer a check.
	checkLimit = 5 * time.Second
	// recent is how far back failed runs count as recent errors.
	recent = time.Hour
	// recentRuns is how many runs are looked through for those.
	recentRuns = 100
)

// Status of a service or of all of them.
const (
	healthy   = "healthy"
	degraded  = "degraded"
	unhealthy = "unhealthy"
)

type healthDocument struct {
	Status    string                 `json:"status"`
	Timestamp string                 `json:"timestamp"`
	Version   string                 `json:"version"`
	Uptime    int64                  `json:"uptime"` // ms
	Leader    bool                   `json:"leader"`
	Services  map[string]checkResult `json:"services"`
	Metrics   healthMetrics          `json:"metrics"`
	LastRun   *lastRun               `json:"lastRun"`
}

type healthMetrics struct {
	TotalSubscriptions  int `json:"totalSubscriptions"`
	ActiveSubscriptions int `json:"activeSubscriptions"`
	FailedWebhooks      int `json:"failedWebhooks"`
	RecentErrors        int `json:"recentErrors"`
}

// lastRun says how the last run ended, and no more: health is for everybody.
type lastRun struct {
	ID         string  `json:"id"`
	Trigger    string  `json:"trigger"`
	Mode       string  `json:"mode"`
	StartedAt  *string `json:"startedAt"`
	FinishedAt *string `json:"finishedAt"`
	Result     string  `json:"result"` // running, ok, failed
	Applied    int     `json:"applied"`
	Failed     int     `json:"failed"`
	Held       int     `json:"held"`
	// Gates is how many evidence gates failed. With any, nothing is taken away, or
	// with a failed run nothing at all is done, until somebody has looked.
	Gates int `json:"gates"`
	// Converged tells that nothing was left to do, to approve or to doubt; null: it has
	// not ended, or an earlier version did it. Result only says whether the run ended well.
	Converged *bool `json:"converged"`
	// OrdersHeld is how many subscriptions are to have hosting, and have none before a
	// person acts.
	OrdersHeld int `json:"ordersHeld"`
}

// checkResult is one service as last seen.
type checkResult struct {
	Status       string `json:"status"`
	ResponseTime int64  `json:"responseTime"` // ms
	// LastCheck is when the service last really answered, whoever asked; null: it never
	// has. With an error it is older than the attempt that failed.
	LastCheck *string `json:"lastCheck"`
	// Error is one of a few sentences of our own. The error itself may quote an
	// address or what the other side said, and health is for everybody. null: none.
	Error *string `json:"error"`

	denied bool // it refused our credential
}

func (s *Server) prepareChecks() {
	s.health = newCached(healthAge, s.readHealth)
	s.pinged = newCached(pingAge, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, checkLimit)
		defer cancel()
		return s.o.Overview.Ping(ctx)
	})
	s.checks = map[string]*cached[checkResult]{}
	for name, ask := range map[string]func(context.Context) error{"database": s.o.Overview.Ping, "stripe": s.o.Stripe, "enhance": s.o.Enhance} {
		age := checkAge
		if name == "database" {
			age = healthAge
		}
		answered := &lastAnswer{} // of this service; see cached for what guards it
		s.checks[name] = newCached(age, func(ctx context.Context) checkResult { return s.check(ctx, name, ask, answered) })
	}
}

// lastAnswer is when a service answered last, as far as health itself has asked it.
type lastAnswer struct{ at time.Time }

// check asks one service. A side that answered the reconciler a moment ago is not asked,
// so that the time of its answer is not the present.
func (s *Server) check(ctx context.Context, name string, ask func(context.Context) error, answered *lastAnswer) checkResult {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	began := time.Now()
	err := fault.Guard(func() error { return ask(ctx) })
	if err == nil || errors.Is(err, fault.Denied) {
		answered.at = s.o.Now()
	}
	at := answered.at
	if s.o.Answered != nil && name != "database" {
		at = s.o.Answered(name)
	}
	result := checkResult{Status: healthy, ResponseTime: time.Since(began).Milliseconds(), LastCheck: report.Time(at)}
	if err != nil {
		text := publicError(err)
		result.Status, result.Error, result.denied = unhealthy, &text, errors.Is(err, fault.Denied)
	}
	return result
}

// publicError says what is wrong in words that are the same for everybody.
func publicError(err error) string {
	switch {
	case errors.Is(err, fault.Denied):
		return "the credential was refused"
	case errors.Is(err, fault.Throttled):
		return "it asks us to slow down"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, fault.Malformed):
		return "the answer was not what is documented"
	}
	return "it cannot be reached, or answers with an error"
}

// services are all checks, made at the same time.
func (s *Server) services(ctx context.Context) map[string]checkResult {
	results := make(map[string]checkResult, len(s.checks))
	var mu sync.Mutex // guards results
	var wg sync.WaitGroup
	for name, c := range s.checks {
		wg.Go(func() {
			_ = fault.Guard(func() error { // what it asks is guarded in check, so that this never counts
				r := c.get(ctx)
				mu.Lock()
				defer mu.Unlock()
				results[name] = r
				return nil
			})
		})
	}
	wg.Wait()
	return results
}

// readHealth makes the whole answer. Without the database nothing can be done, and a
// side that refuses our credential waits for a person, who is to be called:
// unhealthy. A side in trouble or a run that failed: degraded, since that passes.
// Webhooks are stored and the admin API answers all the same, so a balancer asks
// readyz, which knows nothing of the sides.
func (s *Server) readHealth(ctx context.Context) healthDocument {
	d := healthDocument{Status: healthy, Version: s.o.Version, Services: s.services(ctx)}
	for name, r := range d.Services {
		switch {
		case r.Status == healthy:
		case name == "database", r.denied:
			d.Status = unhealthy
		case d.Status == healthy:
			d.Status = degraded
		}
	}
	if d.Services["database"].Status != healthy {
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	if err := s.addMetrics(ctx, &d); err != nil {
		s.o.Log.WithError(err).Warn("health not measured")
		d.Status = unhealthy
	}
	return d
}

// addMetrics fills in what the database knows.
func (s *Server) addMetrics(ctx context.Context, d *healthDocument) error {
	totals, err := s.o.Overview.Totals(ctx, s.o.Now())
	if err != nil {
		return err
	}
	_, failed, err := s.o.Overview.FailedWebhooks(ctx, 1)
	if err != nil {
		return err
	}
	runs, err := s.o.History.Runs(ctx, recentRuns)
	if err != nil {
		return err
	}
	d.Metrics = healthMetrics{TotalSubscriptions: totals.Subscriptions, ActiveSubscriptions: totals.Active, FailedWebhooks: failed}
	since := s.o.Now().Add(-recent)
	for i := range runs {
		if runs[i].Error != "" && runs[i].Started.After(since) {
			d.Metrics.RecentErrors++
		}
	}
	if len(runs) > 0 {
		d.LastRun = lastRunOf(runs[0])
	}
	if last := lastFinished(runs); last != nil {
		d.Status = worse(d.Status, afterRun(*last))
	}
	return nil
}

// afterRun is the status that a finished run leaves behind. A run that was refused,
// because this is not the account, the panel or the time we know, waits for a
// person like a refused credential; one that only gives, or that leaves somebody's
// order to a person, like a failed one, is degraded.
func afterRun(r reconcile.RunRecord) string {
	switch {
	case r.Error != "" && len(r.Gates) > 0:
		return unhealthy
	case r.Error != "" || len(r.Gates) > 0 || r.Orders > 0:
		return degraded
	}
	return healthy
}

func worse(a, b string) string {
	for _, s := range []string{unhealthy, degraded} {
		if a == s || b == s {
			return s
		}
	}
	return healthy
}

// lastFinished is the newest run that has ended.
func lastFinished(runs []reconcile.RunRecord) *reconcile.RunRecord {
	for i := range runs {
		if !runs[i].Finished.IsZero() {
			return &runs[i]
		}
	}
	return nil
}

func lastRunOf(r reconcile.RunRecord) *lastRun {
	return &lastRun{ID: r.ID, Trigger: r.Trigger, Mode: r.Mode, StartedAt: report.Time(r.Started), FinishedAt: report.Time(r.Finished),
		Result: resultOf(r), Applied: r.Applied, Failed: r.Failed, Held: r.Held, Gates: len(r.Gates), Converged: r.Converged, OrdersHeld: r.Orders}
}

func resultOf(r reconcile.RunRecord) string {
	switch {
	case r.Finished.IsZero():
		return "running"
	case r.Error != "":
		return "failed"
	}
	return "ok"
}

func (s *Server) answerHealth(w http.ResponseWriter, r *http.Request) {
	d := s.health.get(r.Context())
	d.Timestamp = formatTime(s.o.Now())
	d.Uptime = time.Since(s.began).Milliseconds()
	d.Leader = s.o.Loop.Leading()
	status := http.StatusOK
	if d.Status == unhealthy {
		status = http.StatusServiceUnavailable
	}
	respond(w, status, d)
}

type readiness struct {
	Status string `json:"status"` // ok, or why not
}

// alive asks nobody: a program that is restarted because Stripe is down, or its
// database, comes back to the same trouble and has lost its place.
func (s *Server) alive(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, readiness{"ok"})
}

// ready tells a load balancer whether requests can be answered: the database is
// there, and the service is not on its way out.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.isLeaving():
		respond(w, http.StatusServiceUnavailable, readiness{"stopping"})
	case s.pinged.get(r.Context()) != nil:
		respond(w, http.StatusServiceUnavailable, readiness{"the database does not answer"})
	default:
		respond(w, http.StatusOK, readiness{"ok"})
	}
}

// formatTime is a time in every answer: RFC 3339 in UTC.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// root is for people who type the address into a browser.
func (s *Server) root(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("stripe-enhance is running.\n\n" +
		"  /api/health         how it is doing\n" +
		"  /api/openapi.json   the API, described\n"))
}
