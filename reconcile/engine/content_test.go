package engine_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const listSites = "GET /orgs/{org}/websites"

// company is one customer of a hosting company, and what happens to it.
type company struct {
	*testenv.Env
	t    *testing.T
	subs map[string]simulator.SignedUp
}

func newCompany(t *testing.T, set func(*engine.Options)) *company {
	t.Helper()
	return &company{Env: testenv.New(t, testenv.Options{Engine: set}), t: t, subs: map[string]simulator.SignedUp{}}
}

// order places an order of ada's, known as name from then on.
func (c *company) order(name string, plan int, quantity int64) {
	c.t.Helper()
	price := priceFor(c.t, c.Env, plans(c.Env)[plan])
	c.subs[name] = signUp(c.t, c.Env, simulator.SignUp{Email: "ada@example.com", Lines: []simulator.Line{{Price: price, Quantity: quantity}}})
}

// run is a run some minutes later.
func (c *company) run() reconcile.Report {
	c.t.Helper()
	c.World.Advance(3 * time.Minute)
	return c.Run(engine.Request{})
}

// hosting is the one that was made for a slot of an order.
func (c *company) hosting(name string, slot int) int {
	c.t.Helper()
	for _, h := range c.World.Hostings() {
		if strings.HasSuffix(h.FriendlyName, fmt.Sprintf("[%s/%d]", c.subs[name].Subscription, slot)) {
			return h.ID
		}
	}
	c.t.Fatalf("%s/%d has no hosting", name, slot)
	return 0
}

// status is what became of it.
func (c *company) status(name string, slot int) string {
	c.t.Helper()
	id := c.hosting(name, slot)
	for _, h := range c.World.Hostings() {
		if h.ID == id {
			return h.Status
		}
	}
	return "purged"
}

// site lets the customer build a site.
func (c *company) site(name string, slot int, domain string) {
	c.t.Helper()
	_, err := c.World.AddWebsite(c.hosting(name, slot), domain)
	must(c.t, err)
}

// panel lists the websites of every hosting that is active or has a site.
func (c *company) panel() []string {
	sites := map[int][]string{}
	for _, s := range c.World.Websites() {
		if s.Status != "deleted" {
			sites[s.Hosting] = append(sites[s.Hosting], s.Domain)
		}
	}
	var all []string
	for _, h := range c.World.Hostings() {
		state := "up"
		if h.Status == "deleted" || h.SuspendedBy != "" {
			state = "down"
		}
		if state == "up" || len(sites[h.ID]) > 0 {
			all = append(all, fmt.Sprintf("plan %d %s with %v", h.Plan, state, sites[h.ID]))
		}
	}
	slices.Sort(all)
	return all
}

// fact is something that happens to a company, and which others it needs first.
type fact struct {
	name  string
	after []string
	do    func(c *company)
}

