package nodeconfig

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// faults checks what a single key cannot know.
func (c *Config) faults() []error {
	var all []error
	add := func(path, value, rule string) {
		all = append(all, FaultError{Path: path, Value: show(value), Rule: rule})
	}
	if c.Listen.Admin != "" && c.Admin.TokensFile == "" && !loopback(c.Listen.Admin) {
		add("listen.admin", c.Listen.Admin,
			"without admin.tokens_file only a loopback address such as 127.0.0.1:8090 is allowed")
	}
	if !c.Node.Has(RoleOrigin) && !c.Cluster.Enabled() {
		add("node.roles", fmt.Sprint(c.Node.Roles),
			"a node without the origin role needs other nodes: set cluster.voters or cluster.join")
	}
	if c.Listen.RTMP == "" && c.Listen.HTTP == "" && c.Listen.RTMPS == "" && c.Listen.HTTPS == "" {
		add("listen.rtmp", "",
			"listen.rtmp, listen.rtmps, listen.http and listen.https are all off: the node would do nothing")
	}
	all = append(all, c.tlsFaults()...)
	if c.Cluster.Enabled() {
		all = append(all, c.clusterFaults()...)
	}
	return append(all, c.sameAddress()...)
}

// sameAddress finds listeners that would take each other's port.
func (c *Config) sameAddress() []error {
	type listener struct {
		path, addr string
		tcp, udp   bool
	}
	listeners := []listener{
		{"listen.rtmp", c.Listen.RTMP, true, false},
		{"listen.rtmps", c.Listen.RTMPS, true, false},
		{"listen.http", c.Listen.HTTP, true, false},
		{"listen.https", c.Listen.HTTPS, true, false},
		{"listen.admin", c.Listen.Admin, true, false},
	}
	if c.Cluster.Enabled() {
		listeners = append(listeners,
			listener{"listen.fabric", c.Listen.Fabric, false, true}, listener{"listen.gossip", c.Listen.Gossip, true, true})
	}
	var all []error
	for n, l := range listeners {
		i := slices.IndexFunc(listeners[:n], func(o listener) bool {
			return (o.tcp && l.tcp || o.udp && l.udp) && collide(o.addr, l.addr)
		})
		if i >= 0 {
			all = append(all, FaultError{Path: l.path, Value: show(l.addr), Rule: "is the same port as " + listeners[i].path})
		}
	}
	return all
}

func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || anyAddress(hostA) || anyAddress(hostB)
}

func anyAddress(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
