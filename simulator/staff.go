package simulator

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The operations of the hosting company's staff in the panel, which the program does
// not see.

// AddPlan offers a plan. An id of 0 means the next free one; a known id replaces that
// plan.
func (w *World) AddPlan(id int, name string, resources ...Resource) int {
	w.enter()
	defer w.mu.Unlock()
	if id == 0 {
		for _, p := range w.panel.plans {
			id = max(id, p.ID)
		}
		id++
	}
	if p := w.panel.plan(id); p != nil {
		p.Name, p.Resources = name, slices.Clone(resources)
		return id
	}
	w.panel.plans = append(w.panel.plans, &Plan{ID: id, Name: name, Resources: slices.Clone(resources), createdAt: w.now})
	return id
}

// OfferServerGroups lets the websites of a plan choose among server groups.
func (w *World) OfferServerGroups(plan int, groups ...string) error {
	w.enter()
	defer w.mu.Unlock()
	p := w.panel.plan(plan)
	if p == nil {
		return NotFoundError{Kind: "plan", ID: strconv.Itoa(plan)}
	}
	p.ServerGroups = slices.Clone(groups)
	return nil
}

// RemovePlan withdraws a plan; hostings keep its number.
func (w *World) RemovePlan(id int) {
	w.enter()
	defer w.mu.Unlock()
	w.panel.plans = slices.DeleteFunc(w.panel.plans, func(p *Plan) bool { return p.ID == id })
}

func (w *World) onHosting(id int, kind string, do func(*Hosting)) error {
	w.enter()
	defer w.mu.Unlock()
	h := w.panel.hosting(id)
	if h == nil {
		return NotFoundError{Kind: "hosting", ID: strconv.Itoa(id)}
	}
	before := h.state()
	do(h)
	w.effect(Effect{Kind: kind, Org: h.Org, Hosting: id, Before: before, After: h.state(), Staff: true})
	return nil
}

// StaffSuspend suspends a hosting for abuse, so suspendedBy is not our organisation.
func (w *World) StaffSuspend(hosting int) error {
	return w.onHosting(hosting, "suspend", func(h *Hosting) { h.SuspendedBy = w.panel.staff })
}

// StaffResume lifts any suspension.
func (w *World) StaffResume(hosting int) error {
	return w.onHosting(hosting, "resume", func(h *Hosting) { h.SuspendedBy = "" })
}

// StaffDelete deletes softly.
func (w *World) StaffDelete(hosting int) error {
	return w.onHosting(hosting, "delete_subscription", func(h *Hosting) { w.softDelete(h) })
}

// StaffChangePlan moves a hosting to another plan.
func (w *World) StaffChangePlan(hosting, plan int) error {
	return w.onHosting(hosting, "change_plan", func(h *Hosting) { w.movePlan(h, plan) })
}

// StaffRename edits the friendly name, with or without its marker.
func (w *World) StaffRename(hosting int, friendlyName string) error {
	return w.onHosting(hosting, "rename_subscription", func(h *Hosting) { h.FriendlyName = friendlyName })
}

// StaffPurge wipes a hosting, deleted or not, as the panel's own purge does: from then
// on it is a 404.
func (w *World) StaffPurge(hosting int) error {
	err := w.onHosting(hosting, "delete_subscription", func(h *Hosting) { w.softDelete(h) })
	if err != nil {
		return err
	}
	w.enter()
	defer w.mu.Unlock()
	h := w.panel.hosting(hosting)
	gone := func(x *Hosting) bool { return x == h }
	w.panel.hostings = slices.DeleteFunc(w.panel.hostings, gone)
	o := w.panel.orgByID[h.Org]
	o.hostings = slices.DeleteFunc(o.hostings, gone)
	return nil
}

// StaffCreateOrg makes a customer by hand whose owner has signed in already. If the
// e-mail is empty there is no owner.
func (w *World) StaffCreateOrg(name, ownerEmail string) string {
	w.enter()
	defer w.mu.Unlock()
	o := w.newOrg(name)
	w.effect(Effect{Kind: "create_org", Org: o.ID, After: o.state(), Staff: true})
	if ownerEmail != "" {
		l := w.login(ownerEmail, name)
		l.Registered = true
		o.Members = append(o.Members, w.newMember(l, []string{"Owner"}, true))
	}
	return o.ID
}

// StaffAddOwner adds an owner who has signed in already to an organisation.
func (w *World) StaffAddOwner(org, email string) error {
	w.enter()
	defer w.mu.Unlock()
	o := w.panel.orgByID[org]
	if o == nil {
		return NotFoundError{Kind: "org", ID: org}
	}
	if o.member(email) != nil {
		return RefusedError{ID: email, Reason: "already a member"}
	}
	l := w.login(email, email)
	l.Registered = true
	o.Members = append(o.Members, w.newMember(l, []string{"Owner"}, true))
	w.panel.invalidate()
	return nil
}

