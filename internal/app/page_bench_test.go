package app

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server/page"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	if err := pgtest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const pageKey = "the-admin-key-of-the-page-0123456789"

// largeCompany is the service of a company with so many customers, whose names end like this,
// and a cookie for its page.
func largeCompany(tb testing.TB, database string, customers int, end string) (h http.Handler, session string) {
	tb.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	world := simulator.New(simulator.Options{Seed: 1, Calm: true})
	world.Offer()
	a := parts(tb, Process{Log: log, Simulated: world.Transport()}, func(c *config.Config) {
		c.DatabaseURL, c.AdminKeys = secret.New(database), []secret.Text{secret.New(pageKey)}
		c.StripeURL, c.StripeKey = &url.URL{Scheme: "http", Host: simulator.StripeHost}, secret.New(world.StripeKey())
		c.EnhanceURL, c.EnhanceToken = &url.URL{Scheme: "http", Host: simulator.EnhanceHost, Path: "/api"}, secret.New(world.EnhanceToken())
		c.EnhanceOrg = config.OrgID(world.OrgID())
	})
	fill(tb, a.Store, customers, end)
	if strings.HasPrefix(database, "postgres") {
		vacuum(tb, database)
	}
	messages, err := a.newMessages()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(messages.close)
	o := &observer{App: a, messages: messages}
	loop, err := a.loop(o)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := a.server(loop, o)
	if err != nil {
		tb.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/ui/sign-in", strings.NewReader(url.Values{"key": {pageKey}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	session, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	return s, session
}

// vacuum does the work that PostgreSQL does in the background a minute after so many changes.
func vacuum(tb testing.TB, database string) {
	tb.Helper()
	db, err := sql.Open("pgx", database)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(tb.Context(), "VACUUM ANALYZE"); err != nil {
		tb.Fatal(err)
	}
}

// fill gives a store customers with a subscription each, holds of every hundredth, and a day
// of orders. All that others have written ends like this.
func fill(tb testing.TB, s *store.Store, customers int, end string) {
	tb.Helper()
	ctx, now := tb.Context(), time.Now()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	tok, _, _, err := s.Acquire(ctx, "filler", now, time.Hour)
	must(err)
	must(s.BeginRun(ctx, tok, reconcile.RunRecord{ID: "run-fill", Trigger: "cli", Mode: "full", Started: now.Add(-time.Hour)}))
	must(s.BeginSweep(ctx, tok))
	const batch = 1000
	for from := 0; from < customers; from += batch {
		var facts []reconcile.SubscriptionFacts
		for i := from; i < min(from+batch, customers); i++ {
			id := fmt.Sprintf("%07d", i)
			facts = append(facts, reconcile.SubscriptionFacts{
				Subscription: reconcile.Subscription{ID: "sub_" + id, CancelAtPeriodEnd: i%10 == 3, StripeCustomer: "cus_" + id, Status: reconcile.StatusActive, StatusText: "active",
					Created: now.Add(-time.Duration(i) * time.Minute), CurrentPeriodEnd: now.Add(24 * time.Hour), ReadAt: now, Domain: "shop" + id + ".example.com" + end,
					Items: []reconcile.Item{{ID: "si_" + id, Price: "price_basic", Product: "prod_hosting", Quantity: 1}}},
				Buyer: reconcile.StripeCustomer{ID: "cus_" + id, Email: "owner" + id + "@example.com" + end, Name: "Company " + id + end},
			})
		}
		must(s.Stage(ctx, tok, facts))
	}
	_, err = s.MergeSweep(ctx, tok, now)
	must(err)
	for from := 0; from < customers; from += batch {
		planned := make([]reconcile.Planned, 0, batch)
		for i := from; i < min(from+batch, customers); i++ {
			id := fmt.Sprintf("%07d", i)
			p := reconcile.Planned{Customer: "cus_" + id}
			if i%100 == 0 {
				kind := []reconcile.HoldKind{reconcile.HoldGrace, reconcile.HoldUnmapped, reconcile.HoldParked}[i/100%3]
				p.Holds = []reconcile.Hold{{Kind: kind, Customer: "cus_" + id, Subscription: "sub_" + id,
					Email: "owner" + id + "@example.com" + end, Reason: "the payment of the second of March is open, and the hosting stays up until the fifth" + end}}
			}
			planned = append(planned, p)
		}
		must(s.SavePlanned(ctx, tok, "run-fill", planned, now))
	}
	for i := range min(customers, 300) {
		id := fmt.Sprintf("%07d", i)
		a := reconcile.Action{ID: "create_subscription:sub_" + id + "/1", Kind: reconcile.CreateSubscription, Customer: "cus_" + id, Subscription: "sub_" + id, Slot: 1,
			Email: "owner" + id + "@example.com" + end, Plan: 2, PlanName: "Pro" + end, Reason: "an order" + end}
		at := now.Add(-time.Duration(i) * 4 * time.Minute)
		must(s.RecordIntent(ctx, tok, "run-fill", a, "", at))
		must(s.RecordOutcome(ctx, tok, reconcile.Outcome{Action: a, Run: "run-fill", State: reconcile.ActionApplied, At: at.Add(2 * time.Second)}))
	}
	must(s.EndRun(ctx, tok, reconcile.RunRecord{ID: "run-fill", Trigger: "cli", Mode: "full", Started: now.Add(-time.Hour), Finished: now, Applied: 300}, nil))
}

// databases are a fresh one of each kind.
func databases(tb testing.TB) map[string]string {
	return map[string]string{
		"sqlite": "sqlite:" + filepath.Join(tb.TempDir(), "large.db"),
		"postgres": pgtest.New(tb, func(ctx context.Context, url string) error {
			s, err := store.Open(ctx, store.Options{URL: secret.New(url)})
			if err != nil {
				return err
			}
			if _, err := s.Migrate(ctx, false); err != nil {
				return err
			}
			return s.Close()
		}),
	}
}

func show(tb testing.TB, h http.Handler, session, path string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Cookie", session)
	r.Header.Set("Accept-Encoding", "gzip") // as browsers do; only files are compressed
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestAPageStaysSmall: a page of a company with thousands of customers, whose names are as long
// as Stripe takes them, is below 20 kB, and with its style sheets below 100 kB.
func TestAPageStaysSmall(t *testing.T) {
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			h, session := largeCompany(t, database, 3000, ` "><script>hacked()</script>'`+strings.Repeat("W", 200))
			for _, path := range append(measured(3000), "/ui/withheld?kind=grace") {
				firstView(t, h, session, path)
				got := show(t, h, session, path)
				text, err := io.ReadAll(got.Body)
				there := path != "/ui/adoption" && !strings.HasPrefix(path, "/ui/plans/") // this company has neither
				if err != nil || (got.Code == http.StatusOK) != there {
					t.Errorf("%s: %d %v", path, got.Code, err)
				}
				const most, all = 20_000, 100_000
				if len(text) > most {
					t.Errorf("%s: %d bytes, at most %d", path, len(text), most)
				}
				for _, part := range strings.Split(string(text), `href="/ui/assets/`)[1:] {
					file, _, _ := strings.Cut(part, `"`)
					size := show(t, h, "", "/ui/assets/"+file).Body.Len()
					text = append(text, make([]byte, size)...)
				}
				if len(text) > all {
					t.Errorf("%s: %d bytes with its files, at most %d", path, len(text), all)
				}
			}
		})
	}
}

