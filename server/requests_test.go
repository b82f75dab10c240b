package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// asked is one request, its answer, and what it did: the calls that change something, and
// why the loop was woken.
type asked struct {
	request, body string
	status        int
	part          string
	did           []string
	woken         string
}

// changes are the calls that change something.
var changes = []string{"LogWebhook", "Nudge", "Approve", "Reject", "Set", "Delete", "AddManualHold", "RemoveManualHold", "Retry", "WantName", "Login"}

func checkAll(t *testing.T, h *house, all []asked) {
	t.Helper()
	key, _, _ := h.server.keys().find(rightKey)
	for _, c := range all {
		method, path, _ := strings.Cut(c.request, " ")
		got := h.ask(method, path, c.body)
		answers(t, c.request+" "+c.body, got, c.status, c.part)
		for i := range c.did {
			c.did[i] = strings.ReplaceAll(c.did[i], "KEY", key)
		}
		if diff := cmp.Diff(c.did, h.called(changes...)); diff != "" {
			t.Errorf("%s %s: did (-want +got):\n%s", c.request, c.body, diff)
		}
		if why := h.woken(); why != c.woken {
			t.Errorf("%s %s: woke the loop because of %q, want %q", c.request, c.body, why, c.woken)
		}
	}
}

func TestARequestChangesWhatItSaysOrNothing(t *testing.T) {
	h := newHouse(t)
	h.customers = []reconcile.CustomerRecord{{Customer: reconcile.Customer{ID: "cus_1", OrgNamed: true, Org: &reconcile.Org{ID: "org-1"}}}}
	long := strings.Repeat("x", maxText+1)
	const (
		byPrice = "/api/admin/mappings"
		byHold  = "/api/admin/holds"
		byName  = "/api/admin/customers"
		login   = "POST /api/admin/customers/cus_1/login"
		approve = "POST /api/admin/plans/plan-123/approve"
		reject  = "POST /api/admin/plans/plan-123/reject"
		nudged  = "Nudge admin []"
	)
	checkAll(t, h, []asked{
		{"PUT " + byPrice, `{"billingPlanId":" price_1 ","enhancePlanId":7}`, 200, `"enhancePlanId":"7"`, []string{"Set price_1 7 KEY", nudged}, "admin"},
		{"PUT " + byPrice, `{"billing_plan_id":"price_1","enhance_plan_id":"Pro","billing_provider":"stripe"}`, 200, `"enhancePlanId":"Pro"`, []string{"Set price_1 Pro KEY", nudged}, "admin"},
		{"PUT " + byPrice, `{"billingPlanId":"price_1","enhancePlanId":7.5}`, 400, "a string or a whole number", nil, ""},
		{"PUT " + byPrice, `{"billingPlanId":"price_1","enhancePlanId":true}`, 400, "a string or a whole number", nil, ""},
		{"PUT " + byPrice, `{"billingPlanId":"price_1"}`, 400, "are required", nil, ""},
		{"PUT " + byPrice, `{"enhancePlanId":"7"}`, 400, "are required", nil, ""},
		{"PUT " + byPrice, `{"billingPlanId":"price_1","enhancePlanId":"a\nb"}`, 400, "are required", nil, ""},
		{"PUT " + byPrice, `{"billingPlanId":"price_1","billing_plan_id":"price_2","enhancePlanId":"7"}`, 400, "under its older name", nil, ""},
		{"PUT " + byPrice, `{"billingPlanId":"price_1","enhancePlanId":"7","enhance_plan_id":8}`, 400, "under its older name", nil, ""},
		{"PUT " + byPrice, `{"billingProvider":"paddle","billingPlanId":"price_1","enhancePlanId":"7"}`, 400, "must be stripe", nil, ""},
		{"PUT " + byPrice, `{"billingPlanId":5}`, 400, "billingPlanId must be a string", nil, ""},
		{"DELETE " + byPrice + "?billingPlanId=price_1", "", 200, "Deleted the mapping of price_1", []string{"Delete price_1", nudged}, "admin"},
		{"DELETE " + byPrice + "?billing_plan_id=price_1", "", 200, "Deleted", []string{"Delete price_1", nudged}, "admin"},
		{"DELETE " + byPrice + "?billingPlanId=price_2", "", 404, "Mapping not found", []string{"Delete price_2"}, ""},
		{"DELETE " + byPrice, "", 400, "billingPlanId parameter required", nil, ""},

		{"POST " + byHold, `{"subscriptionId":"sub_1","kind":"ignore","reason":" by letter ","author":"Eve"}`, 201, `"author":"Eve"`,
			[]string{"AddManualHold sub_1 ignore 0001-01-01T00:00:00Z by letter by Eve", nudged}, "admin"},
		{"POST " + byHold, `{"customerId":"cus_1","kind":"no-suspend","until":"2000-01-02T01:00:00+01:00"}`, 201, `"until":"2000-01-02T00:00:00Z"`,
			[]string{"AddManualHold cus_1 no-suspend 2000-01-02T00:00:00Z  by KEY", nudged}, "admin"},
		{"POST " + byHold, `{"subscriptionId":"sub_1","kind":"ignore","until":"tomorrow"}`, 400, "until must be a time like", nil, ""},
		{"POST " + byHold, `{"subscriptionId":"sub_1","kind":"ignore","reason":"a\u0007b"}`, 400, "without control characters", nil, ""},
		{"POST " + byHold, `{"subscriptionId":"sub_1","kind":"ignore","author":"` + long + `"}`, 400, "must be short", nil, ""},
		{"POST " + byHold, `{"subscriptionId":"sub_1","kind":"whatever"}`, 400, "the kind of a hold is", nil, ""},
		{"POST " + byHold, `{"subscriptionId":"sub_1","kind":"ignore","whatever":1}`, 400, "unknown field", nil, ""},
		{"POST " + byHold, ``, 400, "it is not a JSON object", nil, ""},
		{"DELETE " + byHold + "?id=hold_1", "", 200, "Removed hold hold_1", []string{"RemoveManualHold hold_1", nudged}, "admin"},
		{"DELETE " + byHold + "?id=hold_2", "", 404, "Hold not found", []string{"RemoveManualHold hold_2"}, ""},
		{"DELETE " + byHold, "", 400, "id parameter required", nil, ""},

		{approve, ``, 200, "Approved plan plan-123", []string{"Approve plan-123 0 KEY", "Nudge approve []"}, "approve"},
		{approve, `{"version":2,"by":" Eve "}`, 200, "Approved plan plan-123", []string{"Approve plan-123 2 Eve (KEY)", "Nudge approve []"}, "approve"},
		{approve, `{"version":-1}`, 400, "version must be", nil, ""},
		{approve, `{"version":"2"}`, 400, "version must be a number", nil, ""},
		{approve, `{"by":"a\nb"}`, 400, "by must be a short name", nil, ""},
		{reject, `{"reason":" the bank was down "}`, 200, "Rejected plan plan-123", []string{"Reject plan-123 0 KEY the bank was down", nudged}, "admin"},
		{reject, `{"version":2,"by":" Eve ","reason":"no"}`, 200, "Rejected plan plan-123", []string{"Reject plan-123 2 Eve (KEY) no", nudged}, "admin"},
		{reject, ``, 400, "it is not a JSON object", nil, ""},
		{reject, `{"version":2,"reason":"  "}`, 400, "reason is required", nil, ""},
		{reject, `{"reason":"a\nb"}`, 400, "reason must be short", nil, ""},
		{reject, `{"version":-1,"reason":"no"}`, 400, "version must be", nil, ""},
		{reject, `{"by":"a\nb","reason":"no"}`, 400, "by must be a short name", nil, ""},

		{"PATCH " + byName, `{"customerId":"cus_1","name":" Ada  Ltd "}`, 202, `"organizationName":"Ada Ltd"`, []string{"WantName cus_1 Ada Ltd by KEY", nudged}, "admin"},
		{"PATCH " + byName, `{"customerId":"cus_1","name":"x","organizationName":"Ada Ltd","reason":" it moved ","author":"Eve"}`, 202, `"organizationId":"org-1"`,
			[]string{"WantName cus_1 Ada Ltd by Eve (KEY): it moved", nudged}, "admin"},
		{"PATCH " + byName, `{"customerId":"cus_1","name":"Ada","author":"a\nb"}`, 400, "without control characters", nil, ""},
		{"PATCH " + byName, `{"name":"Ada"}`, 400, "customerId is required", nil, ""},
		{"PATCH " + byName, `{"customerId":"cus_1","name":" "}`, 400, "must be a short name", nil, ""},
		{"PATCH " + byName, `{"customerId":"cus_1","name":"a\tb"}`, 400, "must be a short name", nil, ""},
		{"PATCH " + byName, `{"customerId":"cus_1","name":"Ada [cus_2]"}`, 400, "like a marker", nil, ""},
		{login, `{"reason":" it is slow ","author":"Eve","owner":" ada@example.com "}`, 200, `"link":"https://panel.example.com/sso?otp=`, []string{"Login cus_1 ada@example.com by Eve (KEY) it is slow"}, ""},
		{login, `{"reason":" "}`, 400, "reason is required", nil, ""},
		{login, `{"reason":"a\u0007b"}`, 400, "without control characters", nil, ""},
		{"PATCH " + byName, `[]`, 400, "it is not a JSON object", nil, ""},

		{"POST /api/admin/actions/suspend:sub_1/2/retry", "", 200, "Customer cus_1 is tried again now", []string{"Retry suspend:sub_1/2", nudged}, "admin"},
		{"POST /api/admin/actions/suspend:sub_1", "", 404, "Not found", nil, ""},
		{"POST /api/admin/actions/retry", "", 404, "Not found", nil, ""},
		{"POST /api/admin/sync", `{"subscriptionId":null}`, 400, "leave it out to sync everything", nil, ""},
		{"POST /api/admin/sync", `{"subscriptionId":""}`, 400, "leave it out to sync everything", nil, ""},
		{"POST /api/admin/sync", `{"subscriptionId":["sub_1"]}`, 400, "leave it out to sync everything", nil, ""},
		{"POST /api/admin/sync", `{"subscriptionID":"sub_1","subscriptionId":"sub_1"}`, 400, "is given twice", nil, ""},
	})
}

