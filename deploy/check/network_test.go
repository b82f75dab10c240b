package check

import (
	"maps"
	"slices"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

// private are networks in which neither Stripe nor a panel is by itself; the third has the
// service with a cloud's credentials.
var private = []string{"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"}

// reaches compares a NetworkPolicy with what the program needs: DNS, HTTPS to public
// addresses, and PostgreSQL; its own two ports, if it serves.
func (w *world) reaches(p *networking.NetworkPolicy) {
	if !slices.Contains(p.Spec.PolicyTypes, networking.PolicyTypeEgress) || !slices.Contains(p.Spec.PolicyTypes, networking.PolicyTypeIngress) {
		w.wrong("NetworkPolicy %s: one direction is open: %v", p.Name, p.Spec.PolicyTypes)
	}
	settings, serves := w.of(p)
	want := map[int]bool{53: true, 443: true}
	if settings["DATABASE_URL_FILE"] != "" {
		want[5432] = true
	}
	out := map[int]bool{}
	for _, rule := range p.Spec.Egress {
		if len(rule.To) == 0 || len(rule.Ports) == 0 {
			w.wrong("NetworkPolicy %s: a rule allows every address or every port", p.Name)
		}
		for _, port := range rule.Ports {
			out[port.Port.IntValue()] = true
			if port.Port.IntValue() == 443 {
				w.public(p.Name, rule.To)
			}
		}
	}
	if !maps.Equal(want, out) {
		w.wrong("NetworkPolicy %s: ports out %v, want %v", p.Name, out, want)
	}
	in := map[string]bool{}
	for _, rule := range p.Spec.Ingress {
		for _, port := range rule.Ports {
			in[port.Port.StrVal] = true
			if port.Port.StrVal == "metrics" && len(rule.From) == 0 {
				w.wrong("NetworkPolicy %s: everyone may read the metrics", p.Name)
			}
		}
		if len(rule.Ports) == 0 {
			w.wrong("NetworkPolicy %s: a rule allows every port in", p.Name)
		}
	}
	if serves && !maps.Equal(map[string]bool{"http": true, "metrics": true}, in) || !serves && len(in) > 0 {
		w.wrong("NetworkPolicy %s: ports in %v, serves: %v", p.Name, in, serves)
	}
}

// public looks whether addresses are those of the internet alone.
func (w *world) public(name string, to []networking.NetworkPolicyPeer) {
	var except []string
	for _, peer := range to {
		if peer.IPBlock == nil {
			w.wrong("NetworkPolicy %s: HTTPS is allowed to pods", name)
			continue
		}
		except = append(except, peer.IPBlock.Except...)
	}
	for _, network := range private {
		if !slices.Contains(except, network) {
			w.wrong("NetworkPolicy %s: HTTPS is allowed to %s", name, network)
		}
	}
}

// of are the settings of the pods of a NetworkPolicy, and whether they serve.
func (w *world) of(p *networking.NetworkPolicy) (settings map[string]string, serves bool) {
	settings = map[string]string{}
	for _, one := range w.works() {
		if !matches(&p.Spec.PodSelector, one.pod.Labels) {
			continue
		}
		c := one.pod.Spec.Containers[0]
		serves = serves || c.Args[0] == "serve"
		for _, from := range c.EnvFrom {
			if m, ok := w.objects["v1 ConfigMap "+from.ConfigMapRef.Name].(*core.ConfigMap); ok {
				maps.Copy(settings, m.Data)
			}
		}
	}
	return settings, serves
}

// apart holds that no two sellers have one INSTANCE, one organisation or one Secret, because
// each would take the hostings of the other for its own.
func (w *world) apart() {
	instances, sellers, secrets := map[string]bool{}, map[string]bool{}, map[string]string{}
	maps := all[*core.ConfigMap](w)
	for _, m := range maps {
		instance, org := m.Data["INSTANCE"], m.Data["ENHANCE_ORG_ID"]
		if len(maps) > 1 && (instance == "" || instances[instance] || sellers[org]) {
			w.wrong("%s: INSTANCE %q or the organisation %s is another seller's too", m.Name, instance, org)
		}
		instances[instance], sellers[org] = true, true
	}
	for _, one := range w.works() {
		settings := one.pod.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
		for _, v := range one.pod.Spec.Volumes {
			if v.Secret == nil {
				continue
			}
			if other := secrets[v.Secret.SecretName]; other != "" && other != settings {
				w.wrong("%s: the Secret %s is another seller's too", one.name, v.Secret.SecretName)
			}
			secrets[v.Secret.SecretName] = settings
		}
	}
}
