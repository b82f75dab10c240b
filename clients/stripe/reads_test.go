package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// lateSubscription is one whose invoices are read because of its status.
var lateSubscription = strings.Replace(goodSubscription, `"active"`, `"past_due"`, 1)

func invoice(id string, fields string) string {
	return fmt.Sprintf(`{"id":%q,"object":"invoice","livemode":false,"status":"open","subscription":"sub_1","created":1700000500,"amount_remaining":900,%s}`, id, fields)
}

func TestUnpaidSinceIsTheOldestOpenInvoiceWithMoneyLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		invoices []string
		want     int64
	}{
		"the due date":                     {[]string{invoice("in_1", `"due_date":1700001000`)}, 1700001000},
		"the oldest of several":            {[]string{invoice("in_1", `"due_date":1700003000`), invoice("in_2", `"due_date":1700001000`), invoice("in_3", `"due_date":1700002000`)}, 1700001000},
		"when finalised without due date":  {[]string{invoice("in_1", `"due_date":null,"status_transitions":{"finalized_at":1700000700}`)}, 1700000700},
		"when created without either":      {[]string{invoice("in_1", `"due_date":null,"status_transitions":{"finalized_at":null}`)}, 1700000500},
		"nothing open":                     {nil, 0},
		"nothing left to pay":              {[]string{strings.Replace(invoice("in_1", `"due_date":1700001000`), `:900`, `:0`, 1)}, 0},
		"the newer of which one is paid":   {[]string{strings.Replace(invoice("in_1", `"due_date":1700001000`), `:900`, `:0`, 1), invoice("in_2", `"due_date":1700002000`)}, 1700002000},
		"the subscription on the parent":   {[]string{strings.Replace(invoice("in_1", `"parent":{"subscription_details":{"subscription":"sub_1"}}`), `"subscription":"sub_1","created"`, `"created"`, 1)}, 1700000500},
		"the subscription as an object":    {[]string{strings.Replace(invoice("in_1", `"due_date":1700001000`), `"sub_1"`, `{"id":"sub_1"}`, 1)}, 1700001000},
		"an invoice of no subscription is": {[]string{strings.Replace(invoice("in_1", `"due_date":1700001000`), `"sub_1"`, `null`, 1)}, 1700001000},
	} {
		t.Run(name, func(t *testing.T) {
			s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription}, "/v1/invoices": {body: page(false, tt.invoices...)}})
			got, err := s.client(t).Subscription(t.Context(), "sub_1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(instant(tt.want), got.UnpaidSince); diff != "" {
				t.Errorf("unpaid since (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff("subscription=sub_1&limit=100", s.seen[1].URL.RawQuery); diff != "" {
				t.Errorf("query (-want +got):\n%s", diff)
			}
		})
	}
}

// balanced is an invoice with all its fields given.
func balanced(id string, status string, created, paid int64) string {
	left, got := int64(900), int64(0)
	if status == "paid" {
		left, got = 0, 900
	}
	return fmt.Sprintf(`{"id":%q,"object":"invoice","livemode":false,"status":%q,"subscription":"sub_1","created":%d,"amount_remaining":%d,"amount_paid":%d,`+
		`"status_transitions":{"finalized_at":%d,"paid_at":%d}}`, id, status, created, left, got, created, paid)
}

