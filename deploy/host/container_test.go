package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built is the image of deploy/docker/Dockerfile as a folder, made once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(*work.Load(), "image")
	return dir, image(dir)
})

// image does what the Dockerfile's lines from "RUN CGO_ENABLED" to the end of its stage
// say, with a folder in the place of /image.
func image(dir string) error {
	raw, err := os.ReadFile("../docker/Dockerfile")
	if err != nil {
		return err
	}
	build, _, _ := strings.Cut(string(raw), "\nFROM build AS pki")
	ran := 0
	for line := range strings.Lines(build) {
		run, ok := strings.CutPrefix(line, "RUN ")
		if !ok || strings.Contains(run, "go mod download") {
			continue
		}
		ran++
		cmd := exec.CommandContext(context.Background(), "sh", "-ec", strings.ReplaceAll(strings.TrimSpace(run), "/image/", dir+"/"))
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH=amd64")
		out, failed := cmd.CombinedOutput()
		if failed != nil {
			return fmt.Errorf("%s: %w\n%s", run, failed, out)
		}
	}
	if ran != 2 {
		return fmt.Errorf("%d RUN lines of the stage build, want 2: the build and its folders", ran)
	}
	certs, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		return err
	}
	if err = os.MkdirAll(filepath.Join(dir, "etc/ssl/certs"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"), certs, 0o644)
}

// instruction is the JSON of the Dockerfile's last line of that name.
func instruction(t *testing.T, name string) (args []string) {
	t.Helper()
	for line := range strings.Lines(read(t, "../docker/Dockerfile")) {
		if !strings.HasPrefix(line, name+" ") {
			continue
		}
		_, list, _ := strings.Cut(line, "[")
		if err := json.Unmarshal([]byte("["+list), &args); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return args
}

// container is a process in what a container engine would give it: container.sh.
type container struct {
	name string
	cmd  *exec.Cmd
	log  string
	env  []string
	done chan struct{} // closed when it has ended
}

// start runs the image with its own entry point and command. Mounts are as those of
// "docker run --volume".
func start(t *testing.T, name string, env map[string]string, mounts ...string) *container {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	c := &container{name: name, log: filepath.Join(top, "log"), done: make(chan struct{}), env: []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=" + name, "HOME=/",
	}}
	for k, v := range env {
		c.env = append(c.env, k+"="+v)
	}
	out, err := os.Create(c.log)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(out)
	args := append([]string{"container.sh", dir, filepath.Join(top, "layer"), name}, mounts...)
	args = slices.Concat(args, []string{"--"}, instruction(t, "ENTRYPOINT"), instruction(t, "CMD"))
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "bash", args...)
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Env = out, out, c.env
	c.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err = c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.done
	})
	return c
}

// exec runs a command in the container, as its user: "docker exec".
func (c *container) exec(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	enter := []string{"-t", strconv.Itoa(c.cmd.Process.Pid), "-a", "-r", "-w", "--setgid=65532", "--setuid=65532", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// healthy waits until the command of the image's HEALTHCHECK and /readyz say so.
func (c *container) healthy(t *testing.T) {
	t.Helper()
	until(t, c.name+" is healthy and ready", func() (string, bool) {
		out, err := c.exec(t, instruction(t, "HEALTHCHECK")...)
		if err != nil {
			return out + read(t, c.log), false
		}
		out, err = within(t, c.cmd.Process.Pid, "curl", "-sS", "-m", "5", "-f", "-o", "/dev/null", "http://127.0.0.1:8090/readyz")
		return out + read(t, c.log), err == nil
	})
}

// within runs a program of this machine in the network of a process.
func within(t *testing.T, pid int, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(pid), "-n", "--"}, args...)...).CombinedOutput()
	return string(out), err
}

// stop sends a signal and waits for the end, which has to be a clean one within the
// engine's grace.
func (c *container) stop(t *testing.T, sig syscall.Signal, grace time.Duration) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.done:
	case <-time.After(grace):
		t.Fatalf("%s: not ended %v after %v\n%s", c.name, grace, sig, read(t, c.log))
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s: exit code %d after %v\n%s", c.name, code, sig, read(t, c.log))
	}
}

// volume is a new volume of an engine, of the image's user.
func volume(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chown(dir, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	return dir
}
