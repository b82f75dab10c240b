package page

import "github.com/stripe-enhance/stripe-enhance/server"

// page is a row of the table of pages.
type page struct {
	path     string // of net/http: {id} is one segment, {id...} the rest
	example  string // a path that the tests open; "": path itself
	title    string // key of a text
	template string // in templates, without .html; also the name of its CSV
	menu     bool   // it stands in the menu
	task     server.Task
	show     func(*visit) (any, error)
}

// change is a row of the table of changes.
type change struct {
	path string
	task server.Task
	do   func(*visit) (done, error)
}

// done is a change that was made.
type done struct {
	to   string // the path of the page that shows it
	text string // key of a text
	args []any  // of the text: strings and numbers
}

// pages lists every page that needs a session, in the order of the menu.
func pages() []page {
	return []page{
		{path: "/", title: "today.title", template: "today", menu: true, task: server.Look, show: (*visit).today},
		{path: "/ui/holds", title: "holds.title", template: "holds", menu: true, task: server.Look, show: (*visit).holds},
	}
}

// Paths returns one address of each page of the table, for tests and benchmarks.
func Paths() []string {
	var all []string
	for _, row := range pages() {
		path := row.example
		if path == "" {
			path = row.path
		}
		all = append(all, path)
	}
	return all
}

// changes lists every change that a form can ask for.
func changes() []change {
	return []change{
		{path: "/ui/look", task: server.Retry, do: (*visit).lookNow},
		{path: "/ui/holds/remove", task: server.Hold, do: (*visit).removeHold},
	}
}

var (
	signInPage = page{path: signInPath, title: "sign_in.title", template: "sign_in"}
	errorPage  = page{title: "error.title", template: "error"}
)