func TestAMappingIsCheckedBeforeItIsSet(t *testing.T) {
	h := newHouse(t)
	const request, body = "PUT /api/admin/mappings", `{"billingPlanId":"price_1","enhancePlanId":"7"}`
	unchecked := strings.Replace(body, "}", `,"unchecked":true}`, 1)
	set := []string{"Set price_1 7 KEY", "Nudge admin []"}
	h.problem = "Stripe does not know price_1"
	checkAll(t, h, []asked{
		{request, body, 422, "Stripe does not know price_1", nil, ""},
		{request, unchecked, 200, `"success":true`, set, "admin"},
	})
	h.problem, h.fail["Check"] = "", errors.New("stripe: 502\nenhance: 503")
	checkAll(t, h, []asked{{request, body, 200, `"warning":"not verified: stripe: 502; enhance: 503"`, set, "admin"}})
	r := httptest.NewRequest(http.MethodPut, "/api/admin/mappings", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+rightKey)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r.WithContext(ctx)) // the check ended with its caller
	answers(t, "a caller who has left", w, 503, "The price or the plan could not be read")
	if did := h.called(changes...); did != nil {
		t.Errorf("a caller who has left: did %q", did)
	}
	delete(h.fail, "Check")
	if got := h.ask("PUT", "/api/admin/mappings", body); strings.Contains(got.Body.String(), "warning") {
		t.Errorf("a mapping that was verified: %s", got.Body)
	}
}

