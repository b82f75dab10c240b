package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// site is a company on loopback, and what a process needs to work for it. The
// processes are this test binary under the program's name (see TestMain), so they
// are the real main and cost no build.
type site struct {
	tb    testing.TB
	world *simulator.World
	env   []string
	// binary is a program of another version; "": this one.
	binary string
	// under is a command that runs the program, such as one that counts; nil: none.
	under []string
}

// patience bounds every wait for a process. It is far longer than any step takes, so that a
// test that fails ends with its own message and not with a dump of goroutines.
const patience = 3 * time.Minute

// newSite opens a calm company whose prices are mapped to plans once its first
// process has migrated the database.
func newSite(tb testing.TB, database string, settings ...string) *site {
	tb.Helper()
	return newSiteIn(tb, simulator.New(simulator.Options{Calm: true, Follow: time.Now}), database, settings...)
}

func newSiteIn(tb testing.TB, world *simulator.World, database string, settings ...string) *site {
	tb.Helper()
	s := &site{tb: tb, world: world}
	s.world.Offer()
	servers, err := s.world.Listen(tb.Context(), "", "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = servers.Close() })
	s.env = append([]string{
		"DATABASE_URL=" + database, "USER=operator", "LISTEN_ADDR=127.0.0.1:0", "LOG_FORMAT=json",
		"STRIPE_API_URL=" + servers.StripeURL, "STRIPE_SECRET_KEY=" + s.world.StripeKey(), "STRIPE_RPS=1000",
		"ENHANCE_API_URL=" + servers.EnhanceURL, "ENHANCE_API_TOKEN=" + s.world.EnhanceToken(), "ENHANCE_ORG_ID=" + s.world.OrgID(), "ENHANCE_RPS=1000",
		"LEASE_TTL=3s", "SETTLE_TIME=1s", "RETRY_MIN=1s", "POLL_SCHEDULE=@every 1s",
	}, settings...)
	return s
}

// mapPrices maps every price that is sold to its plan, by hand.
func (s *site) mapPrices() {
	s.tb.Helper()
	for price, plan := range s.world.Offer() {
		if _, talk, code := s.run("mappings", "set", price, fmt.Sprint(plan)); code != 0 {
			s.tb.Fatalf("mapping %s: exit code %d: %s", price, code, talk)
		}
	}
}

func (s *site) signUp(names ...string) (subscriptions []string) {
	s.tb.Helper()
	for _, name := range names {
		done, err := s.world.SignUp(simulator.SignUp{Email: name + "@example.com", Name: name, Price: "price_basic_monthly"})
		if err != nil {
			s.tb.Fatal(err)
		}
		subscriptions = append(subscriptions, done.Subscription)
	}
	return subscriptions
}

// several are names of n customers.
func several(name string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%d", name, i+1))
	}
	return names
}

// command is the program with the site's settings; more of them come last and win.
func (s *site) command(ctx context.Context, settings []string, args ...string) *exec.Cmd {
	s.tb.Helper()
	path, err := s.binary, error(nil)
	if path == "" {
		path, err = os.Executable()
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0] = "stripe-enhance"
	if s.under != nil {
		cmd = exec.CommandContext(ctx, s.under[0], slices.Concat(s.under[1:], []string{path}, args)...)
	}
	cmd.Dir, cmd.Env = s.tb.TempDir(), slices.Concat(s.env, settings)
	return cmd
}

// run does one command to its end.
func (s *site) run(args ...string) (out, talk string, code int) {
	s.tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(s.tb.Context(), nil, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.tb.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// replica is one process of the service.
type replica struct {
	tb    testing.TB
	name  string
	cmd   *exec.Cmd
	url   string        // http://127.0.0.1:…
	ended chan struct{} // closed when the process is gone

	mu    sync.Mutex // guards what follows
	lines []string
	more  chan struct{} // closed, and replaced, with every line
}

// begin starts a process of the service; it may not be up yet.
func (s *site) begin(name string, settings ...string) *replica {
	return s.start(name, settings, "serve")
}

func (s *site) start(name string, settings []string, args ...string) *replica {
	s.tb.Helper()
	r := &replica{tb: s.tb, name: name, ended: make(chan struct{}), more: make(chan struct{})}
	r.cmd = s.command(context.WithoutCancel(s.tb.Context()), settings, args...)
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	go r.listen(stderr)
	s.tb.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may be gone; a stopped one goes as well
		<-r.ended
		if s.tb.Failed() {
			s.tb.Logf("%s said:\n%s", name, strings.Join(r.said(), "\n"))
		}
	})
	return r
}

// serve starts a process of the service and waits until it answers.
func (s *site) serve(name string, settings ...string) *replica {
	s.tb.Helper()
	return s.begin(name, settings...).up()
}

func (r *replica) listen(stderr io.Reader) {
	defer close(r.ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, lines.Text())
		close(r.more)
		r.more = make(chan struct{})
		r.mu.Unlock()
	}
	_ = r.cmd.Wait() // how it ended is in its ProcessState
}

func (r *replica) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// says waits for a line with all these words, beginning with line from, and returns it and
// the number of the next one.
func (r *replica) says(from int, words ...string) (line string, next int) {
	r.tb.Helper()
	limit := time.After(patience)
	for {
		r.mu.Lock()
		lines, more := r.lines, r.more
		r.mu.Unlock()
		for ; from < len(lines); from++ {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(lines[from], w) }) {
				return lines[from], from + 1
			}
		}
		select {
		case <-more:
		case <-r.ended:
			r.tb.Fatalf("%s ended and never said %q", r.name, words)
		case <-limit:
			r.tb.Fatalf("%s never said %q", r.name, words)
		}
	}
}

func (r *replica) up() *replica {
	r.tb.Helper()
	line, _ := r.says(0, "serving on http://")
	r.url = line[strings.Index(line, "http://"):]
	return r
}

// leads asks the process whether it is the writer.
func (r *replica) leads() bool {
	var d struct{ Leader bool }
	client := &http.Client{Timeout: 30 * time.Second}
	answer, err := client.Get(r.url + "/api/health")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(&d) == nil && d.Leader
}

// exit waits for the end of the process and returns its code, -1 for a signal.
func (r *replica) exit() int {
	r.tb.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.tb.Fatalf("%s does not end", r.name)
	}
	return r.cmd.ProcessState.ExitCode()
}

// eventually waits until something is so, looking again and again: what happens in
// other processes has no channel.
func eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			tb.Fatalf("it never came to this: %s", what)
		}
	}
}

// writer waits until one of the replicas leads, and returns it.
func writer(tb testing.TB, replicas ...*replica) (leader *replica) {
	tb.Helper()
	eventually(tb, "one of the replicas is the writer", func() bool {
		i := slices.IndexFunc(replicas, (*replica).leads)
		if i >= 0 {
			leader = replicas[i]
		}
		return i >= 0
	})
	return leader
}

// grip is the panel with the first create in hand, which it does when the test lets it.
type grip struct {
	at, done chan struct{}
	release  func() // once
}

// holdFirstCreate makes the panel keep the first create of an organisation.
func (s *site) holdFirstCreate() *grip {
	h := &grip{at: make(chan struct{}), done: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.done) })
	s.tb.Cleanup(h.release)
	first := sync.OnceFunc(func() { close(h.at); <-h.done })
	s.world.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "POST /orgs/{org}/customers" {
			first()
		}
		return simulator.Fault{}
	})
	return h
}

func (h *grip) reached(tb testing.TB) {
	tb.Helper()
	select {
	case <-h.at:
	case <-time.After(patience):
		tb.Fatal("no create was sent")
	}
}
