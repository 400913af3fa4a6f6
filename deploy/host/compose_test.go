package host

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// service is what is used of a service of compose.yaml.
type service struct {
	Hostname    string            `yaml:"hostname"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	Grace       time.Duration     `yaml:"stop_grace_period"`
}

// network is a network of containers: a bridge in a namespace of its own, which stands
// for the machine that the engine runs on.
type network struct {
	pid   int
	hosts string // the file with the names, as the engine's DNS has them
}

// newNetwork makes the bridge, and says which names will be there: their addresses are
// 192.0.2.1 and on.
func newNetwork(t *testing.T, names []string) network {
	t.Helper()
	holder := exec.CommandContext(context.WithoutCancel(t.Context()), "sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	n := network{pid: holder.Process.Pid, hosts: filepath.Join(t.TempDir(), "hosts")}
	text := []byte("127.0.0.1 localhost\n")
	for i, name := range names {
		text = fmt.Appendf(text, "192.0.2.%d %s\n", i+1, name)
	}
	if err := os.WriteFile(n.hosts, text, 0o644); err != nil {
		t.Fatal(err)
	}
	n.ip(t, "link set lo up")
	n.ip(t, "link add bridge0 type bridge")
	n.ip(t, "address add 192.0.2.254/24 dev bridge0")
	n.ip(t, "link set bridge0 up")
	return n
}

func (n network) ip(t *testing.T, args string) {
	t.Helper()
	if out, err := within(t, n.pid, append([]string{"ip"}, strings.Fields(args)...)...); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// attach gives a container its address, and publishes its ports "OUTSIDE:INSIDE".
func (n network) attach(t *testing.T, c *container, i int, ports []string) {
	t.Helper()
	address := fmt.Sprintf("192.0.2.%d", i)
	n.ip(t, fmt.Sprintf("link add port%d master bridge0 up type veth peer name eth0 netns %d", i, c.cmd.Process.Pid))
	for _, args := range []string{"address add " + address + "/24 dev eth0", "link set eth0 up"} {
		if out, err := within(t, c.cmd.Process.Pid, append([]string{"ip"}, strings.Fields(args)...)...); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	for _, p := range ports {
		outside, inside, _ := strings.Cut(p, ":")
		n.background(t, "systemd-socket-activate", "-l", "0.0.0.0:"+outside, "/lib/systemd/systemd-socket-proxyd", address+":"+inside)
	}
}

// background runs a program in the network until the test ends.
func (n network) background(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{"-t", strconv.Itoa(n.pid), "-n", "--"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// volumes finds the named volumes and the files of a service on this machine.
func (s service) volumes(t *testing.T, named map[string]string) (mounts []string) {
	t.Helper()
	for _, v := range s.Volumes {
		source, rest, _ := strings.Cut(v, ":")
		if file, ok := strings.CutPrefix(source, "./"); ok {
			abs, err := filepath.Abs(filepath.Join("../compose", file))
			if err != nil {
				t.Fatal(err)
			}
			source = abs
		} else {
			if named[source] == "" {
				named[source] = volume(t)
			}
			source = named[source]
		}
		mounts = append(mounts, source+":"+rest)
	}
	return mounts
}

// certificates runs the entry point of the service pki, whose image has a shell, with a
// folder of this machine in the place of its volume.
func certificates(t *testing.T, s service, dir string) {
	t.Helper()
	image, err := built()
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(s.Entrypoint)
	for i, arg := range args {
		args[i] = strings.NewReplacer("/make-pki.sh", "../compose/make-pki.sh", "/etc/tmms/pki", dir).Replace(arg)
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+image+"/usr/local/bin:"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	command(t, "chown", "-R", "65532:65532", dir)
}

// TestCompose starts what compose.yaml describes, without an engine, and does what its
// head says: three nodes, the config, a push to one of them, and a picture at all. The
// node with the publisher ends cleanly in the grace that is there.
func TestCompose(t *testing.T) {
	if !*full {
		return
	}
	var compose struct{ Services map[string]service }
	if err := yaml.Unmarshal([]byte(read(t, "../compose/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	pki := compose.Services["pki"]
	delete(compose.Services, "pki")
	names := slices.Sorted(maps.Keys(compose.Services))
	if len(names) != 3 {
		t.Fatalf("nodes %q, want 3", names)
	}
	named := map[string]string{"pki": volume(t)}
	certificates(t, pki, named["pki"])
	lan := newNetwork(t, names)
	var nodes []*container
	for i, name := range names {
		s := compose.Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Hostname != name || s.Grace <= 0 {
			t.Errorf("%s: %+v: want what the test gives a container", name, s)
		}
		c := start(t, s.Hostname, s.Environment, append(s.volumes(t, named), lan.hosts+":/etc/hosts:ro")...)
		lan.attach(t, c, i+1, s.Ports)
		nodes = append(nodes, c)
	}
	for _, c := range nodes {
		c.healthy(t)
	}
	if out, err := nodes[0].exec(t, "/usr/local/bin/tmms", "apply", "-f", "/etc/tmms/domains.yaml"); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	lan.background(t, "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-f", "flv", "rtmp://localhost:1935/live/test")
	for _, port := range []string{"8080", "8081", "8082"} {
		until(t, "port "+port+" plays", func() (string, bool) {
			out, err := within(t, lan.pid, "timeout", "30", "ffmpeg", "-nostdin", "-v", "error", "-xerror",
				"-i", "http://localhost:"+port+"/live/test.flv", "-frames:v", "30", "-f", "null", "-")
			return out, err == nil
		})
	}
	nodes[0].stop(t, syscall.SIGTERM, compose.Services[names[0]].Grace)
}
