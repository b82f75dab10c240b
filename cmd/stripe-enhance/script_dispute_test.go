package main

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// dispute WHO disputes the newest payment of an order; dispute WHO STATUS sets the status of
// its disputes; dispute WHO refund refunds that payment in full. In the place of WHO, "denied"
// lets the key no longer read them, and "well" lets it again.
func (o *outside) dispute(ts *testscript.TestScript, args []string) {
	switch {
	case args[0] == "denied":
		o.simulated.SetFault(func(c simulator.Call) simulator.Fault {
			if c.Route == "GET /v1/disputes" || c.Route == "GET /v1/disputes/{id}" || c.Route == "GET /v1/refunds" {
				return simulator.NotDone(403)
			}
			return simulator.Fault{}
		})
	case args[0] == "well":
		o.simulated.SetFault(nil)
	case len(args) == 1:
		_, err := o.simulated.Dispute(o.signed[args[0]].Subscription, "")
		ts.Check(err)
	case args[1] == "refund":
		ts.Check(o.simulated.Refund(o.signed[args[0]].Subscription, true))
	default:
		ts.Check(o.simulated.CloseDispute(o.signed[args[0]].Subscription, args[1]))
	}
}
