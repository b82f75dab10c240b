package enhance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

const (
	// objectLimit and listLimit bound an answer: an object of the panel is some
	// kilobytes, a page of a hundred some hundreds of them.
	objectLimit = 1 << 20
	listLimit   = 16 << 20
	// longestWait is the longest pause that a Retry-After can ask for.
	longestWait = 5 * time.Minute
)

// answer is the panel's response.
type answer struct {
	status int // 0: there was no answer
	header http.Header
	body   []byte
	cut    error // why the body could not be read to its end
}

// readAll reads a body up to limit. A longer one is an error, not a shorter body.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return body, err
	case int64(len(body)) > limit:
		return nil, errTooLarge
	}
	return body, nil
}

// refusal is the panel's own error object.
type refusal struct{ code, detail string }

// refusalOf parses the error object. It returns false for anything that is not clearly
// the panel's: HTML, an empty body, JSON without a code, a body that broke off.
func refusalOf(a answer) (refusal, bool) {
	if a.cut != nil {
		return refusal{}, false
	}
	var wire struct {
		Code   string          `json:"code"`
		Detail json.RawMessage `json:"detail"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("{")) || json.Unmarshal(a.body, &wire) != nil || wire.Code == "" {
		return refusal{}, false
	}
	r := refusal{code: wire.Code}
	_ = json.Unmarshal(wire.Detail, &r.detail) // a detail of another type is no detail
	return r, true
}

// kindOf classifies a refusal in the panel's own format. definite is false if the
// status is not documented as a refusal.
func (c call) kindOf(status int, r refusal) (kind fault.Kind, definite bool) {
	switch status {
	case http.StatusUnauthorized:
		return fault.Denied, true
	case http.StatusForbidden:
		if c.takenBy(status, r) {
			return fault.Conflict, true
		}
		return fault.Denied, true
	case http.StatusNotFound:
		return c.missing(r)
	case http.StatusConflict:
		return fault.Conflict, true
	case http.StatusBadRequest, http.StatusMethodNotAllowed,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		if c.takenBy(status, r) {
			return fault.Conflict, true
		}
		return fault.Permanent, true
	}
	return fault.Unknown, false
}

// missing classifies a 404: it is fault.NotFound only if it is about the object asked
// for.
func (c call) missing(r refusal) (fault.Kind, bool) {
	switch {
	case r.code != "not_found":
		return fault.Unknown, false
	case c.object == "":
		return fault.Permanent, true
	case r.detail == "" || r.detail == c.object:
		return fault.NotFound, true
	}
	// The call also needs something else, such as the plan, and that is gone.
	return fault.Conflict, true
}

// takenBy recognises a domain that the panel already has: detail "domain" with 403 or
// 409, whatever the code, or with already_exists and any status. A 400 about a domain
// without that code means that the domain cannot exist.
func (c call) takenBy(status int, r refusal) bool {
	if c.route != routeWebsites || r.detail != "domain" {
		return false
	}
	return status == http.StatusForbidden || status == http.StatusConflict || r.code == "already_exists"
}

// failed turns an answer into an error.
func (c *Client) failed(at call, a answer, kind fault.Kind, cause error) error {
	e := &Error{Method: at.method, Path: at.path, Status: a.status, Err: cause}
	if r, ok := refusalOf(a); ok && a.status >= http.StatusBadRequest {
		secrets := append([]string{c.token.Reveal()}, at.secrets...)
		e.Code, e.Detail = printable(r.code, secrets), printable(r.detail, secrets)
		if at.takenBy(a.status, r) {
			e.Err = errDomainTaken
		}
	}
	switch {
	case a.status == http.StatusUnauthorized:
		e.Hint = hintToken
	case a.status == http.StatusForbidden && !DomainTaken(e):
		e.Hint = hintRole
	case a.status == http.StatusNotFound && kind == fault.Permanent:
		e.Hint = hintOrg
	case a.status >= 300 && a.status < 400:
		e.Hint = hintMoved
	}
	return fault.Wrap(kind, e)
}

// retryAfter is how long the panel asks to be spared requests, between 1 s and
// longestWait; 0 if the header is missing or makes no sense.
func (a answer) retryAfter(now time.Time) time.Duration {
	wait, ok := ratelimit.RetryAfter(a.header, now, longestWait)
	if !ok {
		return 0
	}
	return max(time.Second, wait)
}

// decode parses a whole body into out: one JSON value of the right shape and nothing
// after it. Unknown fields are ignored, because every release of the panel adds some.
func decode(body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("not the documented JSON: %s", jsonProblem(err))
	}
	return nil
}

// stringInto accepts a JSON string that is not empty.
func stringInto(s *string) func([]byte) error {
	return func(body []byte) error {
		if err := decode(body, s); err != nil {
			return err
		}
		if *s == "" {
			return errors.New("the answer is empty")
		}
		return nil
	}
}

// jsonProblem describes an error of encoding/json without quoting the body.
func jsonProblem(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := t.Field
		if where == "" {
			where = "the answer"
		}
		return fmt.Sprintf("%s is a %s", where, firstWord(t.Value))
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("no JSON at byte %d", s.Offset)
	}
	return "no JSON"
}

// firstWord is "number" of "number 1e99": the kind of the value without the value.
func firstWord(s string) string {
	word, _, _ := bytes.Cut([]byte(s), []byte(" "))
	return string(word)
}

// Error is one call that did not succeed, in words for a person; the fault kind around
// it is for the program. It holds no body, query, token or password.
type Error struct {
	Method string
	Path   string // below the API's root, with ids
	Status int    // 0: there was no answer
	Code   string // the panel's own, such as already_exists
	Detail string // the panel's own, such as domain
	Hint   string // what a person can do, if that is known
	Err    error  // the problem of the connection or the body; may be nil
}

// Error is "enhance: PATCH /orgs/…/subscriptions/42: 502 Bad Gateway".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "enhance: %s %s", e.Method, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %s", strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status))))
	}
	switch {
	case e.Code != "" && e.Detail != "":
		fmt.Fprintf(&b, " (%s: %s)", e.Code, e.Detail)
	case e.Code != "":
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is lets the breaker distinguish a refused token from an org that may not be touched.
func (e *Error) Is(target error) bool {
	return target == breaker.ErrCredential && e.Status == http.StatusUnauthorized
}

// DomainTaken reports that a website could not be created because the panel already has
// that domain somewhere. Such an error is a fault.Conflict too.
func DomainTaken(err error) bool { return errors.Is(err, errDomainTaken) }

var (
	errDomainTaken = errors.New("the domain is taken")
	errTooLarge    = errors.New("the answer is larger than any such answer can be")
	errStranger    = errors.New("something in front of the panel answered")
	errNoID        = errors.New("the answer has no id")
	errNotEmpty    = errors.New("the answer has a body where none is documented")
)

const (
	hintToken = "the token is wrong, expired, or locked to another address"
	hintRole  = "the role of the token does not allow this, or it belongs to another organisation"
	hintOrg   = "the panel does not know the selling organisation; check its id and that this is the right panel"
	hintMoved = "the panel redirects; configure the URL at which it answers itself"
)

// withoutURL takes the request's URL, and with it the query, out of an error of
// net/http. Error names the method and path itself.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// printable makes a text of the panel fit for an error: one short printable line
// without the secrets, because a careless panel might echo them.
func printable(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return clip(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}

// clip shortens a text that comes from outside.
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
