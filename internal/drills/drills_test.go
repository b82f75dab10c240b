// Package drills holds the program to its first promise: no person's mistake takes a paying
// customer's site away.
//
// Each drill is one mistake that happens to hosting companies, played on the real engine,
// database and clients in front of the simulators. While it lasts nothing is taken away,
// and the screen shows the held changes and how to proceed. When it is put right, the
// program makes the held changes, and no others. docs/mistakes.md lists the same mistakes, each
// with the signs that the drill checks.
package drills

import (
	"os"
	"strings"
	"testing"
)

// drill is one mistake, with the page's words about it.
type drill struct {
	mistake string // the first column
	shows   string // the second: words of the screen, or "" for those of the play
	play    func(t *testing.T)
}

// all are the drills in the order of the page.
var all = []drill{
	{"Stripe answers with an empty list, or with half of one", "the listing is not complete", emptyAndHalf},
	{"known subscriptions are not at Stripe any more", "though none ever vanishes at Stripe", vanished},
	{"Stripe answers `{}`", "a page whose object is", emptyObject},
	{"the key of another Stripe account", "the key belongs to another account or mode", otherAccount},
	{"a test key on the live database", "the key belongs to another account or mode", testKey},
	{"another account behind the same key and address (a proxy)", "the key belongs to another account or mode", swappedAccount},
	{"all mappings deleted", "no mapping any more", mappingsEmptied},
	{"a mapping to a plan that the panel does not have", "names the plan", planMissing},
	{"the panel was restored from an older backup", "the panel no longer has it", panelRestored},
	{"the address of another panel, or an emptied one", "another panel", otherPanel},
	{"the id of another organisation", "The run failed", otherOrganisation},
	{"40 % cancelled at once, really or by a script", "more than the limit of", manyCancelled},
	{"more than half cancelled at once", "more likely a mistake than a fact", mostCancelled},
	{"many were held, and only a few of them are left", "more than the limit of", fewerLater},
	{"a customer orders thirty hostings", "that one customer plausibly orders", largeOrder},
	{"the clock is ten years ahead or behind", "Set it right (NTP)", clockOffByYears},
	{"the clock is some hours off", "set it right (NTP)", clockOffByHours},
	{"the database was restored from yesterday's backup", "older than the panel", databaseRestored},
	{"the database lost its last transactions, in which a customer was suspended who has paid since", "this database has no record of that", databaseFellBack},
	{"the database was lost", "this database knew nothing of the panel", databaseLost},
	{"customers made by hand, and a first run with `MODE=enforce`", "that no subscription is bound to", firstDay},
	{"a subscription is bound to the wrong hosting", "goes on serving it", wrongBinding},
	{"two installations with copies of one database", "another installation makes hostings", twoInstallations},
	{"Enhance fails every read", "The run failed", readsFail},
	{"Stripe is down for longer than the grace period", "listing events", stripeDown},
	{"Enhance is down for a day", "The run failed", enhanceDown},
}

// TestMistakes plays every drill.
func TestMistakes(t *testing.T) {
	for _, d := range all {
		t.Run(d.mistake, func(t *testing.T) {
			t.Parallel()
			d.play(t)
		})
	}
}

// TestThePageListsTheMistakes holds the two together, line by line.
func TestThePageListsTheMistakes(t *testing.T) {
	text, err := os.ReadFile("../../docs/mistakes.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) == 3 {
			rows = append(rows, cells)
		}
	}
	if len(rows) != len(all)+2 {
		t.Fatalf("the page has %d mistakes, and there are %d drills", len(rows)-2, len(all))
	}
	for i, d := range all {
		row := rows[i+2] // below the head and its line
		if got := strings.TrimSpace(row[0]); got != d.mistake {
			t.Errorf("line %d is about %q, the drill about %q", i+1, got, d.mistake)
		}
		if !strings.Contains(row[1], d.shows) || strings.TrimSpace(row[2]) == "" {
			t.Errorf("%s: the page has no %q with the remedy", d.mistake, d.shows)
		}
	}
}
