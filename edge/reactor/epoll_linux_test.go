package reactor

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Both ways to wait end no earlier than they were told, and at once when woken.
func TestEpollWait(t *testing.T) {
	e, err := newEpoll(4, 1)
	if err != nil {
		t.Fatal(err)
	}
	fd := e.fd
	raw := make([]unix.EpollEvent, 4)
	for name, wait := range map[string]func(int, []unix.EpollEvent, time.Duration) (int, error){
		"pwait2": epollWait, "short": waitShort, "milliseconds": epollWaitMillis,
	} {
		for _, timeout := range []time.Duration{0, 1, 2500 * time.Microsecond} {
			began := time.Now()
			n, werr := wait(fd, raw, timeout)
			for errors.Is(werr, unix.EINTR) {
				n, werr = wait(fd, raw, max(0, timeout-time.Since(began)))
			}
			if took := time.Since(began); n != 0 || werr != nil || took < timeout {
				t.Errorf("%s(%v): %d events after %v, %v", name, timeout, n, took, werr)
			}
		}
		e.wake()
		e.wake()
		if n, werr := wait(fd, raw, time.Second); n != 1 || werr != nil {
			t.Errorf("%s: %d events after a wake-up, %v", name, n, werr)
		}
	}
	e.wake()
	if n, werr := e.wait(make([]event, 4), -1); n != 0 || werr != nil {
		t.Errorf("%d events for the loop, %v", n, werr)
	}
	if err = e.close(); err != nil {
		t.Error(err)
	}
	e.wake() // too late, and harmless
}
