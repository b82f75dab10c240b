package main

import (
	"bufio"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

// soakRuns is how many runs the service does in the soak: `make soak` wants more.
var soakRuns = flag.Int("runs", 600, "how many runs the soak asks for; on PostgreSQL a third of them")

const (
	// soakSlack is what goroutines and files may differ by for reasons that do not
	// grow: kept connections, a request under way. One leak in forty runs is more.
	soakSlack = 10
	// soakLong is from how many runs on memory is compared as well; before that the
	// collector has hardly begun.
	soakLong = 2000
	// heapSlack and pageCache are what memory may differ by, in MiB: where the
	// collector happens to be, and what SQLite's five connections keep of a database
	// that grows with its journal, each up to its cache_size of 16.
	heapSlack, pageCache = 8, 5 * 16
)

// The service gets a year of events: orders, failed and late payments, other plans,
// cancellations, webhooks, full sweeps, requests to its API. Its memory, goroutines and open
// files after all the runs are compared with those after a third of them.
//
// The test fails if a goroutine outlives its run, or if each run keeps a file open.
func TestTheServiceDoesNotGrowWithItsRuns(t *testing.T) {
	for _, test := range []struct {
		name     string
		database func(*testing.T) string
		runs     int
	}{
		{"sqlite", func(t *testing.T) string { return "sqlite:" + filepath.Join(memoryDir(t), "soak.db") }, *soakRuns},
		{"postgres", func(t *testing.T) string { return pgtest.Empty(t) }, *soakRuns / 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.database(t), "LEASE_TTL=30s", "LOG_LEVEL=ERROR", "GRACE_PERIOD=0", "BRAKE_SUSPEND=100000", "BRAKE_CHANGE_PLAN=100000",
				"BRAKE_CREATE=100000", "ADMIN_API_KEY="+testAdminKey, "STRIPE_WEBHOOK_SECRET="+testWebhookSecret)
			s.mapPrices()
			r := s.serve("service")
			writer(t, r)
			y := year{site: s, r: r, orders: s.signUp(several("customer", 30)...)}
			began, before := time.Now(), holding{}
			for n := 1; n <= test.runs; n++ {
				y.day(n)
				if step := test.runs / 3; n%max(step/3, 1) == 0 {
					h := r.holds()
					t.Logf("%6d runs asked for: %v, after %s", n, h, time.Since(began).Round(time.Second))
					if n == step/3*3 {
						before = h
					}
				}
			}
			r.calm(before).compare(t, before)
			if n := len(s.world.Effects()); n < test.runs/3 {
				t.Errorf("only %d things happened at Enhance in %d runs", n, test.runs)
			}
		})
	}
}

// year is the life of a company, one order a day.
type year struct {
	*site
	r      *replica
	orders []string
}

// day lets something happen to one order and has the service look at it.
func (y *year) day(n int) {
	y.tb.Helper()
	id := y.orders[n%len(y.orders)]
	order, _ := y.world.Subscription(id)
	err := error(nil)
	switch {
	case n%97 == 0 && order.Status == "active":
		err = y.world.Cancel(id)
	case order.Status == "canceled":
		y.orders[n%len(y.orders)] = y.signUp(fmt.Sprintf("newcomer%d", n))[0]
	case order.Status == "past_due":
		err = y.world.Pay(id)
	case n%2 == 0:
		err = y.world.FailPayment(id)
	case order.Items[0].Price == "price_basic_monthly":
		err = y.world.ChangePrice(id, "", "price_pro_monthly")
	default:
		err = y.world.ChangePrice(id, "", "price_basic_monthly")
	}
	if err != nil {
		y.tb.Fatal(err)
	}
	body := fmt.Sprintf(`{"subscriptionId":%q}`, y.orders[n%len(y.orders)])
	if n%100 == 0 {
		body = "{}"
	}
	if answer := y.post(y.r, "/api/admin/sync", body); !strings.Contains(answer, `"success":true`) {
		y.tb.Fatalf("run %d: %s", n, answer)
	}
	if n%20 == 0 {
		y.tellByWebhook(y.r)
		y.r.leads()
	}
}

// holding is what a process holds.
type holding struct {
	goroutines, files, runs int
	heap, resident          float64 // MiB
}

func (h holding) String() string {
	return fmt.Sprintf("%d runs, %d goroutines, %d open files and sockets, %.1f MiB in use on the heap, %.1f MiB resident",
		h.runs, h.goroutines, h.files, h.heap, h.resident)
}

// holds reads the service's own metrics, the least of a few readings: a request
// under way is no growth.
func (r *replica) holds() (least holding) {
	r.tb.Helper()
	for i := range 5 {
		h := r.scrape()
		if i == 0 {
			least = h
		}
		least.goroutines, least.files = min(least.goroutines, h.goroutines), min(least.files, h.files)
		least.heap, least.runs = min(least.heap, h.heap), h.runs
	}
	return least
}

// calm waits until the process holds about as much as before, or until it still holds more
// after a while: a run under way and connections that are kept for a minute go away, and a
// leak does not.
func (r *replica) calm(before holding) holding {
	r.tb.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	least := r.holds()
	for range 120 {
		if least.goroutines <= before.goroutines+soakSlack && least.files <= before.files+soakSlack {
			break
		}
		<-tick.C
		now := r.holds()
		now.goroutines, now.files = min(now.goroutines, least.goroutines), min(now.files, least.files)
		least = now
	}
	return least
}

func (r *replica) scrape() (h holding) {
	r.tb.Helper()
	answer, err := http.Get(r.url + "/metrics")
	if err != nil {
		r.tb.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		v, err := strconv.ParseFloat(text[strings.LastIndex(text, " ")+1:], 64)
		if err != nil {
			continue // a comment
		}
		const mega = 1 << 20
		switch name {
		case "go_goroutines":
			h.goroutines = int(v)
		case "process_open_fds":
			h.files = int(v)
		case "go_memstats_heap_alloc_bytes":
			h.heap = v / mega
		case "process_resident_memory_bytes":
			h.resident = v / mega
		case "stripe_enhance_runs_total":
			h.runs += int(v)
		}
	}
	if h.goroutines == 0 || h.runs == 0 {
		r.tb.Fatalf("the metrics do not say how many goroutines and runs there are: %+v", h)
	}
	return h
}

func (h holding) compare(t *testing.T, before holding) {
	t.Helper()
	if before.runs == 0 || h.runs < before.runs*2 {
		t.Errorf("%d runs were done, %d of them before the first reading", h.runs, before.runs)
	}
	if h.goroutines > before.goroutines+soakSlack {
		t.Errorf("%d goroutines after %d runs, %d after %d", h.goroutines, h.runs, before.goroutines, before.runs)
	}
	if h.files > before.files+soakSlack {
		t.Errorf("%d open files and sockets after %d runs, %d after %d", h.files, h.runs, before.files, before.runs)
	}
	if h.runs >= soakLong && h.heap > before.heap+heapSlack {
		t.Errorf("%.1f MiB in use on the heap after %d runs, %.1f after %d", h.heap, h.runs, before.heap, before.runs)
	}
	if h.runs >= soakLong && h.resident > before.resident+pageCache {
		t.Errorf("%.1f MiB resident after %d runs, %.1f after %d", h.resident, h.runs, before.resident, before.runs)
	}
}

// memoryDir is a directory that does not wait for a disk, where there is one.
func memoryDir(tb testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "stripe-enhance-soak-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
