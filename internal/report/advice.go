package report

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// Advice is the next step for a kind of hold; "" if the hold passes by itself, or if its
// sentence has the step already.
func Advice(kind reconcile.HoldKind) string { return advice[kind] }

var advice = map[reconcile.HoldKind]string{
	reconcile.HoldBrake:             "many at once is either a sale or a mistake: look at the plan, then approve it, or mend the cause and it goes away",
	reconcile.HoldGrace:             "nothing: a payment ends it; the sentence says what follows otherwise",
	reconcile.HoldUnmapped:          "map the price: stripe-enhance mappings suggest, then stripe-enhance mappings set BILLING_ID PLAN",
	reconcile.HoldNotHosting:        "run the command that the sentence names: unbind the hosting, or map the price to its plan again",
	reconcile.HoldPlanMissing:       "create the plan in the panel, or map to another: stripe-enhance mappings set BILLING_ID PLAN",
	reconcile.HoldPlanAmbiguous:     "map to the plan's number instead of its name",
	reconcile.HoldAmbiguous:         "nothing yet: what was sent is looked for before anything is sent again",
	reconcile.HoldParked:            "mend what the error says; it is tried again every few hours, and at once with stripe-enhance reconcile --subscription",
	reconcile.HoldManual:            "somebody said hands off; it ends with that hold",
	reconcile.HoldUnknownStatus:     "look at the subscription in Stripe's dashboard; a newer version of this program may know the word",
	reconcile.HoldForeignSuspension: "the panel's staff suspended it; lift it there when the matter is settled",
	reconcile.HoldPerhapsOurs:       "look with stripe-enhance plans; if it is not to stay down, stripe-enhance approve the plan of kind resume",
	reconcile.HoldMissing:           "the panel no longer has it; nothing is made anew until a person has looked: restore it, bind what serves it now, or unbind it",
	reconcile.HoldDeleted:           "restore it in the panel, bind what serves it now, or unbind it, as the sentence says; or cancel the subscription in Stripe",
	reconcile.HoldDuplicate:         "remove the one that is not in use in the panel",
	reconcile.HoldAdopt:             "it may be there already: run the command that the sentence names, for that hosting or for a new order",
	reconcile.HoldNoEmail:           "enter the customer's e-mail in Stripe",
	reconcile.HoldDowngrade:         "the customer uses more than the smaller plan gives; ask them to make room, or change the plan by hand",
	reconcile.HoldQuantity:          "is this price meant to be hosting? map the right one, or lower the quantity",
	reconcile.HoldMode:              "MODE does not allow it; see what would happen with stripe-enhance plan, then change MODE",
	reconcile.HoldEvidence:          "the run did not trust what it saw; see the notes, and run again when the cause is mended",
	reconcile.HoldDomainTaken:       "the domain exists in the panel already; move it there, or ask the customer for another",
	reconcile.HoldContent:           "the sentence lists what is on each hosting; suspend the one that goes in the panel, or bind the one that stays as it says",
	reconcile.HoldUnreadable:        "correct or remove at Stripe what the sentence quotes",
	reconcile.HoldGone:              "Stripe does not know the subscription any more; is this the key of the right account?",
}
