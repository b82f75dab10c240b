package reconcile

// Drift is a hosting that somebody else has changed at the panel.
type Drift struct {
	Hosting int64
	Org     string
	Text    string // what it was and is, as a sentence
}
