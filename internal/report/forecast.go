package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Forecast is what comes with a date within some days, as scripts see it.
type Forecast struct {
	Days    int      `json:"days"`
	Entries []Ahead  `json:"entries"`         // by time
	Notes   []string `json:"notes,omitempty"` // the parts that are left out, and why
}

// ForecastOf makes the outside form of a forecast.
func ForecastOf(days int, all []reconcile.ForecastEntry, notes []string) Forecast {
	return Forecast{Days: days, Entries: AheadOf(all), Notes: notes}
}

// Table is the forecast as rows.
func (f Forecast) Table() *Table {
	t := &Table{Head: []string{"at", "kind", "customer", "subscription", "email", "reason"}}
	for _, e := range f.Entries {
		t.Add(*e.At, e.Kind, e.Customer, e.Subscription, e.Email, e.Reason)
	}
	return t
}

// Text writes the forecast for people, a heading for each day (of UTC).
func (f Forecast) Text(w io.Writer, v View) error {
	p := printer{View: v}
	p.sentence("", f.summary(), p.Bold)
	for rest := f.Entries; len(rest) > 0; {
		day, _, _ := strings.Cut(*rest[0].At, "T")
		n := slices.IndexFunc(rest, func(e Ahead) bool { return !strings.HasPrefix(*e.At, day+"T") })
		if n < 0 {
			n = len(rest)
		}
		p.linef("\n%s", p.Bold(dayName(day)))
		lines := make([]entry, n)
		for i, e := range rest[:n] {
			lines[i] = entry{name: fmt.Sprintf("%s  %-11s  %s", clock(*e.At), e.Kind, Who(e.Email, e.Customer)), text: e.Reason}
		}
		p.beside("  ", lines, Style.Warn)
		rest = rest[n:]
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// summary counts the entries by kind.
func (f Forecast) summary() string {
	count := map[string]int{}
	for _, e := range f.Entries {
		count[e.Kind]++
	}
	kinds := make([]string, 0, len(count))
	for kind := range count {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for i, kind := range kinds {
		kinds[i] = Number(count[kind]) + " × " + kind
	}
	if len(kinds) == 0 {
		kinds = []string{"nothing with a date"}
	}
	return "The next " + Count(f.Days, "day") + ": " + strings.Join(kinds, ", ")
}

// dayName writes a date as people read it.
func dayName(date string) string {
	if t, err := time.Parse(time.DateOnly, date); err == nil {
		return t.Format("Monday, 2 January 2006")
	}
	return date
}

// clock is the time of day of an instant in RFC 3339.
func clock(at string) string {
	if _, of, ok := strings.Cut(at, "T"); ok && len(of) >= len("15:04") {
		return of[:len("15:04")]
	}
	return at
}
