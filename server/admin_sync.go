package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// syncLimit is how long a request waits for its run before it is answered with 202;
	// proxies give up after 30 s.
	syncLimit = 25 * time.Second
	// followLook is how often a replica looks for the run that it asked the writer for.
	followLook = 250 * time.Millisecond
)

type syncDocument struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	RunID   string `json:"runId"` // "" while the request waits for another run to end
	// Converged reports that nothing was left to do, to approve or to doubt; null: not
	// known yet. Success only means that the run has looked.
	Converged *bool `json:"converged"`
	// Summary is a sentence about the subscription that was asked for: its state, and the
	// changes to it, or the reason why there are none.
	Summary string `json:"summary,omitempty"`
	Run     any    `json:"run,omitempty"`
}

// sync does a run now, and answers its result.
func (s *Server) sync(w http.ResponseWriter, r *http.Request) {
	var body struct {
		SubscriptionID json.RawMessage `json:"subscriptionId"`
	}
	if !readBody(w, r, &body, true) {
		return
	}
	request := Request{Full: true, Trigger: "admin"}
	// An empty id, or null, comes from a script's variable that was not set: it must not
	// start a run of everything.
	if body.SubscriptionID != nil {
		var id string
		if json.Unmarshal(body.SubscriptionID, &id) != nil || !reconcile.ValidID("sub_", id) {
			respondError(w, http.StatusBadRequest, "subscriptionId is a string that begins with sub_; leave it out to sync everything")
			return
		}
		request = Request{Subscriptions: []string{id}, Trigger: "admin"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), syncLimit)
	defer cancel()
	if !s.o.Loop.Leading() {
		s.syncByWriter(ctx, w, r, request)
		return
	}
	s.syncHere(ctx, w, r, request)
}

// syncHere waits for a run of this process. The run goes on if the request ends earlier.
func (s *Server) syncHere(ctx context.Context, w http.ResponseWriter, r *http.Request, request Request) {
	asked := s.o.Loop.Ask(request)
	run := ""
	for {
		select {
		case run = <-asked.began:
		case o := <-asked.done:
			if errors.Is(o.err, errFollower) {
				s.syncByWriter(ctx, w, r, request)
				return
			}
			s.respondSync(w, request, o)
			return
		case <-ctx.Done():
			message := "Still running; look at /api/admin/runs/" + run
			if run == "" {
				message = "Waiting for the run at work; look at /api/admin/runs"
			}
			respondAccepted(w, syncDocument{Success: true, Message: message, RunID: run})
			return
		}
	}
}

func respondAccepted(w http.ResponseWriter, d syncDocument) {
	if d.RunID != "" {
		w.Header().Set("Location", "/api/admin/runs/"+d.RunID)
	}
	respond(w, http.StatusAccepted, d)
}

func (s *Server) respondSync(w http.ResponseWriter, request Request, o outcome) {
	d := syncDocument{Success: o.err == nil, RunID: o.report.Run.ID, Run: report.Of(o.report), Summary: summaryOf(o.report)}
	if converged := o.err == nil && o.report.Converged(); o.report.Run.ID != "" {
		d.Converged = &converged
	}
	one := ""
	if len(request.Subscriptions) > 0 {
		one = request.Subscriptions[0]
	}
	switch {
	case errors.Is(o.err, errStopping), errors.Is(o.err, context.Canceled), errors.Is(o.err, fault.Canceled):
		respondError(w, http.StatusServiceUnavailable, "The service is stopping; the action in hand is recorded")
	case one != "" && (errors.Is(o.err, fault.NotFound) || gone(o.report, one)):
		respondError(w, http.StatusNotFound, "Stripe does not know the subscription "+one)
	case o.err != nil:
		s.o.Log.WithField("run", o.report.Run.ID).WithError(o.err).Warn("sync failed")
		respond(w, http.StatusBadGateway, struct {
			failure
			syncDocument
		}{failure{"Sync failed: " + o.err.Error()}, d})
	default:
		d.Message = syncMessage(one, o.report.Run.Subscriptions)
		respond(w, http.StatusOK, d)
	}
}

