package main

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// staffSuspend suspends the hosting of a subscription by hand, and staffUpgrade puts it on
// the plan 2: "world abuse WHO" and "world handed WHO".
func (o *outside) staffSuspend(subscription string) error {
	return o.byHand(subscription, o.simulated.StaffSuspend)
}

func (o *outside) staffUpgrade(subscription string) error {
	return o.byHand(subscription, func(id int) error { return o.simulated.StaffChangePlan(id, 2) })
}

func (o *outside) byHand(subscription string, do func(int) error) error {
	for _, h := range o.simulated.Hostings() {
		if strings.Contains(h.FriendlyName, "["+subscription+"/") {
			return do(h.ID)
		}
	}
	return fmt.Errorf("no hosting has the marker of %s", subscription)
}

// accept accepts the invitation to the org of a subscription's hosting: "world accepts WHO".
func (o *outside) accept(subscription string) error {
	for _, h := range o.simulated.Hostings() {
		if strings.Contains(h.FriendlyName, "["+subscription+"/") {
			return o.simulated.AcceptInvite(h.Org)
		}
	}
	return fmt.Errorf("no hosting has the marker of %s", subscription)
}

// mayNotLogIn answers as a panel whose token has a role that makes no login links.
func mayNotLogIn(c simulator.Call) simulator.Fault {
	if c.Route == "GET /orgs/{org}/members/{member}/sso" {
		return simulator.Fault{Status: 403, Body: []byte(`{"code":"forbidden"}`)}
	}
	return simulator.Fault{}
}
