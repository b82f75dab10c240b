package page

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TestAPageWithLongTextsStaysShort: no page is longer than 20,000 bytes, however long names and
// reasons are; what is shortened is whole in the file.
func TestAPageWithLongTextsStaysShort(t *testing.T) {
	h := newHouse(t, hostile)
	for i := range 300 {
		a := h.actions[len(h.actions)-1]
		a.ID, a.Run = fmt.Sprintf("create_subscription/sub_%d/1", i), "run_2"
		h.actions = append(h.actions, a)
	}
	for i := range h.manual {
		h.manual[i].Customer = theCustomer // an id is never long
	}
	for i := range 300 {
		h.dated = append(h.dated, h.dated[0])
		h.dated[len(h.dated)-1].At = t0.AddDate(0, 1, i%30)
	}
	slices.SortStableFunc(h.dated, func(a, b reconcile.ForecastEntry) int { return a.At.Compare(b.At) })
	for range 30 {
		h.runs, h.webhooks, h.mapped = append(h.runs, h.runs[1]), append(h.webhooks, h.webhooks[3]), append(h.mapped, h.mapped[0])
		h.suggestions, h.pairs = append(h.suggestions, h.suggestions[0]), append(h.pairs, h.pairs[0])
	}
	p := h.signedIn(adminKey)
	const most = 20_000
	for _, path := range append(opened(), "/ui/forecast?month=2026-12") {
		for _, language := range languages {
			p.cookies[languageCookie] = language
			if got := p.get(path); len(got.text) >= most {
				t.Errorf("%s (%s): %d bytes", path, language, len(got.text))
			}
		}
	}
	p.cookies[languageCookie] = "en"
	const remark = "Long texts are shortened here"
	if got := p.get("/ui/runs/run_2").text; !strings.Contains(got, "…") || !strings.Contains(got, remark) || !strings.Contains(got, "ana@example.com") {
		t.Error("the page of a run does not say that it shortens")
	}
	if got := p.get("/ui/runs/run_2?format=csv").text; strings.Contains(got, "…") || strings.Count(got, strings.Repeat("W", 300)) < 600 {
		t.Error("the file of a run has shortened texts")
	}
	usually := newHouse(t, usual).signedIn(adminKey)
	for _, path := range opened() {
		if got := usually.get(path); strings.Contains(got.text, remark) {
			t.Errorf("%s shortens usual texts", path)
		}
	}
}

// TestEachListIsAFileWhereItStands: each page with a table has a link to its file.
func TestEachListIsAFileWhereItStands(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	lists := 0
	for _, path := range opened() {
		text := p.get(path).text
		if !strings.Contains(text, `<table role="table">`) {
			continue
		}
		lists++
		got := p.get(path + "?format=csv")
		if !strings.Contains(text, `<a href="`+path+`?format=csv">CSV</a>`) || got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") || strings.Count(got.text, "\n") < 2 {
			t.Errorf("%s has no file: %d %.80s", path, got.status, got.text)
		}
	}
	if lists < 14 {
		t.Errorf("%d pages have a list", lists)
	}
}

func TestAListHasPagesWithStableAddresses(t *testing.T) {
	h := newHouse(t, nil)
	for i := range 60 {
		h.manual = append(h.manual, reconcile.ManualHold{ID: fmt.Sprintf("hold_%d", i), Customer: fmt.Sprintf("cus_%03d", i), Kind: reconcile.Ignore})
	}
	p := h.signedIn(supportKey)
	for _, c := range []struct {
		path        string
		first, last string
		rows        int
		links       []string
		not         []string
	}{
		{"/ui/holds", "cus_000", "cus_014", 15, []string{`href="/ui/holds?page=2"`}, []string{`rel="prev"`}},
		{"/ui/holds?page=2", "cus_015", "cus_029", 15, []string{`href="/ui/holds?page=1"`, `href="/ui/holds?page=3"`}, nil},
		{"/ui/holds?page=4", "cus_045", "cus_059", 15, []string{`href="/ui/holds?page=3"`}, []string{`rel="next"`}},
		{"/ui/holds?page=-1", "cus_000", "cus_014", 15, nil, []string{`rel="prev"`}},
		{"/ui/holds?search=CUS_01", "cus_010", "cus_019", 10, []string{"10 rows", `href="/ui/holds?format=csv&amp;search=CUS_01"`}, []string{`rel="next"`, "cus_009"}},
		{"/ui/holds?page=5", "cus_045", "cus_059", 15, []string{`href="/ui/holds?page=3"`}, []string{`rel="next"`}},
		{"/ui/holds?page=99999999999999999999", "cus_000", "cus_014", 15, nil, nil},
	} {
		text := p.get(c.path).text
		if n := strings.Count(text, `data-label="Kind"`); n != c.rows || !strings.Contains(text, c.first) || !strings.Contains(text, c.last) {
			t.Errorf("%s: %d rows, or not those from %s to %s", c.path, n, c.first, c.last)
		}
		for _, link := range c.links {
			if !strings.Contains(text, link) {
				t.Errorf("%s has no %s", c.path, link)
			}
		}
		for _, link := range c.not {
			if strings.Contains(text, link) {
				t.Errorf("%s has %s", c.path, link)
			}
		}
	}
	if text := p.get("/ui/holds?search=nobody").text; !strings.Contains(text, "Nothing here contains “nobody”.") {
		t.Error("an empty search gives no reason")
	}
}
