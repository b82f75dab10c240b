package planner

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// NeedKind is the kind of a read that the planner asks for before it decides.
type NeedKind uint8

const (
	// NeedHosting: the hosting ID in Org was never read, or too long ago.
	NeedHosting NeedKind = iota + 1
	// NeedOrgHostings: the complete list of the hostings of Org.
	NeedOrgHostings
	// NeedOrg: the org itself.
	NeedOrg
	// NeedDomain: the Checkout Session of Subscription.
	NeedDomain
	// NeedSubscription: Subscription read by id, with its oldest unpaid invoice.
	NeedSubscription
	// NeedWebsiteLocation: where at the panel the Domain that Subscription ordered is.
	NeedWebsiteLocation
	// NeedOwners: the members of Org with the role Owner.
	NeedOwners
	// NeedContent: the websites of Org. The only need that the panel may refuse for good:
	// the refusal is a fact, and the content of the org's hostings counts as unread.
	NeedContent
	// NeedBackups: the backups that the websites of a hosting have since an instant.
	NeedBackups
	// NeedDomainUse: whether a website on Hosting in Org may have Domain by now.
	NeedDomainUse
	// NeedSiteApps: the applications that are on the website of a hosting by now.
	NeedSiteApps
	// NeedFeatures: the features of Product. Like content, Stripe may refuse it for good.
	NeedFeatures
	// NeedDispute: Dispute read by id. Without an answer nothing is suspended for it.
	NeedDispute
)

// Need is one read that the planner asks for. The engine reads it and plans
// again; a need that cannot be read is an error of the run for that customer,
// never "not there".
type Need struct {
	Kind         NeedKind
	Org          string
	Hosting      int64
	Subscription string
	Domain       string
	Product      string    // NeedFeatures
	Dispute      string    // NeedDispute
	Since        time.Time // NeedBackups
}

// Decision is the result of Decide for one customer.
type Decision struct {
	Actions []reconcile.Action // in the order in which they are to be applied
	Holds   []reconcile.Hold
	// Needs, when not empty, makes the rest provisional: read these, plan again.
	Needs []Need
	// Contents are the orgs whose content mattered for this decision. The engine reads it
	// again right before an action that takes something away.
	Contents []string
	// Forecast lists the changes that come with a date if nothing else happens until then,
	// by time.
	Forecast []reconcile.ForecastEntry
	// Next is when the decision changes by the mere passing of time (grace,
	// retention, a hold that expires). Zero: never.
	Next time.Time
}
