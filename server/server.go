package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
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

// Ports are for the admin API and the page. All are required, but Directory only
// for the page.
type Ports struct {
	Loop      *Loop
	Nudges    Nudges
	History   History
	Plans     Plans
	Mappings  Mappings
	Holds     ManualHolds
	Journal   Journal
	Customers Customers
	Overview  Overview
	Days      Days
	Directory Directory
}

// complete reports whether every port is there that a server needs also without a page.
func (p Ports) complete() bool {
	return p.Loop != nil && p.Nudges != nil && p.History != nil && p.Plans != nil && p.Mappings != nil && p.Holds != nil &&
		p.Journal != nil && p.Customers != nil && p.Overview != nil && p.Days != nil
}

// Options configure a Server.
type Options struct {
	Ports
	// Stripe and Enhance check whether the two sides answer this program. Each is
	// called at most once in checkAge.
	Stripe, Enhance func(context.Context) error
	// Answered returns when a side, "stripe" or "enhance", last answered this program,
	// errors included; zero: never. nil: only the calls of Stripe and Enhance count.
	Answered func(side string) time.Time

	// Rates return how many requests a second this program may send to a side at present.
	// Without one the page leaves it out.
	Rates map[string]func() float64
	// Latency returns how long the answers of a side took of late; 0: none came.
	Latency map[string]func() time.Duration
	// Risk returns what the subscriptions are worth whose hostings are about to be taken down
	// because they are not paid. It may take long, and is called in the background, at most
	// once in riskAge. nil: the page leaves it out.
	Risk func(context.Context) (Risk, error)

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
	// Page makes the page of the staff, which answers / and everything below /ui. nil: there
	// is none, and / answers a few lines of text, as it does if no key is configured.
	Page func(*Server) (http.Handler, error)
	// Tools are for the page, and Adoption is for one of its views. Without Page both are nil.
	Tools    Tools
	Adoption Adoption
	// Warm is called with each view of the page, and returns at once; nil: nothing is made ahead.
	Warm func()
	// OpenKey is a key that is no secret, for which the sign-in has a button: that of the
	// demo. It stays empty where there are customers.
	OpenKey string
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
	tries   limiter
	intake  *intake
	mux     *http.ServeMux
	health  *cached[healthDocument]
	pinged  *cached[error]
	checks  map[string]*cached[checkResult]
	risk    *cached[riskRead]
	handler http.Handler
	page    http.Handler // nil: there is none

	mu      sync.Mutex // guards leaving
	leaving bool
}

