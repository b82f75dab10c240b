package enhance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Client is one panel and the organisation that sells on it. Safe for concurrent
// use.
type Client struct {
	o       Options
	base    string
	org     string
	token   secret.Text
	limiter *ratelimit.Limiter
	reads   *http.Client
	writes  *http.Client

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
	c := &Client{o: o, base: base, org: strings.ToLower(o.Org), token: o.Token, limiter: o.Limiter}
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
