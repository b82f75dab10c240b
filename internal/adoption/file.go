package adoption

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

// columns are those of the CSV, in order; they are also the names in JSON.
var columns = []string{"customer", "subscription", "email", "org", "org_name", "hosting", "plan", "score", "evidence", "decision", "reason"}

// Table is the rows as a spreadsheet has them.
func Table(rows []adopt.Pair) *report.Table {
	t := &report.Table{Head: columns}
	for _, r := range rows {
		t.Add(r.Customer, r.Subscription, r.Email, r.Org, r.OrgName, number(r.Hosting), number(int64(r.Plan)), strconv.Itoa(r.Score),
			words(r.Evidence, ";"), string(r.Decision), r.Reason)
	}
	return t
}

// Short is the rows as a terminal shows them.
func Short(rows []adopt.Pair) *report.Table {
	if len(rows) == 0 {
		return &report.Table{}
	}
	t := &report.Table{Head: []string{"score", "decision", "e-mail", "subscription", "hosting", "plan", "org", "evidence", "reason"}}
	for _, r := range rows {
		t.Add(strconv.Itoa(r.Score), string(r.Decision), r.Email, r.Subscription, number(r.Hosting), number(int64(r.Plan)), r.OrgName, words(r.Evidence, " "), r.Reason)
	}
	return t
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func words(evidence []adopt.Evidence, between string) string {
	all := make([]string, len(evidence))
	for i, e := range evidence {
		all[i] = string(e)
	}
	return strings.Join(all, between)
}

// Row is a row of a file that a person has decided on.
type Row struct {
	adopt.Pair
	Line int
}

// Parse reads the file. It needs the columns subscription, hosting and decision, and takes
// the others of Table as what the person has seen; columns of the person's own are left
// alone. A spreadsheet may separate by semicolons. All mistakes are in the error.
func Parse(text []byte) ([]Row, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	r := csv.NewReader(bytes.NewReader(text))
	if head, _, _ := bytes.Cut(text, []byte("\n")); bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		r.Comma = ';'
	}
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the file has no headings: %w", err)
	}
	at := map[string]int{}
	for i, name := range head {
		at[strings.ToLower(strings.TrimSpace(name))] = i
	}
	for _, name := range []string{"subscription", "hosting", "decision"} {
		if _, ok := at[name]; !ok {
			return nil, fmt.Errorf("line 1: the column %q is missing: take the file of `stripe-enhance adopt -o csv`, and change only decisions", name)
		}
	}
	var rows []Row
	var mistakes []error
	for {
		record, err := r.Read()
		if record == nil {
			if err != nil && !errors.Is(err, io.EOF) {
				mistakes = append(mistakes, err)
			}
			return rows, errors.Join(mistakes...)
		}
		line, _ := r.FieldPos(0)
		row, why := readRow(func(name string) string {
			if i, ok := at[name]; ok && i < len(record) {
				return strings.TrimSpace(record[i])
			}
			return ""
		})
		if why != "" {
			mistakes = append(mistakes, fmt.Errorf("line %d: %s", line, why))
			continue
		}
		row.Line = line
		rows = append(rows, row)
	}
}

// readRow reads a row by the names of its columns. why is the mistake in it.
func readRow(cell func(name string) string) (row Row, why string) {
	row.Customer, row.Subscription, row.Email = cell("customer"), cell("subscription"), cell("email")
	row.Org, row.OrgName, row.Reason = strings.ToLower(cell("org")), cell("org_name"), cell("reason")
	row.Decision = adopt.Decision(strings.ToLower(cell("decision")))
	for _, e := range strings.Split(cell("evidence"), ";") {
		if e != "" {
			row.Evidence = append(row.Evidence, adopt.Evidence(e))
		}
	}
	row.Score, _ = strconv.Atoi(cell("score"))
	if text := cell("hosting"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return row, fmt.Sprintf("%q is not the id of a hosting, which is the number of the subscription at the panel", text)
		}
		row.Hosting = id
	}
	if text := cell("plan"); text != "" {
		plan, err := strconv.Atoi(text)
		if err != nil {
			return row, fmt.Sprintf("%q is not the id of a plan", text)
		}
		row.Plan = plan
	}
	return row, misfit(&row)
}

// misfit is why a row cannot be meant, by itself; "": it can.
func misfit(r *Row) string {
	switch {
	case r.Subscription != "" && !reconcile.ValidID("sub_", r.Subscription):
		return fmt.Sprintf("%q is not the id of a subscription, which begins with sub_", r.Subscription)
	case r.Decision == "":
		return "the decision is missing: write link, ignore, new or review"
	case !slices.Contains(adopt.Decisions, r.Decision):
		return fmt.Sprintf("%q is no decision: write link, ignore, new or review", r.Decision)
	case r.Subscription == "" && r.Hosting == 0:
		return "it names neither a subscription nor a hosting"
	case r.Decision == adopt.Link && (r.Subscription == "" || r.Hosting == 0):
		return "a link is between a subscription and a hosting, and one of them is missing"
	case r.Decision == adopt.New && r.Subscription == "":
		return "only a subscription can be new, and none is named; a hosting that no customer pays for is ignored"
	}
	return ""
}