// New makes a server that listens nowhere yet.
func New(o Options) (*Server, error) {
	if !o.Ports.complete() || o.Directory == nil && o.Page != nil || o.Stripe == nil || o.Enhance == nil {
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
	s := &Server{o: o, began: time.Now(), tries: newLimiter(o.Now), intake: newIntake()}
	s.prepareChecks()
	s.mux = newMux(s.routes())
	if o.Page != nil && len(s.keys()) > 0 {
		var err error
		if s.page, err = o.Page(s); err != nil {
			return nil, err
		}
	}
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

// route is one documented operation. A test compares the OpenAPI document with this table.
type route struct {
	method  string
	pattern string // of net/http: {id} is one segment, {id...} the rest
	admin   bool   // needs a key
	task    Task   // which keys may: see Keyholder.May
	limit   int64  // bytes of body; 0: none is read
	do      http.HandlerFunc
}

const (
	webhookLimit = 1 << 20
	adminLimit   = 256 << 10
)

const webhookPath = "/api/webhook"

// routes lists every operation that the server answers.
func (s *Server) routes() []route {
	admin := func(task Task, method, pattern string, do http.HandlerFunc) route {
		return route{method: method, pattern: "/api/admin" + pattern, admin: true, task: task, limit: adminLimit, do: s.only(task, do)}
	}
	all := []route{
		{method: "GET", pattern: "/{$}", do: s.root},
		{method: "GET", pattern: "/healthz", do: s.alive},
		{method: "GET", pattern: "/readyz", do: s.ready},
		{method: "GET", pattern: "/api/health", do: s.answerHealth},
		{method: "GET", pattern: "/api/openapi.json", do: s.openAPI},
		{method: "POST", pattern: webhookPath, limit: webhookLimit, do: s.webhook},
		admin(Look, "GET", "/dashboard", s.dashboard),
		admin(Retry, "POST", "/sync", s.sync),
		admin(Look, "GET", "/customers", s.customers),
		admin(Rename, "PATCH", "/customers", s.renameCustomer),
		admin(Login, "POST", "/customers/{id}/login", s.login),
		admin(Look, "GET", "/plans", s.plans),
		admin(Look, "GET", "/plans/{id}", s.plan),
		admin(Approve, "POST", "/plans/{id}/approve", s.approve),
		admin(Approve, "POST", "/plans/{id}/reject", s.reject),
		admin(Look, "GET", "/mappings", s.mappings),
		admin(Map, "PUT", "/mappings", s.setMapping),
		admin(Map, "DELETE", "/mappings", s.deleteMapping),
		admin(Look, "GET", "/holds", s.holds),
		admin(Hold, "POST", "/holds", s.addHold),
		admin(Hold, "DELETE", "/holds", s.removeHold),
		admin(Look, "GET", "/runs", s.runs),
		admin(Look, "GET", "/runs/{id}", s.run),
		admin(Look, "GET", "/actions", s.actions),
		// An action's id contains slashes; they may be written as they are.
		admin(Retry, "POST", "/actions/{id...}", s.retry),
	}
	if s.o.Metrics != nil {
		all = append(all, route{method: "GET", pattern: "/metrics", do: s.o.Metrics.ServeHTTP})
	}
	return all
}

// resource has the routes of one path, by method. Methods are looked up here because
// net/http answers 404 and 405 in plain text, and this API answers them in JSON.
type resource map[string]route

// newMux makes a mux in which every path has an answer.
func newMux(routes []route) *http.ServeMux {
	byPattern := map[string]resource{}
	for _, r := range routes {
		if byPattern[r.pattern] == nil {
			byPattern[r.pattern] = resource{}
		}
		byPattern[r.pattern][r.method] = r
	}
	mux := http.NewServeMux()
	for pattern, m := range byPattern {
		mux.Handle(pattern, m)
	}
	mux.HandleFunc("/", notFound)
	return mux
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	respondError(w, http.StatusNotFound, "Not found")
}

// ServeHTTP implements http.Handler.
func (m resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	found, ok := m[method]
	if !ok {
		w.Header().Set("Allow", m.allowed())
		respondError(w, http.StatusMethodNotAllowed, "Method not allowed")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, found.limit)
	found.do(w, r)
}

func (m resource) allowed() string {
	names := slices.Collect(maps.Keys(m))
	if _, ok := m["GET"]; ok {
		names = append(names, "HEAD")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// dispatch answers every request.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Path
	if admin := p == "/api/admin" || strings.HasPrefix(p, "/api/admin/"); admin && !s.admit(w, r) {
		return // a client without a key does not learn which paths exist
	}
	if unclean(r.URL.EscapedPath()) { // the mux would answer with a redirect in HTML
		notFound(w, r)
		return
	}
	if s.o.Verify == nil && p == webhookPath { // if no secret is configured, the route does not exist
		notFound(w, r)
		return
	}
	if s.page != nil && (p == "/" && asksForPage(r) || p == "/ui" || strings.HasPrefix(p, "/ui/")) {
		s.page.ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// asksForPage reports whether a browser asks for the address /. Scripts that ask for it keep
// their line of text.
func asksForPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// unclean reports whether a path has empty or dotted segments.
func unclean(p string) bool {
	if p == "" || p[0] != '/' {
		return true
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(p[1:], "/"), "/") {
		if segment == "" && p != "/" || segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// secured adds the headers that every answer carries. No answer is meant to be shown
// inside a page, stored by a proxy, or loaded by another site.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if OverTLS(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// OverTLS reports whether the client reaches this server by TLS, in front of a proxy too. A
// client that pretends so only makes its own browser stricter.
func OverTLS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// middleware surrounds every route.
func (s *Server) middleware(next http.Handler) http.Handler {
	return secured(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recoverPanic(w, r)
		next.ServeHTTP(w, r)
	}))
}

// recoverPanic turns a panic in a handler into a 500. Only the type of the panic's value
// and the place are logged, because the value may contain a secret.
func (s *Server) recoverPanic(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	pcs := make([]uintptr, 1)
	frame, _ := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)]).Next()
	s.o.Log.WithFields(logrus.Fields{"route": r.Method + " " + r.Pattern, "place": frame.Function, "line": frame.Line}).
		Errorf("internal error: a %T", v)
	respondError(w, http.StatusInternalServerError, "Internal error")
}

// Why this process did not do a run that was asked for.
var (
	errFollower = errors.New("another process is the writer")
	errStopping = errors.New("the service is stopping")
)

// outcome is how a run ended.
type outcome struct {
	report reconcile.Report
	err    error
}

// Asked is a run that a request waits for.
type Asked struct {
	Request
	began chan string  // capacity one: the id of the run, when it begins
	done  chan outcome // capacity one
}

// Ask queues a run. If equal ones wait, one run serves them all.
func (l *Loop) Ask(r Request) *Asked {
	a := &Asked{Request: r, began: make(chan string, 1), done: make(chan outcome, 1)}
	l.mu.Lock()
	ended := l.ended
	if !ended {
		l.asks = append(l.asks, a)
	}
	l.mu.Unlock()
	if ended {
		answerAll([]*Asked{a}, outcome{err: errStopping})
		return a
	}
	select { // the token has no trigger: it only ends the wait of the loop
	case l.wake <- struct{}{}:
	default:
	}
	return a
}

// takeRequests takes the request that has waited longest, with all equal ones.
func (l *Loop) takeRequests() (taken []*Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asks) == 0 {
		return nil
	}
	first := l.asks[0]
	rest := make([]*Asked, 0, len(l.asks))
	for _, a := range l.asks {
		if a.Full == first.Full && slices.Equal(a.Subscriptions, first.Subscriptions) {
			taken = append(taken, a)
		} else {
			rest = append(rest, a)
		}
	}
	l.asks = rest
	return taken
}

func (l *Loop) returnRequests(asks []*Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = append(asks, l.asks...)
}

// announce records the id of the run at work, and passes it to those that wait for it.
func (l *Loop) announce(run string, asks []*Asked) {
	l.mu.Lock()
	l.atWork = run
	l.mu.Unlock()
	for _, a := range asks {
		select {
		case a.began <- run:
		default:
		}
	}
}

// AtWork returns the id of the run at work; "" between runs.
func (l *Loop) AtWork() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.atWork
}

