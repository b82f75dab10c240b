package reconcile

import (
	"cmp"
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
	// HoldNotHosting: a hosting was made for a price that a person has mapped to none.
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
	// HoldWebsite: the website cannot be made as its mapping or the order asks for, or the
	// application is not installed on it.
	HoldWebsite HoldKind = "website"
	// HoldUnpaidUpgrade: UNPAID_UPGRADE=hold withholds a change to a plan with more.
	HoldUnpaidUpgrade HoldKind = "unpaid_upgrade"
	// HoldFeatures: the features of a product do not show which plan it is for.
	HoldFeatures HoldKind = "features"
	// HoldTrial: TRIALS=one withholds what a second trial asks for.
	HoldTrial HoldKind = "trial"
	// HoldDispute: DISPUTE withholds something because a payment is disputed or was refunded.
	HoldDispute HoldKind = "dispute"
	// HoldUnreadable: a person typed a value at Stripe that cannot be read.
	HoldUnreadable HoldKind = "unreadable"
	HoldRetry      HoldKind = "retry"
	HoldGone       HoldKind = "gone"
	// HoldContent: of several hostings of a customer it is not certain which one goes,
	// because of their content.
	HoldContent HoldKind = "content"
	// HoldBackup: a hosting is to be deleted, and a website on it has no backup yet.
	HoldBackup HoldKind = "backup"
)

