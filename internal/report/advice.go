package report

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// Advice is the next step for a kind of hold, as the README has it; "" if the kind is not
// known.
func Advice(kind reconcile.HoldKind) string { return advice[kind] }

var advice = map[reconcile.HoldKind]string{
	reconcile.HoldGrace:             "nothing: a payment ends it; the sentence shows what follows otherwise, and when",
	reconcile.HoldUnmapped:          "map the price: `stripe-enhance mappings suggest`, then `stripe-enhance mappings set PRICE PLAN`; if it is not hosting, such as a newsletter: `stripe-enhance mappings set PRICE none`",
	reconcile.HoldPlanMissing:       "create the plan in the panel, or map the price to another: `stripe-enhance mappings set PRICE PLAN`",
	reconcile.HoldPlanAmbiguous:     "map the price to the number of the plan instead of its name",
	reconcile.HoldNotHosting:        "its price is now mapped to none, and the hosting stays as it is: unbind it with the command in the sentence and change it in the panel, or map the price to its plan again",
	reconcile.HoldQuantity:          "check that the price is meant to be hosting, and is not metered: map another price, or lower the quantity",
	reconcile.HoldBrake:             "look with `stripe-enhance plans PLAN_ID`; if it is right, `stripe-enhance approve PLAN_ID --version N`, or else correct the cause; it waits without limit, and a higher limit of the brake does not release it",
	reconcile.HoldForeignSuspension: "staff suspended it in the panel, and only they can lift that",
	reconcile.HoldPerhapsOurs:       "it is paid for, and suspended with our mark, of which the database knows nothing: look with `stripe-enhance plans`, and approve the plan of kind resume unless it is to stay suspended",
	reconcile.HoldAmbiguous:         "nothing yet: an unanswered call is looked for before anything is sent again",
	reconcile.HoldMissing:           "the panel no longer has it, and no other is created: restore it in the panel, bind the hosting that serves the subscription now, or unbind it, as the sentence shows",
	reconcile.HoldDeleted:           "restore it in the panel, bind the hosting that serves the subscription now, or unbind it, as the sentence shows; or cancel the subscription at Stripe",
	reconcile.HoldAdopt:             "the hosting may exist already: run the command in the sentence, for that hosting or for a new one",
	reconcile.HoldConflict:          "decide which hosting it is: in the panel, or by metadata at Stripe",
	reconcile.HoldDuplicate:         "two were created: delete the one that is not in use in the panel",
	reconcile.HoldNoEmail:           "add an e-mail to the customer at Stripe, or correct it",
	reconcile.HoldDomainTaken:       "the hosting is up: remove the domain where it is, or correct it in the metadata",
	reconcile.HoldUnreadable:        "correct or remove at Stripe the value that the sentence quotes",
	reconcile.HoldDowngrade:         "the customer uses more than the smaller plan gives: ask them to make room, or change the plan by hand",
	reconcile.HoldContent:           "the sentence lists the content of each hosting: suspend the one that goes in the panel, or bind the one that stays, as it shows",
	reconcile.HoldGone:              "Stripe no longer knows the subscription: check that the key is of the right account",
	reconcile.HoldUnknownStatus:     "look at the subscription at Stripe: it has a new kind of status, which a newer version of this program may know, or an answer that cannot be read",
	reconcile.HoldEvidence:          "nothing is taken away, because the evidence is not trustworthy: see the notes, correct the cause, and run again",
	reconcile.HoldManual:            "a person put this hold: it ends when that hold ends or is removed",
	reconcile.HoldMode:              "`MODE=provision` takes nothing away, and changes to no smaller plan; `MODE=enforce` does",
	reconcile.HoldRetry:             "nothing yet: it failed for this customer alone, with the error in the sentence, and is tried again soon",
	reconcile.HoldParked:            "correct the cause of the error in the sentence; it is tried again every few hours, or now with `stripe-enhance reconcile --subscription SUBSCRIPTION`",
}
