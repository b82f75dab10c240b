package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// orchdVersion is what GET /version tells.
const orchdVersion = "12.3.0"

// enhanceRoutes are the operations of orchd's OpenAPI 12.3.0 that this panel
// knows, below /api. The parameters of a pattern have shorter names here than in
// the document, since fault hooks compare patterns.
var enhanceRoutes = []route{
	newRoute("GET", "/status", getStatus).openToAll(),
	newRoute("GET", "/version", getVersion).openToAll(),
	newRoute("GET", "/orgs/{org}", getOrg),
	newRoute("PATCH", "/orgs/{org}", patchOrg),
	newRoute("DELETE", "/orgs/{org}", deleteOrg),
	newRoute("GET", "/orgs/{org}/plans", listPlans).openToAll(),
	newRoute("GET", "/orgs/{org}/customers", listOrgs),
	newRoute("POST", "/orgs/{org}/customers", createOrg),
	newRoute("GET", "/orgs/{org}/customers/{customer}/subscriptions", listHostings),
	newRoute("POST", "/orgs/{org}/customers/{customer}/subscriptions", createHosting),
	newRoute("GET", "/orgs/{org}/subscriptions/{subscription}", getHosting),
	newRoute("PATCH", "/orgs/{org}/subscriptions/{subscription}", patchHosting),
	newRoute("DELETE", "/orgs/{org}/subscriptions/{subscription}", deleteHosting),
	newRoute("POST", "/orgs/{org}/invites", createInvite),
	newRoute("GET", "/orgs/{org}/members", listMembers),
	newRoute("POST", "/orgs/{org}/members", createMember),
	newRoute("PUT", "/orgs/{org}/owner", putOwner),
	newRoute("GET", "/orgs/{org}/websites", listWebsites),
	newRoute("POST", "/orgs/{org}/websites", createWebsite),
	newRoute("POST", "/logins", createLogin),
	newRoute("GET", "/login/memberships", listMemberships),
	newRoute("PUT", "/login/password-recovery", recoverPassword).openToAll(),
}

// checkEnhance holds the token, and what no client of ours may ever send. A
// wrong token is refused everywhere, a missing one only where one is needed.
func (w *World) checkEnhance(c Call, open bool) (answer, bool) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if c.Header.Get(name) != "" { // Go's transport would re-send such a POST by itself
			w.violate("idempotency-key", c)
		}
	}
	auth := c.Header.Get("Authorization")
	token, bearer := strings.CutPrefix(auth, "Bearer ")
	if !(auth == "" && open) && (!bearer || token != w.opt.EnhanceToken) {
		return enhanceErrorFor(http.StatusUnauthorized), true
	}
	if c.Query.Has("force") && c.Query.Get("force") != "false" {
		w.violate("force", c)
		return enhanceError(403, "forbidden", "", "only privileged members of the master organization may force"), true
	}
	return answer{}, false
}

// enhanceError is an error as orchd writes it.
func enhanceError(status int, code, detail, message string) answer {
	var d doc
	d.open()
	d.str("code", code)
	if detail != "" {
		d.str("detail", detail)
	}
	if message != "" {
		d.str("message", message)
	}
	d.close()
	return answer{status: status, body: d.b}
}

var enhanceCodes = map[int]string{
	400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
	409: "already_exists", 415: "unsupported_media_type", 429: "too_many_requests", 500: "internal",
}

func enhanceErrorFor(status int) answer {
	switch code, known := enhanceCodes[status]; {
	case known:
		return enhanceError(status, code, "", "")
	case status >= 500:
		return gatewayError(status)
	}
	return enhanceError(status, "error", "", http.StatusText(status))
}

// notFound is orchd's answer for a missing org, subscription, plan, …
func notFound(what string) answer { return enhanceError(404, "not_found", what, "") }

func badInput(message string) answer { return enhanceError(400, "bad_request", "", message) }

func created(body string) answer { return answer{status: 201, body: []byte(body)} }

