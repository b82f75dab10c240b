package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The credentials of services under test. Each contains the canary, which must
// not turn up anywhere.
const (
	hookSecret  = "whsec_" + canary + "0123456789abcdef"
	hookSecret2 = "whsec_" + canary + "second0123456789"
	adminKey    = canary + "-admin-key-0123456789abcdefghij"
	adminKey2   = canary + "-other-key-0123456789abcdefghij"
	supportKey  = canary + "-support-key-0123456789abcdefgh"
)

// neverDue is the thirtieth of February.
const neverDue = "0 0 30 2 *"

// service is the whole service in this process, on a socket, in front of the
// simulators: wired by the same code as the command.
type service struct {
	tb    testing.TB
	world *simulator.World
	app   *app.App
	url   string
	said  *logtest.Buffer // log and talk
	stop  func()
	begin func()
	ended chan error
	plans map[string]int
	// broken: the test has taken something away that the service ends badly without.
	broken atomic.Bool
}

// serving is how a service may differ from the usual one.
type serving struct {
	world    simulator.Options
	database string        // "": SQLite in the test's directory
	environ  []string      // over the usual one
	ahead    time.Duration // how far the program's clock is ahead
	// prepare is called before the service starts, with the prices mapped.
	prepare func(*service)
}

// serveHere starts a service, with schedules that never come, and waits for its
// first run to end.
func serveHere(tb testing.TB, o serving) *service {
	tb.Helper()
	s := newService(tb, o)
	s.begin()
	s.settle()
	return s
}

// newService puts a service together and starts nothing.
func newService(tb testing.TB, o serving) *service {
	tb.Helper()
	o.world.Follow = time.Now
	o.world.Calm = true
	o.world.StripeKey, o.world.EnhanceToken = "sk_test_"+canary+"stripe", canary+"enhance"
	s := &service{tb: tb, world: simulator.New(o.world), said: &logtest.Buffer{}, ended: make(chan error, 1)}
	s.plans = s.world.Offer()
	servers, err := s.world.Listen(context.Background(), "", "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = servers.Close() })
	if o.database == "" {
		o.database = "sqlite:" + filepath.Join(tb.TempDir(), "state.db")
	}
	environ := append([]string{
		"STRIPE_API_URL=" + servers.StripeURL, "STRIPE_SECRET_KEY=" + s.world.StripeKey(), "STRIPE_WEBHOOK_SECRET=" + hookSecret + "," + hookSecret2,
		"ENHANCE_API_URL=" + servers.EnhanceURL, "ENHANCE_API_TOKEN=" + s.world.EnhanceToken(), "ENHANCE_ORG_ID=" + s.world.OrgID(),
		"DATABASE_URL=" + o.database, "ADMIN_API_KEY=" + adminKey + "," + adminKey2, "SUPPORT_API_KEY=" + supportKey, "LISTEN_ADDR=127.0.0.1:0",
		"STRIPE_RPS=1000", "ENHANCE_RPS=1000", "POLL_SCHEDULE=" + neverDue, "FULL_SCHEDULE=" + neverDue, "LOG_LEVEL=DEBUG",
	}, o.environ...)
	p := &program{out: io.Discard, err: s.said, in: strings.NewReader(""), environ: lastOf(environ), command: "stripe-enhance serve",
		now: func() time.Time { return time.Now().Add(o.ahead) }}
	if s.app, err = p.service(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.app.Close() })
	for price, plan := range s.plans {
		m := reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}
		if err := s.app.Store.SetMapping(context.Background(), m, "test", time.Now()); err != nil {
			tb.Fatal(err)
		}
	}
	if o.prepare != nil {
		o.prepare(s)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = func() {
		stop()
		if err := <-s.ended; err != nil && !s.broken.Load() {
			tb.Errorf("serve: %v", err)
		}
		s.ended <- nil // a second stop gets the same answer
	}
	s.begin = sync.OnceFunc(func() {
		go func() { s.ended <- s.app.Serve(ctx) }()
		s.url = s.awaitAddress()
		tb.Cleanup(s.stop)
	})
	return s
}

// lastOf keeps the last value of each variable.
func lastOf(environ []string) []string {
	at := map[string]int{}
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if i, ok := at[name]; ok {
			out[i] = kv
			continue
		}
		at[name] = len(out)
		out = append(out, kv)
	}
	return out
}

