package stripe

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
)

// reply is one answer of a stub.
type reply struct {
	status int // 0: 200
	header map[string]string
	body   string
	err    error // instead of an answer
	hang   bool  // no answer until the client gives up
	cut    bool  // the body ends in the middle
}

// stub answers requests in the process and remembers them.
type stub struct {
	answer func(n int, r *http.Request) reply // n counts from 1

	mu   sync.Mutex
	seen []*http.Request
	sent []string // bodies
}

// RoundTrip implements http.RoundTripper.
func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	s.mu.Lock()
	s.seen = append(s.seen, r)
	s.sent = append(s.sent, body)
	n := len(s.seen)
	s.mu.Unlock()
	a := s.answer(n, r)
	if a.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.response(), nil
}

func (a reply) response() *http.Response {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	h := http.Header{"Content-Type": {"application/json"}, "Request-Id": {"req_canary"}}
	for k, v := range a.header {
		h.Set(k, v)
	}
	var body io.Reader = strings.NewReader(a.body)
	if a.cut {
		body = io.MultiReader(strings.NewReader(a.body[:len(a.body)/2]), cutOff{})
	}
	return &http.Response{StatusCode: a.status, Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(body)}
}

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// requests returns how many requests came in.
func (s *stub) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// always gives the same answer to everything.
func always(a reply) *stub { return &stub{answer: func(int, *http.Request) reply { return a }} }

// inTurn answers the first request with the first reply, and so on; the last one
// repeats.
func inTurn(replies ...reply) *stub {
	return &stub{answer: func(n int, _ *http.Request) reply { return replies[min(n, len(replies))-1] }}
}

// byPath answers by path, and with Stripe's 404 if a path is not in it.
func byPath(replies map[string]reply) *stub {
	return &stub{answer: func(_ int, r *http.Request) reply {
		if a, ok := replies[r.URL.Path]; ok {
			return a
		}
		return reply{status: 404, body: missingBody}
	}}
}

const missingBody = `{"error":{"type":"invalid_request_error","code":"resource_missing","param":"id","message":"No such thing"}}`

// client is a client of the stub without pauses.
func (s *stub) client(t testing.TB, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Transport: s, Limiter: ratelimit.New(ratelimit.Options{RPS: 1e6}), RetryMin: time.Microsecond, RetryMax: time.Microsecond}
	for _, c := range change {
		c(&o)
	}
	return newClient(t, o)
}

// page wraps objects into a list.
func page(more bool, objects ...string) string {
	return fmt.Sprintf(`{"object":"list","url":"/v1/x","has_more":%t,"data":[%s]}`, more, strings.Join(objects, ","))
}
