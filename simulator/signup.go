package simulator

import (
	"maps"
	"strings"
	"time"
)

// Line is one price of an order.
type Line struct {
	Price    string // id or lookup key
	Quantity int64  // 0: one; -1: absent, as on metered prices
}

// SignUp is an order: the buyer, the prices, and how it begins.
type SignUp struct {
	Email, Name string
	Price       string // one unit of it; shorthand for the first of Lines
	Lines       []Line

	// Domain is typed into the custom field "domain" of a Checkout Session, which alone
	// keeps it. Checkout makes a session even without a domain.
	Domain   string
	Checkout bool

	// Customer orders for an existing Stripe customer. If it is empty, the e-mail in
	// exactly this spelling finds the customer; a Guest always gets a new one, as at
	// Stripe.
	Customer string
	Guest    bool

	// NewCustomer is the id of a new customer, because old accounts could choose it.
	// Empty: one of Stripe's own.
	NewCustomer string

	Trial           time.Duration // 0: none
	TrialNoCard     bool          // the trial ends in status paused
	Declined        bool          // the first charge fails: incomplete, expired after 23 h
	SendInvoice     bool          // paid by invoice, due after 14 days, not by card
	Metadata        map[string]string
	CustomerDetails map[string]string // the customer's metadata

	// Created sets the time of the subscription; zero is now. If it is set, the
	// subscription is older than the clock and emits no events.
	Created time.Time
}

// SignedUp holds the ids that an order made.
type SignedUp struct {
	Customer, Subscription string
	Items                  []string
	Session                string // empty without a Checkout Session
}

// SignUp places an order and emits the events that Stripe makes of it.
func (w *World) SignUp(o SignUp) (SignedUp, error) {
	w.enter()
	defer w.mu.Unlock()
	lines := o.Lines
	if o.Price != "" {
		lines = append([]Line{{Price: o.Price}}, lines...)
	}
	items, err := w.items(lines)
	if err != nil {
		return SignedUp{}, err
	}
	c, err := w.customerFor(o)
	if err != nil {
		return SignedUp{}, err
	}
	s := w.subscribe(c, items, o)
	w.chargeFirst(s, o)
	out := SignedUp{Customer: c.ID, Subscription: s.ID}
	for _, it := range s.Items {
		out.Items = append(out.Items, it.ID)
	}
	if s.session != nil {
		out.Session = s.session.ID
	}
	return out, nil
}

func (w *World) items(lines []Line) ([]Item, error) {
	if len(lines) == 0 {
		return nil, RefusedError{ID: "sign-up", Reason: "an order needs a price"}
	}
	items := make([]Item, 0, len(lines))
	for _, l := range lines {
		p, err := w.onSale(l.Price)
		if err != nil {
			return nil, err
		}
		items = append(items, w.item(p, l.Quantity))
	}
	return items, nil
}

func (w *World) item(p *Price, quantity int64) Item {
	if quantity == 0 {
		quantity = 1
	}
	return Item{ID: "si_" + base62(w.prf.nth("si", w.birth()), 14), Price: p.ID, Quantity: quantity, Created: w.now.Unix()}
}

func (w *World) customerFor(o SignUp) (*Customer, error) {
	if o.Customer != "" {
		c, err := w.customer(o.Customer)
		if err == nil && c.Deleted {
			return nil, RefusedError{ID: c.ID, Reason: "the customer was deleted"}
		}
		return c, err
	}
	if c := w.account.byEmail[o.Email]; c != nil && !o.Guest && !c.Deleted && o.Email != "" {
		return c, nil
	}
	c := &Customer{
		ID: "cus_" + base62(w.prf.nth("cus", w.birth()), 14), Email: o.Email, Name: o.Name,
		Metadata: maps.Clone(o.CustomerDetails), Created: w.orderTime(o).Unix(), birth: w.birth(),
	}
	if o.NewCustomer != "" {
		c.ID = o.NewCustomer
	}
	w.account.cust.put(c.ID, c)
	if !o.Guest && o.Email != "" {
		w.account.byEmail[o.Email] = c
	}
	if o.Created.IsZero() {
		w.emit("customer.created", c.ID, "", func(d *doc) { w.writeCustomer(d, c, nil) })
	}
	return c, nil
}

func (w *World) orderTime(o SignUp) time.Time {
	if o.Created.IsZero() {
		return w.now
	}
	return o.Created
}

func (w *World) subscribe(c *Customer, items []Item, o SignUp) *Subscription {
	t := w.orderTime(o).Unix()
	s := &Subscription{
		ID: w.id("sub"), Customer: c.ID, customer: c, Status: "active", Items: items,
		Metadata: maps.Clone(o.Metadata), Created: t, PeriodStart: t, birth: w.birth(), living: true,
		trialPauses: o.TrialNoCard, SendInvoice: o.SendInvoice,
	}
	for i := range s.Items {
		s.Items[i].Created = t
	}
	if s.SendInvoice {
		s.DaysUntilDue = 14
	}
	if o.Trial > 0 {
		s.Status, s.TrialStart, s.TrialEnd = "trialing", t, t+int64(o.Trial/time.Second)
		s.PeriodEnd = s.TrialEnd
	} else {
		s.PeriodEnd = w.nextPeriod(s, t)
	}
	for s.TrialEnd == 0 && s.PeriodEnd <= w.now.Unix() { // if it is old, it is in a later period
		s.PeriodStart, s.PeriodEnd = s.PeriodEnd, w.nextPeriod(s, s.PeriodEnd)
	}
	w.account.subs.put(s.ID, s)
	c.subs = append(c.subs, s)
	return s
}

// chargeFirst makes the first charge and emits all events of the order.
func (w *World) chargeFirst(s *Subscription, o SignUp) {
	if o.Declined && s.TrialEnd == 0 {
		s.Status = "incomplete"
		s.customer.CardDeclined = true
	}
	if o.Checkout || o.Domain != "" {
		w.checkOut(s, o)
	}
	inv := w.invoice(s, "subscription_create")
	if s.Status != "incomplete" && !s.SendInvoice {
		inv.Status, inv.PaidAt = "paid", inv.Created
	}
	w.schedule(s)
	if !o.Created.IsZero() {
		return
	}
	w.emitSubscription("customer.subscription.created", s, "")
	w.emitInvoice("invoice.created", inv)
	w.emitInvoice("invoice.finalized", inv)
	switch {
	case s.Status == "incomplete":
		w.emitInvoice("invoice.payment_failed", inv)
	case inv.Status == "paid":
		w.emitInvoice("invoice.paid", inv)
		w.emitInvoice("invoice.payment_succeeded", inv)
	}
	if s.session != nil && s.Status != "incomplete" {
		w.emit("checkout.session.completed", s.session.ID, "", func(d *doc) { w.writeSession(d, s.session, nil) })
	}
}

func (w *World) checkOut(s *Subscription, o SignUp) {
	mode := "cs_test_"
	if w.opt.Livemode {
		mode = "cs_live_"
	}
	n := w.birth()
	ses := &Session{
		ID: mode + base62(w.prf.nth("cs", n), 58), Customer: s.Customer, Subscription: s.ID,
		Email: strings.TrimSpace(o.Email), Domain: o.Domain, Metadata: maps.Clone(o.Metadata),
		Amount: w.amount(s), Created: s.Created, birth: n,
	}
	s.session = ses
	w.account.sessions.put(ses.ID, ses)
}
