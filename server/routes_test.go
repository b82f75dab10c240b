package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

func TestEveryPathHasAnAnswerInJSON(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		method, path string
		status       int
		part         string
	}{
		{"GET", "/healthz", 200, `{"status":"ok"}`},
		{"GET", "/nothing", 404, "Not found"},
		{"GET", "/api/admin/nothing", 404, "Not found"},
		{"GET", "/api/admin", 404, "Not found"},
		{"POST", "/healthz", 405, "Method not allowed"},
		{"GET", webhookPath, 405, "Method not allowed"},
		{"DELETE", "/api/admin/runs", 405, "Method not allowed"},
		// net/http would redirect these, in HTML.
		{"GET", "//healthz", 404, "Not found"},
		{"GET", "/api//health", 404, "Not found"},
		{"GET", "/api/./health", 404, "Not found"},
		{"GET", "/x/../healthz", 404, "Not found"},
		{"GET", "/healthz//", 404, "Not found"},
		{"GET", "/healthz/", 404, "Not found"},
		{"OPTIONS", "*", 404, "Not found"},
	} {
		answers(t, c.method+" "+c.path, h.ask(c.method, c.path, ""), c.status, c.part)
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.URL.Path = ""
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	answers(t, "no path", w, 404, "Not found")
	for path, allow := range map[string]string{"/healthz": "GET, HEAD", webhookPath: "POST", "/api/admin/mappings": "DELETE, GET, HEAD, PUT"} {
		if got := h.ask("TRACE", path, "").Header().Get("Allow"); got != allow {
			t.Errorf("%s allows %q, want %q", path, got, allow)
		}
	}
	if got := h.ask("HEAD", "/healthz", ""); got.Code != http.StatusOK {
		t.Errorf("HEAD: %d", got.Code)
	}
	if got := h.ask("GET", "/", ""); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "/api/openapi.json") {
		t.Errorf("the root: %d %s", got.Code, got.Body)
	}
}

// TestWithoutAKeyNoPathOfTheAdminAPIExists: a stranger does not learn which there are.
func TestWithoutAKeyNoPathOfTheAdminAPIExists(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/api/admin", "/api/admin/", "/api/admin/runs", "/api/admin/nothing", "/api/admin//runs", "/api/admin/../admin/runs"} {
		for _, method := range []string{"GET", "POST", "TRACE"} {
			got := h.send(method, path, "")
			answers(t, method+" "+path, got, 401, "Unauthorized")
			if got.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s: the answer does not name the scheme", path)
			}
			h.server.tries = newLimiter(time.Now)
		}
	}
	for range wrongTries {
		h.send("GET", "/api/admin/runs", "", "Authorization", "Bearer wrong")
	}
	got := h.send("GET", "/api/admin/runs", "", "Authorization", "Bearer wrong")
	answers(t, "the eleventh wrong key", got, 429, "Too many wrong keys")
	if got.Header().Get("Retry-After") != "60" {
		t.Errorf("has to wait %q seconds", got.Header().Get("Retry-After"))
	}
	answers(t, "the right key from the same address", h.ask("GET", "/api/admin/runs", ""), 200, "runs")
	if got := h.called("Runs"); len(got) != 1 {
		t.Errorf("read %q", got)
	}
}

func TestABodyOverTheLimitOfItsRouteIsRefused(t *testing.T) {
	h := newHouse(t)
	large := `{"by":"` + strings.Repeat("x", adminLimit) + `"}`
	answers(t, "admin", h.ask("POST", "/api/admin/plans/plan-123/approve", large), 413, "too large")
	got := h.send("POST", webhookPath, strings.Repeat("x", webhookLimit+1), "Stripe-Signature", "t=1")
	answers(t, "webhook", got, 413, "larger than 1 MiB")
	if did := h.called(changes...); did != nil {
		t.Errorf("did %q", did)
	}
}

func TestWithoutASigningSecretThereIsNoWebhook(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Verify = nil })
	answers(t, "POST", h.send("POST", webhookPath, `{}`, "Stripe-Signature", "t=1"), 404, "Not found")
	answers(t, "GET", h.send("GET", webhookPath, ``), 404, "Not found")
}