// company is how many customers the company of the benchmark has; CUSTOMERS is another number.
func company(b *testing.B) int {
	b.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("CUSTOMERS"), "100000"))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// measured are the addresses of all pages, and of searches that find nothing or one customer.
// PAGES is a regular expression for those that are wanted.
func measured(customers int) []string {
	id := fmt.Sprintf("%07d", customers*3/4)
	paths := page.Paths()
	for i, path := range paths {
		paths[i] = strings.NewReplacer("cus_NffrFeUfNV2Hib", "cus_"+id, "run_2", "run-fill").Replace(path)
	}
	for _, text := range []string{"nothing has this", "nothing", "q", "no.example.net", "hop" + id + ".exam", "shop" + id + ".example.com", "owner" + id, "owner" + id + "@example.com", "sub_" + id} {
		paths = append(paths, "/ui/customers?"+url.Values{"search": {text}}.Encode())
	}
	paths = append(paths, "/ui/withheld?search=nothing", "/ui/failing?search=nothing", "/ui/forecast?search=nothing", "/ui/report?search=nothing")
	wanted := regexp.MustCompile(os.Getenv("PAGES"))
	return slices.DeleteFunc(paths, func(path string) bool { return !wanted.MatchString(path) })
}

// measurement is one page in one database.
type measurement struct {
	first, half, paint time.Duration
	bytes, status      int
}

