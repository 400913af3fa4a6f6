package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/edge"
	"tmms/media"
	"tmms/origin/session"
)

// view shows the node to the admin port.
type view struct{ n *Node }

// Streams implements admin.StreamSource: what sessions own here, with what the
// hub knows of it.
func (v view) Streams() []admin.StreamInfo {
	watching := v.viewersByStream()
	now := time.Now()
	owned := map[media.StreamKey]session.Info{}
	if v.n.origin != nil {
		for _, s := range v.n.origin.Streams() {
			owned[s.Key] = s
		}
	}
	lives := v.n.hub.Lives()
	list := make([]admin.StreamInfo, 0, len(lives))
	for _, l := range lives {
		s, ok := owned[l.Key()]
		delete(owned, l.Key())
		info := pulledInfo(l, now)
		if ok {
			info = streamInfo(s, now)
			info.Owner = v.n.group.ID()
		} else if p, placed := v.n.group.Placement(l.Key()); placed {
			info.Owner = p.Owner
		}
		info.HLS = hlsInfo(l)
		list = append(list, info)
	}
	for _, s := range owned { // without a life yet
		info := streamInfo(s, now)
		info.Owner = v.n.group.ID()
		list = append(list, info)
	}
	for i := range list {
		list[i].Viewers = map[string]int{}
		if key, err := media.ParseStreamKey(list[i].Key); err == nil && watching[key] != nil {
			list[i].Viewers = watching[key]
		}
	}
	slices.SortFunc(list, func(a, b admin.StreamInfo) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// pulledInfo is a stream that this node has from its owner.
func pulledInfo(l *relay.Live, now time.Time) admin.StreamInfo {
	return admin.StreamInfo{
		Key: l.Key().String(), State: l.State().String(), Epoch: l.Epoch(), Codecs: []string{}, Pulled: true,
		UptimeSeconds: now.Sub(l.StartedAt()).Seconds(),
	}
}

func streamInfo(s session.Info, now time.Time) admin.StreamInfo {
	info := admin.StreamInfo{
		Key: s.Key.String(), State: s.State, Epoch: s.Epoch, Run: s.Run, Codecs: []string{},
		Width: s.Tracks.Video.Width, Height: s.Tracks.Video.Height, FPS: s.Tracks.Video.FPS,
		UptimeSeconds: now.Sub(s.Since).Seconds(),
	}
	for _, c := range []media.Codec{s.Tracks.Video.Codec, s.Tracks.Audio.Codec} {
		if c != media.CodecUnknown {
			info.Codecs = append(info.Codecs, c.String())
		}
	}
	if p := s.Publisher; p != nil {
		info.Publisher = &admin.PublisherInfo{Remote: p.Remote, Since: p.Since, BitrateBPS: p.BitrateBPS}
	}
	return info
}

func hlsInfo(l *relay.Live) *admin.HLSInfo {
	x := l.Index()
	if x == nil {
		return nil
	}
	msn, _ := x.LastMSN()
	return &admin.HLSInfo{Segments: x.Listed, MSN: msn, TargetSeconds: x.Target.Seconds()}
}

func (v view) viewersByStream() map[media.StreamKey]map[string]int {
	byStream := make(map[media.StreamKey]map[string]int)
	for _, w := range v.n.viewers() {
		m := byStream[w.Key]
		if m == nil {
			m = make(map[string]int)
			byStream[w.Key] = m
		}
		m[w.Proto]++
	}
	return byStream
}

// Viewers implements admin.ViewerSource.
func (v view) Viewers(key string, limit int) (list []admin.ViewerInfo, total int) {
	now := time.Now()
	for _, w := range v.n.viewers() {
		if key != "" && w.Key.String() != key {
			continue
		}
		if total++; len(list) < limit {
			list = append(list, viewerInfo(w, now))
		}
	}
	return list, total
}

func viewerInfo(w edge.Info, now time.Time) admin.ViewerInfo {
	return admin.ViewerInfo{
		ID: fmt.Sprintf("%s/%s", w.Proto, w.Remote), Key: w.Key.String(), Proto: w.Proto, Remote: w.Remote.String(),
		Since: now.Add(-w.Since).UTC().Truncate(time.Millisecond), SentBytes: w.Sent,
		LagMS: w.Lag.Milliseconds(),
	}
}

// Config implements admin.RevisionSource.
func (v view) Config() *state.Config { return v.n.group.Config() }

// Nodes implements admin.NodeSource.
func (v view) Nodes() []admin.NodeInfo {
	g := v.n.group
	leader, _, _ := g.Leader()
	raft := admin.RaftView{Self: g.ID(), Leader: leader, Voters: v.n.voterIDs()}
	return admin.MergeNodes(g.Nodes(), v.n.seen(), raft)
}

// voterIDs are the ids of the nodes with a vote, as far as this one knows.
func (n *Node) voterIDs() []string {
	if n.alone() {
		return []string{n.group.ID()}
	}
	var ids []string
	if servers, ok := n.raftServers(); ok {
		for _, s := range servers {
			if s.Voter {
				ids = append(ids, s.ID)
			}
		}
		return ids
	}
	for _, d := range n.group.Nodes() {
		if _, ok := n.cfg.Cluster.Voter(d.Name); ok {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// seen are the nodes that gossip knows of.
func (n *Node) seen() []admin.NodeInfo {
	members := n.backbone.gossip.Members()
	list := make([]admin.NodeInfo, len(members))
	for i, m := range members {
		list[i] = admin.NodeInfo{
			ID: m.ID, Name: m.Name, Roles: m.Roles, Region: m.Region, Zone: m.Zone, Version: m.Version,
			State: string(m.State), Load: int(m.Load), Addresses: map[string]string{},
		}
		for kind, at := range map[string]string{
			"fabric": m.Addrs.Fabric, "rtmp": m.Addrs.RTMP, "http": m.Addrs.HTTP, "admin": m.Addrs.Admin,
		} {
			if at != "" {
				list[i].Addresses[kind] = at
			}
		}
	}
	return list
}

// others are the nodes to ask for their lists.
type others struct{ n *Node }

// peers are nil on a node that is alone.
func (n *Node) peers() admin.Peers {
	if n.alone() {
		return nil
	}
	return others{n}
}

// Peers implements admin.Peers.
func (o others) Peers() []admin.Peer {
	var list []admin.Peer
	for _, m := range view(o).Nodes() {
		if !m.Self && (m.State == "alive" || m.State == "suspect") {
			list = append(list, admin.Peer{ID: m.ID, Name: m.Name})
		}
	}
	return list
}

// Query implements admin.Peers.
func (o others) Query(ctx context.Context, nodeID, what string) ([]byte, error) {
	return o.n.ask(ctx, nodeID, what)
}
