package fabric

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// joinPackets asks the kernel to join packets; false: it does not (before Linux 5.0).
func joinPackets(socket *net.UDPConn) bool {
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var errSet error
	err = raw.Control(func(fd uintptr) {
		errSet = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
	return err == nil && errSet == nil
}

// socketBuffers gives the sizes of the kernel's buffers, in bytes.
func socketBuffers(socket *net.UDPConn) (receive, send int, ok bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var errReceive, errSend error
	err = raw.Control(func(fd uintptr) {
		receive, errReceive = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		send, errSend = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	})
	return receive, send, err == nil && errReceive == nil && errSend == nil
}
