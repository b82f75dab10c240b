package store

import (
	"errors"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAnOutcomeBindsOrgAndHosting(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		f.must(f.do(action("rename_org:cus_a", reconcile.RenameOrg, "cus_a", ""), t0, reconcile.Outcome{OrgNamed: true}))
		f.must(f.do(action("invite_owner:cus_a", reconcile.InviteOwner, "cus_a", ""), t0, reconcile.Outcome{Invited: t0.Add(time.Second), InvitedEmail: "a@example.com"}))
		c := f.customer("cus_a")
		want := reconcile.Customer{ID: "cus_a", Email: c.Email, Name: c.Name, Buyers: c.Buyers, Subscriptions: c.Subscriptions,
			Bindings: []reconcile.Binding{{Subscription: "sub_a", Item: "si_1", Slot: 1, Org: "org-a", Hosting: 42, How: reconcile.BoundByCreate, At: t0}},
			Hostings: []reconcile.Hosting{bound(activeHosting(42, "org-a"))},
			Org:      &reconcile.Org{ID: "org-a", Name: "Example", Hostings: 1, Created: t0, ObservedAt: t0},
			OrgNamed: true, Invited: t0.Add(time.Second), InvitedEmail: "a@example.com"}
		same(t, "customer", want, c)
		counts, err := f.Counts(t.Context())
		f.must(err)
		same(t, "bound", 1, counts.Bound)
	})
}

func TestSettlingAgainChangesNothing(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		h := *activeHosting(42, "org-a")
		h.State, h.SuspendedByUs = reconcile.HostingSuspended, t0
		o := reconcile.Outcome{Action: a, Run: "run-1", State: reconcile.ActionApplied, At: t0, Hosting: &h}
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
		f.must(f.RecordOutcome(t.Context(), f.tok, o))
		before := f.states("cus_a")
		f.must(f.RecordOutcome(t.Context(), f.tok, o))
		same(t, "journal", before, f.states("cus_a"))
		counts, err := f.Counts(t.Context())
		f.must(err)
		same(t, "suspended", 1, counts.Suspended)
	})
}

func TestOneWriteOfACustomerIsUnderWayAtATime(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		first := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", first, "", t0))
		for _, a := range []reconcile.Action{first, action("change_plan:sub_a/1:42:1>2", reconcile.ChangePlan, "cus_a", "sub_a")} {
			if err := f.RecordIntent(t.Context(), f.tok, "run-2", a, "", t0); !errors.Is(err, fault.Conflict) {
				t.Errorf("%s: %v, want a conflict", a.ID, err)
			}
		}
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", action("suspend:sub_b/1:43", reconcile.Suspend, "cus_b", "sub_b"), "", t0))
	})
}

func TestAnIntentForACustomerThatIsGoneIsAConflict(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		if err := f.RecordIntent(t.Context(), f.tok, "run-1", action("create_org:cus_x", reconcile.CreateOrg, "cus_x", ""), "", t0); !errors.Is(err, fault.Conflict) {
			t.Errorf("%v, want a conflict", err)
		}
	})
}

func TestAWriteThatWasNeverHeardOfIsPending(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := action("create_subscription:sub_a/1:1", reconcile.CreateSubscription, "cus_a", "sub_a")
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
		want := []reconcile.Pending{{ActionID: a.ID, Kind: a.Kind, Subscription: "sub_a", Slot: 1, Email: a.Email, Org: a.Org, Hosting: a.Hosting, SentAt: t0, SettleUntil: t0}}
		same(t, "pending after a crash", want, f.customer("cus_a").Pending)

		o := reconcile.Outcome{Action: a, Run: "run-1", State: reconcile.ActionAmbiguous, Error: "time-out", At: t0.Add(time.Second), SettleUntil: t0.Add(90 * time.Second)}
		f.must(f.RecordOutcome(t.Context(), f.tok, o))
		want[0].SettleUntil = t0.Add(90 * time.Second)
		same(t, "pending when ambiguous", want, f.customer("cus_a").Pending)

		o.Looks, o.LookedAt, o.Run = 1, t0.Add(2*time.Minute), "run-2"
		f.must(f.RecordOutcome(t.Context(), f.tok, o))
		want[0].Looks, want[0].LookedAt = 1, t0.Add(2*time.Minute)
		same(t, "pending after a look", want, f.customer("cus_a").Pending)

		f.must(f.RecordIntent(t.Context(), f.tok, "run-3", a, "", t0.Add(3*time.Minute)))
		o = reconcile.Outcome{Action: a, Run: "run-3", State: reconcile.ActionAdopted, At: t0.Add(4 * time.Minute)}
		f.must(f.RecordOutcome(t.Context(), f.tok, o))
		same(t, "pending at the end", []reconcile.Pending(nil), f.customer("cus_a").Pending)
		same(t, "journal: one row all along", map[string]string{a.ID + "@run-1": "adopted"}, f.states("cus_a"))
	})
}

