package repocheck

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// door are the papers for engineers. They are read first, so they have to be true and to
// stay short.
var door = []string{"CONTRIBUTING.md", "ARCHITECTURE.md"}

const (
	mostLinesOfPaper = 110
	mostStations     = 25
)

var (
	// station matches "`path: Function`".
	station = regexp.MustCompile("`([a-z0-9_/-]+\\.go): ([A-Za-z]\\w*)`")
	// stationLine matches the beginning of a line of the walk.
	stationLine = regexp.MustCompile("(?m)^\\d+\\. `")
	// pathShape matches a path of this repository in backquotes.
	pathShape = regexp.MustCompile("`((?:cmd|internal|reconcile|clients|store|server|simulator|migrations|deploy|docs)(?:/[\\w.-]+)*)`")
)

func TestThePapersForEngineersNamePathsThatExist(t *testing.T) {
	for _, paper := range door {
		text := read(t, paper)
		if n := strings.Count(text, "\n"); n > mostLinesOfPaper {
			t.Errorf("%s has %d lines, more than %d: it is one page", paper, n, mostLinesOfPaper)
		}
		named := pathShape.FindAllStringSubmatch(text, -1)
		if len(named) < 10 {
			t.Errorf("%s names only %d paths", paper, len(named))
		}
		for _, m := range named {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", paper, m[1])
			}
		}
		if readme := read(t, "README.md"); !strings.Contains(readme, "("+paper+")") {
			t.Errorf("the README has no link to %s", paper)
		}
	}
}

func TestTheWalkThroughTheProgramNamesFunctionsThatExist(t *testing.T) {
	walk := station.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1)
	stations := len(stationLine.FindAllString(read(t, "ARCHITECTURE.md"), -1))
	if stations < 15 || stations > mostStations {
		t.Errorf("the walk has %d stations, want 15 to %d", stations, mostStations)
	}
	for _, m := range walk {
		if !declares(m[1], m[2]) {
			t.Errorf("ARCHITECTURE.md names the function %s of %s, which is not there: change the paper with the code", m[2], m[1])
		}
	}
}

// declares reports whether a file declares a function or method of a name.
func declares(path, name string) bool {
	return slices.ContainsFunc(sources(), func(s source) bool {
		return s.path == path && slices.ContainsFunc(s.file.Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && f.Name.Name == name
		})
	})
}

// Every folder with code is on the map, with all others of its kind or by itself.
func TestTheMapShowsEveryFolder(t *testing.T) {
	text, seen := read(t, "CONTRIBUTING.md"), map[string]bool{}
	for _, s := range sources() {
		if folder := s.folder(); !seen[folder] && !strings.Contains(text, "`"+folder+"`") {
			t.Errorf("CONTRIBUTING.md does not show %s on the map", folder)
		}
		seen[s.folder()] = true
	}
}
