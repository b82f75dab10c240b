package simtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// unbound is a hosting that the operator has unbound from a subscription.
type unbound struct {
	subscription string
	at           time.Time
	isNew        bool // and decided that the order is new: the hosting serves no subscription from then on
}

// instructions adds to a history an operator who unbinds hostings, in the middle of runs too,
// and binds them again or calls the order new. It throws dice of its own.
func instructions(s *Scenario, people int, id func() int) {
	dice := rand.New(rand.NewPCG(s.Seed, 0x3042d))
	for range dice.IntN(4) - 1 {
		say := func(kind Kind) Step {
			return Step{ID: id(), Kind: kind, Who: dice.IntN(people), N: dice.IntN(4), Pick: dice.IntN(4)}
		}
		at := 1 + dice.IntN(len(s.Steps))
		for _, st := range s.Steps[at:] {
			if st.Kind == Run && st.Cut != nil && !st.Cut.Dies {
				st.Cut.Meanwhile = append(st.Cut.Meanwhile, say(Unbind))
				break
			}
		}
		s.Steps = slices.Insert(s.Steps, at, say(Unbind))
		if dice.IntN(3) > 0 {
			s.Steps = slices.Insert(s.Steps, at+1+dice.IntN(len(s.Steps)-at), say(Rebind))
		}
	}
}

// unbind is a step in which the operator looks at the bindings and unbinds one of a
// customer's hostings.
func (y *play) unbind(st Step) error {
	p, err := y.process(0)
	subs := y.subscriptions(st.Who)
	if err != nil || len(subs) == 0 || y.twin != nil {
		return errors.Join(err, errNothing)
	}
	var ids []string
	for _, s := range subs {
		ids = append(ids, s.ID)
	}
	payers, err := p.store.CustomersOf(context.Background(), ids)
	if err != nil {
		return err
	}
	customers, err := p.store.Customers(context.Background(), payers)
	if err != nil {
		return err
	}
	var bound []reconcile.Binding
	for _, c := range customers {
		for _, b := range c.Bindings {
			if o := y.origin[int(b.Hosting)]; alone(c, b) && o.subscription != "" && !o.staff {
				bound = append(bound, b)
			}
		}
	}
	if len(bound) == 0 {
		return errNothing
	}
	b := bound[st.N%len(bound)]
	if err := y.instruct(p, reconcile.Instruction{Kind: reconcile.InstructUnbind, Subscription: b.Subscription, Hosting: reconcile.Hosting{ID: b.Hosting}}); err != nil {
		return err
	}
	// A run at work may have bound it to another subscription since the operator looked.
	if customers, err = p.store.Customers(context.Background(), payers); err != nil {
		return err
	}
	if slices.ContainsFunc(customers, func(c reconcile.Customer) bool { return !alone(c, b) }) {
		return nil
	}
	y.unbound[int(b.Hosting)] = unbound{subscription: b.Subscription, at: y.world.Now()}
	delete(y.isNew, b.Subscription)
	return nil
}

// alone reports whether a customer's hosting has no binding but this one.
func alone(c reconcile.Customer, b reconcile.Binding) bool {
	return !slices.ContainsFunc(c.Bindings, func(o reconcile.Binding) bool { return o.Hosting == b.Hosting && o.Subscription != b.Subscription })
}

// instruct gives an instruction. If the program refuses it, the step does nothing.
func (y *play) instruct(p *process, w reconcile.Instruction) error {
	w.Author, w.Reason, w.At, w.OtherOrg, w.OtherMarker = "operator", "a word", p.now(), true, true
	mappings, err := p.store.Mappings(context.Background())
	if err != nil {
		return err
	}
	plans, _, err := p.store.Plans(context.Background())
	if err != nil {
		return err
	}
	_, err = p.store.RecordInstruction(context.Background(), w, planner.Instruct(w, planner.NewCatalog(mappings, plans), ""))
	var no reconcile.InstructionRefused
	if errors.As(err, &no) {
		y.logf("  refused: %s", no)
		return errNothing
	}
	return err
}

