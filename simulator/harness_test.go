package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// caller calls a world as any program would, through its Transport.
type caller struct {
	t    *testing.T
	w    *World
	http http.RoundTripper
}

func newCaller(t *testing.T, o Options) *caller {
	t.Helper()
	w := New(o)
	return &caller{t: t, w: w, http: w.Transport()}
}

// said is an answer as it was received.
type said struct {
	status int
	header http.Header
	body   []byte
}

func (c *caller) try(r *http.Request) (said, error) {
	res, err := c.http.RoundTrip(r)
	if err != nil {
		return said{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return said{status: res.StatusCode, header: res.Header, body: b}, err
}

func (c *caller) do(r *http.Request) said {
	c.t.Helper()
	s, err := c.try(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return s
}

func (c *caller) request(method, url, token, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// stripe calls Stripe with the right key; path has the query.
func (c *caller) stripe(method, path, form string) said {
	c.t.Helper()
	r := c.request(method, "http://"+StripeHost+path, c.w.StripeKey(), form)
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.do(r)
}

// enhance calls the panel with the right token; {org} is ours.
func (c *caller) enhance(method, path, body string) said {
	c.t.Helper()
	return c.do(c.enhanceRequest(method, path, body))
}

func (c *caller) enhanceRequest(method, path, body string) *http.Request {
	c.t.Helper()
	path = strings.ReplaceAll(path, "{org}", c.w.OrgID())
	r := c.request(method, "http://"+EnhanceHost+"/api"+path, c.w.EnhanceToken(), body)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// object is a JSON object of any shape.
type object map[string]any

func (c *caller) object(s said, want int) object {
	c.t.Helper()
	if s.status != want {
		c.t.Fatalf("got status %d with %s, want %d", s.status, s.body, want)
	}
	var o object
	if err := json.Unmarshal(s.body, &o); err != nil {
		c.t.Fatalf("%v in %s", err, s.body)
	}
	return o
}

// at follows a path of keys.
func (o object) at(path string) any {
	var v any = map[string]any(o)
	for key := range strings.SplitSeq(path, ".") {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil
		}
		v = m[key]
	}
	return v
}

// ids returns the ids in a list of either service.
func (o object) ids() []string {
	rows, _ := o["data"].([]any)
	if rows == nil {
		rows, _ = o["items"].([]any)
	}
	out := []string{}
	for _, r := range rows {
		id, err := json.Marshal(r.(map[string]any)["id"])
		if err != nil {
			panic(err)
		}
		out = append(out, strings.Trim(string(id), `"`))
	}
	return out
}

// all pages through a Stripe list and returns the ids in the order they came.
func (c *caller) all(path string, query url.Values) []string {
	c.t.Helper()
	out := []string{}
	for {
		page := c.object(c.stripe("GET", path+"?"+query.Encode(), ""), 200)
		ids := page.ids()
		out = append(out, ids...)
		if page["has_more"] != true {
			return out
		}
		query.Set("starting_after", ids[len(ids)-1])
	}
}

func (c *caller) signUp(o SignUp) SignedUp {
	c.t.Helper()
	s, err := c.w.SignUp(o)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *caller) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) status(sub string) string {
	c.t.Helper()
	s, ok := c.w.Subscription(sub)
	if !ok {
		c.t.Fatalf("no subscription %s", sub)
	}
	return s.Status
}

// calm is a world with the usual offer and no hostility.
func calm(t *testing.T) *caller {
	t.Helper()
	c := newCaller(t, Options{Calm: true})
	c.w.Offer()
	return c
}

const day = 24 * time.Hour
