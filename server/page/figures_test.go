package page

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/server"
)

// walked are the pages with figures of a walk over all customers.
var walked = []string{"/ui/forecast", "/ui/report", "/ui/mappings/unmapped"}

func TestFiguresSayAsOfWhenTheyAre(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	const behind, failed, counting = "was changed after that", "could not be counted anew", "are being counted anew"
	for _, c := range []struct {
		is   server.Figures
		want []string
	}{
		{server.Figures{}, nil},
		{server.Figures{Counting: true}, []string{counting}},
		{server.Figures{Counting: true, Behind: true}, []string{behind, counting}},
		{server.Figures{Failed: true}, []string{failed}},
	} {
		h.is = c.is
		h.is.At = t0.Add(-7 * time.Minute)
		for _, path := range walked {
			got := p.get(path)
			if !strings.Contains(got.text, "As of <time datetime=\"2026-11-30T18:38:00Z\"") {
				t.Errorf("%s gives no time", path)
			}
			for _, sentence := range []string{behind, failed, counting} {
				if want := strings.Contains(strings.Join(c.want, "|"), sentence); strings.Contains(got.text, sentence) != want {
					t.Errorf("%s, %+v: %q is there, or missing", path, c.is, sentence)
				}
			}
		}
	}
	if got := p.get("/ui/customers?search=ana").text; !strings.Contains(got, "2026-11-30T18:38:00Z") {
		t.Error("a search does not say as of when the names are")
	}
	if got := p.get("/ui/customers").text; strings.Contains(got, "2026-11-30T18:38:00Z") {
		t.Error("a list that is of now says that it is old")
	}
}

func TestAPageWhoseFiguresAreNotThereYetComesAgain(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for _, path := range walked {
		if got := p.get(path); got.header.Get("Refresh") != "" {
			t.Errorf("%s comes again although it has its figures", path)
		}
	}
	h.is = server.Figures{Counting: true}
	for _, path := range walked {
		got := p.get(path)
		if got.status != http.StatusOK || got.header.Get("Refresh") == "" || !strings.Contains(got.text, "counted for the first time") || !strings.Contains(got.text, `aria-busy="true"`) || strings.Contains(got.text, "<td") {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	if got := p.get("/ui/mappings/unmapped?format=csv"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a file without the rows: %d", got.status)
	}
	for _, path := range walked[:2] {
		if got := p.get(path + "?format=csv"); got.status != http.StatusOK || strings.Count(got.text, "\n") < 2 {
			t.Errorf("the file of %s, which is made now: %d %q", path, got.status, got.text)
		}
	}
}

// TestEveryViewHasFiguresMadeBefore: those who look at one page find the figures of another.
func TestEveryViewHasFiguresMadeBefore(t *testing.T) {
	h := newHouse(t, usual)
	stranger, p := h.person(), h.signedIn(supportKey)
	stranger.get("/")
	if h.warmed != 0 {
		t.Error("a stranger has figures made")
	}
	if p.get("/"); h.warmed != 1 {
		t.Errorf("the first view has figures made %d times", h.warmed)
	}
}

func TestALongListSaysThatItIsCut(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	h.hidden = 20_000
	for path, rows := range map[string]string{"/ui/forecast": "20,006 rows", "/ui/report": "20,002 rows"} {
		if got := p.get(path).text; !strings.Contains(got, rows) || !strings.Contains(got, "rows; counts and totals, and the CSV, have all") {
			t.Errorf("%s does not say that it is cut, or has no %s", path, rows)
		}
		if got := p.get(path + "?search=ana").text; strings.Contains(got, rows) || !strings.Contains(got, "and the CSV, have all") {
			t.Errorf("the search of %s does not say that it is cut", path)
		}
	}
}

func TestFiguresAreMadeAnewAfterAChange(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	for _, change := range [][]string{
		{"/ui/mappings/set", "price", "price_pro_monthly", "plan", "2"},
		{"/ui/mappings/remove", "price", "price_basic_monthly"},
		{"/ui/holds/add", "on", "cus_1", "kind", "no-suspend", "reason", "promised on the phone"},
		{"/ui/holds/remove", "id", "hold_a"},
		{"/ui/adoption/decide", "decision", "link", "customer", "cus_NffrFeUfNV2Hib", "subscription", "sub_1NffrF", "org", "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11", "hosting", "12", "plan", "1"},
	} {
		before := h.changed
		if got := p.change(change[0], change[1:]...); got.status != http.StatusSeeOther || h.changed != before+1 {
			t.Errorf("%s: %d, figures made anew %d times", change[0], got.status, h.changed-before)
		}
	}
}
