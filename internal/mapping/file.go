// Package mapping reads mappings from files, compares them with Stripe and Enhance, and
// suggests those that are missing. A mapping is a price and the plan that it buys.
package mapping

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Provider is the only billing provider that there is.
const Provider = "stripe"

// Row is a mapping in files and in JSON, with the names of the database's columns.
type Row struct {
	Provider string `json:"billing_provider"`
	Billing  string `json:"billing_plan_id"`
	Plan     string `json:"enhance_plan_id"`
	OptionRow
}

// OptionRow is the options of a mapping in files and in JSON. nil: not given.
type OptionRow struct {
	Websites    *string `json:"websites,omitempty"`
	ServerGroup *string `json:"server_group,omitempty"`
	ByOrder     *bool   `json:"server_group_by_order,omitempty"`
	PHP         *string `json:"php_version,omitempty"`
	App         *string `json:"app,omitempty"`
	Onboarding  *string `json:"onboarding,omitempty"`
	Grace       *string `json:"grace_period,omitempty"`
}

// Given returns the options as text.
func (o OptionRow) Given() reconcile.GivenOptions {
	g := reconcile.GivenOptions{Websites: o.Websites, ServerGroup: o.ServerGroup, PHP: o.PHP, App: o.App, Onboarding: o.Onboarding, Grace: o.Grace}
	if o.ByOrder != nil {
		text := strconv.FormatBool(*o.ByOrder)
		g.ByOrder = &text
	}
	return g
}

// OptionsOf is the options of a mapping, those that differ from the settings.
func OptionsOf(m reconcile.MappingOptions) (o OptionRow) {
	for _, one := range [...]struct {
		to   **string
		text string
	}{
		{&o.Websites, string(m.Websites)}, {&o.ServerGroup, m.ServerGroup}, {&o.PHP, m.PHP}, {&o.App, string(m.App)},
		{&o.Onboarding, m.OnboardingText()}, {&o.Grace, m.GraceText()},
	} {
		if one.text != "" {
			*one.to = &one.text
		}
	}
	if m.ByOrder {
		o.ByOrder = &m.ByOrder
	}
	return o
}

// RowOf is the row of a mapping.
func RowOf(m reconcile.Mapping) Row {
	return Row{Provider, m.BillingID, m.Plan, OptionsOf(m.MappingOptions)}
}

// Rows are the rows of mappings; empty and not nil if there is none.
func Rows(all []reconcile.Mapping) []Row {
	rows := make([]Row, 0, len(all))
	for _, m := range all {
		rows = append(rows, RowOf(m))
	}
	return rows
}

// Table has the columns that Parse reads, of the options those that any mapping has.
func Table(rows []Row) *report.Table {
	t := &report.Table{Head: []string{"billing_provider", "billing_plan_id", "enhance_plan_id"}}
	var shown []optionColumn
	for _, c := range optionColumns {
		if slices.ContainsFunc(rows, func(r Row) bool { return c.cell(&r) != "" }) {
			shown, t.Head = append(shown, c), append(t.Head, c.name)
		}
	}
	for _, r := range rows {
		cells := []string{r.Provider, r.Billing, r.Plan}
		for _, c := range shown {
			cells = append(cells, c.cell(&r))
		}
		t.Add(cells...)
	}
	return t
}

// optionColumn is one option as a column of a table.
type optionColumn struct {
	name string
	at   func(*Row) **string // nil: it is ByOrder
}

var optionColumns = []optionColumn{
	{"websites", func(r *Row) **string { return &r.Websites }},
	{"server_group", func(r *Row) **string { return &r.ServerGroup }},
	{"server_group_by_order", nil},
	{"php_version", func(r *Row) **string { return &r.PHP }},
	{"app", func(r *Row) **string { return &r.App }},
	{"onboarding", func(r *Row) **string { return &r.Onboarding }},
	{"grace_period", func(r *Row) **string { return &r.Grace }},
}

func (c optionColumn) cell(r *Row) string {
	switch {
	case c.at == nil && r.ByOrder != nil:
		return strconv.FormatBool(*r.ByOrder)
	case c.at == nil || *c.at(r) == nil:
		return ""
	}
	return **c.at(r)
}

// read stores a cell of a file. An empty one is a given one: as in the settings.
func (c optionColumn) read(r *Row, cell string) error {
	if c.at != nil {
		*c.at(r) = &cell
		return nil
	}
	allowed, err := strconv.ParseBool(cmp.Or(strings.ToLower(strings.TrimSpace(cell)), "false"))
	if err != nil {
		return fmt.Errorf("%s is %q, which is neither true nor false", c.name, cell)
	}
	r.ByOrder = &allowed
	return nil
}

