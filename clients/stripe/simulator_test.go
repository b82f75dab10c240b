package stripe_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// anOrg is the id of an org as metadata names it.
const anOrg = "0b5e7a10-0000-4000-8000-000000000001"

// shop is a client and the company that it reads.
type shop struct {
	*simulator.World
	client *stripe.Client
	price  string
}

// open makes a shop with one price. It retries without pauses.
func open(t testing.TB, o simulator.Options) *shop {
	t.Helper()
	w := simulator.New(o)
	client, err := stripe.New(stripe.Options{
		Key: secret.New(w.StripeKey()), BaseURL: "http://" + simulator.StripeHost, Transport: w.Transport(),
		Limiter:     ratelimit.New(ratelimit.Options{RPS: 1e6}),
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
		"enhance_org_id": " 0B5E7A10-0000-4000-8000-000000000001", "enhance_subscription_id": "42 ", "domain": " ada.example ",
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
			Domain: "ada.example", MetadataOrg: anOrg, MetadataHosting: 42,
			ReadAt: s.Now(), ByID: true,
		},
		Buyer:   reconcile.StripeCustomer{ID: up.Customer, Email: "Ada@Example.com", Name: "Ada"},
		Request: got.Request,
	}
	if !strings.HasPrefix(got.Request, "req_") {
		t.Errorf("the request is %q", got.Request)
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

func TestItemsBeyondTheEmbeddedOnesAreRead(t *testing.T) {
	s := open(t, simulator.Options{})
	lines := make([]simulator.Line, 130)
	for i := range lines {
		lines[i] = simulator.Line{Price: s.price, Quantity: int64(i + 1)}
	}
	up := s.signUp(t, simulator.SignUp{Email: "many@example.com", Lines: lines})
	want := map[string]int64{}
	for i, id := range up.Items {
		want[id] = int64(i + 1)
	}
	quantities := func(f reconcile.SubscriptionFacts) map[string]int64 {
		got := map[string]int64{}
		for _, item := range f.Items {
			got[item.ID] = item.Quantity
		}
		return got
	}
	if diff := cmp.Diff(want, quantities(s.read(t, up.Subscription))); diff != "" {
		t.Errorf("read by id (-want +got):\n%s", diff)
	}
	listing, err := s.client.Sweep(t.Context(), func(page []reconcile.SubscriptionFacts) error {
		for _, f := range page {
			if diff := cmp.Diff(want, quantities(f)); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		}
		return nil
	})
	if err != nil || listing.Count != 1 || listing.Requests != 3 {
		t.Errorf("listing %+v, error %v, want one page and two of items", listing, err)
	}
}

func TestGraceBeginsWhenTheOldestUnpaidInvoiceWasDue(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	up := s.signUp(t, simulator.SignUp{Email: "late@example.com"})
	s.Advance(24 * time.Hour)
	if err := s.FailPayment(up.Subscription); err != nil {
		t.Fatal(err)
	}
	due := time.Time{}
	for _, i := range s.Invoices(up.Subscription) {
		if i.Status == "open" {
			due = time.Unix(i.Due, 0).UTC()
		}
	}
	s.Advance(24 * time.Hour)
	f := s.read(t, up.Subscription)
	if diff := cmp.Diff([]any{reconcile.StatusPastDue, due}, []any{f.Status, f.UnpaidSince}); diff != "" || due.IsZero() {
		t.Errorf("status and unpaid since (-want +got):\n%s", diff)
	}
	if err := s.Pay(up.Subscription); err != nil {
		t.Fatal(err)
	}
	f = s.read(t, up.Subscription)
	if diff := cmp.Diff([]any{reconcile.StatusActive, time.Time{}}, []any{f.Status, f.UnpaidSince}); diff != "" {
		t.Errorf("status and unpaid since, after paying (-want +got):\n%s", diff)
	}
}

func TestWhateverHappensToASubscriptionShowsInTheEvents(t *testing.T) {
	s := open(t, simulator.Options{Seed: 3})
	pro := s.AddPrice(s.AddProduct("Pro"), "pro", 1900)
	up := s.signUp(t, simulator.SignUp{Email: "busy@example.com", Domain: "busy.example"})
	s.Advance(time.Hour)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"a failed payment", func() error { return s.FailPayment(up.Subscription) }},
		{"a payment", func() error { return s.Pay(up.Subscription) }},
		{"another price", func() error { return s.ChangePrice(up.Subscription, up.Items[0], pro) }},
		{"another quantity", func() error { return s.SetQuantity(up.Subscription, up.Items[0], 3) }},
		{"paused collection", func() error { return s.PauseCollection(up.Subscription, "void") }},
		{"resumed collection", func() error { return s.ResumeCollection(up.Subscription) }},
		{"an end on a day", func() error { return s.CancelAt(up.Subscription, s.Now().Add(24*time.Hour)) }},
		{"no end after all", func() error { return s.CancelAt(up.Subscription, time.Time{}) }},
		{"an announced end", func() error { return s.CancelAtPeriodEnd(up.Subscription) }},
		{"other metadata", func() error { return s.SetMetadata(up.Subscription, map[string]string{"domain": "new.example"}) }},
		{"an unheard-of state", func() error { return s.SetStatus(up.Subscription, "hibernating") }},
	} {
		s.Advance(time.Hour)
		since := s.Now()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		s.Advance(2 * time.Minute) // events appear late
		events, err := s.client.Events(t.Context(), since)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		touched := false
		for _, e := range events.Touched {
			touched = touched || e.Subscription == up.Subscription
		}
		if !touched {
			t.Errorf("%s: no event touched %s: %+v", step.name, up.Subscription, events.Touched)
		}
	}
	since := s.Now()
	if err := s.SetEmail(up.Customer, "new@example.com"); err != nil {
		t.Fatal(err)
	}
	s.Advance(2 * time.Minute)
	events, err := s.client.Events(t.Context(), since)
	if err != nil || len(events.Touched) != 1 || events.Touched[0].StripeCustomer != up.Customer {
		t.Errorf("events %+v, error %v, want one that touches %s", events, err, up.Customer)
	}
}

