package planner

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// recheckAfter is how long a hold that people resolve in the panel, without a message to
// us, stands before we look again.
const recheckAfter = time.Hour

// planHostings decides about every bound hosting. All bindings of a hosting count
// together: it is up while any of them asks for it, untouched while any of them cannot be
// judged, and suspended only if none asks for it.
func (pl *planner) planHostings() {
	for i := range pl.assignments {
		first := true
		for j := range i {
			first = first && pl.assignments[j].Hosting != pl.assignments[i].Hosting
		}
		if first {
			pl.planHosting(pl.combine(i))
		}
	}
}

// demand is the state and plan that all bindings of one hosting ask for together.
type demand struct {
	lead    *assignment // the binding that speaks for it: the first that asks for it to be up, else the first
	desired desiredState
	plan    reconcile.EnhancePlan
	// torn means that two live subscriptions are for different plans, unsure that one of
	// its subscriptions cannot be judged.
	torn, unsure bool
	// endedAt is when the last of its subscriptions ended; zero unless it is known
	// of all.
	endedAt time.Time
	moved   []*assignment
}

func (pl *planner) combine(first int) demand {
	cl := demand{lead: &pl.assignments[first], desired: desiredEnded}
	up, datesMissing := false, false
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if l.Hosting != cl.lead.Hosting {
			continue
		}
		if l.moved {
			cl.moved = append(cl.moved, l)
		}
		switch l.desired {
		case desiredActive:
			if !up {
				cl.lead, cl.plan, up = l, l.plan, true
			}
			cl.torn = cl.torn || cl.plan.ID != l.plan.ID
		case desiredKeep:
			cl.desired, cl.unsure = desiredKeep, true
		case desiredSuspended:
			if cl.desired == desiredEnded {
				cl.desired = desiredSuspended
			}
		case desiredEnded:
			ended := pl.subs[l.sub].EndedAt
			datesMissing = datesMissing || ended.IsZero()
			if ended.After(cl.endedAt) {
				cl.endedAt = ended
			}
		}
	}
	if datesMissing {
		cl.endedAt = time.Time{}
	}
	if up {
		cl.desired = desiredActive
	}
	return cl
}

func (pl *planner) planHosting(cl demand) {
	if len(cl.moved) > 0 && pl.org.blocked {
		return // the org has to be decided first, and a hold has the reason
	}
	for _, l := range cl.moved {
		pl.addAction(reconcile.Action{ID: linkID(l), Kind: reconcile.Link,
			Subscription: l.Subscription, Item: l.Item, Slot: l.Slot, Org: l.Org, Hosting: l.Hosting, How: l.How, Reason: linkReason(l)})
	}
	if cl.lead.hosting < 0 || pl.c.Hostings[cl.lead.hosting].ObservedAt.IsZero() {
		pl.addNeed(Need{Kind: NeedHosting, Org: cl.lead.Org, Hosting: cl.lead.Hosting})
		return
	}
	h := &pl.c.Hostings[cl.lead.hosting]
	if pl.unanswered(cl.lead) {
		return
	}
	switch cl.desired {
	case desiredActive:
		pl.planActive(cl, h)
	case desiredSuspended, desiredEnded:
		pl.planSuspend(cl, h)
	case desiredKeep:
	}
}

