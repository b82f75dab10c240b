package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

type customerDocument struct {
	ID               string                 `json:"id"`
	Email            string                 `json:"email"`
	Name             string                 `json:"name"`
	StripeCustomers  []buyerDocument        `json:"stripeCustomers"`
	OrganizationID   string                 `json:"organizationId"`
	OrganizationName string                 `json:"organizationName"`
	OrganizationOf   string                 `json:"organizationOf"`  // cus_… of another customer; "": it is its own
	OrganizationWhy  string                 `json:"organizationWhy"` // who has put it there, and why
	Failures         int                    `json:"failures"`
	RetryAfter       *string                `json:"retryAfter"`
	ParkedAt         *string                `json:"parkedAt"`
	LastError        string                 `json:"lastError"`
	DueAt            *string                `json:"dueAt"` // null: only when something changes
	PlannedAt        *string                `json:"plannedAt"`
	Holds            []report.Hold          `json:"holds"`
	History          []report.JournalAction `json:"history"`
}

type buyerDocument struct {
	ID      string `json:"id"`
	Email   string `json:"email"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
}

type subscriptionDocument struct {
	ID                string            `json:"id"`
	CustomerID        string            `json:"customerId"` // cus_… of the buyer
	Status            string            `json:"status"`     // Stripe's own word
	CreatedAt         *string           `json:"createdAt"`
	EndedAt           *string           `json:"endedAt"`
	CurrentPeriodEnd  *string           `json:"currentPeriodEnd"`
	CancelAtPeriodEnd bool              `json:"cancelAtPeriodEnd"`
	CancelAt          *string           `json:"cancelAt"`
	SendInvoice       bool              `json:"sendInvoice"`
	CollectionPaused  bool              `json:"collectionPaused"`
	UnpaidSince       *string           `json:"unpaidSince"`
	Items             []itemDocument    `json:"items"`
	Hostings          []hostingDocument `json:"hostings"`
}

type itemDocument struct {
	ID        string `json:"id"`
	Price     string `json:"price"`
	LookupKey string `json:"lookupKey"`
	Product   string `json:"product"`
	Quantity  int64  `json:"quantity"`
}

type hostingDocument struct {
	ID             int64   `json:"id"`
	OrganizationID string  `json:"organizationId"`
	Plan           int     `json:"plan"`
	State          string  `json:"state"`
	SuspendedByUs  *string `json:"suspendedByUs"`
	Website        string  `json:"website"`
	ObservedAt     *string `json:"observedAt"`
	// Usage is how much of the plan is used, as last read; empty: it was not read.
	Usage []report.Usage `json:"usage"`
}

// customerEntry is one customer with its subscriptions.
type customerEntry struct {
	Customer      customerDocument       `json:"customer"`
	Subscriptions []subscriptionDocument `json:"subscriptions"`
}

// entryOf writes the one view of a customer, that of internal/report, with the names of this
// API.
func entryOf(r reconcile.CustomerRecord, now time.Time) customerEntry {
	c := report.CustomerOf(r, now)
	d := customerDocument{ID: c.ID, Email: c.Email, Name: c.Name, StripeCustomers: []buyerDocument{},
		OrganizationID: c.Org, OrganizationName: c.OrgName, OrganizationWhy: c.OrgWhy, Failures: c.Failures, RetryAfter: c.RetryAfter, ParkedAt: c.ParkedAt,
		LastError: c.LastError, DueAt: c.DueAt, PlannedAt: c.PlannedAt, Holds: c.Holds, History: actionsOf(r.History)}
	for _, s := range c.OrgSharedWith {
		if c.OrgGuest && !s.Guest {
			d.OrganizationOf = s.Customer
		}
	}
	for _, b := range c.StripeCustomers {
		d.StripeCustomers = append(d.StripeCustomers, buyerDocument{b.ID, b.Email, b.Name, b.Deleted})
	}
	e := customerEntry{Customer: d, Subscriptions: []subscriptionDocument{}}
	for i := range c.Subscriptions {
		e.Subscriptions = append(e.Subscriptions, subscriptionOf(&c.Subscriptions[i]))
	}
	return e
}

func subscriptionOf(s *report.Subscription) subscriptionDocument {
	d := subscriptionDocument{ID: s.ID, CustomerID: s.StripeCustomer, Status: s.Status, CreatedAt: s.Created, EndedAt: s.EndedAt,
		CurrentPeriodEnd: s.CurrentPeriodEnd, CancelAtPeriodEnd: s.CancelAtPeriodEnd, CancelAt: s.CancelAt, SendInvoice: s.SendInvoice,
		CollectionPaused: s.CollectionPaused, UnpaidSince: s.UnpaidSince, Items: []itemDocument{}, Hostings: []hostingDocument{}}
	for _, it := range s.Lines {
		d.Items = append(d.Items, itemDocument{it.ID, it.Price, it.LookupKey, it.Product, it.Quantity})
	}
	for _, h := range s.Hostings {
		d.Hostings = append(d.Hostings, hostingDocument{ID: h.ID, OrganizationID: h.Org, Plan: h.PlanID, State: h.State,
			SuspendedByUs: h.SuspendedByUs, Website: h.Website, ObservedAt: h.ObservedAt, Usage: append([]report.Usage{}, h.Usage...)})
	}
	return d
}

// customersDocument has the first customer at the top, where scripts expect the only one.
type customersDocument struct {
	customerEntry
	Customers []customerEntry `json:"customers"`
}

func (s *Server) customers(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	email, id := strings.TrimSpace(q.Get("email")), strings.TrimSpace(q.Get("customerId"))
	var all []reconcile.CustomerRecord
	var err error
	switch {
	case email != "":
		all, err = s.o.Customers.ByEmail(r.Context(), email)
	case id != "":
		all, err = s.o.Customers.ByID(r.Context(), id)
	default:
		respondError(w, http.StatusBadRequest, "Email or customerId parameter required")
		return
	}
	switch {
	case err != nil:
		s.respondPortError(w, r, "Customer", err)
		return
	case len(all) == 0:
		respondError(w, http.StatusNotFound, "Customer not found")
		return
	}
	d := customersDocument{}
	for _, c := range all {
		d.Customers = append(d.Customers, entryOf(c, s.o.Now()))
	}
	d.customerEntry = d.Customers[0]
	respond(w, http.StatusOK, d)
}
