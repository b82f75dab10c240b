package page

import (
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// visit is one request of a person, with everything that handlers and templates need.
type visit struct {
	*Page
	words

	w http.ResponseWriter
	r *http.Request

	who     server.Keyholder
	session session // zero: not signed in
	theme   string  // light, dark; "": that of the browser

	// Of a form that is shown once more, see again.
	typed         url.Values
	form, problem string
	// refresh makes the story of a customer be read at both sides, and login is a link that
	// was just made.
	refresh bool
	login   *reconcile.Login
	most    int // characters of a text that others have written; 0: all
}

// Short is a text as a page that would become too long shows it.
func (v *visit) Short(text string) string {
	if v.most == 0 || utf8.RuneCountInString(text) <= v.most {
		return text
	}
	return string([]rune(text)[:v.most-1]) + "…"
}

// Shortens reports whether long texts are shortened.
func (v *visit) Shortens() bool { return v.most > 0 }

// The cookies of choices. They hold nothing that would be worth protecting.
const (
	languageCookie = "language"
	themeCookie    = "theme"
	choiceAge      = 365 * 24 * 60 * 60
	flashAge       = 60
)

var themes = []string{"light", "dark"}

func (p *Page) newVisit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{Page: p, w: w, r: r}
	v.words = wordsFor(cookieOf(r, languageCookie), r.Header.Get("Accept-Language"))
	if c := cookieOf(r, themeCookie); c == themes[0] || c == themes[1] {
		v.theme = c
	}
	return v
}

