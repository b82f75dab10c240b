package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// never are answers that are documented for completeness and that nothing from
// outside can bring about.
var never = map[string]string{
	"GET /api/admin/plans/{id} 409": "two plans whose ids begin alike, and only the beginning given",
	"POST /api/admin/sync 503":      "the service is stopping while a caller waits",
}

// examples is a path for each admin operation, and a body that is right.
var examples = map[string][2]string{
	"GET /api/admin/dashboard":             {"/api/admin/dashboard", ""},
	"POST /api/admin/sync":                 {"/api/admin/sync", "{}"},
	"GET /api/admin/customers":             {"/api/admin/customers?email=ADA@Example.com", ""},
	"PATCH /api/admin/customers":           {"/api/admin/customers", `{"customerId":"cus_x","name":"New"}`},
	"GET /api/admin/plans":                 {"/api/admin/plans?all=true", ""},
	"GET /api/admin/plans/{id}":            {"/api/admin/plans/nothing", ""},
	"POST /api/admin/plans/{id}/approve":   {"/api/admin/plans/nothing/approve", ""},
	"POST /api/admin/plans/{id}/reject":    {"/api/admin/plans/nothing/reject", `{"reason":"no"}`},
	"GET /api/admin/mappings":              {"/api/admin/mappings", ""},
	"PUT /api/admin/mappings":              {"/api/admin/mappings", `{"billingPlanId":"price_x","enhancePlanId":"1","unchecked":true}`},
	"DELETE /api/admin/mappings":           {"/api/admin/mappings?billingPlanId=price_none", ""},
	"GET /api/admin/holds":                 {"/api/admin/holds", ""},
	"POST /api/admin/holds":                {"/api/admin/holds", `{"subscriptionId":"sub_later","kind":"ignore"}`},
	"DELETE /api/admin/holds":              {"/api/admin/holds?id=hold_none", ""},
	"GET /api/admin/runs":                  {"/api/admin/runs", ""},
	"GET /api/admin/runs/{id}":             {"/api/admin/runs/none", ""},
	"GET /api/admin/actions":               {"/api/admin/actions", ""},
	"POST /api/admin/actions/{id}/retry":   {"/api/admin/actions/none/retry", ""},
	"POST /api/admin/customers/{id}/login": {"/api/admin/customers/cus_none/login", `{"reason":"it is slow"}`},
}

// TestRoutesDocumentAndRealAnswersAreOne reaches every documented answer of every
// route with the real service, and holds each to the schema.
func TestRoutesDocumentAndRealAnswersAreOne(t *testing.T) {
	t.Parallel()
	var ada simulator.SignedUp
	var club []string
	s := serveHere(t, serving{environ: []string{"BRAKE_SUSPEND=1,1%"}, prepare: func(s *service) {
		ada = s.signUp("ada", "price_basic_monthly")
		for i := range 3 {
			club = append(club, s.signUp(fmt.Sprint("club", i), "price_basic_monthly").Subscription)
		}
	}})
	s.until("all have hosting", func() bool { return len(s.world.Hostings()) == 4 })
	s.settle()
	c := readContract(t, s)
	for _, op := range c.operations() {
		if _, ok := examples[op]; strings.Contains(op, "/api/admin/") && !ok {
			t.Errorf("%s is documented and has no example here", op)
		}
	}
	t.Run("what goes well", func(t *testing.T) { c.goesWell(t, s, ada, club) })
	t.Run("what is refused", func(t *testing.T) { c.isRefused(t, s, ada) })
	t.Run("what a side refuses", func(t *testing.T) { c.sideRefuses(t, s, ada) })
	t.Run("without keys", func(t *testing.T) { c.withoutKeys(t) })
	t.Run("without a database", func(t *testing.T) { c.withoutDatabase(t) })
	t.Run("too much", func(t *testing.T) { c.tooMuch(t, s) })
	t.Run("too slow", func(t *testing.T) { c.tooSlow(t, s) })

	var missing []string
	for path, item := range c.document.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				if name := method + " " + path + " " + status; !c.seen[name] && never[name] == "" {
					missing = append(missing, name)
				}
			}
		}
	}
	slices.Sort(missing)
	if diff := cmp.Diff([]string(nil), missing); diff != "" {
		t.Errorf("documented and never seen (-want +got):\n%s", diff)
	}
}

