package fabric

import (
	"strconv"
	"testing"
	"time"

	"tmms/cluster/pki"
	"tmms/media"
)

// TestPeers: what the sessions with a node have carried is told by its name, also
// when they have ended, until it was gone for a while.
func TestPeers(t *testing.T) {
	ca := newCA(t, time.Now())
	serve := func(f *Fabric) {
		f.Handle(ALPNControl, echo)
		f.Handle(ALPNRelay, echo)
	}
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", fast(), serve)
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), serve)
	if list := a.Peers(); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	s := connect(t, a, b.target(), ALPNRelay)
	connect(t, a, b.target(), ALPNControl)
	connect(t, b, a.target(), ALPNRelay)
	exchangeUni(t, s, "a") // a MiB
	s.CountReset(false)
	s.CountReset(true)
	s.CountReset(true)
	var p PeerStats
	waitFor(t, "three sessions that carry something", func() bool {
		p, _ = a.Peer("b")
		return p.Sessions == 3 && p.SentBytes > 1<<20 && p.SentBPS > 0 && p.ReceivedBPS > 0
	})
	if p.Name != "b" || p.RTT <= 0 || p.MinRTT <= 0 || p.MinRTT > p.RTT*2 || p.ReceivedBytes < 1000 ||
		p.SentPackets < 700 || p.ResetsSent != 1 || p.ResetsArrived != 2 || p.Loss < 0 || p.Loss > 1 {
		t.Errorf("%+v", p)
	}
	for _, direction := range []string{"in", "out"} {
		want := map[string]float64{"in": 2, "out": 1}[direction]
		if got := a.value(t, "tmms_fabric_peer_groups_reset_total", direction, "b"); got != want {
			t.Errorf("%v groups were reset %s", got, direction)
		}
		if got := a.value(t, "tmms_fabric_peer_bytes_total", direction, "b"); got < 1000 {
			t.Errorf("%v bytes went %s", got, direction)
		}
	}
	if rtt := a.value(t, "tmms_fabric_peer_rtt_seconds", "b"); rtt <= 0 {
		t.Errorf("the round trip is %v", rtt)
	}
	b.stop(t)
	waitFor(t, "the sessions' end", func() bool {
		p, _ = a.Peer("b")
		return p.Sessions == 0
	})
	if p.SentBytes < 1<<20 || p.ResetsArrived != 2 || p.RTT != 0 {
		t.Errorf("of sessions that have ended: %+v", p)
	}
	a.tickPeers(time.Now().Add(peerForget - time.Minute))
	if len(a.Peers()) != 1 {
		t.Error("forgotten too early")
	}
	a.tickPeers(time.Now().Add(peerForget + time.Minute))
	if list := a.Peers(); len(list) != 0 {
		t.Errorf("not forgotten: %+v", list)
	}
}

// TestPeersAreBounded: more names than a cluster has nodes are not counted.
func TestPeersAreBounded(t *testing.T) {
	ca := newCA(t, time.Now())
	a := start(t, issue(t, ca, "a"))
	a.mu.Lock()
	for i := range media.MaxNodes {
		name := strconv.Itoa(i)
		a.peers[name] = &peer{PeerStats: PeerStats{Name: name}, seen: time.Now()}
	}
	p := a.tally(&Session{peer: pki.Peer{Name: "one more"}})
	a.mu.Unlock()
	if p != nil || len(a.Peers()) != media.MaxNodes {
		t.Errorf("%+v, %d peers", p, len(a.Peers()))
	}
}

// TestPeerRates: rates are of the last seconds, and lost packets do not count.
func TestPeerRates(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := &peer{}
	for range 30 { // 1 Mbyte/s, every 50th packet lost
		p.tick(now)
		now = now.Add(time.Second)
		p.SentBytes, p.SentPackets = p.SentBytes+1_020_000, p.SentPackets+1000
		p.LostBytes, p.LostPackets = p.LostBytes+20_000, p.LostPackets+20
		p.ReceivedBytes += 500_000
	}
	p.tick(now)
	if near := func(v, want float64) bool { return v > 0.99*want && v < 1.01*want }; !near(p.SentBPS, 8e6) ||
		!near(p.ReceivedBPS, 4e6) || !near(p.Loss, 0.02) {
		t.Errorf("%.0f and %.0f bit/s, loss %.4f", p.SentBPS, p.ReceivedBPS, p.Loss)
	}
	for range 30 {
		now = now.Add(time.Second)
		p.tick(now)
	}
	if p.SentBPS > 20_000 || p.ReceivedBPS > 20_000 {
		t.Errorf("a silent peer has %.0f and %.0f bit/s", p.SentBPS, p.ReceivedBPS)
	}
}
