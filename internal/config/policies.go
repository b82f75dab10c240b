package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// oneOf sets a setting to the one of two or more words that a text is.
func oneOf[T ~string](setting *T, text []byte, words ...T) error {
	if slices.Contains(words, T(text)) {
		*setting = T(text)
		return nil
	}
	last := len(words) - 1
	if last == 1 {
		return fmt.Errorf("%q is neither %s nor %s", text, words[0], words[1])
	}
	all := make([]string, last)
	for i := range all {
		all[i] = string(words[i])
	}
	return fmt.Errorf("%q is none of %s and %s", text, strings.Join(all, ", "), words[last])
}

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
	return oneOf(u, b, ApplyUnpaidUpgrade, HoldUnpaidUpgrade)
}

// Language is the language of messages to the operator. The zero value is invalid.
type Language string

const (
	English  Language = "en"
	Romanian Language = "ro"
)

// UnmarshalText accepts en and ro.
func (l *Language) UnmarshalText(b []byte) error { return oneOf(l, b, English, Romanian) }

// Collector is the address of an OpenTelemetry collector; "": there is none.
type Collector string

// UnmarshalText accepts http:// and https:// with a host, because a collector is often
// beside the program and traces hold nothing that is personal. Messages do not repeat it.
func (c *Collector) UnmarshalText(b []byte) error {
	text := string(b)
	if problem := secret.URLProblem(text); problem != "" {
		return errors.New(problem)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("is not a URL like http://127.0.0.1:4318")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("has more than scheme, host and path; a key for the collector belongs in OTEL_EXPORTER_OTLP_HEADERS")
	}
	*c = Collector(text)
	return nil
}

// TracesTo is the whole address to which traces are sent; "": they are off.
func (c *Config) TracesTo() string {
	if c.TracesCollector != "" {
		return string(c.TracesCollector)
	}
	if c.Collector == "" {
		return ""
	}
	return strings.TrimSuffix(string(c.Collector), "/") + "/v1/traces"
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
	return oneOf(t, b, AnyTrials, OneTrial)
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
	return oneOf(d, b, TellDispute, HoldDispute, SuspendDispute)
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
