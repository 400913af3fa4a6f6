package fabric

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// resolve gives the address to dial: of those that the name has and that the
// socket can reach, another with each attempt.
func resolve(ctx context.Context, local netip.Addr, addr string, attempt int) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: want HOST:PORT", addr)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q: port %q, want 1 to 65535", addr, portText)
	}
	all, err := lookup(ctx, host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: %w", addr, err)
	}
	reachable := all[:0]
	for _, ip := range all {
		if ip = ip.Unmap(); local.IsUnspecified() && local.Is6() || ip.Is4() == local.Is4() {
			reachable = append(reachable, ip)
		}
	}
	if len(reachable) == 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q: not reachable from %s, another IP version", addr, local)
	}
	return netip.AddrPortFrom(reachable[attempt%len(reachable)], uint16(port)), nil
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
