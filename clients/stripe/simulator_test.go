package stripe_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stripe-enhance/stripe-enhance/clients/pace"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// shop is a client and the company that it looks at.
type shop struct {
	*simulator.World
	client *stripe.Client
	price  string
}

// open makes a shop with one price. It retries fast: nobody's time is spent.
func open(t testing.TB, o simulator.Options) *shop {
	t.Helper()
	w := simulator.New(o)
	client, err := stripe.New(stripe.Options{
		Key: secret.New(w.StripeKey()), BaseURL: "http://" + simulator.StripeHost, Transport: w.Transport(),
		Pace:        pace.New(pace.Options{RPS: 1e6}),
		MaxAttempts: 10, RetryMin: time.Microsecond, RetryMax: time.Millisecond, Now: w.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{World: w, client: client, price: w.AddPrice(w.AddProduct("Basic"), "basic", 900)}
}

func (s *shop) signUp(t testing.TB, o simulator.SignUp) simulator.SignedUp {
	t.Helper()
	if o.Price == "" && o.Lines == nil {
		o.Price = s.price
	}
	up, err := s.SignUp(o)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func (s *shop) read(t testing.TB, id string) reconcile.SubscriptionFacts {
	t.Helper()
	f, err := s.client.Subscription(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestASubscriptionIsReadWithItsBuyerAndItems(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	up := s.signUp(t, simulator.SignUp{Email: "Ada@Example.com", Name: "Ada", Metadata: map[string]string{
		"enhance_org_id": "0b5e", "enhance_subscription_id": "42", "domain": " ada.example ",
	}})
	got := s.read(t, up.Subscription)
	price, _ := s.World.Subscription(up.Subscription)
	want := reconcile.SubscriptionFacts{
		Subscription: reconcile.Subscription{
			ID: up.Subscription, StripeCustomer: up.Customer,
			Status: reconcile.StatusActive, StatusText: "active", Created: s.Now(),
			CurrentPeriodEnd: time.Unix(price.PeriodEnd, 0).UTC(),
			Items: []reconcile.Item{{ID: up.Items[0], Price: s.price, LookupKey: "basic",
				Product: got.Items[0].Product, Quantity: 1, Created: s.Now()}},
			Domain: "ada.example", MetadataOrg: "0b5e", MetadataHosting: 42,
			ReadAt: s.Now(), ByID: true,
		},
		Buyer: reconcile.StripeCustomer{ID: up.Customer, Email: "Ada@Example.com", Name: "Ada"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(got.Items[0].Product, "prod_") {
		t.Errorf("product %q", got.Items[0].Product)
	}
}

func TestAHostileAccountIsListedCompletely(t *testing.T) {
	s := open(t, simulator.Options{Seed: 7})
	want := map[string]reconcile.Status{}
	for i := range 950 {
		up := s.signUp(t, simulator.SignUp{Email: "c@example.com", Guest: true,
			Created: s.Now().Add(-time.Duration(i*i) * time.Minute)})
		want[up.Subscription] = reconcile.StatusActive
		if i%7 == 0 {
			if err := s.Cancel(up.Subscription); err != nil {
				t.Fatal(err)
			}
			want[up.Subscription] = reconcile.StatusCanceled
		}
	}
	got := map[string]reconcile.Status{}
	listing, err := s.client.Sweep(t.Context(), func(page []reconcile.SubscriptionFacts) error {
		for _, f := range page {
			if _, twice := got[f.ID]; twice {
				t.Errorf("%s was listed twice", f.ID)
			}
			got[f.ID] = f.Status
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(reconcile.Listing{Count: len(want), AsOf: s.Now()}, listing,
		cmpopts.IgnoreFields(reconcile.Listing{}, "Requests")); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestOnlyStripesOwnWordMakesASubscriptionMissing(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	_, err := s.client.Subscription(t.Context(), "sub_none")
	if !errors.Is(err, fault.NotFound) {
		t.Errorf("error %v of a subscription that does not exist, want not found", err)
	}
	s.SetFault(func(simulator.Call) simulator.Fault {
		return simulator.Fault{Status: 404, Body: []byte("<html>no such site</html>")}
	})
	_, err = s.client.Subscription(t.Context(), "sub_none")
	if diff := cmp.Diff(fault.Permanent, fault.Of(err)); diff != "" {
		t.Errorf("kind of a proxy's 404 (-want +got):\n%s", diff)
	}
}
