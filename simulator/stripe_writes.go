package simulator

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// Stripe's limits of metadata.
const (
	metadataKeys     = 50
	metadataKeyLen   = 40
	metadataValueLen = 500
)

// replayFor is how long Stripe remembers an idempotency key at least.
const replayFor = 24 * time.Hour

// savedAnswer is the answer to a second request with the same key.
type savedAnswer struct {
	answer
	at   time.Time
	what string // method, path and body, which must be the same in the second request
}

func writeSubscription(w *World, q *request) answer {
	s, found := w.account.subs.byID[q.vars[0]]
	if !found || s.Unknown {
		return missing("subscription", q.vars[0])
	}
	return w.writeMetadata(q, s.ID, s.Metadata, func(d *doc, m map[string]string) {
		w.change(s, func() { s.Metadata = m })
		w.writeSubscription(d, s, nil, retrieved)
	})
}

func writeCustomer(w *World, q *request) answer {
	c, found := w.account.cust.byID[q.vars[0]]
	if !found || c.Deleted {
		return missing("customer", q.vars[0])
	}
	return w.writeMetadata(q, c.ID, c.Metadata, func(d *doc, m map[string]string) {
		c.Metadata = m
		w.emit("customer.updated", c.ID, "{}", func(d *doc) { w.writeCustomer(d, c, nil) })
		w.writeCustomer(d, c, nil)
	})
}

// writeMetadata is the only write that this account allows. Any other write from a
// client would change the amount that a customer pays, so it is a violation.
func (w *World) writeMetadata(q *request, id string, have map[string]string, save func(*doc, map[string]string)) answer {
	key := q.Header.Get("Idempotency-Key")
	what := q.Method + " " + q.Path + "?" + string(q.Body)
	if old, seen := w.account.replays[key]; seen && key != "" && w.now.Sub(old.at) < replayFor {
		if old.what != what {
			a := stripeError(400, "", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
			a.body = []byte(strings.Replace(string(a.body), "invalid_request_error", "idempotency_error", 1))
			return a
		}
		again := old.answer
		again.header = http.Header{"Idempotent-Replayed": {"true"}}
		return again
	}
	m, bad := w.newMetadata(q, have)
	if bad != nil {
		return bad.answer
	}
	a := ok(text(func(d *doc) { save(d, m) }))
	w.effect(Effect{Side: Stripe, Kind: "write_metadata", Object: id})
	if key != "" {
		w.account.replays[key] = savedAnswer{answer: a, at: w.now, what: what}
	}
	return a
}

// newMetadata merges as Stripe does: an empty value removes its key, and an empty
// metadata removes all keys.
func (w *World) newMetadata(q *request, have map[string]string) (map[string]string, *paramError) {
	values, bad := form(q)
	if bad != nil {
		return nil, bad
	}
	m := maps.Clone(have)
	if m == nil {
		m = map[string]string{}
	}
	for _, name := range sortedKeys(values) {
		key, inner := strings.CutPrefix(name, "metadata[")
		key, closed := strings.CutSuffix(key, "]")
		value := values.Get(name)
		switch {
		case name == "metadata" && value == "":
			clear(m)
		case name == "expand[]" || strings.HasPrefix(name, "expand["):
		case !inner || !closed:
			w.violate("stripe-write", q.Call)
			return nil, badParam("parameter_unknown", name, "Received unknown parameter: "+name)
		case len(key) > metadataKeyLen:
			return nil, badParam("", "metadata", "Metadata keys must be under 40 characters.")
		case len(value) > metadataValueLen:
			return nil, badParam("", name, "Metadata values must be under 500 characters.")
		case value == "":
			delete(m, key)
		default:
			m[key] = value
		}
	}
	if len(m) > metadataKeys {
		return nil, badParam("", "metadata", "You can have up to 50 metadata keys.")
	}
	return m, nil
}
