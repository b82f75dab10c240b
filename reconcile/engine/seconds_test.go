package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// two installations on one panel, the second with a copy of the first one's database.
// meanwhile is what the second does while a create of the first is on its way.
type two struct {
	a, b      *testenv.Env
	meanwhile func()
}

// at is an engine that lets meanwhile happen once, before a call of the kind.
func (w *two) at(kind reconcile.ActionKind, instance string) func(*engine.Options) {
	return func(o *engine.Options) {
		o.Policy.Instance, o.Concurrency = instance, 1
		o.Failpoint = func(step, k string) {
			if f := w.meanwhile; f != nil && step == "after-intent" && k == kind.String() {
				w.meanwhile = nil
				f()
			}
		}
	}
}

func twoInstallations(t *testing.T, kind reconcile.ActionKind, words ...string) *two {
	t.Helper()
	words = append(words, "", "")
	dir := t.TempDir()
	w := &two{}
	w.a = testenv.New(t, testenv.Options{Database: "sqlite:" + filepath.Join(dir, "a.db"), Engine: func(o *engine.Options) { w.at(kind, "")(o) }})
	signUp(t, w.a, simulator.SignUp{Email: "old@example.com", Price: priceFor(t, w.a, plans(w.a)[0])})
	w.a.Converge(4)
	w.a.Close()
	copied, err := os.ReadFile(filepath.Join(dir, "a.db"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "b.db"), copied, 0o600))
	w.a.Open()
	w.a.Engine = w.a.NewEngine(w.at(kind, words[0]))
	w.b = testenv.SecondInstallation(w.a, "sqlite:"+filepath.Join(dir, "b.db"), func(o *engine.Options) { o.Policy.Instance = words[1] })
	return w
}

// doubles are the holds about duplicates.
func doubles(rep reconcile.Report) (reasons []string) {
	for _, h := range rep.Holds {
		if h.Kind == reconcile.HoldDuplicate && h.ActionID == "" {
			reasons = append(reasons, h.Reason)
		}
	}
	return reasons
}

// TestTwoInstallationsAreToldAndStop: both look, see nothing, and make everything for
// a new customer. Then each reports the duplicates, and creates nothing more until
// one of them and its hostings are gone.
func TestTwoInstallationsAreToldAndStop(t *testing.T) {
	for _, kind := range []reconcile.ActionKind{reconcile.CreateOrg, reconcile.CreateSubscription} {
		t.Run(kind.String(), func(t *testing.T) {
			w := twoInstallations(t, kind)
			price := priceFor(t, w.a, plans(w.a)[0])
			ada := signUp(t, w.a, simulator.SignUp{Email: "ada@example.com", Price: price})
			if kind == reconcile.CreateSubscription {
				// Both know the org, and make the second hosting in it.
				w.a.Converge(4)
				w.b.Converge(4)
				ada = signUp(t, w.a, simulator.SignUp{Customer: ada.Customer, Email: "ada@example.com", Price: price})
			}
			w.meanwhile = func() { w.b.Run(engine.Request{}) }
			w.a.Run(engine.Request{})
			marked := markedWith(w.a, "["+ada.Subscription+"/1]")
			diff(t, "hostings for one order", 2, len(marked))

			effects := len(w.a.World.Effects())
			bob := signUp(t, w.a, simulator.SignUp{Email: "bob@example.com", Price: price})
			w.a.World.Advance(24 * time.Hour)
			for name, r := range map[string]*testenv.Env{"first": w.a, "second": w.b} {
				for _, req := range []engine.Request{{Dry: true, Full: true}, {Full: true}, {}, {Dry: true}, {Dry: true, Stored: true}} {
					rep := r.Run(req)
					if rep.Converged() || !strings.Contains(rep.Waits, "another installation") || !strings.Contains(rep.Waits, "INSTANCE") {
						t.Errorf("%s, %+v: converged %v, waits: %q", name, req, rep.Converged(), rep.Waits)
					}
					told := doubles(rep)
					if len(told) != 1 || !strings.Contains(told[0], fmt.Sprintf("hosting %d", marked[0])) || !strings.Contains(told[0], fmt.Sprintf("hosting %d", marked[1])) ||
						!strings.Contains(told[0], "is bound") || !strings.Contains(told[0], "`stripe-enhance customers bind "+ada.Subscription) {
						t.Errorf("%s, %+v: told %q", name, req, told)
					}
					withheld := slices.IndexFunc(rep.Holds, func(h reconcile.Hold) bool {
						return h.Subscription == bob.Subscription && h.Kind == reconcile.HoldDuplicate
					})
					if withheld < 0 {
						t.Errorf("%s, %+v: nothing is said of bob's order: %+v", name, req, rep.Holds)
					}
				}
				r.World.Advance(2 * time.Minute)
			}
			diff(t, "effects since", effects, len(w.a.World.Effects()))

			// The second is stopped, and its hostings are deleted.
			ours := boundTo(t, w.a, ada.Subscription)
			for _, id := range marked {
				if int64(id) != ours {
					must(t, w.a.World.StaffDelete(id))
				}
			}
			w.a.World.Advance(2 * time.Hour)
			rep := w.a.Converge(6)
			if len(doubles(rep)) > 0 || rep.Waits != "" || !hasHosting(w.a, bob.Subscription) {
				t.Errorf("in the end: %v, waits %q, %v", doubles(rep), rep.Waits, panel(w.a))
			}
		})
	}
}

func markedWith(r *testenv.Env, marker string) (ids []int) {
	for _, h := range r.World.Hostings() {
		if strings.HasSuffix(h.FriendlyName, marker) {
			ids = append(ids, h.ID)
		}
	}
	return ids
}

