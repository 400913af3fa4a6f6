package fabric

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
)

// socketBuffer is what quic-go asks the kernel for, each way, in bytes.
const socketBuffer = 7 << 20

// openSocket binds the UDP port.
func openSocket(listen string) (*net.UDPConn, error) {
	addr, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return nil, fmt.Errorf("fabric: listen %q: %w", listen, err)
	}
	// quic-go would print to the standard logger what logBuffers says.
	if err = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", strconv.FormatBool(true)); err != nil {
		return nil, fmt.Errorf("fabric: quiet quic-go: %w", err)
	}
	socket, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("fabric: %w", err)
	}
	return socket, nil
}

// logBuffers says once if the kernel gave less than was asked for: bursts then
// cost packets.
func logBuffers(log *slog.Logger, socket *net.UDPConn) {
	receive, send, ok := socketBuffers(socket)
	if !ok || receive >= socketBuffer && send >= socketBuffer {
		return
	}
	log.Info("fabric: small UDP buffers; net.core.rmem_max and wmem_max limit them",
		slog.Int("receive_bytes", receive), slog.Int("send_bytes", send), slog.Int("want_bytes", socketBuffer))
}

// addrPort converts a UDP address; an IPv4 address is one, also on a socket for both.
func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := u.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
