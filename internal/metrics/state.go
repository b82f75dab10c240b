package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// State has the totals of the database at a moment.
type State struct {
	Due       int
	OldestDue time.Time // zero: no customer is due
	// Webhooks counts the webhooks whose subscription is not served yet, up to 1,000, and
	// OldestWebhook is when the oldest of them came; zero: there is none.
	Webhooks      int
	OldestWebhook time.Time
	Parked        int
	Ambiguous     int
	Customers     int
	Bound         int
	Active        int
	Suspended     int
	DatabaseBytes int64
	// Orders are paid for and wait for a person.
	Orders int
	// LastRun is when the last run over all customers ended without an error, whichever
	// process it was in; zero: there was none.
	LastRun time.Time
	// Holds by kind. A kind that was reported once stays, at 0.
	Holds map[string]int
}

// Sources are read at each scrape. All are required.
type Sources struct {
	State func(context.Context) (State, error)
	// Rates are the requests a second in force, by side.
	Rates map[string]func() float64
	// Granted are the requests that were let through since the start, by side and class.
	Granted map[string]map[string]func() float64
	// Open returns, by side, why requests do not reach the side at present; nil: they do.
	Open map[string]func() error
	// Expires returns, by side, when its certificate expires; zero: it has shown none.
	Expires map[string]func() time.Time
	// Leading reports whether this process is the writer.
	Leading func() bool
	// Room is how many bytes are left on the disk of the database; nil, or false: not known.
	Room func() (int64, bool)
	Now  func() time.Time
}

// scrapeLimit bounds the reading of the state, because Prometheus gives up a scrape that
// waits longer.
const scrapeLimit = 5 * time.Second

// Watch adds the metrics that are read at each scrape.
func (m *Metrics) Watch(s Sources) { m.registry.MustRegister(newState(s)) }

type state struct {
	Sources
	rate, granted, open, expires, leading, due, oldest, webhooks, oldestWebhook, parked, ambiguous, holds, orders, ran, room, stored, bytes, up *prometheus.Desc
}

func newState(s Sources) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &state{Sources: s,
		rate:          desc("request_rate", "Requests a second that are allowed at present, by side; falls on 429 and climbs back.", "side"),
		granted:       desc("requests_granted_total", "Requests that were let through, by side and class: urgent ones go first.", "side", "class"),
		open:          desc("breaker_open", "1 while no call goes to a side because its calls failed, or no write because it refused the credential.", "side"),
		expires:       desc("certificate_expiry_timestamp_seconds", "When the certificate expires that a side showed last (stripe, enhance, database), or one that it rests on; without a series for a side without TLS.", "side"),
		leading:       desc("lease_held", "1 while this process is the writer."),
		due:           desc("queue_due", "Customers that are due."),
		oldest:        desc("queue_oldest_seconds", "For how long the longest due customer has been due."),
		webhooks:      desc("webhooks_waiting", "Webhooks whose subscription is not served yet, counted up to 1000."),
		oldestWebhook: desc("webhooks_oldest_seconds", "For how long the oldest of them waits."),
		parked:        desc("parked", "Customers set aside after repeated failures."),
		ambiguous:     desc("ambiguous", "Actions that were sent without an answer and whose outcome is not known yet."),
		holds:         desc("holds", "Holds at present, by kind.", "kind"),
		orders:        desc("orders_held", "Orders that are paid for and wait for a person."),
		ran:           desc("last_run_timestamp_seconds", "When the last run over all customers ended without an error, in whichever process; 0: none has."),
		room:          desc("database_free_bytes", "Bytes left on the disk of the SQLite file; without a series with PostgreSQL."),
		stored:        desc("stored", "Rows in the database, by kind: customers, active, bound, suspended.", "what"),
		bytes:         desc("database_bytes", "Size of the database, with its indexes and the space that is free in it."),
		up:            desc("state_up", "0 when the database could not be read for this scrape; the metrics that depend on it are missing then."),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.rate, s.granted, s.open, s.expires, s.leading, s.due, s.oldest, s.webhooks, s.oldestWebhook, s.parked, s.ambiguous, s.holds, s.orders, s.ran, s.room, s.stored, s.bytes, s.up} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	// The registry collects in goroutines of its own, which have no guard.
	if err := fault.Guard(func() error { s.collect(ch); return nil }); err != nil {
		ch <- prometheus.NewInvalidMetric(s.up, err)
	}
}

func (s *state) collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for side, rate := range s.Rates {
		gauge(s.rate, rate(), side)
	}
	for side, classes := range s.Granted {
		for class, n := range classes {
			ch <- prometheus.MustNewConstMetric(s.granted, prometheus.CounterValue, n(), side, class)
		}
	}
	for side, why := range s.Open {
		gauge(s.open, one(why() != nil), side)
	}
	for side, when := range s.Expires {
		if at := when(); !at.IsZero() {
			gauge(s.expires, seconds(at), side)
		}
	}
	gauge(s.leading, one(s.Leading()))
	if s.Room != nil {
		if left, known := s.Room(); known {
			gauge(s.room, float64(left))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	st, err := s.State(ctx)
	gauge(s.up, one(err == nil))
	if err != nil {
		return
	}
	gauge(s.due, float64(st.Due))
	gauge(s.oldest, s.age(st.OldestDue))
	gauge(s.webhooks, float64(st.Webhooks))
	gauge(s.oldestWebhook, s.age(st.OldestWebhook))
	gauge(s.parked, float64(st.Parked))
	gauge(s.ambiguous, float64(st.Ambiguous))
	gauge(s.orders, float64(st.Orders))
	gauge(s.ran, seconds(st.LastRun))
	gauge(s.bytes, float64(st.DatabaseBytes))
	for kind, n := range st.Holds {
		gauge(s.holds, float64(n), kind)
	}
	for what, n := range map[string]int{"customers": st.Customers, "active": st.Active, "bound": st.Bound, "suspended": st.Suspended} {
		gauge(s.stored, float64(n), what)
	}
}

// age is how long ago something was, in seconds; 0 if it is not known or still to come.
func (s *state) age(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, s.Now().Sub(at).Seconds())
}

// seconds is an instant as Prometheus has it; 0 if it is not known.
func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
