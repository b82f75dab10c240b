package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// person starts a service in which ada has hosting, and has accepted the invitation.
func person(t *testing.T, url string) (s *service, ada simulator.SignedUp) {
	t.Helper()
	s = serveHere(t, serving{database: url, prepare: func(s *service) { ada = s.signUp("ada", "price_basic_monthly") }})
	s.until("ada has hosting", func() bool { return len(s.world.Hostings()) == 1 })
	s.settle()
	if err := s.world.AcceptInvite(s.world.Hostings()[0].Org); err != nil {
		t.Fatal(err)
	}
	return s, ada
}

// TestALoginLinkOfTheAPIStandsNowhere but in its one answer. The journal has who made it, and
// why, before it is shown.
func TestALoginLinkOfTheAPIStandsNowhere(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, url string) {
		s, ada := person(t, url)
		path := "/api/admin/customers/" + ada.Customer + "/login"
		got := s.call("POST", path, `{"reason":"it is slow","author":"Eve"}`, "Authorization: Bearer "+supportKey)
		link := fmt.Sprint(got.object(t)["link"])
		_, secret, found := strings.Cut(link, "otp=")
		if got.status != 200 || !found || len(secret) < 8 || got.object(t)["owner"] != "ada@example.com" {
			t.Fatalf("%d %s", got.status, got.body)
		}
		tables, file, err := tablesWith(url, secret)
		if err != nil || tables != nil || file != "" || strings.Contains(s.said.String(), secret) {
			t.Errorf("the link is in the tables %q, the file %q or the log, %v", tables, file, err)
		}
		rows := s.admin("GET", "/actions?customer="+ada.Customer, "").body
		if want := "a one-time login link as the owner was made by Eve (support key "; !strings.Contains(rows, want) {
			t.Errorf("the journal has no %q: %s", want, rows)
		}
		if got := s.call("POST", path, `{"reason":"it is slow"}`); got.status != 401 {
			t.Errorf("without a key: %d %s", got.status, got.body)
		}
		s.world.SetFault(mayNotLogIn)
		if got := s.admin("POST", strings.TrimPrefix(path, "/api/admin"), `{"reason":"again"}`); got.status != 502 || !strings.Contains(got.body, "needs the role Owner") {
			t.Errorf("a token that may not: %d %s", got.status, got.body)
		}
		if rows := s.admin("GET", "/actions?state=failed&customer="+ada.Customer, "").body; !strings.Contains(rows, "was asked for by admin key ") {
			t.Errorf("the journal has no failed link: %s", rows)
		}
	})
}

// TestARenameOfTheAPIIsARun, with a row in the journal, and no write without one.
func TestARenameOfTheAPIIsARun(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, url string) {
		s, ada := person(t, url)
		rename := func(name string) answer {
			return s.admin("PATCH", "/customers", fmt.Sprintf(`{"customerId":%q,"name":%q,"reason":"it moved","author":"Eve"}`, ada.Customer, name))
		}
		if got := rename("Ada & Sons"); got.status != 200 || got.object(t)["done"] != true || s.world.Orgs()[0].Name != "Ada & Sons" {
			t.Errorf("%d %s; %q at the panel", got.status, got.body, s.world.Orgs()[0].Name)
		}
		rows := s.admin("GET", "/actions?state=applied&customer="+ada.Customer, "").object(t)["actions"]
		if text := fmt.Sprint(rows); !strings.Contains(text, "rename_org") || !strings.Contains(text, `by Eve (admin key `) || !strings.Contains(text, "): it moved") {
			t.Errorf("the journal has no rename: %s", text)
		}
		writes := len(s.world.Effects())
		if got := rename("Ada & Sons"); got.status != 200 || len(s.world.Effects()) != writes {
			t.Errorf("the same name again: %d %s, and %d writes", got.status, got.body, len(s.world.Effects())-writes)
		}
	})
}
