package store

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TestInEveryWorld plays random histories with few names, so that e-mails, buyers and
// hostings collide, and checks the rules after every step.
func TestInEveryWorld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(&quiet{TB: t, rt: rt}, "sqlite::memory:")
		defer func() { f.must(f.Store.Close()) }()
		w := &world{f: f, orgOf: map[string]string{}, bound: map[string]string{}, now: t0}
		rt.Repeat(map[string]func(*rapid.T){
			"save by id": func(rt *rapid.T) { w.f.save(w.tick(), w.fact(rt)) },
			"sweep": func(rt *rapid.T) {
				page := map[string]reconcile.SubscriptionFacts{}
				for range rapid.IntRange(0, 5).Draw(rt, "listed") {
					s := w.fact(rt)
					page[s.ID] = s
				}
				var all []reconcile.SubscriptionFacts
				for _, id := range sorted(page) {
					all = append(all, page[id])
				}
				w.f.list(w.tick(), all...)
			},
			"bind an org":     w.bindOrg,
			"bind a hosting":  w.bindHosting,
			"see a hosting":   w.seeHosting,
			"plan a customer": w.plan,
			"":                func(*rapid.T) { w.check() },
		})
	})
}

// quiet is the testing.TB of a fixture within a property.
type quiet struct {
	testing.TB
	rt *rapid.T
}

func (q *quiet) Fatalf(format string, args ...any) { q.rt.Fatalf(format, args...) }
func (q *quiet) Fatal(args ...any)                 { q.rt.Fatal(args...) }
func (q *quiet) Errorf(format string, args ...any) { q.rt.Errorf(format, args...) }
func (q *quiet) Cleanup(func())                    {} // the property closes its store itself

type world struct {
	f     *fixture
	now   time.Time
	orgOf map[string]string // customer → org, as bound once and for all
	bound map[string]string // subscription → customer that owned it when it was bound
}

func (w *world) tick() time.Time {
	w.now = w.now.Add(time.Minute)
	return w.now
}

func (w *world) fact(rt *rapid.T) reconcile.SubscriptionFacts {
	n := rapid.IntRange(0, 5).Draw(rt, "subscription")
	buyer := n % 4 // a subscription keeps its buyer, as at Stripe
	email := rapid.SampledFrom([]string{"", "a@example.com", "A@example.com", "b@example.com", "c@example.com"}).Draw(rt, "email")
	return facts(fmt.Sprintf("sub_%d", n), fmt.Sprintf("cus_%d", buyer), email, readAt(w.now), created(t0.Add(time.Duration(n)*time.Hour)),
		status(reconcile.Status(rapid.IntRange(1, 8).Draw(rt, "status"))))
}

// some picks a customer that exists; "" if there is none.
func (w *world) some(rt *rapid.T) string {
	all := w.f.customerIDs()
	if len(all) == 0 {
		return ""
	}
	return rapid.SampledFrom(all).Draw(rt, "customer")
}

func (w *world) bindOrg(rt *rapid.T) {
	customer := w.some(rt)
	if customer == "" || w.orgOf[customer] != "" {
		return
	}
	w.f.bindOrg(customer, "org-"+customer)
	w.orgOf[customer] = "org-" + customer
}

func (w *world) bindHosting(rt *rapid.T) {
	customer := w.some(rt)
	if customer == "" {
		return
	}
	c := w.f.customer(customer)
	if len(c.Subscriptions) == 0 {
		return
	}
	s := rapid.SampledFrom(c.Subscriptions).Draw(rt, "subscription").ID
	how := rapid.SampledFrom([]reconcile.BindKind{reconcile.BoundByCreate, reconcile.BoundByMarker, reconcile.BoundByResubscription}).Draw(rt, "how")
	slot := rapid.IntRange(1, 2).Draw(rt, "slot")
	hosting := int64(rapid.IntRange(1, 4).Draw(rt, "hosting"))
	err := w.f.bound(customer, s, slot, "org-"+customer, hosting, how)
	if err == nil {
		w.bound[s] = customer
		return
	}
	if fault.Of(err) != fault.Conflict {
		rt.Fatal(err)
	}
	a := action("create_subscription:"+s+"/"+string(rune('0'+slot)), reconcile.CreateSubscription, customer, s)
	w.f.must(w.f.RecordOutcome(w.f.Context(), w.f.tok, reconcile.Outcome{Action: a, Run: "run-do", State: reconcile.ActionFailed, At: t0}))
}

func (w *world) seeHosting(rt *rapid.T) {
	h := *activeHosting(int64(rapid.IntRange(1, 4).Draw(rt, "hosting")), "org-x")
	h.State = reconcile.HostingState(rapid.IntRange(1, 5).Draw(rt, "state"))
	w.f.must(w.f.SaveHosting(w.f.Context(), w.f.tok, h, w.tick()))
}

func (w *world) plan(rt *rapid.T) {
	if customer := w.some(rt); customer != "" {
		w.f.settled(w.tick(), customer)
	}
}

// check checks the rules that are true in every world.
func (w *world) check() {
	f := w.f
	f.checkTallies()
	all, err := f.Customers(f.Context(), f.customerIDs())
	f.must(err)
	owner := map[string]string{}
	for _, c := range all {
		if len(f.buyersOf(c.ID)) == 0 {
			f.Errorf("%s has no buyer", c.ID)
		}
		for _, s := range c.Subscriptions {
			if owner[s.ID] != "" {
				f.Errorf("%s belongs to %s and %s", s.ID, owner[s.ID], c.ID)
			}
			owner[s.ID] = c.ID
		}
		if want := w.orgOf[c.ID]; want != "" && (c.Org == nil || c.Org.ID != want) {
			f.Errorf("%s lost its org %s", c.ID, want)
		}
	}
	for subscription, customer := range w.bound {
		if owner[subscription] != customer {
			f.Errorf("%s was bound under %s and is now %q's", subscription, customer, owner[subscription])
		}
	}
}
