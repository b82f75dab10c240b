package page

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/server"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Page answers / and everything below /ui.
type Page struct {
	server    *server.Server
	ports     server.Ports
	clock     func() time.Time // of sessions
	ended     *endedSessions
	mux       *http.ServeMux
	templates map[string]*template.Template
	cross     *http.CrossOriginProtection
}

// New makes the page of a server.
func New(s *server.Server) (http.Handler, error) { return newPage(s) }

func newPage(s *server.Server) (*Page, error) {
	p := &Page{server: s, ports: s.Ports(), clock: time.Now, ended: newEndedSessions(), mux: http.NewServeMux(),
		templates: map[string]*template.Template{}, cross: http.NewCrossOriginProtection()}
	layout, err := template.ParseFS(templateFiles, "templates/layout.html", "templates/list.html", "templates/figures.html", "templates/follow.html")
	if err != nil {
		return nil, err
	}
	for _, row := range append(pages(), signInPage, errorPage) {
		t, err := layout.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+row.template+".html")
		}
		if err != nil {
			return nil, err
		}
		p.templates[row.template] = t
	}
	for _, row := range pages() {
		p.mux.Handle("GET "+exact(row.path), p.visited(func(v *visit) { v.open(row) }))
	}
	for _, row := range changes() {
		p.mux.Handle("POST "+row.path, p.visited(func(v *visit) { v.change(row) }))
	}
	p.mux.HandleFunc("GET "+signInPath, p.showSignIn)
	p.mux.HandleFunc("POST "+signInPath, p.signIn)
	p.mux.Handle("POST "+signOutPath, p.visited((*visit).signOut))
	p.mux.Handle("GET /ui/runs/{id}/progress", p.visited((*visit).followRun))
	p.mux.HandleFunc("GET "+assetPath+"{name}", serveAsset)
	return p, nil
}

// exact is the pattern of net/http for one path.
func exact(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

// policy lets a page load its own styles, scripts and pictures, and send its forms to this
// server. Inline styles and scripts do not work. data: is for the small pictures in the
// style sheet.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// ServeHTTP implements http.Handler. The headers that the server sets for every answer stay,
// but for these two.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	// With no-referrer a browser would also withhold the origin of a form.
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Add("Vary", "Cookie, Accept-Language")
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	if _, pattern := p.mux.Handler(r); pattern == "" {
		p.visited(func(v *visit) { v.fail(fault.NotFound) }).ServeHTTP(w, r)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// formLimit is the most bytes of a form.
const formLimit = 256 << 10

// visited is a handler for people who are signed in; others are sent to the sign-in.
func (p *Page) visited(do func(*visit)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := p.newVisit(w, r)
		if v.choose() {
			return
		}
		if !v.recognise() {
			v.toSignIn()
			return
		}
		do(v)
	})
}

// toSignIn sends a person who is not signed in to the sign-in, which leads back here.
func (v *visit) toSignIn() {
	if site := v.r.Header.Get("Sec-Fetch-Site"); v.r.Method == http.MethodGet && (site == "cross-site" || site == "same-site") {
		// A link on another site led here, so the browser has withheld the cookie.
		v.w.Header().Set("Refresh", "0")
		v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		v.w.WriteHeader(http.StatusOK)
		_, _ = v.w.Write([]byte("<!DOCTYPE html><title>stripe-enhance</title>")) // an error means that the client has gone
		return
	}
	to := signInPath
	if next := v.wanted(); next != "" {
		to += "?" + url.Values{"next": {next}}.Encode()
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

// wanted is the page that a person is to see after the sign-in: the one that was asked for,
// or the one with the form that was sent too late; "": that is not known.
func (v *visit) wanted() string {
	if v.r.Method == http.MethodGet {
		return v.r.URL.RequestURI()
	}
	from, err := url.Parse(v.r.Referer())
	if err != nil || from.Host != v.r.Host || v.cross.Check(v.r) != nil {
		return ""
	}
	return from.RequestURI()
}

// open shows a page of the table.
func (v *visit) open(row page) {
	if !v.who.May(row.task) {
		v.refuse()
		return
	}
	v.server.Warm()
	body, err := row.show(v)
	if err != nil {
		v.fail(err)
		return
	}
	if v.r.URL.Query().Get("format") == "csv" {
		l, ok := body.(interface{ table() *list })
		if !ok {
			v.fail(fault.NotFound)
			return
		}
		v.writeCSV(l.table(), row.template)
		return
	}
	v.render(http.StatusOK, row, body)
}

// change does a change of the table, and leads to the page that shows it.
func (v *visit) change(row change) {
	if err := v.genuine(); err != nil {
		v.renderError(http.StatusForbidden, v.T("error.forged"), "")
		return
	}
	if !v.who.May(row.task) {
		v.refuse()
		return
	}
	d, err := row.do(v)
	if a := (*again)(nil); errors.As(err, &a) {
		v.showAgain(a)
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.flash(d)
	http.Redirect(v.w, v.r, d.to, http.StatusSeeOther)
}

func (v *visit) refuse() { v.renderError(http.StatusForbidden, v.T("error.support"), "") }

// mistake is a mistake of the person, as a sentence for it.
type mistake string

func (m mistake) Error() string { return string(m) }

// fail shows an error of a handler with the status that its kind demands. The details of an
// error of the database or of a side go into the log.
func (v *visit) fail(err error) {
	var m mistake
	switch {
	case errors.As(err, &m):
		v.renderError(http.StatusUnprocessableEntity, v.T("error.mistake"), string(m))
	case errors.Is(err, fault.NotFound):
		v.renderError(http.StatusNotFound, v.T("error.not_found"), "")
	case errors.Is(err, fault.Conflict):
		v.renderError(http.StatusConflict, v.T("error.conflict"), strings.TrimPrefix(err.Error(), "store: "))
	default:
		v.server.Failed(v.r, err)
		v.renderError(http.StatusServiceUnavailable, v.T("error.unavailable"), "")
	}
}

// failure is the body of the page for errors.
type failure struct{ Summary, Detail string }

func (v *visit) renderError(status int, summary, detail string) {
	v.render(status, errorPage, failure{summary, detail})
}

// mostBytes is how long a page may become before its long texts are shortened, and mostShown
// to how many characters, one after another until they are short enough; 0: not at all.
const mostBytes = 19_500

var mostShown = []int{0, 160, 80, 48, 32, 20, 12}

// render writes a whole page. It is complete before the status is sent, so that an error in
// a template becomes a 500 and not half a page.
func (v *visit) render(status int, row page, body any) {
	var text bytes.Buffer
	shown := v.view(row, body)
	for _, v.most = range mostShown {
		text.Reset()
		if err := v.templates[row.template].ExecuteTemplate(&text, "layout", shown); err != nil {
			v.server.Failed(v.r, err)
			http.Error(v.w, "Internal error", http.StatusInternalServerError)
			return
		}
		if text.Len() <= mostBytes {
			break
		}
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Length", strconv.Itoa(text.Len())) // so it leaves in one piece
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text.Bytes()) // an error means that the client has gone
}
