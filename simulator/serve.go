package simulator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// answer is a service's answer.
type answer struct {
	status int
	header http.Header
	body   []byte
	kind   string // content type; empty: JSON
}

// outcome is an answer and the faults on its way.
type outcome struct {
	answer
	call                  Call
	now                   time.Time
	delay                 time.Duration
	truncate, reset, hang bool
}

// route is one documented operation.
type route struct {
	method  string
	pattern string
	parts   []string
	open    bool // needs no credentials
	do      func(w *World, q *request) answer
}

func newRoute(method, pattern string, do func(w *World, q *request) answer) route {
	return route{method: method, pattern: pattern, parts: strings.Split(pattern, "/"), do: do}
}

func (r route) openToAll() route { r.open = true; return r }

// request is a call that found its route. Handlers run with the world locked.
type request struct {
	Call
	route *route
	vars  []string // values of the pattern's {…}, in order
}

// findRoute looks up the route. allowed is set if only the method is wrong.
func findRoute(routes []route, method, path string) (r *route, vars []string, allowed []string) {
	parts := strings.Split(path, "/")
	for i := range routes {
		v, ok := match(routes[i].parts, parts)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], v, nil
		}
		allowed = append(allowed, routes[i].method)
	}
	slices.Sort(allowed)
	return nil, nil, allowed
}

func match(pattern, parts []string) (vars []string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	for i, p := range pattern {
		if strings.HasPrefix(p, "{") && parts[i] != "" {
			vars = append(vars, parts[i])
		} else if p != parts[i] {
			return nil, false
		}
	}
	return vars, true
}

// handle makes a call, with its fault.
func (w *World) handle(c Call) outcome {
	r, vars, allowed := findRoute(routesOf(c.Side), c.Method, c.Path)
	if r != nil {
		c.Route = r.method + " " + r.pattern
	}
	c.Seq = w.count()
	f := w.faultFor(c)
	o := outcome{call: c, delay: f.Delay, truncate: f.Truncate, reset: f.Reset, hang: f.Hang}
	q := &request{Call: c, route: r, vars: vars}
	w.enter()
	defer w.mu.Unlock()
	done := true
	switch f.Apply {
	case Skip:
		done, o.answer = false, errorAnswer(c.Side, http.StatusBadGateway)
	case Late:
		done, o.answer = false, errorAnswer(c.Side, http.StatusGatewayTimeout)
		w.after(f.After, func() { w.perform(q, allowed, true) })
	default:
		o.answer = w.perform(q, allowed, false)
	}
	o.applyFault(f)
	o.now = w.now
	o.setHeaders(w)
	w.log.request(c, w.now, o.status, done, f)
	return o
}

func (w *World) count() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log.seq++
	return w.log.seq
}

// faultFor asks the hook for a fault. If the hook returns none, it is the world's own.
func (w *World) faultFor(c Call) Fault {
	w.hookMu.RLock()
	hook := w.hook
	w.hookMu.RUnlock()
	if hook != nil {
		if f := hook(c); !f.zero() {
			return f
		}
	}
	return w.ownFault(c)
}

// perform is the service without faults. late marks the effects in the log.
func (w *World) perform(q *request, allowed []string, late bool) answer {
	w.log.late = late
	defer func() { w.log.late = false }()
	if a, bad := w.refuse(q, allowed); bad {
		return a
	}
	return q.route.do(w, q)
}

// refuse makes the checks that hold for every route of a side.
func (w *World) refuse(q *request, allowed []string) (answer, bool) {
	open := q.route != nil && q.route.open
	if a, bad := w.checkCredentials(q.Call, open); bad {
		return a, true
	}
	if q.route == nil && q.Write() {
		w.violate(q.Side.String()+"-write", q.Call) // no client of ours has a write there
	}
	switch {
	case q.route == nil && len(allowed) > 0:
		a := errorAnswer(q.Side, http.StatusMethodNotAllowed)
		a.header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
		return a, true
	case q.route == nil && q.Side == Stripe:
		return stripeError(404, "", "", "Unrecognized request URL ("+q.Method+": "+q.Path+"). If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code."), true
	case q.route == nil:
		return enhanceError(404, "not_found", "", "no such route"), true
	case w.overRate(q.Call):
		return errorAnswer(q.Side, http.StatusTooManyRequests), true
	}
	return answer{}, false
}

func (w *World) checkCredentials(c Call, open bool) (answer, bool) {
	if c.Side == Stripe {
		return w.checkStripeKey(c)
	}
	return w.checkEnhance(c, open)
}

// applyFault applies the fault to the answer.
func (o *outcome) applyFault(f Fault) {
	if f.Status != 0 && (f.Body != nil || f.Status != o.status) {
		header := o.header
		o.answer = errorAnswer(o.call.Side, f.Status)
		if o.header == nil {
			o.header = header
		}
	}
	if f.Body != nil {
		o.body, o.kind = f.Body, ""
	}
	if f.Rewrite != nil {
		o.status, o.body = f.Rewrite(o.status, o.body)
	}
	if f.Malformed {
		o.body = append([]byte(nil), o.body[:len(o.body)/2]...)
		o.body = append(o.body, `{"`...)
	}
	for k, v := range f.Header {
		if o.header == nil {
			o.header = http.Header{}
		}
		o.header[http.CanonicalHeaderKey(k)] = v
	}
}

// setHeaders sets the headers that both services always send.
func (o *outcome) setHeaders(w *World) {
	h := http.Header{}
	maps.Copy(h, o.header)
	h.Set("Date", o.now.UTC().Format(http.TimeFormat))
	if len(o.body) > 0 && h.Get("Content-Type") == "" {
		kind := o.kind
		if kind == "" {
			kind = "application/json"
		}
		h.Set("Content-Type", kind)
	}
	if o.call.Side == Stripe {
		h.Set("Request-Id", w.requestID(o.call.Seq))
		h.Set("Stripe-Version", apiVersion)
	}
	o.header = h
}

// errorAnswer is the error that a side sends with a status.
func errorAnswer(side Side, status int) answer {
	if side == Stripe {
		return stripeErrorFor(status)
	}
	return enhanceErrorFor(status)
}

func routesOf(side Side) []route {
	if side == Stripe {
		return stripeRoutes
	}
	return enhanceRoutes
}
