package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// dashboardRows is how much of each list the dashboard shows.
	dashboardRows = 20
	// dashboardHolds is more, because people open the dashboard to see the holds.
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
	FinishedAt     *string `json:"finishedAt"` // null: no run has followed the event yet
	State          string  `json:"state"`      // received, followed, failed
	Error          string  `json:"error"`
}

func webhooksOf(records []reconcile.WebhookRecord) []webhookDocument {
	out := make([]webhookDocument, 0, len(records))
	for _, r := range records {
		out = append(out, webhookDocument{EventID: r.EventID, Type: r.Type, SubscriptionID: r.Subscription,
			ReceivedAt: report.Time(r.ReceivedAt), FinishedAt: report.Time(r.FinishedAt), State: string(r.State), Error: r.Error})
	}
	return out
}

func (s *Server) dashboard(w http.ResponseWriter, r *http.Request) {
	d, err := s.readDashboard(r)
	if err != nil {
		s.respondPortError(w, r, "The dashboard", err)
		return
	}
	respond(w, http.StatusOK, d)
}

func (s *Server) readDashboard(r *http.Request) (dashboardDocument, error) {
	ctx, now := r.Context(), s.o.Now()
	d := dashboardDocument{Services: s.services(ctx), Timestamp: formatTime(now), Holds: []report.Hold{}}
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
	return d, s.addBrakeHolds(ctx, &d)
}

// addBrakeHolds adds the actions that the brake holds: a decision about one customer does
// not know of the brake.
func (s *Server) addBrakeHolds(ctx context.Context, d *dashboardDocument) error {
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
