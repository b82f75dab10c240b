package needs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watched is a test whose end is looked at.
type watched struct {
	testing.TB

	end string
}

func (*watched) Helper()                 {}
func (w *watched) Skipf(string, ...any)  { w.end += "skip " }
func (w *watched) Fatalf(string, ...any) { w.end += "fail "; w.TB.(*testing.T).SkipNow() }

func TestWhatIsMissingFailsInCIAndSkipsElsewhere(t *testing.T) {
	for ci, want := range map[string]string{"true": "fail ", "": "skip "} {
		t.Setenv("CI", ci)
		w := &watched{}
		t.Run("inner", func(t *testing.T) {
			w.TB = t
			Program(w, "no-such-program-anywhere")
		})
		if w.end != want {
			t.Errorf("CI=%q: the test ended with %q, want %q", ci, w.end, want)
		}
	}
}

func TestAProgramOfTheCacheComesFirst(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if path := Program(t, "no-such-program", "go"); !strings.HasSuffix(path, "go") {
		t.Errorf("found %s", path)
	}
	made := filepath.Join(cache, "stripe-enhance", "go-1.2.3")
	if err := os.MkdirAll(filepath.Dir(made), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(made, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if path := Program(t, "no-such-program", "go"); path != made {
		t.Errorf("found %s, want %s", path, made)
	}
}
