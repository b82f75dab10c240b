package release

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// weaknesses is Go's database of known weaknesses, of which govulncheck asks for the modules
// of the program.
const weaknesses = "https://vuln.go.dev/index/db.json"

// In CI the program is compared with the database, if that can be reached. A test on a
// laptop contacts nothing outside of it.
func TestTheProgramCallsNoKnownWeakness(t *testing.T) {
	if !strings.Contains(read(t, ".github/workflows/test.yml"), "\n      - run: make vulns\n") {
		t.Error("no job of .github/workflows/test.yml runs make vulns")
	}
	if os.Getenv("CI") != "true" {
		t.Skip("this is not CI: make vulns asks the database")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, weaknesses, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Skipf("the database cannot be had here, so the job vulns of .github/workflows/test.yml alone compares with it: %v", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Skipf("the database cannot be had here, so the job vulns of .github/workflows/test.yml alone compares with it: GET %s: %s", weaknesses, answer.Status)
	}
	run(t, root, nil, needs.Program(t, "govulncheck"), "./...")
}

// A database with one made-up weakness, of a function that the engine calls: govulncheck
// reads our sources, finds the call, and fails. Without the weakness it does not.
func TestAWeaknessThatTheProgramCallsIsFound(t *testing.T) {
	program := needs.Program(t, "govulncheck")
	for name, symbol := range map[string]string{"called": "Logger.WithField", "not called": "NewEntryOfAnotherKind"} {
		dir := t.TempDir()
		const id = `"id":"GO-2026-0001","modified":"2026-01-01T00:00:00Z"`
		for file, text := range map[string]string{
			"index/db.json":      `{"modified":"2026-01-01T00:00:00Z"}`,
			"index/modules.json": `[{"path":"github.com/sirupsen/logrus","vulns":[{` + id + `}]}]`,
			"index/vulns.json":   `[{` + id + `}]`,
			"ID/GO-2026-0001.json": `{"schema_version":"1.3.1",` + id + `,"summary":"made up for a test",
				"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-0001"},"affected":[{
				"package":{"name":"github.com/sirupsen/logrus","ecosystem":"Go"},
				"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
				"ecosystem_specific":{"imports":[{"path":"github.com/sirupsen/logrus","symbols":["` + symbol + `"]}]}}]}`,
		} {
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), program, "-db", "file://"+dir, "./reconcile/engine")
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if failed := err != nil; failed != (name == "called") || failed && !strings.Contains(string(out), "engine.go:") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