func (c *contract) goesWell(t *testing.T, s *service, ada simulator.SignedUp, club []string) {
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/health", "/api/openapi.json"} {
		c.ask(t, s, 200, "GET "+path, path, "", "Accept: */*")
	}
	sync := c.ask(t, s, 200, "POST /api/admin/sync", "/api/admin/sync", fmt.Sprintf(`{"subscriptionId":%q}`, ada.Subscription)).object(t)
	if sync["message"] != "Synced subscription "+ada.Subscription || sync["success"] != true || sync["run"] == nil {
		t.Errorf("sync of one: %v", sync)
	}
	for _, body := range []string{"", "{}"} {
		if all := c.ask(t, s, 200, "POST /api/admin/sync", "/api/admin/sync", body).object(t); all["message"] != "Synced 4 subscriptions" {
			t.Errorf("sync of all: %v", all)
		}
	}
	for _, query := range []string{"email=ADA@Example.com", "customerId=" + ada.Customer} {
		o := c.ask(t, s, 200, "GET /api/admin/customers", "/api/admin/customers?"+query, "").object(t)
		if n := len(o["subscriptions"].([]any)); n != 1 || o["customer"].(map[string]any)["email"] != "ada@example.com" {
			t.Errorf("%s: %v", query, o)
		}
	}
	c.ask(t, s, 200, "PATCH /api/admin/customers", "/api/admin/customers", fmt.Sprintf(`{"customerId":%q,"organizationName":"Ada & Sons"}`, ada.Customer))
	if !slices.ContainsFunc(s.world.Orgs(), func(o simulator.Org) bool { return o.Name == "Ada & Sons" }) {
		t.Errorf("the organisation was not renamed: %+v", s.world.Orgs())
	}
	login := "/api/admin/customers/" + ada.Customer + "/login"
	c.ask(t, s, 409, "POST /api/admin/customers/{id}/login", login, `{"reason":"it is slow"}`) // not accepted yet
	for _, o := range s.world.Orgs() {
		if o.Name == "Ada & Sons" {
			if err := s.world.AcceptInvite(o.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.ask(t, s, 200, "POST /api/admin/customers/{id}/login", login, `{"reason":"it is slow"}`, "Authorization: Bearer "+supportKey)
	for _, body := range []string{eventText("evt_1", "x.y", "{}"), eventText("evt_1", "x.y", "{}")} {
		c.check(t, "POST /api/webhook", s.hook(body))
	}
	c.ask(t, s, 200, "PUT /api/admin/mappings", "/api/admin/mappings", `{"billingPlanId":"price_basic_monthly","enhancePlanId":"`+fmt.Sprint(s.plans["price_basic_monthly"])+`"}`)
	c.ask(t, s, 200, "PUT /api/admin/mappings", "/api/admin/mappings", `{"billingPlanId":"price_gone","enhancePlanId":"1","unchecked":true}`)
	c.ask(t, s, 200, "PUT /api/admin/mappings", "/api/admin/mappings", `{"billingPlanId":"price_gone","enhancePlanId":`+fmt.Sprint(s.plans["price_basic_monthly"])+`,"unchecked":true}`)
	c.ask(t, s, 200, "DELETE /api/admin/mappings", "/api/admin/mappings?billingPlanId=price_gone", "")
	c.ask(t, s, 200, "PUT /api/admin/mappings", "/api/admin/mappings", `{"billing_provider":"stripe","billing_plan_id":"price_older","enhance_plan_id":"1","unchecked":true}`)
	c.ask(t, s, 200, "DELETE /api/admin/mappings", "/api/admin/mappings?billing_plan_id=price_older", "")
	hold := c.ask(t, s, 201, "POST /api/admin/holds", "/api/admin/holds", fmt.Sprintf(`{"subscriptionId":%q,"kind":"no-suspend","reason":"pays by letter"}`, ada.Subscription)).object(t)
	c.ask(t, s, 201, "POST /api/admin/holds", "/api/admin/holds", `{"customerId":"cus_tomorrow","kind":"ignore"}`)
	c.ask(t, s, 200, "GET /api/admin/holds", "/api/admin/holds", "")
	c.ask(t, s, 200, "DELETE /api/admin/holds", "/api/admin/holds?id="+fmt.Sprint(hold["hold"].(map[string]any)["id"]), "")
	for _, id := range club {
		if err := s.world.Cancel(id); err != nil {
			t.Fatal(err)
		}
	}
	c.ask(t, s, 200, "POST /api/admin/sync", "/api/admin/sync", "")
	plans := c.ask(t, s, 200, "GET /api/admin/plans", "/api/admin/plans", "").object(t)["plans"].([]any)
	if len(plans) != 1 {
		t.Fatalf("%d plans are held, want 1", len(plans))
	}
	id := fmt.Sprint(plans[0].(map[string]any)["id"])
	c.ask(t, s, 200, "GET /api/admin/plans/{id}", "/api/admin/plans/"+id, "")
	held := 0
	for _, h := range c.ask(t, s, 200, "GET /api/admin/dashboard", "/api/admin/dashboard", "").object(t)["holds"].([]any) {
		if h := h.(map[string]any); h["kind"] == "brake" && strings.Contains(fmt.Sprint(h["reason"]), id) {
			held++
		}
	}
	if held != 3 {
		t.Errorf("%d of what the brake holds are on the dashboard, want 3", held)
	}
	c.ask(t, s, 400, "POST /api/admin/plans/{id}/approve", "/api/admin/plans/"+id[:7]+"/approve", "")
	c.ask(t, s, 409, "POST /api/admin/plans/{id}/approve", "/api/admin/plans/"+id+"/approve", `{"version":2}`)
	c.ask(t, s, 400, "POST /api/admin/plans/{id}/reject", "/api/admin/plans/"+id[:7]+"/reject", `{"reason":"no"}`)
	c.ask(t, s, 409, "POST /api/admin/plans/{id}/reject", "/api/admin/plans/"+id+"/reject", `{"version":2,"reason":"no"}`)
	c.ask(t, s, 200, "POST /api/admin/plans/{id}/reject", "/api/admin/plans/"+id[:8]+"/reject", `{"by":"an operator","version":1,"reason":"the bank was down"}`)
	c.ask(t, s, 409, "POST /api/admin/plans/{id}/approve", "/api/admin/plans/"+id+"/approve", `{"version":1}`)
	id = c.againHeld(t, s)
	c.ask(t, s, 200, "POST /api/admin/plans/{id}/approve", "/api/admin/plans/"+id[:8]+"/approve", `{"by":"an operator","version":1}`)
	s.until("what was approved is done", func() bool {
		down := 0
		for _, h := range s.world.Hostings() {
			if h.SuspendedBy != "" {
				down++
			}
		}
		return down == 3
	})
	s.settle()
	c.ask(t, s, 409, "POST /api/admin/plans/{id}/approve", "/api/admin/plans/"+id+"/approve", "")
	runs := c.ask(t, s, 200, "GET /api/admin/runs", "/api/admin/runs?limit=5", "").object(t)["runs"].([]any)
	for _, r := range runs {
		c.ask(t, s, 200, "GET /api/admin/runs/{id}", "/api/admin/runs/"+fmt.Sprint(r.(map[string]any)["run_id"]), "")
	}
	actions := c.ask(t, s, 200, "GET /api/admin/actions", "/api/admin/actions?state=applied&subscription="+club[0], "").object(t)["actions"].([]any)
	if len(actions) == 0 {
		t.Fatal("no actions of a customer who was suspended")
	}
	key := fmt.Sprint(actions[0].(map[string]any)["key"])
	id = fmt.Sprint(actions[0].(map[string]any)["id"])
	if !strings.Contains(id, "/") {
		t.Errorf("the id %s has no slash in it", id)
	}
	for _, name := range []string{key, id, url.PathEscape(id), strings.ReplaceAll(id, "/", "%2f")} {
		c.ask(t, s, 200, "POST /api/admin/actions/{id}/retry", "/api/admin/actions/"+name+"/retry", "")
	}
	c.ask(t, s, 200, "GET /api/admin/dashboard", "/api/admin/dashboard", "")
	c.ask(t, s, 200, "GET /api/admin/mappings", "/api/admin/mappings", "", "Authorization: bearer "+adminKey2)
}

// againHeld removes every hold that a person put, and returns the plan that holds the changes
// then.
func (c *contract) againHeld(t *testing.T, s *service) string {
	t.Helper()
	s.settle()
	for _, h := range c.ask(t, s, 200, "GET /api/admin/holds", "/api/admin/holds", "").object(t)["holds"].([]any) {
		if h := h.(map[string]any); h["reason"] == "the bank was down" {
			c.ask(t, s, 200, "DELETE /api/admin/holds", "/api/admin/holds?id="+fmt.Sprint(h["id"]), "")
		}
	}
	s.settle()
	c.ask(t, s, 200, "POST /api/admin/sync", "/api/admin/sync", "")
	plans := c.ask(t, s, 200, "GET /api/admin/plans", "/api/admin/plans", "").object(t)["plans"].([]any)
	if len(plans) != 1 {
		t.Fatalf("%d plans are held after the holds of a rejection are gone, want 1", len(plans))
	}
	return fmt.Sprint(plans[0].(map[string]any)["id"])
}

func (c *contract) isRefused(t *testing.T, s *service, ada simulator.SignedUp) {
	for _, bad := range []struct {
		operation, path, body string
		want                  int
	}{
		{"POST /api/admin/sync", "", `{"subscriptionId":"sub_nobody"}`, 404},
		{"POST /api/admin/sync", "", `{"subscriptionId":"cus_1"}`, 400},
		{"POST /api/admin/sync", "", `{"subscriptionId":""}`, 400},
		{"POST /api/admin/sync", "", `{"subscriptionId":null}`, 400},
		{"POST /api/admin/sync", "", `{"subscriptionId":7}`, 400},
		{"POST /api/admin/sync", "", `{"subscription":"sub_1"}`, 400},
		{"POST /api/admin/sync", "", `{}{}`, 400},
		{"POST /api/admin/sync", "", `[]`, 400},
		{"POST /api/admin/sync", "", `null`, 400},
		{"POST /api/admin/sync", "", `subscriptionId=sub_1`, 400},
		{"POST /api/admin/sync", "", `{"subscriptionId":"` + strings.Repeat("x", 300<<10) + `"}`, 413},
		{"GET /api/admin/customers", "/api/admin/customers", "", 400},
		{"GET /api/admin/customers", "/api/admin/customers?email=", "", 400},
		{"GET /api/admin/customers", "/api/admin/customers?email=nobody@example.com", "", 404},
		{"PATCH /api/admin/customers", "", `{"name":"x"}`, 400},
		{"PATCH /api/admin/customers", "", fmt.Sprintf(`{"customerId":%q}`, ada.Customer), 400},
		{"PATCH /api/admin/customers", "", fmt.Sprintf(`{"customerId":%q,"name":"a\u0000b"}`, ada.Customer), 400},
		{"POST /api/admin/customers/{id}/login", "", `{}`, 400},
		{"PUT /api/admin/mappings", "", `{}`, 400},
		{"PUT /api/admin/mappings", "", `{"billingPlanId":"price_basic_monthly","enhancePlanId":"no such plan"}`, 422},
		{"DELETE /api/admin/mappings", "/api/admin/mappings", "", 400},
		{"POST /api/admin/holds", "", `{"kind":"ignore"}`, 400},
		{"POST /api/admin/holds", "", `{"customerId":"ada@example.com","kind":"ignore"}`, 400},
		{"DELETE /api/admin/holds", "/api/admin/holds", "", 400},
		{"GET /api/admin/runs", "/api/admin/runs?limit=0", "", 400},
		{"GET /api/admin/actions", "/api/admin/actions?state=odd", "", 400},
		{"POST /api/admin/plans/{id}/approve", "", `{"by":5}`, 400},
		{"POST /api/admin/plans/{id}/reject", "", `{"version":1}`, 400},
		{"PUT /api/admin/mappings", "", `{"billingPlanId":"price_basic_monthly","enhancePlanId":1.5}`, 400},
	} {
		path := bad.path
		if path == "" {
			path = examples[bad.operation][0]
		}
		c.ask(t, s, bad.want, bad.operation, path, bad.body)
	}
	for body, want := range map[string]string{
		`{"billingPlanId":5,"enhancePlanId":1}`:                                     "billingPlanId must be a string",
		`{"billing_plan_id":5,"enhance_plan_id":1}`:                                 "billing_plan_id must be a string",
		`{"billingPlanId":"price_x","billing_plan_id":"price_y","enhancePlanId":1}`: "give one of them",
		`{"billingPlanId":"price_x","enhancePlanId":true}`:                          "enhancePlanId must be a string or a whole number",
		`{"billingPlanId":"price_x","enhancePlanId":"1","unchecked":"please"}`:      "unchecked must be true or false",
	} {
		got := c.ask(t, s, 400, "PUT /api/admin/mappings", "/api/admin/mappings", body)
		if text := fmt.Sprint(got.object(t)["error"]); !strings.Contains(text, want) || strings.Contains(text, "Go ") {
			t.Errorf("%s: %q, want %q", body, text, want)
		}
	}
	for op, e := range examples { // ids that do not exist, and bodies that are too large
		method, path, _ := strings.Cut(op, " ")
		if strings.Contains(e[0]+e[1], "none") || strings.Contains(e[0], "nothing") || strings.Contains(e[1], "cus_x") {
			c.ask(t, s, 404, op, e[0], e[1])
		}
		if c.document.Paths.Value(path).GetOperation(method).Responses.Status(413) != nil {
			c.ask(t, s, 413, op, e[0], `{"x":"`+strings.Repeat("x", 300<<10)+`"}`)
		}
		if c.document.Paths.Value(path).GetOperation(method).Responses.Status(403) != nil {
			c.ask(t, s, 403, op, e[0], e[1], "Authorization: Bearer "+supportKey)
		}
	}
	bob, err := s.world.SignUp(simulator.SignUp{Email: "bob@example.com", Name: "bob", Price: s.world.AddPrice("prod_other", "unmapped", 100)})
	if err != nil {
		t.Fatal(err)
	}
	c.ask(t, s, 200, "POST /api/admin/sync", "/api/admin/sync", fmt.Sprintf(`{"subscriptionId":%q}`, bob.Subscription))
	c.ask(t, s, 409, "PATCH /api/admin/customers", "/api/admin/customers", fmt.Sprintf(`{"customerId":%q,"name":"Bob"}`, bob.Customer))
	c.check(t, "POST /api/webhook", s.call("POST", "/api/webhook", "{}"))
	c.check(t, "POST /api/webhook", s.call("POST", "/api/webhook", strings.Repeat(" ", 1<<20+1)))
	for _, odd := range []struct {
		method, path string
		want         int
	}{
		{"DELETE", "/api/health", 405}, {"PUT", "/api/webhook", 405}, {"GET", "/api/webhook", 405}, {"POST", "/", 405}, {"TRACE", "/healthz", 405}, {"POST", "/api/admin/runs", 405},
		{"GET", "/api/nothing", 404}, {"GET", "/api/admin/nothing", 404}, {"GET", "/api/admin", 404}, {"GET", "/api//health", 404}, {"GET", "/api/admin/", 404},
		{"GET", "/x/%2e%2e/api/admin/runs", 404}, {"GET", "/api/health/", 404}, {"POST", "/api/admin/actions/x", 404},
	} {
		got := s.admin(odd.method, strings.TrimPrefix(odd.path, "/api/admin"), "")
		if !strings.HasPrefix(odd.path, "/api/admin") {
			got = s.call(odd.method, odd.path, "")
		}
		if o := got.object(t); got.status != odd.want || len(o) != 1 || o["error"] == "" {
			t.Errorf("%s %s: %d %s, want %d in JSON", odd.method, odd.path, got.status, got.body, odd.want)
		}
	}
}

func (c *contract) sideRefuses(t *testing.T, s *service, ada simulator.SignedUp) {
	s.world.SetFault(func(call simulator.Call) simulator.Fault {
		return simulator.Fault{Apply: simulator.Skip, Status: http.StatusBadRequest}
	})
	defer s.world.SetFault(nil)
	mapped := c.ask(t, s, 200, "PUT /api/admin/mappings", "/api/admin/mappings", `{"billingPlanId":"price_unasked","enhancePlanId":"1"}`).object(t)
	if text := fmt.Sprint(mapped["warning"]); !strings.Contains(text, "not verified: enhance") || !strings.Contains(text, "stripe") {
		t.Errorf("a mapping that neither side could be asked about: %v", mapped)
	}
	c.ask(t, s, 200, "DELETE /api/admin/mappings", "/api/admin/mappings?billingPlanId=price_unasked", "")
	c.ask(t, s, 202, "PATCH /api/admin/customers", "/api/admin/customers", fmt.Sprintf(`{"customerId":%q,"name":"Again"}`, ada.Customer))
	c.ask(t, s, 502, "POST /api/admin/customers/{id}/login", "/api/admin/customers/"+ada.Customer+"/login", `{"reason":"it is slow"}`)
	c.ask(t, s, 502, "POST /api/admin/sync", "/api/admin/sync", "")
}

func (c *contract) withoutKeys(t *testing.T) {
	s := serveHere(t, serving{environ: []string{"ADMIN_API_KEY=", "SUPPORT_API_KEY=", "STRIPE_WEBHOOK_SECRET="}})
	for op, e := range examples {
		c.ask(t, s, 404, op, e[0], e[1])
	}
	c.ask(t, s, 404, "POST /api/webhook", "/api/webhook", "{}")
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		if got := s.call(method, "/api/webhook", ""); got.status != 404 {
			t.Errorf("%s of a webhook that does not exist: %d %s", method, got.status, got.body)
		}
	}
}

// withoutDatabase also uses up the ten wrong keys of a minute.
func (c *contract) withoutDatabase(t *testing.T) {
	s := serveHere(t, serving{})
	for i := range 10 {
		for _, key := range []string{"Accept: y", "Authorization: Bearer wrong", "Authorization: Basic " + adminKey, "Authorization: " + adminKey, "Authorization: Bearer " + adminKey[1:]}[i%5 : i%5+1] {
			if got := s.call("GET", "/api/admin/runs", "", append([]string{"Accept: x"}, key)...); got.status != 401 || got.body != `{"error":"Unauthorized"}`+"\n" {
				t.Errorf("%q: %d %s", key, got.status, got.body)
			}
		}
	}
	for op, e := range examples {
		c.ask(t, s, 429, op, e[0], e[1], "Authorization: Bearer wrong")
		c.ask(t, s, 429, op, e[0], e[1], "Authorization: Bearer wrong", "X-Forwarded-For: 198.51.100.7")
	}
	if got := s.admin("GET", "/runs", ""); got.status != 200 {
		t.Errorf("the right key after ten wrong ones: %d", got.status)
	}
	other := serveHere(t, serving{environ: []string{"TRUSTED_PROXIES=127.0.0.1"}})
	i := 0
	for op, e := range examples {
		i++
		c.ask(t, other, 401, op, e[0], e[1], "Authorization: Bearer wrong", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
	}

	s.broken.Store(true)
	if err := s.app.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for op, e := range examples {
		if op != "POST /api/admin/sync" {
			c.ask(t, s, 503, op, e[0], e[1])
		}
	}
	c.check(t, "POST /api/webhook", s.hook(subscriptionEvent("evt_1", "sub_1")))
	s.until("readiness has noticed", func() bool { return s.call("GET", "/readyz", "").status == 503 })
	c.ask(t, s, 503, "GET /readyz", "/readyz", "")
	s.until("health has noticed", func() bool { return s.call("GET", "/api/health", "").status == 503 })
	c.ask(t, s, 503, "GET /api/health", "/api/health", "")
	c.ask(t, s, 200, "GET /healthz", "/healthz", "")
}

// tooMuch sends bodies that never end until there is no room for another one, and an
// ordinary delivery beside them.
func (c *contract) tooMuch(t *testing.T, s *service) {
	never, end := io.Pipe()
	var sent sync.WaitGroup
	refused := make(chan answer, 40)
	for range cap(refused) {
		sent.Go(func() {
			body := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20-1)), never)
			res, err := http.Post(s.url+"/api/webhook", "application/json", body)
			if err != nil {
				return // cut off before it had read why
			}
			text, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err == nil && res.StatusCode == http.StatusServiceUnavailable {
				refused <- answer{res.StatusCode, res.Header, string(text)}
			}
		})
	}
	c.check(t, "POST /api/webhook", <-refused)
	if got := s.hook(subscriptionEvent("evt_beside", "sub_1")); got.status != 200 {
		t.Errorf("an ordinary delivery beside them: %d %s", got.status, got.body)
	}
	_ = end.Close()
	sent.Wait()
	s.settle()
}

// tooSlow lets a sync take longer than the API waits, and waits as long itself.
func (c *contract) tooSlow(t *testing.T, s *service) {
	release := s.hang()
	got := c.ask(t, s, 202, "POST /api/admin/sync", "/api/admin/sync", "")
	id := fmt.Sprint(got.object(t)["runId"])
	if got.header.Get("Location") != "/api/admin/runs/"+id {
		t.Errorf("Location %q for the run %q", got.header.Get("Location"), id)
	}
	if r := c.ask(t, s, 200, "GET /api/admin/runs/{id}", "/api/admin/runs/"+id, "").object(t); r["result"] != "running" {
		t.Errorf("the run is %v", r["result"])
	}
	release()
	s.until("the run has ended", func() bool { return s.admin("GET", "/runs/"+id, "").object(t)["result"] == "ok" })
}
