package simulator

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyLoopbackAddressesAreListenedOn(t *testing.T) {
	for addr, want := range map[string]bool{
		"": true, "127.0.0.1:0": true, "localhost:0": true, "127.0.0.9:0": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "192.0.2.1:80": false, "example.com:80": false, "127.0.0.1": false,
	} {
		w := New(Options{})
		s, err := w.Listen(t.Context(), "", addr)
		if (err == nil) != want {
			t.Errorf("listening on %q: %v, want it allowed: %v", addr, err, want)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(err.Error(), "127.0.0.1:") {
			t.Errorf("the refusal of %q does not say what to use: %v", addr, err)
		}
	}
}

func TestTheControlsPlayAStory(t *testing.T) {
	c := newCaller(t, Options{Calm: true})
	c.w.Offer()
	servers, err := c.w.Listen(t.Context(), "", "")
	c.must(err)
	defer servers.Close()
	call := func(method, path string, want int) object {
		t.Helper()
		r, err := http.NewRequest(method, servers.StripeURL+"/_sim/"+path, nil)
		c.must(err)
		res, err := http.DefaultClient.Do(r)
		c.must(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		c.must(err)
		return c.object(said{status: res.StatusCode, body: b}, want)
	}
	id := call("POST", "signup?email=a@example.com&price=basic_monthly&domain=a.example.org", 200)["Subscription"].(string)
	got := []any{}
	for _, verb := range []string{"fail", "pay", "pause", "resume", "unpaid", "pay", "upgrade", "cancel"} {
		query := "?subscription=" + id
		if verb == "upgrade" {
			query += "&price=pro_monthly"
		}
		got = append(got, verb+": "+call("POST", verb+query, 200)["status"].(string))
	}
	want := []any{
		"fail: past_due", "pay: active", "pause: active", "resume: active", "unpaid: unpaid", "pay: active",
		"upgrade: active", "cancel: canceled",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the story (-want +got):\n%s", diff)
	}
	call("POST", "advance?d=24h", 200)
	if now := c.w.Now().Sub(fixedStart); now != 24*time.Hour {
		t.Errorf("the clock moved by %v", now)
	}
	call("POST", "pay?subscription=sub_none", 404)
	call("POST", "pay?subscription="+id, 400)
	call("POST", "advance?d=tomorrow", 400)
	if s := call("GET", "state", 200).at("subscriptions_by_status.canceled"); s != 1.0 {
		t.Errorf("state: %v canceled", s)
	}
}
