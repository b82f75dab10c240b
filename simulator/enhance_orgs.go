package simulator

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// org finds our own organisation or one of its customers. The master above ours exists,
// but the token may not touch it.
func (w *World) org(q *request, i int) (*Org, *answer) {
	id := strings.ToLower(q.vars[i])
	switch o := w.panel.orgByID[id]; {
	case o != nil:
		return o, nil
	case id == w.panel.our.ID:
		return w.panel.our, nil
	case id == w.panel.master:
		a := enhanceErrorFor(403)
		return nil, &a
	case !isUUID(id):
		a := badInput("Path deserialize error: UUID parsing failed")
		return nil, &a
	}
	a := notFound("org")
	return nil, &a
}

// vendor reports whether the organisation in the path is the one that sells.
func (w *World) vendor(q *request) (bool, *answer) {
	o, bad := w.org(q, 0)
	return o == w.panel.our, bad
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(s[i])) {
			return false
		}
	}
	return true
}

func getOrg(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	return ok(text(func(d *doc) { w.writeOrg(d, o) }))
}

func (w *World) writeOrg(d *doc, o *Org) {
	parent := w.panel.our.ID
	if o == w.panel.our {
		parent = w.panel.master
	}
	d.open()
	d.str("id", o.ID)
	d.str("parentId", parent)
	d.str("name", o.Name)
	d.str("status", o.Status)
	if o.SuspendedBy != "" {
		d.str("suspendedBy", o.SuspendedBy)
	}
	if m := o.owner(); m != nil {
		d.str("owner", m.Name)
		d.str("ownerEmail", m.Email)
		d.str("ownerId", m.ID)
		d.str("ownerLoginId", m.Login)
	}
	d.num("subscriptionsCount", int64(o.activeHostings()))
	d.num("websitesCount", int64(len(o.websites)))
	d.str("createdAt", stamp(o.Created))
	d.str("locale", "en")
	w.writeUnknownFields(d)
	d.close()
}

// stamp formats times with microseconds, as orchd's database keeps them.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

var orgSorts = []string{"id", "name", "status", "subscriptionsCount", "websitesCount", "createdAt"}

func listOrgs(w *World, q *request) answer {
	ours, bad := w.vendor(q)
	if bad == nil {
		bad = checkQuery(q, "sortBy", "status", "planId", "recursive", "maxDepth")
	}
	if bad != nil {
		return *bad
	}
	sortBy, status, plan := q.Query.Get("sortBy"), q.Query.Get("status"), q.Query.Get("planId")
	if sortBy != "" && !slices.Contains(orgSorts, sortBy) {
		return badInput("Query deserialize error: unknown variant `" + sortBy + "`")
	}
	if status != "" && !slices.Contains([]string{"active", "suspended", "deleted"}, status) {
		return badInput("Query deserialize error: unknown variant `" + status + "`")
	}
	planID, err := strconv.Atoi(cmp.Or(plan, "0"))
	if err != nil {
		return badInput("Query deserialize error: invalid planId")
	}
	var rows []*Org
	if ours { // only the organisation that sells has customers
		rows = w.panel.customers(sortBy, status, planID)
	}
	return listPart(w, q, rows, w.writeOrg)
}

// listPart answers a slice of rows. Descending order reads the same list from its end,
// so that it costs nothing.
func listPart[T any](w *World, q *request, rows []T, write func(*doc, T)) answer {
	from, to, bad := w.pageBounds(q, len(rows))
	if bad != nil {
		return *bad
	}
	d := doc{b: make([]byte, 0, 256+640*(to-from))}
	d.open()
	d.array("items")
	for i := from; i < to; i++ {
		at := i
		if q.Query.Get("sortOrder") == "desc" {
			at = len(rows) - 1 - i
		}
		write(&d, rows[at])
	}
	d.closeArray()
	d.num("total", int64(len(rows)))
	w.writeUnknownFields(&d)
	d.close()
	return answer{status: 200, body: d.b}
}

