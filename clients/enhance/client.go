package enhance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
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

	sent atomic.Int64

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
