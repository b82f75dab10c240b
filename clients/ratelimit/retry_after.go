package ratelimit

import (
	"net/http"
	"strconv"
	"time"
)

// RetryAfter reads a Retry-After header in either of its forms, limited to the longest
// wait that the caller can bear. It returns false if the header is missing or makes no
// sense.
func RetryAfter(h http.Header, now time.Time, longest time.Duration) (wait time.Duration, ok bool) {
	raw := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(raw, 10, 64); err == nil {
		if seconds < 0 {
			return 0, false
		}
		return time.Duration(min(seconds, int64(longest/time.Second))) * time.Second, true
	}
	until, err := http.ParseTime(raw)
	if err != nil {
		return 0, false
	}
	// The server gave a date of its own clock, and ours may differ.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), longest), true
}
