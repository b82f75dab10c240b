package main

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// marked is the hosting that was made for a slot of an order.
func (o *outside) marked(ts *testscript.TestScript, who, slot string) simulator.Hosting {
	for _, h := range o.simulated.Hostings() {
		if strings.HasSuffix(h.FriendlyName, fmt.Sprintf("[%s/%s]", o.signed[who].Subscription, slot)) {
			return h
		}
	}
	ts.Fatalf("%s/%s has no hosting", who, slot)
	return simulator.Hosting{}
}

// site WHO SLOT DOMAIN lets a customer build a website, and sets $hosting to where it
// is.
func (o *outside) site(ts *testscript.TestScript, args []string) {
	h := o.marked(ts, args[0], args[1])
	_, err := o.simulated.AddWebsite(h.ID, args[2])
	ts.Check(err)
	ts.Setenv("hosting", fmt.Sprint(h.ID))
}

// serves WHO SLOT up|down [PLAN] compares what stands at Enhance with one hosting.
func (o *outside) serves(ts *testscript.TestScript, args []string) {
	h := o.marked(ts, args[0], args[1])
	state := "up"
	if h.SuspendedBy != "" || h.Status == "deleted" {
		state = "down"
	}
	got := []string{state, fmt.Sprint(h.Plan)}
	if want := args[2:]; strings.Join(got[:len(want)], " ") != strings.Join(want, " ") {
		ts.Fatalf("hosting %d of %s/%s is %v, want %v", h.ID, args[0], args[1], got, want)
	}
}
