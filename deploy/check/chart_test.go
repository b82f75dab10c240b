package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

// with is an example with further values, written as for --set.
func with(t *testing.T, file string, sets ...string) release {
	t.Helper()
	r := example(t, "stripe-enhance", file)
	for _, s := range sets {
		if err := strvals.ParseInto(s, r.values); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// A wrong value is refused before Helm changes anything, with the name of the value.
func TestTheSchemaRefusesWrongValues(t *testing.T) {
	for set, want := range map[string]string{
		"mode=cron":                                   "mode",
		"mdoe=service":                                "mdoe",
		"settings.MODE=enforced":                      "MODE",
		"settings.GRACE_PERIODE=72h":                  "GRACE_PERIODE",
		"settings.STRIPE_SECRET_KEY=rk_live_1":        "STRIPE_SECRET_KEY",
		"settings.LISTEN_ADDR=:8081":                  "LISTEN_ADDR",
		"settings.ENHANCE_API_URL=panel":              "ENHANCE_API_URL",
		"settings.ENHANCE_API_URL=null":               "ENHANCE_API_URL",
		"settings.ENHANCE_ORG_ID=1":                   "ENHANCE_ORG_ID",
		"settings.INSTANCE=The Shop":                  "INSTANCE",
		"secrets.keys={STRIPE_SECRET_KEY,KEY}":        "/secrets/keys/1",
		"secrets.name=Stripe":                         "/secrets/name",
		"image.digest=sha256:1":                       "digest",
		"image.pullPolicy=Sometimes":                  "pullPolicy",
		"cronjob.schedule=often":                      "schedule",
		"cronjob.backoffLimit=100":                    "backoffLimit",
		"service.replicas=0":                          "replicas",
		"service.storage.size=big":                    "size",
		"networkPolicy.httpsTo=null":                  "httpsTo",
		"networkPolicy.databasePort=0":                "databasePort",
		"monitoring.enabled=yes":                      "enabled",
		"fullnameOverride=" + strings.Repeat("x", 48): "fullnameOverride",
	} {
		_, err := templated(t, with(t, "service-postgres", set))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v; want an error that names %s", set, err, want)
		}
	}
	if _, err := templated(t, release{"stripe-enhance", nil}); err == nil || !strings.Contains(err.Error(), "ENHANCE_ORG_ID") {
		t.Errorf("without values: %v", err)
	}
}

// Values that the examples do not have make manifests that are as strict.
func TestFurtherValuesMakeRightManifests(t *testing.T) {
	for _, c := range []struct {
		file, want string
		sets       []string
	}{
		{"cronjob", "timeZone: Europe/Bucharest", []string{"cronjob.timeZone=Europe/Bucharest", "cronjob.suspend=true"}},
		{"cronjob", "name: night-stripe-enhance-full", nil},
		{"cronjob", "secretName: keys", []string{"secrets.name=keys"}},
		{"cronjob", "port: 587", []string{"secrets.keys={DATABASE_URL,STRIPE_SECRET_KEY,ENHANCE_API_TOKEN,SMTP_URL}", "settings.MAIL_FROM=billing@example.com", "settings.CONCURRENCY=2", "settings.CREATE_WEBSITES=false",
			"networkPolicy.moreEgress[0].ports[0].port=587", "networkPolicy.moreEgress[0].to[0].ipBlock.cidr=203.0.113.7/32"}},
		{"service", "storageClassName: disk", []string{"service.storage.className=disk", "nodeSelector.disk=ssd", "priorityClassName=high", "tolerations[0].operator=Exists"}},
		{"service", "stripe-enhance@sha256:" + strings.Repeat("0", 64), []string{"image.digest=sha256:" + strings.Repeat("0", 64), "image.pullPolicy=Always", "image.pullSecrets[0].name=registry"}},
		{"service-postgres", "release: prometheus", []string{"monitoring.labels.release=prometheus", "podAnnotations.a=b", "service.replicas=2",
			"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=x",
			"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists"}},
		{"service-postgres", "replicas: 3", []string{"networkPolicy.enabled=false", "monitoring.enabled=false"}},
	} {
		r := with(t, c.file, c.sets...)
		if c.sets == nil {
			r.name = "night"
		}
		text, err := templated(t, r)
		if err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%v: %v; %q is not in it", c.sets, err, c.want)
		}
		for _, problem := range judge(t, text) {
			// The rule for a mail server is one more than the program needs by itself.
			if !strings.Contains(problem, "ports out map[53:true 443:true 587:true 5432:true]") {
				t.Errorf("%v: %s", c.sets, problem)
			}
		}
	}
}

