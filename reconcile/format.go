package reconcile

import (
	"fmt"
	"strconv"
	"time"
)

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
