package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAChangedPolicyIsAppliedInTheNextRun changes one setting after another of a
// customer about whom nothing else changes: the next dry run shows the effect, and
// the next run does it.
func TestAChangedPolicyIsAppliedInTheNextRun(t *testing.T) {
	for _, c := range []struct {
		name          string
		world         func(r *testenv.Env, s simulator.SignedUp) error
		before, after func(*reconcile.Policy)
		want          []string // of the kinds of actions
		back          []string // with the setting as it was; nil: not tried
	}{
		{"provision, then enforce", func(r *testenv.Env, s simulator.SignedUp) error { return r.World.MarkUnpaid(s.Subscription) },
			func(p *reconcile.Policy) { p.Mode = reconcile.Provision }, func(p *reconcile.Policy) { p.Mode = reconcile.Enforce }, []string{"suspend"}, nil},
		{"no grace any more", func(r *testenv.Env, s simulator.SignedUp) error { return r.World.FailPayment(s.Subscription) },
			func(p *reconcile.Policy) {}, func(p *reconcile.Policy) { p.Grace = 0 }, []string{"suspend"}, []string{"resume"}},
		{"a paused collection counts, and no longer", func(r *testenv.Env, s simulator.SignedUp) error {
			return r.World.PauseCollection(s.Subscription, "")
		},
			func(p *reconcile.Policy) {}, func(p *reconcile.Policy) { p.SuspendPaused = true }, []string{"suspend"}, []string{"resume"}},
		{"websites are wanted", nil,
			func(p *reconcile.Policy) { p.CreateWebsites = false }, func(p *reconcile.Policy) { p.CreateWebsites = true }, []string{"create_website"}, nil},
		{"invitations are wanted", nil,
			func(p *reconcile.Policy) { p.Onboarding = reconcile.NoOnboarding }, func(p *reconcile.Policy) { p.Onboarding = reconcile.Invite }, []string{"invite_owner"}, nil},
		{"a retention period begins to count", func(r *testenv.Env, s simulator.SignedUp) error { return r.World.Cancel(s.Subscription) },
			func(p *reconcile.Policy) {}, func(p *reconcile.Policy) { p.Retention = 30 * 24 * time.Hour }, []string{"terminate"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { c.before(&o.Policy) }})
			s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "ada.example"})
			r.Run(engine.Request{})
			if c.world != nil {
				must(t, c.world(r, s))
				r.World.Advance(2 * time.Minute)
			}
			r.Run(engine.Request{})
			if c.name == "a retention period begins to count" {
				r.World.Advance(31 * 24 * time.Hour)
			}
			r.Run(engine.Request{})
			r.World.Advance(time.Minute)
			diff(t, "with the old setting", []string(nil), kinds(r.Run(engine.Request{})))

			r.Engine = r.NewEngine(func(o *engine.Options) { c.before(&o.Policy); c.after(&o.Policy) })
			r.World.Advance(time.Minute)
			diff(t, "the plan with the new one", all(c.want, "planned"), kinds(r.Run(engine.Request{Dry: true})))
			diff(t, "the run with the new one", all(c.want, "applied"), kinds(r.Run(engine.Request{})))
			if c.back == nil {
				return
			}
			r.Engine = r.NewEngine(func(o *engine.Options) { c.before(&o.Policy) })
			r.World.Advance(time.Minute)
			diff(t, "and back", all(c.back, "planned"), kinds(r.Run(engine.Request{Dry: true})))
			diff(t, "and back", all(c.back, "applied"), kinds(r.Run(engine.Request{})))
		})
	}
}

func all(words []string, state string) (out []string) {
	for _, w := range words {
		out = append(out, w+" "+state)
	}
	return out
}

// TestAnUnchangedPolicyMakesNobodyDue: a settings digest that differed by itself
// would make every run a run about all customers.
func TestAnUnchangedPolicyMakesNobodyDue(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	r.Run(engine.Request{})
	for range 2 {
		r.Engine = r.NewEngine(nil) // another process with the same settings
		due, err := r.Store.DueCount(t.Context(), r.World.Now())
		must(t, err)
		diff(t, "due", 0, due)
		r.Run(engine.Request{})
	}
}

// TestAShorterDriftIntervalIsAppliedInTheNextRun: what staff changed an hour ago is
// seen as soon as hostings are to be compared more often than that.
func TestAShorterDriftIntervalIsAppliedInTheNextRun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *testenv.Env, hosting int) error
		want   []string
	}{
		"suspended":    {func(r *testenv.Env, h int) error { return r.World.StaffSuspend(h) }, []string{"foreign_suspension"}},
		"another plan": {func(r *testenv.Env, h int) error { return r.World.StaffChangePlan(h, plans(r)[1]) }, []string{"change_plan"}},
		"deleted":      {func(r *testenv.Env, h int) error { return r.World.StaffDelete(h) }, []string{"deleted"}},
		"purged": {func(r *testenv.Env, h int) error {
			return errors.Join(r.World.StaffDelete(h), r.World.StaffPurge(h))
		}, []string{"missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
			r.Run(engine.Request{})
			r.World.Advance(2 * time.Minute)
			r.Run(engine.Request{}) // what the order has touched is looked at
			must(t, c.change(r, r.World.Hostings()[0].ID))
			r.World.Advance(time.Hour)
			rep := r.Run(engine.Request{})
			diff(t, "with an interval of a day", []string(nil), append(kinds(rep), holdKinds(rep)...))
			r.Engine = r.NewEngine(func(o *engine.Options) { o.DriftInterval = 10 * time.Minute })
			seen := func(state string, rep reconcile.Report) []string {
				all := holdKinds(rep)
				for _, k := range kinds(rep) {
					all = append(all, strings.TrimSuffix(k, " "+state))
				}
				return all
			}
			diff(t, "the plan with one of ten minutes", c.want, seen("planned", r.Run(engine.Request{Dry: true})))
			diff(t, "the run", c.want, seen("applied", r.Run(engine.Request{})))
		})
	}
}
