package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestFactsComeBackAsTheyWereSaved(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		in := facts("sub_a", "cus_a", "Ann@Example.com", status(reconcile.StatusPastDue), func(s *reconcile.SubscriptionFacts) {
			s.EndedAt, s.UnpaidSince = t0.Add(-time.Hour), t0.Add(-2*time.Hour)
			s.CancelAtPeriodEnd, s.CollectionPaused = true, true
			s.CancelAt, s.SendInvoice = t0.Add(time.Hour), true
			s.MetadataOrg, s.MetadataHosting = "org-1", 1<<40
			s.Items = append(s.Items, reconcile.Item{ID: "si_0", Price: "price_extra", Product: "prod_extra", Quantity: 3, Created: t0})
		})
		f.save(t0, in)
		want := reconcile.Customer{ID: "cus_a", Email: "Ann@Example.com", Name: "Example a", Subscriptions: []reconcile.Subscription{in.Subscription}}
		want.Buyers = []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_a", Email: "Ann@Example.com", Name: "Example a"}}}
		w := &want.Subscriptions[0]
		w.StatusSince, w.ByID = t0, true
		w.Lapse = reconcile.Lapse{Seen: t0, Since: t0}
		w.Items = []reconcile.Item{in.Items[1], in.Items[0]} // by id
		same(t, "customer", want, f.customer("cus_a"))
	})
}

func TestAnUnknownStatusKeepsItsWord(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", func(s *reconcile.SubscriptionFacts) {
			s.Status, s.StatusText = reconcile.StatusUnknown, "dormant"
		}))
		got := f.customer("cus_a").Subscriptions[0]
		same(t, "status", []any{reconcile.StatusUnknown, "dormant"}, []any{got.Status, got.StatusText})
	})
}

func TestTextThatADatabaseRefusesIsCleaned(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", func(s *reconcile.SubscriptionFacts) {
			s.Buyer.Name = "N\x00ul \xff"
			s.Items[0].LookupKey = "k\x00ey"
		}))
		c := f.customer("cus_a")
		same(t, "name", "Nul \uFFFD", c.Name)
		same(t, "lookup key", "key", c.Subscriptions[0].Items[0].LookupKey)
	})
}

func TestACustomerIsDueWhenContentChangedAndOnlyThen(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		base := facts("sub_a", "cus_a", "a@example.com")
		later := t0.Add(time.Hour)
		cases := []struct {
			name   string
			change func(*reconcile.SubscriptionFacts)
			due    bool
		}{
			{"the same again", func(*reconcile.SubscriptionFacts) {}, false},
			{"only read later", readAt(later), false},
			{"items in another order of the same ids", func(s *reconcile.SubscriptionFacts) {}, false},
			{"status", status(reconcile.StatusUnpaid), true},
			{"quantity", func(s *reconcile.SubscriptionFacts) { s.Items[0].Quantity = 2 }, true},
			{"price", func(s *reconcile.SubscriptionFacts) { s.Items[0].Price = "price_pro" }, true},
			{"unpaid since", func(s *reconcile.SubscriptionFacts) { s.UnpaidSince = t0 }, true},
			{"e-mail", func(s *reconcile.SubscriptionFacts) { s.Buyer.Email = "b@example.com" }, true},
			{"metadata", func(s *reconcile.SubscriptionFacts) { s.MetadataOrg = "org-9" }, true},
		}
		for _, c := range cases {
			f.save(t0, clone(base))
			f.settled(t0, "cus_a")
			changed := clone(base)
			c.change(&changed)
			f.save(later, changed)
			want := []string{"cus_a"}
			if !c.due {
				want = nil
			}
			same(t, c.name+": due", want, f.dueIDs(later))
			same(t, c.name+": due too early", []string(nil), f.dueIDs(later.Add(-time.Microsecond)))
		}
	})
}

