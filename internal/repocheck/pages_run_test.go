package repocheck

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver, for the pages' commands as administrator
	"go.yaml.in/yaml/v4"
	_ "modernc.org/sqlite" // the driver, for the pages' commands in the database

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Pages with a part of their own here: ofService has tests of its own, because its commands
// need a running service, ofPostgres begins with a database that all the others then use, and
// deploy/check tries each piece of ofKubernetes.
const (
	ofService    = "docs/service.md"
	ofPostgres   = "docs/postgresql.md"
	ofKubernetes = "docs/kubernetes.md"
)

// notRun are the command lines, and the first lines of files, that are not run here, each with
// its reason. If one is on no page any more, the list is wrong.
var notRun = map[string]string{
	"make test":                           "it is what runs this",
	"/srv/stripe-enhance/reconcile.log {": "it is a file of logrotate",
	"# /etc/systemd/system/litestream.service.d/user.conf":                                                                                   "it is a file of systemd",
	"cd /var/lib/stripe-enhance":                                                                                                             "it is a directory of the packages",
	"set -a; . /etc/stripe-enhance/litestream; set +a":                                                                                       "it is a file for Litestream",
	"DATABASE_URL=sqlite:restored.db stripe-enhance plan --full":                                                                             "the tests of cmd/stripe-enhance restore by the real Litestream",
	"stripe-enhance migrate import-legacy postgres://owner:PASSWORD@ep-x.eu-central-1.aws.neon.tech/neondb --dry-run":                        "import_legacy.txtar plays it",
	"stripe-enhance migrate import-legacy postgres://owner:PASSWORD@ep-x.eu-central-1.aws.neon.tech/neondb":                                  "import_legacy.txtar plays it",
	"DATABASE_URL=postgresql://owner:PASSWORD@ep-x-pooler.eu-central-1.aws.neon.tech/stripe_enhance?sslmode=require&channel_binding=require": "the tests of cmd/stripe-enhance go through a pooler",
}

// ofOthers are programs whose lines are not run here, each with the reason.
var ofOthers = map[string]string{
	"sudo":       "it needs root: internal/release installs a package, and looks at its units",
	"litestream": "the tests of cmd/stripe-enhance run the real one",
	"stripe":     "it is Stripe's own program",
}

// excuse is the reason for which a line is not run; "" if it is.
func excuse(line string) string {
	if why := notRun[line]; why != "" {
		return why
	}
	for _, word := range strings.Fields(line) {
		if why := ofOthers[word]; why != "" {
			return why
		}
	}
	return ""
}

// exported matches a line that changes the shell it is pasted into.
var exported = regexp.MustCompile(`^export ([A-Z]+)=`)

// ends are the command lines that do not end with 0, and their codes.
var ends = map[string]int{
	"stripe-enhance check":     1, // a customer pays for an unmapped price
	"stripe-enhance plan":      3, // four customers have paid and have nothing yet
	"stripe-enhance reconcile": 3, // the brake holds all of them
	// a customer pays for an unmapped price, and has nothing for it
	"stripe-enhance report":                     3,
	"stripe-enhance report -o csv > report.csv": 3,
	// cron, after everything was approved: the one without a mapping stays held.
	"./stripe-enhance reconcile >> reconcile.log 2>&1":        3,
	"./stripe-enhance reconcile --full >> reconcile.log 2>&1": 3,
	"stripe-enhance plan --verbose --all":                     3,
	"stripe-enhance plan -o json > plan.json":                 3,
}

// endsOnPostgres are those that end otherwise there.
var endsOnPostgres = map[string]int{
	// PostgreSQL has its own program for it, which the command shows
	"stripe-enhance backup hosting-backup.db": 2,
	"stripe-enhance backup hosting.dump":      2,
}

// reader is a person who follows the README and the pages, in a directory of their own, with simulators
// in place of Stripe and the panel.
type reader struct {
	dir   string // a fresh clone
	env   []string
	world *simulator.World
	// secrets are the reader's values in place of the pages' examples.
	secrets map[string]string
	// server is a PostgreSQL to follow the pages with; "" for SQLite.
	server string
}

