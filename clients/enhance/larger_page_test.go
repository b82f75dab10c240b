package enhance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// crowd is a panel with many customers. Its requests are noted as "offset+limit".
type crowd struct {
	orgs  int
	panel http.Handler
	url   string

	mu    sync.Mutex
	asked []string
	// instead answers a request for a larger page, if it is not nil.
	instead func(w http.ResponseWriter, r *http.Request)
}

func newCrowd(t *testing.T, orgs, page int, refuse bool) *crowd {
	t.Helper()
	w := simulator.New(simulator.Options{Calm: true, EnhanceToken: canary, OrgID: ourOrg, Follow: time.Now, MaxPage: page, RefusePage: refuse})
	for i := range orgs {
		w.StaffCreateOrg(fmt.Sprintf("Org %d", i), "")
	}
	c := &crowd{orgs: orgs, panel: w.EnhanceHandler()}
	c.url = served(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		c.mu.Lock()
		c.asked = append(c.asked, strings.TrimSpace(q.Get("offset")+"+"+q.Get("limit")+" "+q.Get("status")))
		c.mu.Unlock()
		if c.instead != nil && q.Get("limit") != "100" {
			c.instead(w, r)
			return
		}
		c.panel.ServeHTTP(w, r)
	})
	return c
}

// list checks that a listing has everything, and returns the requests for it.
func (c *crowd) list(t *testing.T, client *enhance.Client) []string {
	t.Helper()
	c.asked = nil
	got := map[string]bool{}
	err := client.EveryOrg(t.Context(), func(page []reconcile.Org) error {
		for _, o := range page {
			got[o.ID] = true
		}
		return nil
	})
	if err != nil || len(got) != c.orgs {
		t.Fatalf("%d of %d came, %v after %v", len(got), c.orgs, err, c.asked)
	}
	return c.asked
}

func size(client *enhance.Client) string {
	_, n, _ := strings.Cut(client.OrgPage(), ourOrg+" ")
	return n
}

// TestRequestsOfAFullLookAtThePanel prints how many requests list the 20,000 customers of a
// panel, by the largest page that it gives.
func TestRequestsOfAFullLookAtThePanel(t *testing.T) {
	for _, c := range []struct {
		page         int
		refuse       bool
		first, later int
		known        string
	}{
		{100, false, 201, 201, "100"},
		{100, true, 202, 201, "100"},
		{250, false, 82, 82, "250"},
		{1000, false, 22, 22, "1000"},
		{5000, true, 22, 22, "1000"},
	} {
		n := newCrowd(t, 20_000, c.page, c.refuse)
		client := fast(t, n.url)
		first := len(n.list(t, client))
		restarted := fast(t, n.url)
		restarted.UseOrgPage(client.OrgPage())
		later := len(n.list(t, restarted))
		t.Logf("20,000 customers, at most %d a page, more is refused %t: %d requests, %d in a later run", c.page, c.refuse, first, later)
		if first != c.first || later != c.later || size(client) != c.known || size(restarted) != c.known {
			t.Errorf("page %d, refuse %t: %d and %d requests, want %d and %d; known %q and %q, want %q",
				c.page, c.refuse, first, later, c.first, c.later, size(client), size(restarted), c.known)
		}
	}
}