// clone copies facts with their items, so that a case cannot change another's.
func clone(s reconcile.SubscriptionFacts) reconcile.SubscriptionFacts {
	s.Items = append([]reconcile.Item(nil), s.Items...)
	return s
}

func TestForceMakesACustomerDueWithoutAChange(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		base := facts("sub_a", "cus_a", "a@example.com")
		f.save(t0, base)
		f.settled(t0, "cus_a")
		f.must(f.SaveFacts(t.Context(), f.tok, []reconcile.SubscriptionFacts{base}, true, t0.Add(time.Hour)))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
	})
}

func TestACustomerDueEarlierStaysDueEarlier(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.save(t0.Add(time.Hour), facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusUnpaid)))
		f.must(f.MakeDue(t.Context(), f.tok, []string{"cus_a"}, t0.Add(2*time.Hour)))
		f.must(f.MakeDue(t.Context(), f.tok, nil, t0.Add(2*time.Hour)))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0))
	})
}

func TestStatusSinceMovesWithTheStatusWord(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.save(t0.Add(time.Hour), facts("sub_a", "cus_a", "a@example.com", func(s *reconcile.SubscriptionFacts) { s.Items[0].Quantity = 5 }))
		same(t, "since, another field changed", t0, f.customer("cus_a").Subscriptions[0].StatusSince)
		f.list(t0.Add(2*time.Hour), facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusPastDue), readAt(t0.Add(2*time.Hour))))
		same(t, "since, status changed", t0.Add(2*time.Hour), f.customer("cus_a").Subscriptions[0].StatusSince)
	})
}

func TestAListingKeepsUnpaidSinceWhileTheStatusStays(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		pastDue := func(read time.Time, quantity int64) reconcile.SubscriptionFacts {
			return facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusPastDue), readAt(read),
				func(s *reconcile.SubscriptionFacts) { s.Items[0].Quantity = quantity })
		}
		byID := pastDue(t0, 1)
		byID.UnpaidSince = t0.Add(-time.Hour)
		byID.Owed = reconcile.OpenInvoice{ID: "in_1", Due: t0.Add(-time.Hour), Left: 900, Currency: "eur", URL: "https://pay.example.com/1", Open: 2}
		f.save(t0, byID)
		f.list(t0.Add(time.Hour), pastDue(t0.Add(time.Hour), 2))
		got := f.customer("cus_a").Subscriptions[0]
		same(t, "unpaid since, same status", t0.Add(-time.Hour), got.UnpaidSince)
		same(t, "open invoice, same status", byID.Owed, got.Owed)
		same(t, "by id", false, got.ByID)
		f.list(t0.Add(2*time.Hour), facts("sub_a", "cus_a", "a@example.com", readAt(t0.Add(2*time.Hour))))
		same(t, "unpaid since, other status", time.Time{}, f.customer("cus_a").Subscriptions[0].UnpaidSince)
		same(t, "open invoice, other status", reconcile.OpenInvoice{}, f.customer("cus_a").Subscriptions[0].Owed)
	})
}

func TestAListingOlderThanAReadByIDIsIgnored(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0.Add(time.Minute), facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusActive), readAt(t0.Add(time.Minute))))
		stale := facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusCanceled), readAt(t0))
		same(t, "changed", 0, f.list(t0.Add(2*time.Minute), stale))
		same(t, "status", reconcile.StatusActive, f.customer("cus_a").Subscriptions[0].Status)
	})
}

// A run lists everything for an hour. Meanwhile another run of the same process reads one
// of the subscriptions by id, which a payment has changed.
func TestAListingOfALongRunReplacesNoReadMadeMeanwhile(t *testing.T) {
	for _, unread := range []bool{false, true} { // whether the key may read invoices
		conform(t, func(t *testing.T, f *fixture) {
			fresh := facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusActive), readAt(t0.Add(-10*time.Minute)))
			fresh.InvoicesUnread = unread
			f.save(t0.Add(-11*time.Minute), fresh)
			stale := facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusCanceled), readAt(t0.Add(-30*time.Minute)))
			same(t, "changed", 0, f.list(t0.Add(-time.Hour), stale))
			same(t, "status", reconcile.StatusActive, f.customer("cus_a").Subscriptions[0].Status)
		})
	}
}

