package reconcile

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HostingState is what an Enhance subscription looked like when last read. The
// zero value means it has never been read.
type HostingState uint8

const (
	HostingActive HostingState = iota + 1
	HostingSuspended
	// HostingDeleted is Enhance's own word: soft-deleted, data kept until purged.
	HostingDeleted
	// HostingMissing is a clear "no such subscription" to a read by id.
	HostingMissing
	// HostingUnknown is a status word that we do not know.
	HostingUnknown
)

var hostingStateNames = [...]string{
	HostingActive: "active", HostingSuspended: "suspended", HostingDeleted: "deleted",
	HostingMissing: "missing", HostingUnknown: "unknown",
}

// String is the state in lower case; "unread" for the zero value.
func (s HostingState) String() string {
	if int(s) < len(hostingStateNames) && hostingStateNames[s] != "" {
		return hostingStateNames[s]
	}
	return "unread"
}

// ParseHostingState is the inverse of String; unknown words are HostingUnknown
// and "unread" or "" is the zero value.
func ParseHostingState(word string) HostingState {
	for s, name := range hostingStateNames {
		if name == word && name != "" {
			return HostingState(s)
		}
	}
	if word == "" || word == "unread" {
		return 0
	}
	return HostingUnknown
}

// Hosting is an Enhance subscription as last observed, bound to us or not.
type Hosting struct {
	ID           int64
	Org          string // the customer org it belongs to
	Plan         int
	State        HostingState
	SuspendedBy  string // Enhance's suspendedBy, empty when not suspended
	FriendlyName string
	Usage        []Usage   // resources as last read; nil after a listing that had none
	ObservedAt   time.Time // when State, Plan and the rest were read; zero: never
	// SuspendedByUs is when our own journal suspended it. Zero: it did not, so a suspension
	// that stands is not ours.
	SuspendedByUs time.Time
	// NamesUs means that the panel names us as who suspended it. The engine sets it: what
	// the panel calls us is learned from our own suspensions.
	NamesUs bool
	// TerminatedByUs is when our own journal deleted it at the end of the
	// retention period; such a hosting is history and matches nothing.
	TerminatedByUs time.Time
	// Website is the domain of the website we created on it; empty: none.
	Website string
	// WebsiteTaken is the domain that Enhance refused: it is taken, or is none to it.
	WebsiteTaken string
	// DomainUse is where the panel had the ordered domain when it was last asked.
	DomainUse DomainUse
	// App is the application that was ordered with Website.
	App SiteApp
	// Bound means that some subscription is bound to it, be it another customer's.
	Bound bool
	// Serves is a subscription of another customer that is bound to it and has not ended;
	// known only of a hosting that the metadata of the customer names.
	Serves  string
	Content Content // as last read, when a decision needed it
	Backups Backups // as last read before a deletion
}

// Marker is the Stripe id in the friendly name; see MarkerOf.
func (h Hosting) Marker() Marker { m, _ := MarkerOf(h.FriendlyName); return m }

// Usage is one resource of a hosting: how much is used of what the plan gives.
type Usage struct {
	Name  string
	Used  int64
	Total *int64 // nil: unlimited
}

// Binding is our durable link between one unit and one hosting. Several bindings may name
// one hosting; it stays up while any of them is entitled.
type Binding struct {
	Subscription string
	Item         string // "" after a recovery from markers: not known which item
	Slot         int    // 1…n, never used again within the subscription
	Org          string
	Hosting      int64
	How          BindKind
	At           time.Time
}

// BindKind is what justified a binding.
type BindKind uint8

const (
	BoundByCreate BindKind = iota + 1
	BoundByMarker
	BoundByMetadata
	BoundByAdopt
	// BoundByResubscription: a new subscription took over the hosting of an ended one.
	BoundByResubscription
)

var bindKindNames = [...]string{
	BoundByCreate: "create", BoundByMarker: "marker", BoundByMetadata: "metadata",
	BoundByAdopt: "adopt", BoundByResubscription: "return",
}

// String is the word stored in the database.
func (k BindKind) String() string {
	if int(k) < len(bindKindNames) && bindKindNames[k] != "" {
		return bindKindNames[k]
	}
	return "unknown"
}

