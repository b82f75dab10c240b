package simulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const controlHelp = `The controls of the simulated company. Everything is a query parameter.

GET  /_sim/state                        counts, prices, plans, subscriptions, hostings
GET  /_sim/clock                        the simulated time, with the key as bearer token
POST /_sim/advance?d=24h                move the clock
POST /_sim/signup?email=&price=         optional: name, quantity, domain, trial=336h, guest=true, declined=true
POST /_sim/fail?subscription=           the next charge fails: past_due
POST /_sim/pay?subscription=            pay the open invoices
POST /_sim/bill?subscription=           one more invoice, which stays open
POST /_sim/writeoff?subscription=       the oldest open invoice is uncollectible, or status=void
POST /_sim/unpaid?subscription=         the retries are over
POST /_sim/cancel?subscription=         optional: at_period_end=true
POST /_sim/pause?subscription=          pause collection; resume ends that
POST /_sim/resume?subscription=
POST /_sim/upgrade?subscription=&price= another price on the first item (or item=)
POST /_sim/dispute?subscription=        the newest payment is disputed; status=under_review, won, lost … sets the status
POST /_sim/refund?subscription=         the newest payment is refunded; half=true: a half of it
POST /_sim/features?product=&keys=      the features of a product, lookup keys with commas between
POST /_sim/status?subscription=&status= any status
`

// stateRows is how many rows of each kind the state shows, the newest last.
const stateRows = 100

// controls are for people with curl; programs call the methods.
func (w *World) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/{$}", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write([]byte(controlHelp))
	})
	mux.HandleFunc("GET /_sim/state", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, w.state(), nil) })
	mux.HandleFunc("GET "+clockPath, w.serveClock)
	for name, do := range map[string]func(url.Values) (any, error){
		"advance": w.controlAdvance,
		"signup":  w.controlSignUp,
		"fail":    onSubscription(w, w.FailPayment),
		"pay":     onSubscription(w, w.Pay),
		"bill":    onSubscription(w, func(id string) error { return w.BillExtra(id, 0) }),
		"unpaid":  onSubscription(w, w.MarkUnpaid),
		"pause":   onSubscription(w, func(id string) error { return w.PauseCollection(id, "") }),
		"resume":  onSubscription(w, w.ResumeCollection),
		"cancel":  w.controlCancel,
		"upgrade": func(v url.Values) (any, error) {
			return w.shown(v, w.ChangePrice(v.Get("subscription"), v.Get("item"), v.Get("price")))
		},
		"writeoff": func(v url.Values) (any, error) {
			return w.shown(v, w.WriteOff(v.Get("subscription"), v.Get("status")))
		},
		"dispute": w.controlDispute,
		"refund": func(v url.Values) (any, error) {
			return w.shown(v, w.Refund(v.Get("subscription"), v.Get("half") != "true"))
		},
		"features": func(v url.Values) (any, error) {
			keys := strings.FieldsFunc(v.Get("keys"), func(r rune) bool { return r == ',' })
			return map[string]any{"product": v.Get("product"), "features": keys}, w.SetFeatures(v.Get("product"), keys...)
		},
		"status": func(v url.Values) (any, error) {
			return w.shown(v, w.SetStatus(v.Get("subscription"), v.Get("status")))
		},
	} {
		mux.HandleFunc("POST /_sim/"+name, func(rw http.ResponseWriter, r *http.Request) {
			result, err := do(r.URL.Query())
			reply(rw, result, err)
		})
	}
	return mux
}

func onSubscription(w *World, do func(string) error) func(url.Values) (any, error) {
	return func(v url.Values) (any, error) { return w.shown(v, do(v.Get("subscription"))) }
}

// shown returns the subscription's status after an operation.
func (w *World) shown(v url.Values, err error) (any, error) {
	s, _ := w.Subscription(v.Get("subscription"))
	return map[string]string{"subscription": s.ID, "status": s.Status}, err
}

