package reconcile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Status is the status of a Stripe subscription. The zero value is invalid.
type Status uint8

const (
	StatusActive Status = iota + 1
	StatusTrialing
	StatusPastDue
	StatusUnpaid
	StatusPaused
	StatusIncomplete
	StatusIncompleteExpired
	StatusCanceled
	// StatusUnknown is any status that Stripe may invent later. It entitles to nothing new
	// and takes nothing away; Subscription.StatusText keeps the word.
	StatusUnknown
)

var statusNames = [...]string{
	StatusActive:            "active",
	StatusTrialing:          "trialing",
	StatusPastDue:           "past_due",
	StatusUnpaid:            "unpaid",
	StatusPaused:            "paused",
	StatusIncomplete:        "incomplete",
	StatusIncompleteExpired: "incomplete_expired",
	StatusCanceled:          "canceled",
	StatusUnknown:           "unknown",
}

// Unreadable begins the StatusText of a subscription whose answer cannot be read; the
// reason follows. Its status is StatusUnknown.
const Unreadable = "unreadable: "

// String is Stripe's own word, or "unknown".
func (s Status) String() string {
	if int(s) < len(statusNames) && statusNames[s] != "" {
		return statusNames[s]
	}
	return "unknown"
}

// ParseStatus reads Stripe's word. A word it does not know, the empty one
// included, is StatusUnknown.
func ParseStatus(word string) Status {
	for s, name := range statusNames {
		if name == word && name != "" {
			return Status(s)
		}
	}
	return StatusUnknown
}

// EndsAt is the end that Stripe has announced of a subscription that goes on until then;
// zero: none.
func (s *Subscription) EndsAt() time.Time {
	switch {
	case s.Status.Ended():
		return time.Time{}
	case !s.CancelAt.IsZero():
		return s.CancelAt
	case s.CancelAtPeriodEnd:
		return s.CurrentPeriodEnd
	}
	return time.Time{}
}

// Ended reports whether Stripe will never bill this subscription again.
func (s Status) Ended() bool { return s == StatusCanceled || s == StatusIncompleteExpired }

// Subscription is a Stripe subscription as last read, with everything the
// planner may ask of it. Times are UTC; a zero time means "not known".
type Subscription struct {
	ID             string // sub_…
	StripeCustomer string // cus_…
	Status         Status
	StatusText     string // the status word exactly as Stripe sent it
	Created        time.Time
	EndedAt        time.Time // ended_at, else canceled_at of an ended subscription
	// CancelAtPeriodEnd announces an end that has not come. It changes nothing
	// by itself; CurrentPeriodEnd is shown to the operator.
	CancelAtPeriodEnd bool
	CurrentPeriodEnd  time.Time
	// CancelAt is Stripe's cancel_at: an end on a day of its own, which subscriptions with
	// flexible billing have in the place of CancelAtPeriodEnd. It changes nothing either.
	CancelAt time.Time
	// SendInvoice means that its customer is sent invoices: an active subscription is then
	// no proof of a payment. False: Stripe charges each amount when it is due.
	SendInvoice bool
	// CollectionPaused is Stripe's pause_collection being set, whatever its behaviour.
	CollectionPaused bool
	// UnpaidSince is the due date of the oldest open invoice, to be shown. Nothing is
	// decided by it: an invoice may be open while the subscription is active. Zero:
	// there is none, or this key may not read invoices.
	UnpaidSince time.Time
	// Owed is the oldest open invoice, to be shown with UnpaidSince, which is its date.
	Owed OpenInvoice
	// UnpaidChange is the due date of the oldest open invoice that a change within the
	// subscription made, such as that of an upgrade. Zero: there is none, or this key may
	// not read invoices.
	UnpaidChange time.Time
	// TrialStart is when its trial began, also one that is over. Zero: it has none.
	TrialStart time.Time
	// Lapse is the present spell of not being paid. Kept by the store.
	Lapse Lapse
	// InvoicesUnread means that the key may not read invoices, or might not just then. The
	// store keeps such facts as if they were listed: they are asked for again.
	InvoicesUnread bool
	// StatusSince is when we first saw the present status. Kept by the store.
	StatusSince time.Time
	// Items are complete (all pages), in any order.
	Items []Item
	// Domain the customer asked for, from metadata "domain" or the custom field
	// "domain" of the Checkout Session, as typed; see DomainKey. Empty: none known.
	Domain string
	// ServerGroup is the metadata "server_group", as typed: where the website is to be, if
	// the mapping lets the order choose. Empty: none.
	ServerGroup string
	// DomainChecked means that the Checkout Session has been looked up. Kept by the store.
	DomainChecked bool
	// SiteReadAt is when the panel was last asked where Domain is; zero: never. Kept
	// by the store.
	SiteReadAt time.Time
	// IsNewOrder means that a person decided that this order is new: a hosting created for
	// it is no duplicate, even if another looks like it. Kept by the store.
	IsNewOrder bool
	// MetadataOrg and MetadataHosting are the metadata enhance_org_id and
	// enhance_subscription_id. They bind, because only the operator writes them.
	MetadataOrg     string // a UUID in lower case; "": absent or unreadable
	MetadataHosting int64  // 0: absent or unreadable
	// MetadataOrgText and MetadataHostingText are the text that stands there if it cannot
	// be read as an id. That is not the same as absent: its author meant something.
	MetadataOrgText     string
	MetadataHostingText string
	// MetadataWritten is the hosting that we ourselves wrote there last. If the metadata
	// still names it, that is our own note and no instruction of a person. Kept by the
	// store.
	MetadataWritten int64
	// ReadAt is when these facts left Stripe, by our clock.
	ReadAt time.Time
	// ByID means that these facts came from reading this one subscription by its id, not
	// from a listing. Only such facts may take something away, while fresh.
	ByID bool
	// Gone means that Stripe answered "no such subscription" to a read by id. It is a
	// reason to hold and to suspect the key, never a status.
	Gone bool
}

