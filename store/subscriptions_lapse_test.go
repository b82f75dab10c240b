package store

import (
	"context"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const day = 24 * time.Hour

// pastDue is facts of a subscription that is past_due, read by id.
func pastDue(now, due time.Time, change ...func(*reconcile.SubscriptionFacts)) reconcile.SubscriptionFacts {
	f := facts("sub_a", "cus_a", "a@example.com", append(change, status(reconcile.StatusPastDue), readAt(now))...)
	f.LatestDue = due
	return f
}

func (f *fixture) lapse() reconcile.Lapse {
	f.Helper()
	return f.customer("cus_a").Subscriptions[0].Lapse
}

func TestALapseOutlivesListingsAndEndsWithAnEntitledStatus(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		active := facts("sub_a", "cus_a", "a@example.com", readAt(t0))
		f.save(t0, active)
		same(t, "active", reconcile.Lapse{Entitled: t0}, f.lapse())
		f.list(t0.Add(3*day), pastDue(t0.Add(3*day), time.Time{}))
		same(t, "listed past_due", reconcile.Lapse{Entitled: t0, Seen: t0.Add(3 * day)}, f.lapse())
		f.save(t0.Add(4*day), pastDue(t0.Add(4*day), t0.Add(2*day)))
		want := reconcile.Lapse{Entitled: t0, Seen: t0.Add(3 * day), Since: t0.Add(2 * day)}
		same(t, "read by id", want, f.lapse())
		f.list(t0.Add(5*day), pastDue(t0.Add(5*day), time.Time{}, func(s *reconcile.SubscriptionFacts) { s.Items[0].Quantity = 2 }))
		same(t, "listed with another quantity", want, f.lapse())
		f.save(t0.Add(35*day), pastDue(t0.Add(35*day), t0.Add(33*day)))
		same(t, "a newer invoice", want, f.lapse())
		active.ReadAt = t0.Add(36 * day)
		f.list(t0.Add(36*day), active)
		same(t, "active again", reconcile.Lapse{Entitled: t0.Add(36 * day)}, f.lapse())
	})
}

func TestWhatTheEventsDidNotTouchWasAsItWas(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", readAt(t0)))
		f.must(f.SetCursor(t.Context(), f.tok, eventsCursor, t0.Add(9*day).Format(time.RFC3339)))
		// A direct debit of day 5 fails on day 10: it was active on day 9.
		f.save(t0.Add(10*day), pastDue(t0.Add(10*day), t0.Add(5*day)))
		same(t, "since", t0.Add(10*day), f.lapse().Since)
		// The cursor moves on, which means nothing for a subscription that is past_due.
		f.must(f.SetCursor(t.Context(), f.tok, eventsCursor, t0.Add(20*day).Format(time.RFC3339)))
		f.save(t0.Add(20*day), pastDue(t0.Add(20*day), t0.Add(5*day)))
		same(t, "since, later", t0.Add(10*day), f.lapse().Since)
	})
}

func TestALapseThatMovesMakesItsCustomerDue(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.list(t0, pastDue(t0, time.Time{}))
		f.settled(t0, "cus_a")
		f.save(t0.Add(time.Hour), pastDue(t0.Add(time.Hour), t0.Add(-day)))
		same(t, "due", []string{"cus_a"}, f.dueIDs(t0.Add(time.Hour)))
	})
}

func TestAnUpgradeMovesNoGracePeriod(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		kind := map[dialect]goose.Dialect{sqlite: goose.DialectSQLite3, postgres: goose.DialectPostgres}[s.d]
		p, err := goose.NewProvider(kind, s.write, s.files(), goose.WithDisableGlobalRegistry(true))
		if err == nil {
			_, err = p.UpTo(t.Context(), 1)
		}
		if err == nil {
			err = s.unfenced(t.Context(), "filling an old database", oldDatabase)
		}
		if err == nil {
			_, err = s.Migrate(t.Context(), false)
		}
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Customers(t.Context(), []string{"cus_a"})
		if err != nil || len(all) != 1 || len(all[0].Subscriptions) != 2 {
			t.Fatalf("customers %+v, error %v", all, err)
		}
		late, well := all[0].Subscriptions[0], all[0].Subscriptions[1]
		same(t, "past_due", reconcile.Lapse{Seen: t0, Since: t0.Add(-90 * day)}, late.Lapse)
		same(t, "active", reconcile.Lapse{Entitled: t0.Add(time.Hour)}, well.Lapse)
		same(t, "its domain is looked up again", []any{"", false}, []any{well.Domain, well.DomainChecked})
	})
}

// oldDatabase has the rows of the first version for a customer who is late with one
// subscription, whose oldest open invoice is older than the lapse.
func oldDatabase(ctx context.Context, tx conn) error {
	for _, row := range []struct {
		sql  string
		args []any
	}{
		{"INSERT INTO customers (id, created_at) VALUES ('cus_a', $1)", []any{at(t0)}},
		{"INSERT INTO stripe_customers (id, customer_id) VALUES ('cus_a', 'cus_a')", nil},
		{oldSubscription, []any{"sub_a", "past_due", at(t0), at(t0.Add(-90 * day)), at(t0.Add(time.Hour))}},
		{oldSubscription, []any{"sub_b", "active", at(t0), nil, at(t0.Add(time.Hour))}},
	} {
		if _, err := tx.exec(ctx, row.sql, row.args...); err != nil {
			return err
		}
	}
	return nil
}

const oldSubscription = `INSERT INTO subscriptions (id, stripe_customer_id, status, status_text, status_since, unpaid_since,
	items, read_at, content_hash, checkout_domain, domain_checked)
	VALUES ($1, 'cus_a', $2, CAST($2 AS TEXT), $3, $4, '[]', $5, 1, 'https://a.example/', TRUE)`
