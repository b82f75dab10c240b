package simulator

import (
	"container/heap"
	"time"
)

// incompleteFor is how long Stripe waits for a first payment.
const incompleteFor = 23 * 3600

// schedule sets the subscription's next transition and cancels the one scheduled
// before.
func (w *World) schedule(s *Subscription) {
	s.gen++
	at, ok := w.nextStep(s)
	if s.CancelAt != 0 && !ended(s) && (!ok || s.CancelAt < at) {
		at, ok = s.CancelAt, true
	}
	if !ok || !s.living {
		return
	}
	// Never in the past, because a subscription made with an old date would otherwise
	// run through all its periods as soon as it is made.
	nano := max(time.Unix(at, 0).UnixNano(), w.now.UnixNano())
	heap.Push(&w.timers, timer{at: nano, seq: w.birth(), sub: s, gen: s.gen})
}

// nextStep returns when time alone changes the subscription.
func (w *World) nextStep(s *Subscription) (at int64, ok bool) {
	switch s.Status {
	case "trialing":
		return s.TrialEnd, true
	case "incomplete":
		return s.Created + incompleteFor, true
	case "active":
		return s.PeriodEnd, true
	case "past_due":
		if s.PastDueSince == 0 || s.retries > lastRetry {
			return s.PeriodEnd, s.CancelAtPeriodEnd
		}
		if at = w.retryAt(s); s.CancelAtPeriodEnd {
			at = min(at, s.PeriodEnd)
		}
		return at, true
	case "unpaid", "paused":
		return s.PeriodEnd, s.CancelAtPeriodEnd
	}
	return 0, false
}

// transition makes the transition that is due.
func (w *World) transition(s *Subscription) {
	if s.CancelAtPeriodEnd && s.PeriodEnd <= w.now.Unix() || s.CancelAt != 0 && s.CancelAt <= w.now.Unix() {
		w.end(s, s.CancelReason)
		return
	}
	switch s.Status {
	case "trialing":
		w.trialEnds(s)
	case "incomplete":
		w.expire(s)
	case "active":
		w.renew(s)
	case "past_due":
		w.retry(s)
	}
}

func (w *World) trialEnds(s *Subscription) {
	if s.trialPauses {
		w.change(s, func() { s.Status = "paused" })
		w.emitSubscription("customer.subscription.paused", s, "")
		return
	}
	w.renew(s)
}

func (w *World) expire(s *Subscription) {
	for _, inv := range s.invoices {
		if inv.Status == "open" {
			inv.Status = "void"
			w.emitInvoice("invoice.voided", inv)
		}
	}
	w.change(s, func() { s.Status, s.EndedAt = "incomplete_expired", w.now.Unix() })
}

// renew begins the next period and charges for it.
func (w *World) renew(s *Subscription) {
	s.PeriodStart = s.PeriodEnd
	s.PeriodEnd = w.nextPeriod(s, s.PeriodStart)
	inv := w.invoice(s, "subscription_cycle")
	switch {
	case s.PauseCollection != "":
		inv.Status = map[string]string{"void": "void", "mark_uncollectible": "uncollectible"}[s.PauseCollection]
		if inv.Status == "" {
			inv.Status = "draft"
		}
		w.emitInvoice("invoice.created", inv)
		w.change(s, func() { s.Status = "active" })
	case s.customer.CardDeclined:
		w.chargeFails(s, inv)
	default:
		if !s.SendInvoice {
			inv.Status, inv.PaidAt, inv.Attempts = "paid", w.now.Unix(), 1
		}
		w.emitInvoice("invoice.created", inv)
		w.emitInvoice("invoice.finalized", inv)
		if inv.Status == "paid" {
			w.emitInvoice("invoice.paid", inv)
			w.emitInvoice("invoice.payment_succeeded", inv)
		}
		w.change(s, func() { s.Status = "active" })
	}
}

// retry charges once more. If the last attempt fails, the account's setting decides.
func (w *World) retry(s *Subscription) {
	if !s.customer.CardDeclined {
		w.payOpenInvoices(s)
		return
	}
	last := s.retries >= lastRetry
	s.retries++
	for _, inv := range s.invoices {
		if inv.Status == "open" {
			inv.Attempts++
			inv.NextAttempt = 0
			if !last {
				inv.NextAttempt = w.retryAt(s)
			}
			w.emitInvoice("invoice.payment_failed", inv)
		}
	}
	switch {
	case last && w.opt.AfterRetries == "cancel":
		w.end(s, "payment_failed")
	case last && w.opt.AfterRetries == "unpaid":
		w.change(s, func() { s.Status = "unpaid" })
	default:
		w.schedule(s)
	}
}

// end cancels the subscription now. Open invoices stay open, as at Stripe.
func (w *World) end(s *Subscription, reason string) {
	s.Status, s.EndedAt, s.CancelReason = "canceled", w.now.Unix(), reason
	if s.CanceledAt == 0 {
		s.CanceledAt = s.EndedAt
	}
	w.schedule(s)
	w.emitSubscription("customer.subscription.deleted", s, "")
}

// nextPeriod returns the end of a period that begins at from: one interval of the first
// price later, on the day of the month on which the subscription began, or on the last
// day if the month is shorter.
func (w *World) nextPeriod(s *Subscription, from int64) int64 {
	months := 1
	if len(s.Items) > 0 {
		if p := w.account.prices.byID[s.Items[0].Price]; p != nil && p.Interval == "year" {
			months = 12
		}
	}
	day := time.Unix(s.Created, 0).UTC().Day()
	t := time.Unix(from, 0).UTC()
	first := time.Date(t.Year(), t.Month()+time.Month(months), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	lastDay := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, lastDay)-1).Unix()
}
