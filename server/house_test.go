package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// ports is a stand-in for everything behind the server. It notes each call with what was
// given to it, and may be made to fail.
type ports struct {
	mu    sync.Mutex // guards everything below
	calls []string
	fail  map[string]error // by the name of a call

	records   []reconcile.RunRecord
	actions   []reconcile.ActionRecord
	holds     []reconcile.Hold
	held      []reconcile.HeldPlan
	mapped    []reconcile.MappingRecord
	problem   string // of a mapping
	manual    []reconcile.ManualHold
	customers []reconcile.CustomerRecord
	totals    reconcile.Totals
	hooks     []reconcile.WebhookRecord
	seen      map[string]bool // events
	waiting   bool
	renames   bool // the run that follows gives the name
}

// oneTime is part of the login link, a credential.
const oneTime = "CANARY-one-time"

// call notes a call, and returns the error that it is to have.
func (p *ports) call(name string, given ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, strings.TrimSpace(name+" "+fmt.Sprintln(given...)))
	return p.fail[name]
}

// called returns what was called with these names since the last time.
func (p *ports) called(names ...string) (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		for _, name := range names {
			if word, _, _ := strings.Cut(c, " "); word == name {
				all = append(all, c)
			}
		}
	}
	p.calls = nil
	return all
}

func (p *ports) set(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *ports) LogWebhook(_ context.Context, event, kind, subscription string, look bool, _ time.Time) (bool, error) {
	err := p.call("LogWebhook", event, kind, subscription, look)
	isNew := !p.seen[event]
	p.seen[event] = true
	return isNew, err
}

func (p *ports) WebhookResult(context.Context, string, time.Time, string, time.Time) error {
	return p.call("WebhookResult")
}

func (p *ports) Nudge(_ context.Context, subscriptions []string, why string, _ time.Time) error {
	return p.call("Nudge", why, subscriptions)
}

func (p *ports) NudgesWaiting(context.Context) (bool, error) {
	err := p.call("NudgesWaiting")
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting, err
}

func (p *ports) NudgesOverdue(context.Context, time.Time) (bool, error) { return false, nil }

func (p *ports) Runs(_ context.Context, limit int) ([]reconcile.RunRecord, error) {
	err := p.call("Runs", limit)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records, err
}

func (p *ports) Run(_ context.Context, id string) (reconcile.RunRecord, error) {
	if err := p.call("Run", id); err != nil {
		return reconcile.RunRecord{}, err
	}
	return reconcile.RunRecord{ID: id, Started: t0, Finished: t0.Add(time.Second)}, nil
}

func (p *ports) LastListed(context.Context) (reconcile.ListedState, error) {
	return reconcile.ListedState{At: t0}, p.call("LastListed")
}

func (p *ports) RunActions(_ context.Context, run string, yield func(reconcile.ActionRecord) error) error {
	for _, a := range p.actions {
		if err := yield(a); err != nil {
			return err
		}
	}
	return p.call("RunActions", run)
}

func (p *ports) Holds(_ context.Context, yield func(reconcile.Hold) error) error {
	for _, h := range p.holds {
		if err := yield(h); err != nil {
			return err
		}
	}
	return p.call("Holds")
}

func (p *ports) HeldPlans(_ context.Context, _ time.Time, old bool) ([]reconcile.HeldPlan, error) {
	return p.held, p.call("HeldPlans", old)
}

func (p *ports) HeldPlan(_ context.Context, id string) (reconcile.HeldPlan, error) {
	return reconcile.HeldPlan{ID: id}, p.call("HeldPlan", id)
}

func (p *ports) Approve(_ context.Context, id string, version int, by string, _ time.Time) (reconcile.HeldPlan, error) {
	return reconcile.HeldPlan{ID: id}, p.call("Approve", id, version, by)
}

func (p *ports) Reject(_ context.Context, id string, version int, by, reason string, _ func() string, _ time.Time) (reconcile.HeldPlan, error) {
	return reconcile.HeldPlan{ID: id}, p.call("Reject", id, version, by, reason)
}

func (p *ports) List(context.Context) ([]reconcile.MappingRecord, error) {
	return p.mapped, p.call("List")
}

func (p *ports) Set(_ context.Context, m reconcile.Mapping, by string, _ time.Time) error {
	return p.call("Set", m.BillingID, m.Plan, by)
}

func (p *ports) Delete(_ context.Context, id string) (bool, error) {
	return id == "price_1", p.call("Delete", id)
}

func (p *ports) Check(_ context.Context, m reconcile.Mapping) (string, error) {
	return p.problem, p.call("Check", m.BillingID, m.Plan)
}

func (p *ports) ManualHolds(context.Context, time.Time) ([]reconcile.ManualHold, error) {
	return p.manual, p.call("ManualHolds")
}

func (p *ports) AddManualHold(_ context.Context, h reconcile.ManualHold) (bool, error) {
	return true, p.call("AddManualHold", h.Customer+h.Subscription, h.Kind, h.Until.Format(time.RFC3339), h.Reason, "by", h.Author)
}

func (p *ports) RemoveManualHold(_ context.Context, id string, _ time.Time) (bool, error) {
	return id == "hold_1", p.call("RemoveManualHold", id)
}

