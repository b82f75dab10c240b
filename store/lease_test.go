package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const ttl = 30 * time.Second

func TestTheLeaseHasOneHolderAtATime(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		tok, by, until, err := f.Acquire(t.Context(), "second", t0.Add(ttl-time.Second), ttl)
		f.must(err)
		same(t, "answer to the second", []any{reconcile.Token(0), "first", t0.Add(ttl)}, []any{tok, by, until})

		renewed := f.acquire("first", t0.Add(10*time.Second), ttl)
		same(t, "token after renewal", f.tok, renewed)
		if tok, _, _, err = f.Acquire(t.Context(), "second", t0.Add(ttl+time.Second), ttl); err != nil || tok != 0 {
			t.Errorf("taken although renewed: token %d, %v", tok, err)
		}
		if next := f.acquire("second", t0.Add(10*time.Second+ttl+time.Microsecond), ttl); next <= f.tok {
			t.Errorf("token %d after %d does not grow", next, f.tok)
		}
	})
}

func TestALeaseThatWasReleasedIsFreeAtOnceAndItsTokenDead(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.Release(t.Context(), f.tok))
		if err := f.SetCursor(t.Context(), f.tok, "c", "v"); !errors.Is(err, fault.Fenced) {
			t.Errorf("writing with a released token: %v, want fenced", err)
		}
		if err := f.Release(t.Context(), f.tok); !errors.Is(err, fault.Fenced) {
			t.Errorf("releasing twice: %v, want fenced", err)
		}
		if next := f.acquire("second", t0, ttl); next <= f.tok {
			t.Errorf("token %d after %d does not grow", next, f.tok)
		}
	})
}

func TestOfSixteenContendersOneWins(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for round := range 10 {
			now := t0.Add(time.Duration(round+1) * time.Hour)
			var wg sync.WaitGroup
			won := make(chan reconcile.Token, 16)
			for i := range 16 {
				wg.Go(func() {
					tok, _, _, err := f.Acquire(context.Background(), fmt.Sprintf("contender-%d-%d", round, i), now, ttl)
					if err != nil {
						t.Errorf("round %d: %v", round, err)
					}
					if tok != 0 {
						won <- tok
					}
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("round %d: %d winners, want 1", round, len(won))
			}
		}
	})
}

