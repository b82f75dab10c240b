package repocheck

import (
	"go/ast"
	"go/format"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyTheCommandEndsTheProcess(t *testing.T) {
	exits := 0
	for _, s := range sources() {
		if s.test() || slices.Contains(scaffolding, s.folder()) {
			continue
		}
		for _, place := range endings(s.file) {
			if s.path == "cmd/stripe-enhance/main.go" {
				exits++
				continue
			}
			t.Errorf("%s:%d ends the process: return an error instead, cmd/stripe-enhance/main.go exits", s.path, s.line(place))
		}
	}
	if exits != 1 {
		t.Errorf("cmd/stripe-enhance/main.go exits in %d places, want 1", exits)
	}
}

// endings are the calls that end the process, whatever the logger is called.
func endings(file *ast.File) (all []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		called, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, _ := called.X.(*ast.Ident)
		switch name := called.Sel.Name; {
		case name == "Exit" && of != nil && (of.Name == "os" || of.Name == "syscall" || of.Name == "logrus"),
			strings.HasPrefix(name, "Fatal"):
			all = append(all, call.Pos())
		}
		return true
	})
	return all
}

// Limits of size. If one is longer, a comment with the words "longer than" and "because"
// gives the reason. A table of examples in a test is as long as the examples.
const (
	mostLines         = 900 // because one way through the program should pass few files
	mostLinesOfTest   = 500
	mostLinesOfFunc   = 60
	mostLinesOfWiring = 100 // cmd/stripe-enhance/main.go, without exception
)

var excused = regexp.MustCompile(`(?is)longer than.*because`)

func TestFilesAndFunctionsAreShortOrSayWhyNot(t *testing.T) {
	for _, s := range sources() {
		limit := mostLines
		if s.test() {
			limit = mostLinesOfTest
		}
		if n := s.set.File(s.file.Pos()).LineCount(); n > limit && !excusedBy(s.file.Comments) {
			t.Errorf("%s has %d lines, more than %d, and gives no reason", s.path, n, limit)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.test() {
				continue
			}
			if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > mostLinesOfFunc && !excusedBy([]*ast.CommentGroup{f.Doc}) {
				t.Errorf("%s:%d: %s has %d lines, more than %d, and gives no reason", s.path, s.line(f.Pos()), f.Name.Name, n, mostLinesOfFunc)
			}
		}
	}
	if n := strings.Count(read(t, "cmd/stripe-enhance/main.go"), "\n"); n > mostLinesOfWiring {
		t.Errorf("main.go has %d lines, more than %d", n, mostLinesOfWiring)
	}
}

func excusedBy(comments []*ast.CommentGroup) bool {
	for _, c := range comments {
		if c != nil && excused.MatchString(c.Text()) {
			return true
		}
	}
	return false
}

func TestTheSourcesAreFormatted(t *testing.T) {
	for _, s := range sources() {
		formatted, err := format.Source([]byte(s.text))
		if err != nil {
			t.Fatal(err)
		}
		if string(formatted) != s.text {
			t.Errorf("%s is not formatted: gofmt -w %s", s.path, s.path)
		}
	}
}

// never are words in the text of the program (not in its comments) that would be
// a request that must not exist.
var never = []struct {
	folders []string
	word    *regexp.Regexp
	why     string
}{
	{[]string{"clients/", "reconcile", "store", "server", "cmd/", "internal/config"}, regexp.MustCompile(`(?i)\bforce(=|%3d)`), "a forced deletion cannot be taken back"},
	{[]string{"clients/enhance"}, regexp.MustCompile(`(?i)^force$`), "a forced deletion cannot be taken back"},
	{[]string{"clients/enhance", "reconcile/engine"}, regexp.MustCompile(`(?i)idempotency`), "the panel ignores the key, and with it Go's transport sends a POST twice when a kept-alive connection breaks"},
}

func TestNoClientCanForceOrAskTheTransportToRepeatAWrite(t *testing.T) {
	for _, s := range sources() {
		if s.test() {
			continue
		}
		for at, text := range literals(s) {
			if why := forbidden(s.path, text); why != "" {
				t.Errorf("%s:%d: %q must not be there: %s", s.path, s.line(at), text, why)
			}
		}
	}
}

func TestTheWordsThatMustNotBeSentAreRecognised(t *testing.T) {
	for _, c := range []struct{ path, text string }{
		{"clients/enhance/client.go", "?force=true"},
		{"clients/enhance/client.go", "force"},
		{"clients/stripe/write.go", "x?a=b&Force=1"},
		{"clients/enhance/client.go", "Idempotency-Key"},
		{"clients/enhance/client.go", "X-Idempotency-Key"},
	} {
		if forbidden(c.path, c.text) == "" {
			t.Errorf("%q in %s is not noticed", c.text, c.path)
		}
	}
	if why := forbidden("clients/enhance/client.go", "the panel refused by force majeure"); why != "" {
		t.Errorf("a sentence is taken for a request: %s", why)
	}
}

func forbidden(path, text string) string {
	for _, n := range never {
		for _, folder := range n.folders {
			if strings.HasPrefix(path, folder) && n.word.MatchString(text) {
				return n.why
			}
		}
	}
	return ""
}

// literals are the texts in a source, by where they stand.
func literals(s source) map[token.Pos]string {
	all := map[token.Pos]string{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				panic(err) // the parser accepted it
			}
			all[lit.Pos()] = text
		}
		return true
	})
	return all
}
