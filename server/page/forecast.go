package page

import (
	"slices"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// furthest is how many months ahead the calendar goes: ten years, as the command does.
const furthest = 120

// forecastBody is the body of the calendar.
type forecastBody struct {
	*list
	Month          string // as a heading
	Before, Behind string // months as a parameter; "": there is none
	Weekdays       []string
	Weeks          []week
	Quiet          bool // nothing comes
	Notes          []string
}

// week is a row of the calendar.
type week struct {
	Days  [7]day
	Quiet bool // nothing comes
}

// day is a day of the calendar.
type day struct {
	Number  int    // 0: it is of another month
	Name    string // the whole date
	Today   bool
	Entries []entry
	More    int // entries that have no room
}

// entry is a line in a day.
type entry struct {
	Word, Mark, Who, Reason string
	At                      time.Time
}

// mostInADay is how many entries of a day the calendar has; the list below has all.
const mostInADay = 4

// forecastMarks are the colours of the kinds.
var forecastMarks = map[reconcile.ForecastKind]string{reconcile.ForecastSuspend: "bad", reconcile.ForecastTerminate: "bad", reconcile.ForecastCancel: "wait",
	reconcile.ForecastTrialEnd: "good", reconcile.ForecastPlanChange: "good", reconcile.ForecastWarn: "wait", reconcile.ForecastHoldEnd: "quiet"}

// forecast shows a month.
func (v *visit) forecast() (any, error) {
	now := v.server.Now().UTC()
	present := monthOf(now)
	month, err := time.Parse("2006-01", v.r.URL.Query().Get("month"))
	if err != nil || month.Before(present) || month.After(present.AddDate(0, furthest, 0)) {
		month = present
	}
	next := month.AddDate(0, 1, 0)
	all, notes, err := v.server.Tools().Forecast(v.r.Context(), next.Add(-time.Microsecond))
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(e reconcile.ForecastEntry) bool { return e.At.Before(month) })
	b := forecastBody{Month: v.monthName(month), Behind: next.Format("2006-01"), Notes: notes, Weekdays: v.weekdays(), Weeks: v.weeks(month, now, all), Quiet: len(all) == 0}
	if month.After(present) {
		b.Before = month.AddDate(0, -1, 0).Format("2006-01")
	}
	columns := []column{{Key: "forecast.at", Kind: "time"}, {Key: "forecast.kind", Kind: "state"}, {Key: "forecast.customer"}, {Key: "forecast.subscription"}, {Key: "forecast.email"}, {Key: "forecast.reason", Kind: "wide long"}}
	var rows []row
	for i := range all {
		e := &all[i]
		rows = append(rows, row{{At: e.At}, {Text: string(e.Kind), Mark: forecastMarks[e.Kind]}, {Text: e.Customer, Href: customerAddress(e.Customer)}, {Text: e.Subscription}, {Text: e.Email}, {Text: e.Reason}})
	}
	b.list = v.paged("forecast.none", columns, rows)
	return b, nil
}

// monthOf is the first moment of a month.
func monthOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// weeks are the days of a month, from Monday to Sunday.
func (v *visit) weeks(month, now time.Time, all []reconcile.ForecastEntry) (weeks []week) {
	byDay := map[int][]reconcile.ForecastEntry{}
	for _, e := range all {
		byDay[e.At.UTC().Day()] = append(byDay[e.At.UTC().Day()], e)
	}
	at := (int(month.Weekday()) + 6) % 7
	w := week{Quiet: true}
	for t := month; t.Month() == month.Month(); t = t.AddDate(0, 0, 1) {
		d := day{Number: t.Day(), Name: v.day(t), Today: t.Equal(now.Truncate(24 * time.Hour))}
		for i, e := range byDay[t.Day()] {
			if i == mostInADay {
				d.More = len(byDay[t.Day()]) - mostInADay
				break
			}
			d.Entries = append(d.Entries, entry{Word: string(e.Kind), Mark: forecastMarks[e.Kind], Who: report.Who(e.Email, e.Customer), Reason: e.Reason, At: e.At})
		}
		w.Days[at], w.Quiet = d, w.Quiet && len(d.Entries) == 0
		if at++; at == len(w.Days) {
			weeks, w, at = append(weeks, w), week{Quiet: true}, 0
		}
	}
	if at > 0 {
		weeks = append(weeks, w)
	}
	return weeks
}

// monthNames are the months as headings; weekdayNames begin with Monday.
var (
	monthNames = map[string][]string{
		"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		"ro": {"ianuarie", "februarie", "martie", "aprilie", "mai", "iunie", "iulie", "august", "septembrie", "octombrie", "noiembrie", "decembrie"},
	}
	weekdayNames = map[string][]string{
		"en": {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
		"ro": {"lun.", "mar.", "mie.", "joi", "vin.", "sâm.", "dum."},
	}
)

func (v *visit) weekdays() []string { return weekdayNames[v.Language()] }

func (v *visit) monthName(t time.Time) string {
	return monthNames[v.Language()][t.Month()-1] + " " + strconv.Itoa(t.Year())
}
