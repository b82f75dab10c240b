package page

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listRows is how many rows of a list a page shows.
const listRows = 20

// list is a list with paging, search and CSV. Templates show it with
// {{template "list" .}}, where . is the list.
type list struct {
	*visit

	Columns []column
	Rows    []row
	// Search is the text that was searched for; Searchable shows the field.
	Search     string
	Searchable bool
	Keep       map[string]string // further parameters that a search keeps
	Empty      string            // key of the text for an empty list
	Total      int               // rows that were found on all pages; -1: not counted
	// Previous and Next are addresses of the pages around this one; "": there is none. With
	// First, Previous is the first page: the address has no trail to the one before.
	Previous, Next string
	First          bool
	// all yields every row for the CSV. nil: those are Rows, or, if the list was cut by
	// paged, everything that was found.
	all func(yield func(row) error) error
}

func (l *list) table() *list { return l }

// List is the list itself, for the templates of bodies that have one embedded.
func (l *list) List() *list { return l }

// Now is the time at which the list is shown.
func (l *list) Now() time.Time { return l.server.Now() }

// CSV is the address of the same list as CSV.
func (l *list) CSV() string { return l.Link("format", "csv", "page", "", "after", "", "back", "") }

// column is a column of a list.
type column struct {
	Key  string // of its text; also the name in the CSV, without the part before the dot
	Kind string // number, time, state, wide, or forms, which is not in the CSV
}

// Name is the name of the column in the CSV.
func (c column) Name() string {
	_, name, _ := strings.Cut(c.Key, ".")
	return name
}

type row []cell

// cell is a value of a list. Only one of Text, At and Amount is set.
type cell struct {
	Text             string
	At               time.Time
	Amount, Currency string
	Href             string // Text is a link
	Note             string // a second line
	Mark             string // Text is a mark: good, wait, bad or quiet
	Forms            []form // buttons; they are not in the CSV
}

// form has the buttons that ask for a change, each with its own value of one field.
type form struct {
	To      string // of the table of changes
	Task    string // by its name in templates: without the right for it they are not shown
	Name    string // of the field
	Buttons []button
	Fields  map[string]string // the others; with none, all rows share one form
}

type button struct{ Label, Value string } // Label is the key of its text

// Shared is the id of the form that all rows of a list share, after the table; "": a form of its own.
func (f form) Shared() string {
	if len(f.Fields) > 0 {
		return ""
	}
	return strings.ReplaceAll(strings.TrimPrefix(f.To, "/ui/"), "/", "-")
}

// SharedForms are the forms that rows share.
func (l *list) SharedForms() []form {
	var all []form
	for _, r := range l.Rows {
		for _, c := range r {
			for _, f := range c.Forms {
				if f.Shared() != "" && l.May(f.Task) && !slices.ContainsFunc(all, func(one form) bool { return one.To == f.To }) {
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// In is the cell with its list, for the template.
func (c cell) In(l *list) struct {
	List *list
	Cell cell
} {
	return struct {
		List *list
		Cell cell
	}{l, c}
}

// plain is the value of a cell in the CSV and for the search.
func (c cell) plain() string {
	switch {
	case !c.At.IsZero():
		return c.At.UTC().Format(time.RFC3339)
	case c.Amount != "":
		return c.Amount + " " + c.Currency
	case c.Note != "":
		return c.Text + " " + c.Note
	default:
		return c.Text
	}
}

// query are the parameters of a list.
type query struct {
	Search string
	Page   int    // from 1
	After  string // where the page before ended, for lists that the database cuts
	Back   string // the trail to the pages before, see trail
	CSV    bool
}

func (v *visit) query() query {
	q := v.r.URL.Query()
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	return query{Search: strings.TrimSpace(q.Get("search")), Page: n, After: q.Get("after"), Back: q.Get("back"), CSV: q.Get("format") == "csv"}
}

// paged makes a list of rows that are all at hand: it searches them, and cuts the page that
// was asked for.
func (v *visit) paged(empty string, columns []column, rows []row) *list {
	return v.pagedOf(empty, columns, listRows, len(rows), func(i int) row { return rows[i] })
}

// pagedOf is paged, with so many rows on a page, for n rows that are made when they are needed.
func (v *visit) pagedOf(empty string, columns []column, size, n int, at func(i int) row) *list {
	q := v.query()
	l := &list{visit: v, Columns: columns, Empty: empty, Search: q.Search, Searchable: true}
	if q.Search != "" || q.CSV {
		var found []row
		for i := range n {
			if r := at(i); q.Search == "" || r.contains(q.Search) {
				found = append(found, r)
			}
		}
		n, at = len(found), func(i int) row { return found[i] }
		l.Rows = found
	}
	if l.Total = n; q.CSV {
		return l
	}
	q.Page = min(q.Page, max((l.Total+size-1)/size, 1)) // rows may have gone since the link was made
	from := (q.Page - 1) * size
	to := min(from+size, l.Total)
	if from > 0 {
		l.Previous = v.Link("page", strconv.Itoa(q.Page-1))
	}
	if to < l.Total {
		l.Next = v.Link("page", strconv.Itoa(q.Page+1))
	}
	l.Rows = nil
	for i := from; i < to; i++ {
		l.Rows = append(l.Rows, at(i))
	}
	return l
}

// file is a list for a CSV whose columns are not those that the page shows. The names of the
// columns stand for themselves.
func (v *visit) file(head []string, rows [][]string) *list {
	l := &list{visit: v}
	for _, name := range head {
		l.Columns = append(l.Columns, column{Key: "file." + name})
	}
	for _, cells := range rows {
		r := make(row, len(cells))
		for i, text := range cells {
			r[i] = cell{Text: text}
		}
		l.Rows = append(l.Rows, r)
	}
	return l
}

func (r row) contains(text string) bool {
	text = strings.ToLower(text)
	for _, c := range r {
		if strings.Contains(strings.ToLower(c.plain()), text) {
			return true
		}
	}
	return false
}

// writeCSV answers a list as a file.
func (v *visit) writeCSV(l *list, name string) {
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	w := csv.NewWriter(v.w)
	var line []string
	for _, c := range l.Columns {
		if c.Kind != "forms" {
			line = append(line, c.Name())
		}
	}
	write := func(r row) error {
		line = line[:0]
		for i, c := range r {
			if l.Columns[i].Kind != "forms" {
				line = append(line, harmless(c.plain()))
			}
		}
		return w.Write(line)
	}
	err := w.Write(line)
	all := l.all
	if all == nil {
		all = l.each
	}
	if err == nil {
		err = all(write)
	}
	if w.Flush(); err != nil {
		v.server.Failed(v.r, err)
		panic(http.ErrAbortHandler) // a list that is cut must not look whole
	}
}

func (l *list) each(yield func(row) error) error {
	for _, r := range l.Rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// harmless keeps a spreadsheet from taking a text of a stranger for a formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
