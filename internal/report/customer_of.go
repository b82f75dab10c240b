package report

import (
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// CustomerOf makes the outside form of a customer, without what comes next and without a
// refresh. The command customers show prints it; the admin API answers it under its own
// names.
func CustomerOf(r reconcile.CustomerRecord, now time.Time) Customer {
	c := Customer{
		ID: r.ID, Email: r.Email, Name: r.Name, StripeCustomers: []Buyer{},
		OrgGuest: r.OrgGuest, OrgWhy: r.OrgWhy, OrgSharedWith: []Sharer{}, OrgsApart: []ApartOrg{},
		Subscriptions: []Subscription{}, Answers: []Answer{}, Holds: []Hold{}, ManualHolds: []ManualHold{}, History: []HistoryRow{},
		DueAt: Time(r.DueAt), PlannedAt: Time(r.PlannedAt), Failures: r.Failures,
		ParkedAt: Time(r.Parked), LastError: r.LastError, RetryAfter: Time(r.RetryAfter), ErasedAt: Time(r.Erased),
	}
	if r.Org != nil {
		c.Org, c.OrgName = r.Org.ID, r.Org.Name
	}
	for _, s := range r.Sharers {
		if s.ID != r.ID {
			c.OrgSharedWith = append(c.OrgSharedWith, Sharer{Customer: s.ID, Email: s.Email, Guest: s.Guest, Why: s.Why})
		}
	}
	for _, o := range r.Apart {
		c.OrgsApart = append(c.OrgsApart, ApartOrg{Org: o.Org, Why: o.Why, At: Time(o.At)})
	}
	for _, b := range r.Buyers {
		c.StripeCustomers = append(c.StripeCustomers, Buyer{ID: b.ID, Email: b.Email, Name: b.Name, Deleted: b.Deleted,
			FormerEmail: b.FormerEmail, EmailChangedAt: Time(b.EmailChanged)})
	}
	hostings := map[int64]reconcile.Hosting{}
	for _, h := range r.Hostings {
		hostings[h.ID] = h
	}
	for i := range r.Subscriptions {
		c.Subscriptions = append(c.Subscriptions, subscriptionOf(&r.Subscriptions[i], r.Bindings, hostings, now))
	}
	for _, h := range r.Held {
		c.Holds = append(c.Holds, HoldOf(h))
	}
	for _, h := range r.Manual {
		c.ManualHolds = append(c.ManualHolds, ManualHoldOf(h))
	}
	for _, a := range r.History {
		c.History = append(c.History, HistoryRow{At: Time(a.At()), PlannedAt: Time(a.PlannedAt), FinishedAt: Time(a.FinishedAt), Run: a.Run, Action: ActionOf(a), Evidence: a.Evidence})
	}
	return c
}

func subscriptionOf(s *reconcile.Subscription, bindings []reconcile.Binding, hostings map[int64]reconcile.Hosting, now time.Time) Subscription {
	out := Subscription{
		ID: s.ID, StripeCustomer: s.StripeCustomer, Status: s.Status.String(), Created: Time(s.Created), EndedAt: Time(s.EndedAt),
		CurrentPeriodEnd: Time(s.CurrentPeriodEnd), CancelAtPeriodEnd: s.CancelAtPeriodEnd, CollectionPaused: s.CollectionPaused,
		CancelAt: Time(s.CancelAt), SendInvoice: s.SendInvoice, Standing: s.ID + reconcile.DescribeSubscription(s),
		Domain: s.Domain, ReadAt: Time(s.ReadAt), UnpaidSince: Time(s.UnpaidSince), Lines: s.Items, Hostings: []Hosting{},
	}
	if v := &s.Owed; v.ID != "" {
		out.OpenInvoice = &OpenInvoice{ID: v.ID, DueAt: Time(v.Due), Amount: v.Amount(), URL: v.URL, OpenInAll: v.Open}
	}
	if s.Status == reconcile.StatusUnknown {
		out.Status = s.StatusText
	}
	var items []string
	for _, it := range s.Items {
		items = append(items, strconv.FormatInt(it.Quantity, 10)+" × "+it.Price)
	}
	out.Items = strings.Join(items, ", ")
	for _, b := range bindings {
		if b.Subscription != s.ID {
			continue
		}
		h := hostings[b.Hosting]
		one := HostingOf(h)
		if key := reconcile.DomainKey(s.Domain); key != "" && h.Website != "" && reconcile.DomainKey(h.Website) != key {
			out.DomainChanged = true
		}
		one.ID, one.Org, one.Plan, one.BoundBy, one.Seen = b.Hosting, b.Org, strconv.Itoa(h.Plan), b.How.String(), Seen(h.ObservedAt, now)
		for _, u := range h.Usage {
			one.Usage = append(one.Usage, Usage(u))
		}
		out.Hostings = append(out.Hostings, one)
	}
	return out
}
