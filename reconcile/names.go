package reconcile

import (
	"strings"
	"time"
	"unicode"
)

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
