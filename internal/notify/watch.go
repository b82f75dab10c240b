package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// failingRuns is how many runs in a row must fail before that is news.
const failingRuns = 3

// Watch compares each run with the news that was sent before, and returns the new ones. It
// belongs to one goroutine at a time. The zero value has sent nothing.
type Watch struct {
	Language Language // of the messages

	sent memory
}

// prefix begins each message, because a chat may have those of many programs.
const prefix = "stripe-enhance: "

// memory has the news that was sent, as it is stored between two processes.
type memory struct {
	Plans   []string        `json:"plans,omitempty"`   // ids of the held plans that were sent, the newest last
	Parked  map[string]bool `json:"parked,omitempty"`  // ids of the customers that were sent
	Orders  map[string]int  `json:"orders,omitempty"`  // by kind of hold: how many orders waited when it was sent
	Failed  int             `json:"failed,omitempty"`  // runs in a row
	Failing bool            `json:"failing,omitempty"` // this and the others: it was sent
	Denied  bool            `json:"denied,omitempty"`
	Gated   bool            `json:"gated,omitempty"`
	Refused bool            `json:"refused,omitempty"`
	Waiting bool            `json:"waiting,omitempty"`
}

// Recall takes over the news that another Watch has sent, from the text of its Memory. ""
// stands for none. If the text cannot be read, Recall returns an error and starts with none.
func (w *Watch) Recall(text string) error {
	w.sent = memory{}
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &w.sent); err != nil {
		w.sent = memory{}
		return fmt.Errorf("the news that was sent cannot be read, and some of it may be sent again: %w", err)
	}
	return nil
}

// Memory returns the news that was sent, as a text for Recall.
func (w *Watch) Memory() string {
	text, err := json.Marshal(w.sent)
	if err != nil { // never: every such struct has a JSON
		return ""
	}
	return string(text)
}

// Look takes the outcome of a run and returns the news in it, as one message; "" if there
// is none.
func (w *Watch) Look(r reconcile.Report, err error) string {
	var held *reconcile.LeaseTaken
	if errors.As(err, &held) || errors.Is(err, context.Canceled) || errors.Is(err, fault.Canceled) || errors.Is(err, fault.Fenced) {
		return "" // the run has learned nothing about the world
	}
	var news []string
	news = append(news, w.waits(&r, err)...)
	news = append(news, w.gates(r, err)...)
	if err == nil || len(r.Run.Gates) == 0 {
		news = append(news, w.runs(r, err)...)
	}
	news = append(news, w.drifts(r)...)
	if err == nil {
		news = append(news, w.held(r.Plans)...)
		news = append(news, w.orders(r.Holds)...)
		news = append(news, w.aside(r.Holds)...)
	}
	switch len(news) {
	case 0:
		return ""
	case 1:
		return prefix + news[0]
	}
	return "stripe-enhance:\n• " + strings.Join(news, "\n• ")
}

// runs returns news when runs begin to fail, and when they work again.
func (w *Watch) runs(r reconcile.Report, err error) []string {
	if err == nil {
		again := w.sent.Failing || w.sent.Denied
		w.sent.Failed, w.sent.Failing, w.sent.Denied = 0, false, false
		switch {
		case !again:
			return nil
		case r.Partial:
			return []string{w.Language.text("runs.partial", brief(errors.New(strings.Join(r.Notes, "; "))))}
		case len(r.Run.Gates) > 0 || r.Waits != "":
			return []string{w.Language.text("runs.gated")}
		case !r.Converged():
			return []string{w.Language.text("runs.behind")}
		}
		return []string{w.Language.text("runs.well")}
	}
	w.sent.Failed++
	switch {
	case errors.Is(err, fault.Denied) && !w.sent.Denied:
		w.sent.Denied = true
		return []string{w.Language.text("runs.denied", brief(err))}
	case w.sent.Failed >= failingRuns && !w.sent.Failing && !w.sent.Denied:
		w.sent.Failing = true
		return []string{w.Language.text("runs.failed", w.sent.Failed, brief(err))}
	}
	return nil
}

// waits returns news when nothing is created before a person has acted. It removes that
// gate from the report, because the other gates are about taking away.
func (w *Watch) waits(r *reconcile.Report, err error) []string {
	if err != nil && r.Waits == "" {
		return nil // the run may have ended before it looked
	}
	before := w.sent.Waiting
	w.sent.Waiting = r.Waits != ""
	if r.Waits == "" {
		if before {
			return []string{w.Language.text("orders.again")}
		}
		return nil
	}
	r.Run.Gates = slices.DeleteFunc(slices.Clone(r.Run.Gates), func(gate string) bool { return strings.Contains(r.Waits, gate) })
	if before {
		return nil
	}
	return []string{w.Language.text("orders.wait", r.Waits)}
}

