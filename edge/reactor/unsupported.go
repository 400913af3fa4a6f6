//go:build !linux

package reactor

import (
	"net"
	"net/netip"
	"time"
)

// What socket_linux.go and epoll_linux.go have, for systems without an engine:
// New refuses by supported, so none of the others is ever called.

func supported() error { return ErrUnsupportedOS }

func newEpoll(int, int) (engine, error) { return nil, ErrUnsupportedOS }

func newURing(int, int) (engine, error) { return nil, ErrUnsupportedOS }

func listenAll(string, int) ([]int, netip.AddrPort, error) {
	return nil, netip.AddrPort{}, ErrUnsupportedOS
}

type acceptOutcome uint8

const (
	acceptOK acceptOutcome = iota
	acceptEmpty
	acceptAborted
	acceptNoFiles
	acceptFailed
)

func acceptSocket(int) (fresh, acceptOutcome, error) {
	return fresh{}, acceptFailed, ErrUnsupportedOS
}

func openReserve() (int, error) { return -1, ErrUnsupportedOS }

func threadID() int { return 0 }

func threadCPU(int) time.Duration { return 0 }

func closeSocket(int) {}

func closeAll([]int) {}

func dupSocket(*net.TCPConn) (int, error) { return -1, ErrUnsupportedOS }

func resetOnClose(int) {}

func sendFile(int, int, int64, int) (int, error) { return 0, ErrUnsupportedOS }

func shutdownWrite(int) error { return ErrUnsupportedOS }

func setNotSentLowat(int, int) error { return ErrUnsupportedOS }

func setCongestion(int, string) error { return ErrUnsupportedOS }

func unsentBytes(int) (int, error) { return 0, ErrUnsupportedOS }

func socketError(int) error { return ErrUnsupportedOS }

func localAddr(int) (netip.AddrPort, error) { return netip.AddrPort{}, ErrUnsupportedOS }
