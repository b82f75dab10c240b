package planner

import (
	"cmp"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// orgChoice is the org that this customer's hostings belong to.
type orgChoice struct {
	id string // "" while none exists
	// create: a new org has to be made first. blocked: a person has to decide first, and a
	// hold gives the reason.
	create, blocked bool
}

// resolveOrg finds the org: the bound one, else the one in which our marked
// hostings are, else the org that carries our marker, else the one in which a marked
// hosting once was, else the one that Stripe's metadata names, else the only org
// owned by exactly this e-mail, else a new one. While the outcome of creating a new one is
// not known, no other is taken: it may come yet, and then the customer would have two. An
// org from which a person has split the customer is none of these.
func (pl *planner) resolveOrg() {
	switch {
	case pl.c.Org != nil:
		pl.org.id = pl.c.Org.ID
	case pl.fromHostings(), pl.fromMarker(), pl.fromTraces():
	case !pl.hasUnits():
	case pl.pendingOrg():
		pl.org.blocked = true
	case pl.unclearOrg(), pl.namedApart(), pl.fromMetadata(), pl.fromOwner():
	default:
		pl.org.create = true
	}
}

func (pl *planner) hasUnits() bool { return len(pl.units) > 0 }

func (pl *planner) linkOrg(id string, how reconcile.BindKind, reason string) {
	pl.org.id = id
	pl.addAction(reconcile.Action{ID: "link:" + pl.c.ID + ":" + id, Kind: reconcile.Link, Org: id, How: how, Reason: reason})
}

// fromHostings takes the org of hostings that this plan binds.
func (pl *planner) fromHostings() bool {
	var orgs []string
	var how reconcile.BindKind // of the first of them
	for i := range pl.assignments {
		if l := &pl.assignments[i]; !slices.Contains(orgs, l.Org) && pl.apart(l.Org) == nil {
			orgs, how = append(orgs, l.Org), cmp.Or(how, l.How)
		}
	}
	switch len(orgs) {
	case 0:
		return false
	case 1:
		if how == reconcile.BoundByAdopt {
			how = reconcile.BoundByMetadata // a person has decided it: the org's owner need not be checked
		}
		pl.linkOrg(orgs[0], how, hostingsAreHere)
	default:
		slices.Sort(orgs)
		pl.org.blocked = true
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Reason: hostingsInOrgs(orgs)})
	}
	return true
}

// fromTraces takes the org in which a hosting with one of our markers once was: if the
// database was lost, deleted hostings still show whose org it is.
func (pl *planner) fromTraces() bool {
	var orgs []string
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		if m := pl.marker(h); m.Slot > 0 && pl.subIndex(m.StripeID) >= 0 && h.Org != "" && !slices.Contains(orgs, h.Org) && pl.apart(h.Org) == nil {
			orgs = append(orgs, h.Org)
		}
	}
	if len(orgs) != 1 || !pl.hasUnits() {
		return false
	}
	pl.linkOrg(orgs[0], reconcile.BoundByMarker, hostingWasHere)
	return true
}

func (pl *planner) fromMarker() bool {
	var marked []string
	for i := range pl.c.MarkedOrgs {
		if o := &pl.c.MarkedOrgs[i]; !o.Deleted && !pl.foreign(o) && pl.apart(o.ID) == nil {
			marked = append(marked, o.ID)
		}
	}
	switch len(marked) {
	case 0:
		return false
	case 1:
		pl.linkOrg(marked[0], reconcile.BoundByMarker, pl.orgWithMarker())
	default:
		slices.Sort(marked)
		pl.org.blocked = true
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDuplicate, Reason: pl.orgsWithMarker(marked)})
	}
	return true
}

// unclearOrg reports whether the metadata of a subscription means an org, and cannot be
// read: none is made or taken until it can.
func (pl *planner) unclearOrg() bool {
	pl.org.blocked = slices.ContainsFunc(pl.subs, func(s assessed) bool { return s.MetadataOrgText != "" && s.desired == desiredActive && s.mapped })
	return pl.org.blocked
}