// planActive brings a paid hosting to its plan and switches it on again.
func (pl *planner) planActive(cl demand, h *reconcile.Hosting) {
	sub, s := cl.lead.Subscription, &pl.subs[cl.lead.sub]
	switch h.State {
	case reconcile.HostingMissing:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldMissing, Subscription: sub, Hosting: h.ID, Reason: isMissing(s, h, pl.orUnbind(cl.lead))})
		return
	case reconcile.HostingDeleted:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDeleted, Subscription: sub, Hosting: h.ID, Reason: wasDeleted(s, h, pl.orUnbind(cl.lead))})
		return
	case reconcile.HostingUnknown:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: sub, Hosting: h.ID, Reason: paidStateNotKnown(h)})
		return
	case reconcile.HostingSuspended:
		if pl.perhapsOurs(h) {
			pl.askWhose(cl, h)
			return
		}
		if h.SuspendedByUs.IsZero() {
			pl.recheckHosting(h)
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldForeignSuspension, Subscription: sub, Hosting: h.ID, Reason: suspendedByOthers(s, h)})
			return
		}
		pl.change(cl, h, reconcile.Action{ID: "resume:" + pl.ref(cl, h), Kind: reconcile.Resume,
			Reason: suspensionWasOurs(s, h)})
	case reconcile.HostingActive:
	}
	pl.planChangePlan(cl, h)
	pl.planWebsite(cl, h)
	pl.planApp(cl, h)
}

// askWhose holds the lifting of a suspension that carries our mark and that the journal
// does not know: this database was put back to an old copy, or staff lifted our
// suspension and set one of their own.
func (pl *planner) askWhose(cl demand, h *reconcile.Hosting) {
	pl.recheckHosting(h)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldPerhapsOurs, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: perhapsOurs(&pl.subs[cl.lead.sub], h)})
	pl.change(cl, h, reconcile.Action{ID: "resume:" + pl.ref(cl, h) + reconcile.PerhapsOursSuffix, Kind: reconcile.Resume,
		Reason: resumesPerhapsOurs(&pl.subs[cl.lead.sub], h)})
}

// planChangePlan changes the plan in place, and holds a change to less than is in use.
func (pl *planner) planChangePlan(cl demand, h *reconcile.Hosting) {
	switch {
	case cl.torn:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.severalPlans(h)})
		return
	case cl.plan.ID == 0 || cl.plan.ID == h.Plan:
		return
	case pl.subs[cl.lead.sub].LapseUnknown():
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldGrace, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.lapseNotRead(cl.lead, h)})
		return
	case pl.unpaidUpgrade(cl, h):
		pl.recheckAt(pl.now.Add(recheckAfter))
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnpaidUpgrade, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.upgradeNotPaid(cl, h)})
		return
	case cl.lead.fresh && pl.cat.lowers(h.Plan, cl.plan.ID):
		return // it is bound first: a hosting that was just found is not made smaller in the same decision
	case pl.staleFeatures(cl.lead) && pl.cat.lowers(h.Plan, cl.plan.ID):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldFeatures, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.smallerByOldFeatures(cl, h)})
		return
	case cl.unsure && pl.cat.lowers(h.Plan, cl.plan.ID):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.smallerBesideOther(cl, h)})
		return
	}
	if over := pl.exceeds(h, cl.plan); over != "" {
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDowngrade, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: usesMore(cl.lead, h, pl.planRef(cl.plan.ID), pl.planRef(h.Plan), over)})
		return
	}
	pl.change(cl, h, reconcile.Action{ID: "change_plan:" + pl.ref(cl, h) + ":" + strconv.Itoa(h.Plan) + ">" + strconv.Itoa(cl.plan.ID), Kind: reconcile.ChangePlan,
		Plan: cl.plan.ID, PlanName: cl.plan.Name, FromPlan: h.Plan, Name: reconcile.NameOnPlan(h.FriendlyName, pl.cat.plans[h.Plan].Name, cl.plan.Name, pl.policy.Instance),
		Reason: pl.isForPlan(cl, h)})
}

// exceeds lists the resources of which more is used than the plan gives and of which it
// gives less than the present one. A customer who is over a limit already is not kept from
// a plan that has the same limit there and more of everything else.
func (pl *planner) exceeds(h *reconcile.Hosting, to reconcile.EnhancePlan) string {
	var over []string
	from := pl.cat.plans[h.Plan]
	for _, u := range h.Usage {
		limit, limited := to.Limits[u.Name]
		if !limited || u.Used <= limit {
			continue
		}
		if had, was := from.Limits[u.Name]; was && limit >= had {
			continue
		}
		over = append(over, usedOf(u, limit))
	}
	slices.Sort(over)
	return strings.Join(over, ", ")
}

