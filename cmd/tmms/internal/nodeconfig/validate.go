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
	if len(c.Cluster.Voters) == 1 && c.Cluster.Voters[0] != c.Node.Name {
		add("cluster.voters", c.Cluster.Voters[0], fmt.Sprintf("the only voter must be this node, %q", c.Node.Name))
	}
	if !c.Node.Has(RoleOrigin) {
		add("node.roles", fmt.Sprint(c.Node.Roles),
			"a node without the origin role needs other nodes, which is not supported in this version")
	}
	if c.Listen.RTMP == "" && c.Listen.HTTP == "" {
		add("listen.rtmp", "", "listen.rtmp and listen.http are both off: the node would do nothing")
	}
	return append(all, c.sameAddress()...)
}

// sameAddress finds listeners that would take each other's port.
func (c *Config) sameAddress() []error {
	type listener struct{ path, addr string }
	listeners := []listener{
		{"listen.rtmp", c.Listen.RTMP}, {"listen.http", c.Listen.HTTP}, {"listen.admin", c.Listen.Admin},
	}
	var all []error
	for n, l := range listeners {
		i := slices.IndexFunc(listeners[:n], func(o listener) bool { return collide(o.addr, l.addr) })
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
