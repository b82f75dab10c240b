package simulator

import (
	"slices"
	"strconv"
)

func listPlans(w *World, q *request) answer {
	ours, bad := w.vendor(q)
	if bad == nil {
		bad = checkQuery(q, "sortBy")
	}
	if bad != nil {
		return *bad
	}
	var rows []*Plan
	if ours {
		rows = w.panel.plans
	}
	return listPart(w, q, rows, w.writePlan)
}

const planRest = `"allowances":[],"selections":[],"planType":"shared","allowedPhpVersions":["php81","php82","php83"],` +
	`"defaultPhpVersion":"php83","redisAllowed":false`

func (w *World) writePlan(d *doc, p *Plan) {
	d.open()
	d.num("id", int64(p.ID))
	d.str("name", p.Name)
	d.str("orgId", w.panel.our.ID)
	d.array("resources")
	for _, r := range p.Resources {
		d.open()
		d.str("name", r.Name)
		if r.Total >= 0 {
			d.num("total", r.Total)
		}
		d.close()
	}
	d.closeArray()
	d.num("subscriptionsCount", int64(p.hostings))
	d.str("createdAt", stamp(p.createdAt))
	d.fields(planRest)
	d.array("serverGroupIds")
	for _, group := range p.ServerGroups {
		d.element(group)
	}
	d.closeArray()
	d.flag("allowServerGroupSelection", len(p.ServerGroups) > 0)
	w.writeUnknownFields(d)
	d.close()
}

func (w *World) writeHosting(d *doc, h *Hosting) {
	p := w.panel.plan(h.Plan)
	if p == nil { // the plan was withdrawn
		p = &Plan{ID: h.Plan, Name: "discontinued"}
	}
	d.open()
	d.num("id", int64(h.ID))
	d.num("planId", int64(h.Plan))
	d.str("planName", p.Name)
	d.str("subscriberId", h.Org)
	d.str("vendorId", w.panel.our.ID)
	d.str("status", h.Status)
	if h.SuspendedBy != "" {
		d.str("suspendedBy", h.SuspendedBy)
	}
	d.array("resources")
	for _, r := range p.Resources {
		d.open()
		d.str("name", r.Name)
		if r.Total >= 0 {
			d.num("total", r.Total)
		}
		d.num("usage", h.Usage[r.Name])
		d.close()
	}
	d.closeArray()
	d.fields(planRest)
	d.str("friendlyName", h.FriendlyName)
	w.writeUnknownFields(d)
	d.close()
}

// customerOrg is the organisation of {customer}, which must be a customer of ours.
func (w *World) customerOrg(q *request) (*Org, *answer) {
	ours, bad := w.vendor(q)
	if bad != nil {
		return nil, bad
	}
	o, bad := w.org(q, 1)
	if bad == nil && (!ours || o == w.panel.our) {
		a := notFound("org")
		return nil, &a
	}
	return o, bad
}

func listHostings(w *World, q *request) answer {
	o, bad := w.customerOrg(q)
	if bad == nil {
		bad = checkQuery(q, "sortBy")
	}
	if bad != nil {
		return *bad
	}
	return listPart(w, q, o.hostings, w.writeHosting)
}

func createHosting(w *World, q *request) answer {
	o, bad := w.customerOrg(q)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"planId"}, "friendlyName", "dedicatedServers")
	plan, name := b.number("planId"), b.text("friendlyName")
	switch {
	case b.bad != nil:
		return *b.bad
	case !b.has("planId"):
		return badInput("Json deserialize error: invalid type: null for `planId`, expected i32")
	case w.panel.plan(plan) == nil:
		return notFound("plan")
	case o.Status != "active":
		return enhanceError(403, "forbidden", "org", "the organization is deleted")
	}
	h := w.newHosting(o, plan, name)
	w.effect(Effect{Kind: "create_subscription", Org: o.ID, Hosting: h.ID, After: h.state()})
	return created(`{"id":` + strconv.Itoa(h.ID) + `}`)
}

func (w *World) newHosting(o *Org, plan int, name string) *Hosting {
	w.panel.nextHosting++
	h := &Hosting{ID: w.panel.nextHosting, Org: o.ID, Plan: plan, FriendlyName: name, Status: "active", Created: w.now}
	w.panel.hostings = append(w.panel.hostings, h)
	o.hostings = append(o.hostings, h)
	if p := w.panel.plan(plan); p != nil {
		p.hostings++
	}
	w.panel.invalidate()
	return h
}

// hosting finds the subscription of a path, which must belong to its org.
func (w *World) hosting(q *request) (*Hosting, *answer) {
	o, bad := w.org(q, 0)
	if bad != nil {
		return nil, bad
	}
	id, err := strconv.Atoi(q.vars[1])
	if err != nil {
		a := badInput("Path deserialize error: can not parse " + strconv.Quote(q.vars[1]) + " to a i32")
		return nil, &a
	}
	if h := w.panel.hosting(id); h != nil && h.Org == o.ID {
		return h, nil
	}
	a := notFound("subscription")
	return nil, &a
}