// planSuspend suspends, and at the end of the retention period deletes.
func (pl *planner) planSuspend(cl demand, h *reconcile.Hosting) {
	switch h.State {
	case reconcile.HostingActive:
		pl.change(cl, h, reconcile.Action{ID: "suspend:" + pl.ref(cl, h), Kind: reconcile.Suspend, Reason: cl.lead.reason})
	case reconcile.HostingSuspended:
		pl.planTerminate(cl, h)
	case reconcile.HostingUnknown:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: stateNotKnown(h)})
	case reconcile.HostingDeleted, reconcile.HostingMissing:
		// Gone already; there is nothing left to take away.
	}
}

// planTerminate is the last step of the ladder: only for a subscription that Stripe
// ended long enough ago, on a hosting that we ourselves suspended long enough ago.
func (pl *planner) planTerminate(cl demand, h *reconcile.Hosting) {
	if pl.policy.Retention <= 0 || cl.desired != desiredEnded || cl.endedAt.IsZero() || h.SuspendedByUs.IsZero() {
		return
	}
	from := pl.lastServed(cl.endedAt)
	if h.SuspendedByUs.After(from) {
		from = h.SuspendedByUs
	}
	if due := from.Add(pl.policy.Retention); pl.now.Before(due) {
		pl.recheckAt(due)
		pl.forecastTermination(cl, h, due)
		pl.deletions = append(pl.deletions, deletion{sub: cl.lead.sub, hosting: cl.lead.hosting, at: due})
		return
	}
	if pl.keepsLastContent(cl, h) || !pl.backedUp(cl, h) {
		return
	}
	pl.change(cl, h, reconcile.Action{ID: "terminate:" + pl.ref(cl, h), Kind: reconcile.Terminate,
		Reason: pl.retentionIsOver(cl, h)})
}

// lastServed is the end of the last of the customer's subscriptions that a hosting
// may have served, the end of its own being known: a later one that has fewer hostings
// than it asked for may have had this one, in a time of which an old copy of the
// database knows nothing.
func (pl *planner) lastServed(end time.Time) time.Time {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.desired == desiredEnded && s.EndedAt.After(end) && pl.underProvisioned(i) {
			end = s.EndedAt
		}
	}
	return end
}

// change adds an action on an existing hosting; the hosting must have been read lately.
func (pl *planner) change(cl demand, h *reconcile.Hosting, a reconcile.Action) {
	pl.readFresh(h)
	a.Subscription, a.Item, a.Slot = cl.lead.Subscription, cl.lead.Item, cl.lead.Slot
	a.Org, a.Hosting = h.Org, h.ID
	if a.Plan == 0 {
		a.Plan, a.PlanName = h.Plan, pl.planName(h.Plan)
	}
	pl.addAction(a)
}

// planWebsite creates the site that was ordered with the first hosting we made for a
// Subscription. Hostings that came to us otherwise have sites of their own.
func (pl *planner) planWebsite(cl demand, h *reconcile.Hosting) {
	s := &pl.subs[cl.lead.sub]
	if !pl.wantsWebsite(s, cl.lead.Item) || cl.lead.How != reconcile.BoundByCreate && cl.lead.How != reconcile.BoundByMarker || cl.lead.Slot != 1 || h.Website != "" {
		return
	}
	switch {
	case s.domain == "":
		// It was made before CREATE_WEBSITES was set: its domain has not been asked for.
		if cl.lead.How == reconcile.BoundByCreate || s.Domain != "" {
			pl.withoutDomain(s)
		}
	case pl.domainBlocked(s, h):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDomainTaken, Subscription: s.ID, Hosting: h.ID, Reason: pl.domainIsTaken(s, h)})
	case pl.domainGiven(s.domain):
	default:
		site, problem := pl.site(s, cl.lead.Item, h.Plan)
		if problem != "" {
			pl.recheckHosting(h)
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldWebsite, Subscription: s.ID, Hosting: h.ID, Reason: websiteWaits(s, problem)})
			return
		}
		pl.change(cl, h, reconcile.Action{ID: "create_website:" + reconcile.SlotID(s.ID, cl.lead.Slot) + ":" + s.domain, Kind: reconcile.CreateWebsite,
			Domain: s.domain, Site: site, Reason: orderedDomain(s)})
	}
}

