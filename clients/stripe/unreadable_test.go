package stripe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// oddSubscriptions cannot be understood but prove nothing about the next one; by the
// text of their errors.
func oddSubscriptions(t *testing.T) map[string]string {
	return map[string]string{
		`has no status`:                                  with(t, `"active"`, `""`),
		`came without its items`:                         with(t, `"items"`, `"things"`),
		`a page without has_more`:                        with(t, `"list","has_more":false`, `"list"`),
		`an empty page that promises more`:               with(t, `"has_more":false,"data":[`+goodItem+`]`, `"has_more":true,"data":[]`),
		`the item si_1 appears twice`:                    with(t, goodItem, goodItem+","+goodItem),
		`has neither price nor plan`:                     with(t, `"price":{"id":"price_1","livemode":false,"product":"prod_1"}`, `"price":null`),
		`the item si_1 has the quantity -1`:              with(t, `"quantity":2`, `"quantity":-1`),
		`an object "" where a subscription_item`:         with(t, goodItem, `null`),
		`a reference that is neither an id nor an objec`: with(t, `"prod_1"`, `7`),
		`a value of the wrong type in field "`:           with(t, `"quantity":2`, `"quantity":2.5`),
	}
}

// withoutCustomer are unreadable subscriptions whose buyer is unknown.
func withoutCustomer(t *testing.T) map[string]string {
	return map[string]string{
		`sub_1 came without its customer`:       with(t, `{"id":"cus_1","object":"customer","livemode":false,"email":"a@example.com"}`, `null`),
		`sub_1 came without its`:                with(t, `{"id":"cus_1","object":"customer","livemode":false,"email":"a@example.com"}`, `"cus_1"`),
		`sub_1 came without`:                    with(t, `"email":"a@example.com"`, `"email":7`), // half a customer is none
		`sub_1: a customer with the id "sub_9"`: with(t, `"id":"cus_1",`, `"id":"sub_9",`),
	}
}

const second = `{"id":"sub_0","object":"subscription","livemode":false,"status":"active","created":1600000000,` +
	`"customer":{"id":"cus_2","object":"customer","livemode":false,"email":"b@example.com"},` +
	`"items":{"object":"list","has_more":false,"data":[` + goodItem + `]}}`

// TestAnOddSubscriptionIsHeldAndTheOthersAreListed: one such subscription once ended
// every listing.
func TestAnOddSubscriptionIsHeldAndTheOthersAreListed(t *testing.T) {
	for text, body := range oddSubscriptions(t) {
		t.Run(text, func(t *testing.T) {
			var got []reconcile.SubscriptionFacts
			listing, err := always(reply{body: page(false, body, second)}).client(t).Sweep(t.Context(), func(page []reconcile.SubscriptionFacts) error {
				got = append(got, page...)
				return nil
			})
			if err != nil || listing.Count != 2 || len(listing.PassedOver) != 0 || len(got) != 2 {
				t.Fatalf("%d staged, %+v, %v", len(got), listing, err)
			}
			if got[1].Status != reconcile.StatusActive || len(got[1].Items) != 1 {
				t.Errorf("the other one: %+v", got[1])
			}
			one, err := always(reply{body: body}).client(t).Subscription(t.Context(), "sub_1")
			if err != nil {
				t.Fatal(err)
			}
			for how, f := range map[string]reconcile.SubscriptionFacts{"listed": got[0], "read by id": one} {
				if f.ID != "sub_1" || f.Buyer.ID != "cus_1" || f.Buyer.Email != "a@example.com" || f.Status != reconcile.StatusUnknown ||
					!strings.HasPrefix(f.StatusText, reconcile.Unreadable) || !strings.Contains(f.StatusText, text) || len(f.Items) != 0 {
					t.Errorf("%s: %+v, want it held because: %s", how, f, text)
				}
			}
		})
	}
}

