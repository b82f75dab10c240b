package simulator

// SetQuota limits what the organisation that sells may use, its customers included.
func (w *World) SetQuota(limits ...Resource) {
	w.enter()
	defer w.mu.Unlock()
	w.panel.quota = limits
}

// listOwn lists the subscriptions of an organisation to plans of its parent: those of a
// customer, and one of the organisation that sells.
func listOwn(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad == nil {
		bad = checkQuery(q, "sortBy")
	}
	if bad != nil {
		return *bad
	}
	if o != w.panel.our {
		return listPart(w, q, o.hostings, w.writeHosting)
	}
	return listPart(w, q, []*panel{w.panel}, w.writeOwn)
}

// writeOwn writes the subscription of the organisation that sells to its provider's plan.
func (w *World) writeOwn(d *doc, p *panel) {
	used := map[string]int64{"customers": 0}
	for _, o := range p.orgs {
		if o.Status != "deleted" {
			used["customers"]++
		}
	}
	for _, h := range p.hostings {
		for name, n := range h.Usage {
			used[name] += n
		}
	}
	d.open()
	d.num("id", 1)
	d.num("planId", 1)
	d.str("planName", "Reseller")
	d.str("subscriberId", p.our.ID)
	d.str("vendorId", p.master)
	d.str("status", "active")
	d.array("resources")
	for _, name := range []string{"customers", "diskspace", "websites", "mailboxes"} {
		d.open()
		d.str("name", name)
		for _, r := range p.quota {
			if r.Name == name {
				d.num("total", r.Total)
			}
		}
		d.num("usage", used[name])
		d.close()
	}
	d.closeArray()
	d.fields(`"allowances":[],"selections":[],"allowedPhpVersions":["php83"],"defaultPhpVersion":"php83"`)
	d.flag("redisAllowed", false)
	d.str("planType", "shared")
	d.str("friendlyName", "Reseller")
	w.writeUnknownFields(d)
	d.close()
}
