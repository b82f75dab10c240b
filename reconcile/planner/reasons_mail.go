package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
