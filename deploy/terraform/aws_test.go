package terraform

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestAWS applies examples/aws-two-regions to an emulator of the AWS API with the genuine
// provider, reads back what it has made, and destroys it. Certificates go the way they go
// on AWS: from tmms cert by push-secrets.sh into the parameter store, and from there by
// the command in each node's user data.
//
// Requirement: C7.
func TestAWS(t *testing.T) {
	if !*full {
		return
	}
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	if _, ok = mirror(); !ok {
		leftOut(t, "the mirror of providers is missing: TMMS_TF_PLUGINS")
		return
	}
	aws, ok := newEmulator(t)
	if !ok {
		return
	}
	const dir = "examples/aws-two-regions"
	tf.env = append(tf.env, aws.env()...)
	if err := copyTree(filepath.Join(tf.dir, dir), "testdata/aws"); err != nil {
		t.Fatal(err)
	}
	regions := map[string]string{"eu-o1": "eu-central-1", "eu-o2": "eu-central-1", "eu-e1": "eu-central-1", "us-o1": "us-east-1", "us-e1": "us-east-1"}
	pki := pushed(t, aws, regions)

	tf.run(t, dir, "init")
	tf.run(t, dir, "apply", "-auto-approve")
	t.Run("nodes", func(t *testing.T) { checkInstances(t, tf, aws, dir, pki) })
	t.Run("peering", func(t *testing.T) {
		eu, us := aws.peerings(t, "eu-central-1"), aws.peerings(t, "us-east-1")
		if !maps.Equal(eu, map[string]int{"10.2.0.0/16": 1}) || !maps.Equal(us, map[string]int{"10.1.0.0/16": 1}) {
			t.Errorf("routes by peering: eu %v, us %v, want one to the other each", eu, us)
		}
	})
	t.Run("again", func(t *testing.T) {
		if out, err := tf.try(t, dir, "plan", "-detailed-exitcode"); err != nil {
			t.Errorf("a second plan changes something: %v\n%s", err, out)
		}
	})
	t.Run("secrets", func(t *testing.T) { checkLeaks(t, tf, dir, pki) })
	t.Run("destroy", func(t *testing.T) {
		tf.run(t, dir, "destroy", "-auto-approve")
		if left := strings.TrimSpace(tf.run(t, dir, "state", "list")); left != "" {
			t.Errorf("left after destroy:\n%s", left)
		}
	})
}

// pushed makes the nodes' certificates and puts them into the parameter store; it gives
// their folder.
func pushed(t *testing.T, aws *emulator, regions map[string]string) string {
	t.Helper()
	tmms, pki := binary(t), filepath.Join(t.TempDir(), "pki")
	command(t, tmms, "cert", "init", "--dir", pki)
	args := []string{"bin/push-secrets.sh", "live", pki}
	for _, name := range slices.Sorted(maps.Keys(regions)) {
		role := map[byte]string{'o': "origin", 'e': "edge"}[name[3]]
		command(t, tmms, "cert", "node", name, "--roles", role, "--dir", pki)
		args = append(args, name+":"+regions[name])
	}
	tokens := write(t, pki, "tokens.yaml", "- {name: a, role: admin, token: a-long-random-word}\n")
	cmd := exec.CommandContext(t.Context(), "bash", args...)
	cmd.Env = append(append(os.Environ(), aws.env()...), "TOKENS="+tokens)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("push-secrets.sh: %v\n%s", err, out)
	}
	return pki
}

// checkInstances holds what each instance is given to the programs that will read it.
func checkInstances(t *testing.T, tf *terraform, aws *emulator, dir, pki string) {
	t.Helper()
	var instances map[string]struct{ ID, Region string }
	var want map[string]string
	for output, into := range map[string]any{"instances": &instances, "user_data": &want} {
		if err := json.Unmarshal([]byte(tf.run(t, dir, "output", "-json", output)), into); err != nil {
			t.Fatal(err)
		}
	}
	if len(instances) != 5 {
		t.Fatalf("instances %v, want 5", instances)
	}
	for name, i := range instances {
		got := aws.userData(t, i.Region, i.ID)
		if got != want[name] {
			t.Errorf("%s: the API has other user data than was rendered", name)
		}
		checkHost(t, aws, name, got, pki)
	}
}

