package store

import (
	"encoding/json"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storedInvoice is the JSON of an open invoice.
type storedInvoice struct {
	ID       string `json:"id"`
	Due      int64  `json:"due"`
	Left     int64  `json:"left"`
	Currency string `json:"currency,omitempty"`
	URL      string `json:"url,omitempty"`
	Open     int    `json:"open"`
}

// encodeInvoice is nil for no invoice.
func encodeInvoice(v reconcile.OpenInvoice) any {
	if v.ID == "" {
		return nil
	}
	return document(storedInvoice{clean(v.ID), micros(v.Due), v.Left, clean(v.Currency), clean(v.URL), v.Open})
}

func decodeInvoice(subscription string, b []byte) (reconcile.OpenInvoice, error) {
	if len(b) == 0 {
		return reconcile.OpenInvoice{}, nil
	}
	var v storedInvoice
	if err := json.Unmarshal(b, &v); err != nil {
		return reconcile.OpenInvoice{}, badRow("open invoice of", subscription, err)
	}
	return reconcile.OpenInvoice{ID: v.ID, Due: fromMicros(v.Due), Left: v.Left, Currency: v.Currency, URL: v.URL, Open: v.Open}, nil
}
