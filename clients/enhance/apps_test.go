package enhance_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const (
	routeOfApps      = "/orgs/{org}/websites/{website}/apps"
	routeOfDatabases = "/orgs/{org}/websites/{website}/mysql-dbs"
)

// sited is a town with a website on its hosting.
func sited(t *testing.T) *town {
	t.Helper()
	n := newTown(t)
	if _, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, "ada.example.com", reconcile.SiteOptions{}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatIsOnAWebsite(t *testing.T) {
	n := sited(t)
	for _, tt := range []struct {
		name string
		do   func() error
		want reconcile.SiteApps
	}{
		{"nothing", func() error { return nil }, reconcile.SiteApps{}},
		{"a database", func() error { return n.world.AddDatabase("ada.example.com") }, reconcile.SiteApps{Databases: 1}},
		{"an application", func() error {
			return n.client.InstallApp(t.Context(), n.org, n.hosting, "ada.example.com", "wordpress", "ada@example.com")
		}, reconcile.SiteApps{Apps: []string{"wordpress"}}},
	} {
		if err := tt.do(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got, err := n.client.SiteApps(t.Context(), n.org, n.hosting, "Ada.Example.com")
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", tt.name, err, diff)
		}
	}
	for _, domain := range []string{"gone.example.com", ""} {
		if on, err := n.client.SiteApps(t.Context(), n.org, n.hosting, domain); err != nil || !on.Gone {
			t.Errorf("%q: %+v, %v", domain, on, err)
		}
		if err := n.client.InstallApp(t.Context(), n.org, n.hosting, domain, "wordpress", "ada@example.com"); fault.Of(err) != fault.Conflict {
			t.Errorf("%q: %v", domain, err)
		}
	}
	if err := n.client.InstallApp(t.Context(), n.org, n.hosting, "ada.example.com", "wordpress", "Ada"); fault.Of(err) != fault.Permanent {
		t.Errorf("without an e-mail: %v", err)
	}
}

// A list that cannot be read is never an empty website.
func TestAListOfApplicationsThatCannotBeReadIsNotAnEmptyOne(t *testing.T) {
	for _, route := range []string{routeOfApps, routeOfDatabases} {
		for name, tt := range map[string]struct {
			status     int
			body, want string
		}{
			"no items":     {200, `{}`, "malformed"},
			"null":         {200, `{"items":null}`, "malformed"},
			"not allowed":  {403, `{"code":"forbidden"}`, "denied"},
			"no such site": {404, `{"code":"not_found","detail":"website"}`, "not found"},
			"no such path": {404, ``, "not found"},
		} {
			n := sited(t)
			n.breaks("GET "+route, body(tt.status, tt.body))
			if _, err := n.client.SiteApps(t.Context(), n.org, n.hosting, "ada.example.com"); verdict(err) != tt.want {
				t.Errorf("%s, %s: %v", route, name, err)
			}
		}
	}
	n := sited(t)
	n.breaks("GET "+routeOfApps, body(200, `{"items":[{"id":"x"}]}`))
	if _, err := n.client.SiteApps(t.Context(), n.org, n.hosting, "ada.example.com"); fault.Of(err) != fault.Malformed {
		t.Errorf("an application with no name: %v", err)
	}
	n.world.SetApps(simulator.Apps{Missing: true})
	n.breaks("", simulator.Fault{})
	if _, err := n.client.SiteApps(t.Context(), n.org, n.hosting, "ada.example.com"); fault.Of(err) != fault.NotFound {
		t.Error("a panel that has no applications shows an empty website")
	}
}

// The password of the administrator is random, long, and in no error, even if the panel
// quotes the request.
func TestThePasswordOfAnApplicationIsInNoError(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		n := sited(t)
		var password string
		inner := n.world.EnhanceHandler()
		client := fast(t, served(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				inner.ServeHTTP(w, r)
				return
			}
			var sent struct{ AdminPassword string }
			if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
				t.Error(err)
			}
			password = sent.AdminPassword
			respond(w, 400, `{"code":"bad_request","detail":%q,"message":%q}`, password, password)
		}))
		err := client.InstallApp(t.Context(), n.org, n.hosting, "ada.example.com", "wordpress", "ada@example.com")
		if err == nil || len(password) < 40 || seen[password] || strings.Contains(err.Error(), password[:8]) {
			t.Errorf("the password %q and the error %v", password, err)
		}
		seen[password] = true
	}
}

// A website that was there is returned with its age; one that was made is not.
func TestAWebsiteThatWasThereIsFound(t *testing.T) {
	n := newTown(t)
	for i, found := range []bool{false, true} {
		got, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, "ada.example.com", reconcile.SiteOptions{})
		if err != nil || got.Found != found || found && time.Since(got.Created) > time.Hour {
			t.Errorf("attempt %d: %+v, %v", i, got, err)
		}
	}
}