// TestAnOrganisationIsRenamedByARun: the request stores the name, and answers whether the
// run after it has given it.
func TestAnOrganisationIsRenamedByARun(t *testing.T) {
	h := newHouse(t)
	const request, body = "PATCH /api/admin/customers", `{"customerId":"cus_1","name":"Ada"}`
	checkAll(t, h, []asked{{request, body, 404, "Customer not found", nil, ""}})
	h.customers = []reconcile.CustomerRecord{{Customer: reconcile.Customer{ID: "cus_1", Org: &reconcile.Org{ID: "org-1", Name: "Old"}}}}
	h.fail["WantName"] = reconcile.InstructionRefused("the organisation org-1 is still being set up")
	checkAll(t, h, []asked{{request, body, 409, "still being set up", []string{"WantName cus_1 Ada by KEY"}, ""}})
	delete(h.fail, "WantName")
	stored := []string{"WantName cus_1 Ada by KEY", "Nudge admin []"}
	checkAll(t, h, []asked{{request, body, 202, `"done":false`, stored, "admin"}})
	h.renames = true
	stored = []string{"WantName cus_1 Ada by KEY", "Nudge admin []"}
	checkAll(t, h, []asked{{request, body, 200, `"done":true`, stored, "admin"}})
}

// TestALoginLinkIsShownOnce: it is a credential, and stands in no log. Without a row in the
// journal, for whatever reason, there is none.
func TestALoginLinkIsShownOnce(t *testing.T) {
	h := newHouse(t)
	const path, body = "/api/admin/customers/cus_1/login", `{"reason":"it is slow"}`
	answers(t, "no customer", h.ask("POST", path, body), 404, "Customer not found")
	h.customers = []reconcile.CustomerRecord{{Customer: reconcile.Customer{ID: "cus_1", Org: &reconcile.Org{ID: "org-1"}}}}
	answers(t, "by support", h.send("POST", path, body, "Authorization", "Bearer "+supportKey), 200, oneTime)
	key, _, _ := h.server.keys().find(supportKey)
	if diff := cmp.Diff([]string{"Login cus_1  by " + key + " it is slow"}, h.called("Login")); diff != "" || !strings.HasPrefix(key, "support key ") {
		t.Errorf("by support (-want +got):\n%s", diff)
	}
	for err, want := range map[error]struct {
		status int
		part   string
	}{
		reconcile.InstructionRefused("the owner has not accepted"): {409, "the owner has not accepted"},
		fault.Errorf(fault.Denied, "403"):                          {502, "needs the role Owner, SuperAdmin or Sysadmin"},
		errors.New("store: disk full"):                             {502, "made no login link"},
	} {
		h.fail["Login"] = err
		got := h.ask("POST", path, body)
		answers(t, fmt.Sprint(err), got, want.status, want.part)
		if strings.Contains(got.Body.String(), oneTime) {
			t.Errorf("%v: the link is shown", err)
		}
	}
	for _, entry := range h.log.AllEntries() {
		if text, err := entry.String(); err != nil || strings.Contains(text, oneTime) {
			t.Errorf("logged: %s %v", text, err)
		}
	}
}

