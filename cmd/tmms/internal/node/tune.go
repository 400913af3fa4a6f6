package node

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// spareProcs run what is not a viewers' loop: publishers' sockets, raft,
	// sessions, the admin port.
	spareProcs = 3
	// memoryShare is the part of the memory that we may have at which the
	// garbage collector works harder, in percent.
	memoryShare = 80
	// segmentShare is the part of the memory that HLS segments of pulled streams may
	// have: one in so many.
	segmentShare = 4
)

// Tune fits the Go runtime to a process whose reactor loops hold threads of
// their own. GOMAXPROCS and GOMEMLIMIT of the environment win. Call it once.
func Tune(getenv func(string) string) {
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
	}
	if limit := memory("/"); getenv("GOMEMLIMIT") == "" && limit > 0 {
		debug.SetMemoryLimit(limit / 100 * memoryShare)
	}
}

// memory gives the bytes of memory that the process may have: those of the
// machine, or the container's (cgroup v2) if that is less; 0: not known. root
// is where proc and sys are.
func memory(root string) int64 {
	total := meminfo(filepath.Join(root, "proc/meminfo"))
	b, err := os.ReadFile(filepath.Join(root, "sys/fs/cgroup/memory.max"))
	if err != nil {
		return total
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // or "max"
	if err != nil || limit <= 0 || total > 0 && limit > total {
		return total
	}
	return limit
}

// meminfo reads "MemTotal:  16384 kB", in bytes; 0 if it isn't there.
func meminfo(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