func TestAReadFromTheFutureDoesNotFreezeTheMirror(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", readAt(t0.AddDate(10, 0, 0))))
		same(t, "changed", 1, f.list(t0.Add(time.Minute), facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusPastDue))))
	})
}

func TestGoneIsToldOnceAndClearedByFacts(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		base := facts("sub_a", "cus_a", "a@example.com")
		f.save(t0, base)
		f.settled(t0, "cus_a")
		f.must(f.MarkGone(t.Context(), f.tok, "sub_a", t0.Add(time.Hour)))
		same(t, "gone", true, f.customer("cus_a").Subscriptions[0].Gone)
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
		f.settled(t0, "cus_a")
		f.must(f.MarkGone(t.Context(), f.tok, "sub_a", t0.Add(2*time.Hour)))
		f.must(f.MarkGone(t.Context(), f.tok, "sub_never_seen", t0.Add(2*time.Hour)))
		same(t, "due the second time", []string(nil), f.dueIDs(t0.Add(2*time.Hour)))
		same(t, "changed by a listing", 1, f.list(t0.Add(3*time.Hour), facts("sub_a", "cus_a", "a@example.com", readAt(t0.Add(3*time.Hour)))))
		same(t, "gone after facts", false, f.customer("cus_a").Subscriptions[0].Gone)
	})
}

func TestASweepWritesOnlyWhatChanged(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a, b := facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com")
		same(t, "changed at first", 2, f.list(t0, a, b))
		f.settled(t0, "cus_a", "cus_b")
		later := readAt(t0.Add(time.Hour))
		changed := f.list(t0.Add(time.Hour), facts("sub_a", "cus_a", "a@example.com", later), facts("sub_b", "cus_b", "b@example.com", later, status(reconcile.StatusUnpaid)))
		same(t, "changed", 1, changed)
		same(t, "due", []string{"cus_b"}, f.dueIDs(t0.Add(time.Hour)))
		same(t, "unchanged row keeps its time", t0, f.customer("cus_a").Subscriptions[0].ReadAt)
	})
}

func TestASubscriptionThatASweepDoesNotListStaysAsItIs(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.list(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.settled(t0, "cus_a", "cus_b")
		before := f.customer("cus_a")
		same(t, "changed", 0, f.list(t0.Add(time.Hour), facts("sub_b", "cus_b", "b@example.com")))
		same(t, "changed by an empty listing", 0, f.list(t0.Add(time.Hour)))
		same(t, "customer", before, f.customer("cus_a"))
		same(t, "due", []string(nil), f.dueIDs(t0.Add(time.Hour)))
	})
}

func TestASubscriptionStagedTwiceIsMalformed(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		a := facts("sub_a", "cus_a", "a@example.com")
		f.list(t0, a)
		for name, again := range map[string]reconcile.SubscriptionFacts{
			"unchanged": a, "changed": facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusUnpaid)),
		} {
			f.must(f.BeginSweep(t.Context(), f.tok))
			f.must(f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{a}))
			if err := f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{again}); !errors.Is(err, fault.Malformed) {
				t.Errorf("%s: %v, want malformed", name, err)
			}
			if _, err := f.MergeSweep(t.Context(), f.tok, t0); err == nil {
				t.Errorf("%s: a broken sweep was merged", name)
			}
		}
	})
}

func TestWhatWasStagedByAnotherSweepIsForgotten(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.must(f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{facts("sub_a", "cus_a", "a@example.com")}))
		same(t, "changed", 1, f.list(t0, facts("sub_b", "cus_b", "b@example.com")))
		all, err := f.Customers(t.Context(), []string{"cus_a"})
		f.must(err)
		same(t, "customers of the abandoned sweep", 0, len(all))
	})
}

