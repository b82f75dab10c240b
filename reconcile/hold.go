package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// HoldKind is why something was withheld. Values are part of the JSON contract.
type HoldKind string

const (
	HoldBrake    HoldKind = "brake"
	HoldGrace    HoldKind = "grace"
	HoldUnmapped HoldKind = "unmapped"
	// HoldNotHosting: a hosting was made for what a person says is no hosting.
	HoldNotHosting        HoldKind = "not_hosting"
	HoldPlanMissing       HoldKind = "plan_missing"
	HoldPlanAmbiguous     HoldKind = "plan_ambiguous"
	HoldAmbiguous         HoldKind = "ambiguous"
	HoldParked            HoldKind = "parked"
	HoldManual            HoldKind = "manual"
	HoldUnknownStatus     HoldKind = "unknown_status"
	HoldForeignSuspension HoldKind = "foreign_suspension"
	// HoldPerhapsOurs: it is suspended with our mark, and the journal does not know.
	HoldPerhapsOurs HoldKind = "perhaps_ours"
	HoldMissing     HoldKind = "missing"
	HoldDeleted     HoldKind = "deleted"
	HoldDuplicate   HoldKind = "duplicate"
	HoldAdopt       HoldKind = "adopt"
	HoldNoEmail     HoldKind = "no_email"
	HoldDowngrade   HoldKind = "downgrade"
	HoldConflict    HoldKind = "conflict"
	HoldQuantity    HoldKind = "quantity"
	HoldMode        HoldKind = "mode"
	HoldEvidence    HoldKind = "evidence"
	HoldDomainTaken HoldKind = "domain_taken"
	// HoldUnreadable: what somebody typed at Stripe means something and cannot be read.
	HoldUnreadable HoldKind = "unreadable"
	HoldRetry      HoldKind = "retry"
	HoldGone       HoldKind = "gone"
	// HoldContent: of several hostings of a customer it is not certain which one goes,
	// because of what is on them.
	HoldContent HoldKind = "content"
)

// Hold is something withheld, with its reason.
type Hold struct {
	Kind         HoldKind
	Customer     string // Customer.ID
	Subscription string
	Email        string // of who has the subscription, else of the customer; "": none is known
	Org          string // of the hosting, else of the customer; "": none is known
	Hosting      int64
	ActionID     string // the action withheld, where there is one
	Reason       string // a sentence for people: what, to whom, what to do
	Until        time.Time
	// Manual is what the person said by whose hold this is withheld; 0: nobody did.
	Manual ManualKind
	// Order tells that Subscription gives hosting that is not there, and that a person
	// has to do something before it is.
	Order bool
}

// Withheld is the hold of an action.
func (a Action) Withheld(kind HoldKind, reason string) Hold {
	return Hold{Kind: kind, Customer: a.Customer, Subscription: a.Subscription, Email: a.Email, Org: a.Org, Hosting: a.Hosting, ActionID: a.ID, Reason: reason}
}

// DecidedByPerson tells that a person has decided that it is to be so: nothing waits for anybody.
func (h Hold) DecidedByPerson() bool { return h.Manual == Ignore }

// KeepsOrders tells that a hold of the kind neither passes by itself nor is what a
// person, or a setting, has asked for.
func (k HoldKind) KeepsOrders() bool {
	switch k {
	case HoldUnmapped, HoldPlanMissing, HoldPlanAmbiguous, HoldAdopt, HoldNoEmail, HoldQuantity, HoldUnreadable,
		HoldMissing, HoldDeleted, HoldConflict, HoldDuplicate:
		return true
	case HoldBrake, HoldGrace, HoldAmbiguous, HoldParked, HoldManual, HoldUnknownStatus, HoldForeignSuspension, HoldPerhapsOurs,
		HoldDowngrade, HoldMode, HoldEvidence, HoldDomainTaken, HoldRetry, HoldGone, HoldContent, HoldNotHosting:
	}
	return false
}

func (m *ManualHold) InForce(now time.Time) bool { return m.Until.IsZero() || now.Before(m.Until) }

// ManualHold is "hands off", said by a person.
type ManualHold struct {
	ID           string
	Customer     string // cus_… of any buyer of the party, or ""
	Subscription string // sub_…, or ""
	Kind         ManualKind
	Until        time.Time // zero: until removed
	Reason       string
	Author       string
	Created      time.Time
}

// Problem says why h cannot be set at an instant, as a sentence; "" when it can.
func (h ManualHold) Problem(now time.Time) string {
	// What a hold names need not be known yet: a slip of the pen shows by its form.
	switch {
	case (h.Customer == "") == (h.Subscription == ""):
		return "a hold is for a customer or for a subscription: exactly one of the two is needed"
	case h.Customer != "" && !ValidCustomerID(h.Customer):
		return fmt.Sprintf("%q is no id of a customer: those begin with cus_, or are what was chosen for an old account", h.Customer)
	case strings.Contains(h.Customer, "@"): // an old account may have such ids, and far more often it is a slip
		return fmt.Sprintf("%q is an e-mail, and a hold needs the id of the customer (cus_…); for a customer whose id it is, hold the subscriptions", h.Customer)
	case h.Subscription != "" && !ValidID("sub_", h.Subscription):
		return fmt.Sprintf("%q is no id of a subscription: those begin with sub_", h.Subscription)
	case h.Kind == 0:
		return "the kind of a hold is no-suspend, keep-suspended or ignore"
	case !h.Until.IsZero() && !h.Until.After(now):
		return "a hold cannot end at " + h.Until.UTC().Format(time.RFC3339) + ", which is past"
	}
	return ""
}

// ManualKind is what a manual hold forbids.
type ManualKind uint8

const (
	// NoSuspend: nothing is taken away.
	NoSuspend ManualKind = iota + 1
	// KeepSuspended: a suspension of ours is not lifted.
	KeepSuspended
	// Ignore: nothing is done at all.
	Ignore
)

var manualKindNames = [...]string{NoSuspend: "no-suspend", KeepSuspended: "keep-suspended", Ignore: "ignore"}

// String is the word used in the CLI, the API and the database.
func (k ManualKind) String() string {
	if int(k) < len(manualKindNames) && manualKindNames[k] != "" {
		return manualKindNames[k]
	}
	return "unknown"
}

// ParseManualKind is the inverse of String; 0 for anything else.
func ParseManualKind(word string) ManualKind {
	for k, name := range manualKindNames {
		if name == word && name != "" {
			return ManualKind(k)
		}
	}
	return 0
}
