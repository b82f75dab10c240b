package adoption

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// older is the row that the older system has about a customer of existing.
func (o *office) older(who string) (row store.LegacyRow, hosting int64) {
	o.Helper()
	id, done := o.existing(who)
	for _, h := range o.world.Hostings() {
		if h.ID == id {
			row = store.LegacyRow{Customer: done.Customer, Email: who + "@example.com", Org: h.Org, Subscription: done.Subscription, Hosting: fmt.Sprint(id), Status: "active"}
		}
	}
	return row, int64(id)
}

// A row that both sides confirm is linked. Of all that speaks against one, each alone keeps
// it from that, also in a dry run.
func TestARowOfTheOlderSystemIsLinkedOnlyIfNothingSpeaksAgainstIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o *office, row *store.LegacyRow, hosting int64)
		end    ImportEnd
		reason string
	}{
		"nothing":                   {func(*office, *store.LegacyRow, int64) {}, ImportTaken, ""},
		"the org is in capitals":    {func(_ *office, r *store.LegacyRow, _ int64) { r.Org = strings.ToUpper(r.Org) }, ImportTaken, ""},
		"another org":               {func(_ *office, r *store.LegacyRow, _ int64) { r.Org = "5d6b4ea2-97b8-4f0d-9c0e-1d1fe3a7e3f1" }, ImportWaits, "is in org"},
		"no org":                    {func(_ *office, r *store.LegacyRow, _ int64) { r.Org = "" }, ImportWaits, "names no customer at Stripe, or no organisation"},
		"another customer":          {func(_ *office, r *store.LegacyRow, _ int64) { r.Customer = "cus_other" }, ImportWaits, "belongs to"},
		"no customer":               {func(_ *office, r *store.LegacyRow, _ int64) { r.Customer = "" }, ImportWaits, "names no customer at Stripe"},
		"another hosting":           {func(_ *office, r *store.LegacyRow, _ int64) { r.Hosting = "987654" }, ImportWaits, "is not at the panel"},
		"no number":                 {func(_ *office, r *store.LegacyRow, _ int64) { r.Hosting = "07" }, ImportWaits, `"07" is not the id of a hosting`},
		"no subscription at Stripe": {func(_ *office, r *store.LegacyRow, _ int64) { r.Subscription = "sub_unknown" }, ImportWaits, "is not known at Stripe"},
		"not of Stripe":             {func(_ *office, r *store.LegacyRow, _ int64) { r.Subscription = "" }, ImportSkipped, "not paid for at Stripe"},
		"the customer was deleted":  {func(_ *office, r *store.LegacyRow, _ int64) { r.Deleted = true }, ImportSkipped, "was deleted there"},
		"canceled there":            {func(_ *office, r *store.LegacyRow, _ int64) { r.Status = "canceled" }, ImportWaits, "canceled there, and lives at Stripe"},
		"ended at Stripe":           {func(o *office, r *store.LegacyRow, _ int64) { o.must(o.world.Cancel(r.Subscription)) }, ImportWaits, "would be suspended"},
		"ended, and gone": {func(o *office, r *store.LegacyRow, h int64) {
			o.must(o.world.Cancel(r.Subscription))
			o.must(o.world.StaffPurge(int(h)))
		}, ImportSkipped, "has ended at Stripe"},
		"a person ignores it":        {func(o *office, r *store.LegacyRow, h int64) { o.decided(r, h, adopt.Ignore) }, ImportWaits, "is ignored"},
		"a person decided it is new": {func(o *office, r *store.LegacyRow, h int64) { o.decided(r, 0, adopt.New) }, ImportWaits, "was decided to be new"},
		"a person has linked it":     {func(o *office, r *store.LegacyRow, h int64) { o.decided(r, h, adopt.Link) }, ImportKnown, ""},
		"a person has unbound it":    {func(o *office, r *store.LegacyRow, h int64) { o.decided(r, h, adopt.Link); o.unbind(r, h) }, ImportWaits, "a person has unbound hosting"},
		"the panel has another's mark": {func(o *office, _ *store.LegacyRow, h int64) {
			o.must(o.world.StaffRename(int(h), "Basic [sub_other/1]"))
		}, ImportWaits, "its name shows whose it is"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, nil)
			row, hosting := o.older("ada")
			c.change(o, &row, hosting)
			before := o.bound()
			for _, dry := range []bool{true, false} {
				rows, err := o.ImportLegacy(t.Context(), store.Legacy{Rows: []store.LegacyRow{row}}, dry)
				o.must(err)
				if len(rows) != 1 || rows[0].End != c.end || !strings.Contains(rows[0].Reason, c.reason) || (rows[0].Command != "") != (c.end == ImportWaits) {
					t.Errorf("dry %t: %+v, want %s, %q", dry, rows, c.end, c.reason)
				}
				want := before
				if !dry && c.end == ImportTaken {
					want++
				}
				if o.bound() != want {
					t.Errorf("dry %t: %d are bound, want %d", dry, o.bound(), want)
				}
			}
			o.marked() // nothing is suspended
		})
	}
}