// unanswered holds a hosting while a write to it has no known outcome, under
// whichever of its bindings that was sent: bindings come and go, and a hosting is
// taken over while a suspension of it is still on its way.
func (pl *planner) unanswered(l *assignment) bool {
	for i := range pl.c.Pending {
		p := &pl.c.Pending[i]
		if p.Kind == reconcile.CreateSubscription || p.Kind == reconcile.Backup || p.Kind == reconcile.InstallApp {
			continue // no hosting, or none that is changed by it
		}
		if p.Hosting != 0 && p.Hosting == l.Hosting || p.Subscription == l.Subscription && p.Slot == l.Slot {
			pl.holdPending(p)
			return true
		}
	}
	return false
}

func (pl *planner) holdPending(p *reconcile.Pending) {
	pl.recheckAt(p.SettleUntil)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldAmbiguous, Subscription: p.Subscription, ActionID: p.ActionID, Until: p.SettleUntil, Reason: neverAnswered(p)})
}

// readFresh asks for a new reading of a hosting whose last one is too old to act on.
func (pl *planner) readFresh(h *reconcile.Hosting) {
	if pl.now.Sub(h.ObservedAt) > pl.policy.Freshness() {
		pl.addNeed(Need{Kind: NeedHosting, Org: h.Org, Hosting: h.ID})
	}
}

// recheckHosting looks again within the hour at a hosting that only people can mend:
// Enhance sends us no message when they have.
func (pl *planner) recheckHosting(h *reconcile.Hosting) {
	pl.readFresh(h)
	pl.recheckAt(pl.now.Add(recheckAfter))
}

func (pl *planner) ref(cl demand, h *reconcile.Hosting) string {
	return reconcile.SlotID(cl.lead.Subscription, cl.lead.Slot) + ":" + reconcile.FormatID(h.ID)
}

func (pl *planner) planName(id int) string {
	p, _ := pl.cat.Plan(id)
	return p.Name
}

func linkID(l *assignment) string {
	return "link:" + reconcile.SlotID(l.Subscription, l.Slot) + ":" + reconcile.FormatID(l.Hosting) + ":" + l.Item
}

// options are those of the mapping of an item; the zero value if it is not mapped.
func (c *Catalog) options(it *reconcile.Item) reconcile.MappingOptions {
	if it == nil {
		return reconcile.MappingOptions{}
	}
	t, _ := c.match(it)
	return t.options
}

// policyFor is the policy with the grace period of a subscription: the longest of those
// that the mappings of its items have.
func (c *Catalog) policyFor(s *reconcile.Subscription, p reconcile.Policy) reconcile.Policy {
	longest, mapped := time.Duration(0), false
	for i := range s.Items {
		t, ok := c.match(&s.Items[i])
		if !ok && c.featuresUnknown(&s.Items[i]) {
			longest, mapped = max(longest, c.longestGrace(p.Grace)), true
			continue
		}
		if !ok || t.none {
			continue
		}
		grace := p.Grace
		if t.options.OwnGrace {
			grace = t.options.Grace
		}
		if t.problem == reconcile.HoldFeatures {
			grace = max(grace, p.Grace) // the mapping that counts may have none of its own
		}
		longest, mapped = max(longest, grace), true
	}
	if mapped {
		p.Grace = longest
	}
	return p
}

// wantsWebsite reports whether a website is made for an item.
func (pl *planner) wantsWebsite(s *assessed, item string) bool {
	switch pl.cat.options(s.item(item)).Websites {
	case reconcile.WebsitesNone:
		return false
	case reconcile.WebsitesOrder:
		return true
	}
	return pl.policy.CreateWebsites
}

