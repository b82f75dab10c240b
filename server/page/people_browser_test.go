package page

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
)

// TestRetryAndHoldInABrowser does what support does all day, with the mouse and with the
// keyboard.
func TestRetryAndHoldInABrowser(t *testing.T) {
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, supportKey)
	does := func(what, want string) {
		t.Helper()
		if did := strings.Join(h.done(), "\n"); !strings.HasPrefix(did, want) {
			t.Errorf("%s: did %q, want %q", what, did, want)
		}
	}
	shows := func(what, selector, want string) {
		t.Helper()
		if got := tab.Text(selector); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}

	tab.Open(h.url + failingPath)
	tab.Submit(`tbody tr:first-child button`)
	shows("retry", ".flash", "cus_001 is tried again now.")
	does("retry", "retry cus_001")
	tab.Submit(`.kinds li:first-child button`)
	shows("retry all", ".flash", "Customers that are tried again now: ")
	does("retry all", "retry cus_0")

	tab.Open(h.url + customersPath)
	tab.Type("input[type=search]", "cus_007")
	tab.Submit(".search button")
	shows("search", "tbody", "ana.popescu+7@")
	tab.Open(h.url + theStoryPath)
	if browser.Eval[bool](tab, `document.querySelector("form[action$='/rename'], form[action$='/approve']") !== null`) {
		t.Error("support sees a form that it may not send")
	}
	tab.Submit(`form[action$="/retry"] button`)
	shows("retry on the story", ".flash", "The customer is tried again now.")
	does("retry on the story", "retry "+theCustomer)
	tab.Do(chromedp.SendKeys(chromedp.CSS(`form[action$="/hold"] input[name=reason]`), "promised on the phone"))
	tab.Submit(`form[action$="/hold"] button`)
	shows("hold", ".flash", "The hold is in force.")
	does("hold", "hold "+theCustomer+" no-suspend support key")

	tab.Open(h.url + holdsPath)
	shows("the list of holds", "tbody tr:first-child", "promised on the phone")
	tab.Submit(`tbody tr:first-child button`)
	shows("lift", ".flash", "The hold is removed.")
	does("lift", "unhold hold_")
	tab.Type(`form.deed input[name=on]`, "ana@x.example")
	tab.Type(`form.deed input[name=reason]`, "typed")
	if status := tab.Submit(`form.deed button`); status != http.StatusUnprocessableEntity {
		t.Errorf("a mistake: %d", status)
	}
	shows("a mistake", "[role=alert]", "is an e-mail")
	if got := browser.Eval[string](tab, `document.querySelector("form.deed input[name=reason]").value`); got != "typed" {
		t.Errorf("what was typed: %q", got)
	}
	does("a mistake", "")
	tab.Complaints() // the browser complains of 422
	for _, fault := range faults(tab) {
		t.Errorf("a form with a mistake: %s", fault)
	}
	tab.Open(h.url + theStoryPath)
	tab.Submit(`form[action$="/look"] button`)
	shows("look again", ".flash.wait", "is active at Stripe now and is stored as past_due")
	tab.Do(chromedp.SendKeys(chromedp.CSS(`form[action$="/login"] input[name=reason]`), "a call"))
	tab.Submit(`form[action$="/login"] button`)
	shows("login", ".login", "Open the panel")
	for _, fault := range faults(tab) {
		t.Errorf("the login link: %s", fault)
	}
	tab.Picture("login-link")
}
