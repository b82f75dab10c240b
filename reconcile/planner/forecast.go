package planner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// firstPaymentWithin is how long Stripe waits for the first payment of a subscription
// (docs.stripe.com/billing/subscriptions/overview, "incomplete").
const firstPaymentWithin = 23 * time.Hour

// addForecast adds an entry that lies in the future.
func (pl *planner) addForecast(a reconcile.ForecastEntry) {
	if !a.At.After(pl.now) {
		return
	}
	a.Customer, a.Email = pl.c.ID, pl.buyerOf(a.Subscription).Email
	a.Org = cmp.Or(a.Org, pl.orgOf(a.Hosting))
	pl.out.Forecast = append(pl.out.Forecast, a)
}

// forecastStripe adds the changes of a subscription that Stripe has announced.
func (pl *planner) forecastStripe(i int) {
	s := &pl.subs[i]
	end := s.EndsAt()
	if !end.IsZero() {
		pl.addForecast(reconcile.ForecastEntry{At: end, Kind: reconcile.ForecastCancel, Subscription: s.ID, Reason: pl.endsAnnounced(i, end)})
	}
	switch {
	case s.Status == reconcile.StatusTrialing && end.IsZero():
		pl.addForecast(reconcile.ForecastEntry{At: s.CurrentPeriodEnd, Kind: reconcile.ForecastTrialEnd, Subscription: s.ID,
			Reason: trialEnds(s)})
	case s.Status == reconcile.StatusIncomplete && !s.Created.IsZero():
		pl.addForecast(reconcile.ForecastEntry{At: s.Created.Add(firstPaymentWithin), Kind: reconcile.ForecastCancel, Subscription: s.ID,
			Reason: expires(s)})
	}
}

// forecastHolds adds the ends of the holds that people put for a time.
func (pl *planner) forecastHolds() {
	for i := range pl.c.Manual {
		if m := &pl.c.Manual[i]; m.InForce(pl.now) {
			e := ForecastHold(m)
			e.Org = pl.orgOf(0)
			pl.addForecast(e)
		}
	}
	sortForecast(pl.out.Forecast)
}

// ForecastHold is the end of a hold that a person put for a time. Its customer is the one
// that the hold names.
func ForecastHold(m *reconcile.ManualHold) reconcile.ForecastEntry {
	return reconcile.ForecastEntry{At: m.Until, Kind: reconcile.ForecastHoldEnd, Customer: m.Customer, Subscription: m.Subscription, Source: m.ID, Reason: holdEnds(m)}
}

// forecastTermination adds the day on which retention deletes a hosting.
func (pl *planner) forecastTermination(cl demand, h *reconcile.Hosting, due time.Time) {
	if pl.policy.Mode != reconcile.Enforce || pl.forbids(reconcile.Action{Kind: reconcile.Terminate, Subscription: cl.lead.Subscription, Hosting: h.ID}) != nil {
		return
	}
	pl.addForecast(reconcile.ForecastEntry{At: due, Kind: reconcile.ForecastTerminate, Subscription: cl.lead.Subscription, Org: h.Org, Hosting: h.ID,
		Reason: pl.willBeDeleted(cl, h, due)})
}

// sortForecast sorts by time.
func sortForecast(all []reconcile.ForecastEntry) { slices.SortStableFunc(all, CompareForecast) }

// CompareForecast is the order of a forecast: by time, and then total, whatever was found
// first.
func CompareForecast(a, b reconcile.ForecastEntry) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Subscription, b.Subscription),
		cmp.Compare(a.Hosting, b.Hosting), cmp.Compare(a.Source, b.Source))
}

// ForeseenOrg is the id of an org that exists only in a dry run. Hostings that are made so
// have ids below 0.
const ForeseenOrg = "foreseen"

