package simulator

import (
	"slices"
	"strings"
)

// listing describes one kind of list: its objects, the filter of a request, and how an
// object is written.
type listing[T ranked] struct {
	url, noun string
	byID      map[string]T
	rows      []T // oldest first: all of them, or the few that an index found
	match     func(T) bool
	render    func(*doc, T, expansion)
}

// answer cuts the page that the parameters ask for.
func (l listing[T]) answer(p params) answer {
	win := pageRequest[T]{limit: p.limit, created: timeRange{from: minTime}}
	if r, ok := p.ranges["created"]; ok {
		win.created = r
	}
	for _, c := range []struct {
		param string
		at    *T
		set   *bool
	}{{"starting_after", &win.after, &win.hasAfter}, {"ending_before", &win.before, &win.hasBefore}} {
		id := p.values.Get(c.param)
		if id == "" {
			continue
		}
		row, ok := l.byID[id]
		if !ok {
			return noSuch(c.param, l.noun, id)
		}
		*c.at, *c.set = row, true
	}
	match := l.match
	if match == nil {
		match = func(T) bool { return true }
	}
	rows, more := page(l.rows, win, match)
	return listAnswer(l.url, len(rows), more, func(d *doc, i int) { l.render(d, rows[i], p.expand) })
}

// noSuch is Stripe's error for a parameter that names an object which does not exist.
func noSuch(param, noun, id string) answer {
	return stripeError(400, "resource_missing", param, "No such "+noun+": '"+id+"'")
}

const minTime = -1 << 62

// rowSize is the approximate size of a row of the largest kind.
const rowSize = 3200

func listAnswer(url string, n int, more bool, row func(d *doc, i int)) answer {
	d := doc{b: make([]byte, 0, 100+n*rowSize)}
	d.open()
	d.fields(`"object":"list"`)
	d.array("data")
	for i := range n {
		row(&d, i)
	}
	d.closeArray()
	d.flag("has_more", more)
	d.str("url", url)
	d.close()
	return answer{status: 200, body: d.b}
}

var statuses = []string{"active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "trialing", "paused"}

func listSubscriptions(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{
		"status": scalar, "customer": scalar, "price": scalar, "plan": scalar, "collection_method": scalar, "test_clock": scalar,
		"created": times, "current_period_end": times, "current_period_start": times,
	}), "list:subscription")
	if bad != nil {
		return bad.answer
	}
	status := p.values.Get("status")
	if status != "" && status != "all" && status != "ended" && !slices.Contains(statuses, status) {
		return stripeError(400, "", "status", "Invalid status: must be one of all, ended, "+strings.Join(statuses, ", "))
	}
	rows := w.account.subs.sorted()
	if id := p.values.Get("customer"); id != "" {
		c, ok := w.account.cust.byID[id]
		if !ok {
			return noSuch("customer", "customer", id)
		}
		rows = slices.SortedFunc(slices.Values(c.subs), compareRank)
	}
	return listing[*Subscription]{
		url: "/v1/subscriptions", noun: "subscription", byID: w.account.subs.byID, rows: rows,
		match:  func(s *Subscription) bool { return hasStatus(s, status) && w.matchesFilters(s, p) },
		render: func(d *doc, s *Subscription, x expansion) { w.writeSubscription(d, s, x, listed) },
	}.answer(p)
}

// hasStatus: if no status is asked for, the list leaves out canceled subscriptions.
// That is Stripe's default, and the reason why careful clients ask for all.
func hasStatus(s *Subscription, want string) bool {
	switch want {
	case "all":
		return true
	case "":
		return s.Status != "canceled"
	case "ended":
		return ended(s)
	}
	return s.Status == want
}

func (w *World) matchesFilters(s *Subscription, p params) bool {
	if clock := p.values.Get("test_clock"); s.Unknown || s.TestClock != clock && (clock != "" || p.values.Get("customer") == "") {
		return false
	}
	for name, at := range map[string]int64{"current_period_end": s.PeriodEnd, "current_period_start": s.PeriodStart} {
		if r, ok := p.ranges[name]; ok && !r.contains(at) {
			return false
		}
	}
	if m := p.values.Get("collection_method"); m != "" && m != collectionMethod(s.SendInvoice) {
		return false
	}
	for _, name := range []string{"price", "plan"} {
		if id := p.values.Get(name); id != "" && !slices.ContainsFunc(s.Items, func(it Item) bool { return it.Price == id }) {
			return false
		}
	}
	return true
}

