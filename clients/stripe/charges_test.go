package stripe_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// What a subscription costs a month is worked out from what Stripe shows of its prices and
// discounts, whatever it has to be asked for them.
func TestWhatASubscriptionCostsAMonth(t *testing.T) {
	percent := func(p string, products ...string) *simulator.Discount {
		return &simulator.Discount{Percent: p, AppliesTo: products}
	}
	month := func(amount int64) simulator.Price { return simulator.Price{Amount: amount} }
	tiers := []simulator.Tier{{UpTo: 5, Unit: "100", Flat: "25"}, {Unit: "60.5"}}
	for _, tc := range []struct {
		name     string
		prices   []simulator.Price
		quantity int64
		sub, of  *simulator.Discount // of the customer
		want     string              // the amounts, or a part of the reason why there is none
	}{
		{"a month", []simulator.Price{month(1250)}, 1, nil, nil, "12.50 eur"},
		{"a quantity", []simulator.Price{month(1250)}, 3, nil, nil, "37.50 eur"},
		{"two items", []simulator.Price{month(1250), month(250)}, 1, nil, nil, "12.50 eur, 2.50 eur"},
		{"two years", []simulator.Price{{Amount: 24000, Interval: "year", Count: 2}}, 1, nil, nil, "10.00 eur"},
		{"a part of a cent", []simulator.Price{{Decimal: "0.125"}}, 1000, nil, nil, "1.25 eur"},
		{"yen", []simulator.Price{{Amount: 1500, Currency: "jpy"}}, 1, nil, nil, "1500 jpy"},
		{"dinars", []simulator.Price{{Amount: 1500, Currency: "kwd"}}, 1, nil, nil, "1.500 kwd"},
		{"graduated tiers", []simulator.Price{{Tiers: tiers}}, 7, nil, nil, "6.46 eur"},
		{"volume tiers", []simulator.Price{{Tiers: tiers, Volume: true}}, 7, nil, nil, "4.24 eur"},
		{"metered", []simulator.Price{{Amount: 5, Metered: true}}, -1, nil, nil, "is metered"},
		{"a discount", []simulator.Price{month(1000)}, 1, percent("12.5"), nil, "8.75 eur"},
		{"a fixed one", []simulator.Price{month(1000), month(3000)}, 1, &simulator.Discount{Off: 400, Currency: "eur"}, nil, "9.00 eur, 27.00 eur"},
		{"one of the customer", []simulator.Price{month(1000)}, 1, nil, percent("50"), "5.00 eur"},
		{"that of the subscription before that of the customer", []simulator.Price{month(1000)}, 1, percent("10"), percent("50"), "9.00 eur"},
		{"for one product", []simulator.Price{{Amount: 1000, Product: "prod_a"}, {Amount: 1000, Product: "prod_b"}}, 1, percent("50", "prod_b"), nil, "10.00 eur, 5.00 eur"},
		{"of the customer for one product", []simulator.Price{{Amount: 1000, Product: "prod_a"}, {Amount: 1000, Product: "prod_b"}}, 1, nil, percent("50", "prod_a"), "5.00 eur, 10.00 eur"},
		{"only once", []simulator.Price{month(1000)}, 1, &simulator.Discount{Percent: "50", Duration: "once"}, nil, "10.00 eur"},
		{"for a time that is over", []simulator.Price{month(1000)}, 1, &simulator.Discount{Percent: "50", Duration: "repeating", End: 1}, nil, "10.00 eur"},
		{"for a time", []simulator.Price{month(1000)}, 1, &simulator.Discount{Percent: "50", Duration: "repeating", End: 1 << 40}, nil, "5.00 eur"},
		{"in another currency", []simulator.Price{month(1000)}, 1, &simulator.Discount{Off: 400, Currency: "usd"}, nil, "its discount is in usd"},
	} {
		s := open(t, simulator.Options{})
		var lines []simulator.Line
		for _, p := range tc.prices {
			lines = append(lines, simulator.Line{Price: s.PutPrice(p), Quantity: tc.quantity})
		}
		up := s.signUp(t, simulator.SignUp{Email: "a@example.com", Lines: lines})
		if err := errors.Join(s.SetDiscount(up.Subscription, tc.sub), s.SetDiscount(up.Customer, tc.of)); err != nil {
			t.Fatal(err)
		}
		of, err := s.client.Charges(t.Context(), up.Subscription)
		var all []string
		for _, item := range up.Items {
			all = append(all, of[item].String()+" "+of[item].Currency)
		}
		var unknown money.Unknown
		switch text := strings.Join(all, ", "); {
		case err != nil && (!errors.As(err, &unknown) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v", tc.name, err)
		case err == nil && text != tc.want:
			t.Errorf("%s: %s, want %s", tc.name, text, tc.want)
		}
	}
}

// All items are read, also those that Stripe does not show within the subscription.
func TestEveryItemHasItsAmount(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	var lines []simulator.Line
	for range 25 {
		lines = append(lines, simulator.Line{Price: s.AddPrice("prod_1", "", 100)})
	}
	up := s.signUp(t, simulator.SignUp{Email: "a@example.com", Lines: lines})
	if of, err := s.client.Charges(t.Context(), up.Subscription); err != nil || len(of) != 25 {
		t.Errorf("%d amounts, %v", len(of), err)
	}
}

// What is odd in an answer makes the amount unknown, or the answer malformed; it never
// makes an amount.
func TestOddAmountsAreUnknown(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	price := func(fields string) string {
		return `{"id":"price_1","object":"price","livemode":false,"currency":"eur","product":"prod_1","recurring":{"interval":"month","interval_count":1,"usage_type":"licensed"},` + fields + `}`
	}
	item := func(fields string) string {
		return `"currency":"eur","items":{"object":"list","has_more":false,"data":[{"id":"si_1","object":"subscription_item","quantity":1,` + fields + `}]},"customer":{"id":"cus_1"}`
	}
	for _, tc := range []struct{ name, body, want string }{
		{"an amount", item(`"price":` + price(`"unit_amount":900`)), "9.00"},
		{"an old plan", item(`"price":null`), "an old plan and no price"},
		{"no number", item(`"price":` + price(`"unit_amount_decimal":"1e9"`)), "an amount that is no number"},
		{"no amount", item(`"price":` + price(`"unit_amount":null`)), "has no amount"},
		{"a discount of the item", item(`"price":` + price(`"unit_amount":900`) + `,"discounts":["di_1"]`), "an item of it has a discount of its own"},
		{"several discounts as ids", item(`"price":`+price(`"unit_amount":900`)) + `,"discounts":["di_1","di_2"]`, "several discounts, which cannot be read"},
		{"one discount as an id, beside the object", item(`"price":`+price(`"unit_amount":900`)) + `,"discounts":["di_1"],"discount":{"coupon":{"duration":"forever","percent_off":50}}`, "4.50"},
		{"two discounts as objects", item(`"price":`+price(`"unit_amount":900`)) + `,"discounts":[{"coupon":{"duration":"forever","percent_off":50}},{"coupon":{"duration":"forever","amount_off":50,"currency":"eur"}}]`, "4.00"},
		{"a percentage that is no number", item(`"price":`+price(`"unit_amount":900`)) + `,"discount":{"coupon":{"duration":"forever","percent_off":1e3}}`, "a percentage that is no number"},
		{"no items", `"currency":"eur","items":null,"customer":{"id":"cus_1"}`, "its items"},
	} {
		s.SetFault(func(simulator.Call) simulator.Fault {
			return simulator.Fault{Status: 200, Body: []byte(`{"id":"sub_1","object":"subscription","livemode":false,` + tc.body + `}`)}
		})
		of, err := s.client.Charges(t.Context(), "sub_1")
		switch {
		case err != nil && !strings.Contains(err.Error(), tc.want):
			t.Errorf("%s: %v", tc.name, err)
		case err == nil && of["si_1"].String() != tc.want:
			t.Errorf("%s: %s, want %s", tc.name, of["si_1"], tc.want)
		}
	}
	if _, err := s.client.Charges(t.Context(), "../customers"); !errors.Is(err, fault.Permanent) {
		t.Errorf("no id: %v", err)
	}
	if _, err := s.client.PaidInvoice(t.Context(), "../customers"); !errors.Is(err, fault.Permanent) {
		t.Errorf("no id: %v", err)
	}
}

// A price in several currencies counts in that of the subscription.
func TestAPriceCountsInTheCurrencyOfTheSubscription(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	const price = `{"id":"price_1","object":"price","livemode":false,"currency":"eur","unit_amount":900,"billing_scheme":"per_unit","product":"prod_1",` +
		`"recurring":{"interval":"month","interval_count":1}`
	s.SetFault(func(c simulator.Call) simulator.Fault {
		body := `{"id":"sub_1","object":"subscription","livemode":false,"currency":"usd","customer":{"id":"cus_1"},"items":{"object":"list","has_more":false,` +
			`"data":[{"id":"si_1","object":"subscription_item","quantity":2,"price":` + price + `}}]}}`
		if strings.HasPrefix(c.Path, "/v1/prices/") {
			body = price + `,"currency_options":{"usd":{"unit_amount":1000,"unit_amount_decimal":"1000.5"}}}`
		}
		return simulator.Fault{Status: 200, Body: []byte(body)}
	})
	of, err := s.client.Charges(t.Context(), "sub_1")
	if err != nil || of["si_1"].String() != "20.01" || of["si_1"].Currency != "usd" {
		t.Errorf("%s %s, %v", of["si_1"], of["si_1"].Currency, err)
	}
}

// If the key may not read which products a coupon is for, it is taken to be for all.
func TestACouponIsForAllWhereItsProductsCannotBeRead(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	up := s.signUp(t, simulator.SignUp{Email: "a@example.com"})
	if err := s.SetDiscount(up.Subscription, &simulator.Discount{Percent: "50", AppliesTo: []string{"prod_other"}}); err != nil {
		t.Fatal(err)
	}
	s.SetFault(func(c simulator.Call) simulator.Fault {
		if strings.Contains(c.Query.Encode(), "applies_to") {
			return simulator.Fault{Status: 403}
		}
		return simulator.Fault{}
	})
	// The newer field shows ids alone; with the older one the only discount is known.
	if of, err := s.client.Charges(t.Context(), up.Subscription); err != nil || of[up.Items[0]].String() != "4.50" {
		t.Errorf("%v, %v", of, err)
	}
	s.SetFault(func(c simulator.Call) simulator.Fault {
		if strings.Contains(c.Query.Encode(), "applies_to") {
			return simulator.Fault{Status: 502}
		}
		return simulator.Fault{}
	})
	if of, err := s.client.Charges(t.Context(), up.Subscription); err == nil {
		t.Errorf("an outage is no permission: %v", of)
	}
}

// Only the newest invoice counts, only if it was paid with money, and only while none is
// owed.
func TestANewestInvoiceThatWasPaidWithMoney(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	paid := func(id string) bool {
		at, err := s.client.PaidInvoice(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return !at.IsZero()
	}
	up := s.signUp(t, simulator.SignUp{Email: "a@example.com"}).Subscription
	if !paid(up) {
		t.Error("the first invoice was paid")
	}
	s.Advance(time.Minute)
	if err := s.FailPayment(up); err != nil {
		t.Fatal(err)
	}
	if paid(up) {
		t.Error("the second is owed")
	}
	if err := s.WriteOff(up, "void"); err != nil {
		t.Fatal(err)
	}
	if paid(up) {
		t.Error("the newest was written off, and not paid")
	}
	free := s.AddPrice("prod_free", "", 0)
	if paid(s.signUp(t, simulator.SignUp{Email: "b@example.com", Price: free}).Subscription) {
		t.Error("nothing was paid for nothing")
	}
}
