package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// connections is how many Stripe uses in this test.
const connections = 64

// process is the program as a process of its own.
type process struct {
	cmd  *exec.Cmd
	url  string
	said *logtest.Buffer
}

// startProcess runs a command of this test binary that prints where it serves.
func startProcess(tb testing.TB, environ []string, name string, args ...string) *process {
	tb.Helper()
	p := &process{cmd: exec.Command(name, args...), said: &logtest.Buffer{}}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir()}, environ...)
	p.cmd.Dir = tb.TempDir() // there is no .env
	p.cmd.Stderr = p.said
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.kill)
	untilSo(tb, name+" listens", func() bool {
		m := servingOn.FindStringSubmatch(p.said.String())
		if m != nil {
			p.url = m[1]
		}
		return m != nil
	})
	return p
}

// kill ends it in the middle of whatever it does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// cpu is the CPU time that it has used, to 10 ms; 0 where the system does not have it in
// /proc.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name may have spaces
	ticks := 0
	for _, field := range strings.Fields(after)[11:13] { // utime and stime
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// onlyVerifies is what the service is measured against: a receiver that checks
// the signature in the same way, and forgets the event.
func onlyVerifies() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	secrets := []secret.Text{secret.New(hookSecret), secret.New(hookSecret2)}
	fmt.Fprintf(os.Stderr, "serving on http://%s\n", listener.Addr())
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			_, err = stripe.VerifyWebhook(body, r.Header.Get("Stripe-Signature"), secrets, time.Now())
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"received":true}`+"\n")
	})))
}

// company is what a service process works with: simulators, a database, and a
// few customers.
type company struct {
	world    *simulator.World
	database string
	environ  []string
	subs     []string
	store    *store.Store // see look
}

func newCompany(tb testing.TB, database string) *company {
	tb.Helper()
	c := &company{database: database, world: simulator.New(simulator.Options{Calm: true, Follow: time.Now, StripeKey: "sk_test_" + canary, EnhanceToken: canary + "enhance"})}
	c.world.Offer()
	servers, err := c.world.Listen(context.Background(), "", "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = servers.Close() })
	for i := range 20 {
		done, err := c.world.SignUp(simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Name: "C", Price: "price_basic_monthly"})
		if err != nil {
			tb.Fatal(err)
		}
		c.subs = append(c.subs, done.Subscription)
	}
	c.environ = []string{
		"STRIPE_API_URL=" + servers.StripeURL, "STRIPE_SECRET_KEY=" + c.world.StripeKey(), "STRIPE_WEBHOOK_SECRET=" + hookSecret,
		"ENHANCE_API_URL=" + servers.EnhanceURL, "ENHANCE_API_TOKEN=" + c.world.EnhanceToken(), "ENHANCE_ORG_ID=" + c.world.OrgID(),
		"DATABASE_URL=" + database, "ADMIN_API_KEY=" + adminKey, "LISTEN_ADDR=127.0.0.1:0",
		"STRIPE_RPS=1000", "ENHANCE_RPS=1000", "POLL_SCHEDULE=" + neverDue, "FULL_SCHEDULE=" + neverDue, "LEASE_TTL=3s",
	}
	return c
}

func (c *company) serve(tb testing.TB) *process {
	tb.Helper()
	return startProcess(tb, c.environ, "stripe-enhance", "serve")
}

// look opens the database from outside, whether the process lives or not.
func (c *company) look(tb testing.TB) *store.Store {
	tb.Helper()
	if c.store == nil {
		var err error
		if c.store, err = store.Open(context.Background(), store.Options{URL: secret.New(c.database)}); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.store.Close() })
	}
	return c.store
}

func (c *company) webhooks(tb testing.TB) []reconcile.WebhookRecord {
	tb.Helper()
	all, err := c.look(tb).RecentWebhooks(context.Background(), 1<<30)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// known are the ids of all stored events.
func (c *company) known(tb testing.TB) map[string]bool {
	tb.Helper()
	ids := map[string]bool{}
	for _, w := range c.webhooks(tb) {
		ids[w.EventID] = true
	}
	return ids
}

func (c *company) runs(tb testing.TB) []reconcile.RunRecord {
	tb.Helper()
	runs, err := c.look(tb).Runs(context.Background(), 10_000)
	if err != nil {
		tb.Fatal(err)
	}
	return runs
}

// burst are events that arrive together.
type burst struct {
	client *http.Client
	bodies []string

	next     atomic.Int64
	answered atomic.Int64 // with 200

	mu      sync.Mutex // guards both
	good    []bool     // by event: answered with 200
	latency []time.Duration
}

func newBurst(n int, subs []string) *burst {
	b := &burst{good: make([]bool, n), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}}
	for i := range n {
		b.bodies = append(b.bodies, subscriptionEvent(b.id(i), subs[i%len(subs)]))
	}
	return b
}

func (b *burst) id(i int) string { return fmt.Sprintf("evt_burst%06d", i) }

// fire sends the events that have no 200 yet, from all connections, and returns when each
// was tried once.
func (b *burst) fire(url string) {
	b.next.Store(0)
	var senders sync.WaitGroup
	for range connections {
		senders.Go(func() {
			for {
				i := int(b.next.Add(1)) - 1
				if i >= len(b.bodies) {
					return
				}
				b.send(url, i)
			}
		})
	}
	senders.Wait()
	b.client.CloseIdleConnections()
}

func (b *burst) send(url string, i int) {
	b.mu.Lock()
	done := b.good[i]
	b.mu.Unlock()
	if done {
		return
	}
	r, err := http.NewRequest(http.MethodPost, url+"/api/webhook", bytes.NewReader([]byte(b.bodies[i])))
	if err != nil {
		panic(err) // the address was served on a moment ago
	}
	r.Header.Set("Stripe-Signature", simulator.SignWebhook([]byte(b.bodies[i]), hookSecret, time.Now()))
	began := time.Now()
	res, err := b.client.Do(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return
	}
	took := time.Since(began)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.good[i] = true
	b.latency = append(b.latency, took)
	b.answered.Add(1)
}

// quantile is the latency that this share of the answers stayed below.
func (b *burst) quantile(q float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.latency)
	return b.latency[int(q*float64(len(b.latency)-1))]
}

// burstSize is 1,500 in the usual tests, and BURST if that is set.
func burstSize() int {
	if n, err := strconv.Atoi(os.Getenv("BURST")); err == nil && n > 0 {
		return n
	}
	return 1500
}

// The test fails if a webhook is answered before the commit.
func TestNoAnsweredWebhookIsLostWhenTheProcessIsKilledInABurst(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, url string) {
		c := newCompany(t, url)
		b := newBurst(burstSize(), c.subs)
		first := c.serve(t)
		began := time.Now()
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			for b.answered.Load() < int64(len(b.bodies)/2) && int(b.next.Load()) < len(b.bodies) {
				time.Sleep(time.Millisecond)
			}
			first.kill()
		}()
		b.fire(first.url)
		<-killed
		fired := time.Since(began)
		half := int(b.answered.Load())
		if half == 0 || half == len(b.bodies) {
			t.Fatalf("%d of %d were answered before the kill; it was to come in the middle", half, len(b.bodies))
		}
		b.lost(t, c, "right after the kill")

		second := c.serve(t)
		b.lost(t, c, "after the restart")
		began = time.Now()
		b.fire(second.url) // Stripe repeats the events that have no answer
		if n := int(b.answered.Load()); n != len(b.bodies) {
			t.Errorf("%d of %d answered in the end", n, len(b.bodies))
		}
		fired += time.Since(began)
		b.lost(t, c, "in the end")
		if n := len(c.known(t)); n != len(b.bodies) {
			t.Errorf("%d events stored, want %d", n, len(b.bodies))
		}
		b.duplicate(t, second.url)
		untilSo(t, "all events are followed by a run", func() bool { return c.unfollowed(t) == 0 })
		// For each of the two processes: its first run, one at the first nudge, then
		// no more than one a second, and one for what came last.
		runs, most := c.runs(t), 2*3+int(fired/time.Second)
		if len(runs) > most {
			t.Errorf("%d runs for a burst of %s, coalescing needs %d at most", len(runs), fired, most)
		}
		t.Logf("%d runs for %d events", len(runs), len(b.bodies))
	})
}

// lost fails the test for each event that was answered and is not stored.
func (b *burst) lost(t *testing.T, c *company, when string) {
	t.Helper()
	known, lost := c.known(t), 0
	for i, good := range b.good {
		if good && !known[b.id(i)] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%s: %d of %d answered events are lost", when, lost, b.answered.Load())
	}
}

// duplicate sends a few again.
func (b *burst) duplicate(t *testing.T, url string) {
	t.Helper()
	s := &service{tb: t, url: url}
	for i := 0; i < len(b.bodies); i += len(b.bodies)/5 + 1 {
		if got, want := s.hook(b.bodies[i]), `{"received":true,"message":"Event already processed"}`+"\n"; got.status != 200 || got.body != want {
			t.Errorf("event %d again: %d %s", i, got.status, got.body)
		}
	}
}

// unfollowed counts the events that no run has followed yet. It reads none of them, because
// the program is at work meanwhile.
func (c *company) unfollowed(tb testing.TB) (n int) {
	tb.Helper()
	onDatabase(tb, c.database, func(db *sql.DB) error {
		return db.QueryRow("SELECT count(*) FROM webhook_logs WHERE state = 'received'").Scan(&n)
	})
	return n
}

// BenchmarkWebhookBurst sends 10,000 signed webhooks from 64 connections to the program, and
// the same to a receiver that only verifies, both as processes of their own. It gives the
// ratio of what the two accept in a second (of-verify), the two p99 and their ratio, the CPU
// time that each takes for a webhook, the time after the last of them until all are followed,
// and the runs that came of it.
func BenchmarkWebhookBurst(b *testing.B) {
	for name, database := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(b.TempDir(), "state.db") },
		"postgres": func() string { return pgtest.Empty(b) },
	} {
		b.Run(name, func(b *testing.B) {
			var verifies, stores measured
			var followed time.Duration
			runs := 0
			for range b.N {
				c := newCompany(b, database())
				alone := startProcess(b, nil, "only-verifies")
				verifies.add(b, newBurst(10_000, c.subs), alone)
				alone.kill()

				served := c.serve(b)
				untilSo(b, "the first run has ended", func() bool { runs := c.runs(b); return len(runs) > 0 && !runs[0].Finished.IsZero() })
				before := len(c.runs(b))
				stores.add(b, newBurst(10_000, c.subs), served)
				began := time.Now()
				untilSo(b, "all are followed", func() bool { return c.unfollowed(b) == 0 })
				followed += time.Since(began)
				runs += len(c.runs(b)) - before
				served.kill()
			}
			n := float64(b.N)
			b.ReportMetric(10_000*n/stores.took.Seconds(), "webhooks/s")
			b.ReportMetric(float64(verifies.took)/float64(stores.took), "of-verify")
			b.ReportMetric(stores.p50/n, "p50-ms")
			b.ReportMetric(stores.p99/n, "p99-ms")
			b.ReportMetric(verifies.p99/n, "verify-p99-ms")
			b.ReportMetric(stores.p99/verifies.p99, "p99-ratio")
			b.ReportMetric(float64(stores.cpu.Microseconds())/10_000/n, "cpu-us")
			b.ReportMetric(float64(verifies.cpu.Microseconds())/10_000/n, "verify-cpu-us")
			b.ReportMetric(float64(followed.Milliseconds())/n, "followed-ms")
			b.ReportMetric(float64(runs)/n, "runs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// measured is the sum over bursts.
type measured struct {
	took, cpu time.Duration
	p50, p99  float64 // in milliseconds
}

// add fires a burst at a process, which must accept it all.
func (m *measured) add(b *testing.B, sent *burst, p *process) {
	b.Helper()
	began, before := time.Now(), p.cpu()
	sent.fire(p.url)
	m.took += time.Since(began)
	m.cpu += p.cpu() - before
	if n := sent.answered.Load(); n != int64(len(sent.bodies)) {
		b.Fatalf("%d of %d answered: %s", n, len(sent.bodies), lastLines(p.said.String()))
	}
	millis := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	m.p50 += millis(sent.quantile(.5))
	m.p99 += millis(sent.quantile(.99))
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