func TestInvoicesTellTheLatestDueAndTheLastPaymentThatPutThingsRight(t *testing.T) {
	for name, tt := range map[string]struct {
		invoices          []string
		oldest, due, paid int64
	}{
		"one open":                              {[]string{balanced("in_1", "open", 100, 0)}, 100, 100, 0},
		"the latest of several":                 {[]string{balanced("in_1", "open", 100, 0), balanced("in_3", "open", 300, 0), balanced("in_2", "open", 200, 0)}, 100, 300, 0},
		"an older one open, a later one paid":   {[]string{balanced("in_3", "open", 300, 0), balanced("in_2", "paid", 200, 210), balanced("in_1", "open", 100, 0)}, 100, 300, 210},
		"the older one paid while one is open":  {[]string{balanced("in_2", "open", 200, 0), balanced("in_1", "paid", 100, 250)}, 200, 200, 0},
		"paid in the second of the next":        {[]string{balanced("in_2", "open", 200, 0), balanced("in_1", "paid", 100, 200)}, 200, 200, 200},
		"both paid at once":                     {[]string{balanced("in_2", "paid", 200, 250), balanced("in_1", "paid", 100, 250)}, 0, 0, 250},
		"the older one paid before the later":   {[]string{balanced("in_2", "paid", 200, 260), balanced("in_1", "paid", 100, 250)}, 0, 0, 260},
		"written off":                           {[]string{balanced("in_2", "uncollectible", 200, 0), balanced("in_1", "void", 100, 0)}, 0, 0, 0},
		"paid while a later one is written off": {[]string{balanced("in_2", "uncollectible", 200, 0), balanced("in_1", "paid", 100, 250)}, 0, 0, 250},
		"a draft":                               {[]string{balanced("in_2", "draft", 200, 0), balanced("in_1", "paid", 100, 250)}, 0, 0, 250},
		"paid with nothing":                     {[]string{strings.Replace(balanced("in_1", "paid", 100, 110), `"amount_paid":900`, `"amount_paid":0`, 1)}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription}, "/v1/invoices": {body: page(false, tt.invoices...)}})
			got, err := s.client(t).Subscription(t.Context(), "sub_1")
			if err != nil {
				t.Fatal(err)
			}
			want := []time.Time{instant(tt.oldest), instant(tt.due), instant(tt.paid)}
			if diff := cmp.Diff(want, []time.Time{got.UnpaidSince, got.LatestDue, got.PaidAt}); diff != "" {
				t.Errorf("oldest due, latest due and paid (-want +got):\n%s", diff)
			}
		})
	}
}

// Which invoice is the latest that is due is a question to Stripe's clock: by one that is a day
// behind, today's invoice is due tomorrow, and an older open one would be the latest.
func TestTheLatestDueIsTheLatestByStripesClock(t *testing.T) {
	s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription},
		"/v1/invoices": {body: page(false, balanced("in_2", "open", 1_800_000_000, 0), balanced("in_1", "open", 1_799_000_000, 0)),
			header: map[string]string{"Date": time.Unix(1_800_000_000, 0).UTC().Format(http.TimeFormat)}}})
	for _, off := range []time.Duration{0, -24 * time.Hour} {
		got, err := s.client(t, func(o *Options) { o.Now = func() time.Time { return time.Unix(1_800_000_000, 0).Add(off) } }).Subscription(t.Context(), "sub_1")
		if err != nil || !got.LatestDue.Equal(instant(1_800_000_000)) {
			t.Errorf("by a clock that is off by %s: due %s, %v", off, got.LatestDue, err)
		}
	}
}

func TestTheOldestOpenInvoiceIsShownWithItsPage(t *testing.T) {
	one := func(id, more string) string {
		return strings.Replace(invoice(id, more), `"amount_remaining":900`, `"amount_remaining":900,"currency":"eur"`, 1)
	}
	for name, tt := range map[string]struct {
		invoices []string
		want     reconcile.OpenInvoice
	}{
		"one":      {[]string{one("in_1", `"due_date":1700001000,"hosted_invoice_url":"https://pay.example.com/1"`)}, reconcile.OpenInvoice{ID: "in_1", Due: instant(1700001000), Left: 900, Currency: "eur", URL: "https://pay.example.com/1", Open: 1}},
		"no page":  {[]string{one("in_1", `"due_date":1700001000,"hosted_invoice_url":null`)}, reconcile.OpenInvoice{ID: "in_1", Due: instant(1700001000), Left: 900, Currency: "eur", Open: 1}},
		"a script": {[]string{one("in_1", `"due_date":1700001000,"hosted_invoice_url":"javascript:alert(1)"`)}, reconcile.OpenInvoice{ID: "in_1", Due: instant(1700001000), Left: 900, Currency: "eur", Open: 1}},
		"several":  {[]string{one("in_2", `"due_date":1700002000`), one("in_1", `"due_date":1700001000`), one("in_3", `"due_date":1700003000`)}, reconcile.OpenInvoice{ID: "in_1", Due: instant(1700001000), Left: 900, Currency: "eur", Open: 3}},
		"none":     {nil, reconcile.OpenInvoice{}},
	} {
		s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription}, "/v1/invoices": {body: page(false, tt.invoices...)}})
		got, err := s.client(t).Subscription(t.Context(), "sub_1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got.Owed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestInvoicesThatProveNothingAreRefused(t *testing.T) {
	for text, body := range map[string]string{
		"an invoice of another subscription": page(false, strings.Replace(invoice("in_1", `"due_date":1`), "sub_1", "sub_2", 1)),
		"of another subscription":            page(false, strings.Replace(invoice("in_1", `"parent":{"subscription_details":{"subscription":"sub_2"}}`), `"subscription":"sub_1",`, ``, 1)),
		"without a status":                   page(false, strings.Replace(invoice("in_1", `"due_date":1`), `"open"`, `""`, 1)),
		"without any date":                   page(false, strings.Replace(invoice("in_1", `"due_date":0`), "1700000500", "0", 1)),
		"is of live mode":                    page(false, strings.Replace(invoice("in_1", `"due_date":1`), "false", "true", 1)),
		"a page without has_more":            `{"object":"list","data":[]}`,
	} {
		s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription}, "/v1/invoices": {body: body}})
		_, err := s.client(t).Subscription(t.Context(), "sub_1")
		refused(t, err, text)
	}
}

