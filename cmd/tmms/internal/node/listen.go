package node

import (
	"errors"
	"net"
)

// Addresses are what a node has bound; nil is off.
type Addresses struct {
	RTMP, HTTP, Admin net.Addr
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
		"rtmp":  {n.bound.RTMP, n.cfg.Advertise.RTMP},
		"http":  {n.bound.HTTP, n.cfg.Advertise.HTTP},
		"admin": {n.bound.Admin, ""},
	} {
		switch {
		case a.said != "":
			all[name] = a.said
		case a.bound != nil:
			all[name] = a.bound.String()
		}
	}
	return all
}

// closePorts frees the viewers' and publishers' ports when nothing will serve them.
func (n *Node) closePorts() error {
	var faults []error
	if n.edge != nil {
		faults = append(faults, n.edge.Close())
	}
	if n.listener != nil {
		faults = append(faults, n.listener.Close())
	}
	return errors.Join(faults...)
}
