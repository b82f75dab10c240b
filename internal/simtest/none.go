package simtest

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// notHosting adds to some histories an operator who decides that prices are no hosting, in
// the middle of runs too, whether they were sold as hosting before or never mapped, and who
// sometimes changes his mind. It has random numbers of its own.
func notHosting(s *Scenario, people int, id func() int) {
	dice := rand.New(rand.NewPCG(s.Seed, 0x404e))
	if dice.IntN(3) > 0 {
		return
	}
	say := func() Step { return Step{ID: id(), Kind: MapNone, Pick: dice.IntN(4)} }
	at := 1 + dice.IntN(len(s.Steps))
	for _, st := range s.Steps[at:] {
		if st.Kind == Run && st.Cut != nil && !st.Cut.Dies {
			st.Cut.Meanwhile = append(st.Cut.Meanwhile, say())
			break
		}
	}
	who := dice.IntN(people)
	s.Steps = slices.Insert(s.Steps, at, say(), Step{ID: id(), Kind: Wait, Wait: 2 * time.Minute}, Step{ID: id(), Kind: Run},
		Step{ID: id(), Kind: AddItem, Who: who, N: dice.IntN(4), Pick: dice.IntN(64)}, Step{ID: id(), Kind: SignUp, Who: who, Pick: dice.IntN(64)})
	if dice.IntN(2) > 0 {
		s.Steps = slices.Insert(s.Steps, at+5+dice.IntN(len(s.Steps)-at-4), Step{ID: id(), Kind: MapRestore})
	}
}

// sellsNone handles an item with a price that is no hosting. It is an extra if nothing of
// its subscription was sold as hosting before; if something was, the hostings made for it
// stay until a person decides.
func (y *play) sellsNone(sub simulator.Subscription, it simulator.Item, b *bill) bool {
	if y.mappings[it.Price] != reconcile.NotHosting {
		return false
	}
	b.none++
	if y.sold[it.ID] {
		b.turned += int(it.Quantity)
	}
	if y.soldIn[sub.ID] {
		b.whole = false
	}
	return true
}
