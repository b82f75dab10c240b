package enhance

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// read sends a GET, or a question by POST, until it succeeds, is refused for good, or has been tried often
// enough. accept parses the body; if it returns an error, the answer is
// fault.Malformed.
func (c *Client) read(ctx context.Context, at call, limit int64, accept func([]byte) error) (err error) {
	leave, err := c.o.Breaker.EnterFor(at.org(c.o.Org), false)
	if err != nil {
		return c.keptBack(at, err)
	}
	defer func() { leave(err) }()
	org := at.org(c.o.Org)
	within, done, err := c.patience.turn(ctx, org, c.o.ReadTimeout)
	if err != nil {
		return c.notAcquired(ctx, at, err)
	}
	defer done()
	var last error
	for attempt := 1; ; attempt++ {
		release, err := c.limiter.Acquire(ctx)
		switch {
		case err != nil && last != nil: // more informative than "deadline exceeded"
			return asCanceled(ctx, last)
		case err != nil:
			return c.notAcquired(ctx, at, err)
		}
		began := time.Now()
		wait, err := c.readOnce(ctx, at, within, limit, accept, release)
		late := errors.As(err, new(tooLate))
		if org != "" && late {
			c.patience.missed(org)
			err = fault.Wrap(fault.Transient, fmt.Errorf("no answer about this org within %s, the next read of it may take longer: %w", within, err))
		}
		if at.larger && err != nil && aboutTheSize(err) {
			return breaker.OfOneObject(err) // the page, which is asked for in the usual size next
		}
		if err == nil || attempt == c.o.MaxReadAttempts || !retryable(err) || org != "" && late {
			return c.ofOneOrg(ctx, org, began, err)
		}
		last = err
		c.o.Log.WithFields(logrus.Fields{"side": "enhance", "route": at.route, "attempt": attempt}).
			WithError(err).Debug("retrying the read")
		if ratelimit.Sleep(ctx, max(wait, c.backoff(attempt))) != nil {
			return asCanceled(ctx, err)
		}
	}
}

// tooLate marks the error of a read whose answer did not come in the time it had.
type tooLate struct{ error }

func (t tooLate) Unwrap() error { return t.error }

// ofOneOrg returns the error with which a read about an org ends. If the panel has answered
// another call well since then, or answers when asked for something else now, that read
// proves nothing about the panel.
func (c *Client) ofOneOrg(ctx context.Context, org string, began time.Time, err error) error {
	kind := fault.Of(err)
	if err == nil || org == "" || kind != fault.Transient && kind != fault.Malformed {
		return err
	}
	if c.patience.answeredSince(began) || c.answers(ctx) {
		return breaker.OfOneObject(err)
	}
	return err
}

// answers asks for one of our customers, once and briefly, and reports whether that went
// well.
func (c *Client) answers(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	release, err := c.limiter.Acquire(limited)
	if err != nil {
		return false
	}
	defer release()
	at := get(routeCustomers, c.org).with("offset", "0", "limit", "1")
	req, err := c.request(limited, at, nil)
	if err != nil {
		return false
	}
	a, err := c.exchange(c.reads, req, at, objectLimit)
	return err == nil && a.status == http.StatusOK && a.cut == nil
}

// retryable reports whether the same read may succeed later.
func retryable(err error) bool {
	kind := fault.Of(err)
	return kind == fault.Transient || kind == fault.Throttled || kind == fault.Malformed
}

// asCanceled makes an error fault.Canceled if the caller cancelled, and leaves it as it
// is if only the time ran out.
func asCanceled(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fault.Wrap(fault.Canceled, err)
	}
	return err
}

// backoff is half fixed and half random, so that reads that failed together spread out
// and none of them comes back immediately.
func (c *Client) backoff(attempt int) time.Duration {
	d := c.o.ReadBackoff << min(attempt-1, 6)
	return d/2 + rand.N(d/2+1)
}

