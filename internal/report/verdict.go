package report

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// targets says a word on each subscription that was asked for, unless the last line
// does.
func (p *printer) targets(r reconcile.Report) {
	if len(r.Targets) == 0 || len(r.Targets) == 1 && r.Converged() {
		return
	}
	p.linef("\n%s", p.Bold("Asked for"))
	for _, t := range r.Targets {
		p.sentence("  ", t.Text, func(s string) string { return s })
	}
}

// verdict is the last line: the one that is read, so it claims no more than what was
// looked at, and what keeps the world from being as it should be stands in it. withheld
// are the holds that no plan speaks of.
func (p *printer) verdict(r reconcile.Report, d Document, withheld int) {
	held := heldActions(r, d)
	open := max(d.Counts.Planned-held, 0)
	held = max(held, waitingActions(r))
	switch {
	case d.Error != "":
		p.last("The run failed: "+d.Error, p.Bad)
	case d.Converged:
		p.last(content(r), p.Good)
	case r.Partial && len(r.Run.Gates) == 0 && open+held+withheld+d.Counts.Applied+d.Counts.Failed == 0:
		p.last("Not everything could be read, so this is not all; the notes say what.", p.Warn)
	default:
		text := fmt.Sprintf("%d done, %d still to do, %d failed, %d held for approval, %d withheld.", d.Counts.Applied, open, d.Counts.Failed, held, withheld)
		switch {
		case r.Dry:
			text = fmt.Sprintf("A run would make %s; %d held for approval, %d withheld.", Count(open, "change"), held, withheld)
		case r.Observed:
			text = fmt.Sprintf("MODE=observe: this run only looked, and did nothing. It would make %s (`stripe-enhance plan` shows all that follows); %d held for approval, %d withheld.",
				Count(open, "change"), held, withheld)
		}
		if why := doubts(r); why != "" {
			p.last(text+" "+why, p.Warn)
			return
		}
		p.last(text, func(s string) string { return s })
	}
}

func (p *printer) last(text string, paint func(string) string) {
	p.linef("")
	p.sentence("", text, paint)
}

// content is the last line when there is nothing to do.
func content(r reconcile.Report) string {
	switch {
	case len(r.Targets) == 1:
		return Plain(r.Targets[0].Text) + "."
	case len(r.Targets) > 1:
		return "What was asked for is as it should be, and nothing is withheld elsewhere; nothing else was looked at."
	case r.Stored:
		return "Nothing is to be done, as far as the process at work has stored; neither Stripe nor Enhance was asked."
	case r.Observed:
		return "MODE=observe: this run only looked, and did nothing. There is nothing to do: everything is as it should be."
	}
	return "Everything is as it should be."
}

// doubts says, as sentences, why what was seen is not all there is to it: gates that are
// closed, and what could not be read.
func doubts(r reconcile.Report) string {
	var gates []string
	for _, gate := range r.Run.Gates {
		if !strings.Contains(r.Waits, gate) {
			gates = append(gates, strings.TrimSuffix(gate, "."))
		}
	}
	var all []string
	if len(gates) > 0 {
		all = append(all, "Nothing may be taken away without a look by a person, because "+strings.Join(gates, "; ")+".")
	}
	if r.Waits != "" {
		all = append(all, "Nothing is created: "+strings.TrimSuffix(r.Waits, ".")+".")
	}
	if r.Partial {
		all = append(all, "Not everything could be read; the notes say what.")
	}
	return strings.Join(all, " ")
}

// heldActions is how many of the actions of a report the brake holds.
func heldActions(r reconcile.Report, d Document) int {
	held := r.Omitted.In(reconcile.ActionHeld)
	for _, a := range d.Actions {
		if a.Held {
			held++
		}
	}
	return held
}

// waitingActions is how many actions stand in plans that wait for approval, also in
// those that this run did not touch.
func waitingActions(r reconcile.Report) (n int) {
	for _, p := range r.Plans {
		if p.Approved.IsZero() {
			n += p.Size()
		}
	}
	return n
}
