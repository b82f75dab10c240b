package stripe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// The waits, from the outside in: each fits what is below it.
const (
	// defaultCallTimeout limits one call with all its attempts, back-off and waiting
	// for the limiter. It fits five attempts that each take their limit.
	defaultCallTimeout = 3 * time.Minute
	// defaultAttemptTimeout limits one request. Stripe takes a few seconds for an
	// expanded page of 100 on a bad day; if ten times that has passed, the connection
	// is dead.
	defaultAttemptTimeout = 30 * time.Second
	// maxRetryAfter limits the wait that Stripe may ask of one call. The limiter keeps
	// the rest of the program slow for that time.
	maxRetryAfter = 30 * time.Second
	// defaultRetryMax and defaultRetryMin limit our own back-off.
	defaultRetryMax = 8 * time.Second
	defaultRetryMin = 500 * time.Millisecond
	// denialMemory is how long a refused read of invoices is not tried again. So if an
	// operator grants the permission, the program notices within the hour.
	denialMemory = time.Hour
)

const (
	defaultBaseURL     = "https://api.stripe.com"
	defaultAttempts    = 5
	defaultConcurrency = 8
)

// Options configure a Client. Only Key is required.
type Options struct {
	// Key is a secret (sk_) or restricted (rk_) key that names its mode.
	Key secret.Text
	// BaseURL is the address of the API, for a proxy or a simulator; a trailing "/v1"
	// is ignored. Empty: https://api.stripe.com.
	BaseURL string
	// Limiter is shared by everything that uses this account. Nil: a private one at 20
	// requests a second.
	Limiter *ratelimit.Limiter
	// Breaker is shared like Limiter. Nil: Stripe is called however often it fails.
	Breaker *breaker.Breaker
	// Concurrency is how many slices a sweep reads at the same time. 0: 8.
	Concurrency int
	// Log gets one debug event per attempt: route, status, request id. Nil: silent.
	Log *logrus.Logger
	// Transport sends the requests. Nil: a pool of our own with as many connections as
	// there are slices.
	Transport http.RoundTripper
	// AttemptTimeout and CallTimeout are the two deadlines. 0: 30 s, 3 min.
	AttemptTimeout, CallTimeout time.Duration
	// MaxAttempts is how often one call is sent at most. 0: 5.
	MaxAttempts int
	// RetryMin and RetryMax bound the back-off between attempts. 0: 0.5 s, 8 s.
	RetryMin, RetryMax time.Duration
	// Now is the clock that facts are stamped with. Nil: time.Now.
	Now func() time.Time
	// ReadChanges has the invoices of active subscriptions read too, when one is read by its
	// id, for UnpaidChange. It costs a request for each.
	ReadChanges bool
	// Observe is called for every attempt, for metrics: the route with its ids
	// replaced, and the status, 0 if there was none. Nil: not called.
	Observe func(route string, code int)
	// Trace is called before every attempt, and end with its status, 0 if there was no
	// answer. Nil: not called.
	Trace func(ctx context.Context, route string) (end func(status int))
	// Secured is called with the TLS of each connection on which an answer came. Nil: not
	// called.
	Secured func(*tls.ConnectionState)
	// Took is called with the time of every attempt that was answered. nil: not called.
	Took func(time.Duration)
}

// Client talks to one Stripe account. It is safe for concurrent use and needs
// no closing.
type Client struct {
	key            secret.Text
	live           bool
	address        string
	backend        stripego.Backend
	attempts       *attempts
	breaker        *breaker.Breaker
	now            func() time.Time
	concurrency    int
	callTimeout    time.Duration
	readChanges    bool
	invoicesDenied atomic.Int64 // unix seconds until which invoices are not read
	featuresDenied atomic.Int64 // the same for the features of products
}

// New checks the options and makes a client without contacting Stripe. The error is a
// sentence for the operator.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	live, err := modeOf(o.Key)
	if err != nil {
		return nil, err
	}
	if err := checkBaseURL(o.BaseURL); err != nil {
		return nil, err
	}
	a := newAttempts(o)
	return &Client{
		key:         o.Key,
		live:        live,
		address:     strings.TrimRight(o.BaseURL, "/"),
		attempts:    a,
		breaker:     o.Breaker,
		readChanges: o.ReadChanges,
		backend:     backend(o, retrying(o, a)),
		now:         o.Now,
		concurrency: o.Concurrency,
		callTimeout: o.CallTimeout,
	}, nil
}

