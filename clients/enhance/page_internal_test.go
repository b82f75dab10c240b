package enhance

import (
	"strings"
	"testing"
)

// If a page is accepted it can be added up: it has a total, and items whose ids fit
// into paths and maps.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		`{"items":[],"total":0}`, `{"items":[{"id":1,"planId":2,"status":"active","resources":[{"name":"a","usage":1}]}],"total":1}`,
		`{"items":[{"id":"0a0a0a0a-1111-4222-8333-444444444444","createdAt":"2026-03-02T09:00:00.1Z"}],"total":7}`,
		`{"items":null,"total":null}`, `{"ITEMS":[],"Total":1e3}`, `[]`, `null`, `{}`, `{"items":[{"id":1}],"items":[],"total":1,"total":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkPage[orgWire](t, body)
		checkPage[planWire](t, body)
		checkPage[memberWire](t, body)
		checkPage[websiteWire](t, body)
		for _, s := range checkPage[subscriptionWire](t, body) {
			if h := s.hosting("o", parseTime("")); h.ID <= 0 || h.State == 0 {
				t.Errorf("a hosting %d in state %v", h.ID, h.State)
			}
		}
	})
}

func checkPage[T item](t *testing.T, body []byte) []T {
	var p pageOf[T]
	if p.decode(body) != nil {
		return nil
	}
	if p.items == nil || p.total < 0 {
		t.Errorf("accepted items %v and total %d", p.items, p.total)
	}
	for _, it := range p.items {
		if it.identity() == "" {
			t.Error("accepted an item without an id")
		}
	}
	return p.items
}

// A refusal is the panel's only if it has a code, and an error quotes it as one short
// line without the secrets.
func FuzzRefusal(f *testing.F) {
	f.Add(`{"code":"already_exists","detail":"domain"}`)
	f.Add(`{"code":"x","detail":{"a":1}}`)
	f.Add("<html>")
	f.Add(`{"code":"hunter2\n\u0007","detail":"hunter2"}`)
	f.Fuzz(func(t *testing.T, body string) {
		r, ok := refusalOf(answer{body: []byte(body)})
		if ok && r.code == "" {
			t.Error("a refusal without a code")
		}
		for _, told := range []string{printable(r.code, []string{"hunter2"}), printable(r.detail, []string{"hunter2"})} {
			if strings.Contains(told, "hunter2") || strings.ContainsAny(told, "\n\r\x07") || len([]rune(told)) > 121 {
				t.Errorf("told %q", told)
			}
		}
	})
}
