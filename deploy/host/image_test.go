package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// imageYAML is a node alone, with nothing that its container does not have.
const imageYAML = `node: {roles: [origin, edge]}
`

// TestImage runs the image of the Dockerfile without an engine: its binary and folders
// alone on a root that nobody can write to, as its user, as process 1. It becomes ready
// by the image's own check, and signals end it.
func TestImage(t *testing.T) {
	if !*full {
		return
	}
	config := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(config, []byte(imageYAML), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			data := volume(t)
			c := start(t, "node-a", nil, config+":/etc/tmms/node.yaml:ro", data+":/var/lib/tmms")
			c.healthy(t)
			if out, err := c.exec(t, "/usr/local/bin/tmms", "get", "nodes"); err != nil || !strings.Contains(out, "node-a") {
				t.Errorf("get nodes: %v, %q: want the host's name", err, out)
			}
			if out, err := c.exec(t, "/bin/sh", "-c", "true"); err == nil {
				t.Errorf("there is a shell: %s", out)
			}
			pid := c.cmd.Process.Pid
			status := read(t, filepath.Join("/proc", strconv.Itoa(pid), "status"))
			for _, want := range []string{"\nUid:\t65532\t65532\t65532\t65532\n", "\nCapEff:\t0000000000000000\n", "\nNoNewPrivs:\t1\n", fmt.Sprintf("\nNSpid:\t%d\t1\n", pid)} {
				if !strings.Contains(status, want) {
					t.Errorf("the process has no %q in\n%s", want, status)
				}
			}
			if len(names(t, data)) == 0 {
				t.Error("the node keeps nothing in its volume")
			}
			c.stop(t, sig, 15*time.Second)
		})
	}
}