func cookieOf(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// choose stores a choice of language or theme (?language=ro, ?theme=dark), and leads to the
// same address without it. It reports whether there was one.
func (v *visit) choose() bool {
	q := v.r.URL.Query()
	if v.r.Method != http.MethodGet || !q.Has(languageCookie) && !q.Has(themeCookie) {
		return false
	}
	for _, name := range []string{languageCookie, themeCookie} {
		if q.Has(name) {
			v.setCookie(name, choice(name, q.Get(name)), choiceAge)
			q.Del(name)
		}
	}
	http.Redirect(v.w, v.r, (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).RequestURI(), http.StatusSeeOther)
	return true
}

// choice is a value that was chosen, or "" if there is no such one.
func choice(name, value string) string {
	all := themes
	if name == languageCookie {
		all = languages
	}
	for _, one := range all {
		if one == value {
			return one
		}
	}
	return ""
}

// setCookie sets a cookie that scripts and other sites do not get. Its age is in seconds; 0:
// it ends with the browser, negative: now. Secure is for TLS only, because the page is also
// used over plain HTTP, on loopback and behind a tunnel.
func (v *visit) setCookie(name, value string, age int) {
	http.SetCookie(v.w, &http.Cookie{Name: name, Value: value, MaxAge: age, Path: "/", HttpOnly: true, //nolint:gosec // see above
		SameSite: http.SameSiteStrictMode, Secure: server.OverTLS(v.r)})
}

// Link is the address of this page with some parameters changed; an empty value takes one
// away. They come as names and values.
func (v *visit) Link(change ...string) string {
	q := v.r.URL.Query()
	for i := 0; i+1 < len(change); i += 2 {
		if q.Del(change[i]); change[i+1] != "" {
			q.Set(change[i], change[i+1])
		}
	}
	return (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).RequestURI()
}

// PathTo is the path of the page of a template, with its ids filled in; "": there is no such
// page, or the key may not open it.
func (v *visit) PathTo(template string, ids ...string) string { return v.pathTo(template, ids...) }

func (v *visit) pathTo(template string, ids ...string) string {
	for _, row := range pages() {
		if row.template != template || !v.who.May(row.task) {
			continue
		}
		path := row.path
		for _, id := range ids {
			path = strings.Replace(strings.Replace(path, "{id}", url.PathEscape(id), 1), "{id...}", url.PathEscape(id), 1)
		}
		return path
	}
	return ""
}

// May reports whether the key is good for a task, by its name in templates.
func (v *visit) May(task string) bool {
	return v.who.May(map[string]server.Task{"look": server.Look, "retry": server.Retry, "hold": server.Hold, "login": server.Login,
		"approve": server.Approve, "map": server.Map, "rename": server.Rename}[task])
}

// author is the name of the person for the journal: the key, with the name that was given at
// the sign-in, because several people may share a key.
func (v *visit) author() string {
	if v.session.person == "" {
		return v.who.Name
	}
	return v.session.person + " (" + v.who.Name + ")"
}

// note is a text that is shown once, on the page that follows a change.
type note struct {
	Key  string
	Args []any
}

// flash stores the text of a change for the next page. It is sealed, so that another site
// cannot have a text of its own shown.
func (v *visit) flash(d done) {
	if d.text == "" {
		return
	}
	text, err := json.Marshal(note{d.text, d.args})
	if err != nil {
		return // a text is all that is lost
	}
	sealed := base64.RawURLEncoding.EncodeToString(text) + "." + v.session.mac("flash", string(text))
	v.setCookie(v.cookieName(flashCookie), sealed, flashAge)
}

// takeFlash returns the text of the change before, and forgets it.
func (v *visit) takeFlash() string {
	value := cookieOf(v.r, v.cookieName(flashCookie))
	if value == "" || v.session.isZero() {
		return ""
	}
	v.setCookie(v.cookieName(flashCookie), "", -1)
	body, mac, _ := strings.Cut(value, ".")
	text, err := base64.RawURLEncoding.DecodeString(body)
	var n note
	if err != nil || !same(mac, v.session.mac("flash", string(text))) || json.Unmarshal(text, &n) != nil {
		return ""
	}
	return v.T(n.Key, n.Args...)
}

// view is given to a template.
type view struct {
	*visit

	Title string
	Row   page
	Body  any
	Flash string
	Wide  bool
}

func (v *visit) view(row page, body any) *view {
	out := &view{visit: v, Title: v.T(row.title), Row: row, Body: body}
	if row.template != signInPage.template {
		out.Flash = v.takeFlash()
	}
	return out
}

// Entry is a link of the menu.
type Entry struct {
	Path, Title string
	Here        bool
}

// Menu lists the pages that the key may open.
func (v *view) Menu() []Entry {
	if v.session.isZero() {
		return nil
	}
	var all []Entry
	for _, row := range pages() {
		if row.menu && v.who.May(row.task) {
			all = append(all, Entry{row.path, v.T(row.title), row.path == v.Row.path || row.path != "/" && strings.HasPrefix(v.Row.path, row.path+"/")})
		}
	}
	return all
}

// SignedIn reports whether there is a session.
func (v *visit) SignedIn() bool { return !v.session.isZero() }

// Author is the name in the journal.
func (v *visit) Author() string { return v.author() }

// Version is the version of the program.
func (v *visit) Version() string { return v.server.Version() }

// OpenKey is a key that is no secret, for the demo; "": there is none.
func (v *visit) OpenKey() string { return v.server.OpenKey() }

// Theme is the theme that was chosen; "": that of the browser.
func (v *visit) Theme() string { return v.theme }

// Choices are the languages or themes, as links.
func (v *visit) Choices(name string) []Entry {
	chosen, all := v.theme, append([]string{"auto"}, themes...)
	if name == languageCookie {
		chosen, all = v.Language(), languages
	} else if chosen == "" {
		chosen = "auto"
	}
	var out []Entry
	for _, one := range all {
		out = append(out, Entry{v.Link("format", "", name, one), v.T("choice." + one), one == chosen})
	}
	return out
}

// Asset is the address of an embedded file.
func (v *visit) Asset(name string) (string, error) { return assetAddress(name) }

// Token is the hidden field that every form needs.
func (v *visit) Token() template.HTML {
	return template.HTML(`<input type="hidden" name="token" value="` + v.session.token() + `">`) //nolint:gosec // hexadecimal digits
}