// onboarding is how the owner of the org gets into it: by the mapping of the subscription
// that is provisioned first.
func (pl *planner) onboarding() reconcile.Onboarding {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.desired != desiredActive || pl.assignmentsOf(i) == 0 && !s.mapped {
			continue
		}
		for j := range s.items {
			if t, ok := pl.cat.match(&s.items[j]); ok && !t.none {
				if t.options.Onboarding != 0 {
					return t.options.Onboarding
				}
				break
			}
		}
		break
	}
	return pl.policy.Onboarding
}

// site is how the website of an item is made on a plan, or the problem that keeps it from
// being made: then the panel is not asked.
func (pl *planner) site(s *assessed, item string, plan int) (site reconcile.SiteOptions, problem string) {
	o := pl.cat.options(s.item(item))
	site = reconcile.SiteOptions{ServerGroup: o.ServerGroup, PHP: o.PHP, App: o.App}
	if o.ByOrder && s.ServerGroup != "" {
		group, unread := reconcile.ParseOrgID(s.ServerGroup)
		if unread != "" {
			return site, orderedGroupUnreadable(s)
		}
		site.ServerGroup = group
	}
	return site, siteProblem(site, pl.cat.plans[plan])
}

// siteProblem is a sentence about the first option that a plan does not allow; "": none.
func siteProblem(o reconcile.SiteOptions, p reconcile.EnhancePlan) string {
	switch {
	case o.PHP != "" && p.Sites.PHP != nil && !slices.Contains(p.Sites.PHP, o.PHP):
		return phpNotAllowed(o.PHP, p)
	case o.ServerGroup != "" && p.Sites.ServerGroups != nil && !slices.Contains(p.Sites.ServerGroups, o.ServerGroup):
		return groupNotAllowed(o.ServerGroup, p)
	}
	return ""
}

// OptionProblems lists, as sentences, the mappings whose options the panel cannot fulfil.
func OptionProblems(mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) (problems []string) {
	c := NewCatalog(mappings, plans)
	for _, m := range mappings {
		t := c.targets[m.BillingID]
		o := m.MappingOptions
		switch {
		case t.none, t.problem != "":
		default:
			if problem := siteProblem(reconcile.SiteOptions{ServerGroup: o.ServerGroup, PHP: o.PHP}, t.plan); problem != "" {
				problems = append(problems, optionOf(m, problem))
			}
		}
	}
	return problems
}

// SendsPasswords reports whether any order is onboarded with a password, by a mapping or by
// the setting.
func (c *Catalog) SendsPasswords(setting reconcile.Onboarding) bool {
	for _, t := range c.targets {
		if t.options.Onboarding == reconcile.Password {
			return true
		}
	}
	return setting == reconcile.Password
}

// appWithin is how long after a website was made an application is installed on it. Later
// its owner may have put files there, and the panel shows none of them.
const appWithin = 48 * time.Hour

// planApp installs the application that was ordered with a website which we have made. It
// is not tried again once one is there, and nothing else of the customer waits for it.
func (pl *planner) planApp(cl demand, h *reconcile.Hosting) {
	s, app := &pl.subs[cl.lead.sub], &h.App
	it := s.item(cl.lead.Item)
	if app.App == "" || app.Domain != h.Website || !app.Done.IsZero() || it == nil {
		return
	}
	mapped, _ := pl.cat.match(it)
	if mapped.options.App != app.App {
		return
	}
	for i := range pl.c.Pending {
		if p := &pl.c.Pending[i]; p.Kind == reconcile.InstallApp && p.Hosting == h.ID {
			pl.holdPending(p)
			return
		}
	}
	if problem := pl.appProblem(s, app); problem != "" {
		pl.recheckAt(pl.now.Add(recheckAfter))
		if app.ReadAt.Before(pl.freshSince()) {
			pl.addNeed(Need{Kind: NeedSiteApps, Org: h.Org, Hosting: h.ID})
		}
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldWebsite, Subscription: s.ID, Hosting: h.ID, Reason: appWaits(s, h, mapped, problem)})
		return
	}
	pl.change(cl, h, reconcile.Action{ID: "install_app:" + reconcile.SlotID(s.ID, cl.lead.Slot) + ":" + h.Website, Kind: reconcile.InstallApp,
		Domain: h.Website, Site: reconcile.SiteOptions{App: app.App}, Reason: orderedApp(app)})
}

