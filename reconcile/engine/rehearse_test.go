package engine_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// These tests hold a run against the plan right before it, as every history of
// internal/simtest does. Put in once, each with a test here going red: a plan that does
// not follow its own links; one that reads nothing first; two guests with one
// e-mail who found an org each in the plan and share one in the run; a website that shows
// only once it is made; a guest whose order the brake holds, and who is given the org of
// another one in the plan; a plan that is not made again with its news.

func TestThePlanIsWhatTheRunDoes(t *testing.T) {
	file := ""
	for name, world := range map[string]func(t *testing.T, r *testenv.Env, price string){
		"an order with a domain from Checkout": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price, Domain: "ada.example"})
		},
		"an org by hand that is taken, with nothing in it": func(t *testing.T, r *testenv.Env, price string) {
			r.World.StaffCreateOrg("Ada", "ada@example.com")
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
		},
		"an org by hand with something in it": func(t *testing.T, r *testenv.Env, price string) {
			org := r.World.StaffCreateOrg("Ada", "ada@example.com")
			_, err := r.World.StaffCreateHosting(org, plans(r)[1], "by hand")
			must(t, err)
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
		},
		"two guests with one e-mail": func(t *testing.T, r *testenv.Env, price string) {
			for range 2 {
				signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
			}
		},
		"two guests with one e-mail, and the larger order is held": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Lines: []simulator.Line{{Price: price, Quantity: 12}}})
		},
		"an end, an upgrade and a return": func(t *testing.T, r *testenv.Env, price string) {
			ends := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
			grows := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
			back := signUp(t, r, simulator.SignUp{Email: "cem@example.com", Price: price})
			r.Run(engine.Request{})
			must(t, r.World.Cancel(back.Subscription))
			r.World.Advance(2 * time.Minute)
			r.Run(engine.Request{})
			must(t, r.World.Cancel(ends.Subscription))
			must(t, r.World.ChangePrice(grows.Subscription, "", priceFor(t, r, plans(r)[1])))
			signUp(t, r, simulator.SignUp{Email: "cem@example.com", Price: price})
		},
		"an org that staff made for one whose order is held, and that the look for another one finds": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Lines: []simulator.Line{{Price: price, Quantity: 30}}})
			r.Run(engine.Request{})
			r.World.StaffCreateOrg("By hand", "ada@example.com")
			signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
			r.World.Advance(time.Minute)
		},
		"two orders of one domain": func(t *testing.T, r *testenv.Env, price string) {
			for range 2 {
				signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price, Domain: "ada.example"})
			}
		},
		"another order of a domain that has its website": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price, Domain: "ada.example"})
			r.Run(engine.Request{})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price, Domain: "ada.example"})
		},
		"a domain that another customer has, and two who order one": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price, Domain: "ada.example"})
			r.Run(engine.Request{})
			signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price, Domain: "ada.example"})
			for _, who := range []string{"cem", "dan"} {
				signUp(t, r, simulator.SignUp{Email: who + "@example.com", Price: price, Domain: "ours.example"})
			}
		},
		"the owner of an org that is there is invited, and a guest with that e-mail orders": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
			r.Run(engine.Request{Kinds: []reconcile.ActionKind{reconcile.CreateOrg, reconcile.CreateSubscription}})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
		},
		"of two guests with one e-mail the first was refused before": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
			r.World.SetFault(func(c simulator.Call) simulator.Fault {
				if c.Method == http.MethodPost {
					return simulator.NotDone(http.StatusUnprocessableEntity)
				}
				return simulator.Fault{}
			})
			r.Run(engine.Request{})
			r.World.SetFault(nil)
			r.World.Advance(time.Hour)
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
		},
		"the metadata names an org that staff have just made, with an owner": func(t *testing.T, r *testenv.Env, price string) {
			r.Run(engine.Request{})
			org := r.World.StaffCreateOrg("By hand", "other@example.com")
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price, Metadata: map[string]string{"enhance_org_id": org}})
		},
		"the metadata names an org of another customer": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
			r.Run(engine.Request{})
			signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price, Metadata: map[string]string{"enhance_org_id": r.World.Orgs()[0].ID}})
		},
		"the metadata of two customers names an org without an owner": func(t *testing.T, r *testenv.Env, price string) {
			org := r.World.StaffCreateOrg("By hand", "")
			for _, who := range []string{"ada", "bob"} {
				signUp(t, r, simulator.SignUp{Email: who + "@example.com", Price: price, Metadata: map[string]string{"enhance_org_id": org}})
			}
		},
		"an org got its owner before its name": func(t *testing.T, r *testenv.Env, price string) {
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
			r.Fail(simulator.NotDone(http.StatusInternalServerError), func(c simulator.Call) bool {
				return c.Method == http.MethodPatch || strings.HasSuffix(c.Path, "/invites")
			})
			r.Run(engine.Request{})
			r.World.SetFault(nil)
			must(t, r.World.StaffAddOwner(r.World.Orgs()[0].ID, "ada@example.com"))
			r.World.Advance(time.Hour)
		},
		theBrakeCounts: byHandMeanwhile,
		"a hosting by hand that the look finds, before anything is bound": byHandMeanwhile,
		"a lost database": func(t *testing.T, r *testenv.Env, price string) {
			for _, who := range []string{"ada", "bob", "cem"} {
				signUp(t, r, simulator.SignUp{Email: who + "@example.com", Lines: []simulator.Line{{Price: price, Quantity: 2}}})
			}
			r.Run(engine.Request{})
			loseDatabase(r, file)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file = filepath.Join(t.TempDir(), "state.db")
			r := testenv.New(t, testenv.Options{Database: "sqlite:" + file, Engine: func(o *engine.Options) {
				o.Policy.WriteMetadata, o.Concurrency = true, 1
				if name == theBrakeCounts {
					o.Brakes.Create, o.Policy.NewAfter = planner.Limit{Count: 2}, time.Unix(1, 0)
				}
			}})
			world(t, r, priceFor(t, r, plans(r)[0]))
			before := len(r.World.Effects())
			plan := r.Run(engine.Request{Dry: true})
			diff(t, "what a plan changes", before, len(r.World.Effects()))
			run := r.Run(engine.Request{})
			diff(t, "actions", ids(plan), ids(run))
			diff(t, "holds", holdKinds(plan), holdKinds(run))
			diff(t, "the decision that it waits for", plan.Waits, run.Waits)
		})
	}
}

