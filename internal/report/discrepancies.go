package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Valued is a discrepancy with what it is worth a month.
type Valued struct {
	reconcile.Discrepancy
	Known  bool // the amount
	Amount money.Amount
}

// Discrepancies is the document of the command report, as scripts see it.
type Discrepancies struct {
	At     *string            `json:"at"`
	Rows   []DiscrepancyRow   `json:"rows"`
	Totals []DiscrepancyTotal `json:"totals"`
	Notes  []string           `json:"notes,omitempty"` // the parts that are left out, and why
}

// DiscrepancyRow is one difference between both sides.
type DiscrepancyRow struct {
	Kind         string  `json:"kind"`
	Customer     string  `json:"customer"`
	Subscription string  `json:"subscription"`
	Email        string  `json:"email"`
	Org          string  `json:"org"`
	Hosting      int64   `json:"hosting"` // 0: it is about no single hosting
	Since        *string `json:"since"`   // null: not known
	AmountMonth  string  `json:"amount_month"`
	Currency     string  `json:"currency"` // "" if the amount is not known
	Reason       string  `json:"reason"`
	Usage        []Usage `json:"usage,omitempty"` // of the hosting, as last read
}

// DiscrepancyTotal is the sum of the rows of one kind and one currency. The rows whose
// amount is not known are counted together, with neither.
type DiscrepancyTotal struct {
	Kind        string `json:"kind"`
	Currency    string `json:"currency"`
	Count       int    `json:"count"`
	AmountMonth string `json:"amount_month"`
}

// DiscrepanciesOf makes the document. A total is the exact sum, rounded once, and so may
// differ by some cents from the sum of the rounded rows.
func DiscrepanciesOf(at time.Time, all []Valued, notes []string) Discrepancies {
	d := Discrepancies{At: Time(at), Rows: make([]DiscrepancyRow, 0, len(all)), Totals: []DiscrepancyTotal{}, Notes: notes}
	for i := range all {
		d.Rows = append(d.Rows, rowOf(&all[i]))
	}
	for _, kind := range reconcile.DiscrepancyKinds {
		of := slices.DeleteFunc(slices.Clone(all), func(v Valued) bool { return v.Kind != kind })
		d.Totals = append(d.Totals, totals(string(kind), of)...)
	}
	return d
}

func rowOf(v *Valued) DiscrepancyRow {
	r := DiscrepancyRow{Kind: string(v.Kind), Customer: v.Customer, Subscription: v.Subscription, Email: v.Email, Org: v.Org, Hosting: v.Hosting,
		Since: Time(v.Since), Reason: v.Reason}
	if v.Known {
		r.AmountMonth, r.Currency = v.Amount.String(), v.Amount.Currency
	}
	for _, u := range v.Usage {
		r.Usage = append(r.Usage, Usage(u))
	}
	return r
}

// totals adds up rows by currency, those without a known amount last.
func totals(kind string, all []Valued) (out []DiscrepancyTotal) {
	sums, counts := map[string]money.Amount{}, map[string]int{}
	unknown := 0
	for i := range all {
		if v := &all[i]; v.Known {
			sums[v.Amount.Currency] = sums[v.Amount.Currency].Plus(v.Amount)
			counts[v.Amount.Currency]++
		} else {
			unknown++
		}
	}
	for currency, sum := range sums {
		out = append(out, DiscrepancyTotal{Kind: kind, Currency: currency, Count: counts[currency], AmountMonth: sum.String()})
	}
	slices.SortFunc(out, func(a, b DiscrepancyTotal) int { return strings.Compare(a.Currency, b.Currency) })
	if unknown > 0 {
		out = append(out, DiscrepancyTotal{Kind: kind, Count: unknown})
	}
	return out
}

// Table is the rows for a spreadsheet.
func (d Discrepancies) Table() *Table {
	t := &Table{Head: []string{"kind", "customer", "subscription", "email", "org", "hosting", "since", "amount_month", "currency", "reason", "usage"}}
	for _, r := range d.Rows {
		hosting, since := "", ""
		if r.Hosting != 0 {
			hosting = strconv.FormatInt(r.Hosting, 10)
		}
		if r.Since != nil {
			since = *r.Since
		}
		t.Add(r.Kind, r.Customer, r.Subscription, r.Email, r.Org, hosting, since, r.AmountMonth, r.Currency, r.Reason, usageText(r.Usage))
	}
	return t
}

// usageText is the usage in one cell: "disk 3 of 10, websites 1 of unlimited".
func usageText(all []Usage) string {
	parts := make([]string, len(all))
	for i, u := range all {
		total := "unlimited"
		if u.Total != nil {
			total = strconv.FormatInt(*u.Total, 10)
		}
		parts[i] = fmt.Sprintf("%s %d of %s", u.Name, u.Used, total)
	}
	return strings.Join(parts, ", ")
}

// titles are the kinds in words.
var titles = map[reconcile.DiscrepancyKind]string{
	reconcile.PaidNotProvisioned:  "Paid and not provisioned",
	reconcile.PaidButUnpaidStatus: "Invoices paid, and the subscription stayed unpaid",
	reconcile.WrongPlan:           "On another plan than the one that is paid for",
	reconcile.ProvisionedNotPaid:  "Provisioned and not paid",
	reconcile.DuplicateMade:       "Made twice",
	reconcile.KeptTooLong:         "Suspended for longer than the retention period",
	reconcile.EmptyOrg:            "Empty organisations",
}

// DiscrepancyTitle is a kind in words.
func DiscrepancyTitle(kind reconcile.DiscrepancyKind) string {
	return cmp.Or(titles[kind], string(kind))
}

// Text writes the document for people. all are the rows that it was made of.
func (d Discrepancies) Text(w io.Writer, all []Valued, v View) error {
	p := printer{View: v}
	for _, kind := range reconcile.DiscrepancyKinds {
		of := slices.DeleteFunc(slices.Clone(d.Rows), func(r DiscrepancyRow) bool { return r.Kind != string(kind) })
		if len(of) == 0 {
			continue
		}
		sums := slices.DeleteFunc(slices.Clone(d.Totals), func(t DiscrepancyTotal) bool { return t.Kind != string(kind) })
		p.sentence("", titles[kind]+": "+worth(sums), p.Bold)
		shown := of
		if !p.All {
			shown = of[:min(len(of), mostLines)]
		}
		lines := make([]entry, len(shown))
		for i, r := range shown {
			lines[i] = r.entry()
		}
		p.beside("  ", lines, Style.Warn)
		p.more(len(of)-len(shown), "row", 0)
		p.linef("")
	}
	if len(d.Rows) == 0 {
		p.linef("Stripe and the panel agree: all hosting that is paid for is there, and no other.")
	} else {
		p.sentence("", "In all: "+worth(totals("", all)), p.Bold)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (r *DiscrepancyRow) entry() entry {
	e := entry{name: Who(r.Email, cmp.Or(r.Customer, r.Org)), text: r.Reason}
	if r.AmountMonth != "" {
		e.text = fmt.Sprintf("%s %s a month: %s", r.AmountMonth, r.Currency, r.Reason)
	}
	return e
}

// worth writes totals, currency by currency.
func worth(all []DiscrepancyTotal) string {
	parts := make([]string, len(all))
	for i, t := range all {
		parts[i] = fmt.Sprintf("%s %s a month (%s)", t.AmountMonth, t.Currency, Count(t.Count, "row"))
		if t.Currency == "" {
			parts[i] = Count(t.Count, "row") + " without a known amount"
		}
	}
	return strings.Join(parts, ", ")
}