// Item is one line of a subscription.
type Item struct {
	ID        string // si_…
	Price     string // price_… or plan_…
	LookupKey string // of the price; empty when it has none
	Product   string // prod_…
	Quantity  int64  // 1 where Stripe sends none (metered prices)
	Created   time.Time
}

// StripeCustomer is the buyer as Stripe knows it.
type StripeCustomer struct {
	ID      string // cus_…
	Email   string // as typed; may be empty
	Name    string
	Deleted bool
}

// SubscriptionFacts is one answer of Stripe: a subscription and who buys it.
type SubscriptionFacts struct {
	Subscription
	Buyer StripeCustomer
	// LatestDue is the due date of the open invoice that was due last, else of the one
	// that is due next; PaidAt is when the invoice that was the latest then was last
	// paid. Both are for the [Lapse], and not stored.
	LatestDue, PaidAt time.Time
	// Request is Stripe's id of the request that read it by id; "" in listings. Not stored.
	Request string
	// OnTestClock means that it lives on a clock of Stripe's test mode. Listings leave such
	// subscriptions out, by Stripe's own rule. Not stored.
	OnTestClock bool
}

// Listing is what a complete listing of all subscriptions proves. It exists only
// when every page of every slice was read and was sound; there is no partial one.
type Listing struct {
	Count    int       // subscriptions listed, ended ones included
	Requests int       // pages read
	AsOf     time.Time // Stripe's clock when the listing began
	// PassedOver has, for each subscription whose buyer cannot be determined, the reason
	// why: the facts known of it stay as they are.
	PassedOver []string
}

// Events is a complete window of events, reduced to hints: which objects were touched.
type Events struct {
	// Touched has the objects that each event touched. Order means nothing.
	Touched []Event
	AsOf    time.Time // Stripe's clock at the first page
}

// Event is a hint that something about these objects may have changed. Either
// field may be empty; both empty means that the event is of no interest.
type Event struct {
	ID             string // evt_…
	Created        time.Time
	Type           string
	Subscription   string // sub_…
	StripeCustomer string // cus_…: all its subscriptions are touched
	// Vague: delivered in a shape that does not name its object.
	Vague bool
}

// OutOfRange reports whether the quantity cannot be a number of hostings.
func (it *Item) OutOfRange() bool { return it.Quantity < 0 || it.Quantity > MaxUnits }

// MaxUnits is the most hostings one item may ask for. More is almost always a
// metered quantity (gigabytes, seats) mapped by mistake.
const MaxUnits = 100

// OpenInvoice is the oldest open invoice of a subscription, to be shown. Nothing is decided
// by it. The zero value is none, or one that this key may not read.
type OpenInvoice struct {
	ID       string    // in_…
	Due      time.Time // when it should have been paid
	Left     int64     // the amount left to pay, in the smallest unit of the currency
	Currency string    // in lower case, such as "eur"
	URL      string    // Stripe's page on which the customer can pay it; "": none
	Open     int       // how many invoices of the subscription are open, with this one
}

// Amount is the amount left to pay, as people write it: "12.50 EUR".
func (v *OpenInvoice) Amount() string {
	return strings.TrimSpace(FormatAmount(v.Left, v.Currency) + " " + strings.ToUpper(v.Currency))
}

