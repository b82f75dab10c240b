package page

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storyBody is the body of the page of one customer: the document of `customers show`, with
// its times for people.
type storyBody struct {
	report.Customer

	Journal  *list
	Manual   []row
	List     *list // that Manual belongs to
	Login    *reconcile.Login
	Commands []string
	At       time.Time
}

func (b storyBody) table() *list { return b.Journal }

// Time reads a time of the document.
func (storyBody) Time(text *string) time.Time {
	if text == nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, *text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// Advice is the next step for a person, by the kind of a hold.
func (storyBody) Advice(kind string) string { return reconcile.HoldKind(kind).Advice() }

// timelineRows is how many rows of the journal the page of a customer shows.
const timelineRows = 12

// journalRows is how much of the journal of a customer is read at once.
const journalRows = 500

// place is a place in the journal of a customer, which begins with the newest row: after so
// many of the rows of a moment.
type place struct {
	at    time.Time
	shown int
}

// String is a place in an address.
func (p place) String() string {
	return strconv.FormatInt(p.at.UnixMicro(), 36) + "." + strconv.Itoa(p.shown)
}

// parsePlace reads a place in an address; zero, the beginning, if it is none.
func parsePlace(text string) place {
	const mostAtOnce = 10_000
	moment, number, _ := strings.Cut(text, ".")
	micro, err := strconv.ParseInt(moment, 36, 64)
	shown, err2 := strconv.Atoi(number)
	at := time.UnixMicro(micro).UTC()
	if err != nil || err2 != nil || shown < 0 || shown > mostAtOnce || at.Year() < 1970 || at.Year() > 9999 {
		return place{}
	}
	return place{at, shown}
}

// past is the place after the next row, which is of a moment.
func (p place) past(at time.Time) place {
	if p.at.Equal(at) {
		return place{at, p.shown + 1}
	}
	return place{at, 1}
}

// after are the rows after a place, of those that begin with its moment.
func (p place) after(records []reconcile.ActionRecord) []reconcile.ActionRecord {
	for i := range records {
		if i == p.shown || !records[i].At().Equal(p.at) {
			return records[i:]
		}
	}
	return nil
}

// timeline reads the journal of a customer in parts, the newest rows first. It goes on until
// a part is full, however few rows have the text that is searched for.
func (v *visit) timeline(customer string) reading {
	search := v.query().Search
	return func(after string, limit int) (rows []row, next string, err error) {
		for at := parsePlace(after); ; {
			f := reconcile.ActionFilter{Customer: customer, Until: at.at, Limit: at.shown + journalRows}
			records, err := v.ports.Journal.Actions(v.r.Context(), f)
			if err != nil {
				return nil, "", err
			}
			var full bool
			if rows, at, full = at.collect(rows, at.after(records), search, limit); full {
				return rows, at.String(), nil
			}
			if len(records) < f.Limit {
				return rows, "", nil
			}
		}
	}
}

// collect adds the rows of records that have the text, and returns the place behind the last
// record that it looked at. full: there is one more than the limit, which begins the next part.
func (p place) collect(rows []row, records []reconcile.ActionRecord, search string, limit int) (_ []row, next place, full bool) {
	for i := range records {
		r := journalRow(&records[i])
		found := search == "" || r.contains(search)
		if found && len(rows) == limit {
			return rows, p, true
		}
		if p = p.past(records[i].At()); found {
			rows = append(rows, r)
		}
	}
	return rows, p, false
}

// customer shows one customer.
func (v *visit) customer() (any, error) {
	c, err := v.ports.Directory.CustomerStory(v.r.Context(), v.r.PathValue("id"), v.refresh)
	if err != nil {
		return nil, err
	}
	columns := []column{{Key: "customer.when", Kind: "time"}, {Key: "customer.what"}, {Key: "customer.state"}, {Key: "customer.why", Kind: "wide"}, {Key: "customer.evidence", Kind: "wide"}}
	journal, err := v.parts("customer.no_journal", columns, timelineRows, v.timeline(c.ID))
	if err != nil {
		return nil, err
	}
	body := storyBody{Customer: c, Journal: journal, Login: v.login, Commands: commandsFor(&c), At: v.server.Now()}
	body.List = &list{visit: v, Columns: []column{{Key: "holds.kind"}, {Key: "holds.reason", Kind: "wide"}, {Key: "holds.author"}, {Key: "holds.until", Kind: "time"}, {Key: "holds.change", Kind: "forms"}}}
	for _, h := range c.ManualHolds {
		until := cell{At: body.Time(h.Until)}
		if h.Until == nil {
			until = cell{Text: v.T("holds.no_end")}
		}
		body.List.Rows = append(body.List.Rows, row{{Text: h.Kind, Mark: "wait", Note: h.Subscription}, {Text: h.Reason}, {Text: h.Author}, until,
			{Forms: []form{{To: "/ui/holds/remove", Task: "hold", Name: "id", Buttons: []button{{"holds.remove", h.ID}}, Fields: map[string]string{"customer": c.ID}}}}})
	}
	return body, nil
}

// journalRow is a row of the journal: a change with its time, its reason and its evidence.
func journalRow(a *reconcile.ActionRecord) row {
	what, state, problem := shownAction(a)
	evidence := ""
	if a.Evidence != nil {
		evidence = a.Evidence.Describe()
	}
	return row{{At: a.At()}, {Text: what, Note: a.Subscription}, state, {Text: a.Reason, Note: problem}, {Text: evidence}}
}

// shownAction is how a list shows an action of the journal: the change in words, its state,
// and the error; "": there was none.
func shownAction(a *reconcile.ActionRecord) (what string, state cell, problem string) {
	what = report.Phrase(a.Action)
	if what == "" {
		what = a.Kind.String()
	}
	outside := report.ActionOf(*a)
	state = cell{Text: outside.State, Mark: "quiet"}
	switch {
	case outside.Held:
		state = cell{Text: "held", Mark: "wait"}
	case outside.State == "applied":
		state.Mark = "good"
	case outside.State == "failed":
		state.Mark = "bad"
	}
	return what, state, outside.Error
}

// commandsFor are the decisions about a customer that only the command line takes.
func commandsFor(c *report.Customer) []string {
	const reason = " --reason 'WHY'"
	var all []string
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		all = append(all, "stripe-enhance customers bind "+s.ID+" HOSTING"+reason)
		if len(s.Hostings) > 0 {
			all = append(all, "stripe-enhance customers unbind "+s.ID+reason)
		}
	}
	all = append(all, "stripe-enhance customers merge "+c.ID+" INTO"+reason)
	if c.OrgGuest {
		all = append(all, "stripe-enhance customers split "+c.ID+reason)
	}
	return all
}