var noContent = answer{status: 204}

// body is a request's JSON object, its fields checked one by one.
type body map[string]json.RawMessage

// readBody refuses what orchd's deserialiser would, and unknown fields, which
// it would ignore: a client that sends one believes in something untrue.
func readBody(q *request, required []string, optional ...string) (body, *answer) {
	refuse := func(a answer) (body, *answer) { return nil, &a }
	if ct := q.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		return refuse(enhanceError(400, "bad_request", "", "Content type error"))
	}
	dec := json.NewDecoder(bytes.NewReader(q.Body))
	var b body
	if err := dec.Decode(&b); err != nil || b == nil {
		return refuse(badInput("Json deserialize error: expected an object"))
	}
	if _, err := dec.Token(); err != io.EOF {
		return refuse(badInput("Json deserialize error: trailing characters"))
	}
	for _, name := range required {
		if _, there := b[name]; !there {
			return refuse(badInput("Json deserialize error: missing field `" + name + "`"))
		}
	}
	for _, name := range sortedKeys(b) {
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return refuse(badInput("Json deserialize error: unknown field `" + name + "`"))
		}
	}
	return b, nil
}

// text reads an optional string; null is as good as absent.
func (b body) text(name string) (v string, given bool, bad *answer) {
	raw, there := b[name]
	if !there || string(raw) == "null" {
		return "", false, nil
	}
	if json.Unmarshal(raw, &v) != nil {
		a := badInput("Json deserialize error: invalid type for `" + name + "`, expected a string")
		return "", false, &a
	}
	return v, true, nil
}

// number reads an optional i32. A string of digits is not a number.
func (b body) number(name string) (v int, given bool, bad *answer) {
	raw, there := b[name]
	if !there || string(raw) == "null" {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		a := badInput("Json deserialize error: invalid type: " + string(raw) + " for `" + name + "`, expected i32")
		return 0, false, &a
	}
	return int(n), true, nil
}

func (b body) flag(name string) (v, given bool, bad *answer) {
	raw, there := b[name]
	if !there || string(raw) == "null" {
		return false, false, nil
	}
	if json.Unmarshal(raw, &v) != nil {
		a := badInput("Json deserialize error: invalid type for `" + name + "`, expected a boolean")
		return false, false, &a
	}
	return v, true, nil
}

func (b body) texts(name string) (v []string, bad *answer) {
	raw, there := b[name]
	if there && json.Unmarshal(raw, &v) != nil {
		a := badInput("Json deserialize error: invalid type for `" + name + "`, expected a sequence of strings")
		return nil, &a
	}
	return v, nil
}

// slice is the part of a list that a request wants. Enhance counts offsets.
func (w *World) slice(q *request, total int) (from, to int, bad *answer) {
	limit := w.opt.MaxPage
	for _, p := range []struct {
		name string
		into *int
	}{{"offset", &from}, {"limit", &limit}} {
		v := q.Query.Get(p.name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			a := badInput("Query deserialize error: invalid " + p.name)
			return 0, 0, &a
		}
		*p.into = n
	}
	from = min(from, total)
	return from, min(total, from+min(limit, w.opt.MaxPage)), nil
}

// checkQuery refuses query parameters that the operation does not document.
func checkQuery(q *request, names ...string) *answer {
	for _, name := range sortedKeys(q.Query) {
		if name != "offset" && name != "limit" && name != "sortOrder" && !slices.Contains(names, name) {
			a := badInput("Query deserialize error: unknown field `" + name + "`")
			return &a
		}
	}
	if o := q.Query.Get("sortOrder"); o != "" && o != "asc" && o != "desc" {
		a := badInput("Query deserialize error: unknown variant `" + o + "`, expected `asc` or `desc`")
		return &a
	}
	return nil
}

func getStatus(*World, *request) answer  { return ok(`"ready"`) }
func getVersion(*World, *request) answer { return ok(quote(orchdVersion)) }