// ParseBindKind is the inverse of String; 0 for anything else.
func ParseBindKind(word string) BindKind {
	for k, name := range bindKindNames {
		if name == word && name != "" {
			return BindKind(k)
		}
	}
	return 0
}

// Org is an Enhance organisation that is a customer of ours.
type Org struct {
	ID           string // uuid
	Name         string
	OwnerEmail   string // empty until an owner has accepted
	Hostings     int    // subscriptionsCount as last read
	Deleted      bool
	Suspended    bool
	Created      time.Time
	ObservedAt   time.Time
	HostingsRead time.Time // when the complete list of its hostings was last read
	// Owners are the e-mails of its members with the role Owner, invited ones
	// included, as of OwnersRead; zero: never read.
	Owners     []string
	OwnersRead time.Time
}

// Marker is what our creates leave in a name at Enhance, so that an object whose
// creation we never heard of can be recognised as ours: "[sub_1Nq/2]" in the
// friendly name of a hosting (slot 2 of sub_1Nq) and "[cus_9s6]" in the name of
// an org until it is bound. With INSTANCE set they end in its word, "[sub_1Nq/2@shop]".
// Customers of old accounts whose ids were chosen by people are "[customer:legacy-42]",
// so that no word in brackets that stood in a name before is taken for one of them;
// what could end a marker early is written as in a URL.
type Marker struct {
	StripeID string // sub_…, or a customer's
	Slot     int    // 0 in an org's marker
	Instance string // INSTANCE of the installation that wrote it; "": none was set
}

// String is the marker with its brackets; "" for the zero value.
func (m Marker) String() string {
	if m.StripeID == "" {
		return ""
	}
	text := m.StripeID
	if m.Slot == 0 && !(strings.HasPrefix(text, "cus_") && plainID(text)) {
		text = chosenID + escaped(text)
	}
	if m.Slot != 0 {
		text += "/" + strconv.Itoa(m.Slot)
	}
	if m.Instance != "" {
		text += "@" + m.Instance
	}
	return "[" + text + "]"
}

// Of returns the marker without its word where an installation may take it for its
// own: it has that installation's word, or none, as everything that was made before
// a word was set. Any other marker is another installation's, and the result is the
// zero value.
func (m Marker) Of(instance string) Marker {
	if m.Instance != "" && m.Instance != instance {
		return Marker{}
	}
	m.Instance = ""
	return m
}

// MarkerOf finds the marker at the end of a name. A name that merely contains
// brackets is not ours: the marker is the last word, names a Stripe id, and, for
// a subscription, a slot from 1 up.
func MarkerOf(name string) (Marker, bool) {
	name = strings.TrimSpace(name)
	open := strings.LastIndexByte(name, '[')
	if open < 0 || !strings.HasSuffix(name, "]") {
		return Marker{}, false
	}
	text, word, hasWord := strings.Cut(name[open+1:len(name)-1], "@")
	if hasWord && !ValidInstance(word) {
		return Marker{}, false
	}
	if chosen, ok := strings.CutPrefix(text, chosenID); ok {
		id, err := url.PathUnescape(chosen)
		m := Marker{StripeID: id, Instance: word}
		if err != nil || !ValidCustomerID(id) || m.String() != name[open:] {
			return Marker{}, false
		}
		return m, true
	}
	id, slot, hasSlot := strings.Cut(text, "/")
	switch {
	case strings.HasPrefix(id, "cus_") && !hasSlot && plainID(id):
		return Marker{StripeID: id, Instance: word}, true
	case strings.HasPrefix(id, "sub_") && hasSlot && plainID(id):
		n, err := strconv.Atoi(slot)
		if err != nil || n < 1 || strconv.Itoa(n) != slot {
			return Marker{}, false
		}
		return Marker{StripeID: id, Slot: n, Instance: word}, true
	}
	return Marker{}, false
}

