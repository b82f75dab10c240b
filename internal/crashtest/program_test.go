package crashtest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

// root is the top of the repository, seen from this package.
const root = "../.."

// built is a directory with two programs: "deadly", which has failpoints, and
// "plain", which is built as any other.
var built = sync.OnceValues(func() (string, error) {
	if err := readSources(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "stripe-enhance-crashtest-")
	if err != nil {
		return "", err
	}
	for name, tags := range map[string]string{"deadly": "failpoint", "plain": ""} {
		// Otherwise as the tests are built, so that there is little to compile.
		build := exec.Command("go", "build", "-tags", tags, "-ldflags", "-s -w", "-o", filepath.Join(dir, name), "./cmd/stripe-enhance")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("go build -tags %q: %w\n%s", tags, err, out)
		}
	}
	return dir, os.Chmod(dir, 0o755) // another user runs it, too
})

// readSources makes the cache of test results depend on the sources of the programs,
// because the cache follows the files that a test opens, and not those that go build opens.
func readSources() error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); ext == ".go" || ext == ".sql" || ext == ".mod" || ext == ".html" || ext == ".css" || ext == ".js" || ext == ".json" {
			_, err = os.ReadFile(path)
		}
		return err
	})
}

// program is the path of one of the two.
func program(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, name)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	if err := pgtest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// rounds is how often everything is done: KILLS, else once.
func rounds(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("KILLS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		tb.Fatalf("KILLS=%s: want a number of rounds", text)
	}
	return n
}

// The program that people run must not have a way to be killed by a variable.
func TestOnlyTheProgramBuiltForTestsHasFailpoints(t *testing.T) {
	for name, want := range map[string]bool{"deadly": true, "plain": false} {
		image, err := os.ReadFile(program(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"STRIPE_ENHANCE_FAILPOINT", "STRIPE_ENHANCE_CLOCK"} {
			if got := strings.Contains(string(image), word); got != want {
				t.Errorf("the %s program knows of %s: %t, want %t", name, word, got, want)
			}
		}
	}
}