func (p *ports) Actions(_ context.Context, f reconcile.ActionFilter) ([]reconcile.ActionRecord, error) {
	if !f.Since.IsZero() {
		return p.actions, p.call("Actions", f.Customer, f.Subscription, f.State, f.Limit, "since", f.Since.Format(time.RFC3339))
	}
	return p.actions, p.call("Actions", f.Customer, f.Subscription, f.State, f.Limit)
}

func (p *ports) Retry(_ context.Context, id string, _ time.Time) (string, error) {
	return "cus_1", p.call("Retry", id)
}

func (p *ports) ByEmail(_ context.Context, email string) ([]reconcile.CustomerRecord, error) {
	return p.customers, p.call("ByEmail", email)
}

func (p *ports) ByID(_ context.Context, id string) ([]reconcile.CustomerRecord, error) {
	return p.customers, p.call("ByID", id)
}

func (p *ports) BySubscription(_ context.Context, id string) ([]reconcile.CustomerRecord, error) {
	return p.customers, p.call("BySubscription", id)
}

func (p *ports) WantName(_ context.Context, customer, name, why string, _ time.Time) (bool, error) {
	err := p.call("WantName", customer, name, "by", why)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && p.renames {
		p.customers[0].Org.Name = name
	}
	return true, err
}

func (p *ports) Login(_ context.Context, c *reconcile.CustomerRecord, w reconcile.LoginRequest) (reconcile.Login, error) {
	err := p.call("Login", c.ID, w.Owner, "by", w.Author, w.Reason)
	return reconcile.Login{Customer: c.ID, Org: "org-1", Owner: "ada@example.com", Link: "https://panel.example.com/sso?otp=" + oneTime}, err
}

func (p *ports) Ping(context.Context) error { return p.call("Ping") }

func (p *ports) Totals(context.Context, time.Time) (reconcile.Totals, error) {
	return p.totals, p.call("Totals")
}

func (p *ports) RecentWebhooks(context.Context, int) ([]reconcile.WebhookRecord, error) {
	return p.hooks, p.call("RecentWebhooks")
}

func (p *ports) FailedWebhooks(context.Context, int) ([]reconcile.WebhookRecord, int, error) {
	return nil, 3, p.call("FailedWebhooks")
}

func (p *ports) DoneSince(context.Context, time.Time) (map[reconcile.ActionClass]int, error) {
	return nil, p.call("DoneSince")
}

func (p *ports) WentLive(context.Context, time.Time, int) ([]reconcile.WentLive, error) {
	return nil, p.call("WentLive")
}

func (p *ports) HoldCounts(context.Context) (reconcile.HoldCounts, error) {
	return reconcile.HoldCounts{}, p.call("HoldCounts")
}

// house is a server with its ports and its log. Its loop is not at work.
type house struct {
	*ports
	server *Server
	runner *company
	log    *logtest.Hook
}

// rightKey admits to the admin API of a house.
const rightKey = "right"

// supportKey admits to the routes for support.
const supportKey = "helps"

func newHouse(t *testing.T, change ...func(*Options)) *house {
	t.Helper()
	h := &house{ports: &ports{fail: map[string]error{}, seen: map[string]bool{}}, runner: &company{}}
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	h.log = hook
	loop := NewLoop(LoopOptions{Poll: schedule(t, never), Full: schedule(t, never), Log: logger}, h.runner, h.ports, h.ports)
	fine := func(context.Context) error { return nil }
	o := Options{Ports: Ports{Loop: loop, Nudges: h.ports, History: h.ports, Plans: h.ports, Mappings: h.ports, Holds: h.ports, Journal: h.ports,
		Customers: h.ports, Overview: h.ports, Days: h.ports}, Stripe: fine, Enhance: fine, AdminKeys: []secret.Text{secret.New(rightKey)}, SupportKeys: []secret.Text{secret.New(supportKey)},
		Now: func() time.Time { return t0 }, Log: logger,
		Verify: func(body []byte, _ string, _ time.Time) (e reconcile.Event, err error) {
			return e, json.Unmarshal(body, &e)
		}}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	return h
}

// ask makes a request with the right key.
func (h *house) ask(method, path, body string) *httptest.ResponseRecorder {
	return h.send(method, path, body, "Authorization", "Bearer "+rightKey)
}

// send makes a request with headers, given as names and values.
func (h *house) send(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	return w
}

// wake is the trigger with which the loop was woken since the last time; "": it was not.
func (h *house) woken() (why string) {
	l := h.server.o.Loop
	l.mu.Lock()
	defer l.mu.Unlock()
	why, l.why = l.why, ""
	return why
}

// answers checks the status and a part of the text of an answer, and that it is one JSON
// document, with the one key "error" if it is a failure.
func answers(t *testing.T, what string, got *httptest.ResponseRecorder, status int, part string) {
	t.Helper()
	var document map[string]any
	text := got.Body.String()
	if err := json.Unmarshal(got.Body.Bytes(), &document); err != nil || !strings.HasPrefix(got.Header().Get("Content-Type"), "application/json") {
		t.Errorf("%s: no JSON: %s", what, text)
	}
	if _, failed := document["error"]; failed != (status >= http.StatusBadRequest) {
		t.Errorf("%s: %s", what, text)
	}
	if got.Code != status || !strings.Contains(text, part) {
		t.Errorf("%s: %d %s, want %d with %s", what, got.Code, text, status, part)
	}
}
