package repocheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

const dashboardFile = "deploy/grafana/stripe-enhance.json"

// scrapes is how often Prometheus has read the metrics before the queries are tried: a rate
// needs two, and the demo has had every event by then.
const scrapes = 60

// quiet are metrics without a series in the demo: its provider sets the seller no limit, and
// it has no TLS.
var quiet = []string{"stripe_enhance_seller_resource_used", "stripe_enhance_seller_resource_limit", "stripe_enhance_certificate_expiry_timestamp_seconds"}

// dashboardQueries are the queries of all panels by their titles, as Grafana sends them if all
// installations are chosen.
func dashboardQueries(t *testing.T) map[string][]string {
	t.Helper()
	var d struct {
		Panels []struct {
			ID          int
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	chosen := strings.NewReplacer("$job", ".+", "$__rate_interval", "30s")
	all, ids := map[string][]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || all[p.Title] != nil {
			t.Errorf("panel %d, %q: its number or its title stands twice", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], chosen.Replace(target.Expr))
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d panels in %s", len(all), dashboardFile)
	}
	return all
}

// The dashboard shows every metric of the program, and no other of that name.
func TestTheDashboardShowsEveryMetric(t *testing.T) {
	names, shown := scraped(t), ""
	for _, queries := range dashboardQueries(t) {
		shown += strings.Join(queries, "\n") + "\n"
	}
	for _, word := range unknownMetrics(shown, names) {
		t.Errorf("the dashboard asks for %s, which no scrape shows", word)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "stripe_enhance_") && !strings.Contains(shown, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// Every query of the dashboard is answered, and every rule is loaded, by a Prometheus that
// scrapes the served demo. If a label is misspelt in a query, its answer is empty.
func TestPrometheusAnswersEveryQueryOfTheDashboard(t *testing.T) {
	tool := needs.Program(t, "prometheus")
	service, controls := freeAddress(t), freeAddress(t)
	serveDemo(t, "stripe-enhance demo --serve", service, controls)
	p := watch(t, tool, service)
	for title, queries := range dashboardQueries(t) {
		for _, q := range queries {
			var answer struct{ Result []json.RawMessage }
			if err := p.ask("query?query="+url.QueryEscape(q), &answer); err != nil {
				t.Errorf("%s: %v\n%s", title, err, q)
			} else if len(answer.Result) == 0 && !slices.ContainsFunc(quiet, func(name string) bool { return strings.Contains(q, name) }) {
				t.Errorf("%s: no series\n%s", title, q)
			}
		}
	}
	var loaded struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.ask("rules", &loaded); err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, g := range loaded.Groups {
		for _, r := range g.Rules {
			rules++
			if r.Health != "ok" {
				t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(alerts(t)); rules != want {
		t.Errorf("%d rules are loaded, want %d", rules, want)
	}
}

// observer is a Prometheus that runs until the end of the test.
type observer string

// watch starts a Prometheus on a free port that scrapes a service every second, and waits for
// its scrapes.
func watch(t *testing.T, tool, service string) observer {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	rules, err := filepath.Abs(filepath.Join(root, ruleFile))
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n"+
		"  - job_name: hosting\n    static_configs: [{targets: [%q]}]\n", rules, service)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var talk bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tool, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.Discard, &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
	})
	p := observer(address)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			t.Fatalf("prometheus ended: %s", talk.String())
		case <-t.Context().Done():
			t.Fatal("prometheus never scraped the demo often enough")
		case <-tick.C:
		}
		if p.scraped() >= scrapes {
			return p
		}
	}
}

// scraped is how many scrapes of the service were answered.
func (p observer) scraped() int {
	var count struct{ Result []struct{ Value [2]any } }
	if err := p.ask("query?query="+url.QueryEscape("sum_over_time(up[1h])"), &count); err != nil || len(count.Result) == 0 {
		return 0
	}
	text, _ := count.Result[0].Value[1].(string)
	n, _ := strconv.Atoi(text) // a sum of ones
	return n
}

// ask reads the data of an answer of the API of Prometheus.
func (p observer) ask(path string, into any) error {
	answer, err := http.Get("http://" + string(p) + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		return err
	}
	if envelope.Status != "success" {
		return errors.New(envelope.Error)
	}
	return json.Unmarshal(envelope.Data, into)
}