func TestAMergeThatDiedMidwayIsDoneByTheNextSweep(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		// The first chunk of two is merged; then the process dies.
		f.must(f.BeginSweep(t.Context(), f.tok))
		all := fleet(0, 30)
		f.must(f.Stage(t.Context(), f.tok, all))
		f.must(f.fenced(t.Context(), "half a merge", f.tok, func(ctx context.Context, tx conn) error {
			m := merge{tx: tx, now: t0}
			_, err := m.save(ctx, all[:10])
			return err
		}))
		again := open(t, f.url)
		f.must(again.BeginSweep(t.Context(), f.tok))
		f.must(again.Stage(t.Context(), f.tok, all))
		changed, err := again.MergeSweep(t.Context(), f.tok, t0)
		f.must(err)
		same(t, "changed by the second sweep", 20, changed)
		same(t, "due", 30, len(f.dueIDs(t0)))
	})
}

func TestATransferredSubscriptionWakesBothCustomers(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.settled(t0, "cus_a", "cus_b")
		f.save(t0.Add(time.Hour), facts("sub_a", "cus_b", "b@example.com"))
		same(t, "due", []string{"cus_a", "cus_b"}, f.dueIDs(t0.Add(time.Hour)))
		same(t, "subscriptions of the new customer", 2, len(f.customer("cus_b").Subscriptions))
	})
}

func TestFactsWithoutAnIDAreRefused(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		bad := facts("sub_a", "cus_a", "a@example.com")
		bad.ID = ""
		if err := f.SaveFacts(t.Context(), f.tok, []reconcile.SubscriptionFacts{bad}, false, t0); !errors.Is(err, fault.Malformed) {
			t.Errorf("%v, want malformed", err)
		}
	})
}

func TestOfTwoFactsOfOneSubscriptionTheLastCounts(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "", status(reconcile.StatusPastDue)), facts("sub_b", "cus_b", ""), facts("sub_a", "cus_a", "", status(reconcile.StatusUnpaid)))
		same(t, "status", reconcile.StatusUnpaid, f.customer("cus_a").Subscriptions[0].Status)
		f.checkTallies()
	})
}

// A read that may not see invoices does not know since when something is unpaid. The mirror
// may, and the later date gives the customer more time.
func TestAReadWithoutInvoicesKeepsALaterDateOfWhatIsUnpaid(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		pastDue := facts("sub_a", "cus_a", "", status(reconcile.StatusPastDue))
		pastDue.UnpaidSince = t0.Add(48 * time.Hour)
		f.save(t0, pastDue)
		unread := facts("sub_a", "cus_a", "", status(reconcile.StatusPastDue))
		unread.InvoicesUnread, unread.UnpaidSince = true, t0
		f.save(t0.Add(time.Hour), unread)
		same(t, "later than the status", t0.Add(48*time.Hour), f.customer("cus_a").Subscriptions[0].UnpaidSince)

		pastDue.UnpaidSince = t0.Add(-48 * time.Hour)
		f.save(t0.Add(2*time.Hour), pastDue)
		f.save(t0.Add(3*time.Hour), unread)
		same(t, "earlier than the status", t0, f.customer("cus_a").Subscriptions[0].UnpaidSince)
	})
}

func TestNothingIsStagedBeforeASweepBegins(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for what, err := range map[string]error{
			"staging": f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{facts("sub_a", "cus_a", "")}),
			"merging": func() error { _, err := f.MergeSweep(t.Context(), f.tok, t0); return err }(),
			"asking what was not listed": func() error {
				f.save(t0, facts("sub_a", "cus_a", ""))
				_, _, err := f.Unlisted(t.Context(), t0, 1)
				return err
			}(),
		} {
			says(t, what, err, fault.Permanent, "no sweep has begun")
		}
	})
}
