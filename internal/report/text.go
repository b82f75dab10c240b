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

// mostLines is how many lines of one list are shown without All: a screen or two.
const mostLines = 40

// Text writes a run for people: the actions that take away, the other actions, the holds
// with their reasons and advice, and all of it in numbers. It is made for 80 columns and
// for one line a customer.
func Text(w io.Writer, r reconcile.Report, v View) error {
	p := printer{View: v}
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
	p.sums(r)
	p.conclusion(r, d, len(rest)+r.Omitted.Holds)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// withoutBrake leaves out the holds that the held plans show: a brake over 200 changes
// would be 200 times the same sentence.
func withoutBrake(d Document) []Hold {
	if len(d.Plans) == 0 {
		return d.Holds
	}
	return slices.DeleteFunc(slices.Clone(d.Holds), func(h Hold) bool { return h.Kind == string(reconcile.HoldBrake) })
}

// notes are the notes of the run, and the closed gates that no note mentions.
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
	View
	b strings.Builder
}

func (p *printer) linef(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *printer) summary(r reconcile.Report) {
	what := "Run"
	if r.Dry {
		what = "Plan"
	}
	if p.Verbose {
		what += " " + Plain(r.Run.ID)
	}
	head := what + " (" + r.Run.Mode + ", " + Plain(r.Run.Trigger) + ")" + took(r.Run)
	p.sentence("", head, p.Bold)
	if p.Verbose {
		p.sentence("", fmt.Sprintf("Stripe: %s read, %s, %s. Enhance: %s.",
			Count(r.Run.Subscriptions, "subscription"), Count(r.Run.Events, "event"),
			Count(r.Run.StripeCalls, "request"), Count(r.Run.EnhanceCalls, "request")), p.Dim)
	}
}

func took(r reconcile.RunRecord) string {
	if r.Started.IsZero() {
		return ""
	}
	text := ", " + Instant(r.Started)
	if !r.Finished.IsZero() {
		text += ", " + r.Finished.Sub(r.Started).Round(time.Millisecond).String()
	}
	return text
}

// Instant is a time for people, always in this form.
func Instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// readable formats a time of a document for people, and leaves any other text as it is.
func readable(text string) string {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return Instant(t)
	}
	return text
}

// group is actions that a person reads together.
type group struct {
	title   string
	paint   func(Style, string) string
	reasons bool // each action is shown with its reason
	whole   bool // it is shown to its end, even without All
	actions []reconcile.ActionRecord
	omitted int // actions that are counted and not listed
}

// groups sorts actions by their state. Those that take away come first. Failures come
// last, because they are then nearest to the prompt.
func groups(d Document, r reconcile.Report) []group {
	wanted, goes := "Still to do", "Still to be taken away"
	if r.Dry {
		wanted, goes = "Would change", "Would be taken away"
	}
	all := []group{
		{title: "Taken away", paint: Style.Bad, reasons: true, whole: true},
		{title: "Done", paint: Style.Good, omitted: r.Omitted.In(reconcile.ActionApplied, reconcile.ActionAdopted)},
		{title: goes, paint: Style.Bad, reasons: true, whole: true},
		{title: wanted, paint: Style.Bold, omitted: r.Omitted.In(reconcile.ActionPlanned)},
		{title: "Held for approval", paint: Style.Warn, omitted: r.Omitted.In(reconcile.ActionHeld)},
		{title: "Failed", paint: Style.Bad, reasons: true, omitted: r.Omitted.In(reconcile.ActionFailed, reconcile.ActionSent, reconcile.ActionAmbiguous)},
	}
	for i, a := range d.Actions {
		at := -1
		switch {
		case a.State == "applied":
			at = 1
		case a.State == "planned" && !a.Held:
			at = 3
		case a.State == "planned":
			at = 4
		case a.State == "failed":
			at = 5
		}
		if at < 0 {
			continue
		}
		if (at == 1 || at == 3) && takes(r.Actions[i].Kind) {
			at--
		}
		all[at].actions = append(all[at].actions, r.Actions[i])
	}
	return all
}

func (p *printer) group(g group) {
	if len(g.actions) == 0 {
		return
	}
	customers := byCustomer(g.actions)
	p.linef("\n%s", g.paint(p.Style, fmt.Sprintf("%s (%s for %s)", g.title, Count(len(g.actions)+g.omitted, "change"), Count(len(customers), "customer"))))
	if p.Verbose {
		p.verbose(g)
		return
	}
	var lines []entry
	hidden := 0
	for _, of := range customers {
		if one := p.line(of, g.reasons); one.text != "" {
			lines = append(lines, one)
		} else {
			hidden += len(of)
		}
	}
	slices.SortStableFunc(lines, func(a, b entry) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	n := len(lines)
	if !p.All && !g.whole {
		lines = lines[:min(n, mostLines)]
	}
	p.beside("  ", lines, g.paint)
	p.more(n-len(lines), "customer", g.omitted)
	if hidden > 0 {
		p.sentence("  ", fmt.Sprintf("and %s for the record only (names, metadata): --verbose shows them", Count(hidden, "change")), p.Dim)
	}
}

// byCustomer groups actions by customer, in the order in which the customers first appear.
func byCustomer(actions []reconcile.ActionRecord) (all [][]reconcile.ActionRecord) {
	at := map[string]int{}
	for _, a := range actions {
		i, known := at[a.Customer]
		if !known {
			i = len(all)
			at[a.Customer] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], a)
	}
	return all
}