func TestSavePlannedKeepsSupersedesAndLeavesAlone(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		kept := action("change_plan:sub_a/1:42:1>2", reconcile.ChangePlan, "cus_a", "sub_a")
		dropped := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		sent := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")
		f.must(f.RecordIntent(t.Context(), f.tok, "run-0", sent, "", t0))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{sent, kept, dropped}}}, t0))
		f.hold("run-1", held("plan1", reconcile.ChangePlan, t0, kept))
		same(t, "after holding", map[string]string{"create_org:cus_a@run-0": "sent", kept.ID + "@run-1": "held", dropped.ID + "@run-1": "planned"}, f.states("cus_a"))

		kept.Reason = "another reason"
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{kept}}}, t0.Add(time.Hour)))
		same(t, "after the next plan", map[string]string{"create_org:cus_a@run-0": "sent", kept.ID + "@run-1": "planned", dropped.ID + "@run-1": "superseded"}, f.states("cus_a"))

		var run []reconcile.ActionRecord
		f.must(f.RunActions(t.Context(), "run-2", func(r reconcile.ActionRecord) error { run = append(run, r); return nil }))
		same(t, "rows of run-2", []reconcile.ActionRecord{
			{Action: kept, Key: kept.ID + "@run-1", Run: "run-2", State: reconcile.ActionPlanned, PlannedAt: t0},
			{Action: dropped, Key: dropped.ID + "@run-1", Run: "run-2", State: reconcile.ActionSuperseded, PlannedAt: t0, FinishedAt: t0.Add(time.Hour)},
		}, run)

		f.must(f.SavePlanned(t.Context(), f.tok, "run-3", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{dropped}}}, t0))
		same(t, "wanted once more", map[string]string{"create_org:cus_a@run-0": "sent", kept.ID + "@run-1": "superseded",
			dropped.ID + "@run-1": "superseded", dropped.ID + "@run-3": "planned"}, f.states("cus_a"))
	})
}

// If the planner decided nothing about a customer, its approved actions stay, because they
// must not need a second approval.
func TestWhatIsWantedOfWhoIsUndecidedStays(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a")
		f.plan("cus_a", a)
		f.hold("run-plan", held("plan-1", reconcile.Suspend, t0, a))
		_, err := f.Approve(t.Context(), "plan-1", 0, "op", t0.Add(time.Minute))
		f.must(err)
		hold := reconcile.Hold{Kind: reconcile.HoldRetry, Customer: "cus_a", Reason: "internal error"}
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Undecided: true, Holds: []reconcile.Hold{hold}}}, t0.Add(time.Hour)))
		same(t, "journal", map[string]string{a.ID + "@run-plan": "held"}, f.states("cus_a"))
		approved, err := f.Approved(t.Context(), t0.Add(2*time.Hour))
		f.must(err)
		if len(approved) != 1 || len(approved[0].Actions) != 1 {
			t.Errorf("what the approval still releases: %+v", approved)
		}
		var told []reconcile.Hold
		f.must(f.Holds(t.Context(), func(h reconcile.Hold) error { told = append(told, h); return nil }))
		same(t, "told", []reconcile.Hold{hold}, told)
	})
}

func TestAnActionThatFailedAndIsPlannedAgainInTheSameRunHasARowOfItsOwn(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")
		want := map[string]string{}
		for _, key := range []string{"create_org:cus_a@run-do", "create_org:cus_a@run-do.2", "create_org:cus_a@run-do.3"} {
			f.must(f.SavePlanned(t.Context(), f.tok, "run-do", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{a}}}, t0))
			f.must(f.do(a, t0, reconcile.Outcome{State: reconcile.ActionFailed, Error: "400"}))
			want[key] = "failed"
			same(t, "journal", want, f.states("cus_a"))
		}
	})
}