// StaffCreateHosting gives an organisation a hosting by hand.
func (w *World) StaffCreateHosting(org string, plan int, friendlyName string) (int, error) {
	w.enter()
	defer w.mu.Unlock()
	o := w.panel.orgByID[org]
	if o == nil {
		return 0, NotFoundError{Kind: "org", ID: org}
	}
	if w.panel.plan(plan) == nil {
		return 0, NotFoundError{Kind: "plan", ID: strconv.Itoa(plan)}
	}
	h := w.newHosting(o, plan, friendlyName)
	w.effect(Effect{Kind: "create_subscription", Org: org, Hosting: h.ID, After: h.state(), Staff: true})
	return h.ID, nil
}

// StaffDeleteOrg deletes an organisation softly, with all its hostings.
func (w *World) StaffDeleteOrg(org string) error {
	w.enter()
	defer w.mu.Unlock()
	o := w.panel.orgByID[org]
	if o == nil {
		return NotFoundError{Kind: "org", ID: org}
	}
	before := o.state()
	o.Status = "deleted"
	for _, h := range o.hostings {
		w.softDelete(h)
	}
	w.panel.invalidate()
	w.effect(Effect{Kind: "delete_org", Org: org, Before: before, After: o.state(), Staff: true})
	return nil
}

// SetUsage sets how much of a resource a hosting uses.
func (w *World) SetUsage(hosting int, resource string, n int64) error {
	w.enter()
	defer w.mu.Unlock()
	h := w.panel.hosting(hosting)
	if h == nil {
		return NotFoundError{Kind: "hosting", ID: strconv.Itoa(hosting)}
	}
	h.Usage = maps.Clone(h.Usage)
	if h.Usage == nil {
		h.Usage = map[string]int64{}
	}
	h.Usage[resource] = n
	return nil
}

// AddWebsite adds a website to a hosting. If the hosting belongs to another customer,
// this makes a domain that is taken.
func (w *World) AddWebsite(hosting int, domain string) (string, error) {
	w.enter()
	defer w.mu.Unlock()
	h := w.panel.hosting(hosting)
	if h == nil {
		return "", NotFoundError{Kind: "hosting", ID: strconv.Itoa(hosting)}
	}
	if w.panel.domains[strings.ToLower(domain)] != nil {
		return "", RefusedError{ID: domain, Reason: "the domain is taken"}
	}
	s := w.newWebsite(h, domain, "php83")
	w.effect(Effect{Kind: "create_website", Org: h.Org, Hosting: h.ID, Object: s.ID, After: h.state(), Staff: true})
	return s.ID, nil
}

// RemoveWebsite removes a website and frees its domain. From then on the panel lists it
// as deleted.
func (w *World) RemoveWebsite(domain string) error {
	return w.onWebsite(domain, "remove_website", func(s *Website, h *Hosting) {
		s.Status, s.removed = "deleted", true
		delete(w.panel.domains, strings.ToLower(domain))
		h.Usage["websites"]--
	})
}

// MoveWebsite moves a website to another hosting of the same organisation.
func (w *World) MoveWebsite(domain string, hosting int) error {
	w.enter()
	to := w.panel.hosting(hosting)
	w.mu.Unlock()
	if to == nil {
		return NotFoundError{Kind: "hosting", ID: strconv.Itoa(hosting)}
	}
	return w.onWebsite(domain, "move_website", func(s *Website, h *Hosting) {
		h.Usage["websites"]--
		to.Usage = maps.Clone(to.Usage)
		if to.Usage == nil {
			to.Usage = map[string]int64{}
		}
		to.Usage["websites"]++
		s.Hosting = to.ID
	})
}

// onWebsite calls do for a website that is not deleted.
func (w *World) onWebsite(domain, kind string, do func(*Website, *Hosting)) error {
	w.enter()
	defer w.mu.Unlock()
	s := w.panel.domains[strings.ToLower(domain)]
	if s == nil || s.Status == "deleted" || w.panel.hosting(s.Hosting) == nil {
		return NotFoundError{Kind: "website", ID: domain}
	}
	h := w.panel.hosting(s.Hosting)
	do(s, h)
	w.panel.invalidate()
	w.effect(Effect{Kind: kind, Org: h.Org, Hosting: h.ID, Object: s.ID, After: h.state(), Staff: true})
	return nil
}

// AcceptInvite makes active members of all who were invited to an organisation, as if
// they had chosen their passwords.
func (w *World) AcceptInvite(org string) error {
	w.enter()
	defer w.mu.Unlock()
	o := w.panel.orgByID[org]
	if o == nil {
		return NotFoundError{Kind: "org", ID: org}
	}
	accepted := false
	for i := range o.Members {
		if m := &o.Members[i]; !m.Active {
			m.Active, m.invite, accepted = true, "", true
			w.panel.loginByID[m.Login].Registered = true
		}
	}
	if !accepted {
		return RefusedError{ID: org, Reason: "no invitation is open"}
	}
	return nil
}
