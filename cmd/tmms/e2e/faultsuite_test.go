package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// TestFaultSuite is "make faults" in short: leaders and an edge are killed in a
// cluster in network namespaces, whose viewers account for every frame and whose
// operators' history is linearizable.
//
// Case: kill-leader.
// Case: kill-edge.
// Requirement: C5
func TestFaultSuite(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), benchBinary, "faults", "-tmms", binary, "-kills", "2", "-cases", "kill-leader,kill-origin,kill-edge")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has namespaces to remove
	out, err := cmd.CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
}