// readOnce is one attempt, and releases the slot of the limiter, even if accept panics.
// wait is the pause that the panel asked for. If no answer came within the time, or not all
// of it, the error is tooLate.
func (c *Client) readOnce(ctx context.Context, at call, within time.Duration, limit int64, accept func([]byte) error, release func()) (wait time.Duration, err error) {
	defer release()
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	defer func() {
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			err = tooLate{err}
		}
	}()
	req, err := c.request(limited, at, at.question)
	if err != nil {
		return 0, err
	}
	if err := fence.Pinned(ctx); err != nil { // asked after the token was read
		return 0, err
	}
	a, err := c.exchange(c.reads, req, at, limit)
	if err != nil {
		return 0, asCanceled(ctx, c.failed(at, a, fault.Transient, err))
	}
	if a.status == http.StatusOK {
		if a.cut != nil {
			return 0, asCanceled(ctx, c.failed(at, a, kindOfCut(a.cut), a.cut))
		}
		if err := accept(a.body); err != nil {
			return 0, c.failed(at, a, fault.Malformed, err)
		}
		return 0, nil
	}
	return a.retryAfter(c.o.Now()), c.readFailure(at, a)
}

// kindOfCut: a body that is too large will be so again, one that broke off may not.
func kindOfCut(err error) fault.Kind {
	if errors.Is(err, errTooLarge) {
		return fault.Malformed
	}
	return fault.Transient
}

// readFailure classifies the status of a read that did not succeed.
func (c *Client) readFailure(at call, a answer) error {
	r, own := refusalOf(a)
	if own {
		if kind, definite := at.kindOf(a.status, r); definite {
			return c.failed(at, a, kind, nil)
		}
	}
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return c.failed(at, a, fault.Denied, nil)
	case a.status == http.StatusTooManyRequests:
		return c.failed(at, a, fault.Throttled, nil)
	case a.status < http.StatusBadRequest:
		return c.failed(at, a, fault.Malformed, nil)
	case a.status < http.StatusInternalServerError && !own:
		return c.failed(at, a, fault.Transient, errStranger)
	}
	return c.failed(at, a, fault.Transient, nil)
}

// keptBack is the error of a call that the breaker refused; its kind is the breaker's.
func (c *Client) keptBack(at call, err error) error {
	return fault.Wrap(fault.Of(err), &Error{Method: at.method, Path: at.path, Err: err})
}

// notAcquired is the error of a request that never left the limiter.
func (c *Client) notAcquired(ctx context.Context, at call, err error) error {
	return asCanceled(ctx, c.failed(at, answer{}, fault.Transient, breaker.Unasked(err)))
}