func (pl *planner) fromMetadata() bool {
	var named []string
	for i := range pl.subs {
		if id := pl.subs[i].MetadataOrg; id != "" && !slices.Contains(named, id) && pl.apart(id) == nil {
			named = append(named, id)
		}
	}
	switch len(named) {
	case 0:
		return false
	case 1:
		pl.linkOrg(named[0], reconcile.BoundByMetadata, metadataNamesOrg)
	default:
		slices.Sort(named)
		pl.org.blocked = true
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Reason: metadataNamesOrgs(named)})
	}
	return true
}

// fromOwner takes an org that is there already, when its owner is exactly this customer:
// one of another Stripe customer of the same person, or one that was there before us.
// Adding a hosting to it only gives. An e-mail at Stripe is not verified, so the owners
// are read from the panel, by the org's id, before anything rests on them.
func (pl *planner) fromOwner() bool {
	if reconcile.EmailKey(pl.buyerOf("").Email) != reconcile.EmailKey(pl.c.Email) || pl.movedHere() {
		return false
	}
	if o, asked := pl.kinOrg(); asked || o != nil {
		if o != nil {
			pl.linkOrg(o.ID, reconcile.BoundByAdopt, orgOfSameOwner(o))
		}
		return true
	}
	owned := slices.DeleteFunc(slices.Clone(pl.c.OwnedOrgs), func(o reconcile.Org) bool { return pl.apart(o.ID) != nil })
	switch len(owned) {
	case 0:
		return false
	case 1:
		pl.fromOwned(&owned[0])
	default:
		pl.org.blocked = true
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Reason: pl.ownsOrgs(owned)})
	}
	return true
}

// movedHere reports whether a buyer has not had its address from the beginning. A change
// of address moves nothing, and so it leads into no other org.
func (pl *planner) movedHere() bool {
	return slices.ContainsFunc(pl.c.Buyers, func(b reconcile.Buyer) bool { return !b.EmailChanged.IsZero() })
}

func (pl *planner) fromOwned(o *reconcile.Org) {
	if o.HostingsRead.IsZero() {
		pl.addNeed(Need{Kind: NeedOrgHostings, Org: o.ID})
	}
	if pl.ownersUnread(o) {
		return
	}
	if !pl.soleOwner(o) {
		pl.org.blocked = true
		pl.recheckAt(pl.now.Add(recheckAfter))
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Reason: pl.hasOwners(o)})
		return
	}
	pl.linkOrg(o.ID, reconcile.BoundByAdopt, orgWasThere(o))
}

// kinOrg finds the org of another customer to put this one's hostings into, the oldest of
// several; nil for none. asked: the owners of one have to be read first.
func (pl *planner) kinOrg() (found *reconcile.Org, asked bool) {
	for i := range pl.c.Kin {
		k := &pl.c.Kin[i]
		o := &k.Org
		// A buyer who took the address after the org got its owner may have taken it to get
		// at another's hosting.
		moved := !k.EmailChanged.IsZero() && (k.Invited.IsZero() || !k.EmailChanged.Before(k.Invited))
		if pl.apart(o.ID) != nil {
			continue
		}
		if k.Guest || moved || o.Deleted || o.Suspended || found != nil && !older(o, found) {
			continue
		}
		if pl.ownersUnread(o) {
			asked = true
			continue
		}
		if pl.soleOwner(o) || len(o.Owners) == 0 && k.InvitedEmail != "" && k.InvitedEmail == reconcile.EmailKey(pl.c.Email) {
			found = o
		}
	}
	return found, asked
}

func older(a, b *reconcile.Org) bool {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) < 0
}

// ownersUnread reports whether the owners of an org were never read. It asks for them
// then, and when they were not read lately.
func (pl *planner) ownersUnread(o *reconcile.Org) bool {
	if o.OwnersRead.IsZero() || pl.now.Sub(o.OwnersRead) > pl.policy.Freshness() {
		pl.addNeed(Need{Kind: NeedOwners, Org: o.ID})
	}
	return o.OwnersRead.IsZero()
}

// soleOwner reports whether an org has one owner, who has exactly this customer's e-mail.
func (pl *planner) soleOwner(o *reconcile.Org) bool {
	return len(o.Owners) == 1 && reconcile.EmailKey(o.Owners[0]) == reconcile.EmailKey(pl.c.Email)
}

