package page

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	thePlanPath  = "/ui/plans/" + thePlan
	theStoryPath = "/ui/customers/" + theCustomer
)

// formOf is a form of the page that is filled in rightly, with its effect.
type formOf struct {
	path   string
	fields []string
	did    string // the first thing that it does; "": nothing
	to     string // where it leads; "": it shows its page once
	admin  bool   // a support key may not
}

func formsOfPeople() []formOf {
	return []formOf{
		{path: thePlanPath + "/approve", fields: []string{"version", "3"}, did: "approve 0123456789abcdef 3 admin key", to: thePlanPath, admin: true},
		{path: thePlanPath + "/reject", fields: []string{"version", "3", "reason", "no"}, did: "reject 0123456789abcdef 3 admin key", to: thePlanPath, admin: true},
		{path: theStoryPath + "/rename", fields: []string{"name", "La Ștefan", "reason", "new owner"}, did: "rename " + theCustomer + " La Ștefan admin key", to: theStoryPath, admin: true},
		{path: theStoryPath + "/retry", did: "retry " + theCustomer, to: theStoryPath},
		{path: theStoryPath + "/hold", fields: []string{"kind", "ignore", "reason", "a dispute"}, did: "hold " + theCustomer + " ignore", to: theStoryPath},
		{path: theStoryPath + "/hold", fields: []string{"subscription", "sub_1NqOther", "kind", "no-suspend", "reason", "promised", "until", "2026-12-24"}, did: "hold sub_1NqOther no-suspend", to: theStoryPath},
		{path: theStoryPath + "/login", fields: []string{"reason", "a call"}, did: "login " + theCustomer},
		{path: theStoryPath + "/look"},
		{path: "/ui/holds/add", fields: []string{"on", "sub_1", "kind", "no-suspend", "reason", "promised"}, did: "hold sub_1 no-suspend", to: holdsPath},
		{path: "/ui/holds/add", fields: []string{"on", "cus_1", "kind", "keep-suspended", "reason", "a dispute", "until", "2026-11-30"}, did: "hold cus_1 keep-suspended", to: holdsPath},
		{path: "/ui/holds/remove", fields: []string{"id", "hold_a", "customer", theCustomer}, did: "unhold hold_a", to: theStoryPath},
		{path: "/ui/holds/remove", fields: []string{"id", "hold_a", "customer", "//evil.example"}, did: "unhold hold_a", to: holdsPath},
		{path: "/ui/failing/retry", fields: []string{"id", "cus_001"}, did: "retry cus_001", to: failingPath},
		{path: "/ui/failing/retry-all", fields: []string{"kind", reconcile.SameFailure("enhance: GET /orgs: 500 internal")}, did: "retry cus_002", to: failingPath},
	}
}

func TestEachFormDoesWhatItSaysForWhoMay(t *testing.T) {
	for _, f := range formsOfPeople() {
		for _, key := range []string{adminKey, supportKey} {
			h := newHouse(t, usual)
			p := h.signedIn(key)
			if got := p.post(f.path, f.fields...); got.status != http.StatusForbidden {
				t.Errorf("%s without the token: %d", f.path, got.status)
			}
			if did := h.done(); did != nil {
				t.Errorf("%s without the token did %q", f.path, did)
			}
			got := p.change(f.path, f.fields...)
			did := strings.Join(h.done(), "\n")
			switch {
			case f.admin && key == supportKey:
				if got.status != http.StatusForbidden || did != "" {
					t.Errorf("%s with a support key: %d, did %q", f.path, got.status, did)
				}
			case f.to == "" && (got.status != http.StatusOK || !strings.HasPrefix(did, f.did)),
				f.to != "" && (got.status != http.StatusSeeOther || got.header.Get("Location") != f.to || !strings.HasPrefix(did, f.did)):
				t.Errorf("%s %q: %d to %q, did %q; want %q to %q\n%.200s", f.path, f.fields, got.status, got.header.Get("Location"), did, f.did, f.to, got.text)
			}
		}
	}
}

