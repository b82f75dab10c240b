package repocheck

import (
	"go/ast"
	"go/doc/comment"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packageComment is the comment of a package, parsed.
func packageComment(t testing.TB, path string) *comment.Doc {
	t.Helper()
	for _, s := range sources() {
		if s.path == path {
			return new(comment.Parser).Parse(s.file.Doc.Text())
		}
	}
	t.Fatalf("%s is not there", path)
	return nil
}

// numbered are the numbered items under a heading of a package comment.
func numbered(t testing.TB, d *comment.Doc, heading string) (numbers, texts []string) {
	t.Helper()
	under := false
	for _, b := range d.Content {
		switch b := b.(type) {
		case *comment.Heading:
			under = oneLine(b.Text) == heading
		case *comment.List:
			for _, item := range b.Items {
				if under && item.Number != "" {
					numbers = append(numbers, item.Number)
					texts = append(texts, oneLine(item.Content[0].(*comment.Paragraph).Text))
				}
			}
		}
	}
	if len(texts) == 0 {
		t.Fatalf("no list under the heading %q", heading)
	}
	return numbers, texts
}

func oneLine(text []comment.Text) string {
	var b strings.Builder
	for _, piece := range text {
		switch piece := piece.(type) {
		case comment.Plain:
			b.WriteString(string(piece))
		case comment.Italic:
			b.WriteString(string(piece))
		case *comment.Link:
			b.WriteString(oneLine(piece.Text))
		case *comment.DocLink:
			b.WriteString(oneLine(piece.Text))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestThePageQuotesThePolicyWordForWord(t *testing.T) {
	numbers, rules := numbered(t, packageComment(t, "reconcile/planner/doc.go"), "What is paid for")
	var want, got []string
	for i := range rules {
		want = append(want, numbers[i]+". "+rules[i])
	}
	for _, cells := range rows(t, "docs/policy.md", "The rules") {
		got = append(got, cells[0]+". "+plain(cells[1])+": "+plain(cells[2]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the policy (-package comment +docs/policy.md):\n%s", diff)
	}
}

// stepsOfThePolicy is the table of the package comment that assigns rules to calls.
var stepsOfThePolicy = regexp.MustCompile(`([a-z][A-Za-z]+) (\d+)(?:-(\d+))?`)

// Each call of Decide is some of the rules, in the order of their numbers; no rule
// is without a call, and no call without a rule.
func TestDecideIsThePolicyInItsOrder(t *testing.T) {
	d := packageComment(t, "reconcile/planner/doc.go")
	rules := 0
	for _, heading := range []string{"What is paid for", "What is done about it"} {
		numbers, _ := numbered(t, d, heading)
		for _, n := range numbers {
			if rules++; n != strconv.Itoa(rules) {
				t.Errorf("rule %s under %q stands in place %d", n, heading, rules)
			}
		}
	}
	var steps []string
	last := 0
	for _, m := range stepsOfThePolicy.FindAllStringSubmatch(sentenceWith(t, d, "The calls in Decide are these rules:"), -1) {
		from, _ := strconv.Atoi(m[2])
		if from != last+1 {
			t.Errorf("%s begins with rule %d, want %d", m[1], from, last+1)
		}
		if last = from; m[3] != "" {
			last, _ = strconv.Atoi(m[3])
		}
		steps = append(steps, m[1])
	}
	if last != rules {
		t.Errorf("the calls are rules 1 to %d, and there are %d", last, rules)
	}
	if diff := cmp.Diff(callsOn(t, "reconcile/planner/decide.go", "Decide", "pl"), steps); diff != "" {
		t.Errorf("calls in Decide (-code +package comment):\n%s", diff)
	}
}

// sentenceWith is the paragraph that begins with these words, without them.
func sentenceWith(t testing.TB, d *comment.Doc, words string) string {
	t.Helper()
	for _, b := range d.Content {
		if p, ok := b.(*comment.Paragraph); ok {
			if rest, ok := strings.CutPrefix(oneLine(p.Text), words); ok {
				return rest
			}
		}
	}
	t.Fatalf("no paragraph begins with %q", words)
	return ""
}

// callsOn are the methods that a function calls on one variable, in order.
func callsOn(t testing.TB, path, function, variable string) (calls []string) {
	t.Helper()
	ast.Inspect(body(t, path, function), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == variable {
				calls = append(calls, s.Sel.Name)
			}
		}
		return true
	})
	return calls
}

func body(t testing.TB, path, function string) *ast.BlockStmt {
	t.Helper()
	for _, s := range sources() {
		if s.path != path {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == function {
				return f.Body
			}
		}
	}
	t.Fatalf("%s has no function %s", path, function)
	return nil
}

func TestARunIsTheListOfItsPackageComment(t *testing.T) {
	_, items := numbered(t, packageComment(t, "reconcile/engine/doc.go"), "A run")
	var want, got []string
	for _, item := range items {
		name, _, _ := strings.Cut(item, ":")
		want = append(want, name)
	}
	ast.Inspect(body(t, "reconcile/engine/engine.go", "do"), func(n ast.Node) bool {
		list, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, e := range list.Elts {
			if s, ok := e.(*ast.SelectorExpr); ok {
				got = append(got, s.Sel.Name)
			}
		}
		return false
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps of a run (-package comment +code):\n%s", diff)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	said := map[string]bool{}
	for _, s := range sources() {
		if s.test() {
			continue
		}
		text := s.file.Doc.Text()
		good := strings.HasPrefix(text, "Package "+s.file.Name.Name+" ") || strings.HasPrefix(text, "Command ")
		said[s.folder()] = said[s.folder()] || good
	}
	for folder, ok := range said {
		if !ok {
			t.Errorf("no file of %s has a package comment", folder)
		}
	}
	for _, path := range []string{"reconcile/doc.go", "reconcile/planner/doc.go", "reconcile/engine/doc.go"} {
		if !slices.ContainsFunc(packageComment(t, path).Content, func(b comment.Block) bool {
			h, ok := b.(*comment.Heading)
			return ok && oneLine(h.Text) == "Decisions"
		}) {
			t.Errorf("%s has no part about rejected alternatives", path)
		}
	}
}
