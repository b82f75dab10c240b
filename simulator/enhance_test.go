package simulator

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// customer makes an organisation and a hosting on plan 2 through the API.
func (c *caller) customer(name, friendly string) (org string, hosting int) {
	c.t.Helper()
	o := c.object(c.enhance("POST", "/orgs/{org}/customers", `{"name":`+quote(name)+`}`), 201)
	org = o["id"].(string)
	h := c.object(c.enhance("POST", "/orgs/{org}/customers/"+org+"/subscriptions", `{"planId":2,"friendlyName":`+quote(friendly)+`}`), 201)
	return org, int(h["id"].(float64))
}

func TestEnhanceRefusesWhatOrchdWould(t *testing.T) {
	c := calm(t)
	org, id := c.customer("Somebody", "Pro")
	hosting := fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id)
	subs := "/orgs/{org}/customers/" + org + "/subscriptions"
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		code, detail       string
	}{
		"a path that does not exist":         {"GET", "/nonsense", "", 404, "not_found", ""},
		"an org that is no uuid":             {"GET", "/orgs/42", "", 400, "bad_request", ""},
		"an org that does not exist":         {"GET", "/orgs/00000000-0000-4000-8000-000000000000", "", 404, "not_found", "org"},
		"a hosting that does not exist":      {"GET", "/orgs/" + org + "/subscriptions/9999", "", 404, "not_found", "subscription"},
		"a hosting of somebody else":         {"GET", fmt.Sprintf("/orgs/{org}/subscriptions/%d", id), "", 404, "not_found", "subscription"},
		"a hosting that is no number":        {"GET", "/orgs/" + org + "/subscriptions/x", "", 400, "bad_request", ""},
		"a method that does not exist":       {"PUT", hosting, "{}", 405, "method_not_allowed", ""},
		"a plan in a string":                 {"POST", subs, `{"planId":"2"}`, 400, "bad_request", ""},
		"a plan that is a fraction":          {"POST", subs, `{"planId":2.0}`, 400, "bad_request", ""},
		"a plan beyond 32 bits":              {"POST", subs, `{"planId":4294967298}`, 400, "bad_request", ""},
		"a plan that does not exist":         {"POST", subs, `{"planId":77}`, 404, "not_found", "plan"},
		"no plan":                            {"POST", subs, `{"friendlyName":"x"}`, 400, "bad_request", ""},
		"a field that does not exist":        {"POST", subs, `{"planId":2,"name":"x"}`, 400, "bad_request", ""},
		"two bodies":                         {"POST", subs, `{"planId":2}{"planId":2}`, 400, "bad_request", ""},
		"a customer without a name":          {"POST", "/orgs/{org}/customers", `{}`, 400, "bad_request", ""},
		"a customer of a customer":           {"POST", "/orgs/" + org + "/customers", `{"name":"x"}`, 403, "forbidden", ""},
		"a suspension that is no boolean":    {"PATCH", hosting, `{"isSuspended":"true"}`, 400, "bad_request", ""},
		"a status that does not exist":       {"PATCH", hosting, `{"status":"suspended"}`, 400, "bad_request", ""},
		"a negative offset":                  {"GET", "/orgs/{org}/customers?offset=-1", "", 400, "bad_request", ""},
		"an unknown filter":                  {"GET", "/orgs/{org}/customers?email=a@example.com", "", 400, "bad_request", ""},
		"an order that does not exist":       {"GET", "/orgs/{org}/customers?sortOrder=down", "", 400, "bad_request", ""},
		"a role that does not exist":         {"POST", "/orgs/" + org + "/invites", `{"email":"a@example.com","name":"A","roles":["Boss"]}`, 400, "bad_request", ""},
		"an address that is none":            {"POST", "/orgs/" + org + "/invites", `{"email":"nobody","name":"A","roles":["Owner"]}`, 400, "bad_request", ""},
		"a login outside of every realm":     {"POST", "/logins", `{"email":"a@example.com","password":"long enough","name":"A"}`, 400, "bad_request", ""},
		"a website on no subscription":       {"POST", "/orgs/" + org + "/websites", `{"domain":"a.example.com"}`, 400, "bad_request", ""},
		"a website on another's":             {"POST", "/orgs/" + org + "/websites", `{"domain":"a.example.com","subscriptionId":1}`, 404, "not_found", "subscription"},
		"the organisation above us":          {"GET", "/orgs/" + c.w.panel.master, "", 403, "forbidden", ""},
		"a domain that is none":              {"POST", "/orgs/" + org + "/websites", fmt.Sprintf(`{"domain":"no dots","subscriptionId":%d}`, id), 400, "bad_request", ""},
		"a status of customers that is none": {"GET", "/orgs/{org}/customers?status=paused", "", 400, "bad_request", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.enhance(tt.method, tt.path, tt.body)
			e := c.object(s, tt.status)
			detail, _ := e["detail"].(string)
			if e["code"] != tt.code || detail != tt.detail {
				t.Errorf("got code %v and detail %q, want %q and %q", e["code"], detail, tt.code, tt.detail)
			}
		})
	}
	if n := len(c.w.Effects()); n != 2 {
		t.Errorf("%d effects, want the organisation and its hosting alone", n)
	}
}

