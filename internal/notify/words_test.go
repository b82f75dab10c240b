package notify

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// placeholder is one of a text; a form may leave out the number that it is for.
var placeholder = regexp.MustCompile(`%(\[[2-9]\])?[a-z]`)

func TestEveryTextIsInEachLanguageWithTheSamePlaceholders(t *testing.T) {
	for key, text := range catalogue {
		if len(text) != 2 {
			t.Errorf("%s is in %d languages", key, len(text))
		}
		forms := map[Language]int{English: 1, Romanian: 1}
		if strings.Contains(text[English], "|") {
			forms = map[Language]int{English: 2, Romanian: 3}
		}
		want := placeholder.FindAllString(strings.SplitN(text[English], "|", 2)[0], -1)
		for l, n := range forms {
			all := strings.Split(text[l], "|")
			if len(all) != n {
				t.Errorf("%s has %d forms in %s, want %d", key, len(all), l, n)
			}
			for _, form := range all {
				if diff := cmp.Diff(want, placeholder.FindAllString(form, -1)); diff != "" {
					t.Errorf("%s: %q (-want +got):\n%s", key, form, diff)
				}
				if strings.TrimSpace(form) == "" || strings.ContainsAny(form, "şţŞŢ") {
					t.Errorf("%s: %q is empty, or has a cedilla where Romanian has a comma", key, form)
				}
				if slices.Sort(regexp.MustCompile("`[^`]*`").FindAllString(form, -1)); strings.Count(form, "`") != strings.Count(all[0], "`") {
					t.Errorf("%s: %q has other commands than the first form", key, form)
				}
			}
		}
		if strings.Count(text[English], "`")/forms[English] != strings.Count(text[Romanian], "`")/forms[Romanian] {
			t.Errorf("%s: the languages name other commands", key)
		}
	}
	for _, kind := range reconcile.ActionKinds() {
		if catalogue["kind."+kind.String()][English] != kind.String() {
			t.Errorf("kind.%s has no text, or in English another word than the log", kind)
		}
	}
}

func TestEveryTextIsUsedAndEverySentenceIsInTheCatalogue(t *testing.T) {
	var code strings.Builder
	for _, name := range []string{"watch.go", "words.go", "notify.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.(?:text|counted)\("([a-z.]+)"`).FindAllStringSubmatch(code.String(), -1) {
		used[m[1]] = true
		if m[1] != "kind." && catalogue[m[1]] == nil {
			t.Errorf("%s is used, and has no text", m[1])
		}
	}
	for key := range catalogue {
		if !used[key] && !strings.HasPrefix(key, "kind.") {
			t.Errorf("%s is in the catalogue, and nothing uses it", key)
		}
	}
	if strings.Contains(code.String(), "What to do") {
		t.Error("a sentence of a message is in the code, and so in one language only")
	}
}

// everything has one report for each piece of news.
func everything() (all []chapter) {
	failed, denied := errors.New("stripe: GET /v1/events: 502"), fault.Wrap(fault.Denied, errors.New("enhance: 401"))
	gated := reconcile.RunRecord{Gates: []string{"the clock is off"}}
	held := reconcile.Report{Run: gated, Waits: "another installation is at work", Drifted: 2, Drifts: []reconcile.Drift{{Hosting: 1, Text: "hosting 1 is suspended"}},
		Plans: []reconcile.HeldPlan{{ID: "plan1", Kind: reconcile.Suspend, Actions: make([]reconcile.Action, 9), Reason: "9 of 20 at once."}}}
	for _, id := range []string{"cus_1", "cus_2", "cus_3", "cus_4", "cus_5", "cus_6"} {
		held.Holds = append(held.Holds, reconcile.Hold{Kind: reconcile.HoldParked, Customer: id},
			reconcile.Hold{Kind: reconcile.HoldNoEmail, Customer: id, Subscription: "sub_" + id, Order: true})
	}
	one := reconcile.Report{Holds: []reconcile.Hold{{Kind: reconcile.HoldUnmapped, Customer: "cus_1", Subscription: "sub_1", Order: true}}}
	return []chapter{{report: held}, {}, {report: one}, {err: denied}, {report: reconcile.Report{Partial: true, Notes: []string{"org 7 cannot be listed"}}},
		{err: failed}, {err: failed}, {err: failed}, {}, {err: denied}, {report: reconcile.Report{Run: gated}}, {err: denied}, {report: one},
		{report: reconcile.Report{Run: gated}, err: failed}, {}}
}

func TestEachLanguageHasTheSameNewsAndEveryTextOfTheCatalogue(t *testing.T) {
	seen := map[Language]string{}
	english, romanian := Watch{}, Watch{Language: Romanian}
	for i, c := range everything() {
		en, ro := english.Look(c.report, c.err), romanian.Look(c.report, c.err)
		if strings.Count(en, "\n") != strings.Count(ro, "\n") || (en == "") != (ro == "") {
			t.Errorf("run %d is news in one language only:\n%s\n%s", i, en, ro)
		}
		if strings.Contains(ro, "What to do") || strings.Contains(en, "Ce este de făcut") {
			t.Errorf("run %d: the languages are mixed:\n%s\n%s", i, en, ro)
		}
		for _, part := range []string{"cus_1", "plan1", "the clock is off", "9 × "} {
			if strings.Contains(en, part) != strings.Contains(ro, part) {
				t.Errorf("run %d: %q is in one language only:\n%s\n%s", i, part, en, ro)
			}
		}
		seen[English] += en + "\n"
		seen[Romanian] += ro + "\n"
	}
	if english.Memory() != romanian.Memory() {
		t.Error("the memory depends on the language")
	}
	for key, text := range catalogue {
		if strings.HasPrefix(key, "kind.") || key == "mail.subject" || key == "test.message" {
			continue
		}
		for l, all := range seen {
			whole := false
			for form := range strings.SplitSeq(text[l], "|") {
				parts := regexp.MustCompile(`%(\[\d\])?[a-z]`).Split(form, -1)
				whole = whole || !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(all, part) })
			}
			if !whole {
				t.Errorf("%s is in no message in %s", key, l)
			}
		}
	}
	if strings.Contains(seen[English]+seen[Romanian], "%!") {
		t.Errorf("a placeholder has no value:\n%s\n%s", seen[English], seen[Romanian])
	}
}

// Romanian has one form for one, another for 2 to 19, and another for 20 and more.
func TestANumberHasTheFormOfItsLanguage(t *testing.T) {
	for n, want := range map[int]string{1: "o comandă este", 2: "2 comenzi sunt", 19: "19 comenzi sunt", 20: "20 de comenzi sunt", 101: "101 comenzi sunt"} {
		if got := Romanian.counted("orders.held", n, "unmapped", "sub_1", "cus_1"); !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s", n, got)
		}
	}
	if got := English.counted("orders.held", 1, "unmapped", "sub_1", "cus_1"); !strings.HasPrefix(got, "one order is without") {
		t.Error(got)
	}
}
