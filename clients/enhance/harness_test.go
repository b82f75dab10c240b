package enhance_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const (
	ourOrg   = "0a0a0a0a-1111-4222-8333-444444444444"
	otherOrg = "0b0b0b0b-1111-4222-8333-444444444444"
	canary   = "canary-token-8f2c"
	noID     = "0c0c0c0c-1111-4222-8333-444444444444"
)

// attempts is how often the clients of these tests try a read.
const attempts = 2

// fast is a client without pauses.
func fast(t *testing.T, url string, edit ...func(*enhance.Options)) *enhance.Client {
	t.Helper()
	o := enhance.Options{
		BaseURL: url, Token: secret.New(canary), Org: ourOrg,
		Limiter:         ratelimit.New(ratelimit.Options{RPS: math.Inf(1), Concurrency: 64, Min: 500}),
		MaxReadAttempts: attempts, ReadBackoff: time.Nanosecond,
	}
	for _, e := range edit {
		e(&o)
	}
	c, err := enhance.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// served is a panel on loopback that answers with h.
func served(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// town is a calm simulated panel with one customer who has one hosting.
type town struct {
	world   *simulator.World
	url     string
	org     string
	hosting int64
	client  *enhance.Client

	mu     sync.Mutex // guards the fields below
	route  string
	fault  simulator.Fault
	called map[string]int
}

func newTown(t *testing.T, edit ...func(*enhance.Options)) *town {
	t.Helper()
	w := simulator.New(simulator.Options{Calm: true, EnhanceToken: canary, OrgID: ourOrg, Follow: time.Now})
	w.AddPlan(1, "Basic", simulator.Resource{Name: "websites", Total: 3}, simulator.Resource{Name: "diskspace", Total: -1})
	w.AddPlan(2, "Pro", simulator.Resource{Name: "websites", Total: 10})
	n := &town{world: w, called: map[string]int{}}
	n.org = w.StaffCreateOrg("Ada", "ada@example.com")
	hosting, err := w.StaffCreateHosting(n.org, 1, "Basic [sub_1/1]")
	if err != nil {
		t.Fatal(err)
	}
	n.hosting = int64(hosting)
	n.url = served(t, w.EnhanceHandler().ServeHTTP)
	n.client = fast(t, n.url, edit...)
	w.SetFault(n.hook)
	return n
}

// breaks makes every call of a route fail with f from now on.
func (n *town) breaks(route string, f simulator.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.route, n.fault = route, f
	clear(n.called)
}

func (n *town) hook(c simulator.Call) simulator.Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.called[c.Route]++
	if c.Route == n.route {
		return n.fault
	}
	return simulator.Fault{Honest: true}
}

// calls returns how often a route was called since breaks.
func (n *town) calls(route string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.called[route]
}

// verdict is the kind of err, followed by every other kind that errors.Is finds.
func verdict(err error) string {
	if err == nil {
		return "ok"
	}
	kinds := []string{fault.Of(err).String()}
	for _, k := range []fault.Kind{fault.Throttled, fault.Denied, fault.Permanent, fault.Conflict, fault.NotFound, fault.Ambiguous} {
		if errors.Is(err, k) && !slices.Contains(kinds, k.String()) {
			kinds = append(kinds, k.String())
		}
	}
	return strings.Join(kinds, " ")
}

// inProcess answers with a handler and without sockets, because a synctest bubble
// allows none.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// silent never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// respond answers with one status and body.
func respond(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, format, args...)
}

// op is one method of the client as a row of data.
type op struct {
	name  string
	route string // the request that matters
	class string // create, set or read
	// missing is the meaning of the panel's own 404 without a detail for this op.
	missing string
	do      func(ctx context.Context, n *town) error
}