// TestEveryAnswerForbidsToShowStoreOrLoadIt, errors included. HTTPS is asked for only over
// HTTPS, because a browser that heard it over HTTP must ignore it.
func TestEveryAnswerForbidsToShowStoreOrLoadIt(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/", "/healthz", "/nothing", "/api/admin/runs", "//"} {
		header := h.send("GET", path, "").Header()
		want := map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": ""}
		got := map[string]string{}
		for name := range want {
			got[name] = header.Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if h.send("GET", "/", "", "X-Forwarded-Proto", "https").Header().Get("Strict-Transport-Security") == "" {
		t.Error("behind a proxy with TLS, HTTPS is not asked for")
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("over TLS, HTTPS is not asked for")
	}
}

// TestAnAnswerIsGivenOnce, and a handler that ends its connection on purpose ends it.
func TestAnAnswerIsGivenOnce(t *testing.T) {
	h := newHouse(t)
	if got := h.send("GET", "/healthz", "").Body.String(); got != `{"status":"ok"}`+"\n" || len(h.log.AllEntries()) != 0 {
		t.Errorf("answered %q, logged %d lines", got, len(h.log.AllEntries()))
	}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // a panic's value is compared as net/http does
			t.Errorf("net/http got %v, want its own value", v)
		}
	}()
	h.server.middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
}

func TestAServerNeedsEveryPort(t *testing.T) {
	for name, remove := range map[string]func(*Options){
		"loop": func(o *Options) { o.Loop = nil }, "nudges": func(o *Options) { o.Nudges = nil }, "history": func(o *Options) { o.History = nil },
		"plans": func(o *Options) { o.Plans = nil }, "mappings": func(o *Options) { o.Mappings = nil }, "holds": func(o *Options) { o.Holds = nil },
		"journal": func(o *Options) { o.Journal = nil }, "customers": func(o *Options) { o.Customers = nil }, "overview": func(o *Options) { o.Overview = nil },
		"stripe": func(o *Options) { o.Stripe = nil }, "enhance": func(o *Options) { o.Enhance = nil },
	} {
		o := newHouse(t).server.o
		remove(&o)
		if s, err := New(o); err == nil || s != nil {
			t.Errorf("without %s: %v, %v", name, s, err)
		}
	}
}

func TestAServerNeedsNoClockObserverOrLog(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Now, o.Observer, o.Log = nil, nil, nil })
	before := time.Now().Truncate(time.Second)
	answers(t, "health", h.send("GET", "/api/health", ""), 200, "healthy")
	answers(t, "a webhook", h.send("POST", webhookPath, `{"ID":"evt_1"}`, "Stripe-Signature", "t=1"), 200, "received")
	if now := h.server.o.Now(); now.Before(before) || now.After(time.Now()) {
		t.Errorf("its clock is at %v", now)
	}
	h.fail["Runs"] = errors.New("no")
	answers(t, "an error that is logged", h.ask("GET", "/api/admin/runs", ""), 503, "try again")
}

func TestOnlyTheMetricsAreOnTheirOwnAddress(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })
	if got := newHouse(t, func(o *Options) { o.Metrics = metrics }).send("GET", "/metrics", ""); got.Body.String() != "up 1\n" {
		t.Errorf("answered %d %s", got.Code, got.Body)
	}
	answers(t, "without metrics", newHouse(t).send("GET", "/metrics", ""), 404, "Not found")
}

// pipes is a listener without sockets, for a bubble.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial sends a request, and returns how the connection ends: with the answer, or without.
func (p *pipes) dial(path string) <-chan string {
	here, there := net.Pipe()
	p.conns <- there
	ended := make(chan string, 1)
	go func() {
		_, _ = io.WriteString(here, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		all, _ := io.ReadAll(here)
		status, _, _ := strings.Cut(string(all), "\r\n")
		ended <- status
	}()
	return ended
}

// TestAtTheEndRequestsUnderWayAreAnsweredOrCutOff: one that is answered in time gets its
// answer, one that hangs is cut off, and Serve returns.
func TestAtTheEndRequestsUnderWayAreAnsweredOrCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(time.Second)
				return
			}
			<-r.Context().Done()
		})
		p := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		log := logrus.New()
		log.SetOutput(io.Discard)
		left, served := false, make(chan error, 1)
		go func() { served <- serve(ctx, p, h, log, func() { left = true }) }()
		slow, hangs := p.dial("/slow"), p.dial("/hangs")
		synctest.Wait()
		began := time.Now()
		stop()
		if got := <-slow; got != "HTTP/1.1 200 OK" || time.Since(began) != time.Second {
			t.Errorf("the slow request ended with %q after %s", got, time.Since(began))
		}
		if got := <-hangs; got != "" || time.Since(began) < drainLimit || time.Since(began) > drainLimit+time.Second {
			t.Errorf("the request that hangs ended with %q after %s", got, time.Since(began))
		}
		if err := <-served; err != nil || !left {
			t.Errorf("served: %v, left %t", err, left)
		}
	})
}

func TestAListenerThatIsGoneIsAnError(t *testing.T) {
	p := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
	_ = p.Close()
	if err := newHouse(t).server.Serve(t.Context(), p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("served: %v", err)
	}
}