// writes is every method that takes a token.
func writes(f *fixture) map[string]func(context.Context, reconcile.Token) error {
	a := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
	return map[string]func(context.Context, reconcile.Token) error{
		"BeginSweep": f.BeginSweep,
		"Stage": func(ctx context.Context, tok reconcile.Token) error {
			f.Store.sweep.begin()
			return f.Stage(ctx, tok, []reconcile.SubscriptionFacts{facts("sub_z", "cus_z", "")})
		},
		"MergeSweep": func(ctx context.Context, tok reconcile.Token) error {
			f.Store.sweep.begin()
			_, err := f.MergeSweep(ctx, tok, t0)
			return err
		},
		"SaveFacts": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveFacts(ctx, tok, []reconcile.SubscriptionFacts{facts("sub_z", "cus_z", "")}, true, t0)
		},
		"MarkGone":  func(ctx context.Context, tok reconcile.Token) error { return f.MarkGone(ctx, tok, "sub_a", t0) },
		"SetCursor": func(ctx context.Context, tok reconcile.Token) error { return f.SetCursor(ctx, tok, "c", "v") },
		"SawEvents": func(ctx context.Context, tok reconcile.Token) error {
			return f.SawEvents(ctx, tok, []reconcile.Event{{ID: "evt_1", Created: t0}}, "v", t0)
		},
		"SavePlanned": func(ctx context.Context, tok reconcile.Token) error {
			return f.SavePlanned(ctx, tok, "run-x", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{a}}}, t0)
		},
		"Postpone": func(ctx context.Context, tok reconcile.Token) error {
			return f.Postpone(ctx, tok, reconcile.Backoff{Customer: "cus_a", Error: "no", Due: t0}, t0)
		},
		"MakeDue": func(ctx context.Context, tok reconcile.Token) error {
			return f.MakeDue(ctx, tok, []string{"cus_a"}, t0)
		},
		"MakeDue all": func(ctx context.Context, tok reconcile.Token) error { return f.MakeDue(ctx, tok, nil, t0) },
		"Intend": func(ctx context.Context, tok reconcile.Token) error {
			return f.RecordIntent(ctx, tok, "run-x", a, "", t0)
		},
		"Settle": func(ctx context.Context, tok reconcile.Token) error {
			return f.RecordOutcome(ctx, tok, reconcile.Outcome{Action: a, Run: "run-x", State: reconcile.ActionFailed, At: t0})
		},
		"Hold": func(ctx context.Context, tok reconcile.Token) error {
			_, err := f.Hold(ctx, tok, "run-x", held("p", reconcile.Suspend, t0, a))
			return err
		},
		"SaveOrgs": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveOrgs(ctx, tok, []reconcile.Org{{ID: "org-z"}}, true, t0)
		},
		"SaveContent": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveContent(ctx, tok, "org-a", nil, "", t0)
		},
		"SaveSiteApp": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveSiteApp(ctx, tok, 42, reconcile.SiteApp{ReadAt: t0})
		},
		"SaveBackups": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveBackups(ctx, tok, 42, reconcile.Backups{ReadAt: t0})
		},
		"SaveHostings": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveHostings(ctx, tok, "org-z", []reconcile.Hosting{*activeHosting(99, "org-z")}, t0)
		},
		"SaveSites": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveSites(ctx, tok, "a.example.com", []reconcile.WebsiteLocation{{Org: "org-a", Hosting: 42}}, t0)
		},
		"SaveHosting": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveHosting(ctx, tok, *activeHosting(99, "org-z"), t0)
		},
		"SavePlans": func(ctx context.Context, tok reconcile.Token) error {
			return f.SavePlans(ctx, tok, []reconcile.EnhancePlan{{ID: 9, Name: "Nine"}}, t0)
		},
		"SaveFeatures": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveFeatures(ctx, tok, reconcile.ProductFeatures{Product: "prod_z", AskedAt: t0})
		},
		"SaveDisputes": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveDisputes(ctx, tok, nil, t0)
		},
		"SaveDispute": func(ctx context.Context, tok reconcile.Token) error {
			return f.SaveDispute(ctx, tok, reconcile.Dispute{ID: "dp_z"}, false, t0)
		},
		"DomainChecked": func(ctx context.Context, tok reconcile.Token) error {
			return f.DomainChecked(ctx, tok, "sub_a", "d.test")
		},
		"BeginRun": func(ctx context.Context, tok reconcile.Token) error {
			return f.BeginRun(ctx, tok, reconcile.RunRecord{ID: "run-x", Mode: "full"})
		},
		"EndRun": func(ctx context.Context, tok reconcile.Token) error {
			return f.EndRun(ctx, tok, reconcile.RunRecord{ID: "run-x", Mode: "full"}, nil)
		},
		"TakeNudges": func(ctx context.Context, tok reconcile.Token) error {
			_, err := f.TakeNudges(ctx, tok, time.Time{})
			return err
		},
		"ForgetNudges": func(ctx context.Context, tok reconcile.Token) error {
			return f.ForgetNudges(ctx, tok, []string{"sub_a"})
		},
		"TakeNamed": func(ctx context.Context, tok reconcile.Token) error {
			_, err := f.TakeNamed(ctx, tok, 10)
			return err
		},
		"ForgetNamed": func(ctx context.Context, tok reconcile.Token) error {
			return f.ForgetNamed(ctx, tok, []string{"sub_a"})
		},
		"LeaveNudges": func(ctx context.Context, tok reconcile.Token) error {
			return f.LeaveNudges(ctx, tok, []string{"sub_a"})
		},
		"LeaveCrowd": func(ctx context.Context, tok reconcile.Token) error {
			_, err := f.LeaveCrowd(ctx, tok, -1)
			return err
		},
		"Release": f.Release,
	}
}

func TestAStaleTokenIsRefusedByEveryWriteAndChangesNothing(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.must(f.Nudge(t.Context(), []string{"sub_a"}, "test", t0))
		stale := f.tok
		f.tok = f.acquire("second", t0.Add(time.Hour), ttl)
		before := f.dump()
		for name, write := range writes(f) {
			for _, tok := range []reconcile.Token{stale, 0, f.tok + 1} {
				if err := write(t.Context(), tok); !errors.Is(err, fault.Fenced) {
					t.Errorf("%s with token %d (the lease's is %d): %v, want fenced", name, tok, f.tok, err)
				}
			}
		}
		same(t, "database", before, f.dump())
	})
}