// Leading reports whether this process is the writer.
func (l *Loop) Leading() bool { return l.runner.Leading() }

func answerAll(asks []*Asked, o outcome) {
	for _, a := range asks {
		a.done <- o
	}
}

// failRequests answers every request that waits with an error.
func (l *Loop) failRequests(why error) {
	l.mu.Lock()
	asks := l.asks
	l.asks = nil
	l.mu.Unlock()
	answerAll(asks, outcome{err: why})
}

// close refuses requests from now on.
func (l *Loop) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.failRequests(errStopping)
}

// respond writes JSON. The document is complete before the status is sent, so that an
// error in encoding becomes a 500 and not half an answer.
func respond(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // people read the reasons here, too
	if err := enc.Encode(v); err != nil {
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString(`{"error":"Internal error"}` + "\n")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error means that the client has gone
}

// failure is the body of every error.
type failure struct {
	Error string `json:"error"`
}

// respondError answers an error.
func respondError(w http.ResponseWriter, status int, message string) {
	respond(w, status, failure{message})
}

// respondPortError answers an error of a port with the status that its kind demands. The
// details of an error of the database or of a side go into the log, not into the answer.
func (s *Server) respondPortError(w http.ResponseWriter, r *http.Request, what string, err error) {
	switch {
	case errors.Is(err, fault.NotFound):
		respondError(w, http.StatusNotFound, what+" not found")
	case errors.Is(err, fault.Conflict):
		respondError(w, http.StatusConflict, plain(err))
	default:
		s.o.Log.WithField("route", r.Method+" "+r.Pattern).WithError(err).Warn("request not answered")
		respondError(w, http.StatusServiceUnavailable, what+" could not be read or written now; try again in a moment")
	}
}

// plain is an error's text without the path of operations in front of it.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"store: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// errTooLarge is a body over the limit of its route.
var errTooLarge = errors.New("the body is too large")

// readBody reads a JSON body into v: one object without unknown fields, and nothing
// after it. If the body is anything else, it answers the request and returns false.
// With optional, an empty body is accepted.
func readBody(w http.ResponseWriter, r *http.Request, v any, optional bool) bool {
	err := decode(r.Body, v, optional)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errTooLarge):
		respondError(w, http.StatusRequestEntityTooLarge, err.Error())
	default:
		respondError(w, http.StatusBadRequest, "The body is not as documented: "+err.Error())
	}
	return false
}

func decode(body io.Reader, v any, optional bool) error {
	text, err := io.ReadAll(body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return errTooLarge
	case err != nil:
		return errors.New("it could not be read to its end")
	case optional && len(bytes.TrimSpace(text)) == 0:
		return nil
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("it is not a JSON object")
	}
	if err := unambiguous(text); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return fmt.Errorf("%s must be %s", mistyped.Field, kindOf(mistyped.Type))
		}
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// kindOf names a type in the terms of JSON.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a number"
	}
}

// maxDepth is far more than any documented body needs.
const maxDepth = 32

// unambiguous refuses a text that two parsers may read in two ways: one with a key given
// twice, with something after the value, or nested without end.
func unambiguous(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := checkValue(dec, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the object")
	}
	return nil
}

var errNoJSON = errors.New("it is not JSON")

// checkValue reads one value, with those inside of it.
func checkValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return errNoJSON
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth > maxDepth {
		return errors.New("it is nested too deeply")
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == '{' {
			if err := checkKey(dec, seen); err != nil {
				return err
			}
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return errNoJSON
	}
	return nil
}

// checkKey reads the key of a field and adds it to those seen. Case does not count,
// because encoding/json ignores it.
func checkKey(dec *json.Decoder, seen map[string]bool) error {
	key, _ := dec.Token() // after an error the value is an error too
	name := strings.ToLower(fmt.Sprint(key))
	if seen[name] {
		return fmt.Errorf("the key %q is given twice", key)
	}
	seen[name] = true
	return nil
}

// newErrorLog makes the log for the complaints of net/http.
func newErrorLog(w io.Writer) *log.Logger { return log.New(w, "", 0) }
