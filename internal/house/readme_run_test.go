package house

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the driver, for what the README does in the database

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// ofService is the section whose commands need a service that runs; they have a
// test of their own.
const ofService = "As a service"

// notRun are the command lines of the README that are not run here, and why. One
// that is not in the README any more is a mistake in this list.
var notRun = map[string]string{
	"make test": "it is what runs this",
}

// ends are the command lines that end otherwise than with 0, and how.
var ends = map[string]int{
	"stripe-enhance check":     1, // somebody pays for a price that is mapped to nothing
	"stripe-enhance plan":      3, // four customers have paid and have nothing yet
	"stripe-enhance reconcile": 3, // the brake holds all of them
	// cron, after everything was approved: the one without a mapping stays held.
	"./stripe-enhance reconcile >> reconcile.log 2>&1":        3,
	"./stripe-enhance reconcile --full >> reconcile.log 2>&1": 3,
}

// reader is somebody who follows the README, in a directory of their own, with
// simulators in place of Stripe and the panel.
type reader struct {
	dir   string
	env   []string
	world *simulator.World
	// secrets are what they have where the README has an example.
	secrets map[string]string
	ran     []string
}

func newReader(t *testing.T) *reader {
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
	r := &reader{dir: t.TempDir(), world: world, secrets: map[string]string{}}
	for _, kv := range simulated(world, servers.StripeURL, servers.EnhanceURL) {
		name, value, _ := strings.Cut(kv, "=")
		r.secrets[name] = value
	}
	if err := os.Symlink(program(t), filepath.Join(r.dir, "stripe-enhance")); err != nil {
		t.Fatal(err)
	}
	// What the README leaves out: where the simulators are, no waiting, and a brake
	// that is as small as the town.
	r.env = append(os.Environ(), "PATH="+r.dir+string(os.PathListSeparator)+os.Getenv("PATH"), "USER=reader",
		"STRIPE_API_URL="+r.secrets["STRIPE_API_URL"], "STRIPE_RPS=1000", "ENHANCE_RPS=1000", "BRAKE_CREATE=3")
	return r
}

// settings writes the .env of the README, with credentials that are good for
// something in place of the examples.
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
	if err := os.WriteFile(filepath.Join(r.dir, ".env"), []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run is one command line as it stands, but for PLAN_ID.
func (r *reader) run(t *testing.T, line string) string {
	t.Helper()
	if why := notRun[line]; why != "" {
		r.ran = append(r.ran, line)
		t.Logf("not run: %s: %s", line, why)
		return ""
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(line, "PLAN_ID", r.plan(t, line)))
	cmd.Dir, cmd.Env = r.dir, r.env
	if strings.HasPrefix(line, "go ") || strings.HasPrefix(line, "make ") {
		cmd.Dir = root
	}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if want, got := ends[line], cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("%s\nends with %d, want %d:\n%s%s", line, got, want, talk.String(), out.String())
	}
	r.ran = append(r.ran, line)
	return out.String()
}

// plan is the id of the plan that waits, for a line that wants one.
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

// cronLine is when, where, and what.
var cronLine = regexp.MustCompile(`^(?:@\w+|\S+ \S+ \S+ \S+ \S+)\s+cd (\S+) && (\./stripe-enhance [a-z -]+) (>> \S+ 2>&1)$`)

// cron runs a line of a crontab once, in the reader's own directory.
func (r *reader) cron(t *testing.T, line string) {
	t.Helper()
	m := cronLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("%q is not a line of a crontab that goes somewhere, runs one command and keeps what it says", line)
	}
	r.run(t, m[2]+" "+m[3])
}

// inDatabase does what the README does by SQL in a database that has nothing yet,
// and looks at it from outside.
func (r *reader) inDatabase(t *testing.T, text string) {
	t.Helper()
	other := *r
	other.dir = t.TempDir()
	other.run(t, "stripe-enhance migrate")
	db, err := sql.Open("sqlite", filepath.Join(other.dir, "stripe-enhance.db"))
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

// Every piece of code of the README does what the README says, in the order in
// which it stands there. A new kind of code is a mistake until somebody has said
// here how to try it.
func TestEveryCommandOfTheReadmeWorks(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh: the commands of the README are for one")
	}
	r := newReader(t)
	for _, b := range blocks(t) {
		if b.section == ofService {
			continue
		}
		switch {
		case b.language == "ini":
			r.settings(t, b.text)
		case b.language == "sql":
			r.inDatabase(t, b.text)
		case b.language == "sh", b.language == "cron", strings.HasPrefix(b.text, "stripe-enhance"):
			for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", "")) {
				if line = strings.TrimSpace(line); b.language == "cron" {
					r.cron(t, line)
				} else {
					r.run(t, line)
				}
			}
		default:
			t.Errorf("README.md:%d: how is this kind of code (%q) to be tried?", b.line, b.language)
		}
	}
	for line := range notRun {
		if !slices.Contains(r.ran, line) {
			t.Errorf("%q is excused and does not stand in the README", line)
		}
	}
	if got := len(r.world.Hostings()); got != 4 {
		t.Errorf("after following the README there are %d hostings, want 4", got)
	}
}
