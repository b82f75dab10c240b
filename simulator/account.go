package simulator

import (
	"cmp"
	"maps"
	"slices"
)

// account is Stripe's side of the world.
type account struct {
	products  index[*Product]
	prices    index[*Price]
	cust      index[*Customer]
	subs      index[*Subscription]
	invoices  index[*Invoice]
	sessions  index[*Session]
	schedules index[*Schedule]
	disputes  index[*Dispute]
	refunds   index[*Dispute]
	events    index[*event]

	byEmail map[string]*Customer   // the latest customer that was not a guest, by exact spelling
	replays map[string]savedAnswer // by Idempotency-Key
}

func newAccount() account {
	return account{
		products: newIndex[*Product](), prices: newIndex[*Price](), cust: newIndex[*Customer](),
		subs: newIndex[*Subscription](), schedules: newIndex[*Schedule](), disputes: newIndex[*Dispute](), refunds: newIndex[*Dispute](), invoices: newIndex[*Invoice](), sessions: newIndex[*Session](),
		events: newIndex[*event](), byEmail: map[string]*Customer{}, replays: map[string]savedAnswer{},
	}
}

// Product is something that is sold.
type Product struct {
	ID, Name string
	Features []string // lookup keys of Stripe Entitlements, oldest first
	Inactive bool
	Metadata map[string]string
	Created  int64 // Unix seconds
	birth    uint64
}

// Price is one way to pay for a product.
type Price struct {
	ID, Product, LookupKey string
	Amount                 int64  // per interval and unit, in the currency's smallest unit
	Currency               string // empty: eur
	Interval               string // "month" (also when empty), "day", "week" or "year"
	Count                  int64  // how many intervals; 0: one
	Decimal                string // the amount, where it is finer than the smallest unit; empty: Amount
	Tiers                  []Tier // in place of an amount; shown only if a request expands them
	Volume                 bool   // the tier of the whole quantity counts for all of it
	Metered                bool   // billed by use
	Inactive               bool
	Metadata               map[string]string
	Created                int64 // Unix seconds
	birth                  uint64
}

// Customer is a customer of Stripe. A guest checkout makes a new one each time, so
// several may share an e-mail.
type Customer struct {
	ID, Email, Name string
	Locale          string // the first of preferred_locales; "": none
	Metadata        map[string]string
	Deleted         bool
	Created         int64 // Unix seconds
	CardDeclined    bool  // the next charges fail
	Discount        *Discount
	birth           uint64
	subs            []*Subscription
}

// Item is one line of a subscription.
type Item struct {
	ID       string
	Price    string // its id
	Quantity int64  // -1: absent, as on metered prices
	Metadata map[string]string
	Created  int64 // Unix seconds
}

// Subscription is Stripe's. Times are Unix seconds, 0 where Stripe has null.
type Subscription struct {
	ID, Customer                    string
	Status                          string // one of Stripe's, or any other that a test has set
	Items                           []Item
	Metadata                        map[string]string
	Created, PeriodStart, PeriodEnd int64
	TrialStart, TrialEnd            int64
	CancelAtPeriodEnd               bool
	CancelAt                        int64 // cancel_at, as flexible billing has it; 0: none
	CanceledAt, EndedAt             int64
	CancelReason                    string // cancellation_requested, payment_failed
	PauseCollection                 string // keep_as_draft, mark_uncollectible, void; empty: not paused
	PastDueSince                    int64  // when it became past_due; 0 while it is not
	SendInvoice                     bool   // collection_method send_invoice, due after DaysUntilDue
	DaysUntilDue                    int64
	WrongLivemode                   bool // shown with the other livemode, to test whether a client checks it
	Unknown                         bool // hidden: reads answer 404, and nothing lists it or emits its events
	Discount                        *Discount
	Schedule                        string // the id of its schedule; empty: none
	TestClock                       string // listed only if the request names its customer or its clock

	birth       uint64
	gen         uint32 // counts the scheduled transitions; only the timer of the latest is valid
	living      bool   // the clock renews, expires and retries it
	trialPauses bool   // it becomes paused when the trial ends, because there is no card
	retries     int
	customer    *Customer
	invoices    []*Invoice
	session     *Session
}

// Invoice is Stripe's. It belongs to one period of one subscription.
type Invoice struct {
	ID, Subscription, Customer string
	Status                     string // draft, open, paid, void, uncollectible
	Reason                     string // subscription_create, subscription_cycle, …
	Amount                     int64
	Created, Due, PaidAt       int64 // Unix seconds
	PeriodStart, PeriodEnd     int64
	Attempts, NextAttempt      int64
	sendInvoice                bool
	birth                      uint64
}

// Session is a completed Checkout Session. It alone holds the text that the customer
// typed into a custom field.
type Session struct {
	ID, Customer, Subscription string
	Email, Domain              string
	Metadata                   map[string]string
	Amount, Created            int64
	birth                      uint64
}

func (p *Product) rank() (int64, uint64)      { return p.Created, p.birth }
func (p *Price) rank() (int64, uint64)        { return p.Created, p.birth }
func (c *Customer) rank() (int64, uint64)     { return c.Created, c.birth }
func (s *Subscription) rank() (int64, uint64) { return s.Created, s.birth }
func (i *Invoice) rank() (int64, uint64)      { return i.Created, i.birth }
func (s *Session) rank() (int64, uint64)      { return s.Created, s.birth }

// clone copies the fields that a caller could change.
func (s *Subscription) clone() Subscription {
	c := *s
	c.Items = slices.Clone(s.Items)
	for i := range c.Items {
		c.Items[i].Metadata = maps.Clone(c.Items[i].Metadata)
	}
	c.Metadata = maps.Clone(s.Metadata)
	c.customer, c.invoices, c.session = nil, nil, nil
	return c
}

// Subscriptions returns copies of all, oldest first.
func (w *World) Subscriptions() []Subscription {
	w.enter()
	defer w.mu.Unlock()
	rows := w.account.subs.sorted()
	out := make([]Subscription, len(rows))
	for i, s := range rows {
		out[i] = s.clone()
	}
	return out
}

// Subscription returns a copy of one.
func (w *World) Subscription(id string) (Subscription, bool) {
	w.enter()
	defer w.mu.Unlock()
	s, ok := w.account.subs.byID[id]
	if !ok {
		return Subscription{}, false
	}
	return s.clone(), true
}

// Customers returns copies of all, deleted ones included, oldest first.
func (w *World) Customers() []Customer {
	w.enter()
	defer w.mu.Unlock()
	rows := w.account.cust.sorted()
	out := make([]Customer, len(rows))
	for i, c := range rows {
		out[i] = *c
		out[i].Metadata, out[i].subs = maps.Clone(c.Metadata), nil
	}
	return out
}

// Invoices returns copies of a subscription's invoices, oldest first.
func (w *World) Invoices(subscription string) []Invoice {
	w.enter()
	defer w.mu.Unlock()
	s, ok := w.account.subs.byID[subscription]
	if !ok {
		return nil
	}
	out := make([]Invoice, len(s.invoices))
	for i, inv := range s.invoices {
		out[i] = *inv
	}
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
