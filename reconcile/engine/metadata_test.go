package engine_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAKeyThatMayNotWriteMetadataStopsNobody: with the refusal taken for that of
// the whole side, the first customer was the last.
func TestAKeyThatMayNotWriteMetadataStopsNobody(t *testing.T) {
	r := testenv.New(t, testenv.Options{World: simulator.Options{StripeKey: "rk_test_restricted", Deny: []string{"write"}},
		Engine: func(o *engine.Options) { o.Policy.WriteMetadata = true }})
	for _, who := range []string{"ada", "bob", "cem"} {
		signUp(t, r, simulator.SignUp{Email: who + "@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0])}}})
	}
	rep := r.Run(engine.Request{})
	diff(t, "hostings that are up", 3, len(live(r)))
	diff(t, "notes of what to do", 1, notes(rep, "STRIPE_WRITE_METADATA=false"))
	again := r.Run(engine.Request{})
	diff(t, "actions of the next run", []string(nil), kinds(again))
	diff(t, "notes of the next run", 0, len(again.Notes))
	r.World.Advance(2 * time.Hour)
	r.Run(engine.Request{})
	if c := r.Run(engine.Request{}); c.Run.Error != "" || len(c.Holds) > 0 {
		t.Errorf("two hours later: %q, %v", c.Run.Error, holdKinds(c))
	}
}

// TestMetadataThatNamesOrgAndHostingBinds does what the hold "adopt" asks people to
// do. With the hosting that metadata names not loaded put in once, this went red.
func TestMetadataThatNamesOrgAndHostingBinds(t *testing.T) {
	for _, owner := range []string{"", "other@example.com", "ada@example.com"} {
		t.Run("owner "+owner, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			org := r.World.StaffCreateOrg("Ada by hand", owner)
			h, err := r.World.StaffCreateHosting(org, plans(r)[0], "by hand")
			must(t, err)
			r.Run(engine.Request{})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]),
				Metadata: map[string]string{"enhance_org_id": org, "enhance_subscription_id": strconv.Itoa(h)}})
			if rep := r.Converge(10); !rep.Converged() {
				t.Errorf("%v %+v", kinds(rep), rep.Holds)
			}
			diff(t, "orgs and hostings", []int{1, 1}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
		})
	}
}
