package simulator

import "time"

// BillExtra makes an invoice, some time old, that stays open and says nothing of the
// status: a direct debit on its way, or something billed beside the plan. Stripe may
// call a subscription active for months while such an invoice is open.
func (w *World) BillExtra(sub string, old time.Duration) error {
	return w.with(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "already " + s.Status}
		}
		inv := w.invoice(s, "manual")
		inv.Created -= int64(old / time.Second)
		inv.Due = min(inv.Due, inv.Created)
		w.emitInvoice("invoice.created", inv)
		w.emitInvoice("invoice.finalized", inv)
		return nil
	})
}

// WriteOff gives up the oldest open invoice, without a payment: it becomes
// uncollectible (also with ""), or void. Where it is the latest one too, Stripe calls
// the subscription active again.
func (w *World) WriteOff(sub, status string) error {
	if status == "" {
		status = "uncollectible"
	}
	return w.with(sub, func(s *Subscription) error {
		for i, inv := range s.invoices {
			if inv.Status != "open" {
				continue
			}
			inv.Status, inv.NextAttempt = status, 0
			kind := map[string]string{"void": "invoice.voided", "uncollectible": "invoice.marked_uncollectible"}[status]
			w.emitInvoice(kind, inv)
			if i == len(s.invoices)-1 && (s.Status == "past_due" || s.Status == "unpaid") {
				w.change(s, func() { s.Status, s.PastDueSince, s.retries = "active", 0, 0 })
			}
			return nil
		}
		return RefusedError{ID: s.ID, Reason: "no invoice is open"}
	})
}

// PaidAt is when an invoice of a subscription was last paid; zero: never.
func (w *World) PaidAt(sub string) time.Time {
	var last int64
	for _, inv := range w.Invoices(sub) {
		if inv.Status == "paid" && inv.Amount > 0 {
			last = max(last, inv.PaidAt)
		}
	}
	if last == 0 {
		return time.Time{}
	}
	return time.Unix(last, 0)
}