func (o Options) withDefaults() Options {
	orElse(&o.BaseURL, defaultBaseURL)
	orElse(&o.Concurrency, defaultConcurrency)
	orElse(&o.AttemptTimeout, defaultAttemptTimeout)
	orElse(&o.CallTimeout, defaultCallTimeout)
	orElse(&o.MaxAttempts, defaultAttempts)
	orElse(&o.RetryMin, defaultRetryMin)
	orElse(&o.RetryMax, max(defaultRetryMax, o.RetryMin))
	if o.Limiter == nil {
		o.Limiter = ratelimit.New(ratelimit.Options{Concurrency: o.Concurrency})
	}
	if o.Transport == nil {
		o.Transport = pool(o.Concurrency)
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

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// backend is stripe-go with its own extras switched off: its retries (their sleep
// ignores the context, and they never retry a 429), its telemetry and its logger (which
// prints whole bodies).
func backend(o Options, transport http.RoundTripper) stripego.Backend {
	return stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL:               new(o.BaseURL),
		HTTPClient:        &http.Client{Transport: transport, CheckRedirect: noRedirect},
		MaxNetworkRetries: new(int64(0)),
		EnableTelemetry:   new(false),
		LeveledLogger:     &stripego.LeveledLogger{Level: stripego.LevelNull},
	})
}

// noRedirect returns the redirect itself. Stripe sends none, and if the client followed
// one it would carry the key to another server.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// modeOf reads from the key's prefix whether it is a live key. A key without a mode is
// taken for a test key, because then live objects are refused and nothing is done.
func modeOf(key secret.Text) (live bool, err error) {
	k := key.Reveal()
	switch {
	case k == "":
		return false, errors.New("stripe: no secret key; set STRIPE_SECRET_KEY to a secret (sk_…) or restricted (rk_…) key")
	case strings.HasPrefix(k, "pk_"):
		return false, errors.New("stripe: this is a publishable key (pk_…), which may not read anything; use a secret (sk_…) or restricted (rk_…) key")
	case strings.HasPrefix(k, "whsec_"):
		return false, errors.New("stripe: this is a webhook signing secret (whsec_…); use a secret (sk_…) or restricted (rk_…) key")
	case strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' }):
		return false, errors.New("stripe: the secret key contains a space, a line break or another character that no key has; was it copied whole?")
	}
	for _, prefix := range []string{"sk_live_", "rk_live_", "sk_test_", "rk_test_", "sk_", "rk_"} {
		if rest, ok := strings.CutPrefix(k, prefix); ok && rest == "" {
			break
		} else if ok {
			return strings.HasSuffix(prefix, "_live_"), nil
		}
	}
	return false, errors.New("stripe: the secret key begins with none of sk_live_, sk_test_, rk_live_, rk_test_, sk_ and rk_, or has nothing after that")
}

// checkBaseURL refuses an address that cannot work, or that would put a password into
// every log line of a proxy.
func checkBaseURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("stripe: the API address is not a URL; it looks like https://api.stripe.com")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return fmt.Errorf("stripe: the API address needs http:// or https:// and a host, like %s", defaultBaseURL)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return errors.New("stripe: the API address may not carry a user, a query or a fragment")
	}
	return nil
}

// Livemode returns the mode in the key's prefix. Every object that comes back must
// agree.
func (c *Client) Livemode() bool { return c.live }

// KeyFingerprint identifies the key without disclosing it.
func (c *Client) KeyFingerprint() string { return c.key.Fingerprint() }

// Fingerprint identifies mode, key and address, and so the account, as far as that is
// possible without a permission that restricted keys cannot have.
func (c *Client) Fingerprint() string {
	mode := "test"
	if c.live {
		mode = "live"
	}
	return mode + " key " + c.KeyFingerprint() + " at " + c.address
}

// ServerTime returns Stripe's clock from the Date header of the last good answer, and
// our clock at that moment: of the time between sending and having the answer, the
// point at which our clock is as far from Stripe's as at the answer before, or the nearest
// to that; of the first answer, the point nearest to Stripe's. Both are zero before it.
func (c *Client) ServerTime() (stripe, local time.Time) { return c.attempts.clock() }

// Requests returns how many requests were sent since the start, retries included.
func (c *Client) Requests() int { return int(c.attempts.sent.Load()) }