func (o *office) decided(r *store.LegacyRow, hosting int64, decision adopt.Decision) {
	o.Helper()
	row := Row{Pair: adopt.Pair{Subscription: r.Subscription, Hosting: hosting, Decision: decision}, Line: 1}
	if decision == adopt.Ignore {
		row.Subscription = ""
	}
	_, _, err := o.Decided(o.Context(), []Row{row})
	o.must(err)
}

func (o *office) unbind(r *store.LegacyRow, hosting int64) {
	o.Helper()
	cat, err := o.Catalog(o.Context())
	o.must(err)
	w := reconcile.Instruction{Kind: reconcile.InstructUnbind, Subscription: r.Subscription, Hosting: reconcile.Hosting{ID: hosting}, Reason: "not its own"}
	w = o.signed(w)
	_, err = o.Store.RecordInstruction(o.Context(), w, planner.Instruct(w, cat, ""))
	o.must(err)
}

// Of two rows that name one hosting, neither is believed.
func TestTwoRowsOfTheOlderSystemAboutOneHostingWait(t *testing.T) {
	o := newOffice(t, nil)
	ada, _ := o.older("ada")
	bob, _ := o.older("bob")
	bob.Hosting, bob.Org = ada.Hosting, ada.Org
	rows, err := o.ImportLegacy(t.Context(), store.Legacy{Rows: []store.LegacyRow{ada, bob}}, false)
	o.must(err)
	for _, r := range rows {
		if r.End != ImportWaits || !strings.Contains(r.Reason, "two rows") {
			t.Errorf("%+v", r)
		}
	}
	if o.bound() != 0 {
		t.Errorf("%d are bound", o.bound())
	}
}

// A mapping is set only if both sides know it, and if the price has none.
func TestAMappingOfTheOlderSystemReplacesNone(t *testing.T) {
	o := newOffice(t, nil)
	o.must(o.Store.SetMapping(t.Context(), reconcile.Mapping{BillingID: "price_basic_monthly", Plan: "2"}, "ada", o.world.Now()))
	for _, price := range []string{"price_pro_monthly", "price_business_monthly"} {
		_, err := o.Store.DeleteMapping(t.Context(), price)
		o.must(err)
	}
	old := store.Legacy{Mappings: []store.LegacyMapping{
		{Provider: "stripe", BillingID: "price_basic_monthly", Plan: "1"}, {Provider: "stripe", BillingID: "price_pro_monthly", Plan: "2"},
		{Provider: "stripe", BillingID: "price_unknown", Plan: "1"}, {Provider: "stripe", BillingID: "price_business_monthly", Plan: "none"},
		{Provider: "stripe", BillingID: "price_other", Plan: "No such plan"}, {Provider: "paddle", BillingID: "pri_1", Plan: "1"},
	}}
	for i, want := range [][]ImportEnd{
		{ImportWaits, ImportTaken, ImportWaits, ImportWaits, ImportWaits, ImportSkipped},
		{ImportWaits, ImportKnown, ImportWaits, ImportWaits, ImportWaits, ImportSkipped},
	} {
		rows, err := o.ImportLegacy(t.Context(), old, false)
		o.must(err)
		for at, r := range rows {
			if r.End != want[at] {
				t.Errorf("time %d: %+v, want %s", i+1, r, want[at])
			}
		}
	}
	all, err := o.Store.Mappings(t.Context())
	o.must(err)
	for _, m := range all {
		if m.BillingID == "price_basic_monthly" && m.Plan != "2" || m.BillingID == "price_unknown" || m.Plan == "none" {
			t.Errorf("%+v", m)
		}
	}
}
