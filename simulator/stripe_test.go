package simulator

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAListWithoutAStatusLeavesOutWhatWasCanceled(t *testing.T) {
	c := calm(t)
	c.w.Populate(400, Mix{})
	want := map[string]int{}
	for _, s := range c.w.Subscriptions() {
		want["all"]++
		want[s.Status]++
		if s.Status != "canceled" {
			want["default"]++
		}
		if s.Status == "canceled" || s.Status == "incomplete_expired" {
			want["ended"]++
		}
	}
	delete(want, "dormant") // the unknown status can be seen but not asked for
	got := map[string]int{}
	for name := range want {
		q := url.Values{"limit": {"100"}}
		if name != "default" {
			q.Set("status", name)
		}
		got[name] = len(c.all("/v1/subscriptions", q))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subscriptions by status filter (-want +got):\n%s", diff)
	}
}

func TestPagesOfAnySizeShowEachSubscriptionOnceNewestFirst(t *testing.T) {
	c := calm(t)
	c.w.Populate(230, Mix{})
	want := []string{}
	shared := 0
	subs := c.w.Subscriptions()
	for i := range slices.Backward(subs) {
		want = append(want, subs[i].ID)
		if i > 0 && subs[i].Created == subs[i-1].Created {
			shared++
		}
	}
	if shared < 20 {
		t.Fatalf("only %d subscriptions share their second; the test needs more", shared)
	}
	for _, limit := range []string{"1", "7", "99", "100"} {
		got := c.all("/v1/subscriptions", url.Values{"status": {"all"}, "limit": {limit}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %s (-want +got):\n%s", limit, diff)
		}
	}
}

func TestSlicesByCreatedTouchAndDoNotOverlap(t *testing.T) {
	c := calm(t)
	c.w.Populate(300, Mix{})
	subs := c.w.Subscriptions()
	oldest, newest := subs[0].Created, subs[len(subs)-1].Created
	edges := []int64{oldest, subs[100].Created, subs[101].Created, subs[200].Created + 1, newest + 1}
	seen := map[string]int{}
	for i := range len(edges) - 1 {
		q := url.Values{"status": {"all"}, "limit": {"100"},
			"created[gte]": {fmt.Sprint(edges[i])}, "created[lt]": {fmt.Sprint(edges[i+1])}}
		for _, id := range c.all("/v1/subscriptions", q) {
			seen[id]++
		}
	}
	for _, s := range subs {
		if seen[s.ID] != 1 {
			t.Errorf("%s created %d was in %d slices, want 1", s.ID, s.Created, seen[s.ID])
		}
	}
}

func TestBoundsOfCreatedAreExact(t *testing.T) {
	c := calm(t)
	c.w.Populate(60, Mix{Plain: true})
	subs := c.w.Subscriptions()
	at := fmt.Sprint(subs[30].Created)
	for bound, want := range map[string]int{
		"created": 1, "created[gte]": 30, "created[gt]": 29, "created[lte]": 31, "created[lt]": 30,
	} {
		if got := len(c.all("/v1/subscriptions", url.Values{"status": {"all"}, "limit": {"100"}, bound: {at}})); got != want {
			t.Errorf("%s=%s found %d of 60, want %d", bound, at, got, want)
		}
	}
}

func TestEndingBeforeIsThePageRightAboveTheCursor(t *testing.T) {
	c := calm(t)
	c.w.Populate(50, Mix{})
	all := c.all("/v1/subscriptions", url.Values{"status": {"all"}, "limit": {"100"}})
	page := c.object(c.stripe("GET", "/v1/subscriptions?status=all&limit=5&ending_before="+all[20], ""), 200)
	if diff := cmp.Diff(all[15:20], page.ids()); diff != "" {
		t.Errorf("page before the 21st (-want +got):\n%s", diff)
	}
	if page["has_more"] != true {
		t.Error("there are newer ones, but has_more is not true")
	}
}

func TestStripeRefusesWhatItDoesNotKnow(t *testing.T) {
	c := calm(t)
	sub := c.signUp(SignUp{Email: "a@example.com", Price: "price_pro_monthly"}).Subscription
	type refusal struct {
		status      int
		code, param string
	}
	for path, want := range map[string]refusal{
		"/v1/nonsense":                                             {404, "", ""},
		"/v1/subscriptions/":                                       {404, "", ""},
		"/v1/subscriptions/sub_none":                               {404, "resource_missing", "id"},
		"/v1/subscriptions?statuz=all":                             {400, "parameter_unknown", "statuz"},
		"/v1/subscriptions?status=dormant":                         {400, "", "status"},
		"/v1/subscriptions?status[0]=all":                          {400, "parameter_unknown", "status[0]"},
		"/v1/subscriptions?limit=0":                                {400, "parameter_invalid_integer", "limit"},
		"/v1/subscriptions?limit=101":                              {400, "parameter_invalid_integer", "limit"},
		"/v1/subscriptions?limit=ten":                              {400, "parameter_invalid_integer", "limit"},
		"/v1/subscriptions?starting_after=sub_none":                {400, "resource_missing", "starting_after"},
		"/v1/subscriptions?starting_after=a&ending_before=b":       {400, "", ""},
		"/v1/subscriptions?customer=cus_none":                      {400, "resource_missing", "customer"},
		"/v1/subscriptions?created[since]=1":                       {400, "parameter_unknown", "created[since]"},
		"/v1/subscriptions?created[gte]=yesterday":                 {400, "parameter_invalid_integer", "created[gte]"},
		"/v1/subscriptions?expand[]=customer":                      {400, "", "expand"},
		"/v1/subscriptions?expand[]=data.items.data.price.product": {400, "", "expand"},
		"/v1/subscriptions?expand[]=data.nonsense":                 {400, "", "expand"},
		"/v1/subscriptions?expand=data.customer":                   {400, "", "expand"},
		"/v1/subscriptions/" + sub + "?expand[]=data.customer":     {400, "", "expand"},
		"/v1/subscription_items":                                   {400, "parameter_missing", "subscription"},
		"/v1/events?type=a&types[]=b":                              {400, "", "type"},
		"/v1/events?starting_after=evt_old":                        {400, "resource_missing", "starting_after"},
		"/v1/prices?active=yes":                                    {400, "", "active"},
		"/v1/invoices?status=late":                                 {400, "", "status"},
	} {
		s := c.stripe("GET", path, "")
		e := c.object(s, s.status)
		code, _ := e.at("error.code").(string)
		param, _ := e.at("error.param").(string)
		if diff := cmp.Diff(want, refusal{s.status, code, param}, cmp.AllowUnexported(refusal{})); diff != "" {
			t.Errorf("GET %s (-want +got):\n%s", path, diff)
		}
		if e.at("error.message") == nil || e.at("error.type") == nil || s.header.Get("Request-Id") == "" {
			t.Errorf("GET %s: the error lacks message, type or request id: %s", path, s.body)
		}
	}
}

func TestExpansionsShowTheObjectBehindTheID(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "A@Example.com", Price: "pro_monthly"})
	one := c.object(c.stripe("GET", "/v1/subscriptions/"+s.Subscription+"?expand[0]=customer&expand[1]=items.data.price.product", ""), 200)
	list := c.object(c.stripe("GET", "/v1/subscriptions?expand[]=data.customer&expand[]=data.latest_invoice", ""), 200)
	first := object(list["data"].([]any)[0].(map[string]any))
	item := object(one.at("items.data").([]any)[0].(map[string]any))
	got := map[string]any{
		"customer": one.at("customer.email"), "product": item.at("price.product.name"), "lookup": item.at("price.lookup_key"),
		"listed": first.at("customer.email"), "invoice": first.at("latest_invoice.status"),
	}
	want := map[string]any{
		"customer": "A@Example.com", "product": "Pro hosting", "lookup": "pro_monthly",
		"listed": "A@Example.com", "invoice": "paid",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("expanded fields (-want +got):\n%s", diff)
	}
}

