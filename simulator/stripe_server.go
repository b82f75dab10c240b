package simulator

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// apiVersion is the version of everything that Stripe's side sends.
const apiVersion = "2023-10-16"

// stripeRoutes are the operations that this account has. Any other is 404, even if the
// real Stripe has it, so that a client which begins to use one fails in its tests.
var stripeRoutes = []route{
	newRoute("GET", "/v1/subscriptions", listSubscriptions),
	newRoute("GET", "/v1/subscriptions/{id}", getSubscription),
	newRoute("POST", "/v1/subscriptions/{id}", writeSubscription),
	newRoute("GET", "/v1/subscription_items", listItems),
	newRoute("GET", "/v1/subscription_schedules", listSchedules),
	newRoute("GET", "/v1/customers", listCustomers),
	newRoute("GET", "/v1/customers/{id}", getCustomer),
	newRoute("POST", "/v1/customers/{id}", writeCustomer),
	newRoute("GET", "/v1/invoices", listInvoices),
	newRoute("GET", "/v1/invoices/{id}", getInvoice),
	newRoute("GET", "/v1/disputes", listDisputes),
	newRoute("GET", "/v1/disputes/{id}", getDispute),
	newRoute("GET", "/v1/refunds", listRefunds),
	newRoute("GET", "/v1/events", listEvents),
	newRoute("GET", "/v1/events/{id}", getEvent),
	newRoute("GET", "/v1/prices", listPrices),
	newRoute("GET", "/v1/prices/{id}", getPrice),
	newRoute("GET", "/v1/products", listProducts),
	newRoute("GET", "/v1/products/{id}", getProduct),
	newRoute("GET", "/v1/products/{id}/features", listProductFeatures),
	newRoute("GET", "/v1/entitlements/features", listFeatures),
	newRoute("GET", "/v1/checkout/sessions", listSessions),
	newRoute("GET", "/v1/checkout/sessions/{id}", getSession),
	newRoute("GET", "/v1/account", getAccount),
}

// resourceOf is the resource for which a restricted key needs a permission.
func resourceOf(path string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	first, rest, _ := strings.Cut(rest, "/")
	switch first {
	case "products":
		if strings.HasSuffix(rest, "/features") {
			return "entitlements"
		}
	case "checkout":
		return "checkout_sessions"
	case "subscription_items":
		return "subscriptions"
	}
	return first
}

// checkStripeKey accepts the key as a bearer token or as the user of basic
// authentication, and limits restricted keys to their permissions.
func (w *World) checkStripeKey(c Call) (answer, bool) {
	key := keyOf(c.Header.Get("Authorization"))
	switch {
	case key == "":
		return stripeError(401, "", "", "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."), true
	case key != w.opt.StripeKey:
		return stripeError(401, "", "", "Invalid API Key provided: "+mask(key)), true
	case !strings.HasPrefix(key, "rk_"):
		return answer{}, false
	}
	resource := resourceOf(c.Path)
	denied := resource == "account" || slices.Contains(w.opt.Deny, resource) ||
		c.Write() && slices.Contains(w.opt.Deny, "write")
	if !denied {
		return answer{}, false
	}
	return stripeError(403, "more_permissions_required_for_application", "",
		"The provided key '"+mask(key)+"' does not have the required permissions for this endpoint on this account."), true
}

func keyOf(authorization string) string {
	scheme, value, _ := strings.Cut(authorization, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return strings.TrimSpace(value)
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		if err != nil {
			return ""
		}
		user, _, _ := strings.Cut(string(plain), ":")
		return user
	}
	return ""
}

// mask shortens a key as Stripe's errors do.
func mask(key string) string {
	if len(key) < 12 {
		return "****"
	}
	return key[:8] + strings.Repeat("*", len(key)-12) + key[len(key)-4:]
}

// stripeError is an error in Stripe's envelope; its type follows the status.
func stripeError(status int, code, param, message string) answer {
	kind := "invalid_request_error"
	if status >= 500 {
		kind = "api_error"
	}
	var d doc
	d.open()
	d.object("error")
	if code != "" {
		d.str("code", code)
		d.str("doc_url", "https://stripe.com/docs/error-codes/"+strings.ReplaceAll(code, "_", "-"))
	}
	d.str("message", message)
	if param != "" {
		d.str("param", param)
	}
	d.str("type", kind)
	d.close()
	d.close()
	return answer{status: status, body: d.b}
}

// stripeErrorFor is Stripe's error for a status without further details.
func stripeErrorFor(status int) answer {
	switch status {
	case 401:
		return stripeError(status, "", "", "Invalid API Key provided.")
	case 403:
		return stripeError(status, "", "", "The provided key does not have the required permissions for this endpoint.")
	case 404:
		return stripeError(status, "resource_missing", "id", "No such object.")
	case 405:
		return stripeError(status, "", "", "Method not allowed.")
	case 409:
		return stripeError(status, "", "", "The request conflicts with another request.")
	case 429:
		a := stripeError(status, "rate_limit", "", "Request rate limit exceeded.")
		a.header = http.Header{"Stripe-Rate-Limited-Reason": {"endpoint-rate"}}
		return a
	case 502, 503, 504:
		return gatewayError(status)
	}
	if status >= 500 {
		return stripeError(status, "", "", "An unknown error occurred.")
	}
	return stripeError(status, "", "", http.StatusText(status))
}

// gatewayError is HTML, as it comes from a gateway in front of the service.
func gatewayError(status int) answer {
	text := itoa(int64(status)) + " " + http.StatusText(status)
	return answer{status: status, kind: "text/html",
		body: []byte("<html><head><title>" + text + "</title></head><body><center><h1>" + text + "</h1></center></body></html>")}
}

func (w *World) requestID(seq uint64) string { return "req_" + base62(w.prf.nth("request", seq), 14) }

func ok(body string) answer { return answer{status: 200, body: []byte(body)} }

func missing(kind, id string) answer {
	return stripeError(404, "resource_missing", "id", "No such "+kind+": '"+id+"'")
}

func getAccount(w *World, q *request) answer {
	return ok(`{"id":"acct_1` + base62(w.prf.hash("account"), 15) + `","object":"account","business_profile":{"name":"A hosting company"},` +
		`"charges_enabled":true,"country":"DE","default_currency":"eur","details_submitted":true,"email":"billing@example.com",` +
		`"metadata":{},"payouts_enabled":true,"type":"standard"}`)
}