const theBrakeCounts = "the brake counts an order for which staff have made a hosting"

// byHandMeanwhile is three orders of two customers on a panel that was empty, and a hosting
// that staff have made for one of them since.
func byHandMeanwhile(t *testing.T, r *testenv.Env, price string) {
	t.Helper()
	r.Run(engine.Request{})
	for _, who := range []string{"ada", "bob", "bob"} {
		signUp(t, r, simulator.SignUp{Email: who + "@example.com", Price: price})
	}
	_, err := r.World.StaffCreateHosting(r.World.StaffCreateOrg("Ada", "ada@example.com"), plans(r)[1], "by hand")
	must(t, err)
}

// ids are those of the actions of a report, without the parts that are known only when it is done.
func ids(rep reconcile.Report) []string {
	var all []string
	for _, a := range rep.Actions {
		id := a.ID
		if a.Kind == reconcile.WriteMetadata || a.Kind == reconcile.Link && a.Hosting == 0 {
			id = id[:strings.LastIndexByte(id, ':')]
		}
		if a.State != reconcile.ActionSuperseded {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

func TestWhatIsThereOnlyInThePlanHasNoID(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Policy.WriteMetadata = true }})
	for range 2 {
		signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: priceFor(t, r, plans(r)[0])})
	}
	for _, a := range r.Run(engine.Request{Dry: true}).Actions {
		if strings.Contains(a.ID+a.Org, planner.ForeseenOrg) || a.Hosting < 0 || strings.Contains(a.ID, "-1") {
			t.Errorf("%+v", a.Action)
		}
	}
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "bob.example"})
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "bob.example"})
	holds := r.Run(engine.Request{Dry: true}).Holds
	for _, h := range holds {
		if h.Kind != reconcile.HoldDomainTaken || strings.Contains(h.Reason, planner.ForeseenOrg) || h.Hosting != 0 || strings.Contains(h.Reason, "-1") {
			t.Errorf("%+v", h)
		}
	}
	diff(t, "holds", 1, len(holds))
}
