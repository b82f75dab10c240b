package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// signUp places an order, before the service starts.
func (s *service) signUp(who, price string) simulator.SignedUp {
	s.tb.Helper()
	done, err := s.world.SignUp(simulator.SignUp{Email: who + "@example.com", Name: who, Price: price})
	if err != nil {
		s.tb.Fatal(err)
	}
	return done
}

const received, known = `{"received":true}` + "\n", `{"received":true,"message":"Event already processed"}` + "\n"

func TestAWebhookIsStoredOnceAndNudgesOnlyWhenItCouldMatter(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, url string) {
		s := serveHere(t, serving{database: url})
		runs := len(s.runs())
		for _, kind := range []string{"flux.capacitor.charged", "payment_intent.succeeded", "v2.core.anything", "customer.tax_id.created", "customer.subscriptions"} {
			body := eventText("evt_"+strings.ReplaceAll(kind, ".", "_"), kind, `{"object":"subscription","id":"sub_1"}`)
			for i, want := range []string{received, known, known} {
				if got := s.hook(body); got.status != 200 || got.body != want {
					t.Errorf("%s, time %d: %d %s", kind, i+1, got.status, got.body)
				}
			}
		}
		if n := s.count("SELECT count(*) FROM nudges"); n != 0 {
			t.Errorf("%d nudges from events that change nothing", n)
		}
		if n := len(s.runs()); n != runs {
			t.Errorf("%d runs from events that change nothing", n-runs)
		}
		// While all runs hang no nudge goes, so that they can be counted.
		release := s.hang()
		s.hook(subscriptionEvent("evt_first", "sub_first"))
		s.until("a flow run hangs", s.flowHangs)
		for i, body := range []string{
			subscriptionEvent("evt_a", "sub_a"),
			eventText("evt_b", "invoice.paid", `{"object":"invoice","id":"in_1","subscription":"sub_b"}`),
			eventText("evt_c", "checkout.session.completed", `{"object":"checkout.session","id":"cs_1","subscription":"sub_c"}`),
			eventText("evt_d", "customer.updated", `{"object":"customer","id":"cus_1"}`),
			`{"id":"evt_untyped","data":{"object":{"object":"subscription","id":"sub_e"}}}`,
		} {
			if got := s.hook(body); got.status != 200 || got.body != received {
				t.Errorf("event %d: %d %s", i, got.status, got.body)
			}
			if got := s.hook(body); got.status != 200 || got.body != known {
				t.Errorf("event %d again: %d %s", i, got.status, got.body)
			}
			if n := s.count("SELECT count(*) FROM nudges"); n != i+2 {
				t.Errorf("%d nudges after event %d", n, i)
			}
		}
		for _, body := range []string{ // which name nothing, and wish for a look in general, as evt_d does
			`{"id":"1' OR 1=1"}`, `{"id":"evt_v2","object":"v2.core.event","type":"v2.core.account.updated"}`,
		} {
			if got := s.hook(body); got.status != 200 || got.body != received {
				t.Errorf("%s: %d %s", body, got.status, got.body)
			}
		}
		if n := s.count("SELECT count(*) FROM nudges"); n != 6 {
			t.Errorf("%d nudges, want the general one once", n)
		}
		release()
		s.until("all are followed", func() bool { return s.count("SELECT count(*) FROM webhook_logs WHERE state <> 'followed'") == 0 })
		const named = 5 // subscriptions, each served by a flow run
		if n := len(s.runs()) - runs; n > named+3 {
			t.Errorf("%d runs for events of one moment", n)
		}
		want := map[string]int{"accepted": 13, "duplicate": 15, "refused": 0, "failed": 0}
		got := map[string]int{}
		for result := range want {
			got[result] = int(s.metric(fmt.Sprintf("webhooks_total{result=%q}", result)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

func TestAWebhookNeverActsOnWhatItSays(t *testing.T) {
	t.Parallel()
	var paying simulator.SignedUp
	s := serveHere(t, serving{prepare: func(s *service) { paying = s.signUp("ada", "price_basic_monthly") }})
	s.until("ada has hosting", func() bool { return len(s.world.Hostings()) == 1 })
	s.settle()
	effects := len(s.world.Effects())
	lies := []string{
		fmt.Sprintf(`{"object":"subscription","id":%q,"customer":%q,"status":"canceled","ended_at":1,"canceled_at":1}`, paying.Subscription, paying.Customer),
		fmt.Sprintf(`{"object":"subscription","id":%q,"customer":%q,"status":"unpaid"}`, paying.Subscription, paying.Customer),
		fmt.Sprintf(`{"object":"subscription","id":%q,"customer":%q,"status":"active","items":{"data":[{"price":{"id":"price_business_monthly"},"quantity":50}]}}`, paying.Subscription, paying.Customer),
		fmt.Sprintf(`{"object":"subscription","id":"sub_nobody","customer":%q,"status":"active","items":{"data":[{"price":{"id":"price_business_monthly"}}]}}`, paying.Customer),
	}
	for i, kind := range []string{"customer.subscription.deleted", "customer.subscription.updated", "customer.subscription.updated", "customer.subscription.created"} {
		if got := s.hook(eventText(fmt.Sprintf("evt_lie%d", i), kind, lies[i])); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	s.until("runs have looked", func() bool { return s.count("SELECT count(*) FROM webhook_logs WHERE state = 'followed'") == len(lies) })
	s.settle()
	if all := s.world.Effects(); len(all) != effects {
		t.Errorf("lies had effects: %+v", all[effects:])
	}
	if h := s.world.Hostings(); len(h) != 1 || h[0].SuspendedBy != "" || h[0].Plan != s.plans["price_basic_monthly"] {
		t.Errorf("hostings are %+v", h)
	}
	for _, r := range s.runs() {
		if r.Planned > 0 && r.Trigger == "webhook" {
			t.Errorf("run %s planned %d actions", r.ID, r.Planned)
		}
	}
}

func TestAWebhookIsAnsweredWhileARunHangs(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{})
	defer s.hang()()
	if got := s.hook(subscriptionEvent("evt_first", "sub_1")); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	s.until("a flow run hangs", s.flowHangs)
	for i := range 50 {
		if got := s.hook(subscriptionEvent(fmt.Sprintf("evt_%d", i), "sub_1")); got.status != 200 || got.body != received {
			t.Fatalf("while a run hangs: %d %s", got.status, got.body)
		}
	}
	if !s.flowHangs() {
		t.Error("the flow run did not hang, so nothing was shown")
	}
	if got := s.call(http.MethodGet, "/healthz", ""); got.status != 200 {
		t.Errorf("liveness while a run hangs: %d", got.status)
	}
	if got := s.call(http.MethodGet, "/readyz", ""); got.status != 200 {
		t.Errorf("readiness while a run hangs: %d", got.status)
	}
	if got := s.admin(http.MethodGet, "/runs", ""); got.status != 200 {
		t.Errorf("the admin API while a run hangs: %d", got.status)
	}
}

// flowHangs reports whether a flow run has taken a nudge and is not done.
func (s *service) flowHangs() bool {
	return s.count("SELECT count(*) FROM nudges WHERE named > 0") > 0
}

// hang lets every request to Stripe wait until release is called.
func (s *service) hang() (release func()) {
	stuck := make(chan struct{})
	s.world.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Stripe {
			<-stuck
		}
		return simulator.Fault{}
	})
	return sync.OnceFunc(func() { close(stuck) })
}

func TestWithoutASecretThereIsNoWebhook(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{environ: []string{"STRIPE_WEBHOOK_SECRET="}})
	body := subscriptionEvent("evt_1", "sub_1")
	for _, signature := range []string{"", simulator.SignWebhook([]byte(body), "", time.Now()), simulator.SignWebhook([]byte(body), hookSecret, time.Now())} {
		got := s.call(http.MethodPost, "/api/webhook", body, "Stripe-Signature: "+signature)
		if got.status != http.StatusNotFound || got.object(t)["error"] != "Not found" {
			t.Errorf("signature %q: %d %s", signature, got.status, got.body)
		}
	}
	if n := s.count("SELECT count(*) FROM webhook_logs"); n != 0 {
		t.Errorf("%d events stored", n)
	}
}

func TestWithoutASecretPollingDoesEverything(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{environ: []string{"STRIPE_WEBHOOK_SECRET=", "POLL_SCHEDULE=@every 1s"}})
	done := s.signUp("ada", "price_basic_monthly")
	s.until("she has hosting", func() bool { return len(s.world.Hostings()) == 1 })
	if err := s.world.MarkUnpaid(done.Subscription); err != nil {
		t.Fatal(err)
	}
	s.until("it is suspended", func() bool { return s.world.Hostings()[0].SuspendedBy != "" })
}

