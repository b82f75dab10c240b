package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Columns of JSON that a person or another program has changed are an error that names the
// row. They are never read as nothing, because a subscription without items is owed nothing.
func TestADamagedRowIsNamed(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		crowd(f)
		for _, c := range []struct {
			damage, names string
			reads         []call
		}{
			{"UPDATE orgs SET owners = '5' WHERE id = 'org-b'", "owners of org org-b", []call{asked("Customers", of(f.Customers, []string{"cus_b"}))}},
			{"UPDATE hostings SET usage = '5' WHERE id = 42", "usage of hosting 42", []call{asked("DriftDue", func(ctx context.Context) ([]reconcile.Hosting, error) {
				return f.DriftDue(ctx, t0.Add(time.Hour), t0.Add(time.Hour), 10)
			})}},
			{"UPDATE hostings SET content = '5' WHERE id = 43", "content of hosting 43", []call{asked("Customers", of(f.Customers, []string{"cus_b"}))}},
			{"UPDATE hostings SET app = '5' WHERE id = 42", "application of hosting 42", []call{asked("DriftDue", func(ctx context.Context) ([]reconcile.Hosting, error) {
				return f.DriftDue(ctx, t0.Add(time.Hour), t0.Add(time.Hour), 10)
			})}},
			{"UPDATE subscriptions SET items = '5' WHERE id = 'sub_a'", "subscription sub_a", []call{
				asked("Customers", of(f.Customers, []string{"cus_a"})), streamed("Payers", f.Payers)}},
			{"UPDATE customers SET held = '5' WHERE id = 'cus_c'", "holds of cus_c", []call{
				streamed("Holds", f.Holds), asked("HoldsOf", of(f.HoldsOf, []string{"cus_c"})),
				asked("FindCustomers", of(func(ctx context.Context, l reconcile.CustomerLookup) ([]reconcile.CustomerRecord, error) {
					return f.FindCustomers(ctx, l, 1)
				}, reconcile.CustomerLookup{StripeCustomer: "cus_c"})),
				{name: "SavePlanned", make: func(ctx context.Context) error {
					return f.SavePlanned(ctx, f.tok, "run-9", []reconcile.Planned{{Customer: "cus_c"}}, t0)
				}},
				{name: "BeginRun", first: func() { f.countedFor.Store(0); f.edit("UPDATE leases SET counted = 0") }, make: func(ctx context.Context) error {
					return f.BeginRun(ctx, f.tok, reconcile.RunRecord{ID: "run-9", Mode: "full"})
				}}}},
			{"UPDATE plan_actions SET action = '5' WHERE plan_id = 'waiting-1'", "plan waiting-1", []call{
				asked("HeldPlan", of(f.HeldPlan, "waiting-1")),
				streamed("Standing", func(ctx context.Context, use func(reconcile.HeldAction) error) error { return f.Standing(ctx, t0, use) }),
				streamed("StandingOf", func(ctx context.Context, use func(reconcile.HeldAction) error) error {
					return f.StandingOf(ctx, []string{"cus_h"}, t0, use)
				}),
				asked("Hold", func(ctx context.Context) (reconcile.HeldPlan, error) {
					return f.Hold(ctx, f.tok, "run-9", held("x", reconcile.Suspend, t0, action("suspend:sub_h/1:42", reconcile.Suspend, "cus_h", "sub_h")))
				})}},
			{"UPDATE enhance_plans SET limits = '5'", "plan 2", []call{asked("Plans", f.plansOnly)}},
			{"UPDATE cursors SET value = 'yesterday' WHERE name = 'enhance_plans'", "yesterday", []call{asked("Plans", f.plansOnly)}},
			{"UPDATE runs SET gates = '5' WHERE id = 'run-1'", "run run-1", []call{asked("Run", of(f.Run, "run-1")), asked("Runs", of(f.Runs, 10))}},
		} {
			f.edit(c.damage)
			for _, read := range c.reads {
				if read.first != nil {
					read.first()
				}
				if err := read.make(t.Context()); err == nil || !strings.Contains(err.Error(), c.names) {
					t.Errorf("%s after %s: %v, want an error that names %s", read.name, c.damage, err, c.names)
				}
			}
		}
	})
}

