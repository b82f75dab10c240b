package page

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/server"
)

func TestWebhooksAreShownByTheirState(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for query, want := range map[string]string{"": "ABCD", "?show=failed": "D", "?show=healed": "C", "?show=other": "ABCD"} {
		got := p.get("/ui/webhooks" + query)
		for _, letter := range "ABCD" {
			if strings.Contains(got.text, "evt_1Nffr"+string(letter)) != strings.ContainsRune(want, letter) {
				t.Errorf("%q: %c is shown, or missing", query, letter)
			}
		}
	}
}

// TestAListOfEventsThatIsCutSaysSo: it names how many events it looks back over.
func TestAListOfEventsThatIsCutSaysSo(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	const cut = "This list is made of the newest 1,000 events"
	if strings.Contains(p.get("/ui/webhooks").text, cut) {
		t.Error("a whole list is cut")
	}
	for len(h.webhooks) < mostWebhooks {
		h.webhooks = append(h.webhooks, h.webhooks[0])
	}
	for _, query := range []string{"", "?show=healed"} {
		if !strings.Contains(p.get("/ui/webhooks"+query).text, cut) {
			t.Errorf("%q does not say how far it looks back", query)
		}
	}
}

func TestTheCalendarShowsTheMonthThatIsAskedFor(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for query, want := range map[string]string{"": "November 2026", "?month=2026-12": "December 2026", "?month=2020-01": "November 2026", "?month=2090-01": "November 2026", "?month=x": "November 2026"} {
		if got := p.get("/ui/forecast" + query); !strings.Contains(got.text, "<h2>"+want+"</h2>") {
			t.Errorf("%q is not %s", query, want)
		}
	}
	got := p.get("/ui/forecast?month=2026-12")
	if !strings.Contains(got.text, ">plan_change</span>") || strings.Contains(got.text, ">terminate</span>") {
		t.Error("the month has what comes in another one")
	}
	if got := p.get("/ui/forecast?format=csv"); !strings.HasPrefix(got.text, "at,kind,customer,subscription,email,reason\n2026-11-30T19:15:00Z,suspend,cus_NffrFeUfNV2Hib,sub_1NffrF,ana@example.com") {
		t.Errorf("CSV: %s", got.text)
	}
	if got := p.get("/ui/forecast"); !strings.Contains(got.text, "and 2 more") {
		t.Error("a full day hides that it has more")
	}
}

// The file of the page is that of the command.
func TestTheReportHasTheColumnsOfTheCommand(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	got := p.get("/ui/report?format=csv")
	if !strings.HasPrefix(got.text, "kind,customer,subscription,email,org,hosting,since,amount_month,currency,reason,usage\npaid_not_provisioned,cus_NffrFeUfNV2Hib,sub_1NffrF,ana@example.com,,,2026-11-30T17:45:00Z,1234.50,eur,") {
		t.Errorf("%s", got.text)
	}
	for language, want := range map[string]string{"en": "EUR\u00a01,234.50", "ro": "1.234,50\u00a0EUR"} {
		p.cookies[languageCookie] = language
		if got := p.get("/ui/report"); !strings.Contains(got.text, want) {
			t.Errorf("%s: no amount %q", language, want)
		}
	}
	h.fail = fault.NotFound
	p.cookies[languageCookie] = "en"
	if got := p.get("/ui/report"); got.status != http.StatusOK || !strings.Contains(got.text, "No full run has read Stripe") {
		t.Errorf("before the first run: %d", got.status)
	}
}

func TestTheFilesOfThePageHaveAColumnForEachValue(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for path, want := range map[string]string{
		"/ui/adoption":          "customer,subscription,email,org,org_name,hosting,plan,score,evidence,decision,reason\ncus_NffrFeUfNV2Hib,sub_1NffrF,library@example.com,6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11,Library,12,1,95,owner_email;domain;plan,link,",
		"/ui/runs":              "run,trigger,mode,started,finished,result,planned,applied,failed,held,error\nrun_3,admin,full,2026-11-30T18:44:40Z,,running,0,0,0,0,\nrun_2,cron,changes,2026-11-30T17:45:00Z,2026-11-30T17:46:00Z,left,4,2,1,1,\n",
		"/ui/settings":          "name,group,value,default,set,meaning\nSTRIPE_SECRET_KEY,stripe,[redacted],,true,secret or restricted key\nGRACE_PERIOD,policy,7d,72h,true,",
		"/ui/mappings/unmapped": "price,product,amount,subscriptions,plan,plan_name,features,archived\nprice_pro_monthly,Pro hosting,19.00 eur / month,12,2,Pro,pro_features,false\n",
	} {
		if got := p.get(path + "?format=csv"); !strings.HasPrefix(got.text, want) {
			t.Errorf("%s: %s", path, got.text)
		}
	}
}

