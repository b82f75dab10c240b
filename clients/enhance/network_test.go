package enhance_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// closedPort is a loopback address without a listener.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// quietTLS is a TLS server that keeps failed handshakes to itself.
func quietTLS(t *testing.T, edit func(*httptest.Server)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	edit(s)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestAWriteThatFoundNoConnectionIsTransientAndNotAmbiguous(t *testing.T) {
	plain := served(t, http.NotFound)
	refused := "http://" + closedPort(t)
	nameless := &net.DNSError{Err: "no such host", Name: "panel.example.com", IsNotFound: true}
	dial := func(err error) func(*enhance.Options) {
		return func(o *enhance.Options) {
			o.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
		}
	}
	for _, c := range []struct {
		name, url string
		edit      func(*enhance.Options)
	}{
		{"connection refused", refused, func(*enhance.Options) {}},
		{"connection refused, told by an opaque transport", refused, func(o *enhance.Options) {
			o.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			})
		}},
		{"no such host", "https://panel.example.com", dial(nameless)},
		{"no such host, told by an opaque transport", "https://panel.example.com", func(o *enhance.Options) {
			o.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, nameless })
		}},
		{"a dial that takes too long", "https://panel.example.com", dial(context.DeadlineExceeded)},
		{"a certificate we do not trust", quietTLS(t, func(*httptest.Server) {}), func(*enhance.Options) {}},
		{"no TLS at all", strings.Replace(plain, "http:", "https:", 1), func(*enhance.Options) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &town{client: fast(t, c.url, c.edit), org: otherOrg, hosting: 42}
			for _, o := range ops {
				if diff := cmp.Diff("transient", verdict(o.do(t.Context(), n))); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", o.name, diff)
				}
			}
		})
	}
}

// The time ran out before there was a connection, so nothing was sent.
func TestAWriteThatWaitedForItsConnectionTooLongIsTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		hang := func(context.Context, string, string) (net.Conn, error) {
			<-end // the transport goes on dialling for the next request
			return nil, net.ErrClosed
		}
		client := bubble(t, &http.Transport{DialContext: hang})
		if err := client.Delete(t.Context(), otherOrg, 42); verdict(err) != "transient" {
			t.Errorf("got %v", err)
		}
	})
}

// A transport that does not report its progress proves nothing by its silence.
func TestAnErrorOfATransportThatReportsNothingIsAmbiguous(t *testing.T) {
	broken := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("boom") })
	n := &town{client: fast(t, "https://panel.example.com", func(o *enhance.Options) { o.Transport = broken }), org: otherOrg, hosting: 42}
	for _, o := range ops {
		want := unclear
		if o.class == "read" {
			want = "transient"
		}
		err := o.do(t.Context(), n)
		if diff := cmp.Diff(want, verdict(err)); diff != "" || !strings.Contains(err.Error(), "boom") {
			t.Errorf("%s: (-want +got)\n%s%v", o.name, diff, err)
		}
	}
}

// TestAWriteWhoseTimeIsOverBeforeItIsSentIsNotSent, and so it is not ambiguous.
func TestAWriteWhoseTimeIsOverBeforeItIsSentIsNotSent(t *testing.T) {
	n := &town{org: otherOrg, hosting: 42, client: fast(t, "https://panel.example.com", func(o *enhance.Options) {
		o.WriteTimeout = time.Nanosecond
		o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%s was sent", r.URL)
			return nil, errors.New("boom")
		})
	})}
	for _, o := range ops {
		if o.class == "read" {
			continue
		}
		if diff := cmp.Diff("transient", verdict(o.do(t.Context(), n))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", o.name, diff)
		}
	}
}

// TestATransportWithoutADialerSendsWrites, each on a connection of its own like any other.
func TestATransportWithoutADialerSendsWrites(t *testing.T) {
	f := newFragile(t)
	client := fast(t, "http://"+f.Addr().String(), func(o *enhance.Options) { o.Transport = &http.Transport{} })
	for range 2 {
		if id, err := client.CreateOrg(t.Context(), "Ada"); id != otherOrg || err != nil {
			t.Errorf("got %q, %v", id, err)
		}
	}
	if posts, conns := f.posts.Load(), f.conns.Load(); posts != 2 || conns != 2 {
		t.Errorf("%d POSTs on %d connections, want 2 on 2", posts, conns)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestA204WithABodyIsAmbiguous(t *testing.T) {
	client := fast(t, "https://panel.example.com", func(o *enhance.Options) {
		o.Transport = inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			_, _ = io.WriteString(w, `{"queued":true}`)
		})}
	})
	if err := client.Delete(t.Context(), otherOrg, 42); verdict(err) != unclear {
		t.Errorf("got %v", err)
	}
}