// planOrg finishes an org that is bound: its name without the marker, and its owner. While
// it has no hosting its name keeps the marker: if the database is lost, nothing else
// identifies it. In the org of another customer there is nothing to finish. The name that a
// person wants replaces the present one, no matter what is paid for.
func (pl *planner) planOrg() {
	pl.secondOrgs()
	o := pl.c.Org
	if o == nil || pl.c.OrgGuest {
		return
	}
	other := pl.c.OrgNamed && pl.c.NameWanted != "" && pl.c.NameWanted != o.Name && !o.Deleted
	finish := pl.hasBindings() && pl.entitledAny()
	elsewhere := pl.c.InviteWanted != "" && pl.c.InvitedEmail != "" && pl.c.InviteWanted != pl.c.InvitedEmail && o.OwnerEmail == "" && !o.Deleted
	if !finish && !other && !elsewhere || pl.pendingOrg() {
		return
	}
	if elsewhere {
		pl.addAction(reconcile.Action{ID: "invite_owner:" + pl.c.ID + ":" + pl.c.InviteWanted, Kind: reconcile.InviteOwner, Org: o.ID, Name: pl.orgName(),
			Onboarding: reconcile.Invite, Instead: pl.c.InvitedEmail, Reason: inviteWanted(pl.c)})
		pl.out.Actions[len(pl.out.Actions)-1].Email = pl.c.InviteWanted
	}
	if other {
		pl.addAction(reconcile.Action{ID: "rename_org:" + pl.c.ID, Kind: reconcile.RenameOrg, Org: o.ID, Name: pl.c.NameWanted, Reason: nameWanted(pl.c)})
	}
	if finish {
		pl.finishOrg(o)
	}
}

// finishOrg takes the marker out of the name of an org, and invites its owner.
func (pl *planner) finishOrg(o *reconcile.Org) {
	if !pl.c.OrgNamed {
		pl.addAction(reconcile.Action{ID: "rename_org:" + pl.c.ID, Kind: reconcile.RenameOrg, Org: o.ID, Name: pl.orgName(),
			Reason: nameOfBoundOrg})
	}
	if pl.onboarding() == reconcile.NoOnboarding || !pl.c.Invited.IsZero() || o.OwnerEmail != "" {
		return
	}
	if !pl.reachable() {
		pl.holdNoEmail()
		return
	}
	if sub := pl.othersIn(o.ID); sub != "" {
		pl.recheckAt(pl.now.Add(recheckAfter))
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Reason: othersInOrg(o.ID, sub)})
		return
	}
	if id := pl.unknownIn(o.ID); id != 0 {
		pl.recheckAt(pl.now.Add(recheckAfter))
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Hosting: id, Reason: unknownInOrg(o.ID, id)})
		return
	}
	pl.invite(o.ID, ownerNotInvited)
}

// unknownIn finds a hosting, in an org that only markers show as this customer's, that no
// subscription is known to have; 0 for none. After a lost database it may be that of the
// customer for whom the org was made, and this one a guest there.
func (pl *planner) unknownIn(org string) int64 {
	if pl.certainly(org) {
		return 0
	}
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		if h.Org == org && h.Marker().Slot == 0 && servable(h.State) && !h.Bound && !pl.bound(h.ID) {
			return h.ID
		}
	}
	return 0
}

// certainly reports whether more than markers show an org as this customer's.
func (pl *planner) certainly(org string) bool {
	return slices.ContainsFunc(pl.c.Bindings, func(b reconcile.Binding) bool {
		return b.Org == org && b.How != reconcile.BoundByMarker && b.How != reconcile.BoundByResubscription
	})
}

