package report

import (
	"strings"
	"unicode"
)

// Plain makes text from elsewhere safe for a terminal: control characters, line
// breaks and the marks that turn the direction of writing become "?", so that a
// customer's name can neither move the cursor nor disguise another line.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
}
