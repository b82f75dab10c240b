package stripe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-cleanhttp"
	"github.com/sirupsen/logrus"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
)

// maxBody limits one answer. A page of 100 expanded subscriptions is a quarter of a
// megabyte, so a server that sends 16 is broken.
const maxBody = 16 << 20

// pool is a transport that keeps a connection for every slice, so that a sweep does not
// open one for each page.
func pool(connections int) http.RoundTripper {
	t := cleanhttp.DefaultPooledTransport()
	t.MaxIdleConnsPerHost = max(connections, t.MaxIdleConnsPerHost)
	return t
}

// exchange is one call as the attempts beneath stripe-go saw it. It travels in the
// request's context and belongs to the goroutine of the call.
type exchange struct {
	route string // with ids replaced

	attempts  int
	sent      time.Time // our clock, when the last attempt left
	left      time.Time // the same by the clock of the process
	status    int       // of the last attempt, 0: there was no answer
	requestID string
	body      []byte // of a 200
	date      time.Time
	err       error // why the last attempt had no answer
}

// SetLastResponse makes an exchange a type that stripe-go can decode into. It has no
// exported field, so nothing is decoded.
func (*exchange) SetLastResponse(*stripego.APIResponse) {}

type exchangeKey struct{}

// errTooLarge and waitError end a call without a retry, because another attempt cannot
// help.
var errTooLarge = errors.New("answer larger than 16 MiB")

// waitError: the wait for the limiter ended without a request.
type waitError struct{ err error }

func (w *waitError) Error() string { return "waiting for the request rate: " + w.err.Error() }
func (w *waitError) Unwrap() error { return w.err }

// attempts sends single requests. Each waits for the limiter, has a deadline, is read
// to the end and is counted. It sits below the retries, so this holds for every retry.
type attempts struct {
	base    http.RoundTripper
	limiter *ratelimit.Limiter
	timeout time.Duration
	now     func() time.Time
	log     *logrus.Logger // nil: silent
	observe func(string, int)
	sent    atomic.Int64
	size    atomic.Int64 // a guess at the size of the next answer

	mu     sync.Mutex
	stripe time.Time // guarded by mu: the last Date header
	local  time.Time // guarded by mu: when it arrived
}

func newAttempts(o Options) *attempts {
	return &attempts{base: o.Transport, limiter: o.Limiter, timeout: o.AttemptTimeout,
		now: o.Now, log: o.Log, observe: o.Observe}
}

