package store

import (
	"context"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// asked is a call whose answer does not matter.
func asked[T any](name string, read func(context.Context) (T, error)) call {
	return call{name: name, make: func(ctx context.Context) error { _, err := read(ctx); return err }}
}

// of is a read with one argument more than the context.
func of[A, T any](read func(context.Context, A) (T, error), with A) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return read(ctx, with) }
}

// streamed is a call that hands over rows.
func streamed[T any](name string, read func(context.Context, func(T) error) error) call {
	return call{name: name, make: func(ctx context.Context) error { return read(ctx, func(T) error { return nil }) }}
}

// If a statement fails, or a row cannot be read, a read is an error and never a short list:
// a customer that it lacks would be taken for one that does not exist.
func TestCustomersAreReadWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		ids := []string{"cus_a", "cus_b", "cus_c", "cus_d", "cus_h"}
		bind := instruction(reconcile.InstructBind, "sub_a", made(43, "org-b", "Pro"))
		return []call{
			asked("Customers", of(f.Customers, ids)),
			asked("CustomersOf", of(f.CustomersOf, []string{"sub_a"})),
			asked("SubscriptionsOf", of(f.SubscriptionsOf, ids)),
			asked("Versions", of(f.Versions, ids)),
			asked("Due", func(ctx context.Context) (string, error) { _, next, err := f.Due(ctx, t0, "", 10); return next, err }),
			asked("DueCount", of(f.DueCount, t0)),
			asked("FindCustomers", func(ctx context.Context) ([]reconcile.CustomerRecord, error) {
				return f.FindCustomers(ctx, reconcile.CustomerLookup{Email: "c@example.com", StripeCustomer: "cus_a"}, 5)
			}),
			asked("PreviewInstruction", func(ctx context.Context) (reconcile.BindingChange, error) {
				return f.PreviewInstruction(ctx, bind, func(*reconcile.Customer, []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
					return reconcile.BindingChange{}, nil
				})
			}),
			asked("Counts", f.Counts),
			asked("Stats", of(f.Stats, t0)),
			streamed("Payers", f.Payers),
			streamed("EachCustomer", f.EachCustomer),
			streamed("UnboundHostings", func(ctx context.Context, yield func(reconcile.UnboundOrg) error) error {
				return f.UnboundHostings(ctx, "", yield)
			}),
			streamed("EmptyOrgs", func(ctx context.Context, yield func(reconcile.UnboundOrg) error) error {
				return f.EmptyOrgs(ctx, "", yield)
			}),
		}
	})
}

func TestWhatRunsLeaveIsReadWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		since := t0.Add(-time.Hour)
		journal := func(filter reconcile.ActionFilter) call { return asked("Actions", of(f.Actions, filter)) }
		return []call{
			asked("CountDone", func(ctx context.Context) (int, error) { return f.CountDone(ctx, reconcile.CreateOrg, since) }),
			asked("CountDoneByCustomer", func(ctx context.Context) (map[string]int, error) {
				return f.CountDoneByCustomer(ctx, reconcile.CreateOrg, since)
			}),
			asked("LastPlans", f.LastPlans),
			asked("WentLive", func(ctx context.Context) ([]reconcile.WentLive, error) { return f.WentLive(ctx, since, 10) }),
			asked("DoneSince", of(f.DoneSince, since)),
			asked("HeldPlans", func(ctx context.Context) ([]reconcile.HeldPlan, error) { return f.HeldPlans(ctx, t0, true) }),
			asked("HeldPlan", of(f.HeldPlan, "waiting-1")),
			asked("Approved", of(f.Approved, t0)),
			asked("Waiting", f.Waiting),
			streamed("Standing", func(ctx context.Context, use func(reconcile.HeldAction) error) error { return f.Standing(ctx, t0, use) }),
			streamed("StandingOf", func(ctx context.Context, use func(reconcile.HeldAction) error) error {
				return f.StandingOf(ctx, []string{"cus_h"}, t0, use)
			}),
			streamed("RunActions", func(ctx context.Context, use func(reconcile.ActionRecord) error) error {
				return f.RunActions(ctx, "run-do", use)
			}),
			journal(reconcile.ActionFilter{}), journal(reconcile.ActionFilter{Customer: "cus_a"}), journal(reconcile.ActionFilter{Subscription: "sub_a"}),
			asked("Runs", of(f.Runs, 10)), asked("Run", of(f.Run, "run-1")), asked("LastListed", f.LastListed), asked("LastGoodRun", f.LastGoodRun),
			streamed("Holds", f.Holds), asked("HoldsOf", of(f.HoldsOf, []string{"cus_c"})), asked("HoldCounts", f.HoldCounts),
			asked("FirstHolds", func(ctx context.Context) ([]reconcile.Hold, error) {
				h, _, err := f.FirstHolds(ctx, 5, nil)
				return h, err
			}),
			asked("ManualHolds", of(f.ManualHolds, t0)),
			asked("Unlisted", func(ctx context.Context) (int, error) {
				f.Store.sweep.begin()
				_, n, err := f.Unlisted(ctx, t0, 5)
				return n, err
			}),
			asked("UnseenEvents", of(f.UnseenEvents, []string{"evt_0", "evt_1"})),
			asked("KnownSubscriptions", of(f.KnownSubscriptions, 3)),
		}
	})
}

