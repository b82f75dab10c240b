package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// buyersOf are the Stripe customers of a party.
func (f *fixture) buyersOf(id string) []string {
	f.Helper()
	records, err := f.FindCustomers(f.Context(), Lookup{StripeCustomer: id}, 0)
	f.must(err)
	var ids []string
	for _, r := range records {
		for _, b := range r.Buyers {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// parties are the ids of all customers.
func (f *fixture) parties() []string {
	f.Helper()
	var ids []string
	f.must(f.query(f.Context(), "parties", "SELECT id FROM customers ORDER BY id", nil, func(row scan) error {
		var id string
		err := row(&id)
		ids = append(ids, id)
		return err
	}))
	return ids
}

func TestGuestsWithOneEmailAreOneCustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "Ann@Example.com", created(t0.Add(-3*time.Hour))))
		f.save(t0, facts("sub_b", "cus_b", " ann@example.COM", created(t0.Add(-2*time.Hour))))
		f.list(t0, facts("sub_c", "cus_c", "ANN@example.com", created(t0.Add(-time.Hour))))
		same(t, "parties", []string{"cus_a"}, f.parties())
		same(t, "buyers", []string{"cus_a", "cus_b", "cus_c"}, f.buyersOf("cus_b"))
		c := f.customer("cus_a")
		same(t, "subscriptions", 3, len(c.Subscriptions))
		same(t, "e-mail of the newest", []string{"ANN@example.com", "Example c"}, []string{c.Email, c.Name})
	})
}

func TestGuestsInOneBatchAreOneCustomerUnderTheOldest(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.list(t0,
			facts("sub_1", "cus_young", "ann@example.com", created(t0.Add(-time.Hour))),
			facts("sub_2", "cus_old", "Ann@example.com", created(t0.Add(-2*time.Hour))),
			facts("sub_3", "cus_other", "bob@example.com"))
		same(t, "parties", []string{"cus_old", "cus_other"}, f.parties())
		same(t, "e-mail of the newest", "ann@example.com", f.customer("cus_old").Email)
	})
}

func TestBuyersWithoutAnEmailStayApart(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.list(t0, facts("sub_a", "cus_a", ""), facts("sub_b", "cus_b", ""), facts("sub_c", "cus_c", "  "))
		same(t, "parties", []string{"cus_a", "cus_b", "cus_c"}, f.parties())
	})
}

func TestAnEmailThatIsMissingFollowsAnotherBuyer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com", created(t0.Add(-2*time.Hour))))
		f.save(t0, facts("sub_b", "cus_b", "ann@example.com", created(t0.Add(-time.Hour))))
		f.save(t0, facts("sub_b", "cus_b", "", created(t0.Add(-time.Hour)), func(s *reconcile.SubscriptionFacts) { s.Buyer.Name = "" }))
		c := f.customer("cus_a")
		same(t, "e-mail and name", []string{"ann@example.com", "Example a"}, []string{c.Email, c.Name})
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
		f.save(t0, facts("sub_b", "cus_b", "ann@example.com"))
		same(t, "who buys again is the same customer", []string{"cus_a"}, f.parties())
	})
}

func TestANewSubscriptionOfAnOldBuyerMakesItTheNewest(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "Ann@example.com", created(t0.Add(-3*time.Hour))))
		f.save(t0, facts("sub_b", "cus_b", "ann@example.com", created(t0.Add(-2*time.Hour))))
		same(t, "e-mail", "ann@example.com", f.customer("cus_a").Email)
		f.save(t0, facts("sub_c", "cus_a", "Ann@example.com", created(t0.Add(-time.Hour))))
		same(t, "e-mail after the new subscription", "Ann@example.com", f.customer("cus_a").Email)
	})
}

