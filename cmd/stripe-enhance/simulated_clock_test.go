package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// trying is a shell with the settings that simulate prints.
type trying struct {
	t       *testing.T
	dir     string
	env     []string
	control string
	sub     string // the subscription of the last sign-up
}

// printedBySimulate starts the simulators as a process, and returns its output.
func printedBySimulate(t *testing.T, args ...string) (lines []string) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"simulate"}, args...)...)
	cmd.Args[0], cmd.Dir = "stripe-enhance", t.TempDir()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	in := bufio.NewScanner(out)
	for in.Scan() {
		if lines = append(lines, in.Text()); strings.Count(strings.Join(lines, "\n"), "advance?d=360h") == 1 && strings.HasSuffix(in.Text(), "reconcile") {
			return lines
		}
	}
	t.Fatalf("simulate ended, or does not print what is tried here:\n%s", strings.Join(lines, "\n"))
	return nil
}

var signedUp = regexp.MustCompile(`"[Ss]ubscription": "(sub_\w+)"`)

// does one line as a shell would.
func (y *trying) does(line string) {
	y.t.Helper()
	if kv, ok := strings.CutPrefix(line, "export "); ok {
		y.env = append(y.env, kv)
		return
	}
	cmd := exec.CommandContext(y.t.Context(), "sh", "-c", strings.ReplaceAll(line, "sub_…", y.sub))
	cmd.Dir, cmd.Env = y.dir, y.env
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != exitOK && code != exitLeft {
		y.t.Fatalf("%s: %v\n%s", line, err, &b)
	}
	if m := signedUp.FindStringSubmatch(b.String()); m != nil && strings.Contains(line, "signup") {
		y.sub = m[1]
	}
}

