package simtest

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// graceOf returns the entitlement of a subscription that is past_due. Grace counts from the
// present spell of being past_due. Only a payment or an entitled status ends a spell; a
// newer invoice does not, nor does an older one that is written off.
//
// If a spell ended without a payment, and the next began before a run looked, then nothing
// at Stripe shows that it ended. While that makes a difference, both answers are right.
func (y *play) graceOf(sub simulator.Subscription, now time.Time) entitlement {
	grace := y.Company.Policy.Grace
	spell := time.Unix(sub.PastDueSince, 0)
	if sub.PastDueSince == 0 {
		spell = now
	}
	switch {
	case now.Before(y.firstUnpaid(sub.ID, spell).Add(grace)):
		return up
	case now.Before(spell.Add(grace).Add(window)): // noticed within the window
		return either
	}
	return down
}

// firstUnpaid is the earliest instant from which a program may count that knows of
// payments alone.
func (y *play) firstUnpaid(sub string, spell time.Time) time.Time {
	paid := y.world.PaidAt(sub)
	if !y.forgiven[sub].After(paid) {
		return spell
	}
	first := spell
	for _, inv := range y.world.Invoices(sub) {
		if due := time.Unix(max(inv.Due, inv.Created), 0); inv.Status != "paid" && !due.Before(paid) && due.Before(first) {
			first = due
		}
	}
	return first
}

// forgave notes when a subscription comes to be in good standing without a payment.
func (y *play) forgave(sub simulator.Subscription, now time.Time) {
	well := sub.Status == "active" || sub.Status == "trialing"
	before, known := y.well[sub.ID]
	if y.well[sub.ID] = well; well && known && !before && now.Sub(y.world.PaidAt(sub.ID)) > window {
		y.forgiven[sub.ID] = now
	}
}