func TestAWakeUpDuringPlanningSurvivesThePlan(t *testing.T) {
	later := t0.Add(time.Hour)
	wakes := []struct {
		name string
		wake func(f *fixture, other *Store) error
	}{
		{"facts", func(f *fixture, _ *Store) error {
			return f.SaveFacts(f.Context(), f.tok, []reconcile.SubscriptionFacts{facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusUnpaid))}, false, later)
		}},
		{"a hold by a person", func(f *fixture, other *Store) error {
			_, err := other.AddManualHold(f.Context(), reconcile.ManualHold{ID: "h1", Customer: "cus_a", Kind: reconcile.Ignore, Created: later})
			return err
		}},
		{"a retry by a person", func(f *fixture, other *Store) error {
			_, err := other.Retry(f.Context(), "cus_a", later)
			return err
		}},
	}
	for _, c := range wakes {
		for _, save := range []string{"planned", "postponed"} {
			t.Run(c.name+", then "+save, func(t *testing.T) {
				conform(t, func(t *testing.T, f *fixture) {
					f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
					f.settled(t0, "cus_a")
					loaded := f.customer("cus_a")
					f.must(c.wake(f, open(t, f.url)))
					f.customer("cus_a") // a reader of the same store, as the admin API is
					if save == "planned" {
						f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Version: loaded.Version}}, later))
					} else {
						f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_a", Version: loaded.Version, Due: later.Add(time.Hour), Error: "no"}, later))
					}
					same(t, "due", []string{"cus_a"}, f.dueIDs(later))
				})
			})
		}
	}
}

func TestABindingIsNeverReplacedBySomethingThatLooksBetter(t *testing.T) {
	cases := []struct {
		name     string
		how      reconcile.BindKind
		old      reconcile.Status // of the subscription that has hosting 42 already
		buyer    string           // of the new subscription
		slot     int
		hosting  int64
		conflict bool
		bindings []string // of both subscriptions afterwards
	}{
		{"a create cannot bind what is bound", reconcile.BoundByCreate, reconcile.StatusActive, "cus_a", 1, 42, true, []string{"sub_old"}},
		{"a return takes over from an ended subscription", reconcile.BoundByResubscription, reconcile.StatusCanceled, "cus_a", 1, 42, false, []string{"sub_new"}},
		{"a return shares with a live subscription", reconcile.BoundByResubscription, reconcile.StatusActive, "cus_a", 1, 42, false, []string{"sub_new", "sub_old"}},
		{"a return takes nothing from another customer", reconcile.BoundByResubscription, reconcile.StatusCanceled, "cus_b", 1, 42, false, []string{"sub_new", "sub_old"}},
		{"metadata shares", reconcile.BoundByMetadata, reconcile.StatusCanceled, "cus_a", 1, 42, false, []string{"sub_new", "sub_old"}},
		{"a slot that is bound elsewhere stays", reconcile.BoundByMarker, reconcile.StatusActive, "cus_a", 2, 42, true, []string{"sub_new", "sub_old"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conform(t, func(t *testing.T, f *fixture) {
				f.save(t0, facts("sub_old", "cus_a", "a@example.com", status(c.old)), facts("sub_new", c.buyer, c.buyer+"@example.com"))
				f.bindHosting("cus_a", "sub_old", 1, "org-a", 42)
				if c.slot == 2 {
					f.bindHosting(c.buyer, "sub_new", 2, "org-a", 77)
				}
				err := f.bound(c.buyer, "sub_new", c.slot, "org-a", c.hosting, c.how)
				if errors.Is(err, fault.Conflict) != c.conflict || err != nil && !c.conflict {
					t.Fatalf("%v, want a conflict: %v", err, c.conflict)
				}
				var have []string
				f.must(f.query(t.Context(), "bindings", "SELECT subscription_id FROM bindings ORDER BY 1", nil, func(row scan) error {
					var id string
					err := row(&id)
					have = append(have, id)
					return err
				}))
				same(t, "bindings", c.bindings, have)
				f.checkTallies()
			})
		})
	}
}

// bound is a hosting as it is stored when something is bound to it.
func bound(h *reconcile.Hosting) reconcile.Hosting {
	stored := *h
	stored.Bound = true
	return stored
}

func TestAnOrgThatWasMadeIsNobodyElsesAndACustomerKeepsItsOrg(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		link := func(customer, org string) error {
			return f.do(action("link:"+customer+":"+org, reconcile.Link, customer, ""), t0, reconcile.Outcome{Org: &reconcile.Org{ID: org}})
		}
		made := action("create_org:cus_b", reconcile.CreateOrg, "cus_b", "")
		if err := f.do(made, t0, reconcile.Outcome{Org: &reconcile.Org{ID: "org-a"}}); !errors.Is(err, fault.Conflict) {
			t.Errorf("made, and another customer's: %v, want a conflict", err)
		}
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: made, Run: "run-do", State: reconcile.ActionFailed, At: t0}))
		if err := link("cus_a", "org-b"); !errors.Is(err, fault.Conflict) {
			t.Errorf("another org: %v, want a conflict", err)
		}
	})
}

