package stripe

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// goodSubscription has all its parts; the strictness cases replace one of them.
const goodSubscription = `{"id":"sub_1","object":"subscription","livemode":false,"status":"active","created":1700000000,` +
	`"customer":{"id":"cus_1","object":"customer","livemode":false,"email":"a@example.com"},` +
	`"items":{"object":"list","has_more":false,"data":[` + goodItem + `]}}`

const goodItem = `{"id":"si_1","object":"subscription_item","quantity":2,"created":1700000000,"price":{"id":"price_1","livemode":false,"product":"prod_1"}}`

// with replaces a part of goodSubscription, and fails if it was not there.
func with(t *testing.T, old, replacement string) string {
	t.Helper()
	changed := strings.Replace(goodSubscription, old, replacement, 1)
	if changed == goodSubscription {
		t.Fatalf("%q is not in the good subscription", old)
	}
	return changed
}

// brokenSubscriptions are objects that prove nothing, by the text that the error must
// hold.
func brokenSubscriptions(t *testing.T) map[string]string {
	return map[string]string{
		`an object "customer" where`:                   with(t, `"subscription"`, `"customer"`),
		`an object "" where`:                           with(t, `"object":"subscription",`, ``),
		`a subscription with the id ""`:                with(t, `"sub_1"`, `""`),
		`a subscription with the id "cus_1"`:           with(t, `"sub_1"`, `"cus_1"`),
		`a subscription with the id "sub_1/../x"`:      with(t, `"sub_1"`, `"sub_1/../x"`),
		`has no livemode`:                              with(t, `"livemode":false,"status"`, `"status"`),
		`is of live mode, but the key is of test mode`: with(t, `"livemode":false,"status"`, `"livemode":true,"status"`),
		`has no time of creation`:                      with(t, `"created":1700000000,"customer"`, `"customer"`),
		`the customer cus_1 is of live mode`:           with(t, `"customer","livemode":false`, `"customer","livemode":true`),
		`the price of item si_1 is of live mode`:       with(t, `"price_1","livemode":false`, `"price_1","livemode":true`),
		`created" at byte`:                             with(t, `"created":1700000000,"customer"`, `"created":"yesterday","customer"`),
	}
}

func TestABrokenSubscriptionIsAnErrorAndNeverAShorterList(t *testing.T) {
	for text, body := range brokenSubscriptions(t) {
		t.Run(text, func(t *testing.T) {
			c := always(reply{body: page(false, body)}).client(t)
			staged := 0
			listing, err := c.Sweep(t.Context(), func(page []reconcile.SubscriptionFacts) error {
				staged += len(page)
				return nil
			})
			refused(t, err, text)
			if diff := cmp.Diff(reconcile.Listing{}, listing); diff != "" || staged != 0 {
				t.Errorf("%d staged, listing (-want +got):\n%s", staged, diff)
			}
			one, err := always(reply{body: body}).client(t).Subscription(t.Context(), "sub_1")
			if diff := cmp.Diff(reconcile.SubscriptionFacts{}, one); diff != "" || fault.Of(err) != fault.Malformed {
				t.Errorf("read by id: %v (%v), want malformed, and facts (-want +got):\n%s", err, fault.Of(err), diff)
			}
		})
	}
}

// nothing ignores a page.
func nothing([]reconcile.SubscriptionFacts) error { return nil }

// refused checks that an error is Malformed and holds a text.
func refused(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, fault.Malformed) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v (%v), want malformed: %s", err, fault.Of(err), text)
	}
}

func TestTheGoodSubscriptionOfTheseTestsIsAccepted(t *testing.T) {
	listing, err := always(reply{body: page(false, goodSubscription)}).client(t).Sweep(t.Context(),
		nothing)
	if err != nil || listing.Count != 1 {
		t.Errorf("%d listed, error %v", listing.Count, err)
	}
}

func TestABrokenPageIsAnErrorAndNeverAnEmptyList(t *testing.T) {
	for text, replies := range map[string][]reply{
		`object is ""`:                   {{body: `{}`}},
		`a page whose object is "acc`:    {{body: `{"object":"account","data":[],"has_more":false}`}},
		`a page without has_more`:        {{body: `{"object":"list","data":[]}`}},
		`a page without data`:            {{body: `{"object":"list","data":null,"has_more":false}`}},
		`an empty page that promises`:    {{body: page(true)}},
		`an object "" where`:             {{body: page(false, `{}`)}},
		`an object "" where a`:           {{body: page(false, `null`)}},
		`not JSON from byte`:             {{body: `<html>Sign in to the hotel's Wi-Fi</html>`}},
		`not JSON from byte 25`:          {{body: `{"object":"list","data":[`}},
		`not JSON from byte 0`:           {{body: ``}},
		`wrong type`:                     {{body: `[]`}},
		`wrong type in field "data"`:     {{body: `{"object":"list","data":{},"has_more":false}`}},
		`answer larger than 16 MiB`:      {{body: strings.Repeat(" ", maxBody) + page(false)}},
		`sub_1 appears twice in one l`:   {{body: page(true, createdAt("sub_1", 1700000000))}}, // ignores the cursor
		`is newer than the one before`:   {{body: page(true, createdAt("sub_1", 1700000000))}, {body: page(false, createdAt("sub_2", 1700000001))}},
		`sub_3 is newer than the one be`: {{body: page(false, createdAt("sub_2", 1700000000), createdAt("sub_3", 1700000001))}},
	} {
		t.Run(text, func(t *testing.T) {
			s := inTurn(replies...)
			_, err := s.client(t, func(o *Options) { o.Concurrency = 1 }).Sweep(t.Context(), nothing)
			refused(t, err, text)
			if s.requests() > 2 {
				t.Errorf("%d requests for an answer that was not one", s.requests())
			}
		})
	}
}