// TestTheEndIsTheSameWheneverARunLooked lets the same things happen in every order
// that is possible, with a run after each of them or none, and looks at the active hostings in
// the end, on which plan, and with what on it. With the bookkeeping alone to decide
// (which binding is older, which slot is lower, what happened to be up) each of these
// had several ends.
func TestTheEndIsTheSameWheneverARunLooked(t *testing.T) {
	cancel := func(name string) func(*company) {
		return func(c *company) { must(c.t, c.World.Cancel(c.subs[name].Subscription)) }
	}
	unpaid := func(name string) func(*company) {
		return func(c *company) { must(c.t, c.World.MarkUnpaid(c.subs[name].Subscription)) }
	}
	pays := func(name string) func(*company) {
		return func(c *company) { must(c.t, c.World.Pay(c.subs[name].Subscription)) }
	}
	orders := func(name string, plan int, n int64) func(*company) {
		return func(c *company) { c.order(name, plan, n) }
	}
	for _, w := range []struct {
		name  string
		begin func(c *company)
		facts []fact
		want  []string
	}{
		{"an upgrade by a second checkout", func(c *company) { c.order("A", 0, 1); c.run(); c.site("A", 1, "a.example.com") },
			[]fact{{"B is ordered", nil, orders("B", 1, 1)}, {"A is cancelled", nil, cancel("A")}},
			[]string{"plan 2 up with [a.example.com]"}},
		{"a downgrade by a second checkout", func(c *company) { c.order("A", 1, 1); c.run(); c.site("A", 1, "a.example.com") },
			[]fact{{"B is ordered", nil, orders("B", 0, 1)}, {"A is cancelled", nil, cancel("A")}},
			[]string{"plan 1 up with [a.example.com]"}},
		{"the first is not paid for before it ends", func(c *company) { c.order("A", 0, 1); c.run(); c.site("A", 1, "a.example.com") },
			[]fact{{"B is ordered", nil, orders("B", 1, 1)}, {"A is unpaid", nil, unpaid("A")}, {"A is cancelled", []string{"A is unpaid"}, cancel("A")}},
			[]string{"plan 2 up with [a.example.com]"}},
		{"the second is not paid for when the first ends", func(c *company) { c.order("A", 0, 1); c.run(); c.site("A", 1, "a.example.com") },
			[]fact{{"B is ordered", nil, orders("B", 1, 1)}, {"A is cancelled", nil, cancel("A")},
				{"B is unpaid", []string{"B is ordered"}, unpaid("B")}, {"B is paid", []string{"B is unpaid"}, pays("B")}},
			[]string{"plan 2 up with [a.example.com]"}},
		{"two of the second, and one of the first", func(c *company) { c.order("A", 0, 1); c.run(); c.site("A", 1, "a.example.com") },
			[]fact{{"B is ordered", nil, orders("B", 1, 2)}, {"A is cancelled", nil, cancel("A")}},
			[]string{"plan 2 up with []", "plan 2 up with [a.example.com]"}},
		{"two of the first, one of them in use", func(c *company) { c.order("A", 0, 2); c.run(); c.site("A", 2, "a.example.com") },
			[]fact{{"B is ordered", nil, orders("B", 1, 1)}, {"A has one", nil, func(c *company) { must(c.t, c.World.SetQuantity(c.subs["A"].Subscription, "", 1)) }},
				{"A is cancelled", []string{"A has one"}, cancel("A")}},
			[]string{"plan 2 up with [a.example.com]"}},
		{"fewer of three, the last of them in use", func(c *company) { c.order("A", 0, 3); c.run(); c.site("A", 3, "a.example.com") },
			[]fact{{"two are left", nil, func(c *company) { must(c.t, c.World.SetQuantity(c.subs["A"].Subscription, "", 2)) }},
				{"one is left", []string{"two are left"}, func(c *company) { must(c.t, c.World.SetQuantity(c.subs["A"].Subscription, "", 1)) }}},
			[]string{"plan 1 up with [a.example.com]"}},
		{"fewer of three while they are not paid for", func(c *company) { c.order("A", 0, 3); c.run(); c.site("A", 3, "a.example.com") },
			[]fact{{"A is unpaid", nil, unpaid("A")}, {"one is left", nil, func(c *company) { must(c.t, c.World.SetQuantity(c.subs["A"].Subscription, "", 1)) }},
				{"A is paid", []string{"A is unpaid"}, pays("A")}},
			[]string{"plan 1 up with [a.example.com]"}},
		{"an item is added, and the one that was there is removed", func(c *company) { c.order("A", 0, 1); c.run(); c.site("A", 1, "a.example.com") },
			[]fact{{"pro is added", nil, func(c *company) {
				_, err := c.World.AddItem(c.subs["A"].Subscription, priceFor(c.t, c.Env, plans(c.Env)[1]), 1)
				must(c.t, err)
			}}, {"basic is removed", []string{"pro is added"}, func(c *company) {
				must(c.t, c.World.RemoveItem(c.subs["A"].Subscription, c.subs["A"].Items[0]))
			}}},
			[]string{"plan 2 up with [a.example.com]"}},
		{"a site on each: what was cancelled goes", func(c *company) {
			c.order("A", 0, 1)
			c.order("B", 1, 1)
			c.run()
			c.site("A", 1, "a.example.com")
			c.site("B", 1, "b.example.com")
		}, []fact{{"A is unpaid", nil, unpaid("A")}, {"A is cancelled", []string{"A is unpaid"}, cancel("A")}},
			[]string{"plan 1 down with [a.example.com]", "plan 2 up with [b.example.com]"}},
	} {
		t.Run(w.name, func(t *testing.T) {
			orders := possible(w.facts, nil)
			for _, order := range orders {
				for looks := range 1 << len(order) {
					c := newCompany(t, nil)
					w.begin(c)
					story := ""
					for i, f := range order {
						f.do(c)
						story += f.name + "; "
						if looks&(1<<i) != 0 {
							c.run()
							story += "RUN; "
						}
					}
					for range 4 {
						c.run()
					}
					rep := c.Run(engine.Request{Full: true})
					if got := c.panel(); !slices.Equal(w.want, got) || !rep.Converged() {
						t.Errorf("%s\n got %q\nwant %q\nholds %+v", story, got, w.want, rep.Holds)
					}
				}
			}
			if len(orders) == 0 {
				t.Error("no order is possible")
			}
		})
	}
}

