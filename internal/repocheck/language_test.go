package repocheck

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// measure is a limit on some words, per 1,000 words of text.
type measure struct {
	name  string
	words *regexp.Regexp
	most  float64 // 0: no limit
	least float64 // for comments alone
}

// measures are counts of words. The code that engineers like to read has few of the first
// three, because it names who does a thing and the thing itself, and many of the last,
// because its comments give reasons.
var measures = []measure{
	{name: "tell, told, say", words: regexp.MustCompile(`(?i)\b(tell|tells|told|telling|say|says|said|saying)\b`), most: 0.7},
	{name: "nobody, somebody, whoever, whom", words: regexp.MustCompile(`(?i)\b(nobody|somebody|whoever|whom|anybody|everybody)\b`), most: 0.7},
	{name: "what is … as a noun", words: regexp.MustCompile(`(?i)\bwhat (is|was|are|were|has|had|it|they|he|one|no|others|we|that|this)\b`), most: 0.7},
	{name: "if, when, because", words: regexp.MustCompile(`(?i)\b(if|when|because)\b`), least: 7.5},
}

// These are held to the measures; the lists only grow. Comments need reasons too,
// papers and sentences do not.
var (
	plainFolders   = []string{"clients", "cmd", "internal", "reconcile", "reconcile/engine", "server", "simulator", "store"}
	plainSentences = []string{"clients", "cmd", "internal", "reconcile", "reconcile/engine", "reconcile/planner", "server", "simulator", "store"}
	plainPapers    = []string{"CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", "README.md", "docs/alerts.md", "docs/kubernetes.md", "deploy/chart/stripe-enhance/README.md"}
)

var wordShape = regexp.MustCompile(`[A-Za-z][A-Za-z'-]*`)

func TestCommentsAreInPlainEnglish(t *testing.T) {
	for _, folder := range plainFolders {
		var text strings.Builder
		for _, s := range sources() {
			if strings.HasPrefix(s.path, folder+"/") {
				for _, c := range comments(s.file) {
					text.WriteString(" " + c)
				}
			}
		}
		hold(t, "the comments of "+folder, text.String(), true)
	}
}

func TestPapersAreInPlainEnglish(t *testing.T) {
	for _, paper := range plainPapers {
		hold(t, paper, read(t, paper), false)
	}
	var docs strings.Builder
	for _, page := range english(t) {
		docs.WriteString(" " + read(t, page))
	}
	hold(t, "all pages together", docs.String(), false)
}

// The sentences of the program are its longer texts: errors, holds, notes and help.
func TestSentencesOfTheProgramAreInPlainEnglish(t *testing.T) {
	for _, folder := range plainSentences {
		var text strings.Builder
		for _, s := range sources() {
			if !s.test() && strings.HasPrefix(s.path, folder+"/") {
				sentences(s, &text)
			}
		}
		hold(t, "the sentences of "+folder, text.String(), false)
	}
}

// hold counts the words of a text and compares them with the measures.
func hold(t *testing.T, what, text string, reasons bool) {
	t.Helper()
	words := float64(len(wordShape.FindAllString(text, -1)))
	for _, m := range measures {
		found := m.words.FindAllString(text, -1)
		rate := 1000 * float64(len(found)) / max(words, 1)
		if m.most > 0 && rate > m.most {
			t.Errorf("%s: %q %.2f times in 1,000 words, at most %.1f: name who does it, and the thing", what, m.name, rate, m.most)
		}
		if reasons && rate < m.least {
			t.Errorf("%s: %q %.2f times in 1,000 words, at least %.1f: give reasons", what, m.name, rate, m.least)
		}
	}
}

// comments are the comments of a file, without directives.
func comments(file *ast.File) (all []string) {
	for _, g := range file.Comments {
		for _, c := range g.List {
			if !strings.HasPrefix(c.Text, "//go:") {
				all = append(all, strings.TrimSuffix(c.Text[2:], "*/"))
			}
		}
	}
	return all
}

// sentences writes the texts of a file that have at least four words, without SQL.
func sentences(s source, to *strings.Builder) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err == nil && len(strings.Fields(text)) >= 4 && !sqlShape.MatchString(text) {
			to.WriteString(" " + text)
		}
		return true
	})
}

var sqlShape = regexp.MustCompile(`\b(SELECT|INSERT|UPDATE|DELETE|WHERE|JOIN|CREATE TABLE)\b`)