func TestAWebhookThatCannotBeStoredIsToBeSentAgain(t *testing.T) {
	failed := map[string]any{"error": "Webhook processing failed", "message": "it could not be stored; send it again", "retryable": true}
	body := subscriptionEvent("evt_1", "sub_1")
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := serveHere(t, serving{})
		// To the service, a table that refuses looks like a full disk.
		s.sql("CREATE TRIGGER full BEFORE INSERT ON webhook_logs BEGIN SELECT RAISE(ABORT, 'disk full'); END")
		got := s.hook(body)
		if diff := cmp.Diff(failed, got.object(t)); diff != "" || got.status != 500 {
			t.Errorf("status %d (-want +got):\n%s", got.status, diff)
		}
		s.sql("DROP TRIGGER full")
		if got := s.hook(body); got.status != 200 || got.body != received {
			t.Errorf("sent again: %d %s, it must not be a duplicate", got.status, got.body)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server, url := pgtest.Private(t)
		s := serveHere(t, serving{database: url})
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		got := s.hook(body)
		if diff := cmp.Diff(failed, got.object(t)); diff != "" || got.status != 500 {
			t.Errorf("status %d (-want +got):\n%s", got.status, diff)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var last answer
		s.until("it is taken again", func() bool { last = s.hook(body); return last.status == 200 })
		if last.body != received {
			t.Errorf("sent again: %s, it must not be a duplicate", last.body)
		}
		if log := s.said.String(); strings.Contains(log, "throwaway-Pw1") {
			t.Error("the password of the database is in the log")
		}
	})
}

