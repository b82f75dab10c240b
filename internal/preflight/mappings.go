package preflight

import (
	"context"
	"errors"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

const (
	noMappings = "none: no price buys a plan yet"
	mapFirst   = "stripe-enhance mappings suggest, then stripe-enhance mappings set BILLING_ID PLAN"
)

// mappings tries each mapping against both sides. One that leads nowhere holds every
// customer who buys it.
func (x *check) mappings(ctx context.Context) {
	if x.fresh {
		x.fail("mappings", noMappings, mapFirst)
	}
	if x.Store == nil {
		return
	}
	all, err := x.Store.Mappings(ctx)
	switch {
	case err != nil:
		x.fail("mappings", err.Error(), seeMessage)
		return
	case len(all) == 0:
		x.fail("mappings", noMappings, mapFirst)
		return
	}
	bad := 0
	if x.plans != nil {
		for _, problem := range planner.NewCatalog(all, x.plans).Problems() {
			bad++
			x.fail("mappings", problem, mapping.Offered(x.plans)+"; stripe-enhance mappings list shows all mappings")
		}
	}
	for _, problem := range planner.OptionProblems(all, x.plans) {
		bad++
		x.fail("mappings", problem, "allow it in the panel, or change the option: stripe-enhance mappings set --help")
	}
	bad += x.unknownPrices(ctx, all)
	if bad == 0 {
		x.ok("mappings", "%s", report.Number(len(all)))
	}
}

func (x *check) unknownPrices(ctx context.Context, all []reconcile.Mapping) (bad int) {
	if !x.billingUp {
		return 0
	}
	for _, m := range all {
		known, err := x.Stripe.Known(ctx, m.BillingID)
		switch {
		case errors.Is(err, fault.Denied) && reconcile.MayBeFeature(m.BillingID):
			x.warn("mappings", m.BillingID+" is no price and no lookup key of one; whether it is a feature, this key may not look up",
				"allow the key to read Entitlements in Stripe › Developers › API keys")
		case err != nil:
			x.fail("mappings", err.Error(), unreachable(err, "STRIPE_API_URL"))
			return bad + 1
		case !known:
			bad++
			x.fail("mappings", m.BillingID+" does not exist at Stripe in this mode",
				"correct it, or remove it: stripe-enhance mappings delete "+m.BillingID)
		}
	}
	return bad
}
