package mutation

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/overlay"
)

// helper is the name of the function that decides whether a mistake is made.
const helper = "mistakeIsMade"

// helperSource is the file that is added to every package that has mistakes.
const helperSource = `package %s

import (
	"os"
	"path/filepath"
)

var mistakeChosen = overlayChoice()

func ` + helper + `(number string) bool { return number == mistakeChosen }
` + overlay.Choice

// change is a file with one mistake in it.
type change struct {
	number int
	text   []byte
}

// woven is a file with several mistakes, each of which is made if it is chosen.
type woven struct {
	name  string // of the package
	text  []byte
	apart map[int]error // mistakes that need a build of their own, and why

	lines map[int]int // from a line of a copy to the number of its mistake
}

// edit is text that takes the place of other text.
type edit struct {
	from, to int
	text     string
}

// source is a parsed file.
type source struct {
	text  []byte
	file  *ast.File
	start int // the position of its first byte
}

func parse(text []byte) (source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	return source{text, file, set.File(file.FileStart).Base()}, nil
}

// between is the text between two positions.
func (s source) between(from, to token.Pos) string { return string(s.text[s.at(from):s.at(to)]) }

func (s source) at(p token.Pos) int { return int(p) - s.start }

// weave puts every mistake into a copy of its function, and begins the function with the
// question whether that mistake is chosen. The lines of the file keep their numbers.
func weave(text []byte, changes []change) (*woven, error) {
	was, err := parse(text)
	if err != nil {
		return nil, err
	}
	w := &woven{name: was.file.Name.Name, apart: map[int]error{}, lines: map[int]int{}}
	var edits []edit
	var copies bytes.Buffer
	line := bytes.Count(text, []byte("\n")) + 2
	named := map[*ast.FuncDecl]bool{} // the parameters of these have names already
	for _, c := range changes {
		is, err := parse(c.text)
		if err != nil {
			w.apart[c.number] = err
			continue
		}
		functions, err := changed(was, is)
		if err != nil {
			w.apart[c.number] = err
			continue
		}
		for _, f := range functions {
			name := fmt.Sprintf("mistake%d_%s", c.number, f.was.Name.Name)
			call, names := was.call(f.was, name)
			if !named[f.was] {
				named[f.was] = true
				edits = append(edits, names...)
			}
			after := was.at(f.was.Body.Lbrace) + 1
			edits = append(edits, edit{after, after, fmt.Sprintf(" if %s(%q) { %s };", helper, strconv.Itoa(c.number), call)})
			copied := is.between(f.is.Pos(), f.is.Name.Pos()) + name + is.between(f.is.Name.End(), f.is.End()) + "\n"
			copies.WriteString(copied)
			for range strings.Count(copied, "\n") {
				w.lines[line] = c.number
				line++
			}
		}
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out bytes.Buffer
	last := 0
	for _, e := range edits {
		out.Write(text[last:e.from])
		out.WriteString(e.text)
		last = e.to
	}
	out.Write(text[last:])
	out.WriteString("\n")
	out.Write(copies.Bytes())
	w.text = out.Bytes()
	return w, nil
}

// pair is a function without and with a mistake.
type pair struct{ was, is *ast.FuncDecl }

// changed are the functions in which two files differ. If they differ in anything else, a
// mistake cannot be chosen while the program runs, which is the error.
func changed(was, is source) (functions []pair, err error) {
	if err := importsAreAmong(was.file, is.file); err != nil {
		return nil, err
	}
	before, after := declarations(was.file), declarations(is.file)
	if len(before) != len(after) {
		return nil, errors.New("adds or removes a declaration")
	}
	for i := range before {
		a, isFunc := before[i].(*ast.FuncDecl)
		b, staysFunc := after[i].(*ast.FuncDecl)
		if was.between(before[i].Pos(), before[i].End()) == is.between(after[i].Pos(), after[i].End()) {
			continue
		}
		switch {
		case !isFunc || !staysFunc || a.Body == nil || b.Body == nil:
			return nil, errors.New("changes something outside of functions")
		case was.between(a.Pos(), a.Body.Lbrace) != is.between(b.Pos(), b.Body.Lbrace):
			return nil, fmt.Errorf("changes how %s is called", a.Name.Name)
		}
		if err := movable(b); err != nil {
			return nil, err
		}
		functions = append(functions, pair{a, b})
	}
	if len(functions) == 0 {
		return nil, errors.New("changes no function")
	}
	return functions, nil
}

// declarations are those of a file without its imports.
func declarations(f *ast.File) (all []ast.Decl) {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); !ok || g.Tok != token.IMPORT {
			all = append(all, d)
		}
	}
	return all
}

