package store

import (
	"context"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// buyersOf are the Stripe customers of a customer.
func (f *fixture) buyersOf(id string) []string {
	f.Helper()
	records, err := f.FindCustomers(f.Context(), reconcile.CustomerLookup{StripeCustomer: id}, 0)
	f.must(err)
	var ids []string
	for _, r := range records {
		for _, b := range r.Buyers {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// customerIDs are the ids of all customers.
func (f *fixture) customerIDs() []string {
	f.Helper()
	var ids []string
	f.must(f.query(f.Context(), "customers", "SELECT id FROM customers ORDER BY id", nil, func(row scan) error {
		var id string
		err := row(&id)
		ids = append(ids, id)
		return err
	}))
	return ids
}

// joined makes a buyer part of another customer, as earlier versions did if both had the
// same e-mail.
func (f *fixture) joined(buyer, customer string) {
	f.Helper()
	ctx := f.Context()
	f.must(f.fenced(ctx, "joining", f.tok, func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "UPDATE stripe_customers SET customer_id = $2 WHERE id = $1", buyer, customer); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "DELETE FROM customers WHERE id = $1", buyer); err != nil {
			return err
		}
		return counters{customersCounter: -1}.add(ctx, tx)
	}))
}

func TestAStripeCustomerIsACustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "Ann@Example.com", created(t0.Add(-3*time.Hour))))
		f.save(t0, facts("sub_b", "cus_b", " ann@example.COM", created(t0.Add(-2*time.Hour))))
		f.list(t0, facts("sub_c", "cus_c", "ANN@example.com"), facts("sub_d", "cus_d", ""), facts("sub_e", "cus_a", "Ann@Example.com"))
		same(t, "customers", []string{"cus_a", "cus_b", "cus_c", "cus_d"}, f.customerIDs())
		same(t, "subscriptions of the first", 2, len(f.customer("cus_a").Subscriptions))
		found, err := f.FindCustomers(t.Context(), reconcile.CustomerLookup{Email: "ann@example.com"}, 0)
		f.must(err)
		same(t, "found by the e-mail", 3, len(found))
	})
}

// A change of e-mail or name is to be noted until a decision is stored that has noted it.
func TestAChangeIsToBeNotedUntilItIs(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"))
		unnoted := func() []bool { b := f.customer("cus_a").Buyers[0]; return []bool{b.EmailUnnoted, b.NameUnnoted} }
		same(t, "a new customer", []bool{false, false}, unnoted())
		plan := func(noted ...string) {
			f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Noted: noted}}, t0))
		}
		named := func(name string) func(*reconcile.SubscriptionFacts) {
			return func(s *reconcile.SubscriptionFacts) { s.Buyer.Name = name }
		}
		for i, tt := range []struct {
			email, name string
			want        []bool
		}{
			{"bob@example.com", "Example a", []bool{true, false}},
			{"bob@example.com", "Bob", []bool{false, true}},
			{"ann@example.com", "Ann", []bool{true, true}},
			{"ANN@example.com", " ANN ", []bool{false, false}},
			{"ann@example.com", "", []bool{false, false}},
			{"ann@example.com", "Ann", []bool{false, false}},
		} {
			at := t0.Add(time.Duration(i+1) * time.Hour)
			f.save(at, facts("sub_a", "cus_a", tt.email, named(tt.name), readAt(at)))
			plan()
			f.save(at.Add(time.Minute), facts("sub_a", "cus_a", tt.email, named(tt.name), readAt(at.Add(time.Minute))))
			same(t, tt.email+" "+tt.name, tt.want, unnoted())
			plan("cus_a")
			same(t, "noted", []bool{false, false}, unnoted())
		}
	})
}

