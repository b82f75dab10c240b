package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// scheduleWire is a subscription schedule of API version 2023-10-16.
type scheduleWire struct {
	head
	Status       string      `json:"status"`
	Customer     idRef       `json:"customer"`
	Subscription idRef       `json:"subscription"`
	EndBehavior  string      `json:"end_behavior"`
	Phases       []phaseWire `json:"phases"`
}

type phaseWire struct {
	StartDate int64           `json:"start_date"`
	EndDate   int64           `json:"end_date"`
	Items     []phaseItemWire `json:"items"`
}

// phaseItemWire is an item of a phase. Its price comes expanded, because a mapping may
// name the lookup key or the product.
type phaseItemWire struct {
	Price    phasePrice `json:"price"`
	Quantity *int64     `json:"quantity"` // absent on metered prices
}

// phasePrice is a price, expanded or not.
type phasePrice priceRef

// UnmarshalJSON takes an id or an object.
func (p *phasePrice) UnmarshalJSON(b []byte) error {
	id, ok, err := bareID(b)
	if ok || err != nil {
		p.ID = id
		return err
	}
	return json.Unmarshal(b, (*priceRef)(p))
}

var schedules = collection{kind: "subscription_schedule", prefix: "sub_sched_"}

// mostSchedules is how many schedules are read. Stripe cannot list only those that have
// not ended, and an account that has used schedules for years has many that have.
const mostSchedules = 10_000

var errManySchedules = errors.New("many schedules")

// Schedules reads the schedules that change a subscription, or begin one, on a day to
// come, the newest first, and gives them to use page by page: one request for a hundred,
// counting those that have ended. partly reports that the account has more than are read.
// If the key may not read them, the error is fault.Denied.
func (c *Client) Schedules(ctx context.Context, use func([]reconcile.Schedule)) (partly bool, err error) {
	return c.schedules(ctx, get("/v1/subscription_schedules", "expand[0]", "data.phases.items.price"), use)
}

// SchedulesOf is Schedules for one Stripe customer.
func (c *Client) SchedulesOf(ctx context.Context, customer string) (all []reconcile.Schedule, err error) {
	r := get("/v1/subscription_schedules", "customer", customer, "expand[0]", "data.phases.items.price")
	_, err = c.schedules(ctx, r, func(page []reconcile.Schedule) { all = append(all, page...) })
	return all, err
}

func (c *Client) schedules(ctx context.Context, r request, use func([]reconcile.Schedule)) (partly bool, err error) {
	read := 0
	_, err = readAll(ctx, c, r, schedules, func(page []scheduleWire, _ answer) error {
		var ahead []reconcile.Schedule
		for i := range page {
			w := &page[i]
			if w.Status != "active" && w.Status != "not_started" {
				continue
			}
			s, err := w.schedule()
			if err != nil {
				return malformed(r, "%v", err)
			}
			ahead = append(ahead, s)
		}
		use(ahead)
		if read += len(page); read >= mostSchedules {
			return errManySchedules
		}
		return nil
	})
	if errors.Is(err, errManySchedules) {
		return true, nil
	}
	return false, err
}

func (w *scheduleWire) schedule() (reconcile.Schedule, error) {
	s := reconcile.Schedule{ID: w.ID, StripeCustomer: string(w.Customer), Subscription: string(w.Subscription), Cancels: w.EndBehavior == "cancel"}
	if s.StripeCustomer == "" {
		return s, fmt.Errorf("the schedule %s has no customer", w.ID)
	}
	for i := range w.Phases {
		ph := &w.Phases[i]
		if ph.StartDate == 0 {
			return s, fmt.Errorf("the schedule %s has a phase without a start", w.ID)
		}
		items, err := phaseItems(ph.Items)
		if err != nil {
			return s, fmt.Errorf("the schedule %s: %w", w.ID, err)
		}
		s.Phases = append(s.Phases, reconcile.Phase{Start: instant(ph.StartDate), End: instant(ph.EndDate), Items: items})
	}
	return s, nil
}

func phaseItems(wire []phaseItemWire) ([]reconcile.Item, error) {
	items := make([]reconcile.Item, 0, len(wire))
	for i := range wire {
		w := &wire[i]
		if w.Price.ID == "" {
			return nil, errors.New("an item without a price")
		}
		it := reconcile.Item{Price: w.Price.ID, LookupKey: w.Price.LookupKey, Product: string(w.Price.Product), Quantity: 1}
		if w.Quantity != nil {
			it.Quantity = *w.Quantity
		}
		items = append(items, it)
	}
	return items, nil
}