// hosting is what the panel has for the subscription: active, suspended, deleted or none.
func (y *trying) hosting() string {
	y.t.Helper()
	r, err := http.NewRequestWithContext(y.t.Context(), http.MethodGet, y.control+"state", nil)
	if err != nil {
		y.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		y.t.Fatal(err)
	}
	defer answer.Body.Close()
	var state struct {
		Hostings []struct {
			Name      string `json:"friendly_name"`
			Status    string
			Suspended bool
		} `json:"latest_hostings"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&state); err != nil {
		y.t.Fatal(err)
	}
	for _, h := range state.Hostings {
		switch {
		case !strings.Contains(h.Name, y.sub):
		case h.Status == "deleted" || h.Suspended && h.Status == "active":
			return map[bool]string{true: "suspended", false: "deleted"}[h.Status == "active"]
		default:
			return h.Status
		}
	}
	return "none"
}

// Grace, retention and a trial are tried exactly as simulate prints them.
func TestTimeIsMovedByHandAsSimulatePrintsIt(t *testing.T) {
	for _, tool := range []string{"sh", "curl"} {
		needs.Program(t, tool)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	y := &trying{t: t, dir: t.TempDir()}
	if err := os.Symlink(path, filepath.Join(y.dir, "stripe-enhance")); err != nil {
		t.Fatal(err)
	}
	y.env = append(os.Environ(), "PATH="+y.dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	want := map[string][]string{ // after each run below a heading
		"Make something happen": {"active"},
		"Grace":                 {"active", "suspended", "active"},
		"Retention":             {"suspended", "deleted"},
		"A trial":               {"active", "active"},
	}
	heading := ""
	for _, line := range printedBySimulate(t, "--calm") {
		if value, ok := strings.CutPrefix(line, "export STRIPE_API_URL="); ok {
			y.control = value + "/_sim/"
		}
		command, byHand := strings.CutPrefix(line, "#   ")
		switch {
		case !byHand && strings.HasPrefix(line, "#"):
			for begins := range want {
				if strings.HasPrefix(line, "# "+begins) {
					heading = begins
				}
			}
			continue
		case line == "":
			continue
		}
		y.does(command)
		if byHand && strings.HasSuffix(command, "stripe-enhance reconcile") {
			if len(want[heading]) == 0 {
				t.Fatalf("%s: one more run than expected", heading)
			}
			if got := y.hosting(); got != want[heading][0] {
				t.Fatalf("%s: after a run the hosting is %s, want %s", heading, got, want[heading][0])
			}
			want[heading] = want[heading][1:]
		}
	}
	for heading, left := range want {
		if len(left) > 0 {
			t.Errorf("%s: %v did not come", heading, left)
		}
	}
}

// A service that runs while time is moved by hand goes with it.
func TestAServiceFollowsTheTimeThatIsMoved(t *testing.T) {
	s := newSite(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), "SIMULATED_CLOCK=true", "POLL_SCHEDULE=@every 1s")
	s.mapPrices()
	bakery := s.signUp("bakery")[0]
	r := s.serve("service")
	s.hosted(1)
	if err := s.world.FailPayment(bakery); err != nil {
		t.Fatal(err)
	}
	s.world.Advance(96 * time.Hour)
	r.says(0, `"kind":"suspend"`)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if h := s.world.Hostings(); len(h) == 1 && h[0].SuspendedBy != "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("four days later the hosting is up")
		}
	}
}

// A clock that can be moved is refused wherever an account may be real: an address of
// another machine, a live key, and on this machine whatever does not prove that it is
// the simulator.
func TestASimulatedClockIsRefusedAgainstARealAccount(t *testing.T) {
	proxied := func(to string) string { // a tunnel on this machine, as to a real account
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/_sim") {
				http.NotFound(rw, r)
				return
			}
			forward.ServeHTTP(rw, r)
		}))
		t.Cleanup(server.Close)
		return server.URL + u.Path
	}
	s := newSite(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), "SIMULATED_CLOCK=true")
	at := map[string]string{}
	for _, kv := range s.env {
		name, value, _ := strings.Cut(kv, "=")
		at[name] = value
	}
	other := simulator.New(simulator.Options{Calm: true, Seed: 9, Follow: time.Now, EnhanceToken: s.world.EnhanceToken(), OrgID: s.world.OrgID()})
	servers, err := other.Listen(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"STRIPE_API_URL=https://api.stripe.com":             "STRIPE_API_URL is not on this machine",
		"STRIPE_API_URL=":                                   "STRIPE_API_URL is not on this machine",
		"ENHANCE_API_URL=https://panel.example.com":         "ENHANCE_API_URL is not on this machine",
		"STRIPE_SECRET_KEY=sk_live_51NqAbCdEfGhIjKl":        "STRIPE_SECRET_KEY is not a test key",
		"STRIPE_SECRET_KEY=sk_test_51NqAbCdEfGhIjKl":        "what answers at STRIPE_API_URL is not the simulator whose key this is",
		"STRIPE_API_URL=" + proxied(at["STRIPE_API_URL"]):   "what answers at STRIPE_API_URL is not the simulator",
		"ENHANCE_API_URL=" + proxied(at["ENHANCE_API_URL"]): "what answers at ENHANCE_API_URL is not the simulator",
		"ENHANCE_API_URL=" + servers.EnhanceURL:             "belong to two different simulators",
		"ENHANCE_API_URL=http://127.0.0.1:1":                "nothing answers at ENHANCE_API_URL",
	} {
		for _, args := range [][]string{{"reconcile"}, {"holds", "add", "--customer", "cus_1", "--kind", "no-suspend", "--until", "72h"}, {"serve"}} {
			var talk bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a service that is not refused goes on
			cmd := s.command(ctx, []string{setting}, args...)
			cmd.Stderr = &talk
			_ = cmd.Run() // its exit code is compared below
			cancel()
			if code := cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(talk.String(), want) {
				t.Errorf("%s, %v: exit code %d, want %d and %q:\n%s", setting, args, code, exitUsage, want, &talk)
			}
		}
	}
	if _, talk, code := s.run("mappings", "set", "price_basic_monthly", "1"); code != exitOK {
		t.Errorf("against the simulators it is refused as well: %s", talk)
	}
}