// When an e-mail changes, a buyer does not move to the customer that has it already, nor
// away from its orgs. Both addresses are kept, with the time.
func TestAnEmailThatChangesMovesNothing(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"), facts("sub_b", "cus_b", "bob@example.com"))
		later := t0.Add(time.Hour)
		f.save(later, facts("sub_a", "cus_a", "Bob@example.com", readAt(later)))
		same(t, "customers", []string{"cus_a", "cus_b"}, f.customerIDs())
		c := f.customer("cus_a")
		same(t, "buyers", []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_a", Email: "Bob@example.com", Name: "Example a"},
			FormerEmail: "ann@example.com", EmailChanged: later, EmailUnnoted: true}}, c.Buyers)
		same(t, "the customer is known by the new address", "Bob@example.com", c.Email)
		f.save(later.Add(time.Hour), facts("sub_a", "cus_a", "BOB@example.com", readAt(later.Add(time.Hour))))
		same(t, "another spelling is no change", later, f.customer("cus_a").Buyers[0].EmailChanged)
		f.save(later, facts("sub_c", "cus_c", "ann@example.com"))
		same(t, "another buyer with the old address is a new customer", []string{"cus_a", "cus_b", "cus_c"}, f.customerIDs())
	})
}

func TestADeletedStripeCustomerKeepsItsLastEmail(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"))
		f.save(t0, facts("sub_a", "cus_a", "", func(s *reconcile.SubscriptionFacts) {
			s.Buyer = reconcile.StripeCustomer{ID: "cus_a", Deleted: true}
		}))
		c := f.customer("cus_a")
		same(t, "e-mail and name", []string{"ann@example.com", "Example a"}, []string{c.Email, c.Name})
		same(t, "that is no change of the address", time.Time{}, c.Buyers[0].EmailChanged)
	})
}

// If a customer has several buyers, the first gives it name and e-mail. One that joined it
// by an address, which it may have changed since, does not.
func TestAnOldCustomerOfSeveralBuyersIsNamedByTheFirst(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com", created(t0.Add(-2*time.Hour))))
		f.save(t0, facts("sub_b", "cus_b", "ann@example.com", created(t0.Add(-time.Hour))))
		f.joined("cus_b", "cus_a")
		f.save(t0, facts("sub_b", "cus_b", "evil@example.com", created(t0.Add(-time.Hour))))
		c := f.customer("cus_a")
		same(t, "e-mail and name", []string{"ann@example.com", "Example a"}, []string{c.Email, c.Name})
		same(t, "buyers", []string{"cus_a", "cus_b"}, f.buyersOf("cus_b"))
		f.save(t0, facts("sub_a", "cus_a", "", created(t0.Add(-2*time.Hour)), func(s *reconcile.SubscriptionFacts) { s.Buyer.Name = "" }))
		c = f.customer("cus_a")
		same(t, "another buyer's, if the first has none", []string{"evil@example.com", "Example b"}, []string{c.Email, c.Name})
	})
}

// If the first buyer has neither e-mail nor name, the customer has those of the buyer who
// bought last, whatever else has changed.
func TestAnOldCustomerOfNamelessFirstIsNamedByWhoBoughtLast(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		nameless := func(s *reconcile.SubscriptionFacts) { s.Buyer.Name = "" }
		f.save(t0, facts("sub_m", "cus_m", "", nameless), facts("sub_a", "cus_a", "ann@example.com", created(t0.Add(-time.Hour))),
			facts("sub_z", "cus_z", "zoe@example.com", created(t0.Add(-2*time.Hour))))
		f.joined("cus_a", "cus_m")
		f.joined("cus_z", "cus_m")
		names := func() []string { c := f.customer("cus_m"); return []string{c.Email, c.Name} }
		f.save(t0, facts("sub_a2", "cus_a", "ann@example.com", created(t0.Add(-time.Minute))))
		same(t, "after the one buys", []string{"ann@example.com", "Example a"}, names())
		f.save(t0, facts("sub_z2", "cus_z", "zoe@example.com", created(t0)))
		same(t, "after the other buys", []string{"zoe@example.com", "Example z"}, names())
		f.save(t0, facts("sub_m", "cus_m", "", func(s *reconcile.SubscriptionFacts) { s.Buyer.Name = "Mia" }))
		same(t, "once the first has a name", []string{"zoe@example.com", "Mia"}, names())
	})
}