// Parse reads a file of mappings, CSV or JSON. stands are the mappings that are there: an
// option that the file does not have stays. The error names every line that is wrong.
func Parse(text []byte, stands []reconcile.Mapping) ([]reconcile.Mapping, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // spreadsheets write one
	rows, err := readRows(text)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("there is no mapping in it")
	}
	var all []reconcile.Mapping
	var wrong []error
	first := map[string]int{}
	for _, r := range rows {
		m, err := r.mapping(stands)
		if seen, twice := first[m.BillingID]; err == nil && twice {
			err = fmt.Errorf("%s is mapped on line %d already", m.BillingID, seen)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", r.line, err))
			continue
		}
		first[m.BillingID] = r.line
		all = append(all, m)
	}
	return all, errors.Join(wrong...)
}

// row is a Row of a file, with its place.
type row struct {
	line int
	bad  error // of a cell
	Row
}

func (r row) mapping(stands []reconcile.Mapping) (m reconcile.Mapping, err error) {
	m = reconcile.Mapping{BillingID: strings.TrimSpace(r.Billing), Plan: strings.TrimSpace(r.Plan)}
	switch {
	case r.bad != nil:
		return m, r.bad
	case r.Provider != "" && r.Provider != Provider:
		return m, fmt.Errorf("billing_provider is %q; only %q is known", r.Provider, Provider)
	case m.BillingID == "":
		return m, errors.New("billing_plan_id is empty")
	case m.Plan == "":
		return m, errors.New("enhance_plan_id is empty")
	case strings.ContainsFunc(m.BillingID+m.Plan, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }):
		return m, errors.New("a control character or a broken letter is in it")
	}
	m.MappingOptions, err = r.Given().Over(Standing(stands, m.BillingID), m.Plan)
	return m, err
}

// Standing returns the options of the mapping of a billing id; the zero value if it is not
// mapped.
func Standing(all []reconcile.Mapping, billingID string) reconcile.MappingOptions {
	for _, m := range all {
		if m.BillingID == billingID {
			return m.MappingOptions
		}
	}
	return reconcile.MappingOptions{}
}

// readRows recognises the form by its first character: a JSON list begins with a bracket,
// and no heading does.
func readRows(text []byte) ([]row, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && (trimmed[0] == '[' || trimmed[0] == '{') {
		return readJSONRows(text)
	}
	return readCSVRows(text)
}

func readJSONRows(text []byte) ([]row, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("line 1: a JSON list is expected, as `stripe-enhance mappings export -o json` writes it")
	}
	var rows []row
	for d.More() {
		var r row
		err := d.Decode(&r.Row)
		r.line = lineAt(text, d.InputOffset())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.line, err)
		}
		rows = append(rows, r)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("line %d: the list is not closed", lineAt(text, d.InputOffset()))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: there is something after the list", lineAt(text, d.InputOffset()))
	}
	return rows, nil
}

func lineAt(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
}

func readCSVRows(text []byte) ([]row, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.TrimLeadingSpace = true
	r.ReuseRecord = true
	if line, _, _ := bytes.Cut(text, []byte("\n")); bytes.Count(line, []byte(";")) > bytes.Count(line, []byte(",")) {
		r.Comma = ';' // spreadsheets use it where the comma is the decimal point
	}
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, csvError(err)
	}
	column, err := columns(head)
	if err != nil {
		return nil, err
	}
	var rows []row
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := r.FieldPos(0)
		one := row{line: line}
		for i, cell := range cells {
			one.bad = errors.Join(one.bad, column[i](&one.Row, strings.Clone(cell)))
		}
		rows = append(rows, one)
	}
}

// columns maps the headings, in any order, to the fields of a row.
func columns(head []string) ([]func(*Row, string) error, error) {
	known := map[string]func(*Row, string) error{
		"billing_provider": func(m *Row, cell string) error { m.Provider = cell; return nil },
		"billing_plan_id":  func(m *Row, cell string) error { m.Billing = cell; return nil },
		"enhance_plan_id":  func(m *Row, cell string) error { m.Plan = cell; return nil },
	}
	for _, c := range optionColumns {
		known[c.name] = c.read
	}
	all := make([]func(*Row, string) error, len(head))
	seen := map[string]bool{}
	for i, h := range head {
		name := strings.ToLower(strings.TrimSpace(h))
		if known[name] == nil || seen[name] {
			return nil, fmt.Errorf("line 1: the heading %q is unknown, or there twice; billing_plan_id and enhance_plan_id are expected", h)
		}
		all[i], seen[name] = known[name], true
	}
	if !seen["billing_plan_id"] || !seen["enhance_plan_id"] {
		return nil, errors.New("line 1: the headings billing_plan_id and enhance_plan_id are expected")
	}
	return all, nil
}

// csvError puts the line first, as the other messages do.
func csvError(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: %w", p.Line, p.Err)
	}
	return err
}
