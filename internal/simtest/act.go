package simtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func address(who int) string { return people[who%len(people)] + "@example.com" }

// subscriptions are a customer's, those that still live first, the newest first.
func (y *play) subscriptions(who int) []simulator.Subscription {
	buyers := map[string]bool{}
	for _, c := range y.world.Customers() {
		buyers[c.ID] = y.is(c.ID, who)
	}
	all := slices.DeleteFunc(y.world.Subscriptions(), func(s simulator.Subscription) bool { return !buyers[s.Customer] })
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b simulator.Subscription) int { return over(a) - over(b) })
	return all
}

func over(s simulator.Subscription) int {
	if s.Status == "canceled" || s.Status == "incomplete_expired" {
		return 1
	}
	return 0
}

var errNothing = errors.New("there is none")

func (y *play) customer(st Step) error {
	switch st.Kind {
	case SignUp:
		return y.signUp(st)
	case NewEmail:
		return y.newEmail(st)
	case Accept:
		for _, i := range y.world.Invites() {
			if reconcile.EmailKey(i.Email) == address(st.Who) {
				return y.world.AcceptInvite(i.Org)
			}
		}
		return errNothing
	}
	subs := y.subscriptions(st.Who)
	if len(subs) == 0 {
		return errNothing
	}
	sub := subs[st.N%len(subs)]
	if money[st.Kind] {
		return y.pays(st, sub)
	}
	return y.changesOrder(st, sub)
}

// money are the steps in which a customer pays, does not pay, or ends the subscription.
var money = map[Kind]bool{Pay: true, FailPayment: true, GiveUp: true, BillExtra: true, WriteOff: true, Cancel: true, CancelLater: true,
	PauseBilling: true, ResumeBill: true, OddStatus: true, Dispute: true, EndDispute: true, Refund: true}

func (y *play) pays(st Step, sub simulator.Subscription) error {
	w, id := y.world, sub.ID
	switch st.Kind {
	case Pay:
		return w.Pay(id)
	case FailPayment:
		return w.FailPayment(id)
	case GiveUp:
		return w.MarkUnpaid(id)
	case BillExtra:
		return w.BillExtra(id, 0)
	case WriteOff:
		return w.WriteOff(id, []string{"uncollectible", "void"}[st.Pick%2])
	case Dispute, EndDispute, Refund:
		return y.disputes(st, sub)
	case Cancel:
		return w.Cancel(id)
	case CancelLater:
		return w.CancelAtPeriodEnd(id)
	case PauseBilling:
		return w.PauseCollection(id, "")
	case ResumeBill:
		return w.ResumeCollection(id)
	case OddStatus:
		if over(sub) == 1 {
			return errNothing // a subscription that has ended never comes back
		}
		return w.SetStatus(id, []string{"under_review", "incomplete", "paused", "trialing", "active"}[st.Pick%5])
	}
	return fmt.Errorf("no way to do %q", st.Kind)
}

func (y *play) changesOrder(st Step, sub simulator.Subscription) error {
	w, id, price := y.world, sub.ID, y.prices[st.Pick%len(y.prices)]
	if st.Kind == ReplaceItem || st.Kind == AddItem {
		// An item of the first seconds is one of the order: Stripe dates by the second.
		if age := w.Now().Sub(time.Unix(sub.Created, 0)); age < 4*time.Second {
			w.Advance(4*time.Second - age)
		}
	}
	switch st.Kind {
	case ChangePrice:
		return w.ChangePrice(id, "", price)
	case Quantity:
		return w.SetQuantity(id, "", []int64{1, 2, 3, 1, 0, 2, 1, 101}[st.Pick%8])
	case ReplaceItem:
		_, err := w.ReplaceItem(id, "", price)
		return err
	case AddItem:
		_, err := w.AddItem(id, price, 1)
		return err
	case RemoveItem:
		return w.RemoveItem(id, "")
	}
	return fmt.Errorf("no way to do %q", st.Kind)
}

// signUp is an order in one of many manners. Most pay for one hosting.
func (y *play) signUp(st Step) error {
	n := st.Pick
	o := simulator.SignUp{Email: address(st.Who), Name: strings.ToUpper(people[st.Who%len(people)]), Price: y.prices[n%len(y.prices)]}
	if n%len(y.prices) == len(y.prices)-1 && n%3 > 0 {
		o.Price = y.prices[0] // mostly something that is mapped
	}
	switch n / 4 % 16 {
	case 0, 1, 2:
		o.Guest = true
	case 3:
		o.Guest, o.Email = true, strings.ToUpper(o.Email)
	case 4:
		o.Trial = 14 * 24 * time.Hour
	case 5:
		o.Trial, o.TrialNoCard = 3*24*time.Hour, true
	case 6:
		o.Declined = true
	case 7:
		o.Domain = people[st.Who%len(people)] + ".example.com"
	case 8:
		o.Lines = []simulator.Line{{Price: y.prices[(n+1)%3], Quantity: 2}}
	case 9:
		o.SendInvoice = true
	case 10:
		o.Guest, o.Email = true, address(n/3) // another person's address: anyone can type it
	case 11:
		o.Guest, o.Email, o.Declined = true, address(n/3), true
	}
	guest := o.Guest
	if o.Customer = y.registered[st.Who]; guest {
		o.Customer = ""
	}
	o.Guest = true // a new customer, if it is not one that is named
	done, err := y.world.SignUp(o)
	if err == nil {
		y.ordered(done.Customer, st.Who, guest)
	}
	return err
}