// holdKinds has a row for each kind, in the order in which docs/held.md lists them. A new
// kind is a constant above, a row here, and a place in the planner or the engine that adds
// such holds. The table there, the OpenAPI document and the database are compared with
// this one by tests.
var holdKinds = []holdKind{
	{kind: HoldGrace, advice: "nothing: a payment ends it; the sentence shows what follows otherwise, and when"},
	{kind: HoldUnmapped, keepsOrder: true, advice: "map the price: `stripe-enhance mappings suggest`, then `stripe-enhance mappings set PRICE PLAN`; if it is not hosting, such as a newsletter: `stripe-enhance mappings set PRICE none`"},
	{kind: HoldPlanMissing, keepsOrder: true, advice: "create the plan in the panel, or map the price to another: `stripe-enhance mappings set PRICE PLAN`"},
	{kind: HoldPlanAmbiguous, keepsOrder: true, advice: "map the price to the number of the plan instead of its name"},
	{kind: HoldFeatures, keepsOrder: true, advice: "give the product one feature that is mapped, at Stripe, or map the product itself: `stripe-enhance mappings set PRODUCT PLAN`; its hostings stay as they are"},
	{kind: HoldNotHosting, advice: "its price is now mapped to none, and the hosting stays as it is: unbind it with the command in the sentence and change it in the panel, or map the price to its plan again"},
	{kind: HoldQuantity, keepsOrder: true, advice: "check that the price is meant to be hosting, and is not metered: map another price, or lower the quantity"},
	{kind: HoldBrake, advice: "look with `stripe-enhance plans PLAN_ID`; if it is right, `stripe-enhance approve PLAN_ID --version N`, or else correct the cause; it waits without limit, and a higher limit of the brake does not release it"},
	{kind: HoldForeignSuspension, advice: "staff suspended it in the panel, and only they can lift that"},
	{kind: HoldPerhapsOurs, advice: "it is paid for, and suspended with our mark, of which the database knows nothing: look with `stripe-enhance plans`, and approve the plan of kind resume unless it is to stay suspended"},
	{kind: HoldAmbiguous, advice: "nothing yet: an unanswered call is looked for before anything is sent again"},
	{kind: HoldMissing, keepsOrder: true, advice: "the panel no longer has it, and no other is created: restore it in the panel, bind the hosting that serves the subscription now, or unbind it, as the sentence shows"},
	{kind: HoldDeleted, keepsOrder: true, advice: "restore it in the panel, bind the hosting that serves the subscription now, or unbind it, as the sentence shows; or cancel the subscription at Stripe"},
	{kind: HoldAdopt, keepsOrder: true, advice: "the hosting may exist already: run the command in the sentence, for that hosting or for a new one"},
	{kind: HoldConflict, keepsOrder: true, advice: "decide which hosting it is: in the panel, or by metadata at Stripe"},
	{kind: HoldDuplicate, keepsOrder: true, advice: "two were created: delete the one that is not in use in the panel"},
	{kind: HoldNoEmail, keepsOrder: true, advice: "add an e-mail to the customer at Stripe, or correct it"},
	{kind: HoldDomainTaken, advice: "the hosting is up: the sentence shows where the domain is; remove it there, or correct it in the metadata"},
	{kind: HoldWebsite, advice: "the hosting is up, without its website or the application for it: the sentence shows why; correct the options of the mapping, or the order, or install it in the panel"},
	{kind: HoldUnreadable, keepsOrder: true, advice: "correct or remove at Stripe the value that the sentence quotes"},
	{kind: HoldDowngrade, advice: "the customer uses more than the smaller plan gives: ask them to make room, or change the plan by hand"},
	{kind: HoldUnpaidUpgrade, advice: "nothing: the plan changes when the upgrade is paid; `UNPAID_UPGRADE=apply` does not wait"},
	{kind: HoldTrial, advice: "nothing, unless the customer may have a second trial: run the command in the sentence; a payment ends it too"},
	{kind: HoldDispute, advice: "look at the dispute at Stripe; it ends when the dispute is won, or when you trust the customer: run the command in the sentence"},
	{kind: HoldContent, advice: "the sentence lists the content of each hosting: suspend the one that goes in the panel, or bind the one that stays, as it shows"},
	{kind: HoldBackup, advice: "nothing while a backup is under way; if the panel makes none, correct that in the panel, or set `BACKUP_BEFORE_TERMINATE=false`: the hosting is not deleted before"},
	{kind: HoldGone, advice: "Stripe no longer knows the subscription: check that the key is of the right account"},
	{kind: HoldUnknownStatus, advice: "look at the subscription at Stripe: it has a new kind of status, which a newer version of this program may know, or an answer that cannot be read"},
	{kind: HoldEvidence, advice: "nothing is taken away, because the evidence is not trustworthy: see the notes, correct the cause, and run again"},
	{kind: HoldManual, advice: "a person put this hold: it ends when that hold ends or is removed"},
	{kind: HoldMode, advice: "`MODE=provision` takes nothing away, and changes to no smaller plan; `MODE=enforce` does"},
	{kind: HoldRetry, advice: "nothing yet: it failed for this customer alone, with the error in the sentence, and is tried again soon"},
	{kind: HoldParked, advice: "correct the cause of the error in the sentence; it is tried again every few hours, or now with `stripe-enhance reconcile --subscription SUBSCRIPTION`"},
}

// holdKind is the row of one kind.
type holdKind struct {
	kind HoldKind
	// advice is the next step for a person, as docs/held.md has it.
	advice string
	// keepsOrder means that a hold of the kind keeps an order waiting until a person acts:
	// it does not end by itself, and no person and no setting asked for it.
	keepsOrder bool
}

// row is the row of a kind; the zero row if the kind is not known.
func (k HoldKind) row() holdKind {
	for _, row := range holdKinds {
		if row.kind == k {
			return row
		}
	}
	return holdKind{}
}

// Advice is the next step for a person, as docs/held.md has it; "" if the kind is not known.
func (k HoldKind) Advice() string { return k.row().advice }

// KeepsOrders reports whether a hold of the kind keeps an order waiting until a person
// acts: it does not end by itself, and no person and no setting asked for it.
func (k HoldKind) KeepsOrders() bool { return k.row().keepsOrder }

