package page

import (
	_ "embed"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
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
	tab.Do(chromedp.Evaluate[chromedp.Void](axe()))
	if found := browser.Eval[string](tab, violations); found != "" {
		all = append(all, found)
	}
	tab.Complaints() // of axe itself
	return all
}

// TestEveryPageInABrowser opens each page of the table in every language and look.
func TestEveryPageInABrowser(t *testing.T) {
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	for _, path := range append(opened(), "/ui/none") {
		for _, l := range languages {
			for _, look := range browser.Looks {
				name := strings.Trim(strings.NewReplacer("/", "-", "?", "-").Replace(path), "-")
				if name == "" {
					name = "today"
				}
				tab.Look(look)
				tab.Open(h.url + path + "?language=" + l)
				if got := browser.Eval[string](tab, `document.documentElement.lang`); got != l {
					t.Errorf("%s is in %q, want %q", path, got, l)
				}
				for _, fault := range faults(tab) {
					if path == "/ui/none" && strings.Contains(fault, "404") {
						continue
					}
					t.Errorf("%s (%s, %s): %s", path, l, look.Name, fault)
				}
				tab.Picture(strings.TrimPrefix(name, "ui-") + "-" + l + "-" + look.Name)
			}
		}
	}
}

// TestTheSignInInABrowser signs in, with a wrong key first, and out.
func TestTheSignInInABrowser(t *testing.T) {
	h := newHouse(t, usual)
	tab := browser.New(t)
	for _, l := range languages {
		for _, look := range browser.Looks {
			tab.Look(look)
			tab.Open(h.url + signInPath + "?language=" + l)
			for _, fault := range faults(tab) {
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
