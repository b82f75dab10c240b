package page

import (
	"net/http"
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
		if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), signInPath) || strings.Contains(got.text, "cus_") {
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
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") || len(lines) != 13 || lines[0] != "on,kind,until,reason,author,created" {
		t.Errorf("%d %s: %d lines, the first %q", got.status, got.header.Get("Content-Type"), len(lines), lines[0])
	}
}
