package reconcile

// Duplicate is something that was made a second time, and not by our own journal: a
// hosting with the marker of a slot that is bound to another living one, or, with
// Hosting 0, an org with the marker of a customer who has another.
type Duplicate struct {
	Marker         Marker
	Org, FirstOrg  string
	Hosting, First int64
}
