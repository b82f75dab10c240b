package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inFile is a secret in a file of the test, its clock and what was noted.
type inFile struct {
	*File
	path  string
	clock time.Time
	noted []string
}

func follow(t *testing.T, usable func(string) string) *inFile {
	t.Helper()
	x := &inFile{path: filepath.Join(t.TempDir(), "key"), clock: time.Now()}
	x.write(t, "first\n", time.Hour)
	f, err := Follow("STRIPE_SECRET_KEY", x.path, usable)
	if err != nil {
		t.Fatal(err)
	}
	f.now = func() time.Time { return x.clock }
	f.Note(func(_ bool, message string) { x.noted = append(x.noted, strings.ReplaceAll(message, x.path, "FILE")) })
	x.File = f
	return x
}

// write writes the file as it was that long ago.
func (x *inFile) write(t *testing.T, text string, ago time.Duration) {
	t.Helper()
	if err := os.WriteFile(x.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := x.clock.Add(-ago)
	if err := os.Chtimes(x.path, at, at); err != nil {
		t.Fatal(err)
	}
}

func (x *inFile) shows(t *testing.T, want string, noted ...string) {
	t.Helper()
	for range 3 { // the same each time, and noted once
		if got := In(x.File).Reveal(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if diff := cmp.Diff(noted, x.noted); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
	x.noted = nil
}

func TestARotatedSecretIsUsedFromTheNextUseOn(t *testing.T) {
	x := follow(t, nil)
	x.shows(t, "first")
	x.write(t, "second\r\n", 2*time.Second)
	x.shows(t, "second", "STRIPE_SECRET_KEY was read again from FILE, which has changed")
	if a, b := In(x.File).Fingerprint(), New("second").Fingerprint(); a != b {
		t.Errorf("fingerprint %s, want %s", a, b)
	}
}

// What was just written may be a half: the program that writes it is given the time.
func TestAFileThatWasJustWrittenIsGivenTimeToBeComplete(t *testing.T) {
	x := follow(t, nil)
	x.write(t, "seco", 0)
	x.shows(t, "first")
	x.clock = x.clock.Add(time.Second)
	x.shows(t, "first")
	x.write(t, "second", 0)
	x.clock = x.clock.Add(1900 * time.Millisecond)
	x.shows(t, "first")
	x.clock = x.clock.Add(200 * time.Millisecond)
	x.shows(t, "second", "STRIPE_SECRET_KEY was read again from FILE, which has changed")
	x.write(t, "third", -time.Hour) // by a clock that is ahead
	x.shows(t, "second")
	x.clock = x.clock.Add(3 * time.Second)
	x.shows(t, "third", "STRIPE_SECRET_KEY was read again from FILE, which has changed")
}

// A volume of Kubernetes changes in one step: the link ..data leads to another directory.
func TestAPathThatLeadsToAnotherFileIsReadAtOnce(t *testing.T) {
	dir := t.TempDir()
	link := func(to, text string) {
		t.Helper()
		for _, err := range []error{os.MkdirAll(filepath.Join(dir, to), 0o700), os.WriteFile(filepath.Join(dir, to, "key"), []byte(text), 0o600),
			os.Symlink(to, filepath.Join(dir, "..tmp")), os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data"))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	link("..1", "first")
	path := filepath.Join(dir, "key")
	if err := os.Symlink(filepath.Join("..data", "key"), path); err != nil {
		t.Fatal(err)
	}
	f, err := Follow("STRIPE_SECRET_KEY", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"second", "third"} {
		link(".."+step, step)
		if got := In(f).Reveal(); got != step {
			t.Errorf("%q, want %q", got, step)
		}
	}
}

func TestAFileThatCannotBeUsedKeepsTheLastValueAndIsNotedOnce(t *testing.T) {
	const keeps = "STRIPE_SECRET_KEY keeps its last value: "
	x := follow(t, func(value string) string {
		if value == "bad" {
			return "is not a key"
		}
		return ""
	})
	for text, want := range map[string]string{
		"":                             keeps + "FILE is empty: write the secret into it",
		" \n":                          keeps + "FILE is empty: write the secret into it",
		"a\x00b":                       keeps + "FILE is not text: is it the right file?",
		"bad":                          keeps + "FILE: the new value is not a key",
		strings.Repeat("x", MaxFile+1): keeps + "FILE is larger than 64 KiB, so it is not a secret: is it the right file?",
	} {
		x.write(t, text, time.Minute)
		x.shows(t, "first", want)
		x.write(t, "first", time.Minute+time.Second)
		x.shows(t, "first", "STRIPE_SECRET_KEY: FILE can be used again")
	}
	if err := os.Remove(x.path); err != nil {
		t.Fatal(err)
	}
	x.shows(t, "first", keeps+"FILE does not exist: create it, or correct the path")
	x.write(t, "second", time.Minute)
	x.shows(t, "second", "STRIPE_SECRET_KEY was read again from FILE, which has changed", "STRIPE_SECRET_KEY: FILE can be used again")
	if err := os.Remove(x.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(x.path, 0o700); err != nil {
		t.Fatal(err)
	}
	x.clock = x.clock.Add(time.Hour)
	x.shows(t, "second", keeps+"FILE is a directory: name the file in it")
}

// A value that was refused may be right later: only the judge has changed, or a right that
// was missing, which no time of the file shows.
func TestWhatWasRefusedIsTriedAgain(t *testing.T) {
	refuse := true
	x := follow(t, func(string) string {
		if refuse {
			return "is not a key"
		}
		return ""
	})
	x.write(t, "second", time.Minute)
	x.shows(t, "first", "STRIPE_SECRET_KEY keeps its last value: FILE: the new value is not a key")
	refuse = false
	x.shows(t, "second", "STRIPE_SECRET_KEY was read again from FILE, which has changed", "STRIPE_SECRET_KEY: FILE can be used again")
}

func TestAListInAFileHasCommasOrLines(t *testing.T) {
	x := follow(t, nil)
	list := []Text{In(x.File)}
	x.write(t, "one, two,\nthree\r\n\n", time.Minute)
	var got []string
	for _, one := range Each(append(list, New("a,b"))) {
		got = append(got, one.Reveal())
	}
	if diff := cmp.Diff([]string{"one", "two", "three", "a,b"}, got); diff != "" {
		t.Error(diff)
	}
}
