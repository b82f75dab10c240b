package engine_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// eventless is a Stripe that lists no events, as if all of them were lost.
type eventless struct{ http.RoundTripper }

func (e eventless) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := e.RoundTripper.RoundTrip(r)
	if err == nil && r.URL.Path == "/v1/events" {
		answer.Body = io.NopCloser(strings.NewReader(`{"object":"list","data":[],"has_more":false,"url":"/v1/events"}`))
		answer.ContentLength = -1
	}
	return answer, err
}

// An invitation makes its owner of the address the owner of the org. So one that comes late
// goes to the address that the buyer has by then, also if the event about it was lost.
func TestALateInvitationGoesToTheAddressOfToday(t *testing.T) {
	r := testenv.New(t, testenv.Options{Transport: func(way http.RoundTripper) http.RoundTripper { return eventless{way} }})
	ada := signUp(t, r, simulator.SignUp{Email: "adda@example.com", Guest: true, Price: priceFor(t, r, plans(r)[0])})
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if strings.HasSuffix(c.Route, "/invites") {
			return simulator.NotDone(http.StatusForbidden)
		}
		return simulator.Fault{}
	})
	_, _ = r.Try(engine.Request{})
	diff(t, "hostings", 1, len(r.World.Hostings()))
	r.World.SetFault(nil)
	must(t, r.World.SetEmail(ada.Customer, "ada@example.com"))
	r.World.Advance(time.Hour)
	r.Run(engine.Request{})
	r.Run(engine.Request{})
	diff(t, "invited", []string{"ada@example.com"}, invited(r))
}