// line shows the actions for one customer; its text is "" if people need not see them.
func (p *printer) line(of []reconcile.ActionRecord, reasons bool) entry {
	var phrases []string
	var kinds []reconcile.ActionKind
	for _, a := range of {
		phrase := Phrase(a.Action)
		if why := whyOf(a); reasons || a.Error != "" {
			if phrase == "" {
				phrase = a.Kind.String()
			}
			phrase += ": " + why
		} else if a.State == reconcile.ActionAdopted && phrase != "" {
			phrase += " (found done)"
		}
		if phrase != "" {
			phrases, kinds = append(phrases, phrase), append(kinds, a.Kind)
		}
	}
	if reasons {
		return entry{mark(kinds), Who(of[0].Email, of[0].Customer), strings.Join(phrases, "; ")}
	}
	return entry{mark(kinds), Who(of[0].Email, of[0].Customer), counted(phrases)}
}

// whyOf is the reason of an action, or the error if it failed.
func whyOf(a reconcile.ActionRecord) string {
	if text := ActionOf(a).Error; text != "" {
		return text
	}
	if a.State == reconcile.ActionAdopted {
		return "found done: " + a.Reason
	}
	return a.Reason
}

// verbose lists each action with its ids.
func (p *printer) verbose(g group) {
	lines := g.actions
	if !p.All && !g.whole {
		lines = lines[:min(len(lines), mostLines)]
	}
	t := Table{Head: []string{"", "", "", ""}}
	for _, a := range lines {
		t.Add(a.Kind.String(), Who(a.Email, a.Customer), a.Subscription, whyOf(a))
	}
	_ = t.Text(&p.b, "  ", p.Style) // a strings.Builder never fails
	p.more(len(g.actions)-len(lines), "change", g.omitted)
}

// more shows how many rows a list leaves out, and how many actions are counted and not
// listed.
func (p *printer) more(n int, noun string, omitted int) {
	if n > 0 {
		p.linef("  %s", p.Dim("… and "+Count(n, noun)+" more: --all shows them"))
	}
	if omitted > 0 {
		p.linef("  %s", p.Dim("… and "+Count(omitted, "change")+" more, counted and not listed"))
	}
}

// sums shows the changes in numbers: those that were done, or that a run would do.
func (p *printer) sums(r reconcile.Report) {
	wanted := []reconcile.ActionState{reconcile.ActionApplied, reconcile.ActionAdopted}
	if r.Dry || r.Observed {
		wanted = []reconcile.ActionState{reconcile.ActionPlanned}
	}
	lines := tallyOf(r, wanted).lines(p.Style)
	if len(lines) > 0 {
		p.linef("")
	}
	for _, one := range lines {
		for i, line := range wrapped(one.text, p.room(2)) {
			head := one.paint(one.mark)
			if i > 0 {
				head = " "
			}
			p.linef("%s %s", head, line)
		}
	}
}

// Who names a customer for people: by e-mail where there is one.
func Who(email, customer string) string {
	if email != "" {
		return email
	}
	return customer
}

// holds shows one sentence for each hold, grouped by kind in the order in which the kinds
// first appear.
func (p *printer) holds(all []Hold) {
	if len(all) == 0 {
		return
	}
	p.linef("\n%s", p.Warn(fmt.Sprintf("Withheld (%s)", Number(len(all)))))
	byKind := map[string][]Hold{}
	var kinds []string
	for _, h := range all {
		if _, seen := byKind[h.Kind]; !seen {
			kinds = append(kinds, h.Kind)
		}
		byKind[h.Kind] = append(byKind[h.Kind], h)
	}
	for _, kind := range kinds {
		p.holdsOf(kind, byKind[kind])
	}
}

// holdsOf shows the holds of one kind, and the advice for it.
func (p *printer) holdsOf(kind string, all []Hold) {
	shown := all
	if !p.All {
		shown = shown[:min(len(shown), mostLines)]
	}
	lines := make([]entry, len(shown))
	for i, h := range shown {
		lines[i] = p.held(h)
	}
	if p.Width > 0 {
		p.linef("  %s", p.Bold(kind))
		p.beside("    ", lines, Style.Warn)
	} else { // in a pipe each line names the kind
		p.beside("  "+kind+"  ", lines, Style.Warn)
	}
	p.more(len(all)-len(shown), "hold", 0)
	if advice := reconcile.HoldKind(kind).Advice(); advice != "" {
		p.sentence("    → ", advice, p.Dim)
	}
}

// held shows one hold. If its sentence does not name the subscription, the id stands in
// front.
func (p *printer) held(h Hold) entry {
	text := h.Reason
	if h.Subscription != "" && !strings.Contains(text, h.Subscription) {
		text = h.Subscription + ": " + text
	}
	if h.Until != nil {
		if until := readable(*h.Until); !strings.Contains(text, strings.TrimSuffix(until, " UTC")) {
			text += " (until " + until + ")"
		}
	}
	return entry{name: Who(h.Email, h.Customer), text: text}
}

func (p *printer) plans(all []Plan, dry bool) {
	if len(all) == 0 {
		return
	}
	p.linef("\n%s", p.Warn(fmt.Sprintf("Plans held by the brake (%d)", len(all))))
	for _, one := range all {
		p.sentence("  ", one.ID+"  "+one.Reason, p.Bold)
		if dry { // a dry run stores no plan, so there is nothing to approve yet
			p.linef("    %s", p.Dim("→ stripe-enhance reconcile holds it; then this command releases exactly this:"))
			p.linef("      %s", p.Dim("stripe-enhance approve "+one.ID))
			continue
		}
		p.linef("    %s", p.Dim("→ look:                 stripe-enhance plans "+one.ID))
		p.linef("    %s", p.Dim("  release exactly this: stripe-enhance approve "+one.ID+" --version "+strconv.Itoa(one.Version)))
	}
}

func (p *printer) notes(all []string) {
	if len(all) == 0 {
		return
	}
	p.linef("\n%s", p.Warn("Notes"))
	for _, n := range all {
		p.sentence("  ", n, unpainted)
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
