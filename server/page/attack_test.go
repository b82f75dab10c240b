package page

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// TestNoNameRunsAsAScript opens each page with names, reasons and ids that carry scripts, and
// texts that are far too long.
func TestNoNameRunsAsAScript(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hostile)
	p := h.signedIn(adminKey)
	tab := browser.New(t)
	h.signIn(tab, adminKey)
	paths := opened()
	whole := len(paths) // the others are the same pages with odd parameters
	for _, path := range opened() {
		mark := "?"
		if strings.Contains(path, "?") {
			mark = "&"
		}
		paths = append(paths, path+mark+url.Values{"search": {hostile("x")}, "page": {hostile("1")}, "after": {hostile("y")}}.Encode())
	}
	paths = append(paths, "/ui/"+url.PathEscape(hostile("none")), signInPath+"?next="+url.QueryEscape(hostile("/")))
	for i, path := range paths {
		for _, bad := range []string{"<script>hacked", "<img src=x"} {
			if got := p.get(path); strings.Contains(got.text, bad) {
				t.Errorf("%s has %q in it", path, bad)
			}
		}
		for _, look := range []browser.Look{browser.Looks[0], browser.Looks[2]} {
			if look.Phone && i >= whole {
				continue
			}
			tab.Look(look)
			tab.Open(h.url + path)
			if browser.Eval[bool](tab, `[...document.scripts].filter(s => !s.src.startsWith(location.origin + "/ui/assets/")).length + document.querySelectorAll("img[src=x], [onerror], [style], [href^='javascript:']").length > 0`) {
				t.Errorf("%s: a name has become a part of the page", path)
			}
			for _, fault := range faults(tab) {
				if !strings.Contains(fault, "404") {
					t.Errorf("%s (%s): %s", path, look.Name, fault)
				}
			}
		}
	}
}

// TestWhatWasTypedRunsAsNoScript sends each form with a script in every field: where the page
// of the form comes again, it shows the text as it is.
func TestWhatWasTypedRunsAsNoScript(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	shown := 0
	for _, row := range changes() {
		path := strings.ReplaceAll(row.path, "{id}", theCustomer)
		if strings.HasPrefix(row.path, plansPath) {
			path = strings.ReplaceAll(row.path, "{id}", thePlan)
		}
		var fields []string
		for _, name := range []string{"on", "kind", "until", "reason", "owner", "name", "subscription", "version", "id", "price", "plan", "customer", "org", "hosting", "decision", "person", "next"} {
			fields = append(fields, name, `"'><script>hacked()</script><img src=x onerror=hacked()>`)
		}
		got := p.change(path, fields...)
		if strings.Contains(got.text, "hacked") {
			shown++
		}
		for _, bad := range []string{"<script>hacked", "<img src=x"} {
			if strings.Contains(got.text, bad) {
				t.Errorf("%s shows %q", path, bad)
			}
		}
	}
	if shown < 4 {
		t.Errorf("only %d forms show what was typed", shown)
	}
}

func TestAnotherSiteCannotChangeAnything(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	token := p.token()
	for _, from := range []string{"cross-site", "same-site"} {
		for _, path := range []string{"/ui/holds/remove", signOutPath, signInPath} {
			got := p.send(http.MethodPost, path, url.Values{"token": {token}, "id": {"hold_a"}, "key": {adminKey}}, "Sec-Fetch-Site", from)
			if got.status != http.StatusForbidden {
				t.Errorf("%s from %s: %d", path, from, got.status)
			}
		}
	}
	got := p.send(http.MethodPost, "/ui/holds/remove", url.Values{"token": {token}, "id": {"hold_a"}}, "Origin", "https://evil.example")
	if got.status != http.StatusForbidden {
		t.Errorf("from an old browser: %d", got.status)
	}
	for _, row := range changes() {
		if got := p.get(row.path + "?id=hold_a&token=" + token); got.status != http.StatusNotFound {
			t.Errorf("%s as a link: %d", row.path, got.status)
		}
	}
	if got := p.post(signOutPath); got.status != http.StatusForbidden {
		t.Errorf("a sign-out without the token: %d", got.status)
	}
	if got := p.post("/ui/holds/remove", "id", "hold_a", "token", token, "more", strings.Repeat("x", formLimit)); got.status != http.StatusForbidden {
		t.Errorf("a form without end: %d", got.status)
	}
	if did := h.done(); did != nil {
		t.Errorf("another site did %q", did)
	}
	if got := p.get("/"); got.status != http.StatusOK {
		t.Errorf("another site has ended the session: %d", got.status)
	}
}

