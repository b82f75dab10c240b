package simulator

import "strconv"

// Tier is one tier of a price. Amounts are in the smallest unit, as Stripe writes decimals.
type Tier struct {
	UpTo       int64 // 0: the last one
	Unit, Flat string
}

// Discount is a coupon that was redeemed for a customer or a subscription.
type Discount struct {
	Percent   string // as in 12.5; empty: a fixed amount
	Off       int64
	Currency  string
	Duration  string   // forever (also when empty), once or repeating
	End       int64    // Unix seconds; 0: none
	AppliesTo []string // products; none: all. Shown only if a request expands it
}

// SetDiscount redeems a coupon for a subscription, or, if the id is a customer's, for that.
// nil takes it away.
func (w *World) SetDiscount(id string, d *Discount) error {
	w.enter()
	c := w.account.cust.byID[id]
	if c != nil {
		c.Discount = d
	}
	w.mu.Unlock()
	if c != nil {
		return nil
	}
	return w.update(id, func(s *Subscription) { s.Discount = d })
}

// writeAmounts writes the fields of a price that decide about the amount.
func (w *World) writeAmounts(d *doc, p *Price, x expansion) {
	if len(p.Tiers) == 0 {
		d.str("billing_scheme", "per_unit")
		d.null("tiers_mode")
		if p.Decimal != "" {
			d.null("unit_amount")
			d.str("unit_amount_decimal", p.Decimal)
			return
		}
		d.num("unit_amount", p.Amount)
		d.str("unit_amount_decimal", itoa(p.Amount))
		return
	}
	d.str("billing_scheme", "tiered")
	d.str("tiers_mode", map[bool]string{false: "graduated", true: "volume"}[p.Volume])
	d.null("unit_amount", "unit_amount_decimal")
	if !x.has("tiers") {
		return
	}
	d.array("tiers")
	for _, t := range p.Tiers {
		d.open()
		writeDecimal(d, "flat_amount", t.Flat)
		writeDecimal(d, "unit_amount", t.Unit)
		d.when("up_to", t.UpTo)
		d.close()
	}
	d.closeArray()
}

// writeDecimal writes an amount in both forms: the whole number is null if it has places.
func writeDecimal(d *doc, name, amount string) {
	d.text(name+"_decimal", amount)
	if n, err := strconv.ParseInt(amount, 10, 64); err == nil {
		d.num(name, n)
		return
	}
	d.null(name)
}

// discountField writes a discount in the older field, as an object.
func (w *World) discountField(d *doc, name string, of *Discount, owner string, x expansion) {
	if of == nil {
		d.null(name)
		return
	}
	d.key(name)
	w.writeDiscount(d, of, owner, x.below(name))
}

// discountsField writes the same in the newer one, as an id unless it is expanded.
func (w *World) discountsField(d *doc, of *Discount, owner string, x expansion) {
	d.array("discounts")
	switch {
	case of == nil:
	case x.has("discounts"):
		w.writeDiscount(d, of, owner, x.below("discounts"))
	default:
		d.element("di_1" + base62(w.prf.hash("discount", owner), 15))
	}
	d.closeArray()
}

func (w *World) writeDiscount(d *doc, of *Discount, owner string, x expansion) {
	d.open()
	d.str("id", "di_1"+base62(w.prf.hash("discount", owner), 15))
	d.fields(`"object":"discount","checkout_session":null`)
	d.object("coupon")
	d.str("id", base62(w.prf.hash("coupon", owner), 8))
	d.fields(`"object":"coupon"`)
	if of.Percent != "" {
		d.null("amount_off", "currency")
		d.raw("percent_off", of.Percent)
	} else {
		d.num("amount_off", of.Off)
		d.str("currency", of.Currency)
		d.null("percent_off")
	}
	if x.has("coupon") && x.below("coupon").has("applies_to") && len(of.AppliesTo) > 0 {
		d.object("applies_to")
		d.array("products")
		for _, id := range of.AppliesTo {
			d.element(id)
		}
		d.closeArray()
		d.close()
	}
	duration := of.Duration
	if duration == "" {
		duration = "forever"
	}
	d.str("duration", duration)
	d.flag("livemode", w.opt.Livemode)
	d.fields(`"metadata":{},"valid":true`)
	d.close()
	d.when("end", of.End)
	d.null("invoice", "invoice_item", "promotion_code")
	d.close()
}
