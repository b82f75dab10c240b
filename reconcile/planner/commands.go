package planner

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The commands that sentences name work as they are printed. If a person has another
// reason, it replaces the printed one.

// BindCommand binds a hosting to a subscription, or to one of its units ("sub_…/2"), with
// further flags.
func BindCommand(unit string, hosting int64, flags ...string) string {
	return bindCommand(unit, reconcile.FormatID(hosting), "it is its hosting", flags...)
}

// BindNewCommand declares an order as new.
func BindNewCommand(sub string) string { return bindCommand(sub, "new", "the order is new") }

// UnbindCommand unbinds a hosting from a subscription.
func UnbindCommand(sub string, hosting int64) string {
	return fmt.Sprintf("stripe-enhance customers unbind %s %d --reason 'it is not its hosting'", sub, hosting)
}

// RenameCommand names the organisation of a customer.
func RenameCommand(customer, name string) string {
	return "stripe-enhance customers rename " + customer + " " + quoted(name) + " --reason 'its name at Stripe'"
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// MapCommand maps a price to a plan, or to none.
func MapCommand(price, plan string) string {
	return "stripe-enhance mappings set " + price + " " + plan
}

// IgnoreCommand puts a manual hold that leaves a subscription alone.
func IgnoreCommand(sub, why string) string {
	return "stripe-enhance holds add --subscription " + sub + " --kind ignore --reason '" + why + "'"
}

// TrustCommand puts a manual hold by which nothing is taken away from a subscription, and by
// which its disputes count for nothing.
func TrustCommand(sub, why string) string {
	return "stripe-enhance holds add --subscription " + sub + " --kind no-suspend --reason '" + why + "'"
}

// MetadataCommand writes a value into the metadata of a subscription with Stripe's own
// command line; an empty one takes it out.
func MetadataCommand(sub, key, value string) string {
	return "stripe subscriptions update " + sub + " -d 'metadata[" + key + "]=" + value + "'"
}

// EmailCommand enters the e-mail of a customer with Stripe's own command line.
func EmailCommand(customer string) string {
	return "stripe customers update " + customer + " -d email=ADDRESS"
}

// LookCommand shows a subscription with Stripe's own command line.
func LookCommand(sub string) string { return "stripe subscriptions retrieve " + sub }

func bindCommand(unit, what, why string, flags ...string) string {
	text := "stripe-enhance customers bind " + unit + " " + what
	for _, f := range flags {
		text += " " + f
	}
	return text + " --reason '" + why + "'"
}
