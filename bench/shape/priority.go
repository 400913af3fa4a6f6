package shape

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// prioritize gives the thread timers without slack.
func prioritize() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// Prioritize gives all threads of the process real-time priority, those to come
// and processes that it starts too. A process that has nothing but links should
// do so: were it only the link's thread, it would wait for the Go runtime's other
// threads, and they for a processor.
func Prioritize() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("shape: %w", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("shape: %w", err)
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		if err = unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("shape: real-time priority: %w", err)
		}
	}
	return nil
}
