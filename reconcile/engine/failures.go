package engine

import (
	"slices"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// failures are the actions of one customer that were refused in this run. What does
// not depend on them goes on: an address that cannot be invited must not keep a
// customer from the plan that is paid for. The first error is the customer's in the
// end, with its back-off and its hold.
type failures struct {
	refused []reconcile.Action
	err     error // the first
}

// add notes an action that was not done and reports whether the customer may go
// on. It may only after a clear answer about this one action. If the action is not known to
// be undone, it has to be looked for first, and a refused credential, a side in trouble or
// a lost lease concern every further call. Without a binding or an org there is
// nothing to go on with.
func (f *failures) add(a reconcile.Action, err error) bool {
	switch fault.Of(err) {
	case fault.Permanent, fault.Conflict, fault.NotFound:
	case fault.Transient, fault.Throttled, fault.Denied, fault.Ambiguous, fault.Malformed, fault.Canceled, fault.Fenced, fault.Unknown:
		return false
	}
	if a.Kind == reconcile.Link || a.Kind == reconcile.CreateOrg {
		return false
	}
	f.refused = append(f.refused, a)
	if f.err == nil {
		f.err = err
	}
	return true
}

// blocks reports whether an action waits: it was refused itself, it is about a hosting
// that was not made, or not resumed, which comes before everything else about it;
// or it takes something away while a hosting that is paid for could not be given: the
// one that goes may be all that the customer has.
func (f *failures) blocks(a reconcile.Action, takes bool) bool {
	return slices.ContainsFunc(f.refused, func(r reconcile.Action) bool {
		switch {
		case r.ID == a.ID:
			return true
		case r.Kind == reconcile.CreateSubscription:
			return takes || r.Subscription == a.Subscription && r.Slot == a.Slot
		case r.Kind == reconcile.Resume:
			return takes || r.Hosting == a.Hosting && a.Hosting != 0
		}
		return false
	})
}
