package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Secrets are several credentials that are all accepted, as while one is rotated.
type Secrets []secret.Text

// UnmarshalText splits at commas and lines; empty parts (a trailing comma) are dropped.
func (s *Secrets) UnmarshalText(b []byte) error {
	*s = secret.Split(string(b))
	return nil
}

// Rate is requests a second. The zero value is invalid.
type Rate float64

// maxRate is far above what either side allows; more than that is a typing mistake.
const maxRate = 10_000

// UnmarshalText accepts a positive decimal number.
func (r *Rate) UnmarshalText(b []byte) error {
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(n > 0) || n > maxRate { // !(n > 0) also catches NaN
		return fmt.Errorf("%q is not a number of requests a second, above 0 and at most %d", b, maxRate)
	}
	*r = Rate(n)
	return nil
}

// OrgID is the UUID of an Enhance organisation.
type OrgID string

var uuidShape = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// UnmarshalText accepts the usual spelling in either case and keeps lower case.
func (o *OrgID) UnmarshalText(b []byte) error {
	id := strings.ToLower(string(b))
	if !uuidShape.MatchString(id) {
		return fmt.Errorf("%q is not a UUID (8-4-4-4-12 hexadecimal digits; the panel shows it in the address bar)", b)
	}
	*o = OrgID(id)
	return nil
}

// Paused is the effect of pause_collection. The zero value is invalid.
type Paused uint8

const (
	// KeepPaused leaves the hosting up.
	KeepPaused Paused = iota + 1
	// SuspendPaused suspends it while the collection is paused.
	SuspendPaused
)

// UnmarshalText accepts keep and suspend.
func (p *Paused) UnmarshalText(b []byte) error {
	switch string(b) {
	case "keep":
		*p = KeepPaused
	case "suspend":
		*p = SuspendPaused
	default:
		return fmt.Errorf("%q is neither keep nor suspend", b)
	}
	return nil
}

// String is the word of the configuration.
func (p Paused) String() string {
	switch p {
	case KeepPaused:
		return "keep"
	case SuspendPaused:
		return "suspend"
	}
	return "invalid"
}

// Instant is a moment: a day, which begins at midnight UTC, or a time of RFC 3339.
type Instant struct{ time.Time }

// UnmarshalText accepts 2026-11-01 and 2026-11-01T09:00:00+01:00.
func (i *Instant) UnmarshalText(b []byte) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(b)); err == nil {
			i.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%q is neither a day like 2026-11-01 nor a time like 2026-11-01T09:00:00Z", b)
}

// Word is the word that this installation puts into its markers.
type Word string

// UnmarshalText accepts a word that fits into a marker.
func (w *Word) UnmarshalText(b []byte) error {
	if !reconcile.ValidInstance(string(b)) {
		return fmt.Errorf("%q is not a word of up to 16 lower-case letters, digits and hyphens", b)
	}
	*w = Word(b)
	return nil
}

// Warnings are how long before an event the customer is warned, the longest first.
type Warnings []time.Duration

// UnmarshalText accepts durations separated by commas, in any order, and 0 for none.
func (w *Warnings) UnmarshalText(b []byte) error {
	*w = nil
	for part := range strings.SplitSeq(string(b), ",") {
		d, err := reconcile.ParseDuration(strings.TrimSpace(part))
		switch {
		case err != nil:
			return err
		case d == 0 && string(b) == strings.TrimSpace(part):
			return nil
		case d < reconcile.LeastWarning:
			return fmt.Errorf("%q is less than %s, which leaves no time to pay", part, reconcile.LeastWarning)
		case slices.Contains(*w, d):
			return fmt.Errorf("%q has %s twice", b, d)
		}
		*w = append(*w, d)
	}
	if len(*w) > reconcile.MaxWarnings {
		return fmt.Errorf("%q has more than %d warnings", b, reconcile.MaxWarnings)
	}
	slices.SortFunc(*w, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	return nil
}

// Keep is how long something is kept. 0: for ever.
type Keep time.Duration

const (
	year = 365 * 24 * time.Hour
	// leastKept is the shortest time: that of a dispute at Stripe, with a month to spare.
	leastKept = 90 * 24 * time.Hour
)

// UnmarshalText accepts years (2y) and durations, and 0 or forever.
func (k *Keep) UnmarshalText(b []byte) error {
	text := string(b)
	if text == "forever" {
		*k = 0
		return nil
	}
	var d time.Duration
	years, err := strconv.ParseUint(strings.TrimSuffix(text, "y"), 10, 7)
	if strings.HasSuffix(text, "y") && err == nil {
		d = time.Duration(years) * year
	} else if d, err = reconcile.ParseDuration(text); err != nil {
		return fmt.Errorf("%q is neither a number of years or days (2y, 400d) nor forever", text)
	}
	if d != 0 && d < leastKept {
		return fmt.Errorf("%q is less than 90 days; the brakes and disputes look back at what was done", text)
	}
	*k = Keep(d)
	return nil
}

// Address is a TCP address to listen on, host:port or :port.
type Address string

// UnmarshalText checks the shape; whether the port is free shows when listening.
func (a *Address) UnmarshalText(b []byte) error {
	_, number, err := net.SplitHostPort(string(b))
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT or :PORT", b)
	}
	if n, err := strconv.ParseUint(number, 10, 16); err != nil || strconv.FormatUint(n, 10) != number {
		return fmt.Errorf("%q: the port is not a number up to 65535", b)
	}
	*a = Address(b)
	return nil
}

// Networks are addresses and networks of them.
type Networks []netip.Prefix

// UnmarshalText splits at commas; a single address is a network of one.
func (n *Networks) UnmarshalText(b []byte) error {
	*n = nil
	for part := range strings.SplitSeq(string(b), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if addr, notOne := netip.ParseAddr(part); notOne == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", part)
		}
		*n = append(*n, prefix.Masked())
	}
	return nil
}

// Schedule is a cron expression, kept as written.
type Schedule string

// UnmarshalText checks the expression. The service parses it again, with its own clock
// and time zone.
func (s *Schedule) UnmarshalText(b []byte) error {
	if err := parseCron(string(b)); err != nil {
		return fmt.Errorf("%q is not a cron expression: %w", b, err)
	}
	*s = Schedule(b)
	return nil
}

// parseCron recovers the parser's panics: it slices "TZ=X" at a space without a check
// that there is one.
func parseCron(expression string) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the time zone is not followed by a schedule")
		}
	}()
	_, err = cron.ParseStandard(expression)
	return err
}

// LogLevel is one of logrus' levels, in lower case.
type LogLevel string

// UnmarshalText accepts the levels in use, in either case.
func (l *LogLevel) UnmarshalText(b []byte) error {
	switch word := strings.ToLower(string(b)); word {
	case "error", "warn", "info", "debug":
		*l = LogLevel(word)
	case "warning":
		*l = "warn"
	default:
		return fmt.Errorf("%q is none of ERROR, WARN, INFO, DEBUG", b)
	}
	return nil
}

// LogFormat is text, json or auto.
type LogFormat string

// UnmarshalText accepts the three, in either case.
func (f *LogFormat) UnmarshalText(b []byte) error {
	switch word := strings.ToLower(string(b)); word {
	case "text", "json", "auto":
		*f = LogFormat(word)
	default:
		return fmt.Errorf("%q is none of text, json, auto", b)
	}
	return nil
}