func TestAWrongTokenIsRefusedEverywhereAndNoneWhereItIsNeeded(t *testing.T) {
	c := calm(t)
	got := map[string]int{}
	for _, path := range []string{"/api/status", "/api/orgs/" + c.w.OrgID() + "/plans", "/api/orgs/" + c.w.OrgID(), "/status"} {
		for who, token := range map[string]string{"right": "Bearer " + c.w.EnhanceToken(), "wrong": "Bearer nonsense", "none": ""} {
			r := c.request("GET", "http://"+EnhanceHost+path, "", "")
			r.Header.Set("Authorization", token)
			got[who+" "+strings.ReplaceAll(path, c.w.OrgID(), "{org}")] = c.do(r).status
		}
	}
	want := map[string]int{
		"right /api/status": 200, "wrong /api/status": 401, "none /api/status": 200,
		"right /api/orgs/{org}/plans": 200, "wrong /api/orgs/{org}/plans": 401, "none /api/orgs/{org}/plans": 200,
		"right /api/orgs/{org}": 200, "wrong /api/orgs/{org}": 401, "none /api/orgs/{org}": 401,
		"right /status": 404, "wrong /status": 401, "none /status": 401,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status by token and path (-want +got):\n%s", diff)
	}
}

func TestSuspendedShowsAsSuspendedByAndTellsWhoDidIt(t *testing.T) {
	c := calm(t)
	org, id := c.customer("Somebody", "Pro")
	path := fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id)
	by := func() any { return c.object(c.enhance("GET", path, ""), 200)["suspendedBy"] }
	patch := func(body string) {
		t.Helper()
		if s := c.enhance("PATCH", path, body); s.status != 204 || len(s.body) != 0 {
			t.Errorf("PATCH %s: got %d with %q, want an empty 204", body, s.status, s.body)
		}
	}
	got := []any{by()}
	patch(`{"isSuspended":true}`)
	got = append(got, by())
	patch(`{"isSuspended":false}`)
	got = append(got, by())
	c.must(c.w.StaffSuspend(id))
	staff := by()
	patch(`{"isSuspended":true}`)
	got = append(got, by() == staff && staff != c.w.OrgID())
	if diff := cmp.Diff([]any{nil, c.w.OrgID(), nil, true}, got); diff != "" {
		t.Errorf("suspendedBy, step by step (-want +got):\n%s", diff)
	}
	if v := c.w.Violations(); len(v) != 0 {
		t.Errorf("violations so far: %v", v)
	}
	patch(`{"isSuspended":false}`)
	if v := c.w.Violations(); len(v) != 1 || v[0].Kind != "foreign-resume" {
		t.Errorf("lifting what staff suspended: violations %v, want one foreign-resume", v)
	}
}

