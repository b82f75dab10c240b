package stripe_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/internal/needs"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// mocks finds Stripe's own stripe-mock, which checks every parameter against Stripe's
// OpenAPI description. There may be several versions: executables named stripe-mock or
// stripe-mock-VERSION in the cache where .ci/deps puts them, or in the directories of
// STRIPE_MOCK_DIR, GOBIN or PATH.
func mocks(t *testing.T) []string {
	t.Helper()
	var dirs []string
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "stripe-enhance"))
	}
	for _, name := range []string{"STRIPE_MOCK_DIR", "GOBIN", "PATH"} {
		dirs = append(dirs, filepath.SplitList(os.Getenv(name))...)
	}
	var found []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		for _, pattern := range []string{"stripe-mock", "stripe-mock-*"} {
			matches, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, matches...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// serve starts a stripe-mock on loopback and waits until it answers.
func serve(t *testing.T, binary string) (url string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	// The context kills exactly this process.
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, binary, "-http-addr", address)
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait() // killed, as it should be
	})
	url = "http://" + address
	limit, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		r, err := http.NewRequestWithContext(limit, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_ = resp.Body.Close()
			return url
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			t.Fatalf("%s does not answer on %s", binary, address)
		}
	}
}

// mustBeAccepted accepts an answer of any shape, because stripe-mock answers with
// fixtures that ignore the request. If it refuses a request, the answer is a 4xx.
func mustBeAccepted(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, fault.Malformed) || strings.Contains(err.Error(), "/features: 404") {
		return // the older mock has an API without Entitlements
	}
	t.Errorf("%s was not accepted: %v", call, err)
}

// rewriting changes answers on their way back, because a fixture is never late or
// longer than a page, and the client asks further only if it is.
type rewriting struct {
	from, to string
	refused  map[string]int
	asked    map[string]bool
}

func (w *rewriting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	w.asked[r.URL.Path] = true
	// The older mock has an API without Entitlements.
	missing := resp.StatusCode == http.StatusNotFound && strings.HasSuffix(r.URL.Path, "/features")
	if resp.StatusCode != http.StatusOK && !missing {
		w.refused[r.Method+" "+r.URL.String()] = resp.StatusCode
	}
	if w.from != "" && !r.URL.Query().Has("starting_after") {
		body = regexp.MustCompile(w.from).ReplaceAll(body, []byte(w.to))
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

func TestEveryRequestIsAcceptedByStripesOwnMock(t *testing.T) {
	found := mocks(t)
	if len(found) == 0 {
		needs.Missing(t, "no stripe-mock where `make ci-deps` puts it, nor in STRIPE_MOCK_DIR, GOBIN or PATH")
	}
	for _, binary := range found {
		t.Run(filepath.Base(binary), func(t *testing.T) {
			url := serve(t, binary)
			asked := map[string]bool{}
			for _, change := range [][2]string{{"", ""}, {`"status": *"[a-z_]+"`, `"status":"past_due"`}, {`"has_more": *false`, `"has_more":true`}} {
				w := &rewriting{from: change[0], to: change[1], refused: map[string]int{}, asked: asked}
				// One at a time, because the maps are not guarded.
				client, err := stripe.New(stripe.Options{Key: secret.New("sk_test_123"), BaseURL: url, Transport: w,
					Limiter: ratelimit.New(ratelimit.Options{RPS: 1e6, Concurrency: 1}), RetryMin: time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				everyRequest(t, client, change[0] == "")
				for request, code := range w.refused {
					t.Errorf("%s: %d", request, code)
				}
			}
			for _, path := range []string{"/v1/subscriptions", "/v1/subscription_items", "/v1/invoices", "/v1/events",
				"/v1/prices", "/v1/products", "/v1/customers", "/v1/checkout/sessions", "/v1/subscription_schedules"} {
				if !asked[path] {
					t.Errorf("%s was never asked for", path)
				}
			}
		})
	}
}

// everyRequest makes each call. untouched: the answers are the mock's own.
func everyRequest(t *testing.T, client *stripe.Client, untouched bool) {
	t.Helper()
	ctx, id := t.Context(), "sub_1MowQVLkdIwHu7ixeRlqHVzs"
	listed := 0
	_, err := client.Sweep(ctx, func(page []reconcile.SubscriptionFacts) error {
		listed += len(page)
		return nil
	})
	mustBeAccepted(t, "sweep", err)
	if untouched && listed == 0 {
		t.Errorf("the fixture of a subscription was not understood: %v", err)
	}
	_, err = client.Subscription(ctx, id)
	mustBeAccepted(t, "subscription", err)
	_, err = client.Events(ctx, time.Now().Add(-time.Hour))
	mustBeAccepted(t, "events", err)
	_, err = client.CheckoutDomain(ctx, id)
	mustBeAccepted(t, "checkout domain", err)
	mustBeAccepted(t, "metadata", client.WriteMetadata(ctx, id, map[string]string{"enhance_org_id": "x"}))
	for _, id := range []string{"price_1", "prod_1", "basic"} {
		_, err = client.Known(ctx, id)
		mustBeAccepted(t, "known "+id, err)
	}
	_, err = client.Disputes(ctx, time.Now().Add(-time.Hour))
	mustBeAccepted(t, "disputes", err)
	_, _, err = client.Dispute(ctx, "dp_1")
	mustBeAccepted(t, "dispute", err)
	_, err = client.ProductFeatures(ctx, "prod_1")
	mustBeAccepted(t, "features of a product", err)
	_, err = client.Schedules(ctx, func([]reconcile.Schedule) {})
	mustBeAccepted(t, "schedules", err)
	_, err = client.Charges(ctx, id)
	var unknown money.Unknown
	if !errors.As(err, &unknown) {
		mustBeAccepted(t, "charges", err)
	}
	_, err = client.PaidInvoice(ctx, id)
	mustBeAccepted(t, "paid invoice", err)
	_, err = client.Prices(ctx)
	mustBeAccepted(t, "prices", err)
	permissions, err := client.Check(ctx)
	mustBeAccepted(t, "check", err)
	for _, p := range permissions {
		mustBeAccepted(t, "check of "+p.Resource, p.Err)
	}
}
