package host

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that takes a second on an idle machine.
const patience = time.Minute

// guest is a host with a systemd of its own, in namespaces of this machine: boot.sh.
type guest struct {
	dir    string // what it wrote, over its reboots
	cgroup string
	cmd    *exec.Cmd // its process 1
}

// newGuest boots a host as it was delivered; the test's end switches it off.
func newGuest(t *testing.T) *guest {
	t.Helper()
	g := &guest{dir: t.TempDir(), cgroup: filepath.Join(cgroup2(t), fmt.Sprintf("tmms-host-%d", os.Getpid()))}
	t.Cleanup(func() { g.off(t) })
	g.boot(t)
	return g
}

// cgroup2 finds where the second version of control groups is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(read(t, "/proc/mounts")) {
		if f := strings.Fields(line); f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Fatal("no cgroup2 in /proc/mounts: systemd has nothing to run in")
	return ""
}

func (g *guest) boot(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(g.cgroup, 0o755); err != nil {
		t.Fatalf("a control group, as root: %v", err)
	}
	script, err := filepath.Abs("boot.sh")
	if err != nil {
		t.Fatal(err)
	}
	console, err := os.OpenFile(filepath.Join(g.dir, "console"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(console)
	g.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "bash", script, g.dir, g.cgroup)
	g.cmd.Stdout, g.cmd.Stderr = console, console
	g.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err = g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "systemd is up", func() (string, bool) {
		out, failed := g.try(t, "systemctl", "is-system-running")
		state := strings.TrimSpace(out)
		return fmt.Sprintf("%s (%v); console: %s", state, failed, read(t, console.Name())), state == "running" || state == "degraded"
	})
}

// off ends process 1 and with it all others, and takes the control groups away.
func (g *guest) off(t *testing.T) {
	t.Helper()
	if g.cmd == nil || g.cmd.Process == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.cmd = nil
	var groups []string
	_ = filepath.WalkDir(g.cgroup, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	slices.Reverse(groups)
	until(t, "the control groups are gone", func() (string, bool) {
		for _, dir := range groups {
			_ = syscall.Rmdir(dir)
		}
		_, err := os.Stat(g.cgroup)
		return g.cgroup, os.IsNotExist(err)
	})
}

// file is a path of the guest as this machine sees it.
func (g *guest) file(path string) string {
	return filepath.Join("/proc", strconv.Itoa(g.cmd.Process.Pid), "root", path)
}

// put writes a file of the guest, and the folders above it.
func (g *guest) put(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(g.file(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.file(path), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// try runs a command in the guest and gives all that it wrote.
func (g *guest) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(g.cmd.Process.Pid), "-a", "--"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try for what must not fail.
func (g *guest) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := g.try(t, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// show is a property of the unit.
func (g *guest) show(t *testing.T, property string) string {
	t.Helper()
	return strings.TrimSpace(g.run(t, "systemctl", "show", "-P", property, "tmms"))
}

// journal are the lines of the unit's log since its last start.
func (g *guest) journal(t *testing.T) string {
	t.Helper()
	return g.run(t, "journalctl", "-o", "cat", "--no-pager", "_SYSTEMD_INVOCATION_ID="+g.show(t, "InvocationID"))
}

// ready waits until the node is.
func (g *guest) ready(t *testing.T) {
	t.Helper()
	until(t, "the node is ready", func() (string, bool) {
		out, err := g.try(t, "curl", "-sS", "-m", "5", "-f", "-o", "/dev/null", "http://127.0.0.1:8090/readyz")
		if err == nil {
			return "", true
		}
		return fmt.Sprintf("%s: %s", out, g.journal(t)), false
	})
}

// until waits for a condition; what it says at last is told if it does not come.
func until(t *testing.T, what string, met func() (string, bool)) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		said, ok := met()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not in %v; %s", what, patience, said)
		}
	}
}

func closing(c io.Closer) { _ = c.Close() }

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// command runs a program of this machine that must succeed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
