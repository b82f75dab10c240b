package engine_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// These tests are what people type at Stripe. Put in once, each with a test here going
// red: a domain is sent as it was typed; a hosting that cannot be read in the metadata
// is none; an org that cannot be read is none; a domain that the panel refuses is asked
// for again; a name keeps the marker in it; an e-mail keeps its spaces.

func TestADomainIsSentInTheFormThatThePanelTakes(t *testing.T) {
	for typed, want := range map[string]string{
		"https://www.x.example/": "x.example", "x.example.": "x.example", "x.example/blog": "x.example",
		"x.example:443": "x.example", "müller.example": "xn--mller-kva.example",
	} {
		t.Run(typed, func(t *testing.T) {
			for _, how := range []simulator.SignUp{{Domain: typed}, {Metadata: map[string]string{"domain": typed}}} {
				r := testenv.New(t, testenv.Options{})
				how.Email, how.Price = "ada@example.com", priceFor(t, r, plans(r)[0])
				signUp(t, r, how)
				if rep := r.Converge(5); !rep.Converged() {
					t.Errorf("%v %+v", kinds(rep), rep.Holds)
				}
				diff(t, "domains", []string{want}, domains(r))
			}
		})
	}
}

func domains(r *testenv.Env) []string {
	all := []string{}
	for _, w := range r.World.Websites() {
		all = append(all, w.Domain)
	}
	return all
}

func TestADomainThatNobodyCanHaveIsHeldAndTheRestIsDone(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "a b.example"})
	rep := r.Converge(5)
	diff(t, "holds", []string{"unreadable"}, holdKinds(rep))
	diff(t, "hostings that are up", 1, len(live(r)))
	diff(t, "domains", []string{}, domains(r))
	must(t, r.World.SetMetadata(s.Subscription, map[string]string{"domain": "ab.example"}))
	r.World.Advance(2 * time.Minute)
	if rep := r.Converge(5); !rep.Converged() {
		t.Errorf("corrected: %v %+v", kinds(rep), rep.Holds)
	}
	diff(t, "domains", []string{"ab.example"}, domains(r))
}

// The panel may take less than the DNS does, or refuse for a reason that passes. It is asked
// once a day.
func TestADomainThatThePanelRefusesIsAskedForOnceADay(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	r.Fail(simulator.NotDone(400), func(c simulator.Call) bool { return c.Method == "POST" && strings.HasSuffix(c.Path, "/websites") })
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "x.example"})
	r.Run(engine.Request{})
	rep := r.Run(engine.Request{})
	diff(t, "holds", []string{"domain_taken"}, holdKinds(rep))
	diff(t, "actions", []string(nil), kinds(rep))
	r.World.Advance(23 * time.Hour)
	diff(t, "on the same day", []string(nil), kinds(r.Run(engine.Request{Full: true})))
	r.World.Advance(time.Hour + time.Minute)
	diff(t, "a day later", []string{"create_website failed"}, kinds(r.Run(engine.Request{Full: true})))
}

func TestWhatMetadataNamesAndCannotBeReadIsNoReasonForASecondHosting(t *testing.T) {
	for _, typed := range []string{"#1", "1.0", "4,5", "bar", "-1"} {
		t.Run(typed, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			org := r.World.StaffCreateOrg("Ada by hand", "ada@example.com")
			h, err := r.World.StaffCreateHosting(org, plans(r)[0], "by hand")
			must(t, err)
			r.Run(engine.Request{})
			s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]),
				Metadata: map[string]string{"enhance_org_id": org, "enhance_subscription_id": typed}})
			rep := r.Converge(5)
			diff(t, "hostings", 1, len(r.World.Hostings()))
			if !slices.ContainsFunc(rep.Holds, func(o reconcile.Hold) bool {
				return o.Kind == reconcile.HoldUnreadable && strings.Contains(o.Reason, strconv.Quote(typed))
			}) {
				t.Errorf("holds %+v, and none names %q", rep.Holds, typed)
			}
			must(t, r.World.SetMetadata(s.Subscription, map[string]string{"enhance_org_id": " " + strings.ToUpper(org), "enhance_subscription_id": strconv.Itoa(h) + " "}))
			r.World.Advance(2 * time.Minute)
			if rep := r.Converge(5); !rep.Converged() {
				t.Errorf("corrected: %v %+v", kinds(rep), rep.Holds)
			}
			diff(t, "hostings", 1, len(r.World.Hostings()))
		})
	}
}

func TestAnOrgThatCannotBeReadIsNoReasonForASecondOne(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]), Metadata: map[string]string{"enhance_org_id": "the old one"}})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	rep := r.Converge(5)
	diff(t, "orgs", 0, len(r.World.Orgs()))
	diff(t, "holds", []string{"unreadable"}, holdKinds(rep))
	must(t, r.World.SetMetadata(s.Subscription, map[string]string{"enhance_org_id": ""}))
	r.World.Advance(2 * time.Minute)
	r.Converge(5)
	diff(t, "orgs and hostings", []int{1, 2}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
}

func TestNamesAndAddressesComeCleanToThePanel(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	victim := signUp(t, r, simulator.SignUp{Email: "victim@example.com", Name: "Victim", Price: price})
	signUp(t, r, simulator.SignUp{Email: " evil@example.com ", Name: "Evil [" + victim.Customer + "]", Price: price})
	signUp(t, r, simulator.SignUp{Email: "blank@example.com", Name: "  ", Price: price})
	if rep := r.Converge(5); !rep.Converged() {
		t.Errorf("%v %+v", kinds(rep), rep.Holds)
	}
	var names []string
	for _, o := range r.World.Orgs() {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	diff(t, "names", []string{"Evil", "Victim", "blank@example.com"}, names)
	mails := invited(r)
	slices.Sort(mails)
	diff(t, "invited", []string{"blank@example.com", "evil@example.com", "victim@example.com"}, mails)
}

func TestAnEmailThatIsNoneIsHeldWithItself(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada at example.com", Price: priceFor(t, r, plans(r)[0])})
	rep := r.Converge(5)
	diff(t, "holds", []string{"no_email"}, holdKinds(rep))
	diff(t, "what it names", true, strings.Contains(rep.Holds[0].Reason, `"ada at example.com"`))
	must(t, r.World.SetEmail(s.Customer, "ada@example.com"))
	r.World.Advance(2 * time.Minute)
	if rep := r.Converge(5); !rep.Converged() {
		t.Errorf("corrected: %v %+v", kinds(rep), rep.Holds)
	}
}
