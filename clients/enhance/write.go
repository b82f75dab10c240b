package enhance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
)

// write sends a request once. accept parses the body of a success; nil means that the
// body must be empty.
func (c *Client) write(ctx context.Context, at call, body any, want int, accept func([]byte) error) (err error) {
	leave, err := c.enterBreaker(ctx, at)
	if err != nil {
		return err
	}
	defer func() { leave(err) }()
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
