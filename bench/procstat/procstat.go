// Package procstat reads what a process has used, from /proc.
package procstat

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of /proc times on every Linux that Go runs on (USER_HZ = 100).
const clockTick = 10 * time.Millisecond

// CPU is the user and system time that the process has used.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("procstat: %w", err)
	}
	// The second field, the name in parentheses, may hold spaces.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const utime, stime = 11, 12
	if len(fields) <= stime {
		return 0, fmt.Errorf("procstat: /proc/%d/stat has %d fields", pid, len(fields))
	}
	var sum int64
	for _, f := range [][]byte{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("procstat: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * clockTick, nil
}

// Children are the processes that the process has started and that live.
func Children(pid int) ([]int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, fmt.Errorf("procstat: %w", err)
	}
	var list []int
	for field := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("procstat: %w", err)
		}
		list = append(list, n)
	}
	return list, nil
}

// RSS is the resident memory of the process in bytes.
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("procstat: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("procstat: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("procstat: process %d has no VmRSS", pid)
}

// FDs is the number of file descriptors that the process has open.
func FDs(pid int) (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("procstat: %w", err)
	}
	return len(list), nil
}

// SoftIRQ is the time that the kernel's softirq thread of one processor has
// run: work for sockets that no process is charged for.
func SoftIRQ(cpu int) (time.Duration, error) {
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("procstat: %w", err)
	}
	name := fmt.Sprintf("ksoftirqd/%d\n", cpu)
	for _, p := range pids {
		if comm, err := os.ReadFile("/proc/" + p.Name() + "/comm"); err != nil || string(comm) != name {
			continue
		}
		b, err := os.ReadFile("/proc/" + p.Name() + "/schedstat")
		if err != nil {
			return 0, fmt.Errorf("procstat: %w", err)
		}
		first, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("procstat: %w", err)
		}
		return time.Duration(n), nil
	}
	return 0, nil // a machine without that thread has nothing to count
}
