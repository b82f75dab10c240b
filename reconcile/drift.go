package reconcile

// Drift is a hosting that was changed at the panel, and not by us.
type Drift struct {
	Hosting int64
	Org     string
	Text    string // its state before and after, as a sentence
}
