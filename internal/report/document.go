package report

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Document is the JSON of one run. Fields may be added to it, and none is removed.
type Document struct {
	RunID      string   `json:"run_id"`
	Trigger    string   `json:"trigger"`
	Mode       string   `json:"mode"` // full, incremental, targeted
	Dry        bool     `json:"dry"`
	StartedAt  *string  `json:"started_at"`
	FinishedAt *string  `json:"finished_at"`
	Stripe     Stripe   `json:"stripe"`
	Enhance    Enhance  `json:"enhance"`
	Actions    []Action `json:"actions"`
	Holds      []Hold   `json:"holds"`
	Omitted    int      `json:"omitted,omitempty"` // actions and holds that are counted and not listed, because there are thousands
	Ahead      []Ahead  `json:"ahead,omitempty"`   // of a dry run: the dated changes of the customers it looked at, by time
	Counts     Counts   `json:"counts"`
	PlanID     string   `json:"plan_id"` // the newest held plan; "" when there is none
	Plans      []Plan   `json:"plans"`
	Notes      []string `json:"notes"`
	Gates      []string `json:"gates"` // evidence gates that failed
	// Targets are the subscriptions that were asked for, each with a sentence about it.
	Targets []Target `json:"targets,omitempty"`
	// Drift has the hostings that others have changed at the panel since they were last seen.
	Drift     []Drift `json:"drift,omitempty"`
	Observed  bool    `json:"observed,omitempty"` // MODE=observe: the run only planned, and changed nothing
	Stored    bool    `json:"stored,omitempty"`   // the run planned from the database, without asking either side
	Error     string  `json:"error"`
	Converged bool    `json:"converged"`
}

// Drift is a hosting that others have changed at the panel.
type Drift struct {
	Hosting int64  `json:"hosting"`
	Org     string `json:"org"`
	Summary string `json:"summary"`
}

// Target is a subscription that a run was asked for.
type Target struct {
	Subscription string    `json:"subscription"`
	Known        bool      `json:"known"` // to Stripe, in this account and mode
	Status       string    `json:"status"`
	Customer     string    `json:"customer"`
	Email        string    `json:"email"`
	Hostings     []Hosting `json:"hostings"`
	Changes      int       `json:"changes"`  // actions of this report that concern it
	Withheld     int       `json:"withheld"` // holds
	Summary      string    `json:"summary"`
}

// Stripe counts the requests of a run to Stripe, and their results.
type Stripe struct {
	Requests      int `json:"requests"`
	Subscriptions int `json:"subscriptions"`
	Events        int `json:"events"`
}

// Enhance counts the requests of a run to Enhance.
type Enhance struct {
	Requests int `json:"requests"`
}

// Action is one change as scripts see it.
type Action struct {
	ID           string `json:"id"`
	Kind         string `json:"kind"`
	Customer     string `json:"customer"`
	Subscription string `json:"subscription"`
	Email        string `json:"email"`
	Plan         string `json:"plan"`
	PlanName     string `json:"plan_name,omitempty"`
	FromPlan     string `json:"from_plan,omitempty"`
	Org          string `json:"org,omitempty"`
	Hosting      int64  `json:"hosting,omitempty"`
	Domain       string `json:"domain,omitempty"`
	State        string `json:"state"` // planned, applied, failed, superseded
	Adopted      bool   `json:"adopted,omitempty"`
	Version      int    `json:"version,omitempty"` // in a held plan: the version with which it joined
	Held         bool   `json:"held,omitempty"`
	Reason       string `json:"reason"`
	Error        string `json:"error"`
}

// Hold is a hold as scripts see it.
type Hold struct {
	Customer     string  `json:"customer"`
	Subscription string  `json:"subscription"`
	Kind         string  `json:"kind"`
	Email        string  `json:"email,omitempty"`
	Action       string  `json:"action,omitempty"`
	Org          string  `json:"org,omitempty"`
	Hosting      int64   `json:"hosting,omitempty"`
	Reason       string  `json:"reason"`
	Until        *string `json:"until"`            // null: until something changes
	Manual       string  `json:"manual,omitempty"` // the kind of the manual hold that causes it
	// Order reports that Subscription, or Customer if that is "", is to have a hosting,
	// and gets none before a person acts.
	Order bool `json:"order,omitempty"`
}

// Ahead is a change that comes on a known day if nothing else happens, as scripts see it.
type Ahead struct {
	At           *string `json:"at"`
	Kind         string  `json:"kind"` // reconcile.ForecastKind
	Customer     string  `json:"customer"`
	Subscription string  `json:"subscription"`
	Email        string  `json:"email"`
	Org          string  `json:"org,omitempty"`
	Hosting      int64   `json:"hosting,omitempty"`
	Reason       string  `json:"reason"`
}

