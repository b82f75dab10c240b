package report

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func valued(kind reconcile.DiscrepancyKind, email, currency string, minor *big.Rat) Valued {
	return Valued{Discrepancy: reconcile.Discrepancy{Kind: kind, Customer: "cus_1", Email: email, Reason: "because"}, Known: minor != nil, Amount: money.Of(currency, minor)}
}

func TestTheDocumentOfAReport(t *testing.T) {
	one := valued(reconcile.WrongPlan, "a@example.com", "eur", big.NewRat(1250, 1))
	one.Subscription, one.Org, one.Hosting, one.Since = "sub_1", "org-1", 7, t0
	total := int64(5)
	one.Usage = []reconcile.Usage{{Name: "websites", Used: 2, Total: &total}, {Name: "mailboxes", Used: 9}}
	var b bytes.Buffer
	if err := WriteJSON(&b, DiscrepanciesOf(t0, []Valued{one, valued(reconcile.EmptyOrg, "", "", nil)}, nil)); err != nil {
		t.Fatal(err)
	}
	want := `{
  "at": "2026-03-02T09:00:00Z",
  "rows": [
    {
      "kind": "wrong_plan",
      "customer": "cus_1",
      "subscription": "sub_1",
      "email": "a@example.com",
      "org": "org-1",
      "hosting": 7,
      "since": "2026-03-02T09:00:00Z",
      "amount_month": "12.50",
      "currency": "eur",
      "reason": "because",
      "usage": [
        {
          "name": "websites",
          "used": 2,
          "total": 5
        },
        {
          "name": "mailboxes",
          "used": 9,
          "total": null
        }
      ]
    },
    {
      "kind": "empty_org",
      "customer": "cus_1",
      "subscription": "",
      "email": "",
      "org": "",
      "hosting": 0,
      "since": null,
      "amount_month": "",
      "currency": "",
      "reason": "because"
    }
  ],
  "totals": [
    {
      "kind": "wrong_plan",
      "currency": "eur",
      "count": 1,
      "amount_month": "12.50"
    },
    {
      "kind": "empty_org",
      "currency": "",
      "count": 1,
      "amount_month": ""
    }
  ]
}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Totals are by kind and by currency. They are exact: twelve rows of a third of a cent are
// four cents, though each row shows none.
func TestTotalsAreExactAndByCurrency(t *testing.T) {
	var all []Valued
	for range 12 {
		all = append(all, valued(reconcile.WrongPlan, "a@example.com", "eur", big.NewRat(1, 3)))
	}
	all = append(all, valued(reconcile.WrongPlan, "b@example.com", "jpy", big.NewRat(1500, 1)), valued(reconcile.WrongPlan, "c@example.com", "", nil),
		valued(reconcile.ProvisionedNotPaid, "d@example.com", "eur", big.NewRat(100, 1)))
	d := DiscrepanciesOf(t0, all, nil)
	want := []DiscrepancyTotal{{"wrong_plan", "eur", 12, "0.04"}, {"wrong_plan", "jpy", 1, "1500"}, {"wrong_plan", "", 1, ""}, {"provisioned_not_paid", "eur", 1, "1.00"}}
	if diff := cmp.Diff(want, d.Totals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Rows[0].AmountMonth != "0.00" {
		t.Errorf("a row: %+v", d.Rows[0])
	}
}

func TestAReportForPeople(t *testing.T) {
	text := func(v View, all ...Valued) string {
		var b bytes.Buffer
		_ = DiscrepanciesOf(t0, all, nil).Text(&b, all, v) // a bytes.Buffer never fails
		return b.String()
	}
	org := valued(reconcile.EmptyOrg, "", "", nil)
	org.Customer, org.Org = "", "org-1"
	got := text(View{}, valued(reconcile.EmptyOrg, "b@example.com", "", nil), org, valued(reconcile.PaidNotProvisioned, "a\x1b@example.com", "eur", big.NewRat(900, 1)))
	want := `Paid and not provisioned: 9.00 eur a month (1 row)
  a?@example.com  9.00 eur a month: because

Empty organisations: 2 rows without a known amount
  b@example.com  because
  org-1          because

In all: 9.00 eur a month (1 row), 2 rows without a known amount
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var many []Valued
	for range mostLines + 2 {
		many = append(many, valued(reconcile.WrongPlan, "a@example.com", "eur", big.NewRat(900, 1)))
	}
	if got := text(View{}, many...); !strings.Contains(got, "… and 2 rows more: --all shows them") {
		t.Errorf("a long list is not cut: %s", got)
	}
	if got := text(View{All: true}, many...); strings.Contains(got, "--all") {
		t.Errorf("with --all a list is cut: %s", got)
	}
	if got := text(View{}); got != "Stripe and the panel agree: all hosting that is paid for is there, and no other.\n" {
		t.Errorf("%q", got)
	}
	for _, kind := range reconcile.DiscrepancyKinds {
		if titles[kind] == "" {
			t.Errorf("%s has no title", kind)
		}
	}
}