// othersIn finds, among the hostings of an org, one that carries the marker of a
// subscription which is neither this customer's nor of one with the same e-mail, nor of a
// guest whom a person has put there; "" for none. An invited owner would get that hosting
// too. If only markers show the org as this customer's, one that was deleted counts as well: it
// may be the one for which the org was made.
func (pl *planner) othersIn(org string) string {
	certain := pl.certainly(org)
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		m := h.Marker()
		if h.Org != org || m.Slot == 0 || !servable(h.State) && (certain || h.State != reconcile.HostingDeleted) || pl.subIndex(m.StripeID) >= 0 || pl.mergedHere(m.StripeID) {
			continue
		}
		if !slices.ContainsFunc(pl.c.Kin, func(k reconcile.Kin) bool {
			return k.EmailChanged.IsZero() && slices.ContainsFunc(k.Hostings, func(o reconcile.KinHosting) bool { return o.Hosting == h.ID })
		}) {
			return m.StripeID
		}
	}
	return ""
}

// mergedHere reports whether a subscription is that of a guest whom a person has put into
// this customer's org.
func (pl *planner) mergedHere(sub string) bool {
	return slices.ContainsFunc(pl.c.Sharers, func(s reconcile.Sharer) bool {
		return s.Guest && s.Why != "" && slices.Contains(s.Subscriptions, sub)
	})
}

// invite invites the buyer whose subscription is served. The address is a part of the
// action's id: if it changes, that is another invitation, which needs its own approval.
func (pl *planner) invite(org, reason string) {
	pl.addAction(reconcile.Action{ID: "invite_owner:" + pl.c.ID + ":" + reconcile.EmailKey(pl.buyerOf("").Email), Kind: reconcile.InviteOwner, Org: org, Name: pl.orgName(),
		Onboarding: pl.onboarding(), Reason: reason})
}

// buyerOf is the Stripe customer of a subscription; for "" the one whose subscription
// is provisioned: the first that is entitled, else the founder.
func (pl *planner) buyerOf(sub string) reconcile.StripeCustomer {
	id := pl.c.ID
	for i := range pl.subs {
		if pl.subs[i].ID == sub || sub == "" && pl.subs[i].desired == desiredActive && (pl.assignmentsOf(i) > 0 || pl.subs[i].mapped) {
			id = pl.subs[i].StripeCustomer
			break
		}
	}
	for i := range pl.c.Buyers {
		if pl.c.Buyers[i].ID == id {
			return pl.c.Buyers[i].StripeCustomer
		}
	}
	return reconcile.StripeCustomer{ID: pl.c.ID, Email: pl.c.Email, Name: pl.c.Name}
}

// hasBindings reports whether something in the org is bound.
func (pl *planner) hasBindings() bool {
	return slices.ContainsFunc(pl.c.Bindings, func(b reconcile.Binding) bool { return b.Org == pl.c.Org.ID })
}

func (pl *planner) entitledAny() bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool { return l.desired == desiredActive }) || len(pl.units) > 0
}

// reachable reports whether the buyer has an address to be invited at.
func (pl *planner) reachable() bool { return reconcile.ValidEmail(pl.buyerOf("").Email) }

func (pl *planner) holdNoEmail() {
	buyer := pl.buyerOf("")
	if reconcile.EmailKey(buyer.Email) == "" {
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldNoEmail, Reason: hasNoEmail(buyer)})
		return
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldNoEmail, Reason: emailNotValid(buyer)})
}

// pendingOrg holds the org while a write about it has no known outcome.
func (pl *planner) pendingOrg() bool {
	for i := range pl.c.Pending {
		if k := pl.c.Pending[i].Kind; k == reconcile.CreateOrg || k == reconcile.RenameOrg || k == reconcile.InviteOwner {
			pl.holdPending(&pl.c.Pending[i])
			return true
		}
	}
	return false
}

// orgName is the final name of the customer's org. The name of a buyer is text from
// outside: if the database were lost, a text in it that looks like one of our markers
// would make the org another customer's.
func (pl *planner) orgName() string {
	buyer := pl.buyerOf("")
	return cmp.Or(reconcile.CleanName(buyer.Name), reconcile.CleanName(buyer.Email), pl.c.ID)
}

// holdSecond holds a hosting whose marker names a slot that is taken: two hostings were
// made for one unit, by another installation of this program or by a create whose answer
// came too late.
func (pl *planner) holdSecond(h *reconcile.Hosting) {
	m := pl.marker(h)
	other, by := pl.first(m, h.ID)
	pl.readAgain(Need{Kind: NeedHosting, Org: h.Org, Hosting: h.ID}, h.ObservedAt)
	reason := pl.sameMarker(h, m, other)
	if by != "" {
		reason = pl.secondForUnit(h, m, other, by)
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldDuplicate, Subscription: m.StripeID, Hosting: h.ID, Reason: reason})
}

