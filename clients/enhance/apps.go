package enhance

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// appWire is WebsiteApp, and databaseWire MySQLDB (orchd OpenAPI 12.3.0).
type (
	appWire struct {
		App string `json:"app"`
	}
	databaseWire struct {
		Name string `json:"name"`
	}
)

// appAdmin is the name of the administrator of a new application. The customer signs in
// through the panel, or with the e-mail and the application's own way to a new password.
const appAdmin = "owner"

// SiteApps reads the applications on a website of a hosting and, where there is none, its
// databases: an application that was installed past the panel has one. A panel that does not
// have these operations is fault.NotFound.
func (c *Client) SiteApps(ctx context.Context, org string, hosting int64, domain string) (on reconcile.SiteApps, err error) {
	site, err := c.siteOf(ctx, org, hosting, domain)
	if errors.Is(err, errNoSite) {
		return reconcile.SiteApps{Gone: true}, nil
	}
	if err != nil {
		return on, err
	}
	apps, err := itemsOf[appWire](ctx, c, get(routeApps, org, site.ID).about(aWebsite))
	if err != nil {
		return on, err
	}
	for _, a := range apps {
		if a.App == "" {
			return on, mismatch(get(routeApps, org, site.ID), "an application with no name")
		}
		on.Apps = append(on.Apps, a.App)
	}
	if len(on.Apps) > 0 {
		return on, nil
	}
	databases, err := itemsOf[databaseWire](ctx, c, get(routeDatabases, org, site.ID).about(aWebsite))
	on.Databases = len(databases)
	return on, err
}

// itemsOf reads a list that has no pages.
func itemsOf[T any](ctx context.Context, c *Client, at call) ([]T, error) {
	var all struct {
		Items *[]T `json:"items"`
	}
	err := c.read(ctx, at, listLimit, func(body []byte) error { return decode(body, &all) })
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		return nil, fault.Wrap(fault.NotFound, e)
	}
	if err != nil {
		return nil, err
	}
	if all.Items == nil {
		return nil, mismatch(at, "a list without items")
	}
	return *all.Items, nil
}

// InstallApp installs an application in the root of a website of a hosting, with an
// administrator who has that e-mail and a random password. The password exists only in this
// function. The panel may take longer than a write may: then the error is fault.Ambiguous,
// and SiteApps shows how it ended.
func (c *Client) InstallApp(ctx context.Context, org string, hosting int64, domain, app, email string) error {
	if !strings.Contains(email, "@") {
		return fault.Errorf(fault.Permanent, "enhance: %q is not an e-mail address", clip(email))
	}
	site, err := c.siteOf(ctx, org, hosting, domain)
	if err != nil {
		return err
	}
	password := newPassword()
	body := struct {
		App      string `json:"app"`
		Username string `json:"adminUsername"`
		Password string `json:"adminPassword"`
		Email    string `json:"adminEmail"`
	}{app, appAdmin, password, email}
	at := at(http.MethodPost, routeApps, org, site.ID).about(aWebsite).creating()
	at.secrets = []string{password}
	var id string
	return c.write(ctx, at, body, http.StatusCreated, uuidInto(&id))
}
