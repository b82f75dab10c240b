package app

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// walkLimit is set by `make walk`, because the measure compiles the whole program again.
var walkLimit = flag.Int("walk", 0, "count the files that a sign-up passes, and fail at this many")

const (
	walkModule = "github.com/stripe-enhance/stripe-enhance/"
	walkSecret = "whsec_0123456789"
)

// The service starts, does its first full run and stops; and the same with a sign-up in
// between, from its webhooks to the report of the run that has made everything. What runs
// more often with the sign-up is its walk.
func TestASignUpPassesFewFiles(t *testing.T) {
	if *walkLimit == 0 {
		t.Skip("measured by make walk")
	}
	program := filepath.Join(t.TempDir(), "walk.test")
	command(t, "go", "test", "-c", "-covermode=atomic", "-coverpkg="+walkModule+"...", "-o", program, ".")
	without, with := profile(t, program, "TestAServiceIdles"), profile(t, program, "TestAServiceServesASignUp")
	passed, functions := map[string]map[string]bool{}, 0
	for block, times := range with {
		if file, line := place(block); times > without[block] && !simulated(file) {
			if passed[file] == nil {
				passed[file] = map[string]bool{}
			}
			passed[file][functionAt(t, file, line)] = true
		}
	}
	for _, file := range slices.Sorted(maps.Keys(passed)) {
		functions += len(passed[file])
		fmt.Printf("%s: %s\n", file, strings.Join(slices.Sorted(maps.Keys(passed[file])), " "))
	}
	fmt.Printf("a sign-up passes %d functions in %d files\n", functions, len(passed))
	if len(passed) >= *walkLimit {
		t.Errorf("a sign-up passes %d files; it should pass fewer than %d", len(passed), *walkLimit)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// profile runs one test and returns how often each block of code ran.
func profile(t *testing.T, program, test string) map[string]int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profile")
	command(t, program, "-test.run", "^"+test+"$", "-test.coverprofile", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		block, count, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, count, _ = strings.Cut(count, " ") // the first number counts statements
		if n, err := strconv.Atoi(count); err == nil {
			times[block] += n
		}
	}
	return times
}

// place is the file of a block, from the top of the repository, and its first line.
func place(block string) (file string, line int) {
	file, at, _ := strings.Cut(strings.TrimPrefix(block, walkModule), ":")
	at, _, _ = strings.Cut(at, ".")
	line, _ = strconv.Atoi(at)
	return file, line
}

// simulated: the simulator takes the place of Stripe and Enhance and is no part of the walk.
func simulated(file string) bool { return path.Dir(file) == "simulator" }

// functionAt names the function that a line belongs to.
func functionAt(t *testing.T, file string, line int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for i, l := range strings.Split(string(text), "\n") {
		if declared, ok := strings.CutPrefix(l, "func "); ok && i < line {
			if strings.HasPrefix(declared, "(") {
				_, declared, _ = strings.Cut(declared, ") ")
			}
			name, _, _ = strings.Cut(declared, "(")
		}
	}
	return name
}

// runEnds passes on the log entry of each run that has ended.
type runEnds chan logrus.Fields

func (runEnds) Levels() []logrus.Level { return []logrus.Level{logrus.InfoLevel} }

func (r runEnds) Fire(e *logrus.Entry) error {
	if e.Message == "run finished" {
		r <- e.Data
	}
	return nil
}

func TestAServiceIdles(t *testing.T) { serveMeanwhile(t, func(*simulator.World, string, runEnds) {}) }

func TestAServiceServesASignUp(t *testing.T) {
	serveMeanwhile(t, func(w *simulator.World, url string, ended runEnds) {
		order := simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: slices.Min(slices.Collect(maps.Keys(w.Offer()))), Domain: "ada.example", Checkout: true}
		if _, err := w.SignUp(order); err != nil {
			t.Fatal(err)
		}
		if d, err := w.DeliverWebhooks(t.Context(), url+"/api/webhook", walkSecret, nil); err != nil || d.Sent == 0 || d.Failed > 0 {
			t.Fatalf("webhooks: %+v, %v", d, err)
		}
		// Org, hosting, name, owner and website. Stripe sends several events, and a run may
		// begin between two of them.
		for applied := 0; applied < 5; {
			select {
			case run := <-ended:
				n, _ := run["applied"].(int)
				applied += n
			case <-t.Context().Done():
				t.Fatalf("%d actions were applied", applied)
			}
		}
	})
}

// serveMeanwhile runs the service until its first full run and meanwhile are over.
func serveMeanwhile(t *testing.T, meanwhile func(w *simulator.World, url string, ended runEnds)) {
	t.Helper()
	w := simulator.New(simulator.Options{Seed: 1, Calm: true})
	ended, addresses := make(runEnds, 100), make(chan string, 100)
	log := logrus.New()
	log.SetOutput(t.Output())
	log.AddHook(ended)
	a := New(walkConfig(t, w), Process{Now: w.Now, Log: log, Owner: "walk", Simulated: w.Transport(), Printf: func(f string, args ...any) { addresses <- fmt.Sprintf(f, args...) }})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := a.ConnectService(); err != nil {
		t.Fatal(err)
	}
	if err := a.Open(ctx, Place{IfMissing: Create}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	for price, plan := range w.Offer() {
		if err := a.Store.SetMapping(ctx, reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}, "walk", w.Now()); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx) }()
	select {
	case <-ended:
	case err := <-served:
		t.Fatalf("the service ended: %v", err)
	}
	meanwhile(w, strings.TrimPrefix(<-addresses, "serving on "), ended)
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func walkConfig(t *testing.T, w *simulator.World) *config.Config {
	t.Helper()
	c, _, err := config.Load(config.Sources{Environ: []string{
		"STRIPE_API_URL=http://" + simulator.StripeHost, "STRIPE_SECRET_KEY=" + w.StripeKey(), "STRIPE_WEBHOOK_SECRET=" + walkSecret,
		"ENHANCE_API_URL=http://" + simulator.EnhanceHost + "/api", "ENHANCE_API_TOKEN=" + w.EnhanceToken(), "ENHANCE_ORG_ID=" + w.OrgID(),
		"LISTEN_ADDR=127.0.0.1:0",
	}}, config.NeedStripe|config.NeedEnhance)
	if err != nil {
		t.Fatal(err)
	}
	c.DatabaseURL = secret.New("sqlite:" + filepath.Join(t.TempDir(), "walk.db"))
	return c
}
