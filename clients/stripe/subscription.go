package stripe

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

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