// A listing and a read by id of one moment may show a buyer twice, before and after a
// change.
func TestABuyerIsStoredAsTheLatestReadShowsIt(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		later := t0.Add(time.Second)
		old, now := facts("sub_b", "cus_a", "old@example.com"), facts("sub_a", "cus_a", "new@example.com", readAt(later))
		f.save(later, now, old)
		same(t, "the later first", "new@example.com", f.customer("cus_a").Email)
		old, now = facts("sub_b", "cus_a", "new@example.com", readAt(later)), facts("sub_c", "cus_a", "newest@example.com", readAt(later.Add(time.Second)))
		f.save(later, old, now)
		same(t, "the later last", "newest@example.com", f.customer("cus_a").Email)
	})
}

// Kin have all the facts that the planner needs when it decides whether to share an org.
func TestKinAreOtherCustomersOfTheSameEmailThatHaveAnOrg(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"), facts("sub_b", "cus_b", "Ann@example.com"), facts("sub_c", "cus_c", "ann@example.com"),
			facts("sub_d", "cus_d", "dan@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindOrg("cus_d", "org-d")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		invite := action("invite_owner:cus_a:ann@example.com", reconcile.InviteOwner, "cus_a", "")
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: invite, Run: "run-1", State: reconcile.ActionApplied, At: t0, Invited: t0, InvitedEmail: "ann@example.com"}))
		f.must(f.SaveOwners(t.Context(), f.tok, "org-a", []string{"ann@example.com", "eve@example.com"}, t0))
		later := t0.Add(time.Hour)
		f.save(later, facts("sub_d", "cus_d", "ann@example.com", readAt(later)))

		kin := f.customer("cus_b").Kin
		if len(kin) != 2 {
			t.Fatalf("kin %+v", kin)
		}
		a, d := kin[0], kin[1]
		same(t, "first", []any{"cus_a", "org-a", t0, "ann@example.com", time.Time{}}, []any{a.ID, a.Org.ID, a.Invited, a.InvitedEmail, a.EmailChanged})
		same(t, "owners", []string{"ann@example.com", "eve@example.com"}, a.Org.Owners)
		same(t, "hostings", []reconcile.KinHosting{{Subscription: "sub_a", Hosting: 42, State: reconcile.HostingActive}}, a.Hostings)
		same(t, "one that changed to the address later", []any{"cus_d", "org-d", later}, []any{d.ID, d.Org.ID, d.EmailChanged})
		same(t, "kin of the owner itself", []string{"cus_d"}, kinIDs(f.customer("cus_a")))
		all, err := f.Customers(t.Context(), []string{"cus_a", "cus_b", "cus_c"})
		f.must(err)
		for i, want := range [][]string{{"cus_d"}, {"cus_a", "cus_d"}, {"cus_a", "cus_d"}} {
			same(t, "in a batch: "+all[i].ID, want, kinIDs(all[i]))
		}
	})
}

func kinIDs(c reconcile.Customer) []string {
	var ids []string
	for _, k := range c.Kin {
		ids = append(ids, k.ID)
	}
	return ids
}

// When two customers share an org, the second is the guest, because the first names it.
func TestACustomerIsAGuestInTheOrgOfAnother(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"), facts("sub_b", "cus_b", "ann@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		link := action("link:cus_b:org-a", reconcile.Link, "cus_b", "")
		link.Org, link.How = "org-a", reconcile.BoundByAdopt
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: link, Run: "run-1", State: reconcile.ActionApplied, At: t0, Org: &reconcile.Org{ID: "org-a", Name: "Ann"}}))
		a, b := f.customer("cus_a"), f.customer("cus_b")
		same(t, "guests", []bool{false, true}, []bool{a.OrgGuest, b.OrgGuest})
		same(t, "orgs", []string{"org-a", "org-a"}, []string{a.Org.ID, b.Org.ID})
		same(t, "a hosting of the other one is seen, as bound", []bool{true}, []bool{b.Hostings[0].Bound})
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: link, Run: "run-2", State: reconcile.ActionApplied, At: t0, Org: &reconcile.Org{ID: "org-a", Name: "Ann"}}))
		same(t, "it is still a guest when it is bound again", true, f.customer("cus_b").OrgGuest)
	})
}