func TestARefusalThatBrokeOffProvesNothing(t *testing.T) {
	client := fast(t, "https://panel.example.com", func(o *enhance.Options) {
		o.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			rec := httptest.NewRecorder()
			rec.WriteHeader(http.StatusConflict)
			resp := rec.Result()
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"code":"already_exists"}`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp, nil
		})
	})
	if _, err := client.CreateOrg(t.Context(), "Ada"); verdict(err) != unclear {
		t.Errorf("got %v", err)
	}
}

// fragile is a server that keeps its connections, and breaks each of them as
// soon as a second request has arrived on it.
type fragile struct {
	net.Listener
	wg    sync.WaitGroup
	posts atomic.Int64
	conns atomic.Int64
}

func newFragile(t *testing.T) *fragile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fragile{Listener: l}
	f.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.conns.Add(1)
			f.wg.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); f.wg.Wait() })
	return f
}

func (f *fragile) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for first := true; ; first = false {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		if req.Method == http.MethodPost {
			f.posts.Add(1)
		}
		if !first {
			return
		}
		io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 45\r\n\r\n"+`{"id":"0b0b0b0b-1111-4222-8333-444444444444"}`)
	}
}

func TestWritesNeverShareAConnection(t *testing.T) {
	f := newFragile(t)
	client := fast(t, "http://"+f.Addr().String())
	for range 3 {
		if id, err := client.CreateOrg(t.Context(), "Ada"); id != otherOrg || err != nil {
			t.Errorf("got %q, %v", id, err)
		}
	}
	if posts, conns := f.posts.Load(), f.conns.Load(); posts != 3 || conns != 3 {
		t.Errorf("%d POSTs on %d connections, want 3 on 3", posts, conns)
	}
}

func TestAPOSTOnADeadKeptConnectionIsNotSentAgain(t *testing.T) {
	f := newFragile(t)
	kept := &http.Transport{}
	defer kept.CloseIdleConnections()
	// Not an *http.Transport, so that the client cannot make it safe.
	client := fast(t, "http://"+f.Addr().String(), func(o *enhance.Options) { o.Transport = roundTripper(kept.RoundTrip) })
	if _, err := client.CreateOrg(t.Context(), "Ada"); err != nil {
		t.Fatal(err)
	}
	_, err := client.CreateOrg(t.Context(), "Grace")
	if diff := cmp.Diff(unclear, verdict(err)); diff != "" {
		t.Errorf("(-want +got)\n%s%v", diff, err)
	}
	if posts := f.posts.Load(); posts != 2 {
		t.Errorf("two calls made %d POSTs", posts)
	}
}

func TestAWriteSpeaksHTTP1AndAReadMaySpeakHTTP2(t *testing.T) {
	var mu sync.Mutex
	spoken := map[string]string{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		spoken[r.Method] = r.Proto
		mu.Unlock()
		if r.Method == http.MethodGet {
			respond(w, 200, `"12.3.0"`)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	client := fast(t, s.URL, func(o *enhance.Options) { o.Transport = s.Client().Transport })
	if _, err := client.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(t.Context(), otherOrg, 42); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"GET": "HTTP/2.0", "DELETE": "HTTP/1.1"}
	if diff := cmp.Diff(want, spoken); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnOldTLSIsRefused(t *testing.T) {
	url := quietTLS(t, func(s *httptest.Server) { s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} })
	_, err := fast(t, url).Version(t.Context())
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("got %v", err)
	}
}

func TestACancelledWriteIsAmbiguousOnceItHasArrivedAndCancelledBefore(t *testing.T) {
	for _, o := range ops {
		ctx, cancel := context.WithCancel(t.Context())
		url := served(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		})
		n := &town{client: fast(t, url), org: otherOrg, hosting: 42}
		want := unclear
		if o.class == "read" {
			want = "canceled"
		}
		if diff := cmp.Diff(want, verdict(o.do(ctx, n))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", o.name, diff)
		}
		sent := n.client.Requests()
		if diff := cmp.Diff("canceled", verdict(o.do(ctx, n))); diff != "" {
			t.Errorf("%s, cancelled before: (-want +got)\n%s", o.name, diff)
		}
		if n.client.Requests() != sent {
			t.Errorf("%s was sent although it had been cancelled", o.name)
		}
	}
}

func TestNoRequestCarriesWhatMustNeverBeSent(t *testing.T) {
	n := newTown(t)
	var mu sync.Mutex
	var seen []string
	inner := n.world.EnhanceHandler()
	n.client = fast(t, served(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method)
		mu.Unlock()
		for name := range r.Header {
			switch name {
			case "Authorization", "Accept", "User-Agent", "Content-Type", "Content-Length", "Accept-Encoding", "Connection":
			default:
				t.Errorf("%s %s carries the header %s", r.Method, r.URL.Path, name)
			}
		}
		if r.Header.Get("Authorization") != "Bearer "+canary || !strings.HasPrefix(r.URL.Path, "/api/") {
			t.Errorf("%s %s is not to the API with the token", r.Method, r.URL.Path)
		}
		if strings.Contains(strings.ToLower(r.URL.RawQuery), "force") || strings.HasSuffix(r.RequestURI, "?") {
			t.Errorf("%s %s forces, or has an empty query", r.Method, r.RequestURI)
		}
		inner.ServeHTTP(w, r)
	}))
	for _, o := range ops {
		_ = o.do(t.Context(), n)
	}
	if len(seen) < len(ops) {
		t.Errorf("only %d requests were seen", len(seen))
	}
	for _, v := range n.world.Violations() {
		t.Errorf("violation: %v", v)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	target := served(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		n := &town{org: otherOrg, hosting: 42}
		n.client = fast(t, served(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, status) }))
		for _, o := range ops {
			if o.do(t.Context(), n) == nil {
				t.Errorf("%s succeeded with a %d", o.name, status)
			}
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests, with the token, went where a redirect pointed", n)
	}
}

func TestWhatCannotBeRightIsNotSent(t *testing.T) {
	client := fast(t, served(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) }))
	yes := true
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"an org without a name":     func() error { _, err := client.CreateOrg(ctx, " "); return err },
		"an empty new name":         func() error { return client.RenameOrg(ctx, otherOrg, "") },
		"an org that is no UUID":    func() error { return client.RenameOrg(ctx, "../"+otherOrg, "x") },
		"an org of nothing":         func() error { _, err := client.Org(ctx, ""); return err },
		"hostings of a path":        func() error { _, err := client.Hostings(ctx, "x/../../y"); return err },
		"a hosting 0":               func() error { _, err := client.Hosting(ctx, otherOrg, 0); return err },
		"a plan 0":                  func() error { _, err := client.CreateHosting(ctx, otherOrg, 0, "x"); return err },
		"a plan wider than 32 bits": func() error { _, err := client.CreateHosting(ctx, otherOrg, 1<<31, "x"); return err },
		"a website without a domain": func() error {
			_, err := client.CreateWebsite(ctx, otherOrg, 42, "", reconcile.SiteOptions{})
			return err
		},
		"a search for no domain": func() error { _, err := client.FindWebsite(ctx, " . "); return err },
		"a change of nothing":    func() error { return client.Change(ctx, otherOrg, 42, reconcile.HostingChange{}) },
		"a change of two things": func() error {
			return client.Change(ctx, otherOrg, 42, reconcile.HostingChange{Suspended: &yes, Plan: 2})
		},
		"a change to a negative plan": func() error { return client.Change(ctx, otherOrg, 42, reconcile.HostingChange{Plan: -1}) },
		"a deletion of hosting -1":    func() error { return client.Delete(ctx, otherOrg, -1) },
		"an invitation to nobody":     func() error { return client.Invite(ctx, otherOrg, "", "Ada") },
		"a login for nobody":          func() error { return client.CreateLogin(ctx, otherOrg, "Ada", "Ada") },
		"a hosting of a path":         func() error { _, err := client.Hosting(ctx, "../x", 42); return err },
		"a new hosting of a path":     func() error { _, err := client.CreateHosting(ctx, "../x", 1, "x"); return err },
		"a website of a path": func() error {
			_, err := client.CreateWebsite(ctx, "../x", 42, "ada.example.com", reconcile.SiteOptions{})
			return err
		},
		"websites of a path":      func() error { _, err := client.Websites(ctx, "../x"); return err },
		"a deletion in a path":    func() error { return client.Delete(ctx, "../x", 42) },
		"a change in a path":      func() error { return client.Change(ctx, "../x", 42, reconcile.HostingChange{Plan: 2}) },
		"an invitation to a path": func() error { return client.Invite(ctx, "../x", "ada@example.com", "Ada") },
		"a login for a path":      func() error { return client.CreateLogin(ctx, "../x", "ada@example.com", "Ada") },
		"owners of no org":        func() error { _, err := client.OwnerEmails(ctx, "0"); return err },
	} {
		if diff := cmp.Diff("permanent", verdict(do())); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}
