package page

import "github.com/stripe-enhance/stripe-enhance/server"

const (
	plansPath     = "/ui/plans"
	planPath      = "/ui/plans/{id}"
	customersPath = "/ui/customers"
	customerPath  = "/ui/customers/{id}"
	failingPath   = "/ui/failing"
	holdsPath     = "/ui/holds"
	withheldPath  = "/ui/withheld"
)

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
		{path: plansPath, title: "plans.title", template: "plans", menu: true, task: server.Look, show: (*visit).plans},
		{path: planPath, example: "/ui/plans/0123456789abcdef", title: "plan.title", template: "plan", task: server.Look, show: (*visit).plan},
		{path: customersPath, title: "customers.title", template: "customers", menu: true, task: server.Look, show: (*visit).customers},
		{path: customerPath, example: "/ui/customers/cus_NffrFeUfNV2Hib", title: "customer.title", template: "customer", task: server.Look, show: (*visit).customer},
		{path: failingPath, title: "failing.title", template: "failing", menu: true, task: server.Look, show: (*visit).failing},
		{path: holdsPath, title: "holds.title", template: "holds", menu: true, task: server.Look, show: (*visit).holds},
		{path: withheldPath, title: "withheld.title", template: "withheld", task: server.Look, show: (*visit).withheld},
		{path: "/ui/mappings", title: "mappings.title", template: "mappings", menu: true, task: server.Look, show: (*visit).mappings},
		{path: "/ui/mappings/unmapped", title: "unmapped.title", template: "unmapped", task: server.Look, show: (*visit).unmapped},
		{path: "/ui/mappings/edit", example: "/ui/mappings/edit?price=price_basic_monthly", title: "mapping.title", template: "mapping", task: server.Map, show: (*visit).mapping},
		{path: "/ui/runs", title: "runs.title", template: "runs", menu: true, task: server.Look, show: (*visit).runs},
		{path: "/ui/runs/{id}", example: "/ui/runs/run_2", title: "run.title", template: "run", task: server.Look, show: (*visit).run},
		{path: "/ui/webhooks", title: "webhooks.title", template: "webhooks", menu: true, task: server.Look, show: (*visit).webhooks},
		{path: "/ui/forecast", title: "forecast.title", template: "forecast", menu: true, task: server.Look, show: (*visit).forecast},
		{path: "/ui/report", title: "report.title", template: "report", menu: true, task: server.Look, show: (*visit).report},
		{path: "/ui/adoption", title: "adoption.title", template: "adoption", menu: true, task: server.Look, show: (*visit).adoption},
		{path: "/ui/settings", title: "settings.title", template: "settings", menu: true, task: server.Look, show: (*visit).settings},
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
		{path: "/ui/holds/add", task: server.Hold, do: (*visit).addHold},
		{path: "/ui/holds/remove", task: server.Hold, do: (*visit).removeHold},
		{path: planPath + "/approve", task: server.Approve, do: (*visit).approvePlan},
		{path: planPath + "/reject", task: server.Approve, do: (*visit).rejectPlan},
		{path: customerPath + "/look", task: server.Retry, do: (*visit).lookAgain},
		{path: customerPath + "/retry", task: server.Retry, do: (*visit).retryCustomer},
		{path: customerPath + "/hold", task: server.Hold, do: (*visit).holdCustomer},
		{path: customerPath + "/login", task: server.Login, do: (*visit).loginLink},
		{path: customerPath + "/rename", task: server.Rename, do: (*visit).renameOrg},
		{path: failingPath + "/retry", task: server.Retry, do: (*visit).retryFailing},
		{path: failingPath + "/retry-all", task: server.Retry, do: (*visit).retryKind},
		{path: "/ui/mappings/set", task: server.Map, do: (*visit).setMapping},
		{path: "/ui/mappings/remove", task: server.Map, do: (*visit).removeMapping},
		{path: "/ui/runs/start", task: server.Retry, do: (*visit).startRun},
		{path: "/ui/adoption/compare", task: server.Retry, do: (*visit).compare},
		{path: "/ui/adoption/decide", task: server.Approve, do: (*visit).decidePair},
	}
}

var (
	signInPage = page{path: signInPath, title: "sign_in.title", template: "sign_in"}
	errorPage  = page{title: "error.title", template: "error"}
)