func TestAHostileAccountAnswersEveryRead(t *testing.T) {
	s := open(t, simulator.Options{Seed: 11})
	for i := range 40 {
		up := s.signUp(t, simulator.SignUp{Email: "c@example.com", Guest: true, Domain: "shop.example"})
		if i%3 == 0 {
			if err := s.FailPayment(up.Subscription); err != nil {
				t.Fatal(err)
			}
		}
		s.read(t, up.Subscription)
		domain, err := s.client.CheckoutDomain(t.Context(), up.Subscription)
		if err != nil || domain != "shop.example" {
			t.Errorf("domain %q, error %v", domain, err)
		}
		if err := s.client.WriteMetadata(t.Context(), up.Subscription, map[string]string{"enhance_org_id": anOrg}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(anOrg, s.read(t, up.Subscription).MetadataOrg); diff != "" {
			t.Errorf("metadata after writing it (-want +got):\n%s", diff)
		}
		for _, id := range []string{s.price, "basic"} {
			if known, err := s.client.Known(t.Context(), id); !known || err != nil {
				t.Errorf("%s: known %v, error %v", id, known, err)
			}
		}
		if known, err := s.client.Known(t.Context(), "nonesuch"); known || err != nil {
			t.Errorf("a price that does not exist: known %v, error %v", known, err)
		}
	}
	if v := s.Violations(); len(v) != 0 {
		t.Errorf("violations %+v", v)
	}
}

func TestARestrictedKeyIsToldWhatItLacks(t *testing.T) {
	s := open(t, simulator.Options{Calm: true, StripeKey: "rk_test_restricted0123456789", Deny: []string{"invoices", "products"}})
	permissions, err := s.client.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lacks []string
	for _, p := range permissions {
		if errors.Is(p.Err, fault.Denied) {
			lacks = append(lacks, p.Resource)
		} else if p.Err != nil {
			t.Errorf("%s: %v", p.Resource, p.Err)
		}
	}
	if diff := cmp.Diff([]string{"Products", "Invoices"}, lacks); diff != "" {
		t.Errorf("lacks (-want +got):\n%s", diff)
	}
	up := s.signUp(t, simulator.SignUp{Email: "late@example.com"})
	if err := s.FailPayment(up.Subscription); err != nil {
		t.Fatal(err)
	}
	if f := s.read(t, up.Subscription); f.Status != reconcile.StatusPastDue || !f.UnpaidSince.IsZero() {
		t.Errorf("status %v, unpaid since %v", f.Status, f.UnpaidSince)
	}
}

func TestAnswersOfAnotherShapeOrModeAreMalformed(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	up := s.signUp(t, simulator.SignUp{Email: "a@example.com"})
	for name, broken := range map[string]simulator.Fault{
		"the other mode": simulator.WrongLivemode(), "an empty object": simulator.EmptyObject(), "half of the JSON": {Malformed: true},
	} {
		s.SetFault(func(simulator.Call) simulator.Fault { return broken })
		_, sweep := s.client.Sweep(t.Context(), func([]reconcile.SubscriptionFacts) error { return nil })
		_, one := s.client.Subscription(t.Context(), up.Subscription)
		_, known := s.client.Known(t.Context(), s.price)
		_, prices := s.client.Prices(t.Context())
		for call, err := range map[string]error{"sweep": sweep, "subscription": one, "known": known, "prices": prices} {
			if diff := cmp.Diff(fault.Malformed, fault.Of(err)); diff != "" {
				t.Errorf("%s, %s: %v (-want +got):\n%s", name, call, err, diff)
			}
		}
	}
}

func TestTheSimulatorsWebhooksVerify(t *testing.T) {
	w := simulator.New(simulator.Options{Calm: true})
	secrets := []secret.Text{secret.New("whsec_0123456789abcdef0123")}
	body := []byte(`{"id":"evt_1","object":"event","type":"customer.updated","created":1,"data":{"object":{"object":"customer","id":"cus_1"}}}`)
	header := simulator.SignWebhook(body, secrets[0].Reveal(), w.Now())
	hint, err := stripe.VerifyWebhook(body, header, secrets, w.Now())
	if err != nil || hint.StripeCustomer != "cus_1" {
		t.Errorf("hint %+v, error %v", hint, err)
	}
}
