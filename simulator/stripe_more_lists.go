package simulator

import (
	"slices"
	"strings"
)

var invoiceStatuses = []string{"draft", "open", "paid", "void", "uncollectible"}

func listInvoices(w *World, q *request) answer {
	p, bad := read(q.Query, paging.and(accepts{
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
			return stripeError(400, "resource_missing", "subscription", "No such subscription: '"+id+"'")
		}
		rows = slices.SortedFunc(slices.Values(s.invoices), compareRank)
	}
	customer, method := p.values.Get("customer"), p.values.Get("collection_method")
	due, byDue := p.ranges["due_date"]
	return listing[*Invoice]{
		url: "/v1/invoices", noun: "invoice", byID: w.account.invoices.byID, rows: rows,
		match: func(inv *Invoice) bool {
			return (status == "" || inv.Status == status) && (customer == "" || inv.Customer == customer) &&
				(method == "" || method == collectionMethod(inv.sendInvoice)) && (!byDue || inv.Due != 0 && due.holds(inv.Due))
		},
		render: w.writeInvoice,
	}.answer(p)
}

func listEvents(w *World, q *request) answer {
	p, bad := read(q.Query, paging.and(accepts{
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
		match:  func(e *event) bool { return !e.visible.After(w.now) && ofKind(e.kind, kinds) },
		render: w.writeEvent,
	}.answer(p)
}

// ofKind knows Stripe's wildcard, customer.subscription.*.
func ofKind(kind string, kinds []string) bool {
	if len(kinds) == 0 {
		return true
	}
	return slices.ContainsFunc(kinds, func(k string) bool {
		prefix, wild := strings.CutSuffix(k, "*")
		return k == kind || wild && strings.HasPrefix(kind, prefix)
	})
}

func listPrices(w *World, q *request) answer {
	p, bad := read(q.Query, paging.and(accepts{
		"active": scalar, "currency": scalar, "product": scalar, "type": scalar, "lookup_keys": list, "created": times,
	}), "list:price")
	if bad != nil {
		return bad.answer
	}
	if len(p.values["lookup_keys"]) > 10 {
		return stripeError(400, "", "lookup_keys", "Array lookup_keys exceeded maximum 10 allowed elements.")
	}
	active, bad := truth(p, "active")
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
	p, bad := read(q.Query, paging.and(accepts{"active": scalar, "ids": list, "created": times}), "list:product")
	if bad != nil {
		return bad.answer
	}
	active, bad := truth(p, "active")
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
	p, bad := read(q.Query, paging.and(accepts{
		"subscription": scalar, "customer": scalar, "payment_intent": scalar, "status": scalar, "created": times,
	}), "list:session")
	if bad != nil {
		return bad.answer
	}
	rows := w.account.sessions.sorted()
	if id := p.values.Get("subscription"); id != "" {
		s, okay := w.account.subs.byID[id]
		if !okay {
			return stripeError(400, "resource_missing", "subscription", "No such subscription: '"+id+"'")
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

// truth is a filter by a boolean parameter that may be absent.
func truth(p params, name string) (func(bool) bool, *paramError) {
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
