package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

const formatICS format = "ics"

// The days of a forecast. Ten years is further than anything that has a date.
const (
	usualDays = 30
	mostDays  = 3660
)

func (p *program) forecastCommand() *cobra.Command {
	days := usualDays
	c := &cobra.Command{
		Use:   "forecast",
		Short: "What comes with a date: suspensions, ends, plan changes, deletions",
		Long: "Lists what comes with a date if nothing else happens until then, by day:\n\n" +
			"  suspend      a grace period ends, and the hosting is suspended\n" +
			"  trial_end    a trial ends, and the first amount is charged\n" +
			"  cancel       a subscription ends, or expires without a first payment\n" +
			"  plan_change  a subscription schedule at Stripe changes what is bought\n" +
			"  hold_end     a hold that a person put for a time ends\n" +
			"  terminate    the retention period ends, and the hosting is deleted\n\n" +
			"It reads the database. Only plan changes are read at Stripe; if that fails, or the\n" +
			"key may not read subscription schedules, the rest is listed, and a line on stderr\n" +
			"gives the reason. -o ics is a calendar to import: to import it again moves the events.",
		GroupID: groupLook,
		Args:    arguments(),
		Example: "  stripe-enhance forecast\n" +
			"  stripe-enhance forecast --days 7 -o csv > week.csv\n" +
			"  stripe-enhance forecast --days 90 -o ics > hosting.ics",
		Annotations: map[string]string{formats: "text,json,csv,ics"},
		RunE: func(c *cobra.Command, _ []string) error {
			if days < 1 || days > mostDays {
				return &usageError{fmt.Errorf("--days %d: want 1 to %d", days, mostDays), c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.forecast(ctx, a, days) })
		},
	}
	c.Flags().IntVar(&days, "days", usualDays, "how many days to look ahead")
	return c
}

func (p *program) forecast(ctx context.Context, a *app.App, days int) error {
	now := p.now()
	f, err := a.Forecast(ctx, now.Add(time.Duration(days)*24*time.Hour))
	if err != nil {
		return err
	}
	for _, note := range f.Notes {
		p.sayf("%s", note)
	}
	if p.format == formatICS {
		return report.Calendar(p.out, f.Entries, now)
	}
	outside := report.ForecastOf(days, f.Entries, f.Notes)
	switch p.format {
	case formatJSON:
		return report.WriteJSON(p.out, outside)
	case formatCSV:
		return outside.Table().CSV(p.out)
	case formatText, formatICS:
	}
	return outside.Text(p.out, p.view())
}
