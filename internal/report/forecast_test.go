package report

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func forecastOf(width int, all ...reconcile.ForecastEntry) string {
	var b bytes.Buffer
	_ = ForecastOf(30, all, nil).Text(&b, View{Width: width}) // a bytes.Buffer never fails
	return b.String()
}

func TestAForecastIsShownByDay(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC)
	got := forecastOf(0,
		reconcile.ForecastEntry{At: at, Kind: reconcile.ForecastSuspend, Customer: "cus_1", Email: "a@example.com", Reason: "sub_1 is past_due"},
		reconcile.ForecastEntry{At: at.Add(10 * time.Minute), Kind: reconcile.ForecastPlanChange, Customer: "cus_2", Reason: "sub_2 changes\x1b"},
		reconcile.ForecastEntry{At: at.Add(time.Hour), Kind: reconcile.ForecastSuspend, Customer: "cus_3", Email: "c@example.com", Reason: "sub_3 is past_due"})
	want := `The next 30 days: 1 × plan_change, 2 × suspend

Thursday, 31 December 2026
  23:30  suspend      a@example.com  sub_1 is past_due
  23:40  plan_change  cus_2          sub_2 changes?

Friday, 1 January 2027
  00:30  suspend      c@example.com  sub_3 is past_due
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := forecastOf(0); got != "The next 30 days: nothing with a date\n" {
		t.Errorf("%q", got)
	}
}
