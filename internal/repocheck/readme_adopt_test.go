package repocheck

import (
	"strings"
	"testing"
)

// The commands of the section about existing customers do their work on a company of 400,
// in a script of the program's own tests: here the README's town has none left to adopt.
func TestTheReadmesEveningIsPlayedWithACompany(t *testing.T) {
	script, n := read(t, "cmd/stripe-enhance/testdata/script/adopt_town.txtar"), 0
	for _, b := range blocks(t) {
		if b.section != "You already have customers" {
			continue
		}
		for line := range strings.Lines(b.text) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), " >")
			if n++; !strings.Contains(script, " "+command+"\n") {
				t.Errorf("README.md:%d: no company plays %q", b.line, command)
			}
		}
	}
	if n == 0 {
		t.Error("the README has no section with commands for existing customers")
	}
}