func listItems(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{"subscription": scalar}), "list:item")
	if bad != nil {
		return bad.answer
	}
	id := p.values.Get("subscription")
	if id == "" {
		return stripeError(400, "parameter_missing", "subscription", "Missing required param: subscription.")
	}
	s, okay := w.account.subs.byID[id]
	if !okay {
		return noSuch("subscription", "subscription", id)
	}
	from, to := 0, len(s.Items)
	if c := p.values.Get("starting_after"); c != "" {
		from = slices.IndexFunc(s.Items, func(it Item) bool { return it.ID == c }) + 1
	}
	if c := p.values.Get("ending_before"); c != "" {
		to = slices.IndexFunc(s.Items, func(it Item) bool { return it.ID == c })
		from = max(0, to-p.limit)
	}
	if to < 0 || from == 0 && p.values.Get("starting_after") != "" {
		return stripeError(400, "resource_missing", "starting_after", "No such subscription_item")
	}
	end := min(to, from+p.limit)
	more := end < to
	if p.values.Has("ending_before") {
		more = from > 0
	}
	return listAnswer("/v1/subscription_items", end-from, more, func(d *doc, i int) {
		w.writeItem(d, s, &s.Items[from+i], p.expand)
	})
}

func listCustomers(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{"email": scalar, "created": times}), "list:customer")
	if bad != nil {
		return bad.answer
	}
	email := p.values.Get("email") // case-sensitive, as at Stripe
	return listing[*Customer]{
		url: "/v1/customers", noun: "customer", byID: w.account.cust.byID, rows: w.account.cust.sorted(),
		match:  func(c *Customer) bool { return !c.Deleted && (email == "" || c.Email == email) },
		render: w.writeCustomer,
	}.answer(p)
}

var invoiceStatuses = []string{"draft", "open", "paid", "void", "uncollectible"}

func listInvoices(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{
		"subscription": scalar, "customer": scalar, "status": scalar, "collection_method": scalar,
		"created": times, "due_date": times,
	}), "list:invoice")
	if bad != nil {
		return bad.answer
	}
	status := p.values.Get("status")
	if status != "" && !slices.Contains(invoiceStatuses, status) {
		return stripeError(400, "", "status", "Invalid status: must be one of "+strings.Join(invoiceStatuses, ", "))
	}
	rows := w.account.invoices.sorted()
	if id := p.values.Get("subscription"); id != "" {
		s, okay := w.account.subs.byID[id]
		if !okay {
			return noSuch("subscription", "subscription", id)
		}
		rows = slices.SortedFunc(slices.Values(s.invoices), compareRank)
	}
	customer, method := p.values.Get("customer"), p.values.Get("collection_method")
	due, byDue := p.ranges["due_date"]
	return listing[*Invoice]{
		url: "/v1/invoices", noun: "invoice", byID: w.account.invoices.byID, rows: rows,
		match: func(inv *Invoice) bool {
			return (status == "" || inv.Status == status) && (customer == "" || inv.Customer == customer) &&
				(method == "" || method == collectionMethod(inv.sendInvoice)) && (!byDue || inv.Due != 0 && due.contains(inv.Due))
		},
		render: w.writeInvoice,
	}.answer(p)
}

func listEvents(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{
		"type": scalar, "types": list, "created": times, "delivery_success": scalar,
	}), "list:event")
	if bad != nil {
		return bad.answer
	}
	kinds := p.values["types"]
	one := p.values.Get("type")
	switch {
	case one != "" && len(kinds) > 0:
		return stripeError(400, "", "type", "You may only specify one of these parameters: type, types.")
	case len(kinds) > 20:
		return stripeError(400, "", "types", "Array types exceeded maximum 20 allowed elements.")
	case one != "":
		kinds = []string{one}
	}
	if id := p.values.Get("starting_after"); id != "" && w.account.events.byID[id] == nil {
		return stripeError(400, "resource_missing", "starting_after", "The event "+id+" is no longer available because it's aged out of our retention policy.")
	}
	return listing[*event]{
		url: "/v1/events", noun: "event", byID: w.account.events.byID, rows: w.account.events.sorted(),
		match:  func(e *event) bool { return !e.visible.After(w.now) && kindMatches(e.kind, kinds) },
		render: w.writeEvent,
	}.answer(p)
}

