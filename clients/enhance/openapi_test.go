package enhance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// vendorAPI loads the vendor's description of the API, which is not part of this
// repository: from the file that ENHANCE_OPENAPI names, or from a folder "facts"
// in the checkout or next to it.
func vendorAPI(t *testing.T) *openapi3.T {
	t.Helper()
	files := []string{os.Getenv("ENHANCE_OPENAPI")}
	for _, near := range []string{"testdata", "../../facts", "../../../*/facts"} {
		found, _ := filepath.Glob(filepath.Join(near, "enhance-openapi-*.yml"))
		files = append(files, found...)
	}
	for _, file := range files {
		if file == "" {
			continue
		}
		api, err := openapi3.NewLoader().LoadFromFile(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return api
	}
	t.Skip("the vendor's OpenAPI document is not here; name it in ENHANCE_OPENAPI to have every request checked against it")
	return nil
}

// operation finds the operation of a request below /api.
func operation(api *openapi3.T, r *http.Request) (*routers.Route, map[string]string, error) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api"), "/")
	for template, item := range api.Paths.Map() {
		if vars, ok := fits(strings.Split(template, "/"), parts); ok && item.GetOperation(r.Method) != nil {
			return &routers.Route{
				Spec: api, Server: &openapi3.Server{URL: "/api"}, Path: template, PathItem: item,
				Method: r.Method, Operation: item.GetOperation(r.Method),
			}, vars, nil
		}
	}
	return nil, nil, errors.New("the document has no such operation")
}

func fits(template, parts []string) (map[string]string, bool) {
	if len(template) != len(parts) {
		return nil, false
	}
	vars := map[string]string{}
	for i, name := range template {
		if strings.HasPrefix(name, "{") {
			vars[strings.Trim(name, "{}")] = parts[i]
		} else if name != parts[i] {
			return nil, false
		}
	}
	return vars, true
}

// conforms validates a request, and finds parameters and fields that the
// document does not know, which its schemas would let pass.
func conforms(api *openapi3.T, r *http.Request, sent []byte) error {
	route, vars, err := operation(api, r)
	if err != nil {
		return err
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: vars, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		return err
	}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil && route.PathItem.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("the document has no parameter %q", name)
		}
	}
	if route.Operation.RequestBody == nil {
		if len(sent) > 0 {
			return errors.New("the document has no body")
		}
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(sent, &fields); err != nil {
		return err
	}
	schema := route.Operation.RequestBody.Value.Content.Get("application/json").Schema.Value
	for name := range fields {
		if schema.Properties[name] == nil {
			return fmt.Errorf("the document has no field %q", name)
		}
	}
	return nil
}

func TestEveryRequestIsOneThatTheVendorDocuments(t *testing.T) {
	api := vendorAPI(t)
	n := newTown(t)
	inner := n.world.EnhanceHandler()
	var mu sync.Mutex // guards checked, and the document, which is not safe for concurrent use
	checked := map[string]bool{}
	n.client = fast(t, served(t, func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		r.Body = io.NopCloser(bytes.NewReader(sent))
		if err := conforms(api, r, sent); err != nil {
			t.Errorf("%s %s %s: %v", r.Method, r.URL, sent, err)
		}
		route, _, _ := operation(api, r)
		if route != nil {
			checked[route.Operation.OperationID] = true
		}
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(sent))
		inner.ServeHTTP(w, r)
	}))
	for _, o := range ops {
		_ = o.do(t.Context(), n) // some meet objects that an earlier op made; only the requests count
	}
	_, _ = n.client.DomainUse(t.Context(), n.org, "ada.example.com")
	_, _ = n.client.CreateWebsite(t.Context(), n.org, n.hosting, "far.example.com", reconcile.SiteOptions{ServerGroup: "0a1b2c3d-0000-4000-8000-000000000001", PHP: "php83"})
	_, _ = n.client.CreateWebsite(t.Context(), n.org, n.hosting+1, "ada.example.com", reconcile.SiteOptions{}) // the domain is taken, so the client looks for its owner
	_, _ = n.client.FindWebsite(t.Context(), "ada.example.com")
	_, _ = n.client.Quota(t.Context())
	_ = n.client.Invite(t.Context(), n.org, "typo@example.com", "Ada")
	_ = n.client.InviteInstead(t.Context(), n.org, "typo@example.com", "right@example.com", "Ada")
	_, _ = n.client.LoginLink(t.Context(), n.org, otherOrg)
	saved, err := n.client.CreateHosting(t.Context(), n.org, 1, "Saved")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = n.client.CreateWebsite(t.Context(), n.org, saved, "saved.example.com", reconcile.SiteOptions{})
	_ = n.client.StartBackup(t.Context(), n.org, saved, "saved.example.com")
	_ = n.client.InstallApp(t.Context(), n.org, saved, "saved.example.com", "wordpress", "saved@example.com")
	_, _ = n.client.SiteApps(t.Context(), n.org, saved, "saved.example.com")
	_, _ = n.client.CreateWebsite(t.Context(), n.org, saved, "empty.example.com", reconcile.SiteOptions{})
	_, _ = n.client.SiteApps(t.Context(), n.org, saved, "empty.example.com")
	_, _ = n.client.Backups(t.Context(), n.org, saved, time.Time{})
	for _, id := range []string{
		"orchdVersion", "orchdStatus", "getOrg", "updateOrg", "getPlans", "getOrgCustomers", "createCustomer",
		"getCustomerSubscriptions", "createCustomerSubscription", "getSubscription", "updateSubscription", "deleteSubscription",
		"createWebsite", "checkDomain", "getWebsites", "createInvite", "getMembers", "createMember", "createLogin", "startPasswordRecovery",
		"getSubscriptionsToParent", "backupWebsite", "getWebsiteBackups", "getOrgMemberLogin",
		"deleteMember", "createWebsiteApp", "getWebsiteApps", "getWebsiteMySQLDBs",
	} {
		if !checked[id] {
			t.Errorf("no request was checked against %s", id)
		}
	}
}

func TestTheValidatorRefusesWhatTheVendorDoesNotDocument(t *testing.T) {
	api := vendorAPI(t)
	for _, c := range []struct{ name, method, path, body string }{
		{"a plan as a string", "POST", "/api/orgs/" + ourOrg + "/customers/" + otherOrg + "/subscriptions", `{"planId":"2"}`},
		{"no plan", "POST", "/api/orgs/" + ourOrg + "/customers/" + otherOrg + "/subscriptions", `{"friendlyName":"x"}`},
		{"a field of another API", "POST", "/api/orgs/" + ourOrg + "/customers", `{"name":"x","email":"x@example.com"}`},
		{"a parameter of another API", "GET", "/api/orgs/" + ourOrg + "/customers?email=x", ``},
		{"another order", "GET", "/api/orgs/" + ourOrg + "/customers?sortBy=age", ``},
		{"another path", "GET", "/api/orgs/" + ourOrg + "/hostings", ``},
		{"another method", "PUT", "/api/orgs/" + ourOrg, `{}`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if conforms(api, r, []byte(c.body)) == nil {
			t.Errorf("%s was let pass", c.name)
		}
	}
}