// ValidInstance reports whether a word can stand in a marker as INSTANCE: up to 16
// lower-case letters, digits and hyphens.
func ValidInstance(word string) bool {
	return word != "" && len(word) <= 16 && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// chosenID begins the marker of a customer whose id Stripe did not choose.
const chosenID = "customer:"

// escaped writes an id so that only letters, digits, and "-", "_", "." and "%" are in it.
func escaped(id string) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		switch {
		case c == '-', c == '_', c == '.', c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// plainID accepts the characters of Stripe ids and nothing that could end a
// marker or a path early.
func plainID(id string) bool {
	if len(id) < len("sub_")+1 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// NameOnPlan is the friendly name of a hosting whose plan is changed: the name of the
// plan stands before our marker, and follows it. "" where it stays: a name that people
// gave, one that another installation marked, or one that is right. The marker, and our
// word before it where we have suspended the hosting, stay as they are.
func NameOnPlan(name, from, to, instance string) string {
	m, marked := MarkerOf(name)
	rest, ours := strings.CutPrefix(name, from+" ")
	if !marked || !ours || from == "" || to == "" || from == to || m.Of(instance) == (Marker{}) {
		return ""
	}
	at := strings.LastIndexByte(rest, '[') // below 0: the marker is a part of the plan's name
	if at < 0 || rest[:at] != "" && rest[:at] != suspendedWord {
		return ""
	}
	return to + " " + rest
}

// MarkedName is the friendly name of a hosting that a person has bound, with the marker at
// its end. "" where it stays: the marker is there already, another installation marked it,
// or it shows our suspension without a marker, which is taken out again when that is
// lifted. A marker of ours that names another subscription gives way.
func MarkedName(name string, m Marker) string {
	old, marked := MarkerOf(name)
	switch {
	case marked && (old == m || old.Of(m.Instance) == Marker{}):
		return ""
	case marked:
		return name[:strings.LastIndexByte(name, '[')] + m.String()
	case SuspensionMarked(name, m.Instance):
		return ""
	case strings.TrimSpace(name) == "":
		return m.String()
	}
	return strings.TrimRight(name, " ") + " " + m.String()
}

// HostingChange is one PATCH of a hosting: Suspended or Plan is set, or the name alone.
type HostingChange struct {
	Suspended *bool
	Name      *string // the friendly name that goes with it; nil: it stays
	Plan      int
}

// DomainUse is the panel's answer to the question whether a website may have a domain. The
// zero value: it was not asked.
type DomainUse struct {
	Domain string
	Status DomainStatus
	// Org and Hosting are where a website of a customer has the domain; "" and 0: not known.
	Org     string
	Hosting int64
	// Refused is why the panel did not make the website, although it had the domain as free.
	Refused string
	ReadAt  time.Time
	// FreeAt is when the domain was free, right before its website was to be made; it stays
	// while the panel shows that website on its hosting. Zero: it was not.
	FreeAt time.Time
}

// DomainStatus is Enhance's word for the use of a domain (orchd OpenAPI 12.3.0,
// DomainInUseStatus).
type DomainStatus string

const (
	DomainFree        DomainStatus = "notInUse"
	DomainProhibited  DomainStatus = "prohibited"
	DomainOwnOrg      DomainStatus = "inUseCurrentOrg"
	DomainOtherOrg    DomainStatus = "inUseAnotherOrg"
	DomainDeletedSite DomainStatus = "inUseDeletedSite"
	// DomainUnknown: the panel does not answer the question, or with another word.
	DomainUnknown DomainStatus = "unknown"
)

// ParseDomainStatus is DomainUnknown for a word that is not known.
func ParseDomainStatus(word string) DomainStatus {
	switch s := DomainStatus(word); s {
	case DomainFree, DomainProhibited, DomainOwnOrg, DomainOtherOrg, DomainDeletedSite:
		return s
	case DomainUnknown:
	}
	return DomainUnknown
}

// Blocks reports whether a website with the domain cannot be made on a hosting. If that
// hosting has the website already, making it again finds it.
func (u DomainUse) Blocks(hosting int64) bool {
	switch u.Status {
	case DomainProhibited, DomainOtherOrg, DomainDeletedSite:
		return true
	case DomainOwnOrg:
		return u.Hosting != hosting
	case DomainFree, DomainUnknown:
	}
	return false
}

// App is an application that the panel installs on a website, in Enhance's word for it.
type App string

// AppWordPress is the only one that Enhance has (orchd OpenAPI 12.3.0, WebsiteAppKind).
const AppWordPress App = "wordpress"

// SiteApp is an application that was ordered with a website, and how far it has come. The
// zero value: none was ordered when the website was made.
type SiteApp struct {
	App    App
	Domain string // of the website
	// MadeAt is when we made the website; zero: it is not known to be of our making.
	MadeAt time.Time
	// Done is since when there is nothing left to do: an application is there, or the website
	// is gone.
	Done time.Time
	// Databases is how many databases the website had when it was last read without an
	// application.
	Databases int
	// Refused is why the panel does not install it, or does not show it, as of RefusedAt.
	Refused   string
	RefusedAt time.Time
	ReadAt    time.Time
}

// SiteApps is what the panel shows on a website: the applications and, where there are
// none, the number of databases.
type SiteApps struct {
	Gone      bool // the hosting has no such website any more
	Apps      []string
	Databases int
}

// FoundSite is a website that was there when it was to be made. The zero value: it was made.
type FoundSite struct {
	Found   bool
	Created time.Time // zero: not known
}

// slowCreate is how long a website may be in the making.
const slowCreate = 10 * time.Minute

// MadeByUs reports whether a website that was found is the one that an earlier attempt of
// ours has made: it came into being right after its domain was free.
func (f FoundSite) MadeByUs(use DomainUse) bool {
	return !f.Created.IsZero() && !use.FreeAt.IsZero() && !f.Created.Before(use.FreeAt.Add(-time.Minute)) && f.Created.Before(use.FreeAt.Add(slowCreate))
}

// Target describes a subscription that was asked for: a targeted run reports it even if
// there is nothing to do.
type Target struct {
	Subscription string
	// Known means that Stripe knows it; Status is Stripe's word, "" when it does not.
	Known  bool
	Status string
	// Customer and Email are its customer's; "" when nothing is known of it here.
	Customer, Email string
	Hostings        []Hosting // bound to it, as last seen
	// Changes are the actions of the report that concern it and Withheld the holds; those
	// of its customer that name no subscription are among them.
	Changes, Withheld int
	Text              string // all of it, as a sentence
}

// UnknownTarget is one that neither Stripe nor this database knows.
func UnknownTarget(id string) Target {
	return Target{Subscription: id, Text: "Stripe knows no subscription " + id + " in this account and mode"}
}

// Website is one website of an org, on one of its hostings.
type Website struct {
	Domain  string
	Hosting int64
}

// Content lists the websites of a hosting, as of the last listing of its org. The zero
// value: they were never listed. Everything else on it (mailboxes, databases) is in
// Hosting.Usage, which every reading of the hosting renews.
type Content struct {
	Sites  []string // domains in alphabetical order, the first MostSites of them
	Count  int      // how many websites there are
	Unread string   // why the panel does not list them; "" when it did
	ReadAt time.Time
}

// MostSites is how many domains of a hosting are kept: enough for a person to
// recognise it by.
const MostSites = 5

// ContentOf sorts the websites of an org by hosting.
func ContentOf(sites []Website, at time.Time) map[int64]Content {
	on := map[int64]Content{}
	for _, s := range sites {
		c := on[s.Hosting]
		c.Sites, c.Count, c.ReadAt = append(c.Sites, s.Domain), c.Count+1, at
		on[s.Hosting] = c
	}
	for id, c := range on {
		slices.Sort(c.Sites)
		c.Sites = c.Sites[:min(len(c.Sites), MostSites)]
		on[id] = c
	}
	return on
}

// Backups shows how far the backups of a hosting's websites have come. It is read only
// for a hosting that is to be deleted.
type Backups struct {
	ReadAt time.Time // zero: never
	// Since is when a backup must have begun, at the earliest, to count: the websites have not
	// changed since the hosting was suspended.
	Since time.Time
	// Lacking is the domain of the first website without a backup that counts; "": none is
	// without.
	Lacking string
	// Began is when the backup of that website began that is under way, and Failed when the
	// last one that failed began. Zero: there is none.
	Began, Failed time.Time
	// Refused is why the panel does not show the backups; "": it does.
	Refused string
}

// Complete reports whether each website has a backup.
func (b *Backups) Complete() bool { return !b.ReadAt.IsZero() && b.Lacking == "" && b.Refused == "" }
