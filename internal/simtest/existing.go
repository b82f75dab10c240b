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

// everybodyIsNew is the setting of an operator who had no customers before this history
// begins.
var everybodyIsNew = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

// existing adds hostings that staff make by hand at any time, and the operator's answers
// about them. It has random numbers of its own, so that the rest of a seed's history is the
// same with and without it.
func existing(s *Scenario, people int, id func() int) {
	dice := rand.New(rand.NewPCG(s.Seed, 0xe815))
	if dice.IntN(4) > 0 {
		s.Company.Policy.NewAfter = everybodyIsNew
	}
	add := func(st Step) {
		st.ID = id()
		s.Steps = slices.Insert(s.Steps, 1+dice.IntN(len(s.Steps)), st)
	}
	for range dice.IntN(6) / 4 {
		add(Step{Kind: Elsewhere, Who: dice.IntN(people), Pick: dice.IntN(4)})
	}
	if slices.ContainsFunc(s.Steps, func(st Step) bool { return st.Kind == Elsewhere }) {
		for range dice.IntN(3) {
			add(Step{Kind: SaidNew, Who: dice.IntN(people), N: dice.IntN(4)})
		}
	}
}

// sayNew is a step in which the operator decides that an order is new.
func (y *play) sayNew(st Step) error {
	subs := y.subscriptions(st.Who)
	if len(subs) == 0 {
		return errNothing
	}
	p, err := y.process(0)
	if err != nil {
		return err
	}
	id := subs[st.N%len(subs)].ID
	isNew := reconcile.Instruction{Kind: reconcile.InstructNew, Subscription: id, Author: "somebody", Reason: "new", At: p.now()}
	_, err = p.store.RecordInstruction(context.Background(), isNew, planner.Instruct(isNew, planner.NewCatalog(nil, nil), ""))
	var no reconcile.InstructionRefused
	if errors.As(err, &no) {
		return errNothing
	}
	if err == nil {
		y.orderIsNew(id)
	}
	return err
}

// byHandBefore are living hostings that staff made before an instant.
func (y *play) byHandBefore(at time.Time) (all []simulator.Hosting) {
	for _, h := range y.world.Hostings() {
		if o := y.origin[h.ID]; o.staff && h.Status != "deleted" && !o.made.After(at) {
			all = append(all, h)
		}
	}
	return all
}

// met notes, once a run of a database has ended well and has seen every hosting, that
// the panel had some that staff made before anything was bound. If there was none to be
// seen, a run that read a wrong answer may have read the listing again and seen that.
func (y *play) met(p *process) {
	if p.number >= replicas || y.hasMet {
		return
	}
	before := len(y.byHandBefore(p.began.Add(-tolerance)))
	if !y.blind || before == 0 {
		y.hasMet, y.populated = true, before > 0
	}
}

// beside checks a new hosting against the hostings that staff have made for the same
// customer, and against the operator's decisions which orders are new.
func (y *play) beside(p *process, e simulator.Effect) {
	b := y.bill(e.Subscription)
	if p == nil || e.Late || b == nil || y.isNew[b.id] {
		return
	}
	staffs := y.byHandBefore(p.began.Add(-tolerance))
	first := !y.hasMet && !y.blind && len(staffs) > 0
	if y.Company.Policy.NewAfter.IsZero() && (y.populated || first) && !y.hasAnother(b, e.Hosting) {
		y.violated(AsksFirst, "hosting %d for %s was made, staff had made some before anything was bound, and no person has decided which orders are new", e.Hosting, b.customer)
	}
	_, moved := y.moved[b.customer] // which address the program has read is not known
	for _, h := range staffs {
		if h.Org == e.Org || !moved && slices.Contains(y.addresses(b.customer), y.owner[h.Org]) {
			y.violated(AsksFirst, "hosting %d was made for %s (%s), who may have hosting %d by staff in org %s", e.Hosting, b.id, b.customer, h.ID, h.Org)
		}
	}
}

// hasAnother reports whether an order has a hosting besides one, made for it or for an order
// of the same customer that has ended, which a program can recognise. What it may be that
// staff made for the order is known then.
func (y *play) hasAnother(b *bill, but int) bool {
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		of := y.bill(o.subscription)
		if h.ID != but && !o.staff && of.servedBy(b) && (o.bound || bears(h.FriendlyName)) {
			return true
		}
	}
	return y.goneFrom(b.id) > 0
}

// decided lets the operator decide at last who is new.
func (y *play) decided() {
	if y.Company.Policy.NewAfter.IsZero() {
		y.logf("THE OPERATOR SAYS THAT EVERYBODY IS NEW")
		y.Company.Policy.NewAfter = everybodyIsNew
	}
}

// handMade lets staff make an org for a customer, often with a hosting.
func (y *play) handMade(st Step) error {
	org := y.world.StaffCreateOrg("By hand", address(st.Who))
	y.byHand = append(y.byHand, address(st.Who))
	y.owner[org] = reconcile.EmailKey(address(st.Who))
	if st.Pick%2 == 0 {
		_, err := y.world.StaffCreateHosting(org, 1+st.Pick%3, "by hand")
		return err
	}
	return nil
}
