package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A forecast has the day of a change: of an end that Stripe has announced, of the end of a
// grace period, and of a deletion when retention is over.
func TestWhatComesNext(t *testing.T) {
	const month = 30 * 24 * time.Hour
	status := func(s reconcile.Status) func(*reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = s, s.String()
		}
	}
	ended := func(c *reconcile.Customer) {
		status(reconcile.StatusCanceled)(c)
		c.Subscriptions[0].EndedAt = noon.Add(-time.Hour)
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
	}
	cancelAt := func(c *reconcile.Customer) { c.Subscriptions[0].CancelAt = noon.Add(48 * time.Hour) }
	noSuspend := func(c *reconcile.Customer) {
		c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Customer: "cus_1", Author: "ops"}}
	}
	for _, tc := range []struct {
		name   string
		change []func(*reconcile.Customer)
		mode   reconcile.Mode
		kind   reconcile.ForecastKind // "": no forecast
		at     time.Duration
		reason string
	}{
		{"active", nil, reconcile.Enforce, "", 0, ""},
		{"an end on a day", []func(*reconcile.Customer){cancelAt}, reconcile.Enforce, reconcile.ForecastCancel, 48 * time.Hour,
			"sub_1 is active, and ends at 2026-03-03 12:00 UTC, as Stripe has announced; its hosting is suspended then, and deleted 720h later"},
		{"an end with the period", []func(*reconcile.Customer){func(c *reconcile.Customer) {
			c.Subscriptions[0].CancelAtPeriodEnd, c.Subscriptions[0].CurrentPeriodEnd = true, noon.Add(24*time.Hour)
		}}, reconcile.Enforce, reconcile.ForecastCancel, 24 * time.Hour, "ends at 2026-03-02 12:00 UTC"},
		{"an end under a hold", []func(*reconcile.Customer){cancelAt, noSuspend}, reconcile.Enforce, reconcile.ForecastCancel, 48 * time.Hour, "its hosting stays up then too: no-suspend by ops"},
		{"an end in a mode that takes nothing", []func(*reconcile.Customer){cancelAt}, reconcile.Provision, reconcile.ForecastCancel, 48 * time.Hour, "its hosting stays up then too, because MODE is provision"},
		{"the end of a trial", []func(*reconcile.Customer){status(reconcile.StatusTrialing), func(c *reconcile.Customer) {
			c.Subscriptions[0].CurrentPeriodEnd = noon.Add(72 * time.Hour)
		}}, reconcile.Enforce, reconcile.ForecastTrialEnd, 72 * time.Hour, "sub_1 is in trial until 2026-03-04 12:00 UTC"},
		{"a first payment that is open", []func(*reconcile.Customer){status(reconcile.StatusIncomplete), func(c *reconcile.Customer) {
			c.Subscriptions[0].Created = noon.Add(-time.Hour)
		}}, reconcile.Enforce, reconcile.ForecastCancel, 22 * time.Hour, "sub_1 is incomplete (its first payment is open)"},
		{"grace", []func(*reconcile.Customer){status(reconcile.StatusPastDue), func(c *reconcile.Customer) { c.Subscriptions[0].Lapse.Since = noon }},
			reconcile.Enforce, reconcile.ForecastSuspend, 72 * time.Hour, "is suspended then"},
		{"grace under a hold", []func(*reconcile.Customer){status(reconcile.StatusPastDue), noSuspend, func(c *reconcile.Customer) { c.Subscriptions[0].Lapse.Since = noon }},
			reconcile.Enforce, "", 0, ""},
		{"retention", []func(*reconcile.Customer){ended}, reconcile.Enforce, reconcile.ForecastTerminate, month,
			"hosting 7, suspended since 2026-03-01 12:00 UTC, is deleted at 2026-03-31 12:00 UTC, when the retention period of 720h is over"},
		{"retention under a hold", []func(*reconcile.Customer){ended, noSuspend}, reconcile.Enforce, "", 0, ""},
		{"retention in a mode that takes nothing", []func(*reconcile.Customer){ended}, reconcile.Provision, "", 0, ""},
	} {
		c := world(func(c *reconcile.Customer) {
			for _, change := range tc.change {
				change(c)
			}
		})
		p := policy()
		p.Mode, p.Retention = tc.mode, month
		all := planner.Decide(&c, catalog(), p, noon).Forecast
		switch {
		case tc.kind == "" && len(all) > 0:
			t.Errorf("%s: %+v", tc.name, all)
		case tc.kind == "":
		case len(all) != 1 || all[0].Kind != tc.kind || !all[0].At.Equal(noon.Add(tc.at)) || !strings.Contains(all[0].Reason, tc.reason) ||
			all[0].Customer != "cus_1" || all[0].Subscription != "sub_1" || all[0].Email != "a@example.com" || all[0].Org != "org-1":
			t.Errorf("%s: %+v", tc.name, all)
		}
	}
}

func TestWhatStripeSaysOfASubscription(t *testing.T) {
	for want, s := range map[string]reconcile.Subscription{
		" is active":                       {Status: reconcile.StatusActive},
		" is active (it is sent invoices)": {Status: reconcile.StatusActive, SendInvoice: true},
		" is past_due since 2026-03-01 12:00 UTC (its collection is paused)": {Status: reconcile.StatusPastDue, CollectionPaused: true, Lapse: reconcile.Lapse{Since: noon}},
		" is incomplete (its first payment is open)":                         {Status: reconcile.StatusIncomplete},
		" is unpaid": {Status: reconcile.StatusUnpaid, StatusSince: noon, Lapse: reconcile.Lapse{Seen: noon}},
		" is unpaid, though an invoice of it was paid since": {Status: reconcile.StatusUnpaid, StatusSince: noon,
			Lapse: reconcile.Lapse{Seen: noon.Add(time.Hour)}},
		` has the status "dormant"`: {Status: reconcile.StatusUnknown, StatusText: "dormant"},
	} {
		if got := reconcile.DescribeSubscription(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
