package page

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/server"
)

func TestNothingIsShownWithoutASession(t *testing.T) {
	h := newHouse(t, usual)
	stranger := h.person()
	for _, path := range opened() {
		got := stranger.get(path)
		if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), signInPath) || strings.Contains(strings.ReplaceAll(got.text, url.QueryEscape(path), ""), "cus_") {
			t.Errorf("%s: %d %s %s", path, got.status, got.header.Get("Location"), got.text)
		}
	}
	for _, row := range changes() {
		if got := stranger.post(row.path, "id", "hold_a"); got.status != http.StatusSeeOther || got.header.Get("Location") != signInPath {
			t.Errorf("%s: %d %s", row.path, got.status, got.header.Get("Location"))
		}
	}
	if did := h.done(); did != nil {
		t.Errorf("a stranger did %q", did)
	}
}

func TestEveryAnswerHasTheHeadersThatProtectIt(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	for _, path := range append(opened(), "/ui/none", signInPath) {
		got := p.get(path)
		for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
			if have := got.header.Values(name); len(have) != 1 || have[0] != want {
				t.Errorf("%s: %s: %q, want %q", path, name, have, want)
			}
		}
	}
}

func TestASessionEndsWhenItIsIdleAndAfterADay(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	h.later(idleLimit - time.Second)
	if got := p.get("/"); got.status != http.StatusOK {
		t.Errorf("shortly before the limit: %d", got.status)
	}
	h.later(idleLimit - time.Second)
	if got := p.get("/"); got.status != http.StatusOK {
		t.Errorf("a session that is used: %d", got.status)
	}
	h.later(idleLimit)
	if got := p.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("an idle session: %d", got.status)
	}
	p = h.signedIn(adminKey)
	for at := time.Duration(0); at < absoluteLimit-idleLimit; at += idleLimit / 2 {
		h.later(idleLimit / 2)
		p.get("/")
	}
	h.later(idleLimit / 2)
	if got := p.get("/"); got.status != http.StatusOK {
		t.Errorf("before the end of the day: %d", got.status)
	}
	h.later(idleLimit / 2)
	if got := p.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("after the end of the day: %d", got.status)
	}
}

func TestAChangeNeedsTheTokenOfItsSession(t *testing.T) {
	h := newHouse(t, usual)
	p, other := h.signedIn(adminKey), h.signedIn(adminKey)
	for what, token := range map[string]string{"none": "", "that of another session": other.token(), "a guess": strings.Repeat("0", 64)} {
		if got := p.post("/ui/holds/remove", "id", "hold_a", "token", token); got.status != http.StatusForbidden {
			t.Errorf("with the token %s: %d", what, got.status)
		}
	}
	if did := h.done(); did != nil {
		t.Errorf("without the token: %q", did)
	}
	got := p.change("/ui/holds/remove", "id", "hold_a")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/holds" {
		t.Errorf("with the token: %d %s", got.status, got.text)
	}
	if did := h.done(); len(did) != 1 || did[0] != "unhold hold_a" {
		t.Errorf("with the token: %q", did)
	}
	for i, want := range []bool{true, false} {
		if got := strings.Contains(p.get("/ui/holds").text, "The hold is removed."); got != want {
			t.Errorf("at view %d of the list the text is shown: %t", i+1, got)
		}
	}
}

