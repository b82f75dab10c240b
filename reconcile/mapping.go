package reconcile

import "time"

// Mapping is the plan that a price buys.
type Mapping struct {
	// BillingID is a price id, a price's lookup key, a product id, or the lookup key of a
	// feature that the product has.
	BillingID string
	// Plan is Enhance's integer id in decimal, or the exact plan name.
	Plan string
	MappingOptions
}

// MappingOptions is how a mapping differs from the settings. The zero value is no
// difference.
type MappingOptions struct {
	// Websites is whether a website is made for such an order; "": as CREATE_WEBSITES.
	Websites Websites
	// ServerGroup is the UUID of the server group that the website is made in; "": the panel
	// chooses.
	ServerGroup string
	// ByOrder lets the metadata server_group of a subscription name another one.
	ByOrder bool
	// PHP is the PHP version of the website, such as php83; "": that of the plan.
	PHP string
	// App is installed on the website when it is made; "": nothing is.
	App App
	// Onboarding is how the owner of a new org gets into it; 0: as ONBOARDING.
	Onboarding Onboarding
	// Grace is its grace period if OwnGrace is set, else GRACE_PERIOD counts.
	OwnGrace bool
	Grace    time.Duration
}

// Websites is whether a website is made with the first hosting of an order.
type Websites string

const (
	// WebsitesNone: none is made.
	WebsitesNone Websites = "none"
	// WebsitesOrder: one is made for the domain that was ordered.
	WebsitesOrder Websites = "order"
)

// SiteOptions is how a website is to be made.
type SiteOptions struct {
	ServerGroup string // UUID; "": the panel chooses
	PHP         string // "": that of the plan
	App         App    // "": none
}

// EnhancePlan is an Enhance plan (package) as last read.
type EnhancePlan struct {
	ID   int
	Name string
	// Limits maps a resource to its total; a resource that is absent is unlimited.
	Limits map[string]int64
	Sites  PlanSites
}

// PlanSites is what a plan allows for websites. nil: the panel has not shown it.
type PlanSites struct {
	// PHP has the versions that a website may have.
	PHP []string
	// ServerGroups has the server groups among which a website may choose; empty: it may
	// choose none.
	ServerGroups []string
}

// NotHosting is the plan in the mapping of a price that buys no hosting. A plan with this
// name at the panel is mapped by its number.
const NotHosting = "none"
