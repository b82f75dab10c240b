package page

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	os.Exit(code)
}

// t0 is when the pages of the tests are shown.
var t0 = time.Date(2026, 11, 30, 18, 45, 0, 0, time.UTC)

const (
	adminKey   = "admin-key-of-the-tests-0123456789abcdef"
	supportKey = "support-key-of-the-tests-0123456789abcd"
)

// company is behind every port of a house. The pages get it as it stands in these fields, and
// changes note themselves.
type company struct {
	server.Nudges
	server.History
	server.Plans
	server.Journal
	server.Customers
	people

	mu     sync.Mutex // guards everything below
	did    []string
	manual []reconcile.ManualHold
	totals reconcile.Totals
	counts reconcile.HoldCounts
	runs   []reconcile.RunRecord
	plans  []reconcile.HeldPlan

	actions []reconcile.ActionRecord
	live    []reconcile.WentLive
	hooks   int   // webhooks that failed
	fail    error // of every read
	shop
}

func (c *company) note(what ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.did = append(c.did, strings.Join(what, " "))
	return c.fail
}

func (c *company) ManualHolds(context.Context, time.Time) ([]reconcile.ManualHold, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manual, c.fail
}

func (c *company) AddManualHold(_ context.Context, h reconcile.ManualHold) (bool, error) {
	c.mu.Lock()
	c.manual = append([]reconcile.ManualHold{h}, c.manual...)
	c.mu.Unlock()
	return true, c.note("hold", h.Customer+h.Subscription, h.Kind.String(), h.Author)
}

func (c *company) RemoveManualHold(_ context.Context, id string, _ time.Time) (bool, error) {
	c.mu.Lock()
	c.manual = slices.DeleteFunc(slices.Clone(c.manual), func(h reconcile.ManualHold) bool { return h.ID == id })
	c.mu.Unlock()
	return strings.HasPrefix(id, "hold_"), c.note("unhold", id)
}

func (c *company) Nudge(_ context.Context, subscriptions []string, why string, _ time.Time) error {
	if len(subscriptions) > 0 { // for all that is due, every change does
		return c.note("nudge", why)
	}
	return nil
}

func (c *company) Ping(context.Context) error { return c.fail }

func (c *company) Totals(context.Context, time.Time) (reconcile.Totals, error) {
	return c.totals, c.fail
}

func (c *company) HeldPlans(context.Context, time.Time, bool) ([]reconcile.HeldPlan, error) {
	return c.plans, c.fail
}

func (c *company) DoneSince(context.Context, time.Time) (map[reconcile.ActionClass]int, error) {
	counts := map[reconcile.ActionClass]int{}
	for _, a := range c.actions {
		counts[reconcile.ActionClass{Kind: a.Kind, State: a.State}]++
	}
	return counts, c.fail
}

func (c *company) WentLive(context.Context, time.Time, int) ([]reconcile.WentLive, error) {
	return c.live, c.fail
}

func (c *company) RecentWebhooks(context.Context, int) ([]reconcile.WebhookRecord, error) {
	return c.webhooks, c.fail
}

func (c *company) FailedWebhooks(context.Context, int) (failed []reconcile.WebhookRecord, n int, err error) {
	for _, r := range c.webhooks {
		if r.State == reconcile.WebhookFailed {
			failed = append(failed, r)
		}
	}
	return failed, max(c.hooks, len(failed)), c.fail
}

// The names of a company are of usual customers, or of those who try to break the page.
var (
	usual   = func(text string) string { return text }
	hostile = func(text string) string {
		return text + ` "><script>hacked()</script><img src=x onerror=hacked()>'{{.}}javascript:hacked()` + "\u202e" + strings.Repeat("W", 300)
	}
)

// fill gives a company something on every page.
func (c *company) fill(name func(string) string) {
	c.meet(name)
	c.totals = reconcile.Totals{Counts: reconcile.Counts{Subscriptions: 12345, Active: 12001, Suspended: 17, Parked: 2, Customers: 9876}}
	c.fillToday(name)
	c.fillShop(name)
	for i := range 60 {
		h := reconcile.ManualHold{ID: "hold_" + string(rune('a'+i%26)), Customer: name("cus_NffrFeUfNV2Hib"), Kind: reconcile.NoSuspend,
			Reason: name("Zażółć gęślą jaźń: promised on the phone until the bank has answered"), Author: name("Ana"), Created: t0.Add(-time.Duration(i) * time.Hour)}
		if i%2 == 0 {
			h.Until = t0.Add(48 * time.Hour)
		}
		c.manual = append(c.manual, h)
	}
}

// fillToday gives the first page something in each part.
func (c *company) fillToday(name func(string) string) {
	yes := true
	c.hooks = 3
	c.counts = reconcile.HoldCounts{Kinds: map[reconcile.HoldKind]reconcile.HoldCount{reconcile.HoldGrace: {All: 13}}, Orders: 4}
	c.runs = []reconcile.RunRecord{{ID: "run-2", Started: t0.Add(-time.Minute)},
		{ID: "run-1", Started: t0.Add(-2 * time.Minute), Finished: t0.Add(-time.Minute), Applied: 7, Held: 13, Gates: []string{name("the account of the key is another one")}, Converged: &yes}}
	c.plans = []reconcile.HeldPlan{{ID: "0a1b2c3d4e5f", Kind: reconcile.Suspend, Version: 1, Created: t0.Add(-time.Hour), Total: 31,
		Reason: name("31 suspensions are more than 5 or 2% of 1,200 bound subscriptions")}}
	for i := range 9 {
		a := reconcile.ActionRecord{Action: reconcile.Action{ID: "x", Kind: reconcile.CreateSubscription, Customer: "cus_1", Email: name("ada@example.com"), PlanName: name("Pro")},
			Key: "k", State: reconcile.ActionApplied, FinishedAt: t0.Add(-time.Duration(i*i) * 17 * time.Minute)}
		switch i % 4 {
		case 1:
			a.Kind, a.Hosting = reconcile.Suspend, 4711
		case 2:
			a.Kind, a.Hosting, a.State = reconcile.Resume, 4712, reconcile.ActionFailed
		}
		c.actions = append(c.actions, a)
	}
	for i := range 90 {
		live := t0.Add(-time.Duration(i) * 15 * time.Minute)
		took := time.Duration(1+i%7) * time.Second
		if i%11 == 0 {
			took = time.Duration(i*i) * time.Second
		}
		c.live = append(c.live, reconcile.WentLive{Subscription: name("sub_") + string(rune('a'+i%26)) + string(rune('a'+i/26)), Ordered: live.Add(-took), Live: live})
	}
}

