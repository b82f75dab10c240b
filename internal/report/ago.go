package report

import (
	"fmt"
	"time"
)

// Seen is when something was last looked at, as people read it: the instant and how long
// ago that is. The zero time, and the beginning of time by which a look is asked for, are
// no reading.
func Seen(at, now time.Time) string {
	if Unseen(at) {
		return "not looked at yet"
	}
	return fmt.Sprintf("seen %s (%s)", Instant(at), Ago(now.Sub(at)))
}

// Unseen tells that a time of a reading means that there was none that counts.
func Unseen(at time.Time) bool { return at.IsZero() || at.Unix() <= 0 }

// Ago is a time that has passed, in the largest unit of which there are two.
func Ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return "a moment ago"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
