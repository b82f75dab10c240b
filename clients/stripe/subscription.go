package stripe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Subscription reads one subscription by its id: its buyer and all its items and, if
// its status requires a payment and the key may read invoices, since when it is unpaid.
func (c *Client) Subscription(ctx context.Context, id string) (reconcile.SubscriptionFacts, error) {
	r := getOne("/v1/subscriptions", "subscription", id, "expand[0]", "customer")
	if !reconcile.ValidID(subscriptions.prefix, id) {
		return reconcile.SubscriptionFacts{}, badID(r, subscriptions.kind, id)
	}
	whole, a, err := readOne[lenientSubscription](ctx, c, r, subscriptions, id)
	if err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts, _, err := c.complete(ctx, r, &whole.subscriptionWire, a)
	if err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts.ByID, facts.Request = true, a.id
	var bills ledger
	switch s := facts.Status; {
	case s == reconcile.StatusPastDue || s == reconcile.StatusUnpaid || s == reconcile.StatusIncomplete:
		bills, err = c.invoices(ctx, id)
		facts.UnpaidSince, facts.LatestDue, facts.PaidAt = bills.oldestDue, bills.latestDue, bills.paidAt
		facts.InvoicesUnread = bills.unread
		facts.Owed = bills.owed
	case c.readChanges && !s.Ended():
		bills, err = c.invoices(ctx, id)
	}
	facts.UnpaidChange = bills.changeDue
	return facts, err
}

// complete checks a subscription and reads the items that did not fit into it. requests
// is how many requests that took.
func (c *Client) complete(ctx context.Context, r request, w *subscriptionWire, a answer) (f reconcile.SubscriptionFacts, requests int, err error) {
	if err := w.check(c.live); err != nil {
		return w.heldOr(r, a, err)
	}
	embedded, more, err := w.Items.checked()
	if err != nil {
		return w.heldOr(r, a, unreadablef("its items: %v", err))
	}
	if more {
		embedded, requests, err = c.items(ctx, w.ID)
		switch {
		case errors.Is(err, fault.Malformed):
			f, _, err = w.heldOr(r, a, unreadablef("its items: %v", err))
			return f, requests, err
		case err != nil:
			return f, requests, err
		}
	}
	all, periodEnd, err := lines(embedded, c.live)
	if err != nil {
		f, _, err = w.heldOr(r, a, err)
		return f, requests, err
	}
	return w.facts(all, periodEnd, a.sent), requests, nil
}

// items lists all items of a subscription from the first, because Stripe does not
// document the order of the embedded ones, so that there is no place from which to
// continue.
func (c *Client) items(ctx context.Context, subscription string) (all []itemWire, requests int, err error) {
	r := get("/v1/subscription_items", "subscription", subscription)
	_, err = readAll(ctx, c, r, items, func(page []itemWire, _ answer) error {
		all = append(all, page...)
		requests++
		return nil
	})
	return all, requests, err
}

// sessionWire is the part of a Checkout Session that holds the domain.
type sessionWire struct {
	head
	Subscription idRef         `json:"subscription"`
	CustomFields []customField `json:"custom_fields"`
}

// customField is a field that the operator put on the payment page.
type customField struct {
	Key  string `json:"key"`
	Text *struct {
		Value string `json:"value"`
	} `json:"text"`
	Dropdown *struct {
		Value string `json:"value"`
	} `json:"dropdown"`
}

// domainField is the key of the custom field that asks for a domain.
const domainField = "domain"

var sessions = collection{kind: "checkout.session", prefix: "cs_"}