func TestWhatMustNeverBeSentIsRefusedAndRemembered(t *testing.T) {
	c := calm(t)
	org, id := c.customer("Somebody", "Pro")
	hosting := fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id)
	for _, call := range [][2]string{
		{"DELETE", hosting + "?force=true"}, {"DELETE", "/orgs/" + org}, {"DELETE", "/orgs/" + org + "?force=true"},
	} {
		if s := c.enhance(call[0], call[1], ""); s.status != 403 {
			t.Errorf("%s %s: got %d, want 403", call[0], call[1], s.status)
		}
	}
	r := c.enhanceRequest("POST", "/orgs/{org}/customers", `{"name":"Keyed"}`)
	r.Header.Set("Idempotency-Key", "k")
	c.do(r)
	c.enhance("DELETE", "/orgs/"+org+"/websites", `{}`)
	got := []string{}
	for _, v := range c.w.Violations() {
		got = append(got, v.Kind)
	}
	if diff := cmp.Diff([]string{"force", "org-delete", "force", "idempotency-key", "enhance-write"}, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if h := c.w.Hostings()[0]; h.Status != "active" {
		t.Errorf("the hosting is %s after refused deletions", h.Status)
	}
}

func TestDeletingIsSoftAndTakesTheWebsitesAlong(t *testing.T) {
	c := calm(t)
	org, id := c.customer("Somebody", "Pro")
	path := fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id)
	c.object(c.enhance("POST", "/orgs/"+org+"/websites", fmt.Sprintf(`{"domain":"a.example.com","subscriptionId":%d}`, id)), 201)
	if s := c.enhance("POST", "/orgs/"+org+"/websites", fmt.Sprintf(`{"domain":"A.example.com","subscriptionId":%d}`, id)); s.status != 409 {
		t.Errorf("a taken domain: got %d, want 409", s.status)
	}
	if s := c.enhance("DELETE", path, ""); s.status != 204 {
		t.Errorf("DELETE: got %d, want 204", s.status)
	}
	site := c.object(c.enhance("GET", "/orgs/{org}/websites?recursion=directCustomers", ""), 200)["items"].([]any)[0].(map[string]any)
	o := c.object(c.enhance("GET", "/orgs/"+org, ""), 200)
	got := []any{c.object(c.enhance("GET", path, ""), 200)["status"], site["status"], o["subscriptionsCount"]}
	if diff := cmp.Diff([]any{"deleted", "deleted", 0.0}, got); diff != "" {
		t.Errorf("hosting, website, count (-want +got):\n%s", diff)
	}
	c.must(c.w.StaffPurge(id))
	if s := c.enhance("GET", path, ""); s.status != 404 {
		t.Errorf("after the purge: got %d, want 404", s.status)
	}
}

func TestPagesAreCappedAndTotalsAreNot(t *testing.T) {
	c := newCaller(t, Options{Calm: true, MaxPage: 7})
	want := []string{}
	for i := range 20 {
		want = append([]string{c.w.StaffCreateOrg(fmt.Sprint("Org ", i%3), "")}, want...)
	}
	got := []string{}
	for offset := 0; offset < 20; {
		page := c.object(c.enhance("GET", fmt.Sprintf("/orgs/{org}/customers?limit=500&offset=%d&sortBy=createdAt&sortOrder=desc", offset), ""), 200)
		if page["total"] != 20.0 || len(page.ids()) > 7 || len(page.ids()) == 0 {
			t.Fatalf("offset %d: total %v with %d items", offset, page["total"], len(page.ids()))
		}
		got = append(got, page.ids()...)
		offset += len(page.ids())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("customers, newest first (-want +got):\n%s", diff)
	}
	if past := c.object(c.enhance("GET", "/orgs/{org}/customers?offset=20", ""), 200); len(past.ids()) != 0 || past["total"] != 20.0 {
		t.Errorf("past the end: %v", past)
	}
}

