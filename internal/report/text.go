package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// mostLines is how many lines of one group are shown: a screen or two.
const mostLines = 40

// Text writes a run for people: what it looked at, what it did, what it withheld
// and why, and what to do about it.
func Text(w io.Writer, r reconcile.Report, s Style) error {
	p := printer{Style: s}
	p.summary(r)
	d := Of(r)
	for _, g := range groups(d, r) {
		p.group(g)
	}
	rest := withoutBrake(d)
	p.holds(rest)
	p.plans(d.Plans, r.Dry)
	p.notes(notes(r))
	p.targets(r)
	p.verdict(r, d, len(rest)+r.Omitted.Holds)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// withoutBrake leaves out what the held plans say anyway: a brake over 200 changes
// would be 200 times the same sentence.
func withoutBrake(d Document) []Hold {
	if len(d.Plans) == 0 {
		return d.Holds
	}
	return slices.DeleteFunc(slices.Clone(d.Holds), func(h Hold) bool { return h.Kind == string(reconcile.HoldBrake) })
}

// notes are those of the run, and gates that no note speaks of.
func notes(r reconcile.Report) []string {
	all := slices.Clone(r.Notes)
	for _, gate := range r.Run.Gates {
		if !slices.ContainsFunc(all, func(n string) bool { return strings.Contains(n, gate) }) && !strings.Contains(r.Run.Error, gate) {
			all = append(all, gate)
		}
	}
	return all
}

type printer struct {
	Style
	b strings.Builder
}

func (p *printer) linef(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *printer) summary(r reconcile.Report) {
	what := "Run"
	if r.Dry {
		what = "Plan"
	}
	p.linef("%s %s (%s, %s)%s", p.Bold(what), Plain(r.Run.ID), r.Run.Mode, Plain(r.Run.Trigger), took(r.Run))
	p.linef("%s", p.Dim(fmt.Sprintf("Stripe: %s read, %s, %s. Enhance: %s.",
		Count(r.Run.Subscriptions, "subscription"), Count(r.Run.Events, "event"),
		Count(r.Run.StripeCalls, "request"), Count(r.Run.EnhanceCalls, "request"))))
}

func took(r reconcile.RunRecord) string {
	if r.Started.IsZero() {
		return ""
	}
	text := ", " + r.Started.UTC().Format("2006-01-02 15:04:05 UTC")
	if !r.Finished.IsZero() {
		text += ", " + r.Finished.Sub(r.Started).Round(time.Millisecond).String()
	}
	return text
}

// group is actions that a person reads together.
type group struct {
	title   string
	paint   func(Style, string) string
	actions []Action
	omitted int // that it has beyond these
}

// groups sorts actions by what became of them. What failed comes last, nearest
// to the prompt.
func groups(d Document, r reconcile.Report) []group {
	wanted := "Still to do"
	if r.Dry {
		wanted = "Would change"
	}
	all := []group{
		{title: "Done", paint: Style.Good, omitted: r.Omitted.In(reconcile.ActionApplied, reconcile.ActionAdopted)},
		{title: wanted, paint: Style.Bold, omitted: r.Omitted.In(reconcile.ActionPlanned)},
		{title: "Held for approval", paint: Style.Warn, omitted: r.Omitted.In(reconcile.ActionHeld)},
		{title: "Failed", paint: Style.Bad, omitted: r.Omitted.In(reconcile.ActionFailed, reconcile.ActionSent, reconcile.ActionAmbiguous)},
	}
	for _, a := range d.Actions {
		switch {
		case a.State == "applied":
			all[0].actions = append(all[0].actions, a)
		case a.State == "planned" && !a.Held:
			all[1].actions = append(all[1].actions, a)
		case a.State == "planned":
			all[2].actions = append(all[2].actions, a)
		case a.State == "failed":
			all[3].actions = append(all[3].actions, a)
		}
	}
	return all
}

func (p *printer) group(g group) {
	if len(g.actions) == 0 {
		return
	}
	p.linef("\n%s", g.paint(p.Style, fmt.Sprintf("%s (%d)", g.title, len(g.actions)+g.omitted)))
	p.actions(g.actions, g.omitted)
}

func (p *printer) actions(all []Action, omitted int) {
	t := Table{Head: []string{"", "", "", ""}}
	for i, a := range all {
		if i == mostLines {
			break
		}
		why := a.Reason
		if a.Adopted {
			why = "found done: " + why
		}
		if a.Error != "" {
			why = a.Error
		}
		t.Add(a.Kind, Who(a.Email, a.Customer), a.Subscription, why)
	}
	_ = t.Text(&p.b, "  ", p.Style) // a strings.Builder never fails
	p.more(len(all), omitted)
}

func (p *printer) more(n, omitted int) {
	switch {
	case omitted > 0:
		p.linef("  %s", p.Dim(fmt.Sprintf("… and %d more; -o json shows the first %d", n+omitted-mostLines, n)))
	case n > mostLines:
		p.linef("  %s", p.Dim(fmt.Sprintf("… and %d more; -o json shows all", n-mostLines)))
	}
}

// Who names a customer for people: by e-mail where there is one.
func Who(email, customer string) string {
	if email != "" {
		return email
	}
	return customer
}

// holds shows one sentence for each, those of one kind together in the order of
// their first.
func (p *printer) holds(all []Hold) {
	if len(all) == 0 {
		return
	}
	p.linef("\n%s", p.Warn(fmt.Sprintf("Withheld (%d)", len(all))))
	byKind := map[string][]Hold{}
	var kinds []string
	for _, h := range all {
		if _, seen := byKind[h.Kind]; !seen {
			kinds = append(kinds, h.Kind)
		}
		byKind[h.Kind] = append(byKind[h.Kind], h)
	}
	for _, kind := range kinds {
		t := Table{Head: []string{"", "", ""}}
		for i, h := range byKind[kind] {
			if i == mostLines {
				break
			}
			why := h.Reason
			if h.Until != nil {
				why += " (until " + *h.Until + ")"
			}
			t.Add(kind, Who(h.Subscription, h.Customer), why)
		}
		_ = t.Text(&p.b, "  ", p.Style)
		p.more(len(byKind[kind]), 0)
		if advice := Advice(reconcile.HoldKind(kind)); advice != "" {
			p.linef("    %s", p.Dim("→ "+advice))
		}
	}
}

func (p *printer) plans(all []Plan, dry bool) {
	if len(all) == 0 {
		return
	}
	p.linef("\n%s", p.Warn(fmt.Sprintf("Plans held by the brake (%d)", len(all))))
	for _, one := range all {
		p.linef("  %s  %s", p.Bold(one.ID), Plain(one.Reason))
		if dry { // which stores no plan, so that there is nothing to release yet
			p.linef("    %s", p.Dim("→ stripe-enhance reconcile holds it, then stripe-enhance approve "+one.ID+" releases exactly this"))
			continue
		}
		p.linef("    %s", p.Dim("→ look: stripe-enhance plans "+one.ID+"   release exactly this: stripe-enhance approve "+one.ID+" --version "+strconv.Itoa(one.Version)))
	}
}

func (p *printer) notes(all []string) {
	if len(all) == 0 {
		return
	}
	p.linef("\n%s", p.Warn("Notes"))
	for _, n := range all {
		p.linef("  %s", Plain(n))
	}
}

// Count writes a number with its noun, in the plural where it belongs.
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Number(n) + " " + noun
}

// Number groups thousands: 1,000,000.
func Number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
