package reactor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// supported tells whether this system has an engine.
func supported() error { return nil }

// listenAll opens n listeners on one address, each with SO_REUSEPORT; port 0
// picks one port for all. An empty host means every IPv4 and IPv6 address, or
// only IPv4 where the system has no IPv6.
func listenAll(addr string, n int) (fds []int, bound netip.AddrPort, err error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err == nil && addr == "" { // which net takes for any port
		err = errors.New("address is empty")
	}
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("reactor: listen %s: %w", addr, err)
	}
	e, err := endpointOf(tcp)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("reactor: listen %s: %w", addr, err)
	}
	err = e.orIPv4(func(e endpoint) error {
		fds, bound, err = e.listen(n)
		return err
	})
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("reactor: listen %s: %w", addr, err)
	}
	return fds, bound, nil
}

// endpoint is what a listener binds to.
type endpoint struct {
	family int // AF_INET or AF_INET6
	ip     [16]byte
	zone   uint32
	port   int
	dual   bool // IPv6 socket that takes IPv4 too
}

func endpointOf(a *net.TCPAddr) (endpoint, error) {
	e := endpoint{family: unix.AF_INET6, port: a.Port}
	if len(a.IP) == 0 || a.IP.Equal(net.IPv6unspecified) {
		e.dual = true
		return e, nil
	}
	if v4 := a.IP.To4(); v4 != nil {
		e.family = unix.AF_INET
		copy(e.ip[:], v4)
		return e, nil
	}
	copy(e.ip[:], a.IP.To16())
	if a.Zone == "" {
		return e, nil
	}
	ifi, err := net.InterfaceByName(a.Zone)
	if err == nil {
		e.zone = uint32(ifi.Index)
		return e, nil
	}
	index, perr := strconv.ParseUint(a.Zone, 10, 32)
	if perr != nil {
		return e, fmt.Errorf("zone %q: %w", a.Zone, err)
	}
	e.zone = uint32(index)
	return e, nil
}

// orIPv4 tries listen once more with IPv4 alone if e is for every address and
// the system has no IPv6.
func (e endpoint) orIPv4(listen func(endpoint) error) error {
	err := listen(e)
	if e.dual && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
		return listen(endpoint{family: unix.AF_INET, port: e.port})
	}
	return err
}

func (e endpoint) sockaddr() unix.Sockaddr {
	if e.family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: e.port, Addr: [4]byte(e.ip[:4])}
	}
	return &unix.SockaddrInet6{Port: e.port, Addr: e.ip, ZoneId: e.zone}
}

func (e endpoint) listen(n int) (fds []int, bound netip.AddrPort, err error) {
	if err = e.probe(); err != nil {
		return nil, bound, err
	}
	for range n {
		fd, lerr := e.open(true)
		if lerr == nil {
			fds = append(fds, fd)
			lerr = unix.Listen(fd, unix.SOMAXCONN)
		}
		if lerr == nil {
			bound, lerr = localAddr(fd)
		}
		if lerr != nil {
			closeAll(fds)
			return nil, netip.AddrPort{}, lerr
		}
		e.port = int(bound.Port())
	}
	return fds, bound, nil
}