func TestItemsBeyondTheEmbeddedOnesAreOnlyInTheirOwnList(t *testing.T) {
	c := calm(t)
	lines := slices.Repeat([]Line{{Price: "basic_monthly"}}, 23)
	s := c.signUp(SignUp{Email: "a@example.com", Lines: lines})
	listedSub := c.object(c.stripe("GET", "/v1/subscriptions", ""), 200)["data"].([]any)[0].(map[string]any)
	single := c.object(c.stripe("GET", "/v1/subscriptions/"+s.Subscription, ""), 200)
	for name, got := range map[string]object{"listed": object(listedSub), "retrieved": single} {
		want := map[string]int{"listed": 10, "retrieved": 20}[name]
		if n := len(got.at("items.data").([]any)); n != want || got.at("items.has_more") != true {
			t.Errorf("%s: %d items and has_more %v, want %d and true", name, n, got.at("items.has_more"), want)
		}
	}
	got := c.all("/v1/subscription_items", url.Values{"subscription": {s.Subscription}, "limit": {"10"}})
	if diff := cmp.Diff(s.Items, got); diff != "" {
		t.Errorf("all items (-want +got):\n%s", diff)
	}
}

func TestADeletedCustomerHasThreeFieldsAndNoPlaceInTheList(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	c.must(c.w.DeleteCustomer(s.Customer))
	want := object{"id": s.Customer, "object": "customer", "deleted": true}
	if diff := cmp.Diff(want, c.object(c.stripe("GET", "/v1/customers/"+s.Customer, ""), 200)); diff != "" {
		t.Errorf("deleted customer (-want +got):\n%s", diff)
	}
	if ids := c.object(c.stripe("GET", "/v1/customers", ""), 200).ids(); len(ids) != 0 {
		t.Errorf("the list still has %v", ids)
	}
	if got := c.status(s.Subscription); got != "canceled" {
		t.Errorf("the subscription is %s, want canceled", got)
	}
}

func TestStripeKnowsItsKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		key, auth, path string
		deny            []string
		want            int
	}{
		"the key as a bearer token":              {"sk_test_123456789", "Bearer sk_test_123456789", "/v1/subscriptions", nil, 200},
		"the key as a user name":                 {"sk_test_123456789", "Basic " + base64.StdEncoding.EncodeToString([]byte("sk_test_123456789:")), "/v1/subscriptions", nil, 200},
		"no key":                                 {"sk_test_123456789", "", "/v1/subscriptions", nil, 401},
		"another key":                            {"sk_test_123456789", "Bearer sk_test_987654321", "/v1/subscriptions", nil, 401},
		"a secret key reads the account":         {"sk_test_123456789", "Bearer sk_test_123456789", "/v1/account", nil, 200},
		"a restricted key does not":              {"rk_test_123456789", "Bearer rk_test_123456789", "/v1/account", nil, 403},
		"a restricted key reads what it may":     {"rk_test_123456789", "Bearer rk_test_123456789", "/v1/prices", []string{"invoices"}, 200},
		"and not what it may not":                {"rk_test_123456789", "Bearer rk_test_123456789", "/v1/invoices", []string{"invoices"}, 403},
		"sessions are a resource of their own":   {"rk_test_123456789", "Bearer rk_test_123456789", "/v1/checkout/sessions", []string{"checkout_sessions"}, 403},
		"denials do not concern the secret keys": {"sk_test_123456789", "Bearer sk_test_123456789", "/v1/invoices", []string{"invoices"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t, Options{Calm: true, StripeKey: tt.key, Deny: tt.deny})
			r := c.request("GET", "http://"+StripeHost+tt.path, "", "")
			r.Header.Set("Authorization", tt.auth)
			s := c.do(r)
			if s.status != tt.want {
				t.Errorf("got %d %s, want %d", s.status, s.body, tt.want)
			}
			if strings.Contains(string(s.body), "123456789") || strings.Contains(string(s.body), "987654321") {
				t.Errorf("the answer tells the key: %s", s.body)
			}
		})
	}
}

