package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

const (
	// mostRuns is how many runs the list has; the database keeps more.
	mostRuns = 1000
	// mostRunActions is how many changes of one run the page lists.
	mostRunActions = 5000
)

// runsBody is the body of the list of runs.
type runsBody struct {
	*list
	AtWork *follow
}

// runs lists the runs, newest first.
func (v *visit) runs() (any, error) {
	all, err := v.ports.History.Runs(v.r.Context(), mostRuns)
	if err != nil {
		return nil, err
	}
	if v.query().CSV {
		return v.runsFile(all), nil
	}
	columns := []column{{Key: "runs.run"}, {Key: "runs.started", Kind: "time"}, {Key: "runs.took"}, {Key: "runs.result", Kind: "state"}, {Key: "runs.planned", Kind: "number"}, {Key: "runs.applied", Kind: "number"}, {Key: "runs.failed", Kind: "number"}, {Key: "runs.held", Kind: "number"}}
	rows := make([]row, 0, len(all))
	var b runsBody
	for i := range all {
		r := &all[i]
		if f := v.follow(r); f != nil && b.AtWork == nil {
			b.AtWork = f
		}
		rows = append(rows, row{
			{Text: r.ID, Note: r.Trigger + ", " + r.Mode, Href: "/ui/runs/" + url.PathEscape(r.ID)}, {At: r.Started}, {Text: v.took(r)}, v.resultCell(r),
			count(r.Planned), count(r.Applied), count(r.Failed), count(r.Held),
		})
	}
	b.list = v.paged("runs.none", columns, rows)
	return b, nil
}

func (v *visit) runsFile(all []reconcile.RunRecord) *list {
	lines := make([][]string, 0, len(all))
	for i := range all {
		r := &all[i]
		lines = append(lines, []string{r.ID, r.Trigger, r.Mode, instant(r.Started), instant(r.Finished), v.resultOf(r),
			strconv.Itoa(r.Planned), strconv.Itoa(r.Applied), strconv.Itoa(r.Failed), strconv.Itoa(r.Held), r.Error})
	}
	return v.file([]string{"run", "trigger", "mode", "started", "finished", "result", "planned", "applied", "failed", "held", "error"}, lines)
}

// instant is a time in a file; "": there is none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func count(n int) cell { return cell{Text: strconv.Itoa(n)} }

// died is after how long a run without an end counts as one whose process has died. The
// database knows no better, and no run takes as long.
const died = 6 * time.Hour

// resultOf is how a run has ended: running, failed, left or done.
func (v *visit) resultOf(r *reconcile.RunRecord) string {
	switch {
	case r.Finished.IsZero() && v.server.Now().Sub(r.Started) < died:
		return "running"
	case r.Finished.IsZero():
		return "died"
	case r.Error != "":
		return "failed"
	case r.Converged != nil && !*r.Converged:
		return "left"
	}
	return "done"
}

// resultMarks are the colours of the results.
var resultMarks = map[string]string{"running": "quiet", "died": "bad", "failed": "bad", "left": "wait", "done": "good"}

func (v *visit) resultCell(r *reconcile.RunRecord) cell {
	word := v.resultOf(r)
	return cell{Text: v.T("result." + word), Mark: resultMarks[word]}
}

// took is how long a run took; "" if it has not ended.
func (v *visit) took(r *reconcile.RunRecord) string {
	if r.Finished.IsZero() {
		return ""
	}
	return reconcile.FormatDuration(max(r.Finished.Sub(r.Started).Round(time.Second), 0))
}

// follow is a run at work, as the page shows it.
type follow struct {
	ID, Href, Text string
	Done, Total    int
}

// follow returns nil if a run is not at work.
func (v *visit) follow(r *reconcile.RunRecord) *follow {
	if v.resultOf(r) != "running" {
		return nil
	}
	f := &follow{ID: r.ID, Href: "/ui/runs/" + url.PathEscape(r.ID) + "/progress", Text: v.T("run.elsewhere")}
	if v.ports.Loop.AtWork() != r.ID {
		return f
	}
	p := v.server.Tools().Progress()
	switch f.Done, f.Total = p.Done, p.Total; {
	case p.Phase == "":
		f.Text = v.T("run.begins")
	case p.Total > 0:
		f.Text = v.T("run.progress_of", v.phase(p.Phase), p.Done, p.Total)
	default:
		f.Text = v.T("run.progress", v.phase(p.Phase), p.Done)
	}
	return f
}

