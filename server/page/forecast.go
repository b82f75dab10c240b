package page

import (
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

const (
	// datedRows is how many rows the list below the calendar has.
	datedRows = 10
	// fewEntries is how many entries the calendar of a month may have. If there are more, each
	// day shows its first one, and how many there are besides.
	fewEntries = 40
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
	Is             figures
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
	if v.query().CSV {
		all, err := v.server.Tools().WholeForecast(v.r.Context(), month)
		return v.forecastList(all), err
	}
	f, err := v.server.Tools().Forecast(v.r.Context(), month)
	if err != nil {
		return nil, err
	}
	b := forecastBody{list: v.forecastList(f.Entries), Month: v.monthName(month), Behind: month.AddDate(0, 1, 0).Format("2006-01"), Notes: f.Notes, Weekdays: v.weekdays(),
		Weeks: v.weeks(month, now, f.Days), Quiet: f.Total == 0, Is: v.figures(f.Figures)}
	b.Is.cut(b.list, len(f.Entries), f.Total)
	if month.After(present) {
		b.Before = month.AddDate(0, -1, 0).Format("2006-01")
	}
	return b, nil
}

func (v *visit) forecastList(all []reconcile.ForecastEntry) *list {
	columns := []column{{Key: "forecast.at", Kind: "time"}, {Key: "forecast.kind", Kind: "state"}, {Key: "forecast.customer"}, {Key: "forecast.subscription"}, {Key: "forecast.email"}, {Key: "forecast.reason", Kind: "wide"}}
	return v.pagedOf("forecast.none", columns, datedRows, len(all), func(i int) row {
		e := &all[i]
		return row{{At: e.At}, {Text: string(e.Kind), Mark: forecastMarks[e.Kind]}, {Text: e.Customer, Href: customerAddress(e.Customer)}, {Text: e.Subscription}, {Text: e.Email}, {Text: e.Reason}}
	})
}

// monthOf is the first moment of a month.
func monthOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// weeks are the days of a month, from Monday to Sunday.
func (v *visit) weeks(month, now time.Time, all map[int]server.ForecastDay) (weeks []week) {
	shown := 0
	for _, of := range all {
		shown += len(of.First)
	}
	at := (int(month.Weekday()) + 6) % 7
	w := week{Quiet: true}
	for t := month; t.Month() == month.Month(); t = t.AddDate(0, 0, 1) {
		d := day{Number: t.Day(), Name: v.day(t), Today: t.Equal(now.Truncate(24 * time.Hour))}
		of := all[t.Day()]
		if shown > fewEntries {
			of.First = of.First[:min(len(of.First), 1)]
		}
		d.More = of.All - len(of.First)
		for _, e := range of.First {
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
