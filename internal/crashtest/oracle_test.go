package crashtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// harm compares the changes that were really made with the promises that hold whatever
// died: nothing is made twice, no customer who pays is suspended or deleted, and no
// forbidden request is sent.
func (c *company) harm() []string {
	var all []string
	made := map[string]int{}
	for _, e := range c.Effects() {
		if e.Staff {
			continue
		}
		paying := e.StripeStatus == "active" || e.StripeStatus == "trialing"
		switch e.Kind {
		case "create_org":
			made["an org named "+e.After.Name]++
		case "create_subscription":
			made["a hosting for "+e.Subscription+"/"+e.Unit]++
		case "create_website":
			made[fmt.Sprintf("a website on hosting %d", e.Hosting)]++
		case "delete_subscription":
			made[fmt.Sprintf("a deletion of hosting %d", e.Hosting)]++
			if paying {
				all = append(all, fmt.Sprintf("hosting %d of a paying customer was deleted", e.Hosting))
			}
		case "suspend":
			if paying {
				all = append(all, fmt.Sprintf("hosting %d of a paying customer was suspended", e.Hosting))
			}
		case "suspend_org", "delete_org":
			all = append(all, "a forbidden "+e.Kind)
		}
	}
	for what, n := range made {
		if n > 1 {
			all = append(all, fmt.Sprintf("%s was made %d times", what, n))
		}
	}
	for _, v := range c.Violations() {
		all = append(all, "sent what must never be sent: "+v.Kind+" "+v.Call)
	}
	slices.Sort(all)
	return all
}

// wrong compares the final state at Enhance with the units that are paid for.
func (c *company) wrong() []string {
	var all []string
	hostings := c.Hostings()
	for _, s := range c.Subscriptions() {
		if n := len(live(hostings, s.ID)); s.Status == "active" && int64(n) != units(s) {
			all = append(all, fmt.Sprintf("%s is paid for and has %d hostings, want %d", s.ID, n, units(s)))
		}
		for _, h := range live(hostings, s.ID) {
			up := h.SuspendedBy == ""
			switch {
			case s.Status == "active" && !up:
				all = append(all, fmt.Sprintf("%s is paid for and hosting %d is suspended", s.ID, h.ID))
			case s.Status == "active" && h.Plan != c.plans[s.Items[0].Price]:
				all = append(all, fmt.Sprintf("%s pays for plan %d and hosting %d has plan %d", s.ID, c.plans[s.Items[0].Price], h.ID, h.Plan))
			case (s.Status == "unpaid" || s.Status == "canceled") && up:
				all = append(all, fmt.Sprintf("%s is %s and hosting %d is up", s.ID, s.Status, h.ID))
			}
		}
	}
	owners := map[string]int{}
	for _, o := range c.Orgs() {
		if strings.Contains(o.Name, "[cus_") {
			all = append(all, fmt.Sprintf("org %q still has its marker as a name", o.Name))
		}
		for _, m := range o.Members {
			owners[m.Email]++
		}
	}
	for email, n := range owners {
		if n > 1 {
			all = append(all, fmt.Sprintf("%s owns %d orgs", email, n))
		}
	}
	slices.Sort(all)
	return all
}

func live(hostings []simulator.Hosting, subscription string) (all []simulator.Hosting) {
	for _, h := range hostings {
		if h.Status == "active" && strings.Contains(h.FriendlyName, "["+subscription) {
			all = append(all, h)
		}
	}
	return all
}

func units(s simulator.Subscription) (n int64) {
	for _, i := range s.Items {
		n += i.Quantity
	}
	return n
}

// sound fails the test if harm was done or something is wrong.
func (c *company) sound() {
	c.Helper()
	for _, h := range c.harm() {
		c.Errorf("harm: %s", h)
	}
	for _, w := range c.wrong() {
		c.Errorf("wrong in the end: %s", w)
	}
}
