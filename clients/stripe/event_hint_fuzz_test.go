package stripe

import (
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// FuzzSubscription checks reads by id. Whatever the answer is, the result is the
// subscription asked for and no other, of this mode, with a known status or the unknown
// one. Only Stripe's own "no such subscription" counts as its absence.
func FuzzSubscription(f *testing.F) {
	f.Add(200, []byte(goodSubscription))
	f.Add(200, []byte(strings.Replace(goodSubscription, `"active"`, `"hibernating"`, 1)))
	f.Add(200, []byte(strings.Replace(goodSubscription, "sub_1", "sub_2", 1)))
	f.Add(200, []byte(strings.Replace(goodSubscription, "cus_1", "../x", 1)))
	f.Add(200, []byte(`{}`))
	f.Add(200, []byte(`null`))
	f.Add(404, []byte(missingBody))
	f.Add(404, []byte(`<html>`))
	f.Add(500, []byte(missingBody))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		s := always(reply{status: status, body: string(body)})
		facts, err := s.client(t, func(o *Options) { o.MaxAttempts = 1 }).Subscription(t.Context(), "sub_1")
		if err != nil {
			if fault.Of(err) == fault.NotFound && (status != 404 || !strings.Contains(string(body), "resource_missing")) {
				t.Fatalf("%d %s taken for absence: %v", status, body, err)
			}
			return
		}
		if status != 200 || facts.ID != "sub_1" || !facts.ByID || facts.Gone || facts.Status == 0 || !reconcile.ValidCustomerID(facts.StripeCustomer) {
			t.Fatalf("%d accepted as %+v", status, facts)
		}
		if facts.Status == reconcile.StatusUnknown && facts.StatusText == "" {
			t.Fatalf("an unknown status without its word: %+v", facts)
		}
		seen := map[string]bool{}
		for _, it := range facts.Items {
			if it.ID == "" || it.Price == "" || it.Quantity < 0 || seen[it.ID] {
				t.Fatalf("accepted the item %+v", it)
			}
			seen[it.ID] = true
		}
	})
}

// FuzzHint checks that an event of any shape leads only to a subscription or a customer
// with an id of Stripe's form, because hints go into paths.
func FuzzHint(f *testing.F) {
	for _, seed := range []string{
		`{"object":"event","id":"evt_1","type":"customer.subscription.updated","created":1772438400,"data":{"object":{"object":"subscription","id":"sub_1"}}}`,
		`{"object":"event","id":"evt_1","type":"invoice.paid","data":{"object":{"object":"invoice","subscription":{"id":"sub_1"}}}}`,
		`{"object":"event","id":"evt_1","type":"invoice.paid","data":{"object":{"object":"invoice","parent":{"subscription_details":{"subscription":"sub_1"}}}}}`,
		`{"object":"event","id":"evt_1","type":"customer.deleted","data":{"object":{"object":"customer","id":"cus_../x"}}}`,
		`{"id":"evt_1"}`, `{"id":"evt_1","object":5,"data":"x"}`, `{"object":"event","id":"evt_1","type":"x","data":{"object":[]}}`, `{"object":"event","id":"evt_1","type":"x","data":null}`, `null`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := decodeDelivery(body)
		if err != nil {
			return
		}
		if h.ID == "" || h.Type == "" && !h.Vague || h.Subscription != "" && !reconcile.ValidID("sub_", h.Subscription) || h.StripeCustomer != "" && !reconcile.ValidCustomerID(h.StripeCustomer) {
			t.Fatalf("%+v", h)
		}
		if strings.ContainsAny(h.StripeCustomer, "/\\\n") {
			t.Fatalf("%+v", h)
		}
		for _, id := range []string{h.Subscription} {
			if strings.ContainsAny(id, "/?#% ") || strings.Contains(id, "..") {
				t.Fatalf("%+v", h)
			}
		}
	})
}
