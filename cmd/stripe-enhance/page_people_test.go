package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAHeldPlanIsApprovedOnThePage does it with a real browser, service and database: a club
// cancels together, the brake holds that, a person rejects the first plan and approves the
// next one, and the hostings are suspended at the panel.
func TestAHeldPlanIsApprovedOnThePage(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { approveOnThePage(t, "") })
	t.Run("postgres", func(t *testing.T) { approveOnThePage(t, pgtest.Empty(t)) })
}

func approveOnThePage(t *testing.T, database string) {
	var club []simulator.SignedUp
	s := serveHere(t, serving{database: database, environ: []string{"BRAKE_SUSPEND=1,1%"}, prepare: func(s *service) {
		for i := range 4 {
			club = append(club, s.signUp(fmt.Sprint("club", i), "price_basic_monthly"))
		}
	}})
	s.until("all have hosting", func() bool { return len(s.world.Hostings()) == 4 })
	s.settle()
	for _, one := range club[:3] {
		if err := s.world.Cancel(one.Subscription); err != nil {
			t.Fatal(err)
		}
	}
	run := func() {
		t.Helper()
		if got := s.admin("POST", "/sync", ""); got.status != 200 {
			t.Fatalf("sync: %+v", got)
		}
	}
	run()

	tab := browser.New(t)
	tab.Open(s.url + "/ui/plans")
	tab.Type("input[name=key]", adminKey)
	tab.Type("input[name=person]", "Ana")
	tab.Submit("main button")
	suspended := func() (down int) {
		for _, h := range s.world.Hostings() {
			if h.SuspendedBy != "" {
				down++
			}
		}
		return down
	}
	shows := func(what, selector, want string) {
		t.Helper()
		if got := tab.Text(selector); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	tab.Submit("tbody a")
	for _, one := range club[:3] {
		shows("what would happen", "tbody", one.Subscription)
	}
	shows("who has not cancelled", "tbody", club[0].Customer)
	tab.Submit(`main a[href*="amounts=yes"]`)
	shows("amounts", "tbody", "EUR")

	tab.Type("form[action$='/reject'] input[name=reason]", "the club moves")
	tab.Submit("form[action$='/reject'] button")
	shows("reject", ".flash", "Rejected.")
	s.settle()
	run()
	tab.Open(s.url + "/ui/plans")
	shows("after the rejection", ".empty", "No held plan waits")
	if n := suspended(); n != 0 {
		t.Fatalf("%d hostings were suspended after a rejection", n)
	}
	tab.Open(s.url + "/ui/customers/" + club[0].Customer)
	shows("the story", "main", "the club moves")
	for range 3 {
		tab.Open(s.url + "/ui/holds")
		tab.Submit("tbody button")
		shows("lift", ".flash", "The hold is removed.")
	}
	s.settle()
	run()

	tab.Open(s.url + "/ui/plans")
	tab.Submit("tbody a")
	tab.Submit("form[action$='/approve'] button")
	shows("approve", ".flash", "Approved. Changes in the plan: ")
	s.until("what was approved is done", func() bool { return suspended() == 3 })
	s.settle()
	tab.Open(s.url + "/ui/customers/" + club[0].Customer)
	shows("the timeline", "table:last-of-type", "suspended")
	shows("the state", "article", "suspended")
	tab.Open(s.url + "/ui/customers?search=" + club[1].Subscription)
	shows("search", "tbody", club[1].Customer)
	tab.Submit("tbody a")
	tab.Submit("form[action$='/look'] button")
	shows("look again", ".flash", "Read at both sides just now")
	if all := tab.Complaints(); all != nil {
		t.Errorf("complaints: %q", all)
	}
}
