package stripe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// canaries may appear in no log and no error, whatever goes wrong.
var canaries = []string{testKey, "canary@example.com", "Canary Name", "canary-meta", "data.customer", "created", "lookup_keys", "canary-key"}

func TestNothingPrivateIsLoggedOrInAnError(t *testing.T) {
	private := `{"id":"sub_1","email":"canary@example.com","name":"Canary Name","key":"` + testKey + `"}`
	answers := map[string]reply{
		"a good answer":       {body: with(t, "a@example.com", "canary@example.com")},
		"a wrong object":      {body: private},
		"half an object":      {body: private[:30]},
		"a number as object":  {body: with(t, `"active"`, `7`)},
		"a list of private":   {body: page(false, private)},
		"400 with it":         {status: 400, body: `{"error":{"type":"invalid_request_error","message":"canary@example.com","param":"canary-meta"}}`},
		"404 with it":         {status: 404, body: private},
		"500 as HTML":         {status: 500, body: "<html>canary@example.com " + testKey + "</html>"},
		"401 with the key":    {status: 401, body: `{"error":{"type":"invalid_request_error","message":"Invalid API Key: ` + testKey + `"}}`},
		"a redirect with it":  {status: 307, header: map[string]string{"Location": "https://x.test/?email=canary@example.com"}},
		"a reset":             {err: errors.New("read tcp: connection reset by peer")},
		"a cut body":          {body: private, cut: true},
		"an envelope of junk": {status: 404, body: `{"error":"canary@example.com"}`},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			logger := logrus.New()
			logger.SetOutput(&log)
			logger.SetLevel(logrus.TraceLevel)
			c := always(answer).client(t, func(o *Options) { o.Log = logger })
			stderr := captured(t, func() { everyCall(t, c, &log) })
			told := log.String() + stderr
			if !strings.Contains(told, "GET /v1/subscriptions") {
				t.Error("the log does not name the calls")
			}
			for _, canary := range canaries {
				if strings.Contains(told, canary) {
					t.Errorf("%q in:\n%s", canary, told)
				}
			}
		})
	}
}

// everyCall makes each call once and writes its error to told, in all forms.
func everyCall(t *testing.T, c *Client, told io.Writer) {
	t.Helper()
	ctx := t.Context()
	_, sweep := c.Sweep(ctx, nothing)
	_, events := c.Events(ctx, time.Unix(1700000000, 0))
	_, one := c.Subscription(ctx, "sub_1")
	_, domain := c.CheckoutDomain(ctx, "sub_1")
	_, key := c.Known(ctx, "canary-key")
	_, prices := c.Prices(ctx)
	permissions, _ := c.Check(ctx)
	write := c.WriteMetadata(ctx, "sub_1", map[string]string{"enhance_org_id": "canary-meta"})
	all := []error{sweep, events, one, domain, prices, write, key}
	for _, p := range permissions {
		all = append(all, p.Err)
	}
	for _, err := range all {
		fmt.Fprintf(told, "%v\n%+v\n%s\n", err, err, err)
		for ; err != nil; err = errors.Unwrap(err) {
			fmt.Fprintf(told, "  %v %q\n", err, err)
		}
	}
}

