package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// installRoot renders a node with a data disk: its binary's sum and its disk.
const installRoot = `module "host" {
  source     = %q
  node       = { name = "n1", region = "eu", zone = "a", roles = ["origin", "edge"], address = "127.0.0.1", host = "127.0.0.1" }
  cluster    = { name = "live", voters = ["n1@127.0.0.1:7400"], join = ["127.0.0.1:7946"], gossip_preset = "lan" }
  binary     = { sha256 = %q }
  data_disk  = %q
  drain_wait = "1s"
}
output "files" { value = module.host.files }
`

// rendered are the files of a host, by modules/user-data.
func rendered(t *testing.T, sum, disk string) (files map[string]string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	module, err := filepath.Abs("../terraform/modules/user-data")
	if err != nil {
		t.Fatal(err)
	}
	if module, err = filepath.Rel(dir, module); err != nil { // beside its folder it finds the unit
		t.Fatal(err)
	}
	for name, text := range map[string]string{"main.tf": fmt.Sprintf(installRoot, module, sum, disk), "terraform.rc": "disable_checkpoint = true\n"} {
		if err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out []byte
	for _, args := range [][]string{{"init"}, {"apply", "-auto-approve"}, {"output", "-json", "files"}} {
		cmd := exec.CommandContext(t.Context(), "terraform", args...)
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &stderr
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "terraform.rc"), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "NO_COLOR=1")
		if out, err = cmd.Output(); err != nil {
			t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
	}
	if err = json.Unmarshal(out, &files); err != nil {
		t.Fatal(err)
	}
	return files
}

// newDisk is an empty disk of 64 MiB: a file behind a loop device.
func newDisk(t *testing.T) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	command(t, "truncate", "-s", "64M", image)
	device := strings.TrimSpace(command(t, "losetup", "--find", "--show", image))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() })
	return device
}

// TestInstallUnderSystemd runs the install script where its unit is started for real: a
// disk that is not empty is left alone, an empty one gets the state; a second run changes
// nothing, and a new binary is drained for.
//
// Requirement: C7.
func TestInstallUnderSystemd(t *testing.T) {
	if !*full {
		return
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Logf("LEFT OUT: %s: terraform is not installed", t.Name())
		return
	}
	disk := newDisk(t)
	g := newGuest(t)
	minor, err := strconv.Atoi(strings.TrimPrefix(disk, "/dev/loop"))
	if err != nil {
		t.Fatal(err)
	}
	g.run(t, "mknod", "-m", "0600", disk, "b", "7", strconv.Itoa(minor))
	command(t, "tar", "-xzf", one(t, "tmms-*-linux-amd64.tar.gz"), "-C", g.file("/root"), "--strip-components=1", "--wildcards", "*/tmms")
	g.run(t, "cp", "/root/tmms", "/root/next")
	g.run(t, "sh", "-c", "echo another release >>/root/next")
	install := func(binary string, args ...string) (string, error) {
		sum, _, _ := strings.Cut(g.run(t, "sha256sum", binary), " ")
		for path, content := range rendered(t, sum, disk) {
			g.put(t, path, content, 0o644)
		}
		return g.try(t, append([]string{"bash", "/usr/local/lib/tmms/install.sh", "--binary", binary}, args...)...)
	}
	g.run(t, "/root/tmms", "cert", "init", "--dir", "/root/pki")
	g.run(t, "/root/tmms", "cert", "node", "n1", "--roles", "origin,edge", "--dir", "/root/pki")
	for from, to := range map[string]string{"ca.crt": "ca.crt", "gossip.key": "gossip.key", "n1.crt": "node.crt", "n1.key": "node.key"} {
		g.run(t, "install", "-D", "/root/pki/"+from, "/etc/tmms/pki/"+to)
	}

	g.run(t, "sh", "-c", "echo precious | dd of="+disk+" bs=4096 seek=1 conv=notrunc status=none")
	if out, failed := install("/root/tmms"); failed == nil || !strings.Contains(out, "nothing is done to it") {
		t.Fatalf("a disk with data: %v, %s", failed, out)
	}
	g.run(t, "dd", "if=/dev/zero", "of="+disk, "bs=1M", "count=1", "conv=notrunc", "status=none")

	if out, failed := install("/root/tmms", "--wait", "60"); failed != nil {
		t.Fatalf("install.sh: %v\n%s\n%s", failed, out, g.run(t, "journalctl", "--no-pager", "-b", "-n", "60"))
	}
	if got := strings.TrimSpace(g.run(t, "findmnt", "-n", "-o", "SOURCE,FSTYPE", "/var/lib/tmms")); got != disk+" ext4" {
		t.Errorf("/var/lib/tmms is %q, want %s", got, disk)
	}
	if got := g.stat(t, "/var/lib/tmms"); got != "tmms:tmms 750" {
		t.Errorf("/var/lib/tmms is %s", got)
	}
	g.put(t, "/root/domains.yaml", domainsYAML, 0o644)
	g.run(t, "/root/tmms", "apply", "-f", "/root/domains.yaml")
	g.plays(t)

	pid, table := g.show(t, "MainPID"), g.run(t, "cat", "/etc/fstab")
	if out, failed := install("/root/tmms", "--wait", "60"); failed != nil || g.show(t, "MainPID") != pid || g.run(t, "cat", "/etc/fstab") != table {
		t.Errorf("a second run: %v, process %s became %s, fstab\n%s\n%s", failed, pid, g.show(t, "MainPID"), g.run(t, "cat", "/etc/fstab"), out)
	}
	if out, failed := install("/root/next", "--drain", "--wait", "60"); failed != nil || g.show(t, "MainPID") == pid {
		t.Errorf("a new release: %v, process %s became %s\n%s", failed, pid, g.show(t, "MainPID"), out)
	}
	if out := g.run(t, "/root/tmms", "diff", "-f", "/root/domains.yaml"); strings.Contains(out, "live") {
		t.Errorf("the new release has another config: %s", out)
	}
	g.plays(t)
}
