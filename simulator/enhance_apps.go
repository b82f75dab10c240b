package simulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Apps is how the panel installs applications on websites. The zero value installs them in
// no time, and they work.
type Apps struct {
	Take    time.Duration // from the request to the end; the proxy does not wait for it
	Fail    bool          // an install ends with its database made and nothing else
	Denied  bool          // the token may not
	Missing bool          // the panel has no such operations
}

// SetApps changes how the panel installs applications from now on.
func (w *World) SetApps(a Apps) {
	w.enter()
	defer w.mu.Unlock()
	w.panel.apps = a
}

// App is an application on a website.
type App struct {
	ID, Kind   string
	AdminEmail string
	from       time.Time // since when the panel lists it
}

// siteOf finds the website of the path, for operations about applications and databases.
func (w *World) siteOf(q *request) (*Website, *answer) {
	switch {
	case w.panel.apps.Missing:
		a := answer{status: 404, body: []byte("Not Found"), kind: "text/plain"}
		return nil, &a
	case w.panel.apps.Denied:
		a := enhanceErrorFor(403)
		return nil, &a
	}
	return w.website(q)
}

// listApps lists the applications of a website. It has no pages.
func listApps(w *World, q *request) answer {
	s, bad := w.siteOf(q)
	if bad != nil {
		return *bad
	}
	var d doc
	d.open()
	d.array("items")
	for _, a := range s.Apps {
		if w.now.Before(a.from) {
			continue
		}
		d.open()
		d.str("id", a.ID)
		d.str("app", a.Kind)
		d.str("version", "6.8.1")
		w.writeUnknownFields(&d)
		d.close()
	}
	d.closeArray()
	d.close()
	return answer{status: 200, body: d.b}
}

// createApp installs an application. orchd makes its database first.
func createApp(w *World, q *request) answer {
	s, bad := w.siteOf(q)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"app", "adminUsername", "adminPassword", "adminEmail"}, "version", "path", "domainId")
	kind, user, password, email := b.text("app"), b.text("adminUsername"), b.text("adminPassword"), b.text("adminEmail")
	switch {
	case b.bad != nil:
		return *b.bad
	case kind != "wordpress":
		return badInput("Json deserialize error: unknown variant `" + kind + "`, expected `wordpress`")
	case user == "" || len(password) < 8:
		return badInput("the credentials of the administrator are too weak")
	case !validEmail(email):
		return badInput("invalid email address")
	case slices.ContainsFunc(s.Apps, func(a App) bool { return a.Kind == kind }):
		return badInput("the directory is not empty")
	}
	h := w.panel.hosting(s.Hosting)
	s.Databases = append(s.Databases, "wp_"+strconv.Itoa(1+len(s.Databases)))
	w.effect(Effect{Kind: "install_app", Org: s.Org, Hosting: s.Hosting, Object: s.ID, Before: h.state(), After: h.state()})
	if w.panel.apps.Fail {
		return enhanceErrorFor(500)
	}
	app := App{ID: w.uuid("app"), Kind: kind, AdminEmail: email, from: w.now.Add(w.panel.apps.Take)}
	s.Apps = append(s.Apps, app)
	if w.panel.apps.Take > 0 {
		return gatewayError(504)
	}
	return created(`{"id":` + quote(app.ID) + `}`)
}

// listDatabases lists the databases of a website. It has no pages.
func listDatabases(w *World, q *request) answer {
	s, bad := w.siteOf(q)
	if bad != nil {
		return *bad
	}
	var d doc
	d.open()
	d.array("items")
	for _, name := range s.Databases {
		d.open()
		d.str("name", name)
		d.num("size", 0)
		d.str("createdAt", stamp(s.Created))
		w.writeUnknownFields(&d)
		d.close()
	}
	d.closeArray()
	d.close()
	return answer{status: 200, body: d.b}
}

// AddDatabase is a customer who makes a database for a website, as for an application that
// the panel does not install.
func (w *World) AddDatabase(domain string) error {
	return w.onWebsite(domain, "create_database", func(s *Website, _ *Hosting) {
		s.Databases = append(s.Databases, "own_"+strconv.Itoa(1+len(s.Databases)))
	})
}

// AddApp is a customer, or staff, who installs WordPress in the panel.
func (w *World) AddApp(domain string) error {
	return w.onWebsite(domain, "install_app", func(s *Website, _ *Hosting) {
		s.Databases = append(s.Databases, "wp_"+strconv.Itoa(1+len(s.Databases)))
		s.Apps = append(s.Apps, App{ID: w.uuid("app"), Kind: "wordpress", from: w.now})
	})
}

// AppsOn names the applications on a website, one after another.
func (s *Website) AppsOn() string {
	var all []string
	for _, a := range s.Apps {
		all = append(all, a.Kind)
	}
	return strings.Join(all, ", ")
}
