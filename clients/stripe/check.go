package stripe

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// Permission is the outcome of trying one read that the program relies on.
type Permission struct {
	Resource string // as Stripe's page for restricted keys calls it
	Purpose  string // the use that the program makes of it, a clause
	// If an optional permission is missing, a result gets less exact and nothing stops.
	Optional bool
	// Err is nil if the read worked. If errors.Is(Err, fault.Denied), the key lacks
	// this permission, or is not a key of this account.
	Err error
	// KeyRefused: Stripe does not accept the key for anything.
	KeyRefused bool
}

// probe is a read that needs one permission and returns next to nothing.
type probe struct {
	permission Permission
	request    request
	collection collection
}

// probes lists what a restricted key must be allowed to read.
func probes(since string) []probe {
	return []probe{
		{Permission{Resource: "Subscriptions", Purpose: "who has bought what"}, get("/v1/subscriptions", "status", "all"), subscriptions},
		{Permission{Resource: "Customers", Purpose: "who they are"}, get("/v1/customers"), customers},
		{Permission{Resource: "Products", Purpose: "the things that are sold"}, get("/v1/products"), products},
		{Permission{Resource: "Prices", Purpose: "what a subscription is for"}, get("/v1/prices"), prices},
		{Permission{Resource: "Events", Purpose: "the changes since the last run"}, get("/v1/events", "created[gte]", since), events},
		{Permission{Resource: "Checkout Sessions", Purpose: "the domain that a buyer typed in"}, get("/v1/checkout/sessions"), sessions},
		{Permission{Resource: "Entitlements", Purpose: "features that buy a plan", Optional: true}, get("/v1/entitlements/features"), features},
		{Permission{Resource: "Disputes", Purpose: "which payments are disputed", Optional: true}, get("/v1/disputes"), disputes},
		{Permission{Resource: "Charges", Purpose: "whose payments those are, and which were refunded", Optional: true}, get("/v1/refunds"), refunds},
		{Permission{Resource: "Invoices", Purpose: "since when a customer owes money", Optional: true}, get("/v1/invoices"), invoices},
	}
}

// Permissions are the resources that a restricted key must be allowed to read, as
// Stripe's page for such keys calls them. README and help are held to this list.
func Permissions() (resources []string) {
	for _, p := range probes("") {
		resources = append(resources, p.permission.Resource)
	}
	return resources
}

// Check tries every permission and reports each, so that a key that lacks two of them
// need not be fixed twice. If Stripe refuses the key itself, Check ends with that
// permission, because the others would fail in the same way. The error is the
// context's.
func (c *Client) Check(ctx context.Context) ([]Permission, error) {
	var out []Permission
	for _, p := range probes(strconv.FormatInt(c.now().Unix(), 10)) {
		_, _, _, err := readPage[head](ctx, c, p.request.and("limit", "1"), p.collection)
		if errors.Is(err, fault.Canceled) {
			return nil, err
		}
		p.permission.Err = err
		var call *callError
		p.permission.KeyRefused = errors.As(err, &call) && call.status == http.StatusUnauthorized
		out = append(out, p.permission)
		if p.permission.KeyRefused {
			break
		}
	}
	return out, nil
}
