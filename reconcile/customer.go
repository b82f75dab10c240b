package reconcile

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Customer is everything known about one paying party: the input of Decide. It is
// a value; Decide neither keeps nor changes it. Slices may be in any order.
type Customer struct {
	// ID is the Stripe id of the buyer who founded this party. It never changes.
	ID string
	// Version is how often the customer had been woken when it was loaded. Decide
	// does not look at it: it goes back to the store with what was decided, which
	// keeps a customer due that was woken since. See Planned.
	Version int64
	Email   string // as typed at Stripe by the founder, or by another buyer where that one has none
	Name    string // for the organisation; empty: the e-mail serves
	// Buyers are its customers at Stripe: one. Only databases of earlier versions have
	// parties of several, and nothing passes from one of them to another.
	Buyers []Buyer
	// Subscriptions of all its buyers.
	Subscriptions []Subscription
	Bindings      []Binding
	// Hostings are those bound, those in the bound org, and those anywhere whose
	// marker names one of the subscriptions. Unbound ones are never touched.
	Hostings []Hosting
	// Org is the bound org; nil: none yet.
	Org *Org
	// OrgNamed tells that the bound org has its final name, Invited when the
	// owner was invited (zero: not yet, or not needed) and InvitedEmail at which
	// address; empty: by a version that did not keep it.
	OrgNamed     bool
	Invited      time.Time
	InvitedEmail string
	// OrgGuest tells that another party had the org before: it names the org and
	// invites to it, this one only has hostings in it.
	OrgGuest bool
	// PlannedAt is when the customer was last planned and recorded; zero: never.
	PlannedAt time.Time
	// MarkedOrgs are unbound orgs whose name carries this customer's marker.
	MarkedOrgs []Org
	// OwnedOrgs are unbound, undeleted orgs whose owner has exactly this e-mail.
	OwnedOrgs []Org
	// Lookalikes are unbound living hostings that may be what this customer pays for.
	Lookalikes []Lookalike
	// Unbound tells that the panel has any unbound living hosting, whoever's, and
	// Undecided that it had some before anything was bound here, which have not all
	// been adopted since: nobody has told yet which orders are new.
	Unbound, Undecided bool
	// Kin are the other parties with this e-mail that have an org, by id.
	Kin []Kin
	// Pending are writes of ours whose outcome nobody knows, from the journal.
	Pending []Pending
	// Unbindings are what people said does not serve a subscription, and Instructions how often
	// they said anything about what serves the customer.
	Unbindings   []Unbinding
	Instructions int64
	// Manual are the holds that people set.
	Manual []ManualHold
	// Parked is when the customer was set aside after repeated failures; zero: not.
	Parked     time.Time
	Failures   int       // of its own, in a row
	RetryAfter time.Time // back-off; zero: none
	LastError  string    // of the last failure, its own or a side's; "" since a success
}

// Buyer is a Stripe customer of a party.
type Buyer struct {
	StripeCustomer
	// FormerEmail is the address before the last change, and EmailChanged when that
	// change was seen; empty and zero: it has not changed since the first reading.
	FormerEmail  string
	EmailChanged time.Time
}

// Kin is another party one of whose buyers has typed the same e-mail. Stripe verifies
// no address, so that says nothing by itself: the org of such a party is shared only
// with who its owner at the panel is known to be.
type Kin struct {
	ID           string
	EmailChanged time.Time // when its buyer came to this address; zero: always had it
	Org          Org
	Guest        bool // the org is another party's, see Customer.OrgGuest
	Invited      time.Time
	InvitedEmail string
	Hostings     []KinHosting
}

// KinHosting is a hosting that another party is bound to.
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
// whoever made them, such as "legacy-42" or an e-mail. What could be taken for a
// Subscription or for a path, or cannot be seen, is none: at most 255 bytes, printable,
// no space at either end and no slash.
func ValidCustomerID(id string) bool {
	return id != "" && len(id) <= 255 && utf8.ValidString(id) && !strings.HasPrefix(id, "sub_") &&
		strings.TrimSpace(id) == id && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) || r == '/' || r == '\\' })
}

// EmailKey is the form in which two e-mails are the same customer: trimmed and
// in lower case. Nothing else is folded: dots and tags can be two people.
func EmailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
