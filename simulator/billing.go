package simulator

import "time"

// The ordinary operations of a company's month. Each makes the change and the events
// that Stripe makes of it, or returns why it cannot.

// FailPayment lets a charge fail now: an open invoice, status past_due, and the retries
// of the account's settings, which fail as well until Pay or SetCard is called.
func (w *World) FailPayment(sub string) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if s.Status != "active" && s.Status != "trialing" && s.Status != "past_due" {
			return RefusedError{ID: s.ID, Reason: "no charge is due in status " + s.Status}
		}
		s.customer.CardDeclined = true
		w.chargeFails(s, w.invoice(s, "subscription_cycle"))
		return nil
	})
}

// Pay pays all open invoices with a card that works. If the subscription was past_due,
// unpaid, paused or incomplete it becomes active again.
func (w *World) Pay(sub string) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if s.Status == "canceled" || s.Status == "incomplete_expired" {
			return RefusedError{ID: s.ID, Reason: "a subscription cannot be revived once it is " + s.Status}
		}
		s.customer.CardDeclined = false
		w.payOpenInvoices(s)
		return nil
	})
}

// payOpenInvoices pays the open invoices and emits the events.
func (w *World) payOpenInvoices(s *Subscription) {
	for _, inv := range s.invoices {
		if inv.Status == "open" || inv.Status == "uncollectible" {
			inv.Status, inv.PaidAt, inv.NextAttempt = "paid", w.now.Unix(), 0
			inv.Attempts++
			w.emitInvoice("invoice.paid", inv)
			w.emitInvoice("invoice.payment_succeeded", inv)
		}
	}
	switch s.Status {
	case "past_due", "unpaid", "incomplete", "paused":
		w.change(s, func() {
			s.Status, s.PastDueSince, s.retries = "active", 0, 0
		})
	}
}

// SetCard decides whether the customer's next charges succeed.
func (w *World) SetCard(customer string, works bool) error {
	w.enter()
	defer w.mu.Unlock()
	c, err := w.customer(customer)
	if err != nil {
		return err
	}
	c.CardDeclined = !works
	return nil
}

// MarkUnpaid ends the retries without canceling, as the account setting "mark unpaid"
// does.
func (w *World) MarkUnpaid(sub string) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "already " + s.Status}
		}
		w.change(s, func() { s.Status, s.PastDueSince = "unpaid", 0 })
		return nil
	})
}

// Cancel ends a subscription immediately.
func (w *World) Cancel(sub string) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "already " + s.Status}
		}
		w.end(s, "cancellation_requested")
		return nil
	})
}

// CancelAtPeriodEnd lets a subscription end when its period does.
func (w *World) CancelAtPeriodEnd(sub string) error { return w.setCancel(sub, true) }

// UndoCancelAtPeriodEnd undoes CancelAtPeriodEnd.
func (w *World) UndoCancelAtPeriodEnd(sub string) error { return w.setCancel(sub, false) }

func (w *World) setCancel(sub string, on bool) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "already " + s.Status}
		}
		w.change(s, func() {
			s.CancelAtPeriodEnd, s.CanceledAt = on, 0
			if on {
				s.CanceledAt, s.CancelReason = w.now.Unix(), "cancellation_requested"
			}
		})
		return nil
	})
}

// CancelAt lets a subscription end at a time, which flexible billing uses instead of
// cancel_at_period_end. The zero time undoes it.
func (w *World) CancelAt(sub string, at time.Time) error {
	return w.update(sub, func(s *Subscription) {
		if s.CancelAt, s.CanceledAt, s.CancelReason = 0, 0, ""; !at.IsZero() {
			s.CancelAt, s.CanceledAt, s.CancelReason = at.Unix(), w.now.Unix(), "cancellation_requested"
		}
	})
}

// PauseCollection stops the charges and leaves the status as it is. Behaviour is
// keep_as_draft, mark_uncollectible or void; empty is void.
func (w *World) PauseCollection(sub, behaviour string) error {
	if behaviour == "" {
		behaviour = "void"
	}
	return w.update(sub, func(s *Subscription) { s.PauseCollection = behaviour })
}

