package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// format is the value of -o.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
	formatCSV  format = "csv"
)

// formats is the annotation of commands that print more than text and JSON.
const formats = "formats"

// withCSV marks a list that can be printed as CSV.
func withCSV(c *cobra.Command) *cobra.Command {
	c.Annotations = map[string]string{formats: "text,json,csv"}
	return c
}

// viewFlags choose how much of a report is shown.
func (p *program) viewFlags(c *cobra.Command) {
	c.Flags().BoolVar(&p.shown.All, "all", false, "show every line of long lists")
	c.Flags().BoolVarP(&p.shown.Verbose, "verbose", "v", false, "one line for each change, with ids and reason, and also changes that no customer notices")
}

// view is how reports are shown, as wide as the terminal.
func (p *program) view() report.View {
	v := p.shown
	v.Style = p.style()
	if p.terminalOut && p.width != nil {
		v.Width = p.width()
	}
	return v
}

// chooseFormat checks -o against what the command can print.
func (p *program) chooseFormat(c *cobra.Command, word string) error {
	can := []string{string(formatText), string(formatJSON)}
	if more := c.Annotations[formats]; more != "" {
		can = strings.Split(more, ",")
	}
	if !slices.Contains(can, word) {
		return &usageError{fmt.Errorf("-o %s: this command prints %s", word, strings.Join(can, ", ")), c.CommandPath()}
	}
	p.format = format(word)
	return nil
}

// list prints a table, or in JSON its rows as objects.
func (p *program) list(t *report.Table, empty string, outside any) error {
	switch {
	case p.format == formatJSON:
		return report.WriteJSON(p.out, outside)
	case p.format == formatCSV:
		return t.CSV(p.out)
	case len(t.Rows) == 0:
		p.sayf("%s", empty)
		return nil
	}
	return t.Text(p.out, "", p.style())
}

// printf writes a result in words.
func (p *program) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(p.out, format, args...)
	return err
}
