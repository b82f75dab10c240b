package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// served is a customer with a hosting of our making, and another one that staff made
// beside it. Both have a website.
func served(t *testing.T) (r *testenv.Env, order simulator.SignedUp, bound, other int) {
	r = testenv.New(t, testenv.Options{})
	order = signUp(t, r, simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: priceFor(t, r, plans(r)[0])})
	r.Converge(4)
	h := r.World.Hostings()[0]
	other, err := r.World.StaffCreateHosting(h.Org, h.Plan, "by hand")
	must(t, err)
	for _, id := range []int{h.ID, other} {
		_, err := r.World.AddWebsite(id, fmt.Sprintf("site-%d.example.com", id))
		must(t, err)
	}
	return r, order, h.ID, other
}

func living(r *testenv.Env) (ids []int) {
	for _, h := range r.World.Hostings() {
		if h.Status == "active" && h.SuspendedBy == "" {
			ids = append(ids, h.ID)
		}
	}
	return ids
}

func holdFor(rep reconcile.Report, kind reconcile.HoldKind) string {
	for _, h := range rep.Holds {
		if h.Kind == kind {
			return h.Reason
		}
	}
	return ""
}

// Metadata that names another hosting than the bound one is reported; when the bound one is
// deleted, which is what a person does with a duplicate, the named one serves.
func TestTheNamedHostingServesOnceTheBoundOneIsDeleted(t *testing.T) {
	r, order, bound, other := served(t)
	must(t, r.World.SetMetadata(order.Subscription, map[string]string{"enhance_org_id": r.World.Orgs()[0].ID, "enhance_subscription_id": fmt.Sprint(other)}))
	rep := r.Run(engine.Request{})
	if text := holdFor(rep, reconcile.HoldConflict); !strings.Contains(text, planner.BindCommand(order.Subscription, int64(other))) || !strings.Contains(text, fmt.Sprintf("hosting %d is bound", bound)) {
		t.Errorf("told %v", rep.Holds)
	}
	diff(t, "up", []int{bound, other}, living(r))
	must(t, r.World.StaffDelete(bound))
	r.World.Advance(2 * time.Hour)
	if rep := r.Converge(4); !rep.Converged() {
		t.Errorf("not converged: %v", rep.Holds)
	}
	diff(t, "up", []int{other}, living(r))
	must(t, r.World.Cancel(order.Subscription))
	r.Converge(4)
	diff(t, "up after the end", []int(nil), living(r))
}

// An order whose metadata names the hosting of another customer is held, and no hosting is
// set aside; the other one is served as before.
func TestMetadataThatNamesAnotherCustomersHostingIsHeld(t *testing.T) {
	for _, with := range []string{"its org", "no org", "an org of its own"} {
		t.Run(with, func(t *testing.T) {
			r, order, bound, _ := served(t)
			metadata := map[string]string{"enhance_subscription_id": fmt.Sprint(bound)}
			switch with {
			case "its org":
				metadata["enhance_org_id"] = r.World.Orgs()[0].ID
			case "an org of its own":
				metadata["enhance_org_id"] = r.World.StaffCreateOrg("Bob", "bob@example.com")
			}
			bob := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Name: "Bob", Price: priceFor(t, r, plans(r)[0]), Metadata: metadata})
			for range 12 {
				r.World.Advance(2 * time.Hour)
				rep := r.Run(engine.Request{})
				if text := holdFor(rep, reconcile.HoldConflict) + holdFor(rep, reconcile.HoldMissing); !strings.Contains(text, fmt.Sprintf("the metadata of %s names hosting %d", bob.Subscription, bound)) {
					t.Fatalf("told %v %v", rep.Holds, rep.Notes)
				}
				if holdFor(rep, reconcile.HoldParked)+holdFor(rep, reconcile.HoldRetry) != "" {
					t.Fatalf("set aside: %v", rep.Holds)
				}
			}
			c, err := r.Store.Customers(t.Context(), []string{order.Customer})
			must(t, err)
			diff(t, "Ada's hosting", []string{"active", "1"}, []string{c[0].Hostings[0].State.String(), fmt.Sprint(len(c[0].Bindings))})
			diff(t, "hostings", 2, len(living(r)))
		})
	}
}

// A person unbinds in the middle of a run: an action that was decided before is not sent.
func TestAWordBetweenTheDecisionAndTheCall(t *testing.T) {
	r, order, bound, other := served(t)
	must(t, r.World.Cancel(order.Subscription))
	said := false
	r.Engine = r.NewEngine(func(o *engine.Options) {
		o.Failpoint = func(step, kind string) {
			if step == "before-intent" && kind == reconcile.Suspend.String() && !said {
				said = true
				say(t, r, reconcile.Instruction{Kind: reconcile.InstructUnbind, Subscription: order.Subscription})
			}
		}
	})
	rep := r.Run(engine.Request{})
	if !said || !rep.Partial {
		t.Errorf("said %v, partial %v: %v", said, rep.Partial, rep.Notes)
	}
	r.Converge(4)
	diff(t, "up", []int{bound, other}, living(r))
}

// The planner shows the result of an instruction, and nothing is stored.
func TestAWordIsSeenBeforeItIsSaid(t *testing.T) {
	r, order, bound, _ := served(t)
	w := reconcile.Instruction{Kind: reconcile.InstructUnbind, Subscription: order.Subscription, Author: "ada@desk", Reason: "why", At: r.World.Now()}
	ch, err := r.Store.PreviewInstruction(t.Context(), w, planner.Instruct(w, planner.NewCatalog(nil, nil), ""))
	must(t, err)
	for _, stored := range []bool{false, true} {
		rep := r.Run(engine.Request{Subscriptions: []string{order.Subscription}, Dry: true, Stored: stored, Suppose: ch.Apply})
		if text := holdFor(rep, reconcile.HoldAdopt); !strings.Contains(text, fmt.Sprintf("hosting %d of org", bound)) {
			t.Errorf("stored %v: %v", stored, rep.Holds)
		}
	}
	if rep := r.Run(engine.Request{}); !rep.Converged() {
		t.Errorf("something was changed: %v", rep.Holds)
	}
	say(t, r, reconcile.Instruction{Kind: reconcile.InstructUnbind, Subscription: order.Subscription})
	if rep := r.Run(engine.Request{}); holdFor(rep, reconcile.HoldAdopt) == "" {
		t.Errorf("nothing is held: %v", rep.Holds)
	}
	diff(t, "hostings", 2, len(living(r)))
}
