package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const yearsOld = 3 * 365 * 24 * time.Hour

// sqlTime is a time as SQL.
func (f *fixture) sqlTime(t time.Time) string {
	if f.d == postgres {
		return "CAST('" + t.UTC().Format("2006-01-02 15:04:05.000000+00") + "' AS TIMESTAMPTZ)"
	}
	return fmt.Sprint(t.UnixMicro())
}

// oldAction is a row of the journal that was planned and ended long ago.
type oldAction struct {
	key, kind, state       string
	customer, subscription string
	hosting                int64
	looks                  int
	plan, run              string
	age                    time.Duration
}

func (f *fixture) insertOld(a oldAction) {
	f.Helper()
	if a.age == 0 {
		a.age = yearsOld
	}
	when := f.sqlTime(t0.Add(-a.age))
	sent, finished, settle := when, when, "NULL"
	switch a.state {
	case "planned", "held":
		sent, finished = "NULL", "NULL"
	case "superseded":
		sent = "NULL"
	case "sent":
		finished = "NULL"
	case "ambiguous":
		finished, settle = "NULL", when
	}
	f.edit(fmt.Sprintf(`INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, subscription_id, hosting_id, state, planned_at, sent_at, finished_at, settle_until, looks, held_plan_id)
		VALUES ('%s', '%s', '%s', 1, '%s', '%s', '%s', %d, '%s', %s, %s, %s, %s, %d, '%s')`,
		a.key, a.key, a.run, a.kind, a.customer, a.subscription, a.hosting, a.state, when, sent, finished, settle, a.looks, a.plan))
}

// prune prunes a table whole, a few rows at a time, and returns the keys that are left.
func (f *fixture) prune(table reconcile.OldRows, keep time.Duration) (left []string) {
	f.Helper()
	var after reconcile.RowPosition
	for range 1000 {
		last, _, ended, err := f.Prune(f.Context(), f.tok, table, after, t0.Add(-keep), 2)
		f.must(err)
		if after = last; ended {
			o := f.olds(table)
			left, err = f.strings(f.Context(), "reading", "SELECT "+o.id+" FROM "+o.name+" ORDER BY "+o.id)
			f.must(err)
			return left
		}
	}
	f.Fatal("pruning has no end")
	return nil
}

const keepYears = 2 * 365 * 24 * time.Hour

// TestOfTheJournalOnlyWhatNothingRestsOnIsPruned: each row that stays has its reason in its
// name.
func TestOfTheJournalOnlyWhatNothingRestsOnIsPruned(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.edit(`INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at) VALUES ('open', 'suspend', 'r', 'x', `+f.sqlTime(t0)+", "+f.sqlTime(t0)+")",
			`INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, closed_at) VALUES ('closed', 'suspend', 'r', 'x', `+f.sqlTime(t0)+", "+f.sqlTime(t0)+", "+f.sqlTime(t0)+")")
		of := func(key, kind, state string, more ...func(*oldAction)) {
			a := oldAction{key: key, kind: kind, state: state, customer: "cus_a", subscription: "sub_a", hosting: 7}
			for _, m := range more {
				m(&a)
			}
			f.insertOld(a)
		}
		age := func(d time.Duration) func(*oldAction) { return func(a *oldAction) { a.age = d } }
		customer := func(c, s string) func(*oldAction) { return func(a *oldAction) { a.customer, a.subscription = c, s } }
		hosting := func(id int64) func(*oldAction) { return func(a *oldAction) { a.hosting = id } }
		of("gone: an earlier suspension", "suspend", "applied", age(yearsOld+3*time.Hour))
		of("gone: an earlier one that was found done", "suspend", "adopted", age(yearsOld+2*time.Hour))
		of("gone: failed", "suspend", "failed", age(yearsOld-time.Hour))
		of("gone: superseded", "resume", "superseded")
		of("gone: a create that made nothing", "create_subscription", "failed", hosting(0))
		of("gone: of a plan that is closed", "change_plan", "failed", func(a *oldAction) { a.plan = "closed" })
		of("stays: the last suspension", "suspend", "applied")
		of("stays: the last one of another hosting", "suspend", "applied", hosting(8), age(yearsOld+5*time.Hour))
		of("stays: the last one of another customer", "suspend", "applied", customer("cus_b", "sub_b"), age(yearsOld+5*time.Hour))
		of("stays: the invitation", "invite_owner", "applied", hosting(0))
		of("stays: a creation", "create_subscription", "applied", age(yearsOld+9*time.Hour))
		of("stays: a second creation", "create_subscription", "adopted", age(yearsOld+8*time.Hour))
		of("stays: an org", "create_org", "applied", age(yearsOld+9*time.Hour), hosting(0))
		of("stays: a second org", "create_org", "applied", age(yearsOld+8*time.Hour), hosting(0))
		of("stays: a creation that may have made one", "create_subscription", "failed", func(a *oldAction) { a.looks = 1 })
		of("stays: planned", "resume", "planned", customer("cus_c", "sub_c"))
		of("stays: sent", "resume", "sent", customer("cus_d", "sub_d"))
		of("stays: without an answer", "resume", "ambiguous", customer("cus_e", "sub_e"))
		of("stays: held", "suspend", "held", customer("cus_f", "sub_f"), func(a *oldAction) { a.plan = "open" })
		of("stays: failed in an open plan", "suspend", "failed", func(a *oldAction) { a.plan = "open" })
		of("stays: young", "suspend", "failed", age(keepYears-time.Hour))
		before, err := f.strings(t.Context(), "reading", "SELECT key FROM actions")
		f.must(err)
		left := f.prune(reconcile.OldActions, keepYears)
		for _, key := range before {
			if want := key[:5] == "stays"; want != slices.Contains(left, key) {
				t.Errorf("%s: it is still there: %v", key, !want)
			}
		}
		same(t, "a second time", left, f.prune(reconcile.OldActions, keepYears))
	})
}