// clone is a fresh clone, without its history.
func clone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skipf("this is no clone, and nothing that CI could install makes it one: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newReader(t *testing.T, server string) *reader {
	t.Helper()
	world := simulator.New(simulator.Options{Calm: true, Follow: time.Now})
	world.Offer()
	world.AddPlan(0, "basic-hosting-plan")
	world.AddPlan(0, "pro-hosting-plan")
	servers, err := world.Listen(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	other := world.AddPrice("prod_other", "", 100)
	for who, price := range map[string]string{"bakery": "", "florist": "", "cinema": "", "bookshop": "", "museum": other} {
		if price == "" {
			price = "price_basic_monthly"
		}
		if _, err := world.SignUp(simulator.SignUp{Email: who + "@example.com", Price: price}); err != nil {
			t.Fatal(err)
		}
	}
	r := &reader{dir: clone(t), world: world, secrets: map[string]string{}, server: server}
	for _, kv := range simulated(world, servers.StripeURL, servers.EnhanceURL) {
		name, value, _ := strings.Cut(kv, "=")
		r.secrets[name] = value
	}
	sources() // so that the test cache depends on the sources
	// Where cron runs it, the program lies beside its .env.
	if err := os.Symlink(filepath.Join("bin", "stripe-enhance"), filepath.Join(r.dir, "stripe-enhance")); err != nil {
		t.Fatal(err)
	}
	// Settings that the pages leave out: the addresses of the simulators, no waiting, and
	// a brake as small as the town.
	r.env = append(os.Environ(), "USER=reader",
		"STRIPE_API_URL="+r.secrets["STRIPE_API_URL"], "STRIPE_RPS=1000", "ENHANCE_RPS=1000", "BRAKE_CREATE=3")
	return r
}

// settings writes the .env of the pages, with working credentials in place of the
// examples.
func (r *reader) settings(t *testing.T, text string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			t.Fatalf("%q is not NAME=value", line)
		}
		if value := r.secrets[name]; value != "" {
			line = name + "=" + value + "\n"
		}
		lines = append(lines, line)
	}
	f, err := os.OpenFile(filepath.Join(r.dir, ".env"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Join(lines, "")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// administer runs the pages' commands of PostgreSQL's administrator, and points the
// pages' DATABASE_URL to the server of this test.
func (r *reader) administer(t *testing.T, text string) {
	t.Helper()
	db, err := sql.Open("pgx", r.server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, statement := range []string{"DROP DATABASE IF EXISTS stripe_enhance WITH (FORCE)", "DROP ROLE IF EXISTS stripe_enhance"} {
			_, err = db.ExecContext(context.WithoutCancel(t.Context()), statement)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	})
	for line := range strings.Lines(text) {
		if _, err := db.ExecContext(t.Context(), line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	u, err := url.Parse(r.server)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword("stripe_enhance", "choose-one"), "/stripe_enhance"
	r.secrets["DATABASE_URL"] = u.String()
}

// run is one command line as it is on the page, except that PLAN_ID is replaced.
func (r *reader) run(t *testing.T, line string) string {
	t.Helper()
	if why := excuse(line); why != "" {
		t.Logf("not run: %s: %s", line, why)
		return ""
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(line, "PLAN_ID", r.plan(t, line)))
	cmd.Dir, cmd.Env = r.dir, r.env
	if strings.HasPrefix(line, "go ") {
		cmd.Dir = root // it was compiled there
	}
	if m := exported.FindStringSubmatch(line); m != nil {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "cd \"$0\"; "+line+"; printf %s \"$"+m[1]+"\"", r.dir).Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r.env = append(r.env, m[1]+"="+string(out))
		return ""
	}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	want := ends[line]
	if code, otherwise := endsOnPostgres[line]; otherwise && r.server != "" {
		want = code
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("%s\nends with %d, want %d:\n%s%s", line, got, want, talk.String(), out.String())
	}
	return out.String()
}

// plan is the id of the held plan, for a line that needs one.
func (r *reader) plan(t *testing.T, line string) string {
	t.Helper()
	if !strings.Contains(line, "PLAN_ID") {
		return ""
	}
	var plans []struct{ ID string }
	if err := json.Unmarshal([]byte(r.run(t, "stripe-enhance plans -o json")), &plans); err != nil || len(plans) != 1 {
		t.Fatalf("%d plans wait, %v; want 1", len(plans), err)
	}
	return plans[0].ID
}

// cronLine is when, where, and the command.
var cronLine = regexp.MustCompile(`^(?:@\w+|\S+ \S+ \S+ \S+ \S+)\s+cd (\S+) && (\./stripe-enhance [a-z -]+) (>> \S+ 2>&1)$`)

// cron runs a line of a crontab once, in the reader's own directory.
func (r *reader) cron(t *testing.T, line string) {
	t.Helper()
	m := cronLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("%q is not a line of a crontab that goes somewhere, runs one command and keeps its output", line)
	}
	r.run(t, m[2]+" "+m[3])
}

// inDatabase runs the pages' SQL in an empty database, and checks it from outside.
func (r *reader) inDatabase(t *testing.T, text string) {
	t.Helper()
	other := *r
	other.dir = t.TempDir()
	driver, name := "sqlite", filepath.Join(other.dir, "stripe-enhance.db")
	if r.server != "" {
		driver, name = "pgx", pgtest.Empty(t)
		other.env = append(slices.Clone(r.env), "DATABASE_URL="+name)
	}
	other.run(t, "stripe-enhance migrate")
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	want := "billing_provider,billing_plan_id,enhance_plan_id\nstripe,price_basic_monthly,basic-hosting-plan\nstripe,price_pro_monthly,pro-hosting-plan\n"
	if diff := cmp.Diff(want, other.run(t, "stripe-enhance mappings list -o csv")); diff != "" {
		t.Errorf("mappings (-want +got):\n%s", diff)
	}
}

// Every piece of code of the README and of the pages works, in the order in which the README
// leads to the pages, in a fresh clone. If there is a new kind of code, the test fails until a
// case here runs it.
func TestEveryCommandOfThePagesWorks(t *testing.T) {
	for _, tool := range []string{"sh", "make"} {
		needs.Program(t, tool)
	}
	t.Run("sqlite", func(t *testing.T) { newReader(t, "").follow(t) })
	t.Run("postgres", func(t *testing.T) {
		r := newReader(t, pgtest.Empty(t))
		r.follow(t)
		if found, _ := filepath.Glob(filepath.Join(r.dir, "*.db*")); len(found) > 0 {
			t.Errorf("the state is in PostgreSQL, and there is %v", found)
		}
	})
}

func TestEveryLineThatIsExcusedIsOnAPage(t *testing.T) {
	var all strings.Builder
	for _, page := range english(t) {
		for _, b := range blocks(t, page) {
			all.WriteString("\n" + b.text)
		}
	}
	for line := range notRun {
		if !strings.Contains(all.String(), "\n"+line+"\n") {
			t.Errorf("%q is excused and on no page", line)
		}
	}
}

// asRead are the pages in the order in which the README leads to them.
func asRead(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md"}
	for _, m := range link.FindAllStringSubmatch(section(t, "README.md", "Everything else"), -1) {
		if page, _, _ := strings.Cut(m[1], "#"); strings.HasPrefix(page, "docs/") && !slices.Contains(all, page) {
			all = append(all, page)
		}
	}
	if diff := cmp.Diff(english(t), slices.Sorted(slices.Values(all))); diff != "" {
		t.Fatalf("pages (-there +of the pages' table of everything else):\n%s", diff)
	}
	return all
}

// follow runs all of them.
func (r *reader) follow(t *testing.T) {
	const choice = "Create the database" // "unless you choose PostgreSQL"
	if r.server != "" {
		for _, b := range blocks(t, ofPostgres) {
			if b.section == choice {
				r.try(t, b)
			}
		}
	}
	for _, page := range asRead(t) {
		if page == ofService || page == ofKubernetes || page == ofPostgres && r.server == "" {
			continue
		}
		for _, b := range blocks(t, page) {
			switch {
			case page == ofPostgres && b.section == choice:
			case r.server != "" && b.section == "Two commands": // they have no database of their own to choose
			default:
				r.try(t, b)
			}
		}
	}
	if got := len(r.world.Hostings()); got != 4 {
		t.Errorf("after following the pages there are %d hostings, want 4", got)
	}
}

// try runs one piece of code.
func (r *reader) try(t *testing.T, b block) {
	t.Helper()
	first, _, _ := strings.Cut(b.text, "\n")
	switch {
	case b.language != "sh" && excuse(first) != "":
		t.Logf("not run: %s: %s", first, excuse(first))
	case b.language == "sql" && strings.HasPrefix(b.text, "CREATE ROLE"):
		r.administer(t, b.text)
	case b.language == "ini":
		r.settings(t, b.text)
	case b.language == "sql":
		r.inDatabase(t, b.text)
	case b.language == "yaml":
		var err error
		for documents := yaml.NewDecoder(strings.NewReader(b.text)); err == nil; {
			err = documents.Decode(new(any))
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s:%d: %v", b.page, b.line, err)
		}
	case b.language == "json":
		if !json.Valid([]byte(b.text)) {
			t.Errorf("%s:%d: this is no JSON", b.page, b.line)
		}
	case b.language == "sh", b.language == "cron":
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", "")) {
			if line = strings.TrimSpace(line); b.language == "cron" {
				r.cron(t, line)
			} else {
				r.run(t, line)
			}
		}
	default:
		t.Errorf("%s:%d: how is this kind of code (%q) to be tried?", b.page, b.line, b.language)
	}
}
