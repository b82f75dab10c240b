package reconcile

import "time"

// FlowPatience is how long a webhook waits to be served by a flow run. After that the next
// run takes it, with all that waits.
const FlowPatience = 2 * time.Second

// Served is how a flow run ended: the run that serves one subscription which a webhook has
// named, beside any other run.
type Served struct {
	// Taken means that a nudge was taken; there may be more.
	Taken bool
	// Left means that a run is to follow soon, because something was left to it.
	Left bool
	// Subscription was followed to the end; "" if it was left.
	Subscription string
	// Report has the actions of the customer. Its Run has no id if it was left.
	Report Report
}
