package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The operations of this file are those of the admin API and of the page: both change,
// log and wake the loop in the same way.

// Ports returns the ports that the server works with.
func (s *Server) Ports() Ports { return s.o.Ports }

// Now is the clock of everything but sessions.
func (s *Server) Now() time.Time { return s.o.Now() }

// Version is the version that health shows.
func (s *Server) Version() string { return s.o.Version }

// Failed logs an error that a person is not shown, because it may quote an address or a
// row of the database.
func (s *Server) Failed(r *http.Request, err error) {
	s.o.Log.WithField("route", r.Method+" "+r.URL.Path).WithError(err).Warn("request not answered")
}

// Approve releases exactly the content of a held plan; version as in Plans.Approve.
func (s *Server) Approve(ctx context.Context, id string, version int, by string) (reconcile.HeldPlan, error) {
	p, err := s.o.Plans.Approve(ctx, id, version, by, s.o.Now())
	if err != nil {
		return p, err
	}
	s.o.Log.WithField("plan", p.ID).WithField("by", by).Info("plan approved")
	s.nudge(ctx, "approve")
	return p, nil
}

// AddHold stores a hold that a person puts; the hold is right by ManualHold.Problem.
func (s *Server) AddHold(ctx context.Context, h reconcile.ManualHold) error {
	known, err := s.o.Holds.AddManualHold(ctx, h)
	if err != nil {
		return err
	}
	s.o.Log.WithField("hold", h.ID).WithField("known", known).WithField("customer", h.Customer).WithField("subscription", h.Subscription).Info("hold added")
	s.Changed()
	s.nudge(ctx, "admin")
	return nil
}

// RemoveHold ends a hold that a person has put.
func (s *Server) RemoveHold(ctx context.Context, id string) (found bool, err error) {
	found, err = s.o.Holds.RemoveManualHold(ctx, id, s.o.Now())
	if err != nil || !found {
		return found, err
	}
	s.o.Log.WithField("hold", id).Info("hold removed")
	s.Changed()
	s.nudge(ctx, "admin")
	return true, nil
}

// LookNow has a run begin at once, in whichever process is the writer.
func (s *Server) LookNow(ctx context.Context) error {
	if err := s.o.Nudges.Nudge(ctx, nil, "admin", s.o.Now()); err != nil {
		return err
	}
	s.o.Loop.Wake("admin")
	return nil
}

// Retry ends back-off and parking of a customer, which is named by any of its ids, and makes
// it due.
func (s *Server) Retry(ctx context.Context, id string) (customer string, err error) {
	if customer, err = s.o.Journal.Retry(ctx, id, s.o.Now()); err != nil {
		return "", err
	}
	s.o.Log.WithField("customer", customer).WithField("action", id).Info("retry asked for")
	s.nudge(ctx, "admin")
	return customer, nil
}

// Reject ends a held plan whose changes a person does not want; id and version as in
// Plans.Approve. Holds keep the runs from planning them again.
func (s *Server) Reject(ctx context.Context, id string, version int, by, reason string) (reconcile.HeldPlan, error) {
	p, err := s.o.Plans.Reject(ctx, id, version, by, reason, NewHoldID, s.o.Now())
	if err != nil {
		return p, err
	}
	s.o.Log.WithField("plan", p.ID).WithField("by", by).Info("plan rejected")
	s.Changed()
	s.nudge(ctx, "admin")
	return p, nil
}

// NewHold is a hold that a person puts now, with an id; the rest is the caller's.
func (s *Server) NewHold() reconcile.ManualHold {
	return reconcile.ManualHold{ID: NewHoldID(), Created: s.o.Now()}
}

// NewHoldID makes the id of a hold.
func NewHoldID() string { return "hold_" + strings.ToLower(rand.Text()[:16]) }

// Rename stores the name that the organisation of a customer is to have, and asks for the run
// that gives it. The error is a reconcile.InstructionRefused if the name makes no sense.
func (s *Server) Rename(ctx context.Context, customer, name, reason, by string) error {
	q := renameRequest{CustomerID: customer, Name: name, Reason: reason}
	if problem := q.problem(); problem != "" {
		return reconcile.InstructionRefused(problem)
	}
	if reason = strings.TrimSpace(reason); reason != "" {
		by += ": " + reason
	}
	if _, err := s.o.Customers.WantName(ctx, customer, q.OrganizationName, by, s.o.Now()); err != nil {
		return err
	}
	s.o.Log.WithField("customer", customer).Info("name of an organisation stored")
	s.nudge(ctx, "admin")
	return nil
}

// Login makes a one-time link to log in as the owner of the organisation of a customer.
func (s *Server) Login(ctx context.Context, customer string, w reconcile.LoginRequest) (reconcile.Login, error) {
	all, err := s.o.Customers.ByID(ctx, customer)
	if err == nil && len(all) == 0 {
		err = fault.NotFound
	}
	if err != nil {
		return reconcile.Login{}, err
	}
	done, err := s.o.Customers.Login(ctx, &all[0], w)
	if err != nil {
		s.o.Log.WithError(err).Warn("no login link")
		return done, err
	}
	s.o.Log.WithField("customer", all[0].ID).WithField("org", done.Org).Info("login link made")
	return done, nil
}
