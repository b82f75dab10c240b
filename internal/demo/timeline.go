package demo

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// timeline is the events of Live. They are the same each time, because the examples in the
// documentation must work as they are written.
type timeline struct {
	world     *simulator.World
	customers map[string]simulator.SignedUp
	guests    int
}

// regulars are customers from the beginning. Nothing happens to the first.
var regulars = []struct{ name, price string }{
	{"bakery", "price_pro_monthly"}, {"florist", "price_basic_monthly"}, {"cyclist", "price_basic_monthly"},
	{"gallery", "price_pro_monthly"}, {"surgery", "price_business_monthly"}, {"brewery", "price_pro_monthly"},
}

const (
	// club is how many customers the mistake in the middle of the demo affects: more than the
	// brake lets pass even if two runs come upon them.
	club = 12
	// clubFails is the second when that happens.
	clubFails = 8
	// mostGuests is a limit for the case that the demo runs unattended for days.
	mostGuests = 300
)

func (t *timeline) begin() error {
	for _, r := range regulars {
		if err := t.signUp(r.name, r.price); err != nil {
			return err
		}
	}
	for i := range club {
		if err := t.signUp(fmt.Sprintf("club%d", i+1), "price_basic_monthly"); err != nil {
			return err
		}
	}
	return nil
}

func (t *timeline) signUp(who, price string) (err error) {
	name := strings.ToUpper(who[:1]) + who[1:]
	t.customers[who], err = t.world.SignUp(simulator.SignUp{Email: who + "@example.com", Name: name, Price: price})
	return err
}

// opened is for how long the shop has sold by this program.
const opened = 24 * time.Hour

// oddities are customers who show what a company comes upon now and then: a price that buys no
// hosting, a hosting from before this program, one that the panel refuses, a trial, and an end
// that is known.
func (t *timeline) oddities() error {
	consulting := t.world.AddPrice("prod_consulting", "", 9900)
	if err := t.signUp("museum", consulting); err != nil {
		return err
	}
	org := t.world.StaffCreateOrg("Library", "library@example.com")
	hosting, err := t.world.StaffCreateHosting(org, 1, "Library")
	if err != nil {
		return err
	}
	if _, err := t.world.AddWebsite(hosting, "library.example"); err != nil {
		return err
	}
	if _, err := t.world.SignUp(simulator.SignUp{Email: "library@example.com", Name: "Library", Price: "price_basic_monthly", Domain: "library.example",
		Created: t.world.Now().Add(-300 * opened)}); err != nil {
		return err
	}
	for _, o := range []simulator.SignUp{
		{Email: "garage@example.com", Name: "Garage", Price: "price_pro_monthly", Trial: 14 * opened},
		{Email: "theatre@example.com", Name: "Theatre", Price: "price_basic_monthly"},
		{Email: "warehouse@example.com", Name: "Warehouse", Price: "price_business_monthly"},
	} {
		done, err := t.world.SignUp(o)
		if err != nil {
			return err
		}
		t.customers[strings.ToLower(o.Name)] = done
	}
	return t.world.CancelAtPeriodEnd(t.customers["theatre"].Subscription)
}

// hold is one that a person has put.
func (t *timeline) hold(ctx context.Context, a *app.App) error {
	_, err := a.Store.AddManualHold(ctx, reconcile.ManualHold{ID: "hold_demo", Customer: t.customers["surgery"].Customer, Kind: reconcile.NoSuspend,
		Reason: "promised on the phone until the bank has answered", Author: "Ana", Created: t.world.Now(), Until: t.world.Now().Add(10 * opened)})
	return err
}

// refuses lets the panel refuse the organisation of the warehouse for good, so that its customer is parked and
// its events stay failed. All other calls go well: on a busy machine the world's own faults would
// slow the story down.
func refuses(c simulator.Call) simulator.Fault {
	if c.Side == simulator.Enhance && c.Write() && bytes.Contains(c.Body, []byte("Warehouse")) {
		return simulator.NotDone(http.StatusBadRequest)
	}
	return simulator.Fault{Honest: true}
}

// next starts the event of the n-th second, and returns a line about it; "" if there is none.
func (t *timeline) next(n int) (string, error) {
	if n == clubFails {
		return t.clubLeaves()
	}
	const beat = 5
	if n%beat != 0 {
		return "", nil
	}
	who := regulars[1+n/beat%(len(regulars)-1)].name
	id := t.customers[who].Subscription
	sub, _ := t.world.Subscription(id)
	switch {
	case n/beat%2 == 0 && t.guests < mostGuests:
		t.guests++
		guest := fmt.Sprintf("guest%d", t.guests)
		return guest + " signs up", t.signUp(guest, "price_basic_monthly")
	case sub.Status == "past_due":
		return who + " pays", t.world.Pay(id)
	case sub.Status == "active" && n/beat%3 == 0:
		return who + " cannot pay", t.world.FailPayment(id)
	case sub.Status == "active":
		return who + " chooses another plan", t.world.ChangePrice(id, "", t.other(sub))
	case sub.Status == "canceled":
		return who + " buys again", t.signUp(who, "price_basic_monthly")
	}
	return "", nil
}

// other is a price that the customer does not pay now.
func (t *timeline) other(sub simulator.Subscription) string {
	if len(sub.Items) > 0 && sub.Items[0].Price == "price_pro_monthly" {
		return "price_business_monthly"
	}
	return "price_pro_monthly"
}

// clubLeaves cancels too many subscriptions together, by mistake. The brake holds that for
// approval.
func (t *timeline) clubLeaves() (string, error) {
	for i := range club {
		if err := t.world.Cancel(t.customers[fmt.Sprintf("club%d", i+1)].Subscription); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d customers are cancelled together; the brake will hold that", club), nil
}