func TestAnInvitationIsPendingUntilAcceptedAndOnlyThenOwns(t *testing.T) {
	c := calm(t)
	org, _ := c.customer("Somebody", "Pro")
	invite := func() said {
		return c.enhance("POST", "/orgs/"+org+"/invites", `{"email":"owner@example.com","name":"O","roles":["Owner"]}`)
	}
	first, second := invite(), invite()
	if first.status != 201 || second.status != 201 || string(first.body) == string(second.body) {
		t.Errorf("invitations: %d %s and %d %s, want two different links", first.status, first.body, second.status, second.body)
	}
	owner := func() (active, mail any) {
		members := c.object(c.enhance("GET", "/orgs/"+org+"/members?role=Owner", ""), 200)
		if members["total"] != 1.0 {
			t.Fatalf("members: %v", members)
		}
		active = members["items"].([]any)[0].(map[string]any)["isActive"]
		return active, c.object(c.enhance("GET", "/orgs/"+org, ""), 200)["ownerEmail"]
	}
	a1, m1 := owner()
	c.must(c.w.AcceptInvite(org))
	a2, m2 := owner()
	if diff := cmp.Diff([]any{false, nil, true, "owner@example.com"}, []any{a1, m1, a2, m2}); diff != "" {
		t.Errorf("active and owner, before and after (-want +got):\n%s", diff)
	}
	if s := invite(); s.status != 400 || c.object(s, 400)["code"] != "already_exists" {
		t.Errorf("inviting a member: %d %s", s.status, s.body)
	}
	if n := len(c.w.Mails()); n != 2 {
		t.Errorf("%d mails, want one for each invitation that worked", n)
	}
}

func TestALoginIsUniqueWithoutRegardToCase(t *testing.T) {
	c := calm(t)
	org, _ := c.customer("Somebody", "Pro")
	login := func(email string) said {
		return c.enhance("POST", "/logins?orgId="+c.w.OrgID(), `{"email":"`+email+`","password":"long enough","name":"A"}`)
	}
	id := c.object(login("a@example.com"), 201)["id"].(string)
	if e := c.object(login("A@example.com"), 409); e["detail"] != "login" {
		t.Errorf("the second login: %v", e)
	}
	body := `{"loginId":"` + id + `","roles":["SuperAdmin"]}`
	member := c.object(c.enhance("POST", "/orgs/"+org+"/members", body), 201)["id"].(string)
	c.object(c.enhance("POST", "/orgs/"+org+"/members", body), 409)
	if s := c.enhance("PUT", "/orgs/"+org+"/owner", `{"memberId":"`+member+`"}`); s.status != 200 {
		t.Errorf("making an owner: %d %s", s.status, s.body)
	}
	if got := c.object(c.enhance("GET", "/orgs/"+org, ""), 200)["ownerEmail"]; got != "a@example.com" {
		t.Errorf("the owner is %v", got)
	}
	for _, email := range []string{"a@example.com", "unknown@example.com"} {
		if s := c.enhance("PUT", "/login/password-recovery", `{"email":"`+email+`"}`); s.status != 200 {
			t.Errorf("recovery for %s: %d, want 200 for everyone", email, s.status)
		}
	}
	if mails := c.w.Mails(); len(mails) != 1 || mails[0].To != "a@example.com" {
		t.Errorf("mails: %v, want one recovery", mails)
	}
}

