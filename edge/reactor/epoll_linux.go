package reactor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	connEvents     = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	readableEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	hangupEvents   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	// wakeToken is the eventfd's: no listener has so high a place.
	wakeToken = token(0xFFFFFFFF)
)

// epoll is the engine on epoll(7).
type epoll struct {
	// Set at construction.
	holdP bool // short waits keep the scheduler's P, see waitShort

	// Owned by the loop.
	fd  int
	raw []unix.EpollEvent

	// Guarded by mu, because wake comes from other goroutines while the loop
	// may be closing.
	mu     sync.Mutex
	wakeFD int // -1 when closed
}

func newEpoll(maxEvents, loops int) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("reactor: epoll_create1: %w", err)
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reactor: eventfd: %w", err), unix.Close(fd))
	}
	e := &epoll{
		fd: fd, wakeFD: wakeFD, raw: make([]unix.EpollEvent, maxEvents),
		holdP: runtime.GOMAXPROCS(0) > loops,
	}
	// Edge-triggered, so that it need not be read: each write is a new edge.
	if err = e.control(unix.EPOLL_CTL_ADD, wakeFD, unix.EPOLLIN|unix.EPOLLET, wakeToken); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *epoll) start() error { return nil }

func (e *epoll) watch(fd int, t token) error {
	return e.control(unix.EPOLL_CTL_ADD, fd, connEvents, t)
}

func (e *epoll) arm(fd int, t token, on bool) error {
	events := uint32(connEvents)
	if on {
		events |= unix.EPOLLOUT
	}
	return e.control(unix.EPOLL_CTL_MOD, fd, events, t)
}

func (e *epoll) watchListener(fd int, t token) error {
	return e.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, t)
}

func (e *epoll) pauseListener(fd int, t token, pause bool) error {
	events := uint32(unix.EPOLLIN)
	if pause {
		events = 0
	}
	return e.control(unix.EPOLL_CTL_MOD, fd, events, t)
}

func (e *epoll) forget(fd int) error {
	return e.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
}

func (e *epoll) control(op, fd int, events uint32, t token) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(uint32(t)), Pad: int32(uint32(t >> 32))}
	if err := unix.EpollCtl(e.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("reactor: epoll_ctl: %w", err)
	}
	return nil
}

func (e *epoll) wait(events []event, timeout time.Duration) (int, error) {
	raw := e.raw[:min(len(e.raw), len(events))]
	wait := epollWait
	if e.holdP && timeout >= 0 && timeout <= shortWait {
		wait = waitShort
	}
	n, err := wait(e.fd, raw, timeout)
	if err != nil {
		if errors.Is(err, syscall.EINTR) {
			return 0, nil
		}
		return 0, fmt.Errorf("reactor: epoll_wait: %w", err)
	}
	filled := 0
	for i := range raw[:n] {
		t := token(uint32(raw[i].Fd)) | token(uint32(raw[i].Pad))<<32
		if t == wakeToken {
			continue
		}
		bits := raw[i].Events
		events[filled] = event{
			token:    t,
			readable: bits&readableEvents != 0,
			writable: bits&unix.EPOLLOUT != 0,
			hangup:   bits&hangupEvents != 0,
		}
		filled++
	}
	return filled, nil
}

// epollWait is epoll_pwait2(2), which takes nanoseconds: with the milliseconds
// of epoll_wait every tick of a 5 ms grid would be up to 1 ms late. It tells
// the scheduler that it blocks. Kernels before 5.11 do not have it.
func epollWait(fd int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	switch {
	case errno == 0:
		return int(n), nil
	case errno != unix.ENOSYS && errno != unix.EPERM:
		return 0, errno
	}
	return epollWaitMillis(fd, events, timeout)
}

// shortWait is the longest wait that keeps the P.
const shortWait = awakeWait

// waitShort is epollWait without telling the scheduler, for the waits from tick
// to tick: leaving and entering it 200 times a second costs more than the sends
// to hundreds of viewers, most of it in the runtime's monitor thread. The P
// that it holds meanwhile is one that GOMAXPROCS has beyond the loops, and the
// signal that asks for it, for the garbage collector say, ends the wait.
func waitShort(fd int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	ts := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch {
	case errno == 0:
		return int(n), nil
	case errno != unix.ENOSYS && errno != unix.EPERM:
		return 0, errno
	}
	return epollWaitMillis(fd, events, timeout)
}

// epollWaitMillis is epollWait for older kernels; it rounds up, for a wait that
// ends too early would be followed by a turn that does nothing.
func epollWaitMillis(fd int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	ms := -1
	if timeout >= 0 {
		ms = int(min((timeout+time.Millisecond-1)/time.Millisecond, 1<<30))
	}
	return unix.EpollWait(fd, events, ms)
}

func (e *epoll) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wakeFD < 0 {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// EAGAIN means that the counter is full: the loop has been woken more often
	// than it can count. Nothing else can fail.
	_, _ = unix.Write(e.wakeFD, one[:])
}

// recv reads with MSG_DONTWAIT, so it cannot block and need not tell the
// scheduler; send likewise.
func (e *epoll) recv(fd int, b []byte) (n int, again bool, err error) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(r), false, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, errno
		}
	}
}

func (e *epoll) send(fd int, b []byte) (int, error) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, errno
		}
	}
}

func (e *epoll) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := errors.Join(unix.Close(e.wakeFD), unix.Close(e.fd))
	e.wakeFD = -1
	return err
}
