package enhance

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	routeCustomers   = "/orgs/{org}/customers"
	routeOrg         = "/orgs/{org}"
	routePlans       = "/orgs/{org}/plans"
	routeMemberships = "/login/memberships"
	routeHostings    = "/orgs/{org}/customers/{customer}/subscriptions"
	routeHosting     = "/orgs/{org}/subscriptions/{subscription}"
	routeOwnQuota    = "/orgs/{org}/subscriptions"
	routeWebsites    = "/orgs/{org}/websites"
	routeBackups     = "/orgs/{org}/websites/{website}/backups"
	routeApps        = "/orgs/{org}/websites/{website}/apps"
	routeDatabases   = "/orgs/{org}/websites/{website}/mysql-dbs"
	routeDomainCheck = "/orgs/{org}/domains/check"
	routeMembers     = "/orgs/{org}/members"
	routeMember      = "/orgs/{org}/members/{member}"
	routeMemberSSO   = "/orgs/{org}/members/{member}/sso"
	routeInvites     = "/orgs/{org}/invites"
	routeLogins      = "/logins"
	routeRecovery    = "/login/password-recovery"
)

// The panel's words for the object of a 404.
const (
	ourselves     = "" // the organisation of the configuration
	anOrg         = "org"
	aWebsite      = "website"
	aMember       = "member"
	aSubscription = "subscription"
)

// Plans lists the plans that the selling organisation offers, by id.
func (c *Client) Plans(ctx context.Context) ([]reconcile.EnhancePlan, error) {
	wires, err := list[planWire](ctx, c, get(routePlans, c.org), nil)
	if err != nil {
		return nil, err
	}
	plans := make([]reconcile.EnhancePlan, 0, len(wires))
	for _, w := range wires {
		plans = append(plans, w.plan())
	}
	slices.SortFunc(plans, func(a, b reconcile.EnhancePlan) int { return a.ID - b.ID })
	return plans, nil
}

