package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func actionsOf(records []reconcile.ActionRecord) []report.JournalAction {
	out := make([]report.JournalAction, 0, len(records))
	for _, a := range records {
		out = append(out, report.JournalActionOf(a))
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
	if text := q.Get("since"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			respondError(w, http.StatusBadRequest, "since must be a time such as 2026-03-01T12:00:00Z")
			return
		}
		f.Since = at
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
	customer, err := s.Retry(r.Context(), id)
	if err != nil {
		s.respondPortError(w, r, "Action", err)
		return
	}
	respond(w, http.StatusOK, map[string]any{"success": true, "message": "Customer " + customer + " is tried again now", "customerId": customer})
}
