package app

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const walkSecret = "whsec_0123456789"

// runEnds passes on the log entry of each run that has ended.
type runEnds chan logrus.Fields

func (runEnds) Levels() []logrus.Level { return []logrus.Level{logrus.InfoLevel} }

func (r runEnds) Fire(e *logrus.Entry) error {
	if e.Message == "run finished" {
		r <- e.Data
	}
	return nil
}

func TestAServiceIdles(t *testing.T) { serveMeanwhile(t, func(*simulator.World, string, runEnds) {}) }

func TestAServiceServesASignUp(t *testing.T) {
	serveMeanwhile(t, func(w *simulator.World, url string, ended runEnds) {
		order := simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: slices.Min(slices.Collect(maps.Keys(w.Offer()))), Domain: "ada.example", Checkout: true}
		if _, err := w.SignUp(order); err != nil {
			t.Fatal(err)
		}
		if d, err := w.DeliverWebhooks(t.Context(), url+"/api/webhook", walkSecret, nil); err != nil || d.Sent == 0 || d.Failed > 0 {
			t.Fatalf("webhooks: %+v, %v", d, err)
		}
		// Org, hosting, name, owner and website. Stripe sends several events, and a run may
		// begin between two of them.
		for applied := 0; applied < 5; {
			select {
			case run := <-ended:
				n, _ := run["applied"].(int)
				applied += n
			case <-t.Context().Done():
				t.Fatalf("%d actions were applied", applied)
			}
		}
	})
}

// serveMeanwhile runs the service until its first full run and meanwhile are over.
func serveMeanwhile(t *testing.T, meanwhile func(w *simulator.World, url string, ended runEnds)) {
	t.Helper()
	w := simulator.New(simulator.Options{Seed: 1, Calm: true})
	ended, addresses := make(runEnds, 100), make(chan string, 100)
	log := logrus.New()
	log.SetOutput(t.Output())
	log.AddHook(ended)
	a := New(walkConfig(t, w), Process{Now: w.Now, Log: log, Owner: "walk", Simulated: w.Transport(), Printf: func(f string, args ...any) { addresses <- fmt.Sprintf(f, args...) }})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := a.ConnectService(); err != nil {
		t.Fatal(err)
	}
	if err := a.Open(ctx, Place{IfMissing: Create}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	for price, plan := range w.Offer() {
		if err := a.Store.SetMapping(ctx, reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}, "walk", w.Now()); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx) }()
	select {
	case <-ended:
	case err := <-served:
		t.Fatalf("the service ended: %v", err)
	}
	meanwhile(w, strings.TrimPrefix(<-addresses, "serving on "), ended)
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func walkConfig(t *testing.T, w *simulator.World) *config.Config {
	t.Helper()
	c, _, err := config.Load(config.Sources{Environ: []string{
		"STRIPE_API_URL=http://" + simulator.StripeHost, "STRIPE_SECRET_KEY=" + w.StripeKey(), "STRIPE_WEBHOOK_SECRET=" + walkSecret,
		"ENHANCE_API_URL=http://" + simulator.EnhanceHost + "/api", "ENHANCE_API_TOKEN=" + w.EnhanceToken(), "ENHANCE_ORG_ID=" + w.OrgID(),
		"LISTEN_ADDR=127.0.0.1:0",
	}}, config.NeedStripe|config.NeedEnhance)
	if err != nil {
		t.Fatal(err)
	}
	c.DatabaseURL = secret.New("sqlite:" + filepath.Join(t.TempDir(), "walk.db"))
	return c
}
