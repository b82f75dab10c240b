package simulator

import (
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bodyLimit is more than any request of ours needs.
const bodyLimit = 1 << 20

// StripeHandler is Stripe's API, and below /_sim/ the controls of the world.
func (w *World) StripeHandler() http.Handler {
	control := w.controls()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sim") {
			control.ServeHTTP(rw, r)
			return
		}
		w.serveHTTP(Stripe, rw, r)
	})
}

// EnhanceHandler is the panel's API, all of it below /api.
func (w *World) EnhanceHandler() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == clockPath {
			w.serveClock(rw, r)
			return
		}
		w.serveHTTP(Enhance, rw, r)
	})
}

// clockPath is where both sides show the simulated time to a caller with the credential
// of one of them. A real service has no such path.
const clockPath = "/_sim/clock"

func (w *World) serveClock(rw http.ResponseWriter, r *http.Request) {
	if key := keyOf(r.Header.Get("Authorization")); key != w.opt.StripeKey && key != w.opt.EnhanceToken {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	reply(rw, map[string]string{"world": prf(w.opt.Seed).uuid("this world"), "now": w.Now().Format(time.RFC3339Nano)}, nil)
}

func (w *World) serveHTTP(side Side, rw http.ResponseWriter, r *http.Request) {
	c, err := callOf(side, r)
	if err != nil {
		http.Error(rw, "the request body is too large or broke off", http.StatusBadRequest)
		return
	}
	o := w.handle(c)
	if o.hang {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if !pause(r, w.opt.Latency+o.delay) {
		panic(http.ErrAbortHandler)
	}
	if o.reset {
		panic(http.ErrAbortHandler)
	}
	h := rw.Header()
	maps.Copy(h, o.header)
	if o.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(o.body)))
	}
	rw.WriteHeader(o.status)
	if o.truncate && len(o.body) > 0 {
		_, _ = rw.Write(o.body[:len(o.body)/2]) // the client may be gone already
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = rw.Write(o.body)
}

// callOf reads a request. If it is not below /api, its path is one that matches no
// route of Enhance.
func callOf(side Side, r *http.Request) (Call, error) {
	c := Call{Side: side, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header}
	if side == Enhance {
		c.Path = strings.TrimPrefix(c.Path, "/api")
		if c.Path == r.URL.Path {
			c.Path = "/not-below-api" + c.Path
		}
	}
	if r.Body == nil {
		return c, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, bodyLimit))
	c.Body = body
	return c, err
}

// pause waits for d, or until the client gives up the request.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
