package reconcile_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestADomainHasOneForm(t *testing.T) {
	for typed, want := range map[string]string{
		"":                                     "",
		"x.example":                            "x.example",
		" X.Example ":                          "x.example",
		"x.example.":                           "x.example",
		"www.x.example":                        "x.example",
		"https://www.x.example/":               "x.example",
		"HTTP://x.example/a/b?c=d#e":           "x.example",
		"//x.example":                          "x.example",
		"x.example/blog":                       "x.example",
		"x.example:443":                        "x.example",
		"https://x.example:8443/":              "x.example",
		"müller.example":                       "xn--mller-kva.example",
		"MÜLLER.example":                       "xn--mller-kva.example",
		"xn--mller-kva.example":                "xn--mller-kva.example",
		"a.b.c.example":                        "a.b.c.example",
		"www.example":                          "www.example",
		"www.www.x.example":                    "x.example", // as it becomes when that form is read again
		"a b.example":                          "",
		"example":                              "",
		"a@b.example":                          "",
		"-a.example":                           "",
		"a_b.example":                          "",
		"*.example.com":                        "",
		"a..example":                           "",
		".example":                             "",
		"192.0.2.7":                            "",
		"[2001:db8::1]":                        "",
		"https://":                             "",
		"none":                                 "",
		"x.example, y.example":                 "",
		strings.Repeat("a", 64) + ".example":   "",
		strings.Repeat("abc.", 70) + "example": "",
	} {
		if got := reconcile.DomainKey(typed); got != want {
			t.Errorf("%q is the domain %q, and %q is right", typed, got, want)
		}
	}
}

func TestIDsInMetadataAreReadAsTheyWereMeantOrNotAtAll(t *testing.T) {
	const org = "0b5e7a10-0000-4000-8000-00000000000a"
	for typed, want := range map[string]string{org: org, "": "", "  ": "", " " + strings.ToUpper(org) + "\n": org} {
		if id, unread := reconcile.ParseOrgID(typed); id != want || unread != "" {
			t.Errorf("the org %q is read as %q, unread %q", typed, id, unread)
		}
	}
	for _, typed := range []string{"bar", org[1:], org + "0", "{" + org + "}", strings.ReplaceAll(org, "-", "x"), strings.Repeat("-", 36), org + " " + org} {
		if id, unread := reconcile.ParseOrgID(typed); id != "" || unread != typed {
			t.Errorf("the org %q is read as %q, unread %q", typed, id, unread)
		}
	}
	for typed, want := range map[string]int64{"1": 1, " 1": 1, "1 ": 1, "\t12\n": 12, "": 0, " ": 0, "007": 7} {
		if id, unread := reconcile.ParseHostingID(typed); id != want || unread != "" {
			t.Errorf("the hosting %q is read as %d, unread %q", typed, id, unread)
		}
	}
	for _, typed := range []string{"#1", "1.0", "4,5", "4 5", "bar", "0", "-1", "+1", "1e3", "0x1", "١", "99999999999999999999"} {
		if id, unread := reconcile.ParseHostingID(typed); id != 0 || unread != typed {
			t.Errorf("the hosting %q is read as %d, unread %q", typed, id, unread)
		}
	}
	if _, unread := reconcile.ParseHostingID(strings.Repeat("ä", 500)); unread != strings.Repeat("ä", 100)+"…" {
		t.Errorf("a novel is kept as %q", unread)
	}
}

func TestANameThatWeGiveCarriesNoMarkerOfSomebodyElse(t *testing.T) {
	for typed, want := range map[string]string{
		"":                         "",
		" \t ":                     "",
		" Ada  Lovelace\n":         "Ada Lovelace",
		"Ada [cus_victim]":         "Ada",
		"Ada [cus_victim] \u200b":  "Ada",
		"Ada [cus_victim@other]":   "Ada",
		"Ada [sub_1/1] [cus_2]":    "Ada",
		"[cus_victim]":             "",
		"Ada [the baker]":          "Ada [the baker]",
		"[cus_victim] Ada":         "[cus_victim] Ada",
		"A\u202eda\x07":            "Ada",
		"\u0915\u094d\u200d\u0937": "\u0915\u094d\u200d\u0937",
	} {
		if got := reconcile.CleanName(typed); got != want {
			t.Errorf("%q becomes %q, and %q is right", typed, got, want)
		}
	}
}

func TestAnEmailIsOneAddress(t *testing.T) {
	for _, good := range []string{"ada@example.com", " Ada@Example.com ", "a+b@x.example", "ä@müller.example"} {
		if !reconcile.ValidEmail(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", " ", "ada", "ada@", "@example.com", "a b@example.com", "Ada <ada@example.com>", "a@x.example, b@x.example", "a@x.example\x00", "<a@x.example>"} {
		if reconcile.ValidEmail(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Any text from outside has one form: it does not change when that form is read again.
func TestTheFormOfTextFromOutsideIsFinal(t *testing.T) {
	words := rapid.SampledFrom([]string{"https://", "www.", "x", ".example", ":443", "/", " ", "ü", "[cus_1]", "[sub_1/2@a]", "[", "]", "\u200b", "\t", "@", "#"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(words, 0, 8).Draw(t, "words"), "") + rapid.String().Draw(t, "rest")
		if once := reconcile.DomainKey(text); reconcile.DomainKey(once) != once || once != "" && reconcile.DomainKey("https://WWW."+once+".:80/x") != once {
			t.Fatalf("%q: %q becomes %q", text, once, reconcile.DomainKey(once))
		}
		name := reconcile.CleanName(text)
		if _, marked := reconcile.MarkerOf(name); marked || reconcile.CleanName(name) != name || strings.TrimSpace(name) != name {
			t.Fatalf("%q is the name %q", text, name)
		}
		if m, ok := reconcile.MarkerOf(name + " [cus_9]"); !ok || m.StripeID != "cus_9" {
			t.Fatalf("behind %q our own marker is read as %v", name, m)
		}
	})
}