// RoundTrip sends one request. When it returns, the body of the answer is complete in
// memory. A truncated body is a transport error, so the request is retried.
func (a *attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	ex := req.Context().Value(exchangeKey{}).(*exchange) // put there by Client.do
	release, err := a.limiter.Acquire(req.Context())
	if err != nil {
		return nil, ex.unsent(req, &waitError{err})
	}
	defer release()
	if req.Method != http.MethodGet {
		if err := fence.Passed(req.Context()); err != nil { // it may have closed while the limiter made us wait
			return nil, ex.unsent(req, err)
		}
	}
	ctx, cancel := context.WithTimeout(req.Context(), a.timeout)
	defer cancel()

	ex.attempts++
	ex.sent, ex.left = a.now(), time.Now()
	a.sent.Add(1)
	resp, body, err := a.exchange(a.prepared(ctx, req))
	a.record(ex, resp, body, err)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// prepared drops the header that would give Stripe the name of this host.
func (a *attempts) prepared(ctx context.Context, req *http.Request) *http.Request {
	out := req.Clone(ctx)
	out.Header.Del("X-Stripe-Client-User-Agent")
	return out
}

// exchange sends a request and reads all of the answer. If it is a success, stripe-go
// gets an empty object instead; see the decisions of the package.
func (a *attempts) exchange(req *http.Request) (*http.Response, []byte, error) {
	resp, err := a.base.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := a.readAll(resp)
	if err != nil {
		return nil, nil, err
	}
	visible := body
	if resp.StatusCode == http.StatusOK {
		visible = []byte("{}")
	}
	out := *resp
	out.Body = io.NopCloser(bytes.NewReader(visible))
	out.ContentLength = int64(len(visible))
	return &out, body, nil
}

// readAll reads a body to its end. Pages are of similar size, so it allocates room for
// the largest of the last ones, because growing into it would copy each page three
// times.
func (a *attempts) readAll(resp *http.Response) ([]byte, error) {
	room := resp.ContentLength
	if room < 0 { // unknown, as it is of every compressed answer
		room = a.size.Load()
	}
	var body bytes.Buffer
	body.Grow(int(min(room, maxBody)) + bytes.MinRead)
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if n > maxBody {
		return nil, errTooLarge
	}
	a.size.Store(max(n, a.size.Load()*15/16))
	return body.Bytes(), nil
}

// record keeps the fields that the call needs, and updates limiter, clock and metrics.
func (a *attempts) record(ex *exchange, resp *http.Response, body []byte, err error) {
	ex.status, ex.err, ex.body, ex.requestID = 0, err, nil, ""
	if err == nil {
		ex.status = resp.StatusCode
		ex.requestID = resp.Header.Get("Request-Id")
		a.noteAnswer(ex, resp, body)
	}
	a.observe(ex.route, ex.status)
	a.report(ex)
}

func (a *attempts) noteAnswer(ex *exchange, resp *http.Response, body []byte) {
	switch {
	case resp.StatusCode == http.StatusOK:
		ex.body = body
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			ex.date = date.UTC()
			a.setClock(ex.date, ex.sent, a.now())
		}
		a.limiter.Succeeded()
	case resp.StatusCode == http.StatusTooManyRequests && !lockTimeout(body):
		wait, _ := ratelimit.RetryAfter(resp.Header, a.now(), maxRetryAfter)
		a.limiter.Throttled(wait)
	case resp.StatusCode < http.StatusInternalServerError:
		a.limiter.Succeeded()
	}
}

// readingTime is the time of our clock at which Stripe read its own: of the time
// between sending and having the answer, the point nearest to the expected one. If this
// process was stopped meanwhile, the time it lost must neither look like a wrong clock, nor
// hide one.
func readingTime(expected, sent, received time.Time) time.Time {
	switch {
	case expected.After(received):
		return received
	case expected.Before(sent):
		return sent
	}
	return expected
}

// lockTimeout reports a 429 about one busy object. It is not about our rate, so slowing
// down because of it would punish every other call.
func lockTimeout(body []byte) bool {
	var envelope struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	return json.Unmarshal(body, &envelope) == nil && envelope.Error.Code == "lock_timeout"
}

func (a *attempts) report(ex *exchange) {
	if a.log == nil || !a.log.IsLevelEnabled(logrus.DebugLevel) {
		return
	}
	fields := logrus.Fields{"route": ex.route, "status": ex.status, "attempt": ex.attempts,
		"request_id": ex.requestID, "took": a.now().Sub(ex.sent).String()}
	if ex.err != nil {
		fields["error"] = transportText(ex.err)
	}
	a.log.WithFields(fields).Debug("stripe request")
}

// setClock notes Stripe's clock as of an answer. Our clock is expected to be as far from
// it as at the answer before; at the first one, to be right.
func (a *attempts) setClock(stripe, sent, received time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ahead := a.local.Sub(a.stripe)
	a.stripe, a.local = stripe, readingTime(stripe.Add(ahead), sent, received)
}

func (a *attempts) clock() (stripe, local time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stripe, a.local
}

// unsent ends an attempt before its request is sent.
func (x *exchange) unsent(req *http.Request, why error) error {
	if req.Body != nil {
		_ = req.Body.Close() // as net/http requires
	}
	x.status, x.err, x.requestID = 0, why, ""
	return why
}

// String keeps a %v of an exchange from printing its body.
func (x *exchange) String() string { return fmt.Sprintf("%s: %d", x.route, x.status) }
