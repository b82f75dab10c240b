package reconcile

import "time"

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
