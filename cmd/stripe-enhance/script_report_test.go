package main

import (
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// sell PRICE AMOUNT CURRENCY INTERVAL COUNT puts a price on sale. AMOUNT may have places, or
// be tiers as in "volume:5=100,0=60+7" (up to 5 at 100 each, then 60 each and 7 once).
func (o *outside) sell(ts *testscript.TestScript, args []string) {
	count, err := strconv.ParseInt(args[4], 10, 64)
	ts.Check(err)
	p := simulator.Price{ID: args[0], Product: "prod_" + args[0], Currency: args[2], Interval: args[3], Count: count}
	mode, tiers, tiered := strings.Cut(args[1], ":")
	switch n, err := strconv.ParseInt(args[1], 10, 64); {
	case tiered:
		p.Volume = mode == "volume"
		for _, one := range strings.Split(tiers, ",") {
			end, amounts, _ := strings.Cut(one, "=")
			unit, flat, _ := strings.Cut(amounts, "+")
			to, err := strconv.ParseInt(end, 10, 64)
			ts.Check(err)
			p.Tiers = append(p.Tiers, simulator.Tier{UpTo: to, Unit: unit, Flat: flat})
		}
	case err != nil:
		p.Decimal = args[1]
	default:
		p.Amount = n
	}
	o.simulated.PutPrice(p)
}

// discount WHO PERCENT% [PRODUCT], or discount WHO OFF CURRENCY, redeems a coupon for a
// subscription; "discount customer:WHO …" for its customer.
func (o *outside) discount(ts *testscript.TestScript, args []string) {
	d := &simulator.Discount{}
	if percent, is := strings.CutSuffix(args[1], "%"); is {
		d.Percent, d.AppliesTo = percent, args[2:]
	} else {
		off, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		d.Off, d.Currency = off, args[2]
	}
	id := o.signed[args[0]].Subscription
	if who, is := strings.CutPrefix(args[0], "customer:"); is {
		id = o.signed[who].Customer
	}
	ts.Check(o.simulated.SetDiscount(id, d))
}

// twin WHO makes the hosting of a subscription a second time, as another installation does.
func (o *outside) twin(ts *testscript.TestScript, args []string) {
	for _, h := range o.simulated.Hostings() {
		if strings.Contains(h.FriendlyName, "["+o.signed[args[0]].Subscription+"/") {
			_, err := o.simulated.StaffCreateHosting(h.Org, h.Plan, h.FriendlyName)
			ts.Check(err)
			return
		}
	}
	ts.Fatalf("%s has no hosting", args[0])
}

// erased WHO deletes the hosting of a subscription in the panel.
func (o *outside) erased(ts *testscript.TestScript, args []string) {
	ts.Check(o.byHand(o.signed[args[0]].Subscription, o.simulated.StaffDelete))
}

// stripeRefuses answers every request as Stripe does a key that may do nothing.
func stripeRefuses(c simulator.Call) simulator.Fault {
	if c.Side == simulator.Stripe {
		return simulator.Fault{Status: 403}
	}
	return simulator.Fault{}
}
