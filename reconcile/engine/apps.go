package engine

import (
	"context"
	"errors"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// readSiteApps stores which applications are on the website of a hosting. A panel or a token that does not
// show them is a fact and not a failure: nothing is installed then.
func (r *run) readSiteApps(ctx context.Context, c *reconcile.Customer, hosting int64) error {
	h := hostingOf(c, hosting)
	if h == nil {
		return fault.Errorf(fault.Conflict, "hosting %d is not known yet", hosting)
	}
	app := h.App
	on, err := r.Websites.SiteApps(ctx, h.Org, h.ID, app.Domain)
	app.ReadAt = r.clock()
	switch {
	case errors.Is(err, fault.LeftAlone):
		return err // nothing was asked
	case refused(err), errors.Is(err, fault.Conflict):
		app.Refused, app.RefusedAt = err.Error(), app.ReadAt
	case err != nil:
		return err
	case on.Gone, len(on.Apps) > 0:
		app.Done = app.ReadAt
	default:
		app.Databases = on.Databases
	}
	return r.ContentStore.SaveSiteApp(ctx, r.tok, h.ID, app)
}

// lookForApp reads the applications on the website before anything is installed on it.
func (r *run) lookForApp(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || a.Hosting <= 0 {
		return false, nil
	}
	return true, r.readSiteApps(ctx, c, a.Hosting)
}

// installApp installs an application on a website that was empty right before. What the
// panel refuses is a fact to record: the next hour it answers the same.
func (r *run) installApp(ctx context.Context, c *reconcile.Customer, a reconcile.Action, out *reconcile.Outcome) error {
	h := hostingOf(c, a.Hosting)
	if h == nil {
		return fault.Errorf(fault.Conflict, "hosting %d is not known yet", a.Hosting)
	}
	err := r.Websites.InstallApp(ctx, a.Org, a.Hosting, a.Domain, string(a.Site.App), a.Email)
	site := *h
	switch {
	case err == nil:
		site.App.Done = r.clock()
	case refused(err), errors.Is(err, fault.Conflict):
		site.App.Refused, site.App.RefusedAt = err.Error(), r.clock()
	default:
		return err
	}
	out.Hosting = &site
	return err
}

// findApp looks whether an application is on the website by now. A database alone is no
// proof of one; the planner installs nothing beside it.
func (r *run) findApp(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, _ *reconcile.Outcome) (bool, error) {
	if hostingOf(c, p.Hosting) == nil {
		return false, nil
	}
	if err := r.readSiteApps(ctx, c, p.Hosting); err != nil {
		return false, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return false, err
	}
	h := hostingOf(again, p.Hosting)
	if h == nil {
		return false, nil
	}
	unseen := h.App.Refused != "" && h.App.RefusedAt.Equal(h.App.ReadAt)
	if unseen && !r.clock().Before(r.settledAt(p)) {
		h.App.MadeAt = time.Time{} // nothing shows how it ended, so it is not tried again
		return false, r.ContentStore.SaveSiteApp(ctx, r.tok, h.ID, h.App)
	}
	return !h.App.Done.IsZero(), nil
}
