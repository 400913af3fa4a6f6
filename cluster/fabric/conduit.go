package fabric

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"

	"tmms/cluster/fabric/path"
	"tmms/media"
)

// conduit is the socket as QUIC sees it. To peers with a lossy path it puts
// package path in between; all else goes through as it is, with what quic-go
// looks for in a UDP socket: batches, control messages, segments.
type conduit struct {
	*net.UDPConn

	// Set at construction.
	inlet    *inlet
	began    time.Time
	budget   *path.Budget
	recovery Recovery
	poke     chan struct{} // there may be something to do before the next look

	ways    atomic.Pointer[map[netip.AddrPort]*way] // a new map for each change, which mu guards
	coding  atomic.Int32                            // ways with a sender
	resting atomic.Bool                             // run looks seldom
	woken   atomic.Bool                             // the reader shall look into all ways
	closing atomic.Bool                             // QUIC wants the reader to end

	mu sync.Mutex

	pending []*way // owned by the reader: those with more to give
}

func newConduit(socket *net.UDPConn, recovery Recovery) *conduit {
	c := &conduit{
		UDPConn: socket, inlet: newInlet(socket), began: time.Now(), recovery: recovery,
		budget: path.NewBudget(media.MaxFabricPathMemory), poke: make(chan struct{}, 1),
	}
	c.ways.Store(&map[netip.AddrPort]*way{})
	return c
}

// now is the time since the conduit was made.
func (c *conduit) now() time.Duration { return time.Since(c.began) }

// way gives that to an address, nil if there is none.
func (c *conduit) way(addr netip.AddrPort) *way { return (*c.ways.Load())[addr] }

// attach makes packets to and from a session's peer eligible.
func (c *conduit) attach(s *Session) {
	if c.recovery == RecoveryNone || c.recovery == RecoveryLanes {
		return
	}
	ids, err := newWayIDs(s)
	if err != nil {
		return // a way is not needed
	}
	addr := s.RemoteAddr()
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.way(addr)
	if w == nil {
		w = newWay(c, addr, s.peer.Name)
		ways := maps.Clone(*c.ways.Load())
		ways[addr] = w
		c.ways.Store(&ways)
	}
	s.way.Store(w)
	w.attach(s, ids)
	c.look()
}

// detach is for a session that has ended.
func (c *conduit) detach(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := s.way.Swap(nil)
	if w == nil || w.detach(s) {
		return
	}
	ways := maps.Clone(*c.ways.Load())
	delete(ways, w.remote)
	c.ways.Store(&ways)
}

// move puts sessions whose peer has changed its address where they belong.
func (c *conduit) move(w *way) {
	for _, s := range w.moved() {
		c.detach(s)
		c.attach(s)
	}
}

// look makes run look at the ways now.
func (c *conduit) look() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// wayTick is how often the ways are looked at while there is anything to do in time.
const wayTick = 5 * time.Millisecond

// run does what is due by time until ctx ends.
func (c *conduit) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.poke:
		}
		ways := *c.ways.Load()
		busy, wake := false, false
		for _, w := range ways {
			b, k, observed := w.tick(c.now())
			busy, wake = busy || b, wake || k
			if observed {
				c.move(w)
			}
		}
		if wake {
			c.wake()
		}
		c.resting.Store(!busy)
		switch {
		case busy:
			timer.Reset(wayTick)
		case len(ways) > 0:
			timer.Reset(path.ObservePause)
		}
	}
}

// wake makes the reader look what the ways have to give.
func (c *conduit) wake() {
	c.woken.Store(true)
	_ = c.UDPConn.SetReadDeadline(time.Unix(1, 0))
}

// SetReadDeadline implements quic.OOBCapablePacketConn: quic-go sets one to end
// its reader.
func (c *conduit) SetReadDeadline(t time.Time) error {
	c.closing.Store(!t.IsZero())
	return c.UDPConn.SetReadDeadline(t)
}

// WriteMsgUDP implements quic.OOBCapablePacketConn.
func (c *conduit) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if len(b) > media.MaxFabricPacket && len(b) <= fullPacket && segmentSize(oob) == 0 {
		return 0, 0, syscall.EMSGSIZE // the packet, a probe for the size, has no room for a header
	}
	if c.coding.Load() > 0 {
		if w := c.way(addrPort(addr)); w != nil {
			if sent, err := w.write(b, oob); sent || err != nil {
				return len(b), len(oob), err
			}
		}
	}
	return c.UDPConn.WriteMsgUDP(b, oob, addr)
}

// fullPacket is the size of the largest packet that QUIC sends, in bytes.
const fullPacket = media.MaxFabricPacket + path.Overhead

// ReadBatch gives QUIC its packets, those of ways after package path has seen them.
func (c *conduit) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		if n := c.drain(ms); n > 0 {
			return n, nil
		}
		n, err := c.inlet.read(ms, flags)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = c.UDPConn.SetReadDeadline(time.Time{})
			if c.closing.Load() {
				return n, err
			}
			continue
		}
		if err != nil {
			return n, err
		}
		if n = c.sift(ms[:n]); n > 0 {
			return n, nil
		}
	}
}

// drain fills ms with what ways have had no room for, or have to give after a wait.
func (c *conduit) drain(ms []ipv4.Message) (n int) {
	if c.woken.Swap(false) {
		c.pending = c.pending[:0]
		for _, w := range *c.ways.Load() {
			c.pending = append(c.pending, w)
		}
	}
	for len(c.pending) > 0 {
		w := c.pending[0]
		got, more := w.give(c.now(), ms[n:])
		n += got
		if more {
			break
		}
		c.pending = c.pending[1:]
	}
	return n
}

// sift takes the packets that are not QUIC's out of ms and puts in what comes
// of them; it gives how many there are then.
func (c *conduit) sift(ms []ipv4.Message) (n int) {
	for i := range ms {
		m := &ms[i]
		b := m.Buffers[0][:m.N]
		if !path.Ours(b) {
			if n != i {
				put(&ms[n], b, m.OOB[:m.NN], m.Addr)
			}
			n++
			continue
		}
		w := c.way(addrPort(m.Addr))
		if w == nil {
			continue // a stranger's
		}
		w.take(b, m.OOB[:m.NN])
		got, more := w.give(c.now(), ms[n:i+1])
		n += got
		if more {
			c.pending = append(c.pending, w)
		}
	}
	return n
}

// put makes m a packet; its buffers stay its own.
func put(m *ipv4.Message, b, oob []byte, addr net.Addr) {
	m.N, m.NN, m.Addr = copy(m.Buffers[0], b), copy(m.OOB[:cap(m.OOB)], oob), addr
}
