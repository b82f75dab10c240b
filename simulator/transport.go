package simulator

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// The hosts of a world that is used through its Transport.
const (
	StripeHost  = "stripe.sim"
	EnhanceHost = "enhance.sim"
)

// Transport answers requests in the process, without sockets or goroutines, for
// simulations that must be exactly repeatable. Besides the two hosts above it answers
// any other host by the path: /api is Enhance, /v1 and /_sim are Stripe.
//
// Faults work as over sockets: a reset is a connection error, a truncated body ends in
// io.ErrUnexpectedEOF, a call that hangs is an immediate time-out error, and a delay
// moves the simulated clock.
func (w *World) Transport() http.RoundTripper { return &transport{world: w, stripe: w.StripeHandler()} }

type transport struct {
	world  *World
	stripe http.Handler
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	side, err := sideOf(r)
	if err != nil {
		return nil, err
	}
	if side == Stripe && strings.HasPrefix(r.URL.Path, "/_sim") {
		rec := &recorder{outcome{answer: answer{status: http.StatusOK, header: http.Header{}}}}
		t.stripe.ServeHTTP(rec, r)
		return rec.response(r), nil
	}
	c, err := callOf(side, r)
	if err != nil {
		return nil, err
	}
	o := t.world.handle(c)
	if !pause(r, t.world.opt.Latency) {
		return nil, r.Context().Err()
	}
	t.world.Advance(o.delay)
	switch {
	case o.hang:
		return nil, &net.OpError{Op: "read", Net: "sim", Err: timeoutError{}}
	case o.reset:
		return nil, &net.OpError{Op: "read", Net: "sim", Err: syscall.ECONNRESET}
	}
	return o.response(r), nil
}

func sideOf(r *http.Request) (Side, error) {
	host := r.URL.Hostname()
	switch {
	case host == StripeHost || strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/_sim"):
		return Stripe, nil
	case host == EnhanceHost || strings.HasPrefix(r.URL.Path, "/api"):
		return Enhance, nil
	}
	return 0, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (o *outcome) response(r *http.Request) *http.Response {
	body := io.Reader(bytes.NewReader(o.body))
	if o.truncate {
		body = io.MultiReader(bytes.NewReader(o.body[:len(o.body)/2]), brokenReader{})
	}
	return &http.Response{
		Status: itoa(int64(o.status)) + " " + http.StatusText(o.status), StatusCode: o.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: o.header,
		Body: io.NopCloser(body), ContentLength: int64(len(o.body)), Request: r,
	}
}

// recorder records the answer of the controls.
type recorder struct{ outcome }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { r.body = append(r.body, p...); return len(p), nil }

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// timeoutError is the error of a socket whose deadline passed.
type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
