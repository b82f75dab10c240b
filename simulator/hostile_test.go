package simulator

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// transcript sends a hostile world always the same requests and returns all answers,
// byte by byte.
func transcript(t *testing.T, seed uint64) []byte {
	t.Helper()
	c := newCaller(t, Options{Seed: seed})
	c.w.Populate(60, Mix{Bound: true})
	var out bytes.Buffer
	for i := range 120 {
		for _, r := range []*http.Request{
			c.request("GET", "http://"+StripeHost+"/v1/subscriptions?status=all&limit=20", c.w.StripeKey(), ""),
			c.request("GET", "http://"+StripeHost+"/v1/events?limit=20", c.w.StripeKey(), ""),
			c.enhanceRequest("POST", "/orgs/{org}/customers", fmt.Sprintf(`{"name":"N%d"}`, i%3)),
			c.enhanceRequest("GET", "/orgs/{org}/customers?sortOrder=desc", ""),
		} {
			s, err := c.try(r)
			fmt.Fprintln(&out, s.status, s.header, string(s.body), err)
		}
		c.w.Advance(time.Hour)
	}
	return out.Bytes()
}

func TestOneSeedAlwaysSaysTheSameBytes(t *testing.T) {
	a, b, other := transcript(t, 7), transcript(t, 7), transcript(t, 8)
	if !bytes.Equal(a, b) {
		t.Error("two worlds of one seed differ")
	}
	if bytes.Equal(a, other) {
		t.Error("worlds of two seeds are the same")
	}
}

// stubborn is the simplest correct client: it repeats reads, and if a write failed it
// looks before it repeats.
type stubborn struct {
	*caller
	tries int
}

func (s *stubborn) read(path string) object {
	s.t.Helper()
	for range 6 {
		s.tries++
		if a, err := s.try(s.enhanceRequest("GET", path, "")); err == nil && a.status == 200 {
			return s.object(a, 200)
		}
	}
	s.t.Fatalf("GET %s failed six times in a row", path)
	return nil
}

func (s *stubborn) names() (names []string) {
	for offset := 0; ; {
		page := s.read(fmt.Sprintf("/orgs/{org}/customers?limit=100&offset=%d", offset))
		for _, row := range page["items"].([]any) {
			names = append(names, row.(map[string]any)["name"].(string))
		}
		offset += len(page.ids())
		if float64(offset) >= page["total"].(float64) {
			return names
		}
	}
}

func TestHostilityHurtsAndALookingClientConvergesAllTheSame(t *testing.T) {
	s := &stubborn{caller: newCaller(t, Options{})}
	want := []string{}
	unheard, refused := 0, 0
	for i := range 300 {
		name := fmt.Sprintf("Customer %03d", i)
		want = append(want, name)
		for range 6 {
			before := len(s.w.Effects())
			a, err := s.try(s.enhanceRequest("POST", "/orgs/{org}/customers", fmt.Sprintf(`{"name":%q}`, name)))
			if err == nil && a.status == 201 {
				break
			}
			if len(s.w.Effects()) > before {
				unheard++
			} else {
				refused++
			}
			if slices.Contains(s.names(), name) {
				break
			}
		}
	}
	if diff := cmp.Diff(want, s.names()); diff != "" {
		t.Errorf("customers after all (-want +got):\n%s", diff)
	}
	// 5 % and 3.2 % of about 310 calls; the bounds are wide enough for any seed.
	if unheard < 5 || unheard > 40 || refused < 2 || refused > 30 {
		t.Errorf("%d writes were done unheard and %d were not done; the hostility is off", unheard, refused)
	}
}

