package enhance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
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
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stripe-enhance")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// exchange sends one request and reads its answer. It returns an error if no status
// came; a body that could not be read is answer.cut.
func (c *Client) exchange(client *http.Client, req *http.Request, at call, limit int64) (answer, error) {
	c.sent.Add(1)
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		c.o.Observe(at.method+" "+at.route, 0)
		return answer{}, withoutURL(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.cut = readAll(resp.Body, limit)
	c.o.Observe(at.method+" "+at.route, a.status)
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
