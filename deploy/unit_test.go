package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxExposure is the exposure level, in tenths, that systemd 252 finds in the unit's sandbox.
const maxExposure = "17"

// The master copy of the unit: what systemd says of it, and how much it lets a node do.
func TestUnit(t *testing.T) {
	raw, err := os.ReadFile("systemd/tmms.service")
	if err != nil {
		t.Fatal(err)
	}
	// The check wants to see the program.
	text := strings.ReplaceAll(string(raw), "/usr/local/bin/tmms", "/bin/true")
	unit := filepath.Join(t.TempDir(), "tmms.service")
	if err = os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--man=no", "verify", unit},
		{"security", "--offline=true", "--threshold=" + maxExposure, unit},
	} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil || (args[1] == "verify" && len(out) > 0) {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, want := range []string{
		"LimitNOFILE=1048576", "Restart=always", "TimeoutStopSec=15", "ConditionPathExists=/etc/tmms/node.yaml",
		"ExecStart=/usr/local/bin/tmms run --config /etc/tmms/node.yaml", "ReadWritePaths=-/etc/tmms/pki",
	} {
		if !strings.Contains(string(raw), "\n"+want+"\n") {
			t.Errorf("the unit lacks %s", want)
		}
	}
}

// The kernel's settings are those that docs/capacity.md gives reasons for.
func TestSysctlsAreThoseOfTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile("systemd/60-tmms.conf")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(conf)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		n++
		name = strings.TrimPrefix(name, "-")
		row := ""
		for l := range strings.Lines(string(docs)) {
			if strings.Contains(l, "`"+name+"`") {
				row = l
			}
		}
		if !strings.Contains(row, value) {
			t.Errorf("%s = %s: docs/capacity.md has %q", name, value, row)
		}
	}
	if n < 6 {
		t.Errorf("%d settings, want 6 or more", n)
	}
}