// A hosting with our marker that the journal does not know shows another installation or an
// old database: its creation must be known as long as the hosting is there.
func TestACreationOfYearsAgoIsStillKnown(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		// a first hosting, made and replaced by hand, whose marker is the same
		f.insertOld(oldAction{key: "create_subscription:sub_a/1@old.1", kind: "create_subscription", state: "applied", customer: "cus_a", subscription: "sub_a", hosting: 6})
		f.edit("UPDATE actions SET slot = 1 WHERE hosting_id = 6")
		f.must(f.SaveHosting(t.Context(), f.tok, made(6, "org-a", "Pro [sub_a/1]"), t0))
		f.prune(reconcile.OldActions, keepYears)
		twice, err := f.Duplicates(t.Context(), "", 10)
		f.must(err)
		if len(twice) != 0 {
			t.Errorf("what we made years ago counts as made by another installation: %v", twice)
		}
	})
}

func TestOfTheRunsThoseThatSomethingRestsOnStay(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		run := func(id string, age time.Duration, listed bool) {
			f.Helper()
			f.must(f.BeginRun(t.Context(), f.tok, reconcile.RunRecord{ID: id, Trigger: "cron", Mode: "full", Started: t0.Add(-age)}))
			var l *reconcile.ListedState
			if listed {
				l = &reconcile.ListedState{Count: 5, Entitled: 4, At: t0.Add(-age)}
			}
			f.must(f.EndRun(t.Context(), f.tok, reconcile.RunRecord{ID: id, Trigger: "cron", Mode: "full", Started: t0.Add(-age), Finished: t0.Add(-age)}, l))
		}
		run("gone: an earlier sweep", yearsOld+5*time.Hour, true)
		run("stays: the last sweep", yearsOld+4*time.Hour, true)
		run("gone: idle", yearsOld+3*time.Hour, false)
		run("stays: with an open row", yearsOld+3*time.Hour, false)
		run("stays: with an open plan", yearsOld+3*time.Hour, false)
		run("gone: with rows that have ended", yearsOld+2*time.Hour, false)
		run("stays: the last one", yearsOld, false)
		f.insertOld(oldAction{key: "a", kind: "resume", state: "ambiguous", customer: "cus_a", run: "stays: with an open row"})
		f.insertOld(oldAction{key: "b", kind: "resume", state: "failed", customer: "cus_a", run: "gone: with rows that have ended"})
		f.edit(`INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at) VALUES ('open', 'suspend', 'stays: with an open plan', 'x', ` + f.sqlTime(t0) + ", " + f.sqlTime(t0) + ")")
		same(t, "left", []string{"stays: the last one", "stays: the last sweep", "stays: with an open plan", "stays: with an open row"}, f.prune(reconcile.OldRuns, keepYears))
		listed, err := f.LastListed(t.Context())
		f.must(err)
		same(t, "what later listings are compared with", 5, listed.Count)
	})
}

