package simulator

import "slices"

// SetFeatures replaces the features of a product: lookup keys of Stripe Entitlements. As at
// Stripe, no event of those that clients read shows it.
func (w *World) SetFeatures(product string, keys ...string) error {
	w.enter()
	defer w.mu.Unlock()
	p, ok := w.account.products.byID[product]
	if !ok {
		return NotFoundError{Kind: "product", ID: product}
	}
	p.Features = slices.Clone(keys)
	return nil
}

func listProductFeatures(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging, "list:product_feature")
	if bad != nil {
		return bad.answer
	}
	product, found := w.account.products.byID[q.vars[0]]
	if !found {
		return missing("product", q.vars[0])
	}
	from := 0
	if after := p.values.Get("starting_after"); after != "" {
		from = 1 + slices.IndexFunc(product.Features, func(key string) bool { return w.attachment(product, key) == after })
		if from == 0 {
			return noSuch("starting_after", "product_feature", after)
		}
	}
	end := min(len(product.Features), from+p.limit)
	return listAnswer("/v1/products/"+product.ID+"/features", end-from, end < len(product.Features), func(d *doc, i int) {
		key := product.Features[from+i]
		d.open()
		d.str("id", w.attachment(product, key))
		d.fields(`"object":"product_feature"`)
		d.key("entitlement_feature")
		w.writeFeature(d, key)
		d.flag("livemode", w.opt.Livemode)
		d.close()
	})
}

// attachment is the id of a feature of a product.
func (w *World) attachment(p *Product, key string) string {
	return "prodft_" + base62(w.prf.hash("prodft", p.ID, key), 14)
}

func (w *World) writeFeature(d *doc, key string) {
	d.open()
	d.str("id", "feat_"+base62(w.prf.hash("feat", key), 14))
	d.fields(`"object":"entitlements.feature"`)
	d.flag("active", true)
	d.flag("livemode", w.opt.Livemode)
	d.str("lookup_key", key)
	d.metadata(nil)
	d.str("name", key)
	w.writeUnknownFields(d)
	d.close()
}

func listFeatures(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{"lookup_key": scalar, "archived": scalar}), "list:entitlements.feature")
	if bad != nil {
		return bad.answer
	}
	var keys []string
	for _, product := range w.account.products.sorted() {
		for _, key := range product.Features {
			if want := p.values.Get("lookup_key"); (want == "" || want == key) && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	n := min(len(keys), p.limit)
	return listAnswer("/v1/entitlements/features", n, n < len(keys), func(d *doc, i int) { w.writeFeature(d, keys[i]) })
}
