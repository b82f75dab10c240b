package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	siteWasThere = "it is not certain that the website is of our making, and empty"
	noAppEmail   = "the customer has no e-mail at Stripe, which the application needs for its administrator"
)

func orderedApp(app *reconcile.SiteApp) string {
	return fmt.Sprintf("the mapping asks for %s on a new website, and %s was made at %s", app.App, app.Domain, reconcile.FormatTime(app.MadeAt))
}

// appWaits is for an application that is not installed.
func appWaits(s *assessed, h *reconcile.Hosting, mapped target, problem string) string {
	return fmt.Sprintf("%s is not installed on the website %s of %s: %s. The hosting and the website are up; install it in the panel, or take it out of the mapping with `%s --app none`",
		h.App.App, h.App.Domain, s.ID, problem, MapCommand(mapped.billing, reconcile.FormatID(int64(mapped.plan.ID))))
}

func siteHasDatabases(app *reconcile.SiteApp) string {
	return fmt.Sprintf("the website has no application, and databases (%d), so something is on it", app.Databases)
}

func siteIsOld(app *reconcile.SiteApp) string {
	text := fmt.Sprintf("it was made at %s, more than %s ago, and may have content by now", reconcile.FormatTime(app.MadeAt), reconcile.FormatDuration(appWithin))
	if app.Refused != "" {
		text += "; the panel refused before: " + app.Refused
	}
	return text
}

func appRefused(app *reconcile.SiteApp) string {
	return fmt.Sprintf("the panel refuses (%s), and is asked again after %s", app.Refused, reconcile.FormatTime(app.RefusedAt.Add(recheckAfter)))
}
