package simulator

import (
	"cmp"
	"maps"
	"slices"
)

// AddProduct puts a product on sale and returns its id.
func (w *World) AddProduct(name string) string { return w.PutProduct(Product{Name: name}) }

// AddPrice adds a monthly price in cents. The lookup key may be empty. If the product
// does not exist yet, it is made and named like its id.
func (w *World) AddPrice(product, lookupKey string, amount int64) string {
	return w.PutPrice(Price{Product: product, LookupKey: lookupKey, Amount: amount})
}

// PutProduct adds a product or replaces the one with its id. If the id is empty it is
// made up; if Created is zero it is now.
func (w *World) PutProduct(p Product) string {
	w.enter()
	defer w.mu.Unlock()
	return w.putProduct(p).ID
}

func (w *World) putProduct(p Product) *Product {
	p.birth = w.birth()
	if p.ID == "" {
		p.ID = "prod_" + base62(w.prf.nth("prod", p.birth), 14)
	}
	p.Metadata, p.Features = maps.Clone(p.Metadata), slices.Clone(p.Features)
	if old, ok := w.account.products.byID[p.ID]; ok {
		p.Created, p.birth = old.Created, old.birth
		*old = p
		w.emit("product.updated", old.ID, "", func(d *doc) { w.writeProduct(d, old, nil) })
		return old
	}
	if p.Created == 0 {
		p.Created = w.now.Unix()
	}
	w.account.products.put(p.ID, &p)
	w.emit("product.created", p.ID, "", func(d *doc) { w.writeProduct(d, &p, nil) })
	return &p
}

// PutPrice adds a price or replaces the one with its id, also in the subscriptions that
// have it. If the id is empty it is made up.
func (w *World) PutPrice(p Price) string {
	w.enter()
	defer w.mu.Unlock()
	return w.putPrice(p).ID
}

func (w *World) putPrice(p Price) *Price {
	if p.Product == "" || w.account.products.byID[p.Product] == nil {
		p.Product = w.putProduct(Product{ID: p.Product, Name: cmp.Or(p.Product, "Unnamed product")}).ID
	}
	p.birth = w.birth()
	if p.ID == "" {
		p.ID = w.id("price")
	}
	if p.Currency == "" {
		p.Currency = "eur"
	}
	if p.Interval == "" {
		p.Interval = "month"
	}
	p.Metadata = maps.Clone(p.Metadata)
	if old, ok := w.account.prices.byID[p.ID]; ok {
		p.Created, p.birth = old.Created, old.birth
		*old = p
		w.emit("price.updated", old.ID, "", func(d *doc) { w.writePrice(d, old, nil) })
		return old
	}
	if p.Created == 0 {
		p.Created = w.now.Unix()
	}
	w.account.prices.put(p.ID, &p)
	w.emit("price.created", p.ID, "", func(d *doc) { w.writePrice(d, &p, nil) })
	return &p
}

// Archive takes a price or a product off sale, as the dashboard does. A subscription
// that has it keeps it and goes on paying.
func (w *World) Archive(id string) error {
	w.enter()
	defer w.mu.Unlock()
	if p := w.account.prices.byID[id]; p != nil {
		was := *p
		was.Inactive = true
		w.putPrice(was)
		return nil
	}
	p := w.account.products.byID[id]
	if p == nil {
		return NotFoundError{Kind: "price or product", ID: id}
	}
	was := *p
	was.Inactive = true
	w.putProduct(was)
	return nil
}

// price finds a price by id or by lookup key.
func (w *World) price(ref string) (*Price, error) {
	if p, ok := w.account.prices.byID[ref]; ok {
		return p, nil
	}
	for _, p := range w.account.prices.sorted() {
		if p.LookupKey != "" && p.LookupKey == ref {
			return p, nil
		}
	}
	return nil, NotFoundError{Kind: "price", ID: ref}
}

// onSale finds a price that can be bought. Stripe refuses a price that is archived, or
// whose product is.
func (w *World) onSale(ref string) (*Price, error) {
	p, err := w.price(ref)
	switch {
	case err != nil:
		return nil, err
	case p.Inactive:
		return nil, RefusedError{ID: p.ID, Reason: "the price is archived"}
	case w.account.products.byID[p.Product].Inactive:
		return nil, RefusedError{ID: p.ID, Reason: "its product is archived"}
	}
	return p, nil
}

// Prices returns copies of all, oldest first.
func (w *World) Prices() []Price {
	w.enter()
	defer w.mu.Unlock()
	rows := w.account.prices.sorted()
	out := make([]Price, len(rows))
	for i, p := range rows {
		out[i] = *p
		out[i].Metadata = maps.Clone(p.Metadata)
	}
	return out
}
