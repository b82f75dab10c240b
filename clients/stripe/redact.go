package stripe

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// existsInOtherMode matches "a similar object exists in live mode, but a test mode key
// was used to make this request" and its opposite.
var existsInOtherMode = regexp.MustCompile(`exists in (live|test) mode`)

// transportText describes an error of the transport without the URL that net/http puts
// in front of it, because the URL holds the query.
func transportText(err error) string {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return printable(err.Error())
}

// keyShape matches Stripe's secrets: keys of every kind and webhook secrets.
var keyShape = regexp.MustCompile(`(?:sk|rk|pk|ek|whsec)_[A-Za-z0-9_*]+`)

// printable keeps a text from outside from breaking a line or a terminal, and from
// repeating the key of the request, as a careless proxy might.
func printable(s string) string {
	const most = 200
	s = keyShape.ReplaceAllString(s, "[redacted]") // before a cut could hide its shape
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}
