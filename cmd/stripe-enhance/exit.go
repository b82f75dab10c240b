package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// The exit codes; cron jobs and manifests depend on them.
const (
	exitOK     = 0 // converged; for plan: nothing to do
	exitFailed = 1 // the run failed
	exitUsage  = 2 // usage or configuration; nothing was contacted
	exitLeft   = 3 // finished, but something is held, parked or failed; for plan: changes or holds; for report: rows
)

// usageError is a command line that makes no sense.
type usageError struct {
	err     error
	command string // its help shows the right form
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%s\nRun '%s -h' for help.", e.err, e.command)
}

func (e *usageError) Unwrap() error { return e.err }

// leftError ends a command that did its work and left something for a person. The report
// that lists it is printed before.
type leftError struct{}

func (leftError) Error() string { return "" }

func codeOf(err error) int {
	var usage *usageError
	var problems config.Problems
	var left leftError
	var wrongPlace *app.WrongPlaceError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &problems), errors.As(err, &wrongPlace):
		return exitUsage
	case errors.As(err, &left):
		return exitLeft
	}
	return exitFailed
}

// hintFor is the next step after an error, whose own text is only a path.
func (p *program) hintFor(err error) string {
	var problems config.Problems
	if errors.As(err, &problems) {
		return p.place().SettingsFrom() + ". All settings: stripe-enhance help configuration"
	}
	var owner *store.OwnerError
	if errors.As(err, &owner) {
		return p.place().AsOwner(owner)
	}
	text := err.Error()
	if strings.Contains(text, "the panel does not know the selling organisation") {
		return "ENHANCE_ORG_ID or ENHANCE_API_URL belongs to another organisation; `stripe-enhance check` shows the organisation of the token"
	}
	switch fault.Of(err) {
	case fault.Denied:
		return p.denied(text)
	case fault.Transient:
		if host := app.UnknownHost(err); host != "" {
			return "there is no host " + host + ": is the setting with its address spelt right? Nothing was changed (`stripe-enhance check` names the setting)"
		}
		if strings.Contains(text, "stripe:") || strings.Contains(text, "enhance:") {
			return "the other side is in trouble or cannot be reached; nothing is lost, run it again later (`stripe-enhance check` looks at each part)"
		}
		if strings.Contains(text, "store:") {
			return "the database is in trouble or cannot be reached; nothing was sent without being recorded there first; run it again when it is back"
		}
	case fault.Malformed:
		return "an answer was malformed, so nothing was concluded from it; `stripe-enhance check` looks at each part"
	default: // no advice beyond the error itself
	}
	return ""
}

// denied names the credential that was refused, and whether as a whole.
func (p *program) denied(text string) string {
	switch whole := strings.Contains(text, ": 401"); {
	case whole && strings.Contains(text, "stripe:") && p.key != "":
		return "Stripe refuses the key " + p.key + ": STRIPE_SECRET_KEY is not a key of Stripe, or no longer; copy it again from Stripe › Developers › API keys, then `stripe-enhance check`"
	case whole && strings.Contains(text, "enhance:"):
		return "the panel refuses ENHANCE_API_TOKEN: make a new one in the panel under Settings › Access tokens, then `stripe-enhance check`"
	}
	return "the credential was refused; `stripe-enhance check` shows whether it is wrong, or which permission it lacks"
}
