package enhance

import (
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// TestARequestThatCannotBeMadeIsAnErrorOfItsCall, is not sent, and leaves no slot taken.
func TestARequestThatCannotBeMadeIsAnErrorOfItsCall(t *testing.T) {
	limiter := ratelimit.New(ratelimit.Options{RPS: 1e6, Concurrency: 2})
	c, err := New(Options{BaseURL: "http://panel.example/api", Token: secret.New("token-of-a-test"), Org: "0a1b2c3d-0000-4000-8000-000000000000",
		Transport: panics{}, Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	nothing := func([]byte) error { return nil }
	for want, do := range map[string]func() error{
		`enhance: GET IT /version: net/http: invalid method "GET IT"`: func() error {
			return c.read(t.Context(), at("GET IT", "/version"), objectLimit, nothing)
		},
		`enhance: PUT IT /version: net/http: invalid method "PUT IT"`: func() error {
			return c.write(t.Context(), at("PUT IT", "/version"), nil, http.StatusOK, nothing)
		},
		`enhance: PUT /version: json: unsupported value: +Inf`: func() error {
			return c.write(t.Context(), at(http.MethodPut, "/version"), math.Inf(1), http.StatusOK, nothing)
		},
	} {
		if err := do(); fault.Of(err) != fault.Permanent || !strings.HasPrefix(err.Error(), want) || limiter.Inflight() != 0 || c.Requests() != 0 {
			t.Errorf("got %v (%v), %d slots are taken, want %s", err, fault.Of(err), limiter.Inflight(), want)
		}
	}
}