func TestEventsAppearLateOutOfOrderAndWithoutExceptionWithinAMinute(t *testing.T) {
	c := newCaller(t, Options{})
	c.w.SetFault(func(Call) Fault { return Fault{Honest: true} })
	c.w.Offer()
	c.w.Advance(time.Hour)
	for i := range 60 {
		c.signUp(SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: "pro_monthly"})
		c.w.Advance(time.Second)
	}
	count := func() int { return len(c.all("/v1/events", url.Values{"limit": {"100"}})) }
	for _, e := range c.w.Events() {
		want := map[bool]int{true: 404, false: 200}[e.Visible.After(c.w.Now())]
		if got := c.stripe("GET", "/v1/events/"+e.ID, "").status; got != want {
			t.Fatalf("an event visible at %v, read at %v: %d, want %d", e.Visible, c.w.Now(), got, want)
		}
	}
	soon := count()
	c.w.Advance(50 * time.Second)
	all, made := count(), len(c.w.Events())
	if soon >= made || all != made {
		t.Errorf("%d events at once and %d within a minute of %d", soon, all, made)
	}
	ids := c.all("/v1/events", url.Values{"limit": {"100"}})
	if slices.IsSorted(ids) {
		t.Error("event ids are in order, which nobody may rely on")
	}
	inTurn := true
	events := c.w.Events()
	for i := range events[1:] {
		sameOrder := events[i].Type != "invoice.paid" || events[i+1].Type != "invoice.created" || events[i].Created != events[i+1].Created
		inTurn = inTurn && sameOrder
	}
	if inTurn {
		t.Error("the events of one second are always in the order in which they happened")
	}
}

func TestEventsCanBeAskedForByTypeAndAgeOut(t *testing.T) {
	c := calm(t)
	sub := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"}).Subscription
	c.must(c.w.Cancel(sub))
	kinds := func(query string) (out []string) {
		list := c.object(c.stripe("GET", "/v1/events?limit=100&"+query, ""), 200)
		for _, e := range list["data"].([]any) {
			out = append(out, e.(map[string]any)["type"].(string))
		}
		slices.Sort(out)
		return out
	}
	want := []string{"customer.subscription.created", "customer.subscription.deleted"}
	for _, q := range []string{
		"types[]=customer.subscription.created&types[]=customer.subscription.deleted",
		"types[0]=customer.subscription.created&types[1]=customer.subscription.deleted",
		"type=customer.subscription.*",
	} {
		if diff := cmp.Diff(want, kinds(q)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", q, diff)
		}
	}
	first := c.w.Events()[0].ID
	c.w.Advance(31 * day)
	c.object(c.stripe("GET", "/v1/events?starting_after="+first, ""), 400)
}

func TestWebhooksAreSignedLostDoubledAndShuffled(t *testing.T) {
	w := New(Options{Seed: 3})
	w.Offer()
	for i := range 100 {
		if _, err := w.SignUp(SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: "pro_monthly"}); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
	}
	w.Advance(time.Minute)
	const secret = "whsec_test"
	got := map[string]int{}
	order := []string{}
	var mu sync.Mutex
	fail := true
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		if want := SignWebhook(body.Bytes(), secret, w.Now()); r.Header.Get("Stripe-Signature") != want {
			t.Errorf("signature %q, want %q", r.Header.Get("Stripe-Signature"), want)
		}
		if fail {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		id, _, _ := bytes.Cut(body.Bytes(), []byte(`","object":"event"`))
		got[string(id)]++
		order = append(order, string(id))
	}))
	defer srv.Close()
	made := len(w.Events())
	d, err := w.DeliverWebhooks(t.Context(), srv.URL, secret, nil)
	if err != nil || d.Sent != 0 || d.Failed+d.Lost != made || d.Waiting != d.Failed {
		t.Errorf("while the receiver fails: %+v, %v, of %d events", d, err, made)
	}
	mu.Lock()
	fail = false
	mu.Unlock()
	again, err := w.DeliverWebhooks(t.Context(), srv.URL, secret, nil)
	if err != nil || again.Failed != 0 || len(got) != made-d.Lost || again.Sent <= len(got) || d.Lost == 0 {
		t.Errorf("%+v, %v: %d events of %d arrived, %d were lost", again, err, len(got), made, d.Lost)
	}
}