// TestAMistakeInAFormIsNamedAndKeepsWhatWasTyped: the page of the form comes again.
func TestAMistakeInAFormIsNamedAndKeepsWhatWasTyped(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	for _, c := range []struct {
		path   string
		fields []string
		status int
		parts  []string
	}{
		{thePlanPath + "/approve", nil, 422, []string{"does not name the version"}},
		{thePlanPath + "/approve", []string{"version", "0"}, 422, []string{"does not name the version"}},
		{thePlanPath + "/approve", []string{"version", "2"}, 409, []string{"version 2 of it does not wait", "Approve this version"}},
		{thePlanPath + "/reject", []string{"version", "3", "reason", "  "}, 422, []string{"The reason is missing"}},
		{thePlanPath + "/reject", []string{"version", "2", "reason", "bank holiday"}, 409, []string{"it is at version 3", `value="bank holiday"`}},
		{thePlanPath + "/reject", []string{"version", "3", "reason", strings.Repeat("x", 501)}, 422, []string{"Texts must be short"}},
		{"/ui/holds/add", []string{"on", "ana@x.example", "kind", "ignore", "reason", "typed"}, 422, []string{"is an e-mail", `value="typed"`, `value="ana@x.example"`, `<option value="ignore" selected>`}},
		{"/ui/holds/add", []string{"on", "cus_1", "kind", "what", "reason", "typed"}, 422, []string{"the kind of a hold is", `value="cus_1"`}},
		{"/ui/holds/add", []string{"on", "cus_1", "kind", "ignore", "reason", ""}, 422, []string{"The reason is missing"}},
		{"/ui/holds/add", []string{"on", "", "kind", "ignore", "reason", "typed"}, 422, []string{"exactly one of the two is needed"}},
		{"/ui/holds/add", []string{"on", "cus_1", "kind", "ignore", "reason", "typed", "until", "tomorrow"}, 422, []string{"“tomorrow” is not a day", `value="tomorrow"`}},
		{"/ui/holds/add", []string{"on", "cus_1", "kind", "ignore", "reason", "typed", "until", "2026-11-29"}, 422, []string{"which is past"}},
		{theStoryPath + "/hold", []string{"kind", "ignore", "reason", "typed", "until", "x"}, 422, []string{"is not a day", `value="typed"`}},
		{theStoryPath + "/hold", []string{"kind", "ignore", "reason", "typed", "subscription", "sub_of_another"}, 422, []string{"sub_of_another is no subscription of this customer"}},
		{theStoryPath + "/login", []string{"reason", "", "owner", "ana@x.example"}, 422, []string{"The reason is missing", `value="ana@x.example"`}},
		{theStoryPath + "/rename", []string{"name", "  ", "reason", "typed"}, 409, []string{"must be a short name", `value="typed"`}},
		{"/ui/plans/0000000000000000/approve", []string{"version", "1"}, 404, []string{"There is no such page"}},
		{"/ui/customers/cus_none/login", []string{"reason", "a call"}, 404, []string{"There is no such page"}},
		{"/ui/holds/remove", []string{"id", "none"}, 404, []string{"There is no such page"}},
		{"/ui/failing/retry", []string{"id", "none"}, 404, []string{"There is no such page"}},
	} {
		h.done()
		got := p.change(c.path, c.fields...)
		for _, part := range c.parts {
			if got.status != c.status || !strings.Contains(got.text, part) {
				t.Errorf("%s %.60q: %d, want %d with %q in\n%.3000s", c.path, c.fields, got.status, c.status, part, got.text)
			}
		}
		for _, did := range h.done() {
			if !strings.HasPrefix(did, "unhold none") {
				t.Errorf("%s %q did %q", c.path, c.fields, did)
			}
		}
	}
	h.loginFail = reconcile.InstructionRefused("organisation x has 2 owners: choose one")
	if got := p.change(theStoryPath+"/login", "reason", "a call"); got.status != http.StatusConflict || !strings.Contains(got.text, "choose one") {
		t.Errorf("two owners: %d", got.status)
	}
	h.loginFail = fault.Wrap(fault.Denied, errors.New("403"))
	if got := p.change(theStoryPath+"/login", "reason", "a call"); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.text, "Enhance refused") {
		t.Errorf("a token that may not: %d", got.status)
	}
}

// TestTwoPeopleApproveAtOnce: the second one reads who was first, and nothing is done twice.
func TestTwoPeopleApproveAtOnce(t *testing.T) {
	h := newHouse(t, usual)
	people := []*person{h.person(), h.person()}
	got := make(chan answer, 2)
	for i, p := range people {
		p.post(signInPath, "key", adminKey, "person", []string{"Ana", "Ben"}[i])
		token := p.token()
		go func() { got <- p.post(thePlanPath+"/approve", "version", "3", "token", token) }()
	}
	first, second := <-got, <-got
	if first.status != http.StatusSeeOther {
		first, second = second, first
	}
	if first.status != http.StatusSeeOther || second.status != http.StatusConflict || !strings.Contains(second.text, "it was already approved by ") {
		t.Errorf("%d, and %d: %s", first.status, second.status, second.text)
	}
	if did := h.done(); len(did) != 1 {
		t.Errorf("did %q", did)
	}
	if strings.Contains(second.text, "/approve") {
		t.Error("the plan can be approved once more")
	}
}

