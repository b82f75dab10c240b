package server

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

type holdDocument struct {
	ID             string  `json:"id"`
	CustomerID     string  `json:"customerId"`
	SubscriptionID string  `json:"subscriptionId"`
	Kind           string  `json:"kind"`
	Until          *string `json:"until"` // null: until it is removed
	Reason         string  `json:"reason"`
	Author         string  `json:"author"`
	CreatedAt      *string `json:"createdAt"`
}

func holdOf(h reconcile.ManualHold) holdDocument {
	return holdDocument{ID: h.ID, CustomerID: h.Customer, SubscriptionID: h.Subscription, Kind: h.Kind.String(),
		Until: report.Time(h.Until), Reason: h.Reason, Author: h.Author, CreatedAt: report.Time(h.Created)}
}

func (s *Server) holds(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Holds.ManualHolds(r.Context(), s.o.Now())
	if err != nil {
		s.respondPortError(w, r, "The holds", err)
		return
	}
	out := make([]holdDocument, 0, len(all))
	for _, h := range all {
		out = append(out, holdOf(h))
	}
	respond(w, http.StatusOK, map[string]any{"holds": out})
}

// holdRequest is the body of a request for a hold.
type holdRequest struct {
	CustomerID     string `json:"customerId"`
	SubscriptionID string `json:"subscriptionId"`
	Kind           string `json:"kind"`
	Until          string `json:"until"`
	Reason         string `json:"reason"`
	Author         string `json:"author"`
}

// manual makes the hold and checks it; problem is a sentence for the caller, "" if the
// hold is right.
func (q holdRequest) manual(now time.Time, who string) (h reconcile.ManualHold, problem string) {
	h = reconcile.ManualHold{Customer: strings.TrimSpace(q.CustomerID), Subscription: strings.TrimSpace(q.SubscriptionID),
		Kind: reconcile.ParseManualKind(q.Kind), Reason: strings.TrimSpace(q.Reason), Author: strings.TrimSpace(q.Author), Created: now}
	if !Printable(h.Reason) || !Printable(h.Author) || !Printable(h.Customer) || !Printable(h.Subscription) {
		return h, "texts must be short and without control characters"
	}
	if q.Until != "" {
		until, err := time.Parse(time.RFC3339, q.Until)
		if err != nil {
			return h, "until must be a time like 2030-01-31T12:00:00Z"
		}
		h.Until = until.UTC()
	}
	h.Author = cmp.Or(h.Author, who)
	h.ID = NewHoldID()
	return h, h.Problem(now)
}

func (s *Server) addHold(w http.ResponseWriter, r *http.Request) {
	var body holdRequest
	if !readBody(w, r, &body, false) {
		return
	}
	h, problem := body.manual(s.o.Now(), s.keyName(r))
	if problem != "" {
		respondError(w, http.StatusBadRequest, problem)
		return
	}
	if err := s.AddHold(r.Context(), h); err != nil {
		s.respondPortError(w, r, "Customer or subscription", err)
		return
	}
	respond(w, http.StatusCreated, map[string]any{"success": true, "hold": holdOf(h)})
}

func (s *Server) removeHold(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if id == "" {
		respondError(w, http.StatusBadRequest, "id parameter required")
		return
	}
	found, err := s.RemoveHold(r.Context(), id)
	switch {
	case err != nil:
		s.respondPortError(w, r, "The hold", err)
	case !found:
		respondError(w, http.StatusNotFound, "Hold not found")
	default:
		respond(w, http.StatusOK, map[string]any{"success": true, "message": "Removed hold " + id})
	}
}