// TestItemsThatCannotBeReadAreNeverFewerItems: a subscription that is too long for the
// page needs another request. If what came of it were taken for all, the rest would look
// as if nothing were paid for it.
func TestItemsThatCannotBeReadAreNeverFewerItems(t *testing.T) {
	long := with(t, `"list","has_more":false`, `"list","has_more":true`)
	for name, tt := range map[string]struct {
		items reply
		kind  fault.Kind // of the error; 0: the subscription is held
	}{
		"a page of something else": {reply{body: page(false, goodSubscription)}, 0},
		"half a page":              {reply{body: page(false, goodItem)[:50]}, 0},
		"the same page for ever":   {reply{body: page(true, goodItem)}, 0},
		"an outage":                {reply{status: 503}, fault.Transient},
		"a refusal":                {reply{status: 403}, fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			s := byPath(map[string]reply{"/v1/subscriptions": {body: page(false, long)}, "/v1/subscriptions/sub_1": {body: long}, "/v1/subscription_items": tt.items})
			one, err := s.client(t).Subscription(t.Context(), "sub_1")
			var listed reconcile.SubscriptionFacts
			_, swept := s.client(t).Sweep(t.Context(), func(page []reconcile.SubscriptionFacts) error {
				listed = page[0]
				return nil
			})
			for how, got := range map[string]struct {
				facts reconcile.SubscriptionFacts
				err   error
			}{"read by id": {one, err}, "listed": {listed, swept}} {
				held := got.facts.Status == reconcile.StatusUnknown && strings.HasPrefix(got.facts.StatusText, reconcile.Unreadable+"its items: ")
				if len(got.facts.Items) != 0 || held != (tt.kind == 0) || (got.err == nil) != held || tt.kind != 0 && fault.Of(got.err) != tt.kind {
					t.Errorf("%s: %+v, error %v (%v), want %v", how, got.facts, got.err, fault.Of(got.err), tt.kind)
				}
			}
		})
	}
}

// TestASubscriptionOfNobodyIsPassedOverAndSaid: without a customer, there is none to
// hold.
func TestASubscriptionOfNobodyIsPassedOverAndSaid(t *testing.T) {
	for text, body := range withoutCustomer(t) {
		t.Run(text, func(t *testing.T) {
			listing, err := always(reply{body: page(false, body, second)}).client(t).Sweep(t.Context(), nothing)
			if err != nil || listing.Count != 1 || len(listing.PassedOver) != 1 || !strings.Contains(listing.PassedOver[0], text) {
				t.Fatalf("%+v, %v", listing, err)
			}
			_, err = always(reply{body: body}).client(t).Subscription(t.Context(), "sub_1")
			if fault.Of(err) != fault.Malformed {
				t.Errorf("read by id: %v (%v), want malformed", err, fault.Of(err))
			}
		})
	}
}

// TestAListingThatIsOddThroughoutIsAnError: then the answers are at fault, not the
// subscriptions.
func TestAListingThatIsOddThroughoutIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		odd, good int
		fails     bool
	}{"few of few": {10, 0, false}, "half of many": {11, 11, false}, "more than half": {11, 10, true}} {
		for _, part := range []string{`"status":"active",`, `"customer":{"id":"cus_1","object":"customer","livemode":false,"email":"a@example.com"},`} {
			t.Run(name, func(t *testing.T) {
				var all []string
				for i := range c.odd + c.good {
					body := strings.Replace(goodSubscription, "sub_1", fmt.Sprint("sub_", i), 1)
					if i < c.odd {
						body = strings.Replace(body, part, "", 1)
					}
					all = append(all, body)
				}
				_, err := always(reply{body: page(false, all...)}).client(t).Sweep(t.Context(), nothing)
				if diff := cmp.Diff(c.fails, fault.Of(err) == fault.Malformed); diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

// TestACustomerWhoseIdPeopleChoseIsACustomer, because old accounts have such ids.
func TestACustomerWhoseIdPeopleChoseIsACustomer(t *testing.T) {
	for _, id := range []string{"legacy-42", "ada@example.com", "7", "Ada & Söhne"} {
		f, err := always(reply{body: with(t, `"id":"cus_1"`, `"id":"`+id+`"`)}).client(t).Subscription(t.Context(), "sub_1")
		if err != nil || f.Buyer.ID != id || f.Status != reconcile.StatusActive {
			t.Errorf("%q: %+v, %v", id, f, err)
		}
	}
}
