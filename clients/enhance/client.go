package enhance

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Client is one panel and the organisation that sells on it. Safe for concurrent
// use.
type Client struct {
	o        Options
	base     string
	org      string
	token    secret.Text
	limiter  *ratelimit.Limiter
	patience *patience
	reads    *http.Client
	writes   *http.Client

	sent    atomic.Int64
	orgPage atomic.Int64 // the largest page of orgs that the panel gives; 0: not known

	mu        sync.Mutex // guards the two clocks
	panelTime time.Time  // the panel's, from the last Date header
	localTime time.Time  // ours when that came
}

// New makes a client without contacting the panel. The error names everything that is
// wrong with the options.
func New(o Options) (*Client, error) {
	base, err := o.checked()
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	c := &Client{o: o, base: base, org: strings.ToLower(o.Org), token: o.Token, limiter: o.Limiter, patience: newPatience(o.Waits)}
	c.reads, c.writes = clients(o)
	return c, nil
}

// Requests returns how many requests were sent since the start, retries included.
func (c *Client) Requests() int { return int(c.sent.Load()) }

// Fingerprint identifies the panel and the selling organisation.
func (c *Client) Fingerprint() string { return c.base + " " + c.org }

// Credential identifies the token without disclosing it.
func (c *Client) Credential() string { return c.token.Fingerprint() }

// Rate returns the current rate, in requests a second.
func (c *Client) Rate() float64 { return c.limiter.Rate() }

// ServerTime returns the panel's clock, from the Date header of the last answer, and
// ours at that moment; zero before the first answer.
func (c *Client) ServerTime() (panel, local time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.panelTime, c.localTime
}

// Version returns orchd's release, such as "12.25.12".
func (c *Client) Version(ctx context.Context) (string, error) {
	var version string
	err := c.read(ctx, get("/version"), objectLimit, stringInto(&version))
	return printable(version, nil), err
}

// Ready returns nil if the panel reports that it is ready. Any other status, such as
// "updating", is fault.Transient.
func (c *Client) Ready(ctx context.Context) error {
	var status string
	at := get("/status")
	if err := c.read(ctx, at, objectLimit, stringInto(&status)); err != nil {
		return err
	}
	if status != "ready" {
		return c.failed(at, answer{status: http.StatusOK}, fault.Transient, fmt.Errorf("the panel's status is %q", printable(status, nil)))
	}
	return nil
}

// Self reads our own organisation, which shows that the token works and the id is
// right.
func (c *Client) Self(ctx context.Context) (reconcile.Org, error) {
	wire, now, err := c.readOrg(ctx, c.org, ourselves)
	if err != nil {
		return reconcile.Org{}, err
	}
	return wire.org(now), nil
}

// CustomerCount returns how many customers the panel counts, which shows that the token
// may list them.
func (c *Client) CustomerCount(ctx context.Context) (int, error) {
	var page pageOf[orgWire]
	err := c.read(ctx, get(routeCustomers, c.org).with("offset", "0", "limit", "1"), listLimit, page.decode)
	return page.total, err
}

// checkOrgID refuses an id that must not get into a path. The call has not been sent.
func (c *Client) checkOrgID(org string) error {
	if !isUUID(org) {
		return fault.Errorf(fault.Permanent, "enhance: %q is not the id of an organisation", clip(org))
	}
	return nil
}

// checkIDs does the same for an org and a hosting.
func (c *Client) checkIDs(org string, hosting int64) error {
	if err := c.checkOrgID(org); err != nil {
		return err
	}
	if hosting <= 0 {
		return fault.Errorf(fault.Permanent, "enhance: %d is not the id of a hosting", hosting)
	}
	return nil
}

// mismatch is the error of an answer that is about another object.
func mismatch(at call, format string, args ...any) error {
	return fault.Wrap(fault.Malformed, &Error{Method: at.method, Path: at.path, Status: http.StatusOK, Err: fmt.Errorf(format, args...)})
}