// phase is the word for a phase of a run. One of a newer engine is shown as it is.
func (v *visit) phase(word string) string {
	if text := v.T("phase." + word); text != "" {
		return text
	}
	return word
}

// runBody is the body of the page of one run.
type runBody struct {
	*list
	Run    reconcile.RunRecord
	Took   string
	Result cell
	AtWork *follow
	Cut    bool
}

var errEnoughActions = errors.New("enough")

// run shows one run with the changes that it touched.
func (v *visit) run() (any, error) {
	record, err := v.ports.History.Run(v.r.Context(), v.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	b := runBody{Run: record, Took: v.took(&record), Result: v.resultCell(&record), AtWork: v.follow(&record)}
	columns := []column{{Key: "run.change", Kind: "wide"}, {Key: "run.customer"}, {Key: "run.state", Kind: "state"}, {Key: "run.reason", Kind: "wide"}, {Key: "run.at", Kind: "time"}}
	var rows []row
	err = v.ports.History.RunActions(v.r.Context(), record.ID, func(a reconcile.ActionRecord) error {
		if len(rows) == mostRunActions {
			return errEnoughActions
		}
		rows = append(rows, v.actionRow(&a))
		return nil
	})
	if b.Cut = errors.Is(err, errEnoughActions); err != nil && !b.Cut {
		return nil, err
	}
	b.list = v.paged("run.none", columns, rows)
	return b, nil
}

func (v *visit) actionRow(a *reconcile.ActionRecord) row {
	what, state, problem := shownAction(a)
	return row{{Text: what, Note: a.Subscription}, whoCell(a.Email, a.Customer), state, {Text: a.Reason, Note: problem}, {At: a.At()}}
}

// startRun asks for a run over everything.
func (v *visit) startRun() (done, error) {
	run, err := v.server.StartRun(v.r.Context())
	if err != nil {
		return done{}, err
	}
	if run == "" {
		return done{to: "/ui/runs", text: "runs.asked"}, nil
	}
	return done{to: "/ui/runs/" + url.PathEscape(run), text: "runs.begun"}, nil
}

const (
	// followEach is how often the progress of a run is looked at.
	followEach = 500 * time.Millisecond
	// followFor is how long one answer follows a run. Then the browser asks again, so that no
	// answer is longer than the server allows.
	followFor = 20 * time.Second
)

// followRun sends how far a run is, as events, until it ends.
func (v *visit) followRun() {
	if !v.who.May(server.Look) {
		v.refuse()
		return
	}
	ctx := v.r.Context()
	record, err := v.ports.History.Run(ctx, v.r.PathValue("id"))
	if err != nil {
		v.fail(err)
		return
	}
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("X-Accel-Buffering", "no") // a proxy must not gather the events
	out := http.NewResponseController(v.w)
	tick := time.NewTicker(followEach)
	defer tick.Stop()
	last := ""
	for end := time.Now().Add(followFor); time.Now().Before(end) && !v.server.Leaving(); {
		f := v.follow(&record)
		if f == nil {
			fmt.Fprint(v.w, "event: end\ndata: {}\n\n")
			_ = out.Flush() // an error means that the client has gone
			return
		}
		text, err := json.Marshal(map[string]any{"text": f.Text, "done": f.Done, "total": f.Total})
		if err != nil {
			return
		}
		if string(text) != last {
			last = string(text)
			fmt.Fprintf(v.w, "retry: 1000\nevent: progress\ndata: %s\n\n", strings.ReplaceAll(last, "\n", " "))
			if out.Flush() != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if record, err = v.ports.History.Run(ctx, record.ID); err != nil {
			return // the browser asks again
		}
	}
}

// Follow is a run at work with the list beside it, for the template.
func (l *list) Follow(f *follow) struct {
	List   *list
	Follow *follow
} {
	return struct {
		List   *list
		Follow *follow
	}{l, f}
}
