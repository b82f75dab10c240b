package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// event is one VEVENT as a calendar reads it: properties by name.
type event map[string]string

// readCalendar reads iCalendar strictly by RFC 5545: lines end in CRLF and have at most 75
// octets, a folded line goes on with a space, each is NAME:VALUE, components nest.
func readCalendar(text string) (events []event, err error) {
	if !strings.HasSuffix(text, "\r\n") {
		return nil, fmt.Errorf("it does not end in CRLF")
	}
	var lines []string
	for _, raw := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		switch {
		case len(raw) > 75:
			return nil, fmt.Errorf("%d octets: %q", len(raw), raw)
		case strings.ContainsAny(raw, "\r\n"):
			return nil, fmt.Errorf("a bare line break: %q", raw)
		case !utf8.ValidString(raw):
			return nil, fmt.Errorf("a character is cut in two: %q", raw)
		case strings.HasPrefix(raw, " ") && len(lines) > 0:
			lines[len(lines)-1] += raw[1:]
		default:
			lines = append(lines, raw)
		}
	}
	var open []string
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !propertyName.MatchString(name) {
			return nil, fmt.Errorf("no property: %q", line)
		}
		switch name {
		case "BEGIN":
			if open = append(open, value); value == "VEVENT" {
				events = append(events, event{})
			}
		case "END":
			if len(open) == 0 || open[len(open)-1] != value {
				return nil, fmt.Errorf("END:%s in %v", value, open)
			}
			open = open[:len(open)-1]
		default:
			if len(open) == 2 {
				if _, twice := events[len(events)-1][name]; twice {
					return nil, fmt.Errorf("%s twice", name)
				}
				events[len(events)-1][name] = value
			}
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%v is not ended", open)
	}
	return events, nil
}

var propertyName = regexp.MustCompile(`^[A-Z-]+$`)

// unescape reads a value of type TEXT.
func unescape(t interface{ Fatalf(string, ...any) }, value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && i+1 < len(value) && strings.IndexByte(`\;,nN`, value[i+1]) >= 0:
			if i++; value[i] == 'n' || value[i] == 'N' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(value[i])
			}
		case c == '\\' || c == ';' || c == ',' || c < ' ' || c == 0x7f:
			t.Fatalf("%q may not have %q bare", value, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func calendarOf(tb interface{ Fatalf(string, ...any) }, now time.Time, all ...reconcile.ForecastEntry) []event {
	var out bytes.Buffer
	if err := Calendar(&out, all, now); err != nil {
		tb.Fatalf("%v", err)
	}
	events, err := readCalendar(out.String())
	if err != nil {
		tb.Fatalf("%v in:\n%s", err, out.String())
	}
	return events
}

func TestACalendarIsReadBack(t *testing.T) {
	e := reconcile.ForecastEntry{At: t0.Add(26 * time.Hour), Kind: reconcile.ForecastSuspend, Customer: "cus_1", Subscription: "sub_1", Email: "ștefan@example.com", Hosting: 7,
		Reason: `sub_1 is past_due; it stays up, until then: "C:\temp", țară și oraș, ` + strings.Repeat("ăîșțâ", 30)}
	events := calendarOf(t, t0, e)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	got := events[0]
	for name, want := range map[string]string{
		"DTSTAMP": t0.UTC().Format("20060102T150405Z"), "DTSTART": e.At.UTC().Format("20060102T150405Z"),
		"SUMMARY": "suspend: ștefan@example.com", "DESCRIPTION": e.Reason + "\ncus_1\nsub_1\nhosting 7", "CATEGORIES": "suspend", "TRANSP": "TRANSPARENT",
	} {
		if value := unescape(t, got[name]); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if events := calendarOf(t, t0); len(events) != 0 {
		t.Errorf("an empty forecast has %d events", len(events))
	}
}

// An event keeps its UID when its day or its sentence changes, so that a calendar which
// imports the next forecast moves it; events that mean different things never share one.
func TestAnEventKeepsItsUID(t *testing.T) {
	base := reconcile.ForecastEntry{At: t0, Kind: reconcile.ForecastTerminate, Customer: "cus_1", Subscription: "sub_1", Hosting: 7, Source: "x", Email: "a@example.com", Reason: "then"}
	moved := base
	moved.At, moved.Reason, moved.Email, moved.Org = t0.Add(time.Hour), "later", "b@example.com", "org"
	all := []reconcile.ForecastEntry{base, moved}
	for _, change := range []func(*reconcile.ForecastEntry){
		func(e *reconcile.ForecastEntry) { e.Kind = reconcile.ForecastCancel }, func(e *reconcile.ForecastEntry) { e.Customer = "cus_2" },
		func(e *reconcile.ForecastEntry) { e.Subscription = "sub_2" }, func(e *reconcile.ForecastEntry) { e.Hosting = 8 }, func(e *reconcile.ForecastEntry) { e.Source = "y" },
	} {
		other := base
		change(&other)
		all = append(all, other)
	}
	seen := map[string]int{}
	for _, e := range calendarOf(t, t0, all...) {
		seen[e["UID"]]++
	}
	if len(seen) != 6 || seen[uid(&base)] != 2 {
		t.Errorf("%v", seen)
	}
	if again := calendarOf(t, t0.Add(24*time.Hour), moved); again[0]["UID"] != uid(&base) || again[0]["DTSTAMP"] == t0.Format("20060102T150405Z") {
		t.Errorf("the next day: %v", again)
	}
}

// Whatever a name, a reason or an id has in it, what comes out is iCalendar and reads back.
func TestAnyTextFitsIntoACalendar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ășț;,\\\n:"A-Z ]{0,200}`))
		e := reconcile.ForecastEntry{At: t0, Kind: reconcile.ForecastCancel, Customer: text.Draw(t, "customer"), Email: text.Draw(t, "email"), Reason: text.Draw(t, "reason")}
		got := calendarOf(t, t0, e, e)
		if len(got) != 2 {
			t.Fatalf("%d events", len(got))
		}
		want := ""
		for i, line := range strings.Split(strings.ToValidUTF8(e.Reason, "?"), "\n") {
			if i > 0 {
				want += "\n"
			}
			want += Plain(line)
		}
		if text := unescape(t, got[0]["DESCRIPTION"]); !strings.HasPrefix(text, want) {
			t.Fatalf("%q, want %q", text, want)
		}
	})
}