// dump is every row of every table, as text.
func (f *fixture) dump() map[string][]string {
	f.Helper()
	all := make(map[string][]string)
	for _, table := range f.tables() {
		row := "CAST(t AS TEXT)"
		if f.d == sqlite {
			row = "json_array(" + f.columnList(table) + ")"
		}
		f.must(f.query(f.Context(), "dump", "SELECT "+row+" FROM "+table+" t ORDER BY 1", nil, func(scan scan) error {
			var text string
			err := scan(&text)
			all[table] = append(all[table], text)
			return err
		}))
	}
	return all
}

// crashEnv makes the test binary acquire the lease and die with it.
const crashEnv = "STORE_TEST_HOLD_LEASE"

func TestALeaseLeftByAKilledProcessIsTakenOverAtOnceOnSQLite(t *testing.T) {
	if url := os.Getenv(crashEnv); url != "" {
		f := &fixture{TB: t, Store: open(t, url)}
		f.acquire("the victim", t0, time.Hour)
		self, err := os.FindProcess(os.Getpid())
		f.must(err)
		f.must(self.Kill())
		select {} // until the signal arrives
	}
	url := sqliteURL(t)
	f := newFixture(t, url)
	f.must(f.Release(t.Context(), f.tok))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), crashEnv+"="+url)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the victim was not killed: %v\n%s", err, out)
	}
	st, err := f.Stats(t.Context(), t0)
	f.must(err)
	same(t, "lease left behind", Lease{Owner: "the victim", Until: t0.Add(time.Hour), Token: f.tok + 2}, st.Lease)
	f.acquire("the heir", t0.Add(time.Second), ttl)
}

func TestOnSQLiteALiveHolderIsRespectedUntilItsLeaseExpires(t *testing.T) {
	f := newFixture(t, sqliteURL(t)) // "first" holds lease and lock file
	frozen := f.tok
	other := &fixture{TB: t, Store: open(t, f.url)}
	if tok, by, _, err := other.Acquire(t.Context(), "second", t0.Add(ttl), ttl); err != nil || tok != 0 || by != "first" {
		t.Errorf("while it lives: token %d, held by %q, %v", tok, by, err)
	}
	other.acquire("second", t0.Add(ttl+time.Second), ttl) // without the lock: "first" is frozen
	if err := f.SetCursor(t.Context(), frozen, "c", "v"); !errors.Is(err, fault.Fenced) {
		t.Errorf("late write of the frozen holder: %v, want fenced", err)
	}
	// When the frozen one wakes, it finds its lease lost and ends. Then a third gets the
	// lock file, but not the lease, because the second still has that.
	f.must(f.Store.lock.close())
	third := &fixture{TB: t, Store: open(t, f.url)}
	if tok, by, _, err := third.Acquire(t.Context(), "third", t0.Add(ttl+2*time.Second), ttl); err != nil || tok != 0 || by != "second" {
		t.Errorf("the third: token %d, held by %q, %v", tok, by, err)
	}
	other.acquire("second", t0.Add(ttl+3*time.Second), ttl) // renews, now with the lock
	if _, fresh, err := third.Store.lock.try(); err != nil || fresh {
		t.Errorf("the renewed holder has no lock: %v", err)
	}
}

func TestASecondProcessMayReadNudgeAndMapWithoutTheLease(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		other := open(t, f.url)
		f.must(other.Nudge(t.Context(), []string{"sub_a", "sub_b", "sub_a"}, "admin", t0))
		f.must(other.Nudge(t.Context(), nil, "cron", t0.Add(-time.Second)))
		f.must(other.SetMapping(t.Context(), reconcile.Mapping{BillingID: "price_a", Plan: "2"}, "op@example.com", t0))
		all, err := other.Customers(t.Context(), []string{"cus_a"})
		f.must(err)
		same(t, "customers read", 1, len(all))
		waiting, err := f.NudgesWaiting(t.Context())
		f.must(err)
		same(t, "waiting", true, waiting)
		ids, err := f.TakeNudges(t.Context(), f.tok, time.Time{})
		f.must(err)
		same(t, "nudges", []string{"", "sub_a", "sub_b"}, ids)
		waiting, err = f.NudgesWaiting(t.Context())
		f.must(err)
		same(t, "waiting afterwards", false, waiting)
	})
}
