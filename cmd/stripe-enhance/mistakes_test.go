package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver, for making a role from outside

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// mistake is one thing that people get wrong in the settings or around the program.
type mistake struct {
	name     string
	settings []string          // beside those that are right; NAME= takes one away
	files    map[string]string // in the directory in which the command is given
	args     []string
}

const (
	wrongKey = "rk_live_51NqAbCdEfGhIjKlMnOpQrStUvWxYz"
	wrongOrg = "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11"
)

// nothing takes every setting of the site away but those of its speed.
var nothing = []string{"DATABASE_URL=", "STRIPE_API_URL=", "STRIPE_SECRET_KEY=", "ENHANCE_API_URL=", "ENHANCE_API_TOKEN=", "ENHANCE_ORG_ID=", "LISTEN_ADDR="}

// The messages are in testdata/mistakes.txt. Read a new one before you accept it with
// UPDATE=1.
var mistakes = []mistake{
	{name: "a key that Stripe does not know", settings: []string{"STRIPE_SECRET_KEY=" + wrongKey}, args: []string{"check"}},
	{name: "the same in a run", settings: []string{"STRIPE_SECRET_KEY=" + wrongKey}, args: []string{"reconcile"}},
	{name: "the publishable key", settings: []string{"STRIPE_SECRET_KEY=pk_live_51NqAbCdEfGhIjKlMnOpQrSt"}, args: []string{"reconcile"}},
	{name: "the webhook's secret in place of the key", settings: []string{"STRIPE_SECRET_KEY=whsec_51NqAbCdEfGhIjKlMnOpQrSt"}, args: []string{"plan"}},
	{name: "the panel's host is misspelt", settings: []string{"ENHANCE_API_URL=http://panel..example.com"}, args: []string{"check"}},
	{name: "the same in a run", settings: []string{"ENHANCE_API_URL=http://panel..example.com"}, args: []string{"mappings", "suggest"}},
	{name: "nothing listens where the panel should be", settings: []string{"ENHANCE_API_URL=http://127.0.0.1:1"}, args: []string{"check"}},
	{name: "the panel's address has no scheme", settings: []string{"ENHANCE_API_URL=panel.example.com"}, args: []string{"check"}},
	{name: "the id of another organisation", settings: []string{"ENHANCE_ORG_ID=" + wrongOrg}, args: []string{"check"}},
	{name: "the same in a run", settings: []string{"ENHANCE_ORG_ID=" + wrongOrg}, args: []string{"reconcile"}},
	{name: "a name in place of the organisation's id", settings: []string{"ENHANCE_ORG_ID=my-company"}, args: []string{"reconcile"}},
	{name: "a token that the panel does not know", settings: []string{"ENHANCE_API_TOKEN=not-this-one-0123456789"}, args: []string{"check"}},
	{name: "the same in a run", settings: []string{"ENHANCE_API_TOKEN=not-this-one-0123456789"}, args: []string{"reconcile"}},
	{name: "the token with the word before it", settings: []string{"ENHANCE_API_TOKEN=Bearer 0123456789"}, args: []string{"check"}},
	{name: "a plan that the panel does not have", args: []string{"mappings", "set", "price_basic_monthly", "Premium"}},
	{name: "a price that Stripe does not have", args: []string{"mappings", "set", "price_basic_yearly", "1"}},
	{name: "one line of .env is broken", settings: nothing, args: []string{"reconcile"}, files: map[string]string{".env": "STRIPE_SECRET_KEY=sk_test_1\n" +
		"ENHANCE_API_URL http://127.0.0.1:1\nENHANCE_API_TOKEN=0123456789\nENHANCE_ORG_ID=" + wrongOrg + "\n"}},
	{name: "a quote of .env has no end", settings: nothing, args: []string{"reconcile"}, files: map[string]string{".env": "STRIPE_SECRET_KEY=sk_test_1\n" +
		"ENHANCE_API_TOKEN=\"0123456789\nENHANCE_API_URL=http://127.0.0.1:1\nENHANCE_ORG_ID=" + wrongOrg + "\n"}},
	{name: "a setting is misspelt", settings: []string{"GRACE_PERIODE=7d"}, args: []string{"plan"}},
	{name: "a mode that there is not", settings: []string{"MODE=enforced"}, args: []string{"plan"}},
	{name: "a period in words", settings: []string{"GRACE_PERIOD=3 days"}, args: []string{"plan"}},
	{name: "a retention period of a week", settings: []string{"RETENTION_PERIOD=7d"}, args: []string{"plan"}},
	{name: "nothing is set, in a directory of something else", settings: nothing, args: []string{"reconcile"}},
	{name: "the wrong directory", settings: nothing, args: []string{"plans"}},
	{name: "a hold in the wrong directory", settings: nothing, args: []string{"holds", "add", "--customer", "cus_1", "--kind", "no-suspend"}},
	{name: "a database that is not there", settings: []string{"DATABASE_URL=sqlite:old/state.db"}, args: []string{"mappings", "list"}},
	{name: "the directory of the database is not there", settings: []string{"DATABASE_URL=sqlite:old/state.db"}, args: []string{"mappings", "set", "price_1", "1", "--unchecked"}},
	{name: "a file that is no database", settings: []string{"DATABASE_URL=sqlite:notes.txt"}, files: map[string]string{"notes.txt": strings.Repeat("not a database\n", 20)}, args: []string{"plans"}},
	{name: "a database of another kind", settings: []string{"DATABASE_URL=mysql://app@127.0.0.1/hosting"}, args: []string{"plans"}},
	{name: "an @ in the password of the database", settings: []string{"DATABASE_URL=postgres://app:p@ss@127.0.0.1/hosting"}, args: []string{"plans"}},
	{name: "no database server", settings: []string{"DATABASE_URL=postgres://app@127.0.0.1:1/hosting?sslmode=disable"}, args: []string{"plans"}},
	{name: "the host of the database is misspelt", settings: []string{"DATABASE_URL=postgres://app@db..example.com/hosting?sslmode=disable"}, args: []string{"migrate"}},
	{name: "e-mail and customer", args: []string{"customers", "show", "--email", "bakery@example.com", "--customer", "cus_1"}},
	{name: "an e-mail that nobody has", args: []string{"customers", "show", "nobody@example.com"}},
	{name: "a customer by name", args: []string{"customers", "show", "bakery"}},
	{name: "nobody at all", args: []string{"customers", "show"}},
	{name: "a hold for an e-mail that nobody has", args: []string{"holds", "add", "--email", "nobody@example.com", "--kind", "no-suspend"}},
	{name: "a hold without a kind", args: []string{"holds", "add", "--customer", "cus_1"}},
	{name: "a command that there is not, and its help", args: []string{"reconsile", "-h"}},
	{name: "help about what there is not", args: []string{"help", "reconsile"}},
	{name: "a command below another that there is not", args: []string{"mappings", "lits", "--help"}},
	{name: "a flag that there is not", args: []string{"reconcile", "--fulll"}},
	{name: "a speed in words", args: []string{"demo", "--speed", "fast"}},
	{name: "a number in words", args: []string{"simulate", "--customers", "many"}},
	{name: "a form that there is not", args: []string{"plan", "-o", "yaml"}},
	{name: "contradicting flags", args: []string{"reconcile", "--full", "--subscription", "sub_1"}},
	{name: "a customer's id for a subscription's", args: []string{"plan", "--subscription", "cus_1"}},
	{name: "a plan that does not wait", args: []string{"approve", "0123456789abcdef"}},
	{name: "an id that is too short to be an approval", args: []string{"approve", "0123"}},
	{name: "a rejection without a reason", args: []string{"reject", "0123456789abcdef"}},
	{name: "a rejection of a plan that does not wait", args: []string{"reject", "0123456789abcdef", "--reason", "no"}},
	{name: "an id that is too short to be a rejection", args: []string{"reject", "0123", "--reason", "no"}},
}