func TestCustomersAreFoundByEmailOrByID(t *testing.T) {
	h := newHouse(t)
	const path = "/api/admin/customers"
	answers(t, "none", h.ask("GET", path+"?email=ada@example.com", ""), 404, "Customer not found")
	h.customers = []reconcile.CustomerRecord{{Customer: reconcile.Customer{ID: "cus_1"}}, {Customer: reconcile.Customer{ID: "cus_2"}}}
	h.called()
	for query, call := range map[string]string{
		"?email=+ada@example.com+":              "ByEmail ada@example.com",
		"?customerId=cus_1":                     "ByID cus_1",
		"?email=a@example.com&customerId=cus_1": "ByEmail a@example.com",
	} {
		answers(t, query, h.ask("GET", path+query, ""), 200, `"customers":[`)
		if diff := cmp.Diff([]string{call}, h.called("ByEmail", "ByID")); diff != "" {
			t.Errorf("%s: looked for (-want +got):\n%s", query, diff)
		}
	}
	answers(t, "neither", h.ask("GET", path+"?email=+", ""), 400, "Email or customerId parameter required")
}

// TestACustomerIsShownWithTheUsageOfItsHostings, and an unlimited resource as null.
func TestACustomerIsShownWithTheUsageOfItsHostings(t *testing.T) {
	h := newHouse(t)
	ten := int64(10)
	h.customers = []reconcile.CustomerRecord{{Customer: reconcile.Customer{ID: "cus_1",
		Subscriptions: []reconcile.Subscription{{ID: "sub_1"}, {ID: "sub_2"}},
		Bindings:      []reconcile.Binding{{Subscription: "sub_1", Slot: 1, Hosting: 7}, {Subscription: "sub_2", Slot: 1, Hosting: 8}},
		Hostings:      []reconcile.Hosting{{ID: 7, Usage: []reconcile.Usage{{Name: "websites", Used: 3, Total: &ten}, {Name: "mailboxes", Used: 5}}}, {ID: 8}}}}}
	got := h.ask("GET", "/api/admin/customers?customerId=cus_1", "")
	answers(t, "read", got, 200, `"usage":[{"name":"websites","used":3,"total":10},{"name":"mailboxes","used":5,"total":null}]`)
	answers(t, "not read", got, 200, `"usage":[]`)
}