func TestASessionThatWasPlantedIsNotUsed(t *testing.T) {
	h := newHouse(t, usual)
	attacker := h.signedIn(supportKey)
	planted := attacker.cookies[sessionCookie]
	victim := h.person()
	victim.cookies[sessionCookie] = planted
	if got := victim.post(signInPath, "key", adminKey); got.status != http.StatusSeeOther {
		t.Fatalf("sign-in: %d", got.status)
	}
	if victim.cookies[sessionCookie] == planted {
		t.Error("the sign-in has kept the session that was planted")
	}
	first := victim.cookies[sessionCookie]
	victim.post(signInPath, "key", adminKey)
	if victim.cookies[sessionCookie] == first {
		t.Error("two sign-ins are one session")
	}
}

func TestASessionCannotBeMadeUp(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	good := p.cookies[sessionCookie]
	body, mac, _ := strings.Cut(good, ".")
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	tries := []string{"", ".", body, body + ".", "." + mac, good + "0", good + "." + mac, body + "." + strings.ToUpper(mac), strings.Repeat("A", 5000)}
	for i := range text {
		other := append([]byte{}, text...)
		other[i] ^= 1
		tries = append(tries, base64.RawURLEncoding.EncodeToString(other)+"."+mac)
	}
	flash := session{}
	tries = append(tries, body+"."+flash.mac("session", string(text)))
	for _, value := range tries {
		p.cookies[sessionCookie] = value
		if got := p.get("/"); got.status != http.StatusSeeOther {
			t.Errorf("%q: %d", value, got.status)
		}
	}
	p.cookies[sessionCookie] = good
	if got := p.get("/"); got.status != http.StatusOK {
		t.Errorf("the true one: %d", got.status)
	}
}

// A token seals for one purpose only: a form's token is no session, and the text after a
// change is no token.
func TestASealIsForOnePurpose(t *testing.T) {
	s := session{id: [16]byte{1}, seal: [32]byte{2}}
	if s.token() == s.mac("session", "") || s.token() == s.mac("flash", "") || s.mac("flash", "x") == s.mac("session", "x") {
		t.Error("two purposes have one seal")
	}
	other := session{id: [16]byte{3}, seal: [32]byte{2}}
	if s.token() == other.token() {
		t.Error("two sessions have one token")
	}
}

func TestASessionFromTheFutureIsRefused(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	h.later(-2 * skew)
	if got := p.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("a session that begins in two minutes: %d", got.status)
	}
}

// TestReplicasShareASessionUntilTheKeyIsRotated: two servers with the same keys know one
// session, and one without the key does not.
func TestReplicasShareASessionUntilTheKeyIsRotated(t *testing.T) {
	first := newHouse(t, usual)
	second := newHouse(t, usual, func(o *server.Options) {
		o.AdminKeys = []secret.Text{secret.New("the-next-key-of-the-tests-0123456789"), secret.New(adminKey)}
	})
	rotated := newHouse(t, usual, func(o *server.Options) {
		o.AdminKeys = []secret.Text{secret.New("the-next-key-of-the-tests-0123456789")}
	})
	lesser := newHouse(t, usual, func(o *server.Options) { o.AdminKeys, o.SupportKeys = nil, []secret.Text{secret.New(adminKey)} })
	p := first.signedIn(adminKey)
	for name, c := range map[string]struct {
		*house
		want int
	}{"replica": {second, 200}, "rotated": {rotated, 303}, "lesser": {lesser, 200}} {
		other := c.person()
		other.cookies = p.cookies
		if got := other.get("/"); got.status != c.want {
			t.Errorf("%s: %d, want %d", name, got.status, c.want)
		}
	}
	other := lesser.person()
	other.cookies = p.cookies
	if strings.Contains(other.get("/").text, "admin key") {
		t.Error("a key that became one of support is still an admin's")
	}
}

func TestTheCookieIsForThisHostAndNoScript(t *testing.T) {
	h := newHouse(t, usual)
	for proto, want := range map[string][]string{"http": {"session=", "Path=/", "HttpOnly", "SameSite=Strict"}, "https": {"__Host-session=", "Path=/", "HttpOnly", "SameSite=Strict", "Secure"}} {
		got := h.person().send(http.MethodPost, signInPath, url.Values{"key": {adminKey}}, "X-Forwarded-Proto", proto)
		cookies := got.header.Values("Set-Cookie")
		if len(cookies) != 1 {
			t.Fatalf("%s: %q", proto, cookies)
		}
		for _, part := range want {
			if !strings.Contains(cookies[0], part) {
				t.Errorf("%s: %q lacks %s", proto, cookies[0], part)
			}
		}
		if strings.Contains(cookies[0], "Domain") || strings.Contains(cookies[0], "Max-Age") || proto == "http" && strings.Contains(cookies[0], "Secure") {
			t.Errorf("%s: %q", proto, cookies[0])
		}
	}
	p := h.person()
	p.cookies[sessionCookie] = h.signedIn(adminKey).cookies[sessionCookie]
	if got := p.get("/", "X-Forwarded-Proto", "https"); got.status != http.StatusSeeOther {
		t.Errorf("over TLS a cookie that a subdomain may have set is used: %d", got.status)
	}
}