// AheadOf makes the outside form of dated changes.
func AheadOf(all []reconcile.ForecastEntry) []Ahead {
	out := make([]Ahead, 0, len(all))
	for _, a := range all {
		out = append(out, Ahead{At: Time(a.At), Kind: string(a.Kind), Customer: a.Customer, Subscription: a.Subscription, Email: a.Email,
			Org: a.Org, Hosting: a.Hosting, Reason: a.Reason})
	}
	return out
}

// Counts sums up actions and holds, those omitted included: every action is counted once,
// by its state (superseded ones not at all), and Held counts the holds.
type Counts struct {
	Planned int `json:"planned"`
	Applied int `json:"applied"`
	Failed  int `json:"failed"`
	Held    int `json:"held"`
	// OrdersHeld counts the subscriptions that are to have a hosting, and get none before
	// a person acts.
	OrdersHeld int `json:"orders_held"`
}

// Plan is a held plan as scripts see it.
type Plan struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"`
	State      string  `json:"state"`   // waits, approved, unwanted
	Version    int     `json:"version"` // rises when an action joins: an approval is of one version
	CreatedAt  *string `json:"created_at"`
	ExpiresAt  *string `json:"expires_at"` // when its approval ends; null while it waits
	ClosedAt   *string `json:"closed_at"`  // when no action of it was wanted any more
	ApprovedAt *string `json:"approved_at"`
	ApprovedBy string  `json:"approved_by"`
	// A plan that a person has rejected is unwanted as well; null and empty: it was not.
	RejectedAt     *string `json:"rejected_at"`
	RejectedBy     string  `json:"rejected_by"`
	RejectedReason string  `json:"rejected_reason"`

	Reason  string   `json:"reason"`
	Omitted int      `json:"omitted,omitempty"` // actions that it has beyond those listed
	Actions []Action `json:"actions"`
}

// outcomeUnknown is the error of an action whose call got no answer.
const outcomeUnknown = "outcome unknown: it was sent and no answer came; the next runs look for it before they send anything again"

// Of makes the document of a run.
func Of(r reconcile.Report) Document {
	d := Document{
		RunID:      r.Run.ID,
		Trigger:    r.Run.Trigger,
		Mode:       r.Run.Mode,
		Dry:        r.Dry,
		StartedAt:  Time(r.Run.Started),
		FinishedAt: Time(r.Run.Finished),
		Stripe:     Stripe{Requests: r.Run.StripeCalls, Subscriptions: r.Run.Subscriptions, Events: r.Run.Events},
		Enhance:    Enhance{Requests: r.Run.EnhanceCalls},
		Actions:    make([]Action, 0, len(r.Actions)),
		Holds:      make([]Hold, 0, len(r.Holds)),
		Plans:      make([]Plan, 0, len(r.Plans)),
		Notes:      append([]string{}, r.Notes...),
		Gates:      append([]string{}, r.Run.Gates...),
		Error:      r.Run.Error,
		Converged:  r.Converged(),
		Observed:   r.Observed,
		Stored:     r.Stored,
		Omitted:    r.Omitted.Total(),
	}
	for _, one := range r.Drifts {
		d.Drift = append(d.Drift, Drift{one.Hosting, one.Org, one.Text})
	}
	for _, t := range r.Targets {
		d.Targets = append(d.Targets, targetOf(t))
	}
	d.Ahead = AheadOf(r.Forecast)
	for class, n := range r.Omitted.Actions {
		d.Counts.add(ActionOf(reconcile.ActionRecord{State: class.State}).State, n)
	}
	held := waiting(r.Plans)
	for _, a := range r.Actions {
		one := ActionOf(a)
		one.Held = one.Held || one.State == "planned" && held[a.ID]
		d.Actions = append(d.Actions, one)
		d.Counts.add(one.State, 1)
	}
	for _, h := range r.Holds {
		d.Holds = append(d.Holds, HoldOf(h))
	}
	d.Counts.OrdersHeld = r.Run.Orders
	d.Counts.Held = len(d.Holds) + r.Omitted.Holds + r.Omitted.DecidedByPerson + r.Omitted.Brakes
	for _, p := range r.Plans {
		d.Plans = append(d.Plans, PlanOf(p))
	}
	if len(r.Plans) > 0 {
		d.PlanID = r.Plans[0].ID
	}
	return d
}

func targetOf(t reconcile.Target) Target {
	out := Target{Subscription: t.Subscription, Known: t.Known, Status: t.Status, Customer: t.Customer, Email: t.Email, Hostings: []Hosting{},
		Changes: t.Changes, Withheld: t.Withheld, Summary: t.Text}
	for _, h := range t.Hostings {
		out.Hostings = append(out.Hostings, HostingOf(h))
	}
	return out
}

// waiting has the actions of held plans, true for those that wait for approval. They are
// held even if a later decision has changed the state of their row.
func waiting(plans []reconcile.HeldPlan) map[string]bool {
	ids := map[string]bool{}
	for _, p := range plans {
		for _, a := range p.Actions {
			ids[a.ID] = p.Approved.IsZero()
		}
	}
	return ids
}

func (c *Counts) add(state string, n int) {
	switch state {
	case "planned":
		c.Planned += n
	case "applied":
		c.Applied += n
	case "failed":
		c.Failed += n
	}
}

// ActionOf makes the outside form of a journal row.
func ActionOf(r reconcile.ActionRecord) Action {
	a := actionOf(r.Action)
	a.Error = r.Error
	switch r.State {
	case reconcile.ActionPlanned:
		a.State = "planned"
	case reconcile.ActionHeld:
		a.State, a.Held = "planned", true
	case reconcile.ActionApplied:
		a.State = "applied"
	case reconcile.ActionAdopted:
		a.State, a.Adopted = "applied", true
	case reconcile.ActionFailed:
		a.State = "failed"
	case reconcile.ActionSuperseded:
		a.State = "superseded"
	case reconcile.ActionSent, reconcile.ActionAmbiguous:
		a.State, a.Error = "failed", outcomeUnknown
		if r.Error != "" {
			a.Error += " (" + r.Error + ")"
		}
	default: // a state of a newer version: it may not be done
		a.State = "failed"
		if a.Error == "" {
			a.Error = outcomeUnknown
		}
	}
	return a
}

func actionOf(a reconcile.Action) Action {
	return Action{
		ID:           a.ID,
		Kind:         a.Kind.String(),
		Customer:     a.Customer,
		Subscription: a.Subscription,
		Email:        a.Email,
		Plan:         planText(a.Plan),
		PlanName:     a.PlanName,
		FromPlan:     planText(a.FromPlan),
		Org:          a.Org,
		Hosting:      a.Hosting,
		Domain:       a.Domain,
		State:        "planned",
		Reason:       a.Reason,
	}
}

func planText(id int) string {
	if id == 0 {
		return ""
	}
	return strconv.Itoa(id)
}

// HoldOf makes the outside form of a hold.
func HoldOf(h reconcile.Hold) Hold {
	manual := ""
	if h.Manual != 0 {
		manual = h.Manual.String()
	}
	return Hold{
		Manual:       manual,
		Customer:     h.Customer,
		Subscription: h.Subscription,
		Kind:         string(h.Kind),
		Action:       h.ActionID,
		Email:        h.Email,
		Org:          h.Org,
		Hosting:      h.Hosting,
		Reason:       h.Reason,
		Until:        Time(h.Until),
		Order:        h.Order,
	}
}

// The states of a held plan.
const (
	PlanWaits    = "waits"
	PlanApproved = "approved"
	PlanUnwanted = "unwanted" // no action of it was wanted any more before a person approved it
)

// PlanState is the word for the state of a held plan.
func PlanState(p reconcile.HeldPlan) string {
	switch {
	case !p.Approved.IsZero():
		return PlanApproved
	case !p.Closed.IsZero():
		return PlanUnwanted
	}
	return PlanWaits
}

// rejected stands in the reason of a plan before the person who has rejected it, as package
// store writes it.
const rejected = ". Rejected by "

// PlanRejection is who has rejected a plan, and why; false: no person has.
func PlanRejection(p reconcile.HeldPlan) (by, why string, is bool) {
	_, who, is := strings.Cut(p.Reason, rejected)
	if !is || PlanState(p) != PlanUnwanted {
		return "", "", false
	}
	by, why, _ = strings.Cut(who, ": ")
	return by, why, true
}

// PlanOf makes the outside form of a held plan.
func PlanOf(p reconcile.HeldPlan) Plan {
	out := Plan{
		ID:         p.ID,
		Kind:       p.Kind.String(),
		State:      PlanState(p),
		Version:    p.Version,
		ClosedAt:   Time(p.Closed),
		CreatedAt:  Time(p.Created),
		ExpiresAt:  Time(p.Expires),
		ApprovedAt: Time(p.Approved),
		ApprovedBy: p.By,
		Reason:     p.Reason,
		Omitted:    p.Size() - len(p.Actions),
		Actions:    make([]Action, 0, len(p.Actions)),
	}
	if by, why, is := PlanRejection(p); is {
		out.RejectedAt, out.RejectedBy, out.RejectedReason = out.ClosedAt, by, why
	}
	for i, a := range p.Actions {
		one := actionOf(a)
		one.Held = out.State == PlanWaits
		if i < len(p.Joined) {
			one.Version = p.Joined[i]
		}
		out.Actions = append(out.Actions, one)
	}
	return out
}

// Time is RFC 3339 in UTC without fractions of a second; nil for the zero time.
func Time(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339)
	return &s
}

// WriteJSON writes any outside form, indented. It leaves < and & as they are, because
// people read the reasons here, too.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