// house is a server with the page, reachable at an address.
type house struct {
	*company
	page *Page
	url  string
	tb   testing.TB

	mu  sync.Mutex // guards now
	now time.Time  // of sessions
}

func newHouse(tb testing.TB, name func(string) string, change ...func(*server.Options)) *house {
	tb.Helper()
	h := &house{company: &company{shop: shop{is: server.Figures{At: t0.Add(-time.Minute)}}}, tb: tb, now: time.Now()}
	if name != nil {
		h.fill(name)
	}
	never, err := cron.ParseStandard("0 0 29 2 *")
	if err != nil {
		tb.Fatal(err)
	}
	fine := func(context.Context) error { return nil }
	o := server.Options{
		Ports: server.Ports{Loop: server.NewLoop(server.LoopOptions{Poll: never, Full: never}, idle{}, h.company, h.company), Nudges: h.company, History: h.company, Plans: h.company,
			Mappings: h.company, Holds: h.company, Journal: h.company, Customers: h.company, Overview: h.company, Days: h.company, Directory: h.company},
		Stripe: fine, Enhance: fine, AdminKeys: []secret.Text{secret.New(adminKey)}, SupportKeys: []secret.Text{secret.New(supportKey)},
		Rates:   map[string]func() float64{"stripe": func() float64 { return 20 }, "enhance": func() float64 { return 7.5 }},
		Latency: map[string]func() time.Duration{"stripe": func() time.Duration { return 87 * time.Millisecond }, "enhance": func() time.Duration { return 1240 * time.Millisecond }},
		Risk: func(context.Context) (server.Risk, error) {
			return server.Risk{Month: []server.Sum{{Amount: "1234.50", Currency: "eur"}, {Amount: "99.00", Currency: "ron"}}, Subscriptions: 12, Unknown: 1}, nil
		},
		Tools: h.company, Warm: h.company.warm, Adoption: h.company, Version: "1.2.3", Now: func() time.Time { return t0 },
		Page: func(s *server.Server) (http.Handler, error) {
			p, err := newPage(s)
			if err == nil {
				p.clock = h.clock
				h.page = p
			}
			return p, err
		},
	}
	for _, c := range change {
		c(&o)
	}
	s, err := server.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	listening := httptest.NewServer(s)
	tb.Cleanup(listening.Close)
	h.url = listening.URL
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// later moves the clock of sessions.
func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// done returns the changes since the last time.
func (h *house) done() []string {
	h.company.mu.Lock()
	defer h.company.mu.Unlock()
	all := h.did
	h.did = nil
	return all
}

// idle is a runner that never runs.
type idle struct{ server.Runner }

func (idle) Leading() bool { return false }

// person is somebody with a browser that has no JavaScript: cookies, links and forms.
type person struct {
	*house
	client  *http.Client
	cookies map[string]string
}

func (h *house) person() *person {
	return &person{house: h, cookies: map[string]string{}, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn is a person with a session.
func (h *house) signedIn(key string) *person {
	h.tb.Helper()
	p := h.person()
	if got := p.post(signInPath, "key", key); got.status != http.StatusSeeOther {
		h.tb.Fatalf("sign-in: %d %s", got.status, got.text)
	}
	return p
}

// answer is an answer as a person gets it.
type answer struct {
	status int
	header http.Header
	text   string
}

func (p *person) get(path string, headers ...string) answer {
	p.tb.Helper()
	return p.send(http.MethodGet, path, nil, headers...)
}

// post sends a form, given as names and values.
func (p *person) post(path string, fields ...string) answer {
	p.tb.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return p.send(http.MethodPost, path, form)
}

// change sends a form with the token of the session.
func (p *person) change(path string, fields ...string) answer {
	p.tb.Helper()
	return p.post(path, append(fields, "token", p.token())...)
}

// token is that of a form of the session.
func (p *person) token() string {
	p.tb.Helper()
	_, after, ok := strings.Cut(p.get("/").text, `name="token" value="`)
	if !ok {
		p.tb.Fatal("no form has a token")
	}
	token, _, _ := strings.Cut(after, `"`)
	return token
}

func (p *person) send(method, path string, form url.Values, headers ...string) answer {
	p.tb.Helper()
	r, err := http.NewRequestWithContext(p.tb.Context(), method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.tb.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := p.client.Do(r)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer got.Body.Close()
	for _, c := range got.Cookies() {
		if p.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(p.cookies, c.Name)
		}
	}
	var text strings.Builder
	if _, err := io.Copy(&text, got.Body); err != nil {
		p.tb.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, text.String()}
}

// opened are the addresses of all pages.
func opened() []string { return Paths() }
