package stripe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// request is one call to the API.
type request struct {
	method string
	route  string   // for metrics: ids replaced by {id}
	path   string   // for the wire and for errors; never with a query
	params []string // key, value, key, value …, in the order of the wire
	noun   string   // the object of a 404, in Stripe's parameter names
}

// get is a read of a collection.
func get(path string, params ...string) request {
	return request{method: http.MethodGet, route: path, path: path, params: params}
}

// getOne is a read of one object. The id is escaped here and nowhere else.
func getOne(collection, noun, id string, params ...string) request {
	return request{method: http.MethodGet, route: collection + "/{id}",
		path: collection + "/" + url.PathEscape(id), params: params, noun: noun}
}

// and is the request with more parameters; the original stays as it is.
func (r request) and(params ...string) request {
	r.params = slices.Concat(r.params, params)
	return r
}

// form converts the parameters for stripe-go.
func (r request) form() *form.Values {
	f := &form.Values{}
	for i := 0; i+1 < len(r.params); i += 2 {
		f.Add(r.params[i], r.params[i+1])
	}
	return f
}

// answer is a 200 answer.
type answer struct {
	body []byte
	sent time.Time // our clock, when the attempt that was answered left
	left time.Time // the same by the clock of the process, to measure how long it took
	date time.Time // Stripe's clock; zero without a Date header
	id   string    // Stripe's id of the request; "" without a Request-Id header
}

// do sends a call and waits for its answer. Every error is classified. Here a write may
// probe whether Stripe works again, because it can be repeated safely.
func (c *Client) do(ctx context.Context, r request) (_ answer, err error) {
	leave, err := c.breaker.Enter(false)
	if err != nil {
		return answer{}, fault.Wrap(fault.Of(err), &callError{request: r, reason: err.Error(), cause: err})
	}
	ex := &exchange{route: r.method + " " + r.route}
	defer func() {
		if ex.status == http.StatusForbidden {
			leave(nil) // a restricted key lacks this permission; its other calls work
			return
		}
		leave(err)
	}()
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	params := &stripego.Params{Context: context.WithValue(call, exchangeKey{}, ex)}
	err = c.backend.CallRaw(r.method, r.path, c.key.Reveal(), r.form(), params, ex)
	if err != nil || ex.status != http.StatusOK {
		return answer{}, classify(ctx, r, ex, err)
	}
	return answer{body: ex.body, sent: ex.sent.UTC(), left: ex.left, date: ex.date, id: printable(ex.requestID)}, nil
}

// callError is a call without a usable answer. It names the call, the status and
// Stripe's request id, and nothing that was sent or received, because a query may hold
// an e-mail and a body anything.
type callError struct {
	request   request
	status    int
	code      string // Stripe's error code
	reason    string // used if there is no status or code
	requestID string
	cause     error
}

func (e *callError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stripe: %s %s:", e.request.method, e.request.path)
	if e.status != 0 {
		fmt.Fprintf(&b, " %d", e.status)
	}
	for _, part := range []string{e.code, e.reason} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	if e.requestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.requestID)
	}
	return b.String()
}

func (e *callError) Unwrap() error { return e.cause }

// malformed is the error of an answer that breaks its contract, so that no conclusion
// may be drawn from it.
func malformed(r request, format string, args ...any) error {
	return fault.Wrap(fault.Malformed, &callError{request: r, reason: fmt.Sprintf(format, args...)})
}

// classify gives a failed call its fault kind. The error that stripe-go returned is
// used for Stripe's own code only, because its text may quote the body.
func classify(ctx context.Context, r request, ex *exchange, err error) error {
	e := &callError{request: r, status: ex.status, requestID: printable(ex.requestID)}
	if ctx.Err() != nil {
		e.status, e.reason, e.cause = 0, ctx.Err().Error(), ctx.Err()
		return fault.Wrap(fault.Canceled, e)
	}
	if ex.status == 0 {
		return fault.Wrap(unanswered(cmp.Or(ex.err, err), e), e)
	}
	var api *stripego.Error
	if errors.As(err, &api) {
		e.code = printable(string(api.Code))
	}
	if e.code == "" {
		e.reason = http.StatusText(ex.status)
	}
	return fault.Wrap(answered(ex.status, r, api, e), e)
}

