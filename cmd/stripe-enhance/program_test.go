package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// bench is a program whose outside is in memory.
func bench(environ ...string) (p *program, out, err *bytes.Buffer) {
	out, err = new(bytes.Buffer), new(bytes.Buffer)
	return &program{out: out, err: err, in: strings.NewReader(""), environ: environ, now: time.Now}, out, err
}

func commandsBelow(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commandsBelow(sub)...)
	}
	return all
}

func TestEveryCommandHasAnExampleAndBelongsToAGroup(t *testing.T) {
	p, _, _ := bench()
	for _, c := range commandsBelow(p.root()) {
		own := c.Name() != "help" && !strings.HasPrefix(c.CommandPath(), "stripe-enhance completion") && c.Runnable()
		if own && !strings.Contains(c.Example, "stripe-enhance") {
			t.Errorf("%s: no example", c.CommandPath())
		}
		if c.Short == "" && c.Name() != "help" {
			t.Errorf("%s: no summary", c.CommandPath())
		}
		if c.Parent() != nil && c.Parent().Parent() == nil && c.Runnable() && c.GroupID == "" {
			t.Errorf("%s: in no group of the help", c.CommandPath())
		}
	}
}

func TestEverySettingIsAFlag(t *testing.T) {
	p, _, _ := bench()
	flags := p.root().PersistentFlags()
	for _, v := range config.Variables() {
		if flags.Lookup(v.Flag()) == nil {
			t.Errorf("%s has no flag --%s", v.Name, v.Flag())
		}
	}
}

