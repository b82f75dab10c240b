package main

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// features PRODUCT KEY… replaces the features of a product at Stripe. In the place of a
// product, "denied" lets the key no longer read them, and "well" lets it again.
func (o *outside) features(ts *testscript.TestScript, args []string) {
	switch args[0] {
	case "denied":
		o.simulated.SetFault(func(c simulator.Call) simulator.Fault {
			if c.Route == "GET /v1/products/{id}/features" || c.Route == "GET /v1/entitlements/features" {
				return simulator.NotDone(403)
			}
			return simulator.Fault{}
		})
	case "well":
		o.simulated.SetFault(nil)
	default:
		ts.Check(o.simulated.SetFeatures(args[0], args[1:]...))
	}
}
