package enhance

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
)

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
