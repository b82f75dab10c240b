package simulator

// getOne reads a single object; the only parameter is expand.
func getOne[T any](q *request, byID map[string]T, noun, object string, render func(*doc, T, expansion)) answer {
	p, bad := parseParams(q.Query, accepts{"expand": list}, object)
	if bad != nil {
		return bad.answer
	}
	v, found := byID[q.vars[0]]
	if !found {
		return missing(noun, q.vars[0])
	}
	return ok(text(func(d *doc) { render(d, v, p.expand) }))
}

func getSubscription(w *World, q *request) answer {
	if s := w.account.subs.byID[q.vars[0]]; s != nil && s.Unknown {
		return missing("subscription", s.ID)
	}
	return getOne(q, w.account.subs.byID, "subscription", "subscription", func(d *doc, s *Subscription, x expansion) {
		w.writeSubscription(d, s, x, retrieved)
	})
}

func getCustomer(w *World, q *request) answer {
	return getOne(q, w.account.cust.byID, "customer", "customer", w.writeCustomer)
}

func getInvoice(w *World, q *request) answer {
	return getOne(q, w.account.invoices.byID, "invoice", "invoice", w.writeInvoice)
}

func getPrice(w *World, q *request) answer {
	return getOne(q, w.account.prices.byID, "price", "price", w.writePrice)
}

func getProduct(w *World, q *request) answer {
	return getOne(q, w.account.products.byID, "product", "product", w.writeProduct)
}

func getSession(w *World, q *request) answer {
	return getOne(q, w.account.sessions.byID, "checkout.session", "session", w.writeSession)
}

func getEvent(w *World, q *request) answer {
	if e := w.account.events.byID[q.vars[0]]; e != nil && e.visible.After(w.now) {
		return missing("event", q.vars[0])
	}
	return getOne(q, w.account.events.byID, "event", "event", w.writeEvent)
}