// Options configure a Client.
type Options struct {
	// BaseURL is the panel's address, "https://panel.example.com" or one with a path;
	// "/api" is added if there is no path. Required.
	BaseURL string
	// Token is the access token. One of the selling organisation is enough; with one of
	// the master organisation a mistake could do more harm. Required.
	Token secret.Text
	// Org is the UUID of the organisation that sells. Required.
	Org string
	// Limiter is shared by everything that calls this panel. Nil: 10 requests a second,
	// 8 in flight.
	Limiter *ratelimit.Limiter
	// Breaker is shared like Limiter. Nil: the panel is called however often it fails.
	Breaker *breaker.Breaker
	// Log records retries and lowered rates, never a body or a token. Nil: nothing is
	// logged.
	Log *logrus.Logger
	// Transport replaces the network. An *http.Transport is cloned, and its clone for
	// writes keeps no connections. Any other RoundTripper is used as it is and must
	// send a request at most once. Nil: a direct connection that ignores the
	// environment's proxy.
	Transport http.RoundTripper
	// ReadTimeout and WriteTimeout limit one request from dialling to the last byte. 0:
	// 30 s and 60 s. A short limit for writes does not make them safer, because it
	// makes more of them ambiguous.
	ReadTimeout, WriteTimeout time.Duration
	// MaxReadAttempts is how often one read is tried. 0: 4.
	MaxReadAttempts int
	// ReadBackoff is the wait before the second attempt of a read; it doubles each time
	// and is jittered. 0: 250 ms.
	ReadBackoff time.Duration
	// Now is the clock that dates the facts. Nil: time.Now.
	Now func() time.Time
	// Waits is called before a request waits for another one about the same org, in the
	// goroutine that waits. Nil: nothing is called.
	Waits func()
	// Observe is called for every request, with a route like "GET /orgs/{org}/plans"
	// and the status, 0 if there was no answer. It must be safe for concurrent use.
	// Nil: not called.
	Observe func(route string, code int)
	// Trace is called before every request, and end with its status, 0 if there was no
	// answer. Nil: not called.
	Trace func(ctx context.Context, route string) (end func(status int))
	// Secured is called with the TLS of each connection on which an answer came. Nil: not
	// called.
	Secured func(*tls.ConnectionState)
	// Took is called with the time of every request that was answered. Nil: not called.
	Took func(time.Duration)
}

const (
	readTimeout     = 30 * time.Second
	writeTimeout    = 60 * time.Second
	readAttempts    = 4
	readBackoff     = 250 * time.Millisecond
	defaultRPS      = 10
	defaultInFlight = 8
)

// withDefaults sets the fields that are zero.
func (o Options) withDefaults() Options {
	if o.Limiter == nil {
		o.Limiter = ratelimit.New(ratelimit.Options{RPS: defaultRPS, Concurrency: defaultInFlight})
	}
	if o.Log == nil {
		o.Log = logrus.New()
		o.Log.SetOutput(io.Discard)
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = readTimeout
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = writeTimeout
	}
	if o.MaxReadAttempts <= 0 {
		o.MaxReadAttempts = readAttempts
	}
	if o.ReadBackoff <= 0 {
		o.ReadBackoff = readBackoff
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(string, int) {}
	}
	if o.Secured == nil {
		o.Secured = func(*tls.ConnectionState) {}
	}
	if o.Trace == nil {
		o.Trace = func(context.Context, string) func(int) { return func(int) {} }
	}
	if o.Took == nil {
		o.Took = func(time.Duration) {}
	}
	return o
}

// checked reports everything that is wrong with the required options in one error, and
// returns the base URL in the form to which paths are appended.
func (o Options) checked() (base string, err error) {
	base, badURL := baseOf(o.BaseURL)
	return base, errors.Join(badURL, checkOrg(o.Org), checkToken(o.Token))
}

