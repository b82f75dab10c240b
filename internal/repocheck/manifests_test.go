package repocheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

// object is the part of a Kubernetes object that determines how the program is started.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template    template
		JobTemplate struct {
			Spec struct{ Template template }
		} `yaml:"jobTemplate"`
	}
}

type template struct {
	Spec struct{ Containers []podContainer }
}

type podContainer struct {
	Args []string
	Env  []struct{ Name, Value string }
	From []struct {
		Secret    *struct{ Name string } `yaml:"secretRef"`
		ConfigMap *struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
}

// manifests are the files with objects of Kubernetes.
func manifests(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "deploy", "*.yaml"))
	if err != nil || len(paths) < 2 {
		t.Fatalf("%v, %v: where are the manifests?", paths, err)
	}
	for i, p := range paths {
		paths[i] = "deploy/" + filepath.Base(p)
	}
	return paths
}

// objects reads every document of a manifest.
func objects(t *testing.T, path string) (all []object) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(read(t, path))))
	for {
		var o object
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, o)
	}
}

// environment is the environment of the container by the rules of Kubernetes: of envFrom
// the later source wins, and env wins over all of it.
func (c podContainer) environment(t *testing.T, secret map[string]string, named map[string]map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, from := range c.From {
		switch {
		case from.Secret != nil:
			maps.Copy(all, secret)
		case from.ConfigMap != nil && named[from.ConfigMap.Name] != nil:
			maps.Copy(all, named[from.ConfigMap.Name])
		default:
			t.Errorf("envFrom names what is not in the file: %+v", from)
		}
	}
	for _, e := range c.Env {
		all[e.Name] = e.Value
	}
	return all
}

// If a .env carries a setting of the manifest, such as the MODE of the README, it loses to
// the manifest in every file alike, and the resulting configuration is complete.
func TestTheManifestWinsOverTheSecretInEveryFile(t *testing.T) {
	secret := map[string]string{"DATABASE_URL": "postgres://stripe-enhance@db.example.com/hosting", "STRIPE_SECRET_KEY": "rk_test_1",
		"ENHANCE_API_URL": "https://panel.example.com", "ENHANCE_API_TOKEN": "token", "ENHANCE_ORG_ID": "01234567-89ab-cdef-0123-456789abcdef",
		"MODE": "enforce", "LOG_FORMAT": "text", "LISTEN_ADDR": ":1"}
	for _, path := range manifests(t) {
		started := 0
		named := map[string]map[string]string{}
		for _, o := range objects(t, path) {
			if o.Kind == "ConfigMap" {
				named[o.Metadata.Name] = o.Data
			}
			for _, c := range slices.Concat(o.Spec.Template.Spec.Containers, o.Spec.JobTemplate.Spec.Template.Spec.Containers) {
				started++
				env := c.environment(t, secret, named)
				if env["MODE"] != "observe" || env["LOG_FORMAT"] != "json" || env["LISTEN_ADDR"] == ":1" && slices.Contains(c.Args, "serve") {
					t.Errorf("%s: %s starts with MODE=%s, LOG_FORMAT=%s, LISTEN_ADDR=%s: the line in .env wins", path, o.Metadata.Name, env["MODE"], env["LOG_FORMAT"], env["LISTEN_ADDR"])
				}
				var pairs []string
				for name, value := range env {
					pairs = append(pairs, name+"="+value)
				}
				if _, _, err := config.Load(config.Sources{Environ: pairs}, config.NeedStripe|config.NeedEnhance); err != nil {
					t.Errorf("%s: %s: %v", path, o.Metadata.Name, err)
				}
			}
		}
		if started == 0 {
			t.Errorf("%s starts nothing", path)
		}
	}
}

// If the two sellers of a manifest had one INSTANCE, one secret or one name, each could take
// the hostings of the other for its own.
func TestTheManifestOfTwoSellersKeepsThemApart(t *testing.T) {
	type seller struct{ instance, secret, settings string }
	named, sellers, names := map[string]map[string]string{}, map[seller]int{}, map[string]bool{}
	for _, o := range objects(t, "deploy/kubernetes-two-sellers.yaml") {
		if names[o.Kind+"/"+o.Metadata.Name] {
			t.Errorf("%s %s stands twice", o.Kind, o.Metadata.Name)
		}
		names[o.Kind+"/"+o.Metadata.Name] = true
		if o.Kind == "ConfigMap" {
			named[o.Metadata.Name] = o.Data
		}
		for _, c := range o.Spec.JobTemplate.Spec.Template.Spec.Containers {
			secret, settings := c.From[0].Secret.Name, c.From[1].ConfigMap.Name
			sellers[seller{named[settings]["INSTANCE"], secret, settings}]++
		}
	}
	want := map[seller]int{{"first", "stripe-enhance-first", "stripe-enhance-first"}: 2, {"second", "stripe-enhance-second", "stripe-enhance-second"}: 2}
	if diff := cmp.Diff(want, sellers, cmp.AllowUnexported(seller{})); diff != "" {
		t.Errorf("sellers, and how many jobs each has (-want +got):\n%s", diff)
	}
}

// Strict readers of YAML support no merge keys, and some no anchors. If a key comes
// twice, all of them refuse it.
func TestTheManifestsAreStrictYAML(t *testing.T) {
	for _, path := range manifests(t) {
		if loose := looseYAML(read(t, path)); loose != nil {
			t.Errorf("%s: %v", path, loose)
		}
	}
	for text, want := range map[string]string{
		"a: 1\nb: 2\n":                  "",
		"a: &x {b: 1}\nc: *x\n":         "line 1: an anchor",
		"a: 1\na: 2\n":                  `line 2: "a" stands twice`,
		"a: {b: 1}\nc:\n  <<: {b: 2}\n": "line 3: a merge key",
	} {
		got := ""
		if err := looseYAML(text); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// looseYAML is the first thing in a text that a strict reader refuses.
func looseYAML(text string) error {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := looseNode(&n); err != nil {
			return err
		}
	}
}

func looseNode(n *yaml.Node) error {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return fmt.Errorf("line %d: an anchor", n.Line)
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			switch {
			case child.Value == "<<":
				return fmt.Errorf("line %d: a merge key", child.Line)
			case seen[child.Value]:
				return fmt.Errorf("line %d: %q stands twice", child.Line, child.Value)
			}
			seen[child.Value] = true
		}
		if err := looseNode(child); err != nil {
			return err
		}
	}
	return nil
}
