package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is rows under headings. Cells are made plain when written as text.
type Table struct {
	Head []string
	Rows [][]string
}

// Add appends a row; it has as many cells as there are headings.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Text writes aligned columns. Lines have no spaces at their end, and no cell is cut,
// because people copy ids. Times are written as people read them.
func (t *Table) Text(w io.Writer, indent string, s Style) error {
	plain := make([][]string, len(t.Rows))
	width := make([]int, len(t.Head))
	for i, h := range t.Head {
		width[i] = utf8.RuneCountInString(h)
	}
	for r, row := range t.Rows {
		plain[r] = make([]string, len(row))
		for i, cell := range row {
			plain[r][i] = readable(Plain(cell))
			if i < len(width) {
				width[i] = max(width[i], utf8.RuneCountInString(plain[r][i]))
			}
		}
	}
	var b strings.Builder
	if strings.Join(t.Head, "") != "" {
		b.WriteString(indent + s.Dim(line(t.Head, width)) + "\n")
	}
	for _, row := range plain {
		b.WriteString(indent + line(row, width) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(cells []string, width []int) string {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		if i < len(width)-1 {
			fmt.Fprintf(&b, "%*s", width[i]-utf8.RuneCountInString(cell)+2, "")
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// CSV writes the headings and rows by RFC 4180, cells unchanged.
func (t *Table) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(t.Head); err != nil {
		return err
	}
	return c.WriteAll(t.Rows)
}
