package simulator

import (
	"maps"
	"slices"
	"strconv"
)

func (w *World) subscription(id string) (*Subscription, error) {
	if s, ok := w.account.subs.byID[id]; ok {
		return s, nil
	}
	return nil, NotFoundError{Kind: "subscription", ID: id}
}

func (w *World) customer(id string) (*Customer, error) {
	if c, ok := w.account.cust.byID[id]; ok {
		return c, nil
	}
	return nil, NotFoundError{Kind: "customer", ID: id}
}

// withSubscription finds a subscription and calls do with the world locked.
func (w *World) withSubscription(sub string, do func(*Subscription) error) error {
	w.enter()
	defer w.mu.Unlock()
	s, err := w.subscription(sub)
	if err != nil {
		return err
	}
	return do(s)
}

// update makes a change that Stripe would always allow.
func (w *World) update(sub string, do func(*Subscription)) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		w.change(s, func() { do(s) })
		return nil
	})
}

// change makes a change, schedules the next transition and emits the event.
func (w *World) change(s *Subscription, do func()) {
	before := *s
	do()
	w.schedule(s)
	if !s.Unknown {
		w.emitSubscription("customer.subscription.updated", s, previous(&before, s))
	}
}

// previous lists the fields that an update replaced, of those that clients read.
func previous(before, now *Subscription) string {
	var d doc
	d.open()
	if before.Status != now.Status {
		d.str("status", before.Status)
	}
	if before.CancelAtPeriodEnd != now.CancelAtPeriodEnd {
		d.flag("cancel_at_period_end", before.CancelAtPeriodEnd)
	}
	if before.CancelAt != now.CancelAt {
		d.when("cancel_at", before.CancelAt)
	}
	if before.PeriodEnd != now.PeriodEnd {
		d.num("current_period_end", before.PeriodEnd)
	}
	d.close()
	return string(d.b)
}

// Edit changes a subscription without restriction, even into a state that Stripe would
// never make: an unknown status, an older creation, the other livemode. The id and the
// customer stay.
func (w *World) Edit(sub string, do func(*Subscription)) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		w.change(s, func() {
			c := s.clone()
			do(&c)
			c.ID, c.Customer, c.birth = s.ID, s.Customer, s.birth
			c.customer, c.invoices, c.session = s.customer, s.invoices, s.session
			if c.Created != s.Created {
				w.account.subs.unsorted = true
			}
			*s = c
		})
		return nil
	})
}

// SetStatus sets any status, known or unknown.
func (w *World) SetStatus(sub, status string) error {
	return w.update(sub, func(s *Subscription) {
		s.Status = status
		switch t := w.now.Unix(); status {
		case "canceled":
			s.CanceledAt, s.EndedAt = t, t
		case "past_due":
			s.PastDueSince, s.retries = t, 0
		default:
			s.PastDueSince = 0
		}
	})
}

// SetMetadata replaces the metadata.
func (w *World) SetMetadata(sub string, m map[string]string) error {
	return w.update(sub, func(s *Subscription) { s.Metadata = maps.Clone(m) })
}

// ChangePrice changes the price in place: the item stays. An empty item means the
// first.
func (w *World) ChangePrice(sub, item, price string) error {
	return w.onItem(sub, item, func(s *Subscription, i int) error {
		p, err := w.onSale(price)
		if err == nil {
			w.change(s, func() { s.Items = slices.Clone(s.Items); s.Items[i].Price = p.ID })
		}
		return err
	})
}

// ReplaceItem changes the price in the other way: it removes the item and adds one with
// a new id, which it returns.
func (w *World) ReplaceItem(sub, item, price string) (newItem string, err error) {
	err = w.onItem(sub, item, func(s *Subscription, i int) error {
		p, err := w.onSale(price)
		if err != nil {
			return err
		}
		fresh := w.item(p, s.Items[i].Quantity)
		newItem = fresh.ID
		w.change(s, func() { s.Items = append(slices.Delete(slices.Clone(s.Items), i, i+1), fresh) })
		return nil
	})
	return newItem, err
}

// AddItem adds a price; 0 is a quantity of one. It returns the item's id.
func (w *World) AddItem(sub, price string, quantity int64) (item string, err error) {
	err = w.withSubscription(sub, func(s *Subscription) error {
		p, err := w.onSale(price)
		if err != nil {
			return err
		}
		fresh := w.item(p, quantity)
		item = fresh.ID
		w.change(s, func() { s.Items = append(slices.Clone(s.Items), fresh) })
		return nil
	})
	return item, err
}

// RemoveItem removes an item, but not the last one, as at Stripe.
func (w *World) RemoveItem(sub, item string) error {
	return w.onItem(sub, item, func(s *Subscription, i int) error {
		if len(s.Items) == 1 {
			return RefusedError{ID: s.ID, Reason: "the last item cannot be removed"}
		}
		w.change(s, func() { s.Items = slices.Delete(slices.Clone(s.Items), i, i+1) })
		return nil
	})
}

// SetQuantity changes how many units an item has. 0 is allowed, as at Stripe.
func (w *World) SetQuantity(sub, item string, quantity int64) error {
	return w.onItem(sub, item, func(s *Subscription, i int) error {
		w.change(s, func() { s.Items = slices.Clone(s.Items); s.Items[i].Quantity = quantity })
		return nil
	})
}

func (w *World) onItem(sub, item string, do func(s *Subscription, i int) error) error {
	return w.withSubscription(sub, func(s *Subscription) error {
		if ended(s) {
			return RefusedError{ID: s.ID, Reason: "the items of a subscription that is " + s.Status + " cannot change"}
		}
		if item == "" && len(s.Items) > 0 {
			return do(s, 0)
		}
		if n, err := strconv.Atoi(item); err == nil && n >= 0 && n < len(s.Items) {
			return do(s, n)
		}
		for i := range s.Items {
			if s.Items[i].ID == item {
				return do(s, i)
			}
		}
		return NotFoundError{Kind: "subscription item", ID: item}
	})
}

// SetEmail changes a customer's address; "" removes it.
func (w *World) SetEmail(customer, email string) error {
	w.enter()
	defer w.mu.Unlock()
	c, err := w.customer(customer)
	if err != nil {
		return err
	}
	if w.account.byEmail[c.Email] == c {
		delete(w.account.byEmail, c.Email)
	}
	c.Email = email
	if email != "" {
		w.account.byEmail[email] = c
	}
	w.emit("customer.updated", c.ID, "{}", func(d *doc) { w.writeCustomer(d, c, nil) })
	return nil
}

// SetName changes a customer's name; "" removes it.
func (w *World) SetName(customer, name string) error {
	w.enter()
	defer w.mu.Unlock()
	c, err := w.customer(customer)
	if err != nil {
		return err
	}
	c.Name = name
	w.emit("customer.updated", c.ID, "{}", func(d *doc) { w.writeCustomer(d, c, nil) })
	return nil
}

// DeleteCustomer deletes a customer and ends its subscriptions.
func (w *World) DeleteCustomer(customer string) error {
	w.enter()
	defer w.mu.Unlock()
	c, err := w.customer(customer)
	if err != nil {
		return err
	}
	if c.Deleted {
		return RefusedError{ID: c.ID, Reason: "already deleted"}
	}
	for _, s := range c.subs {
		if !ended(s) {
			w.end(s, "cancellation_requested")
		}
	}
	last := text(func(d *doc) { w.writeCustomer(d, c, nil) })
	c.Deleted = true
	w.emit("customer.deleted", c.ID, "", func(d *doc) { d.fields(last) })
	return nil
}
