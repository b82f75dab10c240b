package check

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func TestEveryModeIsAsKubernetesAndTheProgramWantIt(t *testing.T) {
	for _, m := range modes(t) {
		for how, text := range map[string]string{"overlay": m.overlay(t), "chart": m.chart(t)} {
			for _, problem := range judge(t, text) {
				t.Errorf("%s, %s: %s", m.name, how, problem)
			}
		}
	}
}

// The overlay and the chart of a mode make the same objects. What differs by nature is left
// out: the hash behind the name of a ConfigMap and, in the chart, its place; the labels by
// which Helm finds its objects; and which end of a name the seller stands at.
func TestOverlayAndChartAreTheSame(t *testing.T) {
	for _, m := range modes(t) {
		if diff := differ(t, m.overlay(t), m.chart(t)); diff != "" {
			t.Errorf("%s (-overlay +chart):\n%s", m.name, diff)
		}
	}
}

var (
	hash     = regexp.MustCompile(`(stripe-enhance(?:-first|-second)?)-[a-z0-9]{10}\b`)
	ofHelm   = regexp.MustCompile(`(?m)^ *(helm\.sh/chart|app\.kubernetes\.io/(managed-by|version)|checksum/settings): .*\n`)
	fullName = regexp.MustCompile(`stripe-enhance-full-(first|second)`)
)

func differ(t *testing.T, overlay, chart string) string {
	t.Helper()
	overlay = fullName.ReplaceAllString(hash.ReplaceAllString(overlay, "$1"), "stripe-enhance-$1-full")
	return cmp.Diff(generic(t, objects(t, overlay)), generic(t, objects(t, ofHelm.ReplaceAllString(chart, ""))))
}

// objects are those of a text, none of them with the empty fields that come and go with how
// an object is written.
func objects(t *testing.T, text string) map[string]meta.Object {
	t.Helper()
	w := parse(text)
	if len(w.problems) > 0 {
		t.Fatal(w.problems)
	}
	for _, one := range w.objects {
		if len(one.GetAnnotations()) == 0 {
			one.SetAnnotations(nil)
		}
	}
	return w.objects
}