func getHosting(w *World, q *request) answer {
	h, bad := w.hosting(q)
	if bad != nil {
		return *bad
	}
	return ok(text(func(d *doc) { w.writeHosting(d, h) }))
}

// hostingPatch is the body of a PATCH, checked before any part of it is done.
type hostingPatch struct {
	plan              int
	name, status      string
	suspend           bool
	hasPlan, hasName  bool
	hasStatus, hasSus bool
}

func (w *World) readPatch(q *request) (hostingPatch, *answer) {
	b := readBody(q, nil, "status", "isSuspended", "planId", "dedicatedServers", "friendlyName")
	p := hostingPatch{
		plan: b.number("planId"), hasPlan: b.has("planId"), name: b.text("friendlyName"), hasName: b.has("friendlyName"),
		status: b.text("status"), hasStatus: b.has("status"), suspend: b.flag("isSuspended"), hasSus: b.has("isSuspended"),
	}
	if p.hasStatus && !slices.Contains([]string{"active", "deleted"}, p.status) {
		b.refuse("Json deserialize error: unknown variant `" + p.status + "`, expected `active` or `deleted`")
	}
	if b.bad == nil && p.hasPlan && w.panel.plan(p.plan) == nil {
		a := notFound("plan")
		b.bad = &a
	}
	return p, b.bad
}

// patchHosting sets the given fields. Each one that changes is an effect of its own;
// if a field already has the value, the answer is the same 204 without an effect.
func patchHosting(w *World, q *request) answer {
	h, bad := w.hosting(q)
	if bad != nil {
		return *bad
	}
	p, bad := w.readPatch(q)
	if bad != nil {
		return *bad
	}
	switch {
	case !p.hasStatus || p.status == h.Status:
	case p.status == "deleted":
		w.alterHosting(h, "delete_subscription", func() { w.softDelete(h) })
	default:
		w.alterHosting(h, "undelete_subscription", func() { w.undelete(h) })
	}
	if p.hasPlan && p.plan != h.Plan {
		w.alterHosting(h, "change_plan", func() { w.movePlan(h, p.plan) })
	}
	if p.hasName && p.name != h.FriendlyName {
		w.alterHosting(h, "rename_subscription", func() { h.FriendlyName = p.name })
	}
	if p.hasSus && p.suspend != (h.SuspendedBy != "") {
		w.setSuspended(h, p.suspend, q.Call)
	}
	return noContent
}

// setSuspended suspends a hosting for our organisation or resumes it. Lifting a
// suspension by staff is a violation, because a correct client never does it.
func (w *World) setSuspended(h *Hosting, suspend bool, c Call) {
	if suspend {
		w.alterHosting(h, "suspend", func() { h.SuspendedBy = w.panel.our.ID })
		return
	}
	if h.SuspendedBy != w.panel.our.ID {
		w.violate("foreign-resume", c)
	}
	w.alterHosting(h, "resume", func() { h.SuspendedBy = "" })
}

func (w *World) alterHosting(h *Hosting, kind string, do func()) {
	before := h.state()
	do()
	w.panel.invalidate()
	w.effect(Effect{Kind: kind, Org: h.Org, Hosting: h.ID, Before: before, After: h.state()})
}

func (w *World) movePlan(h *Hosting, plan int) {
	if h.Status == "active" {
		w.countPlan(h.Plan, -1)
		w.countPlan(plan, 1)
	}
	h.Plan = plan
}

func (w *World) countPlan(plan, by int) {
	if p := w.panel.plan(plan); p != nil {
		p.hostings += by
	}
}

// softDelete marks the hosting and its websites; their data stays until a purge.
func (w *World) softDelete(h *Hosting) {
	if h.Status == "deleted" {
		return
	}
	h.Status = "deleted"
	w.countPlan(h.Plan, -1)
	w.markWebsites(h, "deleted")
	w.panel.invalidate()
}

func (w *World) undelete(h *Hosting) {
	h.Status = "active"
	w.countPlan(h.Plan, 1)
	w.markWebsites(h, "active")
}

func (w *World) markWebsites(h *Hosting, status string) {
	for _, s := range w.panel.orgByID[h.Org].websites {
		if s.Hosting == h.ID && !s.removed {
			s.Status = status
		}
	}
}

func deleteHosting(w *World, q *request) answer {
	h, bad := w.hosting(q)
	if bad != nil {
		return *bad
	}
	if h.Status != "deleted" {
		w.alterHosting(h, "delete_subscription", func() { w.softDelete(h) })
	}
	return noContent
}
