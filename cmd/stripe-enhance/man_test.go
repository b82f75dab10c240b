package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// written are the files that man writes.
func written(t *testing.T, dir string) {
	t.Helper()
	p, _, stderr := bench()
	if code := p.run(t.Context(), []string{"man", dir}); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
}

func TestEveryCommandHasAManPageThatGroffAccepts(t *testing.T) {
	man := needs.Program(t, "man")
	dir := t.TempDir()
	written(t, dir)
	p, _, _ := bench()
	var want []string
	for _, c := range commandsBelow(p.root()) {
		path := strings.ReplaceAll(c.CommandPath(), " ", "-")
		if c.Hidden || c.Name() == "help" || strings.HasPrefix(path, "stripe-enhance-completion") {
			continue
		}
		if file := filepath.Join(dir, "man1", path+".1"); c.Runnable() {
			want = append(want, file)
		} else {
			want = append(want, filepath.Join(dir, "man5", path+".5"))
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "man*", "*"))
	if err != nil || len(found) != len(want) {
		t.Errorf("%d pages for %d commands: %q", len(found), len(want), found)
	}
	// The way in which Debian's lintian looks at pages.
	cmd := exec.CommandContext(t.Context(), man, append([]string{"--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z"}, want...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80")
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	if err := cmd.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("man: %v:\n%s", err, &warnings)
	}
}

// bold matches the first of two letters that a printer would strike over each other.
var bold = regexp.MustCompile(".\x08")

// A page as a reader sees it: every sign of a command can be copied into a shell.
func TestAManPageShowsExamplesThatCanBeCopied(t *testing.T) {
	man := needs.Program(t, "man")
	dir := t.TempDir()
	written(t, dir)
	for file, signs := range map[string][]string{
		"man1/stripe-enhance.1":               {"keeps hosting at Enhance", "stripe-enhance plan -o json", "EXIT STATUS", "stripe-enhance-configuration(5)", "usage or configuration; nothing was contacted"},
		"man1/stripe-enhance-reconcile.1":     {"--full", "-o, --output", "stripe-enhance(1)"},
		"man5/stripe-enhance-configuration.5": {"GRACE_PERIOD (default: 72h)", "STRIPE_SECRET_KEY_FILE"},
	} {
		cmd := exec.CommandContext(t.Context(), man, "-E", "UTF-8", "-l", "-Tutf8", "-P", "cat", filepath.Join(dir, file))
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=120", "GROFF_NO_SGR=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		shown := bold.ReplaceAllString(string(out), "")
		for _, sign := range signs {
			if !strings.Contains(shown, sign) {
				t.Errorf("%s does not show %q:\n%s", file, sign, shown)
			}
		}
	}
}

func TestTheExitStatusOfTheManPageIsThatOfTheCode(t *testing.T) {
	code, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range exitStatus {
		if e.code != i || !strings.Contains(string(code), " // "+e.meaning+"\n") {
			t.Errorf("exit.go has another sentence for %d than %q", e.code, e.meaning)
		}
	}
}

// The shells themselves read the completions; one that is not installed is left out, with
// a note, but bash is always there.
func TestTheShellsReadTheirCompletions(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	for shell, file := range map[string]string{"bash": "stripe-enhance.bash", "zsh": "_stripe-enhance", "fish": "stripe-enhance.fish"} {
		path, ok := needs.Find(shell)
		if !ok && shell != "bash" {
			t.Logf("%s is not read: this machine has no %s", file, shell)
			continue
		}
		if !ok {
			needs.Missing(t, "this machine has no bash")
		}
		if out, err := exec.CommandContext(t.Context(), path, "-n", filepath.Join(dir, "completions", file)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", file, err, out)
		}
	}
}
