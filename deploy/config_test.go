package deploy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// built builds the binary once for all tests; TestMain removes it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tmms-deploy-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tmms")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "tmms/cmd/tmms").CombinedOutput()
	if err != nil {
		return path, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := built(); path != "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// host stands for the file system of a container: the folders that a config names.
type host struct {
	t   *testing.T
	dir string
}

// newHost makes the certificates of the nodes, and what else a config wants to read.
func newHost(t *testing.T, nodes ...string) host {
	t.Helper()
	h := host{t, t.TempDir()}
	pki := filepath.Join(h.dir, "pki")
	args := append([]string{"compose/make-pki.sh", pki}, nodes...)
	for range 2 { // it is run at each start: what is there stays
		cmd := exec.CommandContext(t.Context(), "sh", args...)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary(t))+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make-pki.sh: %v\n%s", err, out)
		}
	}
	issuer := exec.CommandContext(t.Context(), binary(t), "cert", "issuer", "--dir", pki)
	if out, err := issuer.CombinedOutput(); err != nil {
		t.Fatalf("cert issuer: %v\n%s", err, out)
	}
	h.put("tokens.yaml", "- {name: drain, role: admin, token: a-long-random-word}\n")
	h.put("token", "tmms1.id.secret.pin\n")
	return h
}

func (h host) put(name, content string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// check has the binary check a config with the environment of its container, the paths
// of the container replaced by those of the host.
func (h host) check(file string, env map[string]string) {
	h.t.Helper()
	paths := strings.NewReplacer(
		"/etc/tmms/pki", h.dir+"/pki", "/var/lib/tmms/pki", h.dir+"/pki", "/var/lib/tmms", h.dir+"/data",
		"/etc/tmms/tokens", h.dir, "/etc/tmms/join", h.dir)
	raw, err := os.ReadFile(file)
	if err != nil {
		h.t.Fatal(err)
	}
	h.put("node.yaml", paths.Replace(string(raw)))
	cmd := exec.CommandContext(h.t.Context(), binary(h.t), "config", "check", "--config", filepath.Join(h.dir, "node.yaml"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMMS_NODE__DATA_DIR=" + h.dir + "/data"}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+paths.Replace(v))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		h.t.Errorf("%s with %v: %v\n%s", file, env, err, out.String())
	}
}

// The nodes of compose.yaml would start with their config and environment.
func TestComposeConfigs(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Hostname    string            `yaml:"hostname"`
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	read(t, "compose/compose.yaml", &compose)
	h, nodes := newHost(t, "o1", "o2", "o3"), 0
	for name, service := range compose.Services {
		if service.Hostname == "" {
			continue
		}
		nodes++
		env := service.Environment
		env["TMMS_NODE__NAME"] = service.Hostname // as the host's name is
		t.Run(name, func(t *testing.T) { host{t, h.dir}.check("compose/node.yaml", env) })
	}
	if nodes != 3 {
		t.Errorf("%d nodes, want 3", nodes)
	}
}

// variable is one of a container's environment.
type variable struct {
	Name      string `yaml:"name"`
	Value     string `yaml:"value"`
	ValueFrom struct {
		FieldRef struct {
			Path string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	} `yaml:"valueFrom"`
}

// environment is what the kubelet makes of the variables for a pod of this name.
func environment(pod string, vars []variable) map[string]string {
	fields := map[string]string{"metadata.name": pod, "status.hostIP": "192.0.2.7"}
	env := map[string]string{}
	for _, v := range vars {
		value := v.Value + fields[v.ValueFrom.FieldRef.Path]
		for k, known := range env {
			value = strings.ReplaceAll(value, "$("+k+")", known)
		}
		env[v.Name] = value
	}
	return env
}

// The pods of the manifests would start with their config and environment.
func TestKubernetesConfigs(t *testing.T) {
	h := newHost(t, "tmms-origin-0", "tmms-origin-1", "tmms-origin-2")
	for _, c := range []struct{ pod, manifests, config string }{
		{"tmms-origin-0", "kubernetes/origins.yaml", "kubernetes/origin.yaml"},
		{"tmms-origin-2", "kubernetes/origins.yaml", "kubernetes/origin.yaml"},
		{"tmms-edge-x7k2p", "kubernetes/edges.yaml", "kubernetes/edge.yaml"},
	} {
		t.Run(c.pod, func(t *testing.T) {
			host{t, h.dir}.check(c.config, environment(c.pod, variables(t, c.manifests)))
		})
	}
}

// variables are those of the container tmms in the last of a file's manifests.
func variables(t *testing.T, file string) []variable {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Split(string(raw), "\n---\n")
	var set struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env []variable `yaml:"env"`
					} `yaml:"containers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	if err = yaml.Unmarshal([]byte(docs[len(docs)-1]), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%s: %d containers, want 1", file, len(set.Spec.Template.Spec.Containers))
	}
	return set.Spec.Template.Spec.Containers[0].Env
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err = yaml.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}
