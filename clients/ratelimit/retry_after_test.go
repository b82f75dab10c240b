package ratelimit

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		name, header, date string
		want               time.Duration
		ok                 bool
	}{
		{name: "no header"},
		{name: "seconds", header: "7", want: 7 * time.Second, ok: true},
		{name: "no seconds", header: "0", ok: true},
		{name: "more than the caller can bear", header: "3600", want: time.Minute, ok: true},
		{name: "negative seconds", header: "-1"},
		{name: "nonsense", header: "soon"},
		{name: "a date", header: in(7 * time.Second), want: 7 * time.Second, ok: true},
		{name: "a date in the past", header: in(-time.Hour), ok: true},
		{name: "a date of a clock that is an hour ahead", header: in(time.Hour + 7*time.Second), date: in(time.Hour), want: 7 * time.Second, ok: true},
	} {
		h := http.Header{}
		if tt.header != "" {
			h.Set("Retry-After", tt.header)
		}
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		if wait, ok := RetryAfter(h, now, time.Minute); wait != tt.want || ok != tt.ok {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, wait, ok, tt.want, tt.ok)
		}
	}
}
