package stripe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-cleanhttp"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sirupsen/logrus"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
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

// pageLimit is the most that Stripe puts on one page.
const pageLimit = "100"

// head holds the fields that every object has. Wire types embed it.
type head struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Livemode *bool  `json:"livemode"`
}

func (h head) header() head { return h }

// object is a wire type.
type object interface{ header() head }

// envelope is a page as it arrives. Pointers distinguish absent from empty.
type envelope[T any] struct {
	Object  string `json:"object"`
	HasMore *bool  `json:"has_more"`
	Data    *[]T   `json:"data"`
}

// checked checks the fields that every page must have and returns its items.
func (e envelope[T]) checked() (items []T, more bool, err error) {
	switch {
	case e.Object != "list":
		return nil, false, fmt.Errorf("a page whose object is %q, not \"list\"", printable(e.Object))
	case e.HasMore == nil:
		return nil, false, errors.New("a page without has_more")
	case e.Data == nil:
		return nil, false, errors.New("a page without data")
	case len(*e.Data) == 0 && *e.HasMore:
		return nil, false, errors.New("an empty page that promises more")
	}
	return *e.Data, *e.HasMore, nil
}

// decodePage reads a page and checks its envelope, not its objects.
func decodePage[T any](body []byte) (items []T, more bool, err error) {
	var e envelope[T]
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, false, decodeError(err)
	}
	return e.checked()
}

// decodeError gives the place of a decoding error without quoting the body, because the
// texts of encoding/json hold the offending value.
func decodeError(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("a value of the wrong type in field %q at byte %d", printable(kind.Field), kind.Offset)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON from byte %d on", syntax.Offset)
	}
	if ours, ok := errors.AsType[*wireError](err); ok {
		return ours
	}
	return errors.New("not the JSON that was expected")
}

// collection describes the objects of a list.
type collection struct {
	kind     string               // "subscription"
	prefix   string               // of its ids; "": any
	valid    func(id string) bool // checks an id that has no prefix; nil: any
	modeless bool                 // the objects carry no livemode of their own
}

// check refuses an object of another kind or of another mode.
func (k collection) check(h head, live bool) error {
	switch {
	case h.Object != k.kind:
		return fmt.Errorf("an object %q where a %s was expected", printable(h.Object), k.kind)
	case h.ID == "" || k.prefix != "" && !reconcile.ValidID(k.prefix, h.ID) || k.valid != nil && !k.valid(h.ID):
		return fmt.Errorf("a %s with the id %q", k.kind, printable(h.ID))
	case h.Livemode == nil && !k.modeless:
		return fmt.Errorf("the %s %s has no livemode", k.kind, h.ID)
	case h.Livemode != nil && *h.Livemode != live:
		return fmt.Errorf("the %s %s is of %s mode, but the key is of %s mode", k.kind, h.ID, modeName(!live), modeName(live))
	}
	return nil
}

func modeName(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

// readPage reads one page and checks each object on it.
func readPage[T object](ctx context.Context, c *Client, r request, k collection) ([]T, bool, answer, error) {
	return readPageBy(ctx, c, r, k, decodePage[T])
}

// readPageBy is readPage with its own function to decode.
func readPageBy[T object](ctx context.Context, c *Client, r request, k collection, decode func([]byte) ([]T, bool, error)) ([]T, bool, answer, error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, false, a, err
	}
	items, more, err := decode(a.body)
	a.body = nil // the page is decoded, so the bytes can be freed
	for i := 0; err == nil && i < len(items); i++ {
		err = k.check(items[i].header(), c.live)
	}
	if err != nil {
		return nil, false, a, malformed(r, "%v", err)
	}
	return items, more, a, nil
}

