package simulator

const invoiceRest = `"account_country":"DE","account_name":null,"account_tax_ids":null,"application":null,` +
	`"application_fee_amount":null,"automatic_tax":{"enabled":false,"status":null},"charge":null,"currency":"eur",` +
	`"custom_fields":null,"customer_address":null,"customer_phone":null,"customer_shipping":null,` +
	`"customer_tax_exempt":"none","customer_tax_ids":[],"default_payment_method":null,"default_source":null,` +
	`"default_tax_rates":[],"description":null,"discount":null,"discounts":[],"ending_balance":0,"footer":null,` +
	`"from_invoice":null,"last_finalization_error":null,"latest_revision":null,"on_behalf_of":null,` +
	`"payment_intent":null,"payment_settings":{"default_mandate":null,"payment_method_options":null,"payment_method_types":null},` +
	`"post_payment_credit_notes_amount":0,"pre_payment_credit_notes_amount":0,` +
	`"quote":null,"receipt_number":null,"rendering":null,"starting_balance":0,` +
	`"statement_descriptor":null,"tax":null,"test_clock":null,"total_discount_amounts":[],"total_tax_amounts":[],` +
	`"transfer_data":null,"webhooks_delivered_at":null`

func (w *World) writeInvoice(d *doc, inv *Invoice, x expansion) {
	c := w.account.cust.byID[inv.Customer]
	paid := inv.Status == "paid"
	remaining := inv.Amount
	if paid || inv.Status == "void" {
		remaining = 0
	}
	d.open()
	d.str("id", inv.ID)
	d.fields(`"object":"invoice"`)
	d.fields(invoiceRest)
	d.num("amount_due", inv.Amount)
	d.num("amount_paid", inv.Amount-remaining)
	d.num("amount_remaining", remaining)
	d.num("attempt_count", inv.Attempts)
	d.flag("attempted", inv.Attempts > 0 || paid)
	d.flag("auto_advance", inv.Status == "open")
	d.str("billing_reason", inv.Reason)
	d.str("collection_method", collectionMethod(inv.sendInvoice))
	d.num("created", inv.Created)
	w.customerField(d, c, x)
	d.text("customer_email", c.Email)
	d.text("customer_name", c.Name)
	d.when("due_date", inv.Due)
	d.num("effective_at", inv.Created)
	d.fields(`"lines":{"object":"list","data":[],"has_more":false,"total_count":0,"url":` + quote("/v1/invoices/"+inv.ID+"/lines") + `}`)
	if inv.Status == "draft" {
		d.null("hosted_invoice_url")
	} else {
		d.str("hosted_invoice_url", "https://invoice.stripe.com/i/"+inv.ID)
	}
	d.flag("livemode", w.opt.Livemode)
	d.fields(`"metadata":{}`)
	d.when("next_payment_attempt", inv.NextAttempt)
	d.str("number", base62(w.prf.hash("invoice number", inv.ID), 8)+"-0001")
	d.flag("paid", paid)
	d.flag("paid_out_of_band", false)
	d.num("period_end", inv.PeriodEnd)
	d.num("period_start", inv.PeriodStart)
	d.str("status", inv.Status)
	d.object("status_transitions")
	d.num("finalized_at", inv.Created)
	d.null("marked_uncollectible_at")
	d.when("paid_at", inv.PaidAt)
	d.null("voided_at")
	d.close()
	w.subscriptionField(d, inv.Subscription, x)
	d.num("subtotal", inv.Amount)
	d.num("total", inv.Amount)
	w.writeUnknownFields(d)
	d.close()
}

func (w *World) subscriptionField(d *doc, id string, x expansion) {
	s := w.account.subs.byID[id]
	if s == nil || !x.has("subscription") {
		d.str("subscription", id)
		return
	}
	d.key("subscription")
	w.writeSubscription(d, s, x.below("subscription"), listed)
}

const sessionRest = `"after_expiration":null,"allow_promotion_codes":null,"automatic_tax":{"enabled":false,"status":null},` +
	`"billing_address_collection":null,"cancel_url":"https://shop.example.com/back","client_reference_id":null,"client_secret":null,"consent":null,` +
	`"consent_collection":null,"currency":"eur","currency_conversion":null,` +
	`"custom_text":{"after_submit":null,"shipping_address":null,"submit":null,"terms_of_service_acceptance":null},` +
	`"customer_creation":"always","invoice":null,"invoice_creation":null,"locale":"auto","mode":"subscription",` +
	`"payment_intent":null,"payment_link":null,"payment_method_collection":"always",` +
	`"payment_method_configuration_details":null,"payment_method_options":null,"payment_method_types":["card"],` +
	`"payment_status":"paid","phone_number_collection":{"enabled":false},"recovered_from":null,"setup_intent":null,` +
	`"shipping_address_collection":null,"shipping_cost":null,"shipping_details":null,"shipping_options":[],` +
	`"status":"complete","submit_type":null,"success_url":"https://shop.example.com/thanks",` +
	`"total_details":{"amount_discount":0,"amount_shipping":0,"amount_tax":0},"ui_mode":"hosted","url":null`

func (w *World) writeSession(d *doc, s *Session, x expansion) {
	d.open()
	d.str("id", s.ID)
	d.fields(`"object":"checkout.session"`)
	d.fields(sessionRest)
	d.num("amount_subtotal", s.Amount)
	d.num("amount_total", s.Amount)
	d.num("created", s.Created)
	d.array("custom_fields")
	if s.Domain != "" {
		d.open()
		d.fields(`"key":"domain","label":{"custom":"Your domain","type":"custom"},"optional":false`)
		d.object("text")
		d.fields(`"default_value":null,"maximum_length":255,"minimum_length":null`)
		d.str("value", s.Domain)
		d.close()
		d.str("type", "text")
		d.close()
	}
	d.closeArray()
	w.customerField(d, w.account.cust.byID[s.Customer], x)
	d.object("customer_details")
	d.null("address")
	d.text("email", s.Email)
	d.null("name", "phone")
	d.fields(`"tax_exempt":"none","tax_ids":[]`)
	d.close()
	d.text("customer_email", s.Email)
	d.num("expires_at", s.Created+24*3600)
	d.flag("livemode", w.opt.Livemode)
	d.metadata(s.Metadata)
	w.subscriptionField(d, s.Subscription, x)
	w.writeUnknownFields(d)
	d.close()
}