func TestNoFlagOfACommandHidesASetting(t *testing.T) {
	p, _, _ := bench()
	for _, c := range commandsBelow(p.root()) {
		for _, v := range config.Variables() {
			if c.LocalNonPersistentFlags().Lookup(v.Flag()) != nil {
				t.Errorf("%s --%s hides the setting %s", c.CommandPath(), v.Flag(), v.Name)
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing went wrong", nil, 0},
		{"a run failed", fault.Errorf(fault.Transient, "x"), 1},
		{"a command line that cannot be meant", &usageError{errors.New("x"), "y"}, 2},
		{"wrong configuration, however wrapped", fmt.Errorf("x: %w", config.Problems{{}}), 2},
		{"something is left for a person", leftError{}, 3},
		{"something is left and closing failed as well", errors.Join(leftError{}, errors.New("x")), 3},
		{"another process is at work", &app.BusyError{Held: &reconcile.LeaseTaken{}}, 1},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAPanicPrintsNoValueAndExitsWithOne(t *testing.T) {
	for _, c := range []struct {
		name  string
		value any
		want  string
	}{
		{"a string that holds a key", "token CANARY refused", "internal error: a string."},
		{"an error that holds a key", errors.New("token CANARY refused"), "internal error: a *errors.errorString."},
	} {
		p, _, stderr := bench()
		code := func() (code int) {
			defer func() { code = p.crashed(recover()) }()
			panic(c.value)
		}()
		if code != 1 || !strings.Contains(stderr.String(), c.want) || strings.Contains(stderr.String(), "CANARY") {
			t.Errorf("%s: exit code %d, %s", c.name, code, stderr)
		}
	}
}

func TestColoursAreForTerminalsWhoseUserHasNotRefusedThem(t *testing.T) {
	for _, c := range []struct {
		environ  []string
		terminal bool
		want     bool
	}{
		{nil, true, true}, {nil, false, false}, {[]string{"NO_COLOR=1"}, true, false}, {[]string{"NO_COLOR="}, true, true}, {[]string{"TERM=dumb"}, true, false},
	} {
		p := &program{environ: c.environ, terminalOut: c.terminal}
		if got := p.style().Color; got != c.want {
			t.Errorf("%v on a terminal %v: %v, want %v", c.environ, c.terminal, got, c.want)
		}
	}
}

func TestTheLogIsJSONOffATerminalAndQuietOnOne(t *testing.T) {
	for _, c := range []struct {
		name     string
		environ  []string
		terminal bool
		want     string
	}{
		{"off a terminal", nil, false, `{"level":"info","msg":"hello"`},
		{"on a terminal", nil, true, ""},
		{"on a terminal with a level", []string{"LOG_LEVEL=INFO"}, true, "hello"},
		{"JSON on a terminal", []string{"LOG_FORMAT=json"}, true, `{"level":"info","msg":"hello"`},
		{"text off a terminal", []string{"LOG_FORMAT=text"}, false, `level=info msg=hello`},
	} {
		p, _, stderr := bench(append(c.environ, "NO_COLOR=1")...)
		p.terminalErr = c.terminal
		settings, err := p.settings(0)
		if err != nil {
			t.Fatal(err)
		}
		p.logger(settings).Info("hello")
		if got := stderr.String(); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
}

func TestProgressIsDrawnOnATerminalOnly(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		p, _, stderr := bench()
		p.err, p.terminalErr = &screen{out: stderr}, terminal
		tell, finish := p.watch()
		if (tell != nil) != terminal {
			t.Fatalf("on a terminal %v: something to tell: %v", terminal, tell != nil)
		}
		if tell != nil {
			tell(reconcile.Progress{Phase: "listing", Done: 100})
			tell(reconcile.Progress{Phase: "applying", Done: 1, Total: 3})
			tell(reconcile.Progress{Phase: "applying", Done: 3, Total: 3})
		}
		finish()
		finish()
		if drawn := strings.Contains(stderr.String(), "applying"); drawn != terminal {
			t.Errorf("on a terminal %v: drawn %v: %q", terminal, drawn, stderr)
		}
	}
}

// TestTheJSONOfARunHasTheFieldsOfTheManual compares a real plan with the names
// that scripts rely on; more may be there, fewer never.
func TestTheJSONOfARunHasTheFieldsOfTheManual(t *testing.T) {
	world := simulator.New(simulator.Options{Calm: true, Follow: time.Now})
	world.Offer()
	servers, err := world.Listen(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	environ := []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "state.db"), "STRIPE_API_URL=" + servers.StripeURL, "ENHANCE_API_URL=" + servers.EnhanceURL,
		"STRIPE_SECRET_KEY=" + world.StripeKey(), "ENHANCE_API_TOKEN=" + world.EnhanceToken(), "ENHANCE_ORG_ID=" + world.OrgID(), "LOG_LEVEL=error",
	}
	p, _, stderr := bench(environ...)
	if code := p.run(t.Context(), []string{"mappings", "set", "price_basic_monthly", "1"}); code != 0 {
		t.Fatal(stderr)
	}
	unmapped := world.AddPrice("prod_other", "", 100)
	for who, price := range map[string]string{"bakery": "price_basic_monthly", "museum": unmapped} {
		if _, err := world.SignUp(simulator.SignUp{Email: who + "@example.com", Price: price}); err != nil {
			t.Fatal(err)
		}
	}
	p, stdout, stderr := bench(environ...)
	if code := p.run(t.Context(), []string{"plan", "-o", "json"}); code != 3 {
		t.Fatalf("exit code %d, want 3: %s", code, stderr)
	}
	var got map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"":        {"run_id", "trigger", "mode", "started_at", "finished_at", "stripe", "enhance", "actions", "holds", "counts", "plan_id", "converged"},
		"stripe":  {"requests", "subscriptions", "events"},
		"enhance": {"requests"},
		"actions": {"id", "kind", "customer", "subscription", "email", "plan", "state", "reason", "error"},
		"holds":   {"customer", "subscription", "kind", "reason", "until"},
		"counts":  {"planned", "applied", "failed", "held"},
	}
	for part, fields := range want {
		object := got
		switch value := got[part].(type) {
		case map[string]any:
			object = value
		case []any:
			if len(value) == 0 {
				t.Fatalf("%s is empty", part)
			}
			object = value[0].(map[string]any)
		}
		for _, f := range fields {
			if _, ok := object[f]; !ok {
				t.Errorf("%s.%s is missing", part, f)
			}
		}
	}
	if got["mode"] != "full" || got["trigger"] != "cli" || got["converged"] != false {
		t.Errorf("mode %v, trigger %v, converged %v", got["mode"], got["trigger"], got["converged"])
	}
}

func TestASimulationCanBePastedAndAnswers(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	p, _, stderr := bench()
	p.out = w
	ended := make(chan int, 1)
	go func() {
		ended <- p.run(ctx, []string{"simulate", "--customers", "3", "--seed", "5"})
		_ = w.Close()
	}()
	settings, control := map[string]string{}, ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok && strings.HasPrefix(lines.Text(), "export ") {
			settings[name] = value
		}
		if _, url, ok := strings.Cut(lines.Text(), "#   curl http"); ok {
			control = "http" + url
			break // the last line; nothing more comes until the end
		}
	}
	if _, _, err := config.Load(config.Sources{Environ: environOf(settings)}, config.NeedStripe|config.NeedEnhance); err != nil {
		t.Errorf("what was printed is no configuration: %v", err)
	}
	answer, err := http.Get(control)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var state struct {
		Customers int `json:"customers"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&state); err != nil || state.Customers != 3 {
		t.Errorf("%d customers, %v; want 3", state.Customers, err)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func environOf(settings map[string]string) (all []string) {
	for name, value := range settings {
		all = append(all, name+"="+value)
	}
	return all
}
