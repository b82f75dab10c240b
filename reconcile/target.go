package reconcile

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
