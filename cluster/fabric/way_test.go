package fabric

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tmms/cluster/fabric/path"
	"tmms/media"
)

// middle carries packets between a dialer and an acceptor, and loses some of
// those to the dialer.
type middle struct {
	t        *testing.T
	front    *net.UDPConn // the dialer's side
	acceptor netip.AddrPort
	lose     func() bool // called by one goroutine at a time

	mu     sync.Mutex
	back   *net.UDPConn   // guarded by mu: the acceptor's side
	dialer netip.AddrPort // guarded by mu
	wg     sync.WaitGroup
	lost   atomic.Int64
}

func localSocket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newMiddle(t *testing.T, acceptor *node, lose func() bool) *middle {
	t.Helper()
	m := &middle{t: t, front: localSocket(t), back: localSocket(t), acceptor: acceptor.Addr(), lose: lose}
	m.wg.Go(m.there)
	m.wg.Go(func() { m.backAgain(m.back) })
	t.Cleanup(func() {
		_ = m.front.Close()
		_ = m.socket().Close()
		m.wg.Wait()
	})
	return m
}

func (m *middle) target(n *node) Target {
	return Target{Name: n.Name(), Addr: m.front.LocalAddr().String()}
}

func (m *middle) socket() *net.UDPConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.back
}

// rebind goes on with another port, as a NAT does that has forgotten a mapping.
func (m *middle) rebind() {
	back := localSocket(m.t)
	m.mu.Lock()
	former := m.back
	m.back = back
	m.mu.Unlock()
	_ = former.Close()
	m.wg.Go(func() { m.backAgain(back) })
}

func (m *middle) there() {
	b := make([]byte, 2048)
	for {
		n, from, err := m.front.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.dialer = from
		m.mu.Unlock()
		_, _ = m.socket().WriteToUDPAddrPort(b[:n], m.acceptor)
	}
}

func (m *middle) backAgain(back *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		n, _, err := back.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if n > 300 && m.lose() {
			m.lost.Add(1)
			continue
		}
		m.toDialer(b[:n])
	}
}

func (m *middle) toDialer(b []byte) {
	m.mu.Lock()
	to := m.dialer
	m.mu.Unlock()
	_, _ = m.front.WriteToUDPAddrPort(b, to)
}

// pair runs two nodes that recover as given, and a middle between them.
func pair(t *testing.T, dialer, acceptor Recovery, lose func() bool) (a, b *node, m *middle) {
	t.Helper()
	ca := newCA(t, time.Now())
	with := func(r Recovery) func(*Fabric) {
		return func(f *Fabric) {
			f.conduit.recovery = r
			f.Handle(ALPNRelay, echo)
		}
	}
	a = startWith(t, issue(t, ca, "dialer"), "127.0.0.1:0", fast(), with(dialer))
	b = startWith(t, issue(t, ca, "acceptor"), "127.0.0.1:0", fast(), with(acceptor))
	return a, b, newMiddle(t, b, lose)
}

