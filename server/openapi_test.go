package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

func openAPIDocument(t *testing.T) *openapi3.T {
	t.Helper()
	d, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	if err := openAPIDocument(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// documented is a route's pattern as the document writes it.
func documented(pattern string) string {
	pattern = strings.TrimSuffix(pattern, "{$}")
	return strings.ReplaceAll(pattern, "{id...}", "{id}/retry")
}

func TestRoutesAndDocumentAreTheSame(t *testing.T) {
	var have, want []string
	s := &Server{o: Options{Metrics: http.NotFoundHandler()}}
	for _, r := range s.routes() {
		have = append(have, r.method+" "+documented(r.pattern))
	}
	for path, item := range openAPIDocument(t).Paths.Map() {
		for method := range item.Operations() {
			want = append(want, method+" "+path)
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("routes (-document +code):\n%s", diff)
	}
}

func TestTheDocumentAsksForAKeyWhereTheRouteDoes(t *testing.T) {
	d := openAPIDocument(t)
	for _, r := range (&Server{}).routes() {
		op := d.Paths.Value(documented(r.pattern)).GetOperation(r.method)
		if secured := op.Security != nil && len(*op.Security) > 0; secured != r.admin {
			t.Errorf("%s %s: the document asks for a key: %t, the route: %t", r.method, r.pattern, secured, r.admin)
		}
		if r.admin && op.Responses.Status(http.StatusUnauthorized) == nil {
			t.Errorf("%s %s: 401 is not documented", r.method, r.pattern)
		}
	}
}

// supports lists each route that needs a key, with whether a key of SUPPORT_API_KEY is
// enough.
var supports = map[string]bool{
	"GET /api/admin/dashboard":             true,
	"POST /api/admin/sync":                 true,
	"GET /api/admin/customers":             true,
	"PATCH /api/admin/customers":           false,
	"POST /api/admin/customers/{id}/login": true,
	"GET /api/admin/plans":                 true,
	"GET /api/admin/plans/{id}":            true,
	"POST /api/admin/plans/{id}/approve":   false,
	"POST /api/admin/plans/{id}/reject":    false,
	"GET /api/admin/mappings":              true,
	"PUT /api/admin/mappings":              false,
	"DELETE /api/admin/mappings":           false,
	"GET /api/admin/holds":                 true,
	"POST /api/admin/holds":                true,
	"DELETE /api/admin/holds":              true,
	"GET /api/admin/runs":                  true,
	"GET /api/admin/runs/{id}":             true,
	"GET /api/admin/actions":               true,
	"POST /api/admin/actions/{id}/retry":   true,
}

// TestASupportKeyMayDoWhatTheDocumentSays: every operation of the document is asked for with a
// support key, a wrong key and none, and stands in the table above.
func TestASupportKeyMayDoWhatTheDocumentSays(t *testing.T) {
	asked := 0
	for path, item := range openAPIDocument(t).Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security == nil || len(*op.Security) == 0 {
				continue
			}
			name := method + " " + path
			may, listed := supports[name]
			if !listed {
				t.Errorf("%s is in the document, and this test does not know who may do it", name)
				continue
			}
			if documented := len(*op.Security) == 2; documented != may || (op.Responses.Status(http.StatusForbidden) == nil) != may {
				t.Errorf("%s: the document lets support do it: %t, want %t", name, documented, may)
			}
			asked++
			h := newHouse(t, func(o *Options) { o.AdminKeys = append(o.AdminKeys, secret.New("other")) })
			target := strings.ReplaceAll(path, "{id}", "some")
			for key, want := range map[string]bool{supportKey: may, "other": true, rightKey: true} {
				got := h.send(method, target, "[]", "Authorization", "Bearer "+key)
				if (got.Code != http.StatusForbidden) != want || got.Code == http.StatusUnauthorized {
					t.Errorf("%s with the key %q: %d %s", name, key, got.Code, got.Body)
				}
				if did := h.called(changes...); !want && did != nil {
					t.Errorf("%s with the key %q: did %q", name, key, did)
				}
			}
			if !may {
				answers(t, name, h.send(method, target, "", "Authorization", "Bearer "+supportKey), http.StatusForbidden, "this needs a key of ADMIN_API_KEY")
			}
			for _, headers := range [][]string{nil, {"Authorization", "Bearer wrong"}} {
				answers(t, name, h.send(method, target, "", headers...), http.StatusUnauthorized, "Unauthorized")
			}
		}
	}
	if asked != len(supports) {
		t.Errorf("%d routes need a key, and %d are in the table", asked, len(supports))
	}
}
