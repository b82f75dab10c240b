package simulator

import (
	"slices"
	"time"
)

// Schedule is a subscription schedule: what a subscription is to have in each of its
// phases.
type Schedule struct {
	ID, Customer, Subscription string
	Status                     string // not_started, active, completed, released, canceled
	EndBehavior                string // release or cancel: what comes after the last phase
	Phases                     []Phase
	Created                    int64 // Unix seconds
	birth                      uint64
}

// Phase is a time with certain items. Of an item only price and quantity count.
type Phase struct {
	Start, End int64 // Unix seconds
	Items      []Item
}

func (s *Schedule) rank() (int64, uint64) { return s.Created, s.birth }

// ScheduleChange lets a subscription change its first item to another price at a time, by
// a schedule of two phases that is released a month later. With an empty price the
// subscription ends then, by a schedule of one phase. It returns the schedule's id.
func (w *World) ScheduleChange(sub, price string, at time.Time) (id string, err error) {
	err = w.withSubscription(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "already " + s.Status}
		}
		c := &Schedule{ID: w.id("sub_sched"), Customer: s.Customer, Subscription: s.ID, Status: "active", EndBehavior: "cancel",
			Phases:  []Phase{{Start: s.PeriodStart, End: at.Unix(), Items: slices.Clone(s.Items)}},
			Created: w.now.Unix(), birth: w.birth()}
		if price != "" {
			p, err := w.onSale(price)
			if err != nil {
				return err
			}
			items := slices.Clone(s.Items)
			items[0].Price = p.ID
			c.EndBehavior = "release"
			c.Phases = append(c.Phases, Phase{Start: at.Unix(), End: at.AddDate(0, 1, 0).Unix(), Items: items})
		}
		w.account.schedules.put(c.ID, c)
		s.Schedule, id = c.ID, c.ID
		w.emitSubscription("customer.subscription.updated", s, "")
		w.after(at.Sub(w.now), func() { w.nextPhase(s, c) })
		return nil
	})
	return id, err
}

// PlanSubscription schedules a subscription that begins at a time: status not_started. The
// simulated clock does not begin it.
func (w *World) PlanSubscription(customer, price string, at time.Time) (id string, err error) {
	w.enter()
	defer w.mu.Unlock()
	p, err := w.onSale(price)
	if err != nil {
		return "", err
	}
	c := &Schedule{ID: w.id("sub_sched"), Customer: customer, Status: "not_started", EndBehavior: "release",
		Phases:  []Phase{{Start: at.Unix(), End: at.AddDate(0, 1, 0).Unix(), Items: []Item{{Price: p.ID, Quantity: 1}}}},
		Created: w.now.Unix(), birth: w.birth()}
	w.account.schedules.put(c.ID, c)
	return c.ID, nil
}

// nextPhase ends the first phase of a schedule.
func (w *World) nextPhase(s *Subscription, c *Schedule) {
	switch {
	case ended(s):
		c.Status = "canceled"
	case len(c.Phases) < 2:
		c.Status = "completed"
		w.end(s, "cancellation_requested")
	default:
		w.change(s, func() { s.Items = slices.Clone(s.Items); s.Items[0].Price = c.Phases[1].Items[0].Price })
	}
}

func listSchedules(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{
		"customer": scalar, "scheduled": scalar, "created": times, "canceled_at": times, "completed_at": times, "released_at": times,
	}), "list:schedule")
	if bad != nil {
		return bad.answer
	}
	scheduled, bad := boolFilter(p, "scheduled")
	if bad != nil {
		return bad.answer
	}
	customer := p.values.Get("customer")
	return listing[*Schedule]{
		url: "/v1/subscription_schedules", noun: "subscription_schedule", byID: w.account.schedules.byID, rows: w.account.schedules.sorted(),
		match: func(c *Schedule) bool {
			return scheduled(c.Status == "not_started") && (customer == "" || customer == c.Customer)
		},
		render: w.writeSchedule,
	}.answer(p)
}

func (w *World) writeSchedule(d *doc, c *Schedule, x expansion) {
	d.open()
	d.str("id", c.ID)
	d.fields(`"object":"subscription_schedule","application":null,"billing_mode":{"type":"classic"},"canceled_at":null,"completed_at":null`)
	d.num("created", c.Created)
	if c.Status == "active" {
		d.object("current_phase")
		d.num("end_date", c.Phases[0].End)
		d.num("start_date", c.Phases[0].Start)
		d.close()
	} else {
		d.null("current_phase")
	}
	w.customerField(d, w.account.cust.byID[c.Customer], x)
	d.fields(`"default_settings":{"billing_cycle_anchor":"automatic","collection_method":"charge_automatically"}`)
	d.str("end_behavior", c.EndBehavior)
	d.flag("livemode", w.opt.Livemode)
	d.fields(`"metadata":{}`)
	d.array("phases")
	for i := range c.Phases {
		w.writePhase(d, &c.Phases[i], x.below("phases"))
	}
	d.closeArray()
	d.null("released_at", "released_subscription")
	d.str("status", c.Status)
	d.text("subscription", c.Subscription)
	d.null("test_clock")
	w.writeUnknownFields(d)
	d.close()
}

func (w *World) writePhase(d *doc, ph *Phase, x expansion) {
	d.open()
	d.fields(`"add_invoice_items":[],"currency":"eur","description":null`)
	d.num("end_date", ph.End)
	d.array("items")
	for _, it := range ph.Items {
		p := w.account.prices.byID[it.Price]
		d.open()
		d.fields(`"billing_thresholds":null,"metadata":{}`)
		d.str("plan", p.ID)
		if below := x.below("items"); below.has("price") {
			d.key("price")
			w.writePrice(d, p, below.below("price"))
		} else {
			d.str("price", p.ID)
		}
		if it.Quantity >= 0 {
			d.num("quantity", it.Quantity)
		}
		d.fields(`"tax_rates":[]`)
		d.close()
	}
	d.closeArray()
	d.fields(`"metadata":{},"proration_behavior":"create_prorations"`)
	d.num("start_date", ph.Start)
	d.null("trial_end")
	d.close()
}
