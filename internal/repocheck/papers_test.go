package repocheck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// apache is the SHA-256 of the license's text as its authors publish it, so that
// no word of it is lost or added.
const apache = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"

func TestTheLicenseIsApache2WordForWord(t *testing.T) {
	sum := sha256.Sum256([]byte(read(t, "LICENSE")))
	if got := hex.EncodeToString(sum[:]); got != apache {
		t.Errorf("LICENSE has the SHA-256 %s, want %s", got, apache)
	}
	if !strings.Contains(read(t, "README.md"), "Apache-2.0") {
		t.Error("the README does not name the license")
	}
}

var (
	releaseHeading = regexp.MustCompile(`^## \[(Unreleased|\d+\.\d+\.\d+)\](.*)$`)
	releaseDate    = regexp.MustCompile(`^ - \d{4}-\d{2}-\d{2}$`)
	changeHeading  = regexp.MustCompile(`^### (Added|Changed|Deprecated|Removed|Fixed|Security)$`)
	// ofACommit is the form of commit messages, which is not for users.
	ofACommit = regexp.MustCompile(`^- ([a-z/._-]+: |.*\b[0-9a-f]{7,40}\b)`)
)

// The form is https://keepachangelog.com/en/1.1.0/.
func TestTheChangelogIsWrittenForUsers(t *testing.T) {
	text := read(t, "CHANGELOG.md")
	if !strings.HasPrefix(text, "# Changelog\n") {
		t.Error("CHANGELOG.md does not begin with its title")
	}
	var releases, changes int
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			m := releaseHeading.FindStringSubmatch(line)
			if m == nil || (m[1] == "Unreleased") != (m[2] == "") || m[2] != "" && !releaseDate.MatchString(m[2]) {
				t.Errorf("CHANGELOG.md:%d: %q is neither `## [Unreleased]` nor `## [1.2.3] - 2026-01-31`", i+1, line)
			}
			if releases++; releases == 1 && (m == nil || m[1] != "Unreleased") {
				t.Errorf("CHANGELOG.md:%d: the first heading is not [Unreleased]", i+1)
			}
		case strings.HasPrefix(line, "### "):
			if !changeHeading.MatchString(line) {
				t.Errorf("CHANGELOG.md:%d: %q is none of the six kinds of change", i+1, line)
			}
		case strings.HasPrefix(line, "- "):
			if changes++; ofACommit.MatchString(line) {
				t.Errorf("CHANGELOG.md:%d: %q is a commit's words, not a user's", i+1, line)
			}
		}
	}
	if releases == 0 || changes == 0 {
		t.Errorf("CHANGELOG.md has %d releases and %d changes", releases, changes)
	}
}

// hygiene are marks of where and how something was written, which other readers cannot
// follow. They are put together from halves so that this list does not match itself.
var hygiene = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a reminder instead of the work", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)},
	{"a path of one machine", regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(` + `home|root|Users|work|workspace|mnt|builds)/[a-z]`)},
	{"a host of one network", regexp.MustCompile(`\b[a-z0-9-]+\.(internal|corp|lan|intra)\b`)},
	{"a number of a tracker", regexp.MustCompile(`(?i)\b(issue|ticket|pull request|PR) #?\d+\b`)},
	{"a merge that was not finished", regexp.MustCompile(`(?m)^(<{7}|>{7}) `)},
}

func TestNothingPointsToWhereItWasWritten(t *testing.T) {
	for _, path := range files() {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if path == "LICENSE" || path == "THIRD_PARTY_NOTICES.md" || path == "go.sum" || bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for _, h := range hygiene {
			if at := h.pattern.FindIndex(text); at != nil {
				t.Errorf("%s:%d: %q is %s", path, 1+bytes.Count(text[:at[0]], []byte("\n")), text[at[0]:at[1]], h.what)
			}
		}
	}
}

func TestMarksOfAPlaceAreRecognised(t *testing.T) {
	for i, text := range []string{"// TO" + "DO later", `open("/home` + `/ada/x")`, "proxy.l" + "an:3128", "see issue" + " 12", "<<<<<<" + "< HEAD"} {
		if !hygiene[i].pattern.MatchString(text) {
			t.Errorf("%q is not noticed as %s", text, hygiene[i].what)
		}
	}
}
