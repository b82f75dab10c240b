package mapping

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestSuggestionsPairByWordsAndStayAwayFromDoubt(t *testing.T) {
	plans := []reconcile.EnhancePlan{{ID: 1, Name: "Basic"}, {ID: 2, Name: "Pro hosting"}, {ID: 3, Name: "Pro Plus"}, {ID: 4, Name: "Twin"}, {ID: 5, Name: "Twin"}}
	for _, c := range []struct {
		name  string
		price stripe.Price
		want  string
	}{
		{"the product's name", stripe.Price{ProductName: "Basic web hosting"}, "1"},
		{"the lookup key", stripe.Price{ProductName: "Hosting", LookupKey: "basic_monthly"}, "1"},
		{"the nickname", stripe.Price{ProductName: "Hosting", Nickname: "BASIC, yearly"}, "1"},
		{"a word of two plans, of which one has no other", stripe.Price{ProductName: "Pro"}, "2"},
		{"all words of the longer name", stripe.Price{ProductName: "Plus"}, "3"},
		{"two plans of one name", stripe.Price{ProductName: "Twin"}, ""},
		{"no word in common", stripe.Price{ProductName: "Consulting"}, ""},
		{"only words that all have in common", stripe.Price{ProductName: "Hosting plan"}, ""},
	} {
		got := suggestions([]stripe.Price{c.price}, plans, nil)
		if len(got) != 1 || got[0].Plan != c.want {
			t.Errorf("%s: %+v, want plan %q", c.name, got, c.want)
		}
	}
}

func TestWhatIsMappedByAnyOfItsNamesIsNotSuggested(t *testing.T) {
	price := stripe.Price{ID: "price_1", LookupKey: "key", Product: "prod_1"}
	for _, id := range []string{"price_1", "key", "prod_1"} {
		if got := suggestions([]stripe.Price{price}, nil, []reconcile.Mapping{{BillingID: id}}); len(got) != 0 {
			t.Errorf("mapped by %s: %+v", id, got)
		}
	}
}

func TestAmountsAreWrittenInTheUnitsOfTheirCurrency(t *testing.T) {
	for _, c := range []struct {
		price stripe.Price
		want  string
	}{
		{stripe.Price{UnitAmount: 1505, HasAmount: true, Currency: "eur", Interval: "month", IntervalCount: 1}, "15.05 eur / month"},
		{stripe.Price{UnitAmount: 500, HasAmount: true, Currency: "jpy", Interval: "month", IntervalCount: 3}, "500 jpy / 3 months"},
		{stripe.Price{Currency: "eur", Interval: "year"}, "tiered / year"},
		{stripe.Price{ID: "price_1"}, ""}, // of which only the id is known
	} {
		if diff := cmp.Diff(c.want, amount(c.price)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func FuzzParseMappings(f *testing.F) {
	f.Add([]byte("billing_plan_id,enhance_plan_id\nprice_1,2\n"))
	f.Add([]byte("enhance_plan_id;billing_plan_id\n2;price_1\n"))
	f.Add([]byte(`[{"billing_plan_id":"price_1","enhance_plan_id":"2"}]`))
	f.Add([]byte("\xef\xbb\xbf\"billing_plan_id\",enhance_plan_id\n\"a\nb\",2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse(text, nil)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, m := range all {
			if m.BillingID == "" || m.Plan == "" || seen[m.BillingID] {
				t.Fatalf("accepted %+v from %q", all, text)
			}
			seen[m.BillingID] = true
		}
		if len(all) == 0 {
			t.Fatalf("nothing was accepted without an error from %q", text)
		}
	})
}
