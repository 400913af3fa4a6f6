package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"tmms/bench/shape"
)

// Detour is a link of bench/shape that two nodes use in place of the switch.
type Detour struct {
	network *Network
	a, b    *Node
	link    *shape.Process
}

// Detour puts a link with some parameters, the same both ways, between two nodes,
// which have no other one between them. Close takes it away; it ends with ctx at the
// latest. Of a seed come the losses.
func (c *Cluster) Detour(ctx context.Context, a, b *Node, params string, seed uint64) (*Detour, error) {
	d := &Detour{network: c.Network, a: a, b: b}
	cfg := shape.Config{AtoB: shape.DefaultParams(), BtoA: shape.DefaultParams(), Seed: seed}
	if err := errors.Join(cfg.AtoB.Set(params), cfg.BtoA.Set(params)); err != nil {
		return nil, err
	}
	const mostHosts = 64 // their numbers times four are a byte
	one, other := netip.MustParseAddr(a.Address).As4()[3], netip.MustParseAddr(b.Address).As4()[3]
	if max(one, other) >= mostHosts {
		return nil, fmt.Errorf("faults: a link between hosts %d and %d of at most %d", one, other, mostHosts-1)
	}
	device := fmt.Sprintf("link%d-%d", one, other)
	for i, end := range []*shape.End{&cfg.A, &cfg.B} {
		n := []*Node{a, b}[i]
		address := netip.AddrFrom4([4]byte{10, 78, one, other<<2 | byte(i+1)})
		*end = shape.End{
			Namespace: n.space.Name(), Device: device, Addresses: []netip.Prefix{netip.PrefixFrom(address, 30)},
		}
	}
	var err error
	if d.link, err = shape.StartProcess(ctx, c.bench, cfg); err != nil {
		return nil, err //nolint:wrapcheck // it says where it comes from
	}
	for _, to := range []struct{ here, there *Node }{{a, b}, {b, a}} {
		route := []string{"route", "add", to.there.Address + "/32", "dev", device, "src", to.here.Address}
		if err = c.Network.ip(ctx, to.here.space, route...); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

// detours puts links that lose 5 % and take 50 ms between an edge and each origin;
// after an error too those that are there are to be closed.
func (s *suite) detours(ctx context.Context, edge *Node) (ways []*Detour, err error) {
	for _, o := range s.Origins() {
		d, err := s.Detour(ctx, o, edge, fmt.Sprintf("delay %s loss 5%% rate 100M queue 1000", lossRTT/2), s.Seed)
		if err != nil {
			return ways, err
		}
		ways = append(ways, d)
	}
	return ways, nil
}

func closeAll(ways []*Detour) (err error) {
	for _, d := range ways {
		err = errors.Join(err, d.Close())
	}
	return err
}

// Close takes the link away; the routes go with its devices.
func (d *Detour) Close() error {
	_, err := d.link.Stop()
	return err //nolint:wrapcheck // it says where it comes from
}

// bit tells whether something was lost on the link.
func (d *Detour) bit() error {
	status, err := d.link.Do("")
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	if c := status.Counters; c[shape.AtoB].Lost+c[shape.BtoA].Lost == 0 {
		return fmt.Errorf("faults: the link between %s and %s has lost nothing: %+v", d.a.Name, d.b.Name, c)
	}
	return nil
}
