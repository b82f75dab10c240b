package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

type mappingDocument struct {
	Provider  string  `json:"billingProvider"`
	Billing   string  `json:"billingPlanId"`
	Plan      string  `json:"enhancePlanId"`
	UpdatedAt *string `json:"updatedAt"`
	UpdatedBy string  `json:"updatedBy"`
	optionsDocument
}

// optionsDocument is the options of a mapping. In a request, one that is absent stays as it
// is, and "" removes it; an answer has those that differ from the settings.
type optionsDocument struct {
	Websites    *string `json:"websites,omitempty"`
	ServerGroup *string `json:"serverGroup,omitempty"`
	ByOrder     *bool   `json:"serverGroupByOrder,omitempty"`
	PHP         *string `json:"phpVersion,omitempty"`
	App         *string `json:"app,omitempty"`
	Onboarding  *string `json:"onboarding,omitempty"`
	Grace       *string `json:"gracePeriod,omitempty"`
}

func (o optionsDocument) given() reconcile.GivenOptions {
	g := reconcile.GivenOptions{Websites: o.Websites, ServerGroup: o.ServerGroup, PHP: o.PHP, App: o.App, Onboarding: o.Onboarding, Grace: o.Grace}
	if o.ByOrder != nil {
		text := strconv.FormatBool(*o.ByOrder)
		g.ByOrder = &text
	}
	return g
}

func optionsOf(m reconcile.MappingOptions) (o optionsDocument) {
	text := func(t string) *string {
		if t == "" {
			return nil
		}
		return &t
	}
	o = optionsDocument{Websites: text(string(m.Websites)), ServerGroup: text(m.ServerGroup), PHP: text(m.PHP), App: text(string(m.App)),
		Onboarding: text(m.OnboardingText()), Grace: text(m.GraceText())}
	if m.ByOrder {
		o.ByOrder = &m.ByOrder
	}
	return o
}

func (s *Server) mappings(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Mappings.List(r.Context())
	if err != nil {
		s.respondPortError(w, r, "The mappings", err)
		return
	}
	out := make([]mappingDocument, 0, len(all))
	for _, m := range all {
		out = append(out, mappingDocument{Provider: "stripe", Billing: m.BillingID, Plan: m.Plan,
			UpdatedAt: report.Time(m.UpdatedAt), UpdatedBy: m.UpdatedBy, optionsDocument: optionsOf(m.MappingOptions)})
	}
	respond(w, http.StatusOK, map[string]any{"mappings": out})
}

// mappingRequest is a mapping that is to be set. The names with underscores are those of
// the table, which earlier versions of this API took: they are still accepted.
type mappingRequest struct {
	Provider    string  `json:"billingProvider"`
	Billing     string  `json:"billingPlanId"`
	Plan        planRef `json:"enhancePlanId"`
	Unchecked   bool    `json:"unchecked"`
	OldProvider string  `json:"billing_provider"`
	OldBilling  string  `json:"billing_plan_id"`
	OldPlan     planRef `json:"enhance_plan_id"`
	optionsDocument
}

func (q mappingRequest) mapping() reconcile.Mapping {
	return reconcile.Mapping{BillingID: strings.TrimSpace(cmp.Or(q.Billing, q.OldBilling)), Plan: strings.TrimSpace(string(cmp.Or(q.Plan, q.OldPlan)))}
}

func (q mappingRequest) provider() string { return cmp.Or(q.Provider, q.OldProvider, "stripe") }

// bothNames reports whether a field was given twice, so that one value would be ignored.
func (q mappingRequest) bothNames() bool {
	return q.Provider != "" && q.OldProvider != "" || q.Billing != "" && q.OldBilling != "" || q.Plan != "" && q.OldPlan != ""
}

// setMapping maps a price to a plan.
func (s *Server) setMapping(w http.ResponseWriter, r *http.Request) {
	var body mappingRequest
	if !readBody(w, r, &body, false) {
		return
	}
	m := body.mapping()
	switch {
	case body.bothNames():
		respondError(w, http.StatusBadRequest, "a field is given under its name and under its older name; give one of them")
		return
	case body.provider() != "stripe":
		respondError(w, http.StatusBadRequest, "billingProvider must be stripe")
		return
	}
	warning, err := s.SetMapping(r.Context(), &m, body.given(), body.Unchecked, s.keyName(r))
	if err != nil {
		s.respondRefused(w, r, err)
		return
	}
	answer := map[string]any{"success": true, "mapping": mappingDocument{Provider: "stripe", Billing: m.BillingID, Plan: m.Plan, UpdatedAt: report.Time(s.o.Now()), UpdatedBy: s.keyName(r),
		optionsDocument: optionsOf(m.MappingOptions)}}
	if warning != "" {
		answer["warning"] = warning
	}
	respond(w, http.StatusOK, answer)
}

// planRef is a plan's name or number, as text.
type planRef string

// UnmarshalJSON accepts a string or a whole number.
func (p *planRef) UnmarshalJSON(b []byte) error {
	var text string
	if n, err := strconv.ParseInt(string(b), 10, 32); err == nil {
		*p = planRef(strconv.FormatInt(n, 10))
	} else if json.Unmarshal(b, &text) == nil {
		*p = planRef(text)
	} else {
		return errors.New("enhancePlanId must be a string or a whole number")
	}
	return nil
}

func (s *Server) deleteMapping(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := cmp.Or(q.Get("billingPlanId"), q.Get("billing_plan_id"))
	if id == "" {
		respondError(w, http.StatusBadRequest, "billingPlanId parameter required")
		return
	}
	found, err := s.RemoveMapping(r.Context(), id)
	switch {
	case err != nil:
		s.respondPortError(w, r, "The mapping", err)
	case !found:
		respondError(w, http.StatusNotFound, "Mapping not found")
	default:
		respond(w, http.StatusOK, map[string]any{"success": true, "message": "Deleted the mapping of " + id})
	}
}
