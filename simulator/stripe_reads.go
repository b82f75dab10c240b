package simulator

// one reads a single object; it takes expand and nothing else.
func one[T any](q *request, byID map[string]T, noun, object string, render func(T, expansion) string) answer {
	p, bad := read(q.Query, accepts{"expand": list}, object)
	if bad != nil {
		return bad.answer
	}
	v, found := byID[q.vars[0]]
	if !found {
		return missing(noun, q.vars[0])
	}
	return ok(render(v, p.expand))
}

func getSubscription(w *World, q *request) answer {
	return one(q, w.account.subs.byID, "subscription", "subscription", func(s *Subscription, x expansion) string {
		return w.renderSubscription(s, x, retrieved)
	})
}

func getCustomer(w *World, q *request) answer {
	return one(q, w.account.cust.byID, "customer", "customer", func(c *Customer, _ expansion) string { return w.renderCustomer(c) })
}

func getInvoice(w *World, q *request) answer {
	return one(q, w.account.invoices.byID, "invoice", "invoice", w.renderInvoice)
}

func getPrice(w *World, q *request) answer {
	return one(q, w.account.prices.byID, "price", "price", w.renderPrice)
}

func getProduct(w *World, q *request) answer {
	return one(q, w.account.products.byID, "product", "product", func(p *Product, _ expansion) string { return w.renderProduct(p) })
}

func getSession(w *World, q *request) answer {
	return one(q, w.account.sessions.byID, "checkout.session", "session", w.renderSessionWith)
}

func getEvent(w *World, q *request) answer {
	if e := w.account.events.byID[q.vars[0]]; e != nil && e.visible.After(w.now) {
		return missing("event", q.vars[0])
	}
	return one(q, w.account.events.byID, "event", "event", func(e *event, _ expansion) string { return w.renderEvent(e) })
}