// rebind is a step in which the operator decides what serves a subscription from which a
// hosting was unbound.
func (y *play) rebind(st Step) error {
	p, err := y.process(0)
	if err != nil || y.twin != nil {
		return errors.Join(err, errNothing)
	}
	for _, id := range y.openInstructions() {
		if b := y.bill(y.unbound[id].subscription); b != nil && y.is(b.customer, st.Who) {
			return y.answer(p, id, st.Pick%2 == 0)
		}
	}
	return errNothing
}

// openInstructions are the unbound hostings for which the operator has not decided yet what
// serves the subscription instead.
func (y *play) openInstructions() (ids []int) {
	for id, u := range y.unbound {
		if !u.isNew {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// answer binds a hosting again, or makes the order new.
func (y *play) answer(p *process, id int, again bool) error {
	u := y.unbound[id]
	if again {
		i := slices.IndexFunc(y.world.Hostings(), func(h simulator.Hosting) bool { return h.ID == id && h.Status != "deleted" })
		if i < 0 {
			return errNothing
		}
		h := y.world.Hostings()[i]
		read := reconcile.Hosting{ID: int64(id), Org: h.Org, Plan: h.Plan, State: reconcile.HostingActive, SuspendedBy: h.SuspendedBy, FriendlyName: h.FriendlyName, ObservedAt: p.now()}
		if h.SuspendedBy != "" {
			read.State = reconcile.HostingSuspended
		}
		if err := y.instruct(p, reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: u.subscription, Hosting: read}); err != nil {
			return err
		}
		delete(y.unbound, id)
		y.rebound[id] = true
		return nil
	}
	if err := y.instruct(p, reconcile.Instruction{Kind: reconcile.InstructNew, Subscription: u.subscription}); err != nil {
		return err
	}
	y.orderIsNew(u.subscription)
	return nil
}

// orderIsNew records that the operator decided that an order is new: the order as a whole,
// and so every hosting that was unbound from it.
func (y *play) orderIsNew(sub string) {
	y.isNew[sub] = true
	for id, u := range y.unbound {
		if u.subscription == sub && !u.isNew {
			u.isNew = true
			y.unbound[id] = u
			y.more[sub]++
		}
	}
}

// answerAll lets the operator decide everything that is open: unbound hostings are bound
// again if they can be.
func (y *play) answerAll(p *process) {
	for _, id := range y.openInstructions() {
		if u, open := y.unbound[id]; !open || u.isNew {
			continue
		}
		if err := y.answer(p, id, true); err != nil {
			_ = y.answer(p, id, false)
		}
	}
}

// instructionStands checks an effect against the operator's instructions. A call that had
// already left does not count: the program refuses an instruction while one is on its way.
func (y *play) instructionStands(p *process, e simulator.Effect, sent time.Time) {
	if e.Late || p != nil && p.number == second {
		return
	}
	if u, ok := y.unbound[e.Hosting]; ok && sent.After(u.at) && !y.namedByAnother(e.Hosting, u.subscription) {
		y.violated(InstructionStands, "%s of hosting %d, which the operator had unbound from %s at %s", e.Kind, e.Hosting, u.subscription, u.at)
	}
	if e.Kind != "create_subscription" {
		return
	}
	for _, id := range y.openInstructions() {
		if u := y.unbound[id]; u.subscription == e.Subscription && sent.After(u.at) {
			y.violated(InstructionStands, "hosting %d was made for %s, from which the operator had unbound hosting %d without another instruction", e.Hosting, e.Subscription, id)
		}
	}
}

// namedByAnother reports whether the metadata of another subscription names a hosting. It may
// be served by it then, because the operator has unbound it from one subscription only.
func (y *play) namedByAnother(hosting int, but string) bool {
	return slices.ContainsFunc(y.world.Subscriptions(), func(s simulator.Subscription) bool {
		return s.ID != but && s.Metadata["enhance_subscription_id"] == strconv.Itoa(hosting)
	})
}

// waitsForPerson reports whether a person decides which hosting serves a subscription: staff
// have deleted one of its own, or the operator has unbound one.
func (y *play) waitsForPerson(sub string) bool {
	for id, o := range y.origin {
		if o.subscription == sub && !o.gone.IsZero() {
			return true
		}
		if u, is := y.unbound[id]; is && u.subscription == sub && !u.isNew {
			return true
		}
	}
	return false
}
