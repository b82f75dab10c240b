package reconcile

// Mapping is the plan that a price buys.
type Mapping struct {
	// BillingID is a price id, a price's lookup key or a product id.
	BillingID string
	// Plan is Enhance's integer id in decimal, or the exact plan name.
	Plan string
}

// EnhancePlan is an Enhance plan (package) as last read.
type EnhancePlan struct {
	ID   int
	Name string
	// Limits maps a resource to its total; a resource that is absent is unlimited.
	Limits map[string]int64
}

// NotHosting is the plan in the mapping of a price that buys no hosting. A plan with this
// name at the panel is mapped by its number.
const NotHosting = "none"
