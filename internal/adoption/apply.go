package adoption

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Mistakes are all mistakes of a file. Nothing of it was carried out.
type Mistakes []error

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, err := range m {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Certain carries out the links among the rows, and nothing else. A pair that has changed
// since it was read is left to a person.
func (d *Desk) Certain(ctx context.Context, rows []adopt.Pair) (applied int, err error) {
	var work []Row
	at := map[int]int{} // index in work → in rows
	for i, r := range rows {
		if r.Decision == adopt.Link {
			at[len(work)] = i
			work = append(work, Row{Pair: r})
		}
	}
	applied, failed, err := d.carryOut(ctx, work, func(i int, why error) error {
		rows[at[i]].Decision, rows[at[i]].Reason = adopt.Review, why.Error()
		return nil
	})
	if err != nil || len(failed) > 0 {
		return applied, errors.Join(append(failed, err)...)
	}
	return applied, nil
}

// Decided carries out the rows of a file. Every row is checked before the first is carried
// out; the error is of the type Mistakes if one cannot be. left is how many of the rows that
// the two sides have now wait for a decision still.
func (d *Desk) Decided(ctx context.Context, rows []Row) (applied, left int, err error) {
	pic, err := d.stored(ctx)
	if err != nil {
		return 0, 0, err
	}
	check := newChecker(pic)
	var work []Row
	var mistakes Mistakes
	for _, r := range rows {
		todo, why := check.check(r)
		switch {
		case why != "":
			mistakes = append(mistakes, fmt.Errorf("line %d: %s", r.Line, why))
		case todo:
			work = append(work, r)
		}
	}
	if len(mistakes) > 0 {
		_, more, err := d.prepared(ctx, work)
		if err != nil {
			return 0, 0, err
		}
		for i, why := range more {
			mistakes = append(mistakes, fmt.Errorf("line %d: %w", work[i].Line, why))
		}
		return 0, 0, mistakes
	}
	applied, failed, err := d.carryOut(ctx, work, func(i int, why error) error {
		return fmt.Errorf("line %d: %w", work[i].Line, why)
	})
	switch {
	case err != nil:
		return applied, 0, err
	case len(failed) > 0:
		return applied, 0, Mistakes(failed)
	}
	left, err = d.undecided(ctx)
	return applied, left, err
}

// undecided is how many rows no person has decided on, by the database alone.
func (d *Desk) undecided(ctx context.Context) (n int, err error) {
	pic := newPicture()
	if err := d.load(ctx, pic); err != nil {
		return 0, err
	}
	for _, r := range adopt.Match(pic.Facts) {
		if r.Decision == adopt.Review || r.Decision == adopt.Link {
			n++
		}
	}
	return n, nil
}

// carryOut prepares all rows, and then carries them out. A row that cannot be carried out
// is passed to refused; if that returns an error, nothing is carried out.
func (d *Desk) carryOut(ctx context.Context, work []Row, refused func(i int, why error) error) (applied int, failed []error, err error) {
	ready, refusals, err := d.prepared(ctx, work)
	if err != nil {
		return 0, nil, err
	}
	for i := range work {
		if why := refusals[i]; why != nil {
			if err := refused(i, why); err != nil {
				failed = append(failed, err)
			}
		}
	}
	if len(failed) > 0 {
		return 0, failed, nil
	}
	var linked []string
	for i := range work {
		if refusals[i] != nil {
			continue
		}
		if err := d.carry(ctx, work[i], ready[i]); err != nil {
			return applied, nil, fmt.Errorf("after %d were carried out: %w. Give the command again: nothing is done twice", applied, err)
		}
		applied++
		if work[i].Decision == adopt.Link {
			linked = append(linked, work[i].Subscription)
		}
		d.Show(reconcile.Progress{Phase: "linking", Done: i + 1, Total: len(work)})
	}
	return applied, nil, d.mark(ctx, linked)
}

// prepared reads the hosting of each link at the panel, and asks whether the instruction
// would be followed. The refusals are by the index of the row.
func (d *Desk) prepared(ctx context.Context, work []Row) (ready []reconcile.Hosting, refusals map[int]error, err error) {
	cat, err := d.Catalog(ctx, d.suppose...)
	if err != nil {
		return nil, nil, err
	}
	ready, refusals = make([]reconcile.Hosting, len(work)), map[int]error{}
	var mu sync.Mutex // guards refusals
	err = d.each(ctx, "reading hostings", len(work), func(ctx context.Context, i int) error {
		why, err := d.prepare(ctx, work[i], cat, &ready[i])
		if why != nil {
			mu.Lock()
			defer mu.Unlock()
			refusals[i] = why
		}
		return err
	})
	return ready, refusals, err
}

// prepare is prepared for one row.
func (d *Desk) prepare(ctx context.Context, r Row, cat *planner.Catalog, h *reconcile.Hosting) (why, err error) {
	if r.Decision != adopt.Link && r.Decision != adopt.New {
		return nil, nil
	}
	if r.Decision == adopt.Link {
		org, err := d.Store.HostingOrg(ctx, r.Hosting)
		if err != nil {
			return nil, err
		}
		*h, err = d.Enhance.Hosting(ctx, org, r.Hosting)
		if errors.Is(err, fault.NotFound) {
			return fmt.Errorf("hosting %d is not at the panel any more", r.Hosting), nil
		}
		if err != nil {
			return nil, err
		}
		if r.Plan != 0 && h.Plan != r.Plan {
			return fmt.Errorf("hosting %d has come to plan %d meanwhile", r.Hosting, h.Plan), nil
		}
		if h.State == reconcile.HostingSuspended && r.Line == 0 {
			return fmt.Errorf("hosting %d was suspended meanwhile", r.Hosting), nil
		}
		h.ObservedAt = d.Now().UTC()
	}
	w := d.signed(instruction(r.Pair, *h))
	_, err = d.Store.PreviewInstruction(ctx, w, d.decider(w, cat))
	var no reconcile.InstructionRefused
	if errors.As(err, &no) {
		return no, nil
	}
	return nil, err
}

func (d *Desk) signed(w reconcile.Instruction) reconcile.Instruction {
	w.Author, w.At = d.Author, d.Now().UTC()
	return w
}

// decider is that of `customers bind`, except that nothing which is bound gives way: what
// was bound meanwhile, was bound for a reason.
func (d *Desk) decider(w reconcile.Instruction, cat *planner.Catalog) reconcile.InstructionDecider {
	decide := planner.Instruct(w, cat, string(d.Config.Instance))
	return func(c *reconcile.Customer, bound []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
		ch, err := decide(c, bound)
		switch {
		case err != nil || ch.None():
			return ch, err
		case len(ch.Unbinds) > 0:
			return reconcile.BindingChange{}, reconcile.InstructionRefused(w.Subscription + " has its hosting already: " + ch.Before)
		case len(ch.Frees) > 0:
			return reconcile.BindingChange{}, reconcile.InstructionRefused(fmt.Sprintf("hosting %d is bound to %s", w.Hosting.ID, ch.Frees[0].Subscription))
		}
		return ch, nil
	}
}

// carry carries out one row.
func (d *Desk) carry(ctx context.Context, r Row, h reconcile.Hosting) error {
	switch r.Decision {
	case adopt.Link, adopt.New:
		cat, err := d.Catalog(ctx, d.suppose...)
		if err != nil {
			return err
		}
		w := d.signed(instruction(r.Pair, h))
		_, err = d.Store.RecordInstruction(ctx, w, d.decider(w, cat))
		return err
	case adopt.Ignore:
		return d.ignore(ctx, r)
	case adopt.Review:
	}
	_, err := d.Store.IgnoreHosting(ctx, r.Hosting, "", d.Now())
	return err
}

// ignore puts the hold "ignore" on the subscription of a row, and notes that no
// customer pays for its hosting.
func (d *Desk) ignore(ctx context.Context, r Row) error {
	if r.Subscription != "" {
		held, err := d.held(ctx, r.Subscription)
		if err != nil {
			return err
		}
		if !held {
			h := reconcile.ManualHold{ID: "hold_" + strings.ToLower(rand.Text()[:16]), Subscription: r.Subscription, Kind: reconcile.Ignore,
				Reason: why(r.Pair), Author: d.Author, Created: d.Now().UTC()}
			if _, err := d.Store.AddManualHold(ctx, h); err != nil {
				return err
			}
		}
	}
	if r.Hosting != 0 {
		_, err := d.Store.IgnoreHosting(ctx, r.Hosting, d.Author+": "+why(r.Pair), d.Now())
		return err
	}
	return nil
}

// held reports whether a person has put the hold "ignore" on a subscription already.
func (d *Desk) held(ctx context.Context, subscription string) (bool, error) {
	holds, err := d.Store.ManualHolds(ctx, d.Now())
	for _, h := range holds {
		if h.Kind == reconcile.Ignore && h.Subscription == subscription {
			return true, err
		}
	}
	return false, err
}

// marking are the kinds of actions that finish a link: the binding of the org, the marker,
// and the ids in Stripe's metadata. Nothing else is done for who was just linked.
var marking = []reconcile.ActionKind{reconcile.Link, reconcile.MarkHosting, reconcile.WriteMetadata}

// markedTogether is how many subscriptions one run looks at.
const markedTogether = 500

// mark lets the engine finish the links.
func (d *Desk) mark(ctx context.Context, subscriptions []string) error {
	if d.Engine == nil && len(subscriptions) > 0 {
		return d.Store.Nudge(ctx, subscriptions, "admin", d.Now())
	}
	if len(subscriptions) > 0 && d.Config.Mode == reconcile.Observe {
		d.Printf("MODE=observe: the markers are written into the names at the panel by the first run with another MODE")
	}
	for len(subscriptions) > 0 {
		n := min(len(subscriptions), markedTogether)
		rep, err := d.Engine.Run(ctx, engine.Request{Subscriptions: subscriptions[:n], Kinds: marking, Trigger: "cli"})
		if held := (*reconcile.LeaseTaken)(nil); errors.As(err, &held) {
			d.Printf("%s is at work: it writes the markers into the names at the panel in its next run", held.Owner)
			return nil
		}
		if err != nil {
			return fmt.Errorf("the links are stored, and the next run writes the markers into the names at the panel: %w", err)
		}
		if rep.Run.Failed > 0 {
			d.Printf("%d markers could not be written into names at the panel: the next run tries again, and shows why", rep.Run.Failed)
		}
		subscriptions = subscriptions[n:]
	}
	return nil
}