func TestACopiedCookieIsWorthNothingAfterTheSignOut(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	copied := p.cookies[sessionCookie]
	h.later(2 * renewAfter)
	p.get("/")
	renewed := p.cookies[sessionCookie]
	if got := p.change(signOutPath); got.status != http.StatusSeeOther || p.cookies[sessionCookie] != "" {
		t.Fatalf("sign-out: %d %q", got.status, p.cookies)
	}
	for _, value := range []string{copied, renewed} {
		p.cookies[sessionCookie] = value
		if got := p.get("/"); got.status != http.StatusSeeOther {
			t.Errorf("a copied cookie: %d", got.status)
		}
	}
}

func TestWrongKeysAreLimitedWithThoseOfTheAPI(t *testing.T) {
	h := newHouse(t, usual)
	p := h.person()
	for i := range 12 {
		want := http.StatusUnauthorized
		if i >= 10 {
			want = http.StatusTooManyRequests
		}
		var got answer
		if i%2 == 0 {
			got = p.post(signInPath, "key", fmt.Sprint("wrong-", i))
		} else {
			got = p.get("/api/admin/runs", "Authorization", fmt.Sprint("Bearer wrong-", i))
		}
		if got.status != want || got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") == "" {
			t.Errorf("try %d: %d, want %d", i+1, got.status, want)
		}
	}
	if got := p.post(signInPath, "key", adminKey); got.status != http.StatusSeeOther {
		t.Errorf("the right key after wrong ones: %d", got.status)
	}
	for _, key := range []string{"", " ", adminKey + "x", adminKey[:20], supportKey + adminKey} {
		if got := h.person().post(signInPath, "key", key); got.status == http.StatusSeeOther {
			t.Errorf("%q opens the page", key)
		}
	}
}

func TestTheSignInLeadsToNoOtherSite(t *testing.T) {
	h := newHouse(t, usual)
	for _, next := range []string{
		"https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "javascript:alert(1)", "data:text/html,x",
		"http:evil.example", "https:/ui/holds", "ui/holds", "?x", "", "/ui/../../evil", "/ui/holds/../../..//evil.example", "/%2f/evil.example", "/%5cevil.example",
		"//ui/holds", "/ui//holds", "///evil.example", "/api/admin/runs", "/metrics", signOutPath, "/ui/holds\r\nSet-Cookie: a=b", "/\u2025/evil.example", "http://user@evil.example",
	} {
		got := h.person().post(signInPath, "key", adminKey, "next", next)
		if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != "/" || got.header.Get("Set-Cookie") == "a=b" {
			t.Errorf("%q leads to %q", next, to)
		}
		if page := h.person().get(signInPath + "?" + url.Values{"next": {next}}.Encode()); !strings.Contains(page.text, `name="next" value="/"`) {
			t.Errorf("%q stands in the form", next)
		}
	}
	for next, want := range map[string]string{"/": "/", "/ui/holds": "/ui/holds", "/ui/holds?search=ana&page=2": "/ui/holds?search=ana&page=2"} {
		if got := h.person().post(signInPath, "key", adminKey, "next", next); got.header.Get("Location") != want {
			t.Errorf("%q leads to %q", next, got.header.Get("Location"))
		}
	}
}

// A form that is sent without a session leads back to its page, and to no other site.
func TestAFormWithoutASessionLeadsToNoOtherSite(t *testing.T) {
	h := newHouse(t, usual)
	host := strings.TrimPrefix(h.url, "http://")
	for referer, want := range map[string]string{
		"":                           signInPath,
		"https://evil.example/ui":    signInPath,
		"http://" + host + "@evil/x": signInPath,
		"//evil.example/":            signInPath,
		"javascript:alert(1)":        signInPath,
		h.url + "/ui/holds?page=2":   signInPath + "?next=%2Fui%2Fholds%3Fpage%3D2",
		h.url + "//evil.example/":    signInPath + "?next=%2F%2Fevil.example%2F",
	} {
		got := h.person().send(http.MethodPost, "/ui/holds/remove", url.Values{"id": {"hold_a"}}, "Referer", referer)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%q leads to %q, want %q", referer, got.header.Get("Location"), want)
		}
		if form := h.person().get(got.header.Get("Location")); !strings.Contains(form.text, `name="next" value="/"`) && !strings.Contains(form.text, `name="next" value="/ui/holds?page=2"`) {
			t.Errorf("%q stands in the form", referer)
		}
	}
	if got := h.person().send(http.MethodPost, "/ui/holds/remove", url.Values{}, "Referer", h.url+"/ui/holds", "Sec-Fetch-Site", "cross-site"); got.header.Get("Location") != signInPath {
		t.Errorf("a form of another site leads to %q", got.header.Get("Location"))
	}
}

