package page

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// busy is a runner whose run ends when the test lets it.
type busy struct {
	*company
	finish chan struct{}
}

func (b *busy) Leading() bool { return true }

func (b *busy) Lead(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (b *busy) Flow(context.Context) (reconcile.Served, error) { return reconcile.Served{}, nil }

func (b *busy) Run(_ context.Context, q server.Request, began func(string)) (reconcile.Report, error) {
	const id = "run_9"
	b.mu.Lock()
	b.runs = append([]reconcile.RunRecord{{ID: id, Trigger: q.Trigger, Mode: "full", Started: t0}}, b.runs...)
	b.mu.Unlock()
	began(id)
	<-b.finish
	b.mu.Lock()
	defer b.mu.Unlock()
	yes := true
	b.runs[0].Finished, b.runs[0].Converged, b.runs[0].Planned, b.runs[0].Applied = t0.Add(3*time.Second), &yes, 7, 7
	return reconcile.Report{Run: b.runs[0]}, nil
}

func (c *company) LastListed(context.Context) (reconcile.ListedState, error) {
	return reconcile.ListedState{Count: 1, At: t0}, nil
}

func (c *company) NudgesWaiting(context.Context) (bool, error) { return false, nil }

func (c *company) NudgesOverdue(context.Context, time.Time) (bool, error) { return false, nil }

func (c *company) WebhookResult(context.Context, string, time.Time, string, time.Time) error {
	return nil
}

// atWork is a house whose loop works, with a runner that waits for the test.
func atWork(t *testing.T) (*house, *busy) {
	t.Helper()
	never, err := cron.ParseStandard("0 0 29 2 *")
	if err != nil {
		t.Fatal(err)
	}
	b := &busy{finish: make(chan struct{}, 1)}
	var loop *server.Loop
	h := newHouse(t, usual, func(o *server.Options) {
		b.company = o.Overview.(*company)
		b.runs = b.runs[2:]
		loop = server.NewLoop(server.LoopOptions{Poll: never, Full: never, Now: o.Now}, b, b.company, b.company)
		o.Loop = loop
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = loop.Work(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case b.finish <- struct{}{}:
		default:
		}
		<-ended
	})
	return h, b
}

func (c *company) reach(p reconcile.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = p
}

// TestARunIsStartedAndFollowedInABrowser starts a run, sees how far it is without loading the
// page again, and sees its end.
func TestARunIsStartedAndFollowedInABrowser(t *testing.T) {
	h, b := atWork(t)
	tab := browser.New(t)
	h.signIn(tab, supportKey)
	tab.Open(h.url + "/ui/runs?language=en")
	tab.Submit("main > form button")
	if got := browser.Eval[string](tab, `location.pathname`); got != "/ui/runs/run_9" {
		t.Fatalf("the start leads to %q", got)
	}
	until := func(what, expression string) {
		t.Helper()
		if !browser.Eval[bool](tab, `new Promise(yes => { const look = () => (`+expression+`) ? yes(true) : setTimeout(look, 50); look(); })`) {
			t.Errorf("%s is not seen", what)
		}
	}
	h.reach(reconcile.Progress{Phase: "applying", Done: 3, Total: 7})
	until("the progress", `document.querySelector("[data-text]").textContent === "making the changes: 3 of 7" && document.querySelector("progress").value === 3`)
	for _, fault := range faults(tab) {
		t.Error(fault)
	}
	tab.Picture("run-at-work")
	b.finish <- struct{}{}
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if browser.Eval[bool](tab, `document.readyState === "complete" && !document.querySelector("[data-follow]")`) {
			break
		}
	}
	if got := tab.Text(".ids .mark"); got != "nothing is left" {
		t.Errorf("the end: %q", got)
	}
	if all := tab.Complaints(); all != nil {
		t.Errorf("complaints: %q", all)
	}
}

func TestARunIsFollowedWithoutAScript(t *testing.T) {
	h, b := atWork(t)
	p := h.signedIn(adminKey)
	got := p.change("/ui/runs/start")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/runs/run_9" {
		t.Fatalf("%d %s", got.status, got.header.Get("Location"))
	}
	h.reach(reconcile.Progress{Phase: "listing", Done: 300})
	if got := p.get("/ui/runs/run_9"); !strings.Contains(got.text, "listing at Stripe: 300") || !strings.Contains(got.text, ">Load again<") {
		t.Errorf("the page of the run: %s", got.text)
	}
	b.finish <- struct{}{}
	if got := p.get("/ui/runs/run_9/progress"); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/event-stream") || !strings.HasSuffix(got.text, "event: end\ndata: {}\n\n") {
		t.Errorf("the events: %d %q %s", got.status, got.header, got.text)
	}
}

func TestTheProgressOfARunIsForThoseWhoAreSignedIn(t *testing.T) {
	h := newHouse(t, usual)
	if got := h.person().get("/ui/runs/run_2/progress"); got.status != http.StatusSeeOther {
		t.Errorf("a stranger: %d", got.status)
	}
	p := h.signedIn(supportKey)
	if got := p.get("/ui/runs/run_2/progress"); got.text != "event: end\ndata: {}\n\n" || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Security-Policy") != policy {
		t.Errorf("a run that has ended: %q %q", got.text, got.header)
	}
	for _, path := range []string{"/ui/runs/none", "/ui/runs/none/progress"} {
		if got := p.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := p.post("/ui/runs/start"); got.status != http.StatusForbidden {
		t.Errorf("a start without the token: %d", got.status)
	}
}

// A replica that is not the writer asks the writer for the run.
func TestAReplicaAsksTheWriterForARun(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	if got := p.change("/ui/runs/start"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/runs" {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
	if did := h.done(); len(did) != 1 || did[0] != "nudge admin" {
		t.Errorf("%q", did)
	}
}
