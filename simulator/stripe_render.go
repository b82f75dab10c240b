package simulator

// The objects of Stripe API version 2023-10-16. If the world has no use for a field, it
// is null or empty, as it is in a plain account; it is there because a client must cope
// with it.

// embedded is how many items a subscription shows inside itself. Lists show fewer than
// single reads. The rest is behind has_more, where a careless client loses items.
type embedded int

const (
	listed    embedded = 10
	retrieved embedded = 20
)

const subscriptionRest = `"application":null,"application_fee_percent":null,` +
	`"automatic_tax":{"enabled":false},"billing_cycle_anchor_config":null,"billing_thresholds":null,` +
	`"default_payment_method":null,"default_source":null,"default_tax_rates":[],"description":null,` +
	`"next_pending_invoice_item_invoice":null,"on_behalf_of":null,` +
	`"payment_settings":{"payment_method_options":null,"payment_method_types":null,"save_default_payment_method":"off"},` +
	`"pending_invoice_item_interval":null,"pending_setup_intent":null,"pending_update":null,` +
	`"transfer_data":null,"trial_settings":{"end_behavior":{"missing_payment_method":"create_invoice"}}`

func (w *World) writeSubscription(d *doc, s *Subscription, x expansion, show embedded) {
	d.open()
	d.str("id", s.ID)
	d.fields(`"object":"subscription"`)
	d.fields(subscriptionRest)
	d.num("billing_cycle_anchor", s.Created)
	d.when("cancel_at", s.CancelAt)
	d.flag("cancel_at_period_end", s.CancelAtPeriodEnd)
	d.when("canceled_at", s.CanceledAt)
	d.object("cancellation_details")
	d.null("comment", "feedback")
	d.text("reason", s.CancelReason)
	d.close()
	d.str("collection_method", collectionMethod(s.SendInvoice))
	d.num("created", s.Created)
	d.str("currency", w.currencyOf(s))
	w.discountField(d, "discount", s.Discount, s.ID, x)
	w.discountsField(d, s.Discount, s.ID, x)
	d.num("current_period_end", s.PeriodEnd)
	d.num("current_period_start", s.PeriodStart)
	w.customerField(d, s.customer, x)
	d.when("days_until_due", s.DaysUntilDue)
	d.when("ended_at", s.EndedAt)
	w.writeItems(d, s, x, show)
	w.latestInvoice(d, s, x)
	d.flag("livemode", w.opt.Livemode != s.WrongLivemode)
	d.metadata(s.Metadata)
	if s.PauseCollection == "" {
		d.null("pause_collection")
	} else {
		d.raw("pause_collection", `{"behavior":`+quote(s.PauseCollection)+`,"resumes_at":null}`)
	}
	d.text("schedule", s.Schedule)
	d.num("start_date", s.Created)
	d.str("status", s.Status)
	d.text("test_clock", s.TestClock)
	d.when("trial_end", s.TrialEnd)
	d.when("trial_start", s.TrialStart)
	w.writeUnknownFields(d)
	d.close()
}

// currencyOf is the currency of the first price: a subscription has one alone.
func (w *World) currencyOf(s *Subscription) string {
	if len(s.Items) > 0 {
		if p := w.account.prices.byID[s.Items[0].Price]; p != nil {
			return p.Currency
		}
	}
	return "eur"
}

func (w *World) writeItems(d *doc, s *Subscription, x expansion, show embedded) {
	x = x.below("items.data")
	d.object("items")
	d.fields(`"object":"list"`)
	d.array("data")
	for i := range min(len(s.Items), int(show)) {
		w.writeItem(d, s, &s.Items[i], x)
	}
	d.closeArray()
	d.flag("has_more", len(s.Items) > int(show))
	d.num("total_count", int64(len(s.Items)))
	d.str("url", "/v1/subscription_items?subscription="+s.ID)
	d.close()
}

func collectionMethod(sendInvoice bool) string {
	if sendInvoice {
		return "send_invoice"
	}
	return "charge_automatically"
}

func (w *World) customerField(d *doc, c *Customer, x expansion) {
	if !x.has("customer") {
		d.str("customer", c.ID)
		return
	}
	d.key("customer")
	w.writeCustomer(d, c, x.below("customer"))
}

func (w *World) latestInvoice(d *doc, s *Subscription, x expansion) {
	switch last := len(s.invoices) - 1; {
	case last < 0:
		d.null("latest_invoice")
	case x.has("latest_invoice"):
		d.key("latest_invoice")
		w.writeInvoice(d, s.invoices[last], x.below("latest_invoice"))
	default:
		d.str("latest_invoice", s.invoices[last].ID)
	}
}

