package page

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// axe is vendored: testdata/axe-core has it with its licence, and `make assets` updates it.
var axe = func() string {
	text, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// violations is an expression for what axe finds on the page, a line each.
const violations = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html.slice(0, 200)).join(" | ")).join("\n"))`

// signIn begins a session of a tab.
func (h *house) signIn(tab *browser.Tab, key string) {
	h.tb.Helper()
	tab.Open(h.url + "/")
	tab.Type("input[name=key]", key)
	if status := tab.Submit("main button"); status != http.StatusOK {
		h.tb.Fatalf("sign-in: %d", status)
	}
}

// faults are the errors of the page that a tab shows.
func faults(tab *browser.Tab) []string {
	all := tab.Complaints()
	if browser.Eval[bool](tab, `document.documentElement.scrollWidth > document.documentElement.clientWidth`) {
		all = append(all, "the page scrolls to the side: "+browser.Eval[string](tab, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 160)).join(" | ")`))
	}
	if moved := browser.Eval[string](tab, shifts); moved != "" {
		all = append(all, "this moves while the page loads: "+moved)
	}
	return all
}

// shifts is an expression for what has moved while the page was loaded, a line each.
const shifts = `new Promise(done => {
	const moved = [];
	new PerformanceObserver(list => {
		for (const e of list.getEntries()) moved.push(e.value + ": " + e.sources.map(s => (s.node && (s.node.outerHTML || s.node.data) || "").slice(0, 120)).join(" | "));
	}).observe({type: "layout-shift", buffered: true});
	requestAnimationFrame(() => setTimeout(() => done(moved.join("\n")), 0));
})`

// barriers lists all that axe finds on the page that a tab shows.
func barriers(tab *browser.Tab) []string {
	tab.Do(chromedp.Evaluate[chromedp.Void](axe()))
	found := browser.Eval[string](tab, violations)
	tab.Complaints() // of axe itself
	if found == "" {
		return nil
	}
	return []string{found}
}

// faultsIn are both. axe takes most of the time, so it looks at each page once in each look:
// in which language does not matter to it.
func faultsIn(tab *browser.Tab, language int, look browser.Look) []string {
	all := faults(tab)
	if language == 0 && !look.Phone || language == 1 && look.Phone {
		all = append(all, barriers(tab)...)
	}
	return all
}

// TestEveryPageInABrowser opens each page of the table in every language and look.
func TestEveryPageInABrowser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	for _, path := range append(opened(), "/ui/none") {
		for i, l := range languages {
			for _, look := range browser.Looks {
				tab.Look(look)
				tab.Open(h.url + withParameter(path, languageCookie, l))
				if got := browser.Eval[string](tab, `document.documentElement.lang`); got != l {
					t.Errorf("%s is in %q, want %q", path, got, l)
				}
				for _, fault := range faultsIn(tab, i, look) {
					if path == "/ui/none" && strings.Contains(fault, "404") {
						continue
					}
					t.Errorf("%s (%s, %s): %s", path, l, look.Name, fault)
				}
				tab.Picture(nameOf(path) + "-" + l + "-" + look.Name)
			}
		}
	}
}

// TestPagesWithNothingOnThemInABrowser: those of a company that is new, and those whose figures
// are still being counted.
func TestPagesWithNothingOnThemInABrowser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.is = server.Figures{Counting: true}
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	for _, path := range opened() {
		if path == thePlanPath || path == theStoryPath || strings.HasPrefix(path, "/ui/runs/") {
			continue // there is none
		}
		for i, look := range []browser.Look{browser.Looks[0], browser.Looks[2]} {
			tab.Look(look)
			tab.Open(h.url + withParameter(path, languageCookie, languages[i]))
			for _, fault := range faultsIn(tab, i, look) {
				t.Errorf("%s (%s): %s", path, look.Name, fault)
			}
			tab.Picture("empty-" + nameOf(path) + "-" + look.Name)
		}
	}
}