// summaryOf joins the sentences of a report about the subscriptions that were asked for.
func summaryOf(r reconcile.Report) string {
	var all []string
	for _, t := range r.Targets {
		all = append(all, t.Text+".")
	}
	return strings.Join(all, " ")
}

func syncMessage(one string, n int) string {
	if one != "" {
		return "Synced subscription " + one
	}
	return fmt.Sprintf("Synced %d subscriptions", n)
}

// gone reports whether a run has learned that Stripe no longer has a subscription that
// is known here.
func gone(r reconcile.Report, subscription string) bool {
	for _, h := range r.Holds {
		if h.Kind == reconcile.HoldGone && h.Subscription == subscription {
			return true
		}
	}
	return false
}

// syncByWriter asks the writer through the store, and answers with its next run.
func (s *Server) syncByWriter(ctx context.Context, w http.ResponseWriter, r *http.Request, request Request) {
	asked := s.o.Now()
	if err := s.o.Nudges.Nudge(r.Context(), reconcile.NudgeTargets(request.Full, request.Subscriptions), "admin", asked); err != nil {
		s.respondPortError(w, r, "The request", err)
		return
	}
	s.o.Loop.Wake("admin") // this process may have become the writer meanwhile
	tick := time.NewTicker(followLook)
	defer tick.Stop()
	for {
		record, taken := s.writersRun(ctx, asked)
		if taken && !record.Finished.IsZero() {
			s.respondWritersRun(w, r, request, record)
			return
		}
		select {
		case <-ctx.Done():
			respondAccepted(w, syncDocument{Success: true, Message: "The writer was asked to look; see /api/admin/runs", RunID: record.ID})
			return
		case <-tick.C:
		}
	}
}

// writersRun returns the newest run, if it began after a nudge was stored and has taken
// the nudge.
func (s *Server) writersRun(ctx context.Context, asked time.Time) (reconcile.RunRecord, bool) {
	if waiting, err := s.o.Nudges.NudgesWaiting(ctx); err != nil || waiting {
		return reconcile.RunRecord{}, false
	}
	runs, err := s.o.History.Runs(ctx, 1)
	if err != nil || len(runs) == 0 || runs[0].Started.Before(asked.Truncate(time.Microsecond)) {
		return reconcile.RunRecord{}, false
	}
	return runs[0], true
}

func (s *Server) respondWritersRun(w http.ResponseWriter, r *http.Request, request Request, record reconcile.RunRecord) {
	d, err := s.runWithActions(r, record.ID)
	if err != nil {
		s.respondPortError(w, r, "The run", err)
		return
	}
	one := ""
	if len(request.Subscriptions) > 0 {
		one = request.Subscriptions[0]
	}
	if one != "" && record.Error == "" && !s.known(r, one) {
		respondError(w, http.StatusNotFound, "Stripe does not know the subscription "+one)
		return
	}
	out := syncDocument{Success: record.Error == "", Message: syncMessage(one, record.Subscriptions), RunID: record.ID, Run: d, Converged: record.Converged}
	if record.Error != "" {
		respond(w, http.StatusBadGateway, struct {
			failure
			syncDocument
		}{failure{"Sync failed: " + record.Error}, out})
		return
	}
	respond(w, http.StatusOK, out)
}

// known reports whether the writer found a subscription at Stripe: if so, it is stored,
// and has no hold because it is gone. If that cannot be read now, it counts as known.
func (s *Server) known(r *http.Request, subscription string) bool {
	owners, err := s.o.Customers.BySubscription(r.Context(), subscription)
	if err != nil {
		return true
	}
	for _, c := range owners {
		for _, h := range c.Held {
			if h.Kind == reconcile.HoldGone && h.Subscription == subscription {
				return false
			}
		}
	}
	return len(owners) > 0
}
