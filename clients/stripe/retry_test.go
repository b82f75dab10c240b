package stripe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
)

// readOnce makes one read by id; the answers decide how it ends.
func readOnce(ctx context.Context, c *Client) error {
	_, err := c.Subscription(ctx, "sub_1")
	return err
}

func TestEveryFailureIsRetriedOrNotAndClassified(t *testing.T) {
	envelope := func(kind, code string) string {
		return `{"error":{"type":"` + kind + `","code":"` + code + `","message":"canary message","param":"id"}}`
	}
	const five = 5
	for name, tt := range map[string]struct {
		answer   reply
		kind     fault.Kind
		requests int
		text     string
	}{
		"401":                             {reply{status: 401, body: envelope("invalid_request_error", "")}, fault.Denied, 1, "401 Unauthorized"},
		"403":                             {reply{status: 403, body: envelope("invalid_request_error", "more_permissions_required")}, fault.Denied, 1, "403 more_permissions_required"},
		"403 of a proxy":                  {reply{status: 403, body: "<html>"}, fault.Denied, 1, "403 Forbidden"},
		"404 of that object":              {reply{status: 404, body: missingBody}, fault.NotFound, 1, "404 resource_missing"},
		"404 of another object":           {reply{status: 404, body: strings.Replace(missingBody, `"id"`, `"customer"`, 1)}, fault.Permanent, 1, "404 resource_missing"},
		"404 with another code":           {reply{status: 404, body: envelope("invalid_request_error", "url_invalid")}, fault.Permanent, 1, "404 url_invalid"},
		"404 of another kind of error":    {reply{status: 404, body: envelope("api_error", "resource_missing")}, fault.Permanent, 1, "404 resource_missing"},
		"404 of a proxy":                  {reply{status: 404, body: "<html>not here</html>"}, fault.Permanent, 1, "404 Not Found"},
		"404 of a proxy in JSON":          {reply{status: 404, body: `{"code":"resource_missing"}`}, fault.Permanent, 1, "404 Not Found"},
		"404 of the other mode":           {reply{status: 404, body: strings.Replace(missingBody, "No such thing", "No such subscription: 'sub_1'; a similar object exists in live mode, but a test mode key was used to make this request.", 1)}, fault.Permanent, 1, "exists in the other mode"},
		"400":                             {reply{status: 400, body: envelope("invalid_request_error", "parameter_unknown")}, fault.Permanent, 1, "400 parameter_unknown"},
		"402":                             {reply{status: 402, body: envelope("card_error", "card_declined")}, fault.Permanent, 1, "402 card_declined"},
		"409":                             {reply{status: 409, body: envelope("invalid_request_error", "")}, fault.Transient, five, "409 Conflict"},
		"429":                             {reply{status: 429, body: envelope("invalid_request_error", "rate_limit")}, fault.Throttled, five, "429 rate_limit"},
		"429 of a lock":                   {reply{status: 429, body: envelope("invalid_request_error", "lock_timeout")}, fault.Transient, five, "429 lock_timeout"},
		"500":                             {reply{status: 500, body: envelope("api_error", "")}, fault.Transient, five, "500 Internal Server Error"},
		"502 of a proxy":                  {reply{status: 502, body: "<html>canary</html>"}, fault.Transient, five, "502 Bad Gateway"},
		"500 that Stripe says is final":   {reply{status: 500, header: map[string]string{"Stripe-Should-Retry": "false"}}, fault.Transient, 1, "500"},
		"400 that Stripe says may pass":   {reply{status: 400, body: envelope("invalid_request_error", "x"), header: map[string]string{"Stripe-Should-Retry": "true"}}, fault.Permanent, five, "400 x"},
		"a redirect":                      {reply{status: 302, header: map[string]string{"Location": "https://evil.test/"}}, fault.Permanent, 1, "302 Found"},
		"a success that is none":          {reply{status: 204}, fault.Permanent, 1, "204 No Content"},
		"a reset connection":              {reply{err: syscall.ECONNRESET}, fault.Transient, five, "connection reset by peer"},
		"a body that ends early":          {reply{body: goodSubscription, cut: true}, fault.Transient, five, "unexpected EOF"},
		"an error body that ends early":   {reply{status: 404, body: missingBody, cut: true}, fault.Transient, five, "unexpected EOF"},
		"an error as long as a page":      {reply{err: errors.New(strings.Repeat("canary ", 1000))}, fault.Transient, five, strings.Repeat("canary ", 20)},
		"a certificate that is not valid": {reply{err: &tls.CertificateVerificationError{Err: errors.New("x509: expired")}}, fault.Transient, 1, "x509: expired"},
		"JSON that ends early":            {reply{body: goodSubscription[:40]}, fault.Malformed, 1, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			s := always(tt.answer)
			err := readOnce(t.Context(), s.client(t))
			if diff := cmp.Diff(tt.kind, fault.Of(err)); diff != "" {
				t.Errorf("kind of %v (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(tt.requests, s.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			text := "stripe: GET /v1/subscriptions/sub_1: "
			if !strings.HasPrefix(err.Error(), text) || len(err.Error()) > 300 || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "canary message") {
				t.Errorf("error %q, want %s…%s", err, text, tt.text)
			}
		})
	}
}