// TestALargerPageThatIsNoUseCostsARequestAndNoCustomer, and what it shows is remembered
// only if it is about the size.
func TestALargerPageThatIsNoUseCostsARequestAndNoCustomer(t *testing.T) {
	shortened := func(edit func(string) string) func(*crowd, http.ResponseWriter, *http.Request) {
		return func(c *crowd, w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			c.panel.ServeHTTP(rec, r)
			respond(w, 200, "%s", edit(rec.Body.String()))
		}
	}
	status := func(code int, body string) func(*crowd, http.ResponseWriter, *http.Request) {
		return func(_ *crowd, w http.ResponseWriter, _ *http.Request) { respond(w, code, "%s", body) }
	}
	for name, c := range map[string]struct {
		instead func(*crowd, http.ResponseWriter, *http.Request)
		known   string
	}{
		"refused":             {status(400, `{"code":"bad_request"}`), "100"},
		"refused in no form":  {status(422, "limit"), "100"},
		"too much":            {status(413, ""), "100"},
		"a server error":      {status(500, ""), "1000"},
		"a bad gateway":       {status(502, "<html>"), "1000"},
		"a maintenance page":  {status(200, "<html>"), "1000"},
		"an empty page":       {status(200, `{"items":[],"total":450}`), "1000"},
		"nothing at all":      {status(200, `{"items":[],"total":0}`), "1000"},
		"a total of the page": {shortened(func(s string) string { return strings.Replace(s, `"total":450`, `"total":350`, 1) }), "1000"},
		"broken off":          {shortened(func(s string) string { return s[:len(s)/2] }), "1000"},
		"the first page again": {func(c *crowd, w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Set("offset", "0")
			r.URL.RawQuery = q.Encode()
			c.panel.ServeHTTP(w, r)
		}, ""},
		"one twice in the place of another": {shortened(twice), ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := newCrowd(t, 450, 1000, false)
			client := fast(t, n.url)
			client.UseOrgPage(client.Fingerprint() + " 1000")
			n.instead = func(w http.ResponseWriter, r *http.Request) { c.instead(n, w, r) }
			asked := n.list(t, client)
			if c.known == "" {
				return
			}
			if got := strings.Join(asked, ", "); got != "0+100, 100+1000, 100+100, 200+100, 300+100, 400+100, 0+100 deleted" {
				t.Errorf("asked %s", got)
			}
			if got := size(client); got != c.known {
				t.Errorf("remembers %q, want %q", got, c.known)
			}
		})
	}
}

// A larger page that fails proves nothing about the panel: of the five failures in a row that
// open the breaker it is none.
func TestALargerPageThatFailsIsNoFailureOfThePanel(t *testing.T) {
	n := newCrowd(t, 450, 1000, false)
	fails := func(w http.ResponseWriter, _ *http.Request) { respond(w, 500, "") }
	well, answered := n.panel, false
	n.instead, n.panel = fails, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answered {
			fails(w, r)
			return
		}
		answered = true
		well.ServeHTTP(w, r)
	})
	guard := breaker.New("Enhance", time.Now)
	client := fast(t, n.url, func(o *enhance.Options) { o.Breaker = guard })
	if err := client.EveryOrg(t.Context(), func([]reconcile.Org) error { return nil }); err == nil {
		t.Fatal("the panel failed, and the listing is complete")
	}
	for failures := 2; failures < 5; failures++ { // the page of the usual size was the first
		_, _ = client.CustomerCount(t.Context())
	}
	if err := guard.Open(); err != nil {
		t.Errorf("after four failures: %v", err)
	}
	if _, _ = client.CustomerCount(t.Context()); guard.Open() == nil {
		t.Error("the fifth opens it not")
	}
}

// twice puts the first item of a page in the place of the second.
func twice(page string) string {
	var wire struct {
		Items []json.RawMessage `json:"items"`
		Total int               `json:"total"`
	}
	if err := json.Unmarshal([]byte(page), &wire); err != nil {
		return err.Error()
	}
	wire.Items[1] = wire.Items[0]
	body, err := json.Marshal(wire)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// TestWhatIsKnownOfAnotherPanelIsNotUsed: nor is what cannot be a page.
func TestWhatIsKnownOfAnotherPanelIsNotUsed(t *testing.T) {
	client := fast(t, "https://panel.example.com")
	for _, kept := range []string{"", "https://other.example.com/api " + ourOrg + " 250", client.Fingerprint() + " 99", client.Fingerprint() + " 1001",
		client.Fingerprint(), client.Fingerprint() + " x", "250"} {
		if client.UseOrgPage(kept); client.OrgPage() != "" {
			t.Errorf("%q is used", kept)
		}
	}
	kept := client.Fingerprint() + " 250"
	if client.UseOrgPage(kept); client.OrgPage() != kept {
		t.Errorf("%q is not used: %q", kept, client.OrgPage())
	}
}
