package planner_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestItConverges applies decisions to a small model of the world, one action at a time,
// and decides again after each, as the engine does. This has to end, and it may make
// nothing twice. When it ends, each customer without holds has the hostings that they
// pay for, and no others.
func TestItConverges(t *testing.T) { rapid.Check(t, converges) }

// mostSteps is more than any generated world needs, because each unit and each hosting
// costs at most a creation, a binding, a resume, a change of plan and a website.
const mostSteps = 400

func converges(t *rapid.T) {
	m := model{scene: drawScene(t), next: 100, made: map[string]bool{}, undone: map[string]int{}}
	m.c.Pending = nil // only the engine can find their outcome
	for range mostSteps {
		d := m.decide()
		if len(d.Needs) > 0 {
			m.answer(t, d.Needs)
			continue
		}
		if len(d.Actions) == 0 {
			m.check(t, d)
			return
		}
		m.apply(t, d.Actions[0])
	}
	t.Fatalf("still %v and %v after %d steps", ids(m.decide()), m.decide().Needs, mostSteps)
}

// model is the world that actions change: our database and the panel in one.
type model struct {
	scene
	next   int64
	made   map[string]bool // slots created
	undone map[string]int  // how often one hosting was suspended or resumed
}

// answer gives the planner the facts that it asks for. A hosting is missing if it was
// never listed, and active if it was never read.
func (m *model) answer(t *rapid.T, needs []planner.Need) {
	for _, n := range needs {
		switch n.Kind {
		case planner.NeedHosting:
			h := hostingOf(&m.c, n.Hosting)
			if h == nil {
				m.c.Hostings = append(m.c.Hostings, reconcile.Hosting{ID: n.Hosting, Org: n.Org, State: reconcile.HostingMissing, FriendlyName: "Hosting"})
				h = hostingOf(&m.c, n.Hosting)
			}
			if h.State == 0 {
				h.State = reconcile.HostingActive
			}
			h.ObservedAt = m.now
			for i := range m.c.Lookalikes {
				if m.c.Lookalikes[i].Hosting == n.Hosting {
					m.c.Lookalikes[i].ObservedAt = m.now
				}
			}
		case planner.NeedWebsiteLocation:
			subOf(&m.c, n.Subscription).SiteReadAt = m.now
		case planner.NeedOrg:
			for i := range m.c.MarkedOrgs {
				if m.c.MarkedOrgs[i].ID == n.Org {
					m.c.MarkedOrgs[i].ObservedAt = m.now
				}
			}
		case planner.NeedOrgHostings:
			for i := range m.c.OwnedOrgs {
				if m.c.OwnedOrgs[i].ID == n.Org {
					m.c.OwnedOrgs[i].HostingsRead = m.now
				}
			}
		case planner.NeedOwners:
			for i := range m.c.OwnedOrgs {
				if m.c.OwnedOrgs[i].ID == n.Org {
					m.c.OwnedOrgs[i].OwnersRead = m.now
				}
			}
			for i := range m.c.Kin {
				if m.c.Kin[i].Org.ID == n.Org {
					m.c.Kin[i].Org.OwnersRead = m.now
				}
			}
		case planner.NeedDomain:
			subOf(&m.c, n.Subscription).DomainChecked = true
		case planner.NeedContent:
			for i := range m.c.Hostings {
				if m.c.Hostings[i].Org == n.Org {
					m.c.Hostings[i].Content.ReadAt = m.now
				}
			}
		case planner.NeedSubscription:
			subOf(&m.c, n.Subscription).ByID = true
		default:
			t.Fatalf("a need of kind %d, which the model cannot answer", n.Kind)
		}
	}
}