func TestTheTextOfAnErrorNamesCallStatusCodeAndRequest(t *testing.T) {
	err := readOnce(t.Context(), always(reply{status: 404, body: missingBody}).client(t))
	if diff := cmp.Diff("stripe: GET /v1/subscriptions/sub_1: 404 resource_missing (request req_canary)", err.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestWhatGoesWrongOnceIsGotOver(t *testing.T) {
	good := reply{body: goodSubscription}
	for name, bad := range map[string]reply{
		"429": {status: 429}, "500": {status: 500}, "503": {status: 503}, "409": {status: 409},
		"a reset": {err: syscall.ECONNRESET}, "a cut body": {body: goodSubscription, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := inTurn(bad, bad, good)
			c := s.client(t)
			if err := readOnce(t.Context(), c); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]int{3, 3}, []int{s.requests(), c.Requests()}); diff != "" {
				t.Errorf("requests made and counted (-want +got):\n%s", diff)
			}
		})
	}
}

// inBubble runs a test in virtual time with a client whose waits are the real ones.
func inBubble(t *testing.T, s *stub, test func(*testing.T, *Client), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Transport: s, Limiter: ratelimit.New(ratelimit.Options{RPS: 20})}
		for _, c := range change {
			c(&o)
		}
		test(t, newClient(t, o))
	})
}

func TestRetryAfterIsObeyedAndClamped(t *testing.T) {
	date := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		header      map[string]string
		least, most time.Duration
	}{
		"seconds":                     {map[string]string{"Retry-After": "7"}, 7 * time.Second, 8 * time.Second},
		"an hour":                     {map[string]string{"Retry-After": "3600"}, maxRetryAfter, maxRetryAfter + time.Second},
		"more than fits a number":     {map[string]string{"Retry-After": "99999999999999999999"}, defaultRetryMin / 2, time.Second},
		"a negative number":           {map[string]string{"Retry-After": "-5"}, defaultRetryMin / 2, time.Second},
		"nonsense":                    {map[string]string{"Retry-After": "soon"}, defaultRetryMin / 2, time.Second},
		"none":                        {nil, defaultRetryMin / 2, time.Second},
		"a time by the server's cloc": {map[string]string{"Date": date.Format(http.TimeFormat), "Retry-After": date.Add(9 * time.Second).Format(http.TimeFormat)}, 9 * time.Second, 10 * time.Second},
	} {
		for _, status := range []int{429, 503} { // only the first also stops the limiter
			t.Run(fmt.Sprint(name, " with ", status), func(t *testing.T) {
				s := inTurn(reply{status: status, header: tt.header}, reply{body: goodSubscription})
				inBubble(t, s, func(t *testing.T, c *Client) {
					begin := time.Now()
					if err := readOnce(t.Context(), c); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(begin); took < tt.least || took > tt.most {
						t.Errorf("waited %v, want %v to %v", took, tt.least, tt.most)
					}
				})
			})
		}
	}
}

