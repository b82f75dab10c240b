package reconcile

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// TestEveryKindOfHoldHasARow reads the constants from the source: if one had no row, people
// would be left without the next step, and its orders would not be counted.
func TestEveryKindOfHoldHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "hold.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds, found := HoldKinds(), 0
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "HoldKind" {
			return true
		}
		found++
		word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil || !slices.Contains(kinds, HoldKind(word)) {
			t.Errorf("add %s to the table holdKinds (%v)", word, err)
		}
		return true
	})
	if found != len(kinds) {
		t.Errorf("%d constants are in the source, and %d rows in the table", found, len(kinds))
	}
	for _, kind := range kinds {
		if kind.Advice() == "" {
			t.Errorf("add the advice for %s to the table holdKinds", kind)
		}
	}
}
