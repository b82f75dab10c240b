package server

import (
	"errors"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// route is one documented operation. A test compares the OpenAPI document with this table.
type route struct {
	method  string
	pattern string // of net/http: {id} is one segment, {id...} the rest
	admin   bool   // needs a key
	support bool   // a key of SUPPORT_API_KEY is enough
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
	admin := func(method, pattern string, do http.HandlerFunc) route {
		return route{method: method, pattern: "/api/admin" + pattern, admin: true, limit: adminLimit, do: s.adminOnly(do)}
	}
	support := func(method, pattern string, do http.HandlerFunc) route {
		return route{method: method, pattern: "/api/admin" + pattern, admin: true, support: true, limit: adminLimit, do: do}
	}
	all := []route{
		{method: "GET", pattern: "/{$}", do: s.root},
		{method: "GET", pattern: "/healthz", do: s.alive},
		{method: "GET", pattern: "/readyz", do: s.ready},
		{method: "GET", pattern: "/api/health", do: s.answerHealth},
		{method: "GET", pattern: "/api/openapi.json", do: s.openAPI},
		{method: "POST", pattern: webhookPath, limit: webhookLimit, do: s.webhook},
		support("GET", "/dashboard", s.dashboard),
		support("POST", "/sync", s.sync),
		support("GET", "/customers", s.customers),
		admin("PATCH", "/customers", s.renameCustomer),
		support("POST", "/customers/{id}/login", s.login),
		support("GET", "/plans", s.plans),
		support("GET", "/plans/{id}", s.plan),
		admin("POST", "/plans/{id}/approve", s.approve),
		support("GET", "/mappings", s.mappings),
		admin("PUT", "/mappings", s.setMapping),
		admin("DELETE", "/mappings", s.deleteMapping),
		support("GET", "/holds", s.holds),
		support("POST", "/holds", s.addHold),
		support("DELETE", "/holds", s.removeHold),
		support("GET", "/runs", s.runs),
		support("GET", "/runs/{id}", s.run),
		support("GET", "/actions", s.actions),
		// An action's id contains slashes; they may be written as they are.
		support("POST", "/actions/{id...}", s.retry),
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
	s.mux.ServeHTTP(w, r)
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
		if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
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
