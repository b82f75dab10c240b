package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// hostile are characters that end a password too early for one parser or another, or that
// look like the end of it.
const hostile = "@/?#:%&;=+ \\[]{}|^`\"'<>$,!*()~\té"

// passwords are written as they are, between words of which no piece occurs in the
// program's messages.
func passwords() (all []string) {
	for _, c := range hostile {
		all = append(all, "Zq7Kx"+string(c)+"Xw9Vj", "48"+string(c)+"Xw9Vj"+string(c))
	}
	return append(all, "Zq7Kx@Xw9Vj/Yb3Hm?Gd5Tn#Lp1Rc:Fs8", "Zq7Kx%Xw9Vj%41Yb3Hm", "Zq7Kx", "https://Zq7Kx@Xw9Vj")
}

// pieces are the parts of a password that would give it away, as it is written and as it may
// be quoted.
func pieces(password string) (all []string) {
	forms := []string{password, strings.Trim(fmt.Sprintf("%q", password), `"`), url.QueryEscape(password), url.PathEscape(password)}
	if decoded, err := url.PathUnescape(password); err == nil {
		forms = append(forms, decoded)
	}
	for _, form := range forms {
		for i := range len(form) - 2 {
			if piece := form[i : i+3]; strings.ContainsAny(piece, "ZqKxXwVjYbHmGdTnLpRc") && !strings.Contains("https://", piece) {
				all = append(all, piece)
			}
		}
	}
	return all
}

// settingsWith are the settings that may hold a password, each with it in a URL.
func settingsWith(t *testing.T, password string) map[string][]string {
	shop := []string{"STRIPE_SECRET_KEY=sk_test_0123456789", "STRIPE_API_URL=http://127.0.0.1:1", "ENHANCE_API_URL=http://127.0.0.1:1",
		"ENHANCE_API_TOKEN=0123456789", "ENHANCE_ORG_ID=6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11", "DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "x.db"),
		"STRIPE_RPS=1000", "ENHANCE_RPS=1000"}
	all := map[string][]string{}
	for name, value := range map[string]string{
		"a database":                "DATABASE_URL=postgres://user:" + password + "@127.0.0.1:1/hosting?sslmode=disable&connect_timeout=2",
		"a database without a port": "DATABASE_URL=postgresql://user:" + password + "@[::1]/hosting?sslmode=prefer&connect_timeout=2",
		"a database's parameter":    "DATABASE_URL=postgres://127.0.0.1:1/hosting?user=u&password=" + password + "&sslmode=disable",
		"a database without a host": "DATABASE_URL=postgres://user:" + strings.NewReplacer("@", "", ",", "", "/", "", "?", "", "#", "").Replace(password), // with one of those, the rest would be a URL of another host
		"a file's parameter":        "DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "y.db") + "?_pragma=key('" + password + "')",
		"a database of another":     "DATABASE_URL=mysql://user:" + password + "@127.0.0.1:1/x",
		"Stripe":                    "STRIPE_API_URL=http://user:" + password + "@127.0.0.1:1",
		"Stripe, without a scheme":  "STRIPE_API_URL=" + password + "@127.0.0.1:1",
		"the panel":                 "ENHANCE_API_URL=https://user:" + password + "@127.0.0.1:1/api",
		"the panel's query":         "ENHANCE_API_URL=https://127.0.0.1:1/api?token=" + password,
		"a receiver by mail":        "NOTIFY_URLS=smtp://user:" + password + "@127.0.0.1:1/?from=a@example.com&to=b@example.com",
		"a receiver by chat":        "NOTIFY_URLS=discord://" + password + "@channel,telegram://" + password + "@telegram?chats=1",
		"receivers that are none":   "NOTIFY_URLS=" + password + "://" + password + ",slack://" + password,
		"a proxy":                   "HTTPS_PROXY=http://user:" + password + "@127.0.0.1:1",
		"the wrong setting":         "ENHANCE_ORG_ID=postgres://user:" + password + "@127.0.0.1/x",
	} {
		all[name] = append(append([]string{}, shop...), value)
	}
	return all
}

