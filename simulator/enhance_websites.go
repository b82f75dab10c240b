package simulator

import (
	"slices"
	"strconv"
	"strings"
)

func (w *World) newWebsite(h *Hosting, domain, php string) *Website {
	s := &Website{
		ID: w.uuid("website"), Domain: domain, Org: h.Org, Hosting: h.ID, PHP: php, Status: h.Status,
		Created: w.now, birth: w.birth(),
	}
	o := w.panel.orgByID[h.Org]
	o.websites = append(o.websites, s)
	w.panel.websites = append(w.panel.websites, s)
	w.panel.domains[strings.ToLower(domain)] = s
	if h.Usage == nil {
		h.Usage = map[string]int64{}
	}
	h.Usage["websites"]++
	w.panel.invalidate()
	return s
}

var phpVersions = []string{
	"php52", "php53", "php54", "php55", "php56", "php70", "php71", "php72", "php73", "php74", "php80", "php81", "php82", "php83", "php84",
}

func createWebsite(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"domain"}, "subscriptionId", "phpVersion", "appServerId", "backupServerId",
		"dbServerId", "emailServerId", "serverGroupId", "wordPressAdminCredentials")
	domain, id, php, group := b.text("domain"), b.number("subscriptionId"), b.text("phpVersion"), b.text("serverGroupId")
	h := w.panel.hosting(id)
	switch {
	case b.bad != nil:
		return *b.bad
	case !validDomain(domain):
		return badInput("invalid domain")
	case b.has("phpVersion") && !slices.Contains(phpVersions, php):
		return badInput("Json deserialize error: unknown variant `" + php + "`")
	case !b.has("subscriptionId"):
		return badInput("a subscription is required")
	case h == nil || h.Org != o.ID || h.Status != "active":
		return notFound("subscription")
	case b.has("phpVersion") && !slices.Contains(planPHP, php):
		return badInput("the plan does not allow " + php)
	case b.has("serverGroupId") && !w.offersGroup(h.Plan, group):
		return badInput("the plan does not offer this server group")
	case w.panel.domains[strings.ToLower(domain)] != nil:
		return enhanceError(409, "already_exists", "domain", "")
	}
	s := w.newWebsite(h, domain, php)
	s.ServerGroup = group
	w.effect(Effect{Kind: "create_website", Org: o.ID, Hosting: h.ID, Object: s.ID, Before: h.state(), After: h.state()})
	return created(`{"id":` + quote(s.ID) + `}`)
}

// planPHP are the versions that planRest allows.
var planPHP = []string{"php81", "php82", "php83"}

func (w *World) offersGroup(plan int, group string) bool {
	p := w.panel.plan(plan)
	return p != nil && slices.Contains(p.ServerGroups, strings.ToLower(group))
}

// checkDomain answers whether an organisation can have a website with a domain. Nothing
// changes by it.
func checkDomain(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"domain"})
	domain := b.text("domain")
	switch s := w.panel.domains[strings.ToLower(domain)]; {
	case b.bad != nil:
		return *b.bad
	case !validDomain(domain):
		return badInput("invalid domain")
	case s == nil:
		return ok(`{"status":"notInUse"}`)
	case s.Status == "deleted":
		return ok(`{"status":"inUseDeletedSite"}`)
	case s.Org == o.ID:
		return ok(`{"status":"inUseCurrentOrg","websiteId":` + quote(s.ID) + `}`)
	}
	return ok(`{"status":"inUseAnotherOrg"}`)
}

func validDomain(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return false
		}
	}
	return true
}

// listWebsites lists the websites of an organisation or, with
// recursion=directCustomers, those of all its customers.
func listWebsites(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad == nil {
		bad = checkQuery(q, "sortBy", "search", "recursion", "planId", "subscriptionId", "status", "isSuspended", "roles",
			"servers", "kind", "showAliases")
	}
	if bad != nil {
		return *bad
	}
	rows := o.websites
	switch r := q.Query.Get("recursion"); r {
	case "":
	case "directCustomers", "infinite":
		if o == w.panel.our {
			rows = w.panel.websites
		}
	default:
		return badInput("Query deserialize error: unknown variant `" + r + "`")
	}
	if id := q.Query.Get("subscriptionId"); id != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(s *Website) bool { return strconv.Itoa(s.Hosting) != id })
	}
	if search := strings.ToLower(q.Query.Get("search")); search != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(s *Website) bool { return !strings.Contains(strings.ToLower(s.Domain), search) })
	}
	return listPart(w, q, rows, w.writeWebsite)
}

func (w *World) writeWebsite(d *doc, s *Website) {
	h := w.panel.hosting(s.Hosting)
	d.open()
	d.str("id", s.ID)
	d.object("domain")
	d.str("id", w.prf.uuid("domain", s.ID))
	d.str("domain", s.Domain)
	d.fields(`"documentRoot":"public_html","kind":"primary","cloudflareStatus":"Disconnected"`)
	d.close()
	d.fields(`"aliases":[],"subdomains":[]`)
	d.num("subscriptionId", int64(s.Hosting))
	if h != nil {
		d.num("planId", int64(h.Plan))
		if h.SuspendedBy != "" {
			d.str("suspendedBy", h.SuspendedBy)
		}
	}
	d.str("status", s.Status)
	d.str("colorCode", "#3366cc")
	d.num("size", 0)
	d.str("orgId", s.Org)
	d.str("kind", "normal")
	d.str("createdAt", stamp(s.Created))
	if s.PHP != "" {
		d.str("phpVersion", s.PHP)
	}
	w.writeUnknownFields(d)
	d.close()
}
