package page

import (
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// manualKinds are the kinds of holds that people put.
var manualKinds = []reconcile.ManualKind{reconcile.NoSuspend, reconcile.KeepSuspended, reconcile.Ignore}

// Choice is a value of a field with its text.
type Choice struct {
	Value, Text string
	Chosen      bool
}

// HoldKinds are the kinds of holds that a form offers.
func (v *visit) HoldKinds(form string) []Choice {
	var all []Choice
	for _, k := range manualKinds {
		all = append(all, Choice{k.String(), v.T("kind." + strings.ReplaceAll(k.String(), "-", "_")), v.Typed(form, "kind") == k.String()})
	}
	return all
}

// holdRows is how many holds a page shows: each has two times and a reason.
const holdRows = 15

// holds lists the holds that people have put.
func (v *visit) holds() (any, error) {
	all, err := v.ports.Holds.ManualHolds(v.r.Context(), v.server.Now())
	if err != nil {
		return nil, err
	}
	columns := []column{{Key: "holds.on"}, {Key: "holds.kind"}, {Key: "holds.until", Kind: "time"}, {Key: "holds.reason", Kind: "wide"}, {Key: "holds.author"}, {Key: "holds.created", Kind: "time"}, {Key: "holds.change", Kind: "forms"}}
	rows := make([]row, 0, len(all))
	for _, h := range all {
		until := cell{At: h.Until}
		if h.Until.IsZero() {
			until = cell{Text: v.T("holds.no_end")}
		}
		on := cell{Text: h.Customer, Note: h.Subscription, Href: customerAddress(h.Customer)}
		if h.Customer == "" {
			on = subscriptionCell(h.Subscription)
		}
		rows = append(rows, row{on, {Text: h.Kind.String(), Mark: "wait"}, until, {Text: h.Reason}, {Text: h.Author}, {At: h.Created},
			{Forms: []form{{To: "/ui/holds/remove", Task: "hold", Name: "id", Buttons: []button{{"holds.remove", h.ID}}}}},
		})
	}
	return v.pagedOf("holds.none", columns, holdRows, len(rows), func(i int) row { return rows[i] }), nil
}

// addHold puts a hold on the customer or the subscription that is named.
func (v *visit) addHold() (done, error) {
	h, problem := v.newHold()
	if on := v.field("on"); strings.HasPrefix(on, "sub_") {
		h.Subscription = on
	} else {
		h.Customer = on
	}
	if problem == "" && !server.Printable(h.Customer+h.Subscription) {
		problem = v.T("form.text_refused")
	}
	if problem == "" {
		problem = h.Problem(v.server.Now())
	}
	if problem != "" {
		return done{}, v.mistaken(holdsPath, "hold", problem)
	}
	if err := v.server.AddHold(v.r.Context(), h); err != nil {
		return done{}, v.refused(holdsPath, "hold", err)
	}
	return done{to: holdsPath, text: "holds.added"}, nil
}

// newHold reads the fields that every form for a hold has. problem is a mistake in them.
func (v *visit) newHold() (h reconcile.ManualHold, problem string) {
	h = v.server.NewHold()
	h.Kind, h.Author = reconcile.ParseManualKind(v.field("kind")), v.author()
	if h.Reason, problem = v.reason(true); problem != "" {
		return h, problem
	}
	if text := v.field("until"); text != "" {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return h, v.T("form.day_refused", text)
		}
		h.Until = day.AddDate(0, 0, 1) // to the end of that day
	}
	return h, ""
}

func (v *visit) removeHold() (done, error) {
	found, err := v.server.RemoveHold(v.r.Context(), v.r.PostFormValue("id"))
	if err == nil && !found {
		err = fault.NotFound
	}
	to := holdsPath
	if customer := v.r.PostFormValue("customer"); reconcile.ValidCustomerID(customer) {
		to = customerAddress(customer)
	}
	return done{to: to, text: "holds.removed"}, err
}

// withheldBody is the body of the page of the holds that the program itself puts.
type withheldBody struct {
	List  *list
	Kinds []kindCount
	Kind  string
	// Advice is the next step for a person, for the kind that was chosen.
	Advice string
}

func (b withheldBody) table() *list { return b.List }

// kindCount is a kind of hold with how many there are.
type kindCount struct {
	Kind, Href string
	Count      int
	Here       bool
}

// withheldCustomers is how many customers a part of the list has.
const withheldCustomers = 10

// withheld lists the holds of the last decisions.
func (v *visit) withheld() (any, error) {
	q := v.query()
	kind := reconcile.HoldKind(v.r.URL.Query().Get("kind"))
	if kind.Advice() == "" {
		kind = ""
	}
	counts, err := v.ports.Directory.HoldCounts(v.r.Context())
	if err != nil {
		return nil, err
	}
	body := withheldBody{Kind: string(kind), Advice: kind.Advice()}
	for _, k := range reconcile.HoldKinds() {
		if n := counts.Kinds[k].All; n > 0 {
			body.Kinds = append(body.Kinds, kindCount{string(k), v.Link("kind", string(k), "after", "", "back", ""), n, k == kind})
		}
	}
	columns := []column{{Key: "withheld.customer"}, {Key: "withheld.kind"}, {Key: "withheld.why", Kind: "wide"}, {Key: "withheld.until", Kind: "time"}, {Key: "withheld.advice", Kind: "wide"}}
	read := func(after string, limit int) (rows []row, next string, err error) {
		holds, next, err := v.ports.Directory.HoldRows(v.r.Context(), reconcile.HoldSearch{Kind: kind, Text: q.Search, After: after, Limit: limit})
		for i := range holds {
			rows = append(rows, v.withheldRow(&holds[i]))
		}
		return rows, next, err
	}
	body.List, err = v.parts("withheld.none", columns, withheldCustomers, read)
	if err == nil && kind != "" {
		body.List.Keep = map[string]string{"kind": string(kind)}
	}
	return body, err
}

func (v *visit) withheldRow(h *reconcile.Hold) row {
	who := h.Email
	if who == "" {
		who = h.Customer
	}
	until := cell{At: h.Until}
	if h.Until.IsZero() {
		until = cell{Text: v.T("withheld.no_end")}
	}
	mark := "quiet"
	if h.Kind.KeepsOrders() || h.Kind == reconcile.HoldParked {
		mark = "wait"
	}
	return row{{Text: who, Note: strings.TrimSpace(h.Customer + " " + h.Subscription), Href: customerAddress(h.Customer)}, {Text: string(h.Kind), Mark: mark}, {Text: h.Reason}, until, {Text: h.Kind.Advice()}}
}
