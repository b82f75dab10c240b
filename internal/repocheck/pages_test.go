package repocheck

import (
	"context"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Every setting is in the table of its page, once, with its default; and nothing
// else is.
func TestThePageListsEverySettingWithItsDefault(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for _, v := range config.Variables() {
		want[v.Name] = v.Default
	}
	for _, cells := range rows(t, "docs/settings.md", "All settings") {
		names, defaults := spans(cells[0]), spans(cells[1])
		if cells[2] == "" || len(names) == 0 || len(defaults) != len(names) && cells[1] != "–" {
			t.Errorf("%v: names, as many defaults (or –), and a meaning are expected", cells)
			continue
		}
		for i, name := range names {
			if _, twice := got[name]; twice {
				t.Errorf("%s stands there twice", name)
			}
			got[name] = ""
			if len(defaults) > 0 {
				got[name] = defaults[i]
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings and defaults (-code +docs/settings.md):\n%s", diff)
	}
}

// constant is one constant of a file, with the comment behind it.
type constant struct{ name, value, comment string }

// constants are those of a file whose names begin so.
func constants(t testing.TB, path, prefix string) (all []constant) {
	t.Helper()
	for _, s := range sources() {
		if s.path != path {
			continue
		}
		for _, d := range s.file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			for _, spec := range decl.Specs {
				v := spec.(*ast.ValueSpec)
				if len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, prefix) {
					continue
				}
				if lit, ok := v.Values[0].(*ast.BasicLit); ok {
					all = append(all, constant{v.Names[0].Name, lit.Value, strings.TrimSpace(v.Comment.Text())})
				}
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no constants %s…", path, prefix)
	}
	return all
}

func TestThePageListsTheExitCodesInTheWordsOfTheCode(t *testing.T) {
	var want, got []string
	for _, c := range constants(t, "cmd/stripe-enhance/exit.go", "exit") {
		want = append(want, c.value+" "+c.comment)
	}
	for _, cells := range rows(t, "docs/commands.md", "Exit codes") {
		got = append(got, cells[0]+" "+plain(cells[1]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exit codes (-code +docs/commands.md):\n%s", diff)
	}
}

// Every kind of hold that the code uses is on its page with its remedy, and no
// other. A kind that is declared and never used is an empty promise.
func TestThePageListsARemedyForEveryHold(t *testing.T) {
	kinds := constants(t, "reconcile/hold.go", "Hold")
	var want, got []string
	for _, k := range kinds {
		word, err := strconv.Unquote(k.value)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(sources(), func(s source) bool { return uses(s, k.name) }) {
			t.Errorf("%s is declared and never used", k.name)
			continue
		}
		if !slices.Contains(reconcile.HoldKinds(), reconcile.HoldKind(word)) {
			t.Errorf("add %s to holdKinds in reconcile/hold.go", k.name)
		}
		want = append(want, word)
	}
	for _, cells := range rows(t, "docs/held.md", "Every hold") {
		if cells[1] == "" {
			t.Errorf("%s: the remedy is missing", cells[0])
		}
		got = append(got, spans(cells[0])...)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds of hold (-code +docs/held.md):\n%s", diff)
	}
}

// uses reports whether planner or engine use a kind of hold beside declaring it.
func uses(s source, name string) (found bool) {
	if s.test() || s.path == "reconcile/hold.go" || s.folder() != "reconcile/planner" && s.folder() != "reconcile/engine" {
		return false
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

var metricShape = regexp.MustCompile(`\bstripe_enhance_[a-z_]+\b`)

// scraped are the metrics that a scrape shows, after everything that is counted has
// happened once.
func scraped(t *testing.T) []string {
	t.Helper()
	m, limit, one := metrics.New("1"), int64(10), func() float64 { return 1 }
	m.Watch(metrics.Sources{Now: time.Now, Leading: func() bool { return true },
		State: func(context.Context) (metrics.State, error) {
			return metrics.State{OldestDue: time.Unix(1, 0), Holds: map[string]int{"grace": 1}}, nil
		},
		Expires: map[string]func() time.Time{metrics.Enhance: func() time.Time { return time.Unix(1, 0) }},
		Room:    func() (int64, bool) { return 1, true }, Open: map[string]func() error{metrics.Stripe: func() error { return nil }},
		Rates:   map[string]func() float64{metrics.Stripe: one},
		Granted: map[string]map[string]func() float64{metrics.Stripe: {"urgent": one}}})
	m.Quota([]reconcile.Usage{{Name: "customers", Used: 1, Total: &limit}})
	m.Request(metrics.Stripe, time.Now)("GET /v1/events", 200)
	m.Run(reconcile.Report{Run: reconcile.RunRecord{Mode: "full", Trigger: "cli", Gates: []string{"x"}, Started: time.Unix(1, 0), Finished: time.Unix(2, 0)},
		Actions: []reconcile.ActionRecord{{Action: reconcile.Action{Kind: reconcile.Suspend}, State: reconcile.ActionApplied}}}, "ok")
	names, err := m.Names()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A name of a metric in a paper is one that a scrape shows.
func TestNoPaperNamesAMetricThatIsNotThere(t *testing.T) {
	names := scraped(t)
	for _, path := range append(pages(t), "CHANGELOG.md", "SECURITY.md") {
		for _, word := range unknownMetrics(read(t, path), names) {
			t.Errorf("%s names the metric %s; there are %v", path, word, names)
		}
	}
}

// unknownMetrics are the names of metrics in a text that are not among those of a scrape.
func unknownMetrics(text string, names []string) (unknown []string) {
	for _, word := range metricShape.FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			word = strings.TrimSuffix(word, suffix)
		}
		if !slices.Contains(names, word) {
			unknown = append(unknown, word)
		}
	}
	return unknown
}