// appProblem is a sentence about what keeps an application from being installed; "": nothing.
func (pl *planner) appProblem(s *assessed, app *reconcile.SiteApp) string {
	switch {
	case app.MadeAt.IsZero():
		return siteWasThere
	case app.Databases > 0:
		return siteHasDatabases(app)
	case !pl.now.Before(app.MadeAt.Add(appWithin)):
		return siteIsOld(app)
	case app.Refused != "" && pl.now.Before(app.RefusedAt.Add(recheckAfter)):
		return appRefused(app)
	case !strings.Contains(pl.buyerOf(s.ID).Email, "@"):
		return noAppEmail
	}
	return ""
}

// refusedFor is how long a website that the panel refused, without a reason that may pass,
// stands before it is asked again.
const refusedFor = 24 * time.Hour

// domainBlocked reports whether the ordered domain cannot have a website on a hosting, as
// far as the panel has answered. It is asked again every hour, because people free a domain
// in the panel without a message to us.
func (pl *planner) domainBlocked(s *assessed, h *reconcile.Hosting) bool {
	use := h.DomainUse
	if use.Domain != s.domain {
		use = reconcile.DomainUse{}
	}
	refused := h.WebsiteTaken == s.domain && use.Status != reconcile.DomainFree && use.Status != reconcile.DomainOwnOrg
	if !refused && !use.Blocks(h.ID) {
		return false
	}
	again := recheckAfter
	if use.Status == reconcile.DomainUnknown {
		again = refusedFor
	}
	pl.recheckAt(pl.now.Add(again))
	if again == recheckAfter {
		again = pl.policy.Freshness() // a person who has freed it, and runs it again, need not wait
	}
	if !pl.now.Before(use.ReadAt.Add(again)) {
		pl.addNeed(Need{Kind: NeedDomainUse, Org: h.Org, Hosting: h.ID, Domain: s.domain})
	}
	return true
}

// domainGiven reports whether this decision gives a domain to a website already. The panel
// lets one website have a domain: it is asked about the others once that one is made.
func (pl *planner) domainGiven(domain string) bool {
	return slices.ContainsFunc(pl.out.Actions, func(a reconcile.Action) bool {
		return a.Kind == reconcile.CreateWebsite && a.Domain == domain
	})
}

const (
	// backupLooks is how often a backup that is under way is looked at.
	backupLooks = 5 * time.Minute
	// backupRests is how long a backup that failed is left before another one is made.
	backupRests = 24 * time.Hour
)

// backedUp reports whether a hosting may be deleted because each of its websites has a
// backup. Else it makes the next one, one after another, and holds the deletion.
func (pl *planner) backedUp(cl demand, h *reconcile.Hosting) bool {
	if !pl.policy.Backup {
		return true
	}
	for i := range pl.c.Pending {
		if p := &pl.c.Pending[i]; p.Kind == reconcile.Backup && p.Hosting == h.ID {
			pl.holdPending(p)
			return false
		}
	}
	b := &h.Backups
	if b.ReadAt.Before(pl.freshSince()) || !b.Since.Equal(h.SuspendedByUs) {
		pl.addNeed(Need{Kind: NeedBackups, Org: h.Org, Hosting: h.ID, Since: h.SuspendedByUs})
		return false
	}
	switch {
	case b.Complete():
		return true
	case b.Refused != "":
		pl.holdForBackup(cl, h, backupRefused(h), backupRests)
	case !b.Began.IsZero():
		pl.holdForBackup(cl, h, backupUnderWay(h), backupLooks)
	case b.Failed.After(pl.now.Add(-backupRests)):
		pl.holdForBackup(cl, h, backupFailed(h), backupRests)
	default:
		pl.change(cl, h, reconcile.Action{ID: "backup:" + pl.ref(cl, h) + ":" + b.Lacking, Kind: reconcile.Backup, Domain: b.Lacking, Reason: pl.backupIsMissing(cl, h)})
	}
	return false
}