// After is c as it will be once an action is done at the time now, as far as that can be
// known before. A dry run goes on from it, to show the next actions. c is not changed.
func After(c *reconcile.Customer, a reconcile.Action, now time.Time) *reconcile.Customer {
	next := *c
	switch a.Kind {
	case reconcile.Link:
		linked(&next, a, now)
	case reconcile.CreateOrg:
		next.Org = &reconcile.Org{ID: ForeseenOrg, Name: fmt.Sprintf("%s [%s]", a.Name, c.ID), Created: now, ObservedAt: now, HostingsRead: now, OwnersRead: now}
	case reconcile.RenameOrg:
		next.OrgNamed = true
		if next.NameWanted == a.Name {
			next.NameWanted = ""
		}
		if c.Org != nil {
			org := *c.Org
			org.Name, next.Org = a.Name, &org
		}
	case reconcile.InviteOwner:
		next.Invited, next.InvitedEmail = now, reconcile.EmailKey(a.Email)
		if next.InviteWanted == next.InvitedEmail {
			next.InviteWanted = ""
		}
	case reconcile.CreateSubscription:
		made(&next, a, now)
	case reconcile.CreateWebsite:
		changeHosting(&next, a, func(h *reconcile.Hosting) { changed(h, a, now) })
		use := reconcile.DomainUse{Domain: a.Domain, Status: reconcile.DomainOwnOrg, ReadAt: now}
		if a.Hosting > 0 {
			use.Org, use.Hosting = a.Org, a.Hosting
		}
		return DomainTaken(&next, a.Hosting, use)
	case reconcile.InstallApp, reconcile.Resume, reconcile.Suspend, reconcile.ChangePlan, reconcile.Backup, reconcile.MarkHosting, reconcile.Terminate:
		changeHosting(&next, a, func(h *reconcile.Hosting) { changed(h, a, now) })
	case reconcile.SendMail: // it changes nothing that is decided by
	case reconcile.WriteMetadata:
		next.Subscriptions = slices.Clone(c.Subscriptions)
		for i := range next.Subscriptions {
			if s := &next.Subscriptions[i]; s.ID == a.Subscription {
				s.MetadataOrg, s.MetadataHosting, s.MetadataWritten = a.Org, a.Hosting, a.Hosting
			}
		}
	}
	return &next
}

// DomainTaken is c once a website has a domain: as the panel will answer, no hosting that was
// ordered with it can have it, but for the one that has it; 0: none of c. c is not changed.
func DomainTaken(c *reconcile.Customer, by int64, use reconcile.DomainUse) *reconcile.Customer {
	next := *c
	next.Hostings = slices.Clone(c.Hostings)
	for i := range next.Hostings {
		h := &next.Hostings[i]
		its := slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool {
			return b.Hosting == h.ID && slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool {
				return s.ID == b.Subscription && reconcile.DomainKey(s.Domain) == use.Domain
			})
		})
		if its && h.ID != by && h.Website == "" {
			h.DomainUse = use
		}
	}
	return &next
}

// linked binds the hosting of a, or the org.
func linked(c *reconcile.Customer, a reconcile.Action, now time.Time) {
	if a.Hosting == 0 {
		org := reconcile.Org{ID: a.Org, ObservedAt: now, HostingsRead: now}
		for _, known := range [][]reconcile.Org{c.MarkedOrgs, c.OwnedOrgs} {
			if i := slices.IndexFunc(known, func(o reconcile.Org) bool { return o.ID == a.Org }); i >= 0 {
				org = known[i]
			}
		}
		for i := range c.Kin {
			if c.Kin[i].Org.ID == a.Org {
				org, c.OrgGuest = c.Kin[i].Org, true
			}
		}
		for i := range c.NamedOrgs {
			if n := &c.NamedOrgs[i]; n.ID == a.Org {
				org, c.OrgGuest = n.Org, n.Founder != ""
				c.Hostings = together(c.Hostings, n.Hostings)
			}
		}
		m, marked := reconcile.MarkerOf(org.Name)
		c.Org, c.OrgNamed = &org, !marked || m.Slot != 0
		return
	}
	b := reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: a.Hosting, How: a.How, At: now}
	c.Bindings = slices.DeleteFunc(slices.Clone(c.Bindings), func(o reconcile.Binding) bool {
		return o.Subscription == b.Subscription && o.Slot == b.Slot || a.How == reconcile.BoundByResubscription && o.Hosting == b.Hosting && hasEnded(c, o.Subscription)
	})
	c.Bindings = append(c.Bindings, b)
}