// TestOneApprovesAndOneRejectsAtOnce: one of the two counts, and the other one reads which.
func TestOneApprovesAndOneRejectsAtOnce(t *testing.T) {
	h := newHouse(t, usual)
	type decided struct {
		answer

		to string
	}
	got := make(chan decided, 2)
	for name, to := range map[string]string{"Ana": "/approve", "Ben": "/reject"} {
		p := h.person()
		p.post(signInPath, "key", adminKey, "person", name)
		token := p.token()
		go func() {
			got <- decided{p.post(thePlanPath+to, "version", "3", "reason", "the bank was down", "token", token), to}
		}()
	}
	first, second := <-got, <-got
	if first.status != http.StatusSeeOther {
		first, second = second, first
	}
	want := map[string]string{"/approve": "it was already approved by Ana (admin key", "/reject": "it was already rejected at "}[first.to]
	if first.status != http.StatusSeeOther || second.status != http.StatusConflict || !strings.Contains(second.text, want) {
		t.Errorf("%s: %d, and %s: %d without %q: %s", first.to, first.status, second.to, second.status, want, second.text)
	}
	if did := h.done(); len(did) != 1 || !strings.HasPrefix(did[0], strings.TrimPrefix(first.to, "/")) {
		t.Errorf("%s came first; did %q", first.to, did)
	}
	if strings.Contains(second.text, thePlanPath+"/approve") || strings.Contains(second.text, thePlanPath+"/reject") {
		t.Error("a plan that was decided has a form for another decision")
	}
}

// TestALoginLinkIsShownOnceAndNowhereElse: it is a credential.
func TestALoginLinkIsShownOnceAndNowhereElse(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	got := p.change(theStoryPath+"/login", "reason", "a call")
	if !strings.Contains(got.text, `href="https://panel.example.com/sso?otp=once"`) || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q", got.status, got.header)
	}
	for _, path := range []string{theStoryPath, theStoryPath + "?format=csv"} {
		if again := p.get(path); strings.Contains(again.text, "otp=once") {
			t.Errorf("%s shows the link again", path)
		}
	}
	for _, c := range p.cookies {
		if strings.Contains(c, "otp") {
			t.Error("the link is in a cookie")
		}
	}
}

func TestASupportKeySeesAPlanAndNoButtonForIt(t *testing.T) {
	h := newHouse(t, usual)
	if got := h.signedIn(supportKey).get(thePlanPath); got.status != http.StatusOK || strings.Contains(got.text, "/approve") || strings.Contains(got.text, "/reject") ||
		!strings.Contains(got.text, "cus_000") {
		t.Errorf("support: %d", got.status)
	}
	if got := h.signedIn(adminKey).get(thePlanPath); !strings.Contains(got.text, thePlanPath+"/approve") || !strings.Contains(got.text, `name="version" value="3"`) {
		t.Errorf("admin: %d", got.status)
	}
}

// linkOf is the address of a link of a page, "" if the page has none.
func linkOf(text, rel string) string {
	before, _, ok := strings.Cut(text, `" rel="`+rel+`"`)
	if !ok {
		return ""
	}
	return strings.ReplaceAll(before[strings.LastIndex(before, `href="`)+len(`href="`):], "&amp;", "&")
}

// rowsOf are the rows of the last table of a page.
func rowsOf(text string) string {
	_, body, _ := strings.Cut(text[strings.LastIndex(text, "<tbody"):], ">")
	body, _, _ = strings.Cut(body, "</tbody>")
	return body
}

// TestAListThatTheDatabaseCutsHasAWayBack: each page leads to the very page before it, whose
// address anyone who may look can open.
func TestAListThatTheDatabaseCutsHasAWayBack(t *testing.T) {
	h := newHouse(t, usual)
	p, other := h.signedIn(supportKey), h.signedIn(adminKey)
	for _, path := range []string{customersPath, thePlanPath, failingPath, withheldPath, withheldPath + "?kind=grace", customersPath + "?search=cus_0", theStoryPath, theStoryPath + "?search=unpaid"} {
		var pages []string
		for next := path; next != "" && len(pages) < 20; next = linkOf(p.get(next).text, "next") {
			pages = append(pages, next)
		}
		if len(pages) < 2 || linkOf(p.get(path).text, "prev") != "" {
			t.Fatalf("%s: %d pages, or one before the first", path, len(pages))
		}
		for i := len(pages) - 1; i > 0; i-- {
			if got := linkOf(p.get(pages[i]).text, "prev"); got != pages[i-1] {
				t.Errorf("%s: page %d leads back to %s, want %s", path, i+1, got, pages[i-1])
			}
			if path == customersPath && rowsOf(other.get(pages[i]).text) != rowsOf(p.get(pages[i]).text) {
				t.Errorf("%s shows another person other rows", pages[i])
			}
		}
	}
	if got := p.get(customersPath + "?after=cus_050"); linkOf(got.text, "prev") != "" || !strings.Contains(got.text, `<a href="/ui/customers">First page</a>`) {
		t.Error("an address without a trail does not lead to the first page")
	}
	if got := p.get(customersPath + "?back=" + strings.Repeat("cus_001%2F", 300) + "&after=cus_050"); len(linkOf(got.text, "next")) > 2*longestTrail {
		t.Errorf("a trail without end goes on with %d bytes", len(linkOf(got.text, "next")))
	}
}

