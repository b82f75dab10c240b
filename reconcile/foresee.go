package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// Foreseen is the id of an org that a plan has made only in thought. Hostings that are
// made so have ids below 0.
const Foreseen = "foreseen"

// After is c as it will be once an action is done, as far as that can be known before:
// what a plan goes on from to tell what comes next. now is when it is done. c is not
// changed.
func After(c *Customer, a Action, now time.Time) *Customer {
	next := *c
	switch a.Kind {
	case Link:
		next.linked(a, now)
	case CreateOrg:
		next.Org = &Org{ID: Foreseen, Name: fmt.Sprintf("%s [%s]", a.Name, c.ID), Created: now, ObservedAt: now, HostingsRead: now, OwnersRead: now}
	case RenameOrg:
		next.OrgNamed = true
		if c.Org != nil {
			org := *c.Org
			org.Name, next.Org = a.Name, &org
		}
	case InviteOwner:
		next.Invited, next.InvitedEmail = now, EmailKey(a.Email)
	case CreateSubscription:
		next.made(a, now)
	case CreateWebsite:
		next.onHosting(a, func(h *Hosting) { h.Website = a.Domain })
	case Resume:
		next.onHosting(a, func(h *Hosting) { h.State, h.SuspendedBy, h.SuspendedByUs = HostingActive, "", time.Time{} })
	case Suspend:
		next.onHosting(a, func(h *Hosting) { h.State, h.SuspendedByUs = HostingSuspended, now })
	case ChangePlan:
		next.onHosting(a, func(h *Hosting) {
			h.Plan = a.Plan
			if a.Name != "" {
				h.FriendlyName = a.Name
			}
		})
	case Terminate:
		next.onHosting(a, func(h *Hosting) { h.State, h.TerminatedByUs = HostingDeleted, now })
	case WriteMetadata:
		next.Subscriptions = slices.Clone(c.Subscriptions)
		for i := range next.Subscriptions {
			if s := &next.Subscriptions[i]; s.ID == a.Subscription {
				s.MetadataOrg, s.MetadataHosting, s.MetadataWritten = a.Org, a.Hosting, a.Hosting
			}
		}
	}
	return &next
}

// linked binds the hosting of a, or the org.
func (c *Customer) linked(a Action, now time.Time) {
	if a.Hosting == 0 {
		org := Org{ID: a.Org, ObservedAt: now, HostingsRead: now}
		for _, known := range [][]Org{c.MarkedOrgs, c.OwnedOrgs} {
			if i := slices.IndexFunc(known, func(o Org) bool { return o.ID == a.Org }); i >= 0 {
				org = known[i]
			}
		}
		for i := range c.Kin {
			if c.Kin[i].Org.ID == a.Org {
				org, c.OrgGuest = c.Kin[i].Org, true
			}
		}
		m, marked := MarkerOf(org.Name)
		c.Org, c.OrgNamed = &org, !marked || m.Slot != 0
		return
	}
	b := Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: a.Hosting, How: a.How, At: now}
	c.Bindings = slices.DeleteFunc(slices.Clone(c.Bindings), func(o Binding) bool {
		return o.Subscription == b.Subscription && o.Slot == b.Slot || a.How == BoundByReturn && o.Hosting == b.Hosting && c.ended(o.Subscription)
	})
	c.Bindings = append(c.Bindings, b)
}

func (c *Customer) ended(subscription string) bool {
	return slices.ContainsFunc(c.Subscriptions, func(s Subscription) bool { return s.ID == subscription && s.Status.Ended() })
}

// made adds the hosting that a makes, empty and up.
func (c *Customer) made(a Action, now time.Time) {
	id := int64(-1)
	for i := range c.Hostings {
		id = min(id, c.Hostings[i].ID-1)
	}
	org := a.Org
	if c.Org != nil {
		org = c.Org.ID
	}
	m := Marker{StripeID: a.Subscription, Slot: a.Slot}
	c.Hostings = append(slices.Clone(c.Hostings), Hosting{ID: id, Org: org, Plan: a.Plan, State: HostingActive, Bound: true,
		FriendlyName: a.PlanName + " " + m.String(), ObservedAt: now, Content: Content{ReadAt: now}})
	c.Bindings = append(slices.Clone(c.Bindings), Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: org, Hosting: id, How: BoundByCreate, At: now})
}

func (c *Customer) onHosting(a Action, change func(*Hosting)) {
	c.Hostings = slices.Clone(c.Hostings)
	for i := range c.Hostings {
		if c.Hostings[i].ID == a.Hosting {
			change(&c.Hostings[i])
		}
	}
}