// Orgs lists customers, newest first, back to those created in the second of since. If
// since is zero it lists all of them, deleted ones too; otherwise it includes deleted
// ones only if the panel lists them by default.
//
// The panel is asked for this order and not trusted with it: if an answer is out of
// order, Orgs reads the complete listing instead.
func (c *Client) Orgs(ctx context.Context, since time.Time) ([]reconcile.Org, error) {
	now := c.o.Now()
	since = since.Truncate(time.Second) // createdAt may have no fraction
	if !since.IsZero() {
		recent, ordered, err := c.recentOrgs(ctx, since)
		if err != nil {
			return nil, err
		}
		if ordered {
			orgs, err := c.customers(recent, now)
			return newestSince(orgs, since), err
		}
	}
	var all []reconcile.Org
	at := map[string]int{} // an org deleted during the listing comes twice; the later one counts
	err := c.EveryOrg(ctx, func(page []reconcile.Org) error {
		for _, o := range page {
			if i, twice := at[o.ID]; twice {
				all[i] = o
				continue
			}
			at[o.ID] = len(all)
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newestSince(all, since), nil
}

// customers converts orgs and checks that all are customers of the selling
// organisation.
func (c *Client) customers(wires []orgWire, now time.Time) ([]reconcile.Org, error) {
	orgs := make([]reconcile.Org, 0, len(wires))
	for _, w := range wires {
		if err := c.checkParent(get(routeCustomers, c.org), w); err != nil {
			return nil, err
		}
		orgs = append(orgs, w.org(now))
	}
	return orgs, nil
}

// newestSince leaves out orgs known to be older than since, and sorts newest first.
func newestSince(orgs []reconcile.Org, since time.Time) []reconcile.Org {
	orgs = slices.DeleteFunc(orgs, func(o reconcile.Org) bool { return !o.Created.IsZero() && o.Created.Before(since) })
	slices.SortFunc(orgs, func(a, b reconcile.Org) int {
		if byAge := b.Created.Compare(a.Created); byAge != 0 {
			return byAge
		}
		return strings.Compare(a.ID, b.ID)
	})
	return orgs
}

// checkParent checks that an organisation is a customer of the selling one, if the
// panel names its parent.
func (c *Client) checkParent(at call, w orgWire) error {
	if w.ParentID != "" && !strings.EqualFold(w.ParentID, c.org) {
		return mismatch(at, "organisation %s is a customer of %s, not of ours", clip(w.ID), clip(w.ParentID))
	}
	return nil
}

// Org reads one customer.
func (c *Client) Org(ctx context.Context, id string) (reconcile.Org, error) {
	wire, now, err := c.readOrg(ctx, id, anOrg)
	if err != nil {
		return reconcile.Org{}, err
	}
	if err := c.checkParent(get(routeOrg, id), wire); err != nil {
		return reconcile.Org{}, err
	}
	return wire.org(now), nil
}

// membershipsWire is LoginMemberships (orchd OpenAPI 12.3.0).
type membershipsWire struct {
	Memberships []struct {
		OrgID   string `json:"orgId"`
		OrgName string `json:"orgName"`
	} `json:"memberships"`
}

// Memberships lists the organisations that the token's login is a member of, with id
// and name only. It lets an operator see which organisation a token belongs to.
func (c *Client) Memberships(ctx context.Context) ([]reconcile.Org, error) {
	var wire membershipsWire
	if err := c.read(ctx, get(routeMemberships), objectLimit, func(body []byte) error {
		wire = membershipsWire{}
		return decode(body, &wire)
	}); err != nil {
		return nil, err
	}
	var orgs []reconcile.Org
	for _, m := range wire.Memberships {
		if isUUID(m.OrgID) {
			orgs = append(orgs, reconcile.Org{ID: strings.ToLower(m.OrgID), Name: m.OrgName})
		}
	}
	return orgs, nil
}

// readOrg reads an organisation and checks that the answer is about it. now is taken
// before the request, so that it is never later than the facts it dates.
func (c *Client) readOrg(ctx context.Context, id, object string) (wire orgWire, now time.Time, err error) {
	if err := c.checkOrgID(id); err != nil {
		return wire, now, err
	}
	now = c.o.Now()
	at := get(routeOrg, id).about(object)
	if wire, err = readObject[orgWire](ctx, c, at); err != nil {
		return wire, now, err
	}
	if !strings.EqualFold(wire.ID, id) {
		return wire, now, mismatch(at, "the answer is about organisation %s", clip(wire.ID))
	}
	return wire, now, nil
}

// Hostings lists all subscriptions of a customer, deleted ones included, by id.
func (c *Client) Hostings(ctx context.Context, org string) ([]reconcile.Hosting, error) {
	if err := c.checkOrgID(org); err != nil {
		return nil, err
	}
	now := c.o.Now()
	at := get(routeHostings, c.org, org).about(anOrg)
	wires, err := list[subscriptionWire](ctx, c, at, nil)
	if err != nil {
		return nil, err
	}
	hostings := make([]reconcile.Hosting, 0, len(wires))
	for _, w := range wires {
		if err := w.checkOwner(at, org); err != nil {
			return nil, err
		}
		hostings = append(hostings, w.hosting(org, now))
	}
	slices.SortFunc(hostings, func(a, b reconcile.Hosting) int { return int(min(max(a.ID-b.ID, -1), 1)) })
	return hostings, nil
}

// Hosting reads one subscription of a customer.
func (c *Client) Hosting(ctx context.Context, org string, id int64) (reconcile.Hosting, error) {
	if err := c.checkIDs(org, id); err != nil {
		return reconcile.Hosting{}, err
	}
	now := c.o.Now()
	at := get(routeHosting, org, strconv.FormatInt(id, 10)).about(aSubscription)
	wire, err := readObject[subscriptionWire](ctx, c, at)
	if err != nil {
		return reconcile.Hosting{}, err
	}
	if wire.ID != id {
		return reconcile.Hosting{}, mismatch(at, "the answer is about hosting %d", wire.ID)
	}
	if err := wire.checkOwner(at, org); err != nil {
		return reconcile.Hosting{}, err
	}
	return wire.hosting(org, now), nil
}

// Websites lists the websites of a customer that are not deleted, by domain, each with
// its hosting. A website that names no hosting is fault.Malformed, because it could be
// on any of them and make a hosting look empty that is not. Control panels and similar
// websites are listed like any other.
func (c *Client) Websites(ctx context.Context, org string) ([]reconcile.Website, error) {
	wires, err := c.liveWebsites(ctx, org)
	if err != nil {
		return nil, err
	}
	sites := make([]reconcile.Website, len(wires))
	for i, w := range wires {
		sites[i] = reconcile.Website{Domain: w.domain(), Hosting: w.hosting()}
	}
	return sites, nil
}

// liveWebsites lists the websites of a customer that are not deleted, by domain.
func (c *Client) liveWebsites(ctx context.Context, org string) ([]websiteWire, error) {
	if err := c.checkOrgID(org); err != nil {
		return nil, err
	}
	at := get(routeWebsites, org).about(anOrg)
	all, err := list[websiteWire](ctx, c, at, nil)
	if err != nil {
		return nil, err
	}
	sites := make([]websiteWire, 0, len(all))
	for _, w := range all {
		switch {
		case !w.isLive():
			continue
		case w.OrgID != "" && !strings.EqualFold(w.OrgID, org):
			return nil, mismatch(at, "website %s belongs to organisation %s", clip(w.ID), clip(w.OrgID))
		case w.hosting() == 0:
			return nil, mismatch(at, "website %s names no hosting", clip(w.ID))
		}
		sites = append(sites, w)
	}
	slices.SortFunc(sites, func(a, b websiteWire) int { return strings.Compare(a.domain(), b.domain()) })
	return sites, nil
}

// checkOwner checks that a subscription belongs to the customer and names its plan. The
// API requires both, and a live hosting without a plan would look as if its plan had to
// be changed.
func (s subscriptionWire) checkOwner(at call, org string) error {
	if s.SubscriberID != "" && !strings.EqualFold(s.SubscriberID, org) {
		return mismatch(at, "hosting %d belongs to organisation %s", s.ID, clip(s.SubscriberID))
	}
	if s.PlanID == nil && s.Status != "deleted" {
		return mismatch(at, "hosting %d names no plan", s.ID)
	}
	return nil
}

// readObject reads one JSON object. An object without an id is refused inside the read,
// so that the read is retried if a maintenance page answered {}. Every attempt decodes
// into a new value, so that nothing of a refused answer remains.
func readObject[T item](ctx context.Context, c *Client, at call) (T, error) {
	var object T
	err := c.read(ctx, at, objectLimit, func(body []byte) error {
		var fresh T
		if err := decode(body, &fresh); err != nil {
			return err
		}
		if fresh.identity() == "" {
			return errNoID
		}
		object = fresh
		return nil
	})
	return object, err
}