// Without counts of holds, and without bindings, other statements answer.
func TestWhatIsNotCountedOrBoundIsReadWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		f.edit("UPDATE leases SET counted = 0", "DELETE FROM bindings", "UPDATE hostings SET bound = FALSE")
		return []call{
			asked("HoldCounts", f.HoldCounts),
			asked("FirstHolds", func(ctx context.Context) ([]reconcile.Hold, error) {
				h, _, err := f.FirstHolds(ctx, 5, nil)
				return h, err
			}),
			asked("KnownSubscriptions", of(f.KnownSubscriptions, 3)),
		}
	})
}

func TestWhatThePanelHasIsReadWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		later := t0.Add(time.Hour)
		return []call{
			asked("DriftDue", func(ctx context.Context) ([]reconcile.Hosting, error) { return f.DriftDue(ctx, later, later, 10) }),
			asked("NewestOrg", f.NewestOrg),
			asked("UnreadOrgs", func(ctx context.Context) ([]reconcile.Org, error) { return f.UnreadOrgs(ctx, "", 10) }),
			asked("UnknownMarkers", func(ctx context.Context) ([]string, error) { return f.UnknownMarkers(ctx, "", 10) }),
			asked("Unknown", of(f.Unknown, []string{"sub_none"})),
			asked("BoundPlans", f.BoundPlans), asked("HostingOrg", of(f.HostingOrg, 42)),
			asked("Unbound", f.Unbound),
			asked("Duplicates", func(ctx context.Context) ([]reconcile.Duplicate, error) { return f.Duplicates(ctx, "", 10) }),
			asked("Plans", func(ctx context.Context) ([]reconcile.EnhancePlan, error) { p, _, err := f.Plans(ctx); return p, err }),
			asked("Mappings", f.Mappings), asked("MappingRecords", f.MappingRecords),
			asked("Cursor", of(f.Cursor, orgsCursor)), asked("AllCursors", f.AllCursors), asked("Notified", f.Notified),
			asked("FullNudged", f.FullNudged), asked("NudgesWaiting", f.NudgesWaiting), asked("NudgesOverdue", of(f.NudgesOverdue, later)),
			asked("NamedWaiting", f.NamedWaiting), asked("OldestNamed", f.OldestNamed),
			asked("RecentWebhooks", of(f.RecentWebhooks, 10)),
			asked("FailedWebhooks", func(ctx context.Context) (int, error) { _, n, err := f.FailedWebhooks(ctx, 10); return n, err }),
			asked("Version", f.Version), asked("Pending", f.Pending), asked("ClockSkew", f.ClockSkew), asked("Durability", f.Durability),
			{name: "Ping", make: f.Ping},
		}
	})
}
