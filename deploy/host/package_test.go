package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nodeYAML is that of a cluster of one, with certificates.
const nodeYAML = `node: {name: n1, roles: [origin, edge]}
cluster:
  voters: ["n1@127.0.0.1:7400"]
  ca_file: /etc/tmms/pki/ca.crt
  cert_file: /etc/tmms/pki/n1.crt
  key_file: /etc/tmms/pki/n1.key
  gossip_key_file: /etc/tmms/pki/gossip.key
advertise: {fabric: "127.0.0.1:7400", gossip: "127.0.0.1:7946", http: "127.0.0.1:8080", rtmp: "127.0.0.1:1935"}
`

const domainsYAML = `domains:
- {name: default, aliases: ["*"], apps: [{name: live}]}
`

// TestPackage does with the Debian package what its user does, on a host with a systemd
// of its own: first the package alone, then a node of it in the sandbox of its unit, an
// upgrade under it, removal and purge.
func TestPackage(t *testing.T) {
	if !*full {
		return
	}
	g := newGuest(t)
	g.put(t, "/root/tmms.deb", read(t, one(t, "tmms_*_amd64.deb")), 0o600)
	command(t, "tar", "-xzf", one(t, "tmms-*-linux-amd64.tar.gz"), "-C", g.file("/usr/local/bin"), "--strip-components=1", "--wildcards", "*/tmms-bench")
	g.run(t, "dpkg", "-i", "/root/tmms.deb")
	for _, step := range []struct {
		name string
		do   func(*testing.T, *guest)
	}{
		{"installed", packageInstalled},
		{"nothing to run with", packageIdle},
		{"a node", packageNode},
		{"sandbox", packageSandbox},
		{"stop gives streams up", packageStop},
		{"restart keeps data", packageRestart},
		{"without io_uring", packageEpoll},
		{"reboot", packageReboot},
		{"upgrade", packageUpgrade},
		{"removal", packageRemoval},
		{"purge", packagePurge},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, g) }) {
			t.Fatalf("%s: no later step is of use\n%s", step.name, g.run(t, "journalctl", "--no-pager", "-b", "-n", "50"))
		}
	}
}

// stat gives owner, group and mode of a file.
func (g *guest) stat(t *testing.T, path string) string {
	t.Helper()
	return strings.TrimSpace(g.run(t, "stat", "-c", "%U:%G %a", path))
}