// BenchmarkPage measures each page of a company with 100,000 customers, prints a table with
// the median of each, and how long Chromium takes to its first contentful paint, if it is
// there. The first view of some pages has a walk over all customers behind it.
func BenchmarkPage(b *testing.B) {
	customers := company(b)
	all := map[string]measurement{}
	names := databases(b)
	for name, database := range names {
		h, session := largeCompany(b, database, customers, "")
		for _, path := range measured(customers) {
			m := measurement{first: firstView(b, h, session, path)}
			var took []time.Duration
			b.Run(name+strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
				for b.Loop() {
					began := time.Now()
					got := show(b, h, session, path)
					took = append(took, time.Since(began))
					m.bytes, m.status = got.Body.Len(), got.Code
				}
				b.ReportMetric(float64(m.bytes), "bytes")
			})
			if slices.Sort(took); len(took) > 0 {
				m.half = took[len(took)/2]
			}
			all[name+path] = m
		}
		b.Run(name+"_paint", func(b *testing.B) { paints(b, h, name, customers, all) })
	}
	printMeasured(all, customers)
}

// firstView is how long it takes until a page has its figures.
func firstView(b testing.TB, h http.Handler, session, path string) time.Duration {
	b.Helper()
	began := time.Now()
	for show(b, h, session, path).Header().Get("Refresh") != "" {
		if time.Since(began) > 10*time.Minute {
			b.Fatalf("%s has no figures", path)
		}
	}
	return time.Since(began)
}

// paints has Chromium open each page, and adds its first contentful paint.
func paints(b *testing.B, h http.Handler, name string, customers int, all map[string]measurement) {
	b.Helper()
	listening := httptest.NewServer(h)
	defer listening.Close()
	tab := browser.New(b)
	tab.Open(listening.URL + "/")
	tab.Type("input[name=key]", pageKey)
	tab.Submit("main button")
	for _, path := range measured(customers) {
		var took []time.Duration
		for range 5 {
			tab.Open(listening.URL + path)
			for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(20 * time.Millisecond) {
				const paint = `(performance.getEntriesByName("first-contentful-paint")[0] || {startTime: 0}).startTime`
				if at := browser.Eval[float64](tab, paint); at > 0 {
					took = append(took, time.Duration(at*float64(time.Millisecond)))
					break
				}
			}
		}
		if slices.Sort(took); len(took) > 0 {
			m := all[name+path]
			m.paint = took[len(took)/2]
			all[name+path] = m
		}
	}
}

// printMeasured prints the table: milliseconds at the server, the first view and the median,
// and to the first paint.
func printMeasured(all map[string]measurement, customers int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nms\tSQLite first\tmedian\tpaint\tPostgreSQL first\tmedian\tpaint\tbytes\tstatus\t")
	ms := func(d time.Duration) string {
		if d == 0 {
			return "–"
		}
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64)
	}
	for _, path := range measured(customers) {
		s, p := all["sqlite"+path], all["postgres"+path]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t\n", path, ms(s.first), ms(s.half), ms(s.paint), ms(p.first), ms(p.half), ms(p.paint), s.bytes, s.status)
	}
	_ = w.Flush()
}
