package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// failingRuns is how many runs in a row must fail to be news.
const failingRuns = 3

// Watch remembers what was told, and says what is new. It belongs to one
// goroutine at a time. The zero value knows nothing and has told nothing.
type Watch struct {
	plans   map[string]bool // held plans that were told
	parked  map[string]bool // customers that were told
	failed  int             // runs in a row
	failing bool            // told
	denied  bool            // told
	gated   bool            // told
	refused bool            // told
	waiting bool            // told
}

// Know takes what stands as told already.
func (w *Watch) Know(plans []reconcile.HeldPlan, holds []reconcile.Hold) {
	w.plans, w.parked = map[string]bool{}, map[string]bool{}
	for _, p := range plans {
		w.plans[p.ID] = true
	}
	for _, h := range holds {
		if h.Kind == reconcile.HoldParked {
			w.parked[h.Customer] = true
		}
	}
}

// Look takes the outcome of a run and returns what is new about it, as one
// message; "" when nothing is.
func (w *Watch) Look(r reconcile.Report, err error) string {
	var held *reconcile.LeaseHeld
	if errors.As(err, &held) || errors.Is(err, context.Canceled) || errors.Is(err, fault.Canceled) || errors.Is(err, fault.Fenced) {
		return "" // nothing was learned about the world
	}
	var news []string
	news = append(news, w.waits(&r, err)...)
	news = append(news, w.gates(r, err)...)
	if err == nil || len(r.Run.Gates) == 0 {
		news = append(news, w.runs(r, err)...)
	}
	if err == nil {
		news = append(news, w.held(r.Plans)...)
		news = append(news, w.aside(r.Holds)...)
	}
	switch len(news) {
	case 0:
		return ""
	case 1:
		return "stripe-enhance: " + news[0]
	}
	return "stripe-enhance:\n• " + strings.Join(news, "\n• ")
}

// runs tells when runs begin to fail, and when they work again.
func (w *Watch) runs(r reconcile.Report, err error) []string {
	if err == nil {
		again := w.failing || w.denied
		w.failed, w.failing, w.denied = 0, false, false
		switch {
		case !again:
			return nil
		case r.Partial:
			return []string{"runs end again, but this one could not read everything that it was to look at: " + brief(errors.New(strings.Join(r.Notes, "; ")))}
		case len(r.Run.Gates) > 0 || r.Waits != "":
			return []string{"runs end again, but a gate is closed: see below, and `stripe-enhance plan`."}
		case !r.Converged():
			return []string{"runs work again. What was missed meanwhile is made up by them, but for what is withheld or failed: `stripe-enhance plan` shows it."}
		}
		return []string{"runs work again, and what was missed meanwhile is made up."}
	}
	w.failed++
	switch {
	case errors.Is(err, fault.Denied) && !w.denied:
		w.denied = true
		return []string{"a credential was refused, so nothing more is sent: " + brief(err) +
			". What to do: `stripe-enhance check` tells which one and what it lacks."}
	case w.failed >= failingRuns && !w.failing && !w.denied:
		w.failing = true
		return []string{fmt.Sprintf("the last %d runs failed: %s. Nothing is lost; they go on trying. "+
			"What to do: look at /api/health, or run `stripe-enhance check`.", w.failed, brief(err))}
	}
	return nil
}

// waits tells that nothing is created before a person has acted, and takes that off the
// gates, which are about what is taken away.
func (w *Watch) waits(r *reconcile.Report, err error) []string {
	if err != nil && r.Waits == "" {
		return nil // it may not have come so far as to ask
	}
	before := w.waiting
	w.waiting = r.Waits != ""
	if r.Waits == "" {
		if before {
			return []string{"what is paid for is created again."}
		}
		return nil
	}
	r.Run.Gates = slices.DeleteFunc(slices.Clone(r.Run.Gates), func(gate string) bool { return strings.Contains(r.Waits, gate) })
	if before {
		return nil
	}
	return []string{r.Waits + "."}
}

// gates tells that runs take nothing away, or do nothing at all. Only a full run
// without a failed gate ends it: others may not have had anything to take, and so
// asked no gate.
func (w *Watch) gates(r reconcile.Report, err error) []string {
	refused := err != nil && len(r.Run.Gates) > 0
	if err == nil && w.refused { // one that failed has not done its work, whatever for
		w.refused = false
		if len(r.Run.Gates) == 0 {
			return []string{"runs do their work again."}
		}
	}
	switch {
	case refused && !w.refused:
		w.refused = true
		return []string{"nothing at all is done, because " + strings.Join(r.Run.Gates, "; ") + "."}
	case refused, err != nil:
		return nil
	case len(r.Run.Gates) == 0:
		if r.Run.Mode == reconcile.RunFull.String() {
			w.gated = false
		}
		return nil
	case w.gated:
		return nil
	}
	w.gated = true
	return []string{"nothing is taken away at present, because " + strings.Join(r.Run.Gates, "; ") +
		". What to do: see whether that is true; if it is a mistake, put it right, and the next run goes on."}
}

func (w *Watch) held(plans []reconcile.HeldPlan) (news []string) {
	if w.plans == nil {
		w.plans = map[string]bool{}
	}
	for _, p := range plans {
		if !p.Approved.IsZero() || w.plans[p.ID] {
			continue
		}
		w.plans[p.ID] = true
		news = append(news, fmt.Sprintf("the brake holds %d × %s: %s. What to do: look with `stripe-enhance plans`, "+
			"release with `stripe-enhance approve %s`.", p.Size(), p.Kind, strings.TrimSuffix(p.Reason, "."), p.ID))
	}
	return news
}

// named is how many customers a message names.
const named = 5

func (w *Watch) aside(holds []reconcile.Hold) (news []string) {
	now := map[string]bool{}
	for _, h := range holds {
		if h.Kind == reconcile.HoldParked {
			now[h.Customer] = true
		}
	}
	var fresh, freed []string
	for c := range now {
		if !w.parked[c] {
			fresh = append(fresh, c)
		}
	}
	for c := range maps.Keys(w.parked) {
		if !now[c] {
			freed = append(freed, c)
		}
	}
	w.parked = now
	slices.Sort(fresh)
	slices.Sort(freed)
	if len(fresh) > 0 {
		news = append(news, fmt.Sprintf("set aside after repeated failures: %s. What to do: "+
			"`stripe-enhance customers show --customer %s` says what fails; they are tried again every few hours.", list(fresh), fresh[0]))
	}
	if len(freed) > 0 {
		news = append(news, "no longer set aside: "+list(freed)+".")
	}
	return news
}

func list(ids []string) string {
	if len(ids) > named {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:named], ", "), len(ids)-named)
	}
	return strings.Join(ids, ", ")
}

// most is how much of an error goes into a message.
const most = 300

func brief(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