func boundTo(t *testing.T, r *testenv.Env, sub string) int64 {
	t.Helper()
	ids, err := r.Store.CustomersOf(t.Context(), []string{sub})
	must(t, err)
	customers, err := r.Store.Customers(t.Context(), ids)
	must(t, err)
	for _, b := range customers[0].Bindings {
		if b.Subscription == sub {
			return b.Hosting
		}
	}
	return 0
}

// TestAnOrgWithTheCustomersMarkerStopsToo: the other installation has come no further
// than the org.
func TestAnOrgWithTheCustomersMarkerStopsToo(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Converge(4)
	ours := r.World.Orgs()[0].ID
	org := r.World.StaffCreateOrg("Ada ["+ada.Customer+"]", "")
	bob := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	diff(t, "waits in the run that finds it", true, r.Run(engine.Request{}).Waits != "")
	rep := r.Run(engine.Request{})
	if told := doubles(rep); !strings.Contains(rep.Waits, "org "+org+" carries the marker") || len(told) != 1 || !strings.Contains(told[0], org) || !strings.Contains(told[0], ours) {
		t.Errorf("waits %q, told %q", rep.Waits, told)
	}
	diff(t, "bob has one", false, hasHosting(r, bob.Subscription))
	must(t, r.World.StaffDeleteOrg(org))
	r.World.Advance(2 * time.Hour)
	if rep := r.Converge(4); !rep.Converged() || !hasHosting(r, bob.Subscription) {
		t.Errorf("%v %v", hasHosting(r, bob.Subscription), rep.Holds)
	}
}

// TestEachInstallationHasItsWord: two installations with copies of one database, each
// with a word. Neither takes what the other makes for its own, nothing that was bound
// before is lost, and a lost database finds again the hostings without a word or with its own.
func TestEachInstallationHasItsWord(t *testing.T) {
	w := twoInstallations(t, reconcile.CreateOrg, "shop", "lab")
	price := priceFor(t, w.a, plans(w.a)[0])
	old := w.a.World.Hostings()[0]
	ada := signUp(t, w.a, simulator.SignUp{Email: "ada@example.com", Price: price})
	w.meanwhile = func() { w.b.Run(engine.Request{}) }
	w.a.Run(engine.Request{})
	for name, r := range map[string]*testenv.Env{"shop": w.a, "lab": w.b} {
		r.World.Advance(24 * time.Hour)
		if rep := r.Run(engine.Request{Full: true}); !rep.Converged() {
			t.Errorf("%s: waits %q, holds %v", name, rep.Waits, rep.Holds)
		}
		marked := markedWith(r, "["+ada.Subscription+"/1@"+name+"]")
		diff(t, "made by "+name, 1, len(marked))
		diff(t, "bound by "+name, int64(marked[0]), boundTo(t, r, ada.Subscription))
		diff(t, "bound by "+name+" before it had a word", int64(old.ID), boundTo(t, r, subscriptionOf(old)))
	}
	must(t, w.a.World.Cancel(ada.Subscription))
	w.a.World.Advance(2 * time.Minute)
	w.a.Run(engine.Request{})
	diff(t, "suspended by the one", 1, down(w.a))
	w.b.Run(engine.Request{})
	diff(t, "suspended by both", 2, down(w.a))
}

func subscriptionOf(h simulator.Hosting) string {
	m, _ := reconcile.MarkerOf(h.FriendlyName)
	return m.StripeID
}

// TestALostDatabaseFindsWhatHasNoWordOrItsOwn is the other half: with only the own word
// believed, everything from before would be made again.
func TestALostDatabaseFindsWhatHasNoWordOrItsOwn(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Converge(4)
	word := func(o *engine.Options) { o.Policy.Instance = "shop" }
	r.Engine = r.NewEngine(word)
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	r.Converge(4)
	orgs := len(r.World.Orgs())
	loseDatabase(r, file)
	r.Engine = r.NewEngine(word)
	r.World.Advance(2 * time.Minute)
	rep := r.Converge(4)
	diff(t, "orgs and hostings", []int{orgs, 2}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
	diff(t, "converged", true, rep.Converged())
	diff(t, "names of orgs", []string(nil), namesWith(r, "@shop]"))
}

func namesWith(r *testenv.Env, text string) (names []string) {
	for _, o := range r.World.Orgs() {
		if strings.Contains(o.Name, text) {
			names = append(names, o.Name)
		}
	}
	return names
}

// Another installation has made an org for the customer, and makes each hosting there a moment
// before this one would. It fails if only the customer's own org is looked into before a create.
func TestWhatStandsInAnotherOrgOfTheCustomerIsNotMadeASecondTime(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	first := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Converge(4)
	theirs := r.World.StaffCreateOrg("Ada", "")
	order := func() string {
		s := signUp(t, r, simulator.SignUp{Customer: first.Customer, Price: price}).Subscription
		_, err := r.World.StaffCreateHosting(theirs, plans(r)[0], "Basic ["+s+"/1]")
		must(t, err)
		return s
	}
	order()
	r.World.Advance(24 * time.Hour)
	r.World.StaffCreateOrg("later", "") // their org is none of the newest, which are looked into in any case
	r.Run(engine.Request{Full: true})   // it finds the one there, and that is a hold
	r.World.Advance(5 * time.Minute)
	effects := len(r.World.Effects())
	second := order()
	rep := r.Run(engine.Request{})
	diff(t, "what was done", effects+1, len(r.World.Effects())) // by the other installation
	if !slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool { return h.Kind == reconcile.HoldConflict && h.Subscription == second }) {
		t.Errorf("held: %v", rep.Holds)
	}
}
