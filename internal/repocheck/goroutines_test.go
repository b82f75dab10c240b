package repocheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// unguarded are goroutines without a guard, each with its reason.
var unguarded = map[string]string{
	"cmd/stripe-enhance/main.go": "it waits for a signal and prints one line",
	"server/server.go":           "net/http recovers in every request",
}

// TestNoGoroutineOfTheProgramCanEndIt: a panic in a goroutine ends the process, whatever
// its caller does, and the runtime prints its value, which may be a key. So the function of
// each goroutine is guarded, or the reason why it need not be is here.
func TestNoGoroutineOfTheProgramCanEndIt(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources() {
		if s.test() || s.folder() == "simulator" || slices.Contains(scaffolding, s.folder()) {
			continue
		}
		for _, begun := range goroutines(s.file) {
			if guards(s.file, begun) {
				continue
			}
			seen[s.path] = true
			if unguarded[s.path] == "" {
				t.Errorf("%s:%d begins a goroutine in which a panic ends the process: call what it does by fault.Guard", s.path, s.line(begun.Pos()))
			}
		}
	}
	for path := range unguarded {
		if !seen[path] {
			t.Errorf("%s has no goroutine without a guard any more", path)
		}
	}
}

// goroutines are the functions that go statements and the Go methods of groups are
// given.
func goroutines(file *ast.File) (all []ast.Node) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			all = append(all, n.Call)
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "Go" && len(n.Args) == 1 {
				all = append(all, n.Args[0])
			}
		}
		return true
	})
	return all
}

// guards reports whether the started function calls a guard: the function itself, or the
// method of the same file that it names.
func guards(file *ast.File, begun ast.Node) (guarded bool) {
	named := map[string]bool{}
	look := func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.Ident:
			guarded = guarded || f.Name == "guarded"
		case *ast.SelectorExpr:
			guarded = guarded || f.Sel.Name == "Guard"
			named[f.Sel.Name] = true
		}
		return true
	}
	ast.Inspect(begun, look)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && named[f.Name.Name] && !guarded {
			ast.Inspect(f.Body, look)
		}
	}
	return guarded
}

func TestGoroutinesWithoutAGuardAreSeen(t *testing.T) {
	for text, want := range map[string]bool{
		"go func() { work() }()":                          false,
		"g.Go(func() error { return work() })":            false,
		"g.Go(guarded(work))":                             true,
		"go func() { done <- fault.Guard(work) }()":       true,
		"go s.receive()":                                  false,
		"wg.Go(func() { c.get() })":                       false,
		"g.Go(func() error { return fault.Guard(work) })": true,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+text+" }\n", 0)
		if err != nil {
			t.Fatal(err)
		}
		all := goroutines(file)
		if len(all) != 1 || guards(file, all[0]) != want {
			t.Errorf("%s: %d goroutines, guarded %v, want %v", text, len(all), len(all) == 1 && guards(file, all[0]), want)
		}
	}
}
