package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If a directory has nothing of an installation, no command leaves a file in it, and each
// command that does not begin an installation prints where it looked. A new command is
// tried like the others.
func TestNoCommandLeavesAnythingInTheWrongDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mappings.csv")
	if err := os.WriteFile(file, []byte("billing_plan_id,enhance_plan_id\nprice_1,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	begin := map[string]bool{"serve": true, "reconcile": true, "migrate": true}
	without := map[string]bool{"version": true, "check": true, "healthcheck": true, "configuration": true}
	more := map[string][]string{
		"mappings import":       {"mappings", "import", file},
		"holds add":             {"holds", "add", "--customer", "cus_1", "--kind", "ignore"},
		"migrate copy":          {"migrate", "copy", "--to", "postgres://127.0.0.1:1/x"},
		"migrate import-legacy": {"migrate", "import-legacy", "postgres://127.0.0.1:1/x"},
		"customers show":        {"customers", "show", "--email", "a@example.com"},
		"customers bind":        {"customers", "bind", "sub_1", "new", "--reason", "because"},
		"customers unbind":      {"customers", "unbind", "sub_1", "--reason", "because"},
		"customers merge":       {"customers", "merge", "cus_1", "cus_2", "--reason", "because"},
		"customers split":       {"customers", "split", "cus_1", "--reason", "because"},
		"customers rename":      {"customers", "rename", "cus_1", "A new name", "--reason", "because"},
		"customers email":       {"customers", "email", "cus_1", "b@example.com", "--reason", "because"},
		"customers login":       {"customers", "login", "cus_1", "--reason", "because"},
		"customers move":        {"customers", "move", "7", "sub_1", "--reason", "because"},
		"customers erase":       {"customers", "erase", "cus_1", "--reason", "because"},
		"customers export":      {"customers", "export", "cus_1"},
		"reject":                {"reject", "0123456789abcdef", "--reason", "because"},
	}
	tried := 0
	root, _, _ := bench()
	for _, c := range commandsBelow(root.root()) {
		name := strings.TrimPrefix(c.CommandPath(), "stripe-enhance ")
		if !c.Runnable() || c.HasSubCommands() || begin[name] || strings.Contains(name, "completion") || name == "man" || name == "demo" || name == "simulate" || name == "help" {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			args := more[name]
			if args == nil {
				args = callOf(c)
			}
			p, out, stderr := bench("STRIPE_SECRET_KEY=sk_test_0123456789", "STRIPE_API_URL=http://127.0.0.1:1", "ENHANCE_API_URL=http://127.0.0.1:1",
				"ENHANCE_API_TOKEN=0123456789", "ENHANCE_ORG_ID=6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11")
			if name == "check" { // which would ask both sides, with patience
				p.environ = nil
			}
			p.dotEnvs = []string{".env"}
			code := p.run(t.Context(), args)
			if !without[name] && (code != exitUsage || !strings.Contains(stderr.String(), "there is no database "+filepath.Join(dir, "stripe-enhance.db")) ||
				!strings.Contains(stderr.String(), filepath.Join(dir, ".env"))) {
				t.Errorf("exit code %d, and it does not say where it looked:\n%s%s", code, stderr, out)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("it leaves %v, %v", left, err)
			}
		})
	}
	if tried < 12 {
		t.Errorf("only %d commands were tried", tried)
	}
}
