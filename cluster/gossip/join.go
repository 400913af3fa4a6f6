package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	firstBackoff = 250 * time.Millisecond
	maxDoublings = 10
	// maxJoins bounds the members that one round asks.
	maxJoins = 8
)

// joiner looks for members that should be there and are not: those that the
// config names, and those that were there before.
type joiner struct {
	g    *Gossip
	list *memberlist.Memberlist
	self netip.AddrPort // as advertised

	backoff time.Duration // 0 after a round that found somebody, or had nobody to look for
	hurried int           // rounds in a row that could not wait
	joined  bool
	warned  bool
}

func newJoiner(g *Gossip, list *memberlist.Memberlist, self netip.AddrPort) *joiner {
	return &joiner{g: g, list: list, self: self}
}

// hurry makes the next round soon.
func (g *Gossip) hurry() {
	select {
	case g.urgent <- struct{}{}:
	default:
	}
}

// run goes round after round until ctx ends.
func (j *joiner) run(ctx context.Context) {
	for more := true; more; more = j.wait(ctx) {
		j.round(ctx)
	}
}

// wait waits for the next round; it reports whether there is one. A round that is
// due at once is kept apart from others like it ever more.
func (j *joiner) wait(ctx context.Context) bool {
	timer := time.NewTimer(j.pause())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		j.hurried = 0
		return true
	case <-j.g.urgent:
	}
	timer.Reset(jitter(min(firstBackoff<<min(j.hurried, maxDoublings), j.g.pace.maxBackoff)))
	j.hurried++
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// pause is the time to the next round.
func (j *joiner) pause() time.Duration {
	if j.backoff == 0 {
		return jitter(j.g.pace.rejoin)
	}
	return jitter(j.backoff)
}

// jitter spreads d by a quarter up and down.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}

// round asks everybody who is missing, and says so once.
func (j *joiner) round(ctx context.Context) {
	missing, err := j.missing(ctx)
	joined := 0
	for _, addr := range missing {
		if ctx.Err() != nil {
			return
		}
		n, failure := j.list.Join([]string{addr.String()})
		joined += n
		if failure != nil {
			err = errors.Join(err, failure)
		}
	}
	j.conclude(ctx, joined, err)
}

// conclude logs the changes between lonely and joined, and sets the pace.
func (j *joiner) conclude(ctx context.Context, joined int, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case joined > 0 && !j.joined:
		j.joined = true
		j.g.log.Info("joined the cluster", slog.Int("members", j.list.NumMembers()))
	case err != nil && !j.joined && !j.warned:
		j.warned = true
		j.g.log.Warn("no member of the cluster answers yet, trying on", slog.Any("err", err))
	case err != nil:
		j.g.log.Debug("members were not found", slog.Any("err", err))
	}
	if err == nil || joined > 0 {
		j.backoff = 0
		return
	}
	j.backoff = min(max(2*j.backoff, firstBackoff), j.g.pace.maxBackoff)
}

// missing gives the addresses to ask in this round: those of the config that no
// living member has, one of a member that died, and, while this node's name is
// known at another address, one of a living one to hear what it thinks.
func (j *joiner) missing(ctx context.Context) ([]netip.AddrPort, error) {
	alive, dead, living := make(map[netip.AddrPort]bool), []netip.AddrPort{}, []netip.AddrPort{}
	now := time.Now()
	for _, m := range j.g.roster.list(now) {
		switch {
		case !m.State.Gone():
			alive[m.Addr] = true
			if m.Name != j.g.self.Name {
				living = append(living, m.Addr)
			}
		case m.State == StateDead && now.Sub(m.Since) < reconnectFor:
			dead = append(dead, m.Addr)
		}
	}
	alive[j.self] = true
	wanted, err := j.seeds(ctx)
	if len(dead) > 0 {
		wanted = append(wanted, dead[rand.N(len(dead))])
	}
	ask := make([]netip.AddrPort, 0, len(wanted)+1)
	for _, a := range wanted {
		if !alive[a] && len(ask) < maxJoins {
			alive[a] = true
			ask = append(ask, a)
		}
	}
	if j.g.contested.Swap(false) && len(living) > 0 {
		ask = append(ask, living[rand.N(len(living))])
	}
	return ask, err
}

// seeds are the members that the config names, looked up, in random order.
func (j *joiner) seeds(ctx context.Context) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	var faults []error
	for _, i := range rand.Perm(len(j.g.cfg.Join)) {
		addrs, err := resolve(ctx, j.g.cfg.Join[i])
		found = append(found, addrs...)
		if err != nil {
			faults = append(faults, err)
		}
	}
	return found, errors.Join(faults...)
}

// lookupTimeout bounds one name's look-up.
const lookupTimeout = 5 * time.Second

// resolve looks HOST:PORT up.
func resolve(ctx context.Context, hostPort string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return addrs, nil
}

// advertised is the address that others are told. A name that is not known yet
// is looked up until ctx ends.
func (g *Gossip) advertised(ctx context.Context) (netip.AddrPort, error) {
	if g.cfg.Advertise == "" {
		return Reachable(g.transport.bound())
	}
	for wait := firstBackoff; ; wait = min(2*wait, g.pace.maxBackoff) {
		addrs, err := resolve(ctx, g.cfg.Advertise)
		if err == nil && len(addrs) > 0 {
			return prefer(addrs, g.transport.bound().Addr()), nil
		}
		if wait == firstBackoff {
			g.log.Warn("the advertised address of the gossip is not known yet, trying on",
				slog.String("addr", g.cfg.Advertise), slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return netip.AddrPort{}, ctx.Err()
		case <-time.After(jitter(wait)):
		}
	}
}

// prefer takes the address that was bound, else an IPv4 one, else the first.
func prefer(addrs []netip.AddrPort, bound netip.Addr) netip.AddrPort {
	best := addrs[0]
	for _, a := range addrs {
		switch {
		case a.Addr() == bound:
			return a
		case a.Addr().Is4() && !best.Addr().Is4():
			best = a
		}
	}
	return best
}

// Reachable gives an address of this machine for one that stands for all of them,
// a private IPv4 one if there is one; another address it gives back.
func Reachable(bound netip.AddrPort) (netip.AddrPort, error) {
	if !bound.Addr().IsUnspecified() {
		return bound, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("gossip: addresses of this machine: %w", err)
	}
	if ip, ok := choose(addrs, bound.Addr().Is4()); ok {
		return netip.AddrPortFrom(ip, bound.Port()), nil
	}
	return netip.AddrPort{}, fmt.Errorf("gossip: listening on %s and no address of this machine is one that others "+
		"could use: say which to advertise", bound)
}

// choose takes a private IPv4 address, else any of IPv4, else one of IPv6.
func choose(addrs []net.Addr, only4 bool) (best netip.Addr, ok bool) {
	rank := 0
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip, r := prefix.Addr().Unmap(), 0
		switch {
		case !ip.IsGlobalUnicast(), only4 && !ip.Is4():
		case ip.Is4() && ip.IsPrivate():
			r = 3
		case ip.Is4():
			r = 2
		default:
			r = 1
		}
		if r > rank {
			best, rank = ip, r
		}
	}
	return best, rank > 0
}
