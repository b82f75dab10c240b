package check

import (
	"errors"
	"fmt"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// kinds are the objects that there may be, with their types.
var kinds = map[string]func() meta.Object{
	"v1 Namespace":                            func() meta.Object { return &core.Namespace{} },
	"v1 ServiceAccount":                       func() meta.Object { return &core.ServiceAccount{} },
	"v1 ConfigMap":                            func() meta.Object { return &core.ConfigMap{} },
	"v1 Service":                              func() meta.Object { return &core.Service{} },
	"apps/v1 Deployment":                      func() meta.Object { return &apps.Deployment{} },
	"apps/v1 StatefulSet":                     func() meta.Object { return &apps.StatefulSet{} },
	"batch/v1 CronJob":                        func() meta.Object { return &batch.CronJob{} },
	"networking.k8s.io/v1 Ingress":            func() meta.Object { return &networking.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() meta.Object { return &networking.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":           func() meta.Object { return &policy.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() meta.Object { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() meta.Object { return &monitoring.PrometheusRule{} },
}

// decode reads one document as Kubernetes does with --validate=strict: a key that the type
// does not have, or that stands twice, is an error.
func decode(document string) (kind string, object meta.Object, err error) {
	text, err := yaml.YAMLToJSONStrict([]byte(document))
	if err != nil {
		return "", nil, err
	}
	var t meta.TypeMeta
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &t); err != nil {
		return "", nil, err
	}
	kind = t.APIVersion + " " + t.Kind
	made := kinds[kind]
	if made == nil {
		return kind, nil, fmt.Errorf("%s is a kind that is not known here", kind)
	}
	object = made()
	strict, err := json.UnmarshalStrict(text, object)
	return kind, object, errors.Join(append(strict, err)...)
}

// world is what one text of manifests has.
type world struct {
	objects  map[string]meta.Object // by kind and name
	problems []string
}

func (w *world) wrong(format string, values ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, values...))
}

func parse(text string) *world {
	w := &world{objects: map[string]meta.Object{}}
	for _, one := range documents(text) {
		kind, object, err := decode(one)
		if err != nil {
			w.wrong("%s: %v", kind, err)
		}
		if object == nil {
			continue
		}
		key := kind + " " + object.GetName()
		for _, why := range validation.IsDNS1123Label(object.GetName()) {
			w.wrong("%s: %s", key, why)
		}
		for name, value := range object.GetLabels() {
			for _, why := range append(validation.IsQualifiedName(name), validation.IsValidLabelValue(value)...) {
				w.wrong("%s: the label %s=%s: %s", key, name, value, why)
			}
		}
		if w.objects[key] != nil {
			w.wrong("%s stands twice", key)
		}
		if w.objects[key] = object; object.GetNamespace() != namespace {
			w.wrong("%s is in the namespace %q", key, object.GetNamespace())
		}
	}
	return w
}

// all are the objects of one type.
func all[T meta.Object](w *world) (found []T) {
	for _, o := range w.objects {
		if one, ok := o.(T); ok {
			found = append(found, one)
		}
	}
	return found
}

// work is something that starts pods.
type work struct {
	name string
	pod  core.PodTemplateSpec
	// claims are the volumes that a StatefulSet makes.
	claims []string
}

func (w *world) works() (found []work) {
	for _, d := range all[*apps.Deployment](w) {
		found = append(found, work{d.Name, d.Spec.Template, nil})
	}
	for _, s := range all[*apps.StatefulSet](w) {
		one := work{s.Name, s.Spec.Template, nil}
		for _, c := range s.Spec.VolumeClaimTemplates {
			one.claims = append(one.claims, c.Name)
		}
		found = append(found, one)
	}
	for _, c := range all[*batch.CronJob](w) {
		found = append(found, work{c.Name, c.Spec.JobTemplate.Spec.Template, nil})
	}
	return found
}
