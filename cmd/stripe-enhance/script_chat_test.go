package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// chat is the receiver of NOTIFY_URLS in a script.
type chat struct {
	down atomic.Bool

	mu  sync.Mutex // guards got
	got []string
}

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.down.Load() {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	message, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, string(message))
}

// chatting begins with `chat`, which sets NOTIFY_URLS. `chat hears TEXT…` takes the one
// message that has come since the last look, which must contain each TEXT; `chat silent`
// checks that there is none; `chat down` and `chat up` switch the chat off and on.
func (o *outside) chatting(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		o.chat = &chat{}
		s := httptest.NewServer(o.chat)
		ts.Defer(s.Close)
		ts.Setenv("NOTIFY_URLS", "generic://"+strings.TrimPrefix(s.URL, "http://")+"/?disabletls=yes")
		return
	}
	o.chat.mu.Lock()
	got := o.chat.got
	o.chat.got = nil
	o.chat.mu.Unlock()
	switch args[0] {
	case "down", "up":
		o.chat.down.Store(args[0] == "down")
	case "silent":
		if len(got) > 0 {
			ts.Fatalf("messages: %q", got)
		}
	case "hears":
		if len(got) != 1 {
			ts.Fatalf("%d messages: %q", len(got), got)
		}
		for _, part := range args[1:] {
			if !strings.Contains(got[0], part) {
				ts.Fatalf("%q is not in %q", part, got[0])
			}
		}
	default:
		ts.Fatalf("chat %s?", args[0])
	}
}
