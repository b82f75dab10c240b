package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// calls are the command lines of this program in a piece of shell, without the
// program's name: enough of a shell for the examples of the help.
func calls(shell string) (all [][]string) {
	for _, at := range called.FindAllStringIndex(shell, -1) {
		var words []string
		word, quote, begun := "", rune(0), false
		for _, c := range shell[at[1]:] + "\n" {
			switch {
			case quote != 0 && c == quote:
				quote = 0
			case quote != 0:
				word += string(c)
			case c == '\'' || c == '"':
				quote, begun = c, true
			case strings.ContainsRune(" \n|&;>#", c):
				if begun {
					words = append(words, word)
				}
				word, begun = "", false
			default:
				word, begun = word+string(c), true
			}
			if quote == 0 && strings.ContainsRune("\n|&;>#", c) {
				break
			}
		}
		all = append(all, words)
	}
	return all
}

var called = regexp.MustCompile(`(?m)(?:^|\s)stripe-enhance(?:\s|$)`)

func TestCommandLinesAreFoundInExamples(t *testing.T) {
	got := calls("  KEY=\"$(openssl rand)\" stripe-enhance serve\n  stripe-enhance a 'b c' -o json | jq '.x | y'\n  x && ssh other stripe-enhance import - > f   # all")
	want := [][]string{{"serve"}, {"a", "b c", "-o", "json"}, {"import", "-"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An example that the program itself does not understand is worse than none. Each
// one is parsed as it would be when pasted, and each command has one of its own.
func TestEveryExampleOfTheHelpIsUnderstood(t *testing.T) {
	p, _, _ := bench()
	root := p.root()
	for _, c := range commandsBelow(root) {
		var shown []string
		for _, words := range calls(c.Example) {
			fresh := p.root()
			found, rest, err := fresh.Find(words)
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err == nil {
				word, _ := found.Flags().GetString("output")
				err = p.chooseFormat(found, word)
			}
			if err != nil {
				t.Errorf("example of %q: stripe-enhance %s: %v", c.CommandPath(), strings.Join(words, " "), err)
				continue
			}
			shown = append(shown, found.CommandPath())
		}
		own := func(path string) bool { return path == c.CommandPath() || strings.HasPrefix(path, c.CommandPath()+" ") }
		if c.Example != "" && !slices.ContainsFunc(shown, own) {
			t.Errorf("%s: its examples are of %v", c.CommandPath(), shown)
		}
	}
}

// ofCluster are lines in which the name is that of an object in Kubernetes; deploy/check tries them.
var ofCluster = regexp.MustCompile(`(?m)^ *(kubectl|helm) .*$`)

// Every command line of the pages is one that the program understands.
func TestEveryCommandOfThePagesIsUnderstood(t *testing.T) {
	var pages []string
	for _, where := range []string{"README*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob("../../" + where)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d pages: %v", where, len(found), err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeOfPage.FindAllStringSubmatch(string(text), -1) {
			for _, words := range calls(ofCluster.ReplaceAllString(m[1], "") + m[2]) {
				p, _, _ := bench()
				found, rest, err := p.root().Find(words)
				if err == nil && m[1] != "" { // a span in a sentence may leave out arguments
					err = found.ParseFlags(rest)
				}
				if err == nil && m[1] != "" {
					err = found.ValidateArgs(found.Flags().Args())
				}
				if err != nil {
					t.Errorf("%s: stripe-enhance %s: %v", page, strings.Join(words, " "), err)
				}
			}
		}
	}
}

// The table of commands has each of them, in the order and in the words of the help.
func TestThePageListsEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := bench()
	root := p.root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var want []string
	for _, group := range root.Groups() {
		for _, c := range root.Commands() {
			if c.GroupID == group.ID && !c.Hidden {
				want = append(want, "| `"+c.Name()+"` | "+c.Short+" |")
			}
		}
	}
	_, table, _ := strings.Cut(string(text), "\n| command | effect |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if diff := cmp.Diff(want, strings.Split(table, "\n")); diff != "" {
		t.Errorf("commands (-help +docs/commands.md):\n%s", diff)
	}
}

// The options of a mapping on the page are the flags of the command.
func TestThePageListsEveryOptionOfAMapping(t *testing.T) {
	text, err := os.ReadFile("../../docs/metadata.md")
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := bench()
	c, _, err := p.root().Find([]string{"mappings", "set"})
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "unchecked" && f.Name != "help" {
			want = append(want, f.Name)
		}
	})
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-flags +docs/metadata.md):\n%s", diff)
	}
}

// codeOfPage is a block of shell, or a span with a command.
var codeOfPage = regexp.MustCompile("(?s)```sh\n(.*?)```|`(stripe-enhance [^`]+)`")

// A new kind of manual hold needs a line in the help of holds add.
func TestTheHelpOfHoldsNamesEveryKind(t *testing.T) {
	p, _, _ := bench()
	c, _, err := p.root().Find([]string{"holds", "add"})
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for k := reconcile.ManualKind(1); reconcile.ParseManualKind(k.String()) == k; k++ {
		kinds++
		if usage := c.Flags().Lookup("kind").Usage; !strings.Contains(c.Long, "  "+k.String()+" ") || !strings.Contains(usage, k.String()) {
			t.Errorf("add %s to holdsLong and to the flag --kind", k)
		}
	}
	if kinds == 0 {
		t.Error("there is no kind")
	}
}
