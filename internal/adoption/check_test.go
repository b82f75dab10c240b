package adoption

import (
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
)

// village is what the database knows when a file comes back.
func village() *picture {
	pic := newPicture()
	active := func(customer string, free map[int]int) *known {
		return &known{customer: customer, status: reconcile.StatusActive, free: free}
	}
	pic.subs = map[string]*known{
		"sub_1": active("cus_1", map[int]int{2: 1}), "sub_2": active("cus_2", map[int]int{2: 2}), "sub_3": active("cus_3", nil),
		"sub_new": active("cus_4", map[int]int{1: 1}), "sub_ignored": active("cus_5", map[int]int{1: 1}),
		"sub_ended": {customer: "cus_6", status: reconcile.StatusCanceled}, "sub_gone": {customer: "cus_6", status: reconcile.StatusActive, gone: true},
		"sub_bound": {customer: "cus_7", status: reconcile.StatusActive, bound: []int64{70}},
	}
	pic.subs["sub_new"].isNew, pic.subs["sub_ignored"].ignored = true, "op: a friend"
	for _, h := range []adopt.Hosting{{ID: 7, Org: "org-1", Plan: 2}, {ID: 8, Org: "org-2", Plan: 2}, {ID: 9, Org: "org-2", Plan: 2},
		{ID: 10, Org: "org-3", Plan: 2}, {ID: 11, Org: "org-4", Plan: 1, Ignored: "op: a friend"}} {
		pic.hostings[h.ID] = h
	}
	pic.bound[70] = "sub_bound"
	return pic
}

// Each row is checked against the present facts and against the rows before it.
func TestRowsAreCheckedBeforeOneIsCarriedOut(t *testing.T) {
	row := func(sub string, hosting int64, d adopt.Decision) Row {
		return Row{Pair: adopt.Pair{Subscription: sub, Hosting: hosting, Decision: d}}
	}
	with := func(r Row, change func(*Row)) Row { change(&r); return r }
	for _, tc := range []struct {
		name string
		rows []Row
		want []string // "todo", "done", or a part of the mistake
	}{
		{"a link", []Row{row("sub_1", 7, adopt.Link)}, []string{"todo"}},
		{"a link that is there", []Row{row("sub_bound", 70, adopt.Link)}, []string{"done"}},
		{"two units", []Row{row("sub_2", 8, adopt.Link), row("sub_2", 9, adopt.Link)}, []string{"todo", "todo"}},
		{"more than is paid for", []Row{row("sub_1", 8, adopt.Link), row("sub_1", 9, adopt.Link)}, []string{"todo", "sub_1 would have 2 hostings more, and pays for 1"}},
		{"two orgs of one customer", []Row{row("sub_2", 8, adopt.Link), row("sub_2", 10, adopt.Link)}, []string{"todo", "another row links cus_2 to org org-2"}},
		{"one hosting twice", []Row{row("sub_1", 7, adopt.Link), row("sub_2", 7, adopt.Link)}, []string{"todo", "hosting 7 is in line 2 already"}},
		{"one hosting twice, once left alone", []Row{row("", 7, adopt.Review), row("sub_2", 7, adopt.Link)}, []string{"done", "hosting 7 is in line 2 already"}},
		{"two opinions", []Row{row("sub_1", 7, adopt.Link), row("sub_1", 0, adopt.New)}, []string{"todo", `sub_1 is "link" in line 2, and "new" here`}},
		{"a hosting that is bound", []Row{row("sub_1", 70, adopt.Link)}, []string{"hosting 70 is bound to sub_bound"}},
		{"a hosting that is not there", []Row{row("sub_1", 4711, adopt.Link)}, []string{"hosting 4711 is not at the panel"}},
		{"another org", []Row{with(row("sub_1", 7, adopt.Link), func(r *Row) { r.Org = "org-9" })}, []string{"hosting 7 is in org org-1, and the file has org-9"}},
		{"another plan", []Row{with(row("sub_1", 7, adopt.Link), func(r *Row) { r.Plan = 1 })}, []string{"hosting 7 is on plan 2, and the file has 1"}},
		{"another customer", []Row{with(row("sub_1", 7, adopt.Link), func(r *Row) { r.Customer = "cus_9" })}, []string{"sub_1 belongs to cus_1, and the file has cus_9"}},
		{"an unknown subscription", []Row{row("sub_9", 7, adopt.Link)}, []string{"sub_9 is not known at Stripe"}},
		{"one that has ended", []Row{row("sub_ended", 7, adopt.Link)}, []string{"sub_ended has ended"}},
		{"one that Stripe denies", []Row{row("sub_gone", 7, adopt.New)}, []string{"sub_gone has ended"}},
		{"one with all its hostings", []Row{row("sub_3", 7, adopt.Link)}, []string{"sub_3 pays for no hosting"}},
		{"one that is new", []Row{row("sub_new", 11, adopt.Link)}, []string{"sub_new was decided to be new"}},
		{"one that is ignored", []Row{row("sub_ignored", 11, adopt.Link)}, []string{"sub_ignored is ignored (op: a friend)"}},
		{"new", []Row{row("sub_1", 7, adopt.New)}, []string{"todo"}},
		{"new again", []Row{row("sub_new", 0, adopt.New)}, []string{"done"}},
		{"new with all its hostings", []Row{row("sub_3", 0, adopt.New)}, []string{"sub_3 pays for no hosting"}},
		{"ignored, both", []Row{row("sub_1", 7, adopt.Ignore)}, []string{"todo"}},
		{"ignored again, both", []Row{row("sub_ignored", 11, adopt.Ignore)}, []string{"done"}},
		{"ignored, a hosting that is bound", []Row{row("", 70, adopt.Ignore)}, []string{"hosting 70 is bound"}},
		{"ignored, an unknown subscription", []Row{row("sub_9", 0, adopt.Ignore)}, []string{"sub_9 is not known"}},
		{"left alone", []Row{row("sub_1", 7, adopt.Review)}, []string{"done"}},
		{"taken back", []Row{row("", 11, adopt.Review)}, []string{"todo"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := newChecker(village())
			for i, r := range tc.rows {
				r.Line = i + 2
				todo, why := check.check(r)
				got := map[bool]string{true: "todo", false: "done"}[todo]
				if why != "" {
					got = why
				}
				if !strings.HasPrefix(got, tc.want[i]) {
					t.Errorf("row %d: %q, want %q", i, got, tc.want[i])
				}
			}
		})
	}
}
