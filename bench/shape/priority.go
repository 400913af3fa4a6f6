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
	for { // a thread may have been started by one that had no priority yet
		changed, err := prioritizeAll()
		if !changed || err != nil {
			return err
		}
	}
}

// prioritizeAll tells whether there were threads without the priority.
func prioritizeAll() (changed bool, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, fmt.Errorf("shape: %w", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return false, fmt.Errorf("shape: %w", err)
		}
		has, err := unix.SchedGetAttr(tid, 0)
		switch {
		case errors.Is(err, unix.ESRCH): // it has ended
			continue
		case err != nil:
			return false, fmt.Errorf("shape: priority: %w", err)
		case has.Policy == unix.SCHED_FIFO:
			continue
		}
		changed = true
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		if err = unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, fmt.Errorf("shape: real-time priority: %w", err)
		}
	}
	return changed, nil
}
