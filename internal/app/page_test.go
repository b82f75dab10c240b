package app

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// shop is the service in front of the simulated company.
type shop struct {
	*App
	world  *simulator.World
	plans  map[string]int
	engine *engine.Engine
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{world: simulator.New(simulator.Options{Seed: 1, Calm: true})}
	log := logrus.New()
	log.SetOutput(io.Discard)
	c, _, err := config.Load(config.Sources{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.StripeURL, c.StripeKey = &url.URL{Scheme: "http", Host: simulator.StripeHost}, secret.New(s.world.StripeKey())
	c.EnhanceURL, c.EnhanceToken = &url.URL{Scheme: "http", Host: simulator.EnhanceHost, Path: "/api"}, secret.New(s.world.EnhanceToken())
	c.EnhanceOrg = config.OrgID(s.world.OrgID())
	c.DatabaseURL, c.AdminKeys = secret.New("sqlite::memory:"), []secret.Text{secret.New(pageKey)}
	s.App = New(c, Process{Now: s.world.Now, Log: log, Owner: "test", Simulated: s.world.Transport()})
	s.metrics = metrics.New("test")
	if err := s.Connect(config.NeedStripe | config.NeedEnhance); err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context(), Place{IfMissing: Create}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.plans = s.world.Offer()
	for price, plan := range s.plans {
		m := reconcile.Mapping{BillingID: price, Plan: reconcile.FormatID(int64(plan))}
		if err := s.Store.SetMapping(t.Context(), m, "test", s.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if s.engine, err = s.Engine(nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// run does runs until the company is at rest.
func (s *shop) run(t *testing.T) {
	t.Helper()
	for range 4 {
		if _, err := s.engine.Run(t.Context(), engine.Request{Full: true, Trigger: "cli"}); err != nil {
			t.Fatal(err)
		}
		s.world.Advance(2 * time.Minute)
	}
}

func (s *shop) signUp(t *testing.T, email string) simulator.SignedUp {
	t.Helper()
	up, err := s.world.SignUp(simulator.SignUp{Email: email, Name: email, Price: "price_basic_monthly"})
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func TestTheMoneyAtRiskIsThatOfHostingsInGrace(t *testing.T) {
	s := newShop(t)
	late := s.signUp(t, "late@example.com")
	s.signUp(t, "paid@example.com")
	s.run(t)
	none, err := s.risk(t.Context())
	if err != nil || none.Subscriptions != 0 || none.Month != nil {
		t.Errorf("all is paid: %+v %v", none, err)
	}
	if err := s.world.FailPayment(late.Subscription); err != nil {
		t.Fatal(err)
	}
	s.run(t)
	got, err := s.risk(t.Context())
	if err != nil || got.Subscriptions != 1 || got.Unknown != 0 || len(got.Month) != 1 || got.Month[0].Currency != "eur" || got.Month[0].Amount == "0.00" {
		t.Errorf("one is late: %+v %v", got, err)
	}
	s.world.SetFault(func(simulator.Call) simulator.Fault { return simulator.Fault{Apply: simulator.Skip, Status: 500} })
	got, err = s.risk(t.Context())
	if err != nil || got.Subscriptions != 0 || got.Unknown != 1 {
		t.Errorf("Stripe does not answer: %+v %v", got, err)
	}
}

// TestALookFromThePage signs in with a browser at the real service, has it look, and sees the
// order become a hosting.
func TestALookFromThePage(t *testing.T) {
	s := newShop(t)
	messages, err := s.newMessages()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(messages.close)
	o := &observer{App: s.App, messages: messages}
	s.Config.PollSchedule, s.Config.FullSchedule = "0 0 29 2 *", "0 0 29 2 *"
	loop, err := s.loop(o)
	if err != nil {
		t.Fatal(err)
	}
	service, err := s.server(loop, o)
	if err != nil {
		t.Fatal(err)
	}
	s.run(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop.Work(ctx) }()
	defer func() { cancel(); <-ended }()
	listening := httptest.NewServer(service)
	defer listening.Close()
	s.signUp(t, "new@example.com")

	tab := browser.New(t)
	tab.Open(listening.URL + "/")
	tab.Type("input[name=key]", pageKey)
	if status := tab.Submit("main button"); status != http.StatusOK {
		t.Fatalf("sign-in: %d", status)
	}
	if status := tab.Submit(`form[action="/ui/look"] button`); status != http.StatusOK {
		t.Fatalf("look now: %d", status)
	}
	if got := tab.Text(".flash"); got != "A run begins within a second." {
		t.Errorf("after the click: %q", got)
	}
	for began := time.Now(); !strings.Contains(tab.Text("main"), "1 hosting created"); {
		if time.Since(began) > time.Minute {
			t.Fatalf("the page does not show the new hosting: %s", tab.Text("main"))
		}
		time.Sleep(50 * time.Millisecond)
		tab.Open(listening.URL + "/")
	}
	if text := tab.Text("main"); !strings.Contains(text, "new@example.com") || !strings.Contains(text, "1 order") || strings.Count(text, " ms") < 2 {
		t.Errorf("today: %s", text)
	}
	if all := tab.Complaints(); all != nil {
		t.Errorf("complaints: %q", all)
	}
}
