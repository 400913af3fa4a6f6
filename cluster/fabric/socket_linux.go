package fabric

import (
	"net"
	"syscall"
)

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
