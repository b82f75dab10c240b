package simulator

// Dispute is a charge that a customer disputes, or a refund of one.
type Dispute struct {
	ID       string
	Customer string
	Invoice  string // empty: the charge was for none
	Charge   string
	Status   string // any of Stripe's; of a refund: succeeded
	Amount   int64
	Whole    bool  // of a refund: of all of the charge
	Created  int64 // Unix seconds
	birth    uint64
}

func (p *Dispute) rank() (int64, uint64) { return p.Created, p.birth }

// Dispute disputes the payment of the newest invoice of a subscription that was paid, and
// returns the id of the dispute. The status is needs_response if it is empty.
func (w *World) Dispute(sub, status string) (id string, err error) {
	err = w.withSubscription(sub, func(s *Subscription) error {
		d, err := w.charged(s, "dp")
		if err != nil {
			return err
		}
		if d.Status = status; status == "" {
			d.Status = "needs_response"
		}
		id = d.ID
		w.account.disputes.put(d.ID, d)
		w.emit("charge.dispute.created", d.ID, "", func(doc *doc) { w.writeDispute(doc, d, nil) })
		return nil
	})
	return id, err
}

// CloseDispute ends the disputes of a subscription with a status, such as won or lost.
func (w *World) CloseDispute(sub, status string) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		for _, d := range w.account.disputes.sorted() {
			if inv := w.account.invoices.byID[d.Invoice]; inv != nil && inv.Subscription == s.ID {
				d.Status = status
				w.emit("charge.dispute.closed", d.ID, "", func(doc *doc) { w.writeDispute(doc, d, nil) })
			}
		}
		return nil
	})
}

// Refund refunds the payment of the newest invoice of a subscription that was paid: all of
// it, or a half.
func (w *World) Refund(sub string, whole bool) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		d, err := w.charged(s, "re")
		if err != nil {
			return err
		}
		if d.Status, d.Whole = "succeeded", whole; !whole {
			d.Amount /= 2
		}
		w.account.refunds.put(d.ID, d)
		w.emit("charge.refunded", d.Charge, "", func(doc *doc) { w.writeCharge(doc, d, nil) })
		return nil
	})
}

// charged begins a dispute or a refund of the newest payment of a subscription.
func (w *World) charged(s *Subscription, prefix string) (*Dispute, error) {
	for i := len(s.invoices) - 1; i >= 0; i-- {
		if inv := s.invoices[i]; inv.Status == "paid" && inv.Amount > 0 {
			return &Dispute{ID: w.id(prefix), Customer: s.Customer, Invoice: inv.ID, Charge: "ch_" + base62(w.prf.hash("charge", inv.ID), 24),
				Amount: inv.Amount, Created: w.now.Unix(), birth: w.birth()}, nil
		}
	}
	return nil, RefusedError{ID: s.ID, Reason: "no invoice of it was paid"}
}

func listDisputes(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{"charge": scalar, "payment_intent": scalar, "created": times}), "list:dispute")
	if bad != nil {
		return bad.answer
	}
	return listing[*Dispute]{url: "/v1/disputes", noun: "dispute", byID: w.account.disputes.byID, rows: w.account.disputes.sorted(), render: w.writeDispute}.answer(p)
}

func getDispute(w *World, q *request) answer {
	return getOne(q, w.account.disputes.byID, "dispute", "dispute", w.writeDispute)
}

func listRefunds(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{"charge": scalar, "payment_intent": scalar, "created": times}), "list:refund")
	if bad != nil {
		return bad.answer
	}
	return listing[*Dispute]{url: "/v1/refunds", noun: "refund", byID: w.account.refunds.byID, rows: w.account.refunds.sorted(), render: w.writeRefund}.answer(p)
}

func (w *World) writeDispute(d *doc, p *Dispute, x expansion) {
	d.open()
	d.str("id", p.ID)
	d.fields(`"object":"dispute"`)
	d.num("amount", p.Amount)
	w.chargeField(d, p, x)
	d.num("created", p.Created)
	d.fields(`"currency":"eur","evidence":{},"is_charge_refundable":false`)
	d.flag("livemode", w.opt.Livemode)
	d.fields(`"metadata":{},"payment_intent":null,"reason":"fraudulent"`)
	d.str("status", p.Status)
	w.writeUnknownFields(d)
	d.close()
}

func (w *World) writeRefund(d *doc, p *Dispute, x expansion) {
	d.open()
	d.str("id", p.ID)
	d.fields(`"object":"refund"`)
	d.num("amount", p.Amount)
	w.chargeField(d, p, x)
	d.num("created", p.Created)
	d.fields(`"currency":"eur","metadata":{},"payment_intent":null,"reason":null`)
	d.str("status", p.Status)
	w.writeUnknownFields(d)
	d.close()
}

func (w *World) chargeField(d *doc, p *Dispute, x expansion) {
	if !x.has("charge") {
		d.str("charge", p.Charge)
		return
	}
	d.key("charge")
	w.writeCharge(d, p, x.below("charge"))
}

func (w *World) writeCharge(d *doc, p *Dispute, x expansion) {
	d.open()
	d.str("id", p.Charge)
	d.fields(`"object":"charge"`)
	d.num("amount", p.Amount)
	w.customerField(d, w.account.cust.byID[p.Customer], x)
	d.flag("disputed", p.Status != "succeeded")
	if inv := w.account.invoices.byID[p.Invoice]; inv != nil && x.has("invoice") {
		d.key("invoice")
		w.writeInvoice(d, inv, x.below("invoice"))
	} else {
		d.text("invoice", p.Invoice)
	}
	d.flag("livemode", w.opt.Livemode)
	d.flag("paid", true)
	d.flag("refunded", p.Whole)
	d.str("status", "succeeded")
	w.writeUnknownFields(d)
	d.close()
}