func TestOddPathsShowNothing(t *testing.T) {
	h := newHouse(t, usual)
	for _, p := range []*person{h.person(), h.signedIn(adminKey)} {
		for _, path := range []string{
			"/ui/../ui/holds", "/ui//holds", "/ui/./holds", "/ui/%2e%2e/api/admin/runs", "/ui/holds/", "/UI/holds", "/ui/holds%00", "/ui/holds;x", "/ui/holds%2f", "/ui",
			"/ui/assets/", "/ui/assets/..%2fdoc.go", "/ui/assets/page.css", "/ui/assets/%2e%2e%2f%2e%2e%2fgo.mod", "/ui/templates/layout.html", "/ui/texts/common.json", "/.env", "/ui/.env",
		} {
			got := p.get(path)
			if got.status != http.StatusNotFound && got.status != http.StatusSeeOther || strings.Contains(got.text, "cus_") {
				t.Errorf("%s: %d %.100s", path, got.status, got.text)
			}
			if to := got.header.Get("Location"); to != "" && !strings.HasPrefix(to, signInPath) {
				t.Errorf("%s leads to %s", path, to)
			}
		}
	}
}

func TestNoProxyKeepsAPrivatePage(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	for _, path := range append(opened(), "/ui/none", "/ui/holds?format=csv", "/?language=ro", signInPath) {
		if got := p.get(path); got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %q", path, got.header.Get("Cache-Control"))
		}
	}
	for name, file := range assets().names {
		got := p.get(assetPath + file)
		if got.status != http.StatusOK || !strings.Contains(got.header.Get("Cache-Control"), "immutable") || got.header.Get("Set-Cookie") != "" || got.header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %q", name, got.status, got.header)
		}
	}
}

func TestThePageIsShownInNoFrame(t *testing.T) {
	h := newHouse(t, usual)
	around := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><link rel="icon" href="data:,"><iframe src="%s/ui/sign-in"></iframe>`, h.url)
	}))
	defer around.Close()
	tab := browser.New(t)
	tab.Open(around.URL)
	// The browser may complain after the page around it is there.
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		if all := strings.Join(tab.Complaints(), "\n"); strings.Contains(all, "frame") {
			return
		}
		tab.Do(chromedp.Sleep(50 * time.Millisecond))
	}
	t.Error("the browser has shown the page in a frame of another site")
}

// A link in a ticket of another site leads to the page of a person who is signed in, although
// the browser withholds the cookie from such a visit.
func TestALinkOfAnotherSiteLoadsThePageOnceMore(t *testing.T) {
	h := newHouse(t, usual)
	p := h.person()
	got := p.get("/ui/holds", "Sec-Fetch-Site", "cross-site")
	if got.status != http.StatusOK || got.header.Get("Refresh") != "0" || strings.Contains(got.text, "cus_") {
		t.Errorf("%d %q %s", got.status, got.header, got.text)
	}
	if got := p.get("/ui/holds", "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther {
		t.Errorf("the second time: %d", got.status)
	}
}

func TestATextAfterAChangeCannotBeForged(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(adminKey)
	text := []byte(`{"Key":"list.nothing_found","Args":["call this number"]}`)
	p.cookies[flashCookie] = base64.RawURLEncoding.EncodeToString(text) + "." + (&session{}).mac("flash", string(text))
	if got := p.get("/ui/holds"); got.status != http.StatusOK || strings.Contains(got.text, "call this number") {
		t.Error("a text of another site is shown")
	}
}

func TestACellIsNoFormula(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "plain": "plain", "": ""} {
		if got := harmless(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestASupportKeyCannotApproveOnEitherWay: the page and the API refuse the same.
func TestASupportKeyCannotApproveOnEitherWay(t *testing.T) {
	h := newHouse(t, usual)
	p := h.signedIn(supportKey)
	for _, row := range changes() {
		if (server.Keyholder{Support: true}).May(row.task) {
			continue
		}
		if got := p.change(strings.ReplaceAll(row.path, "{id}", "some")); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", row.path, got.status)
		}
	}
	for _, path := range []string{"/api/admin/plans/" + thePlan + "/approve", "/api/admin/plans/" + thePlan + "/reject"} {
		if got := p.send(http.MethodPost, path, url.Values{}, "Authorization", "Bearer "+supportKey); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", path, got.status)
		}
		if got := p.send(http.MethodPost, path, url.Values{}); got.status != http.StatusUnauthorized {
			t.Errorf("the session opens %s: %d", path, got.status)
		}
	}
	if did := h.done(); did != nil {
		t.Errorf("support did %q", did)
	}
}
