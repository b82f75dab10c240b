package report

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// JournalAction is one row of the journal as scripts see it: on the command line and in
// the admin API.
type JournalAction struct {
	Action
	Key        string  `json:"key"`
	RunID      string  `json:"run_id"` // of what people did: who did it
	At         *string `json:"at"`     // when it was done, else when it was planned: rows are in its order
	PlannedAt  *string `json:"planned_at"`
	SentAt     *string `json:"sent_at"`
	FinishedAt *string `json:"finished_at"`
	// Evidence is what the action rests on, if it takes something away; null: it does not, or
	// it was not sent, or it was sent before this was kept.
	Evidence *reconcile.Evidence `json:"evidence"`
}

// JournalActionOf makes the outside form of a row of the journal.
func JournalActionOf(a reconcile.ActionRecord) JournalAction {
	return JournalAction{Action: ActionOf(a), Key: a.Key, RunID: a.Run,
		At: Time(a.At()), PlannedAt: Time(a.PlannedAt), SentAt: Time(a.SentAt), FinishedAt: Time(a.FinishedAt), Evidence: a.Evidence}
}
