package server

import (
	"errors"
	"net/http"
	"strings"

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

// decision is the body of a request that decides about a held plan.
type decision struct {
	By      string `json:"by"`
	Version int    `json:"version"`
}

// problem is a sentence for the caller, "" if the request is right.
func (d *decision) problem() string {
	switch {
	case d.Version < 0:
		return "version must be the version of the plan that was looked at"
	case !Printable(d.By):
		return "by must be a short name without control characters"
	}
	return ""
}

// approve releases a held plan; if the request names a version, only that one. The author
// is the key with the name that the request gives, because several people may share a key.
func (s *Server) approve(w http.ResponseWriter, r *http.Request) {
	var body decision
	if !readBody(w, r, &body, true) {
		return
	}
	if problem := body.problem(); problem != "" {
		respondError(w, http.StatusBadRequest, problem)
		return
	}
	p, err := s.Approve(r.Context(), r.PathValue("id"), body.Version, s.author(r, body.By))
	s.respondDecided(w, r, "Approved", p, err)
}

// reject ends a held plan, so that none of it is done; version and author are as for approve.
func (s *Server) reject(w http.ResponseWriter, r *http.Request) {
	var body struct {
		decision

		Reason string `json:"reason"`
	}
	if !readBody(w, r, &body, false) {
		return
	}
	problem, reason := body.problem(), strings.TrimSpace(body.Reason)
	switch {
	case problem != "":
	case reason == "":
		problem = "reason is required: it is read by those who find the holds later"
	case !Printable(reason):
		problem = "reason must be short and without control characters"
	}
	if problem != "" {
		respondError(w, http.StatusBadRequest, problem)
		return
	}
	p, err := s.Reject(r.Context(), r.PathValue("id"), body.Version, s.author(r, body.By), reason)
	s.respondDecided(w, r, "Rejected", p, err)
}

// respondDecided answers a decision about the plan that the request names.
func (s *Server) respondDecided(w http.ResponseWriter, r *http.Request, done string, p reconcile.HeldPlan, err error) {
	id := r.PathValue("id")
	switch {
	case errors.Is(err, fault.Permanent) && len(id) < reconcile.MinHeldPlanID:
		respondError(w, http.StatusBadRequest, reconcile.HeldPlanIDTooShort(id))
	case err != nil:
		s.respondPortError(w, r, "Plan", err)
	default:
		respond(w, http.StatusOK, map[string]any{"success": true, "message": done + " plan " + p.ID, "plan": report.PlanOf(p)})
	}
}