// kindMatches supports Stripe's wildcard, as in customer.subscription.*.
func kindMatches(kind string, kinds []string) bool {
	if len(kinds) == 0 {
		return true
	}
	return slices.ContainsFunc(kinds, func(k string) bool {
		prefix, wild := strings.CutSuffix(k, "*")
		return k == kind || wild && strings.HasPrefix(kind, prefix)
	})
}

func listPrices(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{
		"active": scalar, "currency": scalar, "product": scalar, "type": scalar, "lookup_keys": list, "created": times,
	}), "list:price")
	if bad != nil {
		return bad.answer
	}
	if len(p.values["lookup_keys"]) > 10 {
		return stripeError(400, "", "lookup_keys", "Array lookup_keys exceeded maximum 10 allowed elements.")
	}
	active, bad := boolFilter(p, "active")
	if bad != nil {
		return bad.answer
	}
	keys, v := p.values["lookup_keys"], p.values
	return listing[*Price]{
		url: "/v1/prices", noun: "price", byID: w.account.prices.byID, rows: w.account.prices.sorted(),
		match: func(pr *Price) bool {
			return active(!pr.Inactive) && (len(keys) == 0 || slices.Contains(keys, pr.LookupKey)) &&
				(v.Get("currency") == "" || v.Get("currency") == pr.Currency) &&
				(v.Get("product") == "" || v.Get("product") == pr.Product) && (v.Get("type") == "" || v.Get("type") == "recurring")
		},
		render: w.writePrice,
	}.answer(p)
}

func listProducts(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{"active": scalar, "ids": list, "created": times}), "list:product")
	if bad != nil {
		return bad.answer
	}
	active, bad := boolFilter(p, "active")
	if bad != nil {
		return bad.answer
	}
	ids := p.values["ids"]
	return listing[*Product]{
		url: "/v1/products", noun: "product", byID: w.account.products.byID, rows: w.account.products.sorted(),
		match: func(pr *Product) bool {
			return active(!pr.Inactive) && (len(ids) == 0 || slices.Contains(ids, pr.ID))
		},
		render: w.writeProduct,
	}.answer(p)
}

func listSessions(w *World, q *request) answer {
	p, bad := parseParams(q.Query, paging.and(accepts{
		"subscription": scalar, "customer": scalar, "payment_intent": scalar, "status": scalar, "created": times,
	}), "list:session")
	if bad != nil {
		return bad.answer
	}
	rows := w.account.sessions.sorted()
	if id := p.values.Get("subscription"); id != "" {
		s, okay := w.account.subs.byID[id]
		if !okay {
			return noSuch("subscription", "subscription", id)
		}
		if rows = nil; s.session != nil {
			rows = []*Session{s.session}
		}
	}
	customer, intent, status := p.values.Get("customer"), p.values.Get("payment_intent"), p.values.Get("status")
	return listing[*Session]{
		url: "/v1/checkout/sessions", noun: "checkout.session", byID: w.account.sessions.byID, rows: rows,
		match: func(s *Session) bool {
			return (customer == "" || s.Customer == customer) && intent == "" && (status == "" || status == "complete")
		},
		render: w.writeSession,
	}.answer(p)
}

// boolFilter is a filter by an optional boolean parameter.
func boolFilter(p params, name string) (func(bool) bool, *paramError) {
	switch p.values.Get(name) {
	case "":
		return func(bool) bool { return true }, nil
	case "true":
		return func(b bool) bool { return b }, nil
	case "false":
		return func(b bool) bool { return !b }, nil
	}
	return nil, badParam("", name, "Invalid boolean: "+p.values.Get(name))
}