// mistakes are made in what is rendered, one at a time, and each has to be noticed by the
// words of want. Each was also made by hand in the files themselves, and seen: a misspelt
// field in base/networkpolicy.yaml, runAsNonRoot taken out of statefulset.yaml and of the
// chart's _helpers.tpl, a rule of the alerts changed in one of its three places, 3 taken out
// of podFailurePolicy in cronjob-full.yaml and in the chart, a second key of one name.
var mistakes = []struct{ name, mode, was, becomes, want string }{
	{"a misspelt field", "cronjob", "concurrencyPolicy:", "concurrencyPolice:", `unknown field "spec.concurrencyPolice"`},
	{"a field in another case", "cronjob", "backoffLimit:", "backofflimit:", `unknown field "spec.jobTemplate.spec.backofflimit"`},
	{"a key twice", "cronjob", "backoffLimit: 2", "backoffLimit: 2\n      backoffLimit: 2", `already set in map`},
	{"a number as a text", "service-postgres", "replicas: 3", `replicas: "3"`, "cannot unmarshal"},
	{"an API that is gone", "cronjob", "batch/v1", "batch/v1beta1", "not known here"},
	{"root may run it", "service", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot != true"},
	{"runAsNonRoot is missing", "cronjob", "runAsNonRoot: true", "", "runAsNonRoot != true"},
	{"the user is root", "service", "runAsUser: 65532", "runAsUser: 0", "runAsUser=0"},
	{"a capability is left", "service-postgres", "drop:", "add:", "unrestricted capabilities"},
	{"no seccomp", "cronjob", "type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
	{"more rights by a child", "service", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation != false"},
	{"files of root", "service", "fsGroup: 65532", "fsGroup: 0", "are not the user's"},
	{"a root file system that can be written to", "cronjob", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can be written to"},
	{"no limit", "service", "memory: 512Mi", "", "limits are missing"},
	{"a token of Kubernetes", "service", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "token of Kubernetes"},
	{"an image without a version", "service", ":1.0.0", ":latest", "has no version"},
	{"a hold is tried again at once", "cronjob", "            - 3\n", "", "after exit code 3 (exitLeft) another try follows at once"},
	{"a wrong setting is tried again", "cronjob", "            - 2\n", "", "after exit code 2 (exitUsage) another try follows at once"},
	{"a failed run is never tried again", "cronjob", "            - 2\n", "            - 1\n            - 2\n", "after exit code 1 (exitFailed) another try follows at once: false"},
	{"a hold is ignored, and so tried for ever", "cronjob", "action: FailJob", "action: Ignore", "is not expected"},
	{"a drain is a try", "cronjob", "type: DisruptionTarget", "type: Ready", "counts as a try"},
	{"a schedule of four fields", "cronjob", "17 3 * * *", "17 3 * *", "the schedule is"},
	{"a name that is none", "cronjob", "name: stripe-enhance-full", "name: stripe_enhance_full", "lower case"},
	{"a label that is none", "cronjob", "component: full", "component: full sweep", "the label"},
	{"runs overlap", "cronjob", "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow", "may overlap"},
	{"a setting that is misspelt", "cronjob", "GRACE_PERIOD:", "GRACE_PERIODE:", "GRACE_PERIODE is no setting"},
	{"a setting that is wrong", "cronjob", "GRACE_PERIOD: 72h", "GRACE_PERIOD: 72 hours", "the program does not start"},
	{"a setting that is missing", "cronjob", "ENHANCE_API_URL: https://panel.example.com", "LOG_LEVEL: INFO", "the program does not start"},
	{"the image's SQLite beside PostgreSQL", "cronjob", `  DATABASE_URL: ""` + "\n", "", "DATABASE_URL is set too"},
	{"SQLite in a CronJob", "cronjob", "  DATABASE_URL_FILE: /run/secrets/stripe-enhance/DATABASE_URL\n", "", "SQLite on a volume that does not stay"},
	{"the first run changes things", "service", "MODE: observe", "MODE: enforce", "the first run changes things"},
	{"the key of another secret", "service", "stripe-enhance/ADMIN_API_KEY", "stripe-enhance/ENHANCE_API_TOKEN", "is not the key of the Secret"},
	{"another port", "service", "containerPort: 8080", "containerPort: 8081", "the program listens at :8080"},
	{"a probe of the outside", "service", "path: /healthz", "path: /api/health", "probe asks /api/health"},
	{"no probe", "service-postgres", "readinessProbe:", "lifecycle: {}\n        x:", `unknown field`},
	{"two processes on SQLite", "service", "replicas: 1", "replicas: 2", "SQLite is for one process"},
	{"a rule of the alerts is changed", "service", "> 1800", "> 3600", "its alerts are not those of"},
	{"a NetworkPolicy for nothing", "two-sellers", "  podSelector:\n    matchLabels:\n", "  podSelector:\n    matchLabels:\n      x: y\n", "selects nothing"},
	{"HTTPS to the cloud's credentials", "cronjob", "        - 169.254.0.0/16\n", "", "HTTPS is allowed to 169.254.0.0/16"},
	{"another port out", "cronjob", "port: 443", "port: 8443", "ports out"},
	{"every port out", "service", "  - ports:\n    - port: 443\n      protocol: TCP\n    to:", "  - to:", "every address or every port"},
	{"two sellers with one word", "two-sellers", "INSTANCE: second", "INSTANCE: first", "another seller's too"},
	{"two sellers with one Secret", "two-sellers", "secretName: stripe-enhance-second", "secretName: stripe-enhance-first", "another seller's too"},
}

func TestEachMistakeInAManifestIsFound(t *testing.T) {
	for _, mistake := range mistakes {
		of := slices.IndexFunc(modes(t), func(m mode) bool { return m.name == mistake.mode })
		text := modes(t)[of].overlay(t)
		if !strings.Contains(text, mistake.was) {
			t.Errorf("%s: %s has no %q", mistake.name, mistake.mode, mistake.was)
			continue
		}
		problems := judge(t, strings.ReplaceAll(text, mistake.was, mistake.becomes))
		if !strings.Contains(strings.Join(problems, "\n"), mistake.want) {
			t.Errorf("%s: want %q in %q", mistake.name, mistake.want, problems)
		}
	}
}

func TestADifferenceBetweenOverlayAndChartIsSeen(t *testing.T) {
	one := modes(t)[0]
	for was, becomes := range map[string]string{"backoffLimit: 2": "backoffLimit: 3", "*/5 * * * *": "*/6 * * * *", "cpu: 50m": "cpu: 51m", "MODE: observe": "MODE: provision"} {
		if differ(t, strings.ReplaceAll(one.overlay(t), was, becomes), one.chart(t)) == "" {
			t.Errorf("%s in the overlay alone is not seen", becomes)
		}
	}
}

// Each file is strict YAML by itself, also where no overlay would show it; and the namespace
// enforces what the pods keep to.
func TestTheFilesAreStrict(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(filepath.Join(root, "deploy/kubernetes"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, one := range documents(string(text)) {
			seen++
			if _, err := yaml.YAMLToJSONStrict([]byte(one)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil || seen < 15 {
		t.Fatalf("%d documents, %v", seen, err)
	}
	kind, object, err := decode(read(t, "deploy/kubernetes/namespace.yaml"))
	if err != nil || kind != "v1 Namespace" || object.GetName() != namespace || object.GetLabels()["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("%s %+v: %v", kind, object, err)
	}
}

// The alerts are in three places: the file for Prometheus, the chart, which can read only its
// own files, and the overlays, because kustomize cannot put a file into an object.
func TestTheAlertsAreTheSameInTheirThreePlaces(t *testing.T) {
	rules := read(t, ruleFile)
	var indented strings.Builder
	for line := range strings.Lines(rules[strings.Index(rules, "groups:"):]) {
		if strings.TrimSpace(line) != "" {
			indented.WriteString("  ")
		}
		indented.WriteString(line)
	}
	object := "deploy/kubernetes/components/monitoring/prometheusrule.yaml"
	head, _, _ := strings.Cut(read(t, object), "\nspec:\n")
	for path, want := range map[string]string{object: head + "\nspec:\n" + indented.String(), chartDir + "/files/stripe-enhance.rules.yaml": rules} {
		if bytes.Equal([]byte(read(t, path)), []byte(want)) {
			continue
		}
		if os.Getenv("RULES") != "write" {
			t.Errorf("%s differs from %s: RULES=write go test ./... writes it anew", path, ruleFile)
			continue
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
