package page

import (
	"cmp"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// mappingRows is how many mappings a page shows: each has a line of options.
const mappingRows = 15

// mappings lists which price buys which plan.
func (v *visit) mappings() (any, error) {
	all, err := v.ports.Mappings.List(v.r.Context())
	if err != nil {
		return nil, err
	}
	plans, err := v.server.Tools().PanelPlans(v.r.Context())
	if err != nil {
		return nil, err
	}
	columns := []column{{Key: "mappings.price", Kind: "wide"}, {Key: "mappings.plan"}, {Key: "mappings.options", Kind: "wide"}, {Key: "mappings.by"}, {Key: "mappings.since", Kind: "time"}, {Key: "mappings.change", Kind: "forms"}}
	rows := make([]row, 0, len(all))
	for i := range all {
		m := &all[i]
		price := cell{Text: m.BillingID}
		if v.May("map") {
			price.Href = editMapping(m.BillingID, "")
		}
		rows = append(rows, row{
			price, v.planCell(m.Plan, plans), {Text: optionsText(m.MappingOptions)}, {Text: m.UpdatedBy}, {At: m.UpdatedAt},
			{Forms: []form{{To: "/ui/mappings/remove", Task: "map", Name: "price", Buttons: []button{{"mappings.remove", m.BillingID}}}}},
		})
	}
	return v.pagedOf("mappings.none", columns, mappingRows, len(rows), func(i int) row { return rows[i] }), nil
}

// editMapping is the address of the form for a price.
func editMapping(price, plan string) string {
	q := url.Values{"price": {price}}
	if plan != "" {
		q.Set("plan", plan)
	}
	return "/ui/mappings/edit?" + q.Encode()
}

// planCell is a plan as a mapping names it, with the name that the panel has for a number.
func (v *visit) planCell(plan string, all []reconcile.EnhancePlan) cell {
	if plan == reconcile.NotHosting {
		return cell{Text: plan, Note: v.T("mapping.not_hosting")}
	}
	for _, p := range all {
		if strconv.Itoa(p.ID) == plan {
			return cell{Text: plan, Note: p.Name}
		}
	}
	return cell{Text: plan}
}

// optionsText lists the options of a mapping, by the names of the command line's table.
func optionsText(o reconcile.MappingOptions) string {
	var all []string
	byOrder := ""
	if o.ByOrder {
		byOrder = "true"
	}
	for _, one := range [...][2]string{{"websites", string(o.Websites)}, {"server_group", o.ServerGroup}, {"server_group_by_order", byOrder}, {"php_version", o.PHP},
		{"app", string(o.App)}, {"onboarding", o.OnboardingText()}, {"grace_period", o.GraceText()}} {
		if one[1] != "" {
			all = append(all, one[0]+" "+one[1])
		}
	}
	return strings.Join(all, ", ")
}

// unmappedBody is the body of the list of prices without a mapping.
type unmappedBody struct {
	*list
	Notes []string
	Is    figures
}

// unmapped lists the prices that no mapping names, those in use first.
func (v *visit) unmapped() (any, error) {
	offered, err := v.server.Tools().Suggestions(v.r.Context())
	if err != nil {
		return nil, err
	}
	all := offered.All
	if v.query().CSV && offered.At.IsZero() {
		return nil, mistake(v.T("figures.first")) // an empty file would look whole
	}
	if v.query().CSV {
		var lines [][]string
		for _, s := range all {
			lines = append(lines, []string{s.Price, s.Product, s.Amount, strconv.Itoa(s.Used), s.Plan, s.PlanName, strings.Join(s.Features, " "), strconv.FormatBool(s.Archived)})
		}
		return v.file([]string{"price", "product", "amount", "subscriptions", "plan", "plan_name", "features", "archived"}, lines), nil
	}
	columns := []column{{Key: "unmapped.price", Kind: "wide"}, {Key: "unmapped.amount"}, {Key: "unmapped.used", Kind: "number"}, {Key: "unmapped.suggested"}, {Key: "unmapped.features"}, {Key: "unmapped.change", Kind: "forms"}}
	rows := make([]row, 0, len(all))
	for _, s := range all {
		plan := cell{Text: s.Plan, Note: s.PlanName}
		if s.Plan == "" {
			plan = cell{Text: v.T("unmapped.no_plan")}
		}
		amount := cell{Text: s.Amount}
		if s.Archived {
			amount.Note = v.T("unmapped.archived")
		}
		name := cell{Text: cmp.Or(s.Product, s.Price), Note: s.Price}
		if s.Product == "" {
			name.Note = ""
		}
		choose := cell{}
		if v.May("map") {
			choose = cell{Text: v.T("unmapped.choose"), Href: editMapping(s.Price, s.Plan)}
		}
		rows = append(rows, row{name, amount, {Text: strconv.Itoa(s.Used)}, plan, {Text: strings.Join(s.Features, ", ")}, choose})
	}
	return unmappedBody{v.paged("unmapped.none", columns, rows), offered.Notes, v.figures(offered.Figures)}, nil
}

// mappingBody is the form of a mapping, as it stands or as it was typed.
type mappingBody struct {
	Price, Plan                                              string
	Websites, ServerGroup, ByOrder, PHP, App, Owner, Grace   string
	Unchecked                                                bool
	Stands                                                   bool // the price is mapped
	Problem                                                  string
	Plans                                                    []reconcile.EnhancePlan
	WebsitesWords, ByOrderWords, AppWords, OwnerWords, Other []string
}

// with adds the choices of the form.
func (b mappingBody) with(v *visit) (mappingBody, error) {
	plans, err := v.server.Tools().PanelPlans(v.r.Context())
	b.Plans = plans
	b.WebsitesWords = []string{"none", "order"}
	b.ByOrderWords = []string{"true"}
	b.AppWords = []string{string(reconcile.AppWordPress)}
	b.OwnerWords = []string{"invite", "password", "none"}
	if b.Plan != "" && b.Plan != reconcile.NotHosting && !b.offered() {
		b.Other = []string{b.Plan}
	}
	return b, err
}

// offered reports whether the plan is the number of one that the panel has.
func (b mappingBody) offered() bool {
	for _, p := range b.Plans {
		if strconv.Itoa(p.ID) == b.Plan {
			return true
		}
	}
	return false
}

// mapping shows the form of one mapping.
func (v *visit) mapping() (any, error) {
	if v.typed != nil {
		b := v.typedMapping()
		b.Problem = v.Problem("mapping")
		return b.with(v)
	}
	q := v.r.URL.Query()
	b := mappingBody{Price: strings.TrimSpace(q.Get("price"))}
	all, err := v.ports.Mappings.List(v.r.Context())
	if err != nil {
		return nil, err
	}
	for i := range all {
		if m := &all[i]; m.BillingID == b.Price {
			b = mappingBody{Price: m.BillingID, Plan: m.Plan, Websites: string(m.Websites), ServerGroup: m.ServerGroup, PHP: m.PHP, App: string(m.App),
				Owner: m.OnboardingText(), Grace: m.GraceText(), Stands: true}
			if m.ByOrder {
				b.ByOrder = "true"
			}
		}
	}
	if plan := q.Get("plan"); plan != "" {
		b.Plan = plan
	}
	return b.with(v)
}

// typedMapping is the content of the form.
func (v *visit) typedMapping() mappingBody {
	return mappingBody{Price: v.field("price"), Plan: v.field("plan"), Websites: v.field("websites"), ServerGroup: v.field("server_group"), ByOrder: v.field("server_group_by_order"),
		PHP: v.field("php_version"), App: v.field("app"), Owner: v.field("onboarding"), Grace: v.field("grace_period"), Unchecked: v.field("unchecked") != "", Stands: v.field("stands") != ""}
}

// setMapping maps a price. A form has all options, so each of them is given.
func (v *visit) setMapping() (done, error) {
	b := v.typedMapping()
	m := reconcile.Mapping{BillingID: b.Price, Plan: b.Plan}
	given := reconcile.GivenOptions{Websites: &b.Websites, ServerGroup: &b.ServerGroup, ByOrder: &b.ByOrder, PHP: &b.PHP, App: &b.App, Onboarding: &b.Owner, Grace: &b.Grace}
	var no server.Refused
	var warning string
	var err error
	if b.Price == "" || b.Plan == "" {
		err = server.Refused{Text: v.T("mapping.both")}
	} else {
		warning, err = v.server.SetMapping(v.r.Context(), &m, given, b.Unchecked, v.author())
	}
	switch {
	case errors.As(err, &no):
		return done{}, v.mistaken("/ui/mappings/edit", "mapping", no.Text)
	case err != nil:
		return done{}, err
	case warning != "":
		return done{to: "/ui/mappings", text: "mapping.set_unverified", args: []any{m.BillingID, warning}}, nil
	}
	return done{to: "/ui/mappings", text: "mapping.set", args: []any{m.BillingID, m.Plan}}, nil
}

func (v *visit) removeMapping() (done, error) {
	price := v.r.PostFormValue("price")
	found, err := v.server.RemoveMapping(v.r.Context(), price)
	if err == nil && !found {
		err = fault.NotFound
	}
	return done{to: "/ui/mappings", text: "mappings.removed", args: []any{price}}, err
}