// much is more text than one flight has, and less than a stream's first window:
// ask writes it whole before it reads.
func much() string {
	b := make([]byte, media.FabricStreamWindow*3/4)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

// stats waits until what is known about a peer is as wanted.
func (n *node) stats(t *testing.T, peer, what string, ok func(path.Stats) bool) (s path.Stats) {
	t.Helper()
	waitFor(t, what, func() bool {
		var known bool
		s, known = n.PathStats(peer)
		return known && ok(s)
	})
	return s
}

func coding(s path.Stats) bool { return s.Out.Mode == path.ModeCoding }

// TestLossOnTheWayIsRepaired: what a path loses QUIC does not miss.
// Requirement: S13.
func TestLossOnTheWayIsRepaired(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	a, b, m := pair(t, RecoveryFEC, RecoveryFEC, func() bool { return rng.Float64() < 0.05 })
	s := connect(t, a, m.target(b), ALPNRelay)
	b.stats(t, "dialer", "coding", coding)
	text := much()
	for range 6 {
		if got := ask(t, s, text); got != text {
			t.Fatalf("%d bytes came back as %d others", len(text), len(got))
		}
	}
	out := b.stats(t, "dialer", "repaired packet in the reports", func(s path.Stats) bool {
		return s.Out.Repaired+s.Out.Resent > 0
	}).Out
	if m.lost.Load() == 0 || out.Sent < 1000 || out.Parity == 0 || out.Loss == 0 {
		t.Errorf("%d packets lost on the way; %+v", m.lost.Load(), out)
	}
	in := a.stats(t, "acceptor", "incoming packet", func(s path.Stats) bool { return s.In.Coding }).In
	if in.Received < 1000 || in.Lost == 0 {
		t.Errorf("came in: %+v", in)
	}
}

func TestAShortPathIsPlain(t *testing.T) {
	a, b, m := pair(t, RecoveryAdaptive, RecoveryAdaptive, func() bool { return false })
	s := connect(t, a, m.target(b), ALPNRelay)
	text := much()
	if got := ask(t, s, text); got != text {
		t.Fatal("other bytes came back")
	}
	for _, n := range []struct {
		*node
		peer string
	}{{a, "acceptor"}, {b, "dialer"}} {
		st := n.stats(t, n.peer, "mode", func(s path.Stats) bool { return s.Out.Mode == path.ModeNear })
		if st.Out.Sent > 0 || st.In.Received > 0 || st.Lanes != 1 || st.RoundTrip == 0 {
			t.Errorf("to the %s: %+v", n.peer, st)
		}
	}
	if n := a.Lanes(m.target(b)); n != 1 {
		t.Errorf("%d lanes", n)
	}
	s.Close(CodeDone, "enough")
	waitFor(t, "end of the way", func() bool { _, ok := a.PathStats("acceptor"); return !ok })
	if _, ok := a.PathStats("nobody"); ok {
		t.Error("nobody is known")
	}
}

// While another path is coded, a path that is not sends as ever: nothing is held back.
func TestAPlainPathIsNotPaced(t *testing.T) {
	c := newConduit(localSocket(t), RecoveryAdaptive)
	w := newWay(c, netip.MustParseAddrPort("127.0.0.1:9"), "b")
	c.coding.Add(1)
	for range 1000 { // many times what a pacer lets through at once
		if coded, err := w.write(make([]byte, media.MaxFabricPacket), nil); coded || err != nil {
			t.Fatalf("coded %v, %v", coded, err)
		}
	}
	if w.pacer != (path.Pacer{}) {
		t.Errorf("what is sent plain is counted by the pacer: %+v", w.pacer)
	}
}

func TestAPeerThatDoesNotUnderstandGetsPlainPackets(t *testing.T) {
	a, b, m := pair(t, RecoveryFEC, RecoveryNone, func() bool { return false })
	s := connect(t, a, m.target(b), ALPNRelay)
	if got := ask(t, s, "hello"); got != "hello" {
		t.Fatalf("got %q", got)
	}
	a.stats(t, "acceptor", "giving up", func(s path.Stats) bool { return s.Out.Mode == path.ModeDeaf })
	text := much()
	if got := ask(t, s, text); got != text {
		t.Fatal("other bytes came back")
	}
}

func TestLanesAreSessionsOfTheirOwn(t *testing.T) {
	a, b, m := pair(t, RecoveryBoth, RecoveryBoth, func() bool { return false })
	to := m.target(b)
	if n := a.Lanes(to); n != media.FabricLanes {
		t.Errorf("%d lanes, want %d", n, media.FabricLanes)
	}
	first := connect(t, a, to, ALPNRelay)
	for lane := range 3 {
		s, err := a.Lane(within(t), to, ALPNRelay, lane)
		if err != nil {
			t.Fatal(err)
		}
		again, err := a.Lane(within(t), to, ALPNRelay, lane)
		if err != nil || s != again || (s == first) != (lane == 0) {
			t.Errorf("lane %d: %p, then %p (%v); Session gives %p", lane, s, again, err, first)
		}
		if got := ask(t, s, "hello"); got != "hello" {
			t.Errorf("lane %d: got %q", lane, got)
		}
	}
	if n := b.value(t, "tmms_fabric_sessions", string(ALPNRelay), "in"); n != 3 {
		t.Errorf("%.0f sessions, want 3", n)
	}
}

func TestStrangersPacketsAreNotAnswered(t *testing.T) {
	_, b, _ := pair(t, RecoveryAdaptive, RecoveryAdaptive, func() bool { return false })
	stranger := localSocket(t)
	for _, p := range forged(0) {
		if _, err := stranger.WriteToUDPAddrPort(p, b.Addr()); err != nil {
			t.Fatal(err)
		}
	}
	_ = stranger.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, _, err := stranger.ReadFromUDPAddrPort(make([]byte, 2048)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

// forged are packets of all kinds.
func forged(id path.ID) (all [][]byte) {
	for kind := range byte(0x40) {
		p := path.AppendProbe(nil, id, path.Probe{Size: 64})
		p[0] = kind
		all = append(all, p, p[:9], p[:1])
	}
	return all
}

// TestForgedPacketsDoNoHarm: neither those of an unknown id, nor those of the right one.
func TestForgedPacketsDoNoHarm(t *testing.T) {
	a, b, m := pair(t, RecoveryFEC, RecoveryFEC, func() bool { return false })
	s := connect(t, a, m.target(b), ALPNRelay)
	b.stats(t, "dialer", "coding", coding)
	var id path.ID
	for _, w := range *a.conduit.ways.Load() {
		w.mu.Lock()
		for _, ids := range w.sessions {
			id = ids.in
		}
		w.mu.Unlock()
	}
	text := much()
	for _, id := range []path.ID{id + 1, id} {
		for _, p := range forged(id) {
			m.toDialer(p)
		}
		if got := ask(t, s, text); got != text {
			t.Fatal("other bytes came back")
		}
	}
}

func TestASessionThatHasMovedIsCodedAgain(t *testing.T) {
	a, b, m := pair(t, RecoveryFEC, RecoveryFEC, func() bool { return false })
	s := connect(t, a, m.target(b), ALPNRelay)
	b.stats(t, "dialer", "coding", coding)
	m.rebind()
	moved := addrPort(m.socket().LocalAddr())
	text := much()
	if got := ask(t, s, text); got != text {
		t.Fatal("other bytes came back")
	}
	waitFor(t, "coding to the new address", func() bool {
		w := b.conduit.way(moved)
		return w != nil && coding(w.stats())
	})
	if got := ask(t, s, text); got != text {
		t.Fatal("other bytes came back")
	}
}
