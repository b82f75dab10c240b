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
	// connectLimit and handshakeLimit are short: before the request's head has
	// left, giving up costs nothing.
	connectLimit   = 5 * time.Second
	handshakeLimit = 5 * time.Second
	idleLimit      = 60 * time.Second
	idlePerHost    = 16
)

// clients makes one HTTP client for reads, which keeps its connections, and one
// for writes, which does not. A kept connection that the panel has just closed
// turns a write into "EOF", and nobody could tell that from a panel that died
// after doing it.
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

// direct connects without a proxy: the token goes to the panel or nowhere.
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

// singleUse makes t open a connection for every request, and speak HTTP/1.1, whose
// transport has no way to send a request again on such a connection. HTTP/2
// would, after GOAWAY or REFUSED_STREAM, and a DELETE has no body to stop it.
func singleUse(t *http.Transport) *http.Transport {
	t.DisableKeepAlives = true
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	dial := t.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: connectLimit}).DialContext
	}
	t.DialContext = fence.Dialer(dial) // connecting takes time too
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return t
}

// progress is how far one request got, as told by the transport itself.
type progress struct {
	asked atomic.Bool // the transport reports on this request at all
	wrote atomic.Bool // the head was handed to a connection
}

// watch makes the transport report to p.
func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { p.asked.Store(true) },
		WroteHeaders: func() { p.wrote.Store(true) },
	})
}

// unsent reports that the panel cannot have seen the request: the transport
// looked for a connection and never wrote the head to one, or, where it does not
// report, the error itself says that there was no connection. No news from a
// transport is not such a proof.
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
