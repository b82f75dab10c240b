package simtest

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
	plan, unseen := y.last, y.unseen()
	p.run(engine.Request{Trigger: "cron", Full: full}, nil)
	if y.first != nil || y.Company.Policy.Mode == reconcile.Observe || !quiet(plan) || !quiet(y.last) {
		return
	}
	y.planned++
	news := y.newsOf(unseen)
	want, have := y.told(plan, news), y.told(y.last, news)
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

// quiet reports whether a run met nothing that a dry run cannot know: an answer that was
// lost before, a refusal, or evidence that it did not trust. A refused request is made
// again after a pause, which may end between the two.
func quiet(rep reconcile.Report) bool {
	return rep.Run.Error == "" && !rep.Partial && len(rep.Run.Gates) == 0 &&
		!slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool {
			refused := h.Kind == reconcile.HoldContent && strings.Contains(h.Reason, "cannot be listed")
			return refused || h.Kind == reconcile.HoldAmbiguous || h.Kind == reconcile.HoldRetry || h.Kind == reconcile.HoldParked
		}) &&
		!slices.ContainsFunc(rep.Actions, func(a reconcile.ActionRecord) bool {
			return a.State == reconcile.ActionAdopted || a.State == reconcile.ActionFailed || a.State == reconcile.ActionAmbiguous
		})
}

// unseen are the hostings that staff or another installation have changed since this
// installation looked. Both a dry run and a run may rest on a reading of some minutes ago.
// If a reading becomes too old between the two, the run reads again; only that is excused.
func (y *play) unseen() (ids []int) {
	for id, at := range y.others {
		if !y.looked[id].After(at) {
			ids = append(ids, id)
		}
	}
	return ids
}

// news are the changes by others that a run has found and the dry run before it could not
// know: hostings, and the customers that are decided together with them.
type news struct {
	hostings  map[int64]bool
	customers map[string]bool
}

func (y *play) newsOf(unseen []int) news {
	n := news{map[int64]bool{}, map[string]bool{}}
	for _, id := range unseen {
		if !y.looked[id].After(y.others[id]) {
			continue // the run has not looked either, and knows no more than the dry run
		}
		n.hostings[int64(id)] = true
		if b := y.bill(y.origin[id].subscription); b != nil {
			n.customers[b.customer] = true
		}
	}
	return n
}

// refusedInANewOrg reports whether the last run has found that the panel refuses the domain of
// a website whose org it has made itself.
func (y *play) refusedInANewOrg(a reconcile.ActionRecord) bool {
	return slices.ContainsFunc(y.last.Holds, func(h reconcile.Hold) bool {
		return h.Kind == reconcile.HoldDomainTaken && h.Subscription == a.Subscription
	}) &&
		slices.ContainsFunc(y.last.Actions, func(b reconcile.ActionRecord) bool { return b.Kind == reconcile.CreateOrg && b.Customer == a.Customer })
}

// told are the ids of the actions of a report, without the parts of an id that exist only
// after the action, and without those for which there are news.
func (y *play) told(rep reconcile.Report, n news) (ids []string) {
	for _, a := range rep.Actions {
		if n.hostings[a.Hosting] || n.customers[a.Customer] || y.unforeseen(a, rep) {
			continue
		}
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

// unforeseen reports whether a dry run cannot tell whether this will be done, or when.
func (y *play) unforeseen(a reconcile.ActionRecord, rep reconcile.Report) bool {
	switch a.Kind {
	case reconcile.SendMail:
		return true // it comes after the changes, and its id has their time
	case reconcile.Terminate: // the dry run does not know that the backup takes no time
		return slices.ContainsFunc(rep.Actions, func(b reconcile.ActionRecord) bool {
			return b.Kind == reconcile.Backup && b.Hosting == a.Hosting && b.State == reconcile.ActionApplied
		})
	case reconcile.InstallApp:
		// before there is a website the panel cannot be asked, and it refuses; or a database that
		// is older than the panel does not know that the website has an application
		return y.Company.Apps.Denied || !y.lost.IsZero()
	case reconcile.CreateWebsite:
		return y.refusedInANewOrg(a) // before there is an org the panel cannot be asked whether it takes the domain
	default:
		return false
	}
}
