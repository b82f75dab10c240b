package repocheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the top of the repository, seen from this package.
const root = "../.."

const module = "github.com/stripe-enhance/stripe-enhance"

// source is one Go file.
type source struct {
	path string // from the top, with slashes
	text string
	set  *token.FileSet
	file *ast.File
}

// folder is where the package is, from the top.
func (s source) folder() string {
	if i := strings.LastIndex(s.path, "/"); i >= 0 {
		return s.path[:i]
	}
	return "."
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(p token.Pos) int { return s.set.Position(p).Line }

// files are all files of the repository that people write, from the top, without hidden
// folders (except .ci) and the results of builds.
var files = sync.OnceValue(func() []string {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && strings.HasPrefix(name, ".") && name != ".ci" || name == "bin" || name == "dist" {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && !leftBehind(name) {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			all = append(all, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return all
})

// leftBehind reports whether .gitignore lists a name, or it is the link to the repository
// of a second checkout: those are not part of the repository.
func leftBehind(name string) bool {
	return name == ".env" || name == ".git" || name == "stripe-enhance" || name == "coverage.out" || strings.Contains(name, ".db") ||
		strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")
}

var sources = sync.OnceValue(func() []source {
	var all []source
	for _, path := range files() {
		if !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			panic(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			panic(err)
		}
		all = append(all, source{path, string(text), set, file})
	}
	return all
})

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheWholeRepositoryIsLookedAt(t *testing.T) {
	for _, path := range []string{"README.md", "Dockerfile", ".ci/run", ".golangci.yml", "go.mod", "deploy/kubernetes/base/kustomization.yaml", "deploy/check/go.mod"} {
		if !slices.Contains(files(), path) {
			t.Errorf("%s is not among the files that the other tests look at", path)
		}
	}
	seen := map[string]bool{}
	for _, s := range sources() {
		seen[s.folder()] = true
	}
	for _, folder := range []string{"cmd/stripe-enhance", "reconcile/planner", "reconcile/engine", "store", "simulator", "clients/stripe", "clients/enhance"} {
		if !seen[folder] {
			t.Errorf("no source of %s is looked at", folder)
		}
	}
}

// The go command stops where another module begins, so that make has to go there. The only
// one is that of the manifests, because the program gets nothing from it.
func TestEveryModuleIsTested(t *testing.T) {
	var modules []string
	for _, path := range files() {
		if folder, ok := strings.CutSuffix(path, "/go.mod"); ok {
			modules = append(modules, folder)
		}
	}
	if !slices.Equal(modules, []string{"deploy/check"}) {
		t.Errorf("the modules beside the program's are %q", modules)
	}
	_, rest, _ := strings.Cut(read(t, "Makefile"), "\ntest: ")
	if recipe := strings.Split(rest, "\n")[1]; !strings.HasSuffix(recipe, " && cd deploy/check && go test -vet=off -timeout 5m ./...") {
		t.Errorf("make test does not end in deploy/check: %s", recipe)
	}
	for _, s := range sources() {
		if s.folder() == "deploy/check" && !s.test() {
			t.Errorf("%s is no test, and so might become a part of the program", s.path)
		}
	}
}