var servingOn = regexp.MustCompile(`serving on (http://\S+)`)

func (s *service) awaitAddress() (url string) {
	s.tb.Helper()
	s.until("it listens", func() bool {
		m := servingOn.FindStringSubmatch(s.said.String())
		if m != nil {
			url = m[1]
		}
		return m != nil
	})
	return url
}

// longEnough is for a machine with a lot to do; nothing here takes a second.
const longEnough = time.Minute

// until looks again and again; it fails the test when it is never so.
func (s *service) until(what string, so func() bool) {
	s.tb.Helper()
	untilSo(s.tb, what, so)
}

func untilSo(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	for end := time.Now().Add(longEnough); ; {
		if so() {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("this did not happen in time: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// runs are all runs of the database, newest first.
func (s *service) runs() []reconcile.RunRecord {
	s.tb.Helper()
	runs, err := s.app.Store.Runs(context.Background(), 1000)
	if err != nil {
		s.tb.Fatal(err)
	}
	return runs
}

// settle waits until a run has ended and nothing more is wished for.
func (s *service) settle() {
	s.tb.Helper()
	s.until("a run has ended, and no nudge is followed or waits", func() bool {
		stats, err := s.app.Store.Stats(context.Background(), time.Now())
		runs := s.runs()
		return err == nil && stats.Nudges == 0 && len(runs) > 0 && !runs[0].Finished.IsZero()
	})
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// object is the body as JSON.
func (a answer) object(tb testing.TB) map[string]any {
	tb.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		tb.Fatalf("%d: the body is not a JSON object: %v\n%s", a.status, err, a.body)
	}
	return o
}

// raw sends bytes and reads one answer, for requests that net/http would not
// send. What cannot be written because the service has answered and hung up is
// not sent.
func (s *service) raw(request string) answer {
	s.tb.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.tb.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(longEnough))
	go func() { _, _ = io.WriteString(c, request) }()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}
}

// call sends a request; headers are "Name: value".
func (s *service) call(method, path, body string, headers ...string) answer {
	s.tb.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// admin is call with the key.
func (s *service) admin(method, path, body string) answer {
	s.tb.Helper()
	return s.call(method, "/api/admin"+path, body, "Authorization: Bearer "+adminKey)
}

// hook posts an event as Stripe would.
func (s *service) hook(body string) answer {
	s.tb.Helper()
	return s.call(http.MethodPost, "/api/webhook", body, "Stripe-Signature: "+simulator.SignWebhook([]byte(body), hookSecret, time.Now()))
}

// eventText is an event as Stripe renders it, as much of it as matters.
func eventText(id, kind, object string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2024-06-20","created":%d,"livemode":false,"type":%q,"data":{"object":%s}}`,
		id, time.Now().Unix(), kind, object)
}

func subscriptionEvent(id, subscription string) string {
	return eventText(id, "customer.subscription.updated", fmt.Sprintf(`{"object":"subscription","id":%q}`, subscription))
}

// count asks the database itself.
func (s *service) count(query string, args ...any) (n int) {
	s.tb.Helper()
	s.database(func(db *sql.DB) error { return db.QueryRow(query, args...).Scan(&n) })
	return n
}

// sql changes the database behind the service's back.
func (s *service) sql(statement string) {
	s.tb.Helper()
	s.database(func(db *sql.DB) error { _, err := db.Exec(statement); return err })
}

func (s *service) database(do func(*sql.DB) error) {
	s.tb.Helper()
	onDatabase(s.tb, s.app.Config.DatabaseURL.Reveal(), do)
}

// onDatabase opens a database beside the program.
func onDatabase(tb testing.TB, url string, do func(*sql.DB) error) {
	tb.Helper()
	driver := "pgx"
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, url = "sqlite", path
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if err := do(db); err != nil {
		tb.Fatal(err)
	}
}

// metric is the value of one series, as Prometheus would read it; -1 when it is
// not there.
func (s *service) metric(series string) float64 {
	s.tb.Helper()
	for line := range strings.Lines(s.call(http.MethodGet, "/metrics", "").body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "stripe_enhance_"+series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.tb.Fatal(err)
			}
			return v
		}
	}
	return -1
}

// onEachDatabase runs a test on each database, on a fresh one.
func onEachDatabase(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, pgtest.Empty(t)) })
}
