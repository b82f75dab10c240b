package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// cursorFallen is the hostings by which it was noticed that this database was put back
// to an old copy, or lost its last transactions. Each is a reason once: staff may leave
// our mark in a name.
const cursorFallen = "fallen"

// A database that was put back to an old copy has forgotten its later actions, and no
// unchanged fact makes a customer due. Two things make up for that:
//
//   - The hostings of every subscription that an event has touched since the cursor are
//     looked at again, changed or not, and whatever the run: who was suspended in the time
//     that is forgotten, and has paid since, has an event.
//   - A suspension with our mark that the journal does not know makes every bound hosting
//     due for a look, once, and a run that takes nothing away.

// lookAtTouched looks again at what events have touched since the cursor, which a full
// run moves without following them. If they cannot be listed, every hosting is read.
func (r *run) lookAtTouched(ctx context.Context) error {
	since, err := r.eventCursor(ctx)
	if err != nil {
		return err
	}
	if since.IsZero() {
		return r.Timetable.LookAgain(ctx, r.tok, nil)
	}
	events, err := r.Billing.Events(ctx, since.Add(-eventOverlap))
	if err != nil {
		r.note("the events since %s could not be listed, so every hosting is read: %v", since.Format(time.RFC3339), err)
		return r.Timetable.LookAgain(ctx, r.tok, nil)
	}
	fresh, err := r.unseen(ctx, events.Touched)
	if err != nil {
		return err
	}
	subs, err := r.touched(ctx, fresh)
	if err != nil || len(subs) == 0 {
		return err
	}
	return r.Timetable.LookAgain(ctx, r.tok, subs)
}

// touched is the subscriptions that events are about.
func (r *run) touched(ctx context.Context, events []reconcile.Event) ([]string, error) {
	var subs, customers []string
	for _, ev := range events {
		switch {
		case ev.Subscription != "":
			subs = append(subs, ev.Subscription)
		case ev.StripeCustomer != "":
			customers = append(customers, ev.StripeCustomer)
		}
	}
	if len(customers) > 0 {
		of, err := r.Cursors.SubscriptionsOf(ctx, distinct(customers))
		if err != nil {
			return nil, err
		}
		subs = append(subs, of...)
	}
	return distinct(subs), nil
}

// noticePerhapsOurs notes a suspension that is perhaps ours.
func (r *run) noticePerhapsOurs(d planner.Decision) {
	for _, h := range d.Holds {
		if h.Kind != reconcile.HoldPerhapsOurs {
			continue
		}
		r.evidence.addPerhapsOurs(h.Hosting)
	}
}

// fellBack notes, once every customer that is due is planned, that the database is old, and
// makes every bound hosting due for a look.
func (r *run) fellBack(ctx context.Context) error {
	if r.evidence.lossFound && !r.req.Dry {
		if err := r.Timetable.LookAgain(ctx, r.tok, nil); err != nil {
			return err
		}
	}
	if len(r.evidence.perhapsOurs) == 0 {
		return nil
	}
	text, err := r.Cursors.Cursor(ctx, cursorFallen)
	if err != nil {
		return err
	}
	var known []int64
	_ = json.Unmarshal([]byte(text), &known) // nothing that can be read: noticed again
	fresh := slices.DeleteFunc(slices.Clone(r.evidence.perhapsOurs), func(id int64) bool { return slices.Contains(known, id) })
	if len(fresh) == 0 {
		return nil
	}
	slices.Sort(fresh)
	r.blockRemovals(fmt.Sprintf("this database was put back to an old copy, it seems, or lost its last changes: %s suspended with our mark, and this database has no record of that. "+
		"Every hosting is looked at again in the next run; those whose subscription is active, in trial or within its grace period wait in one held plan of kind resume, see `stripe-enhance plans`", hostingsAre(fresh)))
	if r.req.Dry {
		return nil
	}
	packed, err := json.Marshal(append(known, fresh...))
	if err != nil {
		return err
	}
	if err := r.Timetable.LookAgain(ctx, r.tok, nil); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorFallen, string(packed))
}

func hostingsAre(ids []int64) string {
	if len(ids) == 1 {
		return fmt.Sprintf("hosting %d is", ids[0])
	}
	return fmt.Sprintf("%d hostings (%d and others) are", len(ids), ids[0])
}
