package repocheck

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// The addresses of the served demo on its page. Both are replaced everywhere, because
// another program may listen there on the machine that runs the tests.
const (
	demoService  = "127.0.0.1:8080"
	demoControls = "127.0.0.1:12111"
)

// The lines that begin with curl are run as they are, in the order of the page, against
// the service that the page starts before them.
func TestEveryCurlOfTheServiceWorksAgainstTheServedDemo(t *testing.T) {
	for _, name := range []string{"sh", "curl"} {
		needs.Program(t, name)
	}
	service, controls := freeAddress(t), freeAddress(t)
	moved := strings.NewReplacer(demoService, service, demoControls, controls)
	var start, lines []string
	for _, b := range blocks(t, ofService) {
		for line := range strings.Lines(b.text) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "stripe-enhance ") {
				start = append(start, line)
			} else {
				lines = append(lines, line)
			}
		}
	}
	if len(start) != 1 || len(lines) < 5 {
		t.Fatalf("the page starts %q and then has %d lines; want the demo, and what is to be tried", start, len(lines))
	}
	serveDemo(t, start[0], service, controls)
	var settings string // lines like KEY=…, which the lines after them use
	curls := 0
	for _, line := range lines {
		if !strings.HasPrefix(line, "curl ") {
			settings += line + "\n"
			continue
		}
		curls++
		var out, talk bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "sh", "-c", settings+moved.Replace(line))
		cmd.Stdout, cmd.Stderr = &out, &talk
		if err := cmd.Run(); err != nil {
			t.Errorf("%s\n%v: %s%s", line, err, talk.String(), out.String())
		} else if !json.Valid(out.Bytes()) {
			t.Errorf("%s\nanswers what is not JSON: %.200s", line, out.String())
		}
	}
	t.Logf("%d lines with curl", curls)
}

// serveDemo runs the line of the page that starts the demo, at other addresses,
// until the end of the test, and waits until the first customers are there.
func serveDemo(t *testing.T, line, service, controls string) {
	t.Helper()
	args := append(strings.Fields(line)[1:], "--listen-addr", service, "--control-addr", controls)
	demo := exec.CommandContext(t.Context(), program(t), args...)
	demo.Dir, demo.Env = t.TempDir(), []string{"LOG_LEVEL=ERROR"}
	var talk bytes.Buffer
	demo.Stdout, demo.Stderr = io.Discard, &talk
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = demo.Wait() }()
	t.Cleanup(func() {
		_ = demo.Process.Kill() // it may have ended by itself
		<-ended
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", line, talk.String())
		case <-t.Context().Done():
			t.Fatalf("%s never served: %s", line, talk.String())
		case <-tick.C:
		}
		if looked(service) {
			return
		}
	}
}

// looked reports whether the service has finished a run, because only then it knows the
// customers of the requests.
func looked(service string) bool {
	var d struct {
		LastRun *struct{ FinishedAt *string }
		Metrics struct{ TotalSubscriptions int }
	}
	answer, err := http.Get("http://" + service + "/api/health")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(&d) == nil && d.LastRun != nil && d.LastRun.FinishedAt != nil && d.Metrics.TotalSubscriptions > 0
}