// HoldKinds lists every kind in the order of docs/held.md.
func HoldKinds() []HoldKind {
	all := make([]HoldKind, len(holdKinds))
	for i, row := range holdKinds {
		all[i] = row.kind
	}
	return all
}

// Hold is something withheld, with its reason.
type Hold struct {
	Kind         HoldKind
	Customer     string // Customer.ID
	Subscription string
	Email        string // of who has the subscription, else of the customer; "": none is known
	Org          string // of the hosting, else of the customer; "": none is known
	Hosting      int64
	ActionID     string // the action withheld, where there is one
	Reason       string // a sentence for people: the fact, then what to do
	Until        time.Time
	// Manual is the kind of the manual hold that withholds this; 0: none does.
	Manual ManualKind
	// Order means that Subscription gives hosting that is not there, and that a person has
	// to do something before it is.
	Order bool
}

// Withheld is the hold of an action.
func (a Action) Withheld(kind HoldKind, reason string) Hold {
	return Hold{Kind: kind, Customer: a.Customer, Subscription: a.Subscription, Email: a.Email, Org: a.Org, Hosting: a.Hosting, ActionID: a.ID, Reason: reason}
}

// DecidedByPerson reports whether a person has decided that it stays so: then nothing
// waits for a person.
func (h Hold) DecidedByPerson() bool { return h.Manual == Ignore }

// OrderKey is by what orders are counted that wait for a person: the subscription, or the
// customer if the hold names none.
func (h Hold) OrderKey() string { return cmp.Or(h.Subscription, h.Customer) }

// HoldCounts are the numbers of holds.
type HoldCounts struct {
	Kinds     map[HoldKind]HoldCount
	Customers int // that have a hold
	Orders    int // that wait for a person; one of two customers counts twice
}

// HoldCount is the number of holds of a kind.
type HoldCount struct {
	All     int
	Decided int // those of them with DecidedByPerson
}

// Add counts the holds of customers, those of one customer one after another.
func (c *HoldCounts) Add(holds []Hold) {
	if c.Kinds == nil {
		c.Kinds = map[HoldKind]HoldCount{}
	}
	orders := map[string]bool{} // of the customer
	for i := range holds {
		h := &holds[i]
		if i == 0 || h.Customer != holds[i-1].Customer {
			c.Customers++
			clear(orders)
		}
		n := c.Kinds[h.Kind]
		n.Add(*h)
		c.Kinds[h.Kind] = n
		if key := h.OrderKey(); h.Order && !orders[key] {
			orders[key] = true
			c.Orders++
		}
	}
}

// Exceed reports whether there are more than n holds of a kind.
func (c HoldCounts) Exceed(n int) bool {
	for _, of := range c.Kinds {
		if of.All > n {
			return true
		}
	}
	return false
}

// Add counts a hold.
func (c *HoldCount) Add(h Hold) {
	c.All++
	if h.DecidedByPerson() {
		c.Decided++
	}
}

// InForce reports whether the hold has not ended at an instant.
func (h ManualHold) InForce(now time.Time) bool { return h.Until.IsZero() || now.Before(h.Until) }

// ManualHold is a person's order to leave something alone.
type ManualHold struct {
	ID           string
	Customer     string // cus_… of any of its buyers, or ""
	Subscription string // sub_…, or ""
	Kind         ManualKind
	Until        time.Time // zero: until removed
	Reason       string
	Author       string
	Created      time.Time
}

// Problem returns why h cannot be set at an instant, as a sentence; "" if it can.
func (h ManualHold) Problem(now time.Time) string {
	// What a hold names need not be known yet: a slip of the pen shows by its form.
	switch {
	case (h.Customer == "") == (h.Subscription == ""):
		return "a hold is for a customer or for a subscription: exactly one of the two is needed"
	case h.Customer != "" && !ValidCustomerID(h.Customer):
		return fmt.Sprintf("%q is no id of a customer: an id begins with cus_, or is one that an old account chose", h.Customer)
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