func TestInvoicesAreReadOnlyWhereTheyMatter(t *testing.T) {
	for status, want := range map[string]int{"active": 1, "trialing": 1, "canceled": 1, "paused": 1, "incomplete_expired": 1,
		"hibernating": 1, "past_due": 2, "unpaid": 2, "incomplete": 2} {
		s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: strings.Replace(goodSubscription, `"active"`, `"`+status+`"`, 1)}, "/v1/invoices": {body: page(false)}})
		if err := readOnce(t.Context(), s.client(t)); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, s.requests()); diff != "" {
			t.Errorf("requests for %s (-want +got):\n%s", status, diff)
		}
	}
}

func TestInvoicesThatMayNotBeReadAreNotTriedAgainForAnHour(t *testing.T) {
	for _, status := range []int{401, 403} {
		now := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
		s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription}, "/v1/invoices": {status: status}})
		c := s.client(t, func(o *Options) { o.Now = func() time.Time { return now } })
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 2}, {time.Minute, 3}, {58*time.Minute + 59*time.Second, 4}, {time.Second, 6}} {
			now = now.Add(step.after)
			f, err := c.Subscription(t.Context(), "sub_1")
			if err != nil || !f.UnpaidSince.IsZero() || f.Status != reconcile.StatusPastDue {
				t.Errorf("facts %+v, error %v", f, err)
			}
			if diff := cmp.Diff(step.want, s.requests()); diff != "" {
				t.Errorf("requests after %v (-want +got):\n%s", step.after, diff)
			}
		}
	}
}

func TestAnInvoiceThatCannotBeReadForAnotherReasonIsAnError(t *testing.T) {
	s := byPath(map[string]reply{"/v1/subscriptions/sub_1": {body: lateSubscription}, "/v1/invoices": {status: 500}})
	if err := readOnce(t.Context(), s.client(t)); fault.Of(err) != fault.Transient {
		t.Errorf("error %v, want transient", err)
	}
}

// eventBody is an event around an object.
func eventBody(id, kind, object string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","livemode":false,"created":1700000900,"type":%q,"data":{"object":%s}}`, id, kind, object)
}

