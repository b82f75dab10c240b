package secret

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsWrongWithAPasswordIsNamedAndNotShown(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://postgres:p@ss@host/db":                          "the password contains @: write %40",
		"postgres://u:pa/ss@host/db":                                "the password contains /: write %2F",
		"postgres://u:12/34@host/db":                                "the password contains /: write %2F",
		"postgres://u:12?34@host/db":                                "the password contains ?: write %3F",
		"postgres://u:12#34@host/db":                                "the password contains #: write %23",
		"postgres://u:pa#ss":                                        "the password contains #: write %23",
		"postgres://u:5%zz@host/db":                                 "the password contains %: write %25",
		"postgres://u:100%@host/db":                                 "the password contains %: write %25",
		"postgres://u:pa ss@host/db":                                "the password contains a space: write %20",
		"postgres://u:pa[ss@host/db":                                "the password contains [: write %5B",
		"postgres://u:pa\"ss@host/db":                               "the password contains \": write %22",
		"postgres://u:pässe@host/db":                                "the password contains a character that is not printable ASCII: write each of its bytes as %XX",
		"postgres://u:geheim":                                       "the port after the : of the host is not a number: is the host missing after the password, or is a / in the password not written as %2F?",
		"postgres://host/db?user=u&password=a&bcd":                  "the password contains &: write %26",
		"postgres://host/db?user=u&password=a&bcd=e":                "the password contains &: write %26",
		"postgres://host/db?password=a;b":                           "the password contains ;: write %3B",
		"https://u:p@ss@panel.example.com/api":                      "the password contains @: write %40",
		"postgres://u:p@host/db?application_name=a@b":               "the password contains @: write %40",
		"postgres://u:p%40ss@host/db":                               "",
		"postgres://u:p:ss!$&'()*+,;=~._-@host:5432/db":             "",
		"postgres://u@[::1]:5432,other:5433/db?sslmode=disable":     "",
		"postgres:///db?host=/var/run/postgresql":                   "",
		"postgres://host/db?user=u&password=p%26ss&sslmode=require": "",
		"postgres://u:p@host/db?neon.timeline_id=1":                 "",
		"https://panel.example.com/api":                             "",
		"sqlite:/var/lib/x.db":                                      "",
	} {
		if got := URLProblem(raw); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

// TestAPasswordIsReadAsAWholeOrRefused: a password with any characters is written between
// user and host without escapes. Either the URL is refused, or every parser reads exactly
// this password and this host.
func TestAPasswordIsReadAsAWholeOrRefused(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		password := rapid.StringOfN(rapid.SampledFrom([]rune("aZ09@/?#:%&;=+ \\[]{}|^`\"'<>$,!*()~\té")), 1, 12, -1).Draw(rt, "password")
		raw := "postgres://user:" + password + "@db.example.com:5432/hosting"
		problem := URLProblem(raw)
		if problem != "" {
			for i := range len(password) - 2 {
				if piece := password[i : i+3]; strings.Contains(problem, piece) && strings.ContainsAny(piece, "Z09") {
					rt.Errorf("%q shows a piece of the password %q", problem, password)
				}
			}
			return
		}
		u, err := url.Parse(raw)
		if err != nil {
			rt.Fatalf("%q: accepted, and cannot be parsed: %v", password, err)
		}
		want, err := url.PathUnescape(password)
		if err != nil {
			rt.Fatalf("%q: accepted, and cannot be decoded: %v", password, err)
		}
		if got, _ := u.User.Password(); got != want || u.Host != "db.example.com:5432" || u.Path != "/hosting" || u.RawQuery != "" || u.Fragment != "" {
			rt.Errorf("%q is read as password %q of host %q, path %q", password, got, u.Host, u.Path)
		}
		if escaped := URLProblem("postgres://user:" + url.QueryEscape(password) + "@db.example.com/x"); escaped != "" {
			rt.Errorf("%q, escaped, is refused: %s", password, escaped)
		}
	})
}
