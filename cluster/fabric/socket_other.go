//go:build !linux

package fabric

import "net"

// socketBuffers is for Linux, where tmms runs.
func socketBuffers(*net.UDPConn) (receive, send int, ok bool) { return 0, 0, false }

// joinPackets is for Linux.
func joinPackets(*net.UDPConn) bool { return false }