func TestAnEventIsReducedToWhatItTouched(t *testing.T) {
	for name, tt := range map[string]struct {
		kind, object           string
		subscription, customer string
	}{
		"a subscription":                 {"customer.subscription.updated", `{"object":"subscription","id":"sub_1","customer":"cus_1"}`, "sub_1", ""},
		"a customer":                     {"customer.updated", `{"object":"customer","id":"cus_1"}`, "", "cus_1"},
		"a deleted customer":             {"customer.deleted", `{"object":"customer","id":"cus_1","deleted":true}`, "", "cus_1"},
		"an invoice":                     {"invoice.paid", `{"object":"invoice","id":"in_1","customer":"cus_1","subscription":"sub_1"}`, "sub_1", ""},
		"an invoice, expanded":           {"invoice.paid", `{"object":"invoice","id":"in_1","subscription":{"id":"sub_1"}}`, "sub_1", ""},
		"an invoice of 2025":             {"invoice.paid", `{"object":"invoice","id":"in_1","parent":{"subscription_details":{"subscription":"sub_1"}}}`, "sub_1", ""},
		"an invoice of 2025, expan":      {"invoice.paid", `{"object":"invoice","id":"in_1","parent":{"subscription_details":{"subscription":{"id":"sub_1"}}}}`, "sub_1", ""},
		"an invoice of something":        {"invoice.paid", `{"object":"invoice","id":"in_1","subscription":null,"parent":null}`, "", ""},
		"a session":                      {"checkout.session.completed", `{"object":"checkout.session","id":"cs_1","mode":"subscription","subscription":"sub_1"}`, "sub_1", ""},
		"a session of a payment":         {"checkout.session.completed", `{"object":"checkout.session","id":"cs_1","mode":"payment","subscription":null}`, "", ""},
		"another object":                 {"price.updated", `{"object":"price","id":"price_1"}`, "", ""},
		"an id fit for mischief":         {"customer.subscription.updated", `{"object":"subscription","id":"sub_1/../../x"}`, "", ""},
		"a customer fit for mischie":     {"customer.updated", `{"object":"customer","id":"../x"}`, "", ""},
		"a customer named like an order": {"customer.updated", `{"object":"customer","id":"sub_1"}`, "", ""},
		"a customer of old":              {"customer.updated", `{"object":"customer","id":"legacy-42"}`, "", "legacy-42"},
		"a reference from tomorrow":      {"invoice.paid", `{"object":"invoice","id":"in_1","subscription":["sub_1"]}`, "", ""},
		"a parent from tomorrow":         {"invoice.paid", `{"object":"invoice","id":"in_1","parent":"sub_1","subscription":"sub_1"}`, "sub_1", ""},
		"no object":                      {"v2.core.event", `null`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := reconcile.Event{ID: "evt_1", Type: tt.kind, Created: time.Unix(1700000900, 0).UTC(), Subscription: tt.subscription, StripeCustomer: tt.customer}
			s := always(reply{body: page(false, eventBody("evt_1", tt.kind, tt.object)), header: map[string]string{"Date": "Mon, 02 Mar 2026 09:00:00 GMT"}})
			got, err := s.client(t).Events(t.Context(), time.Unix(1700000900, 0))
			if err != nil {
				t.Fatal(err)
			}
			whole := reconcile.Events{Touched: []reconcile.Event{want}, AsOf: time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)}
			if diff := cmp.Diff(whole, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if s.requests() != 1 {
				t.Errorf("%d requests", s.requests())
			}
		})
	}
}

func TestEventsAreAskedForByTypeAndNotMoreThanStripeTakes(t *testing.T) {
	s := always(reply{body: page(false)})
	if _, err := s.client(t).Events(t.Context(), time.Unix(1700000000, 999)); err != nil {
		t.Fatal(err)
	}
	q := s.seen[0].URL.Query()
	types := 0
	for key := range q {
		if strings.HasPrefix(key, "types[") {
			types++
		}
	}
	if types != len(eventTypes) || types > 20 || q.Get("created[gte]") != "1700000000" || q.Get("limit") != "100" {
		t.Errorf("%d types, query %v", types, q)
	}
}

func TestEventsThatAreNotWhatWasAskedForAreRefused(t *testing.T) {
	good := eventBody("evt_1", "invoice.paid", `{}`)
	for text, s := range map[string]*stub{
		"created before the time":         always(reply{body: page(false, strings.Replace(good, "1700000900", "1600000000", 1))}),
		"evt_1 appears twice in one list": always(reply{body: page(true, good)}), // because the server ignores the cursor
		"an empty page that promises":     inTurn(reply{body: page(true, good)}, reply{body: page(true)}),
		"is of live mode":                 always(reply{body: page(false, strings.Replace(good, "false", "true", 1))}),
		`an object "" where`:              always(reply{body: page(false, `{"id":"evt_1"}`)}),
		`a event with the id "in_1"`:      always(reply{body: page(false, strings.Replace(good, "evt_1", "in_1", 1))}),
		`a page whose object is ""`:       always(reply{body: `{}`}),
		`a page without has_more`:         always(reply{body: `{"object":"list","data":[]}`}),
		`a value of the wrong type in`:    always(reply{body: page(false, `[]`)}),
	} {
		events, err := s.client(t).Events(t.Context(), time.Unix(1700000000, 0))
		refused(t, err, text)
		if events.Touched != nil {
			t.Errorf("%d events beside the error", len(events.Touched))
		}
	}
}

