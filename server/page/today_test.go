package page

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// state waits until the page of a house has a state, because the sides are asked in the
// background. It returns the sentence.
func (p *person) state(want string) string {
	p.tb.Helper()
	var text string
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		_, after, _ := strings.Cut(p.get("/").text, `<p class="state `)
		state, rest, _ := strings.Cut(after, `"`)
		_, rest, _ = strings.Cut(rest, ">")
		text, _, _ = strings.Cut(rest, "<")
		if state == want {
			return text
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.tb.Fatalf("the state did not become %s; the last sentence: %s", want, text)
	return ""
}

func TestTodayIsOneSentenceOfTheWorst(t *testing.T) {
	yes := true
	well := func(c *company) {
		c.totals = reconcile.Totals{Counts: reconcile.Counts{Active: 1}}
		c.runs = []reconcile.RunRecord{{ID: "run-1", Started: t0.Add(-time.Minute), Finished: t0, Converged: &yes}}
	}
	for _, c := range []struct {
		name, state, sentence string
		change                func(*company)
		options               func(*server.Options)
	}{
		{"all well", stateGood, "All is well: the hosting of 1 active subscription is as paid for.", func(*company) {}, nil},
		{"no run yet", stateWait, "No run has ended yet: the first one reads everything.", func(c *company) { c.runs = []reconcile.RunRecord{{ID: "run-1", Started: t0}} }, nil},
		{"a held plan", stateWait, "Everything runs, and 1 thing waits for a person.", func(c *company) { c.plans = []reconcile.HeldPlan{{ID: "1", Version: 1}} }, nil},
		{"an approved plan", stateGood, "All is well: the hosting of 1 active subscription is as paid for.", func(c *company) { c.plans = []reconcile.HeldPlan{{ID: "1", Version: 1, Approved: t0}} }, nil},
		{"an order that waits", stateWait, "Everything runs, and 1 thing waits for a person.", func(c *company) { c.counts.Orders = 3 }, nil},
		{"a closed gate", stateWait, "Everything runs, and 1 thing waits for a person.", func(c *company) { c.runs[0].Gates = []string{"the list is short"} }, nil},
		{"all waits", stateWait, "Everything runs, and 3 things wait for a person.", func(c *company) { c.counts.Orders, c.totals.Parked, c.hooks = 1, 2, 3 }, nil},
		{"a failed run", stateBad, "The last run failed: stripe: no answer", func(c *company) { c.runs[0].Error, c.counts.Orders = "stripe: no answer", 1 }, nil},
		{"a side that refuses", stateBad, "Stripe: the credential was refused.", func(*company) {}, func(o *server.Options) {
			o.Stripe = func(context.Context) error { return fault.Denied }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := []func(*server.Options){func(o *server.Options) { o.Risk = nil }}
			if c.options != nil {
				change = append(change, c.options)
			}
			h := newHouse(t, nil, change...)
			well(h.company)
			c.change(h.company)
			if got := h.signedIn(supportKey).state(c.state); got != c.sentence {
				t.Errorf("%q, want %q", got, c.sentence)
			}
		})
	}
}

// TestTodayShowsEachPart: the money at risk, both sides with how many requests they take and how
// long one takes, the next run, and the orders of the last day as a chart.
func TestTodayShowsEachPart(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	p.state(stateWait) // the sides are asked in the background
	for language, want := range map[string][]string{
		"en": {"EUR\u00a01,234.50", "RON\u00a099.00", "1,240 ms · up to 7.5 requests a second", "87 ms · up to 20 requests a second", ">Next</dt>", "90 orders: half were live within", `<svg class="chart"`, `class="good"/>`},
		"ro": {"1.234,50\u00a0EUR", "99,00\u00a0RON", "1.240 ms · până la 7,5 cereri pe secundă", "87 ms · până la 20 cereri pe secundă", ">Următoarea</dt>", "90 de comenzi: jumătate au pornit în", `<svg class="chart"`, `class="wait"/>`},
	} {
		p.cookies[languageCookie] = language
		text := p.get("/").text
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: today lacks %q", language, part)
			}
		}
	}
}

// TestTodayRetriesEachCustomerThatItNames: each one with a failure, and those of
// the changes that failed; the answer is the same page, and only who may gets the button.
func TestTodayRetriesEachCustomerThatItNames(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	text := p.get("/").text
	want := []string{"cus_001", "cus_002", "cus_006", "cus_007"} // the first of those that fail
	for _, a := range h.actions[:recentShown] {
		if a.State == reconcile.ActionFailed {
			want = append(want, a.Customer)
		}
	}
	for _, id := range want {
		form := `action="/ui/failing/retry"><input type="hidden" name="token" value="` + p.token() + `"><input type="hidden" name="id" value="` + id + `"`
		if !strings.Contains(text, form) || !strings.Contains(text, `href="/ui/customers/`+id+`"`) {
			t.Errorf("%s has no button or no link", id)
		}
	}
	if n := strings.Count(text, `action="/ui/failing/retry"`); n != len(want) {
		t.Errorf("%d buttons, want %d", n, len(want))
	}
	if got := p.post("/ui/failing/retry", "id", "cus_001", "from", "today"); got.status != http.StatusForbidden || h.done() != nil {
		t.Errorf("without the token: %d", got.status)
	}
	got := p.change("/ui/failing/retry", "id", "cus_001", "from", "today")
	if did := h.done(); got.status != http.StatusSeeOther || got.header.Get("Location") != "/" || len(did) != 1 || did[0] != "retry cus_001" {
		t.Errorf("%d to %q, did %q", got.status, got.header.Get("Location"), did)
	}
	if text := p.get("/").text; !strings.Contains(text, "cus_001 is tried again now.") || strings.Contains(text, `name="id" value="cus_001"`) {
		t.Error("after the retry the customer is named once more, or no sentence is shown")
	}
}

// TestEachRowThatNamesACustomerLeadsToIt in every list that has such rows.
func TestEachRowThatNamesACustomerLeadsToIt(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for path, link := range map[string]string{
		customersPath: `href="/ui/customers/cus_000"`, failingPath: `href="/ui/customers/cus_001"`, withheldPath: `href="/ui/customers/cus_000"`,
		thePlanPath: `href="/ui/customers/cus_000"`, holdsPath: `href="/ui/customers/cus_NffrFeUfNV2Hib"`, "/ui/runs/run_2": `href="/ui/customers/cus_`,
		"/ui/webhooks": `href="/ui/customers?search=sub_`, "/ui/forecast": `href="/ui/customers/cus_`, "/ui/report": `href="/ui/customers/cus_`,
		"/ui/adoption": `href="/ui/customers?search=cus_`,
	} {
		if !strings.Contains(rowsOf(p.get(path).text), link) {
			t.Errorf("%s: no row has a link with %s", path, link)
		}
	}
}

func TestAPageWithoutDatabaseGivesNoDetails(t *testing.T) {
	h := newHouse(t, nil)
	p := h.signedIn(adminKey)
	h.fail = errors.New("store: postgres://user:CANARY@db.example/x refused")
	withoutDatabase := []string{"/ui/settings", "/ui/adoption"} // as long as nothing was compared
	for _, path := range opened() {
		want := http.StatusServiceUnavailable
		if slices.Contains(withoutDatabase, path) {
			want = http.StatusOK
		}
		if got := p.get(path); got.status != want || strings.Contains(got.text, "CANARY") {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
}

func TestAnEmptyCompanyHasEveryPage(t *testing.T) {
	h := newHouse(t, nil)
	p := h.signedIn(adminKey)
	for _, path := range opened() {
		if got := p.get(path); got.status >= http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
}
