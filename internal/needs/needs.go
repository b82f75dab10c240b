// Package needs gives tests the programs of others. A test that lacks one skips with the
// reason, except under CI=true, where it fails, because there it would be a hole in the
// tests that goes unnoticed. `make ci-deps` installs all of them.
package needs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program returns the path of the first program of names that there is: in the cache into
// which .ci/deps puts those that Go builds, as NAME-VERSION, in PATH, or where Debian keeps
// the servers.
func Program(tb testing.TB, names ...string) string {
	tb.Helper()
	path, ok := Find(names...)
	if !ok {
		Missing(tb, "this machine has no %s: make ci-deps installs it", strings.Join(names, ", "))
	}
	return path
}

// Find is Program without a test.
func Find(names ...string) (path string, ok bool) {
	for _, name := range names {
		if cache, err := os.UserCacheDir(); err == nil {
			// The last one has the highest version, or nearly so.
			if found, _ := filepath.Glob(filepath.Join(cache, "stripe-enhance", name+"-[0-9]*")); len(found) > 0 {
				return found[len(found)-1], true
			}
		}
		for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, true
			}
		}
	}
	return "", false
}

// History reports whether the working directory is in a clone that has the commits of before,
// which nothing that is installed could add.
func History(tb testing.TB) bool {
	out, err := exec.CommandContext(tb.Context(), "git", "rev-parse", "--is-shallow-repository").Output()
	return err == nil && strings.TrimSpace(string(out)) == "false"
}

// Missing ends a test because this machine lacks something: it skips, and fails in CI.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}
