package fabric

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"tmms/cluster/fabric/path"
)

// way is the path to one address of a peer and back, while sessions lead there.
type way struct {
	// Set at construction.
	conduit *conduit
	remote  netip.AddrPort
	addr    *net.UDPAddr
	name    string // of the peer

	mu sync.Mutex
	// Guarded by mu: the sessions, and what is decided about packets to the peer.
	sessions map[*Session]*wayIDs
	control  *path.Controller
	observed time.Duration // when it was told what QUIC knows; 0: it is to be told now
	probe    path.ID       // of the last probe

	// Guarded by mu: packets to the peer.
	sender *path.Sender // nil: they go as they are
	next   path.Seq     // of the next sender
	pacer  path.Pacer
	oob    []byte        // control messages of the last one, without segments
	sent   path.Outbound // sums of the senders before
	far    path.Outbound // by the last report

	// Guarded by mu: packets from the peer.
	receiver  *path.Receiver // nil: they come as they are
	receiving time.Duration  // since then
	calm      bool           // coded ones came for long, and none was lost
	inOOB     []byte         // control messages of the last one
	got       path.Inbound   // sums of the receivers before

	// Guarded by mu: scratch.
	out, outOOB []byte
	ranges      []path.Range
}

// wayIDs mark packets of a session's both directions; the rest is what QUIC had
// sent on it when the controller was told.
type wayIDs struct {
	out, in           path.ID
	sent, lost, bytes uint64
}

// newWayIDs draws the ids from the secrets of the session (RFC 8446 section 7.5):
// both ends know them, and nobody else.
func newWayIDs(s *Session) (*wayIDs, error) {
	state := s.conn.ConnectionState().TLS
	key, err := state.ExportKeyingMaterial("EXPORTER-tmms-path", nil, 8)
	if err != nil {
		return nil, fmt.Errorf("fabric: path to %s: %w", s.peer.Name, err)
	}
	dialer, acceptor := path.ID(binary.BigEndian.Uint32(key)), path.ID(binary.BigEndian.Uint32(key[4:]))
	if s.target == (Target{}) {
		return &wayIDs{out: acceptor, in: dialer}, nil
	}
	return &wayIDs{out: dialer, in: acceptor}, nil
}

func newWay(c *conduit, remote netip.AddrPort, name string) *way {
	force := c.recovery == RecoveryFEC || c.recovery == RecoveryBoth
	return &way{
		conduit: c, remote: remote, addr: net.UDPAddrFromAddrPort(remote), name: name,
		sessions: make(map[*Session]*wayIDs), control: path.NewController(c.now(), force),
	}
}

func (w *way) attach(s *Session, ids *wayIDs) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[s] = ids
	w.observed = 0
}

// detach forgets a session; false: it was the last one, and w is not used any more.
func (w *way) detach(s *Session) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := w.sessions[s]
	delete(w.sessions, s)
	if w.sender != nil && w.sender.ID() == ids.out {
		w.control.Gone(w.conduit.now())
		w.plain()
	}
	if len(w.sessions) > 0 {
		return true
	}
	w.plain()
	w.deafen()
	return false
}

// moved gives the sessions whose peer has another address by now.
func (w *way) moved() (sessions []*Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.sessions {
		if s.RemoteAddr() != w.remote {
			sessions = append(sessions, s)
		}
	}
	return sessions
}

// plain ends coding. mu is held.
func (w *way) plain() {
	if w.sender == nil {
		return
	}
	w.sent, w.far = w.outbound(), path.Outbound{}
	w.next = w.sender.Seq()
	w.sender.Close()
	w.sender = nil
	w.conduit.coding.Add(-1)
}

// deafen forgets what has come coded. mu is held.
func (w *way) deafen() {
	if w.receiver == nil {
		return
	}
	w.got = w.inbound()
	w.receiver.Close()
	w.receiver = nil
}

// tick does what is due. busy: it has to be looked at again soon; wake: give
// has something new; observed: the controller was told.
func (w *way) tick(now time.Duration) (busy, wake, observed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.observed == 0 || now-w.observed >= w.pause() {
		w.observe(now)
		observed = true
	}
	if w.control.Probe(now) {
		w.sendProbe()
	}
	busy = w.control.Mode() == path.ModeProbing
	if w.sender != nil {
		busy = w.tickSender(now)
	}
	if w.receiver != nil {
		w.feedback(now)
		wake = w.receiver.Waiting(now)
		busy = busy || !w.receiver.Idle()
		if now-max(w.receiver.Heard(), w.receiving) > receiverIdle {
			w.deafen()
		}
	}
	return busy, wake, observed
}

// quietPause is the pause between two looks at a way that has quiet sessions only.
const quietPause = 2 * time.Second

// pause is the time between two looks at what QUIC knows. mu is held.
func (w *way) pause() time.Duration {
	for s := range w.sessions {
		if !s.quiet {
			return path.ObservePause
		}
	}
	return quietPause
}

// receiverIdle is how long a receiver is kept to which nothing comes.
const receiverIdle = 30 * time.Second

// observe tells the controller what QUIC knows. mu is held.
func (w *way) observe(now time.Duration) {
	var l path.Link
	for s, ids := range w.sessions {
		q := s.conn.ConnectionStats()
		l.Sent += q.PacketsSent - ids.sent
		l.Lost += q.PacketsLost - ids.lost
		l.Bytes += q.BytesSent - ids.bytes
		ids.sent, ids.lost, ids.bytes = q.PacketsSent, q.PacketsLost, q.BytesSent
		if q.MinRTT > 0 && (l.Shortest == 0 || q.MinRTT < l.Shortest) {
			l.Shortest, l.RoundTrip = q.MinRTT, q.SmoothedRTT
		}
	}
	w.observed = now
	w.control.Observe(now, l)
	if w.control.Mode() != path.ModeCoding {
		w.plain()
	}
	w.judge(now)
}

// judge tells whether what comes coded proves that the path is good. mu is held.
func (w *way) judge(now time.Duration) {
	r := w.receiver
	if r == nil {
		return
	}
	lostAt, received := r.LostAt(), r.Counts(now).Received
	switch {
	case lostAt > 0 && now-lostAt < calmSpell:
		w.calm = false
	case now-max(lostAt, w.receiving) >= calmSpell && received >= calmSources:
		w.calm = true
	}
}

// calmSpell without a loss, and so many packets, prove that a path needs only one lane.
const (
	calmSpell   = 20 * time.Second
	calmSources = 2000
)

// sendProbe asks by the id of any session. mu is held.
func (w *way) sendProbe() {
	for _, ids := range w.sessions {
		w.probe = ids.out
		w.out = path.AppendProbe(w.out[:0], ids.out, path.Probe{First: w.next, Size: fullPacket})
		w.send(w.out)
		return
	}
}

// send sends a packet of package path. One that does not go out is lost, which
// is what it is all about. mu is held.
func (w *way) send(b []byte) { _, _, _ = w.conduit.UDPConn.WriteMsgUDP(b, w.oob, w.addr) }
