package reconcile

import "time"

// DiscrepancyKind is how the payments and the hostings of a customer differ. Values are
// part of the JSON contract.
type DiscrepancyKind string

const (
	PaidNotProvisioned DiscrepancyKind = "paid_not_provisioned"
	ProvisionedNotPaid DiscrepancyKind = "provisioned_not_paid"
	WrongPlan          DiscrepancyKind = "wrong_plan"
	DuplicateMade      DiscrepancyKind = "duplicate"
	EmptyOrg           DiscrepancyKind = "empty_org"
	// PaidButUnpaidStatus is a subscription whose invoices are paid, and which Stripe calls
	// unpaid nevertheless.
	PaidButUnpaidStatus DiscrepancyKind = "paid_but_unpaid_status"
	// KeptTooLong is a hosting that has been suspended for longer than the retention period.
	KeptTooLong DiscrepancyKind = "kept_too_long"
)

// DiscrepancyKinds are all kinds, in the order in which a report lists them: what costs a
// customer comes before what costs the seller.
var DiscrepancyKinds = []DiscrepancyKind{PaidNotProvisioned, PaidButUnpaidStatus, WrongPlan, ProvisionedNotPaid, DuplicateMade, KeptTooLong, EmptyOrg}

// Discrepancy is one difference, without its worth.
type Discrepancy struct {
	Kind                          DiscrepancyKind
	Customer, Subscription, Email string
	Org                           string
	Hosting                       int64
	Usage                         []Usage   // of Hosting, as last read
	Since                         time.Time // zero: not known
	// Shares are the parts of the subscription that it is about. None: it is not known
	// which, or there is no subscription.
	Shares []Share
	Reason string // a sentence
}

// Share is a number of units of an item.
type Share struct {
	Item  string
	Units int64
	Of    int64 // the quantity of the item
}

// Audit lists the discrepancies of one customer, as far as the database knows.
type Audit struct {
	Discrepancies []Discrepancy
	// Linked are hostings that no subscription is bound to yet, and that the next run binds
	// to one of the customer's.
	Linked []int64
}

// UnboundOrg is an org, or a hosting in it, that no subscription is bound to.
type UnboundOrg struct {
	Org
	Hosting  int64 // 0: it is about the org itself
	Plan     int
	Customer string // whose org it is; "": of none that is known
	Marker   Marker
}
