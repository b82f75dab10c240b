package release

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

func workflows(t *testing.T) (all []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(all) < 2 {
		t.Fatalf("%q, %v: where are the workflows?", all, err)
	}
	return all
}

func TestActionlintFindsNothingInTheWorkflows(t *testing.T) {
	run(t, root, nil, needs.Program(t, "actionlint"), "-no-color")
}

// pinned is an action by the digest of its commit, with the version for people: a tag can be
// moved to another commit by those who own it, or who have stolen it.
var pinned = regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

func TestEachActionOfAWorkflowIsPinned(t *testing.T) {
	digests := map[string]string{}
	for _, path := range workflows(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)\buses: *(.*)$`).FindAllStringSubmatch(string(text), -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: %q has not the form owner/name@DIGEST # v1.2.3", path, m[1])
			}
			action, digest, _ := strings.Cut(m[1], "@")
			if other := digests[action]; other != "" && other != digest {
				t.Errorf("%s: %s is used as %s and as %s", path, action, digest, other)
			}
			digests[action] = digest
		}
	}
}

// What a workflow may do is written at each job; on top it may only read.
func TestAWorkflowMayReadAndNoMoreUnlessAJobSaysSo(t *testing.T) {
	_, version, _ := strings.Cut(read(t, "go.mod"), "\ngo ")
	minor := regexp.MustCompile(`^\d+\.\d+`).FindString(version)
	for _, path := range workflows(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var w struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Timeout int `yaml:"timeout-minutes"`
				Steps   []struct {
					Uses, Run string
					With      map[string]any
				}
			}
		}
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: its permissions are %v, want contents: read", path, w.Permissions)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: %s has no time-out", path, name)
			}
			for _, s := range job.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("%s: %s leaves the token in the working copy", path, name)
				}
				if strings.HasPrefix(s.Uses, "actions/setup-go@") && s.With["go-version"] != minor+".x" {
					t.Errorf("%s: %s builds with Go %v, go.mod with %s", path, name, s.With["go-version"], minor)
				}
				if strings.Contains(s.Run, "${{") {
					t.Errorf("%s: %s puts an expression into a shell: %s", path, name, s.Run)
				}
			}
		}
	}
}
