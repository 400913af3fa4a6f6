package node

import (
	"errors"
	"net"
	"net/netip"

	"tmms/cluster/gossip"
	"tmms/edge/reactor"
)

// Addresses are what a node has bound; nil is off.
type Addresses struct {
	RTMP, RTMPS, HTTP, HTTPS, Admin, Fabric net.Addr
}

// Addresses are those of the node's ports.
func (n *Node) Addresses() Addresses { return n.bound }

// advertised are the addresses that the cluster is told.
func (n *Node) advertised() map[string]string {
	all := make(map[string]string)
	for name, a := range map[string]struct {
		bound net.Addr
		said  string
	}{
		"rtmp":   {n.bound.RTMP, n.cfg.Advertise.RTMP},
		"rtmps":  {n.bound.RTMPS, n.cfg.Advertise.RTMPS},
		"http":   {n.bound.HTTP, n.cfg.Advertise.HTTP},
		"https":  {n.bound.HTTPS, n.cfg.Advertise.HTTPS},
		"admin":  {n.bound.Admin, ""},
		"fabric": {n.bound.Fabric, n.cfg.Advertise.Fabric},
	} {
		switch {
		case a.said != "":
			all[name] = a.said
		case a.bound != nil:
			all[name] = n.reachable(a.bound)
		}
	}
	return all
}

// reachable is a bound address as others may dial it: in a cluster, one of this
// machine for one that stands for all of them.
func (n *Node) reachable(bound net.Addr) string {
	at, err := netip.ParseAddrPort(bound.String())
	if err != nil || n.alone() {
		return bound.String()
	}
	if at, err = gossip.Reachable(at); err != nil {
		return bound.String()
	}
	return at.String()
}

// closePorts frees the viewers' and publishers' ports when nothing will serve them.
func (n *Node) closePorts() error {
	var faults []error
	if n.edge != nil {
		faults = append(faults, n.edge.Close())
	}
	for _, ln := range n.listeners {
		faults = append(faults, ln.Close())
	}
	if r := n.sockets.reactor; r != nil {
		if err := r.Close(); !errors.Is(err, reactor.ErrStarted) {
			faults = append(faults, err)
		}
	}
	if b := n.backbone; b.gossip != nil {
		faults = append(faults, b.gossip.Close())
	}
	if b := n.backbone; b.fabric != nil {
		faults = append(faults, b.fabric.Close())
	}
	return errors.Join(faults...)
}

// addr is a netip address as package net has it.
func addr(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }
