package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// defaultRows and mostRows bound lists.
	defaultRows, mostRows = 100, 1000
	// dashboardRows is how much of each list the dashboard shows.
	dashboardRows = 20
	// dashboardHolds is more: a hold is what the dashboard is looked at for.
	dashboardHolds = 200
)

type dashboardDocument struct {
	Subscriptions dashboardSubscriptions `json:"subscriptions"`
	Webhooks      dashboardWebhooks      `json:"webhooks"`
	Services      map[string]checkResult `json:"services"`
	Runs          []runDocument          `json:"runs"`
	Holds         []report.Hold          `json:"holds"`
	Timestamp     string                 `json:"timestamp"`
}

type dashboardSubscriptions struct {
	Total     int `json:"total"`
	Active    int `json:"active"`
	Suspended int `json:"suspended"`
	Canceled  int `json:"canceled"`
}

type dashboardWebhooks struct {
	Recent      []webhookDocument `json:"recent"`
	Failed      []webhookDocument `json:"failed"`
	FailedCount int               `json:"failedCount"`
}

type webhookDocument struct {
	EventID        string  `json:"eventId"`
	Type           string  `json:"type"`
	SubscriptionID string  `json:"subscriptionId"`
	ReceivedAt     *string `json:"receivedAt"`
	FinishedAt     *string `json:"finishedAt"` // null: no run has followed it yet
	State          string  `json:"state"`      // received, followed, failed
	Error          string  `json:"error"`
}

func webhooksOf(records []WebhookRecord) []webhookDocument {
	out := make([]webhookDocument, 0, len(records))
	for _, r := range records {
		out = append(out, webhookDocument{EventID: r.EventID, Type: r.Type, SubscriptionID: r.Subscription,
			ReceivedAt: report.Time(r.ReceivedAt), FinishedAt: report.Time(r.FinishedAt), State: r.State, Error: r.Error})
	}
	return out
}

func (s *Server) dashboard(w http.ResponseWriter, r *http.Request) {
	d, err := s.compose(r)
	if err != nil {
		s.fail(w, r, "The dashboard", err)
		return
	}
	respond(w, http.StatusOK, d)
}

func (s *Server) compose(r *http.Request) (dashboardDocument, error) {
	ctx, now := r.Context(), s.o.Now()
	d := dashboardDocument{Services: s.services(ctx), Timestamp: stamp(now), Holds: []report.Hold{}}
	totals, err := s.o.Overview.Totals(ctx, now)
	if err != nil {
		return d, err
	}
	d.Subscriptions = dashboardSubscriptions{Total: totals.Subscriptions, Active: totals.Active,
		Suspended: totals.Suspended, Canceled: totals.Canceled}
	recentOnes, err := s.o.Overview.RecentWebhooks(ctx, dashboardRows)
	if err != nil {
		return d, err
	}
	failed, count, err := s.o.Overview.FailedWebhooks(ctx, dashboardRows)
	if err != nil {
		return d, err
	}
	d.Webhooks = dashboardWebhooks{Recent: webhooksOf(recentOnes), Failed: webhooksOf(failed), FailedCount: count}
	runs, err := s.o.History.Runs(ctx, dashboardRows)
	if err != nil {
		return d, err
	}
	d.Runs = runsOf(runs)
	err = s.o.History.Holds(ctx, func(h reconcile.Hold) error {
		if len(d.Holds) == dashboardHolds {
			return errEnough
		}
		d.Holds = append(d.Holds, report.HoldOf(h))
		return nil
	})
	if err := enough(err); err != nil {
		return d, err
	}
	return d, s.braked(ctx, &d)
}

// braked adds what the brake holds, which no decision about a customer knows of.
func (s *Server) braked(ctx context.Context, d *dashboardDocument) error {
	plans, err := s.o.Plans.HeldPlans(ctx, s.o.Now(), false)
	for _, p := range plans {
		if !p.Approved.IsZero() {
			continue
		}
		for _, a := range p.Actions {
			if len(d.Holds) == dashboardHolds {
				return err
			}
			d.Holds = append(d.Holds, report.HoldOf(a.Withheld(reconcile.HoldBrake, fmt.Sprintf("%s is held in plan %s: %s", a.Kind, p.ID, p.Reason))))
		}
	}
	return err
}

// runDocument is a run in the history.
type runDocument struct {
	RunID      string          `json:"run_id"`
	Trigger    string          `json:"trigger"`
	Mode       string          `json:"mode"`
	Result     string          `json:"result"` // running, ok, failed
	StartedAt  *string         `json:"started_at"`
	FinishedAt *string         `json:"finished_at"` // null: under way, or the process died
	Stripe     report.Stripe   `json:"stripe"`
	Enhance    report.Enhance  `json:"enhance"`
	Counts     report.Counts   `json:"counts"`
	Gates      []string        `json:"gates"`
	Error      string          `json:"error"`
	Converged  *bool           `json:"converged"` // null: it has not ended, or an earlier version did it
	Actions    []report.Action `json:"actions,omitempty"`
}

func runOf(r reconcile.RunRecord) runDocument {
	return runDocument{RunID: r.ID, Trigger: r.Trigger, Mode: r.Mode, Result: resultOf(r),
		StartedAt: report.Time(r.Started), FinishedAt: report.Time(r.Finished),
		Stripe:  report.Stripe{Requests: r.StripeCalls, Subscriptions: r.Subscriptions, Events: r.Events},
		Enhance: report.Enhance{Requests: r.EnhanceCalls},
		Counts:  report.Counts{Planned: r.Planned, Applied: r.Applied, Failed: r.Failed, Held: r.Held, OrdersHeld: r.Orders},
		Gates:   append([]string{}, r.Gates...), Error: r.Error, Converged: r.Converged}
}

func runsOf(records []reconcile.RunRecord) []runDocument {
	out := make([]runDocument, 0, len(records))
	for _, r := range records {
		out = append(out, runOf(r))
	}
	return out
}

// rows reads the parameter limit; it answers and returns false when it is none.
func rows(w http.ResponseWriter, r *http.Request) (int, bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultRows, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostRows {
		refuse(w, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(mostRows))
		return 0, false
	}
	return n, true
}

func (s *Server) runs(w http.ResponseWriter, r *http.Request) {
	n, ok := rows(w, r)
	if !ok {
		return
	}
	records, err := s.o.History.Runs(r.Context(), n)
	if err != nil {
		s.fail(w, r, "The runs", err)
		return
	}
	respond(w, http.StatusOK, map[string]any{"runs": runsOf(records)})
}

// run is one run with what it did.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	d, err := s.recorded(r, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, "Run", err)
		return
	}
	respond(w, http.StatusOK, d)
}

// recorded is a run as the history has it, whoever did it.
func (s *Server) recorded(r *http.Request, id string) (runDocument, error) {
	record, err := s.o.History.Run(r.Context(), id)
	if err != nil {
		return runDocument{}, err
	}
	d := runOf(record)
	err = s.o.History.RunActions(r.Context(), id, func(a reconcile.ActionRecord) error {
		if len(d.Actions) == mostRows {
			return errEnough
		}
		d.Actions = append(d.Actions, report.ActionOf(a))
		return nil
	})
	return d, enough(err)
}
