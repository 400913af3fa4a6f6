package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"

	"tmms/bench/shape"
)

// device is a host's way to the switch.
const device = "eth0"

// Network is hosts at a switch. Its methods are for any goroutine.
type Network struct {
	bridge *shape.Namespace
	hosts  map[string]*Host

	mu  sync.Mutex
	cut map[way]bool // guarded by mu
}

// Host is a network namespace at the switch.
type Host struct {
	Name    string
	Address string // IPv4
	space   *shape.Namespace
}

// way is a direction between two hosts.
type way struct{ from, to string }

// NewNetwork makes a switch and hosts of those names, with addresses in that order
// from 10.77.0.1 on. Close removes them, and must be called after a fault too.
func NewNetwork(ctx context.Context, names ...string) (*Network, error) {
	n := &Network{hosts: map[string]*Host{}, cut: map[way]bool{}}
	var err error
	if n.bridge, err = shape.NewNamespace(ctx, "switch"); err != nil {
		return n, err //nolint:wrapcheck // it says where it comes from
	}
	steps := [][]string{
		{"link", "add", "br0", "type", "bridge", "forward_delay", "0"},
		{"link", "set", "br0", "up"},
	}
	for _, step := range steps {
		if err = n.ip(ctx, n.bridge, step...); err != nil {
			return n, err
		}
	}
	for i, name := range names {
		if err = n.add(ctx, name, fmt.Sprintf("10.77.0.%d", i+1)); err != nil {
			return n, err
		}
	}
	return n, n.nft(ctx, rules)
}

// rules drop what goes a way that is cut.
const rules = `table bridge faults {
  set cut { type ifname . ifname; }
  chain forward {
    type filter hook forward priority 0;
    iifname . oifname @cut counter drop
  }
}`

// add makes a host and plugs it in.
func (n *Network) add(ctx context.Context, name, address string) error {
	space, err := shape.NewNamespace(ctx, name)
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	n.hosts[name] = &Host{Name: name, Address: address, space: space}
	for _, step := range []struct {
		in   *shape.Namespace
		args []string
	}{
		{n.bridge, []string{"link", "add", name, "type", "veth", "peer", "name", device, "netns", space.Name()}},
		{n.bridge, []string{"link", "set", name, "master", "br0", "up"}},
		{space, []string{"link", "set", device, "addrgenmode", "none", "up"}},
		{space, []string{"addr", "add", address + "/24", "dev", device}},
	} {
		if err = n.ip(ctx, step.in, step.args...); err != nil {
			return err
		}
	}
	return nil
}

// Close removes all of it. Processes in a host go on in a network without a way out.
func (n *Network) Close() error {
	var errs []error
	for _, h := range n.hosts {
		errs = append(errs, h.space.Close())
	}
	if n.bridge != nil {
		errs = append(errs, n.bridge.Close())
	}
	return errors.Join(errs...)
}

// Host is the one of that name; nil if there is none.
func (n *Network) Host(name string) *Host { return n.hosts[name] }

// Cut stops what goes from some hosts to others, and the other way too if both.
func (n *Network) Cut(ctx context.Context, from, to []string, both bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var fresh []string
	add := func(w way) {
		if w.from != w.to && !n.cut[w] {
			n.cut[w] = true
			fresh = append(fresh, w.from+" . "+w.to)
		}
	}
	for _, a := range from {
		for _, b := range to {
			add(way{a, b})
			if both {
				add(way{b, a})
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return n.nft(ctx, "add element bridge faults cut { "+strings.Join(fresh, ", ")+" }")
}

// Heal opens all ways again.
func (n *Network) Heal(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	return n.nft(ctx, "flush set bridge faults cut")
}

func (n *Network) nft(ctx context.Context, script string) error {
	cmd := n.bridge.Command(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	return said(cmd)
}

func (n *Network) ip(ctx context.Context, in *shape.Namespace, args ...string) error {
	return shape.IP(ctx, append([]string{"-n", in.Name()}, args...)...) //nolint:wrapcheck // it says where it comes from
}

// Dial connects from the host.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.space.Do(func() error {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err //nolint:wrapcheck // net's own
	})
	return c, err //nolint:wrapcheck // net's own
}

// Command is [exec.CommandContext] for a process on the host.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return h.space.Command(ctx, name, args...)
}

// said runs a command; its error has what was printed.
func said(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("faults: %s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
