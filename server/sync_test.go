package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const syncOne = `{"subscriptionId":"sub_1"}`

// syncing works the loop of a house and asks for a sync; then runs while the answer is
// awaited.
func syncing(t *testing.T, body string, prepare func(*house), then func(*house, *Loop)) (*httptest.ResponseRecorder, *house) {
	t.Helper()
	h := newHouse(t)
	h.runner.leading, h.records = true, []reconcile.RunRecord{{ID: "earlier", Started: t0}}
	prepare(h)
	l := h.server.o.Loop
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Work(ctx) }()
	pass(1500 * time.Millisecond)
	h.called()
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- h.ask("POST", "/api/admin/sync", body) }()
	synctest.Wait()
	then(h, l)
	got := <-answer
	stop()
	<-done
	return got, h
}

func nothingThen(*house, *Loop) {}

// TestASyncIsAnsweredAsItsRunEnds when this process is the writer.
func TestASyncIsAnsweredAsItsRunEnds(t *testing.T) {
	for name, c := range map[string]struct {
		body      string
		fail      error
		report    reconcile.Report
		status    int
		part      string
		converged string
	}{
		"all":                {``, nil, reconcile.Report{Run: reconcile.RunRecord{ID: "run-1", Subscriptions: 4}}, 200, "Synced 4 subscriptions", "true"},
		"one":                {syncOne, nil, reconcile.Report{Run: reconcile.RunRecord{ID: "run-1"}}, 200, "Synced subscription sub_1", "true"},
		"something is left":  {syncOne, nil, reconcile.Report{Run: reconcile.RunRecord{ID: "run-1", Gates: []string{"the clock is off"}}}, 200, "Synced subscription sub_1", "false"},
		"a failed run":       {``, fault.Errorf(fault.Transient, "stripe: 502"), reconcile.Report{Run: reconcile.RunRecord{ID: "run-1"}}, 502, "Sync failed: stripe: 502", "false"},
		"no run began":       {``, fault.Errorf(fault.Transient, "store: no lease"), reconcile.Report{}, 502, "Sync failed: store: no lease", "null"},
		"no such one":        {syncOne, fault.Errorf(fault.NotFound, "404"), reconcile.Report{}, 404, "Stripe does not know the subscription sub_1", ""},
		"gone since":         {syncOne, nil, reconcile.Report{Holds: []reconcile.Hold{{Kind: reconcile.HoldGone, Subscription: "sub_1"}}}, 404, "Stripe does not know the subscription sub_1", ""},
		"another is gone":    {syncOne, nil, reconcile.Report{Holds: []reconcile.Hold{{Kind: reconcile.HoldGone, Subscription: "sub_2"}}}, 200, "Synced subscription sub_1", "null"},
		"one has a hold":     {syncOne, nil, reconcile.Report{Holds: []reconcile.Hold{{Kind: reconcile.HoldBrake, Subscription: "sub_1"}}}, 200, "Synced subscription sub_1", "null"},
		"all, not found":     {``, fault.Errorf(fault.NotFound, "404"), reconcile.Report{}, 502, "Sync failed", "null"},
		"the end, canceled":  {``, fault.Errorf(fault.Canceled, "canceled"), reconcile.Report{}, 503, "The service is stopping", ""},
		"the end, by a wait": {``, context.Canceled, reconcile.Report{}, 503, "The service is stopping", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, h := syncing(t, c.body, func(h *house) { h.runner.fail, h.runner.report = c.fail, &c.report }, nothingThen)
				answers(t, name, got, c.status, c.part)
				if c.converged != "" && !strings.Contains(got.Body.String(), `"converged":`+c.converged) {
					t.Errorf("converged is not %s: %s", c.converged, got.Body)
				}
				if n := len(h.runner.runs); n != 1 || h.runner.runs[0].Full != (c.body == "") || h.runner.runs[0].Trigger != "admin" {
					t.Errorf("runs %+v", h.runner.runs)
				}
			})
		})
	}
}

func TestASyncThatTakesLongIsAnsweredWithWhereToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := syncing(t, ``, func(h *house) { h.runner.takes = time.Minute }, nothingThen)
		answers(t, "at work", got, 202, "Still running; look at /api/admin/runs/run-1")
		if got.Header().Get("Location") != "/api/admin/runs/run-1" || time.Since(t0) < syncLimit {
			t.Errorf("after %s: Location %q", time.Since(t0), got.Header().Get("Location"))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		got, _ := syncing(t, syncOne, func(h *house) {
			h.runner.takes = time.Hour
			h.server.o.Loop.Ask(Request{Full: true, Trigger: "cli"})
		}, nothingThen)
		answers(t, "behind another", got, 202, "Waiting for the run at work; look at /api/admin/runs")
		if _, has := got.Header()["Location"]; has {
			t.Error("it names a run that has not begun")
		}
	})
}

func TestASyncWhileTheServiceStopsIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.runner.leading = true
		h.server.o.Loop.close()
		answers(t, "stopping", h.ask("POST", "/api/admin/sync", ``), 503, "The service is stopping")
	})
}

// TestASyncOnAReplicaIsAnsweredWithTheWritersRun: the replica stores a nudge and looks for
// the run that takes it.
func TestASyncOnAReplicaIsAnsweredWithTheWritersRun(t *testing.T) {
	yes := true
	asked := t0.Add(1500 * time.Millisecond)
	good := reconcile.RunRecord{ID: "run-7", Started: asked.Add(time.Second), Finished: asked.Add(2 * time.Second), Subscriptions: 4, Converged: &yes}
	change := func(edit func(*reconcile.RunRecord)) reconcile.RunRecord { r := good; edit(&r); return r }
	gone := reconcile.CustomerRecord{Held: []reconcile.Hold{{Kind: reconcile.HoldGone, Subscription: "sub_1"}}}
	other := reconcile.CustomerRecord{Held: []reconcile.Hold{{Kind: reconcile.HoldGone, Subscription: "sub_2"}, {Kind: reconcile.HoldBrake, Subscription: "sub_1"}}}
	for name, c := range map[string]struct {
		body      string
		run       reconcile.RunRecord
		customers []reconcile.CustomerRecord
		fail      string
		status    int
		part      string
	}{
		"all":                       {``, good, nil, "", 200, `"message":"Synced 4 subscriptions","runId":"run-7"`},
		"one":                       {syncOne, good, []reconcile.CustomerRecord{other}, "", 200, `"message":"Synced subscription sub_1"`},
		"one of nobody":             {syncOne, good, nil, "", 404, "Stripe does not know the subscription sub_1"},
		"one that is gone":          {syncOne, good, []reconcile.CustomerRecord{other, gone}, "", 404, "Stripe does not know the subscription sub_1"},
		"one that cannot be read":   {syncOne, good, nil, "BySubscription", 200, `"message":"Synced subscription sub_1"`},
		"a failed run":              {``, change(func(r *reconcile.RunRecord) { r.Error = "stripe: 502" }), nil, "", 502, "Sync failed: stripe: 502"},
		"a failed run about one":    {syncOne, change(func(r *reconcile.RunRecord) { r.Error = "stripe: 502" }), nil, "", 502, "Sync failed: stripe: 502"},
		"a run that began before":   {``, change(func(r *reconcile.RunRecord) { r.Started = asked.Add(-time.Second) }), nil, "", 202, "The writer was asked to look"},
		"a run that does not end":   {``, change(func(r *reconcile.RunRecord) { r.Finished = time.Time{} }), nil, "", 202, `"runId":"run-7"`},
		"a history that is out":     {``, good, nil, "Runs", 202, "The writer was asked to look"},
		"nudges that are out":       {``, good, nil, "NudgesWaiting", 202, "The writer was asked to look"},
		"a run that cannot be read": {``, good, nil, "Run", 503, "The run could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, h := syncing(t, c.body, func(h *house) {
					h.runner.leading = false
					h.server.o.Now = time.Now
					h.customers, h.waiting = c.customers, true
					if c.fail != "" {
						h.fail[c.fail] = errors.New("CANARY")
					}
				}, func(h *house, _ *Loop) {
					pass(2 * time.Second)
					h.set(func() { h.waiting, h.records = false, []reconcile.RunRecord{c.run} })
				})
				answers(t, name, got, c.status, c.part)
				if nudges := h.called("Nudge"); len(nudges) != 1 || strings.Contains(nudges[0], "sub_1") != (c.body != "") {
					t.Errorf("nudged %q", nudges)
				}
				if n := len(h.runner.runs); n > 0 {
					t.Errorf("%d runs without the lease", n)
				}
			})
		})
	}
}

// TestAWriterThatLosesTheLeaseAsksTheNextOne: the request came while it still led.
func TestAWriterThatLosesTheLeaseAsksTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, h := syncing(t, ``, func(h *house) { h.runner.taken = true }, func(h *house, _ *Loop) {
			h.set(func() {
				h.records = []reconcile.RunRecord{{ID: "run-8", Started: time.Now(), Finished: time.Now(), Subscriptions: 2}}
			})
		})
		answers(t, "after the lease was lost", got, 200, `"runId":"run-8"`)
		var d syncDocument
		if err := json.Unmarshal(got.Body.Bytes(), &d); err != nil || d.Converged != nil {
			t.Errorf("%v: %+v", err, d)
		}
		if nudges := h.called("Nudge"); len(nudges) != 1 {
			t.Errorf("nudged %q", nudges)
		}
	})
}
