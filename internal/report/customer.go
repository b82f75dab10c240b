package report

import (
	"cmp"
	"io"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Customer is one customer as scripts see it.
type Customer struct {
	ID              string         `json:"id"`
	Email           string         `json:"email"`
	Name            string         `json:"name"`
	Org             string         `json:"org"`
	OrgName         string         `json:"org_name"`
	OrgGuest        bool           `json:"org_guest"`       // the organisation is another customer's
	OrgWhy          string         `json:"org_why"`         // who has put it there, and why; "": the evidence did
	OrgSharedWith   []Sharer       `json:"org_shared_with"` // the other customers of the organisation
	OrgsApart       []ApartOrg     `json:"orgs_apart"`      // from which a person has split it
	StripeCustomers []Buyer        `json:"stripe_customers"`
	Subscriptions   []Subscription `json:"subscriptions"`
	Answers         []Answer       `json:"answers"` // to what support staff ask
	Holds           []Hold         `json:"holds"`
	Ahead           []Ahead        `json:"ahead"` // the dated changes if nothing else happens
	ManualHolds     []ManualHold   `json:"manual_holds"`
	History         []HistoryRow   `json:"history"` // newest first
	DueAt           *string        `json:"due_at"`
	PlannedAt       *string        `json:"planned_at"`
	Failures        int            `json:"failures"`
	RetryAfter      *string        `json:"retry_after"`
	ParkedAt        *string        `json:"parked_at"`
	LastError       string         `json:"last_error"`
	ErasedAt        *string        `json:"erased_at,omitempty"` // its name and e-mail were erased
	// Refreshed reports that both sides were asked just now. RefreshProblems are the parts
	// that could not be read and are shown as stored, RefreshChanges the differences from
	// the stored state.
	Refreshed       bool     `json:"refreshed"`
	RefreshProblems []string `json:"refresh_problems,omitempty"`
	RefreshChanges  []string `json:"refresh_changes,omitempty"`
}

// Sharer is another customer of the same organisation.
type Sharer struct {
	Customer string `json:"customer"`
	Email    string `json:"email"`
	Guest    bool   `json:"guest"`
	Why      string `json:"why"` // who has put it there, and why; "": the evidence did
}

// ApartOrg is an organisation from which a person has split a customer.
type ApartOrg struct {
	Org string  `json:"org"`
	Why string  `json:"why"`
	At  *string `json:"at"`
}

// Answer is the answer to one question about a customer.
type Answer struct {
	Question     string `json:"question"` // down, up, when, payment, dispute, plan, invitation, owner, hostings, pay_now, period_end
	Subscription string `json:"subscription"`
	Hosting      int64  `json:"hosting,omitempty"`
	Answer       string `json:"answer"`
}

// AnswersOf makes the outside form of answers.
func AnswersOf(all []reconcile.Answer) []Answer {
	out := make([]Answer, 0, len(all))
	for _, a := range all {
		out = append(out, Answer{string(a.Question), a.Subscription, a.Hosting, a.Text})
	}
	return out
}

// OpenInvoice is one that is not paid.
type OpenInvoice struct {
	ID        string  `json:"id"`
	DueAt     *string `json:"due_at"`
	Amount    string  `json:"amount"` // left to pay, with the currency
	URL       string  `json:"url"`    // Stripe's page on which the customer can pay it
	OpenInAll int     `json:"open_in_all"`
}

// Buyer is one of the Stripe customers of a customer.
type Buyer struct {
	ID      string `json:"id"`
	Email   string `json:"email"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
	// FormerEmail is the address before the last change; "": there was no change.
	FormerEmail    string  `json:"former_email"`
	EmailChangedAt *string `json:"email_changed_at"`
}

// Subscription is one at Stripe, with the hosting bound to it.
type Subscription struct {
	ID             string `json:"id"`
	StripeCustomer string `json:"stripe_customer"`
	Status         string `json:"status"`
	Standing       string `json:"standing"` // a sentence about its status and the end that Stripe has announced
	Items          string `json:"items"`    // "1 × price_…, 2 × price_…"
	// Lines are the items themselves, for a caller that lists them one by one.
	Lines             []reconcile.Item `json:"-"`
	Created           *string          `json:"created"`
	CurrentPeriodEnd  *string          `json:"current_period_end"`
	CancelAtPeriodEnd bool             `json:"cancel_at_period_end"`
	CancelAt          *string          `json:"cancel_at"`
	SendInvoice       bool             `json:"send_invoice"` // its customer is sent invoices, and nothing is charged
	CollectionPaused  bool             `json:"collection_paused"`
	EndedAt           *string          `json:"ended_at"`
	UnpaidSince       *string          `json:"unpaid_since"`
	OpenInvoice       *OpenInvoice     `json:"open_invoice"` // the oldest; null: none, or the key may not read invoices
	Domain            string           `json:"domain"`
	// DomainChanged: the order names another domain than that of the website made for it.
	DomainChanged bool      `json:"domain_changed"`
	ReadAt        *string   `json:"read_at"`
	Hostings      []Hosting `json:"hostings"`
}

// Hosting is one at Enhance, as last observed.
type Hosting struct {
	ID            int64   `json:"id"`
	Org           string  `json:"org"`
	Plan          string  `json:"plan"`
	PlanID        int     `json:"-"` // the same as a number
	State         string  `json:"state"`
	Name          string  `json:"name"`
	Website       string  `json:"website"`
	BoundBy       string  `json:"bound_by"`
	SuspendedByUs *string `json:"suspended_by_us"`
	ObservedAt    *string `json:"observed_at"` // null: it was not looked at yet, or a new look is requested
	Seen          string  `json:"-"`           // the same for people, with how long ago
	// Usage is how much of the plan is used, as last read; only in what is shown of a customer.
	Usage []Usage `json:"usage,omitempty"`
}

// Usage is one resource of a hosting, in the panel's own unit.
type Usage struct {
	Name  string `json:"name"`
	Used  int64  `json:"used"`
	Total *int64 `json:"total"` // null: unlimited
}

// HostingOf makes the outside form of a hosting; BoundBy is left empty.
func HostingOf(h reconcile.Hosting) Hosting {
	return Hosting{ID: h.ID, Org: h.Org, Plan: planText(h.Plan), PlanID: h.Plan, State: h.State.String(), Name: h.FriendlyName, Website: h.Website,
		SuspendedByUs: Time(h.SuspendedByUs), ObservedAt: observed(h.ObservedAt)}
}

func observed(at time.Time) *string {
	if Unseen(at) {
		return nil
	}
	return Time(at)
}

// ManualHold is a hold that a person put with `holds add`.
type ManualHold struct {
	ID           string  `json:"id"`
	Customer     string  `json:"customer"`     // cus_…, or ""
	Subscription string  `json:"subscription"` // sub_…, or ""
	Kind         string  `json:"kind"`
	Reason       string  `json:"reason"`
	Author       string  `json:"author"`
	Until        *string `json:"until"` // null: until it is removed
	CreatedAt    *string `json:"created_at"`
}

// ManualHoldOf makes the outside form of a manual hold.
func ManualHoldOf(h reconcile.ManualHold) ManualHold {
	return ManualHold{ID: h.ID, Customer: h.Customer, Subscription: h.Subscription, Kind: h.Kind.String(),
		Reason: h.Reason, Author: h.Author, Until: Time(h.Until), CreatedAt: Time(h.Created)}
}

// HistoryRow is one row of the journal.
type HistoryRow struct {
	At         *string `json:"at"` // when it was done, else when it was planned: rows are in its order
	PlannedAt  *string `json:"planned_at"`
	FinishedAt *string `json:"finished_at"`
	Run        string  `json:"run"`
	Action
	// Evidence is what the action rests on, if it takes something away.
	Evidence *reconcile.Evidence `json:"evidence,omitempty"`
}

// Text writes a customer for people.
func (c Customer) Text(w io.Writer, v View) error {
	p := printer{View: v}
	p.linef("%s  %s  %s", p.Bold(Plain(Who(c.Email, c.ID))), Plain(c.Name), p.Dim(c.ID))
	if c.Org != "" {
		p.linef("Organisation at Enhance: %s (%s)", c.Org, Plain(c.OrgName))
	} else {
		p.linef("No organisation at Enhance.")
	}
	if c.ErasedAt != nil {
		p.linef("Its name and e-mail were erased %s, because the person asked for it.", readable(*c.ErasedAt))
	}
	p.sharers(c)
	p.buyers(c.StripeCustomers)
	for _, text := range c.RefreshProblems {
		p.linef("%s %s; its stored state is shown", p.Bad("Not current:"), Plain(text))
	}
	for _, text := range c.RefreshChanges {
		p.linef("%s %s", p.Warn("Changed since it was stored:"), Plain(text))
	}
	p.waits(c)
	p.answers(c.Answers)
	p.subscriptions(c.Subscriptions)
	p.holds(c.Holds)
	for _, h := range c.ManualHolds {
		p.linef("  %s  %s, by %s%s", h.Kind, cmp.Or(Plain(h.Reason), "without a reason"), Plain(h.Author), until(h.Until))
	}
	for i, a := range c.Ahead {
		if i == 0 {
			p.linef("\nComing up")
		}
		p.sentence("  ", readable(*a.At)+"  "+a.Kind+"  "+a.Reason, unpainted)
	}
	p.history(c.History)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// sharers lists with which customers the organisation is shared, and by whose decision.
func (p *printer) sharers(c Customer) {
	for _, s := range c.OrgSharedWith {
		who, text := s.Customer, "a guest in it"
		if s.Email != "" {
			who += " (" + Plain(s.Email) + ")"
		}
		if !s.Guest {
			text = "whose organisation it is"
		}
		p.sentence("  ", "shared with "+who+", "+text+by(s.Why), unpainted)
	}
	if c.OrgGuest {
		p.sentence("  ", "this customer is a guest in it"+by(c.OrgWhy), unpainted)
	}
	for _, o := range c.OrgsApart {
		p.sentence("  ", "split from organisation "+o.Org+" at "+readable(*o.At)+by(o.Why), unpainted)
	}
}

func by(why string) string {
	if why == "" {
		return ""
	}
	return ", by " + Plain(why)
}

// buyers lists the Stripe customers if there are several, and their changes of e-mail.
func (p *printer) buyers(all []Buyer) {
	if len(all) > 1 {
		for _, b := range all {
			p.linef("  %s  %s", b.ID, Plain(b.Email))
		}
	}
	for _, b := range all {
		if b.FormerEmail != "" && b.EmailChangedAt != nil {
			p.linef("%s has the e-mail %s since %s, before that %s. The person who was invited stays the owner at the panel", b.ID, Plain(b.Email), readable(*b.EmailChangedAt), Plain(b.FormerEmail))
		}
	}
}

func until(t *string) string {
	if t == nil {
		return ""
	}
	return " (until " + readable(*t) + ")"
}

func (p *printer) waits(c Customer) {
	if c.ParkedAt != nil {
		p.linef("%s since %s: %s", p.Bad("Parked"), readable(*c.ParkedAt), Plain(c.LastError))
	}
	if c.RetryAfter != nil && c.ParkedAt == nil && c.LastError != "" {
		p.linef("%s after %s of its own, tried again after %s: %s", p.Warn("Backing off"), Count(c.Failures, "failure"), readable(*c.RetryAfter), Plain(c.LastError))
	}
	if c.DueAt != nil {
		p.linef("%s", p.Dim("Due at "+readable(*c.DueAt)))
	}
}

// questions are how the answers to a question begin in text.
var questions = map[reconcile.Question]string{
	reconcile.QuestionDown: "Down", reconcile.QuestionUp: "Still up", reconcile.QuestionWhen: "Suspended when",
	reconcile.QuestionPayment: "Missing payment", reconcile.QuestionDispute: "Dispute", reconcile.QuestionPlan: "Plan", reconcile.QuestionInvitation: "Invitation",
	reconcile.QuestionOwner: "Owner", reconcile.QuestionHostings: "Hostings", reconcile.QuestionPayNow: "If paid now",
	reconcile.QuestionPeriodEnd: "At the period's end",
}

func (p *printer) answers(all []Answer) {
	for i, a := range all {
		if i == 0 {
			p.linef("\nIn short")
		}
		about := questions[reconcile.Question(a.Question)]
		if a.Subscription != "" && !strings.Contains(a.Answer, a.Subscription) {
			about += " (" + a.Subscription + ")"
		}
		p.sentence("  ", about+": "+a.Answer, unpainted)
	}
}

func (p *printer) subscriptions(all []Subscription) {
	for i := range all {
		s := &all[i]
		p.linef("\n%s  %s  %s%s", p.Bold(s.ID), Plain(s.Status), Plain(s.Items), s.remarks())
		if s.Standing != "" {
			p.sentence("  ", s.Standing, unpainted)
		}
		for _, h := range s.Hostings {
			p.linef("  hosting %d on plan %s: %s  %s  %s", h.ID, h.Plan, h.State, Plain(h.Name), p.Dim(h.Seen))
			if s.DomainChanged && h.Website != "" {
				p.linef("  the domain at Stripe is now %s; the website %s stays as it is: change it in the panel if that is wanted", Plain(s.Domain), Plain(h.Website))
			}
		}
		if len(s.Hostings) == 0 {
			p.linef("  %s", p.Dim("no hosting"))
		}
	}
}

// remarks are the facts about a subscription that stand behind its items.
func (s *Subscription) remarks() (text string) {
	switch {
	case s.CancelAt != nil && s.EndedAt == nil:
		text += "  ends " + readable(*s.CancelAt)
	case s.CancelAtPeriodEnd && s.CurrentPeriodEnd != nil:
		text += "  ends " + readable(*s.CurrentPeriodEnd)
	}
	if s.CollectionPaused {
		text += "  collection paused"
	}
	if s.SendInvoice {
		text += "  sent invoices"
	}
	if s.UnpaidSince != nil {
		text += "  unpaid since " + readable(*s.UnpaidSince)
	}
	return text
}

func (p *printer) history(all []HistoryRow) {
	if len(all) == 0 {
		return
	}
	p.linef("\nHistory (newest first)")
	t := Table{Head: []string{"", "", "", ""}}
	for _, h := range all {
		when := ""
		if h.At != nil {
			when = *h.At
		}
		why := h.Reason
		if h.Error != "" {
			why = h.Error
		}
		if h.Evidence != nil {
			why += " [" + h.Evidence.Describe() + "]"
		}
		t.Add(when, h.Kind, strings.TrimSpace(h.State), why)
	}
	_ = t.Text(&p.b, "  ", p.Style) // a strings.Builder never fails
}
