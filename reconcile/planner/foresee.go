package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// ForeseenOrg is the id of an org that exists only in a dry run. Hostings that are made so
// have ids below 0.
const ForeseenOrg = "foreseen"

// After is c as it will be once an action is done at the time now, as far as that can be
// known before. A dry run goes on from it, to show the next actions. c is not changed.
func After(c *reconcile.Customer, a reconcile.Action, now time.Time) *reconcile.Customer {
	next := *c
	switch a.Kind {
	case reconcile.Link:
		linked(&next, a, now)
	case reconcile.CreateOrg:
		next.Org = &reconcile.Org{ID: ForeseenOrg, Name: fmt.Sprintf("%s [%s]", a.Name, c.ID), Created: now, ObservedAt: now, HostingsRead: now, OwnersRead: now}
	case reconcile.RenameOrg:
		next.OrgNamed = true
		if next.NameWanted == a.Name {
			next.NameWanted = ""
		}
		if c.Org != nil {
			org := *c.Org
			org.Name, next.Org = a.Name, &org
		}
	case reconcile.InviteOwner:
		next.Invited, next.InvitedEmail = now, reconcile.EmailKey(a.Email)
		if next.InviteWanted == next.InvitedEmail {
			next.InviteWanted = ""
		}
	case reconcile.CreateSubscription:
		made(&next, a, now)
	case reconcile.CreateWebsite, reconcile.InstallApp, reconcile.Resume, reconcile.Suspend, reconcile.ChangePlan, reconcile.Backup, reconcile.MarkHosting, reconcile.Terminate:
		changeHosting(&next, a, func(h *reconcile.Hosting) { changed(h, a, now) })
	case reconcile.SendMail: // it changes nothing that is decided by
	case reconcile.WriteMetadata:
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
func linked(c *reconcile.Customer, a reconcile.Action, now time.Time) {
	if a.Hosting == 0 {
		org := reconcile.Org{ID: a.Org, ObservedAt: now, HostingsRead: now}
		for _, known := range [][]reconcile.Org{c.MarkedOrgs, c.OwnedOrgs} {
			if i := slices.IndexFunc(known, func(o reconcile.Org) bool { return o.ID == a.Org }); i >= 0 {
				org = known[i]
			}
		}
		for i := range c.Kin {
			if c.Kin[i].Org.ID == a.Org {
				org, c.OrgGuest = c.Kin[i].Org, true
			}
		}
		m, marked := reconcile.MarkerOf(org.Name)
		c.Org, c.OrgNamed = &org, !marked || m.Slot != 0
		return
	}
	b := reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: a.Org, Hosting: a.Hosting, How: a.How, At: now}
	c.Bindings = slices.DeleteFunc(slices.Clone(c.Bindings), func(o reconcile.Binding) bool {
		return o.Subscription == b.Subscription && o.Slot == b.Slot || a.How == reconcile.BoundByResubscription && o.Hosting == b.Hosting && hasEnded(c, o.Subscription)
	})
	c.Bindings = append(c.Bindings, b)
}

func hasEnded(c *reconcile.Customer, subscription string) bool {
	return slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == subscription && s.Status.Ended() })
}

// made adds the hosting that a makes, empty and up.
func made(c *reconcile.Customer, a reconcile.Action, now time.Time) {
	id := int64(-1)
	for i := range c.Hostings {
		id = min(id, c.Hostings[i].ID-1)
	}
	org := a.Org
	if c.Org != nil {
		org = c.Org.ID
	}
	m := reconcile.Marker{StripeID: a.Subscription, Slot: a.Slot}
	c.Hostings = append(slices.Clone(c.Hostings), reconcile.Hosting{ID: id, Org: org, Plan: a.Plan, State: reconcile.HostingActive, Bound: true,
		FriendlyName: a.PlanName + " " + m.String(), ObservedAt: now, Content: reconcile.Content{ReadAt: now}})
	c.Bindings = append(slices.Clone(c.Bindings), reconcile.Binding{Subscription: a.Subscription, Item: a.Item, Slot: a.Slot, Org: org, Hosting: id, How: reconcile.BoundByCreate, At: now})
}

// changed is h once an action on it is done.
func changed(h *reconcile.Hosting, a reconcile.Action, now time.Time) {
	switch a.Kind {
	case reconcile.CreateWebsite:
		h.Website = a.Domain
		if a.Site.App != "" {
			h.App = reconcile.SiteApp{App: a.Site.App, Domain: a.Domain, MadeAt: now}
		}
	case reconcile.InstallApp:
		h.App.Done = now
	case reconcile.Resume:
		h.State, h.SuspendedBy, h.SuspendedByUs = reconcile.HostingActive, "", time.Time{}
	case reconcile.Suspend:
		h.State, h.SuspendedByUs = reconcile.HostingSuspended, now
	case reconcile.ChangePlan:
		h.Plan = a.Plan
		if a.Name != "" {
			h.FriendlyName = a.Name
		}
	case reconcile.Backup:
		h.Backups.Began = now
	case reconcile.MarkHosting:
		h.FriendlyName = a.Name
	case reconcile.Terminate:
		h.State, h.TerminatedByUs = reconcile.HostingDeleted, now
	case reconcile.Link, reconcile.CreateOrg, reconcile.CreateSubscription, reconcile.RenameOrg, reconcile.InviteOwner, reconcile.WriteMetadata, reconcile.SendMail:
	}
}

func changeHosting(c *reconcile.Customer, a reconcile.Action, change func(*reconcile.Hosting)) {
	c.Hostings = slices.Clone(c.Hostings)
	for i := range c.Hostings {
		if c.Hostings[i].ID == a.Hosting {
			change(&c.Hostings[i])
		}
	}
}
