// Package check holds the manifests of deploy/kubernetes and the chart of deploy/chart to what
// Kubernetes would make of them. It is a module of its own, so that the program gets none of
// these dependencies.
//
// Each overlay is rendered by kustomize and the chart by Helm, both as libraries. What comes
// out is judged as one text: every object is decoded strictly against the types of its API,
// so that a field that is misspelt or stands twice is refused; every pod is evaluated by the
// code with which Kubernetes enforces Pod Security; every container's settings are loaded by
// the program itself; and selectors, exit codes and alerts are compared with the code.
//
// kubeconform is not among the checks, because its schemas come from a host on the web, and
// tests reach none. Those schemas are made from the same types that are decoded here.
package check

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// root is the top of the repository, seen from this package.
const root = "../.."

const (
	overlayDir = "deploy/kubernetes/overlays/"
	chartDir   = "deploy/chart/stripe-enhance"
	namespace  = "stripe-enhance"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kustomized is what kustomize makes of a folder.
func kustomized(t *testing.T, folder string) string {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// release is one installation of the chart: its name, and its values over those of the chart.
type release struct {
	name   string
	values map[string]any
}

// example is a release with the values of one of the chart's examples.
func example(t *testing.T, name, file string) release {
	t.Helper()
	values, err := chartutil.ReadValuesFile(filepath.Join(root, chartDir, "examples", file+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return release{name, values}
}

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(filepath.Join(root, chartDir))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// templated is what Helm makes of the chart; the error is that of the schema or a template.
func templated(t *testing.T, r release) (string, error) {
	t.Helper()
	c := loadChart(t)
	options := chartutil.ReleaseOptions{Name: r.name, Namespace: namespace, IsInstall: true}
	values, err := chartutil.ToRenderValues(c, r.values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.Render(c, values)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			all.WriteString("---\n" + files[name] + "\n")
		} else if strings.HasSuffix(name, "NOTES.txt") && !strings.Contains(files[name], "kubectl -n "+namespace) {
			t.Errorf("the notes of %s name no next step: %s", r.name, files[name])
		}
	}
	return all.String(), nil
}

// mode is one way to run the program: the overlay, and the releases that are the same.
type mode struct {
	name     string
	releases []release
}

func modes(t *testing.T) []mode {
	t.Helper()
	all := []mode{
		{"cronjob", []release{example(t, "stripe-enhance", "cronjob")}},
		{"service", []release{example(t, "stripe-enhance", "service")}},
		{"service-postgres", []release{example(t, "stripe-enhance", "service-postgres")}},
		{"two-sellers", []release{example(t, "stripe-enhance-first", "two-sellers-first"), example(t, "stripe-enhance-second", "two-sellers-second")}},
	}
	entries, err := os.ReadDir(filepath.Join(root, overlayDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.ContainsFunc(all, func(m mode) bool { return m.name == e.Name() }) {
			t.Errorf("no test renders the overlay %s", e.Name())
		}
	}
	return all
}

func (m mode) overlay(t *testing.T) string {
	t.Helper()
	return kustomized(t, filepath.Join(root, overlayDir, m.name))
}

func (m mode) chart(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, r := range m.releases {
		text, err := templated(t, r)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(text)
	}
	return all.String()
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// documents are those of a text that are not empty.
func documents(text string) (all []string) {
	for _, one := range separator.Split(text, -1) {
		for line := range strings.Lines(one) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, one)
				break
			}
		}
	}
	return all
}
