package server

// Task is something that a person does with a key: each route of the admin API and each
// page has one, so that both refuse the same.
type Task uint8

const (
	// Look is reading anything.
	Look Task = iota + 1
	// Retry makes a run look again, at one customer or at all.
	Retry
	// Hold puts and removes holds.
	Hold
	// Login makes login links for owners.
	Login
	// Approve releases or refuses held plans.
	Approve
	// Map changes which price buys which plan.
	Map
	// Rename gives an organisation its name.
	Rename
)

// forSupport are the tasks for which a key of SUPPORT_API_KEY is enough.
var forSupport = map[Task]bool{Look: true, Retry: true, Hold: true, Login: true}

// May reports whether the key is good for a task.
func (k Keyholder) May(t Task) bool { return !k.Support || forSupport[t] }
