package reconcile

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Customer is everything known about one customer: the input of Decide. It is a value;
// Decide neither keeps nor changes it. Slices may be in any order.
type Customer struct {
	// ID is the Stripe id of the buyer with whom this customer began. It never changes.
	ID string
	// Version is how often the customer had been woken when it was loaded. Decide does not
	// look at it: it goes back to the store with the decision, and the store keeps the
	// customer due if it was woken since. See Planned.
	Version int64
	Email   string // as typed at Stripe by the founder, or by another buyer where that one has none
	Name    string // for the organisation; empty: the e-mail serves
	// Buyers are its customers at Stripe: one. Only databases of earlier versions have
	// customers with several buyers, and nothing passes from one buyer to another.
	Buyers []Buyer
	// Subscriptions of all its buyers.
	Subscriptions []Subscription
	Bindings      []Binding
	// Hostings are those bound, those in the bound org, and those anywhere whose
	// marker names one of the subscriptions. Unbound ones are never touched.
	Hostings []Hosting
	// Org is the bound org; nil: none yet.
	Org *Org
	// OrgNamed means that the bound org has its final name, Invited when the owner was
	// invited (zero: not yet, or not needed) and InvitedEmail at which address; empty: by a
	// version that did not keep it.
	OrgNamed     bool
	Invited      time.Time
	InvitedEmail string
	// NameWanted is the name that a person wants the bound org to have, and NameWhy who
	// wants it and why; "": it keeps the one that it has.
	NameWanted, NameWhy string
	// InviteWanted is the e-mail at which a person wants the owner to be invited instead of
	// InvitedEmail, and InviteWhy who wants it and why; "": it stays.
	InviteWanted, InviteWhy string
	// OrgGuest means that another customer had the org first: that one names the org and
	// invites its owner; this one only has hostings in it. OrgWhy is who has put it there,
	// and why; "": its owner at the panel did, or its hostings in it.
	OrgGuest bool
	OrgWhy   string
	// Sharers are all customers of the bound org, this one too; nil: it has the org alone.
	Sharers []Sharer
	// Apart are the orgs of which a person has stated that they are not this customer's.
	Apart []ApartOrg
	// PlannedAt is when the customer was last planned and recorded; zero: never.
	PlannedAt time.Time
	// MarkedOrgs are unbound orgs whose name carries this customer's marker.
	MarkedOrgs []Org
	// OwnedOrgs are unbound, undeleted orgs whose owner has exactly this e-mail.
	OwnedOrgs []Org
	// Lookalikes are unbound living hostings that this customer may be paying for.
	Lookalikes []Lookalike
	// Unbound means that the panel has any unbound living hosting, of any customer, and
	// Undecided that it had some before anything was bound here, which have not all been
	// adopted since: no person has decided yet which orders are new.
	Unbound, Undecided bool
	// Kin are the other customers with this e-mail that have an org, by id.
	Kin []Kin
	// Pending are writes of ours whose outcome is not known, from the journal.
	Pending []Pending
	// Unbindings are the hostings that people unbound from a subscription, and Instructions
	// counts all instructions for this customer.
	Unbindings   []Unbinding
	Instructions int64
	// Mails are the topics of which this customer had a mail, or may have had one.
	Mails []MailRecord
	// Disputes are the charges that its buyers dispute, and those refunded in full.
	Disputes []Dispute
	// Manual are the holds that people set.
	Manual []ManualHold
	// Parked is when the customer was set aside after repeated failures; zero: not.
	Parked     time.Time
	Failures   int       // of its own, in a row
	RetryAfter time.Time // back-off; zero: none
	LastError  string    // of the last failure, its own or a side's; "" since a success
}

// Buyer is a Stripe customer, with the changes of its e-mail.
type Buyer struct {
	StripeCustomer
	// FormerEmail is the address before the last change, and EmailChanged when that
	// change was seen; empty and zero: it has not changed since the first reading.
	FormerEmail  string
	EmailChanged time.Time
	// EmailUnnoted and NameUnnoted: it has changed, and no run has noted that yet.
	EmailUnnoted, NameUnnoted bool
}

// Kin is another customer with the same e-mail. Stripe verifies no address, so that proves
// nothing by itself: the org of such a customer is shared only if its owner at the panel
// has this address.
type Kin struct {
	ID           string
	EmailChanged time.Time // when its buyer came to this address; zero: always had it
	Org          Org
	Guest        bool // the org is another customer's, see Customer.OrgGuest
	Invited      time.Time
	InvitedEmail string
	Hostings     []KinHosting
}

// KinHosting is a hosting that is bound to another customer.
type KinHosting struct {
	Subscription string
	Ended        bool // the subscription
	Hosting      int64
	State        HostingState
}

// Pending is a write that was sent and never heard of again.
type Pending struct {
	ActionID     string
	Kind         ActionKind
	Subscription string
	Item         string // that a created hosting was for; "" for anything else
	Slot         int
	Email        string // InviteOwner: who was invited
	Org          string // "" for a creation of the org itself
	Hosting      int64  // that was to be changed; 0 for creations and what concerns the org
	SentAt       time.Time
	SettleUntil  time.Time // until then an answer may still take effect
	Looks        int       // complete looks after SettleUntil that found nothing
	LookedAt     time.Time
}

// ValidID reports whether an id has the form of those of Stripe's that begin with
// the prefix, and so is fit for a path and for being believed: letters, digits and
// underscores, 255 bytes at most.
func ValidID(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && rest != "" && len(id) <= 255 && !strings.ContainsFunc(rest, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// ValidCustomerID reports whether an id may be that of a Stripe customer. Those that
// Stripe chooses begin with cus_; old accounts have customers whose ids were chosen by
// people, such as "legacy-42" or an e-mail. An id that could be taken for a subscription
// or a path, or that cannot be seen, is refused: at most 255 bytes, printable, no space at
// either end and no slash.
func ValidCustomerID(id string) bool {
	return id != "" && len(id) <= 255 && utf8.ValidString(id) && !strings.HasPrefix(id, "sub_") &&
		strings.TrimSpace(id) == id && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) || r == '/' || r == '\\' })
}

// EmailKey is the form in which two e-mails are the same customer: trimmed and
// in lower case. Nothing else is folded: dots and tags can be two people.
func EmailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
