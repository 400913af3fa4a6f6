package fabric

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/media"
)

// PeerStats is what this node's sessions with one other node have carried, of all
// protocols and both directions of dialing.
type PeerStats struct {
	Name     string // as in the peer's certificate
	Sessions int    // that live now

	// RTT is the smoothed round trip, and MinRTT the shortest, over the relay's
	// session if there is one, else any; 0 without a session.
	RTT, MinRTT time.Duration

	// Totals since the node started, or since the peer was last forgotten.
	SentBytes, ReceivedBytes  uint64 // of QUIC packets
	LostBytes                 uint64 // of those sent; they are sent again
	SentPackets, LostPackets  uint64
	ResetsSent, ResetsArrived uint64 // groups that were given up, by [Session.CountReset]

	// Over the last seconds.
	SentBPS, ReceivedBPS float64 // goodput in bit/s, without what was lost
	Loss                 float64 // share of the packets sent, 0 to 1
}

const (
	// peerTick is how often the sessions are looked at.
	peerTick = time.Second
	// peerDecay is what is left of a tick's weight a tick later: rates are over
	// about five seconds.
	peerDecay = 0.8
	// peerForget is how long a peer without a session is remembered.
	peerForget = 10 * time.Minute
)

// peer is what is known of one. Guarded by Fabric.mu.
type peer struct {
	PeerStats

	seen    time.Time // when it last had a session
	ticked  time.Time // when the rates are from
	before  PeerStats // totals then
	seconds float64   // weights, decayed
	sent    float64   // bytes that arrived there, decayed
	got     float64
	packets float64
	lost    float64
}

// resets are a session's own counters.
type resets struct{ sent, arrived atomic.Uint64 }

// CountReset notes that a group was given up on this session: by this node, or
// else by the peer. It shows in [PeerStats].
func (s *Session) CountReset(byPeer bool) {
	if byPeer {
		s.resets.arrived.Add(1)
		return
	}
	s.resets.sent.Add(1)
}

// Peers are the other nodes that this one has sessions with or had lately, by
// name; at most [media.MaxNodes].
func (f *Fabric) Peers() []PeerStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.countAll()
	list := make([]PeerStats, 0, len(f.peers))
	for _, p := range f.peers {
		list = append(list, p.PeerStats)
	}
	slices.SortFunc(list, func(a, b PeerStats) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Peer is one of [Fabric.Peers]; false: it is not there.
func (f *Fabric) Peer(name string) (PeerStats, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.countAll()
	p := f.peers[name]
	if p == nil {
		return PeerStats{}, false
	}
	return p.PeerStats, true
}

// watchPeers works the rates out until ctx ends.
func (f *Fabric) watchPeers(ctx context.Context) {
	tick := time.NewTicker(peerTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.tickPeers(now)
		}
	}
}

// tickPeers works the rates out.
func (f *Fabric) tickPeers(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.countAll()
	for name, p := range f.peers {
		if p.Sessions > 0 {
			p.seen = now
		} else if now.Sub(p.seen) > peerForget {
			delete(f.peers, name)
			continue
		}
		p.tick(now)
	}
}

// tick works the rates out.
func (p *peer) tick(now time.Time) {
	since := func(total, before uint64) float64 { return float64(total - before) }
	decay := func(sum *float64, more float64) { *sum = *sum*peerDecay + more }
	b := p.before
	if !p.ticked.IsZero() {
		decay(&p.seconds, now.Sub(p.ticked).Seconds())
		decay(&p.sent, max(since(p.SentBytes, b.SentBytes)-since(p.LostBytes, b.LostBytes), 0))
		decay(&p.got, since(p.ReceivedBytes, b.ReceivedBytes))
		decay(&p.packets, since(p.SentPackets, b.SentPackets))
		decay(&p.lost, since(p.LostPackets, b.LostPackets))
	}
	p.ticked, p.before = now, p.PeerStats
	if p.seconds > 0 {
		p.SentBPS, p.ReceivedBPS = 8*p.sent/p.seconds, 8*p.got/p.seconds
	}
	p.Loss = 0
	if p.packets > 0 {
		p.Loss = min(p.lost/p.packets, 1)
	}
}

// countAll brings the totals up to date. f.mu is held.
func (f *Fabric) countAll() {
	for _, p := range f.peers {
		p.Sessions, p.RTT, p.MinRTT = 0, 0, 0
	}
	for _, s := range f.sessions() {
		p := f.tally(s)
		if p == nil {
			continue
		}
		p.Sessions++
		if st := s.conn.ConnectionStats(); p.RTT == 0 || s.alpn == ALPNRelay {
			p.RTT, p.MinRTT = st.SmoothedRTT, st.MinRTT
		}
	}
}

// counted is what the totals have of a session. Guarded by Fabric.mu.
type counted struct {
	quic          quic.ConnectionStats
	sent, arrived uint64
}

// tally adds what a session has carried since it was last looked at; nil: there
// are too many peers. f.mu is held.
func (f *Fabric) tally(s *Session) *peer {
	p := f.peers[s.peer.Name]
	if p == nil {
		if len(f.peers) >= media.MaxNodes {
			return nil
		}
		p = &peer{PeerStats: PeerStats{Name: s.peer.Name}, seen: time.Now()}
		f.peers[s.peer.Name] = p
	}
	now, was := s.conn.ConnectionStats(), s.counted
	p.SentBytes += now.BytesSent - was.quic.BytesSent
	p.ReceivedBytes += now.BytesReceived - was.quic.BytesReceived
	p.LostBytes += now.BytesLost - was.quic.BytesLost
	p.SentPackets += now.PacketsSent - was.quic.PacketsSent
	p.LostPackets += now.PacketsLost - was.quic.PacketsLost
	s.counted = counted{now, s.resets.sent.Load(), s.resets.arrived.Load()}
	p.ResetsSent += s.counted.sent - was.sent
	p.ResetsArrived += s.counted.arrived - was.arrived
	return p
}
