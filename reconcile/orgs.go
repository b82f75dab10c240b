package reconcile

import (
	"fmt"
	"slices"
)

// orgChoice is the org that this customer's hostings belong to.
type orgChoice struct {
	id string // "" while none exists
	// create: a new org has to be made first. blocked: a person has to decide
	// first, and has been told.
	create, blocked bool
}

// resolveOrg finds the org: the bound one, else the one in which our marked
// hostings are, else the org that carries our marker, else the one in which a marked
// hosting once was, else the one that Stripe's metadata names, else the only org
// owned by exactly this e-mail, else a new one.
func (pl *planner) resolveOrg() {
	switch {
	case pl.c.Org != nil:
		pl.org.id = pl.c.Org.ID
	case pl.fromHostings(), pl.fromMarker(), pl.fromTraces():
	case !pl.wantsAny():
	case pl.fromMetadata(), pl.fromOwner():
	default:
		pl.org.create = true
	}
}

func (pl *planner) wantsAny() bool { return len(pl.wants) > 0 }

func (pl *planner) linkOrg(id string, how BindKind, reason string) {
	pl.org.id = id
	pl.act(Action{ID: "link:" + pl.c.ID + ":" + id, Kind: Link, Org: id, How: how, Reason: reason})
}

// fromHostings takes the org of hostings that this plan binds.
func (pl *planner) fromHostings() bool {
	var orgs []string
	for i := range pl.links {
		if !slices.Contains(orgs, pl.links[i].Org) {
			orgs = append(orgs, pl.links[i].Org)
		}
	}
	switch len(orgs) {
	case 0:
		return false
	case 1:
		how := pl.links[0].How
		pl.linkOrg(orgs[0], how, "the customer's hostings are in this org")
	default:
		slices.Sort(orgs)
		pl.org.blocked = true
		pl.hold(Hold{Kind: HoldConflict, Reason: fmt.Sprintf(
			"hostings with this customer's markers are in %d orgs (%v): move them into one in the panel", len(orgs), orgs)})
	}
	return true
}

// fromTraces takes the org in which a hosting with one of our markers once was:
// deleted ones still say whose it is, to a database that was lost.
func (pl *planner) fromTraces() bool {
	var orgs []string
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		if m := pl.marker(h); m.Slot > 0 && pl.subIndex(m.StripeID) >= 0 && h.Org != "" && !slices.Contains(orgs, h.Org) {
			orgs = append(orgs, h.Org)
		}
	}
	if len(orgs) != 1 || !pl.wantsAny() {
		return false
	}
	pl.linkOrg(orgs[0], BoundByMarker, "a hosting of this customer was in this org")
	return true
}

func (pl *planner) fromMarker() bool {
	var marked []string
	for i := range pl.c.MarkedOrgs {
		if o := &pl.c.MarkedOrgs[i]; !o.Deleted && !pl.foreign(o) {
			marked = append(marked, o.ID)
		}
	}
	switch len(marked) {
	case 0:
		return false
	case 1:
		pl.linkOrg(marked[0], BoundByMarker, "the org carries our marker ["+pl.c.ID+"]: an earlier creation was not heard of")
	default:
		slices.Sort(marked)
		pl.org.blocked = true
		pl.hold(Hold{Kind: HoldDuplicate, Reason: fmt.Sprintf(
			"%d orgs carry the marker [%s] (%v): delete the empty ones in the panel, nothing is created until then", len(marked), pl.c.ID, marked)})
	}
	return true
}

func (pl *planner) fromMetadata() bool {
	var named []string
	for i := range pl.subs {
		if id := pl.subs[i].MetadataOrg; id != "" && !slices.Contains(named, id) {
			named = append(named, id)
		}
	}
	switch len(named) {
	case 0:
		return false
	case 1:
		pl.linkOrg(named[0], BoundByMetadata, "the metadata enhance_org_id names this org")
	default:
		slices.Sort(named)
		pl.org.blocked = true
		pl.hold(Hold{Kind: HoldConflict, Reason: fmt.Sprintf(
			"the metadata of this customer's subscriptions names %d orgs (%v): leave the right one", len(named), named)})
	}
	return true
}

// fromOwner takes an org that stood there before us, when its owner is exactly
// this customer. Adding a hosting to it only gives. The engine makes sure that
// there is no second owner before it binds.
func (pl *planner) fromOwner() bool {
	switch len(pl.c.OwnedOrgs) {
	case 0:
		return false
	case 1:
		o := &pl.c.OwnedOrgs[0]
		if o.HostingsRead.IsZero() {
			pl.need(Need{Kind: NeedOrgHostings, Org: o.ID})
		}
		pl.linkOrg(o.ID, BoundByAdopt, fmt.Sprintf("org %q was there before and its only owner has the customer's e-mail", o.Name))
	default:
		pl.org.blocked = true
		pl.hold(Hold{Kind: HoldConflict, Reason: fmt.Sprintf(
			"%d orgs are owned by %s: name the right one in the subscription's metadata enhance_org_id", len(pl.c.OwnedOrgs), pl.c.Email)})
	}
	return true
}

// onOrg finishes an org that is bound: its name without the marker, and its owner.
// While it has no hosting its name keeps the marker: that is all by which it can
// be found again when the database is lost.
func (pl *planner) onOrg() {
	pl.secondOrgs()
	o := pl.c.Org
	if o == nil || !pl.furnished() || !pl.entitledAny() || pl.pendingOrg() {
		return
	}
	if !pl.c.OrgNamed {
		pl.act(Action{ID: "rename_org:" + pl.c.ID, Kind: RenameOrg, Org: o.ID, Name: pl.orgName(),
			Reason: "the org is bound: its name no longer needs the marker"})
	}
	if pl.policy.Onboarding == NoOnboarding || !pl.c.Invited.IsZero() || o.OwnerEmail != "" {
		return
	}
	if pl.c.Email == "" {
		pl.holdNoEmail()
		return
	}
	pl.act(Action{ID: "invite_owner:" + pl.c.ID, Kind: InviteOwner, Org: o.ID, Name: pl.orgName(),
		Reason: "nobody has been invited to the org yet"})
}

// furnished tells that something in the org is bound.
func (pl *planner) furnished() bool {
	return slices.ContainsFunc(pl.c.Bindings, func(b Binding) bool { return b.Org == pl.c.Org.ID })
}

func (pl *planner) entitledAny() bool {
	return slices.ContainsFunc(pl.links, func(l link) bool { return l.stance == stanceUp }) || len(pl.wants) > 0
}

func (pl *planner) holdNoEmail() {
	pl.hold(Hold{Kind: HoldNoEmail, Reason: fmt.Sprintf(
		"customer %s has no e-mail at Stripe, so nobody can be invited: add one to the customer there", pl.c.ID)})
}

// pendingOrg holds the org while a write about it has no known outcome.
func (pl *planner) pendingOrg() bool {
	for i := range pl.c.Pending {
		if k := pl.c.Pending[i].Kind; k == CreateOrg || k == RenameOrg || k == InviteOwner {
			pl.holdPending(&pl.c.Pending[i])
			return true
		}
	}
	return false
}

// orgName is the final name of the customer's org.
func (pl *planner) orgName() string {
	switch {
	case pl.c.Name != "":
		return pl.c.Name
	case pl.c.Email != "":
		return pl.c.Email
	}
	return pl.c.ID
}