func TestMetadataIsMergedAndNothingElseIsWritten(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly", Metadata: map[string]string{"keep": "1", "drop": "2"}})
	path := "/v1/subscriptions/" + s.Subscription
	c.object(c.stripe("POST", path, "metadata[enhance_org_id]=o1&metadata[drop]="), 200)
	sub, _ := c.w.Subscription(s.Subscription)
	if diff := cmp.Diff(map[string]string{"keep": "1", "enhance_org_id": "o1"}, sub.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	c.object(c.stripe("POST", path, "cancel_at_period_end=true"), 400)
	c.object(c.stripe("DELETE", path, ""), 405)
	got := []string{}
	for _, v := range c.w.Violations() {
		got = append(got, v.Kind)
	}
	if diff := cmp.Diff([]string{"stripe-write", "stripe-write"}, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if n := len(c.w.Effects()); n != 1 {
		t.Errorf("%d effects, want the one write of metadata", n)
	}
}

func TestAnIdempotencyKeyRepeatsTheAnswerAndNotTheWrite(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	post := func(form string) said {
		r := c.request("POST", "http://"+StripeHost+"/v1/subscriptions/"+s.Subscription, c.w.StripeKey(), form)
		r.Header.Set("Idempotency-Key", "once")
		return c.do(r)
	}
	first, again, other := post("metadata[a]=1"), post("metadata[a]=1"), post("metadata[a]=2")
	if string(first.body) != string(again.body) || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the second answer is not a replay of the first: %s", again.body)
	}
	if other.status != http.StatusBadRequest {
		t.Errorf("other parameters under the same key: got %d, want 400", other.status)
	}
	if n := len(c.w.Effects()); n != 1 {
		t.Errorf("%d writes were done, want 1", n)
	}
}

func TestTheDomainIsOnlyInTheCheckoutSession(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly", Domain: "shop.example.org"})
	other := c.signUp(SignUp{Email: "b@example.com", Price: "pro_monthly"})
	if body := c.stripe("GET", "/v1/subscriptions/"+s.Subscription, "").body; strings.Contains(string(body), "shop.example.org") {
		t.Error("the subscription knows the domain")
	}
	list := c.object(c.stripe("GET", "/v1/checkout/sessions?subscription="+s.Subscription, ""), 200)
	session := object(list["data"].([]any)[0].(map[string]any))
	field := object(session["custom_fields"].([]any)[0].(map[string]any))
	if field["key"] != "domain" || field.at("text.value") != "shop.example.org" {
		t.Errorf("custom field is %v", field)
	}
	if ids := c.object(c.stripe("GET", "/v1/checkout/sessions?subscription="+other.Subscription, ""), 200).ids(); len(ids) != 0 {
		t.Errorf("an order without a session has %v", ids)
	}
}

// TestWhatIsOnATestClockIsListedOnlyWhereItIsNamed: and a subscription that is hidden
// is listed nowhere.
func TestWhatIsOnATestClockIsListedOnlyWhereItIsNamed(t *testing.T) {
	c := calm(t)
	plain, clocked := c.signUp(SignUp{Email: "a@example.com", Price: "price_pro_monthly"}), c.signUp(SignUp{Email: "b@example.com", Price: "price_pro_monthly"})
	if err := c.w.Edit(clocked.Subscription, func(s *Subscription) { s.TestClock = "clock_1" }); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]struct {
		query url.Values
		want  []string
	}{
		"nothing named": {url.Values{}, []string{plain.Subscription}},
		"the customer":  {url.Values{"customer": {clocked.Customer}}, []string{clocked.Subscription}},
		"the clock":     {url.Values{"test_clock": {"clock_1"}}, []string{clocked.Subscription}},
		"another clock": {url.Values{"test_clock": {"clock_2"}}, []string{}},
	} {
		if diff := cmp.Diff(q.want, c.all("/v1/subscriptions", q.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	one := "/v1/subscriptions/" + clocked.Subscription
	if got := c.object(c.stripe("GET", one, ""), 200)["test_clock"]; got != "clock_1" {
		t.Errorf("read alone, it is on clock %v", got)
	}
	if err := c.w.Edit(clocked.Subscription, func(s *Subscription) { s.Unknown, s.TestClock = true, "" }); err != nil {
		t.Fatal(err)
	}
	if got := c.stripe("GET", one, "").status; got != 404 {
		t.Errorf("what Stripe does not know is answered with %d", got)
	}
	if diff := cmp.Diff([]string{plain.Subscription}, c.all("/v1/subscriptions", url.Values{})); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}
