package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// AheadKind is what kind of thing comes with a date. Values are part of the JSON contract.
type AheadKind string

const (
	AheadSuspend   AheadKind = "suspend"
	AheadTerminate AheadKind = "terminate"
	AheadCancel    AheadKind = "cancel"
	AheadTrialEnd  AheadKind = "trial_end"
	AheadExpire    AheadKind = "expire" // of a first payment that is not made
)

// Ahead is something that comes on a day if nothing changes until then.
type Ahead struct {
	At                            time.Time
	Kind                          AheadKind
	Customer, Subscription, Email string
	Org                           string
	Hosting                       int64
	Reason                        string // a sentence
}

// firstPaymentWithin is how long Stripe waits for the first payment of a subscription
// (docs.stripe.com/billing/subscriptions/overview, "incomplete").
const firstPaymentWithin = 23 * time.Hour

// ahead notes what comes.
func (pl *planner) ahead(a Ahead) {
	if !a.At.After(pl.now) {
		return
	}
	a.Customer, a.Email = pl.c.ID, pl.buyerOf(a.Subscription).Email
	a.Org = cmp.Or(a.Org, pl.orgOf(a.Hosting))
	pl.out.Ahead = append(pl.out.Ahead, a)
}

// announced notes what Stripe says will become of a subscription.
func (pl *planner) announced(i int) {
	s := &pl.subs[i]
	end := s.EndsAt()
	if !end.IsZero() {
		pl.ahead(Ahead{At: end, Kind: AheadCancel, Subscription: s.ID, Reason: fmt.Sprintf("%s, and ends at %s, as Stripe has announced%s", standing(s), day(end), pl.afterEndOf(i))})
	}
	switch {
	case s.Status == StatusTrialing && end.IsZero():
		pl.ahead(Ahead{At: s.CurrentPeriodEnd, Kind: AheadTrialEnd, Subscription: s.ID,
			Reason: fmt.Sprintf("%s: what is due is charged then", standing(s))})
	case s.Status == StatusIncomplete && !s.Created.IsZero():
		pl.ahead(Ahead{At: s.Created.Add(firstPaymentWithin), Kind: AheadExpire, Subscription: s.ID,
			Reason: fmt.Sprintf("%s: nothing is made for it, and it expires then unless that comes", standing(s))})
	}
}

// afterEndOf says what becomes of the hostings of a subscription when it has ended.
func (pl *planner) afterEndOf(i int) string {
	if pl.linksOf(i) == 0 {
		return "; no hosting is bound to it"
	}
	m := pl.forbids(Action{Kind: Suspend, Subscription: pl.subs[i].ID})
	switch {
	case m != nil && (m.Until.IsZero() || m.Until.After(pl.subs[i].EndsAt())):
		return fmt.Sprintf("; its hosting stays up then too: %s by %s", m.Kind, m.Author)
	case pl.policy.Mode != Enforce:
		return "; its hosting stays up then too, because MODE is " + pl.policy.Mode.String()
	case pl.policy.Retention > 0:
		return fmt.Sprintf("; its hosting is suspended then, and deleted %s later", span(pl.policy.Retention))
	}
	return "; its hosting is suspended then"
}

// deletedAt notes when retention deletes a hosting.
func (pl *planner) deletedAt(cl claim, h *Hosting, due time.Time) {
	if pl.policy.Mode != Enforce || pl.forbids(Action{Kind: Terminate, Subscription: cl.lead.Subscription, Hosting: h.ID}) != nil {
		return
	}
	pl.ahead(Ahead{At: due, Kind: AheadTerminate, Subscription: cl.lead.Subscription, Org: h.Org, Hosting: h.ID,
		Reason: fmt.Sprintf("%s: hosting %d, suspended since %s, is deleted at %s, when the retention period of %s is over",
			standing(&pl.subs[cl.lead.sub]), h.ID, day(h.SuspendedByUs), day(due), span(pl.policy.Retention))})
}

// inOrderOfTime sorts what comes.
func inOrderOfTime(all []Ahead) {
	slices.SortStableFunc(all, func(a, b Ahead) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Hosting, b.Hosting))
	})
}
