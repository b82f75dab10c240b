package repocheck

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A new kind has to be added to every table of kinds: a file that names three quarters of
// the kinds there are. These are the most tables that there may be of each. Besides them a
// new kind of action needs the rule that plans it, the client's call, the simulator's
// answer and the OpenAPI document; a new kind of hold needs the rule alone.
const (
	mostTablesOfAction = 4
	mostTablesOfHold   = 1
)

// TestANewKindTouchesFewFiles counts the tables that a new kind of action or hold has to
// be added to, because each of them can be forgotten.
func TestANewKindTouchesFewFiles(t *testing.T) {
	for _, c := range []struct {
		of    string
		most  int
		kinds []string
	}{
		{"kind of action", mostTablesOfAction, enumeration(t, "Kind", "ActionKind")},
		{"kind of hold", mostTablesOfHold, enumeration(t, "HoldKind")},
	} {
		rows := map[string]int{} // file → kinds that it names
		for _, kind := range c.kinds {
			for _, path := range naming(kind) {
				rows[path]++
			}
		}
		var tables []string
		for _, path := range slices.Sorted(maps.Keys(rows)) {
			if 4*rows[path] >= 3*len(c.kinds) {
				tables = append(tables, fmt.Sprintf("%s (%d of %d)", path, rows[path], len(c.kinds)))
			}
		}
		t.Logf("add a new %s to %s", c.of, strings.Join(tables, ", "))
		if len(tables) > c.most {
			t.Errorf("a new %s has to be added to %d tables, more than %d: make one of them a column of another", c.of, len(tables), c.most)
		}
	}
}

// enumeration are the constants of reconcile that have one of these types.
func enumeration(t *testing.T, types ...string) (names []string) {
	t.Helper()
	for _, s := range sources() {
		if s.test() || s.folder() != "reconcile" {
			continue
		}
		for _, d := range s.file.Decls {
			if decl, ok := d.(*ast.GenDecl); ok && decl.Tok == token.CONST {
				names = append(names, constantsOf(decl, types)...)
			}
		}
	}
	if len(names) < 5 {
		t.Fatalf("only %v are constants of %v", names, types)
	}
	return names
}

// constantsOf are the constants of one declaration that have one of these types. As in
// Go, a line without a type and a value has those of the line before.
func constantsOf(decl *ast.GenDecl, types []string) (names []string) {
	fits := false
	for _, spec := range decl.Specs {
		v := spec.(*ast.ValueSpec)
		if v.Type != nil || len(v.Values) > 0 {
			id, ok := v.Type.(*ast.Ident)
			fits = ok && slices.Contains(types, id.Name)
		}
		if fits && ast.IsExported(v.Names[0].Name) {
			names = append(names, v.Names[0].Name)
		}
	}
	return names
}

// naming are the files of the program that use a constant of reconcile.
func naming(name string) (paths []string) {
	for _, s := range sources() {
		if s.test() || s.folder() == "simulator" || slices.Contains(scaffolding, s.folder()) {
			continue
		}
		if refersTo(s, name) {
			paths = append(paths, s.path)
		}
	}
	return paths
}

// refersTo reports whether a file uses a name of reconcile: by itself in that package,
// behind the package's name elsewhere.
func refersTo(s source, name string) (found bool) {
	inside := s.folder() == "reconcile"
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			of, ok := n.X.(*ast.Ident)
			found = found || ok && of.Name == "reconcile" && n.Sel.Name == name
			ast.Inspect(n.X, func(x ast.Node) bool {
				id, ok := x.(*ast.Ident)
				found = found || inside && ok && id.Name == name
				return true
			})
			return !found && !inside
		case *ast.Ident:
			found = found || inside && n.Name == name
		}
		return !found
	})
	return found
}
