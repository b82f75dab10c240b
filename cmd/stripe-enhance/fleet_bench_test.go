//go:build unix

package main

import (
	"bytes"
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// benchmarked is the program that the benchmarks of whole processes measure: the file that
// PROGRAM names, which may be of another version, or this version built anew.
func benchmarked(b *testing.B) string {
	b.Helper()
	if path := os.Getenv("PROGRAM"); path != "" {
		return path
	}
	path := filepath.Join(b.TempDir(), "stripe-enhance")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return path
}

// onEmpty runs a benchmark on an empty database of each kind.
func onEmpty(b *testing.B, name string, do func(b *testing.B, database string)) {
	b.Helper()
	b.Run("sqlite/"+name, func(b *testing.B) { do(b, "sqlite:"+filepath.Join(b.TempDir(), "state.db")) })
	b.Run("postgres/"+name, func(b *testing.B) { do(b, pgtest.Empty(b)) })
}

// BenchmarkFleetRun measures the first full run of an account, and a second one that finds
// nothing changed, each as a process of its own. Most of the account is not for sale: prices
// without a mapping. "bound" is the time that the rate alone needs for the pages; 0: no rate.
// PROGRAM=FILE measures another version, CONC=N makes CONCURRENCY N:
//
//	go test ./cmd/stripe-enhance -run '^$' -bench 'FleetRun/(sqlite|postgres)/peer' -benchtime 1x
func BenchmarkFleetRun(b *testing.B) {
	for _, c := range []struct {
		name    string
		size    int
		sold    int
		rate    int // requests a second to Stripe
		latency time.Duration
	}{
		{name: "peer", size: 10_000, sold: 30, rate: 1000, latency: 50 * time.Millisecond},
		{name: "rate", size: 100_000, sold: 200, rate: 20, latency: 50 * time.Millisecond},
		{name: "cpu", size: 100_000, rate: 1000},
		{name: "million", size: 1_000_000, rate: 1000},
	} {
		onEmpty(b, c.name, func(b *testing.B, database string) {
			world := simulator.New(simulator.Options{Calm: true, Follow: time.Now, Latency: c.latency})
			s := newSiteIn(b, world, database, "STRIPE_RPS="+strconv.Itoa(c.rate), "CONCURRENCY="+cmp.Or(os.Getenv("CONC"), "8"), "BRAKE_CREATE=100000", "LEASE_TTL=60s", "LOG_LEVEL=WARN")
			s.binary = benchmarked(b)
			world.Populate(c.size-c.sold, simulator.Mix{Plain: true, Statuses: map[string]int{"active": 1}})
			price := world.AddPrice("prod_basic", "for_sale", 900)
			for i := range c.sold {
				if _, err := world.SignUp(simulator.SignUp{Email: fmt.Sprintf("buyer%d@example.com", i), Name: "Buyer", Price: price}); err != nil {
					b.Fatal(err)
				}
			}
			if _, talk, code := s.run("mappings", "set", price, "1"); code != 0 {
				b.Fatal(talk)
			}
			for b.Loop() {
				first := s.measured(b, "reconcile", "--full")
				if n := len(world.Hostings()); n != c.sold {
					b.Fatalf("%d hostings of %d", n, c.sold)
				}
				again := s.measured(b, "reconcile", "--full")
				per := func(u usage) float64 { return float64(u.cpu.Microseconds()) / float64(c.size) }
				b.ReportMetric(first.took.Seconds(), "first-s")
				b.ReportMetric(first.took.Seconds()/(float64(c.size)/100/float64(c.rate)), "first/bound")
				b.ReportMetric(again.took.Seconds(), "again-s")
				b.ReportMetric(per(first), "first-µs/sub")
				b.ReportMetric(per(again), "again-µs/sub")
				b.ReportMetric(max(first.peakMB, again.peakMB), "peak-MB")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// usage is the time, CPU, memory and disk of one process.
type usage struct {
	took, cpu         time.Duration
	toLive            time.Duration // of a service: until all had what they ordered
	peakMB, writtenKB float64
}

func usageOf(p *os.ProcessState, took time.Duration) usage {
	used, _ := p.SysUsage().(*syscall.Rusage)
	return usage{took: took, cpu: p.UserTime() + p.SystemTime(), writtenKB: float64(used.Oublock) / 2}
}

// measured does one command, which may leave something to a person, and measures it.
func (s *site) measured(b *testing.B, args ...string) usage {
	b.Helper()
	var talk bytes.Buffer
	cmd := s.command(b.Context(), nil, args...)
	cmd.Stderr = &talk
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var watching sync.WaitGroup
	ended, peak := make(chan struct{}), 0.0
	watching.Go(func() { peak = peakMemory(cmd.Process.Pid, ended) })
	err := cmd.Wait()
	took := time.Since(began)
	close(ended)
	watching.Wait()
	var exit *exec.ExitError
	if code := cmd.ProcessState.ExitCode(); err != nil && !errors.As(err, &exit) || code != exitOK && code != exitLeft {
		b.Fatalf("%v: %.2000s", err, talk.String())
	}
	u := usageOf(cmd.ProcessState, took)
	u.peakMB = peak
	return u
}

// peakMemory is the largest resident size of a process, in MB. It looks every 20 ms: what
// wait4 knows begins with the size of the process that started it.
func peakMemory(pid int, ended <-chan struct{}) (peak float64) {
	for {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, after, found := strings.Cut(string(text), "VmHWM:"); found {
			var kb float64
			_, _ = fmt.Sscan(after, &kb)
			peak = max(peak, kb/1024)
		}
		select {
		case <-ended:
			return peak
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// BenchmarkNewCustomer measures the costs of a new customer, from the order to hosting and
// invitation, as the average of many: by one run for all of them ("run"), and by a service
// that a webhook wakes for each, eight at a time ("flow"). The costs of an idle run, or an
// idle service, are subtracted. The costs are those of the program's process, and on
// PostgreSQL its commits. fsyncs are counted if perf is there and may count them.
//
//	go test ./cmd/stripe-enhance -run '^$' -bench NewCustomer -benchtime 1x
func BenchmarkNewCustomer(b *testing.B) {
	const customers = 300
	prepared := func(b *testing.B, database string, settings ...string) *site {
		s := newSite(b, database, append(settings, "BRAKE_CREATE=100000", "LOG_LEVEL=WARN")...)
		s.binary = benchmarked(b)
		s.mapPrices()
		s.signUp("before")
		s.measured(b, "reconcile")
		return s
	}
	onEmpty(b, "run", func(b *testing.B, database string) {
		s := prepared(b, database)
		idle := s.costs(b, database, func() usage { return s.measured(b, "reconcile") })
		s.signUp(several("new", customers)...)
		all := s.costs(b, database, func() usage { return s.measured(b, "reconcile") })
		s.report(b, customers, all, idle)
	})
	onEmpty(b, "flow", func(b *testing.B, database string) {
		s := prepared(b, database, "STRIPE_WEBHOOK_SECRET="+hookSecret, "POLL_SCHEDULE="+neverDue, "FULL_SCHEDULE="+neverDue)
		serve := func(orders []string) usage { return s.served(b, orders) }
		idle := s.costs(b, database, func() usage { return serve(nil) })
		orders := s.signUp(several("new", customers)...)
		all := s.costs(b, database, func() usage { return serve(orders) })
		all.took = all.toLive
		s.report(b, customers, all, idle)
	})
}

// costs is the usage of a process, with its commits and fsyncs.
type costs struct {
	usage
	commits, fsyncs float64
}

func (s *site) report(b *testing.B, customers int, all, idle costs) {
	b.Helper()
	if n := len(s.world.Hostings()); n != customers+1 {
		b.Fatalf("%d hostings of %d", n, customers+1)
	}
	per := func(all, idle float64) float64 { return (all - idle) / float64(customers) }
	b.ReportMetric(per(all.cpu.Seconds(), idle.cpu.Seconds())*1000, "cpu-ms")
	b.ReportMetric(per(all.writtenKB, idle.writtenKB), "written-KB")
	b.ReportMetric(per(all.fsyncs, idle.fsyncs), "fsyncs")
	b.ReportMetric(per(all.commits, idle.commits), "commits")
	b.ReportMetric(float64(customers)/all.took.Seconds(), "customers/s")
	b.ReportMetric(0, "ns/op")
}

// costs measures a process.
func (s *site) costs(b *testing.B, database string, do func() usage) (c costs) {
	b.Helper()
	before := commits(b, database)
	counts := filepath.Join(b.TempDir(), "counts")
	if path, err := exec.LookPath("perf"); err == nil {
		s.under = []string{path, "stat", "-x,", "-e", "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync", "-o", counts, "--"}
		defer func() { s.under = nil }()
	}
	c.usage = do()
	c.commits = commits(b, database) - before
	text, _ := os.ReadFile(counts)
	for line := range strings.Lines(string(text)) {
		n, _ := strconv.ParseFloat(strings.Split(line, ",")[0], 64)
		c.fsyncs += n
	}
	return c
}

// commits is how many transactions a PostgreSQL database has committed so far. The server
// counts them a moment late.
func commits(b *testing.B, database string) (n float64) {
	b.Helper()
	if strings.HasPrefix(database, "sqlite:") {
		return 0
	}
	time.Sleep(2 * time.Second)
	db, err := sql.Open("pgx", database)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// served runs the service, sends the webhooks of these orders, and ends it once each of them
// has its invitation.
func (s *site) served(b *testing.B, orders []string) usage {
	b.Helper()
	r := s.begin("service").up()
	invited, began := len(s.world.Invites()), time.Now()
	var senders sync.WaitGroup
	next := make(chan string)
	for range 8 {
		senders.Go(func() {
			for order := range next {
				body := subscriptionEvent("evt_"+order, order)
				req, err := http.NewRequest(http.MethodPost, r.url+"/api/webhook", strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header.Set("Stripe-Signature", simulator.SignWebhook([]byte(body), hookSecret, time.Now()))
				resp, err := http.DefaultClient.Do(req)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("webhook: %v %v", resp, err)
					return
				}
				_ = resp.Body.Close()
			}
		})
	}
	for _, order := range orders {
		next <- order
	}
	close(next)
	senders.Wait()
	for len(s.world.Invites()) < invited+len(orders) && time.Since(began) < patience {
		time.Sleep(5 * time.Millisecond)
	}
	toLive := time.Since(began)
	time.Sleep(2 * time.Second) // what follows the invitation
	for _, pid := range processesOf(r.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	r.exit()
	u := usageOf(r.cmd.ProcessState, 0)
	u.toLive = toLive
	return u
}

// processesOf are the processes that a process has started, or itself if there are none.
func processesOf(pid int) (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(child); err == nil {
			pids = append(pids, n)
		}
	}
	if pids == nil {
		return []int{pid}
	}
	return pids
}