// request builds a request that net/http cannot send twice: it has no GetBody, so there
// is nothing to send again.
func (c *Client) request(ctx context.Context, at call, body any) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, c.failed(at, answer{}, fault.Permanent, err)
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, at.method, at.url(c.base), reader)
	if err != nil {
		return nil, c.failed(at, answer{}, fault.Permanent, withoutURL(err))
	}
	req.GetBody = nil
	req.Header.Set("Authorization", bearer+c.token.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stripe-enhance")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

const bearer = "Bearer "

// exchange sends one request and reads its answer. It returns an error if no status
// came; a body that could not be read is answer.cut.
func (c *Client) exchange(client *http.Client, req *http.Request, at call, limit int64) (answer, error) {
	c.sent.Add(1)
	began := time.Now()
	traced := c.o.Trace(req.Context(), at.method+" "+at.route)
	resp, err := client.Do(req)
	if err != nil {
		traced(0)
		c.o.Observe(at.method+" "+at.route, 0)
		return answer{}, withoutURL(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header, token: strings.TrimPrefix(req.Header.Get("Authorization"), bearer)}
	a.body, a.cut = readAll(resp.Body, limit)
	c.o.Observe(at.method+" "+at.route, a.status)
	traced(a.status)
	if resp.TLS != nil {
		c.o.Secured(resp.TLS)
	}
	c.o.Took(time.Since(began))
	if a.cut == nil && a.status < http.StatusInternalServerError {
		c.patience.heard(at.org(c.o.Org), began)
	}
	c.noteClock(a)
	c.noteRate(at, a)
	return a, nil
}

// noteClock keeps the panel's clock, which is compared with ours.
func (c *Client) noteClock(a answer) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panelTime, c.localTime = date, c.o.Now()
}

// noteRate lets the limiter slow down or speed up.
func (c *Client) noteRate(at call, a answer) {
	switch {
	case a.status == http.StatusTooManyRequests:
		c.limiter.Throttled(a.retryAfter(c.o.Now()))
		c.o.Log.WithFields(logrus.Fields{"side": "enhance", "route": at.route, "rate": c.limiter.Rate()}).
			Warn("panel asks for fewer requests")
	case a.status < http.StatusInternalServerError:
		c.limiter.Succeeded()
	}
}

const (
	// connectLimit and handshakeLimit are short, because giving up costs nothing before
	// the request's head has left.
	connectLimit   = 5 * time.Second
	handshakeLimit = 5 * time.Second
	idleLimit      = 60 * time.Second
	idlePerHost    = 16
)

// clients makes one HTTP client for reads, which keeps its connections, and one for
// writes, which does not. If the panel has just closed a kept connection, a write on it
// ends in "EOF", which looks the same as a panel that died after doing the write.
func clients(o Options) (reads, writes *http.Client) {
	client := func(t http.RoundTripper) *http.Client {
		return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	base, replaceable := o.Transport.(*http.Transport)
	switch {
	case o.Transport == nil:
		base = direct()
	case !replaceable:
		both := client(o.Transport)
		return both, both
	}
	return client(base.Clone()), client(singleUse(base.Clone()))
}

// direct connects without a proxy, so that the token goes to the panel or nowhere.
func direct() *http.Transport {
	dialer := &net.Dialer{Timeout: connectLimit, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: handshakeLimit,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     idleLimit,
		MaxIdleConnsPerHost: idlePerHost,
	}
}

// singleUse makes t open a connection for every request and use HTTP/1.1, because that
// transport cannot send a request again on a new connection. HTTP/2 would do so after
// GOAWAY or REFUSED_STREAM, even with a DELETE, which has no body to prevent it.
func singleUse(t *http.Transport) *http.Transport {
	t.DisableKeepAlives = true
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	dial := t.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: connectLimit}).DialContext
	}
	t.DialContext = fence.Dialer(dial) // because the fence may close while it connects
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return t
}

// progress is how far one request got, as the transport reports it.
type progress struct {
	asked atomic.Bool // the transport reports on this request
	wrote atomic.Bool // the head was handed to a connection
}

// watch makes the transport report to p.
func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { p.asked.Store(true) },
		WroteHeaders: func() { p.wrote.Store(true) },
	})
}