func TestA429SlowsTheWholeSideDownAndALockDoesNot(t *testing.T) {
	for body, want := range map[string]float64{
		`{"error":{"type":"invalid_request_error","code":"rate_limit"}}`:   10,
		`{"error":{"type":"invalid_request_error","code":"lock_timeout"}}`: 20,
		`Too Many Requests`: 10,
	} {
		s := inTurn(reply{status: 429, body: body}, reply{body: goodSubscription})
		limiter := ratelimit.New(ratelimit.Options{RPS: 20})
		inBubble(t, s, func(t *testing.T, c *Client) {
			if err := readOnce(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, limiter.Rate()); diff != "" {
				t.Errorf("rate after %s (-want +got):\n%s", body, diff)
			}
		}, func(o *Options) { o.Limiter = limiter })
	}
}

// TestWhateverStripeAnswersItselfLetsTheRateRecover: a rate that was halved would stay
// low on an account whose reads end in a 404 or a 403, if only a 200 raised it.
func TestWhateverStripeAnswersItselfLetsTheRateRecover(t *testing.T) {
	for status, recovers := range map[int]bool{200: true, 403: true, 404: true, 500: false} {
		inBubble(t, always(reply{status: status, body: goodSubscription}), func(t *testing.T, c *Client) {
			limiter := c.attempts.limiter
			limiter.Throttled(0)
			low := limiter.Rate()
			time.Sleep(2 * time.Second) // in virtual time: an answer right after a refusal was asked for before it
			_ = readOnce(t.Context(), c)
			if got := limiter.Rate() > low; got != recovers {
				t.Errorf("after a %d the rate went from %v to %v", status, low, limiter.Rate())
			}
		})
	}
}