// TestTheSignInInABrowser signs in, with a wrong key first, and out.
func TestTheSignInInABrowser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	tab := browser.New(t)
	for i, l := range languages {
		for _, look := range browser.Looks {
			tab.Look(look)
			tab.Open(h.url + signInPath + "?language=" + l)
			for _, fault := range faultsIn(tab, i, look) {
				t.Errorf("sign-in (%s, %s): %s", l, look.Name, fault)
			}
			tab.Picture("sign-in-" + l + "-" + look.Name)
		}
	}
	tab.Open(h.url + "/ui/holds?language=en")
	tab.Type("input[name=key]", "wrong")
	if status := tab.Submit("main button"); status != http.StatusUnauthorized {
		t.Errorf("a wrong key: %d", status)
	}
	if got := tab.Text("[role=alert]"); got != "This is not one of the configured keys." {
		t.Errorf("a wrong key: %q", got)
	}
	tab.Complaints() // the browser complains of 401
	tab.Type("input[name=key]", supportKey)
	tab.Type("input[name=person]", "Ana")
	if status := tab.Submit("main button"); status != http.StatusOK {
		t.Errorf("a right key: %d", status)
	}
	if got := tab.Text("h1"); got != "Holds" {
		t.Errorf("the sign-in leads to %q", got)
	}
	tab.Submit(".choices form button")
	tab.Open(h.url + "/ui/holds")
	if got := tab.Text("h1"); got != "Sign in" {
		t.Errorf("after the sign-out: %q", got)
	}
	if all := tab.Complaints(); all != nil {
		t.Errorf("complaints: %q", all)
	}
}

// TestTheBackButtonShowsNothingAfterTheSignOut: the browser keeps no copy of a private page.
func TestTheBackButtonShowsNothingAfterTheSignOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	for _, path := range []string{theStoryPath, thePlanPath, customersPath} {
		tab.Open(h.url + path)
	}
	tab.Submit(".choices form button")
	for i := range 3 {
		tab.Do(chromedp.NavigateBack())
		if got := tab.Text("main"); strings.Contains(got, "cus_") || strings.Contains(got, "@") || tab.Text("h1") != "Sign in" {
			t.Errorf("%d steps back after the sign-out: %.200s", i+1, got)
		}
	}
}

// TestASessionThatEndedLeadsBackToItsPage: by a link and by a form, when it was idle and after
// a day; nothing is done before the sign-in.
func TestASessionThatEndedLeadsBackToItsPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	again := func(what, want string) {
		t.Helper()
		if got := tab.Text("h1"); got != "Sign in" {
			t.Errorf("%s: %q", what, got)
		}
		tab.Type("input[name=key]", adminKey)
		tab.Submit("main button")
		if got := browser.Eval[string](tab, `location.pathname + location.search`); got != want {
			t.Errorf("%s: the sign-in leads to %s, want %s", what, got, want)
		}
	}
	const search = customersPath + "?search=cus_007"
	for what, pass := range map[string]func(){
		"idle": func() { h.later(idleLimit) },
		"a day": func() {
			const step = idleLimit - time.Minute
			for at := step; at < absoluteLimit; at += step {
				h.later(step)
				tab.Open(h.url + "/ui/settings")
			}
			h.later(step)
		},
	} {
		pass()
		tab.Open(h.url + search)
		again(what, search)
		tab.Open(h.url + theStoryPath)
		h.later(absoluteLimit)
		tab.Submit(`form[action$="/retry"] button`)
		again(what+", a form", theStoryPath)
	}
	if did := h.done(); did != nil {
		t.Errorf("without a session: %q", did)
	}
}

// TestALinkElsewhereLeadsToTheSignIn: the first answer to a visit from elsewhere loads the
// page once more, and once only.
func TestALinkElsewhereLeadsToTheSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	ticket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><link rel="icon" href="data:,"><a href="%s/ui/holds?search=ana">a ticket</a>`, h.url)
	}))
	defer ticket.Close()
	tab := browser.New(t)
	tab.Open(ticket.URL)
	tab.Do(chromedp.Click(chromedp.CSS("a")), chromedp.WaitVisible(chromedp.CSS("input[name=key]")))
	tab.Type("input[name=key]", adminKey)
	tab.Submit("main button")
	if got := browser.Eval[string](tab, `location.pathname + location.search`); got != "/ui/holds?search=ana" {
		t.Errorf("the link leads to %s", got)
	}
}

// focus is an expression for the element that has the focus: its name, and whether it can be
// seen that it has the focus.
const focus = `(() => {
	const e = document.activeElement, again = e === window.focusedBefore, s = getComputedStyle(e), box = e.getBoundingClientRect();
	window.focusedBefore = e;
	return {
		Again: again, // a date has a field for its day, its month and its year
		Name: e.tagName + " " + (e.getAttribute("href") || e.getAttribute("name") || e.textContent).trim(),
		Body: e === document.body,
		Seen: box.width > 0 && box.right > 0 && (s.outlineStyle !== "none" && s.outlineWidth !== "0px" || s.boxShadow !== "none"),
	};
})()`

// focused is the value of focus.
type focused struct {
	Name              string
	Again, Body, Seen bool
}

// reachable is an expression for how many elements a keyboard has to reach.
const reachable = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")].filter(e => e.getClientRects().length > 0).length`