func TestSuspensionsOfOursAreKnownByTheJournalAlone(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		ours := func() time.Time { return f.customer("cus_a").Hostings[0].SuspendedByUs }
		suspended := *activeHosting(42, "org-a")
		suspended.State, suspended.SuspendedBy = reconcile.HostingSuspended, "org-x"

		f.must(f.SaveHosting(t.Context(), f.tok, suspended, t0))
		same(t, "after seeing a suspension", time.Time{}, ours())

		byUs := suspended
		byUs.SuspendedByUs = t0.Add(time.Minute)
		f.must(f.do(action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: &byUs}))
		same(t, "after suspending", t0.Add(time.Minute), ours())
		f.must(f.SaveHostings(t.Context(), f.tok, "org-a", []reconcile.Hosting{suspended}, t0))
		same(t, "after seeing it again", t0.Add(time.Minute), ours())
		f.checkTallies()

		f.must(f.SaveHosting(t.Context(), f.tok, *activeHosting(42, "org-a"), t0))
		f.must(f.SaveHosting(t.Context(), f.tok, suspended, t0))
		same(t, "staff lifted it and suspended again", time.Time{}, ours())

		f.must(f.do(action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: &byUs}))
		f.must(f.do(action("resume:sub_a/1:42", reconcile.Resume, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: activeHosting(42, "org-a"), Unsuspend: true}))
		same(t, "after resuming", time.Time{}, ours())
		f.checkTallies()
	})
}

func TestWhatIsOursSurvivesWhatThePanelSays(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		total := int64(10)
		done := *activeHosting(42, "org-a")
		done.Usage = []reconcile.Usage{{Name: "websites", Used: 3, Total: &total}, {Name: "mailboxes", Used: 1}}
		done.Website = "shop.example.com"
		f.must(f.do(action("create_website:sub_a/1:42", reconcile.CreateWebsite, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: &done}))
		seen := *activeHosting(42, "org-a")
		seen.ObservedAt = t0.Add(time.Hour)
		f.must(f.SaveHosting(t.Context(), f.tok, seen, t0.Add(time.Hour)))
		want := bound(&done)
		want.ObservedAt = t0.Add(time.Hour)
		same(t, "hosting", []reconcile.Hosting{want}, f.customer("cus_a").Hostings)

		f.must(f.SaveHosting(t.Context(), f.tok, reconcile.Hosting{ID: 42, State: reconcile.HostingMissing, ObservedAt: t0.Add(2 * time.Hour)}, t0))
		want.State, want.ObservedAt = reconcile.HostingMissing, t0.Add(2*time.Hour)
		same(t, "hosting that is missing", []reconcile.Hosting{want}, f.customer("cus_a").Hostings)
	})
}

func TestTerminatedHostingsAreNeitherDriftNorCounted(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 42)
		gone := *activeHosting(42, "org-a")
		gone.State, gone.TerminatedByUs = reconcile.HostingDeleted, t0
		f.must(f.do(action("terminate:sub_a/1:42", reconcile.Terminate, "cus_a", "sub_a"), t0, reconcile.Outcome{Hosting: &gone}))
		due, err := f.DriftDue(t.Context(), t0.Add(time.Hour), t0.Add(time.Hour), 10)
		f.must(err)
		same(t, "drift", 0, len(due))
		counts, err := f.Counts(t.Context())
		f.must(err)
		same(t, "bound", 0, counts.Bound)
		same(t, "terminated", t0, f.customer("cus_a").Hostings[0].TerminatedByUs)
		f.checkTallies()
	})
}

func TestMetadataThatWeWroteIsKnownAtOnce(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.must(f.do(action("write_metadata:sub_a", reconcile.WriteMetadata, "cus_a", "sub_a"), t0, reconcile.Outcome{MetadataOK: true}))
		s := f.customer("cus_a").Subscriptions[0]
		same(t, "metadata", []any{"org-1", int64(42)}, []any{s.MetadataOrg, s.MetadataHosting})
	})
}

func TestAnOutcomeMustBeOne(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		a := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", "")
		for _, state := range []reconcile.ActionState{0, reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSent} {
			if err := f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "r", State: state, At: t0}); err == nil {
				t.Errorf("%s was taken as an outcome", state)
			}
		}
		same(t, "journal", map[string]string{}, f.states("cus_a"))
	})
}
