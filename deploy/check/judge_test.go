package check

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/robfig/cron/v3"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	admission "k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

const mountedAt = "/run/secrets/stripe-enhance"

// judge returns everything that is wrong with a text of manifests.
func judge(t *testing.T, text string) []string {
	t.Helper()
	w := parse(text)
	if len(w.works()) == 0 {
		w.wrong("nothing is started")
	}
	for _, one := range w.works() {
		w.secure(t, one)
		w.starts(t, one)
	}
	for _, c := range all[*batch.CronJob](w) {
		w.ends(t, c)
	}
	w.selects()
	w.apart()
	for _, p := range all[*networking.NetworkPolicy](w) {
		w.reaches(p)
	}
	for _, r := range all[*monitoring.PrometheusRule](w) {
		if want := alerts(t); !reflect.DeepEqual(generic(t, want), generic(t, r.Spec)) {
			w.wrong("%s: its alerts are not those of %s", r.Name, ruleFile)
		}
	}
	slices.Sort(w.problems)
	return w.problems
}

// secure holds a pod to Pod Security restricted, and to what goes beyond it.
func (w *world) secure(t *testing.T, one work) {
	t.Helper()
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	spec := one.pod.Spec
	for _, r := range evaluator.EvaluatePod(restricted, &one.pod.ObjectMeta, &spec) {
		if !r.Allowed {
			w.wrong("%s: Pod Security refuses it: %s: %s", one.name, r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		w.wrong("%s: the pod gets a token of Kubernetes", one.name)
	}
	if w.objects["v1 ServiceAccount "+spec.ServiceAccountName] == nil {
		w.wrong("%s: there is no ServiceAccount %q", one.name, spec.ServiceAccountName)
	}
	if s := spec.SecurityContext; s == nil || s.FSGroup == nil || s.RunAsUser == nil || *s.FSGroup != *s.RunAsUser {
		w.wrong("%s: the files of the volumes are not the user's", one.name)
	}
	for _, c := range spec.Containers {
		if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			w.wrong("%s: the root file system can be written to", one.name)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
			w.wrong("%s: requests or limits are missing", one.name)
		}
		if tag := c.Image[strings.LastIndex(c.Image, ":")+1:]; tag == "latest" || !strings.ContainsAny(c.Image, ":@") {
			w.wrong("%s: the image %s has no version", one.name, c.Image)
		}
		for _, m := range c.VolumeMounts {
			of := slices.IndexFunc(spec.Volumes, func(v core.Volume) bool { return v.Name == m.Name })
			if of < 0 && !slices.Contains(one.claims, m.Name) {
				w.wrong("%s: there is no volume %s", one.name, m.Name)
			}
			if m.SubPath != "" {
				w.wrong("%s: with subPath %s would never be read again", one.name, m.MountPath)
			}
		}
	}
}

// starts loads the settings of a container as the program would.
func (w *world) starts(t *testing.T, one work) {
	t.Helper()
	c := one.pod.Spec.Containers[0]
	environ := imageEnv(t)
	for _, from := range c.EnvFrom {
		m, ok := w.objects["v1 ConfigMap "+from.ConfigMapRef.LocalObjectReference.Name].(*core.ConfigMap)
		if !ok {
			w.wrong("%s: there is no ConfigMap %s", one.name, from.ConfigMapRef.Name)
			continue
		}
		for name := range m.Data {
			if !known()[name] {
				w.wrong("%s: %s is no setting of the program", m.Name, name)
			}
		}
		maps.Copy(environ, m.Data)
	}
	mounted := secretDir(t)
	var pairs []string
	for name, value := range environ {
		if strings.HasSuffix(name, "_FILE") && value != mountedAt+"/"+strings.TrimSuffix(name, "_FILE") {
			w.wrong("%s: %s=%s is not the key of the Secret", one.name, name, value)
		}
		pairs = append(pairs, name+"="+strings.Replace(value, mountedAt, mounted, 1))
	}
	settings, warnings, err := config.Load(config.Sources{Environ: pairs}, config.NeedStripe|config.NeedEnhance)
	if err != nil || len(warnings) > 0 {
		w.wrong("%s: the program does not start: %v %v", one.name, err, warnings)
		return
	}
	if settings.Mode.String() != "observe" {
		w.wrong("%s: the first run changes things: MODE=%s", one.name, settings.Mode)
	}
	database := settings.DatabaseURL.Reveal()
	if keeps := slices.Contains(one.claims, "data"); strings.HasPrefix(database, "sqlite:") != keeps || keeps && !strings.HasPrefix(database, "sqlite:/data/") {
		w.wrong("%s: SQLite on a volume that does not stay, or a volume for nothing", one.name)
	}
	if c.Args[0] == "serve" {
		w.listens(t, one, settings)
	}
}

// listens compares ports and probes with the settings and with the routes of the program.
func (w *world) listens(t *testing.T, one work, settings *config.Config) {
	t.Helper()
	c := one.pod.Spec.Containers[0]
	ports := map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = ":" + strconv.Itoa(int(p.ContainerPort))
	}
	if ports["http"] != string(settings.ListenAddr) || ports["metrics"] != string(settings.MetricsAddr) {
		w.wrong("%s: ports %v, and the program listens at %s and %s", one.name, ports, settings.ListenAddr, settings.MetricsAddr)
	}
	if len(settings.AdminKeys) == 0 || len(settings.WebhookSecrets) == 0 {
		w.wrong("%s: no key opens the admin API, or none signs webhooks", one.name)
	}
	routes := read(t, "server/server.go")
	for _, probe := range []struct {
		name, path string
		probe      *core.Probe
	}{{"startup", "/healthz", c.StartupProbe}, {"liveness", "/healthz", c.LivenessProbe}, {"readiness", "/readyz", c.ReadinessProbe}} {
		switch p := probe.probe; {
		case p == nil || p.HTTPGet == nil:
			w.wrong("%s: there is no %s probe", one.name, probe.name)
		case p.HTTPGet.Path != probe.path || p.HTTPGet.Port.StrVal != "http" || !strings.Contains(routes, `pattern: "`+probe.path+`"`):
			w.wrong("%s: the %s probe asks %s at %s", one.name, probe.name, p.HTTPGet.Path, p.HTTPGet.Port.StrVal)
		}
	}
}

