package planner

import (
	"fmt"
	"strings"
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

// holdEnds is for the end of a person's hold.
func holdEnds(m *reconcile.ManualHold) string {
	text := fmt.Sprintf("the hold %s by %s ends", m.Kind, m.Author)
	if m.Reason != "" {
		text += " (" + m.Reason + ")"
	}
	return text + ": the next run makes the changes that it withholds and that are still due"
}

// changesBySchedule is for a phase of a schedule whose items differ from those before it.
func (c *Catalog) changesBySchedule(sc *reconcile.Schedule, before, after []reconcile.Item) string {
	if sc.Subscription == "" && len(before) == 0 {
		return fmt.Sprintf("a subscription to %s begins, as the schedule %s at Stripe has it", c.soldItems(after), sc.ID)
	}
	who := sc.Subscription
	if who == "" {
		who = "the subscription of the schedule"
	}
	return fmt.Sprintf("%s changes from %s to %s, as the schedule %s at Stripe has it", who, c.soldItems(before), c.soldItems(after), sc.ID)
}

func endsBySchedule(sc *reconcile.Schedule, end time.Time) string {
	who := sc.Subscription
	if who == "" {
		who = "the subscription of the schedule"
	}
	return fmt.Sprintf("%s ends at %s, with the last phase of the schedule %s at Stripe", who, reconcile.FormatTime(end), sc.ID)
}

// soldItems lists items with the plans that they buy.
func (c *Catalog) soldItems(items []reconcile.Item) string {
	if len(items) == 0 {
		return "nothing"
	}
	all := make([]string, len(items))
	for i := range items {
		it := &items[i]
		all[i] = fmt.Sprintf("%d × %s", it.Quantity, it.Price)
		switch t, ok := c.match(it); {
		case !ok:
			all[i] += " (no mapping)"
		case t.problem != "":
			all[i] += " (its plan is not at the panel)"
		case !t.none:
			all[i] += fmt.Sprintf(" (plan %q)", t.plan.Name)
		}
	}
	return strings.Join(all, " and ")
}

// mailReason is the reason of a mail.
func mailReason(kind reconcile.MailKind, topics []reconcile.MailTopic) string {
	text := map[reconcile.MailKind]string{
		reconcile.WarnSuspend:     "a warning to the customer: unless it is paid, the hosting is suspended at ",
		reconcile.WarnTerminate:   "a warning to the customer: the hosting is deleted at ",
		reconcile.NoticeSuspended: "a notice to the customer: the hosting was suspended at ",
		reconcile.NoticeResumed:   "a notice to the customer: the hosting is active again",
		reconcile.NoticeDeleted:   "a notice to the customer: the hosting was deleted at ",
	}[kind]
	if !topics[0].At.IsZero() {
		text += reconcile.FormatTime(topics[0].At)
	}
	if n := len(topics) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more in the same mail", n)
	}
	return text
}

// willBeWarned is the sentence of a forecast.
func willBeWarned(kind reconcile.MailKind, t reconcile.MailTopic) string {
	if kind == reconcile.WarnTerminate {
		return fmt.Sprintf("%s: the customer gets a mail that hosting %d is deleted at %s", t.Subscription, t.Hosting, reconcile.FormatTime(t.At))
	}
	return fmt.Sprintf("%s: the customer gets a mail that it is suspended at %s unless it is paid", t.Subscription, reconcile.FormatTime(t.At))
}
