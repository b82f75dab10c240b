package enhance_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

func TestABaseURLGetsTheAPIsPathWhereItHasNone(t *testing.T) {
	for given, want := range map[string]string{
		"https://panel.example.com":           "https://panel.example.com/api",
		"https://panel.example.com/":          "https://panel.example.com/api",
		"https://Panel.Example.com:8443":      "https://panel.example.com:8443/api",
		"https://panel.example.com/api":       "https://panel.example.com/api",
		"https://panel.example.com/api/":      "https://panel.example.com/api",
		"https://proxy.example.com/a%20b/api": "https://proxy.example.com/a%20b/api",
		"http://127.0.0.1:8081":               "http://127.0.0.1:8081/api",
	} {
		c, err := enhance.New(enhance.Options{BaseURL: given, Token: secret.New("t"), Org: strings.ToUpper(ourOrg)})
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if diff := cmp.Diff(want+" "+ourOrg, c.Fingerprint()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", given, diff)
		}
	}
}

func TestOptionsThatCannotBeRightAreRefusedAllAtOnce(t *testing.T) {
	good := enhance.Options{BaseURL: "https://panel.example.com", Token: secret.New("token"), Org: ourOrg}
	for _, c := range []struct {
		name string
		edit func(*enhance.Options)
		want []string
	}{
		{"nothing given", func(o *enhance.Options) { *o = enhance.Options{} }, []string{"URL of the panel is missing", "organisation is missing", "token is missing"}},
		{"no scheme", func(o *enhance.Options) { o.BaseURL = "panel.example.com" }, []string{"https://"}},
		{"another scheme", func(o *enhance.Options) { o.BaseURL = "ftp://panel.example.com" }, []string{"https://"}},
		{"no host", func(o *enhance.Options) { o.BaseURL = "https:///api" }, []string{"no host"}},
		{"a port and no host", func(o *enhance.Options) { o.BaseURL = "https://:443" }, []string{"no host"}},
		{"not a URL", func(o *enhance.Options) { o.BaseURL = "https://hunter2:x@[" }, []string{"cannot be parsed"}},
		{"a password", func(o *enhance.Options) { o.BaseURL = "https://a:hunter2@panel.example.com" }, []string{"a user or a password"}},
		{"a query", func(o *enhance.Options) { o.BaseURL = "https://panel.example.com?token=hunter2" }, []string{"without ? or #"}},
		{"a bare question mark", func(o *enhance.Options) { o.BaseURL = "https://panel.example.com?" }, []string{"without ? or #"}},
		{"a fragment", func(o *enhance.Options) { o.BaseURL = "https://panel.example.com/#/login" }, []string{"without ? or #"}},
		{"a path upwards", func(o *enhance.Options) { o.BaseURL = "https://panel.example.com/../x" }, []string{"strange path"}},
		{"an org by name", func(o *enhance.Options) { o.Org = "Our Company" }, []string{`a UUID like`, `"Our Company"`}},
		{"an org in braces", func(o *enhance.Options) { o.Org = "{" + ourOrg + "}" }, []string{"a UUID like"}},
		{"an org with a letter wrong", func(o *enhance.Options) { o.Org = strings.Replace(ourOrg, "a", "g", 1) }, []string{"a UUID like"}},
		{"an org with a digit for a dash", func(o *enhance.Options) { o.Org = "0a0a0a0a01111-4222-8333-444444444444" }, []string{"a UUID like"}},
		{"an org with a dash moved", func(o *enhance.Options) { o.Org = "0a0a0a0-a1111-4222-8333-444444444444" }, []string{"a UUID like"}},
		{"a token with its scheme", func(o *enhance.Options) { o.Token = secret.New("Bearer hunter2") }, []string{`without the word "Bearer"`}},
		{"a token with a line break", func(o *enhance.Options) { o.Token = secret.New("hunter2\n") }, []string{"no token has"}},
		{"a token with an umlaut", func(o *enhance.Options) { o.Token = secret.New("hunter2ü") }, []string{"no token has"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.edit(&o)
			client, err := enhance.New(o)
			if err == nil || client != nil {
				t.Fatalf("got %v, %v", client, err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in %q", w, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestAnErrorNamesTheCallTheStatusAndThePanelsWords(t *testing.T) {
	for _, c := range []struct {
		status       int
		answer, want string
	}{
		{502, `<html>`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 502 Bad Gateway`},
		{400, `{"code":"bad_request","detail":"plan","message":"m"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 400 Bad Request (bad_request: plan)`},
		{409, `{"code":"already_exists"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 409 Conflict (already_exists)`},
		{401, `{"code":"unauthorized"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 401 Unauthorized (unauthorized); the token is wrong, expired, or locked to another address`},
		{403, `{"code":"forbidden"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 403 Forbidden (forbidden); the role of the token does not allow this, or it belongs to another organisation`},
		{404, `{"code":"not_found"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 404 Not Found (not_found)`},
		{307, ``, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 307 Temporary Redirect; the panel redirects; configure the URL at which it answers itself`},
		{299, ``, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 299`},
		{400, `{"code":"` + canary + `","detail":"echo ` + canary + `"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 400 Bad Request ([redacted]: echo [redacted])`},
		{400, `{"code":"a\nb","detail":"` + strings.Repeat("x", 500) + `"}`, `enhance: DELETE /orgs/` + otherOrg + `/subscriptions/42: 400 Bad Request (a b: ` + strings.Repeat("x", 120) + `…)`},
	} {
		url := served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, c.status, "%s", c.answer) })
		err := fast(t, url).Delete(t.Context(), otherOrg, 42)
		if diff := cmp.Diff(c.want, fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		e, ok := errors.AsType[*enhance.Error](err)
		if !ok || e.Status != c.status || e.Method != http.MethodDelete {
			t.Errorf("the error is %#v", e)
		}
	}
}

// TestAnErrorNamesWhatWasWrongWithTheAnswer, because the body itself is not in it.
func TestAnErrorNamesWhatWasWrongWithTheAnswer(t *testing.T) {
	self := func(c *enhance.Client) error { _, err := c.Self(t.Context()); return err }
	version := func(c *enhance.Client) error { _, err := c.Version(t.Context()); return err }
	newOrg := func(c *enhance.Client) error { _, err := c.CreateOrg(t.Context(), "Ada"); return err }
	newHosting := func(c *enhance.Client) error {
		_, err := c.CreateHosting(t.Context(), otherOrg, 1, "Basic")
		return err
	}
	for _, c := range []struct {
		name   string
		do     func(*enhance.Client) error
		status int
		answer string
		want   string
	}{
		{"the selling organisation is unknown", self, 404, `{"code":"not_found"}`, "404 Not Found (not_found); the panel does not know the selling organisation"},
		{"a proxy", self, 404, `<html>`, "something in front of the panel answered"},
		{"a redirect", self, 301, ``, "; the panel redirects"},
		{"no JSON", self, 200, `{"id":`, "no JSON at byte 6"},
		{"a version in numbers", version, 200, `12`, "the answer is a number"},
		{"an empty version", version, 200, `""`, "the answer is empty"},
		{"a list for an id", newOrg, 201, `{"id":[1]}`, "id is a array"},
		{"no id", newOrg, 201, `{}`, "the answer has no id"},
		{"an id that is no UUID", newOrg, 201, `{"id":"../x"}`, "the answer has no id that is a UUID"},
		{"a text for a number", newHosting, 201, `{"id":"42"}`, "id is a string"},
		{"no number", newHosting, 201, `{}`, "the answer has no id"},
	} {
		err := c.do(fast(t, served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, c.status, "%s", c.answer) })))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestAClientWithoutALimiterHasOneOfItsOwn(t *testing.T) {
	client := fast(t, served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, 200, `"ready"`) }),
		func(o *enhance.Options) { o.Limiter = nil })
	if err := client.Ready(t.Context()); err != nil || client.Rate() != 10 {
		t.Errorf("got %v at %v requests a second, want 10", err, client.Rate())
	}
}

func TestAnErrorHasNoQueryAndNoAddressWithOne(t *testing.T) {
	_, err := fast(t, "http://"+closedPort(t)).Orgs(t.Context(), t0)
	if err == nil || strings.ContainsAny(err.Error(), "?&") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
}

func TestNothingSecretIsLoggedOrTold(t *testing.T) {
	var out bytes.Buffer
	var mu sync.Mutex
	log := logrus.New()
	log.SetOutput(locked{&mu, &out})
	log.SetLevel(logrus.TraceLevel)
	for _, o := range ops {
		for _, i := range ills[:16] {
			n := newTown(t, func(o *enhance.Options) { o.Log = log })
			n.breaks(o.route, i.fault)
			if err := o.do(t.Context(), n); err != nil {
				fmt.Fprintf(locked{&mu, &out}, "%v %+v %#v\n", err, err, err)
			}
			fmt.Fprintf(locked{&mu, &out}, "%s\n", n.client.Fingerprint())
		}
	}
	if out.Len() == 0 || strings.Contains(out.String(), canary) || strings.Contains(out.String(), "+aA1") || strings.Contains(out.String(), "invites/") {
		t.Error("a token, a password or an invitation was told")
	}
}

type locked struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestEveryRequestIsCountedAndObserved(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	n := newTown(t, func(o *enhance.Options) {
		o.Observe = func(route string, code int) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(route, " ", code))
		}
	})
	n.breaks(routeOfHosting("GET"), simulator502)
	_, _ = n.client.Hosting(t.Context(), n.org, n.hosting)
	_ = n.client.Delete(t.Context(), n.org, n.hosting)
	want := []string{routeOfHosting("GET") + " 502", routeOfHosting("GET") + " 502",
		"GET /orgs/{org}/customers 200", // is it the panel, or this org?
		routeOfHosting("DELETE") + " 204"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := n.client.Requests(); got != 4 {
		t.Errorf("counted %d", got)
	}
	var lost string
	c := fast(t, "http://"+closedPort(t), func(o *enhance.Options) { o.Observe = func(route string, code int) { lost = fmt.Sprint(route, code) } })
	_ = c.Delete(t.Context(), otherOrg, 42)
	if diff := cmp.Diff(routeOfHosting("DELETE")+"0", lost); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestThePanelsClockIsKept(t *testing.T) {
	panel := t0.Add(time.Hour)
	date := panel.Format(http.TimeFormat)
	client := fast(t, served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = []string{date} // an empty one keeps net/http from adding its own
		respond(w, 200, `"ready"`)
	}), atT0)
	if there, here := client.ServerTime(); !there.IsZero() || !here.IsZero() {
		t.Errorf("a clock before the first answer: %v, %v", there, here)
	}
	if err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, odd := range []string{"", "yesterday"} { // an answer without a time does not change it
		date = odd
		if err := client.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		there, here := client.ServerTime()
		if diff := cmp.Diff([]time.Time{panel, t0}, []time.Time{there, here}); diff != "" {
			t.Errorf("after %q: (-want +got)\n%s", odd, diff)
		}
	}
}

func TestAPanelThatIsNotReadyIsTransient(t *testing.T) {
	err := fast(t, served(t, func(w http.ResponseWriter, _ *http.Request) { respond(w, 200, `"updating"`) })).Ready(t.Context())
	if verdict(err) != "transient" || !strings.Contains(err.Error(), `the panel's status is "updating"`) {
		t.Errorf("got %v", err)
	}
}

func TestAClientServesManyAtOnce(t *testing.T) {
	n := newTown(t, func(o *enhance.Options) {
		o.Limiter = ratelimit.New(ratelimit.Options{RPS: math.Inf(1), Concurrency: 4})
	})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := n.client.CreateHosting(t.Context(), n.org, 1, fmt.Sprintf("Basic [sub_x/%d]", i+1)); err != nil {
				t.Error(err)
			}
			if _, err := n.client.Hostings(t.Context(), n.org); err != nil && fault.Of(err) != fault.Malformed {
				t.Error(err)
			}
			n.client.ServerTime()
		})
	}
	wg.Wait()
	hostings, err := n.client.Hostings(t.Context(), n.org)
	if err != nil || len(hostings) != 17 {
		t.Errorf("got %d hostings, %v", len(hostings), err)
	}
}
