package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// contract is the served document, and what of it was seen in real answers.
type contract struct {
	document *openapi3.T

	mu   sync.Mutex      // guards seen
	seen map[string]bool // "GET /api/health 200"
}

func readContract(t *testing.T, s *service) *contract {
	t.Helper()
	d, err := openapi3.NewLoader().LoadFromData([]byte(s.call(http.MethodGet, "/api/openapi.json", "").body))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &contract{document: d, seen: map[string]bool{}}
}

// operations are all "METHOD /path" of the document.
func (c *contract) operations() (all []string) {
	for path, item := range c.document.Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// check holds an answer to the document.
func (c *contract) check(t *testing.T, operation string, got answer) {
	t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	item := c.document.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		t.Errorf("%s is not documented", operation)
		return
	}
	response := item.GetOperation(method).Responses.Status(got.status)
	if response == nil {
		t.Errorf("%s: the answer %d is not documented: %s", operation, got.status, got.body)
		return
	}
	c.mu.Lock()
	c.seen[fmt.Sprintf("%s %d", operation, got.status)] = true
	c.mu.Unlock()
	for _, header := range []string{"X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "Referrer-Policy", "Cache-Control"} {
		if got.header.Get(header) == "" {
			t.Errorf("%s %d: no %s", operation, got.status, header)
		}
	}
	if strings.Contains(got.body, canary) {
		t.Errorf("%s %d: a secret is in %s", operation, got.status, got.body)
	}
	media, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	content := response.Value.Content.Get(media)
	if content == nil {
		t.Errorf("%s %d: the type %q is not documented", operation, got.status, media)
		return
	}
	if media != "application/json" || content.Schema == nil {
		return
	}
	var value any
	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		t.Errorf("%s %d: %v in %s", operation, got.status, err, got.body)
		return
	}
	if err := content.Schema.Value.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.EnableFormatValidation()); err != nil {
		t.Errorf("%s %d: %v\n%s", operation, got.status, err, got.body)
	}
}

// ask sends a request as an operator and holds the answer to the document.
func (c *contract) ask(t *testing.T, s *service, want int, operation, path, body string, headers ...string) answer {
	t.Helper()
	method, _, _ := strings.Cut(operation, " ")
	if headers == nil {
		headers = []string{"Authorization: Bearer " + adminKey}
	}
	got := s.call(method, path, body, headers...)
	if got.status != want {
		t.Errorf("%s %s %s: %d %s, want %d", method, path, body, got.status, got.body, want)
	}
	c.check(t, operation, got)
	return got
}