// createdAt is the good subscription under another id, and created at another time.
func createdAt(id string, created int64) string {
	return strings.NewReplacer("sub_1", id, `"created":1700000000,"customer"`, fmt.Sprintf(`"created":%d,"customer"`, created)).Replace(goodSubscription)
}

// TestASliceMayNotContainWhatIsOutsideOfIt, because then the slice beside it may lack it.
func TestASliceMayNotContainWhatIsOutsideOfIt(t *testing.T) {
	for bound, created := range map[string]int64{"created[gte]": -1, "created[lte]": 1} {
		synctest.Test(t, func(t *testing.T) {
			s := &stub{answer: func(_ int, r *http.Request) reply {
				time.Sleep(time.Millisecond) // so that the other workers wait for a slice
				q := r.URL.Query()
				switch {
				case q.Encode() == firstSlice:
					return reply{body: page(true, createdAt("sub_1", 1750000000), createdAt("sub_2", 1749000000))}
				case !q.Has(bound), q.Has("starting_after"):
					return reply{body: page(false)}
				}
				at, err := strconv.ParseInt(q.Get(bound), 10, 64)
				if err != nil {
					t.Error(err)
				}
				return reply{body: page(false, createdAt("sub_3", at+created))} // a second beyond it
			}}
			_, err := s.client(t).Sweep(t.Context(), nothing)
			refused(t, err, "sub_3 was created outside of the slice")
		})
	}
}

// firstSlice is the query with which a sweep begins.
var firstSlice = url.Values{"status": {"all"}, "limit": {"100"}, "expand[0]": {"data.customer"}}.Encode()

func TestAnotherObjectThanTheOneAskedForIsRefused(t *testing.T) {
	_, err := always(reply{body: goodSubscription}).client(t).Subscription(t.Context(), "sub_2")
	refused(t, err, "asked for sub_2, got sub_1")
}

func TestAnIdThatIsNotOneIsNeverSent(t *testing.T) {
	s := always(reply{body: goodSubscription})
	c := s.client(t)
	for _, id := range []string{"", "sub_", "cus_1", "sub_1/../../v1/customers", "sub_1?x=y", "sub_1#", "sub_é", "sub_1\n", "../sub_1", "sub_" + strings.Repeat("x", 300)} {
		_, one := c.Subscription(t.Context(), id)
		_, domain := c.CheckoutDomain(t.Context(), id)
		write := c.WriteMetadata(t.Context(), id, map[string]string{"a": "b"})
		for _, err := range []error{one, domain, write} {
			if diff := cmp.Diff(fault.Permanent, fault.Of(err)); diff != "" {
				t.Errorf("kind for %q (-want +got):\n%s", id, diff)
			}
		}
	}
	if s.requests() != 0 {
		t.Errorf("%d requests were sent", s.requests())
	}
}

func TestAnErrorOfStageEndsTheSweepAsItIs(t *testing.T) {
	full := errors.New("disk full")
	f := newFleet(spread(testRand(), 5000, newest-90*day, newest))
	_, err := f.client(t, 1e6, 4).Sweep(t.Context(), func([]reconcile.SubscriptionFacts) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("error %v, want the one of stage", err)
	}
	if n := f.requests.Load(); n > 8 {
		t.Errorf("%d requests after the first page was refused", n)
	}
}

