package report

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// targets shows a sentence about each subscription that was asked for, unless the last
// line has it.
func (p *printer) targets(r reconcile.Report) {
	if len(r.Targets) == 0 || len(r.Targets) == 1 && r.Converged() {
		return
	}
	p.linef("\n%s", p.Bold("Asked for"))
	for _, t := range r.Targets {
		p.sentence("  ", t.Text, unpainted)
	}
}

// conclusion shows the last line, which everyone reads. So it claims no more than the run
// has looked at, and it names the reasons for which something is left to do. withheld
// counts the holds that are in no held plan.
func (p *printer) conclusion(r reconcile.Report, d Document, withheld int) {
	held := heldActions(r, d)
	open := max(d.Counts.Planned-held, 0)
	held = max(held, waitingActions(r))
	switch {
	case d.Error != "":
		p.last("The run failed: "+d.Error, p.Bad)
	case d.Converged:
		p.last(content(r), p.Good)
	case r.Partial && len(r.Run.Gates) == 0 && open+held+withheld+d.Counts.Applied+d.Counts.Failed == 0:
		p.last("Not everything could be read, so this is not all. The notes show what is missing.", p.Warn)
	default:
		text := fmt.Sprintf("%d done, %d still to do, %d failed, %d held for approval, %d withheld.", d.Counts.Applied, open, d.Counts.Failed, held, withheld)
		switch {
		case r.Dry:
			text = fmt.Sprintf("A run would make %s; %d held for approval, %d withheld.", Count(open, "change"), held, withheld)
		case r.Observed:
			text = fmt.Sprintf("MODE=observe: this run only looked, and did nothing. It would make %s (`stripe-enhance plan` shows all of them); %d held for approval, %d withheld.",
				Count(open, "change"), held, withheld)
		}
		if why := doubts(r); why != "" {
			p.last(text+" "+why, p.Warn)
			return
		}
		p.last(text, unpainted)
	}
}

func (p *printer) last(text string, paint func(string) string) {
	p.linef("")
	p.sentence("", text, paint)
}

// content is the last line if there is nothing to do.
func content(r reconcile.Report) string {
	switch {
	case len(r.Targets) == 1:
		return Plain(r.Targets[0].Text) + "."
	case len(r.Targets) > 1:
		return "Everything that you asked for is as it should be, and nothing is withheld elsewhere. Nothing else was looked at."
	case r.Stored:
		return "There is nothing to do, as far as the running process has stored. Neither Stripe nor Enhance was asked."
	case r.Observed:
		return "MODE=observe: this run only looked, and did nothing. There is nothing to do: everything is as it should be."
	}
	return "Everything is as it should be."
}

// doubts are sentences about closed gates, and about parts that could not be read; "" if
// there is neither.
func doubts(r reconcile.Report) string {
	var gates []string
	for _, gate := range r.Run.Gates {
		if !strings.Contains(r.Waits, gate) {
			gates = append(gates, strings.TrimSuffix(gate, "."))
		}
	}
	var all []string
	if len(gates) > 0 {
		all = append(all, "Nothing is taken away until a person has looked, because "+strings.Join(gates, "; ")+".")
	}
	if r.Waits != "" {
		all = append(all, "Nothing is created: "+strings.TrimSuffix(r.Waits, ".")+".")
	}
	if r.Partial {
		all = append(all, "Not everything could be read: see the notes.")
	}
	return strings.Join(all, " ")
}

// heldActions counts the actions of a report that the brake holds.
func heldActions(r reconcile.Report, d Document) int {
	held := r.Omitted.In(reconcile.ActionHeld)
	for _, a := range d.Actions {
		if a.Held {
			held++
		}
	}
	return held
}

// waitingActions counts the actions in all held plans that wait for approval, including
// plans that this run did not touch.
func waitingActions(r reconcile.Report) (n int) {
	for _, p := range r.Plans {
		if p.Approved.IsZero() {
			n += p.Size()
		}
	}
	return n
}
