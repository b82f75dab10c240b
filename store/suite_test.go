package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// t0 is the beginning of time in every test. It has microseconds, so that a test fails if a
// database loses them.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := pgtest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// conform runs a test on both databases, each time on a fresh one.
func conform(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, newFixture(t, sqliteURL(t))) })
	t.Run("postgres", func(t *testing.T) { test(t, newFixture(t, pgtest.New(t, migrateURL))) })
}

func sqliteURL(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "test.db") }

func migrateURL(ctx context.Context, url string) error {
	s, err := Open(ctx, Options{URL: secret.New(url)})
	if err != nil {
		return err
	}
	if _, err := s.Migrate(ctx, false); err != nil {
		return err
	}
	return s.Close()
}

// fixture is a migrated store whose lease is held.
type fixture struct {
	*Store
	testing.TB
	url string
	tok reconcile.Token
}

func newFixture(tb testing.TB, url string) *fixture {
	tb.Helper()
	f := &fixture{TB: tb, url: url, Store: open(tb, url)}
	if _, err := f.Migrate(tb.Context(), false); err != nil {
		tb.Fatalf("migrating: %v", err)
	}
	f.tok = f.acquire("first", t0, 30*time.Second)
	return f
}

// open opens a Store and closes it with the test.
func open(tb testing.TB, url string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{URL: secret.New(url), Now: func() time.Time { return t0 }})
	if err != nil {
		tb.Fatalf("opening: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	return s
}

func (f *fixture) acquire(owner string, now time.Time, ttl time.Duration) reconcile.Token {
	f.Helper()
	tok, by, until, err := f.Acquire(f.Context(), owner, now, ttl)
	if err != nil || tok == 0 {
		f.Fatalf("acquiring for %s: token %d, held by %q until %s, %v", owner, tok, by, until, err)
	}
	return tok
}

// must fails the test on an error.
func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// facts is a subscription of a customer with an e-mail; the options change it.
func facts(id, buyer, email string, change ...func(*reconcile.SubscriptionFacts)) reconcile.SubscriptionFacts {
	s := reconcile.SubscriptionFacts{
		Subscription: reconcile.Subscription{
			ID: id, StripeCustomer: buyer, Status: reconcile.StatusActive, StatusText: "active",
			Created: t0.Add(-24 * time.Hour), CurrentPeriodEnd: t0.Add(29 * 24 * time.Hour),
			Items: []reconcile.Item{{ID: "si_" + id[4:], Price: "price_basic", LookupKey: "basic", Product: "prod_hosting",
				Quantity: 1, Created: t0.Add(-24 * time.Hour)}},
			Domain: "shop.example.com", ReadAt: t0,
		},
		Buyer: reconcile.StripeCustomer{ID: buyer, Email: email, Name: "Example " + buyer[4:]},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func status(s reconcile.Status) func(*reconcile.SubscriptionFacts) {
	return func(f *reconcile.SubscriptionFacts) { f.Status, f.StatusText = s, s.String() }
}

func created(at time.Time) func(*reconcile.SubscriptionFacts) {
	return func(f *reconcile.SubscriptionFacts) { f.Created = at }
}

func readAt(at time.Time) func(*reconcile.SubscriptionFacts) {
	return func(f *reconcile.SubscriptionFacts) { f.ReadAt = at }
}

// save stores facts as read by id.
func (f *fixture) save(now time.Time, all ...reconcile.SubscriptionFacts) {
	f.Helper()
	for i := range all {
		all[i].ByID = true
	}
	f.must(f.SaveFacts(f.Context(), f.tok, all, false, now))
}

// list stores facts as a complete sweep does.
func (f *fixture) list(now time.Time, all ...reconcile.SubscriptionFacts) (changed int) {
	f.Helper()
	f.must(f.BeginSweep(f.Context(), f.tok))
	f.must(f.Stage(f.Context(), f.tok, all))
	changed, err := f.MergeSweep(f.Context(), f.tok, now)
	f.must(err)
	return changed
}

// customer loads one customer that must exist.
func (f *fixture) customer(id string) reconcile.Customer {
	f.Helper()
	all, err := f.Customers(f.Context(), []string{id})
	f.must(err)
	if len(all) != 1 {
		f.Fatalf("%d customers with id %s, want 1", len(all), id)
	}
	return all[0]
}

// settled plans nothing for customers, so that nothing is due any more.
func (f *fixture) settled(now time.Time, ids ...string) {
	f.Helper()
	all, err := f.Customers(f.Context(), ids)
	f.must(err)
	planned := make([]reconcile.Planned, len(all))
	for i := range all {
		planned[i] = reconcile.Planned{Customer: all[i].ID, Version: all[i].Version}
	}
	f.must(f.SavePlanned(f.Context(), f.tok, "run-settled", planned, now))
}

// dueIDs are the customers due at now, in the order of the queue.
func (f *fixture) dueIDs(now time.Time) []string {
	f.Helper()
	var ids []string
	after := ""
	for {
		page, next, err := f.Due(f.Context(), now, after, 2)
		f.must(err)
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		if next == "" {
			return ids
		}
		after = next
	}
}

// same fails the test if the two values differ.
func same(tb testing.TB, what string, want, got any, options ...cmp.Option) {
	tb.Helper()
	if diff := cmp.Diff(want, got, append(options, cmpopts.EquateEmpty())...); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