func TestNoSecretIsAmongTheSettings(t *testing.T) {
	h := newHouse(t, usual)
	got := h.signedIn(supportKey).get("/ui/settings").text
	for _, want := range []string{"[redacted]", "by default 72h", "how long a past_due hosting stays up", "not set"} {
		if !strings.Contains(got, want) {
			t.Errorf("the settings lack %q", want)
		}
	}
	if strings.Contains(got, supportKey) || strings.Contains(got, adminKey) {
		t.Error("a key is shown")
	}
}

func TestAPairIsDecidedOnByAdminsAlone(t *testing.T) {
	h := newHouse(t, usual)
	support := h.signedIn(supportKey)
	if got := support.get("/ui/adoption"); got.status != http.StatusOK || strings.Contains(got.text, "/ui/adoption/decide") || !strings.Contains(got.text, "/ui/adoption/compare") {
		t.Errorf("support: %d", got.status)
	}
	fields := []string{"decision", "link", "customer", "cus_NffrFeUfNV2Hib", "subscription", "sub_1NffrF", "org", "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11", "hosting", "12", "plan", "1"}
	if got := support.change("/ui/adoption/decide", fields...); got.status != http.StatusForbidden {
		t.Errorf("support decides: %d", got.status)
	}
	admin := h.signedIn(adminKey)
	if got := admin.post("/ui/adoption/decide", fields...); got.status != http.StatusForbidden {
		t.Errorf("without the token: %d", got.status)
	}
	if did := h.done(); did != nil {
		t.Errorf("%q", did)
	}
	for name, value := range map[string]string{"hosting": "twelve", "plan": ""} {
		if got := admin.change("/ui/adoption/decide", append(append([]string{}, fields...), name, value)...); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q: %d", name, value, got.status)
		}
	}
	got := admin.change("/ui/adoption/decide", append(append([]string{}, fields...), "hosting", "666")...)
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.text, "hosting 666 has come to plan 3 meanwhile") || !strings.Contains(got.text, "library@example.com") {
		t.Errorf("a pair that has changed: %d %s", got.status, got.text)
	}
	if did := h.done(); did != nil {
		t.Errorf("%q", did)
	}
	if got := support.change("/ui/adoption/compare"); got.status != http.StatusSeeOther {
		t.Errorf("support compares: %d", got.status)
	}
	if did := h.done(); len(did) != 1 || did[0] != "compare" {
		t.Errorf("%q", did)
	}
}

func TestBeforeTheFirstComparisonThereAreNoPairs(t *testing.T) {
	h := newHouse(t, nil)
	if got := h.signedIn(adminKey).get("/ui/adoption"); got.status != http.StatusOK || !strings.Contains(got.text, "has not compared both sides yet") {
		t.Errorf("%d %s", got.status, got.text)
	}
}

// TestAdoptInABrowser links a pair.
func TestAdoptInABrowser(t *testing.T) {
	h := newHouse(t, usual)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	tab.Open(h.url + "/ui/adoption?language=en")
	if status := tab.Submit("td.forms form button"); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if got := tab.Text(".flash"); got != "They are linked. The next run writes the marker into the name at the panel." {
		t.Errorf("%q", got)
	}
	if did := h.done(); len(did) != 1 || !strings.HasPrefix(did[0], "adopt link sub_1NffrF admin key ") {
		t.Errorf("%q", did)
	}
}

// Only a demo has a key that stands in its sign-in.
func TestOnlyADemoIsEnteredWithOneClick(t *testing.T) {
	h := newHouse(t, usual)
	if got := h.person().get(signInPath); strings.Contains(got.text, adminKey) || strings.Contains(got.text, `class="demo"`) {
		t.Error("a sign-in without a demo has a button for it, or a key")
	}
	open := newHouse(t, usual, func(o *server.Options) { o.OpenKey = adminKey })
	tab := browser.New(t)
	tab.Open(open.url + "/?language=en")
	for _, fault := range faults(tab) {
		t.Error(fault)
	}
	tab.Picture("sign-in-demo")
	if status := tab.Submit("button.demo"); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if got := tab.Text("h1"); got != "Today" {
		t.Errorf("the click leads to %q", got)
	}
}