// Describe is the invoice as a sentence for people.
func (v *OpenInvoice) Describe() string {
	text := fmt.Sprintf("invoice %s of %s, due %s, is open", v.ID, v.Amount(), FormatTime(v.Due))
	if v.Open > 1 {
		text = "the oldest of " + strconv.Itoa(v.Open) + " open invoices, " + strings.TrimSuffix(text, ", is open") + ", is not paid"
	}
	if v.URL != "" {
		text += ": " + v.URL
	}
	return text
}

// Lapse is the present spell in which a subscription is not paid: what its grace
// period counts from. The zero value: none is known. The store keeps it with the
// Subscription, and moves it with [Lapse.Seeing] whenever Stripe has been read.
//
// past_due concerns the latest invoice alone: older ones may stay open while the
// subscription is active, newer ones open while it is past_due, and any of them may be
// written off without a payment. None of that begins or ends a spell, so Since is set once
// and stands until the spell is over.
type Lapse struct {
	// Entitled is the last instant at which the subscription is known to have been
	// active or trialing, or to have been paid. The spell began after it.
	Entitled time.Time
	// Seen is when we first saw it past_due or unpaid in this spell. Zero: there is none.
	Seen time.Time
	// Since is what grace counts from. Zero: not known, because the invoices have not
	// been read yet. Until then it is Seen, which is never earlier.
	Since time.Time
}

// clocksDiffer is how far our clock, by which reads are dated, and Stripe's, by which
// invoices are, may differ without a run noticing.
const clocksDiffer = 61 * time.Second

// Seeing is the lapse after f was read at Stripe.
//
// A spell ends with an entitled status or with a payment, and with nothing else. It
// is measured from the due date of the invoice that was the latest to be due when the
// spell was first seen. If that was due while the subscription was still in good standing (a
// direct debit that took days to fail, an invoice left open), it is measured from when
// the spell was first seen, which is later and therefore kinder.
func (l Lapse) Seeing(f *SubscriptionFacts, now time.Time) Lapse {
	switch f.Status {
	case StatusActive, StatusTrialing:
		return Lapse{Entitled: f.ReadAt}
	case StatusPastDue, StatusUnpaid:
	case StatusPaused, StatusIncomplete, StatusIncompleteExpired, StatusCanceled, StatusUnknown:
		return l // neither paid nor entitled
	default:
		return l
	}
	if f.PaidAt.After(l.Begun()) || l.Since.After(l.Seen) && !f.PaidAt.Before(l.Seen.Truncate(time.Second)) {
		l.Seen, l.Since = time.Time{}, time.Time{} // it was paid, perhaps before the day from which grace was to count
	}
	if l.Seen.IsZero() {
		l.Seen = now
	}
	if l.Since.IsZero() && f.ByID && !f.InvoicesUnread {
		l.Since = l.Seen
		if l.beganWith(f, now) {
			l.Since = f.LatestDue
		}
	}
	return l
}

// beganWith reports whether the spell can have begun with the invoice that f names: it was
// due neither while the subscription was in good standing nor since the spell was seen.
// One that is not due yet is waited for.
func (l Lapse) beganWith(f *SubscriptionFacts, now time.Time) bool {
	due := f.LatestDue
	return !due.IsZero() && !due.Before(f.PaidAt) && due.Add(clocksDiffer).After(l.Entitled) && (due.Before(l.Seen) || due.After(now))
}

// Begun is when the spell began, at the latest; zero: there is none.
func (l Lapse) Begun() time.Time {
	if l.Since.IsZero() {
		return l.Seen
	}
	return l.Since
}

// LapseUnknown reports whether a subscription is past_due and that its invoices have not
// been read, or may not be: its grace period may be over already.
func (s *Subscription) LapseUnknown() bool {
	return s.Status == StatusPastDue && s.Lapse.Since.IsZero() && !s.ByID
}

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

// ProductFeatures is the features of a Stripe product, as Stripe Entitlements has them.
type ProductFeatures struct {
	Product string // prod_…
	// Keys are the lookup keys of the last answer that showed any, sorted.
	Keys []string
	// ReadAt is when Stripe last answered with a list; zero: never.
	ReadAt time.Time
	// AskedAt is when Stripe was last asked, whatever came of it.
	AskedAt time.Time
	// Emptied means that the product had Keys, and that Stripe last answered that it has
	// none.
	Emptied bool
	// Unread is why the last answer cannot be used; "": it can.
	Unread string
}

// MayBeFeature reports whether the billing id of a mapping may be the lookup key of a
// feature. What looks like the id of a price or of a product is never one.
func MayBeFeature(billingID string) bool {
	return billingID != "" && !strings.HasPrefix(billingID, "price_") && !strings.HasPrefix(billingID, "prod_")
}