// unanswered classifies a call without any answer.
func unanswered(err error, e *callError) fault.Kind {
	var wait *waitError
	e.cause = err
	switch {
	case errors.As(err, &wait):
		e.reason = "the request rate left no room in time"
		e.cause = breaker.Unasked(errors.New(e.reason))
		return fault.Throttled
	case errors.Is(err, errTooLarge):
		e.reason = err.Error()
		return fault.Malformed
	case errors.Is(err, fault.Fenced):
		e.reason = err.Error()
		return fault.Fenced
	}
	e.reason = transportText(err)
	return fault.Transient
}

// answered classifies an answer that is not a success.
func answered(status int, r request, api *stripego.Error, e *callError) fault.Kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.Denied
	case status == http.StatusNotFound && missing(r, api):
		if otherMode(api) {
			e.reason = "the object exists in the other mode (test or live) than this key's"
			return fault.Permanent
		}
		return fault.NotFound
	case status == http.StatusTooManyRequests:
		if e.code == "lock_timeout" {
			return fault.Transient
		}
		return fault.Throttled
	case status == http.StatusConflict, status >= http.StatusInternalServerError:
		return fault.Transient
	}
	return fault.Permanent
}

// missing reports Stripe's own "no such object" about the object that was asked for. It
// is false for every other 404.
func missing(r request, api *stripego.Error) bool {
	return r.noun != "" && api != nil &&
		api.Type == stripego.ErrorTypeInvalidRequest &&
		api.Code == stripego.ErrorCodeResourceMissing &&
		slices.Contains([]string{"", "id", r.noun}, api.Param)
}

// otherMode recognises the hint that Stripe adds to "no such object" if the key is of
// the wrong mode. It does not prove that the object is gone.
func otherMode(api *stripego.Error) bool { return existsInOtherMode.MatchString(api.Msg) }

// retrying is the one retry layer: go-retryablehttp around single attempts. It has no
// logger, because that would print query strings, and no timeout of its own, because
// the attempts have one.
func retrying(o Options, a *attempts) http.RoundTripper {
	return &retryablehttp.RoundTripper{Client: &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: a, CheckRedirect: noRedirect},
		Logger:       nil,
		RetryWaitMin: o.RetryMin,
		RetryWaitMax: o.RetryMax,
		RetryMax:     o.MaxAttempts - 1,
		CheckRetry:   shouldRetry,
		Backoff:      backoff(o.Now),
		ErrorHandler: retryablehttp.PassthroughErrorHandler, // so that the caller gets Stripe's own error text
	}}
}

// shouldRetry asks first whether Stripe's header decides, and then what the status means.
// A POST is retried like a GET, because it carries an idempotency key. If the caller has
// left, the wait before the next attempt ends the call; an answer that came before that
// counts.
func shouldRetry(_ context.Context, resp *http.Response, err error) (bool, error) {
	if err != nil {
		return worthRepeating(err), nil
	}
	switch resp.Header.Get("Stripe-Should-Retry") {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	switch code := resp.StatusCode; {
	case code == http.StatusConflict, code == http.StatusTooManyRequests:
		return true, nil
	default:
		return code >= http.StatusInternalServerError, nil
	}
}

// worthRepeating is false if a second attempt would fail in the same way.
func worthRepeating(err error) bool {
	var wait *waitError
	var cert *tls.CertificateVerificationError
	return !errors.As(err, &wait) && !errors.As(err, &cert) && !errors.Is(err, errTooLarge) && !errors.Is(err, fault.Fenced)
}

// backoff doubles from least to most and takes a random point in the upper half, so
// that callers who failed together do not return together. A Retry-After replaces it,
// but limited, because the library would sleep for any time it names.
func backoff(now func() time.Time) retryablehttp.Backoff {
	return func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
		if resp != nil {
			if wait, ok := ratelimit.RetryAfter(resp.Header, now(), maxRetryAfter); ok {
				return wait
			}
		}
		wait := most
		if attempt < 30 && least<<attempt < most {
			wait = least << attempt
		}
		return wait/2 + rand.N(wait/2+1)
	}
}