func TestAnAttemptThatHangsIsRetriedAndACallThatHangsEnds(t *testing.T) {
	s := inTurn(reply{hang: true}, reply{body: goodSubscription})
	inBubble(t, s, func(t *testing.T, c *Client) {
		begin := time.Now()
		if err := readOnce(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < defaultAttemptTimeout || took > defaultAttemptTimeout+time.Second {
			t.Errorf("took %v", took)
		}
	})
	s = always(reply{hang: true})
	inBubble(t, s, func(t *testing.T, c *Client) {
		begin := time.Now()
		err := readOnce(t.Context(), c)
		if fault.Of(err) != fault.Transient || !strings.HasSuffix(err.Error(), "no answer in time") {
			t.Errorf("error %v (%v)", err, fault.Of(err))
		}
		if diff := cmp.Diff(time.Minute, time.Since(begin)); diff != "" {
			t.Errorf("time of the call (-want +got):\n%s", diff)
		}
	}, func(o *Options) { o.CallTimeout = time.Minute })
}

func TestTheCallersContextEndsEveryWait(t *testing.T) {
	for name, answer := range map[string]reply{
		"during an attempt":  {hang: true},
		"during a back-off":  {status: 500},
		"during Retry-After": {status: 429, header: map[string]string{"Retry-After": "20"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, always(answer), func(t *testing.T, c *Client) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(100*time.Millisecond, cancel)
				begin := time.Now()
				err := readOnce(ctx, c)
				if fault.Of(err) != fault.Canceled || !errors.Is(err, context.Canceled) {
					t.Errorf("error %v (%v), want canceled", err, fault.Of(err))
				}
				if diff := cmp.Diff(100*time.Millisecond, time.Since(begin)); diff != "" {
					t.Errorf("time until it ended (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	s := always(reply{body: goodSubscription})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readOnce(ctx, s.client(t)); fault.Of(err) != fault.Canceled {
		t.Errorf("error %v, want canceled", err)
	}
	if s.requests() != 0 {
		t.Errorf("%d requests", s.requests())
	}
}

// TestAnAnswerThatCameCountsThoughTheCallerHasLeft: what was written is written. If the
// call were canceled, its outcome would have to be looked for.
func TestAnAnswerThatCameCountsThoughTheCallerHasLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &stub{answer: func(int, *http.Request) reply {
		cancel()
		return reply{body: goodSubscription}
	}}
	if err := s.client(t).WriteMetadata(ctx, "sub_1", map[string]string{"a": "b"}); err != nil || ctx.Err() == nil {
		t.Errorf("error %v, the context's %v", err, ctx.Err())
	}
}

// TestAWriteWhoseFenceHasClosedIsNotSent, neither at first nor again, because another
// process may be at work by now. Reads go on.
func TestAWriteWhoseFenceHasClosedIsNotSent(t *testing.T) {
	for requests := range 3 { // sent before it closes
		s := always(reply{status: 500})
		ctx := fence.Around(t.Context(), func() error {
			if s.requests() >= requests {
				return fault.Errorf(fault.Fenced, "the lease is lost")
			}
			return nil
		})
		c := s.client(t)
		err := c.WriteMetadata(ctx, "sub_1", map[string]string{"a": "b"})
		if fault.Of(err) != fault.Fenced || !strings.HasSuffix(err.Error(), "POST /v1/subscriptions/sub_1: the lease is lost") {
			t.Errorf("error %v (%v), want fenced", err, fault.Of(err))
		}
		if s.requests() != requests {
			t.Errorf("%d requests, want %d", s.requests(), requests)
		}
		if err := readOnce(ctx, c); fault.Of(err) != fault.Transient || s.requests() != requests+5 {
			t.Errorf("a read: %v after %d requests", err, s.requests()-requests)
		}
	}
}

// TestAReadWithACredentialThatWasNotProvedIsNotSent, and neither is a write.
func TestAReadWithACredentialThatWasNotProvedIsNotSent(t *testing.T) {
	s := always(reply{body: goodSubscription})
	ctx := fence.Pin(t.Context(), func() error { return fault.Errorf(fault.Fenced, "the key has changed") })
	c := s.client(t)
	for what, err := range map[string]error{"read": readOnce(ctx, c), "write": c.WriteMetadata(ctx, "sub_1", map[string]string{"a": "b"})} {
		if fault.Of(err) != fault.Fenced || s.requests() != 0 {
			t.Errorf("a %s: %v after %d requests", what, err, s.requests())
		}
	}
}

func TestARequestThatCannotBeMadeIsAnErrorOfItsCall(t *testing.T) {
	s := always(reply{body: goodSubscription})
	_, err := s.client(t).do(t.Context(), request{method: "GET IT", path: "/v1/subscriptions"})
	if err == nil || !strings.HasPrefix(err.Error(), "stripe: GET IT /v1/subscriptions: ") || !strings.Contains(err.Error(), "invalid method") || s.requests() != 0 {
		t.Errorf("error %v after %d requests", err, s.requests())
	}
}

func TestARateThatLeavesNoRoomIsThrottled(t *testing.T) {
	limiter := ratelimit.New(ratelimit.Options{RPS: 20})
	s := always(reply{body: goodSubscription})
	inBubble(t, s, func(t *testing.T, c *Client) {
		limiter.Throttled(4 * time.Minute)
		if err := readOnce(t.Context(), c); fault.Of(err) != fault.Throttled || s.requests() != 0 {
			t.Errorf("error %v (%v) after %d requests, want throttled after none", err, fault.Of(err), s.requests())
		}
	}, func(o *Options) { o.Limiter = limiter })
}

func TestBackOffGrowsStaysWithinItsBoundsAndDiffers(t *testing.T) {
	wait := backoff(time.Now)
	seen := map[time.Duration]bool{}
	for attempt := range 70 {
		full := min(defaultRetryMin<<min(attempt, 10), defaultRetryMax)
		for range 10 {
			got := wait(defaultRetryMin, defaultRetryMax, attempt, nil)
			if got < full/2 || got > full {
				t.Fatalf("attempt %d waits %v, want %v to %v", attempt, got, full/2, full)
			}
			seen[got] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d different waits of 700", len(seen))
	}
}

func TestACanceledSweepLeavesNobodyBehind(t *testing.T) {
	f := newFleet(spread(testRand(), 20000, newest-90*day, newest))
	f.latency = 50 * time.Millisecond
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays
		c := f.client(t, 1e6, 8)
		ctx, cancel := context.WithTimeout(t.Context(), 330*time.Millisecond)
		defer cancel()
		begin := time.Now()
		listing, err := c.Sweep(ctx, nothing)
		if fault.Of(err) != fault.Canceled || listing.Count != 0 {
			t.Errorf("listing %+v, error %v (%v)", listing, err, fault.Of(err))
		}
		if diff := cmp.Diff(330*time.Millisecond, time.Since(begin)); diff != "" {
			t.Errorf("time until it ended (-want +got):\n%s", diff)
		}
	})
}
