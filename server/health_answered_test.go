package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// database is an overview of a database that can be taken away.
type database struct {
	Overview
	out bool
}

func (d *database) Ping(context.Context) error {
	if d.out {
		return errors.New("no")
	}
	return nil
}

// TestHealthTellsWhenEachSideReallyAnsweredLast: if a monitor sees "now"
// beside a side that was not asked for an hour, it believes that the side is well.
func TestHealthTellsWhenEachSideReallyAnsweredLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		answers := map[string]time.Time{} // of the sides to the reconciler
		var stripe, enhance error
		db := &database{}
		s := &Server{o: Options{Now: time.Now, Ports: Ports{Overview: db},
			Stripe:  func(context.Context) error { return stripe },
			Enhance: func(context.Context) error { return enhance },
			Answered: func(side string) time.Time {
				return answers[side]
			}}}
		s.prepareChecks()
		look := func(when string, want map[string]time.Time, wrong ...string) {
			t.Helper()
			services := s.services(t.Context())
			for name, at := range want {
				got, expected := services[name].LastCheck, report.Time(at)
				if (got == nil) != (expected == nil) || got != nil && *got != *expected {
					t.Errorf("%s: the last answer of %s was at %v, want %v", when, name, text(got), text(expected))
				}
			}
			for name, r := range services {
				if bad := contains(wrong, name); bad != (r.Error != nil) {
					t.Errorf("%s: %s has the error %v, want one: %t", when, name, text(r.Error), bad)
				}
			}
		}
		look("nobody has answered", map[string]time.Time{"database": began, "stripe": {}, "enhance": {}})
		answers["stripe"], answers["enhance"] = began, began.Add(30*time.Second)
		time.Sleep(time.Minute)
		look("they answered the reconciler", map[string]time.Time{"database": time.Now(), "stripe": began, "enhance": began.Add(30 * time.Second)})
		seen := time.Now()
		time.Sleep(time.Hour)
		db.out, stripe, enhance = true, fault.Wrap(fault.Transient, errors.New("no")), fault.Wrap(fault.Denied, errors.New("no"))
		look("they are out", map[string]time.Time{"database": seen, "stripe": began, "enhance": began.Add(30 * time.Second)}, "database", "stripe", "enhance")
	})
}

// If Answered is not set, the checks themselves count.
func TestHealthWithoutAReconcilerKeepsTheLastAnswerOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stripe error
		s := &Server{o: Options{Now: time.Now, Ports: Ports{Overview: &database{}}, Stripe: func(context.Context) error { return stripe },
			Enhance: func(context.Context) error { return nil }}}
		s.prepareChecks()
		first := *report.Time(time.Now())
		s.services(t.Context())
		time.Sleep(time.Hour)
		stripe = errors.New("no")
		if got := s.services(t.Context())["stripe"]; got.LastCheck == nil || *got.LastCheck != first || got.Error == nil {
			t.Errorf("last answer %v, error %v; want %s and one", text(got.LastCheck), text(got.Error), first)
		}
	})
}

func text(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}

func contains(all []string, one string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}
