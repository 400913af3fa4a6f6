package ingest

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// source reads a socket without telling Go's scheduler: the read does not block, but
// a system call that is announced wakes the runtime's monitor thread where all else
// is idle, which then looks around every 20 us for a while. That was a third of what
// a stream cost that nobody watches. It belongs to the connection's goroutine.
type source struct {
	raw   syscall.RawConn
	into  []byte // valid while read runs
	n     int
	errno syscall.Errno
	try   func(fd uintptr) (done bool) // once, a method value would be made anew for each read
}

// newSource gives the source of c; nil: it is no plain TCP socket.
func newSource(c net.Conn) *source {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	s := &source{raw: raw}
	s.try = s.receive
	return s
}

// read is the connection's Read: it waits as long as its deadline allows.
func (s *source) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s.into = b
	err := s.raw.Read(s.try)
	s.into = nil
	switch {
	case err != nil:
		return 0, err //nolint:wrapcheck // the caller does, as of any Read
	case s.errno != 0:
		return 0, os.NewSyscallError("recv", s.errno)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// receive reads what is there; !done: nothing yet.
func (s *source) receive(fd uintptr) (done bool) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.into))),
			uintptr(len(s.into)), syscall.MSG_DONTWAIT, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		s.n, s.errno = int(n), errno
		return errno != syscall.EAGAIN
	}
}
