package reconcile

import (
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// What people type at Stripe comes in as it was typed: with spaces, a scheme, a path. The
// functions here bring it into the one form that Enhance takes. Text that has no such form
// is not absent: its author meant something, and a hold reports that it cannot be read.

// domains are the names that a website may have: browsers read typed names by the same
// rules.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// DomainKey is the one form of a domain: in lower case and in ASCII (xn--…), without
// scheme, www., port, path and the dot behind. "" when it is empty, or no domain that a
// website can have.
func DomainKey(text string) string {
	text = strings.TrimSpace(text)
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	text = strings.TrimPrefix(text, "//")
	if i := strings.IndexAny(text, "/?#\\"); i >= 0 {
		text = text[:i]
	}
	if host, port, ok := strings.Cut(text, ":"); ok && digits(port) {
		text = host
	}
	name, err := domains.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil || strings.HasSuffix(name, ".") { // of characters that are none to the DNS
		return ""
	}
	if rest := strings.TrimPrefix(name, "www."); strings.Contains(rest, ".") {
		name = rest
	}
	if top := name[strings.LastIndexByte(name, '.')+1:]; top == name || digits(top) {
		return "" // a single word, or an IP address
	}
	return name
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// ParseOrgID reads the id of an org as a person has written it. Where it cannot be
// read, unread is what stands there.
func ParseOrgID(text string) (id, unread string) {
	text = strings.TrimSpace(text)
	id = strings.ToLower(text)
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' ||
		strings.Trim(strings.ReplaceAll(id, "-", ""), "0123456789abcdef") != "" || strings.Count(id, "-") != 4 {
		return "", Truncate(text)
	}
	return id, ""
}

// ParseHostingID reads the id of a hosting as a person has written it: a number above
// 0. Where it cannot be read, unread is what stands there.
func ParseHostingID(text string) (id int64, unread string) {
	text = strings.TrimSpace(text)
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || !digits(text) {
		return 0, Truncate(text)
	}
	return id, ""
}

// ValidEmail reports whether an e-mail can be written to: one address and nothing else,
// apart from spaces around it.
func ValidEmail(text string) bool {
	text = strings.TrimSpace(text)
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text && !strings.ContainsFunc(text, blank)
}

// CleanName is a name as it can be given to Enhance: in one line, without invisible
// characters and without a text at its end that looks like a marker of ours. "" if nothing
// is left.
func CleanName(text string) string {
	name := strings.Join(strings.FieldsFunc(strings.Map(seen, text), blank), " ")
	for {
		if _, marked := MarkerOf(name); !marked {
			return name
		}
		name = strings.TrimSpace(name[:strings.LastIndexByte(name, '[')])
	}
}

func blank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// seen drops the characters that have no width and those that turn the direction of
// writing, but not the joiners, which some scripts cannot be written without.
func seen(r rune) rune {
	if unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' || r == utf8.RuneError {
		return -1
	}
	return r
}

// Truncate returns text from outside for a sentence or a row: its first 100 characters.
func Truncate(text string) string {
	n := 0
	for i := range text {
		if n == 100 {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// FormatTime is an instant for sentences: to the minute, UTC.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// FormatDuration is a duration as the operator wrote it: in hours, without zero minutes.
func FormatDuration(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}

// FormatID writes a hosting's id in decimal digits.
func FormatID(id int64) string { return strconv.FormatInt(id, 10) }

// SlotID renders a subscription's slot as it stands in ids and markers.
func SlotID(sub string, n int) string { return sub + "/" + strconv.Itoa(n) }
