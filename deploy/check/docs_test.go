package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

const paper = "docs/kubernetes.md"

var fence = regexp.MustCompile("(?s)```([a-z]*)\n(.*?)```")

// pieces are the pieces of code of a page in one language.
func pieces(t *testing.T, page, language string) (all []string) {
	t.Helper()
	for _, m := range fence.FindAllStringSubmatch(read(t, page), -1) {
		if m[1] == language {
			all = append(all, m[2])
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no piece of %s", page, language)
	}
	return all
}

// Every kustomization of the page is built, with the overlays of this repository in the place
// of those at GitHub, every file with values is rendered, and the Ingress leads to a port.
func TestTheYAMLOfThePageIsRight(t *testing.T) {
	built := 0
	for _, text := range pieces(t, paper, "yaml") {
		switch {
		case strings.Contains(text, "kind: Kustomization"):
			built++
			for _, problem := range judge(t, kustomized(t, local(t, text))) {
				t.Errorf("%s: %s", paper, problem)
			}
		case strings.HasPrefix(text, "# values.yaml\n"):
			built++
			r := values(t, text)
			made, err := templated(t, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range judge(t, made) {
				t.Errorf("%s: %s", paper, problem)
			}
		default:
			built++
			_, object, err := decode(text)
			ingress, ok := object.(*networking.Ingress)
			if err != nil || !ok {
				t.Fatalf("%v, in %s", err, text)
			}
			to := ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
			service := parse(modes(t)[1].overlay(t)).objects["v1 Service "+to.Name].(*core.Service)
			if !slices.ContainsFunc(service.Spec.Ports, func(p core.ServicePort) bool { return p.Name == to.Port.Name }) {
				t.Errorf("the Ingress leads to the port %s of %s, which is not there", to.Port.Name, to.Name)
			}
		}
	}
	if built < 4 {
		t.Errorf("%d pieces of YAML", built)
	}
}

// local writes a kustomization to a folder, and leads it to the overlays here.
func local(t *testing.T, text string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	up, err := filepath.Rel(dir, top)
	if err != nil {
		t.Fatal(err)
	}
	remote := regexp.MustCompile(`https://github\.com/stripe-enhance/stripe-enhance//(\S+)\?ref=v` + regexp.QuoteMeta(loadChart(t).Metadata.Version))
	text, was := remote.ReplaceAllString(text, up+"/$1"), text
	if text == was {
		t.Fatalf("it begins with no overlay of this version: %s", text)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func values(t *testing.T, text string) release {
	t.Helper()
	read, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return release{"stripe-enhance", read}
}

// forms are the commands of the page, each with what can be tried of it without a cluster.
var forms = []struct {
	shape *regexp.Regexp
	try   func(t *testing.T, m []string)
}{
	{regexp.MustCompile(`^kubectl apply -f (deploy/\S+)$`), func(t *testing.T, m []string) {
		if _, _, err := decode(read(t, m[1])); err != nil {
			t.Error(err)
		}
	}},
	{regexp.MustCompile(`^kubectl -n stripe-enhance create secret generic (\S+) --from-env-file=secrets\.env$`), fillsTheSecret},
	{regexp.MustCompile(`^kubectl (?:apply|diff) -k (\S+)$`), func(t *testing.T, m []string) {
		if m[1] == "." {
			return // the kustomization above it
		}
		for _, problem := range judge(t, kustomized(t, filepath.Join(root, m[1]))) {
			t.Error(problem)
		}
	}},
	{regexp.MustCompile(`^helm (?:install|upgrade) (\S+) (deploy/\S+) --namespace stripe-enhance --values (\S+)(?: --set (\S+))?$`), installs},
	{regexp.MustCompile(`^kubectl -n stripe-enhance create job --from=cronjob/(\S+) [a-z-]+( --dry-run=client -o yaml \| kubectl patch --local -f - --type json -o yaml -p '(.*)' \| kubectl apply -f -)?$`), makesAJob},
	{regexp.MustCompile(`^kubectl -n stripe-enhance (?:logs --follow|describe|delete) job/([a-z-]+)$`), func(t *testing.T, m []string) {
		if !strings.Contains(read(t, paper), "--from=cronjob/stripe-enhance "+m[1]) {
			t.Errorf("no command makes the job %s", m[1])
		}
	}},
	{regexp.MustCompile(`^kubectl -n stripe-enhance exec (deploy|statefulset)/(\S+) -- (\S+) ([a-z]+)$`), func(t *testing.T, m []string) {
		of := map[string]string{"deploy": "service-postgres apps/v1 Deployment ", "statefulset": "service apps/v1 StatefulSet "}[m[1]]
		overlay, key, _ := strings.Cut(of, " ")
		if parse(kustomized(t, filepath.Join(root, overlayDir, overlay))).objects[key+m[2]] == nil {
			t.Errorf("there is no %s%s", key, m[2])
		}
		if !strings.Contains(read(t, "Dockerfile"), `ENTRYPOINT ["`+m[3]+`"]`) || !strings.Contains(read(t, "cmd/stripe-enhance/"+m[4]+".go"), `"`+m[4]) {
			t.Errorf("the image does not run %s %s", m[3], m[4])
		}
	}},
	{regexp.MustCompile(`^kubectl -n stripe-enhance get jobs$`), func(*testing.T, []string) {}},
	{regexp.MustCompile(`^kubectl -n stripe-enhance delete --ignore-not-found (.*)$`), func(t *testing.T, m []string) {
		for _, mode := range modes(t) {
			for key := range parse(mode.overlay(t) + "---\n" + mode.chart(t)).objects {
				for gone := range strings.FieldsSeq(m[1]) {
					kind, name, _ := strings.Cut(gone, "/")
					if strings.HasSuffix(strings.ToLower(key), strings.ToLower(kind+" "+name)) && !strings.HasSuffix(name, "-full") {
						t.Errorf("it deletes %s, which is still in use", key)
					}
				}
			}
		}
	}},
}

func TestEveryCommandOfThePageIsTried(t *testing.T) {
	for _, page := range []string{paper, chartDir + "/README.md"} {
		for _, text := range pieces(t, page, "sh") {
			text = regexp.MustCompile(`\|\n\s+`).ReplaceAllString(text, "| ")
			for command := range strings.Lines(text) {
				command = strings.TrimSpace(command)
				known := false
				for _, f := range forms {
					if m := f.shape.FindStringSubmatch(command); m != nil {
						known = true
						f.try(t, m)
					}
				}
				if !known {
					t.Errorf("%s: no test tries %q", page, command)
				}
			}
		}
	}
}

// fillsTheSecret compares the Secret of the page with what the pods mount and read.
func fillsTheSecret(t *testing.T, m []string) {
	written := map[string]bool{}
	for line := range strings.Lines(pieces(t, paper, "ini")[0]) {
		name, _, _ := strings.Cut(line, "=")
		written[name] = true
	}
	needed := map[string]bool{}
	for _, one := range modes(t)[:3] {
		w := parse(one.overlay(t))
		for _, c := range all[*core.ConfigMap](w) {
			for name := range c.Data {
				if key, ok := strings.CutSuffix(name, "_FILE"); ok {
					needed[key] = true
				}
			}
		}
		for _, work := range w.works() {
			for _, v := range work.pod.Spec.Volumes {
				if v.Secret != nil && v.Secret.SecretName != m[1] {
					t.Errorf("%s mounts the Secret %s, and the page makes %s", work.name, v.Secret.SecretName, m[1])
				}
			}
		}
	}
	for name := range needed {
		if !written[name] {
			t.Errorf("secrets.env lacks %s", name)
		}
	}
	for name := range written {
		if !needed[name] {
			t.Errorf("no pod reads %s of secrets.env", name)
		}
	}
}

// installs renders the chart with the values of a command.
func installs(t *testing.T, m []string) {
	r := release{name: m[1]}
	if m[3] == "values.yaml" {
		for _, text := range pieces(t, paper, "yaml") {
			if strings.HasPrefix(text, "# values.yaml\n") {
				r.values = values(t, text).values
			}
		}
	} else {
		r.values = values(t, read(t, m[3])).values
	}
	if m[2] != chartDir {
		t.Errorf("the chart is in %s", chartDir)
	}
	if err := strvals.ParseInto(m[4], r.values); err != nil {
		t.Error(err)
	}
	if _, err := templated(t, r); err != nil {
		t.Error(err)
	}
}

// makesAJob looks whether there is the CronJob, and in it what the patch replaces.
func makesAJob(t *testing.T, m []string) {
	w := parse(modes(t)[0].overlay(t))
	cron, ok := w.objects["batch/v1 CronJob "+m[1]].(*batch.CronJob)
	if !ok {
		t.Errorf("there is no CronJob %s", m[1])
		return
	}
	if m[3] == "" {
		return
	}
	var patch []struct {
		Op, Path string
		Value    []string
	}
	if err := json.Unmarshal([]byte(m[3]), &patch); err != nil || len(patch) != 1 || patch[0].Op != "replace" {
		t.Errorf("%v: %s", err, m[3])
		return
	}
	at := generic(t, map[string]any{"spec": cron.Spec.JobTemplate.Spec})
	for part := range strings.SplitSeq(strings.TrimPrefix(patch[0].Path, "/"), "/") {
		switch v := at.(type) {
		case map[string]any:
			at = v[part]
		case []any:
			at = v[0] // there is one container
		}
	}
	if args, ok := at.([]any); !ok || args[0] != "reconcile" || patch[0].Value[0] != "approve" {
		t.Errorf("%s is %v, and not the arguments", patch[0].Path, at)
	}
}

// The table of exit codes has those of the program, and which of them are tried again.
func TestThePageExplainsEveryExitCode(t *testing.T) {
	for name, again := range map[string]string{"exitOK": "the Job is complete", "exitFailed": "two more tries", "exitUsage": "has failed at once", "exitLeft": "has failed at once"} {
		line := regexp.MustCompile(`(?m)^\| ` + string('0'+exitCode(t, name)) + ` \| .* \| (.*) \|$`).FindStringSubmatch(read(t, paper))
		if line == nil || !strings.Contains(line[1], again) {
			t.Errorf("%s: %q, want %q", name, line, again)
		}
	}
	for _, c := range all[*batch.CronJob](parse(modes(t)[0].overlay(t))) {
		if *c.Spec.JobTemplate.Spec.BackoffLimit != 2 {
			t.Errorf("%s is tried %d times again, and the page has two", c.Name, *c.Spec.JobTemplate.Spec.BackoffLimit)
		}
	}
}
