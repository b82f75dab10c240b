package reconcile

import "fmt"

// What the planner says to people. A sentence says the fact, in Stripe's and the panel's
// own words, and then what to do. It claims no more than is known: nobody "has paid"
// whom Stripe calls active, in trial or past_due.

// isNoHosting is said of a hosting whose item is mapped to none.
func isNoHosting(s *judged, l *link, it *Item, plan string) string {
	return fmt.Sprintf("hosting %d was made for item %s of %s, and the mapping of its price %s says now that it is no hosting: it stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want; if it is hosting: `%s`",
		l.Hosting, it.ID, s.ID, it.Price, UnbindCommand(s.ID, l.Hosting), MapCommand(it.Price, plan))
}

// noItemIsHosting is said of a hosting of which it is not known what it was made for,
// in a subscription in which nothing is hosting.
func noItemIsHosting(s *judged, l *link, prices string) string {
	return fmt.Sprintf("hosting %d is bound to %s, and the mappings say of everything in it (%s) that it is no hosting: it stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want", l.Hosting, s.ID, prices, UnbindCommand(s.ID, l.Hosting))
}

// becameNoHosting is said of a hosting whose item is gone, when one has come that is
// mapped to none.
func becameNoHosting(reason string, l *link, it *Item) string {
	return fmt.Sprintf("%s, and item %s has come, of which the mapping of its price %s says that it is no hosting: hosting %d stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want; if the new price is hosting: `%s`",
		reason, it.ID, it.Price, l.Hosting, UnbindCommand(l.Subscription, l.Hosting), MapCommand(it.Price, "PLAN"))
}
