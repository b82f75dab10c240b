package simtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// statements are what the operator has stated about the orgs of customers: into which org
// each was merged, from which orgs it was split, and which customers were ever the subject.
type statements struct {
	merged map[string]string
	apart  map[string][]string
	ever   map[string]bool
	given  int // how many changed something
}

func newStatements() statements {
	return statements{map[string]string{}, map[string][]string{}, map[string]bool{}, 0}
}

// withMerges is a history with an operator who merges customers and splits them again, in
// the middle of runs too. It throws dice of its own. No database is lost in it, because the
// panel does not show a person's statement, and no second installation knows of it.
func withMerges(s Scenario) Scenario {
	dice := rand.New(rand.NewPCG(s.Seed, 0x6e49e))
	s.Steps = slices.DeleteFunc(slices.Clone(s.Steps), func(st Step) bool {
		return st.Kind == LoseDB || st.Kind == RestoreDB || st.Kind == CopyDB || st.Kind == Install
	})
	id, people := 9000, 1
	for _, st := range s.Steps {
		people = max(people, st.Who+1)
	}
	for range 1 + dice.IntN(3) {
		at := 1 + slices.IndexFunc(s.Steps, func(st Step) bool { return st.Kind == Run }) + dice.IntN(len(s.Steps)/2)
		for _, st := range shares(dice, dice.IntN(people)) {
			id += 2
			st.ID = id
			if st.Cut != nil {
				st.Cut.Meanwhile[0].ID = id + 1
			}
			if at = min(at+dice.IntN(3), len(s.Steps)); !meanwhile(s.Steps[at:], st, dice.IntN(4) == 0) {
				s.Steps = slices.Insert(s.Steps, at, st)
			}
			at++
		}
	}
	return s
}

// shares is a customer who shares the org of another one, orders, and may leave it to order
// once more. A statement comes before the order, or while the run is about to make what was
// ordered.
func shares(dice *rand.Rand, who int) (all []Step) {
	for _, kind := range [...]Kind{Merge, Split} {
		statement := Step{Kind: kind, Who: who, Pick: dice.IntN(16)}
		run := Step{Kind: Run}
		if dice.IntN(2) == 0 {
			run.Cut = &Cut{At: "before-intent", Nth: 1 + dice.IntN(3), Meanwhile: []Step{statement}}
		} else {
			all = append(all, statement)
		}
		all = append(all, Step{Kind: SignUp, Who: who, Pick: anyOrder}, Step{Kind: Wait, Wait: 2 * time.Minute}, run)
	}
	return all
}

// anyOrder is an order of one unit at a mapped price, under the id at Stripe that the person
// has already.
const anyOrder = 48

// meanwhile puts a statement into the middle of the next run that is cut, if it is wanted
// there and there is one.
func meanwhile(steps []Step, st Step, wanted bool) bool {
	i := slices.IndexFunc(steps, func(st Step) bool { return st.Kind == Run && st.Cut != nil && !st.Cut.Dies })
	if !wanted || i < 0 || st.Kind != Merge && st.Kind != Split {
		return false
	}
	cut := *steps[i].Cut
	cut.Meanwhile = append(slices.Clone(cut.Meanwhile), st)
	steps[i].Cut = &cut
	return true
}

// state gives a statement about a customer of Who: it is merged into another customer, or
// split from the org in which it is a guest.
func (y *play) state(st Step) error {
	p, err := y.process(0)
	if err != nil || y.twin != nil {
		return errors.Join(err, errNothing)
	}
	one := y.customerBy(st.N, func(c simulator.Customer) bool { return y.is(c.ID, st.Who) })
	other := func(c simulator.Customer) bool { return c.ID != one && y.hasOrg(c.ID) }
	w := reconcile.OrgInstruction{Kind: reconcile.SplitOrgs, Customer: one, Author: "operator", Reason: "a word", At: p.now()}
	if st.Kind == Merge {
		w.Kind, w.Into = reconcile.MergeOrgs, y.customerBy(st.Pick, other)
	}
	ch, err := p.store.RecordOrgInstruction(context.Background(), w, planner.InstructOrg(w))
	var no reconcile.InstructionRefused
	switch {
	case errors.As(err, &no):
		y.logf("  refused: %s", no)
		return errNothing
	case err != nil:
		return errNothing // it was never read
	case ch.Already:
		return errNothing
	}
	y.logf("  %s", ch.Entry().Reason)
	y.ever[one] = true
	y.given++
	if w.Kind == reconcile.MergeOrgs {
		y.merged[one] = ch.Org.ID
		y.apart[one] = slices.DeleteFunc(y.apart[one], func(org string) bool { return org == ch.Org.ID })
		return nil
	}
	delete(y.merged, one)
	y.apart[one] = append(y.apart[one], ch.Org.ID)
	return nil
}

// hasOrg reports whether an org was made for a customer.
func (y *play) hasOrg(customer string) bool {
	for _, of := range y.orgs {
		if of == customer {
			return true
		}
	}
	return false
}

// customerBy is one of the customers at Stripe; "" if there is none such.
func (y *play) customerBy(n int, such func(simulator.Customer) bool) string {
	var ids []string
	for _, c := range y.world.Customers() {
		if such(c) {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[n%len(ids)]
}

// statementStands checks a creation against the operator's statements. A call that had left
// before does not count: the program refuses a statement while one is on its way.
func (y *play) statementStands(e simulator.Effect, customer string) {
	if e.Late {
		return
	}
	if org := y.merged[customer]; org != "" && e.Org != org {
		y.violated(StatementStands, "%s for %s in org %s, which the operator had merged into org %s", e.Kind, customer, e.Org, org)
	}
	if slices.Contains(y.apart[customer], e.Org) {
		y.violated(StatementStands, "%s for %s in org %s, from which the operator had split it", e.Kind, customer, e.Org)
	}
}