// unsent reports that the panel cannot have seen the request. Either the transport
// asked for a connection and never wrote the head to one, or it does not report and the
// error itself shows that there was no connection. If a transport reports nothing, that
// alone proves nothing.
func (p *progress) unsent(err error) bool {
	if p.wrote.Load() {
		return false
	}
	if p.asked.Load() {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, noName := errors.AsType[*net.DNSError](err)
	return noName
}

// orgWire is Org of orchd OpenAPI 12.3.0, reduced to the fields in use.
type orgWire struct {
	ID                 string  `json:"id"`
	ParentID           string  `json:"parentId"`
	Name               string  `json:"name"`
	Status             string  `json:"status"`
	SuspendedBy        *string `json:"suspendedBy"`
	OwnerEmail         string  `json:"ownerEmail"`
	SubscriptionsCount int     `json:"subscriptionsCount"`
	CreatedAt          string  `json:"createdAt"`
}

func (o orgWire) identity() string { return strings.ToLower(o.ID) }

// org converts. An unknown status is neither deleted nor suspended, because the panel
// itself refuses calls that such an organisation may not make.
func (o orgWire) org(now time.Time) reconcile.Org {
	return reconcile.Org{
		ID:         strings.ToLower(o.ID),
		Name:       o.Name,
		OwnerEmail: o.OwnerEmail,
		Hostings:   o.SubscriptionsCount,
		Deleted:    o.Status == "deleted",
		Suspended:  o.SuspendedBy != nil || o.Status == "suspended",
		Created:    parseTime(o.CreatedAt),
		ObservedAt: now,
	}
}

// subscriptionWire is orchd OpenAPI 12.3.0, Subscription.
type subscriptionWire struct {
	ID           int64          `json:"id"`
	PlanID       *int           `json:"planId"`
	SubscriberID string         `json:"subscriberId"`
	Status       string         `json:"status"`
	SuspendedBy  *string        `json:"suspendedBy"`
	FriendlyName string         `json:"friendlyName"`
	Resources    []resourceWire `json:"resources"`
}

// resourceWire is UsedResource and, without usage, Resource. If total is absent the
// resource is unlimited (UsedResource.total).
type resourceWire struct {
	Name  string `json:"name"`
	Usage int64  `json:"usage"`
	Total *int64 `json:"total"`
}

func (s subscriptionWire) identity() string {
	if s.ID <= 0 {
		return ""
	}
	return strconv.FormatInt(s.ID, 10)
}

// hosting converts; org is the customer that was asked for.
func (s subscriptionWire) hosting(org string, now time.Time) reconcile.Hosting {
	h := reconcile.Hosting{
		ID: s.ID, Org: strings.ToLower(org), State: s.state(),
		FriendlyName: s.FriendlyName, ObservedAt: now,
	}
	if s.PlanID != nil {
		h.Plan = *s.PlanID
	}
	if s.SuspendedBy != nil {
		h.SuspendedBy = *s.SuspendedBy
	}
	for _, r := range s.Resources {
		h.Usage = append(h.Usage, reconcile.Usage{Name: r.Name, Used: r.Usage, Total: r.Total})
	}
	return h
}

// state: the panel has no status for suspended, only the presence of suspendedBy
// (Subscription.suspendedBy). Deleted comes first, because a deleted hosting cannot be
// resumed.
func (s subscriptionWire) state() reconcile.HostingState {
	switch {
	case s.Status == "deleted":
		return reconcile.HostingDeleted
	case s.Status != "active":
		return reconcile.HostingUnknown
	case s.SuspendedBy == nil:
		return reconcile.HostingActive
	case *s.SuspendedBy == "":
		return reconcile.HostingUnknown // an empty suspendedBy is not documented
	}
	return reconcile.HostingSuspended
}

// planWire is orchd OpenAPI 12.3.0, Plan.
type planWire struct {
	ID        int            `json:"id"`
	Name      string         `json:"name"`
	Resources []resourceWire `json:"resources"`

	AllowedPHP   []string `json:"allowedPhpVersions"`
	ServerGroups []string `json:"serverGroupIds"`
	ChoosesGroup *bool    `json:"allowServerGroupSelection"`
}

func (p planWire) identity() string {
	if p.ID <= 0 {
		return ""
	}
	return strconv.Itoa(p.ID)
}

func (p planWire) plan() reconcile.EnhancePlan {
	limits := map[string]int64{}
	for _, r := range p.Resources {
		if r.Total != nil {
			limits[r.Name] = *r.Total
		}
	}
	return reconcile.EnhancePlan{ID: p.ID, Name: p.Name, Limits: limits, Sites: p.sites()}
}

// sites: the choice of a server group is optional in the document, so a plan that does not
// mention it has not denied it.
func (p planWire) sites() (s reconcile.PlanSites) {
	if len(p.AllowedPHP) > 0 {
		s.PHP = slices.Sorted(slices.Values(p.AllowedPHP))
	}
	switch {
	case p.ChoosesGroup == nil:
	case !*p.ChoosesGroup:
		s.ServerGroups = []string{}
	case len(p.ServerGroups) > 0:
		for _, id := range p.ServerGroups {
			s.ServerGroups = append(s.ServerGroups, strings.ToLower(id))
		}
		slices.Sort(s.ServerGroups)
	}
	return s
}

// memberWire is orchd OpenAPI 12.3.0, Member, pending ones included.
type memberWire struct {
	ID       string   `json:"id"`
	Email    string   `json:"email"`
	Roles    []string `json:"roles"`
	IsActive bool     `json:"isActive"` // false: invited, and has not accepted
}

func (m memberWire) identity() string { return m.ID }

// websiteWire is orchd OpenAPI 12.3.0, Website. Its domain is an object there; a plain
// string is understood as well.
type websiteWire struct {
	ID             string            `json:"id"`
	Domain         json.RawMessage   `json:"domain"`
	Aliases        []json.RawMessage `json:"aliases"`
	OrgID          string            `json:"orgId"`
	SubscriptionID json.Number       `json:"subscriptionId"`
	Status         string            `json:"status"`
	CreatedAt      string            `json:"createdAt"`
}

func (w websiteWire) identity() string { return w.ID }

func (w websiteWire) domain() string { return domainOf(w.Domain) }

func domainOf(raw json.RawMessage) string {
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return name
	}
	var object struct {
		Domain string `json:"domain"`
	}
	_ = json.Unmarshal(raw, &object)
	return object.Domain
}