func TestAWebhookThatWaitsOrFailedStays(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		for _, w := range []struct {
			id, subscription, state string
			age                     time.Duration
		}{
			{"gone: followed", "sub_a", "followed", yearsOld},
			{"gone: failed, of a subscription that is not known", "sub_z", "failed", yearsOld},
			{"stays: not followed yet", "sub_a", "received", yearsOld},
			{"stays: failed and not healed", "sub_a", "failed", yearsOld},
			{"stays: young", "sub_a", "followed", keepYears - time.Hour},
		} {
			when := f.sqlTime(t0.Add(-w.age))
			finished, problem := when, ""
			switch w.state {
			case "received":
				finished = "NULL"
			case "failed":
				problem = "x"
			}
			f.edit(fmt.Sprintf("INSERT INTO webhook_logs (event_id, event_type, subscription_id, received_at, state, finished_at, error) VALUES ('%s', 'x', '%s', %s, '%s', %s, '%s')",
				w.id, w.subscription, when, w.state, finished, problem))
		}
		same(t, "left", []string{"stays: failed and not healed", "stays: not followed yet", "stays: young"}, f.prune(reconcile.OldWebhooks, keepYears))
		f.edit("UPDATE customers SET planned_at = " + f.sqlTime(t0) + ", failures = 0")
		same(t, "healed", []string{"stays: not followed yet", "stays: young"}, f.prune(reconcile.OldWebhooks, keepYears))
	})
}

// TestAHeldPlanStaysUntilItIsOver: rejected or no longer wanted, or approved and done.
func TestAHeldPlanStaysUntilItIsOver(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for _, p := range []struct {
			id               string
			approved, closed time.Duration // ago; 0: never
			left             string
			age              time.Duration
		}{
			{"gone: approved and done", yearsOld, 0, "left", yearsOld},
			{"gone: closed", 0, yearsOld, "", yearsOld},
			{"stays: approved, and a change is not made", yearsOld, 0, "", yearsOld},
			{"stays: approved lately", keepYears - time.Hour, 0, "left", yearsOld},
			{"stays: closed lately", 0, keepYears - time.Hour, "left", yearsOld},
			{"stays: it waits", 0, 0, "", yearsOld},
			{"stays: its change has no outcome", 0, yearsOld, "left", yearsOld},
			{"stays: young", 0, keepYears - time.Hour, "left", keepYears - time.Hour},
		} {
			ago := func(d time.Duration) string {
				if d == 0 {
					return "NULL"
				}
				return f.sqlTime(t0.Add(-d))
			}
			by, left := "", "NULL"
			if p.approved > 0 {
				by = "ada"
			}
			if p.left != "" {
				left = ago(yearsOld)
			}
			f.edit(fmt.Sprintf("INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, approved_at, approved_by, closed_at) VALUES ('%s', 'suspend', 'r', 'x', %[2]s, %[2]s, %s, '%s', %s)",
				p.id, ago(p.age), ago(p.approved), by, ago(p.closed)),
				fmt.Sprintf("INSERT INTO plan_actions (plan_id, position, action_id, action, customer_id, left_at) VALUES ('%s', 1, 'a', '{}', 'cus_a', %s)", p.id, left))
		}
		f.insertOld(oldAction{key: "open", kind: "suspend", state: "ambiguous", customer: "cus_a", plan: "stays: its change has no outcome"})
		left := f.prune(reconcile.OldPlans, keepYears)
		same(t, "left", []string{"stays: approved lately", "stays: approved, and a change is not made", "stays: closed lately", "stays: it waits", "stays: its change has no outcome", "stays: young"}, left)
		of, err := f.strings(t.Context(), "reading", "SELECT plan_id FROM plan_actions ORDER BY plan_id")
		f.must(err)
		same(t, "their changes", left, of)
	})
}

