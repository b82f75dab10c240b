package reconcile

import (
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
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
	// NamedOrgs are the orgs, besides the bound one, that the metadata of its subscriptions
	// names, and those with a hosting of it.
	NamedOrgs []NamedOrg
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

// NamedOrg is an org that a customer may be bound to next.
type NamedOrg struct {
	Org
	Founder  string    // the customer that had it first; "": none has
	Hostings []Hosting // in it, if it has no founder
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

const (
	// suspendedWord stands right before the marker in the name of a hosting that we
	// suspended, "Basic (suspended) [sub_1Nq/1]", and unmarkedTail at the end of a name
	// that has no marker, with the word of the installation where it has one. Either is
	// sent in one call with the suspension, so a database that was put back to an old copy
	// finds the suspensions that it has forgotten.
	suspendedWord = "(suspended) "
	unmarkedTail  = " " + suspendedWord + "[stripe-enhance"
)

// SuspendedName is the friendly name that a hosting gets with our suspension. The marker
// stays as it is. A name with the marker of another installation is theirs to change.
func SuspendedName(name, instance string) string {
	m, marked := MarkerOf(name)
	switch {
	case marked && m.Of(instance) == Marker{}, SuspensionMarked(name, instance):
		return name
	case marked:
		i := strings.LastIndexByte(name, '[')
		return name[:i] + suspendedWord + name[i:]
	}
	if strings.TrimSpace(name) == "" { // a panel may cut spaces at the ends
		return strings.TrimPrefix(tailOf(instance), " ")
	}
	return name + tailOf(instance)
}

// ResumedName is the inverse of SuspendedName, byte for byte; a name that does not carry
// our mark stays as it is.
func ResumedName(name, instance string) string {
	if !SuspensionMarked(name, instance) {
		return name
	}
	if tail := tailOf(instance); strings.HasSuffix(" "+name, tail) {
		return strings.TrimPrefix(strings.TrimSuffix(" "+name, tail), " ")
	}
	i := strings.LastIndexByte(name, '[')
	return name[:i-len(suspendedWord)] + name[i:]
}

// SuspensionMarked reports whether a name shows that this installation suspended the
// hosting. The word alone proves nothing: a customer may choose such a name.
func SuspensionMarked(name, instance string) bool {
	if strings.HasSuffix(" "+name, tailOf(instance)) {
		return true
	}
	m, marked := MarkerOf(name)
	return marked && m.Of(instance) != Marker{} && strings.HasSuffix(name[:strings.LastIndexByte(name, '[')], suspendedWord)
}

func tailOf(instance string) string {
	if instance != "" {
		instance = "@" + instance
	}
	return unmarkedTail + instance + "]"
}

// Likeness is what makes an unbound hosting look like the one that a customer pays
// for. The zero value is invalid.
type Likeness uint8

const (
	// LikeOrg: it is in the org in which the customer's hosting would be made.
	LikeOrg Likeness = iota + 1
	// LikeMetadata: the subscription's metadata names its org.
	LikeMetadata
	// LikeOwner: the owner of its org has the customer's e-mail.
	LikeOwner
	// LikeDomain: the domain that was ordered is a website in its org.
	LikeDomain
	// LikeName: its org is called like the customer.
	LikeName
)

// Lookalike is an unbound living hosting that may be what a customer already has.
// Unbound means that no subscription is bound to it and that it carries no marker:
// people made it by hand, or another program did. In the customer's own org it may
// carry the marker of a subscription that is not known.
type Lookalike struct {
	Subscription string // sub_… that it looks like; "": any of the customer's
	Org          string
	OrgName      string
	Hosting      int64
	Plan         int
	Why          Likeness
	ObservedAt   time.Time // when the hosting was last read
}

// Unbound counts the unbound living hostings of the panel.
type Unbound struct {
	Hostings, Orgs int
	// Undecided: there were some when nothing was bound yet, and there are some still.
	Undecided bool
	// Hidden: some orgs could not be listed then, and are not listed yet.
	Hidden bool
}

// WebsiteLocation is where the panel has a website.
type WebsiteLocation struct {
	Org     string
	Hosting int64 // 0: the panel does not name it
}

// Adoptable is an unbound hosting, with a person's decision that no customer pays for it.
type Adoptable struct {
	Hosting
	Ignored bool
	Why     string // who decided it, and the reason
}

// OrgOwner is an org with the customer that it is bound to; "": none.
type OrgOwner struct {
	Org
	Customer string
}

// Site is a domain at the panel, with its place.
type Site struct {
	Domain string
	WebsiteLocation
}

// NameKey is the form in which two names are the same: in lower case, without
// white space.
func NameKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// What people type at Stripe comes in as it was typed: with spaces, a scheme, a path. The
// functions here bring it into the one form that Enhance takes. Text that has no such form
// is not absent: its author meant something, and a hold reports that it cannot be read.

// domains are the names that a website may have: browsers read typed names by the same
// rules.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// DomainKey is the one form of a domain: in lower case and in ASCII (xn--…), without
// scheme, www., port, path and the dot behind. "" when it is empty, or no domain that a
// website can have.
func DomainKey(text string) string {
	text = strings.TrimSpace(text)
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	text = strings.TrimPrefix(text, "//")
	if i := strings.IndexAny(text, "/?#\\"); i >= 0 {
		text = text[:i]
	}
	if host, port, ok := strings.Cut(text, ":"); ok && digits(port) {
		text = host
	}
	name, err := domains.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil || strings.HasSuffix(name, ".") { // of characters that are none to the DNS
		return ""
	}
	for strings.HasPrefix(name, "www.") && strings.Count(name, ".") > 1 { // until the form is final
		name = strings.TrimPrefix(name, "www.")
	}
	if top := name[strings.LastIndexByte(name, '.')+1:]; top == name || digits(top) {
		return "" // a single word, or an IP address
	}
	return name
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// ParseOrgID reads the id of an org as a person has written it. Where it cannot be
// read, unread is what stands there.
func ParseOrgID(text string) (id, unread string) {
	text = strings.TrimSpace(text)
	id = strings.ToLower(text)
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' ||
		strings.Trim(strings.ReplaceAll(id, "-", ""), "0123456789abcdef") != "" || strings.Count(id, "-") != 4 {
		return "", Truncate(text)
	}
	return id, ""
}

// ParseHostingID reads the id of a hosting as a person has written it: a number above
// 0. Where it cannot be read, unread is what stands there.
func ParseHostingID(text string) (id int64, unread string) {
	text = strings.TrimSpace(text)
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || !digits(text) {
		return 0, Truncate(text)
	}
	return id, ""
}

// ValidEmail reports whether an e-mail can be written to: one address and nothing else,
// apart from spaces around it.
func ValidEmail(text string) bool {
	text = strings.TrimSpace(text)
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text && !strings.ContainsFunc(text, blank)
}

// CleanName is a name as it can be given to Enhance: in one line, without invisible
// characters and without a text at its end that looks like a marker of ours. "" if nothing
// is left.
func CleanName(text string) string {
	name := strings.Join(strings.FieldsFunc(strings.Map(seen, text), blank), " ")
	for {
		if _, marked := MarkerOf(name); !marked {
			return name
		}
		name = strings.TrimSpace(name[:strings.LastIndexByte(name, '[')])
	}
}

func blank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// seen drops the characters that have no width and those that turn the direction of
// writing, but not the joiners, which some scripts cannot be written without.
func seen(r rune) rune {
	if unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' || r == utf8.RuneError {
		return -1
	}
	return r
}

// Truncate returns text from outside for a sentence or a row: its first 100 characters.
func Truncate(text string) string {
	n := 0
	for i := range text {
		if n == 100 {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// FormatTime is an instant for sentences: to the minute, UTC.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// FormatDuration is a duration as the operator wrote it: in hours, without zero minutes.
func FormatDuration(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}

// FormatID writes a hosting's id in decimal digits.
func FormatID(id int64) string { return strconv.FormatInt(id, 10) }

// SlotID renders a subscription's slot as it stands in ids and markers.
func SlotID(sub string, n int) string { return sub + "/" + strconv.Itoa(n) }