// TestEveryPageIsUsedByKeyboard walks through each page by the Tab key: everything that can
// be clicked gets the focus once, and shows it.
func TestEveryPageIsUsedByKeyboard(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	tab.Look(browser.Looks[0])
	for _, path := range opened() {
		tab.Open(h.url + path)
		want := browser.Eval[int](tab, reachable)
		seen := 0
		for seen <= want {
			tab.Press(kb.Tab)
			at := browser.Eval[focused](tab, focus)
			if at.Body {
				break
			}
			if !at.Again {
				seen++
			}
			if !at.Seen {
				t.Errorf("%s: the focus on %q cannot be seen", path, at.Name)
			}
		}
		if seen != want {
			t.Errorf("%s: the Tab key reaches %d elements, want %d", path, seen, want)
		}
	}
	tab.Open(h.url + "/")
	tab.Press(kb.Tab)
	if at := browser.Eval[focused](tab, focus); at.Name != "A #main" {
		t.Errorf("the first key leads to %q, and not past the menu", at.Name)
	}
	tab.Press(kb.Enter)
	if got := browser.Eval[string](tab, `document.activeElement.id`); got != "main" {
		t.Errorf("past the menu is %q", got)
	}
}

// TestEveryPageIsPrinted: on paper there are no menu and no buttons, and nothing is cut.
func TestEveryPageIsPrinted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	tab.Look(browser.Look{Width: 794, Height: 1123, Print: true}) // A4 at 96 dpi
	for _, path := range opened() {
		tab.Open(h.url + path)
		if browser.Eval[int](tab, `[...document.querySelectorAll("header, button, input, nav")].filter(e => e.getClientRects().length > 0).length`) > 0 {
			t.Errorf("%s: the menu or a button is printed", path)
		}
		if !browser.Eval[bool](tab, `document.querySelector("main h1").getClientRects().length > 0`) {
			t.Errorf("%s: the page itself is not printed", path)
		}
		for _, fault := range faults(tab) {
			t.Errorf("%s: %s", path, fault)
		}
		tab.Picture(nameOf(path) + "-print")
	}
}

// inParts is the body of a page that comes slowly, tag by tag, so that the browser paints it
// before its end is there.
type inParts struct {
	io.Closer

	rest []byte
}

func (p *inParts) Read(buffer []byte) (int, error) {
	const size = 2500
	end := len(p.rest)
	if i := bytes.IndexByte(p.rest[min(size, end):], '>'); i >= 0 {
		end = size + i + 1
	}
	n := copy(buffer, p.rest[:end])
	if p.rest = p.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	time.Sleep(60 * time.Millisecond)
	return n, nil
}

// TestAPageThatComesInPartsDoesNotMove: what is painted first stays where it is, and as wide.
func TestAPageThatComesInPartsDoesNotMove(t *testing.T) {
	t.Parallel()
	h := newHouse(t, usual)
	to, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	slow := httputil.NewSingleHostReverseProxy(to)
	slow.FlushInterval = -1 // at once
	slow.ModifyResponse = func(r *http.Response) error {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			page, err := io.ReadAll(r.Body)
			r.Body = &inParts{r.Body, page}
			return err
		}
		return nil
	}
	listening := httptest.NewServer(slow)
	defer listening.Close()
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	for _, look := range []browser.Look{browser.Looks[0], browser.Looks[2], {Width: 794, Height: 1123, Print: true}} {
		tab.Look(look)
		for _, path := range opened() {
			tab.Open(listening.URL + path)
			for _, fault := range faults(tab) {
				t.Errorf("%s (%s): %s", path, look.Name, fault)
			}
		}
	}
}

// nameOf is the name of the pictures of a page.
func nameOf(path string) string {
	name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-").Replace(path), "-")
	if name == "" {
		return "today"
	}
	return strings.TrimPrefix(name, "ui-")
}

// withParameter is a path with one more parameter.
func withParameter(path, name, value string) string {
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	return path + mark + name + "=" + value
}
