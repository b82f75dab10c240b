package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// telling is the story as it is told: line by line, or as one document.
type telling struct {
	*demo
	scene  sceneDocument
	scenes []sceneDocument
	last   reconcile.Report
	said   map[string]bool // holds and plans that were told already
	untrue int
}

type demoDocument struct {
	OK        bool            `json:"ok"`
	Scenes    []sceneDocument `json:"scenes"`
	Customers int             `json:"customers"`
	Runs      int             `json:"runs"`
	Changes   int             `json:"changes"`
	Stripe    int             `json:"stripe_requests"`
	Enhance   int             `json:"enhance_requests"`
}

type sceneDocument struct {
	At    *string         `json:"at"`
	Says  string          `json:"says"`
	Done  []string        `json:"done"`
	Held  []string        `json:"held"`
	Truth []truthDocument `json:"truth"`
}

type truthDocument struct {
	Says string `json:"says"`
	True bool   `json:"true"`
}

// text tells whether lines are written as they come.
func (t *telling) text() bool { return t.format != formatJSON }

func (t *telling) open() error {
	t.said = map[string]bool{}
	if !t.text() {
		return nil
	}
	return t.printf("%s\n", t.style().Bold("A hosting company's week, on simulated Stripe and Enhance; the clock runs faster."))
}

func (t *telling) begin(now time.Time, says string) error {
	t.scene = sceneDocument{At: report.Time(now), Says: says, Done: []string{}, Held: []string{}, Truth: []truthDocument{}}
	if !t.text() {
		return nil
	}
	return t.printf("\n%s  %s\n", t.style().Dim(now.Format("Mon 02 Jan 15:04")), t.style().Bold(says))
}

// run tells what one run did and newly withholds.
func (t *telling) run(s *stage, r reconcile.Report) error {
	t.last = r
	for _, line := range deeds(r.Actions) {
		t.scene.Done = append(t.scene.Done, line)
		if err := t.line(t.style().Good("✓"), line); err != nil {
			return err
		}
	}
	for _, line := range t.news(s, r) {
		t.scene.Held = append(t.scene.Held, line)
		if err := t.line(t.style().Warn("!"), line); err != nil {
			return err
		}
	}
	return nil
}

func (t *telling) line(mark, text string) error {
	if !t.text() {
		return nil
	}
	return t.printf("    %s %s\n", mark, report.Plain(text))
}

// mostNews bounds what is said at once; a brake that holds twelve says so once.
const mostNews = 6

// news are holds and plans that were not told before. A hold that went away and
// came back is news again.
func (t *telling) news(s *stage, r reconcile.Report) []string {
	var lines []string
	now := map[string]bool{}
	add := func(key, line string) {
		if now[key] = true; !t.said[key] {
			lines = append(lines, line)
		}
	}
	for _, p := range r.Plans {
		if p.Approved.IsZero() {
			add("plan "+p.ID, "held by the brake: "+p.Reason+" → stripe-enhance approve "+p.ID)
		}
	}
	for _, h := range r.Holds {
		if h.Kind != reconcile.HoldBrake {
			add(string(h.Kind)+h.Subscription, fmt.Sprintf("%s: held (%s): %s", s.buyer(h.Subscription), h.Kind, h.Reason))
		}
	}
	t.said = now
	if len(lines) > mostNews {
		more := len(lines) - mostNews
		lines = append(lines[:mostNews], fmt.Sprintf("… and %d more", more))
	}
	return lines
}

// buyer is the address of whoever ordered a subscription.
func (s *stage) buyer(subscription string) string {
	for who, order := range s.orders {
		if order.Subscription == subscription {
			return mail(who)
		}
	}
	return subscription
}

// deeds puts what was done for one customer on one line, in the order done.
func deeds(actions []reconcile.ActionRecord) []string {
	var order []string
	done := map[string][]string{}
	for _, a := range actions {
		deed := deedOf(a)
		if deed == "" {
			continue
		}
		who := report.Who(a.Email, a.Customer)
		if _, known := done[who]; !known {
			order = append(order, who)
		}
		done[who] = append(done[who], deed)
	}
	lines := make([]string, 0, len(order))
	for _, who := range order {
		lines = append(lines, who+": "+strings.Join(done[who], ", "))
	}
	if len(lines) > mostNews {
		more := len(lines) - mostNews
		lines = append(lines[:mostNews], fmt.Sprintf("… and the same for %d more", more))
	}
	return lines
}

// deedOf is a few words for what became of an action; "" for what is not worth a
// word in a story.
func deedOf(a reconcile.ActionRecord) string {
	deed := report.Deed(a.Action)
	if deed == "" && a.State != reconcile.ActionFailed {
		return ""
	}
	switch a.State {
	case reconcile.ActionApplied:
	case reconcile.ActionAdopted:
		return deed + " (found done: the answer had been lost)"
	case reconcile.ActionAmbiguous:
		return deed + " (no answer; it is looked for before anything is sent again)"
	case reconcile.ActionFailed:
		return cmp.Or(deed, a.Kind.String()) + " failed: " + a.Error
	case reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSent, reconcile.ActionSuperseded:
		return ""
	}
	return deed
}

// end compares the scene with the simulators.
func (t *telling) end(s *stage, then []truth) error {
	if len(t.scene.Done)+len(t.scene.Held) == 0 {
		if err := t.line(t.style().Dim("·"), "nothing to do"); err != nil {
			return err
		}
	}
	for _, one := range append(then, always()...) {
		holds := one.holds(s, t.last)
		t.scene.Truth = append(t.scene.Truth, truthDocument{one.says, holds})
		if holds {
			continue
		}
		t.untrue++
		if err := t.line(t.style().Bad("✗"), "untrue: "+one.says); err != nil {
			return err
		}
	}
	t.scenes = append(t.scenes, t.scene)
	return nil
}

// close is the last screen.
func (t *telling) close(s *stage) error {
	d := demoDocument{
		OK: t.untrue == 0, Scenes: t.scenes, Customers: len(s.world.Orgs()), Runs: s.runs, Changes: len(s.world.Effects()),
		Stripe: s.world.Total(simulator.Stripe), Enhance: s.world.Total(simulator.Enhance),
	}
	var err error
	if t.text() {
		err = t.summary(d)
	} else {
		err = report.WriteJSON(t.out, d)
	}
	if err == nil && t.untrue > 0 {
		err = errUntrue
	}
	return err
}

func (t *telling) summary(d demoDocument) error {
	checked := 0
	for _, s := range d.Scenes {
		checked += len(s.Truth)
	}
	return t.printf("\n%s\n%s, %s, %s at the panel, %s to Stripe and %s to Enhance.\n%d statements compared with what the simulators really did: %d untrue.\n%s",
		t.style().Bold("The end."), report.Count(d.Customers, "customer"), report.Count(d.Runs, "run"), report.Count(d.Changes, "change"),
		report.Count(d.Stripe, "request"), report.Count(d.Enhance, "request"), checked, t.untrue, tryYourself)
}
