package reconcile

import (
	"strings"
	"time"
	"unicode"
)

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
