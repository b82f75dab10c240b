package simtest

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// webhooks lets the events of some companies arrive. It has random numbers of its own.
func webhooks(s *Scenario) {
	dice := rand.New(rand.NewPCG(s.Seed, 0xf10))
	s.Company.Webhooks = s.Company.KeepLease && dice.IntN(2) > 0
}

// eventful are the steps of customers after which Stripe sends events about their
// subscriptions.
func eventful(k Kind) bool {
	switch k {
	case SignUp, ChangePrice, Quantity, ReplaceItem, AddItem, RemoveItem:
		return true
	}
	return money[k]
}

// arrive brings the events of a customer's step to the process that leads, which serves
// them by flow runs. Where a run of this process is held up in its middle, they are served
// beside it.
func (y *play) arrive(st Step) {
	if !y.Company.Webhooks || y.dice("webhooks")%4 == 0 { // some are lost
		return
	}
	for _, p := range y.processes[:replicas] {
		if p == nil || p.dead || !p.engine.Leading() {
			continue
		}
		for _, s := range y.subscriptions(st.Who) {
			y.events++
			if _, err := p.store.LogWebhook(context.Background(), fmt.Sprintf("evt_arrived_%d", y.events), "customer.subscription.updated", s.ID, true, p.now()); err != nil {
				y.logf("  webhook not stored: %v", err)
			}
		}
		p.serve()
		return
	}
}

// maxServed bounds what is served after one step.
const maxServed = 20

// serve lets flow runs serve what waits. One that would wait for the run that is held up is
// ended: that run cannot go on meanwhile.
func (p *process) serve() {
	y := p.play
	if !y.Company.Webhooks || p.dead {
		return
	}
	cut, done, began, dry, cancel := p.cut, p.done, p.began, p.dry, p.cancel
	defer func() { p.cut, p.done, p.began, p.dry, p.cancel = cut, done, began, dry, cancel }()
	p.cut, p.dry = nil, false
	for range maxServed {
		p.done, p.began = map[string]int{}, y.world.Now()
		y.shown(p)
		ctx, end := context.WithCancel(context.Background())
		p.cancel = end
		s, err := p.engine.Flow(ctx)
		end()
		y.flowed(s, err)
		if err != nil || !s.Taken {
			return
		}
	}
}

// flowed notes the end of a flow run.
func (y *play) flowed(s reconcile.Served, err error) {
	if s.Subscription != "" && y.answered[s.Subscription] {
		y.known[s.Subscription] = true
	}
	if s.Taken {
		y.flows++
	}
	if !y.traced || !s.Taken {
		return
	}
	y.logf("  flow run %s for %q, left %v, error %v", s.Report.Run.ID, s.Subscription, s.Left, err)
	for _, a := range s.Report.Actions {
		y.logf("    %s %s %s", a.State, a.ID, a.Error)
	}
}