// captured is what a function writes to the standard error.
func captured(t *testing.T, do func()) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	before := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = before }()
	do()
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatIsSentIsPinnedAndTellsNothingOfTheHost(t *testing.T) {
	s := inTurn(reply{status: 500}, reply{status: 503}, reply{body: goodSubscription})
	c := s.client(t)
	if err := c.WriteMetadata(t.Context(), "sub_1", map[string]string{"enhance_subscription_id": "42", "enhance_org_id": "a b&c"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(3, s.requests()); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	keys := map[string]bool{}
	for i, r := range s.seen {
		keys[r.Header.Get("Idempotency-Key")] = true
		r.Header.Del("Idempotency-Key")
		r.Header.Del("User-Agent")
		want := http.Header{"Authorization": {"Bearer " + testKey}, "Stripe-Version": {"2023-10-16"},
			"Content-Type": {"application/x-www-form-urlencoded"}}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff("metadata[enhance_org_id]=a+b%26c&metadata[enhance_subscription_id]=42", s.sent[i]); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
	}
	if len(keys) != 1 || keys[""] {
		t.Errorf("idempotency keys of one write: %v, want one", keys)
	}
}

func TestARedirectIsNotFollowedWithTheKey(t *testing.T) {
	visited := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	c := newClient(t, Options{BaseURL: here.URL})
	if err := readOnce(t.Context(), c); err == nil || visited {
		t.Errorf("error %v, followed %v", err, visited)
	}
}

func TestKeysAreAcceptedByTheirPrefixAndRefusedInASentence(t *testing.T) {
	for key, want := range map[string]struct {
		live bool
		text string
	}{
		"sk_live_abc": {live: true}, "rk_live_abc": {live: true}, "sk_test_abc": {}, "rk_test_abc": {},
		"":               {text: "no secret key"},
		"pk_live_abc":    {text: "publishable key"},
		"pk_test_abc":    {text: "publishable key"},
		"whsec_abcdef":   {text: "webhook signing secret"},
		"sk_abc":         {}, // it names no mode, so it is a test key, and live objects are refused
		"rk_abc":         {},
		"sk_":            {text: "begins with none of"},
		"sk_live_":       {text: "begins with none of"},
		"hunter2":        {text: "begins with none of"},
		"sk_test_abc\n":  {text: "was it copied whole?"},
		" sk_test_abc":   {text: "was it copied whole?"},
		"sk_test_abc…":   {text: "was it copied whole?"},
		"SK_TEST_abcdef": {text: "begins with none of"},
	} {
		c, err := New(Options{Key: secret.New(key)})
		switch {
		case want.text == "" && err != nil:
			t.Errorf("%q: %v", key, err)
		case want.text == "" && (c.Livemode() != want.live || c.Fingerprint() == "" || strings.Contains(key, c.Fingerprint())):
			t.Errorf("%q: live %v, fingerprint %q", key, c.Livemode(), c.Fingerprint())
		case want.text != "" && (err == nil || !strings.Contains(err.Error(), want.text)):
			t.Errorf("%q: error %v, want %s", key, err, want.text)
		case want.text != "" && len(key) > 8 && strings.Contains(err.Error(), strings.TrimSpace(key)):
			t.Errorf("%q is in its error %v", key, err)
		}
	}
}

// TestTheFingerprintDiffersByModeKeyAndAddress, because whatever was remembered of
// another account must not be taken for this one's.
func TestTheFingerprintDiffersByModeKeyAndAddress(t *testing.T) {
	const name = "51H8secretsecret"
	print := func(prefix, address string) string {
		return newClient(t, Options{Key: secret.New(prefix + name), BaseURL: address}).Fingerprint()
	}
	seen := map[string]bool{}
	for prefix, mode := range map[string]string{"sk_test_": "test", "rk_test_": "test", "sk_live_": "live", "rk_live_": "live"} {
		for _, address := range []string{"https://api.stripe.com", "http://127.0.0.1:12111"} {
			got := print(prefix, address)
			if !strings.HasPrefix(got, mode+" key ") || !strings.HasSuffix(got, " at "+address) || strings.Contains(got, name) || seen[got] {
				t.Errorf("%s at %s is %q", prefix, address, got)
			}
			seen[got] = true
		}
	}
	if print("sk_test_", "http://127.0.0.1:12111/") != print("sk_test_", "http://127.0.0.1:12111") {
		t.Error("a slash at the end makes it another account")
	}
}

// TestTheLogNamesWhatWentWrongWithAnAttempt: an attempt that is retried has no other
// trace.
func TestTheLogNamesWhatWentWrongWithAnAttempt(t *testing.T) {
	var log bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&log)
	logger.SetLevel(logrus.DebugLevel)
	s := inTurn(reply{err: errors.New("read tcp: connection reset by peer")}, reply{body: goodSubscription})
	if err := readOnce(t.Context(), s.client(t, func(o *Options) { o.Log = logger })); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `error="read tcp: connection reset by peer"`) || strings.Contains(lines[1], "error") {
		t.Errorf("logged:\n%s", log.String())
	}
}

func TestAddressesThatCannotWorkAreRefused(t *testing.T) {
	for _, bad := range []string{"api.stripe.com", "ftp://api.stripe.com", "https://", "https://user:pw@api.stripe.com", "https://api.stripe.com/?a=b", "http://[::1", "https://api.stripe.com/#x"} {
		if _, err := New(Options{Key: secret.New(testKey), BaseURL: bad}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: error %v", bad, err)
		}
	}
	for _, good := range []string{"https://api.stripe.com", "http://127.0.0.1:12111/", "http://proxy.test/stripe/v1"} {
		s := always(reply{body: goodSubscription})
		if err := readOnce(t.Context(), s.client(t, func(o *Options) { o.BaseURL = good })); err != nil {
			t.Errorf("%s: %v", good, err)
			continue
		}
		want := strings.TrimSuffix(strings.TrimSuffix(good, "/"), "/v1") + "/v1/subscriptions/sub_1?expand[0]=customer"
		if diff := cmp.Diff(want, s.seen[0].URL.String()); diff != "" {
			t.Errorf("address (-want +got):\n%s", diff)
		}
	}
}