// TestListsOfPeopleHaveSearchPartsAndCSV walks each list to its end, and compares it with its
// CSV.
func TestListsOfPeopleHaveSearchPartsAndCSV(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for path, want := range map[string]int{customersPath: 120, thePlanPath: 120, failingPath: 48, withheldPath: 240, withheldPath + "?kind=grace": 120, plansPath: 1, holdsPath: 60,
		customersPath + "?search=cus_007": 1, thePlanPath + "?search=CUS_01": 10, theStoryPath: 70} {
		shown, next, pages := 0, path, 0
		for ; next != "" && pages < 20; pages++ {
			got := p.get(next)
			shown += strings.Count(rowsOf(got.text), `<tr role="row">`)
			next = linkOf(got.text, "next")
		}
		mark := "?"
		if strings.Contains(path, "?") {
			mark = "&"
		}
		csv := p.get(path + mark + "format=csv")
		if lines := strings.Count(csv.text, "\n") - 1; shown != want || lines != want || csv.status != http.StatusOK {
			t.Errorf("%s: %d on %d pages, %d in the CSV (%d), want %d", path, shown, pages, lines, csv.status, want)
		}
	}
	if got := p.get(customersPath + "?search=nothing+like+it"); !strings.Contains(got.text, "Nothing here contains “nothing like it”") {
		t.Error("an empty search has no sentence")
	}
	if got := p.get(thePlanPath + "?amounts=yes"); !strings.Contains(got.text, "EUR\u00a01,234.50") || !strings.Contains(got.text, "the price is metered") {
		t.Error("no amounts")
	}
}

// TestATimelineGoesBackToItsFirstRow: it has more rows than are read at once, many of them of
// one moment, and the search finds the last one.
func TestATimelineGoesBackToItsFirstRow(t *testing.T) {
	h := newHouse(t, usual)
	row := h.journal[0]
	h.journal = nil
	for i := range 2*journalRows + 60 {
		row.Key, row.Reason = fmt.Sprint("key", i), fmt.Sprintf("row-%04d", i)
		row.FinishedAt = t0.Add(-time.Duration(i/40*40) * time.Minute) // forty at once
		h.journal = append(h.journal, row)
	}
	p := h.signedIn(supportKey)
	var shown []string
	pages := 0
	for next := theStoryPath; next != "" && pages < 100; pages++ {
		got := p.get(next)
		shown = append(shown, regexp.MustCompile(`row-\d{4}`).FindAllString(regexp.MustCompile(`title="[^"]*"`).ReplaceAllString(rowsOf(got.text), ""), -1)...)
		next = linkOf(got.text, "next")
	}
	for i, one := range shown {
		if one != h.journal[i].Reason {
			t.Fatalf("row %d is %s", i, one)
		}
	}
	if len(shown) != len(h.journal) {
		t.Errorf("%d rows on %d pages, want %d", len(shown), pages, len(h.journal))
	}
	if got := p.get(theStoryPath + "?search=row-1059"); !strings.Contains(rowsOf(got.text), "row-1059") || linkOf(got.text, "next") != "" {
		t.Error("the search does not find the first row")
	}
	for _, odd := range []string{"x", "zzzzzzzzzzzz.1", "-1.1", "1.-1", "1.99999999", "9999999999999999999999.1", ".", "1"} {
		if got := p.get(theStoryPath + "?after=" + odd); got.status != http.StatusOK {
			t.Errorf("%q: %d", odd, got.status)
		}
	}
}

func TestAnEmptyCompanyHasASentenceOnEachList(t *testing.T) {
	h := newHouse(t, nil)
	p := h.signedIn(adminKey)
	for path, want := range map[string]string{customersPath: "The database has no customer yet", plansPath: "No held plan waits", failingPath: "Nothing has failed", withheldPath: "Nothing is withheld", holdsPath: "Nobody has put a hold"} {
		if got := p.get(path); got.status != http.StatusOK || !strings.Contains(got.text, want) {
			t.Errorf("%s: %d without %q", path, got.status, want)
		}
	}
	h.fail = errors.New("sqlite: disk I/O error at /secret/place")
	for _, path := range []string{customersPath, plansPath, failingPath, withheldPath, holdsPath, thePlanPath, theStoryPath} {
		if got := p.get(path); got.status != http.StatusServiceUnavailable || strings.Contains(got.text, "/secret/place") {
			t.Errorf("%s without a database: %d", path, got.status)
		}
	}
}
