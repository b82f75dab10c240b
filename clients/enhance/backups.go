package enhance

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// backupWire is a Backup. Its parts have the states "started", "successful" and "failed"; a
// part that the website lacks has none.
type backupWire struct {
	StartedAt  string `json:"startedAt"`
	FinishedAt string `json:"finishedAt"`
	Files      string `json:"homeDirStatus"`
	Databases  string `json:"mysqlDbsStatus"`
	Mailboxes  string `json:"emailsStatus"`
}

// succeeded reports whether the backup is done and complete. A state that is not known is
// no success.
func (w *backupWire) succeeded() bool {
	part := func(state string) bool { return state == "" || state == "successful" }
	return w.FinishedAt != "" && w.Files == "successful" && part(w.Databases) && part(w.Mailboxes)
}

// Backups looks for a website of a hosting without a backup that began since an instant and
// succeeded. It goes through the websites in alphabetical order, with one request for each,
// up to the first that lacks one.
func (c *Client) Backups(ctx context.Context, org string, hosting int64, since time.Time) (reconcile.Backups, error) {
	sites, err := c.websitesOf(ctx, org, hosting)
	if err != nil {
		return reconcile.Backups{}, err
	}
	for _, site := range sites {
		b, saved, err := c.backups(ctx, org, site, since)
		if err != nil || !saved {
			return b, err
		}
	}
	return reconcile.Backups{}, nil
}

// websitesOf lists the live websites of a hosting by domain.
func (c *Client) websitesOf(ctx context.Context, org string, hosting int64) ([]websiteWire, error) {
	if err := c.checkIDs(org, hosting); err != nil {
		return nil, err
	}
	all, err := c.liveWebsites(ctx, org)
	if err != nil {
		return nil, err
	}
	sites := all[:0]
	for _, w := range all {
		if w.hosting() == hosting {
			sites = append(sites, w)
		}
	}
	return sites, nil
}

// backups reads those of one website; saved: one of them counts.
func (c *Client) backups(ctx context.Context, org string, site websiteWire, since time.Time) (b reconcile.Backups, saved bool, err error) {
	var all struct {
		Items *[]backupWire `json:"items"`
	}
	at := get(routeBackups, org, site.ID).about(aWebsite)
	if err := c.read(ctx, at, listLimit, func(body []byte) error { return decode(body, &all) }); err != nil {
		return b, false, err
	}
	if all.Items == nil {
		return b, false, mismatch(at, "a list of backups without items")
	}
	b.Lacking = site.domain()
	for _, w := range *all.Items {
		began := parseTime(w.StartedAt)
		switch {
		case began.IsZero():
			return b, false, mismatch(at, "a backup of %s with no time", clip(b.Lacking))
		case began.Before(since):
		case w.succeeded():
			return reconcile.Backups{}, true, nil
		case w.FinishedAt == "":
			b.Began = latest(b.Began, began)
		default:
			b.Failed = latest(b.Failed, began)
		}
	}
	return b, false, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// StartBackup makes a backup of a website, mailboxes included, because the hosting is to be
// deleted after it. The panel answers when the backup is done, and that may take longer
// than a write may: then the error is fault.Ambiguous, and Backups shows it.
func (c *Client) StartBackup(ctx context.Context, org string, hosting int64, domain string) error {
	site, err := c.siteOf(ctx, org, hosting, domain)
	if err != nil {
		return err
	}
	body := struct {
		Description string `json:"description"`
	}{"before the hosting is deleted"}
	at := at(http.MethodPost, routeBackups, org, site.ID).about(aWebsite).with("includeEmails", "true").creating()
	return c.write(ctx, at, body, http.StatusCreated, func(answer []byte) error { return decode(answer, new(backupWire)) })
}

// siteOf is the live website of a hosting that has the domain; fault.Conflict if there is
// none any more.
func (c *Client) siteOf(ctx context.Context, org string, hosting int64, domain string) (websiteWire, error) {
	sites, err := c.websitesOf(ctx, org, hosting)
	if err != nil {
		return websiteWire{}, err
	}
	for _, site := range sites {
		if strings.EqualFold(site.domain(), domain) {
			return site, nil
		}
	}
	return websiteWire{}, fault.Errorf(fault.Conflict, "enhance: hosting %d: %s: %w", hosting, domain, errNoSite)
}

// errNoSite marks the error of siteOf if it is about the website.
var errNoSite = errors.New("there is no such website on it any more")
