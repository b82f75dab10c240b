package planner

import (
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// endsAnnounced is for an end that Stripe has announced.
func (pl *planner) endsAnnounced(i int, end time.Time) string {
	return fmt.Sprintf("%s, and ends at %s, as Stripe has announced%s", standing(&pl.subs[i]), reconcile.FormatTime(end), pl.afterEndOf(i))
}

func trialEnds(s *assessed) string {
	return fmt.Sprintf("%s: the amount due is charged then", standing(s))
}

// expires is for a first payment that has not been made.
func expires(s *assessed) string {
	return fmt.Sprintf("%s: nothing is made for it, and it expires then unless that comes", standing(s))
}

// afterEndOf describes the future of a subscription's hostings after its end.
func (pl *planner) afterEndOf(i int) string {
	if pl.assignmentsOf(i) == 0 {
		return "; no hosting is bound to it"
	}
	m := pl.forbids(reconcile.Action{Kind: reconcile.Suspend, Subscription: pl.subs[i].ID})
	switch {
	case m != nil && (m.Until.IsZero() || m.Until.After(pl.subs[i].EndsAt())):
		return fmt.Sprintf("; its hosting stays up then too: %s by %s", m.Kind, m.Author)
	case pl.policy.Mode != reconcile.Enforce:
		return "; its hosting stays up then too, because MODE is " + pl.policy.Mode.String()
	case pl.policy.Retention > 0:
		return fmt.Sprintf("; its hosting is suspended then, and deleted %s later", reconcile.FormatDuration(pl.policy.Retention))
	}
	return "; its hosting is suspended then"
}

// willBeDeleted is for the end of a retention period.
func (pl *planner) willBeDeleted(cl demand, h *reconcile.Hosting, due time.Time) string {
	return fmt.Sprintf("%s: hosting %d, suspended since %s, is deleted at %s, when the retention period of %s is over",
		standing(&pl.subs[cl.lead.sub]), h.ID, reconcile.FormatTime(h.SuspendedByUs), reconcile.FormatTime(due), reconcile.FormatDuration(pl.policy.Retention))
}