func TestTheClocksAndTheCountersFollowTheAnswers(t *testing.T) {
	date := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	local := date.Add(3 * time.Second)
	routes := map[string]int{}
	s := inTurn(reply{status: 502, header: map[string]string{"Date": date.Add(time.Hour).Format(http.TimeFormat)}},
		reply{err: io.ErrUnexpectedEOF},
		reply{body: goodSubscription, header: map[string]string{"Date": date.Format(http.TimeFormat)}})
	c := s.client(t, func(o *Options) {
		o.Now = func() time.Time { return local }
		o.Observe = func(route string, code int) { routes[fmt.Sprint(route, " ", code)]++ }
	})
	if stripe, ours := c.ServerTime(); !stripe.IsZero() || !ours.IsZero() || c.Requests() != 0 {
		t.Errorf("before the first answer: %v %v, %d requests", stripe, ours, c.Requests())
	}
	if err := readOnce(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	stripe, ours := c.ServerTime()
	if diff := cmp.Diff([]time.Time{date, local}, []time.Time{stripe, ours}); diff != "" {
		t.Errorf("clocks: a proxy's does not count (-want +got):\n%s", diff)
	}
	want := map[string]int{"GET /v1/subscriptions/{id} 502": 1, "GET /v1/subscriptions/{id} 0": 1, "GET /v1/subscriptions/{id} 200": 1}
	if diff := cmp.Diff(want, routes); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}

// TestATimeWithoutAProcessHidesNoWrongClock: an answer that was long under way fits every
// clock, so it proves nothing against what the answer before has shown.
func TestATimeWithoutAProcessHidesNoWrongClock(t *testing.T) {
	const minute = time.Minute
	for name, c := range map[string]struct{ first, sent, received, want time.Duration }{
		"ahead, and stopped before the request left":   {3 * minute, -2 * minute, 3 * minute, 3 * minute},
		"ahead, and stopped before the answer is read": {3 * minute, 3 * minute, 9 * minute, 3 * minute},
		"behind, and stopped":                          {-3 * minute, -3 * minute, 4 * minute, -3 * minute},
		"ahead, and set right meanwhile":               {3 * minute, 0, 0, 0},
		"ahead, and less so meanwhile":                 {3 * minute, minute, 2 * minute, 2 * minute},
	} {
		t.Run(name, func(t *testing.T) {
			date := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
			local, received := c.first, c.first
			s := &stub{answer: func(int, *http.Request) reply {
				local = received
				return reply{body: goodSubscription, header: map[string]string{"Date": date.Format(http.TimeFormat)}}
			}}
			client := s.client(t, func(o *Options) { o.Now = func() time.Time { return date.Add(local) } })
			if err := readOnce(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			local, received = c.sent, c.received
			if err := readOnce(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if stripe, ours := client.ServerTime(); ours.Sub(stripe) != c.want {
				t.Errorf("%s ahead of Stripe's, want %s", ours.Sub(stripe), c.want)
			}
		})
	}
}

// TestATimeWithoutAProcessIsNoWrongClock: the process was stopped for minutes between
// its request and the answer. If our clock were read only when the answer was taken, it
// would seem to be minutes ahead, and the run would use a time before its own
// beginning.
func TestATimeWithoutAProcessIsNoWrongClock(t *testing.T) {
	date := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ sent, received, want time.Duration }{
		"stopped before the answer was read": {-time.Second, 8 * time.Minute, 0},
		"stopped before the request left":    {-8 * time.Minute, time.Second, 0},
		"ahead":                              {5 * time.Minute, 6 * time.Minute, 5 * time.Minute},
		"behind":                             {-6 * time.Minute, -5 * time.Minute, -5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var local atomic.Int64
			local.Store(int64(c.sent))
			s := &stub{answer: func(int, *http.Request) reply {
				local.Store(int64(c.received))
				return reply{body: goodSubscription, header: map[string]string{"Date": date.Format(http.TimeFormat)}}
			}}
			client := s.client(t, func(o *Options) { o.Now = func() time.Time { return date.Add(time.Duration(local.Load())) } })
			if err := readOnce(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if stripe, ours := client.ServerTime(); ours.Sub(stripe) != c.want {
				t.Errorf("%s ahead of Stripe's, want %s", ours.Sub(stripe), c.want)
			}
		})
	}
}