// ResumeCollection lets charges happen again.
func (w *World) ResumeCollection(sub string) error {
	return w.update(sub, func(s *Subscription) { s.PauseCollection = "" })
}

// PauseTrial ends a trial that has no card: status paused.
func (w *World) PauseTrial(sub string) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if s.Status != "trialing" {
			return RefusedError{ID: s.ID, Reason: "not in a trial but " + s.Status}
		}
		w.change(s, func() { s.Status, s.TrialEnd = "paused", w.now.Unix() })
		w.emitSubscription("customer.subscription.paused", s, "")
		return nil
	})
}

// invoice makes the open invoice of the running period.
func (w *World) invoice(s *Subscription, reason string) *Invoice {
	inv := &Invoice{
		ID: w.id("in"), Subscription: s.ID, Customer: s.Customer, Status: "open", Reason: reason,
		Amount: w.amount(s), Created: w.now.Unix(), PeriodStart: s.PeriodStart, PeriodEnd: s.PeriodEnd,
		sendInvoice: s.SendInvoice, birth: w.birth(),
	}
	if reason == "subscription_create" {
		inv.Created = s.Created
	}
	inv.Due = inv.Created
	if s.SendInvoice {
		inv.Due += s.DaysUntilDue * 24 * 3600
	} else if w.opt.NoDueDate {
		inv.Due = 0
	}
	w.account.invoices.put(inv.ID, inv)
	s.invoices = append(s.invoices, inv)
	return inv
}

func (w *World) amount(s *Subscription) (sum int64) {
	for _, it := range s.Items {
		if p := w.account.prices.byID[it.Price]; p != nil {
			sum += p.Amount * max(it.Quantity, 1)
		}
	}
	return sum
}

// chargeFails records a failed charge and makes the subscription past_due. A sent
// invoice fails by passing its due date, because a subscription is never past_due for
// an invoice that is not due.
func (w *World) chargeFails(s *Subscription, inv *Invoice) {
	inv.Attempts++
	if s.SendInvoice {
		inv.Due = w.now.Unix()
	}
	if s.Status != "past_due" {
		s.PastDueSince, s.retries = w.now.Unix(), 0
	}
	inv.NextAttempt = w.retryAt(s)
	w.emitInvoice("invoice.created", inv)
	w.emitInvoice("invoice.finalized", inv)
	w.emitInvoice("invoice.payment_failed", inv)
	w.change(s, func() { s.Status = "past_due" })
}

// retryAt returns the time of the next attempt of a failed charge: after 1, 3, 5 and 7
// sevenths of the time that the account allows.
func (w *World) retryAt(s *Subscription) int64 {
	at := w.opt.RetryFor * time.Duration(2*s.retries+1) / 7
	return s.PastDueSince + int64(at/time.Second)
}

const lastRetry = 3 // counted from zero, see retryAt

func ended(s *Subscription) bool { return s.Status == "canceled" || s.Status == "incomplete_expired" }

// BillExtra makes an invoice of some age that stays open without changing the status,
// such as a direct debit in progress or an extra charge. A subscription may be active
// at Stripe for months while such an invoice is open.
func (w *World) BillExtra(sub string, old time.Duration) error {
	return w.billOpen(sub, "manual", old)
}

// BillChange makes the invoice of a change within a subscription, such as an upgrade, whose
// payment is under way: it stays open and the status stays.
func (w *World) BillChange(sub string) error { return w.billOpen(sub, "subscription_update", 0) }

func (w *World) billOpen(sub, reason string, old time.Duration) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "already " + s.Status}
		}
		inv := w.invoice(s, reason)
		inv.Created -= int64(old / time.Second)
		inv.Due = min(inv.Due, inv.Created)
		w.emitInvoice("invoice.created", inv)
		w.emitInvoice("invoice.finalized", inv)
		return nil
	})
}

// WriteOff gives up the oldest open invoice without a payment: it becomes uncollectible
// (also with "") or void. If it is the latest invoice too, Stripe makes the
// subscription active again.
func (w *World) WriteOff(sub, status string) error {
	if status == "" {
		status = "uncollectible"
	}
	return w.withSubscription(sub, func(s *Subscription) error {
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

// PaidAt returns when an invoice of a subscription was last paid; zero: never.
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