// callOf is a command line for a command: a word for each of its arguments.
func callOf(c *cobra.Command) []string {
	args := strings.Fields(c.CommandPath())[1:]
	for _, word := range strings.Fields(c.Use)[1:] {
		if !strings.HasPrefix(word, "[") {
			args = append(args, "sub_1NqAbCdEf"+strings.ToLower(word))
		}
	}
	return args
}

// everyCommand are the command lines of all that do not go on until they are stopped,
// and of serve.
func everyCommand() (all [][]string) {
	p, _, _ := bench()
	for _, c := range commandsBelow(p.root()) {
		switch path := c.CommandPath(); {
		case !c.Runnable(), c.HasSubCommands(), strings.Contains(path, "completion"), c.Name() == "man", c.Name() == "demo", c.Name() == "simulate", c.Name() == "help":
		default:
			all = append(all, callOf(c))
		}
	}
	return all
}

// TestNoPieceOfAPasswordIsToldByAnyCommand walks hostile passwords through every setting
// that holds a URL, every command, every level of the log and both formats. Not three
// characters of a password are printed, whether the URL is refused or nothing answers there.
//
// It fails if postgres://user:p@ss@host prints "lookup ss@host", if a path after sqlite: is
// printed with its parameters, or if an unknown scheme is quoted.
func TestNoPieceOfAPasswordIsToldByAnyCommand(t *testing.T) {
	commands := everyCommand()
	if len(commands) < 12 {
		t.Fatalf("only %d commands: %v", len(commands), commands)
	}
	levels, formats := []string{"ERROR", "WARN", "INFO", "DEBUG"}, []string{"text", "json"}
	n, refused := 0, 0
	for i, password := range passwords() {
		for what, environ := range settingsWith(t, password) {
			turn := [][]string{{"check", "-o", formats[n%2]}, commands[n%len(commands)]}
			if i%24 == 0 {
				turn = commands
			}
			if strings.HasPrefix(what, "a receiver") || what == "a proxy" { // which are taken, and the sides would be asked
				turn = [][]string{{"plans"}, {"mappings", "list", "-o", "json"}}
			}
			for _, args := range turn {
				n++
				if code := tellsNothing(t, what, password, args, append(environ, "LOG_LEVEL="+levels[n%4], "LOG_FORMAT="+formats[n/4%2])); code == exitUsage {
					refused++
				}
			}
		}
	}
	if refused == 0 || refused == n {
		t.Errorf("%d of %d were refused: the rest of them shows nothing", refused, n)
	}
}

// tellsNothing runs a command and searches its output for pieces of the password.
func tellsNothing(t *testing.T, what, password string, args, environ []string) (code int) {
	t.Helper()
	if args[0] == "check" { // else it asks both sides, with patience
		environ = slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
			return strings.HasPrefix(kv, "STRIPE_SECRET_KEY=") || strings.HasPrefix(kv, "ENHANCE_API_TOKEN=")
		})
	}
	p, out, stderr := bench(environ...)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	code = p.run(ctx, args)
	said := out.String() + stderr.String()
	for _, piece := range pieces(password) {
		if strings.Contains(said, piece) {
			t.Fatalf("%s with the password %q: %s shows %q of it:\n%s", what, password, strings.Join(args, " "), piece, said)
		}
	}
	return code
}

// TestAPasswordThatWouldBeCutIsNamedBySettingAndCharacter is what the operator reads.
func TestAPasswordThatWouldBeCutIsNamedBySettingAndCharacter(t *testing.T) {
	p, _, stderr := bench("DATABASE_URL=postgres://postgres:p@ss@127.0.0.1/db")
	if code := p.run(t.Context(), []string{"plans"}); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	if want := "DATABASE_URL: the password contains @: write %40"; !strings.Contains(stderr.String(), want) {
		t.Errorf("%s does not say %q", stderr, want)
	}
}