// CheckoutDomain returns the text that the buyer typed into the custom field "domain"
// of the subscription's Checkout Session; "" if there was no such session or field.
// Stripe keeps custom fields in the session only.
func (c *Client) CheckoutDomain(ctx context.Context, subscription string) (string, error) {
	r := get("/v1/checkout/sessions", "subscription", subscription)
	if !reconcile.ValidID(subscriptions.prefix, subscription) {
		return "", badID(r, subscriptions.kind, subscription)
	}
	domain := ""
	_, err := readAll(ctx, c, r, sessions, func(page []sessionWire, _ answer) error {
		for i := range page {
			if of := string(page[i].Subscription); of != subscription {
				return malformed(r, "a session of another subscription")
			}
			if found := page[i].domain(); found != "" {
				domain = found // newest first, so the last one is the one that sold it
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return domain, nil
}

func (w *sessionWire) domain() string {
	for _, f := range w.CustomFields {
		switch {
		case f.Key != domainField:
		case f.Text != nil:
			return strings.TrimSpace(f.Text.Value)
		case f.Dropdown != nil:
			return strings.TrimSpace(f.Dropdown.Value)
		}
	}
	return ""
}

// WriteMetadata sets metadata keys of a subscription and leaves the others as they are;
// an empty value removes a key. Stripe does the write once however often the call is
// retried, because it carries an idempotency key.
func (c *Client) WriteMetadata(ctx context.Context, subscription string, values map[string]string) error {
	r := getOne("/v1/subscriptions", "subscription", subscription)
	r.method = http.MethodPost
	if !reconcile.ValidID(subscriptions.prefix, subscription) {
		return badID(r, subscriptions.kind, subscription)
	}
	for _, key := range sortedKeys(values) {
		r = r.and("metadata["+key+"]", values[key])
	}
	_, _, err := readOne[head](ctx, c, r, subscriptions, subscription)
	return err
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// invoiceWire is the part of an invoice that decides about grace.
type invoiceWire struct {
	head
	Status          string `json:"status"`
	BillingReason   string `json:"billing_reason"`
	Subscription    idRef  `json:"subscription"`
	Created         int64  `json:"created"`
	DueDate         int64  `json:"due_date"`
	AmountPaid      int64  `json:"amount_paid"`
	AmountRemaining int64  `json:"amount_remaining"`
	Currency        string `json:"currency"`
	Number          string `json:"number"`
	HostedURL       string `json:"hosted_invoice_url"`
	Transitions     struct {
		FinalizedAt int64 `json:"finalized_at"`
		PaidAt      int64 `json:"paid_at"`
	} `json:"status_transitions"`
	Parent parentRef `json:"parent"`
}

// parentRef is where API versions since 2025-03-31 put an invoice's subscription.
type parentRef struct {
	Details *struct {
		Subscription idRef `json:"subscription"`
	} `json:"subscription_details"`
}

func (p parentRef) subscription() string {
	if p.Details == nil {
		return ""
	}
	return string(p.Details.Subscription)
}

var invoices = collection{kind: "invoice"}

// ledger sums up the invoices of a subscription.
type ledger struct {
	// oldestDue is the due date of the oldest open invoice that is not paid in full.
	// latestDue is that of the invoice that became due last, or, if none is due yet,
	// will next. Zero if there is no such invoice.
	oldestDue, latestDue time.Time
	// owed is the invoice of oldestDue.
	owed reconcile.OpenInvoice
	// paidAt is when the invoice that was the latest at that time was last paid; zero:
	// never.
	paidAt time.Time
	// changeDue is the due date of the oldest open invoice that a change within the
	// subscription made. Zero if there is none.
	changeDue time.Time
	// unread: the key may not read invoices.
	unread bool
}

// invoices reads all invoices of a subscription. If the key may not, the client
// remembers that, so that it costs one request an hour.
func (c *Client) invoices(ctx context.Context, subscription string) (ledger, error) {
	now := c.now().Unix()
	if now < c.invoicesDenied.Load() {
		return ledger{unread: true}, nil
	}
	r := get("/v1/invoices", "subscription", subscription)
	var all []invoiceWire
	first, err := readAll(ctx, c, r, invoices, func(page []invoiceWire, _ answer) error {
		for i := range page {
			if err := page[i].check(subscription); err != nil {
				return malformed(r, "%v", err)
			}
		}
		all = append(all, page...)
		return nil
	})
	if errors.Is(err, fault.Denied) {
		c.invoicesDenied.Store(now + int64(denialMemory/time.Second))
		return ledger{unread: true}, nil
	}
	if err != nil {
		return ledger{}, err
	}
	if !first.date.IsZero() {
		now = first.date.Unix() // invoices are due by Stripe's clock, and ours may be wrong
	}
	return balance(all, now), nil
}

// check refuses an invoice of another subscription, and one without a date.
func (w *invoiceWire) check(subscription string) error {
	of := string(w.Subscription)
	if of == "" {
		of = w.Parent.subscription()
	}
	switch {
	case of != "" && of != subscription:
		return errors.New("an invoice of another subscription")
	case w.Status == "":
		return errors.New("an invoice without a status")
	case w.due() == 0:
		return errors.New("an invoice without any date")
	}
	return nil
}

// due is when an invoice should have been paid.
func (w *invoiceWire) due() int64 {
	for _, at := range []int64{w.DueDate, w.Transitions.FinalizedAt, w.Created} {
		if at > 0 {
			return at
		}
	}
	return 0
}

// byChange is the billing reason of an invoice for a change of price or quantity.
const byChange = "subscription_update"

func (w *invoiceWire) owed() bool { return w.Status == "open" && w.AmountRemaining > 0 }

// balance sums up invoices in any order.
func balance(all []invoiceWire, now int64) ledger {
	var oldest, latest, paid, change int64
	var owed reconcile.OpenInvoice
	for i := range all {
		w := &all[i]
		if endsArrears(w, all) {
			paid = max(paid, w.Transitions.PaidAt)
		}
		if !w.owed() {
			continue
		}
		open := owed.Open + 1
		if oldest == 0 || w.due() < oldest {
			oldest = w.due()
			owed = reconcile.OpenInvoice{ID: w.ID, Due: instant(oldest), Left: w.AmountRemaining, Currency: w.Currency, URL: payPage(w.HostedURL)}
		}
		owed.Open = open
		if w.due() <= now {
			latest = max(latest, w.due())
		}
		if w.BillingReason == byChange && (change == 0 || w.due() < change) {
			change = w.due()
		}
	}
	return ledger{oldestDue: instant(oldest), latestDue: instant(cmp.Or(latest, oldest)), paidAt: instant(paid), changeDue: instant(change), owed: owed}
}

// payPage is the address of Stripe's page for an invoice; "" if it is not one that a
// person may be sent to.
func payPage(text string) string {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" || len(text) > 2000 {
		return ""
	}
	return text
}

// endsArrears reports whether an invoice was paid, with money, while no later one was
// owed, because that is when Stripe makes a subscription active again. If several are
// open, paying an older one leaves it past_due.
func endsArrears(w *invoiceWire, all []invoiceWire) bool {
	at := w.Transitions.PaidAt
	if w.Status != "paid" || w.AmountPaid <= 0 || at <= 0 {
		return false
	}
	for i := range all {
		later := &all[i]
		if later.Created > w.Created && later.Created < at && (later.owed() || later.Status == "paid" && later.Transitions.PaidAt > at) {
			return false
		}
	}
	return true
}

// wireError is an error of our own from within encoding/json.
type wireError struct{ text string }

func (e *wireError) Error() string { return e.text }

// subscriptionWire is a subscription as API version 2023-10-16 renders it, and
// as newer ones do: current_period_end moved to the items in 2025-03-31.
type subscriptionWire struct {
	head
	Status            string              `json:"status"`
	Customer          customerWire        `json:"customer"`
	Created           int64               `json:"created"`
	EndedAt           int64               `json:"ended_at"`
	CanceledAt        int64               `json:"canceled_at"`
	CancelAtPeriodEnd bool                `json:"cancel_at_period_end"`
	CancelAt          int64               `json:"cancel_at"`
	CollectionMethod  string              `json:"collection_method"`
	TrialStart        int64               `json:"trial_start"`
	CurrentPeriodEnd  int64               `json:"current_period_end"`
	PauseCollection   *struct{}           `json:"pause_collection"`
	Items             *envelope[itemWire] `json:"items"`
	Metadata          map[string]string   `json:"metadata"`
	TestClock         idRef               `json:"test_clock"`

	unreadable error // why it could not be decoded as a whole; see lenientSubscription
}

// itemWire is a subscription item. Old ones carry a plan and no price.
type itemWire struct {
	head
	Created          int64     `json:"created"`
	Quantity         *int64    `json:"quantity"` // absent on metered prices
	CurrentPeriodEnd int64     `json:"current_period_end"`
	Price            *priceRef `json:"price"`
	Plan             *priceRef `json:"plan"`
}

// priceRef is the part of a price or of a legacy plan that an item embeds.
type priceRef struct {
	ID        string `json:"id"`
	LookupKey string `json:"lookup_key"`
	Product   idRef  `json:"product"`
	Livemode  *bool  `json:"livemode"`
}

// customerWire is an expanded customer. A bare id is a value of the wrong type, because
// expansion was asked for.
type customerWire struct {
	head
	Email   string `json:"email"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
}

// idRef is the id of an object that may come expanded; only the id is used.
type idRef string

// UnmarshalJSON takes an id, an object with one, or null.
func (r *idRef) UnmarshalJSON(b []byte) error {
	id, ok, err := bareID(b)
	if !ok && err == nil {
		var o struct {
			ID string `json:"id"`
		}
		err = json.Unmarshal(b, &o)
		id = o.ID
	}
	*r = idRef(id)
	return err
}

// bareID reads a JSON string. ok is also true for null, with an empty id.
func bareID(b []byte) (id string, ok bool, err error) {
	switch {
	case len(b) == 0 || b[0] == '{':
		return "", false, nil
	case string(b) == "null":
		return "", true, nil
	case b[0] != '"':
		return "", false, &wireError{"a reference that is neither an id nor an object"}
	}
	err = json.Unmarshal(b, &id)
	return id, true, err
}

var (
	subscriptions = collection{kind: "subscription", prefix: "sub_"}
	items         = collection{kind: "subscription_item", modeless: true}
	customers     = collection{kind: "customer", valid: reconcile.ValidCustomerID, modeless: true}
)

// facts turns a checked subscription into the planner's facts. The items come
// separately because they may have needed further pages.
func (w *subscriptionWire) facts(lines []reconcile.Item, periodEnd int64, sent time.Time) reconcile.SubscriptionFacts {
	status := reconcile.ParseStatus(w.Status)
	ended := w.EndedAt
	if ended == 0 && status.Ended() {
		ended = w.CanceledAt
	}
	if w.CurrentPeriodEnd != 0 {
		periodEnd = w.CurrentPeriodEnd
	}
	org, orgText := reconcile.ParseOrgID(w.Metadata["enhance_org_id"])
	hosting, hostingText := reconcile.ParseHostingID(w.Metadata["enhance_subscription_id"])
	return reconcile.SubscriptionFacts{
		Subscription: reconcile.Subscription{
			ID:                  w.ID,
			StripeCustomer:      w.Customer.ID,
			Status:              status,
			StatusText:          w.Status,
			Created:             instant(w.Created),
			EndedAt:             instant(ended),
			CancelAtPeriodEnd:   w.CancelAtPeriodEnd,
			CurrentPeriodEnd:    instant(periodEnd),
			CancelAt:            instant(w.CancelAt),
			SendInvoice:         w.CollectionMethod == "send_invoice",
			TrialStart:          instant(w.TrialStart),
			ServerGroup:         reconcile.Truncate(strings.TrimSpace(w.Metadata["server_group"])),
			CollectionPaused:    w.PauseCollection != nil,
			Items:               lines,
			Domain:              strings.TrimSpace(w.Metadata["domain"]),
			MetadataOrg:         org,
			MetadataOrgText:     orgText,
			MetadataHosting:     hosting,
			MetadataHostingText: hostingText,
			ReadAt:              sent,
		},
		Buyer: reconcile.StripeCustomer{ID: w.Customer.ID, Email: w.Customer.Email,
			Name: w.Customer.Name, Deleted: w.Customer.Deleted},
		OnTestClock: w.TestClock != "",
	}
}

// lines turns checked items into the planner's. periodEnd is the latest of theirs, for
// API versions that have it there.
func lines(wire []itemWire, live bool) (out []reconcile.Item, periodEnd int64, err error) {
	out = make([]reconcile.Item, 0, len(wire))
	for i := range wire {
		w := &wire[i]
		if err := items.check(w.header(), live); err != nil {
			if w.Livemode == nil || *w.Livemode == live {
				err = unreadablef("%v", err)
			}
			return nil, 0, err
		}
		if slices.ContainsFunc(out, func(o reconcile.Item) bool { return o.ID == w.ID }) {
			return nil, 0, unreadablef("the item %s appears twice in one subscription", w.ID)
		}
		line, err := w.line(live)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, line)
		periodEnd = max(periodEnd, w.CurrentPeriodEnd)
	}
	return out, periodEnd, nil
}

func (w *itemWire) line(live bool) (reconcile.Item, error) {
	price := w.Price
	if price == nil {
		price = w.Plan
	}
	quantity := int64(1)
	if w.Quantity != nil {
		quantity = *w.Quantity
	}
	switch {
	case price == nil || price.ID == "":
		return reconcile.Item{}, unreadablef("the item %s has neither price nor plan", w.ID)
	case price.Livemode != nil && *price.Livemode != live:
		return reconcile.Item{}, fmt.Errorf("the price of item %s is of %s mode, but the key is of %s mode", w.ID, modeName(!live), modeName(live))
	case quantity < 0:
		return reconcile.Item{}, unreadablef("the item %s has the quantity %d", w.ID, quantity)
	}
	return reconcile.Item{ID: w.ID, Price: price.ID, LookupKey: price.LookupKey,
		Product: string(price.Product), Quantity: quantity, Created: instant(w.Created)}, nil
}

// instant is a Stripe timestamp. 0 means that there is none, because an absent one
// decodes to it.
func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// fewUnreadable subscriptions of a listing may be unreadable, whatever part of it they
// are. If there are more, and more than half of all, the fault is not theirs: something
// between Stripe and us changes the answers, and the listing is refused.
const fewUnreadable = 10

// unreadableError: one subscription cannot be understood, which proves nothing about
// the next one. A wrong kind of object, another mode, a missing id or a missing time of
// creation is not such an error, because then the whole answer is not the one asked
// for.
type unreadableError struct{ why string }

func (o *unreadableError) Error() string { return o.why }

func unreadablef(format string, args ...any) error {
	return &unreadableError{fmt.Sprintf(format, args...)}
}

// noCustomerError: the buyer of a subscription is unknown, so there is no customer to
// hold.
type noCustomerError struct{ why string }

func (n *noCustomerError) Error() string { return n.why }

// lenientSubscription is a subscription that is decoded part by part, which takes
// longer.
type lenientSubscription struct{ subscriptionWire }

// UnmarshalJSON decodes a subscription whose parts may have an undocumented type. Its
// id and its time of creation are enough to hold it.
func (w *lenientSubscription) UnmarshalJSON(b []byte) error {
	err := json.Unmarshal(b, &w.subscriptionWire)
	var mistyped *json.UnmarshalTypeError
	var ours *wireError
	if err == nil || !errors.As(err, &mistyped) && !errors.As(err, &ours) {
		return err
	}
	var parts struct {
		head
		Created  int64           `json:"created"`
		Customer json.RawMessage `json:"customer"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	w.subscriptionWire = subscriptionWire{head: parts.head, Created: parts.Created, unreadable: &unreadableError{decodeError(err).Error()}}
	if json.Unmarshal(parts.Customer, &w.Customer) != nil {
		w.Customer = customerWire{}
	}
	_ = json.Unmarshal(parts.Metadata, &w.Metadata)
	return nil
}

// decodeSubscriptions is decodePage for a page with subscriptions that may be
// unreadable. Only a page that plain does not accept needs encoding/json.
func decodeSubscriptions(body []byte) ([]subscriptionWire, bool, error) {
	if e, ok := plainPage(body); ok {
		return e.checked()
	}
	return decodeLeniently(body)
}

func decodeLeniently(body []byte) ([]subscriptionWire, bool, error) {
	page, more, err := decodePage[subscriptionWire](body)
	if err == nil {
		return page, more, nil
	}
	parts, more, again := decodePage[lenientSubscription](body)
	if again != nil {
		return nil, false, err
	}
	page = make([]subscriptionWire, len(parts))
	for i := range parts {
		page[i] = parts[i].subscriptionWire
	}
	return page, more, nil
}

// check refuses a subscription without its essential parts or of another mode. If the
// error is an unreadableError or a noCustomerError, it concerns this subscription only.
func (w *subscriptionWire) check(live bool) error {
	switch {
	case w.Created <= 0:
		return fmt.Errorf("the subscription %s has no time of creation", w.ID)
	case w.Customer.Livemode != nil && *w.Customer.Livemode != live:
		return fmt.Errorf("the subscription %s: %w", w.ID, customers.check(w.Customer.header(), live))
	case w.Customer.ID == "":
		return &noCustomerError{fmt.Sprintf("the subscription %s came without its customer", w.ID)}
	}
	if err := customers.check(w.Customer.header(), live); err != nil {
		return &noCustomerError{fmt.Sprintf("the subscription %s: %v", w.ID, err)}
	}
	switch {
	case w.unreadable != nil:
		return w.unreadable
	case w.Status == "":
		return unreadablef("it has no status")
	case w.Items == nil:
		return unreadablef("it came without its items")
	}
	return nil
}

// heldOr turns an unreadableError into facts that hold the subscription: an unknown
// status gives nothing and takes nothing away, and its text has the reason. Any other
// error means that the whole answer is wrong.
func (w *subscriptionWire) heldOr(r request, a answer, err error) (f reconcile.SubscriptionFacts, requests int, _ error) {
	var unreadable *unreadableError
	if !errors.As(err, &unreadable) {
		return f, 0, fault.Wrap(fault.Malformed, &callError{request: r, reason: err.Error(), cause: err})
	}
	f = w.facts(nil, 0, a.sent)
	f.Status, f.StatusText = reconcile.StatusUnknown, reconcile.Unreadable+printable(unreadable.why)
	return f, 0, nil
}

// checkUnreadable refuses the listing if so many subscriptions cannot be read that the
// fault must be in the answers.
func (s *sweep) checkUnreadable() error {
	all, unreadable := s.count+len(s.listing.PassedOver), s.unreadable+len(s.listing.PassedOver)
	if unreadable <= fewUnreadable || unreadable*2 <= all {
		return nil
	}
	return fault.Errorf(fault.Malformed, "stripe: %d of %d subscriptions cannot be read, so something must be changing Stripe's answers", unreadable, all)
}
