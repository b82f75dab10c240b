package planner

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// Limit is the most changes of one kind in one run: the larger of Count and
// Percent of the bound hostings.
type Limit struct {
	Count   int
	Percent float64
}

// Allow is the limit for a fleet of bound hostings.
func (l Limit) Allow(bound int) int {
	return max(l.Count, int(float64(bound)*l.Percent/100))
}

// Brakes are the limits per kind of change. Resumes have none: they are the way
// back, and a paying customer never waits for an approval to be switched on again.
type Brakes struct {
	Suspend    Limit
	ChangePlan Limit
	Create     Limit
	Terminate  Limit
}

// mailLimit is the limit on mails to customers. It is no setting: a hundred mails about
// something that is not so are as bad in a large fleet as in a small one.
var mailLimit = Limit{Count: 25, Percent: 10}

// DefaultBrakes are the limits of the contract.
func DefaultBrakes() Brakes {
	return Brakes{
		Suspend:    Limit{Count: 5, Percent: 2},
		ChangePlan: Limit{Count: 5, Percent: 5},
		Create:     Limit{Count: 25, Percent: 10},
		Terminate:  Limit{Count: 1, Percent: 1},
	}
}

// dayFactor is how many times the limit of a run may be used up in 24 hours.
const dayFactor = 2.5

// Limit returns the limit of a brake kind as BrakeKind names it.
func (b Brakes) Limit(k reconcile.ActionKind) Limit {
	switch k.Brake() {
	case reconcile.CreateSubscription:
		return b.Create
	case reconcile.ChangePlan:
		return b.ChangePlan
	case reconcile.Suspend:
		return b.Suspend
	case reconcile.Terminate:
		return b.Terminate
	case reconcile.SendMail:
		return mailLimit
	default:
		return Limit{}
	}
}

// BrakeLoad is what the brake looks at, for one kind.
type BrakeLoad struct {
	Kind      reconcile.ActionKind // as BrakeKind names it
	Planned   int                  // in this run, without what an approval released
	AtWork    int                  // those that runs at work beside this one may still do
	Performed int                  // in the last 24 hours, without what approvals released
	Bound     int                  // hostings bound: the base of the percentages
}

// Holds reports whether all changes of the kind are to be held, and why. It holds all or
// nothing: if it stopped after the first N, the sort order would pick N victims.
func (b Brakes) Holds(l BrakeLoad) (reason string, held bool) {
	limit := b.Limit(l.Kind).Allow(l.Bound)
	day := int(float64(limit) * dayFactor)
	switch {
	case l.Planned == 0:
		return "", false
	case l.Planned+l.AtWork > limit:
		return tooManyInRun(l, limit), true
	case l.Planned+l.AtWork+l.Performed > day:
		return tooManyInDay(l, day), true
	}
	return "", false
}
