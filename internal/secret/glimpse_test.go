package secret

import (
	"strings"
	"testing"
)

// Two keys have different glimpses, and a glimpse discloses neither.
func TestAGlimpseShowsHowAKeyBeginsAndFourCharacters(t *testing.T) {
	for value, want := range map[string]string{
		"":                                       "…",
		"abc":                                    "…",
		"sk_test_short":                          "sk_test_…",
		"rk_live_51NqAbCdEfGhIjKlMnOpQrStUvWxYz": "rk_live_…WxYz",
		"51NqAbCdEfGhIjKlMnOpQrStUvWxYz":         "…WxYz",
		"sk_live_0123456789abcde":                "sk_live_…",
		"sk_live_0123456789abcdef":               "sk_live_…cdef",
	} {
		got := New(value).Glimpse()
		if got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
		if hidden := len(value) - len(strings.ReplaceAll(got, "…", "")); value != "" && value != "sk_test_short" && len(value) > 8 && hidden < 12 {
			t.Errorf("%q: only %d characters are hidden", value, hidden)
		}
	}
}