func TestManyAtOnceAreSafeAndEachEffectIsLoggedOnce(t *testing.T) {
	w := New(Options{})
	w.Offer()
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			c := &caller{t: t, w: w, http: w.Transport()}
			for k := range 30 {
				s, err := w.SignUp(SignUp{Email: fmt.Sprintf("c%d-%d@example.com", i, k), Price: "pro_monthly"})
				if err != nil {
					t.Error(err)
				}
				_, _ = c.try(c.enhanceRequest("POST", "/orgs/{org}/customers", fmt.Sprintf(`{"name":"N%d-%d"}`, i, k)))
				_, _ = c.try(c.request("GET", "http://"+StripeHost+"/v1/subscriptions/"+s.Subscription, w.StripeKey(), ""))
				w.Advance(time.Second)
			}
		})
	}
	g.Wait()
	if orgs, effects := len(w.Orgs()), len(w.Effects()); orgs != effects || orgs < 200 {
		t.Errorf("%d orgs and %d effects", orgs, effects)
	}
	if got := w.Total(Enhance) + w.Total(Stripe); got != 480 {
		t.Errorf("%d requests were counted, want 480", got)
	}
}

func TestARateLimitRefillsWithTheClock(t *testing.T) {
	c := newCaller(t, Options{Calm: true, StripeRPS: 3})
	got := []int{}
	for i := range 6 {
		if i == 5 {
			c.w.Advance(time.Second)
		}
		got = append(got, c.stripe("GET", "/v1/prices", "").status)
	}
	if diff := cmp.Diff([]int{200, 200, 200, 429, 429, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if s := c.stripe("GET", "/v1/products", ""); s.status != 200 {
		t.Errorf("another route has its own limit, but got %d", s.status)
	}
	want := map[string]int{"GET /v1/prices": 6, "GET /v1/products": 1}
	if diff := cmp.Diff(want, c.w.Counts(Stripe)); diff != "" {
		t.Errorf("counted requests (-want +got):\n%s", diff)
	}
}

func TestTheLogOfRequestsKeepsTheLatest(t *testing.T) {
	c := newCaller(t, Options{Calm: true, RequestLog: 10})
	c.w.SetFault(func(call Call) Fault {
		if call.Seq == 34 {
			return NotDone(500)
		}
		return Fault{}
	})
	for range 35 {
		c.stripe("GET", "/v1/prices", "")
	}
	log := c.w.Requests()
	if len(log) < 10 || len(log) > 20 {
		t.Fatalf("%d requests are kept, want 10 to 20", len(log))
	}
	got := log[len(log)-2]
	want := Request{Seq: 34, At: fixedStart, Side: Stripe, Method: "GET", Route: "GET /v1/prices", Path: "/v1/prices", Status: 500, Faulty: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the last but one (-want +got):\n%s", diff)
	}
}

func TestASignatureIsTheOneThatOpenSSLMakes(t *testing.T) {
	got := SignWebhook([]byte(`{"id":"evt_1"}`), "whsec_example", time.Unix(1772442000, 0))
	want := "t=1772442000,v1=d69477561341c6ada5a51a9038da40d2579aae2c9fdc7c22f519b822538785d1"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnHonestCallIsSparedTheHostility(t *testing.T) {
	for honest, want := range map[bool]bool{true: true, false: false} {
		c := newCaller(t, Options{})
		c.w.SetFault(func(Call) Fault { return Fault{Honest: honest} })
		fine := true
		for i := range 200 {
			s, err := c.try(c.enhanceRequest("POST", "/orgs/{org}/customers", fmt.Sprintf(`{"name":"N%d"}`, i)))
			fine = fine && err == nil && s.status == 201
		}
		if fine != want {
			t.Errorf("honest %v: all 200 calls fine: %v, want %v", honest, fine, want)
		}
	}
}
