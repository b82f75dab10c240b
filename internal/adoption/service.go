package adoption

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// Service is the Desk within the service, for the page. It needs no run of its own: the runs
// of the service have stored both sides, and finish the links.
type Service struct {
	desk *Desk

	comparing sync.Mutex // held by whoever compares or decides
	mu        sync.Mutex // guards both
	rows      []adopt.Pair
	at        time.Time
}

// NewService makes the Service of a service.
func NewService(a *app.App) server.Adoption {
	return &Service{desk: &Desk{App: a, Show: func(reconcile.Progress) {}}}
}

// compareLimit is how long a comparison may take: proxies give up after 30 s.
const compareLimit = 25 * time.Second

// Pairs implements server.Adoption.
func (s *Service) Pairs() ([]adopt.Pair, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows), s.at
}

// Compare implements server.Adoption. Its requests wait for everything else.
func (s *Service) Compare(ctx context.Context) error {
	if !s.comparing.TryLock() {
		return errors.Join(fault.Conflict, errComparing)
	}
	defer s.comparing.Unlock()
	limited, cancel := context.WithTimeout(priority.With(ctx, priority.Bulk), compareLimit)
	defer cancel()
	rows, err := s.desk.Rows(limited)
	if limited.Err() != nil && ctx.Err() == nil {
		return server.Refused{Text: "the panel has too much to compare while a person waits: stripe-enhance adopt does it without a limit"}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.at = rows, s.desk.Now()
	return nil
}

var errComparing = errors.New("both sides are being compared already")

// Decide implements server.Adoption. The row is checked as a line of a file is.
func (s *Service) Decide(ctx context.Context, p adopt.Pair, author string) error {
	s.comparing.Lock()
	defer s.comparing.Unlock()
	row := Row{Pair: p, Line: 1}
	if why := misfit(&row); why != "" {
		return server.Refused{Text: why}
	}
	desk := *s.desk
	desk.Author = author
	_, _, err := desk.Decided(ctx, []Row{row})
	var wrong Mistakes
	if errors.As(err, &wrong) {
		return server.Refused{Text: strings.TrimPrefix(wrong.Error(), "line 1: ")}
	}
	if err == nil {
		s.forget(p)
	}
	return err
}

// forget drops the rows that a decision has settled. What else the same subscription pays for
// is in the next comparison.
func (s *Service) forget(p adopt.Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = slices.DeleteFunc(s.rows, func(r adopt.Pair) bool {
		return p.Hosting != 0 && r.Hosting == p.Hosting || p.Subscription != "" && r.Subscription == p.Subscription && (r.Hosting == 0 || p.Decision != adopt.Link)
	})
}