func (w *World) writeItem(d *doc, s *Subscription, it *Item, x expansion) {
	p := w.account.prices.byID[it.Price]
	d.open()
	d.str("id", it.ID)
	d.fields(`"object":"subscription_item","billing_thresholds":null`)
	d.num("created", it.Created)
	d.num("current_period_end", s.PeriodEnd)
	d.num("current_period_start", s.PeriodStart)
	d.metadata(it.Metadata)
	d.key("plan")
	w.writeLegacyPlan(d, p)
	d.key("price")
	w.writePrice(d, p, x.below("price"))
	if it.Quantity >= 0 {
		d.num("quantity", it.Quantity)
	}
	d.str("subscription", s.ID)
	d.fields(`"tax_rates":[]`)
	w.writeUnknownFields(d)
	d.close()
}

func (w *World) writePrice(d *doc, p *Price, x expansion) {
	d.open()
	d.str("id", p.ID)
	d.fields(`"object":"price"`)
	d.flag("active", !p.Inactive)
	w.writeAmounts(d, p, x)
	d.num("created", p.Created)
	d.str("currency", p.Currency)
	d.null("custom_unit_amount")
	d.flag("livemode", w.opt.Livemode)
	d.text("lookup_key", p.LookupKey)
	d.metadata(p.Metadata)
	d.null("nickname")
	if x.has("product") {
		d.key("product")
		w.writeProduct(d, w.account.products.byID[p.Product], nil)
	} else {
		d.str("product", p.Product)
	}
	d.object("recurring")
	d.fields(`"aggregate_usage":null,"interval":` + quote(p.Interval) + `,"trial_period_days":null`)
	d.num("interval_count", max(p.Count, 1))
	d.str("usage_type", map[bool]string{false: "licensed", true: "metered"}[p.Metered])
	d.close()
	d.fields(`"tax_behavior":"unspecified","transform_quantity":null,"type":"recurring"`)
	w.writeUnknownFields(d)
	d.close()
}

// writeLegacyPlan writes the price in the format that the API had before prices. Stripe
// still sends it beside every price of an item.
func (w *World) writeLegacyPlan(d *doc, p *Price) {
	d.open()
	d.str("id", p.ID)
	d.fields(`"object":"plan"`)
	d.flag("active", !p.Inactive)
	d.fields(`"aggregate_usage":null`)
	d.num("amount", p.Amount)
	d.str("amount_decimal", itoa(p.Amount))
	d.fields(`"billing_scheme":"per_unit"`)
	d.num("created", p.Created)
	d.str("currency", p.Currency)
	d.str("interval", p.Interval)
	d.num("interval_count", 1)
	d.flag("livemode", w.opt.Livemode)
	d.metadata(p.Metadata)
	d.null("nickname")
	d.str("product", p.Product)
	d.fields(`"tiers_mode":null,"transform_usage":null,"trial_period_days":null,"usage_type":"licensed"`)
	d.close()
}

func (w *World) writeProduct(d *doc, p *Product, _ expansion) {
	d.open()
	d.str("id", p.ID)
	d.fields(`"object":"product"`)
	d.flag("active", !p.Inactive)
	d.num("created", p.Created)
	d.fields(`"default_price":null,"description":null,"features":[],"images":[]`)
	d.flag("livemode", w.opt.Livemode)
	d.metadata(p.Metadata)
	d.str("name", p.Name)
	d.fields(`"package_dimensions":null,"shippable":null,"statement_descriptor":null,"tax_code":null,"type":"service","unit_label":null`)
	d.num("updated", p.Created)
	d.null("url")
	w.writeUnknownFields(d)
	d.close()
}

const customerRest = `"address":null,"balance":0,"currency":"eur","default_source":null,"description":null,` +
	`"invoice_settings":{"custom_fields":null,"default_payment_method":null,"footer":null,"rendering_options":null},` +
	`"next_invoice_sequence":2,"phone":null,"shipping":null,"tax_exempt":"none","test_clock":null`

// writeCustomer writes a customer. A deleted one has only three fields, as at Stripe.
func (w *World) writeCustomer(d *doc, c *Customer, x expansion) {
	if c.Deleted {
		d.open()
		d.str("id", c.ID)
		d.fields(`"object":"customer","deleted":true`)
		d.close()
		return
	}
	d.open()
	d.str("id", c.ID)
	d.fields(`"object":"customer"`)
	d.fields(customerRest)
	d.num("created", c.Created)
	d.flag("delinquent", c.CardDeclined)
	w.discountField(d, "discount", c.Discount, c.ID, x)
	d.text("email", c.Email)
	d.str("invoice_prefix", base62(w.prf.hash("prefix", c.ID), 8))
	d.flag("livemode", w.opt.Livemode)
	d.metadata(c.Metadata)
	d.text("name", c.Name)
	d.array("preferred_locales")
	if c.Locale != "" {
		d.element(c.Locale)
	}
	d.closeArray()
	w.writeUnknownFields(d)
	d.close()
}