func TestListsAreOfAsManyRowsAsAreAskedFor(t *testing.T) {
	h := newHouse(t)
	for query, call := range map[string]string{
		"runs": "Runs 100", "runs?limit=1": "Runs 1", "runs?limit=1000": "Runs 1000",
		"actions": "Actions   unknown 100",
		"actions?customer=cus_1&subscription=sub_1&state=held&limit=5": fmt.Sprint("Actions cus_1 sub_1 ", reconcile.ParseActionState("held"), " 5"),
		"actions?since=2026-03-01T12:00:00Z":                           "Actions   unknown 100 since 2026-03-01T12:00:00Z",
		"plans":                                                        "HeldPlans false", "plans?all=true": "HeldPlans true", "plans?all=yes": "HeldPlans false",
	} {
		answers(t, query, h.ask("GET", "/api/admin/"+query, ""), 200, "[")
		if got := h.called("Runs", "Actions", "HeldPlans"); len(got) != 1 || got[0] != call {
			t.Errorf("%s: read %q, want %s", query, got, call)
		}
	}
	for _, limit := range []string{"0", "-1", "1001", "many", "1.5"} {
		for _, list := range []string{"runs", "actions"} {
			answers(t, list+" "+limit, h.ask("GET", "/api/admin/"+list+"?limit="+limit, ""), 400, "limit must be a number from 1 to 1000")
		}
	}
	answers(t, "a state", h.ask("GET", "/api/admin/actions?state=done", ""), 400, "state must be planned, held")
	answers(t, "a time", h.ask("GET", "/api/admin/actions?since=yesterday", ""), 400, "since must be a time such as")
	if got := h.called("Runs", "Actions"); got != nil {
		t.Errorf("read %q", got)
	}
}

// TestAPageForPeopleHasAnEnd, however many there are.
func TestAPageForPeopleHasAnEnd(t *testing.T) {
	h := newHouse(t)
	h.actions = make([]reconcile.ActionRecord, mostRows+5)
	if got := strings.Count(h.ask("GET", "/api/admin/runs/run-1", "").Body.String(), `"kind":`); got != mostRows {
		t.Errorf("a run has %d actions, want %d", got, mostRows)
	}
	count := func(what string, holds, plans, want int) {
		t.Helper()
		h.holds = make([]reconcile.Hold, holds)
		waits := reconcile.HeldPlan{ID: "plan-waits", Actions: make([]reconcile.Action, plans)}
		done := reconcile.HeldPlan{ID: "plan-done", Approved: t0, Actions: make([]reconcile.Action, 7)}
		h.held = []reconcile.HeldPlan{done, waits}
		got := h.ask("GET", "/api/admin/dashboard", "")
		answers(t, what, got, 200, `"holds":[`)
		if n := strings.Count(got.Body.String(), `"reason":`); n != want || strings.Contains(got.Body.String(), "plan-done") {
			t.Errorf("%s: %d holds are shown, want %d", what, n, want)
		}
	}
	count("few", 3, 2, 5)
	count("many holds", dashboardHolds+50, 2, dashboardHolds)
	count("many in plans", 150, 100, dashboardHolds)
}

// reads are every request that only reads.
var reads = []string{"dashboard", "customers?email=a@example.com", "customers?customerId=cus_1", "plans", "plans/plan-123", "mappings", "holds", "runs", "runs/run-1", "actions"}