// possible are the orders of facts in which each comes after those that it needs.
func possible(left []fact, done []string) (orders [][]fact) {
	if len(left) == 0 {
		return [][]fact{nil}
	}
	for i, f := range left {
		if slices.ContainsFunc(f.after, func(name string) bool { return !slices.Contains(done, name) }) {
			continue
		}
		for _, rest := range possible(slices.Concat(left[:i], left[i+1:]), append(slices.Clone(done), f.name)) {
			orders = append(orders, append([]fact{f}, rest...))
		}
	}
	return orders
}

// With a site on each of three, and two paid for, it is not known which one goes.
func TestWhichOfSeveralInUseGoesIsAPersonsToSay(t *testing.T) {
	c := newCompany(t, nil)
	c.order("A", 0, 3)
	c.run()
	for slot, domain := range []string{"one.example.com", "two.example.com", "three.example.com"} {
		c.site("A", slot+1, domain)
	}
	must(t, c.World.SetQuantity(c.subs["A"].Subscription, "", 2))
	rep := c.run()
	diff(t, "told", []string{"content"}, holdKinds(rep))
	why := rep.Holds[0].Reason
	for _, part := range []string{"1 website (one.example.com)", "1 website (two.example.com)", "1 website (three.example.com)", "Suspend the one that goes in the panel"} {
		if !strings.Contains(why, part) {
			t.Errorf("%q is not in %q", part, why)
		}
	}
	c.World.Advance(2 * time.Hour)
	diff(t, "told an hour later", []string{"content"}, holdKinds(c.run()))
	if n := len(c.panel()); n != 3 {
		t.Errorf("%d are up: %q", n, c.panel())
	}
	must(t, c.World.StaffSuspend(c.hosting("A", 1)))
	c.World.Advance(2 * time.Hour)
	rep = c.run()
	if !rep.Converged() {
		t.Errorf("a person has chosen, and it is held: %+v", rep.Holds)
	}
	diff(t, "panel", []string{"plan 1 down with [one.example.com]", "plan 1 up with [three.example.com]", "plan 1 up with [two.example.com]"}, c.panel())
}

// Which hosting stays may be named in the metadata, by a person.
func TestMetadataNamesTheOneThatStays(t *testing.T) {
	c := newCompany(t, nil)
	c.order("A", 0, 2)
	c.run()
	c.site("A", 1, "one.example.com")
	c.site("A", 2, "two.example.com")
	sub := c.subs["A"].Subscription
	must(t, c.World.SetQuantity(sub, "", 1))
	diff(t, "told", []string{"content"}, holdKinds(c.run()))
	must(t, c.World.SetMetadata(sub, map[string]string{"enhance_org_id": c.World.Orgs()[0].ID, "enhance_subscription_id": fmt.Sprint(c.hosting("A", 2))}))
	if rep := c.run(); !rep.Converged() {
		t.Errorf("held: %+v", rep.Holds)
	}
	diff(t, "panel", []string{"plan 1 down with [one.example.com]", "plan 1 up with [two.example.com]"}, c.panel())
}

