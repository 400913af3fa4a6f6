package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemory(t *testing.T) {
	for _, tc := range []struct {
		name, meminfo, cgroup string
		want                  int64
	}{
		{"machine", "MemFree: 1 kB\nMemTotal:       2048 kB\n", "", 2 << 20},
		{"no-limit", "MemTotal: 2048 kB\n", "max\n", 2 << 20},
		{"container", "MemTotal: 2048 kB\n", "1048576\n", 1 << 20},
		{"limit-over-machine", "MemTotal: 2048 kB\n", "9223372036854771712\n", 2 << 20},
		{"only-container", "", "1048576\n", 1 << 20},
		{"nothing", "", "", 0},
		{"garbage", "MemTotal: many kB\n", "-1", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range map[string]string{"proc/meminfo": tc.meminfo, "sys/fs/cgroup/memory.max": tc.cgroup} {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if text == "" {
					continue
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := memory(root); got != tc.want {
				t.Errorf("memory = %d, want %d", got, tc.want)
			}
		})
	}
}
