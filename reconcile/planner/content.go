package planner

import (
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// filling is whether a hosting has anything on it that a customer would miss. When one of
// several is kept, it is the one with the highest value.
type filling uint8

const (
	// fillingEmpty: no website, and the panel counts nothing else on it.
	fillingEmpty filling = iota + 1
	// fillingUnread: the websites were never listed, or the panel refuses to. It is
	// never taken for empty.
	fillingUnread
	// fillingUnclear: nothing but the website that we made for the order, or some use
	// that may or may not be a customer's (disk space alone).
	fillingUnclear
	// fillingFull: a customer has put something there.
	fillingFull
)

// countsOf are the resources of which a person made each one, and passing those that only
// measure traffic (orchd OpenAPI 12.3.0, ResourceName). If any other resource is in use,
// the hosting is unclear, because a later panel may add resources that matter.
var (
	countsOf = map[string]string{
		"websites": "website", "stagingWebsites": "staging website", "mailboxes": "mailbox", "mysqlDbs": "database", "ftpUsers": "FTP user",
		"forwarders": "forwarder", "domainAliases": "domain alias", "addonDomains": "addon domain", "subdomains": "subdomain", "customers": "customer",
	}
	passing = map[string]bool{"pageViews": true, "transfer": true, "processes": true}
)

// contentState compares the listed websites with the panel's counts, and takes the larger
// number, because a token that sees only some websites lists too few.
func contentState(h *reconcile.Hosting) filling {
	sites, unclear := int64(h.Content.Count), false
	for _, u := range h.Usage {
		switch {
		case u.Used <= 0 || passing[u.Name]:
		case u.Name == "websites":
			sites = max(sites, u.Used)
		case countsOf[u.Name] != "":
			return fillingFull
		default:
			unclear = true
		}
	}
	switch {
	case sites > 1 || sites == 1 && !onlyOrdered(h):
		return fillingFull
	case h.Content.ReadAt.IsZero() || h.Content.Unread != "":
		return fillingUnread
	case sites == 1 || unclear:
		return fillingUnclear
	}
	return fillingEmpty
}

// onlyOrdered reports whether the one website may be the one that we made for the order,
// on which the customer may have done nothing yet.
func onlyOrdered(h *reconcile.Hosting) bool {
	return h.Website != "" && (len(h.Content.Sites) == 0 || strings.EqualFold(h.Content.Sites[0], h.Website))
}

// readContent asks for the websites of a hosting's org if they were last listed before an
// instant, and reports whether they have been listed before. The earlier listing counts
// until then: a decision with needs is provisional.
func (pl *planner) readContent(h *reconcile.Hosting, since time.Time) bool {
	if !slices.Contains(pl.out.Contents, h.Org) {
		pl.out.Contents = append(pl.out.Contents, h.Org)
	}
	if h.Content.ReadAt.Before(since) {
		pl.addNeed(Need{Kind: NeedContent, Org: h.Org})
	}
	return !h.Content.ReadAt.IsZero()
}

// freshSince is since when a reading is fresh enough to act on.
func (pl *planner) freshSince() time.Time { return pl.now.Add(-pl.policy.Freshness()) }

// fillingOf is the filling of the hosting of an assignment, which must be among those
// loaded.
func (pl *planner) fillingOf(l *assignment) filling { return contentState(&pl.c.Hostings[l.hosting]) }

// keepsLastContent keeps a hosting with content from being deleted while the same customer
// keeps one that may be empty: the site may have been moved here since, or the wrong
// hosting may have been kept.
func (pl *planner) keepsLastContent(cl demand, h *reconcile.Hosting) bool {
	var others []*assignment
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if l.Hosting != h.ID && pl.alive(l) && (l.sub < 0 || pl.payer(l) == pl.payer(cl.lead)) {
			others = append(others, l)
		}
	}
	if len(others) == 0 {
		return false
	}
	if !pl.readContent(h, pl.freshSince()) {
		return true // asked for
	}
	if contentState(h) == fillingEmpty {
		return false
	}
	var parts []string
	for _, l := range others {
		o := &pl.c.Hostings[l.hosting]
		if !pl.readContent(o, pl.freshSince()) {
			return true
		}
		if o.Content.Count == 0 {
			pl.readFresh(o)
		}
		if contentState(o) != fillingFull {
			parts = append(parts, hostingWithContent(l, o))
		}
	}
	if len(parts) == 0 {
		return false
	}
	pl.recheckHosting(h)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldContent, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: notDeletedForContent(h, parts)})
	return true
}
