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
	// checkAge is how old a check of a side may be: at most four requests a minute to
	// each, however often a monitor asks.
	checkAge = 15 * time.Second
	// checkLimit is how long a side may take to answer a check.
	checkLimit = 5 * time.Second
	// recent is how far back failed runs count as recent errors.
	recent = time.Hour
	// recentRuns is how many runs are looked through for those.
	recentRuns = 100
)

// The status of one service, or of all.
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

// lastRun has the outcome of the last run, and no details, because health needs no key.
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
	// Gates counts the evidence gates that failed. If any did, nothing is taken away until
	// a person has looked; if the run failed as well, nothing at all was done.
	Gates int `json:"gates"`
	// Converged reports that nothing was left to do, to approve or to doubt; null: the run
	// has not ended, or an earlier version did it. Result only reports how the run ended.
	Converged *bool `json:"converged"`
	// OrdersHeld counts the subscriptions that are paid for and get no hosting before a
	// person acts.
	OrdersHeld int `json:"ordersHeld"`
}

// checkResult is one service as last seen.
type checkResult struct {
	Status       string `json:"status"`
	ResponseTime int64  `json:"responseTime"` // ms
	// LastCheck is when the service last answered a request of this process; null: it
	// never has. If there is an error, it is older than the attempt that failed.
	LastCheck *string `json:"lastCheck"`
	// Error is one of a few fixed sentences, because the error itself may quote an address
	// or an answer of the other side, and health needs no key. null: there is none.
	Error *string `json:"error"`

	denied   bool // the service refused the credential
	answered time.Time
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
		answered := &lastAnswer{} // of this service; the lock of cached guards it
		s.checks[name] = newCached(age, func(ctx context.Context) checkResult { return s.check(ctx, name, ask, answered) })
	}
	s.risk = newCached(riskAge, s.readRisk)
}

// lastAnswer is when a service last answered a request of health itself.
type lastAnswer struct{ at time.Time }

// check asks one service. If a side answered the reconciler a moment ago, it is not asked,
// and LastCheck is the time of that answer and not the present.
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
	result := checkResult{Status: healthy, ResponseTime: time.Since(began).Milliseconds(), LastCheck: report.Time(at), answered: at}
	if err != nil {
		text := publicError(err)
		result.Status, result.Error, result.denied = unhealthy, &text, errors.Is(err, fault.Denied)
	}
	return result
}

// publicError describes an error in a fixed sentence, which discloses nothing.
func publicError(err error) string {
	switch {
	case errors.Is(err, fault.Denied):
		return "the credential was refused"
	case errors.Is(err, fault.Throttled):
		return "it asks for fewer requests"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, fault.Malformed):
		return "the answer was not the documented one"
	}
	return "it cannot be reached, or answers with an error"
}

// services does all checks at the same time.
func (s *Server) services(ctx context.Context) map[string]checkResult {
	results := make(map[string]checkResult, len(s.checks))
	var mu sync.Mutex // guards results
	var wg sync.WaitGroup
	for name, c := range s.checks {
		wg.Go(func() {
			_ = fault.Guard(func() error { // check has a guard of its own, so this one is never needed
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

// readHealth makes the whole answer. It is unhealthy if the database does not answer,
// because then nothing works, or if a side refuses the credential, because a person has to
// act. It is degraded if a side is in trouble or a run has failed, because that passes:
// webhooks are still stored and the admin API still answers. A balancer asks readyz, which
// does not look at the sides.
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

// addMetrics adds the numbers and the last run, which are in the database.
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

// afterRun is the status that a finished run leaves behind. If a run was refused, because
// the account, the panel or the clock is another, a person has to act, as after a refused
// credential: unhealthy. If a run failed, took nothing away, or held an order for a
// person: degraded.
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

// lastFinished returns the newest run that has ended.
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

// alive makes no request. If a supervisor restarted the program because Stripe or the
// database is down, the program would meet the same trouble, and would have lost its place.
func (s *Server) alive(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, readiness{"ok"})
}

// ready reports to a load balancer whether requests can be answered: the database answers,
// and the service is not stopping.
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

// formatTime formats the times of answers: RFC 3339 in UTC.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// root is for people who type the address into a browser.
func (s *Server) root(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("stripe-enhance is running.\n\n" +
		"  /api/health         its health\n" +
		"  /api/openapi.json   the API, described\n"))
}
