// Package metrics counts runs, requests, actions and webhooks, for Prometheus.
//
// No label grows with the number of customers: labels are kinds, states, sides,
// routes with their ids replaced, and status codes. Totals at a moment (queue, holds,
// lease) are read when Prometheus scrapes, because nothing keeps them up to date.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const namespace = "stripe_enhance"

// The values of the label side.
const (
	Stripe  = "stripe"
	Enhance = "enhance"
	// Database is PostgreSQL, as far as it has a certificate.
	Database = "database"
)

// Metrics are all counters of one process. Methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	requests *prometheus.CounterVec
	actions  *prometheus.CounterVec
	webhooks *prometheus.CounterVec
	live     prometheus.Histogram
	drift    prometheus.Counter
	success  *prometheus.GaugeVec
	refused  prometheus.Counter
	gated    prometheus.Gauge
	used     *prometheus.GaugeVec
	limit    *prometheus.GaugeVec
}

// New makes metrics, including those of the process (memory, goroutines, descriptors).
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs:     counters("runs_total", "Runs of this process by result (ok, failed, interrupted) and trigger.", "result", "trigger"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "run_duration_seconds",
			Help: "How long runs took, by mode (full, incremental, targeted).", Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}}, []string{"mode"}),
		requests: counters("requests_total", "Requests sent, by side (stripe, enhance), route and status; code 0: there was no answer.", "side", "route", "code"),
		actions:  counters("actions_total", "Actions by kind and by their state after a run.", "kind", "state"),
		webhooks: counters("webhooks_total", "Webhooks by answer: accepted, duplicate, refused (400), failed (500).", "result"),
		live: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "paid_to_live_seconds",
			Help:    "Time from the creation of a subscription at Stripe until its hosting is live.",
			Buckets: []float64{.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 6 * 3600, 86400}}),
		drift: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "drift_found_total",
			Help: "Hostings that others had changed at Enhance."}),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "last_success_timestamp_seconds",
			Help: "When a side last answered a request with success."}, []string{"side"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "gates_failed_total",
			Help: "Evidence gates that failed: runs that took nothing away."}),
	}
	m.gated = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "gates_closed",
		Help: "Evidence gates that failed in the last run of this process; above 0 nothing is taken away."})
	m.used = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "seller_resource_used",
		Help: "How much the selling organisation uses of a resource, its customers included; read once an hour."}, []string{"resource"})
	m.limit = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "seller_resource_limit",
		Help: "How much its own provider gives the selling organisation of a resource; without a limit there is no series."}, []string{"resource"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "Always 1; the version is the label.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.runs, m.duration, m.requests, m.actions, m.webhooks, m.live, m.drift, m.success, m.refused, m.gated, m.used, m.limit, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, result := range []string{"accepted", "duplicate", "refused", "failed"} {
		m.webhooks.WithLabelValues(result) // a rate needs the series before its first event
	}
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Names lists every metric of the program itself, for the test that compares the
// documentation with them.
func (m *Metrics) Names() ([]string, error) {
	families, err := m.registry.Gather()
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	return names, err
}

// Request is called for every request to a side, with its route and status.
func (m *Metrics) Request(side string, now func() time.Time) func(route string, code int) {
	return func(route string, code int) {
		m.requests.WithLabelValues(side, route, strconv.Itoa(code)).Inc()
		if code >= http.StatusOK && code < http.StatusMultipleChoices {
			m.success.WithLabelValues(side).Set(float64(now().UnixMilli()) / 1000)
		}
	}
}

// Run counts a run. result is ok, failed or interrupted.
func (m *Metrics) Run(r reconcile.Report, result string) {
	m.count(r, result)
	m.refused.Add(float64(len(r.Run.Gates)))
	m.gated.Set(float64(len(r.Run.Gates)))
}

// Served counts a flow run. It shows nothing of the gates, which runs judge.
func (m *Metrics) Served(r reconcile.Report) { m.count(r, "ok") }

func (m *Metrics) count(r reconcile.Report, result string) {
	m.runs.WithLabelValues(result, r.Run.Trigger).Inc()
	if !r.Run.Finished.IsZero() && r.Run.Mode != "" {
		m.duration.WithLabelValues(r.Run.Mode).Observe(r.Run.Finished.Sub(r.Run.Started).Seconds())
	}
	for _, a := range r.Actions {
		m.actions.WithLabelValues(a.Kind.String(), a.State.String()).Inc()
	}
	for class, n := range r.Omitted.Actions {
		m.actions.WithLabelValues(class.Kind.String(), class.State.String()).Add(float64(n))
	}
}

// Live counts the time from a paid order to its hosting.
func (m *Metrics) Live(d time.Duration) { m.live.Observe(max(d, 0).Seconds()) }

// Drift counts a hosting that others had changed.
func (m *Metrics) Drift() { m.drift.Inc() }

// Webhook counts an answered webhook.
func (m *Metrics) Webhook(result string) { m.webhooks.WithLabelValues(result).Inc() }

// Quota sets how much the selling organisation uses of what its provider gives it.
func (m *Metrics) Quota(all []reconcile.Usage) {
	m.used.Reset()
	m.limit.Reset()
	for _, u := range all {
		m.used.WithLabelValues(u.Name).Set(float64(u.Used))
		if u.Total != nil {
			m.limit.WithLabelValues(u.Name).Set(float64(*u.Total))
		}
	}
}
