package node

import (
	"slices"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/fabric"
	"tmms/cluster/fabric/path"
	"tmms/cluster/relay"
	"tmms/media"
)

// Why implements admin.WhySource: what this node has of a stream, and the ways to
// the nodes that it comes from and goes to.
func (v view) Why(key media.StreamKey) admin.NodeWhy {
	var why admin.NodeWhy
	if p, ok := v.n.group.Placement(key); ok {
		why.Epoch = p.Epoch
	}
	why.Viewers = v.viewersByStream()[key]
	v.owned(key, &why)
	why.Standby = v.standby(key)
	var peers []string
	for _, s := range v.n.backbone.relay.Subscriptions(key) {
		why.Subscriptions = append(why.Subscriptions, admin.SubscriptionWhy{
			Node: s.Node, Since: s.Since.UTC().Truncate(time.Millisecond), Shield: s.Shield, Standby: s.Standby, HLS: s.HLS,
			Version: s.Version, Pending: s.Pending, BehindMS: milliseconds(s.Behind),
		})
		peers = append(peers, s.Node)
	}
	if why.Pull = v.pull(key); why.Pull != nil && why.Pull.Source != "" {
		peers = append(peers, why.Pull.Source)
	}
	slices.Sort(peers)
	for _, name := range slices.Compact(peers) {
		why.Peers = append(why.Peers, v.peer(name))
	}
	return why
}

// standby is how the standby of a stream that is published here is; nil: it has none.
func (v view) standby(key media.StreamKey) *admin.StandbyWhy {
	l := v.n.hub.Local(key)
	if l == nil {
		return nil
	}
	node, inSync, behind := l.StandbyState()
	if node == "" {
		return nil
	}
	return &admin.StandbyWhy{Node: v.name(node), InSync: inSync, BehindMS: float64(behind)}
}

// owned adds what a session of this node has.
func (v view) owned(key media.StreamKey, why *admin.NodeWhy) {
	if v.n.origin == nil {
		return
	}
	now := time.Now()
	for _, s := range v.n.origin.Streams() {
		if s.Key != key {
			continue
		}
		info := streamInfo(s, now)
		info.Owner, info.OwnerName = v.n.group.ID(), v.n.cfg.Node.Name
		info.Viewers = why.Viewers
		if info.Viewers == nil {
			info.Viewers = map[string]int{}
		}
		why.Stream = &info
		if s.HLSError != nil {
			why.HLSError = s.HLSError.Error()
		}
	}
}

// pull is how this node gets the stream; nil: it does not.
func (v view) pull(key media.StreamKey) *admin.PullWhy {
	p := v.n.backbone.puller
	info, ok := p.Why(key)
	if !ok {
		return nil
	}
	pull := &admin.PullWhy{
		State: info.State, Source: v.name(info.Source), Shield: info.Shield, Hop: info.Hops, Reason: info.Reason,
		Next: v.name(info.Next), Interrupts: info.Resets, Hedges: info.Hedges, Moves: info.Moves, Error: info.Error,
	}
	if !info.ErrorAt.IsZero() {
		pull.ErrorAt = info.ErrorAt.UTC().Truncate(time.Millisecond)
	}
	for _, c := range info.Candidates {
		pull.Candidates = append(pull.Candidates, admin.CandidateWhy{
			Node: v.name(c.Node), Owner: c.Owner, Self: c.Self, RTTMS: milliseconds(c.RTT), Loss: c.Loss, Load: c.Load,
			Verdict: c.Verdict,
		})
	}
	if lag, ok := p.Lag(key); ok {
		pull.Version, pull.Way, pull.Lag = lag.Version, delayWhy(lag.Way), delayWhy(lag.Lag)
		if lag.Hop > 0 {
			pull.Hop = lag.Hop
		}
	}
	return pull
}

// name is that of a node by its id; one that is not known keeps its id.
func (v view) name(id string) string {
	if n, ok := v.n.group.Node(id); ok {
		return n.Name
	}
	return id
}

func delayWhy(d relay.Delay) *admin.DelayWhy {
	if d.At.IsZero() {
		return nil
	}
	return &admin.DelayWhy{MS: milliseconds(d.Mean), BoundMS: milliseconds(d.Bound), Corrected: d.Corrected}
}

// peer is the way to another node.
func (v view) peer(name string) admin.PeerWhy {
	p, _ := v.n.backbone.fabric.Peer(name)
	why := peerWhy(name, &p)
	if way, ok := v.n.backbone.fabric.PathStats(name); ok && (way.In.Coding || way.Out.Mode == path.ModeCoding) {
		why.Repair = repairWhy(&way)
		if way.Out.Mode == path.ModeCoding { // QUIC sees only what could not be repaired
			why.Loss = way.Out.Loss
		}
	}
	return why
}

func repairWhy(way *path.Stats) *admin.Repair {
	share := func(n, of uint64) float64 { return float64(n) / float64(max(of, 1)) }
	return &admin.Repair{
		OverheadRatio: share(way.Out.Parity+way.Out.Resent, way.Out.Sent),
		RepairedRatio: share(way.In.Repaired+way.In.Resent, way.In.Received),
	}
}

func peerWhy(name string, p *fabric.PeerStats) admin.PeerWhy {
	return admin.PeerWhy{
		Node: name, Connected: p.Sessions > 0, RTTMS: milliseconds(p.RTT), Loss: p.Loss,
		InBPS: p.ReceivedBPS, OutBPS: p.SentBPS,
		GroupsReset: p.ResetsSent, GroupsDropped: p.ResetsArrived,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
