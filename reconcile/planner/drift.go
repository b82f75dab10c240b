package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Drifted describes the changes of a hosting since it was last read; "" if nothing that
// matters has changed, or it was never read before.
func Drifted(was, is reconcile.Hosting) string {
	if was.State == 0 {
		return ""
	}
	text := ""
	switch {
	case was.State != is.State:
		text = fmt.Sprintf("is %s now and was %s", describeHosting(&is), was.State)
	case was.SuspendedBy != is.SuspendedBy && is.State != reconcile.HostingMissing:
		text = "is suspended by " + is.SuspendedBy + " now and was by " + was.SuspendedBy
	}
	if was.Plan != is.Plan && is.State != reconcile.HostingMissing {
		if text != "" {
			text += ", and "
		}
		text += fmt.Sprintf("is on plan %d now and was on plan %d", is.Plan, was.Plan)
	}
	if text == "" {
		return ""
	}
	if !was.ObservedAt.IsZero() && was.ObservedAt.Unix() > 0 { // zero where a look was asked for
		text += " (" + reconcile.FormatTime(was.ObservedAt) + ")"
	}
	return fmt.Sprintf("hosting %d %s", is.ID, text)
}