// imageEnv is the environment that the image brings.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ENV (.*)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		for _, pair := range strings.Fields(m[1]) {
			name, value, _ := strings.Cut(pair, "=")
			all[name] = value
		}
	}
	if all["DATABASE_URL"] == "" {
		t.Fatal("the image has no database of its own any more: is it still to be taken out?")
	}
	return all
}

// secretDir has a file for each key that docs/kubernetes.md puts into the Secret, and one more.
func secretDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{
		"DATABASE_URL": "postgres://stripe_enhance:x@postgresql.example.com/stripe_enhance", "STRIPE_SECRET_KEY": "rk_test_1", "ENHANCE_API_TOKEN": "token",
		"ADMIN_API_KEY": strings.Repeat("k", 32), "STRIPE_WEBHOOK_SECRET": "whsec_1", "SMTP_URL": "smtp://billing:x@smtp.example.com:587",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o440); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// known are the names of all settings, and of the files of those that are secrets.
func known() map[string]bool {
	names := map[string]bool{}
	for _, v := range config.Variables() {
		names[v.Name] = true
		if v.Secret {
			names[v.File()] = true
		}
	}
	return names
}

// ends compares what follows an exit code with what it means: another try may help after a
// run that failed, and after nothing else.
func (w *world) ends(t *testing.T, c *batch.CronJob) {
	t.Helper()
	job := c.Spec.JobTemplate.Spec
	if _, err := cron.ParseStandard(c.Spec.Schedule); err != nil || len(c.Name) > 52 {
		w.wrong("%s: the schedule is %q: %v; a name has 52 characters at most", c.Name, c.Spec.Schedule, err)
	}
	if c.Spec.ConcurrencyPolicy != batch.ForbidConcurrent {
		w.wrong("%s: runs may overlap", c.Name)
	}
	if job.BackoffLimit == nil || job.ActiveDeadlineSeconds == nil || job.Template.Spec.RestartPolicy != core.RestartPolicyNever {
		w.wrong("%s: tries are not limited", c.Name)
	}
	if job.PodFailurePolicy == nil {
		w.wrong("%s: every exit code is tried again", c.Name)
		return
	}
	fails := map[int32]bool{}
	var drained bool
	for _, r := range job.PodFailurePolicy.Rules {
		for _, condition := range r.OnPodConditions {
			drained = drained || r.Action == batch.PodFailurePolicyActionIgnore && condition.Type == core.DisruptionTarget
		}
		if r.OnExitCodes == nil {
			continue
		}
		if r.Action != batch.PodFailurePolicyActionFailJob || r.OnExitCodes.Operator != batch.PodFailurePolicyOnExitCodesOpIn {
			w.wrong("%s: %s %s %v is not expected", c.Name, r.Action, r.OnExitCodes.Operator, r.OnExitCodes.Values)
		}
		for _, code := range r.OnExitCodes.Values {
			fails[code] = true
		}
	}
	if !drained {
		w.wrong("%s: the drain of a node counts as a try", c.Name)
	}
	for name, again := range map[string]bool{"exitFailed": true, "exitUsage": false, "exitLeft": false} {
		if code := exitCode(t, name); fails[code] == again {
			w.wrong("%s: after exit code %d (%s) another try follows at once: %v, want %v", c.Name, code, name, !fails[code], again)
		}
	}
	if len(fails) != 2 {
		w.wrong("%s: FailJob has the codes %v", c.Name, fails)
	}
}

