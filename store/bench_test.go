package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// both runs a benchmark on each database.
func both(b *testing.B, bench func(b *testing.B, f *fixture)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { bench(b, newFixture(b, sqliteURL(b))) })
	b.Run("postgres", func(b *testing.B) { bench(b, newFixture(b, pgtest.New(b, migrateURL))) })
}

// sweepFleet stages and merges n subscriptions, a page of 100 at a time, with a
// change in every one.
func (f *fixture) sweepFleet(n int, change ...func(*reconcile.SubscriptionFacts)) {
	f.Helper()
	f.must(f.BeginSweep(f.Context(), f.tok))
	for from := 0; from < n; from += 100 {
		page := fleet(from, min(from+100, n))
		for i := range page {
			for _, c := range change {
				c(&page[i])
			}
		}
		f.must(f.Stage(f.Context(), f.tok, page))
	}
	_, err := f.MergeSweep(f.Context(), f.tok, t0)
	f.must(err)
}

// leaveNoneDue leaves no customer due.
func (f *fixture) leaveNoneDue() {
	f.Helper()
	f.must(f.unfenced(f.Context(), "settling", func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE customers SET due_at = NULL")
		return err
	}))
}

// BenchmarkSweep measures rows a second of a first sweep (everything new), one that
// finds nothing changed, and one that finds everything changed.
func BenchmarkSweep(b *testing.B) {
	const n = 20_000
	both(b, func(b *testing.B, f *fixture) {
		for _, phase := range []struct {
			name   string
			change func(*reconcile.SubscriptionFacts)
		}{
			{"new", func(*reconcile.SubscriptionFacts) {}},
			{"unchanged", func(*reconcile.SubscriptionFacts) {}},
			{"changed", func(s *reconcile.SubscriptionFacts) { s.Items[0].Quantity = 7 }},
		} {
			start := time.Now()
			f.sweepFleet(n, phase.change)
			b.ReportMetric(n/time.Since(start).Seconds(), phase.name+"_rows/s")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkDue measures the cost of loading 1,000 due customers beside few and many
// stored ones: the two must be the same.
func BenchmarkDue(b *testing.B) {
	for _, stored := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("stored=%d", stored), func(b *testing.B) {
			both(b, func(b *testing.B, f *fixture) {
				f.sweepFleet(stored)
				f.leaveNoneDue()
				ids := make([]string, 1000)
				for i := range ids {
					ids[i] = fmt.Sprintf("cus_%07d", i*(stored/1000))
				}
				f.must(f.MakeDue(b.Context(), f.tok, ids, t0))
				for b.Loop() {
					got, _, err := f.Due(b.Context(), t0, "", 1000)
					if err != nil || len(got) != 1000 {
						b.Fatalf("%d customers, %v", len(got), err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/customer")
			})
		})
	}
}

// BenchmarkAction measures the cost of one action in the database: intent, outcome
// and the load of its customer.
func BenchmarkAction(b *testing.B) {
	both(b, func(b *testing.B, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := action("change_plan:sub_a/1:42:1>2", reconcile.ChangePlan, "cus_a", "sub_a")
		h := reconcile.Hosting{ID: 42, Org: "org-1", Plan: 2, State: reconcile.HostingActive, ObservedAt: t0}
		for i := 0; b.Loop(); i++ {
			run := fmt.Sprint("run-", i)
			f.must(f.RecordIntent(b.Context(), f.tok, run, a, "", t0))
			f.must(f.RecordOutcome(b.Context(), f.tok, reconcile.Outcome{Action: a, Run: run, State: reconcile.ActionApplied, At: t0, Hosting: &h}))
			f.customer("cus_a")
		}
	})
}

func action(id string, kind reconcile.ActionKind, customer, subscription string) reconcile.Action {
	return reconcile.Action{ID: id, Kind: kind, Customer: customer, Subscription: subscription, Slot: 1, Email: "a@example.com",
		Org: "org-1", Hosting: 42, Plan: 2, PlanName: "Pro", FromPlan: 1, Reason: "it was bought"}
}

// BenchmarkMillion sweeps a million subscriptions, new and then unchanged, and
// reports rates and the peak memory of this process (Linux). Minutes; not in -short.
func BenchmarkMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("no time for a million rows with -short: they take minutes")
	}
	const n = 1_000_000
	both(b, func(b *testing.B, f *fixture) {
		for _, phase := range []string{"new", "unchanged"} {
			start := time.Now()
			f.sweepFleet(n)
			b.ReportMetric(n/time.Since(start).Seconds(), phase+"_rows/s")
		}
		start := time.Now()
		_, err := f.Counts(b.Context())
		f.must(err)
		b.ReportMetric(float64(time.Since(start).Microseconds()), "counts_us")
		b.ReportMetric(peakMemory(b), "peak_MB")
		b.ReportMetric(0, "ns/op")
	})
}

// peakMemory is the largest resident size of this process so far, in MB; 0 where
// the system does not report it.
func peakMemory(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(after, &kb); err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
