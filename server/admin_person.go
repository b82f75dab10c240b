package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// These are the requests by which a person decides something about one customer.

type renameDocument struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	// Done reports that the organisation has the name. If not, the name is stored, and the
	// next run gives it.
	Done             bool   `json:"done"`
	CustomerID       string `json:"customerId"`
	OrganizationID   string `json:"organizationId"`
	OrganizationName string `json:"organizationName"`
}

// renameRequest is the body of a request for another name.
type renameRequest struct {
	CustomerID       string `json:"customerId"`
	Name             string `json:"name"`
	OrganizationName string `json:"organizationName"`
	Reason           string `json:"reason"`
	Author           string `json:"author"`
}

// problem completes the request; it is a sentence for the caller, "" if the request is right.
func (q *renameRequest) problem() string {
	if q.OrganizationName = strings.TrimSpace(q.OrganizationName); q.OrganizationName == "" {
		q.OrganizationName = strings.TrimSpace(q.Name)
	}
	_, marked := reconcile.MarkerOf(q.OrganizationName)
	switch clean := reconcile.CleanName(q.OrganizationName); {
	case q.CustomerID == "":
		return "customerId is required"
	case !Printable(q.Reason) || !Printable(q.Author):
		return "texts must be short and without control characters"
	case marked:
		return "the name must not end like a marker of this program"
	case clean == "" || !Printable(q.OrganizationName):
		return "organizationName (or name) must be a short name without control characters"
	default:
		q.OrganizationName = clean
	}
	return ""
}

// renameCustomer stores the name that the organisation of a customer is to have, and asks
// for the run that gives it. Only a run writes to the panel: it has the lease, and the
// journal.
func (s *Server) renameCustomer(w http.ResponseWriter, r *http.Request) {
	var body renameRequest
	if !readBody(w, r, &body, false) {
		return
	}
	if problem := body.problem(); problem != "" {
		respondError(w, http.StatusBadRequest, problem)
		return
	}
	c, ok := s.oneCustomer(w, r, body.CustomerID)
	if !ok {
		return
	}
	why := s.author(r, body.Author)
	if reason := strings.TrimSpace(body.Reason); reason != "" {
		why += ": " + reason
	}
	if _, err := s.o.Customers.WantName(r.Context(), c.ID, body.OrganizationName, why, s.o.Now()); err != nil {
		s.refuseOrFail(w, r, "Customer", err)
		return
	}
	s.o.Log.WithField("customer", c.ID).Info("name of an organisation stored")
	s.runFor(r, c)
	d := renameDocument{Success: true, CustomerID: c.ID, OrganizationName: body.OrganizationName}
	if now, err := s.o.Customers.ByID(r.Context(), c.ID); err == nil && len(now) > 0 && now[0].Org != nil {
		d.OrganizationID, d.Done = now[0].Org.ID, now[0].Org.Name == body.OrganizationName && now[0].NameWanted == ""
	}
	if d.Message = "Renamed the organisation"; !d.Done {
		d.Message = "The name is stored, and the next run gives it to the organisation"
		respond(w, http.StatusAccepted, d)
		return
	}
	respond(w, http.StatusOK, d)
}

// runFor waits for a run of this process for the subscriptions of a customer, or, if another
// process is the writer, asks that one. What the run is for is stored: if it fails, the next
// one does it.
func (s *Server) runFor(r *http.Request, c *reconcile.CustomerRecord) {
	var subscriptions []string
	for i := range c.Subscriptions {
		subscriptions = append(subscriptions, c.Subscriptions[i].ID)
	}
	if err := s.o.Nudges.Nudge(r.Context(), subscriptions, "admin", s.o.Now()); err != nil {
		s.o.Log.WithError(err).Warn("nudge not stored")
	}
	if !s.o.Loop.Leading() || len(subscriptions) == 0 {
		s.o.Loop.Wake("admin")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), syncLimit)
	defer cancel()
	asked := s.o.Loop.Ask(Request{Subscriptions: subscriptions, Trigger: "admin"})
	select {
	case o := <-asked.done:
		if o.err != nil {
			s.o.Log.WithError(o.err).Warn("the run for a customer failed")
		}
	case <-ctx.Done():
	}
}

// oneCustomer finds a customer by its id. If there is none, it answers the request and
// returns false.
func (s *Server) oneCustomer(w http.ResponseWriter, r *http.Request, id string) (*reconcile.CustomerRecord, bool) {
	all, err := s.o.Customers.ByID(r.Context(), id)
	switch {
	case err != nil:
		s.respondPortError(w, r, "Customer", err)
	case len(all) == 0:
		respondError(w, http.StatusNotFound, "Customer not found")
	default:
		return &all[0], true
	}
	return nil, false
}

// refuseOrFail answers with the sentence of a refusal, or with the error of a port.
func (s *Server) refuseOrFail(w http.ResponseWriter, r *http.Request, what string, err error) {
	if no := reconcile.InstructionRefused(""); errors.As(err, &no) {
		respondError(w, http.StatusConflict, no.Error())
		return
	}
	s.respondPortError(w, r, what, err)
}

// author is who decided something, for the journal: the key, with the name that the request
// gives, because several people may share a key.
func (s *Server) author(r *http.Request, name string) string {
	by := s.keyName(r)
	if name = strings.TrimSpace(name); name != "" {
		by = name + " (" + by + ")"
	}
	return by
}

type loginDocument struct {
	Success        bool   `json:"success"`
	CustomerID     string `json:"customerId"`
	OrganizationID string `json:"organizationId"`
	Owner          string `json:"owner"`
	Link           string `json:"link"` // a credential, which is shown only now
}

// login answers with Enhance's one-time link for the owner of the customer's organisation.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Reason string `json:"reason"`
		Author string `json:"author"`
		Owner  string `json:"owner"`
	}
	if !readBody(w, r, &body, false) {
		return
	}
	reason := strings.TrimSpace(body.Reason)
	switch {
	case reason == "":
		respondError(w, http.StatusBadRequest, "reason is required: write why, for the people who read it later")
		return
	case !Printable(reason) || !Printable(body.Author) || !Printable(body.Owner):
		respondError(w, http.StatusBadRequest, "texts must be short and without control characters")
		return
	}
	c, ok := s.oneCustomer(w, r, r.PathValue("id"))
	if !ok {
		return
	}
	done, err := s.o.Customers.Login(r.Context(), c, reconcile.LoginRequest{Owner: strings.TrimSpace(body.Owner), Author: s.author(r, body.Author), Reason: reason})
	switch {
	case errors.Is(err, fault.Denied):
		s.o.Log.WithError(err).Warn("no login link")
		respondError(w, http.StatusBadGateway, "Enhance refused: the access token needs the role Owner, SuperAdmin or Sysadmin in the customer's organisation, or in the master organisation")
	case errors.As(err, new(reconcile.InstructionRefused)):
		s.refuseOrFail(w, r, "The login link", err)
	case err != nil:
		s.o.Log.WithError(err).Warn("no login link")
		respondError(w, http.StatusBadGateway, "Enhance made no login link, or the journal could not keep who asked for it; trying again is safe")
	default:
		s.o.Log.WithField("customer", c.ID).WithField("org", done.Org).Info("login link made")
		respond(w, http.StatusOK, loginDocument{Success: true, CustomerID: c.ID, OrganizationID: done.Org, Owner: done.Owner, Link: done.Link})
	}
}
