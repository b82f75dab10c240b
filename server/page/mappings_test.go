package page

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
)

func TestAPriceIsMappedByTheForm(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	got := p.change("/ui/mappings/set", "price", " price_pro_monthly ", "plan", "2", "grace_period", "24h", "php_version", "8.3")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/mappings" {
		t.Fatalf("%d %s", got.status, got.text)
	}
	if did := h.done(); len(did) != 1 || !strings.HasPrefix(did[0], "map price_pro_monthly 2 php_version php83, grace_period 24h admin key ") {
		t.Errorf("%q", did)
	}
	if got := p.get("/ui/mappings"); !strings.Contains(got.text, "price_pro_monthly buys plan 2 from now on.") {
		t.Error("the page does not show what was done")
	}
	got = p.change("/ui/mappings/set", "price", "price_basic_monthly", "plan", "none")
	if did := h.done(); got.status != http.StatusSeeOther || len(did) != 1 || !strings.HasPrefix(did[0], "map price_basic_monthly none  admin key ") {
		t.Errorf("not hosting: %d %q", got.status, did)
	}
}

func TestAFormWithAMistakeKeepsWhatWasTyped(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	for what, c := range map[string]struct {
		plan, grace, wants string
	}{
		"an option that cannot be": {"2", "soon", "grace_period"},
		"an unknown plan":          {"9", "24h", "the panel has no plan 9"},
		"no plan":                  {"", "24h", "A mapping needs a price and a plan."},
		"options of none":          {"none", "24h", "has no options"},
	} {
		got := p.change("/ui/mappings/set", "price", "price_typed", "plan", c.plan, "grace_period", c.grace, "server_group", "")
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.text, c.wants) {
			t.Errorf("%s: %d %s", what, got.status, got.text)
		}
		for _, kept := range []string{`value="price_typed"`, `name="grace_period" value="` + c.grace + `"`} {
			if !strings.Contains(got.text, kept) {
				t.Errorf("%s: the form has lost %s", what, kept)
			}
		}
	}
	if did := h.done(); did != nil {
		t.Errorf("a mistake did %q", did)
	}
}

func TestAMappingThatCannotBeCheckedIsSavedAndSaysSo(t *testing.T) {
	h := newHouse(t, usual)
	h.silent = errSilent
	p := h.signedIn(adminKey)
	if got := p.change("/ui/mappings/set", "price", "price_x", "plan", "2"); got.status != http.StatusSeeOther {
		t.Fatalf("%d", got.status)
	}
	if got := p.get("/ui/mappings"); !strings.Contains(got.text, "no answer from Stripe") {
		t.Error("the page hides that Stripe was not asked")
	}
}

func TestTheFormOfAMappingIsForAdmins(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for _, path := range []string{"/ui/mappings", "/ui/mappings/unmapped"} {
		if got := p.get(path); got.status != http.StatusOK || strings.Contains(got.text, "/ui/mappings/edit") || strings.Contains(got.text, "/ui/mappings/remove") {
			t.Errorf("%s: %d, and support is offered a change", path, got.status)
		}
	}
	if got := p.get("/ui/mappings/edit"); got.status != http.StatusForbidden {
		t.Errorf("the form: %d", got.status)
	}
	admin := h.signedIn(adminKey)
	if got := admin.post("/ui/mappings/set", "price", "price_x", "plan", "2"); got.status != http.StatusForbidden {
		t.Errorf("without the token: %d", got.status)
	}
	if got := admin.change("/ui/mappings/remove", "price", "other"); got.status != http.StatusNotFound {
		t.Errorf("a mapping that is gone: %d", got.status)
	}
	h.done()
}

// TestMapAPriceInABrowser goes from the list of prices without a mapping to the new mapping.
func TestMapAPriceInABrowser(t *testing.T) {
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	tab.Open(h.url + "/ui/mappings/unmapped?language=en")
	tab.Submit("td.forms a")
	if got := browser.Eval[string](tab, `document.querySelector("select[name=plan]").value`); got != "2" {
		t.Errorf("the suggested plan is not chosen: %q", got)
	}
	tab.Type("input[name=grace_period]", "soon")
	if status := tab.Submit("main form button"); status != http.StatusUnprocessableEntity {
		t.Errorf("a mistake: %d", status)
	}
	tab.Complaints() // the browser complains of 422
	for _, fault := range faults(tab) {
		t.Error(fault)
	}
	tab.Picture("mapping-mistake")
	browser.Eval[bool](tab, `document.querySelector("input[name=grace_period]").value = "24h", true`)
	if status := tab.Submit("main form button"); status != http.StatusOK {
		t.Errorf("the form: %d", status)
	}
	if got := tab.Text(".flash"); got != "price_pro_monthly buys plan 2 from now on." {
		t.Errorf("%q", got)
	}
	if did := h.done(); len(did) != 1 || !strings.HasPrefix(did[0], "map price_pro_monthly 2 grace_period 24h") {
		t.Errorf("%q", did)
	}
}