// hostings are those in the orgs where a customer's marked ones are, or have been.
func (y *play) hostingsOf(who int) []simulator.Hosting {
	var all []simulator.Hosting
	for _, h := range y.world.Hostings() {
		if b := y.bill(y.origin[h.ID].subscription); b != nil && y.is(b.customer, who) && y.origin[h.ID].gone.IsZero() {
			all = append(all, h)
		}
	}
	return all
}

func (y *play) staff(st Step) error {
	if st.Kind == Elsewhere {
		return y.handMade(st)
	}
	all := y.hostingsOf(st.Who)
	if len(all) == 0 {
		return errNothing
	}
	h := all[st.N%len(all)]
	switch w := y.world; st.Kind {
	case StaffSuspend:
		return w.StaffSuspend(h.ID)
	case StaffResume:
		return w.StaffResume(h.ID)
	case StaffDelete:
		return w.StaffDelete(h.ID)
	case StaffPurge:
		return w.StaffPurge(h.ID)
	case StaffPlan:
		return w.StaffChangePlan(h.ID, 1+st.Pick%3)
	case StaffRename:
		name := h.FriendlyName
		switch st.Pick % 3 {
		case 0:
			name = "Renamed " + name
		case 1:
			name, _, _ = strings.Cut(name, " [")
		}
		return w.StaffRename(h.ID, name)
	}
	return fmt.Errorf("no way to do %q", st.Kind)
}

func (y *play) operator(st Step) error {
	next := maps.Clone(y.mappings)
	price := y.prices[st.Pick%3]
	switch st.Kind {
	case MapRemove:
		delete(next, price)
		return y.remap(next)
	case MapBreak:
		next[price] = "no such plan"
		return y.remap(next)
	case MapSwap:
		next[price] = strconv.Itoa(1 + st.Pick/3%3)
		return y.remap(next)
	case MapNone:
		next[y.prices[st.Pick%len(y.prices)]] = reconcile.NotHosting
		return y.remap(next)
	case MapRestore:
		return y.remap(y.offer)
	case Approve:
		return y.approve()
	case SaidNew:
		return y.sayNew(st)
	case Unbind:
		return y.unbind(st)
	case Rebind:
		return y.rebind(st)
	case Merge, Split:
		return y.state(st)
	}
	return y.holds(st)
}

// approve releases every plan that waits, as an operator who trusts all of them.
func (y *play) approve() error {
	p, err := y.process(0)
	if err != nil {
		return err
	}
	plans, err := p.store.HeldPlans(context.Background(), p.now(), false)
	if err != nil {
		return err
	}
	for _, plan := range plans {
		if _, err := p.store.Approve(context.Background(), plan.ID, plan.Version, "operator", p.now()); err != nil {
			return err
		}
		y.approved(plan)
		n := 0
		for _, a := range plan.Actions {
			if a.Kind == plan.Kind {
				n++
			}
		}
		y.logf("  approved %d of %s", n, plan.Kind)
		y.approvals = append(y.approvals, approval{plan.Kind, n, y.world.Now()})
	}
	return nil
}

func (y *play) holds(st Step) error {
	p, err := y.process(0)
	if err != nil {
		return err
	}
	if st.Kind == HoldRemove {
		for _, h := range y.manual {
			if y.is(h.customer, st.Who) {
				if _, err := p.store.RemoveManualHold(context.Background(), h.id, p.now()); err != nil {
					return err
				}
			}
		}
		y.manual = slices.DeleteFunc(y.manual, func(h manual) bool { return y.is(h.customer, st.Who) })
		return nil
	}
	subs := y.subscriptions(st.Who)
	if len(subs) == 0 {
		return errNothing
	}
	h := manual{id: fmt.Sprintf("hold-%d", st.ID), customer: subs[st.N%len(subs)].Customer, kind: reconcile.ManualKind(1 + st.Pick%3), since: y.world.Now()}
	order := reconcile.ManualHold{ID: h.id, Kind: h.kind, Reason: "asked to", Author: "operator", Created: p.now()}
	if st.N%2 == 0 {
		h.subscription = subs[st.N%len(subs)].ID
		order.Subscription = h.subscription
	} else {
		order.Customer = subs[st.N%len(subs)].Customer
	}
	if _, err := p.store.AddManualHold(context.Background(), order); err != nil {
		return err
	}
	y.manual = append(y.manual, h)
	return nil
}
