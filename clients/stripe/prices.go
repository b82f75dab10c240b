package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// Price is a recurring price as an operator would recognise it.
type Price struct {
	ID          string // price_… or plan_…
	LookupKey   string // empty: it has none
	Nickname    string // shown in the dashboard only; often empty
	Product     string // prod_…
	ProductName string
	// UnitAmount is in the currency's smallest unit. HasAmount false: the price
	// is tiered, or finer than that unit.
	UnitAmount int64
	HasAmount  bool
	Currency   string // ISO code in lower case
	// Interval is day, week, month or year; IntervalCount how many of them.
	Interval      string
	IntervalCount int64
	// Archived: the price or its product is no longer on sale. Subscriptions that have
	// it keep paying it.
	Archived bool
}

// priceWire is a price with its product expanded.
type priceWire struct {
	head
	Active     *bool      `json:"active"`
	LookupKey  string     `json:"lookup_key"`
	Nickname   string     `json:"nickname"`
	Product    productRef `json:"product"`
	UnitAmount *int64     `json:"unit_amount"`
	Currency   string     `json:"currency"`
	Recurring  *struct {
		Interval      string `json:"interval"`
		IntervalCount int64  `json:"interval_count"`
	} `json:"recurring"`
}

// productRef is a product, expanded or not.
type productRef struct {
	ID       string
	Name     string
	Archived bool // known only if it came expanded
}

// UnmarshalJSON takes an id or an object.
func (p *productRef) UnmarshalJSON(b []byte) error {
	id, ok, err := bareID(b)
	if ok || err != nil {
		p.ID = id
		return err
	}
	var o struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Active *bool  `json:"active"`
	}
	err = json.Unmarshal(b, &o)
	p.ID, p.Name, p.Archived = o.ID, o.Name, o.Active != nil && !*o.Active
	return err
}

var (
	prices   = collection{kind: "price"}
	products = collection{kind: "product"}
)

// Prices lists the active recurring prices with the names of their products.
func (c *Client) Prices(ctx context.Context) ([]Price, error) {
	var all []Price
	r := get("/v1/prices", "active", "true", "type", "recurring", "expand[0]", "data.product")
	_, err := readAll(ctx, c, r, prices, func(page []priceWire, _ answer) error {
		for i := range page {
			all = append(all, page[i].price())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Price reads one price with the name of its product, even if it is no longer on sale.
// Prices leaves such prices out, but a subscription keeps the price that it has.
func (c *Client) Price(ctx context.Context, id string) (Price, error) {
	r := getOne("/v1/prices", "price", id, "expand[0]", "product")
	if id == "" || id == "." || id == ".." {
		return Price{}, badID(r, "price", id)
	}
	w, _, err := readOne[priceWire](ctx, c, r, prices, id)
	if err != nil {
		return Price{}, err
	}
	return w.price(), nil
}

func (w *priceWire) price() Price {
	p := Price{ID: w.ID, LookupKey: w.LookupKey, Nickname: w.Nickname,
		Product: w.Product.ID, ProductName: w.Product.Name, Currency: w.Currency,
		Archived: w.Product.Archived || w.Active != nil && !*w.Active}
	if w.UnitAmount != nil {
		p.UnitAmount, p.HasAmount = *w.UnitAmount, true
	}
	if w.Recurring != nil {
		p.Interval, p.IntervalCount = w.Recurring.Interval, w.Recurring.IntervalCount
	}
	return p
}

// Known reports whether a price, a product, a lookup key or a feature exists in this account
// and mode. Features come last, and the error is fault.Denied if the key may not read them. A name that looks like an id is looked up as one first and then as a lookup
// key, because an operator may name a key "price_basic". Any other name is looked up as
// a key first and then as an id, because old plans have freely chosen ids.
func (c *Client) Known(ctx context.Context, billingID string) (bool, error) {
	if billingID == "" || len(billingID) > 255 || printable(billingID) != billingID {
		return false, nil
	}
	asID, asKey := c.knownPrice, c.knownKey
	looks := []func(context.Context, string) (bool, error){asKey, asID, c.knownFeature}
	switch {
	case strings.HasPrefix(billingID, "price_"), strings.HasPrefix(billingID, "plan_"):
		looks = []func(context.Context, string) (bool, error){asID, asKey, c.knownFeature}
	case strings.HasPrefix(billingID, "prod_"):
		looks = []func(context.Context, string) (bool, error){c.knownProduct, asKey}
	}
	for _, look := range looks {
		if known, err := look(ctx, billingID); known || err != nil {
			return known, err
		}
	}
	return false, nil
}

func (c *Client) knownPrice(ctx context.Context, id string) (bool, error) {
	if id == "." || id == ".." {
		return false, nil // not an id, and escaping would change the path
	}
	_, _, err := readOne[head](ctx, c, getOne("/v1/prices", "price", id), prices, id)
	return exists(err)
}

func (c *Client) knownProduct(ctx context.Context, id string) (bool, error) {
	_, _, err := readOne[head](ctx, c, getOne("/v1/products", "product", id), products, id)
	return exists(err)
}

// exists turns Stripe's clear "no such object" into false, and leaves every other
// error.
func exists(err error) (bool, error) {
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (c *Client) knownKey(ctx context.Context, key string) (bool, error) {
	r := get("/v1/prices", "lookup_keys[0]", key, "limit", "1")
	found, _, _, err := readPage[priceWire](ctx, c, r, prices)
	if err != nil {
		return false, err
	}
	for i := range found {
		if found[i].LookupKey != key {
			return false, malformed(r, "the price %s, which does not have the lookup key that was asked for", found[i].ID)
		}
	}
	return len(found) > 0, nil
}