// baseOf refuses a URL that would send the token somewhere unexpected.
func baseOf(raw string) (string, error) {
	if raw == "" {
		return "", errors.New("enhance: the URL of the panel is missing")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error repeats the input, which may hold a password.
		return "", errors.New("enhance: the URL of the panel cannot be parsed")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("enhance: the URL of the panel must begin with https://")
	case u.User != nil:
		return "", errors.New("enhance: the URL of the panel must not hold a user or a password")
	case u.Hostname() == "":
		return "", errors.New("enhance: the URL of the panel has no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("enhance: the URL of the panel must end with its path, without ? or #")
	case strings.Contains(u.Path, "//") || strings.Contains(u.Path, ".."):
		return "", fmt.Errorf("enhance: the URL of the panel has a strange path %q", u.Path)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if path == "" {
		path = "/api"
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + path, nil
}

func checkOrg(org string) error {
	switch {
	case org == "":
		return errors.New("enhance: the id of the selling organisation is missing")
	case !isUUID(org):
		return fmt.Errorf("enhance: the id of the selling organisation must be a UUID like 01234567-89ab-cdef-0123-456789abcdef, not %q", clip(org))
	}
	return nil
}

func checkToken(token secret.Text) error {
	value := token.Reveal()
	switch {
	case value == "":
		return errors.New("enhance: the access token is missing")
	case strings.HasPrefix(strings.ToLower(value), "bearer "):
		return errors.New(`enhance: the access token must be given without the word "Bearer"`)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("enhance: the access token holds a character that no token has, such as a space or a line break")
	}
	return nil
}

// isUUID accepts the canonical form in either case, and nothing else, because ids go
// into paths.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if s[i] != '-' {
				return false
			}
		case s[i] >= '0' && s[i] <= '9', c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// call is one endpoint with its ids filled in.
type call struct {
	method string
	route  string // "/orgs/{org}/plans": for metrics, never grows with customers
	path   string // the route with the ids
	query  url.Values
	// object is the panel's word for the object of a 404: "org" or "subscription".
	// Empty: our own organisation. If that is missing, the configuration is wrong; it
	// is not a fact about a customer.
	object string // see the constants at the routes
	// question is the body of a read that the panel takes by POST; nil: it has none.
	question any
	// create marks a write that makes a second object if it is done twice.
	create bool
	// larger marks a page that is larger than the usual one. If it is not given, the usual
	// one is asked for, so it is tried once, and a failure proves nothing about the panel.
	larger bool
	// secrets are removed from the panel's texts, besides the token.
	secrets []string
}

// at builds a call from a route and the ids for its placeholders, in order. The ids
// were checked before, by Client.checkIDs.
func at(method, route string, ids ...string) call {
	path := route
	for _, id := range ids {
		open := strings.IndexByte(path, '{')
		length := strings.IndexByte(path[open:], '}')
		path = path[:open] + url.PathEscape(id) + path[open+length+1:]
	}
	return call{method: method, route: route, path: path}
}

func get(route string, ids ...string) call { return at(http.MethodGet, route, ids...) }

// org is the customer org that the call is about. It is "" for our own, because a
// refusal there is one of the credential.
func (c call) org(own string) string {
	part := strings.Split(c.path, "/") // "", "orgs", org, and perhaps "customers", customer
	switch {
	case len(part) > 4 && part[3] == "customers":
		return part[4]
	case len(part) > 2 && part[1] == "orgs" && part[2] != url.PathEscape(own):
		return part[2]
	}
	return ""
}

// about names the object that a 404 would be about.
func (c call) about(object string) call {
	c.object = object
	return c
}

// creating marks the call as one that must not happen twice.
func (c call) creating() call {
	c.create = true
	return c
}

// largerPage marks the call as one for a larger page.
func (c call) largerPage() call {
	c.larger = true
	return c
}

// with adds query parameters as name, value pairs.
func (c call) with(pairs ...string) call {
	query := url.Values{}
	maps.Copy(query, c.query)
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	c.query = query
	return c
}

// url is the call's address below base.
func (c call) url(base string) string {
	if len(c.query) == 0 {
		return base + c.path
	}
	return base + c.path + "?" + c.query.Encode()
}

// write sends a request once. accept parses the body of a success; nil means that the
// body must be empty.
func (c *Client) write(ctx context.Context, at call, body any, want int, accept func([]byte) error) (err error) {
	leave, err := c.enterBreaker(ctx, at)
	if err != nil {
		return err
	}
	defer func() { leave(err) }()
	_, done, err := c.patience.turn(ctx, at.org(c.o.Org), c.o.WriteTimeout)
	if err != nil {
		return c.notAcquired(ctx, at, err)
	}
	defer done()
	release, err := c.limiter.Acquire(ctx)
	if err != nil {
		return c.notAcquired(ctx, at, err)
	}
	defer release()
	var p progress
	limited, cancel := context.WithTimeout(p.watch(ctx), c.o.WriteTimeout)
	defer cancel()
	req, err := c.request(limited, at, body)
	if err != nil {
		return err
	}
	if err := limited.Err(); err != nil {
		return c.notAcquired(ctx, at, err)
	}
	if err := fence.Passed(ctx); err != nil { // it may have closed while the limiter made us wait
		return err
	}
	a, err := c.exchange(c.writes, req, at, objectLimit)
	switch {
	case err != nil && p.unsent(err):
		return asCanceled(ctx, c.failed(at, a, fault.Transient, err))
	case err != nil:
		return c.failed(at, a, fault.Ambiguous, err)
	case a.status == want && a.cut != nil:
		return c.failed(at, a, fault.Ambiguous, a.cut)
	case a.status == want:
		if err := accepted(a.body, accept); err != nil {
			return c.failed(at, a, fault.Ambiguous, err)
		}
		return nil
	}
	return c.writeFailure(at, a)
}

// enterBreaker asks the breaker for a write. If calls to the panel were paused, it
// first reads whether the panel is ready.
func (c *Client) enterBreaker(ctx context.Context, at call) (leave func(error), err error) {
	leave, err = c.o.Breaker.EnterFor(at.org(c.o.Org), true)
	if errors.Is(err, breaker.ErrReadFirst) {
		if err = c.Ready(ctx); err != nil {
			return nil, fault.Wrap(fault.Of(err), &Error{Method: at.method, Path: at.path, Err: fmt.Errorf("not sent: %w", err)})
		}
		leave, err = c.o.Breaker.EnterFor(at.org(c.o.Org), true)
	}
	if err != nil {
		return nil, c.keptBack(at, err)
	}
	return leave, nil
}

// accepted checks the body of a success.
func accepted(body []byte, accept func([]byte) error) error {
	if accept != nil {
		return accept(body)
	}
	if len(bytes.TrimSpace(body)) != 0 {
		return errNotEmpty
	}
	return nil
}

// writeFailure classifies the status of a write that did not succeed.
func (c *Client) writeFailure(at call, a answer) error {
	if r, own := refusalOf(a); own {
		if kind, definite := at.kindOf(a.status, r); definite {
			return c.failed(at, a, kind, nil)
		}
	}
	switch {
	case a.status == http.StatusTooManyRequests && !at.create:
		return c.failed(at, a, fault.Throttled, nil)
	case a.status == http.StatusTooManyRequests:
		return fault.Wrap(fault.Ambiguous, c.failed(at, a, fault.Throttled, nil))
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		// This answer is not in the panel's own format, so it proves nothing about this
		// write. But its sender will refuse the next write as well.
		return fault.Wrap(fault.Ambiguous, c.failed(at, a, fault.Denied, errStranger))
	}
	return c.failed(at, a, fault.Ambiguous, nil)
}

const (
	// objectLimit and listLimit bound an answer: an object of the panel is some
	// kilobytes, a page of a hundred some hundreds of them.
	objectLimit = 1 << 20
	listLimit   = 16 << 20
	// longestWait is the longest pause that a Retry-After can ask for.
	longestWait = 5 * time.Minute
)

// answer is the panel's response.
type answer struct {
	status int // 0: there was no answer
	header http.Header
	body   []byte
	cut    error  // why the body could not be read to its end
	token  string // that the request was sent with
}

// readAll reads a body up to limit. A longer one is an error, not a shorter body.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return body, err
	case int64(len(body)) > limit:
		return nil, errTooLarge
	}
	return body, nil
}

