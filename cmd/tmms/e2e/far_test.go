package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tmms/bench/publish"
	"tmms/bench/shape"
	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/flv"
)

// far is a cluster of an origin and an edge in networks of their own, which only
// a link joins. It needs root.
//
//	publisher -> o1 10.99.0.1 == link == 10.99.0.2 e1 -> witness
type far struct {
	t            *testing.T
	dir          string
	link         *shape.Process
	origin, edge *farNode
}

// farNode is a process in a network, where it has the usual ports.
type farNode struct {
	name   string
	net    *shape.Namespace
	cmd    *exec.Cmd
	out    lockedBuffer
	client *http.Client // of its network
}

// Addresses in each of the networks.
const (
	farAdmin = "http://127.0.0.1:8090"
	farPush  = "rtmp://127.0.0.1:1935/live/far"
	farWatch = "http://127.0.0.1:8080/live/far.flv"
)

const farConfig = `
node: {name: %[1]s, roles: [%[2]s], region: %[1]s, data_dir: %[3]s/%[1]s}
listen: {rtmp: "127.0.0.1:1935", http: "%[4]s", fabric: "%[5]s:7400", gossip: "%[5]s:7946", admin: "127.0.0.1:8090"}
cluster:
  voters: [o1@10.99.0.1:7400]
  join: [10.99.0.1:7946]
  ca_file: %[3]s/ca.crt
  cert_file: %[3]s/%[1]s.crt
  key_file: %[3]s/%[1]s.key
  gossip_key_file: %[3]s/gossip.key
`

// farDomains is an app with all that it has by itself.
const farDomains = "domains: [{name: default, aliases: ['*'], apps: [{name: live}]}]"

// startFar starts both nodes across a link, the same both ways, until they serve.
func startFar(t *testing.T, params, domains string) *far {
	t.Helper()
	f := &far{t: t, dir: t.TempDir(), origin: &farNode{name: "o1"}, edge: &farNode{name: "e1"}}
	cfg := shape.Config{AtoB: shape.DefaultParams(), BtoA: shape.DefaultParams(), Seed: 1}
	if err := errors.Join(cfg.AtoB.Set(params), cfg.BtoA.Set(params)); err != nil {
		t.Fatal(err)
	}
	for i, n := range []*farNode{f.origin, f.edge} {
		n.enter(t)
		address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, 0, byte(1 + i)}), 24)
		[]*shape.End{&cfg.A, &cfg.B}[i].Namespace = n.net.Name()
		[]*shape.End{&cfg.A, &cfg.B}[i].Addresses = []netip.Prefix{address}
	}
	link, err := shape.StartProcess(context.Background(), benchBinary, cfg) // until stop, which is after t.Context
	if err != nil {
		t.Fatal(err)
	}
	f.link = link
	t.Cleanup(f.stop)
	f.tmms(nil, "cert", "init", "--dir", f.dir)
	f.tmms(nil, "cert", "node", "o1", "--roles", "origin", "--dir", f.dir)
	f.tmms(nil, "cert", "node", "e1", "--roles", "edge", "--dir", f.dir)
	f.start(f.origin, "origin", "", "10.99.0.1")
	f.tmms(f.origin, "apply", "-f", writeFile(t, "domains.yaml", domains))
	f.start(f.edge, "edge", "127.0.0.1:8080", "10.99.0.2")
	return f
}

// enter makes the node's network.
func (n *farNode) enter(t *testing.T) {
	t.Helper()
	ns, err := shape.NewNamespace(t.Context(), n.name)
	if err != nil {
		t.Fatalf("a network, which only root can make: %v", err)
	}
	n.net = ns
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		err = ns.Do(func() error {
			c, err = new(net.Dialer).DialContext(ctx, network, addr)
			return err
		})
		return c, err
	}}
	n.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
}