// gates returns news when runs take nothing away, or do nothing at all. Only a full run
// without a failed gate ends that, because other runs may have had nothing to take away,
// and so have checked no gate.
func (w *Watch) gates(r reconcile.Report, err error) []string {
	refused := err != nil && len(r.Run.Gates) > 0
	if err == nil && w.sent.Refused { // a run that failed has not done its work
		w.sent.Refused = false
		if len(r.Run.Gates) == 0 {
			return []string{w.Language.text("gates.again")}
		}
	}
	switch {
	case refused && !w.sent.Refused:
		w.sent.Refused = true
		return []string{w.Language.text("gates.refused", strings.Join(r.Run.Gates, "; "))}
	case refused, err != nil:
		return nil
	case len(r.Run.Gates) == 0:
		if r.Run.Mode == reconcile.RunFull.String() {
			w.sent.Gated = false
		}
		return nil
	case w.sent.Gated:
		return nil
	}
	w.sent.Gated = true
	return []string{w.Language.text("gates.closed", strings.Join(r.Run.Gates, "; "))}
}

// mostPlans is how many plans are remembered. Of each kind, one waits at a time.
const mostPlans = 100

// drifts returns the changes that others have made at the panel. A run stores each change
// that it has seen, so the next one does not see it again.
func (w *Watch) drifts(r reconcile.Report) []string {
	if r.Drifted == 0 {
		return nil
	}
	var all []string
	for _, d := range r.Drifts[:min(named, len(r.Drifts))] {
		all = append(all, d.Text)
	}
	text := strings.Join(all, "; ")
	if more := r.Drifted - len(all); more > 0 {
		text = w.Language.text("drift.more", text, more)
	}
	return []string{w.Language.text("drift.text", text)}
}

func (w *Watch) held(plans []reconcile.HeldPlan) (news []string) {
	for _, p := range plans {
		if !p.Approved.IsZero() || slices.Contains(w.sent.Plans, p.ID) {
			continue
		}
		w.sent.Plans = append(w.sent.Plans, p.ID)
		news = append(news, w.Language.text("brake.holds", p.Size(), w.Language.text("kind."+p.Kind.String()), strings.TrimSuffix(p.Reason, "."), p.ID))
	}
	w.sent.Plans = w.sent.Plans[max(len(w.sent.Plans)-mostPlans, 0):]
	return news
}

// orders returns news about the orders that wait for a person, by kind of hold: with the
// first of a kind, and again each time that twice as many wait. Orders that the brake holds
// are in the news about its plan.
func (w *Watch) orders(holds []reconcile.Hold) (news []string) {
	waiting := map[string]map[string]reconcile.Hold{} // by kind and order
	for _, h := range holds {
		if !h.Order || h.Kind == reconcile.HoldBrake {
			continue
		}
		kind := string(h.Kind)
		if waiting[kind] == nil {
			waiting[kind] = map[string]reconcile.Hold{}
		}
		waiting[kind][cmp.Or(h.Subscription, h.Customer)] = h
	}
	sent := map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(waiting)) {
		orders, before := slices.Sorted(maps.Keys(waiting[kind])), w.sent.Orders[kind]
		if len(orders) < max(2*before, 1) {
			sent[kind] = before
			continue
		}
		sent[kind] = len(orders)
		news = append(news, w.Language.counted("orders.held", len(orders), kind, w.list(orders), waiting[kind][orders[0]].Customer))
	}
	w.sent.Orders = sent
	return news
}

// named is how many ids a message names.
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
		if !w.sent.Parked[c] {
			fresh = append(fresh, c)
		}
	}
	for c := range maps.Keys(w.sent.Parked) {
		if !now[c] {
			freed = append(freed, c)
		}
	}
	w.sent.Parked = now
	slices.Sort(fresh)
	slices.Sort(freed)
	if len(fresh) > 0 {
		news = append(news, w.Language.text("parked.fresh", w.list(fresh), fresh[0]))
	}
	if len(freed) > 0 {
		news = append(news, w.Language.text("parked.freed", w.list(freed)))
	}
	return news
}

func (w *Watch) list(ids []string) string {
	if len(ids) > named {
		return w.Language.text("list.more", strings.Join(ids[:named], ", "), len(ids)-named)
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