// Each mistake gets the message of the golden file, word for word, so that none of them
// gets worse unseen.
func TestEveryMistakeGetsItsMessage(t *testing.T) {
	s := newSite(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"))
	s.env = append(s.env, "LOG_FORMAT=text", "LOG_LEVEL=ERROR")
	s.mapPrices()
	var b strings.Builder
	for _, m := range mistakes {
		b.WriteString(s.makes(m))
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b.WriteString(s.makes(mistake{name: "a port that is taken", settings: []string{"LISTEN_ADDR=" + taken.Addr().String()}, args: []string{"serve"}}, taken.Addr().String(), "127.0.0.1:PORT"))
	golden(t, "mistakes.txt", b.String())
	if v := s.world.Effects(); len(v) > 0 {
		t.Errorf("a mistake changed the panel: %v", v)
	}
}

// The same on a PostgreSQL: each is one line with the command that mends it.
func TestEveryMistakeWithAServerGetsItsMessage(t *testing.T) {
	raw := pgtest.Empty(t)
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	poor := fmt.Sprintf("poor_%s", strings.Trim(u.Path, "/"))
	administers(t, raw, "CREATE ROLE "+poor+" LOGIN PASSWORD 'poor'")
	t.Cleanup(func() { administers(t, raw, "DROP ROLE "+poor) })
	with := func(change func(*url.URL)) []string {
		other := *u
		change(&other)
		return []string{"DATABASE_URL=" + other.String()}
	}
	s := newSite(t, raw)
	s.env = append(s.env, "LOG_FORMAT=text", "LOG_LEVEL=ERROR")
	var b strings.Builder
	for _, m := range []mistake{
		{name: "nothing has run on the database yet", args: []string{"plans"}},
		{name: "a database that does not exist", settings: with(func(u *url.URL) { u.Path = "/hosting" }), args: []string{"migrate"}},
		{name: "the same in a command that reads", settings: with(func(u *url.URL) { u.Path = "/hosting" }), args: []string{"plans"}},
		{name: "a wrong password", settings: with(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong") }), args: []string{"migrate"}},
		{name: "a role that does not exist", settings: with(func(u *url.URL) { u.User = url.UserPassword("nobody", "x") }), args: []string{"check"}},
		{name: "a role without a privilege", settings: with(func(u *url.URL) { u.User = url.UserPassword(poor, "poor") }), args: []string{"migrate"}},
	} {
		b.WriteString(s.makes(m, strings.Trim(u.Path, "/"), "DATABASE", u.Port(), "PORT", poor, "ROLE"))
	}
	golden(t, "mistakes_postgres.txt", b.String())
}

// administers gives a statement as the server's administrator.
func administers(t *testing.T, database, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
		t.Fatal(err)
	}
}

// makes gives the command of a mistake, and returns the message, with names in place of the
// parts that differ from one time to the next.
func (s *site) makes(m mistake, names ...string) string {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, m.settings, m.args...)
	for name, text := range m.files {
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte(text), 0o600); err != nil {
			s.tb.Fatal(err)
		}
	}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.tb.Fatal(err)
	}
	said := out.String()
	switch m.args[0] {
	case "check": // the lines without a mistake may change
		said = failed(said)
	case "reconcile": // the report has times, and the error is printed after it
		said = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n", m.name)
	for _, one := range m.settings {
		if !strings.HasSuffix(one, "=") {
			fmt.Fprintf(&b, "  %s\n", one)
		}
	}
	for _, name := range slices.Sorted(keysOf(m.files)) {
		fmt.Fprintf(&b, "  %s: %q\n", name, m.files[name])
	}
	fmt.Fprintf(&b, "$ stripe-enhance %s\n%s%s[%d]\n\n", strings.Join(m.args, " "), said, talk.String(), cmd.ProcessState.ExitCode())
	return s.anonymous(b.String(), append([]string{cmd.Dir, "DIR"}, names...)...)
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// failed are the failed lines of a check, each with its next step.
func failed(text string) string {
	var kept []string
	keep := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, " ") {
			keep = strings.HasPrefix(line, "fail")
		}
		if keep {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

var requestID = regexp.MustCompile(`req_\w+`)

// anonymous puts names in place of what differs: pairs of a text and its name.
func (s *site) anonymous(text string, pairs ...string) string {
	program, err := os.Executable()
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, kv := range s.env {
		if name, value, _ := strings.Cut(kv, "="); name == "STRIPE_API_URL" || name == "ENHANCE_API_URL" || name == "ENHANCE_ORG_ID" {
			pairs = append(pairs, value, "THE-"+name)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return requestID.ReplaceAllString(strings.ReplaceAll(text, filepath.Dir(program), "BIN"), "req_ID")
}

// golden compares with a file, which UPDATE=1 writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got), to accept it: UPDATE=1:\n%s", path, diff)
	}
}

// The journal names the person who gave a command with sudo, beside the user that it ran as.
func TestSudoDoesNotHideWhoApproved(t *testing.T) {
	for environ, want := range map[string]string{
		"USER=root SUDO_USER=anna":  "anna@HOST (sudo as root)",
		"USER=anna":                 "anna@HOST",
		"USER=anna SUDO_USER=anna":  "anna@HOST",
		"LOGNAME=shop SUDO_USER=jo": "jo@HOST (sudo as shop)",
	} {
		p, _, _ := bench(strings.Fields(environ)...)
		host, err := os.Hostname()
		if err != nil {
			host = "unknown-host"
		}
		if got := strings.ReplaceAll(p.person(), "@"+host, "@HOST"); got != want {
			t.Errorf("%s: %q, want %q", environ, got, want)
		}
	}
}

// A hold by e-mail is for the one customer who has it. If two have it, a person chooses,
// because a customer can type any e-mail at checkout.
func TestAHoldByEMailIsForOneCustomerAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		s := newSite(t, database)
		s.mapPrices()
		s.signUp("bakery", "florist")
		guest, err := s.world.SignUp(simulator.SignUp{Email: "Florist@example.com", Name: "florist", Price: "price_basic_monthly", Guest: true})
		if err != nil {
			t.Fatal(err)
		}
		s.run("reconcile", "--full")
		if out, talk, code := s.run("holds", "add", "--email", "BAKERY@example.com", "--kind", "no-suspend"); code != exitOK || !strings.Contains(out, "no-suspend for cus_") {
			t.Errorf("exit code %d: %s%s", code, out, talk)
		}
		out, talk, code := s.run("holds", "add", "--email", "florist@example.com", "--kind", "no-suspend")
		if code != exitFailed || out != "" || !strings.Contains(talk, "2 customers have the e-mail") || !strings.Contains(talk, guest.Customer) {
			t.Errorf("exit code %d: %s%s", code, out, talk)
		}
		if out, _, _ := s.run("holds", "list", "-o", "csv"); strings.Count(out, "no-suspend") != 1 {
			t.Errorf("holds: %s", out)
		}
	})
}
