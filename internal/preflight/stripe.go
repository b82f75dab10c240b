package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
)

func (x *check) billing(ctx context.Context) {
	if x.Stripe == nil {
		return
	}
	permissions, err := x.Stripe.Check(ctx)
	if err != nil {
		x.fail("Stripe", err.Error(), "run the check again")
		return
	}
	denied := 0
	for _, one := range permissions {
		part := "Stripe " + one.Resource
		switch {
		case one.Err == nil:
			x.billingUp = true
			x.ok(part, "readable (%s)", one.Purpose)
		case one.Optional && errors.Is(one.Err, fault.Denied):
			x.warn(part, "not readable ("+one.Purpose+")", "optional: allow the key to read "+one.Resource+" in Stripe › Developers › API keys")
		case one.KeyRefused:
			x.fail("Stripe key", "refused by Stripe: "+x.Config.StripeKey.Glimpse()+": "+one.Err.Error(), "STRIPE_SECRET_KEY is not a key of Stripe, or no longer: copy it again from Stripe › Developers › API keys")
			return
		case errors.Is(one.Err, fault.Denied):
			denied++
			x.fail(part, "refused: "+one.Err.Error(), "allow the key to read "+one.Resource+" in Stripe › Developers › API keys")
		default:
			x.fail(part, one.Err.Error(), unreachable(one.Err, "STRIPE_API_URL"))
			return // the others would fail in the same way, slowly
		}
	}
	if denied == len(permissions) {
		x.fail("Stripe key", "refused for everything", "is STRIPE_SECRET_KEY still valid, and of this account?")
		return
	}
	x.ok("Stripe key", "%s mode", mapping.Mode(x.Stripe.Livemode()))
}

// maxSkew is the difference of clocks beyond which a run takes nothing away.
const maxSkew = time.Minute

func (x *check) clock(context.Context) {
	if x.Stripe == nil {
		return
	}
	theirs, ours := x.Stripe.ServerTime()
	if theirs.IsZero() {
		return
	}
	skew := ours.Sub(theirs).Round(time.Second)
	if skew.Abs() > maxSkew {
		x.fail("clock", fmt.Sprintf("this machine is %s off Stripe's clock", skew), "set the clock right (NTP); until then nothing is taken away")
		return
	}
	x.ok("clock", "within %s of Stripe's", max(skew.Abs(), time.Second))
}

// unreachable is the next step if a side did not answer, or not as the API does.
func unreachable(err error, variable string) string {
	if host := app.UnknownHost(err); host != "" {
		return "there is no host " + host + ": is " + variable + " spelt right?"
	}
	if errors.Is(err, fault.Malformed) {
		return "is " + variable + " right? what answers there is not the API"
	}
	return "is " + variable + " right, and can this machine reach it?"
}