// importsAreAmong holds the imports of a mistake to those of its file: others would have
// to be added. Those that it no longer needs stay in use by the original.
func importsAreAmong(was, is *ast.File) error {
	for _, i := range is.Imports {
		if !slices.ContainsFunc(was.Imports, func(o *ast.ImportSpec) bool {
			return o.Path.Value == i.Path.Value && (o.Name == nil) == (i.Name == nil) && (o.Name == nil || o.Name.Name == i.Name.Name)
		}) {
			return fmt.Errorf("imports %s", i.Path.Value)
		}
	}
	return nil
}

// movable is an error for a function that behaves in another way if another function
// calls it: one that looks at its callers, or that ends a panic of its caller.
func movable(f *ast.FuncDecl) (err error) {
	if slices.Contains(typeParameters(f), "_") {
		return fmt.Errorf("%s has a type parameter without a name", f.Name.Name)
	}
	var look func(n ast.Node, own bool)
	look = func(n ast.Node, own bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				look(n.Body, false) // a panic that is ended there is that of this function
				return false
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && own && id.Name == "recover" {
					err = fmt.Errorf("%s ends the panic of its caller", f.Name.Name)
				}
			case *ast.SelectorExpr:
				if id, ok := n.X.(*ast.Ident); ok && (id.Name == "runtime" && strings.HasPrefix(n.Sel.Name, "Caller") || id.Name == "debug") {
					err = fmt.Errorf("%s looks at its callers", f.Name.Name)
				}
			}
			return true
		})
	}
	look(f.Body, true)
	return err
}

func typeParameters(f *ast.FuncDecl) (names []string) {
	if f.Type.TypeParams == nil {
		return nil
	}
	for _, p := range f.Type.TypeParams.List {
		for _, n := range p.Names {
			names = append(names, n.Name)
		}
	}
	return names
}

// call is the statement in which a function leaves everything to another one, and the
// edits that name the parameters of the first.
func (s source) call(f *ast.FuncDecl, name string) (statement string, edits []edit) {
	receiver, edits := s.names(f.Recv)
	args, more := s.names(f.Type.Params)
	statement = name
	if types := typeParameters(f); len(types) > 0 {
		statement += "[" + strings.Join(types, ", ") + "]"
	}
	if len(receiver) > 0 {
		statement = receiver[0] + "." + statement
	}
	statement += "(" + strings.Join(args, ", ") + ")"
	if f.Type.Results.NumFields() > 0 {
		return "return " + statement, append(edits, more...)
	}
	return statement + "; return", append(edits, more...)
}

// names are those of parameters, as they are passed on, and the edits that give a name to
// those without one.
func (s source) names(list *ast.FieldList) (names []string, edits []edit) {
	if list == nil {
		return nil, nil
	}
	for _, field := range list.List {
		dots := ""
		if _, ok := field.Type.(*ast.Ellipsis); ok {
			dots = "..."
		}
		if len(field.Names) == 0 {
			at := s.at(field.Type.Pos())
			name := fmt.Sprintf("mistakeAt%d", at)
			edits = append(edits, edit{at, at, name + " "})
			names = append(names, name+dots)
		}
		for _, id := range field.Names {
			name := id.Name
			if name == "_" {
				name = fmt.Sprintf("mistakeAt%d", s.at(id.Pos()))
				edits = append(edits, edit{s.at(id.Pos()), s.at(id.End()), name})
			}
			names = append(names, name+dots)
		}
	}
	return names, edits
}

var question = regexp.MustCompile(helper + `\("(\d+)"\)`)

// at are the mistakes on a line of a woven file: that of a copy, or all that a function
// asks for.
func (w *woven) at(line int) (numbers []int) {
	if n, ok := w.lines[line]; ok {
		return []int{n}
	}
	lines := bytes.Split(w.text, []byte("\n"))
	if line < 1 || line > len(lines) {
		return nil
	}
	for _, m := range question.FindAllSubmatch(lines[line-1], -1) {
		if n, err := strconv.Atoi(string(m[1])); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
