package release

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The notes of the newest release, or of the first one, are there, and lead to pages of it.
// `make release` takes them by its tag, and ends without a release if there are none.
func TestTheReleaseHasItsNotes(t *testing.T) {
	version := "1.0.0"
	if m := regexp.MustCompile(`(?m)^## \[(\d\S*)\]`).FindStringSubmatch(read(t, "CHANGELOG.md")); m != nil {
		version = m[1]
	}
	notes := read(t, ".github/release-notes/v"+version+".md")
	links := regexp.MustCompile(`/blob/v([^/]+)/([\w./-]+)`).FindAllStringSubmatch(notes, -1)
	if len(links) == 0 {
		t.Error("the notes lead to no page")
	}
	for _, m := range links {
		if m[1] != version {
			t.Errorf("%s is that of version %s, not of %s", m[0], m[1], version)
		}
		if _, err := os.Stat(filepath.Join(root, m[2])); err != nil {
			t.Errorf("the notes lead to %s: %v", m[2], err)
		}
	}
}