func TestKnownLooksInTheOrderOfTheName(t *testing.T) {
	price := `{"id":"%s","object":"price","livemode":false,"lookup_key":%q}`
	priceOf := func(id, key string) string { return fmt.Sprintf(price, id, key) }
	product := `{"id":"prod_1","object":"product","livemode":false}`
	for name, tt := range map[string]struct {
		id      string
		replies map[string]reply
		want    bool
		paths   []string
	}{
		"a price":                      {"price_1", map[string]reply{"/v1/prices/price_1": {body: priceOf("price_1", "")}}, true, []string{"/v1/prices/price_1"}},
		"no price":                     {"price_1", map[string]reply{"/v1/prices": {body: page(false)}}, false, []string{"/v1/prices/price_1", "/v1/prices"}},
		"a key that looks like a pric": {"price_b", map[string]reply{"/v1/prices": {body: page(false, priceOf("price_9", "price_b"))}}, true, []string{"/v1/prices/price_b", "/v1/prices"}},
		"a plan":                       {"plan_1", map[string]reply{"/v1/prices/plan_1": {body: priceOf("plan_1", "")}}, true, []string{"/v1/prices/plan_1"}},
		"a product":                    {"prod_1", map[string]reply{"/v1/products/prod_1": {body: product}}, true, []string{"/v1/products/prod_1"}},
		"no product":                   {"prod_1", map[string]reply{"/v1/prices": {body: page(false)}}, false, []string{"/v1/products/prod_1", "/v1/prices"}},
		"a lookup key":                 {"basic", map[string]reply{"/v1/prices": {body: page(false, priceOf("price_9", "basic"))}}, true, []string{"/v1/prices"}},
		"a plan with a name of its ow": {"gold plan/2", map[string]reply{"/v1/prices": {body: page(false)}, "/v1/prices/gold plan/2": {body: priceOf("gold plan/2", "")}}, true, []string{"/v1/prices", "/v1/prices/gold%20plan%2F2"}},
		"nothing":                      {"basic", map[string]reply{"/v1/prices": {body: page(false)}, "/v1/entitlements/features": {body: page(false)}}, false, []string{"/v1/prices", "/v1/prices/basic", "/v1/entitlements/features"}},
		"a feature":                    {"basic", map[string]reply{"/v1/prices": {body: page(false)}, "/v1/entitlements/features": {body: page(false, `{"id":"feat_1","object":"entitlements.feature","livemode":false,"lookup_key":"basic"}`)}}, true, []string{"/v1/prices", "/v1/prices/basic", "/v1/entitlements/features"}},
		"the empty name":               {"", nil, false, nil},
		"a name with a line break":     {"a\nb", nil, false, nil},
		"a name that leads upwards":    {"..", map[string]reply{"/v1/prices": {body: page(false)}, "/v1/entitlements/features": {body: page(false)}}, false, []string{"/v1/prices", "/v1/entitlements/features"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := byPath(tt.replies)
			got, err := s.client(t).Known(t.Context(), tt.id)
			if err != nil || got != tt.want {
				t.Errorf("known %v, error %v, want %v", got, err, tt.want)
			}
			var paths []string
			for _, r := range s.seen {
				paths = append(paths, r.URL.EscapedPath())
			}
			if diff := cmp.Diff(tt.paths, paths); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnErrorIsNeverUnknownPrice(t *testing.T) {
	for name, tt := range map[string]struct {
		answer reply
		kind   fault.Kind
	}{
		"denied":                    {reply{status: 403}, fault.Denied},
		"down":                      {reply{status: 503}, fault.Transient},
		"a proxy's 404":             {reply{status: 404, body: "<html>"}, fault.Permanent},
		"an object of another mode": {reply{body: `{"id":"price_1","object":"price","livemode":true}`}, fault.Malformed},
		"another price":             {reply{body: `{"id":"price_2","object":"price","livemode":false}`}, fault.Malformed},
		"a price in the other mode": {reply{status: 404, body: strings.Replace(missingBody, "No such thing", "a similar object exists in test mode", 1)}, fault.Permanent},
	} {
		known, err := always(tt.answer).client(t).Known(t.Context(), "price_1")
		if known || fault.Of(err) != tt.kind {
			t.Errorf("%s: known %v, error %v (%v), want %v", name, known, err, fault.Of(err), tt.kind)
		}
	}
	wrong := always(reply{body: page(false, `{"id":"price_1","object":"price","livemode":false,"lookup_key":"pro"}`)})
	_, err := wrong.client(t).Known(t.Context(), "basic")
	refused(t, err, "does not have the lookup key")
}

func TestPricesAreListedAsAnOperatorKnowsThem(t *testing.T) {
	s := inTurn(
		reply{body: page(true, `{"id":"price_1","object":"price","livemode":false,"active":true,"lookup_key":"basic","nickname":"Basic monthly","currency":"eur","unit_amount":900,`+
			`"recurring":{"interval":"month","interval_count":3},"product":{"id":"prod_1","name":"Basic","active":true}}`)},
		reply{body: page(false, `{"id":"price_2","object":"price","livemode":false,"lookup_key":null,"nickname":null,"currency":"usd","unit_amount":null,"recurring":null,"product":"prod_2"}`)})
	got, err := s.client(t).Prices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Price{
		{ID: "price_1", LookupKey: "basic", Nickname: "Basic monthly", Product: "prod_1", ProductName: "Basic",
			UnitAmount: 900, HasAmount: true, Currency: "eur", Interval: "month", IntervalCount: 3},
		{ID: "price_2", Product: "prod_2", Currency: "usd"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("price_1", s.seen[1].URL.Query().Get("starting_after")); diff != "" {
		t.Errorf("cursor (-want +got):\n%s", diff)
	}
}

func TestAPriceIsReadByIDThoughItIsOffSale(t *testing.T) {
	for fields, archived := range map[string]bool{
		`"active":true,"product":{"id":"prod_1","name":"Basic","active":true}`:  false,
		`"active":false,"product":{"id":"prod_1","name":"Basic","active":true}`: true,
		`"active":true,"product":{"id":"prod_1","name":"Basic","active":false}`: true,
		`"product":{"id":"prod_1","name":"Basic"}`:                              false,
	} {
		s := always(reply{body: `{"id":"price_1","object":"price","livemode":false,"currency":"eur",` + fields + `}`})
		got, err := s.client(t).Price(t.Context(), "price_1")
		want := Price{ID: "price_1", Product: "prod_1", ProductName: "Basic", Currency: "eur", Archived: archived}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", fields, err, diff)
		}
		if r := s.seen[0].URL; r.Path != "/v1/prices/price_1" || r.Query().Get("expand[0]") != "product" {
			t.Errorf("asked for %s", r)
		}
	}
	missing, err := always(reply{status: 404, body: missingBody}).client(t).Price(t.Context(), "price_1")
	if diff := cmp.Diff(Price{}, missing); diff != "" || fault.Of(err) != fault.NotFound {
		t.Errorf("a price that does not exist: error %v (-want +got):\n%s", err, diff)
	}
	for _, id := range []string{"", ".", ".."} {
		s := always(reply{})
		if _, err := s.client(t).Price(t.Context(), id); err == nil || len(s.seen) > 0 {
			t.Errorf("%q: error %v, %d requests", id, err, len(s.seen))
		}
	}
}

func TestTheCheckoutDomainIsWhatTheBuyerTyped(t *testing.T) {
	session := func(id, fields string) string {
		return fmt.Sprintf(`{"id":"cs_test_%s","object":"checkout.session","livemode":false,"subscription":"sub_1","custom_fields":%s}`, id, fields)
	}
	typed := `[{"key":"company","text":{"value":"ACME"}},{"key":"domain","type":"text","text":{"value":" shop.example "}}]`
	for name, tt := range map[string]struct{ body, want string }{
		"typed":             {page(false, session("a", typed)), "shop.example"},
		"chosen":            {page(false, session("a", `[{"key":"domain","dropdown":{"value":"shop.example"}}]`)), "shop.example"},
		"left empty":        {page(false, session("a", `[{"key":"domain","text":{"value":null}}]`)), ""},
		"not asked for":     {page(false, session("a", `[]`)), ""},
		"no custom fields":  {page(false, session("a", `null`)), ""},
		"no session":        {page(false), ""},
		"the first session": {page(false, session("b", strings.Replace(typed, "shop", "late", 1)), session("a", typed)), "shop.example"},
	} {
		got, err := always(reply{body: tt.body}).client(t).CheckoutDomain(t.Context(), "sub_1")
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, error %v, want %q", name, got, err, tt.want)
		}
	}
	other := always(reply{body: page(false, strings.Replace(session("a", typed), "sub_1", "sub_2", 1))})
	_, err := other.client(t).CheckoutDomain(t.Context(), "sub_1")
	refused(t, err, "a session of another subscription")
}

func TestCheckReportsEachPermissionOnItsOwn(t *testing.T) {
	s := &stub{answer: func(_ int, r *http.Request) reply {
		if strings.HasSuffix(r.URL.Path, "/products") || strings.HasSuffix(r.URL.Path, "/invoices") {
			return reply{status: 403}
		}
		return reply{body: page(false)}
	}}
	got, err := s.client(t).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	denied := map[string]bool{}
	for _, p := range got {
		denied[p.Resource] = errors.Is(p.Err, fault.Denied)
		if p.Optional != slices.Contains([]string{"Entitlements", "Disputes", "Charges", "Invoices"}, p.Resource) || p.Purpose == "" || p.Err != nil && !denied[p.Resource] {
			t.Errorf("permission %+v", p)
		}
	}
	want := map[string]bool{"Subscriptions": false, "Customers": false, "Products": true, "Prices": false,
		"Events": false, "Checkout Sessions": false, "Entitlements": false, "Disputes": false, "Charges": false, "Invoices": true}
	if diff := cmp.Diff(want, denied); diff != "" {
		t.Errorf("denied (-want +got):\n%s", diff)
	}
}

func TestCheckEndsWithAKeyThatIsRefused(t *testing.T) {
	s := &stub{answer: func(n int, _ *http.Request) reply {
		if n < 3 {
			return reply{status: 403} // this permission is missing, the key is a good one
		}
		return reply{status: 401}
	}}
	got, err := s.client(t).Check(t.Context())
	if err != nil || s.requests() != 3 || len(got) != 3 {
		t.Fatalf("%d permissions after %d requests, error %v, want three after three", len(got), s.requests(), err)
	}
	if diff := cmp.Diff([]bool{false, false, true}, []bool{got[0].KeyRefused, got[1].KeyRefused, got[2].KeyRefused}); diff != "" {
		t.Errorf("the key is refused (-want +got):\n%s", diff)
	}
}

// TestACheckWhoseCallerHasLeftReportsNothing: permissions that were not tried are not
// missing.
func TestACheckWhoseCallerHasLeftReportsNothing(t *testing.T) {
	all := len(Permissions())
	for leaves := range all + 1 { // after so many answers
		ctx, cancel := context.WithCancel(t.Context())
		if leaves == 0 {
			cancel()
		}
		s := &stub{answer: func(n int, _ *http.Request) reply {
			if n == leaves {
				cancel()
			}
			return reply{body: page(false)}
		}}
		got, err := s.client(t).Check(ctx)
		cancel()
		if whole := leaves == all; len(got) != 0 != whole || errors.Is(err, context.Canceled) == whole || s.requests() != leaves {
			t.Errorf("left after %d answers: %d permissions, error %v, %d requests", leaves, len(got), err, s.requests())
		}
	}
}

func TestAWriteIsConfirmedByTheObjectWritten(t *testing.T) {
	err := always(reply{body: `{"id":"sub_2","object":"subscription","livemode":false}`}).client(t).
		WriteMetadata(t.Context(), "sub_1", map[string]string{"a": "b"})
	refused(t, err, "asked for sub_1, got sub_2")
}