// hasDomain reports whether a website has this domain, also as an alias.
func (w websiteWire) hasDomain(key string) bool {
	return reconcile.DomainKey(w.domain()) == key ||
		slices.ContainsFunc(w.Aliases, func(a json.RawMessage) bool { return reconcile.DomainKey(domainOf(a)) == key })
}

// location is the website's place; hosting 0 if the panel does not name it.
func (w websiteWire) location() reconcile.WebsiteLocation {
	return reconcile.WebsiteLocation{Org: strings.ToLower(w.OrgID), Hosting: w.hosting()}
}

// hosting is the website's subscription (Website.subscriptionId, a number); 0 if the
// panel does not name it.
func (w websiteWire) hosting() int64 {
	n, err := w.SubscriptionID.Float64()
	if err != nil || n < 1 || n > 1<<53 || n != math.Trunc(n) {
		return 0
	}
	return int64(n)
}

// isLive reports whether the website exists. An unknown status means that it does.
func (w websiteWire) isLive() bool { return w.Status != "deleted" }

// isOn reports whether this is a live website of that domain on that hosting.
func (w websiteWire) isOn(hosting int64, domain string) bool {
	return w.hosting() == hosting && w.isLive() && strings.EqualFold(w.domain(), domain)
}

// timeLayouts are the known forms of createdAt, which is documented as a string and no
// more. All of them may have a fraction of a second.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 Z07:00",
	"2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
	time.DateOnly,
}

