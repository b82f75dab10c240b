package page

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// mostPlans is how many plans are listed with those that are over.
const mostPlans = 1000

// plansBody is the body of the list of held plans.
type plansBody struct {
	List *list
	Old  bool // those that are over are listed too
}

func (b plansBody) table() *list { return b.List }

// plans lists the held plans.
func (v *visit) plans() (any, error) {
	body := plansBody{Old: v.r.URL.Query().Get("all") == "yes"}
	all, err := v.ports.Directory.PlanHeads(v.r.Context(), body.Old, mostPlans)
	if err != nil {
		return nil, err
	}
	columns := []column{{Key: "plans.id"}, {Key: "plans.kind"}, {Key: "plans.changes", Kind: "number"}, {Key: "plans.since", Kind: "time"}, {Key: "plans.state"}, {Key: "plans.reason", Kind: "wide"}, {Key: "plans.version", Kind: "number"}}
	rows := make([]row, 0, len(all))
	for i := range all {
		p := &all[i]
		rows = append(rows, row{{Text: p.ID, Href: planAddress(p.ID)}, {Text: p.Kind.String()}, {Text: v.Number(p.Size())}, {At: p.Created}, v.planState(p), {Text: p.Reason}, {Text: strconv.Itoa(p.Version)}})
	}
	body.List = v.paged("plans.none", columns, rows)
	if body.Old {
		body.List.Keep = map[string]string{"all": "yes"}
	}
	return body, nil
}

func planAddress(id string) string { return plansPath + "/" + url.PathEscape(id) }

// planState is the state of a plan as a mark.
func (v *visit) planState(p *reconcile.HeldPlan) cell {
	switch report.PlanState(*p) {
	case report.PlanApproved:
		return cell{Text: v.T("plans.approved"), Mark: "good", Note: p.By}
	case report.PlanUnwanted:
		return cell{Text: v.T("plans.closed"), Mark: "quiet"}
	default:
		return cell{Text: v.T("plans.waits"), Mark: "wait"}
	}
}

// planBody is the body of the page of one held plan.
type planBody struct {
	List  *list
	Plan  reconcile.HeldPlan
	State cell
	Waits bool
	// Hold is the kind of hold that a rejection puts.
	Hold string
	// Amounts is set if what the subscriptions cost was read. AmountsLink reads it.
	Amounts     bool
	AmountsLink string
}

func (b planBody) table() *list { return b.List }

// plan shows the exact changes of a held plan, by customer.
func (v *visit) plan() (any, error) {
	q := v.query()
	search := reconcile.PlanSearch{Plan: v.r.PathValue("id"), Text: q.Search, After: q.After, Limit: listRows}
	if q.CSV {
		search.After, search.Limit = "", 1
	}
	p, _, err := v.ports.Directory.PlanPart(v.r.Context(), search)
	if err != nil {
		return nil, err
	}
	body := planBody{Plan: p, Waits: p.Waits(), State: v.planState(&p), Hold: p.Kind.RejectionHold().String(),
		Amounts: v.r.URL.Query().Get("amounts") == "yes", AmountsLink: v.Link("amounts", "yes")}
	columns := []column{{Key: "plan.customer"}, {Key: "plan.subscription"}, {Key: "plan.what"}, {Key: "plan.why", Kind: "wide"}, {Key: "plan.since", Kind: "number"}}
	if body.Amounts {
		columns = append(columns, column{Key: "plan.amount", Kind: "number"})
	}
	body.List, err = v.parts("plan.none", columns, listRows, func(after string, limit int) (rows []row, next string, err error) {
		search.After, search.Limit = after, limit
		part, next, err := v.ports.Directory.PlanPart(v.r.Context(), search)
		if err != nil {
			return nil, "", err
		}
		worth, err := v.worth(body.Amounts, part.Actions)
		for i := range part.Actions {
			rows = append(rows, v.changeRow(&part.Actions[i], part.Joined[i], body.Amounts, worth))
		}
		return rows, next, err
	})
	if err == nil {
		body.List.Total = p.Total
		if body.Amounts {
			body.List.Keep = map[string]string{"amounts": "yes"}
		}
	}
	return body, err
}

// changeRow is a change of a held plan.
func (v *visit) changeRow(a *reconcile.Action, joined int, amounts bool, worth map[string]server.Worth) row {
	what := report.Phrase(*a)
	if what == "" {
		what = a.Kind.String()
	}
	r := row{whoCell(a.Email, a.Customer), {Text: a.Subscription}, {Text: what, Note: a.PlanName}, {Text: a.Reason}, {Text: strconv.Itoa(joined)}}
	if !amounts {
		return r
	}
	w := worth[a.Subscription]
	if w.Amount == "" {
		return append(r, cell{Text: w.Problem})
	}
	return append(r, cell{Amount: w.Amount, Currency: w.Currency})
}

// worth reads what the subscriptions of changes cost a month, if that is asked for.
func (v *visit) worth(asked bool, actions []reconcile.Action) (map[string]server.Worth, error) {
	if !asked {
		return nil, nil
	}
	var ids []string
	seen := map[string]bool{"": true}
	for i := range actions {
		if id := actions[i].Subscription; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return v.ports.Directory.Worth(v.r.Context(), ids)
}

// version is the version of the plan that the form has shown. Without one nothing is decided:
// 0 would mean the present one, whatever it is.
func (v *visit) version() (int, error) {
	n, err := strconv.Atoi(v.field("version"))
	if err != nil || n < 1 {
		return 0, v.mistaken(planPath, "plan", v.T("plan.no_version"))
	}
	return n, nil
}

// approvePlan releases exactly the changes that the page has shown.
func (v *visit) approvePlan() (done, error) {
	id := v.r.PathValue("id")
	version, err := v.version()
	if err != nil {
		return done{}, err
	}
	p, err := v.server.Approve(v.r.Context(), id, version, v.author())
	if err != nil {
		return done{}, v.refused(planPath, "plan", err)
	}
	return done{to: planAddress(p.ID), text: "plan.was_approved", args: []any{p.Size()}}, nil
}

// rejectPlan ends a plan without doing anything of it.
func (v *visit) rejectPlan() (done, error) {
	id := v.r.PathValue("id")
	version, err := v.version()
	if err != nil {
		return done{}, err
	}
	reason, problem := v.reason(true)
	if problem != "" {
		return done{}, v.mistaken(planPath, "plan", problem)
	}
	p, err := v.server.Reject(v.r.Context(), id, version, v.author(), strings.TrimSpace(reason))
	if err != nil {
		return done{}, v.refused(planPath, "plan", err)
	}
	return done{to: planAddress(p.ID), text: "plan.was_rejected"}, nil
}
