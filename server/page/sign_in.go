package page

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/server"
)

const (
	signInPath  = "/ui/sign-in"
	signOutPath = "/ui/sign-out"
	// longestPerson is the most bytes of the name of a person at the sign-in.
	longestPerson = 60
)

// signInBody is the body of the sign-in.
type signInBody struct {
	Next, Person, Problem string
}

func (p *Page) showSignIn(w http.ResponseWriter, r *http.Request) {
	v := p.newVisit(w, r)
	if v.choose() {
		return
	}
	next := p.inside(r.URL.Query().Get("next"))
	if v.recognise() {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // inside has checked it
		return
	}
	v.render(http.StatusOK, signInPage, signInBody{Next: next})
}

// signIn begins a session if the key is right. Wrong keys are counted together with
// those of the admin API.
func (p *Page) signIn(w http.ResponseWriter, r *http.Request) {
	v := p.newVisit(w, r)
	if err := p.cross.Check(r); err != nil {
		v.renderError(http.StatusForbidden, v.T("error.forged"), "")
		return
	}
	body := signInBody{Next: p.inside(r.PostFormValue("next")), Person: strings.TrimSpace(r.PostFormValue("person"))}
	if !server.Printable(body.Person) || len(body.Person) > longestPerson {
		body.Person, body.Problem = "", v.T("sign_in.person_refused")
		v.render(http.StatusUnprocessableEntity, signInPage, body)
		return
	}
	who, wait, ok := p.server.SignIn(r, strings.TrimSpace(r.PostFormValue("key")))
	switch {
	case ok:
		v.begin(who, body.Person)
		http.Redirect(w, r, body.Next, http.StatusSeeOther)
	case wait > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		body.Problem = v.T("sign_in.too_many")
		v.render(http.StatusTooManyRequests, signInPage, body)
	default:
		body.Problem = v.T("sign_in.wrong")
		v.render(http.StatusUnauthorized, signInPage, body)
	}
}

// inside is an address of a page of this site, or / if it is anything else: a link to the
// sign-in must not lead a person to another site.
func (p *Page) inside(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.Opaque != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || path.Clean(u.Path) != u.Path {
		return "/"
	}
	to := url.URL{Path: u.Path, RawQuery: u.RawQuery}
	for _, row := range pages() {
		if _, pattern := p.mux.Handler(&http.Request{Method: http.MethodGet, URL: &to}); pattern == "GET "+exact(row.path) {
			return to.RequestURI()
		}
	}
	return "/"
}