// Two subscriptions have ended, with a site on each, and one is paid for. Either may
// be the one that was upgraded.
func TestTwoThatEndedAndOneThatIsPaidFor(t *testing.T) {
	for _, first := range []bool{true, false} {
		c := newCompany(t, nil)
		c.order("A1", 0, 1)
		c.order("A2", 0, 1)
		c.run()
		c.site("A1", 1, "one.example.com")
		c.site("A2", 1, "two.example.com")
		if first {
			c.order("B", 1, 1)
			c.run()
		}
		must(t, c.World.Cancel(c.subs["A1"].Subscription))
		must(t, c.World.Cancel(c.subs["A2"].Subscription))
		if !first {
			c.order("B", 1, 1)
		}
		rep := c.run()
		diff(t, "told", map[bool][]string{true: {"content", "content"}, false: {"content"}}[first], holdKinds(rep))
		if want := "stripe-enhance customers bind " + c.subs["B"].Subscription + " "; !strings.Contains(rep.Holds[0].Reason, want) {
			t.Errorf("%q is not in %q", want, rep.Holds[0].Reason)
		}
		for _, line := range c.panel() {
			if strings.Contains(line, "down") {
				t.Errorf("B first %v: %q", first, c.panel())
			}
		}
	}
}

// A site that appears while a run is at work is seen before anything goes.
func TestWhatIsOnAHostingIsReadAgainRightBeforeItGoes(t *testing.T) {
	c := newCompany(t, nil)
	c.order("A", 0, 2)
	c.run()
	c.site("A", 1, "one.example.com")
	must(t, c.World.SetQuantity(c.subs["A"].Subscription, "", 1))
	c.World.Advance(3 * time.Minute)
	lists := 0
	c.World.SetFault(func(call simulator.Call) simulator.Fault {
		if call.Route == listSites {
			if lists++; lists == 2 {
				_, err := c.World.AddWebsite(c.hosting("A", 2), "two.example.com")
				must(t, err)
			}
		}
		return simulator.Fault{Honest: true}
	})
	rep := c.Run(engine.Request{})
	diff(t, "told", []string{"content"}, holdKinds(rep))
	diff(t, "panel", []string{"plan 1 up with [one.example.com]", "plan 1 up with [two.example.com]"}, c.panel())
}

// A panel that will not list websites is never taken to have none, and delays no
// customer.
func TestWebsitesThatMayNotBeListedAreNotNone(t *testing.T) {
	c := newCompany(t, nil)
	c.order("A", 0, 1)
	c.run()
	c.site("A", 1, "a.example.com")
	c.order("B", 1, 1)
	other := signUp(t, c.Env, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, c.Env, 1)})
	c.run()
	c.Fail(simulator.NotDone(http.StatusForbidden), func(call simulator.Call) bool { return call.Route == listSites })
	must(t, c.World.Cancel(c.subs["A"].Subscription))
	must(t, c.World.Cancel(other.Subscription))
	rep := c.run()
	diff(t, "told", []string{"content"}, holdKinds(rep))
	if !strings.Contains(rep.Holds[0].Reason, "cannot be listed") {
		t.Errorf("it is not said why: %q", rep.Holds[0].Reason)
	}
	diff(t, "actions", []string{"suspend applied"}, kinds(rep)) // bob's
	diff(t, "panel", []string{"plan 1 up with [a.example.com]", "plan 2 up with []"}, c.panel())
	c.World.SetFault(nil)
	c.World.Advance(2 * time.Hour)
	if rep := c.run(); !rep.Converged() {
		t.Errorf("held: %+v", rep.Holds)
	}
	diff(t, "panel, once they can be listed", []string{"plan 2 up with [a.example.com]"}, c.panel())
}

// A hosting that is paid for again is switched on again, with or without known websites.
func TestNobodyWaitsForAListOfWebsites(t *testing.T) {
	c := newCompany(t, nil)
	c.order("A", 0, 1)
	c.order("B", 1, 1)
	c.run()
	must(t, c.World.MarkUnpaid(c.subs["B"].Subscription))
	must(t, c.World.Cancel(c.subs["A"].Subscription))
	c.run()
	diff(t, "panel, with nothing paid for", []string(nil), c.panel())
	c.Fail(simulator.NotDone(http.StatusForbidden), func(call simulator.Call) bool { return call.Route == listSites })
	must(t, c.World.Pay(c.subs["B"].Subscription))
	if rep := c.run(); !rep.Converged() {
		t.Errorf("held: %+v", rep.Holds)
	}
	diff(t, "panel", []string{"plan 2 up with []"}, c.panel())
}