func TestASupportKeyMayNotDoWhatIsForAnAdmin(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for _, row := range changes() {
		path := strings.ReplaceAll(row.path, "{id}", "some")
		got := p.change(path)
		if may := (server.Keyholder{Support: true}).May(row.task); (got.status == http.StatusForbidden) == may {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestAListIsACSV(t *testing.T) {
	h := newHouse(t, hostile)
	got := h.signedIn(supportKey).get("/ui/holds?format=csv")
	lines := strings.Split(strings.TrimSpace(got.text), "\n")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") || len(lines) != 61 || lines[0] != "on,kind,until,reason,author,created" {
		t.Errorf("%d %s: %d lines, the first %q", got.status, got.header.Get("Content-Type"), len(lines), lines[0])
	}
}

// The policy is written here once more, because a mistake in it is one in every page.
func TestThePolicyLetsNothingRunInline(t *testing.T) {
	want := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if policy != want {
		t.Errorf("policy: %q, want %q", policy, want)
	}
}

func TestWithoutAKeyThereIsNoPage(t *testing.T) {
	h := newHouse(t, usual, func(o *server.Options) { o.AdminKeys, o.SupportKeys = nil, nil })
	p := h.person()
	if got := p.get("/"); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("/: %d %s", got.status, got.text)
	}
	for _, path := range []string{"/ui/holds", signInPath, "/ui"} {
		if got := p.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestAScriptGetsTheLinesOfTextAsBefore(t *testing.T) {
	p := newHouse(t, usual).person()
	if got := p.get("/", "Accept", "*/*"); got.status != http.StatusOK || !strings.Contains(got.text, "/api/openapi.json") {
		t.Errorf("GET: %d %s", got.status, got.text)
	}
	if got := p.post("/"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.status)
	}
}

func TestTheLanguageIsThatOfTheBrowserUntilItIsChosen(t *testing.T) {
	h := newHouse(t, usual)
	p := h.person()
	for accepted, want := range map[string]string{"": "en", "ro": "ro", "ro-MD,en;q=0.5": "ro", "de,fr;q=0.9": "en", "de,ro;q=0.5": "ro", "en-GB,ro;q=0.9": "en", "\x01;;q=x": "en"} {
		if got := wordsFor("", accepted).Language(); got != want {
			t.Errorf("%q: %s, want %s", accepted, got, want)
		}
	}
	got := p.get(signInPath+"?language=ro&theme=dark&next=%2Fui%2Fholds", "Accept-Language", "en")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != signInPath+"?next=%2Fui%2Fholds" {
		t.Errorf("a choice leads to %q", got.header.Get("Location"))
	}
	if text := p.get(signInPath, "Accept-Language", "en").text; !strings.Contains(text, `<html lang="ro" data-theme="dark">`) {
		t.Errorf("after the choice: %.200s", text)
	}
	p.get(signInPath + "?language=xx%22onload&theme=blue")
	if text := p.get(signInPath, "Accept-Language", "en").text; !strings.Contains(text, `<html lang="en">`) {
		t.Errorf("after a choice that there is not: %.200s", text)
	}
}

func TestNumbersMoneyAndTimesAreThoseOfTheLanguage(t *testing.T) {
	en, ro := wordsFor("en", ""), wordsFor("ro", "")
	at := time.Date(2026, 9, 3, 7, 5, 9, 0, time.FixedZone("", 2*3600))
	for _, c := range []struct{ got, want string }{
		{en.Number(1234567), "1,234,567"}, {ro.Number(1234567), "1.234.567"},
		{en.Money("1234567.50", "eur"), "EUR\u00a01,234,567.50"}, {ro.Money("1234567.50", "ron"), "1.234.567,50\u00a0RON"},
		{en.Money("0.00", "usd"), "USD\u00a00.00"}, {en.Money("-12.5", "usd"), "USD\u00a0−12.5"}, {en.Money("1500", "jpy"), "JPY\u00a01,500"},
		{en.Instant(at), "3 Sep 2026, 05:05"}, {ro.Instant(at), "3 sept. 2026, 05:05"}, {en.Instant(time.Time{}), "–"},
		{string(en.When(at)), `<time datetime="2026-09-03T05:05:09Z" title="2026-09-03 05:05:09 UTC">3 Sep 2026, 05:05</time>`},
		{en.span(time.Second), "1 s"}, {en.span(90 * time.Second), "1 minute"}, {ro.span(25 * time.Minute), "25 de minute"}, {ro.span(3 * time.Hour), "3 ore"}, {ro.span(48 * time.Hour), "2 zile"}, {en.span(24 * time.Hour), "24 hours"},
		{ro.N("list.rows", 1), "1 rând"}, {ro.N("list.rows", 0), "0 rânduri"}, {ro.N("list.rows", 119), "119 rânduri"}, {ro.N("list.rows", 120), "120 de rânduri"}, {ro.N("list.rows", 2000), "2.000 de rânduri"}, {en.N("list.rows", 1), "1 row"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if got := string(en.Ago(at.Add(-90*time.Minute), at)); !strings.HasSuffix(got, ">1 hour ago</time>") {
		t.Errorf("ago: %s", got)
	}
	if got := string(en.Ago(at.Add(10*time.Minute), at)); !strings.HasSuffix(got, ">in 10 minutes</time>") {
		t.Errorf("ahead: %s", got)
	}
}