// parseTime parses createdAt; zero if it has none of the known forms. Without a zone it
// is UTC.
func parseTime(s string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

const (
	// firstPatience is how long a read about one org may take, if the panel is not slow
	// as a whole. After each read that took longer, the next one about this org may take
	// twice as long, up to the limit for all reads.
	firstPatience = 3 * time.Second
	// slowFor is how long an org counts as slow after a read that took too long.
	slowFor = 10 * time.Minute
	// slower is how many times as long as the panel's usual answer a read may take
	// before its org counts as slow.
	slower = 4
	// slowTogether is how many orgs that were slow of late are asked at a time.
	slowTogether = 2
)

// patience keeps orgs that give no answer from holding what other customers need: the
// places at the limiter, and the workers that wait for an answer. A panel has several
// servers, and if one of them hangs, so does every call about the orgs on it.
//
// The rules:
//
//  1. Of the requests about one org, one is under way at a time.
//  2. A read about an org has a short time, which grows with each one that was too short,
//     so that an org that is merely slow is read in the end. It is not tried again in the
//     same call: its customer is looked at again in a later run.
//  3. Of the orgs that were too slow in the last minutes, two are asked at a time. A call
//     about another one fails soon, and an urgent one at once, because the worker behind it
//     is needed by customers whose orgs do answer.
//  4. While the panel answers other calls, an org about which it gives no answer, or a bad
//     one, is no sign that the panel is in trouble, so the breaker does not count it. If
//     there was no other call, the panel is asked for one customer of the list.
//
// Writes have their usual time, because one that is given up may have been done.
type patience struct {
	slow  chan struct{} // a token for each slow org that is asked at the moment
	waits func()        // called before a request waits for another one about its org

	mu       sync.Mutex           // guards all below
	orgs     map[string]*slowness // of those that are asked or were slow
	usual    time.Duration        // how long an answer takes, the slower ones of late
	answered time.Time            // when the panel last answered anything well
}

// slowness is how one org has answered of late.
type slowness struct {
	turn   chan struct{} // capacity one: full while a request is under way
	users  int           // who have or wait for the turn
	missed int           // reads in a row that took too long
	until  time.Time     // when that is forgotten
}

func newPatience(waits func()) *patience {
	if waits == nil {
		waits = func() {}
	}
	return &patience{slow: make(chan struct{}, slowTogether), waits: waits, orgs: map[string]*slowness{}}
}

// turn waits until no other request about an org is under way; "" is an org of no customer,
// for which nothing waits. limit is how long a read may take, leave ends the turn.
func (p *patience) turn(ctx context.Context, org string, read time.Duration) (limit time.Duration, leave func(), err error) {
	if org == "" {
		return read, func() {}, nil
	}
	s := p.enter(org)
	if err := p.orgTurn(ctx, s); err != nil {
		p.exit(org, s)
		return 0, nil, err
	}
	limit, isSlow := p.limit(s, read)
	if !isSlow {
		return limit, func() { <-s.turn; p.exit(org, s) }, nil
	}
	if err := p.slowTurn(ctx); err != nil {
		<-s.turn
		p.exit(org, s)
		return 0, nil, err
	}
	return limit, func() { <-p.slow; <-s.turn; p.exit(org, s) }, nil
}

// orgTurn waits until no other request about an org is under way. For an org that was slow
// of late, an urgent request does not wait.
func (p *patience) orgTurn(ctx context.Context, s *slowness) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	default:
	}
	if _, isSlow := p.limit(s, 0); isSlow && priority.Of(ctx) == priority.Urgent {
		return errAskedAlready
	}
	p.waits()
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slowTurn waits until fewer slow orgs are asked.
func (p *patience) slowTurn(ctx context.Context) error {
	select {
	case p.slow <- struct{}{}:
		return nil
	default:
	}
	if priority.Of(ctx) == priority.Urgent {
		return errManySlow
	}
	wait := time.NewTimer(firstPatience)
	defer wait.Stop()
	select {
	case p.slow <- struct{}{}:
		return nil
	case <-wait.C:
		return errManySlow
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Why an org that gave no answer lately is not asked now.
var (
	errAskedAlready = errors.New("this org gave no answer lately, and another request about it is under way: it is asked again in a later run")
	errManySlow     = fmt.Errorf("this org gave no answer lately, and %d others like it are asked at the moment: it is asked again in a later run", slowTogether)
)

func (p *patience) enter(org string) *slowness {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.orgs[org]
	if s == nil {
		s = &slowness{turn: make(chan struct{}, 1)}
		p.orgs[org] = s
	}
	s.users++
	return s
}

// exit forgets an org that nothing asks for any more and that was not slow of late.
func (p *patience) exit(org string, s *slowness) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	if s.users == 0 && (s.missed == 0 || time.Now().After(s.until)) {
		delete(p.orgs, org)
	}
}

// limit is how long a read may take, and whether its org is a slow one.
func (p *patience) limit(s *slowness, read time.Duration) (limit time.Duration, isSlow bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(s.until) {
		s.missed = 0
	}
	limit = max(firstPatience, slower*p.usual)
	for range s.missed {
		limit = min(2*limit, read)
	}
	return min(limit, read), s.missed > 0
}

// heard notes that a request was answered well that began at an instant.
func (p *patience) heard(org string, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = time.Now()
	took := p.answered.Sub(began)
	s := p.orgs[org]
	if org == "" || s == nil || s.missed == 0 {
		p.usual = max(took, p.usual-p.usual/8)
	}
	if s != nil && took <= firstPatience {
		s.missed = 0
	}
}

// missed notes a read that took too long.
func (p *patience) missed(org string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.orgs[org]; s != nil {
		s.missed++
		s.until = time.Now().Add(slowFor)
	}
}

// answeredSince reports whether the panel has answered any call well since an instant.
func (p *patience) answeredSince(t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered.After(t)
}
