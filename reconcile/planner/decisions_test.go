package planner_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

var update = flag.Bool("update", false, "write testdata/decisions again: the diff is the change of policy")

// value is one value of a factor of the decision table.
type value struct {
	name string
	set  func(s *scene)
}

// factor is one thing that a decision may depend on.
type factor []value

// statuses have a table each: Stripe's eight, a status that we do not know, and a
// subscription that no longer exists at Stripe.
var statuses = append(stripeStatuses(), value{"gone", func(s *scene) { s.c.Subscriptions[0].Gone = true }})

func stripeStatuses() (all factor) {
	for st := reconcile.StatusActive; st <= reconcile.StatusUnknown; st++ {
		all = append(all, value{st.String(), func(s *scene) {
			sub := &s.c.Subscriptions[0]
			sub.Status, sub.StatusText = st, st.String()
			if st == reconcile.StatusUnknown {
				sub.StatusText = "hibernating"
			}
			if st.Ended() {
				sub.EndedAt = noon.Add(-40 * 24 * time.Hour)
			}
		}})
	}
	return all
}

var factors = []factor{
	{ // the plan of the price
		{"mapped", func(*scene) {}},
		{"unmapped", func(s *scene) { s.c.Subscriptions[0].Items[0].Price = "price_free" }},
		{"plan missing", func(s *scene) { s.c.Subscriptions[0].Items[0].Price = "price_lost" }},
		{"plan ambiguous", func(s *scene) { s.c.Subscriptions[0].Items[0].Price = "price_twin" }},
	},
	{ // the hosting at the panel
		{"no hosting", func(s *scene) {
			s.c.Org, s.c.OrgNamed, s.c.Invited, s.c.Bindings, s.c.Hostings = nil, false, time.Time{}, nil, nil
		}},
		{"active", func(*scene) {}},
		{"suspended by us", func(s *scene) {
			s.c.Hostings[0].State, s.c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-35*24*time.Hour)
		}},
		{"suspended by others", func(s *scene) { s.c.Hostings[0].State = reconcile.HostingSuspended }},
		{"deleted", func(s *scene) { s.c.Hostings[0].State = reconcile.HostingDeleted }},
		{"missing", func(s *scene) { s.c.Hostings[0].State = reconcile.HostingMissing }},
		{"unread", func(s *scene) { s.c.Hostings[0].State, s.c.Hostings[0].ObservedAt = 0, time.Time{} }},
		{"of unknown state", func(s *scene) { s.c.Hostings[0].State = reconcile.HostingUnknown }},
	},
	{ // pause_collection at Stripe and PAUSED_COLLECTION here
		{"collecting/keep", func(*scene) {}},
		{"collecting/suspend", func(s *scene) { s.policy.SuspendPaused = true }},
		{"paused/keep", func(s *scene) { s.c.Subscriptions[0].CollectionPaused = true }},
		{"paused/suspend", func(s *scene) { s.c.Subscriptions[0].CollectionPaused, s.policy.SuspendPaused = true, true }},
	},
	{ // the due date of the oldest unpaid invoice, and GRACE_PERIOD
		{"within grace", func(s *scene) { s.c.Subscriptions[0].Lapse.Since = noon.Add(-71 * time.Hour) }},
		{"after grace", func(s *scene) { s.c.Subscriptions[0].Lapse.Since = noon.Add(-73 * time.Hour) }},
		{"no due date", func(*scene) {}},
	},
	{ // RETENTION_PERIOD
		{"kept for ever", func(*scene) {}},
		{"retention over", func(s *scene) { s.policy.Retention = 30 * 24 * time.Hour }},
	},
	{ // MODE
		{"observe", func(s *scene) { s.policy.Mode = reconcile.Observe }},
		{"provision", func(s *scene) { s.policy.Mode = reconcile.Provision }},
		{"enforce", func(s *scene) { s.policy.Mode = reconcile.Enforce }},
	},
}

// ordinary is an active subscription to a mapped price with its hosting. It was read by
// id, an hour after its status was first seen.
func ordinary() scene {
	c := world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Lapse.Seen, c.Subscriptions[0].DomainChecked = noon.Add(-time.Hour), true
	})
	return scene{c: c, now: noon, policy: policy()}
}

// TestEveryDecisionIsAsWritten compares the decision of every combination of factors with
// testdata/decisions, which has a file for each status. If neighbouring values make no
// difference, they share a line. When you change the policy on purpose, run
// go test ./reconcile/planner -run TestEveryDecisionIsAsWritten -update, and read the diff.
func TestEveryDecisionIsAsWritten(t *testing.T) {
	cells := 0
	for _, status := range statuses {
		t.Run(status.name, func(t *testing.T) {
			tab := table{status: status.name}
			tree := tab.decide(t, status, nil, factors)
			cells += tab.cells
			got := tab.render(tree)
			path := filepath.Join("testdata", "decisions", status.name+".txt")
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("policy changed (-written +now):\n%s", diff)
			}
		})
	}
	if want := len(statuses) * 4 * 8 * 4 * 3 * 2 * 3; cells != want {
		t.Errorf("%d cells, want %d", cells, want)
	}
}

