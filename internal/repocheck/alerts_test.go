package repocheck

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The rules for Prometheus, their tests, and the paper that explains them.
const (
	ruleFile  = "deploy/prometheus/stripe-enhance.rules.yaml"
	ruleTests = "deploy/prometheus/stripe-enhance.tests.yaml"
	alertDoc  = "docs/alerts.md"
)

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// alerts are all rules, of which each is an alert.
func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal([]byte(read(t, ruleFile)), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("%d alerts in %s", len(all), ruleFile)
	}
	return all
}

// An alert that fires at night is of use if the person whom it wakes finds a page about it
// with one click, and reads there what to do.
func TestEveryAlertIsExplained(t *testing.T) {
	names, seen := scraped(t), map[string]bool{}
	paper := read(t, alertDoc)
	_, rest, _ := strings.Cut(paper, "\n## ")
	sections := map[string]string{}
	for s := range strings.SplitSeq(rest, "\n## ") {
		title, text, _ := strings.Cut(s, "\n")
		sections[title] = strings.TrimSpace(text)
	}
	for _, a := range alerts(t) {
		if a.Alert == "" || seen[a.Alert] {
			t.Errorf("a rule that is no alert, or stands twice: %+v", a)
		}
		seen[a.Alert] = true
		if paragraphs := strings.Count(sections[a.Alert], "\n\n") + 1; paragraphs < 2 {
			t.Errorf("%s has no section %s with its meaning and with what to do", alertDoc, a.Alert)
		}
		if want := "https://" + module + "/blob/main/" + alertDoc + "#" + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", a.Alert, a.Annotations["runbook_url"], want)
		}
		for _, text := range []string{a.Annotations["summary"], a.Annotations["description"]} {
			if text == "" {
				t.Errorf("%s has no summary or no description", a.Alert)
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity is %q", a.Alert, a.Labels["severity"])
		}
		if !metricShape.MatchString(a.Expr) {
			t.Errorf("%s looks at no metric of the program: %s", a.Alert, a.Expr)
		}
		for _, word := range unknownMetrics(a.Expr, names) {
			t.Errorf("%s looks at %s, which no scrape shows; there are %v", a.Alert, word, names)
		}
	}
	for title := range sections {
		if !seen[title] {
			t.Errorf("%s explains %s, and no rule has that name", alertDoc, title)
		}
	}
}

// The kinds of hold that wait for no person are left out of the alert about holds by name,
// so that a new kind is in it.
func TestTheAlertAboutHoldsLeavesOutOnlyKindsThatThereAre(t *testing.T) {
	for _, a := range alerts(t) {
		_, rest, ok := strings.Cut(a.Expr, `kind!~"`)
		if !ok {
			continue
		}
		left, _, _ := strings.Cut(rest, `"`)
		for kind := range strings.SplitSeq(left, "|") {
			if !slices.Contains(reconcile.HoldKinds(), reconcile.HoldKind(kind)) {
				t.Errorf("%s leaves out %q, which is no kind of hold", a.Alert, kind)
			}
			if reconcile.HoldKind(kind).KeepsOrders() {
				t.Errorf("%s leaves out %q, which keeps orders waiting", a.Alert, kind)
			}
		}
		return
	}
	t.Error("no alert is about holds")
}

func TestEveryAlertFiresAndIsSilent(t *testing.T) {
	var file struct {
		Tests []struct {
			Expr []struct {
				Expr    string
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, ruleTests)), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, one := range file.Tests {
		for _, e := range one.Expr {
			if len(e.Samples) > 0 {
				fires[e.Expr] = true
			} else {
				silent[e.Expr] = true
			}
		}
	}
	for _, a := range alerts(t) {
		expr := `ALERTS{alertname="` + a.Alert + `", alertstate="firing"}`
		if !fires[expr] || !silent[expr] {
			t.Errorf("%s: tried firing: %v, tried silent: %v; both are needed in %s", a.Alert, fires[expr], silent[expr], ruleTests)
		}
		if _, err := time.ParseDuration(strings.Replace(a.For, "1d", "24h", 1)); a.For != "" && err != nil {
			t.Errorf("%s: %v", a.Alert, err)
		}
	}
	tool := needs.Program(t, "promtool")
	for command, path := range map[string]string{"check": ruleFile, "test": ruleTests} {
		cmd := exec.CommandContext(t.Context(), tool, command, "rules", filepath.Base(path))
		cmd.Dir = filepath.Join(root, filepath.Dir(path))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s rules %s: %v\n%s", command, path, err, out)
		}
	}
}
