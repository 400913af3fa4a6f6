package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// object is the head of a manifest.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// kinds are the types that may stand in the manifests.
func kinds() map[object]any {
	return map[object]any{
		{"v1", "Namespace"}:                       &corev1.Namespace{},
		{"v1", "Service"}:                         &corev1.Service{},
		{"apps/v1", "StatefulSet"}:                &appsv1.StatefulSet{},
		{"apps/v1", "DaemonSet"}:                  &appsv1.DaemonSet{},
		{"policy/v1", "PodDisruptionBudget"}:      &policyv1.PodDisruptionBudget{},
		{"networking.k8s.io/v1", "NetworkPolicy"}: &networkingv1.NetworkPolicy{},
	}
}

// manifests are the documents of a kustomization's resources, as their files have them.
func manifests(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range []string{"namespace", "origins", "edges", "network"} {
		raw, err := os.ReadFile(filepath.Join("../kubernetes", file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Split(string(raw), "\n---\n")...)
	}
	return all
}

// A key that Kubernetes does not know is refused, as by kubectl with --validate=strict.
func TestManifestsAreStrict(t *testing.T) {
	seen := map[object]bool{}
	for _, doc := range manifests(t) {
		var head object
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatal(err)
		}
		into := kinds()[head]
		if into == nil {
			t.Errorf("%+v: not a kind that is foreseen", head)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
			t.Errorf("%+v: %v", head, err)
		}
		seen[head] = true
		switch o := into.(type) {
		case *appsv1.StatefulSet:
			checkPod(t, o.Spec.Template, o.Spec.Selector.MatchLabels)
		case *appsv1.DaemonSet:
			checkPod(t, o.Spec.Template, o.Spec.Selector.MatchLabels)
		}
	}
	for kind := range kinds() {
		if !seen[kind] {
			t.Errorf("%+v is missing", kind)
		}
	}
}

// checkPod holds a pod to what a node needs.
func checkPod(t *testing.T, pod corev1.PodTemplateSpec, selector map[string]string) {
	t.Helper()
	name := pod.Labels["app.kubernetes.io/component"]
	for k, v := range selector {
		if pod.Labels[k] != v {
			t.Errorf("%s: the label %s is %q, its selector wants %q", name, k, pod.Labels[k], v)
		}
	}
	if links := pod.Spec.EnableServiceLinks; links == nil || *links {
		t.Errorf("%s: the variables of a Service called tmms-... would be refused as unknown keys", name)
	}
	volumes := map[string]bool{"data": name == "origin"} // by the claim's template
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s/%s: no volume %q", name, c.Name, m.Name)
			}
		}
		if c.Name != "tmms" {
			continue
		}
		ports := map[string]bool{}
		for _, p := range c.Ports {
			ports[p.Name] = true
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || !ports[probe.HTTPGet.Port.String()] {
				t.Errorf("%s: want three probes of a port that it names, not %+v", name, probe)
			}
		}
	}
}
