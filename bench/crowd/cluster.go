package crowd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cluster is an origin and edges in regions, each a process. Its methods are for one
// goroutine.
type Cluster struct {
	program string
	dir     string
	origin  *node
	edges   []*node
}

// node is one process.
type node struct {
	name, region                      string
	rtmp, http, fabric, gossip, admin string // HOST:PORT
	cmd                               *exec.Cmd
	ended                             chan struct{} // closed once cmd was waited for
}

// Shape of a cluster.
type Shape struct {
	Regions int // 1 to 16
	Edges   int // in each, 1 to 16
}

// Validate names the first value out of range.
func (s Shape) Validate() error {
	if s.Regions < 1 || s.Regions > 16 || s.Edges < 1 || s.Edges > 16 {
		return fmt.Errorf("crowd: %d regions of %d edges: each must be in 1..16", s.Regions, s.Edges)
	}
	return nil
}

// domains is the config in force: one app that anybody may publish to.
const domains = `domains:
  - name: default
    aliases: ["*"]
    apps:
      - name: live
        rtmp: true
        flv: true
        hls: {enabled: true}
`

// Start starts a cluster of the program tmms, with all its files in dir, and waits
// until its nodes know each other. Stop ends it, and must be called after a fault too.
func Start(ctx context.Context, program, dir string, shape Shape) (*Cluster, error) {
	c := &Cluster{program: program, dir: dir}
	if err := shape.Validate(); err != nil {
		return c, err
	}
	if err := c.make(ctx, shape); err != nil {
		return c, err
	}
	for _, n := range c.nodes() {
		if err := c.start(n); err != nil {
			return c, err
		}
	}
	for _, n := range c.nodes() {
		if err := c.wait(ctx, n.name+" is ready", func() bool { return c.ready(ctx, n) }); err != nil {
			return c, err
		}
	}
	file := filepath.Join(dir, "domains.yaml")
	if err := os.WriteFile(file, []byte(domains), 0o600); err != nil {
		return c, err
	}
	if err := c.tmms(ctx, "apply", "-f", file, "--api", "http://"+c.origin.admin); err != nil {
		return c, err
	}
	for _, n := range c.nodes() {
		met := func() bool { return c.alive(ctx, n) == len(c.nodes()) }
		if err := c.wait(ctx, n.name+" knows the others", met); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *Cluster) nodes() []*node { return append([]*node{c.origin}, c.edges...) }

// make writes certificates and configs.
func (c *Cluster) make(ctx context.Context, shape Shape) (err error) {
	if c.origin, err = newNode("o1", "home"); err != nil {
		return err
	}
	for r := range shape.Regions {
		for e := range shape.Edges {
			n, err := newNode(fmt.Sprintf("e%d-%d", r, e), "r"+strconv.Itoa(r))
			if err != nil {
				return err
			}
			c.edges = append(c.edges, n)
		}
	}
	if err := c.tmms(ctx, "cert", "init", "--dir", c.dir); err != nil {
		return err
	}
	for _, n := range c.nodes() {
		if err := c.tmms(ctx, "cert", "node", n.name, "--roles", n.role(), "--dir", c.dir); err != nil {
			return err
		}
		if err := os.WriteFile(c.path(n, "yaml"), []byte(c.config(n)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func newNode(name, region string) (*node, error) {
	n := &node{name: name, region: region}
	for _, at := range []*string{&n.rtmp, &n.http, &n.fabric, &n.gossip, &n.admin} {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("crowd: a free port: %w", err)
		}
		*at = l.Addr().String()
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *node) role() string {
	if n.region == "home" {
		return "origin"
	}
	return "edge"
}

func (c *Cluster) path(n *node, ext string) string { return filepath.Join(c.dir, n.name+"."+ext) }

func (c *Cluster) config(n *node) string {
	web := n.http
	if n.role() == "origin" {
		web = ""
	}
	return fmt.Sprintf(`node: {name: %s, roles: [%s], region: %s, data_dir: %q}
listen: {rtmp: %q, http: %q, fabric: %q, gossip: %q, admin: %q}
cluster:
  voters: ["o1@%s"]
  join: [%q]
  ca_file: %q
  cert_file: %q
  key_file: %q
  gossip_key_file: %q
edge: {loops: 1}
`, n.name, n.role(), n.region, c.path(n, "data"), n.rtmp, web, n.fabric, n.gossip, n.admin,
		c.origin.fabric, c.origin.gossip, filepath.Join(c.dir, "ca.crt"), c.path(n, "crt"), c.path(n, "key"),
		filepath.Join(c.dir, "gossip.key"))
}

// tmms runs a command of the program.
func (c *Cluster) tmms(ctx context.Context, args ...string) error {
	if msg, err := exec.CommandContext(ctx, c.program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("crowd: tmms %s: %w\n%s", strings.Join(args, " "), err, msg)
	}
	return nil
}

func (c *Cluster) start(n *node) error {
	log, err := os.Create(c.path(n, "log"))
	if err != nil {
		return err
	}
	n.cmd = exec.CommandContext(context.Background(), c.program, "run", "--config", c.path(n, "yaml"))
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := errors.Join(n.cmd.Start(), log.Close()); err != nil {
		return fmt.Errorf("crowd: start %s: %w", n.name, err)
	}
	n.ended = make(chan struct{})
	go func() {
		_ = n.cmd.Wait()
		close(n.ended)
	}()
	return nil
}

// stopTimeout bounds the end of a node that was asked to.
const stopTimeout = 15 * time.Second

// Stop ends all nodes.
func (c *Cluster) Stop() {
	var ending sync.WaitGroup
	if c.origin == nil {
		return
	}
	for _, n := range c.nodes() {
		if n.ended == nil {
			continue
		}
		ending.Go(func() {
			_ = n.cmd.Process.Signal(os.Interrupt)
			kill := time.AfterFunc(stopTimeout, func() { _ = n.cmd.Process.Kill() })
			defer kill.Stop()
			<-n.ended
		})
	}
	ending.Wait()
}

// Edges are where viewers may come.
func (c *Cluster) Edges() []Edge {
	list := make([]Edge, len(c.edges))
	for i, n := range c.edges {
		list[i] = Edge{HTTP: n.http, RTMP: n.rtmp}
	}
	return list
}

// PublishURL is where to publish a stream, APP/STREAM.
func (c *Cluster) PublishURL(stream string) string { return "rtmp://" + c.origin.rtmp + "/" + stream }

// Logs gives the end of what each node has said.
func (c *Cluster) Logs() string {
	const tail = 3000
	var b strings.Builder
	for _, n := range c.nodes() {
		text, _ := os.ReadFile(c.path(n, "log"))
		fmt.Fprintf(&b, "--- %s\n%s", n.name, text[max(0, len(text)-tail):])
	}
	return b.String()
}

// Subscriptions is how many nodes the origin sends streams to; -1: it does not say.
func (c *Cluster) Subscriptions(ctx context.Context) int { return c.origin.subscriptions(ctx) }

// EdgeSubscriptions is how many nodes an edge, by its place in Edges, sends streams
// to; -1: it does not say.
func (c *Cluster) EdgeSubscriptions(ctx context.Context, edge int) int {
	return c.edges[edge].subscriptions(ctx)
}

// Kill ends an edge, by its place in Edges, without a farewell.
func (c *Cluster) Kill(edge int) {
	_ = c.edges[edge].cmd.Process.Kill()
	<-c.edges[edge].ended
}

func (n *node) subscriptions(ctx context.Context) int {
	b, err := fetch(ctx, "http://"+n.admin+"/metrics")
	if err != nil {
		return -1
	}
	lines := bufio.NewScanner(strings.NewReader(string(b)))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "tmms_relay_subscriptions "); ok {
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				return int(n)
			}
		}
	}
	return -1
}

func (c *Cluster) ready(ctx context.Context, n *node) bool {
	_, err := fetch(ctx, "http://"+n.admin+"/readyz")
	return err == nil
}

// alive counts the nodes that one of them sees alive.
func (c *Cluster) alive(ctx context.Context, n *node) (alive int) {
	b, err := fetch(ctx, "http://"+n.admin+"/api/v1/nodes")
	var list struct {
		Nodes []struct {
			State string `json:"state"`
		} `json:"nodes"`
	}
	if err != nil || json.Unmarshal(b, &list) != nil {
		return 0
	}
	for _, m := range list.Nodes {
		if m.State == "alive" {
			alive++
		}
	}
	return alive
}

// startTimeout bounds each step of a cluster's start.
const startTimeout = time.Minute

// wait polls until ok says yes, or a node has ended.
func (c *Cluster) wait(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !ok() {
		for _, n := range c.nodes() {
			select {
			case <-n.ended:
				return fmt.Errorf("crowd: %s has ended\n%s", n.name, c.Logs())
			default:
			}
		}
		if err := until(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
			return fmt.Errorf("crowd: not in %v: %s: %w", startTimeout, what, err)
		}
	}
	return nil
}

// fetch gets what a URL has; anything but 200 is an error.
func fetch(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w %s to %s", errStatus, answer.Status, url)
	}
	return b, err
}
