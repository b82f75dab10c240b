package enhance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
)

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