func (f *fixture) plansOnly(ctx context.Context) ([]reconcile.EnhancePlan, error) {
	plans, _, err := f.Plans(ctx)
	return plans, err
}

// A later version may add fields to a hold.
func TestAHoldWithMoreThanIsKnownIsRead(t *testing.T) {
	got, err := decodeHolds("cus_a", []byte(`[{"kind":"grace","later":[1],"reason":"it waits"},{"kind":null}]`))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "holds", []reconcile.Hold{{Kind: "grace", Customer: "cus_a", Reason: "it waits"}, {Customer: "cus_a"}}, got)
}

// Each of these looks like a list of holds to a reader that is not strict.
func TestWhatIsNoListOfHoldsIsRefused(t *testing.T) {
	for _, text := range []string{
		`[{"kind":"grace"}{"kind":"grace"}]`, `[{"kind":"grace""reason":"x"}]`, `[{"kind":"gra` + "\x01" + `ce"}]`, `[{"kind":"gra`, `[{"kind":"gra\"`,
		`[{"kind":"grace"}] and more`, `[{"kind":"grace"}`, `{"kind":"grace"}`, `[{"kind" "grace"}]`, `[{"kind":grace}]`, `[{"hosting":01}]`, `[{"hosting":-}]`,
		`[{"hosting":}]`, `[{"order":truely}]`, `[{"kind":"\x"}]`, `["grace"]`, `[{"kind":]`, `["kind":"grace"}]`, `[{kind:"grace"}]`,
	} {
		if got, err := decodeHolds("cus_a", []byte(text)); err == nil {
			t.Errorf("%s is read as %+v", text, got)
		} else if !strings.Contains(err.Error(), "holds of cus_a") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever a block of staged facts lost or got in addition, it is not read as facts.
func TestStagedFactsThatAreDamagedAreNoFacts(t *testing.T) {
	plain := cleaned(facts("sub_a", "cus_a", "a@example.com"))
	full := plain
	full.MetadataOrgText, full.MetadataHostingText, full.CancelAt = "an org", "a hosting", t0
	for name, f := range map[string]reconcile.SubscriptionFacts{"plain": plain, "with all": full} {
		packed := content(&f)
		got, err := unpack(packed)
		if err != nil {
			t.Fatal(err)
		}
		f.ReadAt = got.ReadAt
		same(t, name, f, got)
		for n := range packed {
			// What stands at the end only in some facts is left out as a whole, or not at all.
			if got, err := unpack(packed[:n]); err == nil && name == "plain" {
				t.Errorf("%s: %d of %d bytes are read as %+v", name, n, len(packed), got)
			}
		}
		if got, err := unpack(append(packed, 0, 0, 0, 0, 0)); err == nil {
			t.Errorf("%s: with more bytes it is read as %+v", name, got)
		}
	}
	if _, err := unpack([]byte{255}); err == nil {
		t.Error("a number without an end is accepted")
	}
}

func TestAStatusWithoutAWordHasItsOwn(t *testing.T) {
	f := facts("sub_a", "cus_a", "", func(s *reconcile.SubscriptionFacts) { s.Status, s.StatusText = reconcile.StatusPastDue, "" })
	same(t, "word", "past_due", cleaned(f).StatusText)
}

// The hash of unchanged facts is the same in every version: if it changed, every customer of
// every installation would be due after an upgrade.
func TestTheHashOfFactsStaysTheSame(t *testing.T) {
	plain := cleaned(facts("sub_a", "cus_a", "a@example.com"))
	full := plain
	full.MetadataOrgText, full.MetadataHostingText, full.CancelAt, full.SendInvoice, full.EndedAt = "an org", "a hosting", t0, true, t0
	same(t, "hashes", []int64{-8511934712806285686, 4782193824269947639}, []int64{hash(content(&plain)), hash(content(&full))})
}