// first is the other hosting that a marker stands for, and the subscription that is
// bound to it; "" when none is.
func (pl *planner) first(m reconcile.Marker, but int64) (hosting int64, by string) {
	of := func(b reconcile.Binding) bool {
		return b.Subscription == m.StripeID && b.Slot == m.Slot && b.Hosting != but
	}
	if i := slices.IndexFunc(pl.c.Bindings, of); i >= 0 {
		return pl.c.Bindings[i].Hosting, m.StripeID
	}
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		if h.ID == but || pl.marker(h) != m || !servable(h.State) || !h.TerminatedByUs.IsZero() {
			continue
		}
		if hosting == 0 {
			hosting = h.ID
		}
		if i := slices.IndexFunc(pl.assignments, func(l assignment) bool { return l.Hosting == h.ID }); i >= 0 {
			return h.ID, pl.assignments[i].Subscription
		}
	}
	return hosting, ""
}

// secondOrgs holds orgs that carry the customer's marker beside the one that is bound.
func (pl *planner) secondOrgs() {
	for i := range pl.c.MarkedOrgs {
		o := &pl.c.MarkedOrgs[i]
		if !pl.isSecondOrg(o) {
			continue
		}
		pl.readAgain(Need{Kind: NeedOrg, Org: o.ID}, o.ObservedAt)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDuplicate, Reason: pl.secondOrg(o)})
	}
}

// isSecondOrg reports whether an org carries the customer's marker beside the bound one,
// and is not the late result of our own call. If a person has put the customer into the
// bound one, the other may be the one that it had before.
func (pl *planner) isSecondOrg(o *reconcile.Org) bool {
	return pl.c.Org != nil && pl.c.OrgWhy == "" && !o.Deleted && o.ID != pl.c.Org.ID && !pl.foreign(o) &&
		!slices.ContainsFunc(pl.c.Pending, func(p reconcile.Pending) bool { return p.Kind == reconcile.CreateOrg })
}

// WithholdCreates moves what makes orgs and hostings from a decision into holds, with
// the reason. The engine does so while another installation seems to make hostings
// for the same subscriptions.
func WithholdCreates(d Decision, reason string) Decision {
	kept := make([]reconcile.Action, 0, len(d.Actions))
	for _, a := range d.Actions {
		if a.Kind != reconcile.CreateOrg && a.Kind != reconcile.CreateSubscription {
			kept = append(kept, a)
		}
		if a.Kind == reconcile.CreateSubscription {
			d.Holds = append(d.Holds, a.Withheld(reconcile.HoldDuplicate, createWithheld(a, reason)))
		}
	}
	d.Actions = slices.DeleteFunc(kept, func(a reconcile.Action) bool {
		return a.Kind == reconcile.CreateWebsite && a.Hosting == 0
	})
	d.Actions = withoutEmptyOrg(d.Actions)
	return d
}

// InstructOrg returns the function that decides a statement about a customer's org: its
// change, or an [reconcile.InstructionRefused].
func InstructOrg(w reconcile.OrgInstruction) reconcile.OrgDecider {
	return func(c, into *reconcile.Customer) (reconcile.OrgChange, error) {
		ch := reconcile.OrgChange{Instruction: w, Stays: slices.Clone(c.Bindings)}
		var why string
		switch w.Kind {
		case reconcile.MergeOrgs:
			why = merge(&ch, c, into)
		case reconcile.SplitOrgs:
			why = split(&ch, c)
		default:
			why = "the statement has no kind"
		}
		if why != "" {
			return reconcile.OrgChange{}, reconcile.InstructionRefused(why)
		}
		return ch, nil
	}
}

