package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// orchdVersion is the answer to GET /version.
const orchdVersion = "12.3.0"

// enhanceRoutes are the operations of orchd's OpenAPI 12.3.0 that this panel has, below
// /api. The parameters of a pattern have shorter names here than in the document,
// because fault hooks compare patterns.
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
	newRoute("GET", "/orgs/{org}/subscriptions", listOwn),
	newRoute("GET", "/orgs/{org}/subscriptions/{subscription}", getHosting),
	newRoute("PATCH", "/orgs/{org}/subscriptions/{subscription}", patchHosting),
	newRoute("DELETE", "/orgs/{org}/subscriptions/{subscription}", deleteHosting),
	newRoute("POST", "/orgs/{org}/invites", createInvite),
	newRoute("GET", "/orgs/{org}/members", listMembers),
	newRoute("POST", "/orgs/{org}/members", createMember),
	newRoute("DELETE", "/orgs/{org}/members/{member}", deleteMember),
	newRoute("GET", "/orgs/{org}/members/{member}/sso", memberLogin),
	newRoute("PUT", "/orgs/{org}/owner", putOwner),
	newRoute("GET", "/orgs/{org}/websites", listWebsites),
	newRoute("POST", "/orgs/{org}/websites", createWebsite),
	newRoute("GET", "/orgs/{org}/websites/{website}/backups", listBackups),
	newRoute("POST", "/orgs/{org}/websites/{website}/backups", createBackup),
	newRoute("GET", "/orgs/{org}/websites/{website}/apps", listApps),
	newRoute("POST", "/orgs/{org}/websites/{website}/apps", createApp),
	newRoute("GET", "/orgs/{org}/websites/{website}/mysql-dbs", listDatabases),
	newRoute("POST", "/orgs/{org}/domains/check", checkDomain),
	newRoute("POST", "/logins", createLogin),
	newRoute("GET", "/login/memberships", listMemberships),
	newRoute("PUT", "/login/password-recovery", recoverPassword).openToAll(),
}

// checkEnhance checks the token and refuses the parameters that our clients must never
// send. A wrong token is refused everywhere, a missing one only if the route needs one.
func (w *World) checkEnhance(c Call, open bool) (answer, bool) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if c.Header.Get(name) != "" { // Go's transport may send such a POST twice
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

// enhanceError is an error in orchd's format.
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

// notFound is orchd's answer if an org, subscription, plan, … is missing.
func notFound(what string) answer { return enhanceError(404, "not_found", what, "") }

func badInput(message string) answer { return enhanceError(400, "bad_request", "", message) }

func created(body string) answer { return answer{status: 201, body: []byte(body)} }

var noContent = answer{status: 204}

// body is a request's JSON object. Its fields are read one by one; the first that
// orchd would refuse sets bad, and everything read after that is zero.
type body struct {
	fields map[string]json.RawMessage
	bad    *answer
}

// readBody refuses what orchd's deserialiser would, and also unknown fields, which
// it would ignore: a client that sends one relies on an effect that does not exist.
func readBody(q *request, required []string, optional ...string) *body {
	b := &body{}
	if ct := q.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		return b.refuse("Content type error")
	}
	dec := json.NewDecoder(bytes.NewReader(q.Body))
	if err := dec.Decode(&b.fields); err != nil || b.fields == nil {
		return b.refuse("Json deserialize error: expected an object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return b.refuse("Json deserialize error: trailing characters")
	}
	for _, name := range required {
		if _, there := b.fields[name]; !there {
			return b.refuse("Json deserialize error: missing field `" + name + "`")
		}
	}
	for _, name := range sortedKeys(b.fields) {
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return b.refuse("Json deserialize error: unknown field `" + name + "`")
		}
	}
	return b
}

// refuse makes the body a bad one, unless it is so already.
func (b *body) refuse(message string) *body {
	if b.bad == nil {
		a := badInput(message)
		b.bad = &a
	}
	return b
}

// has reports whether a field was sent. Null is as good as absent.
func (b *body) has(name string) bool {
	raw, there := b.fields[name]
	return there && string(raw) != "null"
}

// read decodes an optional field into v; kind names its type in the refusal.
func (b *body) read(name, kind string, v any) {
	if b.bad == nil && b.has(name) && json.Unmarshal(b.fields[name], v) != nil {
		b.refuse("Json deserialize error: invalid type for `" + name + "`, expected " + kind)
	}
}

func (b *body) text(name string) (v string) { b.read(name, "a string", &v); return v }

func (b *body) flag(name string) (v bool) { b.read(name, "a boolean", &v); return v }

func (b *body) texts(name string) (v []string) { b.read(name, "a sequence of strings", &v); return v }

// number reads an optional i32. A string of digits is not a number.
func (b *body) number(name string) int {
	if b.bad != nil || !b.has(name) {
		return 0
	}
	raw := string(b.fields[name])
	n, err := strconv.ParseInt(raw, 10, 32)
	if err != nil {
		b.refuse("Json deserialize error: invalid type: " + raw + " for `" + name + "`, expected i32")
		return 0
	}
	return int(n)
}

// pageBounds is the part of a list that a request asks for. Enhance counts offsets in items.
func (w *World) pageBounds(q *request, total int) (from, to int, bad *answer) {
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
		if p.name == "limit" && n > w.opt.MaxPage && w.opt.RefusePage {
			a := badInput("Query deserialize error: limit is too large")
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
