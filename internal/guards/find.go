package guards

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// helper is the name of the function that is put around every condition. No
// package that is examined may use it.
const helper = "guardIsTakenAway"

// Class is how much a guard is worth looking at.
type Class string

const (
	// Decision is any guard that is not plain propagation.
	Decision Class = "decision"
	// Propagation is an `if err != nil` that only returns that error.
	Propagation Class = "propagation"
	// Operand is one side of && or || within a guard.
	Operand Class = "operand"
)

// Site is one condition that can be taken away.
type Site struct {
	Number int    `json:"number"` // from 0, within the package
	File   string `json:"file"`   // from the top of the repository
	Line   int    `json:"line"`
	Func   string `json:"func"`   // with the receiver's type: "planner.create"
	Source string `json:"source"` // the line, without indentation
	Class  Class  `json:"class"`
	// Values are those that the condition is made to have, one mutant each.
	Values []bool `json:"-"`

	from, to int // offsets in the file
}

// finder collects the sites of one file.
type finder struct {
	set      *token.FileSet
	path     string
	text     []byte
	lines    [][]byte
	operands bool
	within   string
	sites    []Site
}

// find returns the sites of one file in the order in which they stand there.
func find(path string, text []byte, operands bool) ([]Site, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := finder{set: set, path: path, text: text, lines: bytes.Split(text, []byte("\n")), operands: operands}
	for _, d := range file.Decls {
		f.within = ""
		if fn, ok := d.(*ast.FuncDecl); ok {
			f.within = funcName(fn)
		}
		ast.Inspect(d, f.visit)
	}
	slices.SortFunc(f.sites, func(a, b Site) int { return a.from - b.from })
	return f.sites, nil
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Ident:
		if n.Name == helper {
			panic(f.path + " uses the name " + helper) // two such functions would not compile anyway
		}
	case *ast.IfStmt:
		class, values := Decision, []bool{false}
		if propagates(n) {
			class = Propagation
		}
		if n.Else != nil {
			values = append(values, true)
		}
		f.add(n.Cond, class, values...)
		f.split(n.Cond)
	case *ast.SwitchStmt:
		if n.Tag != nil {
			break
		}
		for _, c := range n.Body.List {
			for _, cond := range c.(*ast.CaseClause).List {
				f.add(cond, Decision, false)
				f.split(cond)
			}
		}
	}
	return true
}

// split adds the operands of a condition: one that is false takes its side of ||
// away, one that is true its side of &&.
func (f *finder) split(cond ast.Expr) {
	if !f.operands {
		return
	}
	switch e := cond.(type) {
	case *ast.ParenExpr:
		f.split(e.X)
	case *ast.UnaryExpr:
		f.split(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.LAND && e.Op != token.LOR {
			return
		}
		for _, side := range []ast.Expr{e.X, e.Y} {
			if b, ok := side.(*ast.BinaryExpr); !ok || b.Op != e.Op {
				f.add(side, Operand, e.Op == token.LAND)
			}
			f.split(side)
		}
	}
}

func (f *finder) add(cond ast.Expr, class Class, values ...bool) {
	at := f.set.Position(cond.Pos())
	f.sites = append(f.sites, Site{
		File: f.path, Line: at.Line, Func: f.within, Class: class, Values: values,
		Source: string(bytes.TrimSpace(f.lines[at.Line-1])),
		from:   at.Offset, to: f.set.Position(cond.End()).Offset,
	})
}

// propagates reports whether an `if` only returns the error that it looks at.
func propagates(n *ast.IfStmt) bool {
	cond, ok := n.Cond.(*ast.BinaryExpr)
	if !ok || cond.Op != token.NEQ || n.Else != nil || len(n.Body.List) != 1 {
		return false
	}
	failed, ok := cond.X.(*ast.Ident)
	if none, isIdent := cond.Y.(*ast.Ident); !ok || !isIdent || none.Name != "nil" || !strings.HasSuffix(strings.ToLower(failed.Name), "err") {
		return false
	}
	back, ok := n.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(back.Results) == 0 {
		return false
	}
	named := false
	ast.Inspect(back.Results[len(back.Results)-1], func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		named = named || ok && id.Name == failed.Name
		return true
	})
	return named
}

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	of := fn.Recv.List[0].Type
	for {
		switch t := of.(type) {
		case *ast.StarExpr:
			of = t.X
		case *ast.IndexExpr:
			of = t.X
		case *ast.Ident:
			return t.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

// wrap is the text with every site inside a call of the helper. Sites may lie within
// each other; what opens first closes last.
func wrap(text []byte, sites []Site) []byte {
	type insert struct {
		at, span int
		opens    bool
		text     string
	}
	var all []insert
	for _, s := range sites {
		all = append(all, insert{s.from, s.to - s.from, true, fmt.Sprintf("%s(%d, ", helper, s.Number)},
			insert{s.to, s.to - s.from, false, ")"})
	}
	slices.SortStableFunc(all, func(a, b insert) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.opens != b.opens: // what ends here comes before the next to begin
			if a.opens {
				return 1
			}
			return -1
		case a.opens: // the longer one outside
			return b.span - a.span
		}
		return a.span - b.span
	})
	var out bytes.Buffer
	last := 0
	for _, i := range all {
		out.Write(text[last:i.at])
		out.WriteString(i.text)
		last = i.at
	}
	out.Write(text[last:])
	return out.Bytes()
}