// merge works out a merge; why it is refused, else "".
func merge(ch *reconcile.OrgChange, c, into *reconcile.Customer) (why string) {
	switch {
	case into == nil:
		return customerNotKnown(ch.Instruction.Into)
	case into.ID == c.ID:
		return sameCustomer(c)
	case into.Org == nil:
		return hasNoOrgYet(into)
	}
	ch.Org, ch.Host = *into.Org, hostOf(into)
	if ch.Already = c.Org != nil && c.Org.ID == into.Org.ID; ch.Already {
		return ""
	}
	switch {
	case into.Org.Deleted:
		return orgOfIsDeleted(into)
	case into.Org.Suspended:
		return orgOfIsSuspended(into)
	case len(guestsOf(c)) > 0:
		return hasGuests(c, guestsOf(c), into)
	case len(c.Pending) > 0:
		return outcomeNotKnown(&c.Pending[0])
	}
	if c.Org != nil && !c.OrgGuest {
		ch.Former = c.Org.ID
	}
	for _, h := range into.Hostings {
		if h.Org == ch.Org.ID {
			ch.There = append(ch.There, h)
		}
	}
	for _, l := range into.Lookalikes {
		if l.Org == ch.Org.ID && l.Why == reconcile.LikeOrg {
			ch.Alike = append(ch.Alike, l)
		}
	}
	ch.Sharers = withGuest(into, c, ch.Instruction.Why())
	return ""
}

// split works out a split; why it is refused, else "".
func split(ch *reconcile.OrgChange, c *reconcile.Customer) (why string) {
	switch {
	case c.Org == nil && len(c.Apart) > 0:
		ch.Already, ch.Org.ID = true, c.Apart[len(c.Apart)-1].Org
		return ""
	case c.Org == nil:
		return hasNoOrg(c)
	case !c.OrgGuest:
		return isNoGuest(c, guestsOf(c))
	case len(c.Pending) > 0:
		return outcomeNotKnown(&c.Pending[0])
	}
	ch.Org, ch.Host = *c.Org, hostOf(c)
	return ""
}

// hostOf is the customer who names the org of c, and has its owner.
func hostOf(c *reconcile.Customer) string {
	for i := range c.Sharers {
		if s := &c.Sharers[i]; !s.Guest {
			return s.ID
		}
	}
	return c.ID
}

// guestsOf are the others in the org of c, if it is its own.
func guestsOf(c *reconcile.Customer) (ids []string) {
	for i := range c.Sharers {
		if s := &c.Sharers[i]; s.ID != c.ID && !c.OrgGuest {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// withGuest are the customers of the org of into, and c as a guest.
func withGuest(into, c *reconcile.Customer, why string) []reconcile.Sharer {
	all := slices.Clone(into.Sharers)
	if len(all) == 0 {
		all = append(all, sharer(into))
	}
	guest := sharer(c)
	guest.Guest, guest.Why = true, why
	all = append(all, guest)
	slices.SortFunc(all, func(a, b reconcile.Sharer) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func sharer(c *reconcile.Customer) reconcile.Sharer {
	s := reconcile.Sharer{ID: c.ID, Email: c.Email, Guest: c.OrgGuest, Why: c.OrgWhy}
	for i := range c.Subscriptions {
		s.Subscriptions = append(s.Subscriptions, c.Subscriptions[i].ID)
	}
	slices.Sort(s.Subscriptions)
	return s
}

// apart finds the statement of a person that an org is not this customer's; nil for none.
func (pl *planner) apart(org string) *reconcile.ApartOrg {
	for i := range pl.c.Apart {
		if o := &pl.c.Apart[i]; o.Org == org {
			return o
		}
	}
	return nil
}

// namedApart holds an order whose metadata names an org of which a person has stated that it
// is not this customer's. One of the two is wrong, and to make the hosting in either org
// would be a guess. Metadata of our own hand only shows where a hosting is.
func (pl *planner) namedApart() bool {
	for i := range pl.subs {
		s := &pl.subs[i]
		o := pl.apart(s.MetadataOrg)
		lacks := slices.ContainsFunc(pl.units, func(u unit) bool { return u.sub == i && u.assignment < 0 })
		if o == nil || !lacks || s.MetadataHosting != 0 && s.MetadataHosting == s.MetadataWritten {
			continue
		}
		pl.org.blocked = true
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: s.ID, Reason: pl.namesApart(s, o)})
	}
	return pl.org.blocked
}