// checkHost carries out what user data says, below a folder and without an init system.
func checkHost(t *testing.T, aws *emulator, name, userData, pki string) {
	t.Helper()
	root := t.TempDir()
	path := write(t, root, "user-data", userData)
	if out := command(t, "cloud-init", "schema", "--config-file", path); !strings.Contains(strings.ToLower(out), "valid") {
		t.Errorf("%s: cloud-init schema: %s", name, out)
	}
	var doc struct {
		Files []struct{ Path, Content string } `yaml:"write_files"`
	}
	if err := yaml.Unmarshal([]byte(userData), &doc); err != nil {
		t.Fatal(err)
	}
	tmms, etc := binary(t), filepath.Join(root, "etc/tmms")
	for _, f := range doc.Files {
		content := f.Content
		switch f.Path {
		case "/etc/tmms/node.yaml":
			content = strings.NewReplacer("/etc/tmms", etc, "/var/lib/tmms", root).Replace(content)
		case "/etc/systemd/system/tmms.service":
			content = strings.ReplaceAll(content, "/usr/local/bin/tmms", tmms)
		}
		write(t, root, f.Path, content)
	}
	fetch := exec.CommandContext(t.Context(), "bash", "-e", filepath.Join(root, "usr/local/lib/tmms/fetch-secrets"))
	command(t, "mkdir", "-p", filepath.Join(etc, "pki"))
	fetch.Env = append(append(os.Environ(), aws.env()...), "PKI="+filepath.Join(etc, "pki"), "ETC="+etc, "NODE="+name)
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Fatalf("%s: fetch-secrets: %v\n%s", name, err, out)
	}
	for got, want := range map[string]string{"pki/ca.crt": "ca.crt", "pki/gossip.key": "gossip.key", "pki/node.crt": name + ".crt", "pki/node.key": name + ".key", "tokens.yaml": "tokens.yaml"} {
		if a, b := text(t, etc, got), text(t, pki, want); a != b {
			t.Errorf("%s: %s has %d bytes on the host, %s has %d", name, got, len(a), want, len(b))
		}
	}
	if out := command(t, tmms, "config", "check", "--config", filepath.Join(etc, "node.yaml")); !strings.Contains(out, "ok: node "+name) {
		t.Errorf("%s: config check: %s", name, out)
	}
	command(t, "systemd-analyze", "verify", "--man=no", filepath.Join(root, "etc/systemd/system/tmms.service"))
}

// text is a file without its last line's end.
func text(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// checkLeaks looks for the bytes of private keys, of the gossip's key and of tokens in
// what terraform keeps.
func checkLeaks(t *testing.T, tf *terraform, dir, pki string) {
	t.Helper()
	kept := map[string]string{"state": tf.run(t, dir, "state", "pull")}
	tf.run(t, dir, "plan", "-out=leaks.tfplan")
	kept["plan"] = tf.run(t, dir, "show", "-json", "leaks.tfplan")
	keys, err := filepath.Glob(filepath.Join(pki, "*.key"))
	if err != nil || len(keys) < 6 {
		t.Fatalf("keys %v, %v: want those of the nodes, the CA's and the gossip's", keys, err)
	}
	for where, what := range kept {
		if len(what) < 10_000 || !strings.Contains(what, "eu-o1") {
			t.Fatalf("the %s has %d bytes: want the cluster in it", where, len(what))
		}
		if strings.Contains(what, "PRIVATE KEY") || strings.Contains(what, "a-long-random-word") {
			t.Errorf("the %s has a key or a token in it", where)
		}
		for _, path := range keys {
			for line := range strings.Lines(text(t, pki, filepath.Base(path))) {
				if line = strings.TrimSpace(line); len(line) >= 16 && !strings.HasPrefix(line, "-----") && strings.Contains(what, line) {
					t.Errorf("the %s has a line of %s in it", where, filepath.Base(path))
				}
			}
		}
	}
}
