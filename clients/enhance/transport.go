package enhance

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fence"
)

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
