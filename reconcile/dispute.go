package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// DisputePolicy is the effect of a payment that a customer disputes or that was refunded in
// full. The zero value reports it and does nothing else.
type DisputePolicy uint8

const (
	// TellDisputes reports them.
	TellDisputes DisputePolicy = iota
	// HoldDisputes also withholds new hostings and larger plans.
	HoldDisputes
	// SuspendDisputes also suspends the hostings of the subscription whose payment is
	// disputed.
	SuspendDisputes
)

// DisputeStatus is Stripe's word for the state of a dispute that counts, or DisputeRefunded.
type DisputeStatus string

const (
	DisputeNeedsResponse DisputeStatus = "needs_response"
	DisputeUnderReview   DisputeStatus = "under_review"
	DisputeLost          DisputeStatus = "lost"
	// DisputeRefunded: no dispute, but a charge that was refunded in full.
	DisputeRefunded DisputeStatus = "refunded"
)

// ParseDispute reads Stripe's word. A dispute that was won, an inquiry, which is none yet,
// and any word that is not known are "": they count for nothing.
func ParseDispute(word string) DisputeStatus {
	switch s := DisputeStatus(word); s {
	case DisputeNeedsResponse, DisputeUnderReview, DisputeLost:
		return s
	case DisputeRefunded:
	}
	return ""
}

// Dispute is a charge that a customer disputes, or that was refunded in full.
type Dispute struct {
	ID             string // of the dispute, or of the refund
	StripeCustomer string // cus_…
	Subscription   string // whose invoice was charged; "": that of none
	Invoice        string // "": none
	Status         DisputeStatus
	Amount         int64  // in the smallest unit of the currency
	Currency       string // in lower case
	Opened         time.Time
	// PaidAt is when the newest invoice of Subscription was paid, if no other one is owed.
	// Zero: it is not, or that was not asked for: it is only of a dispute that is lost.
	PaidAt time.Time
	// PaymentUnread means that the key may not read whether it was.
	PaymentUnread bool
	ReadAt        time.Time
}

// Refund reports whether it is a refund and no dispute.
func (d *Dispute) Refund() bool { return d.Status == DisputeRefunded }

// Settled reports whether a dispute is over for us although it was lost: the customer has
// paid a later invoice of the same subscription since, or it is not known whether.
func (d *Dispute) Settled() bool {
	return d.Status == DisputeLost && (d.PaymentUnread || d.PaidAt.After(d.Opened))
}

// Describe is the dispute as a part of a sentence.
func (d *Dispute) Describe() string {
	amount := strings.TrimSpace(FormatAmount(d.Amount, d.Currency) + " " + strings.ToUpper(d.Currency))
	paid := "a charge of " + amount
	if d.Invoice != "" {
		paid = fmt.Sprintf("the payment of invoice %s (%s)", d.Invoice, amount)
	}
	switch {
	case d.Refund():
		return fmt.Sprintf("%s was refunded in full at %s (%s)", paid, FormatTime(d.Opened), d.ID)
	case d.Status == DisputeLost:
		return fmt.Sprintf("%s was disputed at %s, and the dispute is lost (%s)", paid, FormatTime(d.Opened), d.ID)
	}
	return fmt.Sprintf("%s is disputed since %s (%s, %s)", paid, FormatTime(d.Opened), d.ID, d.Status)
}