// TestAMailStaysWhileItMayComeAgain: an intent, and a warning of what may still come.
func TestAMailStaysWhileItMayComeAgain(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_late", "cus_late", "late@example.com"), facts("sub_down", "cus_down", "down@example.com"), facts("sub_paid", "cus_paid", "paid@example.com"))
		for i, who := range []string{"late", "down", "paid"} {
			suspended := "NULL"
			if who == "down" {
				suspended = f.sqlTime(t0.Add(-yearsOld))
			}
			f.edit(fmt.Sprintf("INSERT INTO hostings (id, org_id, plan_id, state, observed_at, suspended_by_us) VALUES (%d, 'org', 1, 'active', %s, %s)", i+1, f.sqlTime(t0), suspended),
				fmt.Sprintf("INSERT INTO bindings (subscription_id, item_id, slot, org_id, hosting_id, how, bound_at) VALUES ('sub_%s', 'si', 1, 'org', %d, 'create', %s)", who, i+1, f.sqlTime(t0)))
		}
		f.edit("UPDATE subscriptions SET status = 'past_due' WHERE id = 'sub_late'")
		for key, m := range map[string]struct {
			customer, state string
			age             time.Duration
		}{
			"warn_suspend:gone":                      {"cus_paid", "sent", yearsOld},
			"warn_suspend:stays, it is unpaid":       {"cus_late", "sent", yearsOld},
			"warn_terminate:stays, it is suspended":  {"cus_down", "sent", yearsOld},
			"suspended:gone":                         {"cus_down", "sent", yearsOld},
			"suspended:gone, it was refused":         {"cus_late", "refused", yearsOld},
			"suspended:stays, it has no outcome":     {"cus_paid", "intended", yearsOld},
			"suspended:stays, it is young":           {"cus_paid", "sent", keepYears - time.Hour},
			"warn_suspend:gone, of who is not known": {"cus_z", "unknown", yearsOld},
		} {
			f.edit(fmt.Sprintf("INSERT INTO mails (key, action_id, customer_id, state, at) VALUES ('%s', 'a', '%s', '%s', %s)", key, m.customer, m.state, f.sqlTime(t0.Add(-m.age))))
		}
		same(t, "left", []string{"suspended:stays, it has no outcome", "suspended:stays, it is young", "warn_suspend:stays, it is unpaid", "warn_terminate:stays, it is suspended"},
			f.prune(reconcile.OldMails, keepYears))
	})
}

// TestPruningNeedsTheLease, because only one process decides how far it is.
func TestPruningNeedsTheLease(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.insertOld(oldAction{key: "a", kind: "resume", state: "failed", customer: "cus_a"})
		if _, _, _, err := f.Prune(t.Context(), f.tok+1, reconcile.OldActions, reconcile.RowPosition{}, t0, 10); err == nil {
			t.Error("pruned without the lease")
		}
		same(t, "left", []string{"a"}, f.prune(reconcile.OldActions, 10*yearsOld))
	})
}

// The size in bytes is that of the file, and grows with what is stored.
func TestTheSizeOfTheDatabaseGrowsWithIt(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		before, err := f.Size(t.Context())
		f.must(err)
		for i := range 1000 {
			f.insertOld(oldAction{key: fmt.Sprintf("%0200d", i), kind: "resume", state: "failed", customer: "cus_a"})
		}
		after, err := f.Size(t.Context())
		f.must(err)
		if before < 4096 || after < before+200_000 {
			t.Errorf("%d bytes, and %d with 1000 rows more", before, after)
		}
	})
}

// A new database of SQLite gets shorter again.
func TestSQLiteGivesPrunedPagesBack(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	pages := func() (n int) {
		f.must(f.query(t.Context(), "counting", "PRAGMA page_count", nil, func(row scan) error { return row(&n) }))
		return n
	}
	before := pages()
	for i := range 2000 {
		f.insertOld(oldAction{key: fmt.Sprintf("%0200d", i), kind: "resume", state: "failed", customer: "cus_a"})
	}
	full := pages()
	var after reconcile.RowPosition
	for ended := false; !ended; {
		var err error
		after, _, ended, err = f.Prune(t.Context(), f.tok, reconcile.OldActions, after, t0, 200)
		f.must(err)
	}
	if now := pages(); now > before+(full-before)/4 {
		t.Errorf("%d pages, then %d, and %d after pruning", before, full, now)
	}
}