func (w *World) controlCancel(v url.Values) (any, error) {
	if v.Get("at_period_end") == "true" {
		return w.shown(v, w.CancelAtPeriodEnd(v.Get("subscription")))
	}
	return w.shown(v, w.Cancel(v.Get("subscription")))
}

// controlDispute opens a dispute, or sets the status of those that there are.
func (w *World) controlDispute(v url.Values) (any, error) {
	if status := v.Get("status"); status != "" {
		return w.shown(v, w.CloseDispute(v.Get("subscription"), status))
	}
	id, err := w.Dispute(v.Get("subscription"), "")
	return map[string]string{"dispute": id}, err
}

func (w *World) controlAdvance(v url.Values) (any, error) {
	d, err := time.ParseDuration(v.Get("d"))
	if err != nil || d < 0 {
		return nil, RefusedError{ID: "d", Reason: "want a duration like 24h or 90m"}
	}
	w.Advance(d)
	return map[string]string{"now": w.Now().Format(time.RFC3339)}, nil
}

func (w *World) controlSignUp(v url.Values) (any, error) {
	o := SignUp{
		Email: v.Get("email"), Name: v.Get("name"), Domain: v.Get("domain"),
		Guest: v.Get("guest") == "true", Declined: v.Get("declined") == "true",
	}
	line := Line{Price: v.Get("price")}
	if q := v.Get("quantity"); q != "" {
		if err := json.Unmarshal([]byte(q), &line.Quantity); err != nil {
			return nil, RefusedError{ID: "quantity", Reason: "want a whole number"}
		}
	}
	if t := v.Get("trial"); t != "" {
		d, err := time.ParseDuration(t)
		if err != nil {
			return nil, RefusedError{ID: "trial", Reason: "want a duration like 336h"}
		}
		o.Trial = d
	}
	o.Lines = []Line{line}
	return w.SignUp(o)
}

func reply(rw http.ResponseWriter, result any, err error) {
	rw.Header().Set("Content-Type", "application/json")
	var missing NotFoundError
	switch {
	case errors.As(err, &missing):
		rw.WriteHeader(http.StatusNotFound)
	case err != nil:
		rw.WriteHeader(http.StatusBadRequest)
	}
	if err != nil {
		result = map[string]string{"error": err.Error()}
	}
	enc := json.NewEncoder(rw)
	enc.SetIndent("", "  ")
	_ = enc.Encode(result) //nolint:errchkjson // the client may be gone
}

// state is a summary for people, not a complete export.
func (w *World) state() any {
	w.enter()
	defer w.mu.Unlock()
	subs := w.account.subs.sorted()
	byStatus := map[string]int{}
	for _, s := range subs {
		byStatus[s.Status]++
	}
	out := map[string]any{
		"now": w.now.Format(time.RFC3339), "subscriptions_by_status": byStatus, "customers": len(w.account.cust.rows),
		"orgs": len(w.panel.orgs), "hostings": len(w.panel.hostings), "effects": len(w.log.effects),
		"violations": len(w.log.violations),
	}
	var rows []any
	for _, s := range subs[max(0, len(subs)-stateRows):] {
		rows = append(rows, map[string]any{"id": s.ID, "status": s.Status, "customer": s.Customer, "email": s.customer.Email, "items": len(s.Items)})
	}
	out["subscriptions"] = rows
	rows = nil
	for _, h := range w.panel.hostings[max(0, len(w.panel.hostings)-stateRows):] {
		rows = append(rows, map[string]any{"id": h.ID, "org": h.Org, "plan": h.Plan, "friendly_name": h.FriendlyName, "status": h.Status, "suspended": h.SuspendedBy != ""})
	}
	out["latest_hostings"] = rows
	rows = nil
	for _, p := range w.account.prices.sorted() {
		rows = append(rows, map[string]any{"id": p.ID, "lookup_key": p.LookupKey, "product": p.Product, "amount": p.Amount})
	}
	out["prices"] = rows
	rows = nil
	for _, p := range w.panel.plans {
		rows = append(rows, map[string]any{"id": p.ID, "name": p.Name})
	}
	out["plans"] = rows
	return out
}
