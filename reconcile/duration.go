package reconcile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// day is the meaning of the suffix d: 24 hours, never a calendar day. maxDays keeps the
// sum of both parts within the range of a time.Duration (292 years).
const (
	day     = 24 * time.Hour
	maxDays = 36500
)

// ParseDuration accepts Go's syntax and days: "72h", "7d", "1d12h", "0".
// Negative ones are refused: no duration here means anything backwards.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration (90s, 15m, 72h, 7d, 1d12h; 0 for none)", s)
	var days float64
	var rest time.Duration
	number, clock, hasDays := strings.Cut(s, "d")
	if hasDays {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, bad
		}
		days = n
	} else {
		clock = s
	}
	if clock != "" || !hasDays {
		d, err := time.ParseDuration(clock)
		if err != nil {
			return 0, bad
		}
		rest = d
	}
	switch {
	case days < 0 || rest < 0:
		return 0, fmt.Errorf("%q is negative; a duration here counts forward", s)
	case !(days <= maxDays) || rest > maxDays*day: // !(…) also catches NaN
		return 0, fmt.Errorf("%q is longer than a century", s)
	}
	return time.Duration(days*float64(day)) + rest, nil
}
