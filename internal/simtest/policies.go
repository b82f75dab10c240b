package simtest

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// firstWithPolicies is the first seed whose company may have UNPAID_UPGRADE=hold, TRIALS=one
// and DISPUTE. The smaller seeds stay as they were, because some of them are kept.
const firstWithPolicies = 60_000

// soldByFeature is the price that is mapped by a feature of its product, where the company
// has Features.
var soldByFeature = struct{ price, product, key string }{"price_basic_monthly", "prod_basic", "basic-hosting"}

// billingID is the billing id of the mapping for a price.
func (y *play) billingID(price string) string {
	if y.Company.Features && price == soldByFeature.price {
		return soldByFeature.key
	}
	return price
}

// policies adds the policies, and steps in which they matter: second trials, upgrades while
// a payment is missing, disputes and refunds.
func policies(s *Scenario, people int, id func() int) {
	if s.Seed < firstWithPolicies {
		return
	}
	dice := rand.New(rand.NewPCG(s.Seed, 0x9011))
	p := &s.Company.Policy
	p.HoldUnpaidUpgrade, p.OneTrial = dice.IntN(3) > 0, dice.IntN(3) > 0
	p.Dispute = []reconcile.DisputePolicy{reconcile.TellDisputes, reconcile.HoldDisputes, reconcile.SuspendDisputes, reconcile.SuspendDisputes}[dice.IntN(4)]
	s.Company.Features = rand.New(rand.NewPCG(s.Seed, 0xfea7)).IntN(3) == 0
	at := 1 + dice.IntN(len(s.Steps))
	add := func(steps ...Step) {
		for i := range steps {
			steps[i].ID = id()
			s.Steps = slices.Insert(s.Steps, at, steps[i])
			at++
		}
		at = min(len(s.Steps), at+dice.IntN(4))
	}
	const trial, noCard, plain = 4 * 4, 5 * 4, 12 * 4 // see signUp
	wait, run := Step{Kind: Wait, Wait: 2 * time.Minute}, Step{Kind: Run}
	who := dice.IntN(people)
	for range 1 + dice.IntN(4) {
		switch dice.IntN(10) {
		case 0, 1:
			add(Step{Kind: SignUp, Who: who, Pick: trial + dice.IntN(3)}, wait, run)
		case 2:
			add(Step{Kind: SignUp, Who: who, Pick: noCard + dice.IntN(3)}, wait, run)
		case 3:
			add(Step{Kind: SignUp, Who: who, Pick: plain + dice.IntN(3)}, wait, run)
		case 4, 5, 6:
			add(Step{Kind: Dispute, Who: who, N: dice.IntN(4)}, wait, run)
			if dice.IntN(2) == 0 {
				add(Step{Kind: EndDispute, Who: who, N: dice.IntN(4), Pick: dice.IntN(3)}, wait, run)
			}
		case 7:
			add(Step{Kind: Refund, Who: who, N: dice.IntN(4), Pick: dice.IntN(2)}, wait, run)
		default:
			n := dice.IntN(4)
			add(Step{Kind: FailPayment, Who: who, N: n}, Step{Kind: ChangePrice, Who: who, N: n, Pick: dice.IntN(64)}, wait, run)
		}
		if dice.IntN(3) == 0 {
			add(Step{Kind: Pay, Who: who, N: dice.IntN(4)})
		}
	}
}

// disputes is a step about a payment that the customer disputes, or gets back.
func (y *play) disputes(st Step, sub simulator.Subscription) error {
	switch st.Kind {
	case Refund:
		err := y.world.Refund(sub.ID, st.Pick%2 == 0)
		if err == nil && st.Pick%2 == 0 {
			y.charged[sub.Customer] = true
		}
		return err
	case EndDispute:
		if !y.disputed[sub.ID] {
			return errNothing
		}
		won := st.Pick%3 > 0
		y.disputed[sub.ID] = !won
		return y.world.CloseDispute(sub.ID, map[bool]string{true: "won", false: "lost"}[won])
	}
	_, err := y.world.Dispute(sub.ID, "")
	if err == nil {
		y.disputed[sub.ID], y.charged[sub.Customer] = true, true
	}
	return err
}

// suspendedByDispute makes a disputed subscription one that may be suspended, with
// DISPUTE=suspend. The program may not know of the dispute, because its event was lost, nor
// read whether a lost one is settled, so it need not be.
func (y *play) suspendedByDispute(bills map[string]*bill) {
	if y.Company.Policy.Dispute != reconcile.SuspendDisputes {
		return
	}
	for id, b := range bills {
		if y.disputed[id] && (b.entitlement == up || b.entitlement == keep) {
			b.entitlement = either
		}
	}
}

// trials marks the subscriptions in trial whose customer had one before that a run has
// seen, because its event may be lost. At the end full runs have seen all. With TRIALS=one
// they get nothing, and what they have stays, unless the operator has called the order new.
func (y *play) trials(all []simulator.Subscription, bills map[string]*bill) {
	if !y.Company.Policy.OneTrial {
		return
	}
	for _, s := range all {
		b := bills[s.ID]
		if s.Status != "trialing" || b.entitlement != up || y.isNew[s.ID] {
			continue
		}
		for _, o := range all {
			before := o.TrialStart < s.TrialStart || o.TrialStart == s.TrialStart && o.ID < s.ID
			if o.Customer == s.Customer && o.ID != s.ID && o.TrialStart != 0 && before {
				b.perhapsTrial = true
				b.secondTrial = b.secondTrial || y.known[o.ID] || y.allSeen
			}
		}
		if b.secondTrial {
			b.entitlement = keep
		}
	}
}

// oneTrial holds the creation of a hosting against TRIALS=one.
func (y *play) oneTrial(e simulator.Effect, sent time.Time) {
	for _, s := range y.since(sent.Add(-tolerance)) {
		if b := s.bills[e.Subscription]; b == nil || !b.secondTrial {
			return
		}
	}
	y.violated(OneTrial, "hosting %d was made for %s", e.Hosting, e.Subscription)
}

// upgradePaid holds a change to a larger plan against UNPAID_UPGRADE=hold.
func (y *play) upgradePaid(e simulator.Effect, sent time.Time) {
	if !y.Company.Policy.HoldUnpaidUpgrade || e.After.Plan <= e.Before.Plan {
		return
	}
	for _, s := range y.since(sent.Add(-window)) {
		made := s.bills[y.origin[e.Hosting].subscription]
		for _, b := range s.bills {
			if made.servedBy(b) && b.status != "past_due" {
				return
			}
		}
	}
	y.violated(UpgradePaid, "hosting %d came to plan %d", e.Hosting, e.After.Plan)
}

// excusedByPolicy reports whether a plan with more waits for the payment, or all that is new
// for a person's decision about a dispute or a refund.
func (y *play) excusedByPolicy(customer string) string {
	if y.Company.Policy.Dispute != reconcile.TellDisputes && y.charged[customer] {
		return "a dispute or a refund"
	}
	now := y.shots[len(y.shots)-1]
	for _, h := range y.last.Holds {
		b := now.bills[h.Subscription]
		if h.Kind == reconcile.HoldUnpaidUpgrade && y.Company.Policy.HoldUnpaidUpgrade && b != nil && b.customer == customer && b.status == "past_due" {
			return "an upgrade that is not paid"
		}
	}
	return ""
}
