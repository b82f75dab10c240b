package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAnOrgIsKnownOnceALookHasSucceeded(t *testing.T) {
	x := newOrgIndex()
	x.noteLook(x.creating, "org-1", "cus_a")
	x.addMade("org-2")
	x.addFound("org-3")
	for _, of := range []struct {
		look          looks
		org, customer string
		done, loaded  bool
	}{
		{x.creating, "org-1", "cus_a", true, true},
		{x.creating, "org-1", "cus_b", true, false}, // who was loaded before it
		{x.linking, "org-1", "cus_a", false, false}, // less is read before a link
		{x.creating, "org-2", "cus_a", false, true}, // it began empty
		{x.creating, "org-3", "cus_a", false, false},
	} {
		if done, loaded := x.looked(of.look, of.org, of.customer); done != of.done || loaded != of.loaded {
			t.Errorf("%s for %s: looked into %v, loaded after it %v", of.org, of.customer, done, loaded)
		}
	}
	if x.isFound("org-2") || !x.isMade("org-2") || !x.isFound("org-3") || x.isMade("org-3") {
		t.Error("an org that was found is not one that was made")
	}
}

func TestTheIndexIsRefreshedOnceInARun(t *testing.T) {
	x, reads := newOrgIndex(), 0
	fails := errors.New("the panel is out")
	read := func() error {
		reads++
		if reads == 1 {
			return fails
		}
		x.setRecent()
		return nil
	}
	if err := x.refresh(t.Context(), read); !errors.Is(err, fails) {
		t.Errorf("refreshed: %v", err)
	}
	for range 2 {
		if err := errors.Join(x.refresh(t.Context(), read), x.again().refresh(t.Context(), read)); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 2 {
		t.Errorf("read %d times", reads)
	}
	all := 0
	for range 2 {
		if err := x.refreshAll(t.Context(), func() error { all++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if all != 1 {
		t.Errorf("all orgs were read %d times", all)
	}
}

// One customer waits while the index is read for another, and no longer than it may: the
// reading may take as long as the panel likes.
func TestWhoWaitsForTheIndexWaitsNoLongerThanItsContext(t *testing.T) {
	x, reading, open := newOrgIndex(), make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- x.refresh(t.Context(), func() error { close(reading); <-open; return nil })
	}()
	<-reading
	ended, end := context.WithCancel(t.Context())
	end()
	nothing := func() error { t.Error("read beside another"); return nil }
	if err := errors.Join(x.refresh(ended, nothing), x.refreshAll(ended, nothing)); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits returns %v", err)
	}
	close(open)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnOrgThatCannotBeListedBlocksOnlyWhatMayBeInIt(t *testing.T) {
	ordered := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	customer := func() *reconcile.Customer {
		return &reconcile.Customer{ID: "cus_1", Email: "ada@example.com", Name: "Ada",
			Subscriptions: []reconcile.Subscription{{ID: "sub_1", StripeCustomer: "cus_1", Created: ordered}}}
	}
	later := ordered.Add(time.Hour)
	for _, test := range []struct {
		name      string
		org       reconcile.Org
		change    func(*reconcile.Customer)
		recovered time.Time
		blocked   bool
	}{
		{name: "it shows nothing of whose it is", org: reconcile.Org{Created: later}, blocked: true},
		{name: "its date is not known", org: reconcile.Org{OwnerEmail: "bob@example.com"}, blocked: true},
		{name: "it is older than the order", org: reconcile.Org{Created: ordered.Add(-time.Hour)}},
		{name: "another person owns it", org: reconcile.Org{Created: later, OwnerEmail: "bob@example.com"}},
		{name: "another person owns it and it has the customer's name", org: reconcile.Org{Name: "Ada", Created: later, OwnerEmail: "bob@example.com"}, blocked: true},
		{name: "another person owns it, as far as a lost database can know", org: reconcile.Org{Created: later, OwnerEmail: "bob@example.com"},
			recovered: later, blocked: true},
		{name: "it is marked for another customer", org: reconcile.Org{Name: "Bob " + reconcile.Marker{StripeID: "cus_2"}.String(), Created: later}},
		{name: "it is marked for this customer", org: reconcile.Org{Name: "Ada " + reconcile.Marker{StripeID: "cus_1"}.String(), Created: later}, blocked: true},
		{name: "the customer has an org with our marker", org: reconcile.Org{Created: later},
			change: func(c *reconcile.Customer) { c.Org = &reconcile.Org{ID: "org-9"} }},
		{name: "the customer has an org with a hosting in it", org: reconcile.Org{Created: later},
			change: func(c *reconcile.Customer) {
				c.Org, c.OrgNamed, c.Bindings = &reconcile.Org{ID: "org-9"}, true, []reconcile.Binding{{Org: "org-9"}}
			}},
		{name: "the customer has an org that is named and empty", org: reconcile.Org{Created: later},
			change: func(c *reconcile.Customer) { c.Org, c.OrgNamed = &reconcile.Org{ID: "org-9"}, true }, blocked: true},
		{name: "the customer owns it", org: reconcile.Org{Created: ordered.Add(-time.Hour), OwnerEmail: "ADA@example.com"}, blocked: true},
		{name: "the customer owns it and the order is said to be new", org: reconcile.Org{Created: ordered.Add(-time.Hour), OwnerEmail: "ada@example.com"},
			change: func(c *reconcile.Customer) { c.Subscriptions[0].IsNewOrder = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			x, c := newOrgIndex(), customer()
			if test.change != nil {
				test.change(c)
			}
			x.setRecovered(test.recovered)
			x.setUnlisted([]unlistedOrg{{test.org, errOut}})
			err := x.creationBlocked(c, reconcile.Action{Kind: reconcile.CreateOrg, Subscription: "sub_1"}, "")
			if errors.Is(err, errCreationBlocked) != test.blocked {
				t.Errorf("blocked: %v", err)
			}
		})
	}
}

// TestThePageOfThePanelIsKept: what a listing has found out is used by the next one, and is
// written only if it has changed, and if the listing was complete.
func TestThePageOfThePanelIsKept(t *testing.T) {
	s := newSides()
	for _, c := range []struct {
		found, used, kept string
		fails             error
		writes            int
	}{
		{"", "", "", nil, 0},
		{"panel 250", "", "", errOut, 0},
		{"panel 250", "", "panel 250", nil, 1},
		{"panel 250", "panel 250", "panel 250", nil, 1},
		{"", "panel 250", "panel 250", nil, 1},
		{"other 1000", "panel 250", "other 1000", nil, 2},
	} {
		s.orgPage, s.fails["every org"] = c.found, c.fails
		if _, err := s.run().saveEveryOrg(t.Context()); !errors.Is(err, c.fails) || c.fails == nil && err != nil {
			t.Fatal(err)
		}
		if s.orgPageUsed != c.used || s.values[cursorOrgPage] != c.kept || s.times("set "+cursorOrgPage) != c.writes {
			t.Errorf("%+v: used %q, kept %q after %d writes", c, s.orgPageUsed, s.values[cursorOrgPage], s.times("set "+cursorOrgPage))
		}
	}
	for _, broken := range []string{"cursor ", "set "} {
		s := newSides()
		s.orgPage, s.fails[broken+cursorOrgPage] = "panel 250", errOut
		if _, err := s.run().saveEveryOrg(t.Context()); !errors.Is(err, errOut) {
			t.Errorf("%s: got %v", broken, err)
		}
	}
}