// To list websites costs requests: a customer with one hosting causes none,
// or whose hostings all stay.
func TestContentIsReadOnlyWhenOneOfSeveralGoes(t *testing.T) {
	c := newCompany(t, withRetention)
	c.order("A", 0, 1)
	c.order("B", 1, 1)
	only := signUp(t, c.Env, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, c.Env, 1)})
	c.run()
	c.World.Advance(26 * time.Hour) // everything is compared with the panel
	c.Run(engine.Request{Full: true})
	must(t, c.World.Cancel(only.Subscription))
	must(t, c.World.MarkUnpaid(c.subs["A"].Subscription))
	c.run()
	must(t, c.World.Pay(c.subs["A"].Subscription))
	c.run()
	for range 12 {
		c.World.Advance(3 * 24 * time.Hour)
		c.Run(engine.Request{Full: true})
	}
	if n := c.World.Counts(simulator.Enhance)[listSites]; n != 0 {
		t.Errorf("websites were listed %d times", n)
	}
	must(t, c.World.Cancel(c.subs["A"].Subscription))
	c.run()
	if n := c.World.Counts(simulator.Enhance)[listSites]; n < 1 || n > 2 {
		t.Errorf("one of two went, and websites were listed %d times", n)
	}
}

// The end of the retention period takes nothing with content while an empty hosting of
// the same customer stays: staff may have moved the site since.
func TestWhatHoldsASiteIsNotDeletedWhileAnEmptyOneStays(t *testing.T) {
	c := newCompany(t, withRetention)
	c.order("A", 0, 1)
	c.order("B", 1, 1)
	c.run()
	c.site("B", 1, "b.example.com")
	must(t, c.World.Cancel(c.subs["A"].Subscription)) // empty: it goes
	c.run()
	must(t, c.World.MoveWebsite("b.example.com", c.hosting("A", 1)))
	days(c.Env, 40)
	rep := c.run()
	diff(t, "told", []string{"content"}, holdKinds(rep))
	diff(t, "panel", []string{"plan 1 down with [b.example.com]", "plan 2 up with []"}, c.panel())
	if c.status("A", 1) == "deleted" {
		t.Fatal("the site was deleted")
	}
	must(t, c.World.MoveWebsite("b.example.com", c.hosting("B", 1)))
	c.World.Advance(2 * time.Hour)
	c.run()
	if status := c.status("A", 1); status != "deleted" {
		t.Errorf("it is %s with nothing on it", status)
	}
}

// Metadata that we wrote ourselves is no order to keep the empty one, and is
// put right.
func TestMetadataOfOurOwnHandFollows(t *testing.T) {
	c := newCompany(t, func(o *engine.Options) { o.Policy.WriteMetadata = true })
	c.order("A", 0, 1)
	c.run()
	c.site("A", 1, "a.example.com")
	c.order("B", 1, 1)
	c.run()
	must(t, c.World.Cancel(c.subs["A"].Subscription))
	c.run()
	if rep := c.run(); !rep.Converged() {
		t.Errorf("held: %+v", rep.Holds)
	}
	diff(t, "panel", []string{"plan 2 up with [a.example.com]"}, c.panel())
	for _, s := range c.World.Subscriptions() {
		if s.ID == c.subs["B"].Subscription && s.Metadata["enhance_subscription_id"] != fmt.Sprint(c.hosting("A", 1)) {
			t.Errorf("the metadata of B says %v", s.Metadata)
		}
	}
}

// A person's hold on switching on again keeps the exchange from being done by halves.
func TestAnExchangeIsNotDoneByHalves(t *testing.T) {
	c := newCompany(t, nil)
	c.order("A", 0, 1)
	c.run()
	c.site("A", 1, "a.example.com")
	c.order("B", 1, 1)
	c.run()
	must(t, c.World.Cancel(c.subs["A"].Subscription))
	_, err := c.Store.AddManualHold(t.Context(), reconcile.ManualHold{ID: "hold-1", Customer: c.subs["B"].Customer, Kind: reconcile.KeepSuspended,
		Reason: "asked to", Author: "operator", Created: c.World.Now()})
	must(t, err)
	diff(t, "told", []string{"manual", "manual", "manual"}, holdKinds(c.run())) // the link, the plan, the suspension
	diff(t, "panel", []string{"plan 1 up with [a.example.com]", "plan 2 up with []"}, c.panel())
}
