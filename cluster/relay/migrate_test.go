package relay

import (
	"net"
	"slices"
	"sync"
	"testing"

	"tmms/cluster/fabric"
	"tmms/media"
)

// nat passes the datagrams of one client on to a server, from an address of its
// own that may change, as that of a NAT does that has forgotten the client.
type nat struct {
	t      testing.TB
	inside *net.UDPConn // what the client dials
	server *net.UDPAddr

	mu      sync.Mutex
	outside *net.UDPConn // guarded by mu
	client  *net.UDPAddr // guarded by mu; nil: it has not come yet
	host    byte         // guarded by mu; the last of outside's address
	wg      sync.WaitGroup
}

func newNAT(tb testing.TB, server string) *nat {
	tb.Helper()
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		tb.Fatal(err)
	}
	n := &nat{t: tb, server: to, inside: loopback(tb, 1)}
	n.rebind()
	n.wg.Go(n.forward)
	tb.Cleanup(func() {
		_ = n.inside.Close()
		n.mu.Lock()
		_ = n.outside.Close()
		n.mu.Unlock()
		n.wg.Wait()
	})
	return n
}

func loopback(tb testing.TB, host byte) *net.UDPConn {
	tb.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, host)})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// rebind takes another port, every second time at another address; what comes to
// the old one is lost.
func (n *nat) rebind() {
	n.t.Helper()
	n.mu.Lock()
	n.host++
	host := 1 + n.host/2
	n.mu.Unlock()
	fresh := loopback(n.t, host)
	n.mu.Lock()
	old := n.outside
	n.outside = fresh
	n.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	n.wg.Go(func() { n.back(fresh) })
}

// seen is where the server sees the client now.
func (n *nat) seen() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.outside.LocalAddr().String()
}

func (n *nat) forward() {
	b := make([]byte, 2048)
	for {
		size, from, err := n.inside.ReadFromUDP(b)
		if err != nil {
			return
		}
		n.mu.Lock()
		n.client = from
		_, _ = n.outside.WriteToUDP(b[:size], n.server) // a datagram may be lost
		n.mu.Unlock()
	}
}

func (n *nat) back(from *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		size, err := from.Read(b)
		if err != nil {
			return
		}
		n.mu.Lock()
		to := n.client
		n.mu.Unlock()
		if to != nil {
			_, _ = n.inside.WriteToUDP(b[:size], to)
		}
	}
}

// TestMigration: the address of a node, or its port behind a NAT, changes while it pulls; the
// session and the subscription go on, and no frame is lost or comes twice.
func TestMigration(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.start("a"), w.join("b", PullConfig{})
	way := newNAT(t, owner.fabric.Addr().String())
	w.mu.Lock()
	n := w.nodes[owner.id]
	n.Addresses = map[string]string{"fabric": way.inside.LocalAddr().String()}
	w.nodes[owner.id] = n
	w.mu.Unlock()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	feed := edge.open(key("a"))
	defer feed.Close()
	live := f.caughtUp(feed)
	to := fabric.Target{Name: "a", Addr: n.Addresses["fabric"]}
	before, err := edge.fabric.Session(t.Context(), to, fabric.ALPNRelay)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		old := way.seen()
		way.rebind()
		if way.seen() == old {
			t.Fatal("the address has not changed")
		}
		f.frames(40)
		if f.caughtUp(feed) != live {
			t.Fatal("the life has changed")
		}
	}
	after, err := edge.fabric.Session(t.Context(), to, fabric.ALPNRelay)
	if err != nil || after != before {
		t.Errorf("another session, %v", err)
	}
	var ids []media.PacketID
	for _, e := range entries(live) {
		ids = append(ids, e.ID)
	}
	if len(ids) < 120 || len(slices.Compact(slices.Clone(ids))) != len(ids) ||
		!slices.IsSortedFunc(ids, func(a, b media.PacketID) int { return a.Compare(b) }) {
		t.Errorf("%d packets, some of them twice or out of order", len(ids))
	}
	for i := 1; i < len(ids); i++ {
		if ids[i].Group == ids[i-1].Group && ids[i].Index != ids[i-1].Index+1 {
			t.Errorf("a gap between %+v and %+v", ids[i-1], ids[i])
		}
	}
	if pulls := gauge(t, owner.registry, "tmms_relay_subscriptions"); pulls != 1 {
		t.Errorf("%v subscriptions", pulls)
	}
}
