package stripe

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// sessionWire is as much of a Checkout Session as tells the domain.
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

// CheckoutDomain is what the buyer typed into the custom field "domain" of the
// Checkout Session that made the subscription; "" when there was no such session
// or field. Only the session knows: custom fields are not copied anywhere.
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
				domain = found // the last page's last is the oldest: the one that sold it
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

// WriteMetadata sets metadata keys of a subscription and leaves the others as
// they are; an empty value removes a key. It carries an idempotency key, so that
// the retries of one call are one write.
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
