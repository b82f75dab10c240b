package report

import (
	"fmt"
	"time"
)

// Seen is the time of the last look, as people read it: the instant, and how long ago it
// was.
func Seen(at, now time.Time) string {
	if Unseen(at) {
		return "not looked at yet"
	}
	return fmt.Sprintf("seen %s (%s)", Instant(at), Ago(now.Sub(at)))
}

// Unseen reports whether a time stands for no look: the zero time, or the beginning of the
// epoch, by which a new look is requested.
func Unseen(at time.Time) bool { return at.IsZero() || at.Unix() <= 0 }

// Ago is how long ago something was, in the largest unit of which there are two.
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
