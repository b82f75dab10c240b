package server

import (
	"net/http"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

type actionDocument struct {
	report.Action
	Key        string  `json:"key"`
	RunID      string  `json:"run_id"`
	At         *string `json:"at"` // when it was done, else when it was planned: rows are in its order
	PlannedAt  *string `json:"planned_at"`
	SentAt     *string `json:"sent_at"`
	FinishedAt *string `json:"finished_at"`
}

func actionsOf(records []reconcile.ActionRecord) []actionDocument {
	out := make([]actionDocument, 0, len(records))
	for _, a := range records {
		out = append(out, actionDocument{Action: report.ActionOf(a), Key: a.Key, RunID: a.Run,
			At: report.Time(a.At()), PlannedAt: report.Time(a.PlannedAt), SentAt: report.Time(a.SentAt), FinishedAt: report.Time(a.FinishedAt)})
	}
	return out
}

const wrongState = "state must be planned, held, sent, ambiguous, applied, adopted, failed or superseded"

// actions lists the journal. The filter takes the journal's own states, which are finer
// than those of the answer.
func (s *Server) actions(w http.ResponseWriter, r *http.Request) {
	n, ok := rows(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	f := reconcile.ActionFilter{Customer: q.Get("customer"), Subscription: q.Get("subscription"), Limit: n}
	if word := q.Get("state"); word != "" {
		if f.State = reconcile.ParseActionState(word); f.State == 0 {
			respondError(w, http.StatusBadRequest, wrongState)
			return
		}
	}
	records, err := s.o.Journal.Actions(r.Context(), f)
	if err != nil {
		s.respondPortError(w, r, "The actions", err)
		return
	}
	respond(w, http.StatusOK, map[string]any{"actions": actionsOf(records)})
}

func (s *Server) retry(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutSuffix(r.PathValue("id"), "/retry")
	if !ok || id == "" {
		notFound(w, r)
		return
	}
	customer, err := s.o.Journal.Retry(r.Context(), id, s.o.Now())
	if err != nil {
		s.respondPortError(w, r, "Action", err)
		return
	}
	s.o.Log.WithField("customer", customer).WithField("action", id).Info("retry asked for")
	s.nudge(r, "admin")
	respond(w, http.StatusOK, map[string]any{"success": true, "message": "Customer " + customer + " is tried again now", "customerId": customer})
}
