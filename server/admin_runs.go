package server

import (
	"net/http"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// defaultRows and mostRows bound lists.
const defaultRows, mostRows = 100, 1000

// runDocument is a run in the history.
type runDocument struct {
	RunID      string          `json:"run_id"`
	Trigger    string          `json:"trigger"`
	Mode       string          `json:"mode"`
	Result     string          `json:"result"` // running, ok, failed
	StartedAt  *string         `json:"started_at"`
	FinishedAt *string         `json:"finished_at"` // null: the run is under way, or its process died
	Stripe     report.Stripe   `json:"stripe"`
	Enhance    report.Enhance  `json:"enhance"`
	Counts     report.Counts   `json:"counts"`
	Gates      []string        `json:"gates"`
	Error      string          `json:"error"`
	Converged  *bool           `json:"converged"` // null: the run has not ended, or an earlier version did it
	Actions    []report.Action `json:"actions,omitempty"`
}

func runOf(r reconcile.RunRecord) runDocument {
	return runDocument{RunID: r.ID, Trigger: r.Trigger, Mode: r.Mode, Result: resultOf(r),
		StartedAt: report.Time(r.Started), FinishedAt: report.Time(r.Finished),
		Stripe:  report.Stripe{Requests: r.StripeCalls, Subscriptions: r.Subscriptions, Events: r.Events},
		Enhance: report.Enhance{Requests: r.EnhanceCalls},
		Counts:  report.Counts{Planned: r.Planned, Applied: r.Applied, Failed: r.Failed, Held: r.Held, OrdersHeld: r.Orders},
		Gates:   append([]string{}, r.Gates...), Error: r.Error, Converged: r.Converged}
}

func runsOf(records []reconcile.RunRecord) []runDocument {
	out := make([]runDocument, 0, len(records))
	for _, r := range records {
		out = append(out, runOf(r))
	}
	return out
}

// rows reads the parameter limit. If it is not a number of rows, it answers the request
// and returns false.
func rows(w http.ResponseWriter, r *http.Request) (int, bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultRows, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostRows {
		respondError(w, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(mostRows))
		return 0, false
	}
	return n, true
}

func (s *Server) runs(w http.ResponseWriter, r *http.Request) {
	n, ok := rows(w, r)
	if !ok {
		return
	}
	records, err := s.o.History.Runs(r.Context(), n)
	if err != nil {
		s.respondPortError(w, r, "The runs", err)
		return
	}
	respond(w, http.StatusOK, map[string]any{"runs": runsOf(records)})
}

// run answers one run with its actions.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	d, err := s.runWithActions(r, r.PathValue("id"))
	if err != nil {
		s.respondPortError(w, r, "Run", err)
		return
	}
	respond(w, http.StatusOK, d)
}

// runWithActions reads a run of this or another process from the history.
func (s *Server) runWithActions(r *http.Request, id string) (runDocument, error) {
	record, err := s.o.History.Run(r.Context(), id)
	if err != nil {
		return runDocument{}, err
	}
	d := runOf(record)
	err = s.o.History.RunActions(r.Context(), id, func(a reconcile.ActionRecord) error {
		if len(d.Actions) == mostRows {
			return errEnough
		}
		d.Actions = append(d.Actions, report.ActionOf(a))
		return nil
	})
	return d, enough(err)
}
