package fabric

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"tmms/media"
)

// gate bounds the handshakes in flight, so that a flood of them costs neither
// memory nor the sessions that are there.
type gate struct {
	mu    sync.Mutex
	all   int                // guarded by mu
	perIP map[netip.Addr]int // guarded by mu; no zeros
}

func newGate() *gate { return &gate{perIP: make(map[netip.Addr]int)} }

// leaveKey finds in a connection's context what to call when its handshake is over.
type leaveKey struct{}

// verifySource reports whether a stranger has to show first that it gets
// packets at its address: asked for once many are at it, for it costs a round trip.
func (g *gate) verifySource(net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all >= media.MaxFabricUnverified
}

// connContext counts a handshake until handshakeDone or its failure.
func (g *gate) connContext(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	ip := household(addrPort(info.RemoteAddr).Addr())
	if err := g.enter(ip); err != nil {
		return nil, err
	}
	leave := sync.OnceFunc(func() { g.leave(ip) })
	context.AfterFunc(ctx, leave)
	return context.WithValue(ctx, leaveKey{}, leave), nil
}

// household is what counts as one address: an IPv6 host has the whole /64.
func household(ip netip.Addr) netip.Addr {
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return ip
}

// handshakeDone takes the context of a connection whose handshake is complete.
func handshakeDone(ctx context.Context) {
	if leave, ok := ctx.Value(leaveKey{}).(func()); ok {
		leave()
	}
}

func (g *gate) enter(ip netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= media.MaxFabricHandshakes {
		return fmt.Errorf("fabric: %d handshakes in flight, limit %d", g.all, media.MaxFabricHandshakes)
	}
	if g.perIP[ip] >= media.MaxFabricHandshakesPerIP {
		return fmt.Errorf("fabric: %d handshakes of %s in flight, limit %d", g.perIP[ip], ip, media.MaxFabricHandshakesPerIP)
	}
	g.all++
	g.perIP[ip]++
	return nil
}

func (g *gate) leave(ip netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.perIP[ip]--; g.perIP[ip] == 0 {
		delete(g.perIP, ip)
	}
}
