package server

import (
	"errors"
	"net/http"
	"runtime"

	"github.com/sirupsen/logrus"
)

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
