package report

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// foldAt is the most octets that RFC 5545 gives a line without its break (section 3.1).
const foldAt = 75

// Calendar writes a forecast as iCalendar (RFC 5545). An entry has the same UID in every
// forecast, so that a calendar which imports the next one moves the event; now is the
// DTSTAMP, by which it sees which of the two is newer.
func Calendar(w io.Writer, all []reconcile.ForecastEntry, now time.Time) error {
	c := calendar{bufio.NewWriter(w)}
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//stripe-enhance//forecast//EN")
	c.line("CALSCALE", "GREGORIAN")
	c.line("METHOD", "PUBLISH")
	c.line("X-WR-CALNAME", "Hosting forecast")
	for i := range all {
		c.event(&all[i], now)
	}
	c.line("END", "VCALENDAR")
	return c.Flush()
}

// calendar writes content lines. A bufio.Writer keeps its first error until Flush.
type calendar struct{ *bufio.Writer }

func (c calendar) event(e *reconcile.ForecastEntry, now time.Time) {
	c.line("BEGIN", "VEVENT")
	c.line("UID", uid(e))
	c.line("DTSTAMP", utc(now))
	c.line("DTSTART", utc(e.At))
	c.line("SUMMARY", escapeText(string(e.Kind)+": "+Who(e.Email, e.Customer)))
	c.line("DESCRIPTION", escapeText(e.Reason+"\n"+strings.Join(ids(e), "\n")))
	c.line("CATEGORIES", escapeText(string(e.Kind)))
	c.line("TRANSP", "TRANSPARENT") // it keeps no person busy
	c.line("END", "VEVENT")
}

// ids are the ids by which a person finds what the entry is about.
func ids(e *reconcile.ForecastEntry) (all []string) {
	for _, id := range []string{e.Customer, e.Subscription} {
		if id != "" {
			all = append(all, id)
		}
	}
	if e.Hosting != 0 {
		all = append(all, "hosting "+strconv.FormatInt(e.Hosting, 10))
	}
	return all
}

// uid is the same for an entry as long as it means the same thing, whatever its day is.
func uid(e *reconcile.ForecastEntry) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(e.Kind), e.Customer, e.Subscription, strconv.FormatInt(e.Hosting, 10), e.Source}, "\x00")))
	return hex.EncodeToString(sum[:16]) + "@stripe-enhance"
}

func utc(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// escapeText writes a value of type TEXT (section 3.3.11). Control characters, which it
// may not have, become "?".
func escapeText(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`).Replace(Plain(strings.ToValidUTF8(lines[i], "?")))
	}
	return strings.Join(lines, `\n`)
}

// line writes a content line, folded so that no character is cut in two.
func (c calendar) line(name, value string) {
	rest, room := name+":"+value, foldAt
	for len(rest) > room {
		n := room
		for !utf8.RuneStart(rest[n]) {
			n--
		}
		_, _ = c.WriteString(rest[:n] + "\r\n ")
		rest, room = rest[n:], foldAt-1 // the space counts
	}
	_, _ = c.WriteString(rest + "\r\n")
}
