package consensus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/fabric"
	"tmms/media"
)

// layer is raft's streams over the fabric. In the group's configuration a
// server's address is its node's name, so that nodes may move. Raft dials by
// id: a stream begins with the id of the node that it is meant for,
//
//	1 byte length, id
//
// and a node does not serve one that is meant for another: a node that has lost
// its data folder must not pass for its former self, which may have voted.
type layer struct {
	raft.StreamLayer

	node *Node

	mu   sync.Mutex
	off  bool            // guarded by mu; see cutOff
	open map[*cable]bool // guarded by mu
}

// cable is one of raft's streams, which can be taken away.
type cable struct {
	net.Conn

	layer *layer
}

// Close implements net.Conn.
func (c *cable) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.open, c)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}

var errCutOff = errors.New("consensus: this node's disk does not write the raft log")

// take keeps a stream, or closes it while raft is cut off.
func (l *layer) take(c net.Conn) (*cable, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		_ = c.Close()
		return nil, errCutOff
	}
	k := &cable{Conn: c, layer: l}
	l.open[k] = true
	return k, nil
}

// cutOff takes all streams away from raft, and any that come until it is put back.
func (l *layer) cutOff(off bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = off
	if !off {
		return
	}
	for k := range l.open {
		_ = k.Conn.Close()
	}
	clear(l.open)
}

// second marks the dial of the address in the config, after that in the nodes
// table has failed.
const second = "#2"

const (
	raftTimeout = 10 * time.Second
	raftPool    = 3
)

func newLayer(n *Node, open func(func(raft.ServerAddress) (fabric.Target, bool)) raft.StreamLayer) *layer {
	return &layer{StreamLayer: open(n.lookup), node: n, open: map[*cable]bool{}}
}

// newTransport starts raft's transport over the layer.
func (l *layer) newTransport() raft.Transport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: dialByID{}, Logger: newRaftLog(l.node.log), Stream: l, MaxPool: raftPool,
		Timeout: raftTimeout,
	})
}

// dialByID makes raft dial ids.
type dialByID struct{}

// ServerAddr implements raft.ServerAddressProvider.
func (dialByID) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	return raft.ServerAddress(id), nil
}

// Dial implements raft.StreamLayer; addr is an id.
func (l *layer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	c, err := l.StreamLayer.Dial(addr, timeout)
	if err != nil {
		if _, ok := l.node.lookup(addr + second); ok {
			c, err = l.StreamLayer.Dial(addr+second, timeout)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(addr) > media.MaxName {
		return nil, fmt.Errorf("consensus: node id %.40q is too long", addr)
	}
	if _, err := c.Write(append([]byte{byte(len(addr))}, addr...)); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("consensus: raft stream to %s: %w", addr, err)
	}
	return l.take(c)
}

// Accept implements net.Listener.
func (l *layer) Accept() (net.Conn, error) {
	for {
		c, err := l.StreamLayer.Accept()
		if err != nil {
			return nil, err
		}
		if k, err := l.take(c); err == nil {
			return &addressed{Conn: k, id: l.node.ID()}, nil
		}
	}
}

// lookup finds the node of a server id: first at the address that it told the
// cluster, then at the one in the config.
func (n *Node) lookup(addr raft.ServerAddress) (fabric.Target, bool) {
	id, again := strings.CutSuffix(string(addr), second)
	known, _ := n.Node(id)
	name := known.Name
	if r := n.raft.Load(); r != nil {
		if s := n.nameOf(r, raft.ServerID(id)); s != "" && s != id {
			name = s
		}
	}
	var addrs []string
	for _, a := range []string{known.Addresses[fabricAddress], n.configured(name)} {
		if a != "" && (len(addrs) == 0 || addrs[0] != a) {
			addrs = append(addrs, a)
		}
	}
	choice := 0
	if again {
		choice = 1
	}
	if name == "" || choice >= len(addrs) {
		return fabric.Target{}, false
	}
	return fabric.Target{Name: name, Addr: addrs[choice]}, true
}

// fabricAddress is the key of a node's fabric port in state.Node.Addresses.
const fabricAddress = "fabric"

func (n *Node) configured(name string) string {
	for _, v := range n.cfg.Voters {
		if v.Name == name {
			return v.Address
		}
	}
	return ""
}

// addressed is an accepted stream; its first read takes the id it is meant for.
type addressed struct {
	net.Conn

	id      string
	checked bool // owned by the reader
}

// Read implements net.Conn.
func (c *addressed) Read(b []byte) (int, error) {
	if !c.checked {
		if err := c.check(); err != nil {
			return 0, err
		}
		c.checked = true
	}
	return c.Conn.Read(b)
}

func (c *addressed) check() error {
	var head [1 + media.MaxName]byte
	if _, err := io.ReadFull(c.Conn, head[:1]); err != nil {
		return err
	}
	id := head[1 : 1+int(head[0])]
	if _, err := io.ReadFull(c.Conn, id); err != nil {
		return err
	}
	if string(id) != c.id {
		return fmt.Errorf("consensus: a raft stream is meant for node %q, this is %s", id, c.id)
	}
	return nil
}
