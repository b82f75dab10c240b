package reconcile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// OpenInvoice is the oldest open invoice of a subscription, to be shown. Nothing is decided
// by it. The zero value is none, or one that this key may not read.
type OpenInvoice struct {
	ID       string    // in_…
	Due      time.Time // when it should have been paid
	Left     int64     // the amount left to pay, in the smallest unit of the currency
	Currency string    // in lower case, such as "eur"
	URL      string    // Stripe's page on which the customer can pay it; "": none
	Open     int       // how many invoices of the subscription are open, with this one
}

// Amount is the amount left to pay, as people write it: "12.50 EUR".
func (v *OpenInvoice) Amount() string {
	return strings.TrimSpace(FormatAmount(v.Left, v.Currency) + " " + strings.ToUpper(v.Currency))
}

// Describe is the invoice as a sentence for people.
func (v *OpenInvoice) Describe() string {
	text := fmt.Sprintf("invoice %s of %s, due %s, is open", v.ID, v.Amount(), FormatTime(v.Due))
	if v.Open > 1 {
		text = "the oldest of " + strconv.Itoa(v.Open) + " open invoices, " + strings.TrimSuffix(text, ", is open") + ", is not paid"
	}
	if v.URL != "" {
		text += ": " + v.URL
	}
	return text
}
