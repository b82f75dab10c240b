package server

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Side is the database, Stripe or Enhance, as health shows it.
type Side struct {
	Name     string
	Known    bool // it was checked since the start
	Healthy  bool
	Problem  string        // one of the fixed sentences of health; "": none
	Answered time.Time     // when it last answered; zero: never
	Took     time.Duration // how long its answers took of late; 0: not known
	Rate     float64       // requests a second that are allowed at present; 0: not known
}

// Sides returns the state of each side as last checked, without waiting for a check.
func (s *Server) Sides(ctx context.Context) []Side {
	all := make([]Side, 0, len(s.checks))
	for name, c := range s.checks {
		r, ok := c.peek(ctx)
		side := Side{Name: name, Known: ok, Healthy: ok && r.Status == healthy, Answered: r.answered}
		if r.Error != nil {
			side.Problem = *r.Error
		}
		if rate := s.o.Rates[name]; rate != nil {
			side.Rate = rate()
		}
		if took := s.o.Latency[name]; took != nil {
			side.Took = took()
		}
		all = append(all, side)
	}
	slices.SortFunc(all, func(a, b Side) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// riskAge is how old the value of the money at risk may be, because it is read from Stripe.
const riskAge = 15 * time.Minute

// riskLimit is how long reading it may take.
const riskLimit = 2 * time.Minute

// Risk is the value of subscriptions whose hostings are up although they are not paid.
type Risk struct {
	Month         []Sum // a month, by currency
	Subscriptions int   // that were valued
	Unknown       int   // that have no amount which could be read, or were too many to read
}

// Sum is an exact amount, as a decimal number.
type Sum struct{ Amount, Currency string }

type riskRead struct {
	Risk
	ok bool
}

func (s *Server) readRisk(ctx context.Context) riskRead {
	ctx, cancel := context.WithTimeout(ctx, riskLimit)
	defer cancel()
	r, err := s.o.Risk(ctx)
	if err != nil {
		s.o.Log.WithError(err).Warn("money at risk not read")
	}
	return riskRead{r, err == nil}
}

// Risk returns the money at risk as last read, without waiting for it. ok is false as long as
// it is not known.
func (s *Server) Risk(ctx context.Context) (Risk, bool) {
	if s.o.Risk == nil {
		return Risk{}, false
	}
	r, ok := s.risk.peek(ctx)
	return r.Risk, ok && r.ok
}

// NextRun is when the next run begins by its schedule; zero: another process does it.
func (s *Server) NextRun() time.Time { return s.o.Loop.Next() }

// AtWork is the id of the run at work in this process; "": none.
func (s *Server) AtWork() string { return s.o.Loop.AtWork() }