func packageInstalled(t *testing.T, g *guest) {
	t.Helper()
	for path, want := range map[string]string{
		"/usr/bin/tmms": "root:root 755", "/etc/default/tmms": "root:root 644", "/etc/tmms": "root:root 755",
		"/etc/tmms/pki": "tmms:tmms 750", "/var/lib/tmms": "tmms:tmms 750",
		"/usr/lib/systemd/system/tmms.service": "root:root 644", "/usr/lib/sysctl.d/60-tmms.conf": "root:root 644",
	} {
		if got := g.stat(t, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	user := strings.Split(strings.TrimSpace(g.run(t, "getent", "passwd", "tmms")), ":")
	if user[5] != "/var/lib/tmms" || user[6] != "/usr/sbin/nologin" || len(user[2]) > 3 {
		t.Errorf("user %q: want one of the system, at home in /var/lib/tmms, with no shell", user)
	}
	if out := g.run(t, "dpkg", "--verify", "tmms"); out != "" {
		t.Errorf("dpkg --verify: %s", out)
	}
	if got := g.run(t, "systemctl", "is-enabled", "tmms"); got != "enabled\n" {
		t.Errorf("the unit is %s, want enabled", got)
	}
	g.run(t, "sysctl", "-q", "-e", "-p", "/usr/lib/sysctl.d/60-tmms.conf")
	if got := strings.Fields(g.run(t, "sysctl", "-n", "net.ipv4.tcp_wmem")); strings.Join(got, " ") != "4096 16384 4194304" {
		t.Errorf("net.ipv4.tcp_wmem is %q after sysctl -p", got)
	}
}

// Without node.yaml there is no failure, and no process.
func packageIdle(t *testing.T, g *guest) {
	t.Helper()
	g.run(t, "systemctl", "start", "tmms")
	if state, met := g.show(t, "ActiveState"), g.show(t, "ConditionResult"); state != "inactive" || met != "no" {
		t.Errorf("the unit is %s, its condition %s: want inactive, no", state, met)
	}
}

func packageNode(t *testing.T, g *guest) {
	t.Helper()
	g.put(t, "/etc/tmms/node.yaml", nodeYAML, 0o644)
	g.put(t, "/root/domains.yaml", domainsYAML, 0o644)
	g.run(t, "tmms", "cert", "init", "--dir", "/root/pki")
	g.run(t, "tmms", "cert", "node", "n1", "--roles", "origin,edge", "--dir", "/root/pki")
	for _, name := range []string{"ca.crt", "n1.crt", "n1.key", "gossip.key"} {
		g.run(t, "install", "-o", "tmms", "-g", "tmms", "-m", "0600", "/root/pki/"+name, "/etc/tmms/pki/")
	}
	g.run(t, "systemctl", "start", "tmms")
	g.ready(t)
	g.run(t, "tmms", "apply", "-f", "/root/domains.yaml")
	g.plays(t)
}

// plays publishes a picture, and sees it over HTTP-FLV and HLS.
func (g *guest) plays(t *testing.T) {
	t.Helper()
	g.run(t, "systemd-run", "-q", "--collect", "--unit=camera", "-p", "Restart=always", "-p", "StartLimitIntervalSec=0",
		"ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-f", "flv", "rtmp://127.0.0.1/live/test")
	for _, url := range []string{"http://127.0.0.1:8080/live/test.flv", "http://127.0.0.1:8080/live/test.m3u8"} {
		until(t, url+" plays", func() (string, bool) {
			out, err := g.try(t, "timeout", "30", "ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", url, "-frames:v", "30", "-f", "null", "-")
			return fmt.Sprintf("%v %s", err, out), err == nil
		})
	}
	g.run(t, "systemctl", "stop", "camera")
}

// engines are those of the node's event loops, from its log: io_uring is among them if
// its edge sends by that.
func (g *guest) engines(t *testing.T) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(g.journal(t)) {
		if _, after, ok := strings.Cut(line, `"event loops"`); ok {
			found = append(found, after)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no line on the event loops in\n%s", g.journal(t))
	}
	return strings.Join(found, "")
}

// What the kernel says that the process may do. Its filter has io_uring, where this
// machine's kernel has it.
func packageSandbox(t *testing.T, g *guest) {
	t.Helper()
	pid := g.show(t, "MainPID")
	status := g.run(t, "cat", "/proc/"+pid+"/status")
	fields := map[string]string{}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	// 1<<10 is CAP_NET_BIND_SERVICE; 2 is a filter.
	for name, want := range map[string]string{"CapEff": "0000000000000400", "CapBnd": "0000000000000400", "NoNewPrivs": "1", "Seccomp": "2"} {
		if fields[name] != want {
			t.Errorf("%s is %s, want %s", name, fields[name], want)
		}
	}
	if got := g.stat(t, "/proc/"+pid); !strings.HasPrefix(got, "tmms:tmms") {
		t.Errorf("the process is of %s", got)
	}
	for path, writable := range map[string]bool{"/var/lib/tmms": true, "/etc/tmms/pki": true, "/etc/tmms": false, "/usr": false, "/var/lib": false} {
		_, err := g.try(t, "nsenter", "-t", pid, "-m", "--", "setpriv", "--reuid=0", "--", "mktemp", "-p", path, "tmms.XXXXXX")
		if (err == nil) != writable {
			t.Errorf("%s can be written: %v, want %v", path, err == nil, writable)
		}
	}
	g.run(t, "bash", "-c", "rm -f /var/lib/tmms/tmms.?????? /etc/tmms/pki/tmms.??????")
	if got, want := g.engines(t), kernelHasRings(t); strings.Contains(got, "engine=io_uring") != want {
		t.Errorf("the loops are %s, want io_uring: %v", got, want)
	}
}

// kernelHasRings tells whether an edge finds io_uring on this machine, without a filter.
func kernelHasRings(t *testing.T) bool {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(read(t, "/proc/sys/kernel/osrelease"), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	off, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled") // from Linux 6.6
	return (major > 6 || major == 6 && minor >= 1) && (err != nil || strings.TrimSpace(string(off)) == "0")
}

// The stop is an orderly one: the node takes its name off its streams and ends with 0.
func packageStop(t *testing.T, g *guest) {
	t.Helper()
	g.run(t, "systemd-run", "-q", "--collect", "--unit=bench", "tmms-bench", "publish", "-url", "rtmp://127.0.0.1/live/bench")
	until(t, "a publisher is there", func() (string, bool) {
		out := g.run(t, "tmms", "get", "streams", "-o", "json")
		return out, strings.Contains(out, "bench")
	})
	g.run(t, "systemctl", "stop", "tmms")
	if result, code := g.show(t, "Result"), g.show(t, "ExecMainStatus"); result != "success" || code != "0" {
		t.Errorf("the unit ended with %s, exit code %s", result, code)
	}
	if log := g.journal(t); !strings.Contains(log, `msg="stream given up" stream=default/live/bench`) {
		t.Errorf("the stream was not given up in\n%s", log)
	}
	_, _ = g.try(t, "systemctl", "stop", "bench")
}

func packageRestart(t *testing.T, g *guest) {
	t.Helper()
	g.run(t, "systemctl", "start", "tmms")
	g.ready(t)
	g.keeps(t)
	pid := g.show(t, "MainPID")
	g.run(t, "kill", "-9", pid)
	until(t, "it comes back after a crash", func() (string, bool) {
		now := g.show(t, "MainPID")
		return now, now != pid && now != "0"
	})
	g.ready(t)
	g.keeps(t)
	g.plays(t)
}

// keeps looks for the config that was applied at first.
func (g *guest) keeps(t *testing.T) {
	t.Helper()
	if out, err := g.try(t, "tmms", "diff", "-f", "/root/domains.yaml"); err != nil {
		t.Errorf("the config is another one: %v\n%s", err, out)
	}
}

// A filter that has no io_uring, as that of a container: the loops send by epoll.
func packageEpoll(t *testing.T, g *guest) {
	t.Helper()
	const dropIn = "/etc/systemd/system/tmms.service.d/filter.conf"
	g.put(t, dropIn, "[Service]\nSystemCallFilter=~io_uring_setup\n", 0o644)
	g.run(t, "systemctl", "daemon-reload")
	g.run(t, "systemctl", "restart", "tmms")
	g.ready(t)
	if got := g.engines(t); strings.Contains(got, "engine=io_uring") {
		t.Errorf("the loops are %s, want epoll", got)
	}
	g.plays(t)
	g.run(t, "rm", "-r", filepath.Dir(dropIn))
	g.run(t, "systemctl", "daemon-reload")
}

// The node comes up with its host, after a power cut.
func packageReboot(t *testing.T, g *guest) {
	t.Helper()
	g.run(t, "sync")
	g.off(t)
	g.boot(t)
	g.ready(t)
	g.keeps(t)
}

// An upgrade, with a changed conffile, leaves the node and what its operator wrote alone.
func packageUpgrade(t *testing.T, g *guest) {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	command(t, "dpkg-deb", "-R", one(t, "tmms_*_amd64.deb"), tree)
	command(t, "sed", "-i", "s/^Version: .*/Version: 999.0.0/", filepath.Join(tree, "DEBIAN/control"))
	command(t, "sed", "-i", "1i# another default", filepath.Join(tree, "etc/default/tmms"))
	command(t, "dpkg-deb", "--root-owner-group", "-b", tree, g.file("/root/next.deb"))
	const mine = "GOMEMLIMIT=1GiB\n"
	g.put(t, "/etc/default/tmms", mine, 0o644)
	pid := g.show(t, "MainPID")
	out := g.run(t, "dpkg", "--force-confdef", "--force-confold", "-i", "/root/next.deb")
	if !strings.Contains(out, "runs the old binary on") || g.show(t, "MainPID") != pid {
		t.Errorf("process %s became %s; dpkg said\n%s", pid, g.show(t, "MainPID"), out)
	}
	if got := g.run(t, "cat", "/etc/default/tmms"); got != mine {
		t.Errorf("/etc/default/tmms is %q, want %q", got, mine)
	}
	if got := g.run(t, "dpkg-query", "-W", "-f", "${Version}", "tmms"); got != "999.0.0" {
		t.Errorf("version %s is installed, want 999.0.0", got)
	}
	g.run(t, "systemctl", "restart", "tmms")
	g.ready(t)
	g.keeps(t)
	if env := g.run(t, "cat", "/proc/"+g.show(t, "MainPID")+"/environ"); !strings.Contains(env, strings.TrimSpace(mine)) {
		t.Errorf("the node does not see %s", mine)
	}
}

// What the operator wrote, the state and the user stay.
func packageRemoval(t *testing.T, g *guest) {
	t.Helper()
	g.run(t, "dpkg", "-r", "tmms")
	for _, path := range []string{"/etc/default/tmms", "/etc/tmms/node.yaml", "/etc/tmms/pki/n1.key", "/var/lib/tmms"} {
		g.run(t, "stat", path)
	}
	if out, err := g.try(t, "pidof", "tmms"); err == nil {
		t.Errorf("process %s lives on", out)
	}
	if _, err := os.Lstat(g.file("/etc/systemd/system/multi-user.target.wants/tmms.service")); err == nil {
		t.Error("the unit is enabled still")
	}
	g.run(t, "getent", "passwd", "tmms")
}

// A purge takes them, from a data disk too, which is not for the package to unmount.
func packagePurge(t *testing.T, g *guest) {
	t.Helper()
	g.run(t, "mount", "-t", "tmpfs", "tmpfs", "/var/lib/tmms")
	g.put(t, "/var/lib/tmms/raft/log", "x", 0o600)
	g.run(t, "dpkg", "-P", "tmms")
	for _, path := range []string{"/etc/default/tmms", "/etc/tmms"} {
		if _, err := os.Lstat(g.file(path)); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	if left := names(t, g.file("/var/lib/tmms")); len(left) != 0 {
		t.Errorf("/var/lib/tmms has %q", left)
	}
	if out, err := g.try(t, "dpkg-query", "-W", "tmms"); err == nil {
		t.Errorf("dpkg knows of it still: %s", out)
	}
}
