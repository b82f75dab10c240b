package enhance

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// orgWire is Org of orchd OpenAPI 12.3.0, reduced to the fields in use.
type orgWire struct {
	ID                 string  `json:"id"`
	ParentID           string  `json:"parentId"`
	Name               string  `json:"name"`
	Status             string  `json:"status"`
	SuspendedBy        *string `json:"suspendedBy"`
	OwnerEmail         string  `json:"ownerEmail"`
	SubscriptionsCount int     `json:"subscriptionsCount"`
	CreatedAt          string  `json:"createdAt"`
}

func (o orgWire) identity() string { return strings.ToLower(o.ID) }

// org converts. An unknown status is neither deleted nor suspended, because the panel
// itself refuses calls that such an organisation may not make.
func (o orgWire) org(now time.Time) reconcile.Org {
	return reconcile.Org{
		ID:         strings.ToLower(o.ID),
		Name:       o.Name,
		OwnerEmail: o.OwnerEmail,
		Hostings:   o.SubscriptionsCount,
		Deleted:    o.Status == "deleted",
		Suspended:  o.SuspendedBy != nil || o.Status == "suspended",
		Created:    parseTime(o.CreatedAt),
		ObservedAt: now,
	}
}

// subscriptionWire is orchd OpenAPI 12.3.0, Subscription.
type subscriptionWire struct {
	ID           int64          `json:"id"`
	PlanID       *int           `json:"planId"`
	SubscriberID string         `json:"subscriberId"`
	Status       string         `json:"status"`
	SuspendedBy  *string        `json:"suspendedBy"`
	FriendlyName string         `json:"friendlyName"`
	Resources    []resourceWire `json:"resources"`
}

// resourceWire is UsedResource and, without usage, Resource. If total is absent the
// resource is unlimited (UsedResource.total).
type resourceWire struct {
	Name  string `json:"name"`
	Usage int64  `json:"usage"`
	Total *int64 `json:"total"`
}

func (s subscriptionWire) identity() string {
	if s.ID <= 0 {
		return ""
	}
	return strconv.FormatInt(s.ID, 10)
}

// hosting converts; org is the customer that was asked for.
func (s subscriptionWire) hosting(org string, now time.Time) reconcile.Hosting {
	h := reconcile.Hosting{
		ID: s.ID, Org: strings.ToLower(org), State: s.state(),
		FriendlyName: s.FriendlyName, ObservedAt: now,
	}
	if s.PlanID != nil {
		h.Plan = *s.PlanID
	}
	if s.SuspendedBy != nil {
		h.SuspendedBy = *s.SuspendedBy
	}
	for _, r := range s.Resources {
		h.Usage = append(h.Usage, reconcile.Usage{Name: r.Name, Used: r.Usage, Total: r.Total})
	}
	return h
}

// state: the panel has no status for suspended, only the presence of suspendedBy
// (Subscription.suspendedBy). Deleted comes first, because a deleted hosting cannot be
// resumed.
func (s subscriptionWire) state() reconcile.HostingState {
	switch {
	case s.Status == "deleted":
		return reconcile.HostingDeleted
	case s.Status != "active":
		return reconcile.HostingUnknown
	case s.SuspendedBy == nil:
		return reconcile.HostingActive
	case *s.SuspendedBy == "":
		return reconcile.HostingUnknown // an empty suspendedBy is not documented
	}
	return reconcile.HostingSuspended
}

// planWire is orchd OpenAPI 12.3.0, Plan.
type planWire struct {
	ID        int            `json:"id"`
	Name      string         `json:"name"`
	Resources []resourceWire `json:"resources"`

	AllowedPHP   []string `json:"allowedPhpVersions"`
	ServerGroups []string `json:"serverGroupIds"`
	ChoosesGroup *bool    `json:"allowServerGroupSelection"`
}

func (p planWire) identity() string {
	if p.ID <= 0 {
		return ""
	}
	return strconv.Itoa(p.ID)
}

func (p planWire) plan() reconcile.EnhancePlan {
	limits := map[string]int64{}
	for _, r := range p.Resources {
		if r.Total != nil {
			limits[r.Name] = *r.Total
		}
	}
	return reconcile.EnhancePlan{ID: p.ID, Name: p.Name, Limits: limits, Sites: p.sites()}
}

// sites: the choice of a server group is optional in the document, so a plan that does not
// mention it has not denied it.
func (p planWire) sites() (s reconcile.PlanSites) {
	if len(p.AllowedPHP) > 0 {
		s.PHP = slices.Sorted(slices.Values(p.AllowedPHP))
	}
	switch {
	case p.ChoosesGroup == nil:
	case !*p.ChoosesGroup:
		s.ServerGroups = []string{}
	case len(p.ServerGroups) > 0:
		for _, id := range p.ServerGroups {
			s.ServerGroups = append(s.ServerGroups, strings.ToLower(id))
		}
		slices.Sort(s.ServerGroups)
	}
	return s
}

// memberWire is orchd OpenAPI 12.3.0, Member, pending ones included.
type memberWire struct {
	ID       string   `json:"id"`
	Email    string   `json:"email"`
	Roles    []string `json:"roles"`
	IsActive bool     `json:"isActive"` // false: invited, and has not accepted
}

func (m memberWire) identity() string { return m.ID }

// websiteWire is orchd OpenAPI 12.3.0, Website. Its domain is an object there; a plain
// string is understood as well.
type websiteWire struct {
	ID             string            `json:"id"`
	Domain         json.RawMessage   `json:"domain"`
	Aliases        []json.RawMessage `json:"aliases"`
	OrgID          string            `json:"orgId"`
	SubscriptionID json.Number       `json:"subscriptionId"`
	Status         string            `json:"status"`
	CreatedAt      string            `json:"createdAt"`
}

func (w websiteWire) identity() string { return w.ID }

func (w websiteWire) domain() string { return domainOf(w.Domain) }

func domainOf(raw json.RawMessage) string {
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return name
	}
	var object struct {
		Domain string `json:"domain"`
	}
	_ = json.Unmarshal(raw, &object)
	return object.Domain
}

// hasDomain reports whether a website has this domain, also as an alias.
func (w websiteWire) hasDomain(key string) bool {
	return reconcile.DomainKey(w.domain()) == key ||
		slices.ContainsFunc(w.Aliases, func(a json.RawMessage) bool { return reconcile.DomainKey(domainOf(a)) == key })
}

// location is the website's place; hosting 0 if the panel does not name it.
func (w websiteWire) location() reconcile.WebsiteLocation {
	return reconcile.WebsiteLocation{Org: strings.ToLower(w.OrgID), Hosting: w.hosting()}
}

// hosting is the website's subscription (Website.subscriptionId, a number); 0 if the
// panel does not name it.
func (w websiteWire) hosting() int64 {
	n, err := w.SubscriptionID.Float64()
	if err != nil || n < 1 || n > 1<<53 || n != math.Trunc(n) {
		return 0
	}
	return int64(n)
}

// isLive reports whether the website exists. An unknown status means that it does.
func (w websiteWire) isLive() bool { return w.Status != "deleted" }

// isOn reports whether this is a live website of that domain on that hosting.
func (w websiteWire) isOn(hosting int64, domain string) bool {
	return w.hosting() == hosting && w.isLive() && strings.EqualFold(w.domain(), domain)
}

// timeLayouts are the known forms of createdAt, which is documented as a string and no
// more. All of them may have a fraction of a second.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 Z07:00",
	"2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
	time.DateOnly,
}

// parseTime parses createdAt; zero if it has none of the known forms. Without a zone it
// is UTC.
func parseTime(s string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
