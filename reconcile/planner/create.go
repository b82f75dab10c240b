package planner

import (
	"slices"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// planCreates makes hostings that are paid for and do not exist. Only units that no
// hosting, marker, metadata or former subscription could fill come this far.
func (pl *planner) planCreates() {
	if !slices.ContainsFunc(pl.units, pl.unassigned) || pl.org.blocked || pl.pendingCreate() || pl.orgUnusable() {
		return
	}
	if !pl.reachable() && pl.onboarding() != reconcile.NoOnboarding && !pl.c.OrgGuest && (pl.c.Org == nil || pl.c.Org.OwnerEmail == "") {
		pl.holdNoEmail()
		return
	}
	made := false
	for w := range pl.units {
		if pl.unassigned(pl.units[w]) && !pl.adoptable(w) {
			made = true
			pl.createHosting(w)
		}
	}
	switch {
	case !made:
		pl.withoutIdleLink()
	case pl.org.create:
		pl.createOrg()
	}
}

func (pl *planner) unassigned(w unit) bool { return w.assignment < 0 && !w.blocked }

// pendingCreate holds every creation of the customer while the outcome of one is not
// known: the hosting or org may be there already.
func (pl *planner) pendingCreate() bool {
	found := pl.c.Org == nil && pl.pendingOrg()
	for i := range pl.c.Pending {
		if pl.c.Pending[i].Kind == reconcile.CreateSubscription {
			pl.holdPending(&pl.c.Pending[i])
			found = true
		}
	}
	return found
}

func (pl *planner) orgUnusable() bool {
	o := pl.c.Org
	switch {
	case o == nil:
		return false
	case o.Deleted:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDeleted, Reason: orgWasDeleted(o)})
		return true
	case o.Suspended:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldForeignSuspension, Reason: orgIsSuspended(o)})
		return true
	}
	return false
}

func (pl *planner) createHosting(w int) {
	u := &pl.units[w]
	s := &pl.subs[u.sub]
	n := pl.freeSlot(u.sub)
	pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: s.ID, Slot: n, Item: u.item}, sub: u.sub, hosting: -1, desired: desiredActive})
	pl.addAction(reconcile.Action{ID: "create_subscription:" + reconcile.SlotID(s.ID, n) + ":" + strconv.Itoa(u.plan.ID), Kind: reconcile.CreateSubscription,
		Subscription: s.ID, Item: u.item, Slot: n, Org: pl.org.id, Plan: u.plan.ID, PlanName: u.plan.Name,
		How: reconcile.BoundByCreate, Reason: pl.lacksHosting(s, u) + pl.formerly(s.ID)})
	if n != 1 || !pl.wantsWebsite(s, u.item) {
		return
	}
	if s.domain == "" {
		pl.withoutDomain(s)
		return
	}
	site, problem := pl.site(s, u.item, u.plan.ID)
	if problem != "" {
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldWebsite, Subscription: s.ID, Reason: websiteWaits(s, problem)})
		return
	}
	pl.addAction(reconcile.Action{ID: "create_website:" + reconcile.SlotID(s.ID, n) + ":" + s.domain, Kind: reconcile.CreateWebsite, Subscription: s.ID, Item: u.item,
		Slot: n, Org: pl.org.id, Plan: u.plan.ID, PlanName: u.plan.Name, Domain: s.domain, Site: site, Reason: orderedDomain(s)})
}

// freeSlot is the smallest slot of a subscription that nothing has used yet, as far as we
// can see: no binding, no marker, no unbinding, no unanswered write.
func (pl *planner) freeSlot(sub int) int {
	id := pl.subs[sub].ID
	for n := 1; ; n++ {
		if !pl.slotUsed(id, n) {
			return n
		}
	}
}

func (pl *planner) slotUsed(id string, n int) bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool { return l.Subscription == id && l.Slot == n }) ||
		slotUsed(pl.c, id, n, pl.policy.Instance)
}

func (pl *planner) createOrg() {
	pl.addAction(reconcile.Action{ID: "create_org:" + pl.c.ID, Kind: reconcile.CreateOrg, Name: pl.orgName(),
		Reason: pl.lacksOrg()})
	pl.addAction(reconcile.Action{ID: "rename_org:" + pl.c.ID, Kind: reconcile.RenameOrg, Name: pl.orgName(),
		Reason: nameOfNewOrg})
	if pl.onboarding() != reconcile.NoOnboarding {
		pl.invite("", ownerOfNewOrg)
	}
}

// planMetadata writes the ids of org and hosting into the metadata at Stripe, if the
// operator wants that and the metadata is empty, or if the value that we wrote there is no
// longer true.
func (pl *planner) planMetadata() {
	pl.planMarks()
	if !pl.policy.WriteMetadata {
		return
	}
	for s := range pl.subs {
		if sub := &pl.subs[s]; sub.unclear() || (sub.MetadataOrg != "" || sub.MetadataHosting != 0) && !pl.outdated(s) {
			continue
		}
		for i := range pl.assignments {
			l := &pl.assignments[i]
			if l.sub == s && l.desired == desiredActive && l.Hosting != 0 && !l.moved {
				pl.addAction(reconcile.Action{ID: "write_metadata:" + pl.subs[s].ID + ":" + reconcile.FormatID(l.Hosting), Kind: reconcile.WriteMetadata, Subscription: pl.subs[s].ID,
					Slot: l.Slot, Org: l.Org, Hosting: l.Hosting, Reason: metadataIsEmpty})
				break
			}
		}
	}
}

// outdated reports whether the metadata of a subscription names, by our own hand, a
// hosting that no longer serves it: another one has taken its place.
func (pl *planner) outdated(sub int) bool {
	s := &pl.subs[sub]
	return s.MetadataHosting != 0 && s.MetadataHosting == s.MetadataWritten && !slices.ContainsFunc(pl.assignments, func(l assignment) bool {
		return l.sub == sub && l.Hosting == s.MetadataHosting && l.desired != desiredSuspended
	})
}
