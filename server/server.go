package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// Time limits of a client, from the outside in. A sync is answered within syncLimit,
// everything else in milliseconds.
const (
	headerLimit = 5 * time.Second
	readLimit   = 10 * time.Second // of a request with its body; 1 MiB at 1 Mbit/s
	writeLimit  = 35 * time.Second // syncLimit and a slow line
	idleLimit   = 60 * time.Second
	headerBytes = 16 << 10
	// drainLimit is how long requests that are under way may take at the end.
	drainLimit = 5 * time.Second
)

// Options configure a Server. Everything of the ports is required.
type Options struct {
	Loop      *Loop
	Nudges    Nudges
	History   History
	Plans     Plans
	Mappings  Mappings
	Holds     ManualHolds
	Journal   Journal
	Customers Customers
	Overview  Overview
	// Stripe and Enhance check whether the two sides answer this program. Each is
	// called at most once in checkAge.
	Stripe, Enhance func(context.Context) error
	// Answered returns when a side, "stripe" or "enhance", last answered this program,
	// errors included; zero: never. nil: only the calls of Stripe and Enhance count.
	Answered func(side string) time.Time

	// Verify checks webhooks. If it is nil, because no secret is configured, the route
	// does not exist.
	Verify Verify
	// AdminKeys are all accepted, and so are SupportKeys on the routes that are for them. If
	// there is neither, the admin routes do not exist.
	AdminKeys, SupportKeys []secret.Text
	// TrustedProxies may name the client in X-Forwarded-For. From any other address the
	// header is ignored, because a stranger could pretend to come from a new address
	// with every wrong key.
	TrustedProxies []netip.Prefix
	// Metrics serves /metrics; nil: it is served elsewhere, or not at all.
	Metrics http.Handler
	// Observer receives the results of webhooks. nil: they go nowhere.
	Observer Observer
	// Version is shown by health.
	Version string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	Log *logrus.Logger
}

// Server answers HTTP. It is an http.Handler, so that tests need no socket.
type Server struct {
	o       Options
	began   time.Time // by the process clock, for the uptime
	keys    keyring
	tries   limiter
	intake  *intake
	mux     *http.ServeMux
	health  *cached[healthDocument]
	pinged  *cached[error]
	checks  map[string]*cached[checkResult]
	handler http.Handler

	mu      sync.Mutex // guards leaving
	leaving bool
}

// New makes a server that listens nowhere yet.
func New(o Options) (*Server, error) {
	if o.Loop == nil || o.Nudges == nil || o.History == nil || o.Plans == nil || o.Mappings == nil || o.Holds == nil ||
		o.Journal == nil || o.Customers == nil || o.Overview == nil || o.Stripe == nil || o.Enhance == nil {
		return nil, errors.New("server: a port is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	if o.Log == nil {
		o.Log = logrus.New()
		o.Log.SetOutput(io.Discard)
	}
	s := &Server{o: o, began: time.Now(), keys: newKeyring(o.AdminKeys, o.SupportKeys), tries: newLimiter(o.Now), intake: newIntake()}
	s.prepareChecks()
	s.mux = newMux(s.routes())
	s.handler = s.middleware(http.HandlerFunc(s.dispatch))
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers on a listener until ctx ends. Then it accepts no new connection, gives
// requests that are under way drainLimit, and returns.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return serve(ctx, listener, s, s.o.Log, s.leave)
}

// ServeMetrics serves only the metrics, for an address of their own.
func ServeMetrics(ctx context.Context, listener net.Listener, metrics http.Handler, log *logrus.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", secured(metrics))
	return serve(ctx, listener, mux, log, func() {})
}

func serve(ctx context.Context, listener net.Listener, h http.Handler, log *logrus.Logger, leave func()) error {
	errorLog := log.WriterLevel(logrus.DebugLevel) // mistakes of clients are no news
	defer errorLog.Close()
	hs := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       readLimit,
		WriteTimeout:      writeLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          newErrorLog(errorLog),
	}
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	leave()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := hs.Shutdown(drain); err != nil {
		_ = hs.Close() // requests that are still not answered are cut off
	}
	<-failed //nolint:errcheck // after Shutdown it is http.ErrServerClosed
	return nil
}

// leave makes the server report that it is not ready.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
}

func (s *Server) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}
