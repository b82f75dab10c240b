package server

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

var (
	camelCase = regexp.MustCompile(`^[a-z][a-z0-9]*([A-Z][a-z0-9]*)*$`)
	snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
)

// ofRuns reports whether a schema is marked as a document of runs, whose names are in
// snake_case.
func ofRuns(s *openapi3.Schema) bool { return s.Extensions["x-names"] == "snake_case" }

// TestNamesFollowOneRule checks that every name in the document follows the rule that its
// own description states.
func TestNamesFollowOneRule(t *testing.T) {
	d := openAPIDocument(t)
	_, listed, _ := strings.Cut(d.Info.Description, "as `reconcile -o json` prints them: ")
	listed, _, _ = strings.Cut(listed, ".")
	var marked []string
	for name, s := range d.Components.Schemas {
		if ofRuns(s.Value) {
			marked = append(marked, name)
		}
		checkNames(t, name, s, ofRuns(s.Value))
	}
	want := strings.Split(strings.ReplaceAll(listed, " and ", ", "), ", ")
	slices.Sort(marked)
	slices.Sort(want)
	if diff := cmp.Diff(want, marked); diff != "" {
		t.Errorf("documents of runs (-description +marked with x-names):\n%s", diff)
	}
	for path, item := range d.Paths.Map() {
		for method, op := range item.Operations() {
			where := method + " " + path
			for _, p := range op.Parameters {
				if p.Value.In != openapi3.ParameterInHeader && !p.Value.Deprecated && !camelCase.MatchString(p.Value.Name) {
					t.Errorf("%s: the parameter %s is not in camelCase", where, p.Value.Name)
				}
			}
			if op.RequestBody != nil {
				checkContent(t, where, op.RequestBody.Value.Content)
			}
			for status, r := range op.Responses.Map() {
				checkContent(t, where+" "+status, r.Value.Content)
			}
		}
	}
}

func checkContent(t *testing.T, where string, content openapi3.Content) {
	for _, c := range content {
		if c.Schema.Ref == "" { // components are walked by themselves
			checkNames(t, where, c.Schema, false)
		}
	}
}

// checkNames walks one schema and those inside of it.
func checkNames(t *testing.T, where string, s *openapi3.SchemaRef, snake bool) {
	style, word := camelCase, "camelCase"
	if snake {
		style, word = snakeCase, "snake_case"
	}
	for _, name := range slices.Sorted(maps.Keys(s.Value.Properties)) {
		p := s.Value.Properties[name]
		if !p.Value.Deprecated && !style.MatchString(name) {
			t.Errorf("%s.%s is not in %s", where, name, word)
		}
		descend(t, where+"."+name, p, snake)
	}
	for _, inner := range slices.Concat(s.Value.AnyOf, s.Value.OneOf, s.Value.AllOf) {
		descend(t, where, inner, snake)
	}
	if s.Value.Items != nil {
		descend(t, where, s.Value.Items, snake)
	}
}

func descend(t *testing.T, where string, s *openapi3.SchemaRef, snake bool) {
	switch {
	case s.Ref == "":
		checkNames(t, where, s, snake)
	case snake && !ofRuns(s.Value):
		t.Errorf("%s is part of a document of runs, and %s is none", where, s.Ref)
	}
}

// The document has every field of the code, because a client that checks answers would
// refuse the others.
func TestTheDocumentHasTheFieldsOfTheCode(t *testing.T) {
	schemas := openAPIDocument(t).Components.Schemas
	for name, of := range map[string]reflect.Type{
		"Report": reflect.TypeFor[report.Document](), "Run": reflect.TypeFor[runDocument](), "Action": reflect.TypeFor[report.Action](),
		"JournalAction": reflect.TypeFor[report.JournalAction](), "Hold": reflect.TypeFor[report.Hold](), "Ahead": reflect.TypeFor[report.Ahead](),
		"Counts": reflect.TypeFor[report.Counts](), "Plan": reflect.TypeFor[report.Plan](), "Target": reflect.TypeFor[report.Target](),
		"Drift": reflect.TypeFor[report.Drift](), "Customer": reflect.TypeFor[customerDocument](), "Subscription": reflect.TypeFor[subscriptionDocument](),
		"Customers": reflect.TypeFor[customersDocument](), "Mapping": reflect.TypeFor[mappingDocument](), "ManualHold": reflect.TypeFor[holdDocument](),
		"Sync": reflect.TypeFor[syncDocument](), "Rename": reflect.TypeFor[renameDocument](), "Login": reflect.TypeFor[loginDocument](), "Dashboard": reflect.TypeFor[dashboardDocument](), "Webhook": reflect.TypeFor[webhookDocument](),
		"Health": reflect.TypeFor[healthDocument](), "Check": reflect.TypeFor[checkResult](), "Readiness": reflect.TypeFor[readiness](),
		"Error": reflect.TypeFor[failure](), "WebhookReceipt": reflect.TypeFor[webhookReceipt](), "WebhookProblem": reflect.TypeFor[webhookProblem](),
	} {
		want := fieldsOf(of)
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(schemas[name].Value.Properties))); diff != "" {
			t.Errorf("%s (-code +document):\n%s", name, diff)
		}
	}
}

// fieldsOf lists the JSON fields of a struct, those of embedded structs included.
func fieldsOf(of reflect.Type) (all []string) {
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			all = append(all, fieldsOf(f.Type)...)
		case f.IsExported() && name != "-":
			all = append(all, name)
		}
	}
	return all
}
