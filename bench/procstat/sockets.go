package procstat

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// TCPMemory is what the sockets of all processes hold in the kernel, in bytes.
func TCPMemory() (int64, error) {
	const file = "/proc/net/sockstat"
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("procstat: %w", err)
	}
	return tcpMemory(string(b))
}

// tcpMemory finds "TCP: inuse 5 orphan 0 tw 0 alloc 7 mem PAGES".
func tcpMemory(sockstat string) (int64, error) {
	for line := range strings.Lines(sockstat) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(f); i += 2 {
			if f[i] != "mem" {
				continue
			}
			pages, err := strconv.ParseInt(f[i+1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("procstat: sockstat: %w", err)
			}
			return pages * int64(os.Getpagesize()), nil
		}
	}
	return 0, fmt.Errorf("procstat: no TCP memory in %q", sockstat)
}

// UDPDrops is how many packets found no room in UDP sockets of the calling
// thread's network namespace.
func UDPDrops() (int64, error) {
	const file = "/proc/thread-self/net/snmp"
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("procstat: %w", err)
	}
	var names []string // the first of the two lines
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Udp:" {
			continue
		}
		if i := slices.Index(names, "RcvbufErrors"); i >= 0 && i < len(fields) {
			n, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("procstat: %s: %w", file, err)
			}
			return n, nil
		}
		names = fields
	}
	return 0, fmt.Errorf("procstat: %s has no RcvbufErrors of UDP", file)
}
