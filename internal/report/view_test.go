package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var update = flag.Bool("update", false, "write testdata anew: read the diff like an operator who is woken by it")

// shop is a report about n customers: new ones, upgrades, one who comes back, one who left,
// one who does not pay, and some with holds.
func shop(n int, state reconcile.ActionState) reconcile.Report {
	r := reconcile.Report{Dry: state == reconcile.ActionPlanned, Run: reconcile.RunRecord{ID: "run1", Trigger: "cli", Mode: "full", Started: t0, Finished: t0.Add(1234 * time.Millisecond)}}
	add := func(i int, kind reconcile.ActionKind, change func(*reconcile.Action)) {
		a := reconcile.Action{Kind: kind, Customer: fmt.Sprintf("cus_%03d", i), Subscription: fmt.Sprintf("sub_%03dAbCdEfGhIj", i), Email: fmt.Sprintf("%s%d@example.com", strings.Repeat("anna.", i%4+1), i)}
		change(&a)
		a.ID = fmt.Sprint(kind, i, len(r.Actions))
		r.Actions = append(r.Actions, reconcile.ActionRecord{Action: a, State: state})
	}
	for i := range n {
		none := func(*reconcile.Action) {}
		switch i % 10 {
		case 0, 1, 2, 3, 4:
			add(i, reconcile.CreateOrg, none)
			for j := range i%3 + 1 {
				add(i, reconcile.CreateSubscription, func(a *reconcile.Action) { a.Plan, a.PlanName = j%2+1, []string{"Basic", "Pro"}[j%2] })
			}
			add(i, reconcile.RenameOrg, none)
			add(i, reconcile.InviteOwner, none)
		case 5:
			add(i, reconcile.ChangePlan, func(a *reconcile.Action) { a.Hosting, a.FromPlan, a.Plan, a.PlanName = int64(100+i), 1, 2, "Pro" })
		case 6:
			add(i, reconcile.WriteMetadata, none)
		case 7:
			add(i, reconcile.Suspend, func(a *reconcile.Action) {
				a.Hosting, a.Reason = int64(100+i), a.Subscription+" is past_due since 2026-02-20 10:00 UTC, and its grace period has ended"
			})
		case 8:
			add(i, reconcile.Resume, func(a *reconcile.Action) { a.Hosting = int64(100 + i) })
		case 9:
			kind := []reconcile.HoldKind{reconcile.HoldUnmapped, reconcile.HoldGrace}[i/10%2]
			h := reconcile.Hold{Kind: kind, Customer: fmt.Sprintf("cus_%03d", i), Subscription: fmt.Sprintf("sub_%03dAbCdEfGhIj", i), Email: fmt.Sprintf("held%d@example.com", i),
				Reason: "no price of it is mapped to a plan (price_1NqAbCdEfGhIjKlMnOp): `stripe-enhance mappings set price_1NqAbCdEfGhIjKlMnOp PLAN`"}
			if kind == reconcile.HoldGrace {
				h.Reason, h.Until = "it is past_due, and stays up while its grace period lasts", t0.Add(48*time.Hour)
			}
			r.Holds = append(r.Holds, h)
		}
	}
	r.Notes = []string{"cus_007 has another e-mail at Stripe than before: the org, its owner and the hostings stay as they are; see `stripe-enhance customers show --customer cus_007`"}
	return r
}

// TestAPlanIsReadInATerminal compares the text with files of testdata, which show it as
// people see it.
func TestAPlanIsReadInATerminal(t *testing.T) {
	for name, c := range map[string]struct {
		r reconcile.Report
		v View
	}{
		"plan-40-in-80":         {shop(40, reconcile.ActionPlanned), View{Width: 80}},
		"plan-500-in-80":        {shop(500, reconcile.ActionPlanned), View{Width: 80}},
		"plan-40-in-160":        {shop(40, reconcile.ActionPlanned), View{Width: 160}},
		"plan-40-verbose":       {shop(40, reconcile.ActionPlanned), View{Verbose: true}},
		"run-40-in-80-coloured": {shop(40, reconcile.ActionApplied), View{Width: 80, Style: Style{Color: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := Text(&b, c.r, c.v); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("(-written +now):\n%s", diff)
			}
		})
	}
}

// A line is wider than the room only if one word is, because that is an id or an address to
// be copied. The test fails if a sentence is not broken, or if the margin does not count.
func TestALineFits(t *testing.T) {
	for _, width := range []int{60, 80, 100, 160} {
		for _, state := range []reconcile.ActionState{reconcile.ActionPlanned, reconcile.ActionApplied, reconcile.ActionHeld, reconcile.ActionFailed} {
			var b strings.Builder
			if err := Text(&b, shop(120, state), View{Width: width}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > width && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%d columns where there are %d: %q", n, width, line)
				}
			}
		}
	}
}

// TestNothingThatIsTakenAwayIsCut: long lists are cut and show how much is left out, but
// the list of actions that take away never is. Mistakes that made it fail: a list that is
// cut in silence; one that is cut with --all; one of actions that take away.
func TestNothingThatIsTakenAwayIsCut(t *testing.T) {
	r := shop(2000, reconcile.ActionPlanned)
	for _, v := range []View{{}, {All: true}, {Verbose: true}, {Verbose: true, All: true}} {
		var b strings.Builder
		if err := Text(&b, r, v); err != nil {
			t.Fatal(err)
		}
		taken, made := 0, 0
		for line := range strings.Lines(b.String()) {
			if strings.Contains(line, "past_due since") {
				taken++
			}
			if strings.HasSuffix(line, "invitation\n") || strings.Contains(line, "invite_owner") {
				made++
			}
		}
		if taken != 200 {
			t.Errorf("%+v: %d of 200 that are taken away are shown", v, taken)
		}
		if cut := strings.Contains(b.String(), "--all shows them"); cut == v.All || (made == 1000) != v.All {
			t.Errorf("%+v: %d of 1000 shown; the rest is announced: %t", v, made, cut)
		}
	}
}

// TestWhatIsForTheRecordIsCounted: actions that people need not see are still counted.
func TestWhatIsForTheRecordIsCounted(t *testing.T) {
	var b strings.Builder
	if err := Text(&b, shop(10, reconcile.ActionPlanned), View{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "write_metadata") || !strings.Contains(b.String(), "and 1 change for the record only") {
		t.Error(b.String())
	}
	b.Reset()
	if err := Text(&b, shop(10, reconcile.ActionPlanned), View{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "write_metadata") {
		t.Error(b.String())
	}
}

func TestEveryKindOfActionHasAWord(t *testing.T) {
	silent := []reconcile.ActionKind{reconcile.RenameOrg, reconcile.MarkHosting, reconcile.WriteMetadata}
	for _, kind := range reconcile.ActionKinds() {
		if got := Phrase(reconcile.Action{Kind: kind, Hosting: 7, PlanName: "Basic", Domain: "x.example"}); (got == "") != slices.Contains(silent, kind) || got == kind.String() {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
