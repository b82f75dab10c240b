package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// quoted matches every command between backticks, ours and Stripe's.
var quoted = regexp.MustCompile("`((?:stripe-enhance|stripe) [^`]*)`")

// placeholder matches what a person fills in: a word of capitals, alone or as the value of
// a key.
var placeholder = regexp.MustCompile(`(^|=)[A-Z]{3,}$`)

// ways FILE KIND [FROM=TO…] runs every command that the holds of a kind in a report name,
// each against a copy of the database of its own, because one way out closes the others.
// What a person fills in is FROM, and there is no other. "ways FILE KIND none" is for a
// kind that names none. Commands of Stripe's own program are only looked at. On PostgreSQL
// nothing is tried: the commands are the same, and there is no file to copy.
func (o *outside) ways(ts *testscript.TestScript, args []string) {
	if ts.Getenv("POSTGRES") != "" {
		return
	}
	var report struct {
		Holds []struct{ Kind, Reason string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &report))
	held, named := 0, 0
	for _, h := range report.Holds {
		if h.Kind != args[1] {
			continue
		}
		held++
		for _, m := range quoted.FindAllStringSubmatch(h.Reason, -1) {
			named++
			words := shellWords(m[1])
			for i := range words {
				for _, a := range args[2:] {
					if from, to, _ := strings.Cut(a, "="); words[i] == from || strings.HasSuffix(words[i], "="+from) {
						words[i] = strings.TrimSuffix(words[i], from) + to
					}
				}
				if placeholder.MatchString(words[i]) {
					ts.Fatalf("%s: what is %s? It is said: %s", m[1], words[i], h.Reason)
				}
			}
			if words[0] == "stripe" {
				o.stripeCommand(ts, words[1:])
				continue
			}
			runOnACopy(ts, words)
		}
	}
	if none := len(args) > 2 && args[2] == "none"; held == 0 || (named == 0) != none {
		ts.Fatalf("%d holds of the kind %s name %d commands", held, args[1], named)
	}
}

// stripeCommand looks at a command for Stripe's own program: an object of this account,
// and each value whole.
func (o *outside) stripeCommand(ts *testscript.TestScript, words []string) {
	known := map[string]string{}
	for _, s := range o.signed {
		known[s.Subscription], known[s.Customer] = "subscriptions", "customers"
	}
	if len(words) < 3 || known[words[2]] != words[0] {
		ts.Fatalf("of which object is this: %q", words)
	}
	switch rest := words[3:]; {
	case words[1] == "retrieve" && len(rest) == 0:
	case words[1] == "update" && len(rest) == 2 && rest[0] == "-d" && regexp.MustCompile(`^(metadata\[[a-z_]+\]|email)=\S*$`).MatchString(rest[1]):
	default:
		ts.Fatalf("this is no command of Stripe's program: %q", words)
	}
}

// looks are the commands whose exit code is about the whole installation, each with the
// codes that the rest of it may cause.
var looks = map[string][]int{"reconcile": {3}, "approve": {3}, "check": {1}}

func runOnACopy(ts *testscript.TestScript, words []string) {
	url := ts.Getenv("DATABASE_URL")
	path := strings.TrimPrefix(url, "sqlite:")
	dir, err := os.MkdirTemp(filepath.Dir(path), "copy")
	ts.Check(err)
	for _, end := range []string{"", "-wal", "-shm"} {
		if b, err := os.ReadFile(path + end); err == nil {
			ts.Check(os.WriteFile(filepath.Join(dir, "state.db"+end), b, 0o600))
		}
	}
	ts.Setenv("DATABASE_URL", "sqlite:"+filepath.Join(dir, "state.db"))
	defer ts.Setenv("DATABASE_URL", url)
	var exit *exec.ExitError
	if err := ts.Exec(words[0], words[1:]...); errors.As(err, &exit) && slices.Contains(looks[words[1]], exit.ExitCode()) {
		return
	} else if err != nil {
		ts.Fatalf("%q: %v", words, err)
	}
}

// refusal answers every write at the panel with a refusal.
func refusal(c simulator.Call) simulator.Fault {
	if c.Side == simulator.Enhance && c.Write() {
		return simulator.Fault{Status: 400, Body: []byte(`{"code":"bad_input","detail":"not today"}`)}
	}
	return simulator.Fault{}
}

// namesNoCommand are the kinds whose advice names no command that a script can run.
var namesNoCommand = map[string]string{
	"backup":    "the panel's backup is awaited, or made to work there: it names a setting, and no command",
	"downgrade": "the customer makes room, or a person changes the plan in the panel: it names no command",
}

// TestEveryWayOutIsRun reads the kinds from the source, and the scripts for the commands
// that they run: a kind that is added there needs a case here.
func TestEveryWayOutIsRun(t *testing.T) {
	run := map[string]bool{}
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^ways \S+ (\S+)`).FindAllStringSubmatch(string(b), -1) {
			run[m[1]] = true
		}
	}
	for _, kind := range reconcile.HoldKinds() {
		if _, exempt := namesNoCommand[string(kind)]; run[string(kind)] == exempt {
			t.Errorf("%s: run by a script: %t; listed as one that names no command: %t", kind, run[string(kind)], exempt)
		}
	}
}
