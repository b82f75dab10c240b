package reconcile

import "fmt"

// The commands that sentences name work as they are printed. A person who has another
// reason than the one that stands there writes his own.

// BindCommand says that a hosting serves a subscription, or one of its units
// ("sub_…/2"), with further flags.
func BindCommand(unit string, hosting int64, flags ...string) string {
	return bindCommand(unit, num(hosting), "it is its hosting", flags...)
}

// BindNewCommand says that an order is new.
func BindNewCommand(sub string) string { return bindCommand(sub, "new", "the order is new") }

// UnbindCommand says that a hosting does not serve a subscription.
func UnbindCommand(sub string, hosting int64) string {
	return fmt.Sprintf("stripe-enhance customers unbind %s %d --reason 'it is not its hosting'", sub, hosting)
}

// MapCommand maps a price to a plan, or to none.
func MapCommand(price, plan string) string {
	return "stripe-enhance mappings set " + price + " " + plan
}

func bindCommand(unit, what, why string, flags ...string) string {
	text := "stripe-enhance customers bind " + unit + " " + what
	for _, f := range flags {
		text += " " + f
	}
	return text + " --reason '" + why + "'"
}
