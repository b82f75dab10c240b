package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Phrase is an action in a few words, which fit before and after it is done. It is "" for
// an action that people need not see: renaming an org, writing a marker or ids.
func Phrase(a reconcile.Action) string {
	switch a.Kind {
	case reconcile.Link:
		switch {
		case a.Hosting == 0:
			return ""
		case a.How == reconcile.BoundByResubscription:
			return fmt.Sprintf("hosting %d taken over", a.Hosting)
		}
		return fmt.Sprintf("hosting %d bound", a.Hosting)
	case reconcile.Resume:
		return fmt.Sprintf("hosting %d on again", a.Hosting)
	case reconcile.CreateOrg:
		return "org"
	case reconcile.CreateSubscription:
		return "hosting " + a.PlanName
	case reconcile.InviteOwner:
		return "invitation"
	case reconcile.CreateWebsite:
		return "website " + a.Domain
	case reconcile.InstallApp:
		return "application on " + a.Domain
	case reconcile.ChangePlan:
		return fmt.Sprintf("hosting %d to plan %s", a.Hosting, a.PlanName)
	case reconcile.Suspend:
		return fmt.Sprintf("hosting %d suspended", a.Hosting)
	case reconcile.Backup:
		return "backup of " + a.Domain
	case reconcile.Terminate:
		return fmt.Sprintf("hosting %d deleted", a.Hosting)
	case reconcile.SendMail:
		return mailPhrase(a.ID)
	case reconcile.RenameOrg, reconcile.MarkHosting, reconcile.WriteMetadata:
		return ""
	}
	return a.Kind.String()
}

// mailPhrase names the kind of a mail, which stands in its id.
func mailPhrase(id string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(id, "mail:"), ":")
	switch kind {
	case reconcile.WarnSuspend.String():
		return "mail: will be suspended"
	case reconcile.WarnTerminate.String():
		return "mail: will be deleted"
	}
	return "mail: " + kind
}

// takes reports whether an action takes something away from a customer.
func takes(kind reconcile.ActionKind) bool {
	return kind.Takes() == reconcile.TakesAlways
}

// mark is the sign in front of the actions for one customer: − if one takes away, + if one
// gives, ~ if they only change.
func mark(kinds []reconcile.ActionKind) string {
	switch {
	case slices.ContainsFunc(kinds, takes):
		return "−"
	case slices.ContainsFunc(kinds, reconcile.ActionKind.Gives):
		return "+"
	}
	return "~"
}

// counted joins phrases; equal ones become one with their number.
func counted(phrases []string) string {
	var order []string
	n := map[string]int{}
	for _, d := range phrases {
		if n[d]++; n[d] == 1 {
			order = append(order, d)
		}
	}
	for i, d := range order {
		if n[d] > 1 {
			order[i] = fmt.Sprintf("%d × %s", n[d], d)
		}
	}
	return strings.Join(order, ", ")
}

// tally counts actions by kind. It is shown as three lines at most: taken away, created,
// changed.
type tally struct {
	n     map[reconcile.ActionKind]int
	plans map[string]int // new hostings by plan; nil: not known
}

// tallyOf counts the actions of a report that are in one of some states. If there are
// more than are listed, the plans of all of them are not known.
func tallyOf(r reconcile.Report, states []reconcile.ActionState) *tally {
	t := &tally{n: map[reconcile.ActionKind]int{}, plans: map[string]int{}}
	for _, a := range r.Actions {
		if slices.Contains(states, a.State) {
			t.add(a.Action)
		}
	}
	for class, n := range r.Omitted.Actions {
		if slices.Contains(states, class.State) {
			t.n[class.Kind] += n
			t.plans = nil
		}
	}
	return t
}

func (t *tally) add(a reconcile.Action) {
	t.n[a.Kind]++
	if a.Kind == reconcile.CreateSubscription {
		t.plans[a.PlanName]++
	}
}

func (t *tally) lines(s Style) []sum {
	made, hostings := []string{}, Count(t.n[reconcile.CreateSubscription], "hosting")
	if len(t.plans) > 1 {
		var by []string
		for name, n := range t.plans {
			by = append(by, fmt.Sprintf("%s %s", Number(n), Plain(name)))
		}
		slices.SortFunc(by, func(a, b string) int { return strings.Compare(after(a), after(b)) })
		hostings += " (" + strings.Join(by, ", ") + ")"
	}
	some := func(list *[]string, kind reconcile.ActionKind, text string) {
		if t.n[kind] > 0 {
			*list = append(*list, text)
		}
	}
	some(&made, reconcile.CreateSubscription, hostings)
	some(&made, reconcile.CreateOrg, Count(t.n[reconcile.CreateOrg], "org"))
	some(&made, reconcile.InviteOwner, Count(t.n[reconcile.InviteOwner], "invitation"))
	some(&made, reconcile.CreateWebsite, Count(t.n[reconcile.CreateWebsite], "website"))
	some(&made, reconcile.InstallApp, Count(t.n[reconcile.InstallApp], "application"))
	some(&made, reconcile.Resume, Number(t.n[reconcile.Resume])+" on again")
	var changed, gone []string
	some(&changed, reconcile.ChangePlan, Count(t.n[reconcile.ChangePlan], "plan"))
	some(&changed, reconcile.Link, Number(t.n[reconcile.Link])+" bound")
	some(&changed, reconcile.Backup, Count(t.n[reconcile.Backup], "backup"))
	some(&gone, reconcile.Suspend, Number(t.n[reconcile.Suspend])+" suspended")
	some(&gone, reconcile.Terminate, Number(t.n[reconcile.Terminate])+" deleted")
	var all []sum
	for _, one := range []sum{{"−", strings.Join(gone, ", "), s.Bad}, {"+", strings.Join(made, ", "), s.Good}, {"~", strings.Join(changed, ", "), s.Bold}} {
		if one.text != "" {
			all = append(all, one)
		}
	}
	return all
}

// sum is a line of a tally.
type sum struct {
	mark, text string
	paint      func(string) string
}

func after(counted string) string {
	_, name, _ := strings.Cut(counted, " ")
	return name
}
