package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// chargesWire is the part of a subscription that decides about its amount. A customer has
// a discount of its own, which counts if the subscription has none.
type chargesWire struct {
	head
	Currency  string                   `json:"currency"`
	Items     envelope[chargeWire]     `json:"items"`
	Discount  *discountWire            `json:"discount"`
	Discounts []discountRef            `json:"discounts"` // the same, and more of them
	Customer  customerWithDiscountWire `json:"customer"`
}

type customerWithDiscountWire struct {
	ID       string        `json:"id"`
	Discount *discountWire `json:"discount"`
}

type chargeWire struct {
	head
	Quantity  *int64        `json:"quantity"`
	Price     *amountWire   `json:"price"`
	Discounts []discountRef `json:"discounts"`
}

// amountWire is the part of a price that decides about the amount. Numbers with places
// come as text.
type amountWire struct {
	head
	Currency          string   `json:"currency"`
	Product           idRef    `json:"product"`
	BillingScheme     string   `json:"billing_scheme"`
	UnitAmount        *int64   `json:"unit_amount"`
	UnitAmountDecimal *string  `json:"unit_amount_decimal"`
	TiersMode         string   `json:"tiers_mode"`
	Tiers             []tier   `json:"tiers"`
	Transform         *divided `json:"transform_quantity"`
	Recurring         *struct {
		Interval      string `json:"interval"`
		IntervalCount int64  `json:"interval_count"`
		UsageType     string `json:"usage_type"`
	} `json:"recurring"`
	CurrencyOptions map[string]struct {
		UnitAmount        *int64  `json:"unit_amount"`
		UnitAmountDecimal *string `json:"unit_amount_decimal"`
	} `json:"currency_options"`
}

type divided struct {
	By    int64  `json:"divide_by"`
	Round string `json:"round"`
}

type tier struct {
	UpTo        *int64  `json:"up_to"`
	Unit        *int64  `json:"unit_amount"`
	UnitDecimal *string `json:"unit_amount_decimal"`
	Flat        *int64  `json:"flat_amount"`
	FlatDecimal *string `json:"flat_amount_decimal"`
}

// discountRef is a discount, expanded or not.
type discountRef struct{ *discountWire }

// UnmarshalJSON takes an id or an object.
func (r *discountRef) UnmarshalJSON(b []byte) error {
	if _, ok, err := bareID(b); ok || err != nil {
		return err
	}
	r.discountWire = new(discountWire)
	return json.Unmarshal(b, r.discountWire)
}

type discountWire struct {
	End    int64 `json:"end"`
	Coupon struct {
		Duration   string       `json:"duration"`
		PercentOff *json.Number `json:"percent_off"`
		AmountOff  *int64       `json:"amount_off"`
		Currency   string       `json:"currency"`
		AppliesTo  *struct {
			Products []string `json:"products"`
		} `json:"applies_to"`
	} `json:"coupon"`
}

var charges = collection{kind: "subscription_item", modeless: true}