// readAll reads a list page after page and gives each page to use. If an id comes twice
// it is an error, because a server that ignores the cursor would never end. The answer
// is the first page's.
func readAll[T object](ctx context.Context, c *Client, r request, k collection, use func([]T, answer) error) (answer, error) {
	var first answer
	seen := map[string]struct{}{}
	for cursor := ""; ; {
		next := r.and("limit", pageLimit)
		if cursor != "" {
			next = next.and("starting_after", cursor)
		}
		items, more, a, err := readPage[T](ctx, c, next, k)
		if err != nil {
			return answer{}, err
		}
		if cursor == "" {
			first = a
		}
		if len(items) > 0 {
			cursor = items[len(items)-1].header().ID
		}
		if id, twice := addNew(seen, items); twice {
			return answer{}, malformed(r, "the %s %s appears twice in one list", k.kind, id)
		}
		if err := use(items, a); err != nil {
			return answer{}, err
		}
		if !more {
			return first, nil
		}
	}
}

// addNew adds the ids of a page to those seen before it. twice reports that id was
// there already.
func addNew[T object](seen map[string]struct{}, page []T) (id string, twice bool) {
	for _, item := range page {
		id = item.header().ID
		if _, twice = seen[id]; twice {
			return id, true
		}
		seen[id] = struct{}{}
	}
	return "", false
}

// readOne reads one object by its id and checks that it is that one.
func readOne[T object](ctx context.Context, c *Client, r request, k collection, id string) (T, answer, error) {
	var item T
	a, err := c.do(ctx, r)
	if err != nil {
		return item, a, err
	}
	if err := json.Unmarshal(a.body, &item); err != nil {
		return item, a, malformed(r, "%v", decodeError(err))
	}
	a.body = nil
	if err := k.check(item.header(), c.live); err != nil {
		return item, a, malformed(r, "%v", err)
	}
	if got := item.header().ID; got != id {
		return item, a, malformed(r, "asked for %s, got %s", printable(id), got)
	}
	return item, a, nil
}

// badID refuses to send an id that cannot be one of Stripe's.
func badID(r request, kind, id string) error {
	r.path = r.route
	return fault.Wrap(fault.Permanent, &callError{request: r, reason: fmt.Sprintf("%q is not the id of a %s", printable(id), kind)})
}

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
	trace   func(context.Context, string) func(int)
	secured func(*tls.ConnectionState)
	took    func(time.Duration)
	sent    atomic.Int64
	size    atomic.Int64 // a guess at the size of the next answer

	mu     sync.Mutex
	stripe time.Time // guarded by mu: the last Date header
	local  time.Time // guarded by mu: when it arrived
}

func newAttempts(o Options) *attempts {
	return &attempts{base: o.Transport, limiter: o.Limiter, timeout: o.AttemptTimeout,
		now: o.Now, log: o.Log, observe: o.Observe, trace: o.Trace, secured: o.Secured, took: o.Took}
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
	may := fence.Pinned
	if req.Method != http.MethodGet {
		may = fence.Passed
	}
	if err := may(req.Context()); err != nil { // it may have closed while the limiter made us wait
		return nil, ex.unsent(req, err)
	}
	ctx, cancel := context.WithTimeout(req.Context(), a.timeout)
	defer cancel()

	ex.attempts++
	ex.sent, ex.left = a.now(), time.Now()
	a.sent.Add(1)
	traced := a.trace(ctx, ex.route)
	resp, body, err := a.exchange(a.prepared(ctx, req))
	a.record(ex, resp, body, err)
	traced(ex.status)
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
	if resp.TLS != nil {
		a.secured(resp.TLS)
	}
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
		a.took(time.Since(ex.left))
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

// existsInOtherMode matches "a similar object exists in live mode, but a test mode key
// was used to make this request" and its opposite.
var existsInOtherMode = regexp.MustCompile(`exists in (live|test) mode`)

// transportText describes an error of the transport without the URL that net/http puts
// in front of it, because the URL holds the query.
func transportText(err error) string {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return printable(err.Error())
}

// keyShape matches Stripe's secrets: keys of every kind and webhook secrets.
var keyShape = regexp.MustCompile(`(?:sk|rk|pk|ek|whsec)_[A-Za-z0-9_*]+`)

// printable keeps a text from outside from breaking a line or a terminal, and from
// repeating the key of the request, as a careless proxy might.
func printable(s string) string {
	const most = 200
	s = keyShape.ReplaceAllString(s, "[redacted]") // before a cut could hide its shape
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}