// probe finds out whether another process listens there: a bind with
// SO_REUSEPORT succeeds beside another one of the same user, and the kernel
// would share the connections out between two servers. Two processes that start
// in the same instant can still slip through.
func (e endpoint) probe() error {
	if e.port == 0 {
		return nil
	}
	fd, err := e.open(false)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// open makes a bound socket.
func (e endpoint) open(reusePort bool) (int, error) {
	fd, err := unix.Socket(e.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err = e.bind(fd, reusePort); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func (e endpoint) bind(fd int, reusePort bool) error {
	if e.family == unix.AF_INET6 {
		only := 1
		if e.dual {
			only = 0
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return fmt.Errorf("setsockopt IPV6_V6ONLY: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("setsockopt SO_REUSEADDR: %w", err)
	}
	if reusePort {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("setsockopt SO_REUSEPORT: %w", err)
		}
	}
	if err := unix.Bind(fd, e.sockaddr()); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// acceptOutcome is what accept found.
type acceptOutcome uint8

const (
	acceptOK      acceptOutcome = iota
	acceptEmpty                 // nobody waits
	acceptAborted               // this peer is gone, try the next
	acceptNoFiles               // the process or the system is out of descriptors or memory
	acceptFailed
)

// acceptSocket takes the next connection of a listener: non-blocking, close on
// exec, TCP_NODELAY.
func acceptSocket(listener int) (f fresh, out acceptOutcome, err error) {
	var peer unix.RawSockaddrInet6 // as large as any address of TCP
	size := uint32(unsafe.Sizeof(peer))
	// Listeners don't block, so the scheduler need not be told; and what
	// unix.Accept4 makes of the address would be garbage at once.
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&peer)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	switch errno {
	case 0:
		f.fd = int32(fd)
		f.remoteIP, f.remotePort = peerAddr(&peer)
		// A connection that is reset already refuses the option; reading tells.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		return f, acceptOK, nil
	case unix.EAGAIN:
		return f, acceptEmpty, nil
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		return f, acceptNoFiles, errno
	case unix.EBADF, unix.EINVAL, unix.ENOTSOCK:
		return f, acceptFailed, errno
	default: // an error of this one connection (accept(2), "Error handling")
		return f, acceptAborted, errno
	}
}

// peerAddr reads what accept4(2) has written: an IPv4 address as ::ffff:a.b.c.d.
func peerAddr(a *unix.RawSockaddrInet6) (ip [16]byte, port uint16) {
	if a.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrFrom4(v4.Addr).As16(), networkOrder(v4.Port)
	}
	return a.Addr, networkOrder(a.Port)
}

// networkOrder turns a 16-bit number of the network into one of this machine.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}

// openReserve opens a descriptor that accept can give up when there is no other.
func openReserve() (int, error) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("reactor: reserve: open /dev/null: %w", err)
	}
	return fd, nil
}

// closeSocket closes; after EINTR the descriptor is closed all the same.
func closeSocket(fd int) { _ = unix.Close(fd) }

func closeAll(fds []int) {
	for _, fd := range fds {
		closeSocket(fd)
	}
}

// dupSocket gives another descriptor of a connection's socket.
func dupSocket(c *net.TCPConn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	outside := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(outside, err)
}

// resetOnClose makes close send RST and drop what the socket holds (socket(7),
// SO_LINGER). It cannot fail on a TCP socket.
func resetOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// shutdownWrite sends FIN after what the socket holds.
func shutdownWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// sendFile sends without blocking, until the socket says that it is full: a send
// of a file is also cut short by a signal, of which the runtime has many, and no
// writable event would follow.
func sendFile(socket, file int, off int64, n int) (sent int, err error) {
	for sent < n {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(socket), uintptr(file),
			uintptr(unsafe.Pointer(&off)), uintptr(n-sent), 0, 0) // moves off
		switch {
		case errno == 0 && r > 0:
			sent += int(r)
		case errno == 0:
			return 0, io.ErrUnexpectedEOF
		case errno == unix.EAGAIN:
			return sent, nil
		case errno != unix.EINTR:
			return 0, errno
		}
	}
	return sent, nil
}

// setNotSentLowat bounds the bytes that a socket holds unsent.
func setNotSentLowat(fd, n int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
}

// setCongestion chooses the congestion control of a socket by name.
func setCongestion(fd int, name string) error {
	return unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
}

// unsentBytes counts what the peer has not acknowledged yet.
func unsentBytes(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) }

// socketError takes the pending error of a socket.
func socketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	return unix.Errno(n)
}

func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", err)
	}
	return addrPort(sa), nil
}

// addrPort converts; an IPv4 address that an IPv6 socket sees becomes plain IPv4.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