// customers is the list in one order under one filter. It is kept until a customer
// changes, because otherwise every page of a long list would cost the whole list.
func (p *panel) customers(sortBy, status string, plan int) []*Org {
	byAge := sortBy == "" || sortBy == "createdAt"
	if byAge && status == "" && plan == 0 {
		return p.orgs
	}
	key := sortBy + "|" + status + "|" + strconv.Itoa(plan)
	if rows, kept := p.listings[key]; kept {
		return rows
	}
	rows := []*Org{}
	for _, o := range p.orgs {
		if o.hasStatus(status) && (plan == 0 || o.hasPlan(plan)) {
			rows = append(rows, o)
		}
	}
	if !byAge {
		slices.SortStableFunc(rows, func(a, b *Org) int { return compareOrgs(a, b, sortBy) })
	}
	p.listings[key] = rows
	return rows
}

func (o *Org) hasStatus(want string) bool {
	switch want {
	case "":
		return true
	case "suspended":
		return o.Status == "active" && o.SuspendedBy != ""
	case "active":
		return o.Status == "active" && o.SuspendedBy == ""
	}
	return o.Status == want
}

func (o *Org) hasPlan(plan int) bool {
	return slices.ContainsFunc(o.hostings, func(h *Hosting) bool { return h.Plan == plan && h.Status == "active" })
}

func compareOrgs(a, b *Org, by string) int {
	switch by {
	case "id":
		return cmp.Compare(a.ID, b.ID)
	case "name":
		return cmp.Compare(a.Name, b.Name)
	case "status":
		return cmp.Compare(a.Status, b.Status)
	case "subscriptionsCount":
		return cmp.Compare(a.activeHostings(), b.activeHostings())
	case "websitesCount":
		return cmp.Compare(len(a.websites), len(b.websites))
	}
	return 0
}

func createOrg(w *World, q *request) answer {
	ours, bad := w.vendor(q)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"name"})
	name := b.text("name")
	switch {
	case b.bad != nil:
		return *b.bad
	case strings.TrimSpace(name) == "":
		return badInput("name must not be empty")
	case !ours:
		return enhanceErrorFor(403)
	}
	o := w.newOrg(name)
	w.effect(Effect{Kind: "create_org", Org: o.ID, After: o.state()})
	return created(`{"id":` + quote(o.ID) + `}`)
}

func (w *World) newOrg(name string) *Org {
	o := &Org{ID: w.uuid("org"), Name: name, Status: "active", Created: w.now}
	w.panel.orgs = append(w.panel.orgs, o)
	w.panel.orgByID[o.ID] = o
	w.panel.invalidate()
	return o
}

func patchOrg(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	b := readBody(q, nil, "name", "status", "isSuspended", "locale", "slackNotificationWebhookUrl")
	name, suspend := b.text("name"), b.flag("isSuspended")
	if b.bad != nil {
		return *b.bad
	}
	if _, deletes := b.fields["status"]; deletes {
		w.violate("org-delete", q.Call)
		return enhanceErrorFor(403)
	}
	if b.has("name") && name != o.Name {
		w.alterOrg(o, "rename_org", func() { o.Name = name })
	}
	switch suspended := o.SuspendedBy != ""; {
	case !b.has("isSuspended") || suspend == suspended:
	case suspend:
		w.alterOrg(o, "suspend_org", func() { o.SuspendedBy = w.panel.our.ID })
	default:
		w.alterOrg(o, "resume_org", func() { o.SuspendedBy = "" })
	}
	return noContent
}

func (w *World) alterOrg(o *Org, kind string, do func()) {
	before := o.state()
	do()
	w.panel.invalidate()
	w.effect(Effect{Kind: kind, Org: o.ID, Before: before, After: o.state()})
}

// deleteOrg exists so that a deletion can be refused and recorded.
func deleteOrg(w *World, q *request) answer {
	w.violate("org-delete", q.Call)
	return enhanceErrorFor(403)
}

// listMemberships lists the organisations of the token's login, which is only ours.
func listMemberships(w *World, _ *request) answer {
	return ok(text(func(d *doc) {
		d.open()
		d.array("memberships")
		d.open()
		d.str("memberId", prf(w.opt.Seed).uuid("our membership"))
		d.str("orgId", w.panel.our.ID)
		d.str("orgName", w.panel.our.Name)
		d.flag("isMasterOrg", false)
		d.array("roles")
		d.element("Owner")
		d.closeArray()
		d.num("siteAccessCount", 0)
		d.close()
		d.closeArray()
		d.close()
	}))
}