func TestARestoredPanelIsAsItWas(t *testing.T) {
	c := calm(t)
	org, id := c.customer("Before", "Pro [sub_1/1]")
	c.must(c.w.SetUsage(id, "mailboxes", 3))
	backup := c.w.Snapshot()
	_, err := c.w.AddWebsite(id, "a.example.com") // which counts in the usage
	c.must(err)
	c.enhance("PATCH", fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id), `{"isSuspended":true,"planId":3}`)
	later, _ := c.customer("After", "Pro")
	c.w.Restore(backup)
	if s := c.enhance("GET", "/orgs/"+later, ""); s.status != 404 {
		t.Errorf("an org made after the backup: got %d, want 404", s.status)
	}
	h := c.w.Hostings()
	if len(h) != 1 || h[0].Plan != 2 || h[0].SuspendedBy != "" {
		t.Errorf("hostings after the restore: %+v", h)
	}
	if diff := cmp.Diff(map[string]int64{"mailboxes": 3}, h[0].Usage); diff != "" {
		t.Errorf("usage after the restore (-want +got):\n%s", diff)
	}
	c.enhance("PATCH", fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id), `{"planId":1}`)
	c.w.Restore(backup)
	if got := c.w.Hostings()[0].Plan; got != 2 {
		t.Errorf("a second restore from one backup: plan %d, want 2", got)
	}
}

func TestCustomersCanBeListedByTheirState(t *testing.T) {
	c := calm(t)
	plain, _ := c.customer("Plain", "Basic")
	down, _ := c.customer("Down", "Pro")
	gone, _ := c.customer("Gone", "Pro")
	if s := c.enhance("PATCH", "/orgs/"+down, `{"isSuspended":true}`); s.status != 204 {
		t.Fatalf("suspending an organisation: %d %s", s.status, s.body)
	}
	c.must(c.w.StaffDeleteOrg(gone))
	got := map[string][]string{}
	for _, filter := range []string{"", "status=active", "status=suspended", "status=deleted", "planId=2", "sortBy=name"} {
		got[filter] = c.object(c.enhance("GET", "/orgs/{org}/customers?"+filter, ""), 200).ids()
	}
	want := map[string][]string{
		"": {plain, down, gone}, "status=active": {plain}, "status=suspended": {down}, "status=deleted": {gone},
		"planId=2": {plain, down}, "sortBy=name": {down, gone, plain},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("customers by filter (-want +got):\n%s", diff)
	}
}

func TestWebsitesAreRemovedAndMoved(t *testing.T) {
	c := calm(t)
	org := c.w.StaffCreateOrg("Ada", "ada@example.com")
	one, err := c.w.StaffCreateHosting(org, 1, "one")
	c.must(err)
	two, err := c.w.StaffCreateHosting(org, 1, "two")
	c.must(err)
	for _, domain := range []string{"a.example.com", "b.example.com"} {
		_, err := c.w.AddWebsite(one, domain)
		c.must(err)
	}
	c.must(c.w.MoveWebsite("A.example.com", two))
	c.must(c.w.RemoveWebsite("b.example.com"))
	if err := c.w.RemoveWebsite("b.example.com"); err == nil {
		t.Error("removed twice")
	}
	got := map[string]any{}
	for _, item := range c.object(c.enhance("GET", "/orgs/"+org+"/websites", ""), 200)["items"].([]any) {
		site := item.(map[string]any)
		got[site["domain"].(map[string]any)["domain"].(string)+" "+site["status"].(string)] = site["subscriptionId"]
	}
	want := map[string]any{"a.example.com active": float64(two), "b.example.com deleted": float64(one)}
	if !maps.Equal(want, got) {
		t.Errorf("listed: %v, want %v", got, want)
	}
	for _, h := range c.w.Hostings() {
		if n := h.Usage["websites"]; n != map[int]int64{one: 0, two: 1}[h.ID] {
			t.Errorf("hosting %d counts %d websites", h.ID, n)
		}
	}
	c.must(c.w.StaffDelete(one))
	if _, err := c.w.AddWebsite(two, "b.example.com"); err != nil {
		t.Errorf("a domain that is free again: %v", err)
	}
}
