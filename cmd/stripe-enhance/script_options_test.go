package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// groups PLAN UUID… lets the websites of a plan choose among server groups.
func (o *outside) groups(ts *testscript.TestScript, args []string) {
	plan, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(o.simulated.OfferServerGroups(plan, args[1:]...))
}

// placed DOMAIN GROUP PHP compares where a website is, and with which PHP version.
func (o *outside) placed(ts *testscript.TestScript, args []string) {
	for _, s := range o.simulated.Websites() {
		if s.Domain == args[0] {
			if got := s.ServerGroup + " " + s.PHP; got != strings.Join(args[1:], " ") {
				ts.Fatalf("%s is in %s", s.Domain, got)
			}
			return
		}
	}
	ts.Fatalf("there is no website %s", args[0])
}

// apps works|denied|missing|slow sets how the panel installs applications.
func (o *outside) apps(ts *testscript.TestScript, args []string) {
	o.simulated.SetApps(map[string]simulator.Apps{"denied": {Denied: true}, "missing": {Missing: true}, "slow": {Take: time.Minute}}[args[0]])
}

// installed DOMAIN [APP] compares the applications on a website, and by how many installs
// of ours.
func (o *outside) installed(ts *testscript.TestScript, args []string) {
	want := strings.Join(args[1:], " ")
	for _, s := range o.simulated.Websites() {
		if s.Domain != args[0] {
			continue
		}
		n := 0
		for _, e := range o.simulated.Effects() {
			if e.Kind == "install_app" && e.Object == s.ID && !e.Staff {
				n++
			}
		}
		if got := s.AppsOn(); got != want || n > 1 {
			ts.Fatalf("%s has %q after %d installs", s.Domain, got, n)
		}
		return
	}
	ts.Fatalf("there is no website %s", args[0])
}

// unsite DOMAIN removes a website, which frees its domain.
func (o *outside) unsite(ts *testscript.TestScript, args []string) {
	ts.Check(o.simulated.RemoveWebsite(args[0]))
}

// details WHO KEY=VALUE… sets all the metadata of an order.
func (o *outside) details(ts *testscript.TestScript, args []string) {
	all := map[string]string{}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		all[key] = value
	}
	ts.Check(o.simulated.SetMetadata(o.signed[args[0]].Subscription, all))
}

// trial WHO PRICE is signup for an order with a trial of two weeks.
func (o *outside) trial(ts *testscript.TestScript, args []string) {
	who, of, again := strings.Cut(args[0], "@")
	if !again {
		of = who
	}
	done, err := o.simulated.SignUp(simulator.SignUp{Email: of + "@example.com", Name: of, Price: args[1], Trial: 14 * 24 * time.Hour})
	ts.Check(err)
	o.signed[who] = done
	ts.Setenv(who, done.Subscription)
}