// Charges reads what each item of a subscription costs a month, with the discounts that
// last. It takes one request, one more for each price that has tiers or is in another
// currency, and one for a discount. If an amount cannot be known, the error is a
// [money.Unknown].
func (c *Client) Charges(ctx context.Context, id string) (map[string]money.Amount, error) {
	r := getOne("/v1/subscriptions", "subscription", id, "expand[0]", "customer")
	if !reconcile.ValidID(subscriptions.prefix, id) {
		return nil, badID(r, subscriptions.kind, id)
	}
	w, _, err := readOne[chargesWire](ctx, c, r, subscriptions, id)
	if err != nil {
		return nil, err
	}
	items, more, err := w.Items.checked()
	if err != nil {
		return nil, malformed(r, "its items: %v", err)
	}
	if more {
		items = nil
		if _, err = readAll(ctx, c, get("/v1/subscription_items", "subscription", id), charges, func(page []chargeWire, _ answer) error {
			items = append(items, page...)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	lines := make([]money.Line, len(items))
	for i := range items {
		if lines[i], err = c.line(ctx, &items[i], w.Currency); err != nil {
			return nil, err
		}
	}
	discounts, err := c.discounts(ctx, r, &w)
	if err != nil {
		return nil, err
	}
	amounts, err := money.Monthly(w.Currency, lines, discounts)
	if err != nil {
		return nil, err
	}
	of := make(map[string]money.Amount, len(items))
	for i := range items {
		of[items[i].ID] = amounts[i]
	}
	return of, nil
}

// line reads what is missing of an item's price. Tiers and amounts in other currencies are
// shown only where they are asked for.
func (c *Client) line(ctx context.Context, w *chargeWire, currency string) (money.Line, error) {
	if w.Price == nil || w.Price.ID == "" {
		return money.Line{}, money.Unknown("an item of it has an old plan and no price")
	}
	if len(w.Discounts) > 0 {
		return money.Line{}, money.Unknown("an item of it has a discount of its own")
	}
	p := w.Price
	if p.BillingScheme == "tiered" && p.Tiers == nil || p.Currency != currency {
		whole, err := c.amounts(ctx, p.ID)
		if err != nil {
			return money.Line{}, err
		}
		p = whole
	}
	price, err := p.price(currency)
	l := money.Line{Price: price, Product: string(p.Product), Quantity: 1}
	if w.Quantity != nil {
		l.Quantity = *w.Quantity
	}
	return l, err
}

func (c *Client) amounts(ctx context.Context, id string) (*amountWire, error) {
	r := getOne("/v1/prices", "price", id, "expand[0]", "tiers", "expand[1]", "currency_options")
	w, _, err := readOne[amountWire](ctx, c, r, prices, id)
	return &w, err
}

// price turns Stripe's price into one that can be worked out.
func (w *amountWire) price(currency string) (p money.Price, err error) {
	p = money.Price{ID: w.ID, Currency: w.Currency, Volume: w.TiersMode == "volume"}
	if w.Recurring != nil {
		p.Interval, p.Count, p.Metered = w.Recurring.Interval, w.Recurring.IntervalCount, w.Recurring.UsageType == "metered"
	}
	if w.Transform != nil {
		p.Divide, p.RoundUp = w.Transform.By, w.Transform.Round == "up"
	}
	unit, decimal := w.UnitAmount, w.UnitAmountDecimal
	if option, ok := w.CurrencyOptions[currency]; ok && currency != w.Currency && w.BillingScheme != "tiered" {
		p.Currency, unit, decimal = currency, option.UnitAmount, option.UnitAmountDecimal
	}
	if w.BillingScheme != "tiered" {
		p.Unit, err = decimalOf(unit, decimal)
		return p, err
	}
	for _, t := range w.Tiers {
		one := money.Tier{}
		if t.UpTo != nil {
			one.UpTo = *t.UpTo
		}
		if one.Unit, err = decimalOf(t.Unit, t.UnitDecimal); err != nil {
			return p, err
		}
		if one.Flat, err = decimalOf(t.Flat, t.FlatDecimal); err != nil {
			return p, err
		}
		p.Tiers = append(p.Tiers, one)
	}
	return p, nil
}

// decimalOf is the finer of the two forms of an amount; nil if there is neither.
func decimalOf(whole *int64, decimal *string) (*big.Rat, error) {
	switch {
	case decimal != nil && *decimal != "":
		r, err := money.Parse(*decimal)
		if err != nil {
			return nil, money.Unknown("its price has an amount that is no number")
		}
		return r, nil
	case whole != nil:
		return new(big.Rat).SetInt64(*whole), nil
	}
	return nil, nil //nolint:nilnil // no amount is a fact here, and no error
}

// discounts are those that lower every invoice from now on. Which products a coupon is for
// is shown only where it is asked for; if the key may not read that, it is taken to be for
// all.
func (c *Client) discounts(ctx context.Context, r request, w *chargesWire) ([]money.Discount, error) {
	at := "discounts"
	switch {
	case len(w.Discounts) > 0:
	case w.Discount != nil:
		at = "discount"
	case w.Customer.Discount != nil:
		at = "customer.discount"
	default:
		return nil, nil
	}
	again, _, err := readOne[chargesWire](ctx, c, r.and("expand[1]", at+".coupon.applies_to"), subscriptions, w.ID)
	switch {
	case err == nil:
		w = &again
	case !errors.Is(err, fault.Denied) && !errors.Is(err, fault.Permanent):
		return nil, err
	}
	var out []money.Discount
	for _, d := range w.discounts() {
		if d == nil {
			return nil, money.Unknown("it has several discounts, which cannot be read")
		}
		if d.Coupon.Duration == "once" || d.End != 0 && d.End <= c.now().Unix() {
			continue
		}
		one, err := d.discount()
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// discounts are those of the subscription, else that of the customer; nil stands for one
// that is shown as its id alone. The older field has the only one of a subscription.
func (w *chargesWire) discounts() (all []*discountWire) {
	if len(w.Discounts) == 0 {
		for _, d := range []*discountWire{w.Discount, w.Customer.Discount} {
			if d != nil {
				return []*discountWire{d}
			}
		}
		return nil
	}
	for _, ref := range w.Discounts {
		all = append(all, ref.discountWire)
	}
	if len(all) == 1 && all[0] == nil {
		all[0] = w.Discount
	}
	return all
}

func (d *discountWire) discount() (out money.Discount, err error) {
	k := &d.Coupon
	if k.PercentOff != nil {
		if out.Percent, err = money.Parse(k.PercentOff.String()); err != nil {
			return out, money.Unknown("its discount has a percentage that is no number")
		}
	}
	if k.AmountOff != nil {
		out.Off, out.Currency = new(big.Rat).SetInt64(*k.AmountOff), k.Currency
	}
	if k.AppliesTo != nil {
		out.Products = k.AppliesTo.Products
	}
	return out, nil
}

// PaidInvoice is when the newest invoice of a subscription was paid with money, if no other
// one is owed; zero otherwise. If the key may not read invoices, the error is fault.Denied.
func (c *Client) PaidInvoice(ctx context.Context, subscription string) (paid time.Time, err error) {
	r := get("/v1/invoices", "subscription", subscription)
	if !reconcile.ValidID(subscriptions.prefix, subscription) {
		return paid, badID(r, subscriptions.kind, subscription)
	}
	var all []invoiceWire
	_, err = readAll(ctx, c, r, invoices, func(page []invoiceWire, _ answer) error {
		for i := range page {
			if err := page[i].check(subscription); err != nil {
				return malformed(r, "%v", err)
			}
		}
		all = append(all, page...)
		return nil
	})
	if err != nil {
		return paid, err
	}
	return newestPaid(all), nil
}

// newestPaid judges invoices in any order. A draft asks for nothing yet.
func newestPaid(all []invoiceWire) time.Time {
	var newest *invoiceWire
	for i := range all {
		w := &all[i]
		if w.owed() {
			return time.Time{}
		}
		if w.Status != "draft" && (newest == nil || w.Created > newest.Created) {
			newest = w
		}
	}
	if newest == nil || newest.Status != "paid" || newest.AmountPaid <= 0 {
		return time.Time{}
	}
	return instant(newest.Transitions.PaidAt)
}