// apply changes the model as the engine and the store would.
func (m *model) apply(t *rapid.T, a reconcile.Action) {
	h := hostingOf(&m.c, a.Hosting)
	switch a.Kind {
	case reconcile.Link:
		m.bind(a)
	case reconcile.CreateOrg:
		m.c.Org = &reconcile.Org{ID: "org-new", Name: a.Name + " [cus_1]", ObservedAt: m.now, HostingsRead: m.now}
	case reconcile.RenameOrg:
		m.c.OrgNamed = true
	case reconcile.InviteOwner:
		m.c.Invited = m.now
	case reconcile.CreateSubscription:
		at := fmt.Sprintf("%s/%d", a.Subscription, a.Slot)
		if m.made[at] {
			t.Fatalf("%s was made twice", at)
		}
		m.made[at] = true
		m.next++
		m.c.Hostings = append(m.c.Hostings, reconcile.Hosting{ID: m.next, Org: a.Org, Plan: a.Plan, State: reconcile.HostingActive,
			FriendlyName: "Hosting [" + at + "]", ObservedAt: m.now, Content: reconcile.Content{ReadAt: m.now}})
		m.c.Bindings = append(m.c.Bindings, reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: m.next, How: a.How, At: m.now})
	case reconcile.CreateWebsite:
		h.Website = a.Domain
		h.Content.Sites, h.Content.Count = append(slices.Clone(h.Content.Sites), a.Domain), h.Content.Count+1
	case reconcile.ChangePlan:
		h.Plan = a.Plan
	case reconcile.MarkHosting:
		h.FriendlyName = a.Name
	case reconcile.WriteMetadata:
		s := subOf(&m.c, a.Subscription)
		s.MetadataOrg, s.MetadataHosting = a.Org, a.Hosting
	case reconcile.Suspend:
		h.State, h.SuspendedByUs = reconcile.HostingSuspended, m.now
	case reconcile.Resume:
		h.State, h.SuspendedByUs = reconcile.HostingActive, time.Time{}
	case reconcile.Terminate:
		h.State, h.TerminatedByUs = reconcile.HostingDeleted, m.now
	case reconcile.InstallApp, reconcile.Backup, reconcile.SendMail: // the settings of the model ask for none of them
	}
	if a.Kind == reconcile.Suspend || a.Kind == reconcile.Resume {
		if m.undone[fmt.Sprint(a.Hosting)]++; m.undone[fmt.Sprint(a.Hosting)] > 1 {
			t.Fatalf("%s: hosting %d is suspended and resumed in one run", a.ID, a.Hosting)
		}
	}
}

// bind changes bindings as the store does. When a returning customer takes a hosting
// over, the bindings of ended subscriptions to it are removed.
func (m *model) bind(a reconcile.Action) {
	if a.Hosting == 0 {
		m.c.Org = &reconcile.Org{ID: a.Org, Name: "Ada", ObservedAt: m.now}
		m.c.OrgNamed = true
		m.c.MarkedOrgs, m.c.OwnedOrgs = nil, nil
		return
	}
	m.c.Bindings = slices.DeleteFunc(m.c.Bindings, func(b reconcile.Binding) bool {
		same := b.Subscription == a.Subscription && b.Slot == a.Slot
		s := subOf(&m.c, b.Subscription)
		return same || a.How == reconcile.BoundByResubscription && b.Hosting == a.Hosting && s != nil && s.Status.Ended()
	})
	m.c.Bindings = append(m.c.Bindings, reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: a.Hosting, How: a.How, At: m.now})
}

// check compares paid units with active hostings when no action is left.
func (m *model) check(t *rapid.T, d planner.Decision) {
	for i := range m.c.Subscriptions {
		s := &m.c.Subscriptions[i]
		if standing(s, m.policy, m.now) != "live" || heldBack(d, s.ID) {
			continue
		}
		units, lost := map[int]int{}, map[string]bool{}
		for _, it := range s.Items {
			plan := planOf[it.Price]
			lost[it.ID] = plan == 0
			if plan != 0 {
				units[plan] += int(it.Quantity)
			}
		}
		for _, b := range m.c.Bindings {
			h := hostingOf(&m.c, b.Hosting)
			if b.Subscription != s.ID || lost[b.Item] || h == nil || h.State != reconcile.HostingActive {
				continue
			}
			units[h.Plan]--
		}
		for plan, n := range units {
			if n != 0 && len(units) > 0 && !m.shared(s.ID) {
				t.Fatalf("%s pays for %d more of plan %d than it has; holds %v", s.ID, n, plan, d.Holds)
			}
		}
	}
}

// heldBack reports whether there is a hold, other than grace, of the subscription or of
// the whole customer.
func heldBack(d planner.Decision, sub string) bool {
	return slices.ContainsFunc(d.Holds, func(h reconcile.Hold) bool {
		return (h.Subscription == sub || h.Subscription == "") && h.Kind != reconcile.HoldGrace
	})
}

// shared reports whether a hosting of the subscription serves another one too. Then the
// units cannot be compared, because the two may pay for different plans, or one for none.
func (m *model) shared(sub string) bool {
	for _, a := range m.c.Bindings {
		for _, b := range m.c.Bindings {
			if a.Subscription == sub && a.Hosting == b.Hosting && (a.Subscription != b.Subscription || a.Slot != b.Slot) {
				return true
			}
		}
	}
	return false
}
