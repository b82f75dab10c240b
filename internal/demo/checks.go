package demo

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// check is a statement about the company after a scene. It is compared with the simulators'
// own state, because the program's state could repeat a mistake of the program.
type check struct {
	statement string
	holds     func(*stage, reconcile.Report) bool
}

// mail is the address of a customer of the story.
func mail(who string) string {
	return strings.NewReplacer(" ", ".", "'", "").Replace(who) + "@example.com"
}

// home lists the hostings, not deleted, in all organisations whose owner has the
// customer's address.
func (s *stage) home(who string) (hostings []simulator.Hosting, orgs int) {
	ours := map[string]bool{}
	for _, o := range s.world.Orgs() {
		for _, m := range o.Members {
			if strings.EqualFold(m.Email, mail(who)) {
				ours[o.ID] = true
			}
		}
	}
	for _, h := range s.world.Hostings() {
		if ours[h.Org] && h.Status == "active" {
			hostings = append(hostings, h)
		}
	}
	return hostings, len(ours)
}

// hosting is the id of the customer's first hosting; 0 if there is none.
func (s *stage) hosting(who string) int {
	if all, _ := s.home(who); len(all) > 0 {
		return all[0].ID
	}
	return 0
}

func up(who, plan string, n int) check {
	return check{fmt.Sprintf("%s: %d up on %s", who, n, plan), func(s *stage, _ reconcile.Report) bool {
		names := map[int]string{}
		for _, p := range s.world.Plans() {
			names[p.ID] = p.Name
		}
		count := 0
		hostings, _ := s.home(who)
		for _, h := range hostings {
			if h.SuspendedBy == "" && names[h.Plan] == plan {
				count++
			}
		}
		return count == n
	}}
}

func down(who string, n int) check {
	return check{fmt.Sprintf("%s: %d suspended", who, n), func(s *stage, _ reconcile.Report) bool {
		count := 0
		hostings, _ := s.home(who)
		for _, h := range hostings {
			if h.SuspendedBy != "" {
				count++
			}
		}
		return count == n
	}}
}

func orgs(who string, n int) check {
	return check{fmt.Sprintf("%s: %d organisation", who, n), func(s *stage, _ reconcile.Report) bool {
		_, got := s.home(who)
		named := 0 // an org that was created twice has the name, but no members
		for _, o := range s.world.Orgs() {
			if strings.Contains(o.Name, who) || strings.Contains(o.Name, s.orders[who].Customer) {
				named++
			}
		}
		return got == n && named == n
	}}
}

func nothingFor(who string) check {
	return check{who + ": nothing was created", func(s *stage, _ reconcile.Report) bool {
		_, n := s.home(who)
		return n == 0
	}}
}

// sameHosting checks that the customer still has the first hosting that was created for them.
func sameHosting(who string) check {
	return check{who + ": still the first hosting", func(s *stage, _ reconcile.Report) bool {
		hostings, _ := s.home(who)
		created := 0
		for _, e := range s.world.Effects() {
			if e.Kind == "create_subscription" && len(hostings) > 0 && e.Org == hostings[0].Org {
				created++
			}
		}
		return len(hostings) == 1 && created == 1
	}}
}

func neverDown(who string) check {
	return check{who + ": was never suspended", func(s *stage, _ reconcile.Report) bool {
		hostings, _ := s.home(who)
		for _, e := range s.world.Effects() {
			for _, h := range hostings {
				if e.Kind == "suspend" && e.Hosting == h.ID {
					return false
				}
			}
		}
		return len(hostings) > 0
	}}
}

func invited(who string) check {
	return check{who + ": one invitation mailed", func(s *stage, _ reconcile.Report) bool {
		n := 0
		for _, m := range s.world.Mails() {
			if m.Kind == "invite" && strings.EqualFold(m.To, mail(who)) {
				n++
			}
		}
		return n == 1
	}}
}

// serves checks that the customer's hosting carries the marker of the customer's order.
func serves(who string) check {
	return check{who + ": the hosting is linked to the order", func(s *stage, _ reconcile.Report) bool {
		hostings, _ := s.home(who)
		return len(hostings) == 1 && strings.Contains(hostings[0].FriendlyName, s.orders[who].Subscription)
	}}
}

func mailed(who string, kind reconcile.MailKind, n int) check {
	return check{fmt.Sprintf("%s: %d × mail %s", who, n, kind), func(s *stage, _ reconcile.Report) bool {
		return s.mails.count(mail(who), kind) == n
	}}
}

func website(domain string) check {
	return check{"website " + domain, func(s *stage, _ reconcile.Report) bool {
		for _, w := range s.world.Websites() {
			if w.Domain == domain && w.Status == "active" {
				return true
			}
		}
		return false
	}}
}

func effects(n int) check {
	return check{fmt.Sprintf("%d changes at the panel that staff did not make", n), func(s *stage, _ reconcile.Report) bool {
		made := 0
		for _, e := range s.world.Effects() {
			if !e.Staff {
				made++
			}
		}
		return made == n
	}}
}

// held and braked read the program's report, because the simulators cannot know about holds.
func held(kind reconcile.HoldKind, who string) check {
	return check{fmt.Sprintf("%s: held (%s)", who, kind), func(s *stage, r reconcile.Report) bool {
		for _, h := range r.Holds {
			if h.Kind == kind && h.Subscription == s.orders[who].Subscription {
				return true
			}
		}
		return false
	}}
}

func braked(kind reconcile.ActionKind, n int) check {
	return check{fmt.Sprintf("%d × %s held by the brake", n, kind), func(_ *stage, r reconcile.Report) bool {
		count := 0
		for _, p := range r.Plans {
			if p.Kind == kind && p.Approved.IsZero() {
				count += len(p.Actions)
			}
		}
		return count == n
	}}
}

// always are the checks after every scene.
func always() []check {
	return []check{
		{"no paying customer was switched off", func(s *stage, _ reconcile.Report) bool {
			for _, e := range s.world.Effects() {
				if e.Kind == "suspend" && !e.Staff && (e.StripeStatus == "active" || e.StripeStatus == "trialing") && !leftOver(s, e) {
					return false
				}
			}
			return true
		}},
		{"nothing was deleted", func(s *stage, _ reconcile.Report) bool {
			for _, e := range s.world.Effects() {
				if strings.HasPrefix(e.Kind, "delete") {
					return false
				}
			}
			return true
		}},
		{"nothing forbidden was sent", func(s *stage, _ reconcile.Report) bool { return len(s.world.Violations()) == 0 }},
	}
}

// leftOver reports whether a suspended hosting was a unit that the customer gave up, such as
// the agency's third. That is so if as many hostings are active as are paid for.
func leftOver(s *stage, e simulator.Effect) bool {
	paid, live := int64(0), int64(0)
	if sub, ok := s.world.Subscription(e.Subscription); ok {
		for _, it := range sub.Items {
			paid += it.Quantity
		}
	}
	for _, h := range s.world.Hostings() {
		if h.Org == e.Org && h.SuspendedBy == "" && strings.Contains(h.FriendlyName, e.Subscription) {
			live++
		}
	}
	return live >= paid
}
