package scenario

import (
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// foretold asks for the plan in a quiet time, lets the run follow, and holds one
// against the other, action by action.
func (y *play) foretold(p *process, full bool) {
	p.run(engine.Request{Trigger: "cli", Full: full, Dry: true}, nil)
	if y.first != nil {
		return
	}
	plan := y.last
	p.run(engine.Request{Trigger: "cron", Full: full}, nil)
	if y.first != nil || y.Company.Policy.Mode == reconcile.Observe || !quiet(plan) || !quiet(y.last) {
		return
	}
	y.planned++
	want, have := told(plan), told(y.last)
	for _, id := range want {
		if !slices.Contains(have, id) {
			y.violated(Foretold, "%s was planned and not done; planned %q, done %q", id, want, have)
			return
		}
	}
	for _, id := range have {
		if !slices.Contains(want, id) {
			y.violated(Foretold, "%s was done and not planned; planned %q, done %q", id, want, have)
			return
		}
	}
}

// quiet tells that a run met nothing that a plan cannot know: an answer that was lost
// before, a refusal, evidence that it did not believe.
func quiet(rep reconcile.Report) bool {
	return rep.Run.Error == "" && !rep.Partial && len(rep.Run.Gates) == 0 &&
		!slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool {
			return h.Kind == reconcile.HoldAmbiguous || h.Kind == reconcile.HoldRetry || h.Kind == reconcile.HoldParked
		}) &&
		!slices.ContainsFunc(rep.Actions, func(a reconcile.ActionRecord) bool {
			return a.State == reconcile.ActionAdopted || a.State == reconcile.ActionFailed || a.State == reconcile.ActionAmbiguous
		})
}

// told are the ids of the actions of a report, without those of what is there only when
// it is done.
func told(rep reconcile.Report) (ids []string) {
	for _, a := range rep.Actions {
		id := a.ID
		if a.Kind == reconcile.WriteMetadata || a.Kind == reconcile.Link && a.Hosting == 0 {
			id = id[:strings.LastIndexByte(id, ':')]
		}
		if a.State != reconcile.ActionSuperseded {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
