package repocheck

import (
	"strings"
	"testing"
)

// The commands of the page about existing customers do their work on a company of 400,
// in a script of the program's own tests: here the reader's town has none left to adopt.
func TestTheFirstDayIsPlayedWithACompany(t *testing.T) {
	script, n := read(t, "cmd/stripe-enhance/testdata/script/adopt_town.txtar"), 0
	for _, b := range blocks(t, "docs/first-day.md") {
		for line := range strings.Lines(b.text) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), " >")
			if n++; !strings.Contains(script, " "+command+"\n") {
				t.Errorf("%s:%d: no company plays %q", b.page, b.line, command)
			}
		}
	}
	if n == 0 {
		t.Error("the first day has no commands")
	}
}
