package config

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// UnpaidUpgrade is the effect of an upgrade that is not paid. The zero value is invalid.
type UnpaidUpgrade string

const (
	// ApplyUnpaidUpgrade changes the plan as Stripe shows it.
	ApplyUnpaidUpgrade UnpaidUpgrade = "apply"
	// HoldUnpaidUpgrade waits for the payment.
	HoldUnpaidUpgrade UnpaidUpgrade = "hold"
)

// UnmarshalText accepts apply and hold.
func (u *UnpaidUpgrade) UnmarshalText(b []byte) error {
	switch word := UnpaidUpgrade(b); word {
	case ApplyUnpaidUpgrade, HoldUnpaidUpgrade:
		*u = word
		return nil
	}
	return fmt.Errorf("%q is neither apply nor hold", b)
}

// Trials is how many trials a customer may have. The zero value is invalid.
type Trials string

const (
	// AnyTrials: as many as Stripe has.
	AnyTrials Trials = "any"
	// OneTrial: the first one; a later one waits.
	OneTrial Trials = "one"
)

// UnmarshalText accepts any and one.
func (t *Trials) UnmarshalText(b []byte) error {
	switch word := Trials(b); word {
	case AnyTrials, OneTrial:
		*t = word
		return nil
	}
	return fmt.Errorf("%q is neither any nor one", b)
}

// Dispute is the effect of a payment that is disputed or was refunded. The zero value is
// invalid.
type Dispute string

const (
	// TellDispute reports it.
	TellDispute Dispute = "tell"
	// HoldDispute withholds new hostings and larger plans.
	HoldDispute Dispute = "hold"
	// SuspendDispute also suspends the hostings of the subscription.
	SuspendDispute Dispute = "suspend"
)

// UnmarshalText accepts tell, hold and suspend.
func (d *Dispute) UnmarshalText(b []byte) error {
	switch word := Dispute(b); word {
	case TellDispute, HoldDispute, SuspendDispute:
		*d = word
		return nil
	}
	return fmt.Errorf("%q is none of tell, hold and suspend", b)
}

// policy is the same for the planner.
func (d Dispute) policy() reconcile.DisputePolicy {
	switch d {
	case HoldDispute:
		return reconcile.HoldDisputes
	case SuspendDispute:
		return reconcile.SuspendDisputes
	case TellDispute:
	}
	return reconcile.TellDisputes
}
