package demo

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// output shows the story: line by line, or as one document.
type output struct {
	Options
	scene  sceneDocument
	scenes []sceneDocument
	last   reconcile.Report
	shown  map[string]bool // holds and held plans that were shown before
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
	At     *string         `json:"at"`
	Title  string          `json:"says"`
	Shown  []string        `json:"shown"`
	Done   []string        `json:"done"`
	Held   []string        `json:"held"`
	Checks []checkDocument `json:"truth"`
}

type checkDocument struct {
	Statement string `json:"says"`
	True      bool   `json:"true"`
}

func (o *output) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(o.Out, format, args...)
	return err
}

func (o *output) open() error {
	o.shown = map[string]bool{}
	if o.JSON {
		return nil
	}
	return o.printf("%s\n", o.Style.Bold("A hosting company's week, on simulated Stripe and Enhance; the clock runs faster."))
}

func (o *output) begin(now time.Time, title string) error {
	o.scene = sceneDocument{At: report.Time(now), Title: title, Shown: []string{}, Done: []string{}, Held: []string{}, Checks: []checkDocument{}}
	if o.JSON {
		return nil
	}
	return o.printf("\n%s  %s\n", o.Style.Dim(now.Format("Mon 02 Jan 15:04")), o.Style.Bold(title))
}

// show shows the output of a command, beyond which the scene has nothing to do.
func (o *output) show(lines []string) error {
	o.scene.Shown = lines
	for _, line := range lines {
		if err := o.line(o.Style.Dim("│"), line); err != nil {
			return err
		}
	}
	return nil
}

// run shows the actions of one run, and the new holds.
func (o *output) run(s *stage, r reconcile.Report) error {
	o.last = r
	for _, line := range deeds(r.Actions) {
		o.scene.Done = append(o.scene.Done, line)
		if err := o.line(o.Style.Good("✓"), line); err != nil {
			return err
		}
	}
	for _, line := range o.news(s, r) {
		o.scene.Held = append(o.scene.Held, line)
		if err := o.line(o.Style.Warn("!"), line); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) line(mark, text string) error {
	if o.JSON {
		return nil
	}
	return o.printf("%s\n", strings.TrimRight("    "+mark+" "+report.Plain(text), " "))
}

// mostNews bounds the lines of one run.
const mostNews = 6

// news are the holds and held plans that were not shown before. A hold that went away and
// came back is news again.
func (o *output) news(s *stage, r reconcile.Report) []string {
	var lines []string
	now := map[string]bool{}
	add := func(key, line string) {
		if now[key] = true; !o.shown[key] {
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
	o.shown = now
	if len(lines) > mostNews {
		more := len(lines) - mostNews
		lines = append(lines[:mostNews], fmt.Sprintf("… and %d more", more))
	}
	return lines
}

// buyer is the address of the customer who ordered a subscription.
func (s *stage) buyer(subscription string) string {
	for who, order := range s.orders {
		if order.Subscription == subscription {
			return mail(who)
		}
	}
	return subscription
}

// deeds puts the actions for one customer on one line, in the order in which they were done.
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

// deedOf is a few words for the result of an action; "" for one that the story leaves out.
func deedOf(a reconcile.ActionRecord) string {
	deed := report.Phrase(a.Action)
	if deed == "" && a.State != reconcile.ActionFailed {
		return ""
	}
	switch a.State {
	case reconcile.ActionApplied:
	case reconcile.ActionAdopted:
		return deed + " (found done: the answer had been lost)"
	case reconcile.ActionAmbiguous:
		return deed + " (no answer; the next run looks for it before anything is sent again)"
	case reconcile.ActionFailed:
		return cmp.Or(deed, a.Kind.String()) + " failed: " + a.Error
	case reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSent, reconcile.ActionSuperseded:
		return ""
	}
	return deed
}

// end compares the scene with the simulators.
func (o *output) end(s *stage, then []check) error {
	if len(o.scene.Done)+len(o.scene.Held)+len(o.scene.Shown) == 0 {
		if err := o.line(o.Style.Dim("·"), "nothing to do"); err != nil {
			return err
		}
	}
	for _, one := range append(then, always()...) {
		holds := one.holds(s, o.last)
		o.scene.Checks = append(o.scene.Checks, checkDocument{one.statement, holds})
		if holds {
			continue
		}
		o.untrue++
		if err := o.line(o.Style.Bad("✗"), "untrue: "+one.statement); err != nil {
			return err
		}
	}
	o.scenes = append(o.scenes, o.scene)
	return nil
}

// close shows the end.
func (o *output) close(s *stage) error {
	d := demoDocument{
		OK: o.untrue == 0, Scenes: o.scenes, Customers: len(s.world.Orgs()), Runs: s.runs, Changes: len(s.world.Effects()),
		Stripe: s.world.Total(simulator.Stripe), Enhance: s.world.Total(simulator.Enhance),
	}
	var err error
	if !o.JSON {
		err = o.summary(d)
	} else {
		err = report.WriteJSON(o.Out, d)
	}
	if err == nil && o.untrue > 0 {
		err = ErrUntrue
	}
	return err
}

func (o *output) summary(d demoDocument) error {
	checked := 0
	for _, s := range d.Scenes {
		checked += len(s.Checks)
	}
	return o.printf("\n%s\n%s, %s, %s at the panel, %s to Stripe and %s to Enhance.\n%d statements compared with what the simulators did: %d untrue.\n%s",
		o.Style.Bold("The end."), report.Count(d.Customers, "customer"), report.Count(d.Runs, "run"), report.Count(d.Changes, "change"),
		report.Count(d.Stripe, "request"), report.Count(d.Enhance, "request"), checked, o.untrue, tryYourself)
}
