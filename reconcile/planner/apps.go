package planner

import (
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// appWithin is how long after a website was made an application is installed on it. Later
// its owner may have put files there, and the panel shows none of them.
const appWithin = 48 * time.Hour

// planApp installs the application that was ordered with a website which we have made. It
// is not tried again once one is there, and nothing else of the customer waits for it.
func (pl *planner) planApp(cl demand, h *reconcile.Hosting) {
	s, app := &pl.subs[cl.lead.sub], &h.App
	it := s.item(cl.lead.Item)
	if app.App == "" || app.Domain != h.Website || !app.Done.IsZero() || it == nil {
		return
	}
	mapped, _ := pl.cat.match(it)
	if mapped.options.App != app.App {
		return
	}
	for i := range pl.c.Pending {
		if p := &pl.c.Pending[i]; p.Kind == reconcile.InstallApp && p.Hosting == h.ID {
			pl.holdPending(p)
			return
		}
	}
	if problem := pl.appProblem(s, app); problem != "" {
		pl.recheckAt(pl.now.Add(recheckAfter))
		if app.ReadAt.Before(pl.freshSince()) {
			pl.addNeed(Need{Kind: NeedSiteApps, Org: h.Org, Hosting: h.ID})
		}
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldWebsite, Subscription: s.ID, Hosting: h.ID, Reason: appWaits(s, h, mapped, problem)})
		return
	}
	pl.change(cl, h, reconcile.Action{ID: "install_app:" + reconcile.SlotID(s.ID, cl.lead.Slot) + ":" + h.Website, Kind: reconcile.InstallApp,
		Domain: h.Website, Site: reconcile.SiteOptions{App: app.App}, Reason: orderedApp(app)})
}

// appProblem is a sentence about what keeps an application from being installed; "": nothing.
func (pl *planner) appProblem(s *assessed, app *reconcile.SiteApp) string {
	switch {
	case app.MadeAt.IsZero():
		return siteWasThere
	case app.Databases > 0:
		return siteHasDatabases(app)
	case !pl.now.Before(app.MadeAt.Add(appWithin)):
		return siteIsOld(app)
	case app.Refused != "" && pl.now.Before(app.RefusedAt.Add(recheckAfter)):
		return appRefused(app)
	case !strings.Contains(pl.buyerOf(s.ID).Email, "@"):
		return noAppEmail
	}
	return ""
}