// TestWhatCannotBeReadOrWrittenIsAnErrorAndNothingElse: each call of each request fails in
// turn. The details go into the log, because an error of a database may name a host.
func TestWhatCannotBeReadOrWrittenIsAnErrorAndNothingElse(t *testing.T) {
	writes := map[string]string{
		"PUT mappings": `{"billingPlanId":"price_1","enhancePlanId":"7"}`, "DELETE mappings?billingPlanId=price_1": "", "POST holds": `{"subscriptionId":"sub_1","kind":"ignore"}`,
		"DELETE holds?id=hold_1": "", "POST plans/plan-123/approve": "", "POST actions/a/retry": "", "PATCH customers": `{"customerId":"cus_1","name":"Ada"}`, "POST sync": "",
		"POST customers/cus_1/login": `{"reason":"x"}`,
	}
	all := map[string]string{}
	for _, path := range reads {
		all["GET "+path] = ""
	}
	for request, body := range writes {
		all[request] = body
	}
	soft := map[string]bool{"Nudge": true, "Check": true} // what was asked for is done without them
	for request, body := range all {
		method, path, _ := strings.Cut(request, " ")
		for n := 0; ; n++ {
			h := newHouse(t)
			h.customers = []reconcile.CustomerRecord{{Customer: reconcile.Customer{ID: "cus_1", OrgNamed: true, Org: &reconcile.Org{ID: "org-1"}}}}
			name := h.nthCall(method, path, body, n)
			if name == "" {
				if n == 0 {
					t.Errorf("%s calls nothing", request)
				}
				break
			}
			h.fail[name] = errors.New("CANARY at 10.0.0.1")
			got := h.ask(method, "/api/admin/"+path, body)
			status := http.StatusServiceUnavailable
			if name == "Login" {
				status = http.StatusBadGateway
			}
			if (soft[name] && request != "POST sync") || name == "Ping" { // the dashboard shows a database that does not answer
				status = got.Code
				if status >= http.StatusBadRequest {
					t.Errorf("%s without %s: %d %s", request, name, status, got.Body)
				}
			} else {
				answers(t, request+" without "+name, got, status, "")
			}
			if name != "Check" && strings.Contains(got.Body.String(), "CANARY") {
				t.Errorf("%s without %s: %s", request, name, got.Body)
			}
			if name != "Ping" && name != "Check" && len(h.log.AllEntries()) == 0 {
				t.Errorf("%s without %s: nothing is logged", request, name)
			}
			if h.fail[name] != nil && !soft[name] && h.woken() != "" {
				t.Errorf("%s without %s: a run was asked for", request, name)
			}
		}
	}
}

// nthCall is the name of the n-th call of a request to a house like this one; "": it makes
// fewer.
func (h *house) nthCall(method, path, body string, n int) string {
	if path == "sync" {
		return []string{"Nudge", ""}[min(n, 1)] // and then it waits
	}
	h.ask(method, "/api/admin/"+path, body)
	h.woken()
	h.log.Reset()
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := h.calls
	h.calls = nil
	if n >= len(calls) {
		return ""
	}
	name, _, _ := strings.Cut(calls[n], " ")
	return name
}

func TestTheKindOfAnErrorIsItsStatus(t *testing.T) {
	h := newHouse(t)
	for err, want := range map[error]struct {
		status int
		part   string
	}{
		fault.Errorf(fault.NotFound, "store: no such plan"):         {404, "Plan not found"},
		fault.Errorf(fault.Conflict, "store: it is approved since"): {409, `"it is approved since"`},
		fault.Errorf(fault.Transient, "store: CANARY"):              {503, "try again in a moment"},
	} {
		h.fail["HeldPlan"] = err
		answers(t, err.Error(), h.ask("GET", "/api/admin/plans/plan-123", ""), want.status, want.part)
		h.fail["Approve"] = err
		answers(t, err.Error(), h.ask("POST", "/api/admin/plans/plan-123/approve", ""), want.status, want.part)
		h.fail["Reject"] = err
		answers(t, err.Error(), h.ask("POST", "/api/admin/plans/plan-123/reject", `{"reason":"no"}`), want.status, want.part)
	}
	h.fail["Approve"] = fault.Errorf(fault.Permanent, "store: ambiguous")
	answers(t, "a short id", h.ask("POST", "/api/admin/plans/plan/approve", ""), 400, "too short")
	answers(t, "a whole id", h.ask("POST", "/api/admin/plans/plan-123/approve", ""), 503, "try again")
	if why := h.woken(); why != "" {
		t.Errorf("a run was asked for by %s", why)
	}
}

// TestAHoldEndsInTheFuture by the server's clock.
func TestAHoldEndsInTheFuture(t *testing.T) {
	now := t0
	h := newHouse(t, func(o *Options) { o.Now = func() time.Time { return now } })
	const body = `{"subscriptionId":"sub_1","kind":"ignore","until":"2000-01-02T00:00:00Z"}`
	answers(t, "before", h.ask("POST", "/api/admin/holds", body), 201, "hold_")
	now = t0.Add(48 * time.Hour)
	answers(t, "after", h.ask("POST", "/api/admin/holds", body), 400, "which is past")
}
