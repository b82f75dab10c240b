package server

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

type mappingDocument struct {
	Provider  string  `json:"billing_provider"`
	Billing   string  `json:"billing_plan_id"`
	Plan      string  `json:"enhance_plan_id"`
	UpdatedAt *string `json:"updated_at"`
	UpdatedBy string  `json:"updated_by"`
}

func (s *Server) mappings(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Mappings.List(r.Context())
	if err != nil {
		s.fail(w, r, "The mappings", err)
		return
	}
	out := make([]mappingDocument, 0, len(all))
	for _, m := range all {
		out = append(out, mappingDocument{Provider: "stripe", Billing: m.BillingID, Plan: m.Plan,
			UpdatedAt: report.Time(m.UpdatedAt), UpdatedBy: m.UpdatedBy})
	}
	respond(w, http.StatusOK, map[string]any{"mappings": out})
}

// setMapping maps a price to a plan, after asking both sides whether they know
// them: a mapping that leads nowhere holds everybody who buys it.
func (s *Server) setMapping(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Provider  string `json:"billing_provider"`
		Billing   string `json:"billing_plan_id"`
		Plan      string `json:"enhance_plan_id"`
		Unchecked bool   `json:"unchecked"`
	}
	if !accept(w, r, &body, false) {
		return
	}
	m := reconcile.Mapping{BillingID: strings.TrimSpace(body.Billing), Plan: strings.TrimSpace(body.Plan)}
	switch {
	case cmp.Or(body.Provider, "stripe") != "stripe":
		refuse(w, http.StatusBadRequest, "billing_provider must be stripe")
		return
	case m.BillingID == "" || m.Plan == "" || !presentable(m.BillingID) || !presentable(m.Plan):
		refuse(w, http.StatusBadRequest, "billing_plan_id and enhance_plan_id are required")
		return
	}
	if !body.Unchecked {
		problem, err := s.o.Mappings.Check(r.Context(), m)
		if err != nil {
			s.fail(w, r, "What the mapping names", err)
			return
		}
		if problem != "" {
			refuse(w, http.StatusUnprocessableEntity, problem)
			return
		}
	}
	if err := s.o.Mappings.Set(r.Context(), m, s.who(r), s.o.Now()); err != nil {
		s.fail(w, r, "The mapping", err)
		return
	}
	s.nudge(r, "admin")
	respond(w, http.StatusOK, map[string]any{"success": true,
		"mapping": mappingDocument{Provider: "stripe", Billing: m.BillingID, Plan: m.Plan, UpdatedAt: report.Time(s.o.Now()), UpdatedBy: s.who(r)}})
}

func (s *Server) deleteMapping(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("billing_plan_id")
	if id == "" {
		refuse(w, http.StatusBadRequest, "billing_plan_id parameter required")
		return
	}
	found, err := s.o.Mappings.Delete(r.Context(), id)
	switch {
	case err != nil:
		s.fail(w, r, "The mapping", err)
	case !found:
		refuse(w, http.StatusNotFound, "Mapping not found")
	default:
		s.nudge(r, "admin")
		respond(w, http.StatusOK, map[string]any{"success": true, "message": "Deleted the mapping of " + id})
	}
}