// together is the hostings of both, each once.
func together(some, more []reconcile.Hosting) []reconcile.Hosting {
	all := slices.Clone(some)
	for i := range more {
		if !slices.ContainsFunc(all, func(h reconcile.Hosting) bool { return h.ID == more[i].ID }) {
			all = append(all, more[i])
		}
	}
	return all
}

func hasEnded(c *reconcile.Customer, subscription string) bool {
	return slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == subscription && s.Status.Ended() })
}

// made adds the hosting that a makes, empty and up.
func made(c *reconcile.Customer, a reconcile.Action, now time.Time) {
	id := int64(-1)
	for i := range c.Hostings {
		id = min(id, c.Hostings[i].ID-1)
	}
	org := a.Org
	if c.Org != nil {
		org = c.Org.ID
	}
	m := reconcile.Marker{StripeID: a.Subscription, Slot: a.Slot}
	c.Hostings = append(slices.Clone(c.Hostings), reconcile.Hosting{ID: id, Org: org, Plan: a.Plan, State: reconcile.HostingActive, Bound: true,
		FriendlyName: a.PlanName + " " + m.String(), ObservedAt: now, Content: reconcile.Content{ReadAt: now}})
	c.Bindings = append(slices.Clone(c.Bindings), reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: org, Hosting: id, How: reconcile.BoundByCreate, At: now})
}

// changed is h once an action on it is done.
func changed(h *reconcile.Hosting, a reconcile.Action, now time.Time) {
	switch a.Kind {
	case reconcile.CreateWebsite:
		h.Website = a.Domain
		if a.Site.App != "" {
			h.App = reconcile.SiteApp{App: a.Site.App, Domain: a.Domain, MadeAt: now}
		}
	case reconcile.InstallApp:
		h.App.Done = now
	case reconcile.Resume:
		h.State, h.SuspendedBy, h.SuspendedByUs = reconcile.HostingActive, "", time.Time{}
	case reconcile.Suspend:
		h.State, h.SuspendedByUs = reconcile.HostingSuspended, now
	case reconcile.ChangePlan:
		h.Plan = a.Plan
		if a.Name != "" {
			h.FriendlyName = a.Name
		}
	case reconcile.Backup:
		h.Backups.Began = now
	case reconcile.MarkHosting:
		h.FriendlyName = a.Name
	case reconcile.Terminate:
		h.State, h.TerminatedByUs = reconcile.HostingDeleted, now
	case reconcile.Link, reconcile.CreateOrg, reconcile.CreateSubscription, reconcile.RenameOrg, reconcile.InviteOwner, reconcile.WriteMetadata, reconcile.SendMail:
	}
}

func changeHosting(c *reconcile.Customer, a reconcile.Action, change func(*reconcile.Hosting)) {
	c.Hostings = slices.Clone(c.Hostings)
	for i := range c.Hostings {
		if c.Hostings[i].ID == a.Hosting {
			change(&c.Hostings[i])
		}
	}
}

// ForecastSchedule lists the changes that a schedule at Stripe makes after now, as far as
// they concern hosting: an item before or after the change is mapped to a plan. It decides
// nothing: the hosting follows the subscription, when Stripe has changed that.
func ForecastSchedule(sc *reconcile.Schedule, cat *Catalog, now time.Time) (all []reconcile.ForecastEntry) {
	var before []reconcile.Item
	for i := range sc.Phases {
		ph := &sc.Phases[i]
		if ph.Start.After(now) && !sameItems(before, ph.Items) && (cat.hosts(before) || cat.hosts(ph.Items)) {
			all = append(all, reconcile.ForecastEntry{At: ph.Start, Kind: reconcile.ForecastPlanChange, Customer: sc.StripeCustomer, Subscription: sc.Subscription,
				Source: sc.ID + "/" + strconv.FormatInt(ph.Start.Unix(), 10), Reason: cat.changesBySchedule(sc, before, ph.Items)})
		}
		before = ph.Items
	}
	if n := len(sc.Phases); sc.Cancels && n > 0 && sc.Phases[n-1].End.After(now) && cat.hosts(before) {
		all = append(all, reconcile.ForecastEntry{At: sc.Phases[n-1].End, Kind: reconcile.ForecastCancel, Customer: sc.StripeCustomer, Subscription: sc.Subscription,
			Source: sc.ID, Reason: endsBySchedule(sc, sc.Phases[n-1].End)})
	}
	return all
}

