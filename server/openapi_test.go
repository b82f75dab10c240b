package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
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