func (pl *planner) holdForBackup(cl demand, h *reconcile.Hosting, reason string, again time.Duration) {
	pl.recheckAt(pl.now.Add(again))
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldBackup, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: reason})
}

// TargetOf describes a subscription of c after a run with these actions and holds. found
// reports whether c has the subscription.
func TargetOf(c *reconcile.Customer, cat *Catalog, id string, actions []reconcile.ActionRecord, holds []reconcile.Hold, p reconcile.Policy, now time.Time) (t reconcile.Target, found bool) {
	i := slices.IndexFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == id })
	if i < 0 {
		return reconcile.UnknownTarget(id), false
	}
	s := &c.Subscriptions[i]
	t = reconcile.Target{Subscription: id, Known: !s.Gone, Customer: c.ID, Email: c.Email}
	if t.Known {
		t.Status = s.Status.String()
		if s.Status == reconcile.StatusUnknown {
			t.Status = s.StatusText
		}
	}
	for _, b := range c.Bindings {
		if j := slices.IndexFunc(c.Hostings, func(h reconcile.Hosting) bool { return h.ID == b.Hosting }); b.Subscription == id && j >= 0 {
			t.Hostings = append(t.Hostings, c.Hostings[j])
		}
	}
	counts := countActions(&t, c, actions)
	why := ""
	for _, h := range holds {
		if h.Subscription == id || h.Subscription == "" && h.Customer == c.ID {
			if t.Withheld++; why == "" {
				why = h.Reason
			}
		}
	}
	p = cat.policyFor(s, p)
	t.Text = whatIsThere(&t, s) + ": " + strings.Join(whatFollows(&t, c, s, counts, why, p, now), "; ")
	return t, true
}

// countActions counts the actions for a target, or for its customer alone, and returns how
// many are done, how many failed or have no known outcome, and how many are left to do.
func countActions(t *reconcile.Target, c *reconcile.Customer, actions []reconcile.ActionRecord) (counts [3]int) {
	for _, a := range actions {
		if a.State == reconcile.ActionSuperseded || a.Subscription != t.Subscription && (a.Subscription != "" || a.Customer != c.ID) {
			continue
		}
		t.Changes++
		switch a.State {
		case reconcile.ActionApplied, reconcile.ActionAdopted:
			counts[0]++
		case reconcile.ActionFailed, reconcile.ActionSent, reconcile.ActionAmbiguous:
			counts[1]++
		case reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSuperseded:
			counts[2]++
		}
	}
	return counts
}

// perhapsOurs reports whether a suspension which the journal does not know may still be
// ours: because the name carries our mark, and the panel names no other author.
func (pl *planner) perhapsOurs(h *reconcile.Hosting) bool {
	return h.State == reconcile.HostingSuspended && h.SuspendedByUs.IsZero() && h.NamesUs && reconcile.SuspensionMarked(h.FriendlyName, pl.policy.Instance)
}

// filling is whether a hosting has anything on it that a customer would miss. When one of
// several is kept, it is the one with the highest value.
type filling uint8

const (
	// fillingEmpty: no website, and the panel counts nothing else on it.
	fillingEmpty filling = iota + 1
	// fillingUnread: the websites were never listed, or the panel refuses to. It is
	// never taken for empty.
	fillingUnread
	// fillingUnclear: nothing but the website that we made for the order, or some use
	// that may or may not be a customer's (disk space alone).
	fillingUnclear
	// fillingFull: a customer has put something there.
	fillingFull
)

