package server

import (
	"errors"
	"net/http"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func (s *Server) plans(w http.ResponseWriter, r *http.Request) {
	plans, err := s.o.Plans.HeldPlans(r.Context(), s.o.Now(), r.URL.Query().Get("all") == "true")
	if err != nil {
		s.respondPortError(w, r, "The plans", err)
		return
	}
	out := make([]report.Plan, 0, len(plans))
	for _, p := range plans {
		out = append(out, report.PlanOf(p))
	}
	respond(w, http.StatusOK, map[string]any{"plans": out})
}

func (s *Server) plan(w http.ResponseWriter, r *http.Request) {
	p, err := s.o.Plans.HeldPlan(r.Context(), r.PathValue("id"))
	if err != nil {
		s.respondPortError(w, r, "Plan", err)
		return
	}
	respond(w, http.StatusOK, report.PlanOf(p))
}

// approve releases a held plan; if the request names a version, only that one. The author
// is the key with the name that the request gives, because several people may share a key.
func (s *Server) approve(w http.ResponseWriter, r *http.Request) {
	var body struct {
		By      string `json:"by"`
		Version int    `json:"version"`
	}
	if !readBody(w, r, &body, true) {
		return
	}
	if body.Version < 0 {
		respondError(w, http.StatusBadRequest, "version must be the version of the plan that was looked at")
		return
	}
	if !Printable(body.By) {
		respondError(w, http.StatusBadRequest, "by must be a short name without control characters")
		return
	}
	id, by := r.PathValue("id"), s.author(r, body.By)
	p, err := s.Approve(r.Context(), id, body.Version, by)
	if errors.Is(err, fault.Permanent) && len(id) < reconcile.MinHeldPlanID {
		respondError(w, http.StatusBadRequest, reconcile.HeldPlanIDTooShort(id))
		return
	}
	if err != nil {
		s.respondPortError(w, r, "Plan", err)
		return
	}
	respond(w, http.StatusOK, map[string]any{"success": true, "message": "Approved plan " + p.ID, "plan": report.PlanOf(p)})
}