// lookAgain reads the customer at both sides, shows that, and stores nothing.
func (v *visit) lookAgain() (done, error) {
	v.refresh = true
	return done{}, v.once(customerPath)
}

func (v *visit) retryCustomer() (done, error) {
	customer, err := v.server.Retry(v.r.Context(), v.r.PathValue("id"))
	return done{to: customerAddress(customer), text: "customer.retried"}, err
}

// holdCustomer puts a hold on the customer, or on one of its subscriptions.
func (v *visit) holdCustomer() (done, error) {
	id := v.r.PathValue("id")
	h, problem := v.newHold()
	if h.Subscription = v.field("subscription"); h.Subscription == "" {
		h.Customer = id
	}
	if problem == "" {
		problem = h.Problem(v.server.Now())
	}
	if problem != "" {
		return done{}, v.mistaken(customerPath, "hold", problem)
	}
	if h.Subscription != "" {
		if err := v.isOf(id, h.Subscription); err != nil {
			return done{}, err
		}
	}
	if err := v.server.AddHold(v.r.Context(), h); err != nil {
		return done{}, v.refused(customerPath, "hold", err)
	}
	return done{to: customerAddress(id), text: "holds.added"}, nil
}

// isOf is an error if a subscription is not one of a customer: the form of its page offers
// none but those.
func (v *visit) isOf(customer, subscription string) error {
	all, err := v.ports.Customers.ByID(v.r.Context(), customer)
	if err != nil {
		return err
	}
	for i := range all {
		for j := range all[i].Subscriptions {
			if all[i].Subscriptions[j].ID == subscription {
				return nil
			}
		}
	}
	return v.mistaken(customerPath, "hold", v.T("customer.not_its", subscription))
}

// loginLink makes a one-time link into the panel, and shows it once.
func (v *visit) loginLink() (done, error) {
	reason, problem := v.reason(true)
	owner := v.field("owner")
	if problem == "" && strings.ContainsFunc(owner, func(r rune) bool { return r < ' ' }) {
		problem = v.T("form.text_refused")
	}
	if problem != "" {
		return done{}, v.mistaken(customerPath, "login", problem)
	}
	link, err := v.server.Login(v.r.Context(), v.r.PathValue("id"), reconcile.LoginRequest{Owner: owner, Author: v.author(), Reason: reason})
	switch {
	case errors.Is(err, fault.Denied):
		return done{}, v.mistaken(customerPath, "login", v.T("customer.login_denied"))
	case err != nil:
		return done{}, v.refused(customerPath, "login", err)
	}
	v.login = &link
	return done{}, v.once(customerPath)
}

// renameOrg stores the name that the organisation is to have.
func (v *visit) renameOrg() (done, error) {
	reason, problem := v.reason(false)
	if problem != "" {
		return done{}, v.mistaken(customerPath, "rename", problem)
	}
	id := v.r.PathValue("id")
	if err := v.server.Rename(v.r.Context(), id, v.field("name"), reason, v.author()); err != nil {
		return done{}, v.refused(customerPath, "rename", err)
	}
	return done{to: customerAddress(id), text: "customer.renamed"}, nil
}

// Question is how an answer to what support staff ask begins.
func (v *visit) Question(name string) string {
	if text := v.T("question." + name); text != "" {
		return text
	}
	return name
}

// StatusMark is the mark of the status of a subscription, or of the state of a hosting.
func (v *visit) StatusMark(word string) string {
	switch word {
	case "active", "trialing":
		return "good"
	case "past_due", "unpaid", "suspended", "missing", "deleted":
		return "bad"
	default:
		return "quiet"
	}
}
