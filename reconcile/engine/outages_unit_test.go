package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var (
	errOut    = fault.Errorf(fault.Transient, "no answer")
	errDenied = fault.Errorf(fault.Denied, "forbidden")
	errOwn    = fault.Errorf(fault.Permanent, "no such address")
)

func TestFailuresThatConcernEverybodyEndARun(t *testing.T) {
	for _, test := range []struct {
		name  string
		fails []error // nil: a call that succeeded
		stops bool
	}{
		{"four outages", []error{errOut, errOut, errOut, errOut}, false},
		{"five outages", []error{errOut, errOut, errOut, errOut, errOut}, true},
		{"five outages and a success between", []error{errOut, errOut, errOut, nil, errOut, errOut}, false},
		{"five outages and a customer's own failure between", []error{errOut, errOut, errOut, errOwn, errOut, errOut}, false},
		{"two refusals", []error{errDenied, errDenied}, false},
		{"three refusals", []error{errDenied, errDenied, errDenied}, true},
		{"three refusals and a success between", []error{errDenied, errDenied, nil, errDenied}, false},
		{"customers of whom something may be there already", []error{
			fault.Errorf(fault.Transient, "%w", errCreationBlocked), fault.Errorf(fault.Transient, "%w", errCreationBlocked),
			fault.Errorf(fault.Transient, "%w", errCreationBlocked), fault.Errorf(fault.Transient, "%w", errCreationBlocked),
			fault.Errorf(fault.Transient, "%w", errCreationBlocked)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var o outages
			for _, err := range test.fails {
				if err == nil {
					o.succeeded()
					continue
				}
				o.add(err, errors.Is(err, errOwn), false)
			}
			if got := o.stopped() != nil; got != test.stops {
				t.Errorf("stopped: %v", o.stopped())
			}
		})
	}
}

func TestCustomersThatFailAgainAreLeftForTheNextRun(t *testing.T) {
	var o outages
	for range repeatLimit {
		if !o.triesRepeats() {
			t.Fatal("left too early")
		}
		o.add(errOut, false, true)
	}
	if o.triesRepeats() || o.stopped() != nil {
		t.Errorf("tries more: %v, stopped: %v", o.triesRepeats(), o.stopped())
	}
}

func TestTheFirstReasonToStopStays(t *testing.T) {
	var o outages
	o.stop(errOut)
	o.stop(errDenied)
	if !errors.Is(o.stopped(), fault.Transient) {
		t.Errorf("stopped because of %v", o.stopped())
	}
}

func TestTheBackoffDoublesAndParks(t *testing.T) {
	o := &outages{retryMin: 10 * time.Second, retryMax: time.Hour, rand: func() float64 { return 1 }} // the longest jitter
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		failures int
		err      error
		wait     time.Duration
		counts   bool
		parked   bool
	}{
		{"the first of its own", 0, errOwn, 10 * time.Second, true, false},
		{"the fourth of its own", 3, errOwn, 80 * time.Second, true, false},
		{"the eighth of its own", 7, errOwn, parkProbe, true, true},
		{"an outage after many failures", 20, errOut, time.Hour, false, false},
		{"a refusal", 0, errDenied, denyWait, false, false},
		{"something that may be there already", 0, fault.Errorf(fault.Transient, "%w", errCreationBlocked), denyWait, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := o.backoff(&reconcile.Customer{ID: "cus_1", Version: 3, Failures: test.failures}, test.err, now)
			if b.Due.Sub(now) != test.wait || b.Counts != test.counts || b.Parked != test.parked || b.Version != 3 {
				t.Errorf("due after %s: %+v", b.Due.Sub(now), b)
			}
		})
	}
}