// Ahead is everything dated that comes for a customer: what the decision foresees and, as
// far as they were read, the schedules at Stripe. The end of a subscription that Stripe shows
// in both is listed once.
func Ahead(r *reconcile.CustomerRecord, cat *Catalog, p reconcile.Policy, now time.Time) []reconcile.ForecastEntry {
	return withSchedules(Decide(&r.Customer, cat, p, now).Forecast, r, cat, now)
}

func withSchedules(all []reconcile.ForecastEntry, r *reconcile.CustomerRecord, cat *Catalog, now time.Time) []reconcile.ForecastEntry {
	for i := range r.Schedules {
		for _, e := range ForecastSchedule(&r.Schedules[i], cat, now) {
			e.Customer, e.Email = r.ID, r.Email
			if e.Kind != reconcile.ForecastCancel || !slices.ContainsFunc(all, func(o reconcile.ForecastEntry) bool {
				return o.Kind == reconcile.ForecastCancel && o.Subscription == e.Subscription
			}) {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, CompareForecast)
	return all
}

// hosts reports whether any item is mapped to a plan, even to one that does not exist.
func (c *Catalog) hosts(items []reconcile.Item) bool {
	return slices.ContainsFunc(items, func(it reconcile.Item) bool {
		t, ok := c.match(&it)
		return ok && !t.none
	})
}

// sameItems reports whether two phases have the same prices in the same quantities. A
// price in two items counts as one with the sum.
func sameItems(a, b []reconcile.Item) bool {
	left := map[string]int64{}
	for i := range a {
		left[a[i].Price] += a[i].Quantity
	}
	for i := range b {
		left[b[i].Price] -= b[i].Quantity
	}
	for _, n := range left {
		if n != 0 {
			return false
		}
	}
	return true
}

const (
	// noticeWithin is how old an event may be of which the customer gets a notice: when
	// mails are switched on, nobody gets a notice of a suspension of last month.
	noticeWithin = 24 * time.Hour
	// resumedWithin is how long after the notice of a suspension the customer gets one that
	// it is over.
	resumedWithin = 90 * 24 * time.Hour
	// warnUntil is how long before the event a warning is not sent any more.
	warnUntil = time.Hour
	// mailAgain is how long a mail waits that the server has not taken.
	mailAgain = time.Hour
)

// deletion is a hosting that the retention period deletes, and when.
type deletion struct {
	sub, hosting int
	at           time.Time
}

// planMails adds the mails that are due: of each kind one, for all of its topics.
func (pl *planner) planMails() {
	if !pl.policy.Mail.On {
		return
	}
	due := map[reconcile.MailKind][]reconcile.MailTopic{}
	if pl.policy.Mode == reconcile.Enforce || pl.policy.Mode == reconcile.Observe {
		for i := range pl.subs {
			pl.warnOfSuspension(i, due)
		}
		for _, d := range pl.deletions {
			pl.warnOfDeletion(d, due)
		}
	}
	pl.notices(due)
	for _, kind := range reconcile.MailKinds() {
		if len(due[kind]) > 0 {
			pl.addMail(kind, due[kind])
		}
	}
}

// addMail adds one mail. Its id names all of its topics, so that an approval is of these.
func (pl *planner) addMail(kind reconcile.MailKind, topics []reconcile.MailTopic) {
	slices.SortFunc(topics, func(a, b reconcile.MailTopic) int { return cmp.Compare(a.Key, b.Key) })
	id := "mail:" + topics[0].Key
	if more := topics[1:]; len(more) > 0 {
		sum := sha256.New()
		for i := range more {
			sum.Write([]byte(more[i].Key + "\n"))
		}
		id += "+" + strconv.Itoa(len(more)) + ":" + hex.EncodeToString(sum.Sum(nil)[:6])
	}
	pl.addAction(reconcile.Action{ID: id, Kind: reconcile.SendMail, Subscription: topics[0].Subscription,
		Mail: &reconcile.Mail{Kind: kind, Topics: topics}, Reason: mailReason(kind, topics)})
}

// warnOfSuspension warns of the end of a grace period, if it takes down a hosting that is
// up now.
func (pl *planner) warnOfSuspension(i int, due map[reconcile.MailKind][]reconcile.MailTopic) {
	s := &pl.subs[i]
	if s.graceEnds.IsZero() || s.LapseUnknown() || s.Lapse.Seen.IsZero() {
		return
	}
	if m := pl.forbids(reconcile.Action{Kind: reconcile.Suspend, Subscription: s.ID}); m != nil && (m.Until.IsZero() || m.Until.After(s.graceEnds)) {
		return
	}
	for j := range pl.assignments {
		if l := &pl.assignments[j]; l.sub == i && l.hosting >= 0 && pl.c.Hostings[l.hosting].State == reconcile.HostingActive && !pl.outlives(l, s.graceEnds) {
			t := pl.topic(l.sub, &pl.c.Hostings[l.hosting], s.graceEnds)
			t.Hosting, t.Unpaid = 0, true
			pl.warn(reconcile.WarnSuspend, s.ID, s.Lapse.Seen, t, due)
			return
		}
	}
}

// outlives reports whether another subscription keeps a hosting up beyond an instant.
func (pl *planner) outlives(l *assignment, at time.Time) bool {
	return pl.keptByOther(l) || slices.ContainsFunc(pl.assignments, func(o assignment) bool {
		return o.Hosting == l.Hosting && o.sub >= 0 && o.sub != l.sub && o.desired == desiredActive && pl.subs[o.sub].graceEnds.After(at)
	})
}

// warnOfDeletion warns of the end of a retention period.
func (pl *planner) warnOfDeletion(d deletion, due map[reconcile.MailKind][]reconcile.MailTopic) {
	h := &pl.c.Hostings[d.hosting]
	if pl.forbids(reconcile.Action{Kind: reconcile.Terminate, Subscription: pl.subs[d.sub].ID, Hosting: h.ID}) != nil {
		return
	}
	t := pl.topic(d.sub, h, d.at)
	t.Ended, t.Deleted = true, d.at
	pl.warn(reconcile.WarnTerminate, reconcile.FormatID(h.ID), h.SuspendedByUs, t, due)
}

// warn adds a warning that is due, and the forecast of those that come. Of several whose
// time has passed only the one nearest to the event counts: a warning that could not be
// sent in time is never sent late.
func (pl *planner) warn(kind reconcile.MailKind, of string, spell time.Time, t reconcile.MailTopic, due map[reconcile.MailKind][]reconcile.MailTopic) {
	nearest := time.Duration(0)
	for _, before := range pl.policy.Mail.WarnBefore {
		if before == 0 {
			break
		}
		key := mailKey(kind, of, spell) + ":" + strings.TrimSuffix(before.String(), "0m0s")
		at := t.At.Add(-before)
		if at.After(pl.now) {
			pl.recheckAt(at)
			if pl.mayMail(key) && pl.policy.Mode == reconcile.Enforce {
				pl.addForecast(reconcile.ForecastEntry{At: at, Kind: reconcile.ForecastWarn, Subscription: t.Subscription, Hosting: t.Hosting, Reason: willBeWarned(kind, t)})
			}
			continue
		}
		nearest, t.Key = before, key
	}
	if nearest == 0 || t.At.Sub(pl.now) < warnUntil || !pl.mayMail(t.Key) {
		return
	}
	due[kind] = append(due[kind], t)
}

// notices adds the notices of events that this program has brought about lately.
func (pl *planner) notices(due map[reconcile.MailKind][]reconcile.MailTopic) {
	noticed := idSet{}
	for _, b := range pl.c.Bindings {
		i, j := pl.subIndex(b.Subscription), pl.hostingIndex(b.Hosting)
		if i < 0 || j < 0 || noticed[b.Hosting] || pl.servesLater(b) {
			continue
		}
		noticed[b.Hosting] = true
		h := &pl.c.Hostings[j]
		id := reconcile.FormatID(h.ID)
		switch {
		case !h.TerminatedByUs.IsZero():
			pl.notice(reconcile.NoticeDeleted, mailKey(reconcile.NoticeDeleted, id, h.TerminatedByUs), pl.topic(i, h, h.TerminatedByUs), due)
		case h.State == reconcile.HostingSuspended && !h.SuspendedByUs.IsZero() && !pl.resumes(h.ID):
			t := pl.topic(i, h, h.SuspendedByUs)
			status := pl.subs[i].Status
			t.Unpaid, t.Ended = status == reconcile.StatusPastDue || status == reconcile.StatusUnpaid, status.Ended()
			for _, d := range pl.deletions {
				if d.hosting == j {
					t.Deleted = d.at
				}
			}
			pl.notice(reconcile.NoticeSuspended, mailKey(reconcile.NoticeSuspended, id, h.SuspendedByUs), t, due)
		case h.State == reconcile.HostingActive:
			if spell, at := pl.noticedSuspension(h.ID); spell != "" && pl.now.Sub(at) < resumedWithin && pl.mayMail(reconcile.NoticeResumed.String()+spell) {
				t := pl.topic(i, h, time.Time{})
				t.Key = reconcile.NoticeResumed.String() + spell
				due[reconcile.NoticeResumed] = append(due[reconcile.NoticeResumed], t)
			}
		}
	}
}

// idSet is hostings by their ids.
type idSet map[int64]bool

// servesLater reports whether the hosting of a binding has another one of a subscription
// that has not ended, while its own has: that one stands for the hosting.
func (pl *planner) servesLater(b reconcile.Binding) bool {
	i := pl.subIndex(b.Subscription)
	return pl.subs[i].Status.Ended() && slices.ContainsFunc(pl.c.Bindings, func(o reconcile.Binding) bool {
		j := pl.subIndex(o.Subscription)
		return o.Hosting == b.Hosting && j >= 0 && !pl.subs[j].Status.Ended()
	})
}

// resumes reports whether this decision lifts the suspension of a hosting.
func (pl *planner) resumes(hosting int64) bool {
	return slices.ContainsFunc(pl.out.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.Resume && a.Hosting == hosting })
}

// notice adds the notice of an event that is not too old.
func (pl *planner) notice(kind reconcile.MailKind, key string, t reconcile.MailTopic, due map[reconcile.MailKind][]reconcile.MailTopic) {
	if pl.now.Sub(t.At) < noticeWithin && pl.mayMail(key) {
		t.Key = key
		due[kind] = append(due[kind], t)
	}
}

// noticedSuspension is the last suspension of a hosting of which the customer had a notice:
// the end of its key, and when the notice was. "": there is none.
func (pl *planner) noticedSuspension(hosting int64) (spell string, at time.Time) {
	prefix := reconcile.NoticeSuspended.String()
	for _, m := range pl.c.Mails {
		rest, ok := strings.CutPrefix(m.Key, prefix)
		if ok && strings.HasPrefix(rest, ":"+reconcile.FormatID(hosting)+":") && m.State != reconcile.MailUnsent && m.State != reconcile.MailRefused && m.At.After(at) {
			spell, at = rest, m.At
		}
	}
	return spell, at
}

// mayMail reports whether no mail with a topic of this key was sent, or may have been. If
// the server has not taken one, it is tried again after a while.
func (pl *planner) mayMail(key string) bool {
	for _, m := range pl.c.Mails {
		if m.Key != key {
			continue
		}
		again := m.At.Add(mailAgain)
		if m.State != reconcile.MailUnsent || again.After(pl.now) {
			if m.State == reconcile.MailUnsent {
				pl.recheckAt(again)
			}
			return false
		}
	}
	return true
}

// mailKey names a matter: its kind, its subscription or hosting, and when its spell began.
func mailKey(kind reconcile.MailKind, of string, spell time.Time) string {
	return kind.String() + ":" + of + ":" + strconv.FormatInt(spell.Unix(), 10)
}

// topic describes a hosting of a subscription.
func (pl *planner) topic(i int, h *reconcile.Hosting, at time.Time) reconcile.MailTopic {
	s := &pl.subs[i]
	return reconcile.MailTopic{Subscription: s.ID, Hosting: h.ID, Plan: pl.planName(h.Plan), Domain: cmp.Or(h.Website, s.domain), At: at}
}
