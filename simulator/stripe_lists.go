package simulator

import (
	"slices"
	"strings"
)

// listing is one kind of list: where its objects are, which a request wants,
// and how one is written.
type listing[T ranked] struct {
	url, noun string
	byID      map[string]T
	rows      []T // oldest first, all of them or the few that an index gave
	match     func(T) bool
	render    func(*doc, T, expansion)
}

// answer cuts the page that the parameters ask for.
func (l listing[T]) answer(p params) answer {
	win := window[T]{limit: p.limit, created: span{from: minTime}}
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
			return stripeError(400, "resource_missing", c.param, "No such "+l.noun+": '"+id+"'")
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

const minTime = -1 << 62

// rowSize is about what a row of the largest kind takes.
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
	p, bad := read(q.Query, paging.and(accepts{
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
			return stripeError(400, "resource_missing", "customer", "No such customer: '"+id+"'")
		}
		rows = slices.SortedFunc(slices.Values(c.subs), compareRank)
	}
	return listing[*Subscription]{
		url: "/v1/subscriptions", noun: "subscription", byID: w.account.subs.byID, rows: rows,
		match:  func(s *Subscription) bool { return hasStatus(s, status) && w.wanted(s, p) },
		render: func(d *doc, s *Subscription, x expansion) { w.writeSubscription(d, s, x, listed) },
	}.answer(p)
}

// hasStatus: without a status the list leaves out what was canceled. That is
// Stripe's default and the reason why careful clients say all.
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

func (w *World) wanted(s *Subscription, p params) bool {
	if clock := p.values.Get("test_clock"); s.Unknown || s.TestClock != clock && (clock != "" || p.values.Get("customer") == "") {
		return false
	}
	for name, at := range map[string]int64{"current_period_end": s.PeriodEnd, "current_period_start": s.PeriodStart} {
		if r, ok := p.ranges[name]; ok && !r.holds(at) {
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
	p, bad := read(q.Query, paging.and(accepts{"subscription": scalar}), "list:item")
	if bad != nil {
		return bad.answer
	}
	id := p.values.Get("subscription")
	if id == "" {
		return stripeError(400, "parameter_missing", "subscription", "Missing required param: subscription.")
	}
	s, okay := w.account.subs.byID[id]
	if !okay {
		return stripeError(400, "resource_missing", "subscription", "No such subscription: '"+id+"'")
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
	p, bad := read(q.Query, paging.and(accepts{"email": scalar, "created": times}), "list:customer")
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