// table collects the sentences of one status, because cells refer to them by number.
type table struct {
	status    string
	sentences []string
	cells     int
}

// branch is one factor: its groups of values, and a branch for each. A leaf has only text.
type branch struct {
	text  string
	names [][]string
	next  []branch
}

func (tab *table) decide(t *testing.T, status value, chosen []value, rest []factor) branch {
	if len(rest) == 0 {
		tab.cells++
		s := ordinary()
		status.set(&s)
		for _, v := range chosen {
			v.set(&s)
		}
		d := s.decide()
		assertCell(t, status.name, chosen, d)
		return branch{text: tab.line(d)}
	}
	var b branch
	for _, v := range rest[0] {
		next := tab.decide(t, status, append(slices.Clone(chosen), v), rest[1:])
		if i := slices.IndexFunc(b.next, func(o branch) bool { return reflect.DeepEqual(o, next) }); i >= 0 {
			b.names[i] = append(b.names[i], v.name)
			continue
		}
		b.names, b.next = append(b.names, []string{v.name}), append(b.next, next)
	}
	if len(b.next) == 1 {
		return b.next[0] // the factor makes no difference
	}
	return b
}

// line is a decision as one line, with the numbers of its sentences.
func (tab *table) line(d planner.Decision) string {
	var parts []string
	for _, n := range d.Needs {
		parts = append(parts, map[planner.NeedKind]string{planner.NeedHosting: "read the hosting first",
			planner.NeedSubscription: "read the subscription first", planner.NeedDomain: "read the order first"}[n.Kind])
	}
	for _, a := range d.Actions {
		parts = append(parts, fmt.Sprintf("%s [%d]", a.Kind, tab.sentence(a.Reason)))
	}
	for _, h := range d.Holds {
		parts = append(parts, fmt.Sprintf("hold %s [%d]", h.Kind, tab.sentence(h.Reason)))
	}
	if !d.Next.IsZero() {
		parts = append(parts, "again in "+d.Next.Sub(noon).String())
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func (tab *table) sentence(text string) int {
	i := slices.Index(tab.sentences, text)
	if i < 0 {
		i = len(tab.sentences)
		tab.sentences = append(tab.sentences, text)
	}
	return i + 1
}

func (tab *table) render(tree branch) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A subscription that is %s.\n\n", tab.status)
	tree.write(&b, 0)
	b.WriteString("\n")
	for i, text := range tab.sentences {
		fmt.Fprintf(&b, "[%d] %s\n", i+1, text)
	}
	return b.String()
}

func (br branch) write(b *strings.Builder, depth int) {
	indent := strings.Repeat("    ", depth)
	if br.next == nil {
		fmt.Fprintf(b, "%s%s\n", indent, br.text)
		return
	}
	for i, next := range br.next {
		fmt.Fprintf(b, "%s%s:", indent, strings.Join(br.names[i], ", "))
		if next.next == nil {
			fmt.Fprintf(b, " %s\n", next.text)
			continue
		}
		b.WriteString("\n")
		next.write(b, depth+1)
	}
}

// assertCell checks the rules that hold in every cell, even if the files were updated.
func assertCell(t *testing.T, status string, chosen []value, d planner.Decision) {
	t.Helper()
	at := []string{status}
	for _, v := range chosen {
		at = append(at, v.name)
	}
	is := func(name string) bool { return slices.Contains(at, name) }
	live := is("active") && status == "active" || is("trialing") || is("past_due") && !is("after grace")
	paused := is("paused/suspend") && live
	down := is("unpaid") || status == "paused" || is("past_due") && is("after grace") || paused
	ended := is("canceled") || is("incomplete_expired")
	hosting := at[2]
	cat := catalogOf(offer())
	for _, a := range d.Actions {
		switch {
		case cat.Takes(a) && is("provision"):
			t.Errorf("%v: %s in a mode that only gives", at, a.ID)
		case a.Kind == reconcile.Suspend && !(hosting == "active" && (down || ended)):
			t.Errorf("%v: %s without a cause that Stripe has named", at, a.ID)
		case a.Kind == reconcile.Terminate && !(hosting == "suspended by us" && ended && is("retention over")):
			t.Errorf("%v: %s", at, a.ID)
		case a.Kind == reconcile.Resume && !(hosting == "suspended by us" && live && !paused && is("mapped")):
			t.Errorf("%v: %s of a hosting that is not paid for, or that others suspended", at, a.ID)
		case a.Kind >= reconcile.CreateOrg && a.Kind <= reconcile.CreateWebsite && !(hosting == "no hosting" && live && !paused && is("mapped")):
			t.Errorf("%v: %s, though it is not paid for, or exists", at, a.ID)
		case a.Kind == reconcile.ChangePlan || a.Kind == reconcile.Link:
			t.Errorf("%v: %s, and there is nothing to change", at, a.ID)
		}
	}
	if live && !paused && !is("mapped") && len(d.Holds) == 0 && len(d.Needs) == 0 {
		t.Errorf("%v: no hold gives the reason why there is no hosting", at)
	}
}