func exitCode(t *testing.T, name string) int32 {
	t.Helper()
	m := regexp.MustCompile(`\b` + name + `\s+= (\d)\b`).FindStringSubmatch(read(t, "cmd/stripe-enhance/exit.go"))
	if m == nil {
		t.Fatalf("there is no exit code %s", name)
	}
	return int32(m[1][0] - '0')
}

// selects looks whether every selector finds what it is for: the pods, or the Service. A
// NetworkPolicy that selects none allows everything.
func (w *world) selects() {
	pods := map[string]labels.Set{}
	for _, one := range w.works() {
		pods[one.name] = one.pod.Labels
	}
	services := map[string]labels.Set{}
	for _, s := range all[*core.Service](w) {
		services[s.Name] = s.Labels
		w.finds("Service "+s.Name, &meta.LabelSelector{MatchLabels: s.Spec.Selector}, pods)
	}
	for _, p := range all[*networking.NetworkPolicy](w) {
		w.finds("NetworkPolicy "+p.Name, &p.Spec.PodSelector, pods)
	}
	for _, p := range all[*policy.PodDisruptionBudget](w) {
		w.finds("PodDisruptionBudget "+p.Name, p.Spec.Selector, pods)
	}
	for _, m := range all[*monitoring.ServiceMonitor](w) {
		w.finds("ServiceMonitor "+m.Name, &m.Spec.Selector, services)
	}
	for _, d := range all[*apps.Deployment](w) {
		w.finds("Deployment "+d.Name, d.Spec.Selector, pods)
		if w.objects["policy/v1 PodDisruptionBudget "+d.Name] == nil {
			w.wrong("Deployment %s: a drain may end all replicas together", d.Name)
		}
		for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
			w.finds("the spread over "+c.TopologyKey, c.LabelSelector, pods)
		}
	}
	for _, s := range all[*apps.StatefulSet](w) {
		w.finds("StatefulSet "+s.Name, s.Spec.Selector, pods)
		if s.Spec.Replicas == nil || *s.Spec.Replicas != 1 {
			w.wrong("StatefulSet %s: SQLite is for one process", s.Name)
		}
	}
	for name, set := range pods {
		guarded := func(p *networking.NetworkPolicy) bool { return matches(&p.Spec.PodSelector, set) }
		if n := len(all[*networking.NetworkPolicy](w)); n > 0 && !slices.ContainsFunc(all[*networking.NetworkPolicy](w), guarded) {
			w.wrong("%s: no NetworkPolicy is for it", name)
		}
	}
}

func (w *world) finds(who string, selector *meta.LabelSelector, among map[string]labels.Set) {
	for _, set := range among {
		if matches(selector, set) {
			return
		}
	}
	w.wrong("%s selects nothing", who)
}

func matches(selector *meta.LabelSelector, set labels.Set) bool {
	s, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

const ruleFile = "deploy/prometheus/stripe-enhance.rules.yaml"

// alerts are the rules for Prometheus, in the type of its operator.
func alerts(t *testing.T) (spec monitoring.PrometheusRuleSpec) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(read(t, ruleFile)), &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

// generic is a value as JSON has it.
func generic(t *testing.T, value any) (v any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}
