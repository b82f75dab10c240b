package page

import (
	"errors"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// reportBody is the body of the report.
type reportBody struct {
	*list
	Totals  []total
	Notes   []string
	Unknown bool // no run has listed both sides yet
	Is      figures
}

// total is the worth of one kind in one currency.
type total struct {
	Kind, Title, Amount, Currency string
	Count                         int
}

// report lists the differences between both sides, with their worth a month.
func (v *visit) report() (any, error) {
	if v.query().CSV {
		d, err := v.server.Tools().WholeReport(v.r.Context())
		t := d.Table()
		if errors.Is(err, fault.NotFound) {
			err = nil
		}
		return reportBody{list: v.file(t.Head, t.Rows)}, err // as of the command
	}
	d, err := v.server.Tools().Report(v.r.Context())
	if errors.Is(err, fault.NotFound) {
		return reportBody{list: v.paged("report.unknown", nil, nil), Unknown: true}, nil
	}
	if err != nil {
		return nil, err
	}
	b := reportBody{Notes: d.Notes, Is: v.figures(d.Figures)}
	for _, t := range d.Totals {
		b.Totals = append(b.Totals, total{t.Kind, report.DiscrepancyTitle(reconcile.DiscrepancyKind(t.Kind)), t.AmountMonth, t.Currency, t.Count})
	}
	columns := []column{{Key: "report.kind"}, {Key: "report.email"}, {Key: "report.hosting"}, {Key: "report.since", Kind: "time"}, {Key: "report.amount_month", Kind: "number"}, {Key: "report.reason", Kind: "wide"}}
	b.list = v.pagedOf("report.none", columns, listRows, len(d.Rows), func(i int) row {
		r := &d.Rows[i]
		amount := cell{Amount: r.AmountMonth, Currency: r.Currency}
		if r.Currency == "" {
			amount = cell{Text: v.T("report.no_amount")}
		}
		return row{{Text: report.DiscrepancyTitle(reconcile.DiscrepancyKind(r.Kind)), Note: r.Subscription}, whoCell(r.Email, r.Customer),
			{Text: hostingText(r.Hosting), Note: r.Org}, {At: timeOf(r.Since)}, amount, {Text: r.Reason}}
	})
	b.Is.cut(b.list, len(d.Rows), d.Total)
	return b, nil
}

func hostingText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// timeOf reads a time of a document; zero: it has none.
func timeOf(text *string) (t time.Time) {
	if text != nil {
		t, _ = time.Parse(time.RFC3339Nano, *text) // they are ours
	}
	return t
}
