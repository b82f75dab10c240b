package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
		{"/ui/holds", "cus_000", "cus_024", 25, []string{`href="/ui/holds?page=2"`}, []string{`rel="prev"`}},
		{"/ui/holds?page=2", "cus_025", "cus_049", 25, []string{`href="/ui/holds?page=1"`, `href="/ui/holds?page=3"`}, nil},
		{"/ui/holds?page=3", "cus_050", "cus_059", 10, []string{`href="/ui/holds?page=2"`}, []string{`rel="next"`}},
		{"/ui/holds?page=-1", "cus_000", "cus_024", 25, nil, []string{`rel="prev"`}},
		{"/ui/holds?search=CUS_01", "cus_010", "cus_019", 10, []string{"10 rows", `href="/ui/holds?format=csv&amp;search=CUS_01"`}, []string{`rel="next"`, "cus_009"}},
		{"/ui/holds?page=4", "cus_050", "cus_059", 10, []string{`href="/ui/holds?page=2"`}, []string{`rel="next"`}},
		{"/ui/holds?page=99999999999999999999", "cus_000", "cus_024", 25, nil, nil},
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