// tmms runs a client command, in a node's network if there is one.
func (f *far) tmms(n *farNode, args ...string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), binary, args...)
	if n != nil {
		cmd = n.net.Command(f.t.Context(), binary, args...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("tmms %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// start starts a node and waits until it serves.
func (f *far) start(n *farNode, role, web, address string) {
	f.t.Helper()
	file := filepath.Join(f.dir, n.name+".yaml")
	text := fmt.Sprintf(farConfig, n.name, role, f.dir, web, address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	n.cmd = n.net.Command(context.Background(), binary, "run", "--config", file)
	n.cmd.Stdout, n.cmd.Stderr = &n.out, &n.out
	if err := n.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	waitFor(f.t, 30*time.Second, n.name+" to be ready", func() bool {
		code, _ := n.get(f.t, farAdmin+"/readyz")
		return code == http.StatusOK
	})
}

// stop ends the nodes, and then the link.
func (f *far) stop() {
	for _, n := range []*farNode{f.edge, f.origin} {
		if n.cmd == nil {
			continue
		}
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = n.cmd.Process.Kill() })
		if err := n.cmd.Wait(); err != nil {
			f.t.Errorf("%s: %v", n.name, err)
		}
		kill.Stop()
		if out := n.out.String(); f.t.Failed() || strings.Contains(out, "panic") {
			f.t.Logf("%s printed:\n%s", n.name, out)
		}
	}
	status, err := f.link.Stop()
	if err != nil {
		f.t.Error(err)
	}
	f.t.Logf("the link:\n%v", status)
}

// set changes the link, see [shape.Link.Do].
func (f *far) set(line string) {
	f.t.Helper()
	if _, err := f.link.Do(line); err != nil {
		f.t.Fatal(err)
	}
}

// get reads a page in the node's network; 0 if there is none.
func (n *farNode) get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := n.client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(body)
}

// metric is the value of a metric without labels; 0 if there is none.
func (n *farNode) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, body := n.get(t, farAdmin+"/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// air publishes the signal at the origin until the test ends.
func (f *far) air(cfg signal.Config) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- f.origin.net.Do(func() error {
			return publish.Run(ctx, publish.Config{URL: farPush, Signal: cfg}, sync.OnceFunc(func() { close(ready) }))
		})
	}()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("the publisher: %v", err)
		}
	})
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		f.t.Fatal("the origin does not take the stream")
	}
}

// sight is a marked frame that a witness has got.
type sight struct {
	signal.Marker

	at  time.Time
	key bool
}

func (s sight) lag() time.Duration { return s.at.Sub(s.Sent) }

// witness watches at the edge by HTTP-FLV.
type witness struct {
	done chan error

	mu     sync.Mutex
	sights []sight // guarded by mu
}

// watch begins to watch, until the test ends, and waits for a picture.
func (f *far) watch() *witness {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	w := &witness{done: make(chan error, 1)}
	go func() { w.done <- w.run(ctx, f.edge.client) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-w.done; err != nil {
			f.t.Errorf("the witness: %v", err)
		}
	})
	waitFor(f.t, 30*time.Second, "a picture at the edge", func() bool { return len(w.seen()) > 0 })
	return w
}

// run reads the stream until ctx ends, which is no error.
func (w *witness) run(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, farWatch, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", farWatch, res.Status)
	}
	var rest []byte
	for header, b := true, make([]byte, 64<<10); ; {
		n, err := res.Body.Read(b)
		rest = append(rest, b[:n]...)
		if header && len(rest) > 0 {
			if _, size, fault := flv.ParseHeader(rest); fault == nil {
				header, rest = false, rest[size:]
			}
		}
		if !header {
			rest = w.take(rest, time.Now())
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("it ended: %w", err)
		}
	}
}

// take notes the whole tags of b; it gives what is left.
func (w *witness) take(b []byte, now time.Time) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		tag, n, err := flv.ParseTag(b)
		if err != nil {
			return bytes.Clone(b)
		}
		b = b[n:]
		if tag.Type != media.TypeVideo {
			continue
		}
		if m, ok := signal.Read(tag.Body); ok {
			w.sights = append(w.sights, sight{Marker: m, at: now, key: tag.Body[0]>>4 == 1})
		}
	}
}

// seen is what has come until now.
func (w *witness) seen() []sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]sight(nil), w.sights...)
}

// between is what was sent in a time.
func between(sights []sight, from, to time.Time) (some []sight) {
	for _, s := range sights {
		if s.Sent.After(from) && s.Sent.Before(to) {
			some = append(some, s)
		}
	}
	return some
}
