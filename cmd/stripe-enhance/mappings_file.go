package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// maxImport is far above any price list; more is the wrong file.
const maxImport = 16 << 20

func (p *program) mappingsExport() *cobra.Command {
	return withCSV(&cobra.Command{
		Use:     "export",
		Short:   "All mappings, in the form that import reads (CSV unless -o json)",
		Example: "  stripe-enhance mappings export > mappings.csv\n  stripe-enhance mappings export -o json > mappings.json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *parts) error {
				all, err := a.store.Mappings(ctx)
				if err != nil {
					return err
				}
				t, outside := mappingTable(all)
				if p.format == formatJSON {
					return report.WriteJSON(p.out, outside)
				}
				return t.CSV(p.out)
			})
		},
	})
}

func (p *program) mappingsImport() *cobra.Command {
	var unchecked bool
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Set many mappings at once, all or none (CSV or JSON; - reads standard input)",
		Long: "Sets every mapping of a file, or none: one mistake in it and nothing changes.\n" +
			"Mappings that the file does not name stay. The file is CSV with the headings\n" +
			"billing_plan_id and enhance_plan_id (billing_provider may be there), or a JSON\n" +
			"list of objects with these names, as export writes them.",
		Args: arguments("FILE"),
		Example: "  stripe-enhance mappings import mappings.csv\n" +
			"  stripe-enhance mappings export -o json | ssh other stripe-enhance mappings import -",
		RunE: func(c *cobra.Command, args []string) error {
			return p.importMappings(c.Context(), args[0], unchecked)
		},
	}
	c.Flags().BoolVar(&unchecked, "unchecked", false, "do not ask Stripe and Enhance whether they know them")
	return c
}

func (p *program) importMappings(ctx context.Context, file string, unchecked bool) error {
	text, err := p.read(file)
	if err != nil {
		return err
	}
	all, err := parseMappings(text)
	if err != nil {
		return fmt.Errorf("%s: nothing was imported:\n%w", file, err)
	}
	return p.withSides(ctx, unchecked, func(ctx context.Context, a *parts) error {
		if err := p.verify(ctx, a, all...); err != nil {
			return err
		}
		if err := a.store.ImportMappings(ctx, all, p.person(), p.now()); err != nil {
			return err
		}
		if p.format == formatJSON {
			return report.WriteJSON(p.out, map[string]int{"imported": len(all)})
		}
		return p.printf("%s set\n", report.Count(len(all), "mapping"))
	})
}

func (p *program) read(file string) ([]byte, error) {
	from := p.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxImport+1))
	if err == nil && len(text) > maxImport {
		err = fmt.Errorf("%s is larger than %d MiB, so it is no list of mappings", file, maxImport>>20)
	}
	return text, err
}

// parseMappings reads either form. The error names every line that is wrong.
func parseMappings(text []byte) ([]reconcile.Mapping, error) {
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
		m, err := r.mapping()
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

// row is one mapping as it stands in a file.
type row struct {
	line int
	mappingDocument
}

func (r row) mapping() (reconcile.Mapping, error) {
	m := reconcile.Mapping{BillingID: strings.TrimSpace(r.Billing), Plan: strings.TrimSpace(r.Plan)}
	switch {
	case r.Provider != "" && r.Provider != provider:
		return m, fmt.Errorf("billing_provider is %q; only %q is known", r.Provider, provider)
	case m.BillingID == "":
		return m, errors.New("billing_plan_id is empty")
	case m.Plan == "":
		return m, errors.New("enhance_plan_id is empty")
	case strings.ContainsFunc(m.BillingID+m.Plan, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }):
		return m, errors.New("a control character or a broken letter is in it")
	}
	return m, nil
}

// readRows tells the forms apart: a JSON list begins with a bracket, and no
// heading does.
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
		err := d.Decode(&r.mappingDocument)
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
		r.Comma = ';' // what spreadsheets write where the comma is the decimal point
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
			if column[i] != nil {
				*column[i](&one.mappingDocument) = strings.Clone(cell)
			}
		}
		rows = append(rows, one)
	}
}

// columns finds out what the cells mean by the headings, in any order.
func columns(head []string) ([]func(*mappingDocument) *string, error) {
	known := map[string]func(*mappingDocument) *string{
		"billing_provider": func(m *mappingDocument) *string { return &m.Provider },
		"billing_plan_id":  func(m *mappingDocument) *string { return &m.Billing },
		"enhance_plan_id":  func(m *mappingDocument) *string { return &m.Plan },
	}
	all := make([]func(*mappingDocument) *string, len(head))
	seen := map[string]bool{}
	for i, h := range head {
		name := strings.ToLower(strings.TrimSpace(h))
		if known[name] == nil || seen[name] {
			return nil, fmt.Errorf("line 1: the heading %q is not known, or there twice; billing_plan_id and enhance_plan_id are expected", h)
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