// The schema knows exactly the settings of the program: those that are no secret as settings,
// and the secrets as keys of the Secret. The chart itself sets the two addresses.
func TestTheSchemaKnowsTheSettingsOfTheProgram(t *testing.T) {
	var schema struct {
		Properties struct {
			Settings struct {
				Properties map[string]any
			}
			Secrets struct {
				Properties struct {
					Keys struct{ Items struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, chartDir+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{"LISTEN_ADDR": false, "METRICS_ADDR": false}
	for name := range schema.Properties.Settings.Properties {
		got[name] = false
	}
	for _, name := range schema.Properties.Secrets.Properties.Keys.Items.Enum {
		got[name] = true
	}
	want := map[string]bool{}
	for _, v := range config.Variables() {
		want[v.Name] = v.Secret
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings, and whether they are secrets (-code +values.schema.json):\n%s", diff)
	}
}

var row = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+|settings\\.[A-Z_]+)` \\| (.+?) \\| (.+) \\|$")

// The chart's README has a row for each value, with its default. In the place of a long list
// there are words for it.
func TestTheReadmeOfTheChartListsEveryValue(t *testing.T) {
	values, err := chartutil.ReadValuesFile(filepath.Join(root, chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(read(t, chartDir+"/README.md"), -1) {
		listed[m[1]] = m[2]
	}
	seen := map[string]bool{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		shown, ok := listed[path]
		if m, is := value.(map[string]any); is && !ok {
			for name, v := range m {
				walk(strings.TrimPrefix(path+"."+name, "."), v)
			}
			return
		}
		seen[path] = true
		code, isCode := strings.CutPrefix(shown, "`")
		if _, long := value.([]any); !ok || !isCode && !long {
			t.Errorf("README.md shows %q for %s", shown, path)
			return
		}
		var byDefault any
		if isCode && (yaml.Unmarshal(quoted(strings.TrimSuffix(code, "`")), &byDefault) != nil || fmt.Sprint(byDefault) != fmt.Sprint(value)) {
			t.Errorf("README.md shows %s for %s, and values.yaml has %v", shown, path, value)
		}
	}
	walk("", values.AsMap())
	for path := range listed {
		if !seen[path] {
			t.Errorf("README.md lists %s, which values.yaml does not have", path)
		}
	}
}

// quoted keeps a cron expression from being read as an alias.
func quoted(text string) []byte {
	if strings.HasPrefix(text, "*") {
		return fmt.Appendf(nil, "%q", text)
	}
	return []byte(text)
}

// Overlays and chart name the same image, in the version of the chart, which is that of the
// last release.
func TestTheImageIsTheSameEverywhere(t *testing.T) {
	c := loadChart(t)
	if c.Metadata.Version != c.Metadata.AppVersion {
		t.Errorf("the chart has the version %s, and the program %s", c.Metadata.Version, c.Metadata.AppVersion)
	}
	next := "1.0.0" // no release has been made
	if m := regexp.MustCompile(`(?m)^## \[(\d\S*)\]`).FindStringSubmatch(read(t, "CHANGELOG.md")); m != nil {
		next = m[1]
	}
	if c.Metadata.Version != next {
		t.Errorf("the chart has the version %s, and CHANGELOG.md %s", c.Metadata.Version, next)
	}
	want := "image: ghcr.io/stripe-enhance/stripe-enhance:" + c.Metadata.AppVersion
	for _, m := range modes(t) {
		for _, line := range regexp.MustCompile(`image: .*`).FindAllString(m.overlay(t)+m.chart(t), -1) {
			if line != want {
				t.Errorf("%s has the %s, want %s", m.name, line, want)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(root, chartDir, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	if want := []string{"cronjob", "service", "service-postgres", "two-sellers-first", "two-sellers-second"}; !slices.Equal(want, names) {
		t.Errorf("the examples are %q, and the tests render %q", names, want)
	}
}
