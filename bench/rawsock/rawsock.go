// Package rawsock takes sockets out of the Go runtime's poller, for generators
// that drive thousands of them from one thread.
package rawsock

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// drainMax is what one Drain drops at most, in bytes.
const drainMax = 1 << 24

// Take makes c's socket the caller's, non-blocking and close-on-exec, and closes
// c in any case.
func Take(c net.Conn) (fd int, err error) {
	defer c.Close()
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return -1, fmt.Errorf("rawsock: %T is not a TCP connection", c)
	}
	if err = tcp.SetDeadline(time.Time{}); err != nil {
		return -1, fmt.Errorf("rawsock: %w", err)
	}
	f, err := tcp.File()
	if err != nil {
		return -1, fmt.Errorf("rawsock: %w", err)
	}
	fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return -1, fmt.Errorf("rawsock: %w", err)
	}
	if err = unix.SetNonblock(fd, true); err != nil {
		return -1, errors.Join(fmt.Errorf("rawsock: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// Drain drops at most limit bytes of what the socket holds without copying them
// (tcp(7), MSG_TRUNC): 0 at the end of the stream, EAGAIN if there are none.
func Drain(fd int, limit int64) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(min(limit, drainMax)),
			unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// Recv reads without blocking: 0 at the end of the stream, EAGAIN if there is nothing.
func Recv(fd int, b []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err //nolint:wrapcheck // an errno that callers compare
		}
	}
}

// Send gives b to the socket without blocking; n may be short. A full socket is
// no error: n is 0.
func Send(fd int, b []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		case !errors.Is(err, unix.EINTR):
			return 0, fmt.Errorf("rawsock: send: %w", err)
		}
	}
}
