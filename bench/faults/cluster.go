package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// World is the host of publishers and viewers.
const World = "world"

// Cluster is three origins and three edges in two regions.
type Cluster struct {
	Network *Network

	program string // tmms
	bench   string // tmms-bench, for links
	dir     string
	nodes   []*Node
}

// plan says where the nodes stand and what they keep their state on.
func plan() []*Node {
	return []*Node{
		{Name: "o1", Role: "origin", Region: "eu", Zone: "a", disk: diskSmall},
		{Name: "o2", Role: "origin", Region: "eu", Zone: "b", disk: diskFrozen},
		{Name: "o3", Role: "origin", Region: "us", Zone: "a"},
		{Name: "e1", Role: "edge", Region: "eu", Zone: "a"},
		{Name: "e2", Role: "edge", Region: "eu", Zone: "b"},
		{Name: "e3", Role: "edge", Region: "us", Zone: "a"},
	}
}

// Start starts a cluster of the program tmms, with all its files in dir, and waits
// until it serves. tmms-bench is for the links. Stop must be called after a fault
// too.
func Start(ctx context.Context, program, bench, dir string) (*Cluster, error) {
	c := &Cluster{program: program, bench: bench, dir: dir, nodes: plan()}
	names := make([]string, 0, len(c.nodes)+1)
	for _, n := range c.nodes {
		names = append(names, n.Name)
	}
	var err error
	if c.Network, err = NewNetwork(ctx, append(names, World)...); err != nil {
		return c, err
	}
	if err = c.tmms(ctx, "cert", "init", "--dir", dir); err != nil {
		return c, err
	}
	for _, n := range c.nodes {
		if err = c.prepare(ctx, n); err != nil {
			return c, err
		}
	}
	for _, n := range c.nodes {
		if err = n.start(program); err != nil {
			return c, err
		}
	}
	for _, n := range c.nodes {
		if err = c.ready(ctx, n); err != nil {
			return c, err
		}
	}
	return c, c.settle(ctx)
}

// config is a node's.
const config = `node: {name: %[1]s, roles: [%[2]s], region: %[3]s, zone: %[4]s, data_dir: %[5]q}
listen: {rtmp: "%[6]s:1935", http: "%[7]s", fabric: "%[6]s:7400", gossip: "%[6]s:7946", admin: "127.0.0.1:8090"}
cluster:
  voters: [%[8]s]
  join: [%[9]s]
  ca_file: %[10]s/ca.crt
  cert_file: %[10]s/%[1]s.crt
  key_file: %[10]s/%[1]s.key
  gossip_key_file: %[10]s/%[1]s.gossip
edge: {loops: 1}
`

// prepare writes a node's files.
func (c *Cluster) prepare(ctx context.Context, n *Node) error {
	n.Host, n.dir, n.log = c.Network.Host(n.Name), c.dir, filepath.Join(c.dir, n.Name+".log")
	n.client = n.newClient()
	if err := c.tmms(ctx, "cert", "node", n.Name, "--roles", n.Role, "--dir", c.dir); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(c.dir, "gossip.key"))
	if err == nil {
		err = os.WriteFile(n.path("gossip"), key, 0o600)
	}
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	var voters, join []string
	for _, o := range c.Origins() {
		address := c.Network.Host(o.Name).Address
		voters, join = append(voters, o.Name+"@"+address+":7400"), append(join, address+":7946")
	}
	web := ""
	if n.Role == "edge" {
		web = n.Address + ":8080"
	}
	text := fmt.Sprintf(config, n.Name, n.Role, n.Region, n.Zone, n.dataDir(), n.Address, web,
		strings.Join(voters, ", "), strings.Join(join, ", "), c.dir)
	if err = os.WriteFile(n.path("yaml"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return n.mount(ctx)
}

// tmms runs a command of the program that needs no network.
func (c *Cluster) tmms(ctx context.Context, args ...string) error {
	return said(exec.CommandContext(ctx, c.program, args...))
}

// Stop ends all nodes and removes the networks and disks; it says what went wrong,
// and what the nodes' logs have that must not be there.
func (c *Cluster) Stop() error {
	var mu sync.Mutex
	var errs []error
	var ending sync.WaitGroup
	for _, n := range c.nodes {
		if n.process == nil {
			continue
		}
		ending.Go(func() {
			err := n.end()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	ending.Wait()
	for _, n := range c.nodes {
		if n.Host != nil {
			n.client.CloseIdleConnections()
			errs = append(errs, n.unmount())
		}
	}
	errs = append(errs, c.badLogs())
	if c.Network != nil {
		errs = append(errs, c.Network.Close())
	}
	return errors.Join(errs...)
}

// badLogs says which node has panicked or found a race.
func (c *Cluster) badLogs() error {
	for _, n := range c.nodes {
		b, err := os.ReadFile(n.log)
		if err != nil {
			continue // it was not started
		}
		for _, bad := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if i := strings.Index(string(b), bad); i >= 0 {
				return fmt.Errorf("faults: %s printed %s", n.Name, b[i:min(len(b), i+3000)])
			}
		}
	}
	return nil
}

// Logs writes the end of what each node has said.
func (c *Cluster) Logs(to io.Writer) {
	const tail = 4000
	for _, n := range c.nodes {
		b, err := os.ReadFile(n.log)
		if err != nil {
			continue
		}
		fmt.Fprintf(to, "--- %s\n%s", n.Name, b[max(0, len(b)-tail):])
	}
}

// Origins are those of the nodes.
func (c *Cluster) Origins() []*Node { return c.role("origin") }

// Edges are those of the nodes.
func (c *Cluster) Edges() []*Node { return c.role("edge") }

func (c *Cluster) role(role string) (list []*Node) {
	for _, n := range c.nodes {
		if n.Role == role {
			list = append(list, n)
		}
	}
	return list
}

// Node is the one of that name; nil if there is none.
func (c *Cluster) Node(name string) *Node {
	i := slices.IndexFunc(c.nodes, func(n *Node) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return c.nodes[i]
}

// others are the names of all nodes but those.
func (c *Cluster) others(but ...string) (names []string) {
	for _, n := range c.nodes {
		if !slices.Contains(but, n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

// Restart starts a node that has ended, and waits until it serves.
func (c *Cluster) Restart(ctx context.Context, n *Node) error {
	if err := n.start(c.program); err != nil {
		return err
	}
	return c.ready(ctx, n)
}

// startTimeout bounds a node's start.
const startTimeout = time.Minute

func (c *Cluster) ready(ctx context.Context, n *Node) error {
	return c.until(ctx, startTimeout, n.Name+" is ready", func() bool { return n.ready(ctx) })
}

// settle waits until all nodes serve, see each other, and know one leader.
func (c *Cluster) settle(ctx context.Context) error {
	return c.until(ctx, startTimeout, "all nodes know each other and a leader", func() bool {
		for _, n := range c.nodes {
			if !n.ready(ctx) || !n.sees(ctx, len(c.nodes)) {
				return false
			}
		}
		_, ok := c.Leader(ctx)
		return ok
	})
}

// pollEvery is how often conditions are looked at.
const pollEvery = 50 * time.Millisecond

// until polls until ok says yes.
func (c *Cluster) until(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !ok() {
		for _, n := range c.nodes {
			if n.process != nil && n.there() && !n.running() {
				return fmt.Errorf("faults: %s has ended by itself: %w", n.Name, n.process.err)
			}
		}
		if pause(ctx, pollEvery); ctx.Err() != nil {
			return fmt.Errorf("faults: not within %v: %s", limit, what)
		}
	}
	return nil
}
