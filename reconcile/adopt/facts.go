package adopt

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Facts are both sides as far as they are known, in any order.
type Facts struct {
	Buyers   []Buyer
	Orders   []Order
	Orgs     []Org
	Hostings []Hosting
	// Sites are the places of the domains that are of interest: those that were ordered, and
	// those on the hostings.
	Sites []reconcile.Site
}

// Buyer is a customer at Stripe, with or without an order.
type Buyer struct{ ID, Email, Name string }

// Order is a subscription that lives.
type Order struct {
	Subscription, Customer string
	Status                 reconcile.Status
	Paused                 bool // its collection
	Created                time.Time
	Domain                 string
	MetadataOrg            string
	MetadataHosting        int64
	Unclear                bool        // its metadata cannot be read
	Free                   map[int]int // plan → how many hostings of it are paid for and not there
	Org                    string      // of the customer, bound; "": none
	New                    bool        // a person has decided that the order is new
	Ignored                string      // the reason of a person's hold "ignore"; "": none
}

// units is how many hostings are paid for and not there.
func (o *Order) units() (n int) {
	for _, free := range o.Free {
		n += free
	}
	return n
}

// Org is an organisation at the panel that is not deleted.
type Org struct {
	ID, Name   string
	OwnerEmail string   // as listed; "": none
	Owners     []string // all members with the role Owner, as of OwnersRead
	OwnersRead bool
	Created    time.Time
	Suspended  bool
	Customer   string // whose it is, by a binding; "": of none
}

// owners are the keys of the e-mails of its owners, as far as they are known.
func (o *Org) owners() []string {
	all := o.Owners
	if !o.OwnersRead {
		all = []string{o.OwnerEmail}
	}
	var known []string
	for _, e := range all {
		if key := reconcile.EmailKey(e); key != "" {
			known = append(known, key)
		}
	}
	return known
}

// Hosting is one that lives, that no subscription is bound to, and without a marker.
type Hosting struct {
	ID        int64
	Org       string
	Plan      int
	Suspended bool
	Ignored   string // why a person has decided that no customer pays for it; "": no such decision
}

// Evidence is one thing that speaks for a pair.
type Evidence string

const (
	Metadata   Evidence = "metadata"    // the subscription's metadata names the org or the hosting
	OwnerEmail Evidence = "owner_email" // the only owner of the org has the customer's e-mail
	OneOwner   Evidence = "one_owner"   // one of several owners has
	CustomerOf Evidence = "org"         // the org is bound to the customer already
	Domain     Evidence = "domain"      // the ordered domain is a website of the hosting
	Plan       Evidence = "plan"
	Count      Evidence = "count" // as many are paid for as are there, on this plan
	Name       Evidence = "name"
	Created    Evidence = "created" // org and subscription were made within two days
)

// weights are what each is worth, in the order in which they are shown.
var weights = []struct {
	evidence Evidence
	weight   int
}{
	{Metadata, 100}, {OwnerEmail, 50}, {OneOwner, 25}, {CustomerOf, 40}, {Domain, 30}, {Plan, 15}, {Count, 5}, {Name, 5}, {Created, 2},
}

// Decision is what becomes of a row.
type Decision string

const (
	Link   Decision = "link"   // they belong together
	Review Decision = "review" // a person has to decide
	New    Decision = "new"    // the order is new and gets a hosting of its own
	Ignore Decision = "ignore" // leave it alone
)

// Decisions are all of them.
var Decisions = []Decision{Link, Review, New, Ignore}

// Pair is one row: an order with a hosting, or one of them alone.
type Pair struct {
	Customer, Subscription, Email string
	Org, OrgName                  string
	Hosting                       int64
	Plan                          int // of the hosting; of an order alone, the plan that it pays for
	Score                         int // 0 to 100
	Evidence                      []Evidence
	Decision                      Decision
	Reason                        string
}
