package enhance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzURL checks that ids and parameters stay in the route's place for them whatever
// they contain: no other path, no other host, and no parameter that was not meant, such
// as one that forces.
func FuzzURL(f *testing.F) {
	f.Add("0a0a0a0a-1111-4222-8333-444444444444", "42", "owner")
	f.Add("..", "../../orgs", "Owner&force=true")
	f.Add("a/b?force=true#x", "%2e%2e%2f", "\x00\n")
	f.Add("", " ", "ä€")
	f.Fuzz(func(t *testing.T, org, id, value string) {
		const base = "https://panel.example.com/api"
		c := at(http.MethodGet, routeHosting, org, id).with("role", value)
		u, err := url.Parse(c.url(base))
		if err != nil {
			t.Fatalf("%q: %v", c.url(base), err)
		}
		if u.Host != "panel.example.com" || u.Fragment != "" || len(u.Query()) != 1 || u.Query().Get("role") != value {
			t.Fatalf("%q goes to %s with %v", c.url(base), u.Host, u.Query())
		}
		parts := strings.Split(u.EscapedPath(), "/")
		if len(parts) != 6 || parts[2] != "orgs" || parts[4] != "subscriptions" {
			t.Fatalf("%q is another route: %q", c.url(base), parts)
		}
		for i, want := range map[int]string{3: org, 5: id} {
			if got, err := url.PathUnescape(parts[i]); err != nil || got != want {
				t.Fatalf("%q: %q, %v, want %q", c.url(base), got, err, want)
			}
		}
	})
}

// FuzzID checks that isUUID accepts only ids of organisations. Ids go into paths, and
// an id with a dot or a slash would be another path.
func FuzzID(f *testing.F) {
	f.Add("0a0a0a0a-1111-4222-8333-444444444444")
	f.Add("0A0A0A0A-1111-4222-8333-44444444444/")
	f.Add("....................................")
	f.Fuzz(func(t *testing.T, id string) {
		if isUUID(id) && (len(id) != 36 || strings.Trim(id, "0123456789abcdefABCDEF-") != "") {
			t.Fatalf("%q passes", id)
		}
	})
}

// FuzzRetryAfter checks that no header makes a call wait longer than it can bear, nor
// less than a second if it asks for a wait.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f.Add("7", "")
	f.Add("-1", "")
	f.Add("99999999999999999999", "")
	f.Add("9223372036854775807", "")
	f.Add("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 08:59:00 GMT")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, after, date string) {
		a := answer{header: http.Header{"Retry-After": {after}, "Date": {date}}}
		if wait := a.retryAfter(now); wait < 0 || wait > longestWait || wait > 0 && wait < time.Second {
			t.Fatalf("%v", wait)
		}
	})
}
