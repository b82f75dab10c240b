package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// If a statement fails, or a row cannot be read, a write is an error and leaves nothing.
func TestFactsAreStoredWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		transferred := facts("sub_c", "cus_b", "other@example.com")
		all := []reconcile.SubscriptionFacts{facts("sub_a", "cus_a", "new@example.com", status(reconcile.StatusPastDue)), transferred, facts("sub_z", "cus_z", "")}
		return []call{
			{name: "SaveFacts", make: func(ctx context.Context) error { return f.SaveFacts(ctx, f.tok, all, true, t0) }},
			{name: "MarkGone", make: func(ctx context.Context) error { return f.MarkGone(ctx, f.tok, "sub_a", t0) }},
			{name: "BeginSweep", make: func(ctx context.Context) error { return f.BeginSweep(ctx, f.tok) }},
			{name: "Stage", first: f.Store.sweep.begin, make: func(ctx context.Context) error {
				return f.Stage(ctx, f.tok, []reconcile.SubscriptionFacts{facts("sub_a", "cus_a", "third@example.com"), facts("sub_b", "cus_b", "x@example.com")})
			}},
			{name: "DomainChecked", make: func(ctx context.Context) error { return f.DomainChecked(ctx, f.tok, "sub_a", "d.example.com") }},
			{name: "SawEvents", make: func(ctx context.Context) error {
				return f.SawEvents(ctx, f.tok, []reconcile.Event{{ID: "evt_9", Created: t0}}, "evt_9", t0.Add(time.Hour))
			}},
			{name: "SetCursor", make: func(ctx context.Context) error { return f.SetCursor(ctx, f.tok, "c", "v") }},
			{name: "SetNotified", make: func(ctx context.Context) error { return f.SetNotified(ctx, "sent") }},
		}
	})
}

// A sweep is merged in parts, and a part that fails ends it.
func TestASweepThatCannotBeMergedIsAnError(t *testing.T) {
	broken(t, func(f *fixture) []call {
		tries := 0
		return []call{
			{name: "MergeSweep", parts: true, first: func() {
				tries++
				f.must(f.BeginSweep(f.Context(), f.tok))
				one := facts("sub_s", "cus_s", fmt.Sprintf("try%d@example.com", tries))
				f.must(f.Stage(f.Context(), f.tok, []reconcile.SubscriptionFacts{one}))
			}, make: func(ctx context.Context) error { _, err := f.MergeSweep(ctx, f.tok, t0); return err }},
			{name: "MergeSweep of a stored run", parts: true, first: func() {
				tries++
				one := cleaned(facts("sub_s", "cus_s", fmt.Sprintf("try%d@example.com", tries)))
				f.must(f.BeginSweep(f.Context(), f.tok))
				f.must(f.fenced(f.Context(), "storing a run", f.tok, func(ctx context.Context, tx conn) (err error) {
					blocks, err := storeRun(ctx, tx, 0, []staged{{buyer: "cus_s", id: "sub_s", readAt: t0, packed: content(&one)}})
					f.Store.sweep.runs = []int{blocks}
					return err
				}))
			}, make: func(ctx context.Context) error { _, err := f.MergeSweep(ctx, f.tok, t0); return err }},
			{name: "MakeDue all", parts: true, make: func(ctx context.Context) error { return f.MakeDue(ctx, f.tok, nil, t0) }},
			{name: "BeginRun without counts", parts: true, first: func() {
				f.countedFor.Store(0)
				f.edit("UPDATE leases SET counted = 0", "UPDATE customers SET held_kinds = NULL")
			}, make: func(ctx context.Context) error {
				return f.BeginRun(ctx, f.tok, reconcile.RunRecord{ID: "run-c", Mode: "full"})
			}},
			{name: "WebhookResult", parts: true, first: func() { f.edit("DELETE FROM nudges") }, make: func(ctx context.Context) error { return f.WebhookResult(ctx, "", t0.Add(time.Hour), "", t0) }},
		}
	})
}

func TestDecisionsAndTheJournalAreStoredWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		wanted, free := action("suspend:sub_b/1:43", reconcile.Suspend, "cus_b", "sub_b"), action("invite:cus_d", reconcile.InviteOwner, "cus_d", "")
		made := action("create_org:cus_d", reconcile.CreateOrg, "cus_d", "")
		planned := []reconcile.Planned{{Customer: "cus_b", Actions: []reconcile.Action{wanted}}, {Customer: "cus_d", Actions: []reconcile.Action{made, free}},
			{Customer: "cus_h", Holds: []reconcile.Hold{{Kind: reconcile.HoldGrace, Reason: "not yet"}}}}
		intent := func(name string, a reconcile.Action) call {
			return call{name: name, make: func(ctx context.Context) error { return f.RecordIntent(ctx, f.tok, "run-2", a, "", t0) }}
		}
		outcome := func(name string, o reconcile.Outcome) call {
			o.Run, o.State, o.At = "run-2", reconcile.ActionApplied, t0
			return call{name: name, make: func(ctx context.Context) error { return f.RecordOutcome(ctx, f.tok, o) }}
		}
		slot := &reconcile.Binding{Subscription: "sub_b", Slot: 2, Org: "org-b", Hosting: 60, How: reconcile.BoundByCreate}
		return []call{
			{name: "SavePlanned", make: func(ctx context.Context) error { return f.SavePlanned(ctx, f.tok, "run-2", planned, t0) }},
			intent("RecordIntent", made),
			outcome("RecordOutcome of an org", reconcile.Outcome{Action: made, Org: &reconcile.Org{ID: "org-d"}, OrgNamed: true, Invited: t0, MetadataOK: true}),
			intent("RecordIntent of what was not planned", action("resume:sub_b/1:43", reconcile.Resume, "cus_b", "sub_b")),
			outcome("RecordOutcome without a hosting", reconcile.Outcome{Action: action("resume:sub_b/1:43", reconcile.Resume, "cus_b", "sub_b"), Unsuspend: true}),
			outcome("RecordOutcome of a hosting", reconcile.Outcome{Action: wanted, Hosting: activeHosting(60, "org-b"), Unsuspend: true, Binding: slot}),
			outcome("RecordOutcome that ends a held action", reconcile.Outcome{Action: action("suspend:sub_i/1:42", reconcile.Suspend, "cus_i", "sub_i")}),
			outcome("RecordOutcome of what was never intended", reconcile.Outcome{Action: action("link:cus_d", reconcile.Link, "cus_d", "")}),
			{name: "SavePlanned again", make: func(ctx context.Context) error {
				return f.SavePlanned(ctx, f.tok, "run-3", []reconcile.Planned{{Customer: "cus_b"}, {Customer: "cus_d", Actions: []reconcile.Action{free}}}, t0)
			}},
			{name: "EndRun", make: func(ctx context.Context) error {
				return f.EndRun(ctx, f.tok, reconcile.RunRecord{ID: "run-2", Mode: "full"}, nil)
			}},
			{name: "Postpone", make: func(ctx context.Context) error {
				return f.Postpone(ctx, f.tok, reconcile.Backoff{Customer: "cus_a", Error: "no", Due: t0}, t0)
			}},
			{name: "MakeDue", make: func(ctx context.Context) error { return f.MakeDue(ctx, f.tok, []string{"cus_a"}, t0) }},
		}
	})
}

func TestWhatPeopleSayIsStoredWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		instruct := func(name string, w reconcile.Instruction, ch func(reconcile.BindingChange) reconcile.BindingChange) call {
			return call{name: name, blind: 1, make: func(ctx context.Context) error {
				_, err := f.RecordInstruction(ctx, w, func(c *reconcile.Customer, b []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
					change, err := planner.Instruct(w, offered(), "")(c, b)
					return ch(change), err
				})
				return err
			}}
		}
		as := func(ch reconcile.BindingChange) reconcile.BindingChange { return ch }
		frees := func(ch reconcile.BindingChange) reconcile.BindingChange {
			ch.OtherUnbindings = []reconcile.Unbinding{{Subscription: "sub_d", Hosting: 45, Slot: 1, At: t0}}
			return ch
		}
		two := func(ctx context.Context, id string) error {
			_, err := f.Hold(ctx, f.tok, "run-2", held(id, reconcile.Suspend, t0, action("suspend:sub_b/1:43", reconcile.Suspend, "cus_b", "sub_b"),
				action("suspend:sub_h/1:42", reconcile.Suspend, "cus_h", "sub_h")))
			return err
		}
		bind := instruction(reconcile.InstructBind, "sub_d", made(45, "org-c", "Pro [sub_c/1]"))
		bind.OtherOrg, bind.OtherMarker = true, true
		return []call{
			instruct("an unbinding", instruction(reconcile.InstructUnbind, "sub_b", reconcile.Hosting{}), as),
			instruct("a binding", bind, frees),
			instruct("a new order", instruction(reconcile.InstructNew, "sub_h", reconcile.Hosting{}), as),
			{name: "AddManualHold", make: func(ctx context.Context) error {
				_, err := f.AddManualHold(ctx, reconcile.ManualHold{ID: "hold-2", Subscription: "sub_a", Kind: reconcile.Ignore})
				return err
			}},
			{name: "RemoveManualHold", make: func(ctx context.Context) error { _, err := f.RemoveManualHold(ctx, "hold-1", t0); return err }},
			{name: "Hold", make: func(ctx context.Context) error { return two(ctx, "second-1") }},
			{name: "Approve", make: func(ctx context.Context) error { _, err := f.Approve(ctx, "waiting-1", 0, "ada", t0); return err }},
			{name: "Hold an order", make: func(ctx context.Context) error {
				_, err := f.Hold(ctx, f.tok, "run-2", held("order-11", reconcile.CreateOrg, t0, action("create_org:cus_j", reconcile.CreateOrg, "cus_j", "")))
				return err
			}},
			{name: "Reject", make: func(ctx context.Context) error {
				_, err := f.Reject(ctx, "order-11", 0, "ada", "no", func() string { return "hold-3" }, t0)
				return err
			}},
			{name: "Hold after it", make: func(ctx context.Context) error { return two(ctx, "waiting-1") }},
			{name: "Approve a version that was not seen", make: func(ctx context.Context) error {
				_, err := f.Approve(ctx, "waiting-1", 7, "ada", t0)
				return err
			}, refused: fault.Conflict},
			{name: "Retry", make: func(ctx context.Context) error { _, err := f.Retry(ctx, "cus_c", t0); return err }},
			{name: "ImportMappings", make: func(ctx context.Context) error {
				return f.ImportMappings(ctx, []reconcile.Mapping{{BillingID: "a", Plan: "1"}, {BillingID: "b", Plan: "2"}}, "ada", t0)
			}},
			{name: "DeleteMapping", make: func(ctx context.Context) error { _, err := f.DeleteMapping(ctx, "price_basic"); return err }},
		}
	})
}

// A plan that is stored in parts, and what leaves it for another version of itself.
func TestALargePlanIsStoredWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		invite := func(address string) reconcile.Action {
			return action("invite_owner:cus_j:"+address, reconcile.InviteOwner, "cus_j", "")
		}
		part := func(name, id string, more bool, actions ...reconcile.Action) call {
			p := held(id, reconcile.CreateSubscription, t0, actions...)
			p.More = more
			return call{name: name, make: func(ctx context.Context) error { _, err := f.Hold(ctx, f.tok, "run-2", p); return err }}
		}
		return []call{
			part("Hold", "large-11", false, invite("old@example.com")),
			part("Hold another version", "large-11", false, invite("new@example.com")),
			part("Hold a part", "large-11", true, invite("new@example.com"), action("create_org:cus_j", reconcile.CreateOrg, "cus_j", "")),
			{name: "Approve", make: func(ctx context.Context) error { _, err := f.Approve(ctx, "large-11", 0, "ada", t0); return err }},
			part("Hold the rest", "large-11", false, invite("third@example.com")),
			part("Hold what was approved", "none-111", false, invite("new@example.com")),
		}
	})
}

func TestWhatThePanelShowsIsStoredWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		changed := *activeHosting(42, "org-a")
		changed.State, changed.SuspendedBy = reconcile.HostingSuspended, "staff"
		later := t0.Add(time.Hour)
		return []call{
			{name: "SaveHostings", make: func(ctx context.Context) error {
				return f.SaveHostings(ctx, f.tok, "org-a", []reconcile.Hosting{changed, made(70, "org-a", "x [sub_b/3]")}, t0)
			}},
			{name: "SaveOrgs", make: func(ctx context.Context) error {
				return f.SaveOrgs(ctx, f.tok, []reconcile.Org{{ID: "org-x", Name: "Twice [cus_b]"}, {ID: "org-y"}}, true, t0)
			}},
			{name: "SaveOwners", make: func(ctx context.Context) error {
				return f.SaveOwners(ctx, f.tok, "org-b", []string{"b@example.com"}, t0)
			}},
			{name: "SaveContent", make: func(ctx context.Context) error { return f.SaveContent(ctx, f.tok, "org-a", nil, "", later) }},
			{name: "SaveSiteApp", make: func(ctx context.Context) error {
				return f.SaveSiteApp(ctx, f.tok, 42, reconcile.SiteApp{App: reconcile.AppWordPress, Domain: "shop.example.com", ReadAt: later})
			}},
			{name: "SaveBackups", make: func(ctx context.Context) error {
				return f.SaveBackups(ctx, f.tok, 42, reconcile.Backups{ReadAt: later, Lacking: "shop.example.com"})
			}},
			{name: "SaveSites", make: func(ctx context.Context) error { return f.SaveSites(ctx, f.tok, "shop.example.com", nil, later) }},
			{name: "SavePlans", make: func(ctx context.Context) error {
				return f.SavePlans(ctx, f.tok, []reconcile.EnhancePlan{{ID: 9, Name: "Nine"}}, later)
			}},
			{name: "SaveFeatures", make: func(ctx context.Context) error {
				return f.SaveFeatures(ctx, f.tok, reconcile.ProductFeatures{Product: "prod_z", Keys: []string{"basic"}, AskedAt: later})
			}},
			{name: "SaveDisputes", make: func(ctx context.Context) error {
				return f.SaveDisputes(ctx, f.tok, []reconcile.Dispute{disputeOf("dp_z")}, later)
			}},
			{name: "SaveDispute", make: func(ctx context.Context) error { return f.SaveDispute(ctx, f.tok, disputeOf("dp_z"), true, later) }},
			{name: "LookAgain", make: func(ctx context.Context) error { return f.LookAgain(ctx, f.tok, nil) }},
			{name: "LookAgain at some", make: func(ctx context.Context) error { return f.LookAgain(ctx, f.tok, []string{"sub_b"}) }},
			{name: "NoteHidden", make: func(ctx context.Context) error { return f.NoteHidden(ctx, f.tok, t0) }},
			{name: "AskAboutUnbound", first: func() { f.edit("DELETE FROM bindings", "DELETE FROM partings") }, make: func(ctx context.Context) error { _, err := f.AskAboutUnbound(ctx, f.tok, t0); return err }},
		}
	})
}

func TestNudgesAndTheLeaseAreStoredWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		taken := []string{"sub_evt_1", "sub_evt_2"}
		return []call{
			{name: "LogWebhook", make: func(ctx context.Context) error {
				_, err := f.LogWebhook(ctx, "evt_9", "x", "sub_a", true, t0)
				return err
			}},
			{name: "Nudge", make: func(ctx context.Context) error { return f.Nudge(ctx, []string{"sub_n"}, "ada", t0) }},
			{name: "TakeNamed", make: func(ctx context.Context) error { _, err := f.TakeNamed(ctx, f.tok, 10); return err }},
			{name: "ForgetNamed", make: func(ctx context.Context) error { return f.ForgetNamed(ctx, f.tok, taken[:1]) }},
			{name: "LeaveNudges", make: func(ctx context.Context) error { return f.LeaveNudges(ctx, f.tok, taken[1:]) }},
			{name: "LeaveCrowd", make: func(ctx context.Context) error { _, err := f.LeaveCrowd(ctx, f.tok, -1); return err }},
			{name: "TakeNudges", make: func(ctx context.Context) error { _, err := f.TakeNudges(ctx, f.tok, time.Time{}); return err }},
			{name: "ForgetNudges", make: func(ctx context.Context) error { return f.ForgetNudges(ctx, f.tok, taken) }},
			{name: "Acquire", make: func(ctx context.Context) error { _, _, _, err := f.Acquire(ctx, "first", t0, ttl); return err }},
			{name: "Acquire what another has", make: func(ctx context.Context) error { _, _, _, err := f.Acquire(ctx, "second", t0, ttl); return err }},
			{name: "TakeNamed of the dead", first: func() {
				if tok, _, _, err := f.Acquire(f.Context(), "second", t0.Add(time.Hour), ttl); err == nil && tok != 0 {
					f.tok = tok
				}
				f.edit("UPDATE nudges SET taken = 1")
			}, make: func(ctx context.Context) error { _, err := f.TakeNamed(ctx, f.tok, 10); return err }},
			{name: "Release", make: func(ctx context.Context) error { return f.Release(ctx, f.tok) }},
		}
	})
}
