package simulator

import (
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params are a request's parameters, checked against those that the route accepts.
// Stripe refuses unknown ones, and so does the simulator.
type params struct {
	values url.Values // by base name; lists keep all their values
	ranges map[string]timeRange
	expand expansion
	limit  int
}

// paramError ends a handler with an answer that is ready to send.
type paramError struct{ answer answer }

func badParam(code, name, message string) *paramError {
	return &paramError{stripeError(400, code, name, message)}
}

// kinds of parameters.
type paramKind int

const (
	scalar paramKind = iota + 1
	list             // name[], name[0]
	times            // name, name[gte], name[gt], name[lt], name[lte]
)

type accepts map[string]paramKind

// paging are the parameters of every list.
var paging = accepts{"limit": scalar, "starting_after": scalar, "ending_before": scalar, "expand": list}

func (a accepts) and(more accepts) accepts {
	out := accepts{}
	maps.Copy(out, a)
	maps.Copy(out, more)
	return out
}

// parseParams reads the query. object is the type at which expand paths begin.
func parseParams(query url.Values, takes accepts, object string) (params, *paramError) {
	p := params{values: url.Values{}, ranges: map[string]timeRange{}, limit: 10}
	for _, raw := range sortedKeys(query) {
		if err := p.add(raw, query[raw], takes); err != nil {
			return p, err
		}
	}
	if err := p.checkPaging(); err != nil {
		return p, err
	}
	err := p.addExpansions(object)
	return p, err
}

// add reads one parameter by its name on the wire, such as created[gte].
func (p *params) add(raw string, values []string, takes accepts) *paramError {
	name, sub, bracket := strings.Cut(raw, "[")
	sub = strings.TrimSuffix(sub, "]")
	kind, known := takes[name]
	if !known || bracket && kind == scalar {
		return badParam("parameter_unknown", raw, "Received unknown parameter: "+raw)
	}
	last := values[len(values)-1]
	switch kind {
	case scalar:
		p.values.Set(name, last)
	case list:
		if !bracket || sub != "" && !isIndex(sub) {
			return badParam("", name, "Invalid array")
		}
		p.values[name] = append(p.values[name], values...)
	case times:
		return p.addRange(name, sub, last, raw)
	}
	return nil
}

func isIndex(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (p *params) addRange(name, op, value, raw string) *paramError {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return badParam("parameter_invalid_integer", raw, "Invalid integer: "+value)
	}
	r, ok := p.ranges[name]
	if !ok {
		r = timeRange{from: math.MinInt64}
	}
	switch op {
	case "":
		r = timeRange{from: n, to: n}
	case "gte":
		r.from = max(r.from, n)
	case "gt":
		r.from = max(r.from, n+1)
	case "lte":
		r.to = upper(r.to, n)
	case "lt":
		r.to = upper(r.to, n-1)
	default:
		return badParam("parameter_unknown", raw, "Received unknown parameter: "+raw)
	}
	p.ranges[name] = r
	return nil
}

// upper is the smaller bound, where 0 means none.
func upper(have, n int64) int64 {
	if n == 0 {
		n = -1 // before everything that exists, because 0 would mean no bound
	}
	if have == 0 {
		return n
	}
	return min(have, n)
}

func (p *params) checkPaging() *paramError {
	if v := p.values.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		switch {
		case err != nil:
			return badParam("parameter_invalid_integer", "limit", "Invalid integer: "+v)
		case n < 1:
			return badParam("parameter_invalid_integer", "limit", "This value must be greater than or equal to 1.")
		case n > 100:
			return badParam("parameter_invalid_integer", "limit", "This value must be less than or equal to 100 (it currently is '"+v+"').")
		}
		p.limit = n
	}
	if p.values.Has("starting_after") && p.values.Has("ending_before") {
		return badParam("", "", "Received both starting_after and ending_before parameters. Please pass in only one.")
	}
	return nil
}

func (p *params) addExpansions(object string) *paramError {
	for _, path := range p.values["expand"] {
		parts := strings.Split(path, ".")
		if len(parts) > 4 {
			return badParam("", "expand", "You cannot expand more than 4 levels of a property. Property: "+path)
		}
		if !canExpand(object, parts) {
			return badParam("", "expand", "This property cannot be expanded ("+path+").")
		}
		p.expand = append(p.expand, path)
	}
	p.expand = p.expand.below("data")
	if !strings.HasPrefix(object, "list:") {
		p.expand = p.values["expand"]
	}
	return nil
}

// expandable lists the properties of each object that may be expanded, and the type of
// each. "none" is always null here, but a client may ask for it.
var expandable = map[string]map[string]string{
	"subscription": {
		"customer": "customer", "latest_invoice": "invoice", "items": "list:item", "default_payment_method": "none",
		"default_source": "none", "discount": "discount", "discounts": "discount", "pending_setup_intent": "none", "schedule": "none", "test_clock": "none",
	},
	"item":     {"price": "price", "plan": "plan"},
	"plan":     {"product": "none"},
	"price":    {"product": "product", "tiers": "none", "currency_options": "none"},
	"discount": {"coupon": "coupon", "promotion_code": "none"},
	"coupon":   {"applies_to": "none"},
	"product":  {"default_price": "none"},
	"customer": {"discount": "discount", "default_source": "none", "test_clock": "none"},
	"invoice": {
		"customer": "customer", "subscription": "subscription", "charge": "none", "payment_intent": "none",
		"default_payment_method": "none",
	},
	"dispute":   {"charge": "charge", "payment_intent": "none"},
	"refund":    {"charge": "charge", "payment_intent": "none"},
	"charge":    {"customer": "customer", "invoice": "invoice"},
	"schedule":  {"customer": "customer", "phases": "phase"},
	"phase":     {"items": "phaseItem"},
	"phaseItem": {"price": "price", "plan": "plan"},
	"session": {
		"customer": "customer", "subscription": "subscription", "invoice": "none", "payment_intent": "none",
		"setup_intent": "none", "payment_link": "none",
	},
}

func canExpand(object string, parts []string) bool {
	if len(parts) == 0 {
		return true
	}
	if element, isList := strings.CutPrefix(object, "list:"); isList {
		return parts[0] == "data" && canExpand(element, parts[1:])
	}
	next, ok := expandable[object][parts[0]]
	return ok && canExpand(next, parts[1:])
}

// expansion holds the paths to expand, relative to the current object.
type expansion []string

func (x expansion) has(name string) bool {
	return slices.ContainsFunc(x, func(p string) bool {
		return strings.HasPrefix(p, name) && (len(p) == len(name) || p[len(name)] == '.')
	})
}

// below returns the paths that continue from a property.
func (x expansion) below(name string) (out expansion) {
	for _, p := range x {
		if rest, ok := strings.CutPrefix(p, name+"."); ok {
			out = append(out, rest)
		}
	}
	return out
}

// form parses the body of a write. The body was read before, because the length of a
// chunked one is unknown.
func form(q *request) (url.Values, *paramError) {
	v, err := url.ParseQuery(string(q.Body))
	if err != nil {
		return nil, badParam("", "", "Invalid request body: it is not form-encoded.")
	}
	return v, nil
}
