package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// OldRows is a table of history, whose old rows are pruned. A row on which a decision
// rests stays, however old it is; see store.Prune.
type OldRows uint8

const (
	// OldActions are rows of the journal.
	OldActions OldRows = iota
	// OldRuns are the records of runs.
	OldRuns
	// OldWebhooks are the records of webhooks.
	OldWebhooks
	// OldPlans are held plans that are over.
	OldPlans
	// OldMails are the matters of which customers had a mail.
	OldMails
	oldRows
)

// Pruning is where pruning stands. It goes through the tables in rounds, a few rows in each
// run, because a row that has to stay once may go later.
type Pruning struct {
	Began time.Time `json:"began"` // the round at work; zero: none is
	Next  time.Time `json:"next"`  // no round begins before
	// After are the rows behind which the round goes on, by table.
	After [oldRows]RowPosition `json:"after"`
	Ended [oldRows]bool        `json:"ended"` // the tables that the round has been through
	Gone  [oldRows]int         `json:"gone"`  // rows that it has pruned
}

// RowPosition is a row in the order of a table.
type RowPosition struct {
	At time.Time `json:"at"`
	ID string    `json:"id"`
}

// Tables are all of them.
func (Pruning) Tables() [oldRows]OldRows {
	return [...]OldRows{OldActions, OldRuns, OldWebhooks, OldPlans, OldMails}
}

// Done reports whether the round has been through all tables.
func (p Pruning) Done() bool { return p.Ended == [oldRows]bool{true, true, true, true, true} }

// Describe counts what the round has pruned; "": nothing.
func (p Pruning) Describe() string {
	var parts []string
	for i, of := range []string{"rows of the journal", "runs", "webhooks", "held plans", "mails"} {
		if n := p.Gone[i]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, of))
		}
	}
	return strings.Join(parts, ", ")
}