func TestFactsOfEveryShapeOfSubscription(t *testing.T) {
	now := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	base := func(change func(*reconcile.SubscriptionFacts)) reconcile.SubscriptionFacts {
		created := time.Unix(1700000000, 0).UTC()
		f := reconcile.SubscriptionFacts{
			Subscription: reconcile.Subscription{ID: "sub_1", StripeCustomer: "cus_1", Status: reconcile.StatusActive, StatusText: "active",
				Created: created, ReadAt: now, ByID: true,
				Items: []reconcile.Item{{ID: "si_1", Price: "price_1", Product: "prod_1", Quantity: 2, Created: created}}},
			Buyer: reconcile.StripeCustomer{ID: "cus_1", Email: "a@example.com"},
		}
		change(&f)
		return f
	}
	at := time.Unix(1800000000, 0).UTC()
	for _, tt := range []struct {
		name, old, replacement string
		change                 func(*reconcile.SubscriptionFacts)
	}{
		{"a status nobody has heard of keeps its word", `"active"`, `"hibernating"`,
			func(f *reconcile.SubscriptionFacts) {
				f.Status, f.StatusText = reconcile.StatusUnknown, "hibernating"
			}},
		{"collection paused", `"status"`, `"pause_collection":{"behavior":"void"},"status"`,
			func(f *reconcile.SubscriptionFacts) { f.CollectionPaused = true }},
		{"collection not paused", `"status"`, `"pause_collection":null,"status"`, func(*reconcile.SubscriptionFacts) {}},
		{"announced to end", `"status"`, `"cancel_at_period_end":true,"current_period_end":1800000000,"canceled_at":1700000001,"status"`,
			func(f *reconcile.SubscriptionFacts) { f.CancelAtPeriodEnd, f.CurrentPeriodEnd = true, at }},
		{"announced to end on a day of its own", `"status"`, `"cancel_at_period_end":false,"cancel_at":1800000000,"status"`,
			func(f *reconcile.SubscriptionFacts) { f.CancelAt = at }},
		{"sent invoices", `"status"`, `"collection_method":"send_invoice","status"`, func(f *reconcile.SubscriptionFacts) { f.SendInvoice = true }},
		{"charged", `"status"`, `"collection_method":"charge_automatically","cancel_at":null,"status"`, func(*reconcile.SubscriptionFacts) {}},
		{"ended", `"active"`, `"canceled","ended_at":1800000000,"canceled_at":1700000001`,
			func(f *reconcile.SubscriptionFacts) {
				f.Status, f.StatusText, f.EndedAt = reconcile.StatusCanceled, "canceled", at
			}},
		{"ended before ended_at was kept", `"active"`, `"canceled","ended_at":null,"canceled_at":1800000000`,
			func(f *reconcile.SubscriptionFacts) {
				f.Status, f.StatusText, f.EndedAt = reconcile.StatusCanceled, "canceled", at
			}},
		{"the period end kept on the items", `"quantity":2`, `"quantity":2,"current_period_end":1800000000`,
			func(f *reconcile.SubscriptionFacts) { f.CurrentPeriodEnd = at }},
		{"a metered item without quantity", `"quantity":2,`, ``, func(f *reconcile.SubscriptionFacts) { f.Items[0].Quantity = 1 }},
		{"a quantity of null", `"quantity":2`, `"quantity":null`, func(f *reconcile.SubscriptionFacts) { f.Items[0].Quantity = 1 }},
		{"a quantity of nothing", `"quantity":2`, `"quantity":0`, func(f *reconcile.SubscriptionFacts) { f.Items[0].Quantity = 0 }},
		{"a legacy plan", `"price":{"id":"price_1"`, `"price":null,"plan":{"id":"gold plan"`,
			func(f *reconcile.SubscriptionFacts) { f.Items[0].Price = "gold plan" }},
		{"a lookup key", `"id":"price_1"`, `"id":"price_1","lookup_key":"basic"`, func(f *reconcile.SubscriptionFacts) { f.Items[0].LookupKey = "basic" }},
		{"an expanded product", `"prod_1"`, `{"id":"prod_9","object":"product"}`, func(f *reconcile.SubscriptionFacts) { f.Items[0].Product = "prod_9" }},
		{"a deleted customer", `"livemode":false,"email":"a@example.com"`, `"deleted":true`,
			func(f *reconcile.SubscriptionFacts) { f.Buyer.Email, f.Buyer.Deleted = "", true }},
		{"a customer without e-mail", `"email":"a@example.com"`, `"email":null`, func(f *reconcile.SubscriptionFacts) { f.Buyer.Email = "" }},
		{"metadata that is not ours", `"status"`, `"metadata":{"Domain":"x.test","Enhance_org_id":"any"},"status"`, func(*reconcile.SubscriptionFacts) {}},
		{"metadata that cannot be read", `"status"`, `"metadata":{"enhance_org_id":"ours","enhance_subscription_id":" #4"},"status"`,
			func(f *reconcile.SubscriptionFacts) { f.MetadataOrgText, f.MetadataHostingText = "ours", "#4" }},
		{"fields that nobody knows", `"status"`, `"flux":{"capacitor":[1.21]},"status"`, func(*reconcile.SubscriptionFacts) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := always(reply{body: with(t, tt.old, tt.replacement)}).client(t, func(o *Options) { o.Now = func() time.Time { return now } })
			got, err := c.Subscription(t.Context(), "sub_1")
			if err != nil {
				t.Fatal(err)
			}
			want := base(tt.change)
			want.Request = "req_canary" // of the answer's header
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}
