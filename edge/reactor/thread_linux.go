package reactor

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadID is the calling thread's id.
func threadID() int { return unix.Gettid() }

// threadCPU is the processor time that a thread of this process has used; 0 if
// there is no such thread.
func threadCPU(id int) time.Duration {
	if id == 0 {
		return 0
	}
	const perThread, scheduled = 4, 2 // of the clock ids that are made of thread ids
	var ts unix.Timespec
	if unix.ClockGettime(int32(^id<<3|perThread|scheduled), &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
