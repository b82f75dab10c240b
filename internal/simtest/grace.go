package simtest

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// graceOf returns the entitlement of a subscription that is past_due. Grace counts from the
// present spell of being past_due. Only a payment or an entitled status ends a spell; a
// newer invoice does not, nor does an older one that is written off.
//
// If a spell ended without a payment, and the next began before a run looked, then nothing
// at Stripe shows that it ended. If a spell began before a run looked, and another invoice
// came to be due in it before that, then nothing at Stripe shows with which it began. While
// that makes a difference, both answers are right. So they are if Stripe never lists the event
// of a payment that failed: a program finds out when it next reads the subscription, and counts
// from then on.
func (y *play) graceOf(sub simulator.Subscription, now time.Time) entitlement {
	grace := y.Company.Policy.Grace
	spell := time.Unix(sub.PastDueSince, 0)
	if sub.PastDueSince == 0 {
		spell = now
	}
	switch {
	case now.Before(y.firstUnpaid(sub.ID, spell).Add(grace)):
		return up
	case now.Before(y.lastUnpaid(sub, spell).Add(grace).Add(window)): // noticed within the window
		return either
	case y.Faults[LostEvent] > 0 && y.reportsGrace(sub.ID):
		return either
	}
	return down
}

// reportsGrace reports whether the last run counts the grace period of a subscription.
func (y *play) reportsGrace(sub string) bool {
	return slices.ContainsFunc(y.last.Holds, func(h reconcile.Hold) bool { return h.Kind == reconcile.HoldGrace && h.Subscription == sub })
}

// firstUnpaid is the earliest instant from which a program may count that knows of
// payments alone.
func (y *play) firstUnpaid(sub string, spell time.Time) time.Time {
	paid := y.world.PaidAt(sub)
	if !y.forgiven[sub].After(paid) {
		return spell
	}
	first := spell
	if owing := y.owing[sub]; !owing.Before(paid) && owing.Before(first) {
		first = owing
	}
	for _, inv := range y.world.Invoices(sub) {
		if due := time.Unix(max(inv.Due, inv.Created), 0); inv.Status != "paid" && !due.Before(paid) && due.Before(first) {
			first = due
		}
	}
	return first
}

// lastUnpaid is the latest instant from which a program may count that has read the invoices
// for the first time in a spell when one of them was already due later than the spell began.
func (y *play) lastUnpaid(sub simulator.Subscription, spell time.Time) time.Time {
	looked := y.world.Now()
	if s := y.spells[sub.ID]; s.began == sub.PastDueSince && y.twin == nil { // what a second installation has read is not known
		looked = s.read
	}
	last := spell
	for _, inv := range y.world.Invoices(sub.ID) {
		if due := time.Unix(max(inv.Due, inv.Created), 0); inv.Status != "paid" && due.After(last) && !due.After(looked) {
			last = due
		}
	}
	return last
}

// spellRead is a spell of being past_due, and when a run that ended well had first read the
// invoices in it.
type spellRead struct {
	began int64
	read  time.Time
}

// readBills notes the spells whose invoices a run has read, and which it reports: a reading that
// only shows whether this is the right account is forgotten.
func (y *play) readBills() {
	for _, sub := range y.world.Subscriptions() {
		if y.billed[sub.ID] && y.reportsGrace(sub.ID) && sub.PastDueSince != 0 && y.spells[sub.ID].began != sub.PastDueSince {
			y.spells[sub.ID] = spellRead{sub.PastDueSince, y.world.Now()}
		}
	}
}

// forgave notes when a subscription comes to be in good standing without a payment.
func (y *play) forgave(sub simulator.Subscription, now time.Time) {
	well := sub.Status == "active" || sub.Status == "trialing"
	before, known := y.well[sub.ID]
	if (sub.Status == "past_due" || sub.Status == "unpaid") && !y.owing[sub.ID].After(y.world.PaidAt(sub.ID)) {
		y.owing[sub.ID] = now
	}
	if y.well[sub.ID] = well; well && known && !before && now.Sub(y.world.PaidAt(sub.ID)) > window {
		y.forgiven[sub.ID] = now
	}
}