// refusal is the panel's own error object.
type refusal struct{ code, detail string }

// refusalOf parses the error object. It returns false for anything that is not clearly
// the panel's: HTML, an empty body, JSON without a code, a body that broke off.
func refusalOf(a answer) (refusal, bool) {
	if a.cut != nil {
		return refusal{}, false
	}
	var wire struct {
		Code   string          `json:"code"`
		Detail json.RawMessage `json:"detail"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("{")) || json.Unmarshal(a.body, &wire) != nil || wire.Code == "" {
		return refusal{}, false
	}
	r := refusal{code: wire.Code}
	_ = json.Unmarshal(wire.Detail, &r.detail) // a detail of another type is no detail
	return r, true
}

// kindOf classifies a refusal in the panel's own format. definite is false if the
// status is not documented as a refusal.
func (c call) kindOf(status int, r refusal) (kind fault.Kind, definite bool) {
	switch status {
	case http.StatusUnauthorized:
		return fault.Denied, true
	case http.StatusForbidden:
		if c.takenBy(status, r) {
			return fault.Conflict, true
		}
		return fault.Denied, true
	case http.StatusNotFound:
		return c.missing(r)
	case http.StatusConflict:
		return fault.Conflict, true
	case http.StatusBadRequest, http.StatusMethodNotAllowed,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		if c.takenBy(status, r) {
			return fault.Conflict, true
		}
		return fault.Permanent, true
	}
	return fault.Unknown, false
}

// missing classifies a 404: it is fault.NotFound only if it is about the object asked
// for.
func (c call) missing(r refusal) (fault.Kind, bool) {
	switch {
	case r.code != "not_found":
		return fault.Unknown, false
	case c.object == "":
		return fault.Permanent, true
	case r.detail == "" || r.detail == c.object:
		return fault.NotFound, true
	}
	// The call also needs something else, such as the plan, and that is gone.
	return fault.Conflict, true
}

// takenBy recognises a domain that the panel already has: detail "domain" with 403 or
// 409, whatever the code, or with already_exists and any status. A 400 about a domain
// without that code means that the domain cannot exist.
func (c call) takenBy(status int, r refusal) bool {
	if c.route != routeWebsites || r.detail != "domain" {
		return false
	}
	return status == http.StatusForbidden || status == http.StatusConflict || r.code == "already_exists"
}

// failed turns an answer into an error.
func (c *Client) failed(at call, a answer, kind fault.Kind, cause error) error {
	e := &Error{Method: at.method, Path: at.path, Status: a.status, Err: cause}
	if r, ok := refusalOf(a); ok && a.status >= http.StatusBadRequest {
		secrets := append([]string{c.token.Reveal(), a.token}, at.secrets...)
		e.Code, e.Detail = printable(r.code, secrets), printable(r.detail, secrets)
		if at.takenBy(a.status, r) {
			e.Err = errDomainTaken
		}
	}
	switch {
	case a.status == http.StatusUnauthorized:
		e.Hint = hintToken
	case a.status == http.StatusForbidden && !DomainTaken(e):
		e.Hint = hintRole
	case a.status == http.StatusNotFound && kind == fault.Permanent:
		e.Hint = hintOrg
	case a.status >= 300 && a.status < 400:
		e.Hint = hintMoved
	}
	return fault.Wrap(kind, e)
}

// retryAfter is how long the panel asks to be spared requests, between 1 s and
// longestWait; 0 if the header is missing or makes no sense.
func (a answer) retryAfter(now time.Time) time.Duration {
	wait, ok := ratelimit.RetryAfter(a.header, now, longestWait)
	if !ok {
		return 0
	}
	return max(time.Second, wait)
}

// decode parses a whole body into out: one JSON value of the right shape and nothing
// after it. Unknown fields are ignored, because every release of the panel adds some.
func decode(body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("not the documented JSON: %s", jsonProblem(err))
	}
	return nil
}

// stringInto accepts a JSON string that is not empty.
func stringInto(s *string) func([]byte) error {
	return func(body []byte) error {
		if err := decode(body, s); err != nil {
			return err
		}
		if *s == "" {
			return errors.New("the answer is empty")
		}
		return nil
	}
}

// jsonProblem describes an error of encoding/json without quoting the body.
func jsonProblem(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := t.Field
		if where == "" {
			where = "the answer"
		}
		return fmt.Sprintf("%s is a %s", where, firstWord(t.Value))
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("no JSON at byte %d", s.Offset)
	}
	return "no JSON"
}

// firstWord is "number" of "number 1e99": the kind of the value without the value.
func firstWord(s string) string {
	word, _, _ := bytes.Cut([]byte(s), []byte(" "))
	return string(word)
}

// Error is one call that did not succeed, in words for a person; the fault kind around
// it is for the program. It holds no body, query, token or password.
type Error struct {
	Method string
	Path   string // below the API's root, with ids
	Status int    // 0: there was no answer
	Code   string // the panel's own, such as already_exists
	Detail string // the panel's own, such as domain
	Hint   string // what a person can do, if that is known
	Err    error  // the problem of the connection or the body; may be nil
}

// Error is "enhance: PATCH /orgs/…/subscriptions/42: 502 Bad Gateway".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "enhance: %s %s", e.Method, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %s", strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status))))
	}
	switch {
	case e.Code != "" && e.Detail != "":
		fmt.Fprintf(&b, " (%s: %s)", e.Code, e.Detail)
	case e.Code != "":
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is lets the breaker distinguish a refused token from an org that may not be touched.
func (e *Error) Is(target error) bool {
	return target == breaker.ErrCredential && e.Status == http.StatusUnauthorized
}

// DomainTaken reports that a website could not be created because the panel already has
// that domain somewhere. Such an error is a fault.Conflict too.
func DomainTaken(err error) bool { return errors.Is(err, errDomainTaken) }

var (
	errDomainTaken = errors.New("the domain is taken")
	errTooLarge    = errors.New("the answer is larger than any such answer can be")
	errStranger    = errors.New("something in front of the panel answered")
	errNoID        = errors.New("the answer has no id")
	errNotEmpty    = errors.New("the answer has a body where none is documented")
)

const (
	hintToken = "the token is wrong, expired, or locked to another address"
	hintRole  = "the role of the token does not allow this, or it belongs to another organisation"
	hintOrg   = "the panel does not know the selling organisation; check its id and that this is the right panel"
	hintMoved = "the panel redirects; configure the URL at which it answers itself"
)

// withoutURL takes the request's URL, and with it the query, out of an error of
// net/http. Error names the method and path itself.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// printable makes a text of the panel fit for an error: one short printable line
// without the secrets, because a careless panel might echo them.
func printable(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return clip(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}

// clip shortens a text that comes from outside.
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