// BenchmarkWebhookToEffect measures from a webhook to its effect at Enhance, with 50 ms on
// the way to each side and nothing else to do. The time ends when the panel has answered the
// write.
func BenchmarkWebhookToEffect(b *testing.B) {
	const latency = 50 * time.Millisecond
	for _, kind := range []string{"suspend", "resume", "change plan", "order"} {
		b.Run(kind, func(b *testing.B) {
			var customer simulator.SignedUp
			s := serveHere(b, serving{world: simulator.Options{Latency: latency}, environ: []string{"LOG_LEVEL=WARN", "BRAKE_CREATE=1000", "BRAKE_SUSPEND=1000", "BRAKE_CHANGE_PLAN=1000"},
				prepare: func(s *service) { customer = s.signUp("ada", "price_basic_monthly") }})
			var all []time.Duration
			for i := range b.N {
				event, do, undo := s.story(customer, kind, i)
				if undo != nil {
					undo()
				}
				time.Sleep(6 * time.Second) // idle: longer than the widest gap between runs
				s.settle()
				do()
				before := len(s.world.Effects())
				began := time.Now()
				if got := s.hook(event()); got.status != 200 {
					b.Fatalf("%d %s", got.status, got.body)
				}
				s.until("it has its effect", func() bool { return len(s.world.Effects()) > before })
				all = append(all, time.Since(began)+latency)
				s.settle()
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2])/float64(time.Millisecond), "median-ms")
		})
	}
}

// story is one thing that happens to a customer at Stripe, and how it is undone
// for the next time.
func (s *service) story(c simulator.SignedUp, kind string, i int) (event func() string, do, undo func()) {
	s.tb.Helper()
	check := func(err error) {
		if err != nil {
			s.tb.Fatal(err)
		}
	}
	looked := func() {
		s.hook(subscriptionEvent(fmt.Sprintf("evt_undo%d_%d", i, time.Now().UnixNano()), c.Subscription))
		time.Sleep(2 * time.Second)
		s.settle()
	}
	id := c.Subscription
	event = func() string { return subscriptionEvent(fmt.Sprintf("evt_do%d_%d", i, time.Now().UnixNano()), id) }
	switch kind {
	case "suspend":
		return event, func() { check(s.world.MarkUnpaid(id)) }, func() { _ = s.world.Pay(id); looked() }
	case "resume":
		return event, func() { check(s.world.Pay(id)) }, func() { check(s.world.MarkUnpaid(id)); looked() }
	case "change plan":
		price := []string{"price_pro_monthly", "price_basic_monthly"}[i%2]
		return event, func() { check(s.world.ChangePrice(id, "", price)) }, nil
	}
	return event, func() { id = s.signUp(fmt.Sprintf("guest%d", i), "price_basic_monthly").Subscription }, nil
}