// countsOf are the resources of which a person made each one, and passing those that only
// measure traffic (orchd OpenAPI 12.3.0, ResourceName). If any other resource is in use,
// the hosting is unclear, because a later panel may add resources that matter.
var (
	countsOf = map[string]string{
		"websites": "website", "stagingWebsites": "staging website", "mailboxes": "mailbox", "mysqlDbs": "database", "ftpUsers": "FTP user",
		"forwarders": "forwarder", "domainAliases": "domain alias", "addonDomains": "addon domain", "subdomains": "subdomain", "customers": "customer",
	}
	passing = map[string]bool{"pageViews": true, "transfer": true, "processes": true}
)

// contentState compares the listed websites with the panel's counts, and takes the larger
// number, because a token that sees only some websites lists too few.
func contentState(h *reconcile.Hosting) filling {
	sites, unclear := int64(h.Content.Count), false
	for _, u := range h.Usage {
		switch {
		case u.Used <= 0 || passing[u.Name]:
		case u.Name == "websites":
			sites = max(sites, u.Used)
		case countsOf[u.Name] != "":
			return fillingFull
		default:
			unclear = true
		}
	}
	switch {
	case sites > 1 || sites == 1 && !onlyOrdered(h):
		return fillingFull
	case h.Content.ReadAt.IsZero() || h.Content.Unread != "":
		return fillingUnread
	case sites == 1 || unclear:
		return fillingUnclear
	}
	return fillingEmpty
}

// onlyOrdered reports whether the one website may be the one that we made for the order,
// on which the customer may have done nothing yet.
func onlyOrdered(h *reconcile.Hosting) bool {
	return h.Website != "" && (len(h.Content.Sites) == 0 || strings.EqualFold(h.Content.Sites[0], h.Website))
}

// readContent asks for the websites of a hosting's org if they were last listed before an
// instant, and reports whether they have been listed before. The earlier listing counts
// until then: a decision with needs is provisional.
func (pl *planner) readContent(h *reconcile.Hosting, since time.Time) bool {
	if !slices.Contains(pl.out.Contents, h.Org) {
		pl.out.Contents = append(pl.out.Contents, h.Org)
	}
	if h.Content.ReadAt.Before(since) {
		pl.addNeed(Need{Kind: NeedContent, Org: h.Org})
	}
	return !h.Content.ReadAt.IsZero()
}

// freshSince is since when a reading is fresh enough to act on.
func (pl *planner) freshSince() time.Time { return pl.now.Add(-pl.policy.Freshness()) }

// fillingOf is the filling of the hosting of an assignment, which must be among those
// loaded.
func (pl *planner) fillingOf(l *assignment) filling { return contentState(&pl.c.Hostings[l.hosting]) }

// keepsLastContent keeps a hosting with content from being deleted while the same customer
// keeps one that may be empty: the site may have been moved here since, or the wrong
// hosting may have been kept.
func (pl *planner) keepsLastContent(cl demand, h *reconcile.Hosting) bool {
	var others []*assignment
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if l.Hosting != h.ID && pl.alive(l) && (l.sub < 0 || pl.payer(l) == pl.payer(cl.lead)) {
			others = append(others, l)
		}
	}
	if len(others) == 0 {
		return false
	}
	if !pl.readContent(h, pl.freshSince()) {
		return true // asked for
	}
	if contentState(h) == fillingEmpty {
		return false
	}
	var parts []string
	for _, l := range others {
		o := &pl.c.Hostings[l.hosting]
		if !pl.readContent(o, pl.freshSince()) {
			return true
		}
		if o.Content.Count == 0 {
			pl.readFresh(o)
		}
		if contentState(o) != fillingFull {
			parts = append(parts, hostingWithContent(l, o))
		}
	}
	if len(parts) == 0 {
		return false
	}
	pl.recheckHosting(h)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldContent, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: notDeletedForContent(h, parts)})
	return true
}
