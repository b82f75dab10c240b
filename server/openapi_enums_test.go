package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// wordsOf lists the words of an enum of package reconcile: from 1 up to the first value
// that has none.
func wordsOf[T interface {
	~uint8
	fmt.Stringer
}]() (all []string) {
	none := T(255).String()
	for v := T(1); v.String() != none; v++ {
		all = append(all, v.String())
	}
	return all
}

// enums are the words that the code has for each enum of the document, by schema and field
// or by operation and parameter. Where the words are of package reconcile, they are read
// from its tables.
func enums() map[string][]string {
	kinds, manual, states := wordsOf[reconcile.ActionKind](), wordsOf[reconcile.ManualKind](), []string{"planned", "applied", "failed", "superseded"}
	modes := append(wordsOf[reconcile.RunMode](), "") // "": the run failed before it had one
	hosting := append(wordsOf[reconcile.HostingState](), reconcile.HostingState(0).String())
	ahead := []reconcile.ForecastKind{reconcile.ForecastWarn, reconcile.ForecastSuspend, reconcile.ForecastTerminate, reconcile.ForecastCancel, reconcile.ForecastTrialEnd, reconcile.ForecastPlanChange, reconcile.ForecastHoldEnd}
	var dated []string
	for _, kind := range ahead {
		dated = append(dated, string(kind))
	}
	var holds []string
	websites := []string{string(reconcile.WebsitesNone), string(reconcile.WebsitesOrder)}
	onboarding := wordsOf[reconcile.Onboarding]()
	for _, kind := range reconcile.HoldKinds() {
		holds = append(holds, string(kind))
	}
	results := []string{"running", "ok", "failed"}
	return map[string][]string{
		"Action.kind":                              kinds,
		"Action.state":                             states,
		"JournalAction.kind":                       kinds,
		"JournalAction.state":                      states,
		"GET /api/admin/actions?state":             wordsOf[reconcile.ActionState](),
		"Plan.kind":                                kinds,
		"Plan.state":                               {report.PlanWaits, report.PlanApproved, report.PlanUnwanted},
		"Hold.kind":                                holds,
		"Hold.manual":                              manual,
		"ManualHold.kind":                          manual,
		"POST /api/admin/holds.kind":               manual,
		"Ahead.kind":                               dated,
		"Report.mode":                              modes,
		"Run.mode":                                 modes,
		"Run.result":                               results,
		"Health.lastRun.mode":                      modes,
		"Health.lastRun.result":                    results,
		"Health.status":                            {healthy, degraded, unhealthy},
		"Check.status":                             {healthy, unhealthy},
		"Subscription.hostings.state":              hosting,
		"Target.hostings.state":                    hosting,
		"Webhook.state":                            {"received", "followed", "failed"},
		"Mapping.billingProvider":                  {"stripe"},
		"Mapping.websites":                         websites,
		"Mapping.app":                              {string(reconcile.AppWordPress)},
		"PUT /api/admin/mappings.app":              {"", "none", string(reconcile.AppWordPress)},
		"Mapping.onboarding":                       onboarding,
		"PUT /api/admin/mappings.websites":         append([]string{""}, websites...),
		"PUT /api/admin/mappings.onboarding":       append([]string{""}, onboarding...),
		"PUT /api/admin/mappings.billingProvider":  {"stripe"},
		"PUT /api/admin/mappings.billing_provider": {"stripe"},
		"GET /api/admin/plans?all":                 {"true", "false"},
	}
}

// When a kind is added to a table in package reconcile, the document needs it too, because
// a client that checks answers would refuse those that have it.
func TestEnumsAreTheWordsOfTheCode(t *testing.T) {
	d, want := openAPIDocument(t), enums()
	have := map[string][]any{}
	for name, s := range d.Components.Schemas {
		collectEnums(have, name, s)
	}
	for path, item := range d.Paths.Map() {
		for method, op := range item.Operations() {
			where := method + " " + path
			for _, p := range op.Parameters {
				collectEnums(have, where+"?"+p.Value.Name, p.Value.Schema)
			}
			if op.RequestBody != nil {
				collectEnums(have, where, op.RequestBody.Value.Content.Get("application/json").Schema)
			}
			for _, r := range op.Responses.Map() {
				if c := r.Value.Content.Get("application/json"); c != nil && c.Schema.Ref == "" {
					collectEnums(have, where, c.Schema)
				}
			}
		}
	}
	for where, words := range want {
		for _, word := range words {
			if !slices.Contains(have[where], any(word)) {
				t.Errorf("add %s to the enum %s of openapi.json", word, where)
			}
		}
		for _, word := range have[where] {
			if !slices.Contains(words, fmt.Sprint(word)) {
				t.Errorf("take %v out of the enum %s of openapi.json: the code does not have it", word, where)
			}
		}
	}
	for where := range have {
		if want[where] == nil {
			t.Errorf("add %s to the enums of this test: nothing compares it with the code", where)
		}
	}
}

// collectEnums finds the enums of a schema and of those inside of it.
func collectEnums(all map[string][]any, where string, s *openapi3.SchemaRef) {
	if len(s.Value.Enum) > 0 {
		all[where] = s.Value.Enum
	}
	for name, p := range s.Value.Properties {
		if p.Ref == "" {
			collectEnums(all, where+"."+name, p)
		}
	}
	if s.Value.Items != nil && s.Value.Items.Ref == "" {
		collectEnums(all, where, s.Value.Items)
	}
}

// The answer to an unknown state lists the states of the same table.
func TestTheWrongStateIsAnsweredWithThoseThereAre(t *testing.T) {
	for _, word := range wordsOf[reconcile.ActionState]() {
		if !strings.Contains(wrongState, word) {
			t.Errorf("add %s to the sentence about a wrong state", word)
		}
	}
}