func TestAnEmailChangeMovesABuyerOnlyWhileItsPartyOwnsNothing(t *testing.T) {
	owning := []struct {
		name  string
		own   func(f *fixture)
		moves bool
	}{
		{"nothing", func(*fixture) {}, true},
		{"an org", func(f *fixture) { f.bindOrg("cus_a", "org-a") }, false},
		{"a binding", func(f *fixture) { f.bindHosting("cus_a", "sub_a", 1, "org-x", 42) }, false},
		{"an action under way", func(f *fixture) {
			f.must(f.Intend(f.Context(), f.tok, "run-1", action("create_org:cus_a", reconcile.CreateOrg, "cus_a", ""), "", t0))
		}, false},
		{"a planned action", func(f *fixture) { f.plan("cus_a", action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")) }, false},
	}
	for _, c := range owning {
		t.Run(c.name, func(t *testing.T) {
			conform(t, func(t *testing.T, f *fixture) {
				f.save(t0, facts("sub_a", "cus_a", "ann@example.com"), facts("sub_b", "cus_b", "bob@example.com"))
				c.own(f)
				f.save(t0, facts("sub_a", "cus_a", "Bob@example.com"))
				want := []string{"cus_a", "cus_b"}
				if c.moves {
					want = []string{"cus_b"}
				}
				same(t, "parties", want, f.parties())
				counts, err := f.Counts(t.Context())
				f.must(err)
				same(t, "customers counted", len(want), counts.Customers)
			})
		})
	}
}

func TestAnEmailThatNobodyElseHasChangesThePartyInPlace(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"))
		f.save(t0, facts("sub_a", "cus_a", "ann@example.org"))
		same(t, "e-mail", "ann@example.org", f.customer("cus_a").Email)
		f.save(t0, facts("sub_b", "cus_b", "ann@example.com"))
		same(t, "the old e-mail is somebody new", []string{"cus_a", "cus_b"}, f.parties())
		f.save(t0, facts("sub_c", "cus_c", "ANN@example.org"))
		same(t, "the new e-mail is the same customer", []string{"cus_a", "cus_b"}, f.parties())
	})
}

func TestANewcomerAndAnEmailChangeInOneBatchMeet(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"))
		f.list(t0.Add(time.Hour), facts("sub_a", "cus_a", "ann@example.org", readAt(t0.Add(time.Hour))),
			facts("sub_b", "cus_b", "ann@example.org", readAt(t0.Add(time.Hour))))
		same(t, "parties", []string{"cus_a"}, f.parties())
	})
}

func TestANewcomerPrefersThePartyThatHasAnOrg(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ann@example.com"), facts("sub_b", "cus_b", "bob@example.com"))
		f.bindOrg("cus_b", "org-b")
		f.save(t0, facts("sub_b", "cus_b", "ann@example.com")) // stays: it owns an org
		same(t, "parties", []string{"cus_a", "cus_b"}, f.parties())
		f.save(t0, facts("sub_c", "cus_c", "ann@example.com"))
		same(t, "buyers", []string{"cus_b", "cus_c"}, f.buyersOf("cus_b"))
	})
}

// TestANewcomerWithAnEmailThatWasJustGivenUpIsSomebodyNew: in one batch, the buyer
// who had the e-mail moves on and its empty party goes with it. A newcomer counted
// into that party was refused by the database, and with it the whole sweep.
func TestANewcomerWithAnEmailThatWasJustGivenUpIsSomebodyNew(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "bob@example.com"), facts("sub_b", "cus_b", "ann@example.com"))
		later := readAt(t0.Add(time.Hour))
		f.list(t0.Add(time.Hour), facts("sub_b", "cus_b", "bob@example.com", later), facts("sub_c", "cus_c", "ann@example.com", later))
		same(t, "parties", []string{"cus_a", "cus_c"}, f.parties())
		same(t, "who moved", []string{"cus_a", "cus_b"}, f.buyersOf("cus_a"))
		f.save(t0, facts("sub_c", "cus_c", "", later), facts("sub_d", "cus_d", "ann@example.com", later))
		same(t, "an e-mail that was taken away binds nobody", []string{"cus_a", "cus_c", "cus_d"}, f.parties())
	})
}
